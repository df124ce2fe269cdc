//! Which price book is asked: the embedded one, one from a file, and a user's own prices over either.

use std::borrow::Cow;
use std::path::PathBuf;

use clap::Args;
use taximeter::PriceBook;
use taximeter::pricing::ReadBookError;

#[derive(Args)]
pub(crate) struct BookArguments {
    /// Ask the price book in this file (TOML or JSON) and not the embedded one
    #[arg(long, value_name = "FILE")]
    book: Option<PathBuf>,
    /// Lay the prices in this file (TOML or JSON) over the book, such as negotiated ones
    #[arg(long, value_name = "FILE")]
    overrides: Option<PathBuf>,
}

impl BookArguments {
    pub(crate) fn open(&self) -> Result<Cow<'static, PriceBook>, ReadBookError> {
        let book = match &self.book {
            Some(path) => Cow::Owned(PriceBook::from_file(path)?),
            None => Cow::Borrowed(PriceBook::embedded()),
        };
        match &self.overrides {
            Some(path) => Ok(Cow::Owned(book.with_overrides(PriceBook::from_file(path)?))),
            None => Ok(book),
        }
    }
}
