//! `taximeter gate`: operations now against a baseline, with a verdict that CI understands.

use std::error::Error;
use std::io::Write;
use std::path::Path;

use clap::Args;
use taximeter::analysis::{Gate, Verdict};
use taximeter::history::{GateAsk, Gated, History, Limit, Period, Selection};
use taximeter::report::count;
use taximeter::{Measure, OperationRecord};

use crate::Ended;
use crate::compare::{measure_row, measures_grid};
use crate::context::Context;
use crate::draw::{Screen, Tone};
use crate::import::in_memory;
use crate::select::Which;

#[derive(Args)]
#[command(
    after_help = "A measure fails where it is surely above both limits: so many times the baseline, and so much more. It passes \
    where it is surely within one of them; else it is inconclusive, and more operations would tell.\n\n\
    Exit codes: 0 pass, 5 fail, 6 inconclusive.\n\n\
    Examples:\n  \
    taximeter gate --baseline 48h..24h --operation qa_response --max-ratio 1.2 --min-delta 50ms\n  \
    taximeter gate --baseline main.jsonl --since 1h --measure duration --measure cost --min-delta '$0.001'\n  \
    taximeter gate --baseline tag:version=1 --tag version=2 --since 7d --json"
)]
pub(crate) struct Arguments {
    /// What to compare with: a file of records (JSON lines, or a session), or a side as for `compare`
    #[arg(long, value_name = "FILE|SIDE")]
    baseline: String,
    /// So many times the baseline is still well
    #[arg(long, default_value_t = 1.1, value_name = "FACTOR")]
    max_ratio: f64,
    /// So much more than the baseline is still well; its unit says of what: 50ms, $0.01, 2%, 100tokens
    #[arg(long = "min-delta", value_name = "AMOUNT", value_parser = delta)]
    min_deltas: Vec<(Measure, f64)>,
    /// Only this measure: duration, cost, `error_rate`, tokens [default: all]
    #[arg(long = "measure", value_name = "MEASURE", value_parser = measure)]
    measures: Vec<Measure>,
    /// End with 0 where it is inconclusive
    #[arg(long)]
    allow_inconclusive: bool,
    #[command(flatten)]
    which: Which,
}

fn delta(text: &str) -> Result<(Measure, f64), String> {
    Limit::read_delta(text).map_err(|why| why.to_string())
}

fn measure(text: &str) -> Result<Measure, String> {
    let found = Measure::ALL.into_iter().find(|measure| measure.as_str() == text);
    found.ok_or_else(|| "expected duration, cost, error_rate or tokens".into())
}

pub(crate) fn run(
    arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let limits = limits(arguments)?;
    let (period, only) = arguments.which.read(context.now)?;
    let history = context.history()?;
    let baseline = baseline(arguments, context, &history, &only, period)?;
    let gated = history.gate(&GateAsk::new(only, period, limits), &baseline)?;
    context.print(output, &gated, draw)?;
    Ok(match gated.verdict {
        Verdict::Pass => Ended::Done,
        Verdict::Fail => Ended::CheckFailed,
        Verdict::Inconclusive if arguments.allow_inconclusive => Ended::Done,
        Verdict::Inconclusive => Ended::Inconclusive,
    })
}

fn limits(arguments: &Arguments) -> Result<Vec<Limit>, Box<dyn Error>> {
    let all = Measure::ALL.to_vec();
    let measures = if arguments.measures.is_empty() { &all } else { &arguments.measures };
    let limit = |measure: &Measure| {
        let delta = arguments.min_deltas.iter().rev().find(|(of, _)| of == measure);
        let min_delta = delta.map_or(0.0, |(_, amount)| *amount);
        Limit { measure: *measure, gate: Gate { max_ratio: arguments.max_ratio, min_delta } }
    };
    let limits: Vec<_> = measures.iter().map(limit).collect();
    for limit in &limits {
        limit.gate.check()?;
    }
    Ok(limits)
}

/// The records of a file, or the operations of a side: with the conditions of the current ones, but for those that the
/// side names itself.
fn baseline(
    arguments: &Arguments,
    context: &Context,
    history: &History,
    only: &Selection,
    period: Period,
) -> Result<Vec<OperationRecord>, Box<dyn Error>> {
    let path = Path::new(&arguments.baseline);
    if path.exists() {
        return Ok(in_memory(path, history)?.baseline(only, Period::ALL)?);
    }
    let mut side = Selection::read(&arguments.baseline, context.now).map_err(|why| {
        format!("{} is no file, and as a side it is wrong: {why}", arguments.baseline)
    })?;
    if side.conditions.is_empty() {
        side.conditions.clone_from(&only.conditions);
    }
    Ok(history.baseline(&side, period)?)
}

fn draw(screen: &mut Screen, gated: &Gated) {
    let (word, tone) = match gated.verdict {
        Verdict::Pass => ("PASS", Tone::Good),
        Verdict::Fail => ("FAIL", Tone::Bad),
        Verdict::Inconclusive => ("INCONCLUSIVE", Tone::Plain),
    };
    screen.say_so(
        &format!("{word}: {} against {} of the baseline (A)", gated.current, count(gated.baseline)),
        tone,
    );
    let mut grid = measures_grid();
    for measure in &gated.measures {
        let (of, verdict) = (measure.limit.measure, measure.verdict());
        measure_row(&mut grid, of, measure.comparison.as_ref(), Some(verdict));
    }
    screen.grid(&grid);
}
