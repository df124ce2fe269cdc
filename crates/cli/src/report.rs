//! `taximeter report`: the first screen of a period.

mod over_time;
mod people;
mod tables;
mod top;

use std::error::Error;
use std::io::Write;

use clap::Args;
use taximeter::Money;
use taximeter::history::{Ask, By, History, Report};
use taximeter::report::{count, counted};

use crate::Ended;
use crate::context::Context;
use crate::draw::{NONE, Screen, Tone, minute};
use crate::select::Which;

pub(crate) use self::people::advised;
pub(crate) use self::top::losses;

#[derive(Args)]
#[command(
    after_help = "The screen begins with what needs attention against the period of the same length before. Numbers come \
    from the sums that the store keeps of every minute; with a filter they are counted over the operations.\n\n\
    Examples:\n  \
    taximeter report\n  \
    taximeter report --since 7d --budget 500\n  \
    taximeter report --since 2026-11-01 --until 2026-11-08 --by day\n  \
    taximeter report --by tag:team --since 30d\n  \
    taximeter report --operation qa_response --verbose\n  \
    taximeter report --since all --json"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// A table of the numbers by operation, component, tool, provider, model, kind (of token), user, session, tag:NAME, minute,
    /// hour or day
    #[arg(long, value_name = "WHAT")]
    by: Option<By>,
    /// What may be spent in this month, in US dollars
    #[arg(long, value_name = "DOLLARS")]
    budget: Option<Money>,
    /// Tell more: every alert, LLM, spender, component and advice
    #[arg(long, short)]
    verbose: bool,
    /// Tell all: the newest operations too, and where the numbers come from
    #[arg(long)]
    debug: bool,
}

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Detail {
    Brief,
    Verbose,
    Debug,
}

/// So many operations are listed where all is told.
const NEWEST: usize = 20;

pub(crate) fn run(
    arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let (period, only) = arguments.which.read(context.now)?;
    let mut ask = Ask::new(period, context.now);
    ask.only = only;
    ask.by.clone_from(&arguments.by);
    ask.budget = arguments.budget;
    let history = context.history()?;
    let report = history.report(&ask)?;
    let detail = match (arguments.verbose, arguments.debug) {
        (_, true) => Detail::Debug,
        (true, false) => Detail::Verbose,
        (false, false) => Detail::Brief,
    };
    context.print(output, &report, |screen, report| draw(screen, report, detail))?;
    if detail == Detail::Debug && !context.json {
        let query = ask.only.query(ask.period);
        let query = query.order(taximeter::store::Order::NewestFirst).limit(NEWEST);
        let mut screen = context.screen();
        screen.heading("The newest operations");
        crate::ops::list(&mut screen, &history.operations(&query)?.0);
        made_of(&mut screen, &history, &report)?;
        write!(output, "\n{}", screen.into_text())?;
    }
    Ok(Ended::Done)
}

/// Where the numbers come from.
fn made_of(
    screen: &mut Screen,
    history: &History,
    report: &Report,
) -> Result<(), taximeter::StoreError> {
    screen.heading("Where the numbers come from");
    let whole = ["minutes", "hours", "days"].into_iter().zip(history.store().sums_since()?);
    let whole: Vec<_> = whole
        .map(|(level, since)| {
            let since =
                since.map_or_else(|| "the beginning".into(), |at| format!("{} UTC", minute(at)));
            format!("{level} since {since}")
        })
        .collect();
    screen.say(&format!("The sums of {} are whole.", whole.join(", of ")));
    screen.say(&format!(
        "Alerts, savings, failures of tools and where the time goes are of {}.",
        report.savings.looked_at
    ));
    screen.say(&format!(
        "The store has {} bytes; the price book has {}.",
        count(report.health.bytes),
        counted(history.price_book().models().count() as u64, "LLM")
    ));
    Ok(())
}

/// The screen of field order: what needs attention first, how far to trust it last.
fn draw(screen: &mut Screen, report: &Report, detail: Detail) {
    let only = report.only.as_ref().map_or_else(String::new, |only| format!(", only {only}"));
    screen.heading(&format!("taximeter report: {}{only}", report.period));
    if let Some(looked_at) = report.looked_at.as_ref().filter(|looked_at| looked_at.more) {
        screen.say_so(
            &format!("There are more: this is of {looked_at}. Ask for less time."),
            Tone::Bad,
        );
    }
    top::alerts(screen, report, detail);
    if report.totals.operations() == 0 {
        nothing(screen, report);
        return;
    }
    top::attention(screen, report);
    top::numbers(screen, report);
    if report.by.is_some() {
        tables::groups(screen, report);
    } else {
        top::budget(screen, report);
        over_time::spend(screen, report, detail);
        over_time::tokens(screen, report, detail);
        over_time::latency(screen, report);
        over_time::latency_by_llm(screen, report, detail);
        over_time::requests(screen, report);
        tables::time(screen, report, detail);
        tables::llms(screen, report);
        tables::tools(screen, report);
        people::spenders(screen, report, detail);
        people::operations(screen, report, detail);
        people::tokens(screen, report);
        people::savings(screen, report, detail);
        if detail >= Detail::Verbose {
            tables::components(screen, report);
        }
    }
    top::health(screen, report);
}

/// An empty report says what is missing, and how it comes.
fn nothing(screen: &mut Screen, report: &Report) {
    let health = &report.health;
    screen.heading("Nothing to show");
    screen.say("No operation began in this period.");
    match (health.first_at, health.last_at) {
        (Some(first), Some(last)) if health.operations > 0 => {
            screen.say(&format!(
                "The store has {} operations, from {} to {} UTC: taximeter report --since all",
                count(health.operations),
                minute(first),
                minute(last)
            ));
        }
        _ => {
            screen.say("The store is empty. To fill it:");
            screen.lines("  taximeter import FILE");
            screen.lines("  let op = taximeter::operation(\"answer\").start(); op.succeed();");
        }
    }
    top::health(screen, report);
}

/// A note that a part of the screen is empty, and the line of code that fills it.
fn missing(screen: &mut Screen, what: &str, code: &str) {
    screen.say(&format!("{NONE} {what}:"));
    screen.lines(&format!("  {code}"));
}
