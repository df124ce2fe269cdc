//! `cargo xtask prices import`: tables in, a book out.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use chrono::{NaiveDate, NaiveTime};
use clap::Args;
use taximeter::PriceBook;
use taximeter::pricing::form::{BookForm, ModelForm};
use taximeter_sources::merge::{self, Merged};
use taximeter_sources::{
    Import, ImportError, NoteKind, Origin, carry, diff, genai, litellm, model_prices, report,
};

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
    #[arg(long, value_name = "FILE", required_unless_present = "embed")]
    out: Option<PathBuf>,
    /// Where to write, as Markdown, what was decided where tables differ, and what was left out
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// A book whose names must not vanish: what the tables no longer know is carried over from it, retired
    #[arg(long, value_name = "FILE")]
    previous: Option<PathBuf>,
    /// Put the book, the compact table and the report in the place of the embedded ones, which are the previous ones
    #[arg(long, conflicts_with_all = ["out", "report", "previous"])]
    embed: bool,
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

/// The tables that were given, as they were read.
#[derive(Default)]
pub(crate) struct Read {
    litellm: Option<Import>,
    genai: Option<Import>,
    model_prices: Option<(NaiveDate, Import)>,
    /// Older tables, by the day of their publication.
    older: Vec<(NaiveDate, Import)>,
}

impl Tables {
    pub(crate) fn read(&self) -> Result<Read, Box<dyn Error>> {
        let today = chrono::Utc::now().date_naive();
        let read = |table: &Option<Table>, id, url, reader| {
            table.as_ref().map(|table| table.read(id, url, reader)).transpose()
        };
        let snapshot = read(&self.model_prices, "model-prices", MODEL_PRICES, model_prices::read)?;
        let day = self.model_prices.as_ref().and_then(|table| table.date).unwrap_or(today);
        // An older table of which the day is not known is taken for the oldest: no price begins with it.
        let oldest = NaiveDate::from_ymd_opt(2020, 1, 1).unwrap_or(today);
        let mut older = Vec::new();
        for (table, id, url) in self
            .older
            .iter()
            .map(|table| (table, "LiteLLM", LITELLM))
            .chain(self.tokencost.iter().map(|table| (table, "tokencost", TOKENCOST)))
        {
            older.push((table.date.unwrap_or(oldest), table.read(id, url, litellm::read)?));
        }
        Ok(Read {
            litellm: read(&self.litellm, "LiteLLM", LITELLM, litellm::read)?,
            genai: read(&self.genai, "genai-prices", GENAI, genai::read)?,
            model_prices: snapshot.map(|import| (day, import)),
            older,
        })
    }

    /// The book that the tables make. That of a single table is the table's own, digit by digit.
    pub(crate) fn merged(&self) -> Result<Merged, Box<dyn Error>> {
        let read = self.read()?;
        let mut all = read.imports();
        if let (Some((_, only)), None) = (all.next(), all.next()) {
            return Ok(Merged {
                book: only.book.clone(),
                notes: only.notes.clone(),
                ..Merged::default()
            });
        }
        drop(all);
        let Read { litellm, genai, model_prices, older } = read;
        if litellm.is_none() && genai.is_none() && model_prices.is_none() && older.is_empty() {
            return Err("give at least one table, such as --litellm FILE".into());
        }
        let as_of = self.as_of.unwrap_or_else(|| chrono::Utc::now().date_naive());
        Ok(merge::merge(merge::Tables { litellm, older, genai, model_prices }, as_of)?)
    }
}

impl Read {
    /// All tables with a name for each.
    pub(crate) fn imports(&self) -> impl Iterator<Item = (&'static str, &Import)> {
        let snapshot = self.model_prices.as_ref().map(|(_, import)| import);
        [
            ("LiteLLM", self.litellm.as_ref()),
            ("genai-prices", self.genai.as_ref()),
            ("model-prices", snapshot),
        ]
        .into_iter()
        .filter_map(|(name, import)| Some((name, import?)))
        .chain(self.older.iter().map(|(_, import)| ("an older table", import)))
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let data = crate::root().join("crates/pricing/data");
    let embedded = |name: &str| arguments.embed.then(|| data.join(name));
    let out = arguments
        .out
        .clone()
        .or_else(|| embedded("book.json"))
        .ok_or("say where to write: --out FILE")?;
    let previous = arguments.previous.clone().or_else(|| embedded("book.json"));
    let report = arguments.report.clone().or_else(|| embedded("CONFLICTS.md"));

    let mut merged = arguments.tables.merged()?;
    if let Some(path) = previous {
        carry_over(&path, &mut merged)?;
    }
    let text = written(&merged.book)?;
    let book = PriceBook::from_json(&text)?;
    let refused = merged.notes.iter().filter(|note| note.kind == NoteKind::Refused).count();
    // A book that makes no table must not replace one that does.
    book.to_table()?;
    std::fs::write(&out, text)?;
    let names: usize = book.models().map(|model| model.names().count()).sum();
    let cards: usize = book.models().map(|model| model.cards.len()).sum();
    println!(
        "{}: {} providers, {} LLMs, {names} names, {cards} cards; {} names with different prices, {refused} prices refused, {} notes",
        out.display(),
        book.providers().count(),
        book.models().count(),
        merged.conflicts.len(),
        merged.notes.len()
    );
    if let Some(path) = report {
        std::fs::write(path, report::markdown(&merged))?;
    }
    if arguments.embed { super::pack::run() } else { Ok(()) }
}

/// Keeps what only the previous book knows, and tells of it, of prices that changed beyond belief, and of cards that
/// are gone.
fn carry_over(path: &Path, merged: &mut Merged) -> Result<(), Box<dyn Error>> {
    let text = std::fs::read_to_string(path)
        .map_err(|why| format!("reading {}: {why}", path.display()))?;
    let previous: BookForm = serde_json::from_str(&text)?;
    let carried = carry::over(&previous, &mut merged.book);
    for name in &carried.names {
        println!("carried over: {name}, which no table knows any more");
    }
    for name in &carried.prices {
        println!("carried over: the prices of {name}, of which no table has one any more");
    }
    let (old, new) = (PriceBook::try_from(previous)?, PriceBook::try_from(merged.book.clone())?);
    let at = new.as_of().unwrap_or_else(|| chrono::Utc::now().date_naive());
    let mut changes = diff::difference(&old, &new, at.and_time(NaiveTime::MIN).and_utc());
    if !changes.vanished.is_empty() {
        let names = changes.vanished.join(", ");
        return Err(
            format!("names would vanish, and calls of them lose their price: {names}").into()
        );
    }
    changes.came.clear();
    changes.statuses.clear();
    changes.prices.retain(diff::PriceChange::is_doubtful);
    changes.cards.retain(|card| !card.came);
    if !(changes.prices.is_empty() && changes.cards.is_empty()) {
        println!("beside {}:\n{}", path.display(), diff::text(&changes));
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
