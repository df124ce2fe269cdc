//! Which price book is asked: the embedded one, one from a file, and a user's own prices over either.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use clap::Args;
use taximeter::PriceBook;
use taximeter::pricing::BookError;
use thiserror::Error;

#[derive(Args)]
pub(crate) struct BookArguments {
    /// Ask the price book in this file and not the embedded one
    #[arg(long, value_name = "FILE")]
    book: Option<PathBuf>,
    /// Lay the prices in this file over the book, such as negotiated ones
    #[arg(long, value_name = "FILE")]
    overrides: Option<PathBuf>,
}

#[derive(Debug, Error)]
pub(crate) enum ReadBookError {
    #[error("reading the price book {path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("reading the price book {path}: {source}")]
    Book { path: PathBuf, source: BookError },
}

impl BookArguments {
    pub(crate) fn open(&self) -> Result<Cow<'static, PriceBook>, ReadBookError> {
        let book = match &self.book {
            Some(path) => Cow::Owned(read(path)?),
            None => Cow::Borrowed(PriceBook::embedded()),
        };
        match &self.overrides {
            Some(path) => Ok(Cow::Owned(book.with_overrides(read(path)?))),
            None => Ok(book),
        }
    }
}

fn read(path: &Path) -> Result<PriceBook, ReadBookError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ReadBookError::Io { path: path.into(), source })?;
    PriceBook::from_json(&text).map_err(|source| ReadBookError::Book { path: path.into(), source })
}
