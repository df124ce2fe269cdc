//! How answers are drawn: on a screen of so many columns, with colours or without; no line is ever longer.

mod grid;
mod spark;
mod words;

use taximeter::report::Style;

pub(crate) use grid::{Column, Grid};
pub(crate) use spark::{bar, spark};
pub(crate) use words::{change, day, each, minute, percent, share, signed, spend, took, unpriced};

/// Stands for what is not known or not there.
pub(crate) const NONE: &str = "–";

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
        for line in wrapped(text, self.width(), "") {
            self.text.push_str(&self.style.heading(&line));
            self.text.push('\n');
        }
    }

    /// A paragraph, broken into lines.
    pub(crate) fn say(&mut self, text: &str) {
        self.say_so(text, Tone::Plain);
    }

    pub(crate) fn say_so(&mut self, text: &str, tone: Tone) {
        for line in wrapped(text, self.width(), "  ") {
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
        if columns(line) <= most { vec![line.to_owned()] } else { wrapped(line, most, "  ") }
    });
    lines.fold(String::new(), |text, line| text + &line + "\n")
}

/// A text in lines of a width; the later ones are indented.
fn wrapped(text: &str, width: usize, indent: &str) -> Vec<String> {
    let options = textwrap::Options::new(width.max(8)).subsequent_indent(indent).break_words(true);
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

/// A text without what would move the cursor: names come from programs, and a name may hold anything.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
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
    }

    #[test]
    fn no_paragraph_is_wider_than_the_screen() {
        for width in 40..=200 {
            let mut screen = Screen::new(Style::plain(width));
            screen.heading(&"a heading of many words ".repeat(9));
            screen.say(&"x".repeat(500));
            screen.lines(&"y".repeat(500));
            assert!(screen.text.lines().all(|line| columns(line) <= usize::from(width)));
        }
    }
}
