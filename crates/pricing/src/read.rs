//! Price books from files, in JSON or TOML.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::{PriceBook, ReadBookError};

#[cfg(feature = "toml")]
mod toml_form;

impl PriceBook {
    /// The largest file that is read, in bytes: 64 MiB. The embedded book has about one.
    pub const LARGEST_FILE: u64 = 64 << 20;

    /// Reads a book from a file: in TOML where its name ends in `.toml`, else in JSON. Nothing else is read, and the
    /// network never.
    ///
    /// # Errors
    /// Where the file cannot be read, is larger than [`LARGEST_FILE`](Self::LARGEST_FILE) or is no price book. The
    /// error names the file, the place in it and what to do.
    ///
    /// ```
    /// use taximeter_pricing::PriceBook;
    ///
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("mine.json");
    /// std::fs::write(&path, r#"{"models": [{"provider": "me", "id": "m", "cards": [{"rates": {"input": 0.2}}]}]}"#)?;
    /// assert!(PriceBook::from_file(&path)?.find(Some("me"), "m").is_some());
    ///
    /// std::fs::write(&path, r#"{"models": ["#)?;
    /// let error = PriceBook::from_file(&path).unwrap_err().to_string();
    /// assert!(error.contains("mine.json") && error.contains("line 1"), "{error}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ReadBookError> {
        let path = path.as_ref();
        let in_toml = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("toml"));
        if in_toml && !cfg!(feature = "toml") {
            return Err(ReadBookError::NoToml { path: path.into() });
        }
        let text = read(path)
            .map_err(|source| ReadBookError::Io { path: path.into(), source })?
            .ok_or_else(|| ReadBookError::TooLarge { path: path.into() })?;
        // Some editors put a mark at the beginning, which neither format knows.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        #[cfg(feature = "toml")]
        let book = if in_toml { Self::from_toml(text) } else { Self::from_json(text) };
        #[cfg(not(feature = "toml"))]
        let book = Self::from_json(text);
        book.map_err(|source| ReadBookError::Book { path: path.into(), source })
    }
}

/// The text of a file; none where it is too large. Its length is not asked for, because a pipe has none and a file may
/// grow.
fn read(path: &Path) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(PriceBook::LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > PriceBook::LARGEST_FILE {
        return Ok(None);
    }
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, bytes: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = PriceBook::from_file(&path).unwrap_err();
        assert_eq!(error.path(), path);
        assert!(error.to_string().contains(name), "{error}");
        error.to_string()
    }

    #[test]
    fn what_is_no_book_is_refused_with_the_name_of_the_file() {
        assert!(refused("a.json", b"{").contains("line 1"));
        assert!(refused("b.json", b"{\"models\": [\xff]}").contains("UTF-8"));
        assert!(refused("c.json", b"{\"schema\": 2}").contains("update taximeter"));
        let toml = refused("d.TOML", b"models = 3");
        assert!(toml.contains(if cfg!(feature = "toml") { "line 1" } else { "feature `toml`" }));
        let missing = PriceBook::from_file("/nowhere/book.json").unwrap_err();
        assert!(matches!(missing, ReadBookError::Io { .. }), "{missing}");
        let folder = tempfile::tempdir().unwrap();
        assert!(PriceBook::from_file(folder.path()).is_err());
    }

    #[test]
    fn a_file_that_is_too_large_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.json");
        // A file with a hole in it: it takes no room on the disk.
        File::create(&path).unwrap().set_len(PriceBook::LARGEST_FILE + 1).unwrap();
        let error = PriceBook::from_file(&path).unwrap_err();
        assert!(matches!(error, ReadBookError::TooLarge { .. }), "{error}");
        assert!(error.to_string().contains("64 MiB"), "{error}");
    }

    #[test]
    fn a_mark_at_the_beginning_does_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("marked.json");
        std::fs::write(&path, "\u{feff}{}").unwrap();
        assert_eq!(PriceBook::from_file(&path).unwrap().models().count(), 0);
    }
}
