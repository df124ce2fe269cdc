//! What comes out of a store as it is, on a terminal: nothing in it moves the cursor or turns the direction of texts.

use std::error::Error;
use std::io::{self, Write};

use serde::Serialize;

use crate::draw::is_hostile;

/// Prints a document in which nothing would do anything to a terminal.
pub(crate) fn print<D: Serialize>(
    output: &mut impl Write,
    document: &D,
) -> Result<(), Box<dyn Error>> {
    let text = serde_json::to_string_pretty(document)?;
    Ok(writeln!(output, "{}", json(&text))?)
}

/// JSON in which such characters are escapes, which mean the same to who reads it.
fn json(text: &str) -> String {
    let mut shielded = String::with_capacity(text.len());
    for letter in text.chars() {
        // They stand nowhere but in texts, but for the ends of lines, which stand between these.
        if is_hostile(letter) && letter != '\n' {
            let mut units = [0; 2];
            let units = letter.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}"));
            shielded.extend(units);
        } else {
            shielded.push(letter);
        }
    }
    shielded
}

/// A writer that replaces such characters, but for ends of lines and tabs, and what is no UTF-8.
pub(crate) struct Shield<W: Write> {
    inner: W,
    /// The beginning of a character whose end has not come.
    begun: Vec<u8>,
}

impl<W: Write> Shield<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, begun: Vec::new() }
    }
}

impl<W: Write> Write for Shield<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        let end = match std::str::from_utf8(&self.begun) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.begun.len(),
        };
        let text = String::from_utf8_lossy(&self.begun[..end]);
        let calm = |letter| is_hostile(letter) && !matches!(letter, '\n' | '\r' | '\t');
        let shown = text.replace(calm, "\u{fffd}");
        self.inner.write_all(shown.as_bytes())?;
        self.begun.drain(..end);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_means_the_same_and_holds_nothing_that_a_terminal_heeds() {
        let name = "\u{1b}[31m\u{9b}2J\u{202e}漢\u{7f}\u{e0041}";
        let text = serde_json::to_string_pretty(&serde_json::json!({ "name": name })).unwrap();
        let shielded = json(&text);
        assert!(shielded.chars().all(|letter| letter == '\n' || !is_hostile(letter)), "{shielded}");
        let again: serde_json::Value = serde_json::from_str(&shielded).unwrap();
        assert_eq!(again["name"], name);
    }

    #[test]
    fn a_stream_is_shielded_wherever_it_is_cut() {
        let text = "a\u{1b}[2J,漢\u{202e}b\r\n\tc";
        for cut in 0..=text.len() {
            let mut seen = Vec::new();
            let mut shield = Shield::new(&mut seen);
            shield.write_all(&text.as_bytes()[..cut]).unwrap();
            shield.write_all(&text.as_bytes()[cut..]).unwrap();
            assert_eq!(String::from_utf8(seen).unwrap(), "a\u{fffd}[2J,漢\u{fffd}b\r\n\tc");
        }
    }
}
