//! Any text as a price book: what is read is packed into a table and opened again, and prices alike from both.

use arbitrary::{Arbitrary, Unstructured};
use taximeter_pricing::PriceBook;

use crate::call::Call;

/// The call stands behind the book, so that a seed is a book that one can read.
const SEPARATOR: char = '\0';

pub(crate) fn holds(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (written, rest) = text.split_once(SEPARATOR).unwrap_or((text, ""));
    let Ok(book) = PriceBook::from_json(written) else { return };
    let Ok(call) = Call::arbitrary(&mut Unstructured::new(rest.as_bytes())) else { return };
    check(&book, &call);
    check(&PriceBook::embedded().with_overrides(book.clone()), &call);

    // A table refuses what its numbers have no room for; a book of that kind is never compiled in.
    let Ok(table) = book.to_table() else { return };
    // A table is compiled in, so it lives as long as the program.
    let opened = PriceBook::from_table(table.leak()).expect("a table that was just packed is read");
    assert!(book.models().all(|model| opened.models().any(|other| other == model)), "{written}");
    assert_eq!(book.models().count(), opened.models().count());
    check(&opened, &call);
}

/// Prices the call as each LLM of the book, at its provider and without one.
fn check(book: &PriceBook, call: &Call<'_>) {
    for model in book.models().take(8) {
        for name in model.names().take(4) {
            call.check(book, Some(&model.provider), name);
            call.check(book, None, name);
            assert!(book.find_exact(&model.provider, name).is_some(), "{name} is lost");
        }
    }
    call.check(book, Some("p"), "nothing of this name");
}
