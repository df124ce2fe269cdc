//! `cargo xtask prices import`: tables in, a book out.

use std::error::Error;
use std::path::PathBuf;
use std::str::FromStr;

use chrono::NaiveDate;
use clap::Args;
use taximeter_sources::{Import, ImportError, Origin};

#[derive(Args)]
pub(crate) struct Arguments {
    /// LiteLLM's JSON, as FILE or FILE,VERSION,DATE
    #[arg(long, value_name = "FILE")]
    litellm: Option<Table>,
    /// The JSON of genai-prices
    #[arg(long, value_name = "FILE")]
    genai: Option<Table>,
    /// The snapshot of model-prices
    #[arg(long, value_name = "FILE")]
    model_prices: Option<Table>,
    /// The JSON of tokencost
    #[arg(long, value_name = "FILE")]
    tokencost: Option<Table>,
    /// Where to write the book
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// A file, and what is known of the table in it.
#[derive(Clone)]
struct Table {
    path: PathBuf,
    version: Option<String>,
    date: Option<NaiveDate>,
}

impl FromStr for Table {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, ',');
        let path = PathBuf::from(parts.next().unwrap_or_default());
        let version = parts.next().filter(|version| !version.is_empty()).map(str::to_owned);
        let date = parts.next().map(str::parse).transpose();
        let date =
            date.map_err(|_| format!("{text:?}: a date such as 2026-11-23 expected at the end"))?;
        Ok(Self { path, version, date })
    }
}

type Reader = fn(&str, &Origin) -> Result<Import, ImportError>;

impl Table {
    fn read(&self, id: &str, url: &str, reader: Reader) -> Result<Import, Box<dyn Error>> {
        let text = std::fs::read_to_string(&self.path)
            .map_err(|why| format!("reading {}: {why}", self.path.display()))?;
        let origin = Origin {
            id: id.to_owned(),
            version: self.version.clone(),
            url: Some(url.to_owned()),
            checked_on: self.date,
        };
        Ok(reader(&text, &origin)?)
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut imports = Vec::new();
    if let Some(table) = &arguments.litellm {
        imports.push(table.read(
            "LiteLLM",
            "https://github.com/BerriAI/litellm",
            taximeter_sources::litellm::read,
        )?);
    }
    let import = imports.pop().ok_or("give at least one table, such as --litellm FILE")?;
    let text = serde_json::to_string(&import.book)?;
    taximeter::PriceBook::from_json(&text)?;
    std::fs::write(&arguments.out, text)?;
    println!(
        "{}: {} LLMs, {} notes",
        arguments.out.display(),
        import.book.models.len(),
        import.notes.len()
    );
    Ok(())
}
