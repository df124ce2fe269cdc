//! The charts of the first screen: money, time and errors step by step, and where the time goes.

use std::collections::BTreeMap;

use maud::{Markup, html};
use plotly::layout::BarMode;
use plotly::{Bar, Layout, Plot};
use taximeter::analysis::TimeSpent;
use taximeter::history::{CostKind, KindSpent, LlmMoment, Moment, OverTime, Report, StepTime};
use taximeter::report::{NONE, count, money, part, part_name, seconds, took};
use taximeter::{Money, Name};

use super::ahead::Coming;
use super::charts::{COLOURS, Chart, Look, SERIES, Series, figure, plain};
use super::frame::groups;
use super::words::{link, narrowed};
use crate::questions::Filter;

/// What a chart shows, by the value of its field in the address.
type Choice = (&'static str, &'static str);

/// The value by which the cost by kind is asked for, which is counted for it alone.
pub(super) const COST: &str = "cost";

const SPEND: [Choice; 4] = [
    ("", "Cost by LLM"),
    (COST, "Cost by kind"),
    ("tokens", "Tokens by LLM"),
    ("kinds", "Tokens by kind"),
];
const LATENCY: [Choice; 4] = [
    ("", "Operations"),
    ("calls", "Calls by LLM"),
    ("first", "First token by LLM"),
    ("speed", "Tokens/s by LLM"),
];

/// Links to what a chart shows, and what else it could.
fn choice(label: &str, field: &str, all: &[Choice], now: &str, filter: &Filter) -> Markup {
    html! {
        div.periods role="group" aria-label=(label) {
            @for (value, name) in all {
                a href=(link("/", filter, &[(field, value)])) aria-current=[(*value == now).then_some("true")] { (name) }
            }
        }
    }
}

/// Money or tokens over time, as the address says; money with what comes.
pub(super) fn spending(
    over_time: &OverTime,
    kinds: &[KindSpent],
    coming: Coming,
    filter: &Filter,
) -> Markup {
    let chart = match filter.spend.as_str() {
        "tokens" => tokens_by_llm(over_time),
        "kinds" => tokens_by_kind(over_time),
        COST => cost_by_kind(over_time, kinds).coming(coming),
        _ => cost_by_llm(over_time).coming(coming),
    };
    chart
        .exported(groups(filter, &over_time.step.to_string()))
        .instead_of(choice("What is spent", "spend", &SPEND, &filter.spend, filter))
        .draw(filter)
}

/// Money over time: by kind where that is told, else by LLM.
pub(super) fn spend(over_time: &OverTime, kinds: &[KindSpent], filter: &Filter) -> Markup {
    let chart =
        if kinds.is_empty() { cost_by_llm(over_time) } else { cost_by_kind(over_time, kinds) };
    chart.exported(groups(filter, &over_time.step.to_string())).draw(filter)
}

fn cost_by_llm(over_time: &OverTime) -> Chart<'static> {
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
}

/// What is paid for input, for what is read from and written into caches, for output and reasoning.
fn cost_by_kind(over_time: &OverTime, kinds: &[KindSpent]) -> Chart<'static> {
    let spent: BTreeMap<_, _> =
        kinds.iter().map(|one| ((one.start, one.kind), one.total_cost)).collect();
    let there = |kind: &CostKind| kinds.iter().any(|one| one.kind == *kind);
    let series = CostKind::ALL.into_iter().filter(there).map(|kind| {
        let of = |at: &&Moment| spent.get(&(Some(at.start), kind)).copied().unwrap_or_default();
        let usd = |at: &&Moment| Some(of(at).to_f64_lossy());
        Series::new(kind_name(kind.as_str()), &over_time.moments, usd, |at| money(of(at)))
    });
    Chart::new("Spend on each kind of token", "US dollars", Look::Stack, over_time).with(series)
}

/// A kind of what is paid for as it is spoken of.
pub(super) fn kind_name(kind: &str) -> &str {
    match kind {
        "input" => "input, not cached",
        "cache_read" => "input from a cache",
        "cache_write" => "input into a cache",
        "untold" => "not told apart",
        other => other,
    }
}

fn tokens_by_llm(over_time: &OverTime) -> Chart<'static> {
    let named = busiest(over_time, |at| at.input_tokens + at.output_tokens);
    let of = |at: &Moment, llm: &Name| {
        at.by_llm.get(llm).map_or(0, |calls| calls.input_tokens + calls.output_tokens)
    };
    let all = |at: &Moment| at.input_tokens + at.output_tokens;
    let llms = named
        .iter()
        .map(|llm| counts(llm.as_str(), over_time, &|at| of(at, llm)).only("llm", llm.as_str()));
    let rest =
        |at: &Moment| all(at).saturating_sub(named.iter().map(|llm| of(at, llm)).sum::<u64>());
    let has_others = over_time.moments.iter().any(|at| rest(at) > 0);
    Chart::new("Tokens of each LLM", "tokens", Look::Stack, over_time)
        .with(llms)
        .with(has_others.then(|| counts("others", over_time, &rest)))
}

fn tokens_by_kind(over_time: &OverTime) -> Chart<'static> {
    let written =
        |at: &Moment| at.by_llm.values().map(|calls| calls.cache_write_tokens).sum::<u64>();
    let plain = |at: &Moment| at.input_tokens.saturating_sub(at.cache_read_tokens + written(at));
    let kinds = [
        counts("input, not cached", over_time, &plain),
        counts("input from a cache", over_time, &|at| at.cache_read_tokens),
        counts("input into a cache", over_time, &written),
        counts("output", over_time, &|at| at.output_tokens),
    ];
    Chart::new("Tokens of each kind", "tokens", Look::Stack, over_time).with(kinds)
}

/// What is counted in each step.
fn counts(name: &str, over_time: &OverTime, of: &dyn Fn(&Moment) -> u64) -> Series {
    Series::new(name, &over_time.moments, |at| Some(float(of(at))), |at| count(of(at)))
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

/// How long operations or calls took over time, as the address says.
pub(super) fn latency(over_time: &OverTime, filter: &Filter) -> Markup {
    let speed =
        |value: Option<f64>| value.map_or_else(|| NONE.into(), |speed| format!("{speed:.0}"));
    let chart = match filter.latency.as_str() {
        "calls" => llms("p95 of a call", "seconds", over_time, |at| at.p95_seconds, took),
        "first" => {
            llms("First token, p95", "seconds", over_time, |at| at.first_token_p95_seconds, took)
        }
        "speed" => llms(
            "Output after the first token",
            "tokens/s",
            over_time,
            |at| at.output_tokens_per_second,
            speed,
        ),
        _ => percentiles(over_time),
    };
    chart
        .exported(groups(filter, &over_time.step.to_string()))
        .instead_of(choice("How long what takes", "latency", &LATENCY, &filter.latency, filter))
        .draw(filter)
}

fn percentiles(over_time: &OverTime) -> Chart<'static> {
    let lines: [Read; 5] = [
        ("p50", |at| at.p50_seconds),
        ("p90", |at| at.p90_seconds),
        ("p95", |at| at.p95_seconds),
        ("p99", |at| at.p99_seconds),
        ("first token p95", |at| at.first_token_p95_seconds),
    ];
    let lines = lines
        .map(|(name, of)| Series::new(name, &over_time.moments, |at| of(at), |at| took(of(at))));
    Chart::new("Latency", "seconds", Look::Lines, over_time).with(lines)
}

pub(super) fn errors(report: &Report, filter: &Filter) -> Markup {
    let over_time = &report.over_time;
    let good = |at: &Moment| at.operations - at.failed.min(at.operations);
    let succeeded = counts("succeeded", over_time, &good).only("outcome", "success");
    let categories = report.totals.errors_by_category.keys().map(|category| {
        let of = |at: &Moment| at.errors_by_category.get(category).copied().unwrap_or(0);
        counts(category.as_str(), over_time, &of).only("error", category.as_str())
    });
    Chart::new("Operations and errors", "count", Look::Stack, over_time)
        .with([succeeded])
        .with(categories)
        .exported(groups(filter, &over_time.step.to_string()))
        .draw(filter)
}

/// What the calls of each LLM did, the LLMs with the most calls first.
pub(super) fn by_llm(
    title: &str,
    unit: &'static str,
    over_time: &OverTime,
    filter: &Filter,
    value: fn(&LlmMoment) -> Option<f64>,
    cell: fn(Option<f64>) -> String,
) -> Markup {
    llms(title, unit, over_time, value, cell).exported(groups(filter, "llm")).draw(filter)
}

fn llms(
    title: &str,
    unit: &'static str,
    over_time: &OverTime,
    value: fn(&LlmMoment) -> Option<f64>,
    cell: fn(Option<f64>) -> String,
) -> Chart<'static> {
    let lines = busiest(over_time, |at| at.calls).into_iter().map(|llm| {
        let of = |at: &&Moment| at.by_llm.get(llm).and_then(value);
        Series::new(llm.as_str(), &over_time.moments, of, |at| cell(of(at)))
            .only("llm", llm.as_str())
    });
    Chart::new(title, unit, Look::Lines, over_time).with(lines)
}

/// The LLMs of which something is the most.
fn busiest(over_time: &OverTime, size: fn(&LlmMoment) -> u64) -> Vec<&Name> {
    let mut sizes = BTreeMap::<&Name, u64>::new();
    for (llm, at) in over_time.moments.iter().flat_map(|at| &at.by_llm) {
        *sizes.entry(llm).or_default() += size(at);
    }
    let mut llms: Vec<_> = sizes.into_iter().collect();
    llms.sort_by_key(|(llm, size)| (std::cmp::Reverse(*size), *llm));
    llms.into_iter().take(SERIES).map(|(llm, _)| llm).collect()
}

/// What a part of the time is called, and how much it is of a step.
type PartOf = (&'static str, fn(&StepTime) -> f64);

/// Where the time goes step by step, of the newest operations.
pub(super) fn time_by_step(report: &Report, filter: &Filter) -> Markup {
    let steps: BTreeMap<_, _> = report.time_by_step.iter().map(|step| (step.start, step)).collect();
    let parts: [PartOf; 4] = [
        ("LLMs", |step| step.llm_seconds),
        ("tools", |step| step.tool_seconds),
        ("components", |step| step.component_seconds),
        ("own time", |step| step.own_seconds),
    ];
    let parts = parts.map(|(name, of)| {
        let value = |at: &&Moment| steps.get(&at.start).map(|step| of(step));
        Series::new(name, &report.over_time.moments, value, |at| took(value(at)))
    });
    let export = |format: &str| {
        let others = [("format", format), ("live", ""), ("compare", ""), ("order", "")];
        link("/api/v1/report", filter, &others)
    };
    let mut chart = Chart::new("Where the time goes", "seconds", Look::Stack, &report.over_time)
        .with(parts)
        .exported([("CSV", export("csv")), ("JSON", export(""))]);
    let of = report.savings.looked_at;
    chart.note = html! {
        p.note { "Seconds on the critical paths of " (of) ", added up" @if of.more { "; of the steps before nothing is shown" } "." }
    };
    chart.draw(filter)
}

/// Where the time goes: a bar for each operation, of the parts of its critical path.
pub(super) fn time(report: &Report, filter: &Filter) -> Markup {
    let mut plot = Plot::new();
    let operations: Vec<_> =
        report.time_spent.iter().map(|spent| plain(&spent.operation)).collect();
    for (name, values) in parts(&report.time_spent) {
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

/// The parts of which the most time is spent, each with its seconds in every operation, and behind them all others together:
/// no more than there are colours.
fn parts(time_spent: &[TimeSpent]) -> Vec<(String, Vec<f64>)> {
    let mut parts = BTreeMap::<String, Vec<f64>>::new();
    for (at, spent) in time_spent.iter().enumerate() {
        for one in &spent.all.parts {
            let name = plain(&part_name(&one.part));
            let values = parts.entry(name).or_insert_with(|| vec![0.0; time_spent.len()]);
            values[at] += one.critical_seconds;
        }
    }
    let sum = |values: &[f64]| values.iter().sum::<f64>();
    let mut parts: Vec<_> = parts.into_iter().filter(|(_, values)| sum(values) > 0.0).collect();
    parts.sort_by(|one, other| sum(&other.1).total_cmp(&sum(&one.1)));
    if parts.len() > COLOURS {
        let others = parts.split_off(COLOURS - 1);
        let of = |at: usize| others.iter().map(|(_, values)| values[at]).sum();
        let values = (0..time_spent.len()).map(of).collect();
        parts.push((format!("{} others", others.len()), values));
    }
    parts
}

#[expect(clippy::cast_precision_loss, reason = "a place in a chart")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use taximeter::history::{Ask, History, Period, Windows};
    use taximeter::store::MemoryStore;
    use taximeter::{OperationId, OperationRecord};

    use super::*;

    #[test]
    fn parts_have_a_colour_each_and_small_ones_share_the_last() {
        let history = History::new(Arc::new(MemoryStore::summarizing(Arc::new(Windows))));
        let mut record = OperationRecord::new("answer");
        (record.id, record.duration) = (OperationId::from_bits(1), Duration::from_secs(78));
        for long in 1..=12 {
            record.add_component(format!("part{long}"), Duration::from_secs(long));
        }
        history.append(vec![record]).unwrap();
        let report = history.report(&Ask::new(Period::ALL, chrono::Utc::now())).unwrap();
        let parts = parts(&report.time_spent);
        let seconds: Vec<_> = parts.iter().map(|(_, of)| of[0].round()).collect();
        assert_eq!(seconds, [12.0, 11.0, 10.0, 9.0, 8.0, 7.0, 6.0, 15.0]);
        assert_eq!((&*parts[0].0, &*parts[7].0), ("part12", "5 others"));
        // As many colours as the style has.
        let style = include_str!("../assets/page.js");
        for look in ["light: [", "dark: ["] {
            let colours = style.split_once(look).unwrap().1.split_once(']').unwrap().0;
            assert_eq!(colours.matches('#').count(), COLOURS);
        }
    }
}
