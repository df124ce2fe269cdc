//! `taximeter reprice`: what a recorded history would cost by another book, or at another LLM.

mod document;
mod files;
mod tables;

use std::error::Error;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, Utc};
use clap::Args;
use taximeter::history::History;
use taximeter::pricing::reprice::{Repricer, Repricing, Target};
use taximeter::pricing::{Query as PriceQuery, Selectors};
use taximeter::report::Style;
use taximeter::store::{Detail, Query};
use taximeter::{CostOutcome, LlmCall, PriceBook, Session, TokenUsage};

use self::files::{SessionAt, Written};
use crate::book::BookArguments;
use crate::context::Context;
use crate::draw::fit;
use crate::shield;
use crate::{Ended, price};

#[derive(Args)]
#[command(
    after_help = "Nothing is written without --write. Costs that a provider reported or another program \
    recorded are left alone, unless --reported is given; a what-if (--as) prices every call.\n\n\
    Examples:\n  \
    taximeter reprice data/metrics --book new-book.json\n  \
    taximeter reprice data/metrics --overrides contract.json --from 2026-11-01 --write\n  \
    taximeter reprice data/metrics --as anthropic/claude-sonnet-5 --at 2026-11-20T00:00:00Z\n  \
    taximeter reprice --as openai/gpt-4o-mini --from 2026-11-01"
)]
pub(crate) struct Arguments {
    /// A session file, or a directory of them [default: the store, of which nothing is written]
    #[arg(value_name = "FILE|DIR", required_if_eq("write", "true"))]
    path: Option<PathBuf>,
    /// What if another LLM had been asked: a range, where its tokenizer is another one
    #[arg(long = "as", value_name = "PROVIDER/MODEL", value_parser = target)]
    target: Option<Target>,
    /// Only calls of this LLM
    #[arg(long, value_name = "NAME")]
    only_model: Option<String>,
    /// Only calls of this day (UTC) or later
    #[arg(long, value_name = "DATE")]
    from: Option<NaiveDate>,
    /// Only calls of this day (UTC) or earlier
    #[arg(long, value_name = "DATE")]
    until: Option<NaiveDate>,
    /// The prices of this moment, and not those of the moment of each call
    #[arg(long, value_name = "RFC 3339")]
    at: Option<DateTime<Utc>>,
    /// Price also what a provider reported and what another program recorded
    #[arg(long)]
    reported: bool,
    /// Save the new costs in the session files, and keep each old file beside its new one; not for a what-if
    #[arg(long, conflicts_with_all = ["target", "at"])]
    write: bool,
    #[command(flatten)]
    book: BookArguments,
}

fn target(text: &str) -> Result<Target, String> {
    match text.split_once('/') {
        Some((provider, model)) if !provider.is_empty() && !model.is_empty() => {
            Ok(Target::At { provider: provider.into(), model: model.into() })
        }
        _ => Err("PROVIDER/MODEL expected, such as anthropic/claude-sonnet-5".into()),
    }
}

/// What was done: the report, what was written, and which files could not be read or written.
#[derive(Default)]
struct Outcome {
    /// Sessions of files, or operations of the store.
    sessions: u64,
    of_store: bool,
    report: Repricing,
    written: Vec<Written>,
    failed: Vec<String>,
}

pub(crate) fn run(
    arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let book = arguments.book.open()?;
    let target = arguments.target.clone().unwrap_or_default();
    if let Some(why) = unknown(&book, &target, context.style).filter(|_| !context.json) {
        write!(output, "{}", fit(&why, context.style.width))?;
        return Ok(Ended::NoPrice);
    }
    let mut repricer = Repricer::new(&book).target(target.clone());
    if let Some(at) = arguments.at {
        repricer = repricer.prices_of(at);
    }
    if arguments.reported {
        repricer = repricer.also_reported();
    }
    let outcome = match &arguments.path {
        Some(path) => reprice(arguments, path, &repricer)?,
        None => over_store(arguments, &context.history()?, &repricer)?,
    };
    if context.json {
        shield::print(output, &document::document(&outcome, &target, arguments.write))?;
    } else {
        let text = tables::text(&outcome, &target, arguments.write, context.style);
        write!(output, "{}", fit(&text, context.style.width))?;
    }
    Ok(match (outcome.failed.is_empty(), outcome.report.is_complete()) {
        (false, _) => Ended::SomeRowsUnread,
        (true, false) => Ended::NoPrice,
        (true, true) => Ended::Done,
    })
}

/// Why nothing at all can be priced as asked: the book knows no such provider or LLM.
fn unknown(book: &PriceBook, target: &Target, style: Style) -> Option<String> {
    let Target::At { provider, model } = target else { return None };
    let (usage, selectors) = (TokenUsage::new(1, 1), Selectors::new());
    let query = PriceQuery {
        provider: Some(provider),
        model,
        at: Utc::now(),
        usage: &usage,
        selectors: &selectors,
    };
    match book.price(&query) {
        cost @ (CostOutcome::UnknownProvider { .. } | CostOutcome::UnknownModel { .. }) => {
            Some(price::text(&cost, model, style))
        }
        _ => None,
    }
}

/// One session at a time, so that a long history need not be held at once.
fn reprice(
    arguments: &Arguments,
    path: &Path,
    repricer: &Repricer<'_>,
) -> Result<Outcome, Box<dyn Error>> {
    let mut outcome = Outcome::default();
    for session in files::sessions(path)? {
        let SessionAt { path, mut session } = match session {
            Ok(session) => session,
            Err(unread) => {
                outcome.failed.push(unread);
                continue;
            }
        };
        outcome.sessions += 1;
        for (call, at) in calls(&mut session).filter(|(call, at)| arguments.want(call, *at)) {
            repricer.count(&mut outcome.report, call, at);
        }
        if arguments.write {
            let changed = apply(arguments, repricer, &mut session)?;
            if changed > 0 {
                match files::replace(&path, &session, changed) {
                    Ok(written) => outcome.written.push(written),
                    Err(error) => outcome.failed.push(error.to_string()),
                }
            }
        }
    }
    Ok(outcome)
}

/// The operations of the store, one at a time. Nothing of them is changed.
fn over_store(
    arguments: &Arguments,
    history: &History,
    repricer: &Repricer<'_>,
) -> Result<Outcome, Box<dyn Error>> {
    let mut outcome = Outcome { of_store: true, ..Outcome::default() };
    let mut query = Query::default().detail(Detail::WithoutMetadata);
    // A call may begin a day later than its operation.
    query.since = arguments.from.and_then(|day| day.pred_opt()).map(midnight);
    query.until = arguments.until.and_then(|day| day.succ_opt()).map(midnight);
    let scanned = history.store().scan(&query, &mut |record| {
        outcome.sessions += 1;
        for call in &record.llm_calls {
            if arguments.want(call, record.started_at) {
                repricer.count(&mut outcome.report, call, record.started_at);
            }
        }
        ControlFlow::Continue(())
    })?;
    if scanned.damaged > 0 {
        outcome
            .failed
            .push(format!("{} records cannot be read: taximeter store repair", scanned.damaged));
    }
    Ok(outcome)
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(chrono::NaiveTime::MIN).and_utc()
}

/// Gives the calls their new costs, and says how many of them have another one now.
fn apply(
    arguments: &Arguments,
    repricer: &Repricer<'_>,
    session: &mut Session,
) -> Result<u64, Box<dyn Error>> {
    let mut changed = 0;
    for (call, at) in calls(session).filter(|(call, at)| arguments.want(call, *at)) {
        let before = call.cost.clone();
        repricer.apply(call, at)?;
        changed += u64::from(call.cost != before);
    }
    Ok(changed)
}

/// The LLM calls of a session, each with the beginning of its operation.
fn calls(session: &mut Session) -> impl Iterator<Item = (&mut LlmCall, DateTime<Utc>)> {
    session.operations.iter_mut().flat_map(|operation| {
        let at = operation.started_at;
        operation.llm_calls.iter_mut().map(move |call| (call, at))
    })
}

impl Arguments {
    fn want(&self, call: &LlmCall, at: DateTime<Utc>) -> bool {
        let day = call.started_at.unwrap_or(at).date_naive();
        let mut names = call.request_model.iter().chain(&call.response_model);
        self.from.is_none_or(|from| from <= day)
            && self.until.is_none_or(|until| day <= until)
            && self
                .only_model
                .as_ref()
                .is_none_or(|only| names.any(|name| name.eq_ignore_ascii_case(only)))
    }
}
