//! `taximeter alerts`: what the rules say, what they see, what they would have done, and whether a receiver can be reached.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, Subcommand};
use serde::Serialize;
use taximeter::history::{History, Period};
use taximeter::report::count;
use taximeter::store::MemoryStore;
use taximeter_alerts::{Alerts, Backtest, Overview, Place, Rules, backtest, muted_until};

use crate::Ended;
use crate::context::Context;
use crate::draw::{Column, Grid, Screen, Tone, minute};

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    taximeter alerts check\n  \
    taximeter alerts status --json\n  \
    taximeter alerts backtest 'tools fail' --since 30d\n  \
    taximeter alerts mute 'tools fail' --for 2h\n  \
    taximeter alerts unmute 'tools fail'\n  \
    taximeter alerts test ops\n\n\
    `taximeter serve` looks at the rules and tells the receivers; these commands tell nobody, but for `test`.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    file: RulesFile,
    #[command(subcommand)]
    command: Command,
}

/// Where the rules are.
#[derive(Args)]
pub(crate) struct RulesFile {
    /// The file of rules, budgets and receivers [default: `TAXIMETER_ALERTS`, or taximeter.alerts.toml]
    #[arg(long, global = true, value_name = "PATH")]
    alerts: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Reads the file and lists what is in it, or says on which line it is wrong
    Check,
    /// Shows what each rule sees now, what fires and what was told
    Status,
    /// Says when a rule would have fired over the past, and for how long
    Backtest(BacktestArguments),
    /// Has nobody told of a rule for a time; a server that runs takes it over within a second
    Mute(MuteArguments),
    /// Ends that
    Unmute(UnmuteArguments),
    /// Tells a receiver that this is a test
    Test(TestArguments),
}

#[derive(Args)]
struct BacktestArguments {
    /// The rule, by its name
    rule: String,
    /// From this time on
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = crate::select::moment)]
    since: String,
    /// Until this time [default: now]
    #[arg(long, value_name = "TIME", value_parser = crate::select::moment)]
    until: Option<String>,
}

#[derive(Args)]
struct MuteArguments {
    /// The rule, by its name
    rule: String,
    /// For how long (2h, 3d), or until which day or moment, a year at most
    #[arg(long = "for", value_name = "TIME")]
    time: String,
}

#[derive(Args)]
struct UnmuteArguments {
    /// The rule, by its name
    rule: String,
}

#[derive(Args)]
struct TestArguments {
    /// The receiver, by its name
    receiver: String,
}

impl RulesFile {
    /// The rules; an error where there is no file.
    pub(crate) fn load(&self) -> Result<Rules, Box<dyn Error>> {
        let rules = self.load_if_any()?;
        rules.ok_or_else(|| {
            "there are no rules: write taximeter.alerts.toml, or name a file by --alerts or TAXIMETER_ALERTS".into()
        })
    }

    /// The rules; none yet where no file was named and none is here: the first one makes it here.
    pub(crate) fn load_or_begin(&self) -> Result<Rules, Box<dyn Error>> {
        Ok(self.load_if_any()?.unwrap_or_else(Rules::none_yet))
    }

    /// The rules; none where no file was named and none is here.
    fn load_if_any(&self) -> Result<Option<Rules>, Box<dyn Error>> {
        let path = self.alerts.clone().or_else(Rules::find);
        Ok(path.map(|path| Rules::load(&path)).transpose()?)
    }
}

/// The file beside the store in which a server keeps what fires and what was told.
pub(crate) fn state(store: &Path) -> PathBuf {
    store.with_extension("alerts.json")
}

pub(crate) fn run(
    arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let rules = arguments.file.load()?;
    match &arguments.command {
        Command::Check => context.print(output, &Checked::of(&rules), draw_checked)?,
        Command::Status => {
            let path = state(context.sqlite()?.path());
            let alerts = Alerts::open(rules, context.history()?, Some(&path))?;
            alerts.look(context.now)?;
            let overview = alerts.overview();
            context.print(output, &overview, |screen, shown| {
                draw_status(screen, shown, context.now);
            })?;
        }
        Command::Backtest(asked) => {
            let Some(rule) = rules.rule(&asked.rule) else {
                let names: Vec<&str> = rules.rules.iter().map(|rule| &*rule.name).collect();
                let name = &asked.rule;
                return Err(
                    format!("there is no rule {name:?}; there are: {}", names.join(", ")).into()
                );
            };
            let until = asked.until.as_deref().unwrap_or("now");
            let since = Period::moment(&asked.since, context.now)?;
            let period = Period { since, until: Period::moment(until, context.now)? };
            let found = backtest(rule, &rules, &context.history()?, period, context.now)?;
            context.print(output, &found, draw_backtest)?;
        }
        Command::Mute(asked) => {
            let until = muted_until(&asked.time, context.now)?;
            let path = state(context.sqlite()?.path());
            Alerts::open(rules, nothing(), Some(&path))?.mute(&asked.rule, until)?;
            context.print(output, &Silence::of(&asked.rule, Some(until)), draw_muted)?;
        }
        Command::Unmute(asked) => {
            let path = state(context.sqlite()?.path());
            Alerts::open(rules, nothing(), Some(&path))?.unmute(&asked.rule)?;
            context.print(output, &Silence::of(&asked.rule, None), draw_muted)?;
        }
        Command::Test(asked) => {
            let alerts = Alerts::open(rules, nothing(), None)?;
            alerts.test(&asked.receiver, context.now)?;
            let told =
                Told { taximeter_version: 1, document: "test", receiver: asked.receiver.clone() };
            context.print(output, &told, |screen, told| {
                screen.say(&format!("{} was told, and took it.", told.receiver));
            })?;
        }
    }
    Ok(Ended::Done)
}

/// A history of nothing, for what asks for none.
fn nothing() -> History {
    History::new(Arc::new(MemoryStore::default()))
}

/// What a file holds.
#[derive(Serialize)]
struct Checked {
    taximeter_version: u32,
    document: &'static str,
    rules: Vec<CheckedRule>,
    budgets: Vec<CheckedBudget>,
    receivers: Vec<CheckedReceiver>,
}

#[derive(Serialize)]
struct CheckedRule {
    name: String,
    line: usize,
    kind: &'static str,
    says: String,
    severity: taximeter_alerts::Severity,
}

#[derive(Serialize)]
struct CheckedBudget {
    name: String,
    amount: taximeter::Money,
    per: taximeter::BudgetPeriod,
    by: String,
}

#[derive(Serialize)]
struct CheckedReceiver {
    name: String,
    kind: taximeter_alerts::ReceiverKind,
    host: String,
}

/// Until when nobody is told of a rule.
#[derive(Serialize)]
struct Silence {
    taximeter_version: u32,
    document: &'static str,
    rule: String,
    muted_until: Option<DateTime<Utc>>,
}

impl Silence {
    fn of(rule: &str, muted_until: Option<DateTime<Utc>>) -> Self {
        Self { taximeter_version: 1, document: "mute", rule: rule.to_owned(), muted_until }
    }
}

fn draw_muted(screen: &mut Screen, muted: &Silence) {
    match muted.muted_until {
        Some(until) => {
            screen.say(&format!("{}: nobody is told until {} UTC.", muted.rule, minute(until)));
        }
        None => screen.say(&format!("{}: it is told again.", muted.rule)),
    }
}

#[derive(Serialize)]
struct Told {
    taximeter_version: u32,
    document: &'static str,
    receiver: String,
}

impl Checked {
    fn of(rules: &Rules) -> Self {
        let rule = |rule: &taximeter_alerts::Rule| CheckedRule {
            name: rule.name.to_string(),
            line: rule.line,
            kind: rule.kind.as_str(),
            says: rule.to_string(),
            severity: rule.severity,
        };
        let budget = |plan: &taximeter::BudgetPlan| CheckedBudget {
            name: plan.name().to_string(),
            amount: plan.amount(),
            per: plan.per(),
            by: plan.dimension().to_string(),
        };
        let receiver = |receiver: &taximeter_alerts::Receiver| CheckedReceiver {
            name: receiver.name.to_string(),
            kind: receiver.kind,
            host: receiver.host.clone(),
        };
        Self {
            taximeter_version: 1,
            document: "rules",
            rules: rules.rules.iter().map(rule).collect(),
            budgets: rules.budgets.iter().map(budget).collect(),
            receivers: rules.receivers.iter().map(receiver).collect(),
        }
    }
}

fn draw_checked(screen: &mut Screen, checked: &Checked) {
    screen.heading("Rules");
    let mut grid = Grid::new([
        Column::name("rule"),
        Column::number("line", 2),
        Column::text("severity", 1),
        Column::text("fires when", 0),
    ]);
    for rule in &checked.rules {
        let line = rule.line.to_string();
        grid.row([rule.name.clone(), line, rule.severity.to_string(), rule.says.clone()]);
    }
    screen.grid(&grid);
    for budget in &checked.budgets {
        let money = taximeter::report::money(budget.amount);
        screen
            .say(&format!("budget {}: {money} per {}, by {}", budget.name, budget.per, budget.by));
    }
    for receiver in &checked.receivers {
        screen.say(&format!("receiver {}: {}", receiver.name, receiver.host));
    }
    if checked.receivers.is_empty() {
        screen.say("Nobody is told: the file has no [[receiver]].");
    }
}

fn draw_status(screen: &mut Screen, overview: &Overview, now: DateTime<Utc>) {
    screen.heading("Firing now");
    if overview.firing.is_empty() {
        screen.say("Nothing fires.");
    }
    for one in &overview.firing {
        let key = one.key.as_ref().map_or_else(String::new, |key| format!(" · {key}"));
        let muted = if one.told { "" } else { " (muted)" };
        let (rule, severity) = (&one.rule, one.severity);
        screen.say_so(&format!("{rule}{key} [{severity}]{muted}: {}", one.text), Tone::Bad);
        screen.say(&format!("  since {} UTC; {}", minute(one.since), one.look));
    }
    screen.heading("What the rules see");
    for rule in &overview.rules {
        let beyond = rule.seen.iter().filter(|seen| seen.place == Place::Beyond).count();
        let muted = rule.muted_until.filter(|until| *until > now);
        let muted =
            muted.map_or_else(String::new, |until| format!(", muted until {} UTC", minute(until)));
        let groups = count(rule.seen.len() as u64);
        screen.say(&format!("{}: {beyond} of {groups} beyond{muted}", rule.name));
        for seen in rule.seen.iter().take(5) {
            let key = seen.key.as_ref().map_or_else(String::new, |key| format!("{key}: "));
            let tone = if seen.place == Place::Beyond { Tone::Bad } else { Tone::Plain };
            screen.say_so(&format!("  {key}{}", seen.text), tone);
        }
        if let Some(error) = &rule.error {
            screen.say_so(&format!("  {error}"), Tone::Bad);
        }
    }
    screen.heading("What was told");
    let (waiting, lost) = (overview.waiting, overview.lost);
    screen.say(&format!("{waiting} waiting, {lost} not delivered"));
    for one in overview.log.iter().take(20) {
        let fate = serde_json::to_value(one.fate).unwrap_or_default();
        let status = serde_json::to_value(one.status).unwrap_or_default();
        let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().replace('_', " ");
        let said = one.said.as_ref().map_or_else(String::new, |said| format!(": {said}"));
        screen.say(&format!(
            "{} UTC {} to {}, {}: {}{said}",
            minute(one.at),
            one.about,
            one.receiver,
            word(&status),
            word(&fate)
        ));
    }
}

fn draw_backtest(screen: &mut Screen, found: &Backtest) {
    let times = match found.would_have_fired {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    screen.heading(&format!("{} would have fired {times}", found.rule));
    screen.say(&format!(
        "{}; {} looks from {} to {} UTC, one in {}",
        found.says,
        count(found.looks),
        minute(found.since),
        minute(found.until),
        lasting(TimeDelta::seconds(found.step_seconds))
    ));
    if found.looks_without_data > 0 {
        screen
            .say(&format!("At {} of these too little was known.", count(found.looks_without_data)));
    }
    if found.fired.is_empty() {
        return;
    }
    let mut grid = Grid::new([
        Column::name("fired (UTC)"),
        Column::text("group", 0),
        Column::number("for", 0),
        Column::text("why", 1),
    ]);
    for one in &found.fired {
        let key =
            one.key.as_ref().map_or_else(|| crate::draw::NONE.to_owned(), ToString::to_string);
        let time = lasting(one.resolved_at.unwrap_or(found.until) - one.fired_at);
        let still = if one.resolved_at.is_none() { ", and still" } else { "" };
        let muted = if one.muted { " (muted)" } else { "" };
        grid.row([
            format!("{}{muted}", minute(one.fired_at)),
            key,
            format!("{time}{still}"),
            one.text.clone(),
        ]);
    }
    screen.grid(&grid);
}

fn lasting(time: TimeDelta) -> String {
    let minutes = time.num_minutes();
    match (minutes / 1_440, minutes / 60 % 24, minutes % 60) {
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, 0) => format!("{hours}h"),
        (0, hours, minutes) => format!("{hours}h {minutes}m"),
        (days, 0, _) => format!("{days}d"),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}
