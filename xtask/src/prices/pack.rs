//! `cargo xtask prices pack`: the reviewable book, as the compact table that is compiled in.

use std::error::Error;

use taximeter::PriceBook;

pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let data = crate::root().join("crates/pricing/data");
    let book = PriceBook::from_json(&std::fs::read_to_string(data.join("book.json"))?)?;
    let table = book.to_table()?;
    std::fs::write(data.join("book.bin"), &table)?;
    println!("book.bin: {} LLMs in {} bytes", book.models().count(), table.len());
    Ok(())
}
