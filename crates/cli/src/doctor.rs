//! `taximeter doctor`: what is set up and from where, and whether all is well.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use serde::Serialize;
use taximeter::history::{Health, History, Period, VERSION, Windows};
use taximeter::report::{count, counted};
use taximeter::store::SqliteStore;
use taximeter::{SessionFiles, Settings};

use crate::Ended;
use crate::context::{Context, live_book};
use crate::draw::{Column, Grid, Screen, Tone, minute};

#[derive(Args)]
#[command(after_help = "Exit codes: 0 all is well, 5 something is wrong.\n\n\
    Examples:\n  \
    taximeter doctor\n  \
    taximeter doctor --store data/metrics --json")]
pub(crate) struct Arguments {}

/// What is set up, and what is wrong.
#[derive(Debug, Serialize)]
struct Diagnosis {
    taximeter_version: u32,
    document: &'static str,
    /// The version of this program.
    version: &'static str,
    settings: Vec<Setting>,
    store: PathBuf,
    /// None where there is no store, or it cannot be read.
    health: Option<Health>,
    /// What the collector of the newest session file counted: what was offered, stored and lost. What the meters of the
    /// store lost, stands in `health`.
    losses: Option<SessionLosses>,
    /// Whether the store may be written; none where there is none.
    writable: Option<bool>,
    /// What is wrong, and what to do.
    problems: Vec<String>,
    /// What could be better.
    hints: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Setting {
    key: &'static str,
    value: String,
    from: String,
}

#[derive(Debug, Serialize)]
struct SessionLosses {
    file: PathBuf,
    offered: u64,
    stored: u64,
    lost: u64,
}

pub(crate) fn run(
    _arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    // Without settings nothing is found; what is wrong with them is the answer.
    let settings = Settings::load()?;
    let mut document = Diagnosis {
        taximeter_version: VERSION,
        document: "doctor",
        version: env!("CARGO_PKG_VERSION"),
        settings: settings
            .in_force()
            .into_iter()
            .map(|(key, value, from)| Setting { key, value, from: from.to_string() })
            .collect(),
        store: context.store_path(&settings),
        health: None,
        losses: None,
        writable: None,
        problems: Vec::new(),
        hints: Vec::new(),
    };
    document.look_at_prices(&settings);
    document.look_at_store(context, &settings);
    document.look_at_losses(&settings);
    context.print(output, &document, draw)?;
    Ok(if document.problems.is_empty() { Ended::Done } else { Ended::CheckFailed })
}

impl Diagnosis {
    fn look_at_prices(&mut self, settings: &Settings) {
        if let Err(why) = live_book(settings).build() {
            self.problems.push(format!("{why}; the embedded prices are used until it is right"));
        }
    }

    fn look_at_store(&mut self, context: &Context, settings: &Settings) {
        let opened = SqliteStore::at(&self.store).summarize(Arc::new(Windows)).open_to_read();
        let store = match opened {
            Ok(store) => store,
            Err(taximeter::StoreError::NotFound { path }) => {
                self.store = path;
                self.hints.push(
                    "there is no store yet: a program with a store makes one, and so does `taximeter import FILE`"
                        .into(),
                );
                return;
            }
            Err(why) => return self.problems.push(why.to_string()),
        };
        store.path().clone_into(&mut self.store);
        self.look_whether_writable();
        let prices = live_book(settings).build_anyway().in_force();
        let history = History::new(Arc::new(store)).prices(prices);
        match history.health(Period::ALL, context.now) {
            Err(why) => self.problems.push(why.to_string()),
            Ok(health) => {
                if health.operations == 0 {
                    self.hints.push("the store is empty: `taximeter import FILE` fills it".into());
                }
                if health.unpriced_calls > 0 {
                    self.hints.push(format!(
                        "{} have no price: name them in a file, and the file in pricing.overrides",
                        counted(health.unpriced_calls, "LLM call")
                    ));
                }
                if let Some(late) = &health.late_book {
                    self.hints.push(format!(
                        "the prices are {} days old: a newer taximeter, or a file in pricing.book, has newer ones",
                        late.days
                    ));
                }
                self.health = Some(health);
            }
        }
        self.look_at_meters(&history, context.now);
    }

    /// What is lost today is a problem; what was lost before may be mended by now, and is told by the way.
    fn look_at_meters(&mut self, history: &History, now: DateTime<Utc>) {
        let day = Period::new(Some(now - TimeDelta::hours(24)), None);
        let Ok(today) = history.losses(day) else { return };
        if let Some(what_to_do) = today.what_to_do().filter(|_| today.lost > 0) {
            self.problems.push(format!(
                "{} of {} were lost within 24 hours ({}): {what_to_do}",
                count(today.lost),
                counted(today.offered, "operation"),
                today.reasons()
            ));
        }
        let before = self.health.as_ref().map(|health| &health.losses);
        if let Some(before) = before.filter(|before| before.lost > today.lost) {
            self.hints.push(format!(
                "before that, {} were lost",
                counted(before.lost - today.lost, "operation")
            ));
        }
        if let Some((at, said)) = &today.last_error {
            self.hints.push(format!("at {} UTC the store refused a batch: {said}", minute(*at)));
        }
    }

    /// The store is written by way of its log, which stands beside it: so the folder must be writable too.
    fn look_whether_writable(&mut self) {
        let folder = self.store.parent().filter(|folder| !folder.as_os_str().is_empty());
        let in_folder = tempfile::tempfile_in(folder.unwrap_or(Path::new("."))).is_ok();
        let file = std::fs::metadata(&self.store).is_ok_and(|seen| !seen.permissions().readonly());
        self.writable = Some(in_folder && file);
        if !(in_folder && file) {
            self.hints.push(
                "this user may only read the store: questions are answered; meters and imports need to write there".into(),
            );
        }
    }

    /// The newest session file says what its collector lost.
    fn look_at_losses(&mut self, settings: &Settings) {
        let files = SessionFiles::new(&settings.data_dir);
        let Ok(list) = files.list() else { return };
        let Some(newest) = list.files.iter().max_by_key(|file| file.modified) else { return };
        let Ok(session) = files.load(&newest.name) else { return };
        let of = |name: &str| session.collected.get(name).copied().unwrap_or_default();
        let dropped = session.collected.iter().filter(|(name, _)| name.starts_with("dropped_"));
        let lost = dropped.map(|(_, number)| *number).sum();
        if lost > 0 {
            self.problems.push(format!(
                "{} were lost in the session {}: raise queued_records and queued_bytes",
                counted(lost, "operation"),
                session.id
            ));
        }
        if !session.collected.is_empty() {
            let (file, offered, stored) = (newest.path.clone(), of("offered"), of("stored"));
            self.losses = Some(SessionLosses { file, offered, stored, lost });
        }
    }
}

fn draw(screen: &mut Screen, document: &Diagnosis) {
    screen.heading(&format!("taximeter {}", document.version));
    let mut grid = Grid::new([
        Column::name("setting"),
        Column::beginning("value", 16),
        Column::text("from", 1),
    ]);
    for setting in &document.settings {
        grid.row([setting.key.to_owned(), setting.value.clone(), setting.from.clone()]);
    }
    screen.grid(&grid);
    screen.heading("Store");
    screen.say(&document.store.display().to_string());
    if let Some(health) = &document.health {
        let ends = health.first_at.zip(health.last_at);
        let ends = ends.map_or_else(String::new, |(first, last)| {
            format!(", {} to {} UTC", minute(first), minute(last))
        });
        screen.say(&format!(
            "{}{ends}, {} bytes; {} came twice and count once",
            counted(health.operations, "operation"),
            count(health.bytes),
            count(health.known_again)
        ));
        let as_of = health.prices_as_of.map_or_else(|| "an unknown day".into(), |d| d.to_string());
        screen.say(&format!(
            "prices as of {as_of}; {} unpriced, {} without usage, {} estimated",
            counted(health.unpriced_calls, "LLM call"),
            count(health.calls_without_usage),
            count(health.estimated_calls)
        ));
    }
    if let Some(health) = &document.health {
        crate::report::losses(screen, &health.losses);
    }
    if let Some(losses) = &document.losses {
        screen.say(&format!(
            "the newest session file, {}: {} offered, {} stored, {} lost",
            losses.file.display(),
            count(losses.offered),
            count(losses.stored),
            count(losses.lost)
        ));
    }
    screen.heading("Diagnosis");
    for problem in &document.problems {
        screen.say_so(&format!("wrong: {problem}"), Tone::Bad);
    }
    for hint in &document.hints {
        screen.say(&format!("hint: {hint}"));
    }
    if document.problems.is_empty() {
        screen.say_so("All is well.", Tone::Good);
    }
}
