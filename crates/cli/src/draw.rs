//! How answers are drawn: on a screen of so many columns, with colours or without; no line is ever longer.

mod grid;
mod spark;
mod words;

use taximeter::report::Style;
pub(crate) use taximeter::report::{
    NONE, change, each, part, part_name, share, signed, spend, took, unpriced,
};

pub(crate) use grid::{Column, Grid};
pub(crate) use spark::{bar, spark};
pub(crate) use words::{day, minute};

/// The screen that is drawn on, as text.
#[derive(Debug)]
pub(crate) struct Screen {
    style: Style,
    text: String,
}

/// How a text looks, where there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Tone {
    #[default]
    Plain,
    Good,
    Bad,
}

impl Screen {
    pub(crate) fn new(style: Style) -> Self {
        Self { style, text: String::new() }
    }

    pub(crate) fn width(&self) -> usize {
        usize::from(self.style.width)
    }

    pub(crate) fn style(&self) -> Style {
        self.style
    }

    pub(crate) fn heading(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        for line in wrapped(text, self.width(), 0) {
            self.text.push_str(&self.style.heading(&line));
            self.text.push('\n');
        }
    }

    /// A paragraph, broken into lines; the later ones stand under the first word, behind a number or blanks before it.
    pub(crate) fn say(&mut self, text: &str) {
        self.say_so(text, Tone::Plain);
    }

    pub(crate) fn say_so(&mut self, text: &str, tone: Tone) {
        for line in wrapped(text, self.width(), hanging(text)) {
            self.text.push_str(&self.toned(&line, tone));
            self.text.push('\n');
        }
    }

    /// Lines that are drawn already, each cut where the screen ends.
    pub(crate) fn lines(&mut self, text: &str) {
        for line in text.lines() {
            self.text.push_str(&cut(line, self.width()));
            self.text.push('\n');
        }
    }

    pub(crate) fn grid(&mut self, grid: &Grid) {
        let drawn = grid.draw(self.style);
        self.text.push_str(&drawn);
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    fn toned(&self, text: &str, tone: Tone) -> String {
        toned(self.style, text, tone)
    }
}

pub(crate) fn toned(style: Style, text: &str, tone: Tone) -> String {
    match tone {
        Tone::Plain => text.to_owned(),
        Tone::Good => style.good(text),
        Tone::Bad => style.bad(text),
    }
}

/// A text whose lines are broken where they are too long.
pub(crate) fn fit(text: &str, width: u16) -> String {
    let most = usize::from(width);
    let lines = text.lines().flat_map(|line| {
        if columns(line) <= most { vec![line.to_owned()] } else { wrapped(line, most, 2) }
    });
    lines.fold(String::new(), |text, line| text + &line + "\n")
}

/// By how many columns the later lines of a paragraph are indented.
fn hanging(text: &str) -> usize {
    let blanks = text.len() - text.trim_start_matches(' ').len();
    let digits = text[blanks..].bytes().take_while(u8::is_ascii_digit).count();
    match text[blanks + digits..].starts_with(". ") && digits > 0 {
        true => blanks + digits + 2,
        false if blanks > 0 => blanks,
        false => 2,
    }
}

/// A text in lines of a width; the later ones are indented.
fn wrapped(text: &str, width: usize, indent: usize) -> Vec<String> {
    let indent = " ".repeat(indent.min(width / 2));
    // An id or a name that has a hyphen stays whole where it fits into a line.
    let options = textwrap::Options::new(width.max(8))
        .subsequent_indent(&indent)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    textwrap::wrap(&clean(text), options).into_iter().map(std::borrow::Cow::into_owned).collect()
}

/// The columns that a text takes.
pub(crate) fn columns(text: &str) -> usize {
    textwrap::core::display_width(text)
}

/// A text in at most so many columns; what is cut off is marked by an ellipsis.
pub(crate) fn cut(text: &str, most: usize) -> String {
    let text = clean(text);
    if columns(&text) <= most {
        return text;
    }
    let mut kept = String::new();
    let mut room = most.saturating_sub(1);
    for letter in text.chars() {
        let wide = columns(letter.encode_utf8(&mut [0; 4]));
        if wide > room {
            break;
        }
        room -= wide;
        kept.push(letter);
    }
    if most > 0 {
        kept.push('…');
    }
    kept
}

/// A text without what would move the cursor or turn the direction of what follows: names come from programs, and a name
/// may hold anything.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|letter| if is_hostile(letter) { '\u{fffd}' } else { letter }).collect()
}

/// Whether a terminal would do something at a character, or show those beside it in another order.
pub(crate) fn is_hostile(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            // Marks, embeddings, overrides and isolates of the direction.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
            // Separators of lines and paragraphs, marks of the order of bytes and of annotations, tags.
            | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_by_the_columns_it_takes() {
        assert_eq!(cut("retrieval", 9), "retrieval");
        assert_eq!(cut("retrieval", 5), "retr…");
        assert_eq!(cut("漢字漢字", 5), "漢字…");
        assert_eq!(cut("a\u{1b}[31mred", 20), "a\u{fffd}[31mred");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(
            clean("a\u{202e}b\u{9b}c\u{2028}d漢\u{301}"),
            "a\u{fffd}b\u{fffd}c\u{fffd}d漢\u{301}"
        );
    }

    #[test]
    fn later_lines_stand_under_the_first_word() {
        let mut screen = Screen::new(Style::plain(24));
        screen.say("12. the first of several things");
        screen.say("   which is seen in those");
        screen.say("a paragraph of some words");
        assert_eq!(
            screen.text,
            "12. the first of several\n    things\n   which is seen in\n   those\na paragraph of some\n  words\n"
        );
    }

    #[test]
    fn no_paragraph_is_wider_than_the_screen() {
        for width in 40..=200 {
            let mut screen = Screen::new(Style::plain(width));
            screen.heading(&"a heading of many words ".repeat(9));
            screen.say(&"x".repeat(500));
            screen.lines(&"y".repeat(500));
            screen.say(&format!("1000. {}", "z ".repeat(300)));
            assert!(screen.text.lines().all(|line| columns(line) <= usize::from(width)));
        }
    }
}
