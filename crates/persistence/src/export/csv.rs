//! Tables as CSV, quoted by RFC 4180, with texts that no spreadsheet takes for a formula.

use std::borrow::Cow;
use std::io::{self, Write};

use taximeter_models::OperationRecord;

use super::columns::{Cell, ExportTable};

/// Writes one table of operations as CSV.
pub(crate) struct CsvRows<W: Write> {
    writer: csv::Writer<W>,
    table: ExportTable,
}

impl<W: Write> CsvRows<W> {
    /// The names of the columns come first in a new file, and not in one that is gone on with.
    pub(crate) fn new(writer: W, table: ExportTable, is_new: bool) -> io::Result<Self> {
        let mut writer =
            csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(writer);
        if is_new {
            writer.write_record(table.columns())?;
        }
        Ok(Self { writer, table })
    }

    pub(crate) fn write(&mut self, operation: &OperationRecord) -> io::Result<()> {
        let writer = &mut self.writer;
        self.table.rows(operation, |cells| {
            for cell in cells {
                match cell {
                    Cell::Text(text) => writer.write_field(&*guarded(&text))?,
                    Cell::Plain(text) => writer.write_field(text)?,
                    Cell::None => writer.write_field("")?,
                }
            }
            writer.write_record(None::<&[u8]>)?;
            Ok(())
        })
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    pub(crate) fn finish(self) -> io::Result<W> {
        self.writer.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}

/// What a spreadsheet takes for the beginning of a formula.
const BEGINNINGS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Puts an apostrophe before a text that a spreadsheet would compute, and before one that has such apostrophes.
pub(crate) fn guarded(text: &str) -> Cow<'_, str> {
    if text.trim_start_matches('\'').starts_with(BEGINNINGS) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Takes that apostrophe away.
pub(crate) fn unguarded(text: &str) -> &str {
    match text.strip_prefix('\'') {
        Some(rest) if rest.trim_start_matches('\'').starts_with(BEGINNINGS) => rest,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn formulas_are_texts() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1"] {
            assert!(guarded(formula).starts_with('\''), "{formula:?}");
        }
        for text in ["gpt-4o", "", "'tis", "1+1", "größe"] {
            assert_eq!(guarded(text), text);
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in "[=+@'\\t\\r\\-]{0,4}\\PC{0,8}") {
            let guarded = guarded(&text);
            prop_assert!(!guarded.starts_with(BEGINNINGS));
            prop_assert_eq!(unguarded(&guarded), text.as_str());
        }
    }
}
