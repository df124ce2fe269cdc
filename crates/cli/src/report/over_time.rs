//! The lines over time of a report: money by LLM, latency by percentile, requests and errors by category.

use std::collections::BTreeMap;

use taximeter::history::{Moment, Report};
use taximeter::report::{count, money};
use taximeter::{ErrorCategory, Money, Name};

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
    let mut llms = BTreeMap::<&Name, Money>::new();
    for (llm, usd) in report.over_time.moments.iter().flat_map(|at| &at.cost_by_llm) {
        *llms.entry(llm).or_default() += *usd;
    }
    let mut llms: Vec<_> = llms.into_iter().collect();
    llms.sort_by_key(|(llm, usd)| (std::cmp::Reverse(*usd), *llm));
    let most = if detail >= Detail::Verbose { usize::MAX } else { LINES };
    for (llm, usd) in llms.iter().take(most) {
        let own =
            values(report, |at| dollars(at.cost_by_llm.get(*llm).copied().unwrap_or_default()));
        grid.row([llm.to_string(), money(*usd), spark(&own, room)]);
    }
    let others: Vec<_> = llms.iter().skip(most).collect();
    if !others.is_empty() {
        let usd = others.iter().map(|(_, usd)| *usd).sum();
        grid.row([format!("{} others", others.len()), money(usd), String::new()]);
    }
    screen.grid(&grid);
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
    let float = |number: u64| {
        #[expect(clippy::cast_precision_loss, reason = "a line needs no more than 53 bits")]
        Some(number as f64)
    };
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
