//! Ties the numbers in a reply to the passages that were sent, and drops the ones that the model made up.

/// A passage that an answer rests on.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Citation {
    /// The number that the answer's text cites it by.
    pub number: usize,
    /// The file, within the folder of documents.
    pub path: String,
    /// The title of the document.
    pub title: String,
    /// The headings that the passage stands under, joined by `>`.
    pub section: String,
    /// How well the passage matched the question.
    pub score: f32,
}

/// A reply whose markers all lead somewhere.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// The text without invented markers.
    pub(crate) text: String,
    /// The numbers cited, each once, in the order of the text.
    pub(crate) cited: Vec<usize>,
    /// How many numbers were cited that no passage has.
    pub(crate) invented: usize,
}

/// Reads the markers `[1]`, `[1][2]` and `[1, 2]` in a reply to a prompt with passages 1 to `passages`.
///
/// Markers in code spans are code, and `[1](…)` is a link; both stay as they are.
pub(crate) fn resolve(reply: &str, passages: usize) -> Resolved {
    let mut resolved = Resolved { text: String::new(), cited: Vec::new(), invented: 0 };
    let mut rest = reply;
    while let Some(at) = rest.find(['`', '[']) {
        resolved.text.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = if rest.starts_with('`') {
            let length = code_span(rest);
            resolved.text.push_str(&rest[..length]);
            length
        } else if let Some((numbers, length)) = marker(rest) {
            resolved.keep(&rest[..length], &numbers, passages);
            length
        } else {
            resolved.text.push('[');
            1
        };
        rest = &rest[taken..];
    }
    resolved.text.push_str(rest);
    resolved
}

impl Resolved {
    fn keep(&mut self, marker: &str, numbers: &[usize], passages: usize) {
        let known: Vec<usize> =
            numbers.iter().copied().filter(|number| (1..=passages).contains(number)).collect();
        self.invented += numbers.len() - known.len();
        if known.len() == numbers.len() {
            self.text.push_str(marker);
        } else if known.is_empty() {
            let trimmed = self.text.trim_end_matches(' ').len();
            self.text.truncate(trimmed);
        } else {
            let known: Vec<_> = known.iter().map(ToString::to_string).collect();
            self.text.extend(["[", &known.join(", "), "]"]);
        }
        for number in known {
            if !self.cited.contains(&number) {
                self.cited.push(number);
            }
        }
    }
}

/// The length of the code span that `text` opens with; of its backticks alone when nothing closes it.
fn code_span(text: &str) -> usize {
    let ticks = text.bytes().take_while(|byte| *byte == b'`').count();
    let fence = &text[..ticks];
    text[ticks..].find(fence).map_or(ticks, |inner| ticks + inner + ticks)
}

/// The numbers of the marker that `text` opens with, and its length.
fn marker(text: &str) -> Option<(Vec<usize>, usize)> {
    let close = text.find(']')?;
    if text[close + 1..].starts_with('(') {
        return None;
    }
    let numbers = text[1..close]
        .split(',')
        .map(|number| number.trim().parse().ok())
        .collect::<Option<Vec<usize>>>()?;
    Some((numbers, close + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_tied_or_dropped() {
        let cases: [(&str, &str, &[usize], usize); 11] = [
            ("One [1]. Two [2].", "One [1]. Two [2].", &[1, 2], 0),
            ("Both [2][1], again [2].", "Both [2][1], again [2].", &[2, 1], 0),
            ("List [1, 3].", "List [1, 3].", &[1, 3], 0),
            ("Made up [7].", "Made up.", &[], 1),
            ("Half [1, 9] true [0].", "Half [1] true.", &[1], 2),
            ("Huge [99999999999999999999999].", "Huge [99999999999999999999999].", &[], 0),
            ("Code `a[1]` and ``b[2]``.", "Code `a[1]` and ``b[2]``.", &[], 0),
            ("Open ` tick [1].", "Open ` tick [1].", &[1], 0),
            ("A [1](https://x) link, [x], [], [1", "A [1](https://x) link, [x], [], [1", &[], 0),
            ("Ünïcode [3] ✓", "Ünïcode [3] ✓", &[3], 0),
            ("", "", &[], 0),
        ];
        for (reply, text, cited, invented) in cases {
            let expected = Resolved { text: text.to_owned(), cited: cited.to_vec(), invented };
            assert_eq!(resolve(reply, 3), expected, "{reply}");
        }
    }

    #[test]
    fn without_passages_every_marker_is_invented() {
        assert_eq!(
            resolve("Sure [1].", 0),
            Resolved { text: "Sure.".to_owned(), cited: vec![], invented: 1 }
        );
    }
}
