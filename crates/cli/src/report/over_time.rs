//! The lines over time of a report: money by LLM, latency by percentile, requests and errors by category.

use taximeter::history::{LlmMoment, LlmRow, Moment, Report};
use taximeter::report::{count, counted, money};
use taximeter::{ErrorCategory, Money};

use super::Detail;
use crate::draw::{Column, Grid, Screen, minute, spark, took};

/// So many LLMs have a line of their own.
const LINES: usize = 4;

/// What is read of a step.
type Measured = fn(&Moment) -> Option<f64>;

/// Columns of a line: what a screen leaves.
fn room(screen: &Screen) -> usize {
    screen.width().saturating_sub(44).clamp(12, 72)
}

fn values(report: &Report, of: impl Fn(&Moment) -> Option<f64>) -> Vec<Option<f64>> {
    report.over_time.moments.iter().map(of).collect()
}

fn title(report: &Report, what: &str) -> String {
    let moments = &report.over_time.moments;
    let ends = moments.first().zip(moments.last());
    let ends = ends.map_or_else(String::new, |(first, last)| {
        format!(", {} to {}", minute(first.start), minute(last.start))
    });
    format!("{what} by {}{ends}", report.over_time.step)
}

pub(super) fn spend(screen: &mut Screen, report: &Report, detail: Detail) {
    screen.heading(&title(report, "Spend"));
    if report.totals.cost.calls() == 0 {
        super::missing(
            screen,
            "no LLM call was recorded",
            "let mut call = op.llm_call(\"openai\", \"gpt-4o\").start(); call.usage(TokenUsage::new(1_200, 350));",
        );
        return;
    }
    let room = room(screen);
    let mut grid =
        Grid::new([Column::name(""), Column::number("cost", 0), Column::text("over time", 1)]);
    let dollars = |amount: Money| Some(amount.to_f64_lossy());
    let all = values(report, |at| dollars(at.total_cost));
    grid.row(["all".into(), money(report.totals.cost.usd()), spark(&all, room)]);
    let (llms, others) = dearest(report, detail);
    for llm in llms {
        let own = values(report, |at| {
            dollars(at.cost_by_llm.get(llm.name.as_str()).copied().unwrap_or_default())
        });
        grid.row([llm.name.clone(), crate::draw::spend(llm.usd, llm.unpriced), spark(&own, room)]);
    }
    if !others.is_empty() {
        let usd = others.iter().map(|llm| llm.usd).sum();
        let unpriced = others.iter().map(|llm| llm.unpriced).sum();
        let name = counted(others.len() as u64, "other");
        grid.row([name, crate::draw::spend(usd, unpriced), String::new()]);
    }
    if detail >= Detail::Verbose {
        for (name, of) in KINDS {
            let all = report.over_time.moments.iter().map(of).sum();
            let own = values(report, |at| dollars(of(at)));
            grid.row([name.into(), money(all), spark(&own, room)]);
        }
    }
    screen.grid(&grid);
}

/// What a part of a step's cost is called, and how much it is.
type Kind = (&'static str, fn(&Moment) -> Money);

/// Of what a step's cost is: each for one kind of token, and what no one kind is told of.
const KINDS: [Kind; 3] = [
    ("for input", |at| at.input_cost),
    ("for output", |at| at.output_cost),
    ("not told apart", |at| at.total_cost - at.input_cost - at.output_cost),
];

/// An LLM of the table, by its whole name, with what is known of its cost.
struct Dear {
    name: String,
    usd: Money,
    unpriced: u64,
    tokens: u64,
    p95_seconds: Option<f64>,
    first_token_p95_seconds: Option<f64>,
}

/// The LLMs that have a line of their own, the dearest first, and the others.
fn dearest(report: &Report, detail: Detail) -> (Vec<Dear>, Vec<Dear>) {
    let dear = |row: &LlmRow| Dear {
        name: format!("{}/{}", row.provider, row.model),
        usd: row.total_cost,
        unpriced: row.cost.unpriced_calls + row.cost.calls_without_usage,
        tokens: row.input_tokens.saturating_add(row.output_tokens),
        p95_seconds: row.p95_seconds,
        first_token_p95_seconds: row.first_token_p95_seconds,
    };
    let mut llms: Vec<_> = report.by_llm.iter().map(dear).collect();
    let most = if detail >= Detail::Verbose { usize::MAX } else { LINES };
    let others = llms.split_off(llms.len().min(most));
    (llms, others)
}

/// What is read of the calls of one LLM in one step; a step without any is a gap.
fn of_llm(report: &Report, name: &str, of: impl Fn(&LlmMoment) -> Option<f64>) -> Vec<Option<f64>> {
    values(report, |at| at.by_llm.get(name).and_then(&of))
}

pub(super) fn tokens(screen: &mut Screen, report: &Report, detail: Detail) {
    if report.totals.usage.is_empty() {
        return;
    }
    screen.heading(&title(report, "Tokens"));
    let room = room(screen);
    let mut grid =
        Grid::new([Column::name(""), Column::number("tokens", 0), Column::text("over time", 1)]);
    let all = values(report, |at| float(at.input_tokens.saturating_add(at.output_tokens)));
    grid.row(["all".into(), count(report.totals.usage.total_tokens()), spark(&all, room)]);
    let (llms, others) = dearest(report, detail);
    for llm in llms {
        let own =
            of_llm(report, &llm.name, |at| float(at.input_tokens.saturating_add(at.output_tokens)));
        // No call is no token.
        let own: Vec<_> = own.into_iter().map(|tokens| tokens.or(Some(0.0))).collect();
        grid.row([llm.name.clone(), count(llm.tokens), spark(&own, room)]);
    }
    if !others.is_empty() {
        let tokens = others.iter().fold(0_u64, |sum, llm| sum.saturating_add(llm.tokens));
        grid.row([counted(others.len() as u64, "other"), count(tokens), String::new()]);
    }
    screen.grid(&grid);
}

/// The calls of each LLM, and their first tokens.
pub(super) fn latency_by_llm(screen: &mut Screen, report: &Report, detail: Detail) {
    type Read = (&'static str, fn(&Dear) -> Option<f64>, fn(&LlmMoment) -> Option<f64>);
    let tables: [Read; 2] = [
        ("p95 of the calls of each LLM", |llm| llm.p95_seconds, |at| at.p95_seconds),
        (
            "p95 of the first token of each LLM",
            |llm| llm.first_token_p95_seconds,
            |at| at.first_token_p95_seconds,
        ),
    ];
    let room = room(screen);
    for (name, whole, step) in tables {
        let (llms, _) = dearest(report, detail);
        let mut grid =
            Grid::new([Column::name(""), Column::number("p95", 0), Column::text("over time", 1)]);
        for llm in llms.iter().filter(|llm| whole(llm).is_some()) {
            let own = of_llm(report, &llm.name, step);
            grid.row([llm.name.clone(), took(whole(llm)), spark(&own, room)]);
        }
        if !grid.is_empty() {
            screen.heading(&title(report, name));
            screen.grid(&grid);
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::unnecessary_wraps,
    reason = "what a line is drawn of"
)]
fn float(number: u64) -> Option<f64> {
    Some(number as f64)
}

pub(super) fn latency(screen: &mut Screen, report: &Report) {
    screen.heading(&title(report, "Latency"));
    let room = room(screen);
    let mut grid =
        Grid::new([Column::name(""), Column::number("largest", 0), Column::text("over time", 1)]);
    let lines: [(&str, Measured); 5] = [
        ("p50", |at| at.p50_seconds),
        ("p90", |at| at.p90_seconds),
        ("p95", |at| at.p95_seconds),
        ("p99", |at| at.p99_seconds),
        ("p95 first token", |at| at.first_token_p95_seconds),
    ];
    for (name, of) in lines {
        let own = values(report, of);
        let largest = own.iter().flatten().copied().reduce(f64::max);
        if largest.is_some() {
            grid.row([name.to_owned(), took(largest), spark(&own, room)]);
        }
    }
    screen.grid(&grid);
}

pub(super) fn requests(screen: &mut Screen, report: &Report) {
    screen.heading(&title(report, "Requests and errors"));
    let room = room(screen);
    let mut grid =
        Grid::new([Column::name(""), Column::number("count", 0), Column::text("over time", 1)]);
    let all = values(report, |at| float(at.operations));
    grid.row(["operations".into(), count(report.totals.operations()), spark(&all, room)]);
    let failed = report.totals.failed_operations + report.totals.abandoned_operations;
    let own = values(report, |at| float(at.failed));
    grid.row(["not succeeded".into(), count(failed), spark(&own, room)]);
    let mut categories: Vec<(&ErrorCategory, &u64)> =
        report.totals.errors_by_category.iter().collect();
    categories.sort_by_key(|(category, number)| (std::cmp::Reverse(**number), **category));
    for (category, number) in categories {
        let of = |at: &Moment| float(at.errors_by_category.get(category).copied().unwrap_or(0));
        grid.row([format!("  {category}"), count(*number), spark(&values(report, of), room)]);
    }
    screen.grid(&grid);
    if report.totals.abandoned_operations > 0 {
        screen.say(&format!(
            "{} of them were abandoned: dropped without succeed() or fail().",
            count(report.totals.abandoned_operations)
        ));
    }
}
