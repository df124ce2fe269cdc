//! The charts of the first screen: money, time and errors step by step, and where the time goes.

use std::collections::BTreeMap;

use maud::{Markup, html};
use plotly::layout::BarMode;
use plotly::{Bar, Layout, Plot};
use taximeter::history::{LlmMoment, Moment, OverTime, Report};
use taximeter::report::{count, money, part, part_name, seconds, took};
use taximeter::{Money, Name};

use super::charts::{Chart, Look, SERIES, Series, figure, plain};
use super::frame::groups;
use super::words::narrowed;
use crate::questions::Filter;

pub(super) fn spend(over_time: &OverTime, filter: &Filter) -> Markup {
    let named = dearest(over_time);
    let of = |at: &Moment, llm: &Name| at.cost_by_llm.get(llm).copied().unwrap_or_default();
    let usd = |amount: Money| Some(amount.to_f64_lossy());
    let llms = named.iter().map(|llm| {
        let series = Series::new(
            llm.as_str(),
            &over_time.moments,
            |at| usd(of(at, llm)),
            |at| money(of(at, llm)),
        );
        series.only("llm", llm.as_str())
    });
    let rest = |at: &Moment| at.total_cost - named.iter().map(|llm| of(at, llm)).sum::<Money>();
    let others =
        Series::new("others", &over_time.moments, |at| usd(rest(at)), |at| money(rest(at)));
    let has_others = over_time.moments.iter().any(|at| !rest(at).is_zero());
    Chart::new("Spend", "US dollars", Look::Stack, over_time)
        .with(llms)
        .with(has_others.then_some(others))
        .exported(groups(filter, &over_time.step.to_string()))
        .draw(filter)
}

/// The LLMs on which the most was spent.
fn dearest(over_time: &OverTime) -> Vec<&Name> {
    let mut by_llm = BTreeMap::<&Name, Money>::new();
    for (llm, usd) in over_time.moments.iter().flat_map(|at| &at.cost_by_llm) {
        *by_llm.entry(llm).or_default() += *usd;
    }
    let mut llms: Vec<_> = by_llm.into_iter().collect();
    llms.sort_by_key(|(llm, usd)| (std::cmp::Reverse(*usd), *llm));
    llms.into_iter().take(SERIES).map(|(llm, _)| llm).collect()
}

/// What a line is called, and what it reads of a step.
type Read = (&'static str, fn(&Moment) -> Option<f64>);

pub(super) fn latency(over_time: &OverTime, filter: &Filter) -> Markup {
    let lines: [Read; 5] = [
        ("p50", |at| at.p50_seconds),
        ("p90", |at| at.p90_seconds),
        ("p95", |at| at.p95_seconds),
        ("p99", |at| at.p99_seconds),
        ("first token p95", |at| at.first_token_p95_seconds),
    ];
    let lines = lines
        .map(|(name, of)| Series::new(name, &over_time.moments, |at| of(at), |at| took(of(at))));
    Chart::new("Latency", "seconds", Look::Lines, over_time)
        .with(lines)
        .exported(groups(filter, &over_time.step.to_string()))
        .draw(filter)
}

pub(super) fn errors(report: &Report, filter: &Filter) -> Markup {
    let moments = &report.over_time.moments;
    let good = |at: &Moment| at.operations - at.failed.min(at.operations);
    let counts = |name: &str, of: &dyn Fn(&Moment) -> u64| {
        Series::new(name, moments, |at| Some(float(of(at))), |at| count(of(at)))
    };
    let succeeded = counts("succeeded", &good).only("outcome", "success");
    let categories = report.totals.errors_by_category.keys().map(|category| {
        let of = |at: &Moment| at.errors_by_category.get(category).copied().unwrap_or(0);
        counts(category.as_str(), &of).only("error", category.as_str())
    });
    Chart::new("Operations and errors", "count", Look::Stack, &report.over_time)
        .with([succeeded])
        .with(categories)
        .exported(groups(filter, &report.over_time.step.to_string()))
        .draw(filter)
}

/// What the calls of each LLM did, the LLMs with the most calls first.
pub(super) fn by_llm(
    title: &str,
    unit: &str,
    over_time: &OverTime,
    filter: &Filter,
    value: fn(&LlmMoment) -> Option<f64>,
    cell: fn(Option<f64>) -> String,
) -> Markup {
    let mut calls = BTreeMap::<&Name, u64>::new();
    for (llm, at) in over_time.moments.iter().flat_map(|at| &at.by_llm) {
        *calls.entry(llm).or_default() += at.calls;
    }
    let mut llms: Vec<_> = calls.into_iter().collect();
    llms.sort_by_key(|(llm, calls)| (std::cmp::Reverse(*calls), *llm));
    let lines = llms.into_iter().take(SERIES).map(|(llm, _)| {
        let of = |at: &&Moment| at.by_llm.get(llm).and_then(value);
        Series::new(llm.as_str(), &over_time.moments, of, |at| cell(of(at)))
            .only("llm", llm.as_str())
    });
    Chart::new(title, unit, Look::Lines, over_time)
        .with(lines)
        .exported(groups(filter, "llm"))
        .draw(filter)
}

/// Where the time goes: a bar for each operation, of the parts of its critical path.
pub(super) fn time(report: &Report, filter: &Filter) -> Markup {
    let mut plot = Plot::new();
    let operations: Vec<_> =
        report.time_spent.iter().map(|spent| plain(&spent.operation)).collect();
    let mut parts = BTreeMap::<String, Vec<f64>>::new();
    for (at, spent) in report.time_spent.iter().enumerate() {
        for one in &spent.all.parts {
            let name = plain(&part_name(&one.part));
            let values = parts.entry(name).or_insert_with(|| vec![0.0; operations.len()]);
            values[at] += one.critical_seconds;
        }
    }
    for (name, values) in parts {
        plot.add_trace(Bar::new(operations.clone(), values).name(name));
    }
    plot.set_layout(Layout::new().bar_mode(BarMode::Stack));
    let numbers = html! {
        thead { tr {
            th scope="col" { "Operation" } th scope="col" { "Part" } th scope="col" { "Mean" } th scope="col" { "Share" }
        } }
        tbody {
            @for (at, spent) in report.time_spent.iter().enumerate() {
                @for (row, one) in spent.all.parts.iter().enumerate() {
                    tr data-point=[(row == 0).then_some(at)] {
                        th scope="row" { a href=(narrowed(filter, "operation", &spent.operation)) { (spent.operation) } }
                        td { (part_name(&one.part)) }
                        td { (seconds(one.critical_seconds)) }
                        td { (part(Some(one.share))) }
                    }
                }
            }
        }
    };
    figure(
        "Where the time goes, on the critical path",
        "seconds of one operation",
        plot,
        &[],
        &numbers,
    )
}

#[expect(clippy::cast_precision_loss, reason = "a place in a chart")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}
