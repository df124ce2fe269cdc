//! The written form of a price book in TOML.

use crate::exact_toml::{Refused, read};
use crate::form::BookForm;
use crate::{BookError, PriceBook};

impl PriceBook {
    /// Reads a book from TOML, which has the fields of the JSON form. Prices are read from their text, also where they
    /// are written as numbers, and dates may stand without quotes.
    ///
    /// # Errors
    /// As [`PriceBook::from_json`]; where it is no TOML of that form, the error says at which line.
    ///
    /// ```
    /// use taximeter_pricing::PriceBook;
    ///
    /// let mine = PriceBook::from_toml(
    ///     r#"
    ///     [[providers]]
    ///     id = "basement"
    ///     is_local = true
    ///
    ///     [[models]]
    ///     provider = "openai"
    ///     id = "gpt-4o"
    ///     cards = [{ from = 2026-10-01, rates = { input = 2.00, cache_read = 1.00, output = 8.00 } }]
    ///     "#,
    /// )?;
    /// assert_eq!(mine.models().count(), 1);
    ///
    /// let error = PriceBook::from_toml("[[models]]\nprovider = \"openai\"\nmodel = \"gpt-4o\"").unwrap_err();
    /// assert!(error.to_string().contains("line 3"), "{error}");
    /// # Ok::<(), taximeter_pricing::BookError>(())
    /// ```
    pub fn from_toml(text: &str) -> Result<Self, BookError> {
        let form: BookForm = read(text).map_err(|refused| told(text, refused))?;
        form.try_into()
    }
}

fn told(text: &str, Refused { at, why }: Refused) -> BookError {
    let (line, column) = position(text, at);
    BookError::Toml { line, column, why }
}

/// The line and the character at which a byte of a text is, both from 1.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..at.min(text.len())];
    let line =
        String::from_utf8_lossy(before.rsplit(|byte| *byte == b'\n').next().unwrap_or(before));
    (before.split(|byte| *byte == b'\n').count(), line.chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use taximeter_models::Unit;

    use super::*;

    fn card(rates: &str) -> String {
        format!("[[models]]\nprovider = 'me'\nid = 'm'\n[[models.cards]]\n{rates}")
    }

    #[test]
    fn prices_are_read_from_their_text() {
        for (written, read) in [
            ("'2.5'", "2.5"),
            ("2.5", "2.5"),
            ("+2.50", "2.5"),
            ("3", "3"),
            ("2_000.5e-3", "2.0005"),
            // More digits than a float holds.
            ("0.123456789012345678901", "0.123456789012345678901"),
        ] {
            let book = PriceBook::from_toml(&card(&format!("rates = {{ input = {written} }}")));
            let book = book.unwrap_or_else(|error| panic!("{written}: {error}"));
            let amount = book.models().next().unwrap().cards[0].rate(Unit::Input).unwrap().amount;
            assert_eq!(amount.to_string(), read, "{written}");
        }
    }

    #[test]
    fn dates_are_read_with_quotes_and_without() {
        let from = |written: &str| {
            let text = card(&format!("from = {written}\nrates = {{ input = 1 }}"));
            PriceBook::from_toml(&text).unwrap().models().next().unwrap().cards[0].from.unwrap()
        };
        assert_eq!(from("2026-10-01"), from("'2026-10-01'"));
        assert_eq!(from("2026-10-01 16:00:00Z"), from("'2026-10-01T16:00:00Z'"));
    }

    #[test]
    fn an_error_names_the_line_or_the_llm() {
        for (text, parts) in [
            ("models = [", &["line 1"][..]),
            ("as_of = 2026-01-01\nmodles = []", &["line 2, column 1", "modles", "models"]),
            (&card("rates = { input = true }"), &["line 5", "decimal text or a number"]),
            (&card("rates = { input = 2.5, input = 3 }"), &["line 5", "duplicate"]),
            (&card("rates = { input = inf }"), &["me/m", "inf"]),
            (&card("rates = { input = -1.0 }"), &["me/m", "below zero"]),
            (&card("rates = { apples = 1 }"), &["me/m", "apples", "the units are"]),
            (&card("from = 2026-10-01T16:00:00\nrates = { input = 1 }"), &["me/m", "2026-01-31"]),
            ("schema = 2", &["update taximeter"]),
        ] {
            let error = PriceBook::from_toml(text).expect_err(text).to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }

    #[test]
    fn a_position_counts_characters_from_one() {
        assert_eq!(position("", 0), (1, 1));
        assert_eq!(position("a\näö=", 6), (2, 3));
        assert_eq!(position("a\n", 2), (2, 1));
    }
}
