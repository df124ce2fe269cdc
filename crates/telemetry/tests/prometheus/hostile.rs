//! Texts that have broken expositions before: quotation marks, backslashes, line ends of every kind, what looks like syntax.

const PIECES: [&str; 24] = [
    "\"",
    "\\",
    "\n",
    "\r",
    "\\n",
    "\u{2028}",
    "\u{85}",
    "\t",
    "{",
    "}",
    ",",
    "=",
    "#",
    " # {",
    "le",
    "+Inf",
    "NaN",
    "é",
    "日本",
    "\u{1F695}",
    "\u{0}",
    "\u{feff}",
    " ",
    "a",
];

/// A text for each number, by a linear congruential generator (Knuth's MMIX constants).
pub(crate) fn text(number: u64) -> String {
    let mut state =
        number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let mut text = String::new();
    for _ in 0..state >> 61 {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(PIECES[(state >> 33) as usize % PIECES.len()]);
    }
    text
}
