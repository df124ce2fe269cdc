//! `taximeter store`: looks after the store.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde::Serialize;
use taximeter::Settings;
use taximeter::history::VERSION;
use taximeter::report::count;
use taximeter::store::{Store as _, StoreStats};

use crate::Ended;
use crate::context::Context;
use crate::draw::{Column, Grid, NONE, Screen, Tone, minute};

#[derive(Args)]
#[command(
    subcommand_required = true,
    after_help = "Examples:\n  \
    taximeter store stats\n  \
    taximeter store check\n  \
    taximeter store repair --into data/repaired\n  \
    taximeter store vacuum --full\n  \
    taximeter store migrate --store data/metrics"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Says what is there, and what it takes
    Stats,
    /// Reads everything, and says what is damaged and whether the sums are right
    Check,
    /// Writes what can be read into a new store, and says what not; the old one stays as it is
    Repair {
        /// Where the new store goes
        #[arg(long, value_name = "PATH")]
        into: PathBuf,
    },
    /// Rolls up, seals and removes what is due now, and gives room back to the file system
    Vacuum {
        /// Give all free room back: nobody else can write meanwhile, and it takes as much room again
        #[arg(long)]
        full: bool,
    },
    /// Brings a store of an older version to this one
    Migrate,
}

/// What was done.
#[derive(Debug, Default, Serialize)]
struct Done {
    taximeter_version: u32,
    document: &'static str,
    store: PathBuf,
    rolled_up: u64,
    sealed: u64,
    removed_operations: u64,
    removed_sums: u64,
    freed_bytes: u64,
}

/// What is there.
#[derive(Debug, Serialize)]
struct Stats {
    taximeter_version: u32,
    document: &'static str,
    store: PathBuf,
    operations: u64,
    hot_operations: u64,
    sealed_operations: u64,
    first_at: Option<DateTime<Utc>>,
    last_at: Option<DateTime<Utc>>,
    rollups: u64,
    bytes: u64,
    sealed_bytes: u64,
    bytes_per_operation: Option<u64>,
    known_again: u64,
    /// What is kept, for how long, and since when it is whole.
    keep: Vec<Kept>,
    /// What takes how many bytes, the largest first.
    disk_use: Vec<(String, u64)>,
}

/// What is kept, and for how long.
#[derive(Debug, Serialize)]
struct Kept {
    /// `operations`, `bytes`, or the sums of `minutes`, `hours` or `days`.
    what: &'static str,
    /// The setting, such as `keep.minutes`, as it is in force.
    setting: String,
    /// Where the setting comes from.
    from: String,
    /// Since when all are there; none where none was removed, and for bytes.
    since: Option<DateTime<Utc>>,
}

fn kept(settings: &Settings, since: [Option<DateTime<Utc>>; 3]) -> Vec<Kept> {
    let [minutes, hours, days] = since;
    let sums = [("minutes", minutes), ("hours", hours), ("days", days)];
    let all = [("operations", None), ("bytes", None)].into_iter().chain(sums);
    let in_force = settings.in_force();
    let found = |what: &str| {
        let key = format!("keep.{what}");
        let set = in_force.iter().find(|(known, _, _)| *known == key);
        set.map_or_else(Default::default, |(_, value, from)| (value.clone(), from.to_string()))
    };
    all.map(|(what, since)| {
        let (setting, from) = found(what);
        Kept { what, setting, from, since }
    })
    .collect()
}

pub(crate) fn run(
    arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    match &arguments.command {
        Command::Stats => {}
        Command::Check => return check(context, output),
        Command::Repair { into } => return repair(into, context, output),
        Command::Vacuum { full } => return vacuum(*full, context, output),
        // A store of an older version is brought to this one when it is opened for writing.
        Command::Migrate => drop(context.writable(false)?),
    }
    let store = context.sqlite()?;
    let mut stats = Stats::of(store.path().to_owned(), &store.stats()?);
    stats.disk_use = store.disk_use()?;
    stats.keep = kept(&Settings::load()?, store.sums_since()?);
    context.print(output, &stats, draw)?;
    Ok(Ended::Done)
}

/// In small steps, so that others who use the store do not wait.
fn vacuum(full: bool, context: &Context, output: &mut impl Write) -> Result<Ended, Box<dyn Error>> {
    let opened = context.sqlite_to_write()?;
    let store = opened.path().to_owned();
    let mut done =
        Done { taximeter_version: VERSION, document: "vacuum", store, ..Done::default() };
    loop {
        let step = opened.maintain(context.now)?;
        done.rolled_up += step.rolled_up;
        done.sealed += step.sealed;
        done.removed_operations += step.removed_operations;
        done.removed_sums += step.removed_sums;
        done.freed_bytes += step.freed_bytes;
        if !step.more {
            break;
        }
    }
    if full {
        let before = opened.stats()?.bytes;
        opened.vacuum()?;
        done.freed_bytes += before.saturating_sub(opened.stats()?.bytes);
    }
    context.print(output, &done, |screen, done| {
        screen.say(&format!(
            "{}: {} sums rolled up, {} operations sealed and {} removed, {} sums removed, {} bytes given back",
            done.store.display(),
            count(done.rolled_up),
            count(done.sealed),
            count(done.removed_operations),
            count(done.removed_sums),
            count(done.freed_bytes)
        ));
    })?;
    Ok(Ended::Done)
}

/// What a check found.
#[derive(Debug, Serialize)]
struct Found {
    taximeter_version: u32,
    document: &'static str,
    store: PathBuf,
    sound: bool,
    operations: u64,
    damaged_operations: u64,
    sums: u64,
    wrong_sums: u64,
    problems: Vec<String>,
}

fn check(context: &Context, output: &mut impl Write) -> Result<Ended, Box<dyn Error>> {
    let store = context.sqlite()?;
    let checked = store.check()?;
    let found = Found {
        taximeter_version: VERSION,
        document: "check",
        store: store.path().to_owned(),
        sound: checked.is_sound(),
        operations: checked.operations,
        damaged_operations: checked.damaged_operations,
        sums: checked.sums,
        wrong_sums: checked.wrong_sums,
        problems: checked.problems,
    };
    context.print(output, &found, |screen, found| {
        let tone = if found.sound { Tone::Good } else { Tone::Bad };
        let verdict = if found.sound { "sound" } else { "DAMAGED" };
        screen.say_so(&format!("{}: {verdict}", found.store.display()), tone);
        screen.say(&format!(
            "{} operations can be read, {} cannot; {} sums compared, {} wrong",
            count(found.operations),
            count(found.damaged_operations),
            count(found.sums),
            count(found.wrong_sums)
        ));
        problems(screen, &found.problems);
        if !found.sound {
            screen
                .say("taximeter store repair --into NEW writes what can be read into a new store.");
        }
    })?;
    Ok(if found.sound { Ended::Done } else { Ended::CheckFailed })
}

fn problems(screen: &mut Screen, problems: &[String]) {
    for problem in problems {
        screen.say_so(&format!("wrong: {problem}"), Tone::Bad);
    }
}

/// What a repair saved.
#[derive(Debug, Serialize)]
struct Saved {
    taximeter_version: u32,
    document: &'static str,
    store: PathBuf,
    into: PathBuf,
    operations: u64,
    lost_operations: u64,
    sums_kept: bool,
    problems: Vec<String>,
}

fn repair(
    into: &Path,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let store = context.sqlite()?;
    let repaired = store.repair(into)?;
    let saved = Saved {
        taximeter_version: VERSION,
        document: "repair",
        store: store.path().to_owned(),
        into: into.to_owned(),
        operations: repaired.operations,
        lost_operations: repaired.lost_operations,
        sums_kept: repaired.sums_kept,
        problems: repaired.problems,
    };
    context.print(output, &saved, |screen, saved| {
        screen.say(&format!(
            "{} operations of {} are in {}; {} are lost",
            count(saved.operations),
            saved.store.display(),
            saved.into.display(),
            count(saved.lost_operations)
        ));
        if !saved.sums_kept {
            screen.say("The sums were made anew of these; what was known only from sums is lost.");
        }
        problems(screen, &saved.problems);
        screen.say("The old store is as it was; put the new one in its place when you are content with it.");
    })?;
    Ok(if saved.lost_operations > 0 { Ended::SomeRowsUnread } else { Ended::Done })
}

impl Stats {
    fn of(store: PathBuf, stats: &StoreStats) -> Self {
        let at = |nanos: Option<i64>| nanos.map(DateTime::from_timestamp_nanos);
        let operations = stats.hot_operations + stats.sealed_operations;
        Self {
            taximeter_version: VERSION,
            document: "store",
            store,
            operations,
            hot_operations: stats.hot_operations,
            sealed_operations: stats.sealed_operations,
            first_at: at(stats.first_ns),
            last_at: at(stats.last_ns),
            rollups: stats.rollups,
            bytes: stats.bytes,
            sealed_bytes: stats.sealed_bytes,
            bytes_per_operation: stats.bytes.checked_div(operations),
            known_again: stats.known,
            keep: Vec::new(),
            disk_use: Vec::new(),
        }
    }
}

fn draw(screen: &mut Screen, stats: &Stats) {
    screen.heading(&stats.store.display().to_string());
    let at = |at: Option<DateTime<Utc>>| at.map_or_else(|| NONE.into(), minute);
    let mut grid = Grid::new([Column::name(""), Column::number("", 0)]);
    grid.row(["operations".into(), count(stats.operations)]);
    grid.row(["  in rows".into(), count(stats.hot_operations)]);
    grid.row(["  in sealed columns".into(), count(stats.sealed_operations)]);
    grid.row(["the first began (UTC)".into(), at(stats.first_at)]);
    grid.row(["the last began (UTC)".into(), at(stats.last_at)]);
    grid.row(["sums of minutes, hours, days".into(), count(stats.rollups)]);
    grid.row(["bytes".into(), count(stats.bytes)]);
    grid.row(["  of sealed columns".into(), count(stats.sealed_bytes)]);
    let each = stats.bytes_per_operation.map_or_else(|| NONE.into(), count);
    grid.row(["  an operation".into(), each]);
    grid.row(["came again, and count once".into(), count(stats.known_again)]);
    screen.grid(&grid);
    screen.heading("What is kept");
    let mut grid = Grid::new([
        Column::name("what"),
        Column::text("for how long", 0),
        Column::text("whole since (UTC)", 1),
        Column::text("set by", 2),
    ]);
    for kept in &stats.keep {
        let name = match kept.what {
            "operations" | "bytes" => kept.what.to_owned(),
            level => format!("sums of {level}"),
        };
        let since = match (kept.since, kept.what) {
            (_, "bytes") => String::new(),
            (None, "operations") => stats.first_at.map_or_else(String::new, minute),
            (None, _) => "the beginning".into(),
            (Some(at), _) => minute(at),
        };
        grid.row([name, kept.setting.clone(), since, kept.from.clone()]);
    }
    screen.grid(&grid);
    screen.heading("What takes the room");
    let mut grid = Grid::new([Column::name("table or index"), Column::number("bytes", 0)]);
    for (name, bytes) in stats.disk_use.iter().filter(|(_, bytes)| *bytes > 0) {
        grid.row([name.clone(), count(*bytes)]);
    }
    screen.grid(&grid);
}
