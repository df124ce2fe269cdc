//! `cargo xtask prices import`: tables in, a book out.

use std::error::Error;
use std::path::PathBuf;
use std::str::FromStr;

use chrono::NaiveDate;
use clap::Args;
use taximeter::PriceBook;
use taximeter::pricing::form::{BookForm, ModelForm};
use taximeter_sources::merge::{self, Merged};
use taximeter_sources::{Import, ImportError, Origin, genai, litellm, model_prices};

const LITELLM: &str = "https://github.com/BerriAI/litellm";
const GENAI: &str = "https://github.com/pydantic/genai-prices";
const MODEL_PRICES: &str = "https://github.com/sst/models.dev";
const TOKENCOST: &str = "https://github.com/AgentOps-AI/tokencost";

/// The tables that a book is made of, each as FILE or FILE,VERSION,DATE.
#[derive(Args)]
pub(crate) struct Tables {
    /// LiteLLM's JSON
    #[arg(long, value_name = "FILE")]
    litellm: Option<Table>,
    /// Older JSON of LiteLLM or tokencost, with the day of its publication; for prices of the past
    #[arg(long, value_name = "FILE,VERSION,DATE")]
    older: Vec<Table>,
    /// The JSON of tokencost, with the day of its publication
    #[arg(long, value_name = "FILE,VERSION,DATE")]
    tokencost: Option<Table>,
    /// The JSON of genai-prices
    #[arg(long, value_name = "FILE")]
    genai: Option<Table>,
    /// The snapshot of model-prices
    #[arg(long, value_name = "FILE")]
    model_prices: Option<Table>,
    /// The day of which the prices are; today
    #[arg(long, value_name = "DATE")]
    as_of: Option<NaiveDate>,
}

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    tables: Tables,
    /// Where to write the book
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Where to write what was decided where tables differ, and what was left out
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
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

impl Tables {
    /// The book that the tables make. That of a single table is the table's own, digit by digit.
    pub(crate) fn merged(&self) -> Result<Merged, Box<dyn Error>> {
        let today = chrono::Utc::now().date_naive();
        let read = |table: &Option<Table>, id, url, reader| {
            table.as_ref().map(|table| table.read(id, url, reader)).transpose()
        };
        let litellm = read(&self.litellm, "LiteLLM", LITELLM, litellm::read)?;
        let genai = read(&self.genai, "genai-prices", GENAI, genai::read)?;
        let model_prices =
            read(&self.model_prices, "model-prices", MODEL_PRICES, model_prices::read)?;
        let tokencost = read(&self.tokencost, "tokencost", TOKENCOST, litellm::read)?;
        let mut older = Vec::new();
        for table in &self.older {
            let day = table
                .date
                .ok_or("an older table needs the day of its publication: FILE,VERSION,DATE")?;
            older.push((day, table.read("LiteLLM", LITELLM, litellm::read)?));
        }
        let tables = usize::from(litellm.is_some())
            + usize::from(genai.is_some())
            + usize::from(model_prices.is_some());
        let others = older.len() + usize::from(tokencost.is_some());
        if tables + others == 1 {
            let older = older.into_iter().map(|(_, import)| import);
            let all = [litellm, genai, model_prices, tokencost].into_iter().flatten().chain(older);
            let only = all.into_iter().next().ok_or("no table was read")?;
            return Ok(Merged { book: only.book, conflicts: Vec::new(), notes: only.notes });
        }
        if tables + others == 0 {
            return Err("give at least one table, such as --litellm FILE".into());
        }
        if let Some(import) = tokencost {
            let day = self.tokencost.as_ref().and_then(|table| table.date);
            older.push((
                day.ok_or("tokencost's table needs the day of its publication: FILE,VERSION,DATE")?,
                import,
            ));
        }
        let day = self.model_prices.as_ref().and_then(|table| table.date);
        let tables = merge::Tables {
            litellm,
            older,
            genai,
            model_prices: model_prices.map(|import| (day.unwrap_or(today), import)),
        };
        Ok(merge::merge(tables, self.as_of.unwrap_or(today))?)
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let Merged { book, conflicts, notes } = arguments.tables.merged()?;
    let text = written(&book)?;
    let read = PriceBook::from_json(&text)?;
    std::fs::write(&arguments.out, text)?;
    let names: usize = read.models().map(|model| model.names().count()).sum();
    let cards: usize = read.models().map(|model| model.cards.len()).sum();
    println!(
        "{}: {} providers, {} LLMs, {names} names, {cards} cards; {} conflicts, {} notes",
        arguments.out.display(),
        read.providers().count(),
        read.models().count(),
        conflicts.len(),
        notes.len()
    );
    if let Some(path) = &arguments.report {
        let mut lines = Vec::new();
        for conflict in &conflicts {
            lines.push(serde_json::to_string(conflict)?);
        }
        for note in &notes {
            lines.push(serde_json::to_string(note)?);
        }
        std::fs::write(path, lines.join("\n") + "\n")?;
    }
    Ok(())
}

/// The book as JSON that can be reviewed: a line for each LLM, and one for each of its cards.
pub(crate) fn written(book: &BookForm) -> Result<String, Box<dyn Error>> {
    let lines = |items: Vec<String>| items.join(",\n");
    let mut models = Vec::with_capacity(book.models.len());
    for model in &book.models {
        let mut cards = Vec::with_capacity(model.cards.len());
        for card in &model.cards {
            cards.push(format!("  {}", serde_json::to_string(card)?));
        }
        let bare = serde_json::to_string(&ModelForm { cards: Vec::new(), ..model.clone() })?;
        let bare = bare.strip_suffix("[]}").ok_or("an LLM is not written as expected")?;
        models.push(if cards.is_empty() {
            format!("{bare}[]}}")
        } else {
            format!("{bare}[\n{}]}}", lines(cards))
        });
    }
    let each =
        |values: Vec<Result<String, serde_json::Error>>| -> Result<String, serde_json::Error> {
            Ok(lines(values.into_iter().collect::<Result<_, _>>()?))
        };
    let sources = each(book.sources.iter().map(serde_json::to_string).collect())?;
    let providers = each(book.providers.iter().map(serde_json::to_string).collect())?;
    let as_of = serde_json::to_string(&book.as_of)?;
    Ok(format!(
        "{{\"schema\": {}, \"as_of\": {as_of},\n\"sources\": [\n{sources}],\n\"providers\": [\n{providers}],\n\"models\": [\n{}]}}\n",
        book.schema,
        lines(models)
    ))
}
