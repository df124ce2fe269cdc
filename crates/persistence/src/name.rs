//! The names of session files: which may be given, and which are made of a session's id.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::PersistenceError;

/// What every session file's name ends with.
pub(crate) const EXTENSION: &str = ".json";

/// The longest file name that the common file systems take, in bytes.
const MOST_BYTES: usize = 255;

/// The longest part of a file name that is made of a session's id.
const MOST_ID_BYTES: usize = 64;

/// Why a text cannot be the name of a session file. The rules are those of all systems together, so that a
/// directory of session files can be moved from one to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NameProblem {
    /// There is nothing in it.
    Empty,
    /// It holds `/` or `\`.
    Separator,
    /// It begins with a dot, as hidden files, `.` and `..` do.
    Hidden,
    /// It holds a character that some system forbids in names: a control character or one of `< > : " | ? *`.
    Forbidden(char),
    /// It holds a character that is not seen or turns the order of the text, so that it can pass for another name.
    Invisible(char),
    /// It begins with a hyphen, which commands take for an option, or begins or ends with a space, or ends with a dot.
    Edge(char),
    /// It is the name of a device on some system, such as `NUL` or `COM1`.
    Device,
    /// It has more than 255 bytes, `.json` included.
    TooLong {
        /// How many it has.
        bytes: usize,
    },
}

impl NameProblem {
    pub(crate) const fn advice(self) -> &'static str {
        match self {
            Self::Empty => "give a name, or none at all to have one made",
            Self::Separator => {
                "give a plain file name, and set the directory where the files are kept"
            }
            Self::TooLong { .. } => "give a shorter name",
            _ => "give a plain name, such as evening-run.json",
        }
    }
}

impl fmt::Display for NameProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::Separator => f.write_str("it is a path"),
            Self::Hidden => f.write_str("it begins with a dot"),
            Self::Forbidden(char) => write!(f, "{char:?} cannot be in a file name on every system"),
            Self::Invisible(char) => {
                write!(f, "{:?} cannot be seen", char.escape_unicode().to_string())
            }
            Self::Edge(char) => write!(f, "{char:?} stands at its edge"),
            Self::Device => f.write_str("some systems have a device of that name"),
            Self::TooLong { bytes } => write!(f, "it has {bytes} bytes of at most {MOST_BYTES}"),
        }
    }
}

/// The file name for a name that was given: the name itself, with `.json` behind it.
pub(crate) fn file_name(name: &str) -> Result<String, PersistenceError> {
    let refused = |problem| PersistenceError::InvalidName {
        name: name.chars().take(MOST_ID_BYTES).collect(),
        problem,
    };
    check(name).map_err(refused)?;
    let full =
        if name.ends_with(EXTENSION) { name.to_owned() } else { format!("{name}{EXTENSION}") };
    match full.len() {
        0..=MOST_BYTES => Ok(full),
        bytes => Err(refused(NameProblem::TooLong { bytes })),
    }
}

fn check(name: &str) -> Result<(), NameProblem> {
    let first = name.chars().next().ok_or(NameProblem::Empty)?;
    if name.contains(['/', '\\']) {
        return Err(NameProblem::Separator);
    }
    if first == '.' {
        return Err(NameProblem::Hidden);
    }
    if let Some(char) = name.chars().find(|char| char.is_control() || "<>:\"|?*".contains(*char)) {
        return Err(NameProblem::Forbidden(char));
    }
    if let Some(char) = name.chars().find(|char| is_invisible(*char)) {
        return Err(NameProblem::Invisible(char));
    }
    if first == '-' || first.is_whitespace() {
        return Err(NameProblem::Edge(first));
    }
    if let Some(last) = name.chars().last().filter(|last| *last == '.' || last.is_whitespace()) {
        return Err(NameProblem::Edge(last));
    }
    if is_device(name) { Err(NameProblem::Device) } else { Ok(()) }
}

/// Characters of no width, line separators, and those that turn the direction of the text.
const fn is_invisible(char: char) -> bool {
    matches!(
        char,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

/// Windows opens a device whatever stands behind the first dot of its name.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_uppercase();
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") {
        return true;
    }
    let number = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    let mut chars = number.unwrap_or_default().chars();
    matches!((chars.next(), chars.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
}

/// The name, without a number and without `.json`, that a session gets by itself: `metrics_<session>_<timestamp>`,
/// as the original system has it, with the time in UTC.
pub(crate) fn automatic_stem(session_id: &str, now: DateTime<Utc>) -> String {
    let time = now.format("%Y%m%d_%H%M%S").to_string();
    format!("metrics_{}_{}", safe(session_id), safe(&time))
}

/// A text as a part of a file name: `[A-Za-z0-9._-]`, never empty, never with a dot at its beginning.
fn safe(text: &str) -> String {
    let plain = |char: char| match char {
        'A'..='Z' | 'a'..='z' | '0'..='9' | '.' | '_' | '-' => char,
        _ => '_',
    };
    let folded: String = text.chars().map(plain).take(MOST_ID_BYTES).collect();
    match folded.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None if folded.is_empty() => "session".into(),
        None => folded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_gets_its_ending_once() {
        assert_eq!(file_name("evening").unwrap(), "evening.json");
        assert_eq!(file_name("evening.json").unwrap(), "evening.json");
        assert_eq!(file_name("ein Abend, größer..als").unwrap(), "ein Abend, größer..als.json");
    }

    #[test]
    fn a_name_of_255_bytes_is_the_longest() {
        assert_eq!(file_name(&"x".repeat(250)).unwrap().len(), 255);
        assert!(file_name(&"x".repeat(251)).unwrap_err().is_invalid_name());
        assert!(file_name(&"ü".repeat(126)).unwrap_err().is_invalid_name());
    }

    #[test]
    fn an_id_is_folded_to_a_plain_name() {
        let now = DateTime::UNIX_EPOCH;
        for (id, stem) in [
            ("demo", "metrics_demo_19700101_000000"),
            ("", "metrics_session_19700101_000000"),
            ("../../etc/passwd", "metrics__._.._etc_passwd_19700101_000000"),
            ("a/b", "metrics_a_b_19700101_000000"),
            ("größe", "metrics_gr__e_19700101_000000"),
        ] {
            assert_eq!(automatic_stem(id, now), stem);
        }
        assert_eq!(automatic_stem(&"ü".repeat(500), now).len(), "metrics__".len() + 64 + 15);
    }
}
