//! `taximeter import`: records of files into the store, each once, with what did not fit and why.

mod logs;
mod resume;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use taximeter::history::{History, VERSION};
use taximeter::import::{Format, ImportOptions, Importer, Rejected};
use taximeter::report::{count, counted, duration};
use taximeter::store::MemoryStore;

use self::resume::Progress;
use crate::Ended;
use crate::context::Context;
use crate::draw::{Screen, Tone};

#[derive(Args)]
#[command(
    after_help = "Formats are told apart by what is in the file: session documents, JSON lines, logs of Claude Code and the Codex \
    CLI and so on. A record that is in the store already changes nothing, so an import may be repeated. What has no cost yet \
    is priced by the prices of its day. What does not fit is shown and counted; the rest is imported (exit code 4).\n\n\
    Without a path the logs of Claude Code and the Codex CLI are looked for: in ~/.claude and ~/.config/claude, or where \
    CLAUDE_CONFIG_DIR says, and in ~/.codex, or where CODEX_HOME says. An import that was broken off goes on where it was, that \
    of a folder with the file in which it was, as long as the files are the same.\n\n\
    Examples:\n  \
    taximeter import\n  \
    taximeter import ~/.claude/projects --store data/metrics\n  \
    taximeter import metrics_demo.json operations.jsonl\n  \
    taximeter import operations.csv --beside llm_calls.csv --beside tool_calls.csv\n  \
    taximeter import - --format jsonl < operations.jsonl"
)]
pub(crate) struct Arguments {
    /// Files, folders, or - for standard input [default: the logs of Claude Code and Codex]
    #[arg(value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// Read everything as this format, such as session, jsonl, claude-code, codex [default: as it looks]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Read this table of `tool_calls`, `llm_calls` or components beside a CSV of the operations of the same export
    #[arg(long, value_name = "CSV", requires = "paths")]
    beside: Vec<PathBuf>,
    /// Import turns of logs too that may still go on
    #[arg(long)]
    unfinished: bool,
    /// Begin at the beginning, also where an import was broken off
    #[arg(long)]
    restart: bool,
    /// Read and count, and store nothing
    #[arg(long)]
    dry_run: bool,
}

/// What an import did.
#[derive(Debug, Default, Serialize)]
struct Imported {
    taximeter_version: u32,
    document: &'static str,
    store: Option<PathBuf>,
    dry_run: bool,
    /// The files and folders that were read.
    paths: Vec<PathBuf>,
    /// Where imports went on that were broken off: the file or folder, and the bytes of it that were read before.
    resumed: Vec<(PathBuf, u64)>,
    bytes_read: u64,
    /// Records that were read.
    records: u64,
    /// Those of them that are new in the store.
    stored: u64,
    /// Those that were there already.
    known: u64,
    /// Lines that told again of what had been counted.
    duplicates: u64,
    /// Turns of logs that may still go on, and are left for the next import.
    held_back: u64,
    /// Lines and elements that did not fit.
    rejected: u64,
    /// The first of them, with their place and why.
    first_rejected: Vec<String>,
    /// Lines of which nothing is taken, by their kind.
    ignored: BTreeMap<String, u64>,
    seconds: f64,
}

/// So many records go into the store at once.
const BATCH: usize = 1_000;
/// So many rejected lines are shown.
const SHOWN: usize = 10;

pub(crate) fn run(
    arguments: &Arguments,
    context: &Context,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let began = Instant::now();
    let mut document = Imported {
        taximeter_version: VERSION,
        document: "import",
        dry_run: arguments.dry_run,
        paths: paths(arguments)?,
        ..Imported::default()
    };
    let history = if arguments.dry_run {
        None
    } else {
        let (history, path) = context.writable(true)?;
        document.store = Some(path);
        Some(history)
    };
    for path in &document.paths.clone() {
        if path.as_os_str() == "-" {
            // A stream is put down first, so that its format can be told by its beginning.
            let mut file = tempfile::NamedTempFile::new()?;
            std::io::copy(input, &mut file)?;
            one(arguments, context, file.path(), history.as_ref(), &mut document)?;
        } else {
            one(arguments, context, path, history.as_ref(), &mut document)?;
        }
    }
    if let Some(history) = &history {
        history.store().flush()?;
        // What is old is sealed and rolled up now, and not when somebody waits for an answer.
        while history.store().maintain(context.now)?.more {}
    }
    document.seconds = began.elapsed().as_secs_f64();
    context.print(output, &document, draw)?;
    Ok(if document.rejected > 0 { Ended::SomeRowsUnread } else { Ended::Done })
}

/// What is to be read: what is named, or the logs that are found.
fn paths(arguments: &Arguments) -> Result<Vec<PathBuf>, String> {
    if !arguments.paths.is_empty() {
        return Ok(arguments.paths.clone());
    }
    let found = logs::folders(|name| std::env::var_os(name));
    if found.is_empty() {
        return Err("importing logs: neither Claude Code (~/.claude/projects) nor the Codex CLI (~/.codex/sessions) has any \
                    here; name a file or folder"
            .into());
    }
    Ok(found)
}

/// One file or folder.
fn one(
    arguments: &Arguments,
    context: &Context,
    path: &Path,
    history: Option<&History>,
    document: &mut Imported,
) -> Result<(), Box<dyn Error>> {
    let mut options = ImportOptions::new().hold_back(!arguments.unfinished).now(context.now);
    options = options.beside(arguments.beside.iter().cloned());
    if let Some(format) = arguments.format {
        options = options.format(format);
    }
    // Where tables are read side by side, all of them begin at their beginning.
    let notes = history.filter(|_| arguments.beside.is_empty());
    let broken_off = match notes.filter(|_| !arguments.restart) {
        Some(history) => resume::find(&**history.store(), path, arguments.format)?,
        None => None,
    };
    let mut importer = match &broken_off {
        Some(progress) => options.resume(path, progress.checkpoint())?,
        None => options.open(path)?,
    };
    let read_before = importer.position().bytes_read;
    if read_before > 0 {
        document.resumed.push((path.to_owned(), read_before));
    }
    let bar = bar(context, &importer);
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(item) = importer.next() {
        match item? {
            Ok(record) => batch.push(record),
            Err(rejected) => document.reject(&rejected),
        }
        if batch.len() >= BATCH {
            document.store(history, &mut batch)?;
            let progress = Progress::of(arguments.format, &importer);
            if let Some((history, progress)) = notes.zip(progress) {
                resume::keep(&**history.store(), path, &progress, context.now)?;
            }
            bar.set_position(importer.position().bytes_read);
            bar.set_message(format!("{} records", count(document.records)));
        }
    }
    document.store(history, &mut batch)?;
    if let Some(history) = history {
        resume::forget(&**history.store(), path)?;
    }
    bar.finish_and_clear();
    let counts = importer.counts();
    document.duplicates += counts.duplicates;
    document.held_back += counts.held_back;
    document.bytes_read += importer.position().bytes_read;
    for (kind, lines) in &counts.ignored {
        *document.ignored.entry(kind.clone()).or_default() += lines;
    }
    Ok(())
}

/// The records of a file in a store in memory, priced by the prices of the history.
pub(crate) fn in_memory(path: &Path, history: &History) -> Result<History, Box<dyn Error>> {
    let store = Arc::new(MemoryStore::new());
    let read = History::new(store).prices(history.prices_in_force());
    let mut records = Vec::new();
    for item in &mut Importer::open(path)? {
        // What does not fit would be missing in silence.
        records.push(item?.map_err(|rejected| rejected.to_string())?);
    }
    read.append(records)?;
    Ok(read)
}

impl Imported {
    fn store(
        &mut self,
        history: Option<&History>,
        batch: &mut Vec<taximeter::OperationRecord>,
    ) -> Result<(), Box<dyn Error>> {
        self.records += batch.len() as u64;
        let batch = std::mem::take(batch);
        if let Some(history) = history {
            let appended = history.append(batch)?;
            self.stored += appended.stored;
            self.known += appended.known;
        }
        Ok(())
    }

    fn reject(&mut self, rejected: &Rejected) {
        self.rejected += 1;
        if self.first_rejected.len() < SHOWN {
            self.first_rejected.push(rejected.to_string());
        }
    }
}

/// A bar on a terminal, and nothing elsewhere.
fn bar(context: &Context, importer: &Importer) -> ProgressBar {
    let Some(bytes) = importer.position().bytes.filter(|_| context.progress && !context.json)
    else {
        return ProgressBar::hidden();
    };
    let bar = ProgressBar::new(bytes);
    let template = "{bar:30} {percent:>3} % {bytes}/{total_bytes} {bytes_per_sec} {msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

fn draw(screen: &mut Screen, document: &Imported) {
    let took = duration(Duration::try_from_secs_f64(document.seconds).unwrap_or_default());
    for (path, bytes) in &document.resumed {
        screen.say(&format!(
            "{}: went on behind {} bytes, where an import was broken off (--restart begins again)",
            path.display(),
            count(*bytes)
        ));
    }
    screen.say(&format!("read {} in {took}", counted(document.records, "record")));
    match &document.store {
        Some(store) => screen.say_so(
            &format!(
                "stored {} in {}; {} there already",
                count(document.stored),
                store.display(),
                count(document.known)
            ),
            Tone::Good,
        ),
        None => screen.say("stored none: a dry run"),
    }
    if document.records > 0 && document.store.is_some() {
        screen.say("taximeter report --since 30d --by day shows what each day and LLM came to");
    }
    for (number, what) in [
        (document.duplicates, "told again of what had been counted"),
        (document.held_back, "held back: turns that may still go on (--unfinished imports them)"),
        (document.ignored.values().sum(), "lines of which nothing is taken"),
    ] {
        if number > 0 {
            screen.say(&format!("{} {what}", count(number)));
        }
    }
    if document.rejected > 0 {
        screen.say_so(&format!("rejected {}:", count(document.rejected)), Tone::Bad);
        for line in &document.first_rejected {
            screen.say(&format!("  {line}"));
        }
        let more = document.rejected.saturating_sub(document.first_rejected.len() as u64);
        if more > 0 {
            screen.say(&format!("  and {} more", count(more)));
        }
    }
}
