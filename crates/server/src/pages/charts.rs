//! Charts: drawn by plotly.js out of the JSON that the crate plotly makes, with the same numbers as a table below.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use maud::{Markup, html};
use plotly::common::{Mode, Title};
use plotly::layout::{Axis, BarMode, Margin};
use plotly::{Bar, Layout, Plot, Scatter};
use taximeter::analysis::Part;
use taximeter::history::{Moment, Report};
use taximeter::report::{count, money, seconds};
use taximeter::{Money, Name};

use super::words::{part, took};

/// So many LLMs have a colour of their own.
const SERIES: usize = 6;

/// A chart, the numbers of which stand below it.
fn figure(title: &str, unit: &str, plot: Plot, numbers: &Markup) -> Markup {
    let mut plot = plot;
    let layout = plot.layout().clone();
    plot.set_layout(
        layout
            .margin(Margin::new().left(60).right(10).top(10).bottom(40))
            .height(340)
            .y_axis(Axis::new().title(Title::with_text(unit))),
    );
    html! {
        figure.card {
            figcaption { h2 { (title) } button.save type="button" { "Save as SVG" } }
            div.plot data-plot=(plot.to_json()) role="img" aria-label=(format!("{title}; the numbers stand below")) {}
            details {
                summary { "The numbers" }
                div.scroll tabindex="0" role="region" aria-label=(format!("{title}, numbers")) { table { (numbers) } }
            }
        }
    }
}

fn starts(report: &Report) -> Vec<String> {
    report.over_time.moments.iter().map(|at| at.start.format("%F %H:%M").to_string()).collect()
}

pub(super) fn spend(report: &Report) -> Markup {
    let mut by_llm = BTreeMap::<&Name, Money>::new();
    for (llm, usd) in report.over_time.moments.iter().flat_map(|at| &at.cost_by_llm) {
        *by_llm.entry(llm).or_default() += *usd;
    }
    let mut llms: Vec<_> = by_llm.into_iter().collect();
    llms.sort_by_key(|(llm, usd)| (std::cmp::Reverse(*usd), *llm));
    let named: Vec<&Name> = llms.iter().take(SERIES).map(|(llm, _)| *llm).collect();
    let of = |at: &Moment, llm: &Name| at.cost_by_llm.get(llm).copied().unwrap_or_default();
    let mut plot = Plot::new();
    for llm in &named {
        let usd = report.over_time.moments.iter().map(|at| of(at, llm).to_f64_lossy()).collect();
        plot.add_trace(Bar::new(starts(report), usd).name(llm));
    }
    let others = |at: &Moment| at.total_cost - named.iter().map(|llm| of(at, llm)).sum::<Money>();
    if llms.len() > SERIES {
        let usd = report.over_time.moments.iter().map(|at| others(at).to_f64_lossy()).collect();
        plot.add_trace(Bar::new(starts(report), usd).name("others"));
    }
    plot.set_layout(Layout::new().bar_mode(BarMode::Stack));
    let numbers = html! {
        thead { tr {
            th scope="col" { "From" } th scope="col" { "All" }
            @for llm in &named { th scope="col" { (llm) } }
        } }
        tbody {
            @for at in &report.over_time.moments {
                tr {
                    th scope="row" { (at.start.format("%F %H:%M")) }
                    td { (money(at.total_cost)) }
                    @for llm in &named { td { (money(of(at, llm))) } }
                }
            }
        }
    };
    figure(&format!("Spend by {}", report.over_time.step), "US dollars", plot, &numbers)
}

/// What a line is called, and what it reads of a step.
type Line = (&'static str, fn(&Moment) -> Option<f64>);

pub(super) fn latency(report: &Report) -> Markup {
    let lines: [Line; 5] = [
        ("p50", |at| at.p50_seconds),
        ("p90", |at| at.p90_seconds),
        ("p95", |at| at.p95_seconds),
        ("p99", |at| at.p99_seconds),
        ("first token p95", |at| at.first_token_p95_seconds),
    ];
    let mut plot = Plot::new();
    for (name, of) in lines {
        let values: Vec<_> = report.over_time.moments.iter().map(of).collect();
        plot.add_trace(Scatter::new(starts(report), values).mode(Mode::LinesMarkers).name(name));
    }
    let numbers = html! {
        thead { tr {
            th scope="col" { "From" } @for (name, _) in lines { th scope="col" { (name) } }
        } }
        tbody {
            @for at in &report.over_time.moments {
                tr {
                    th scope="row" { (at.start.format("%F %H:%M")) }
                    @for (_, of) in lines { td { (took(of(at))) } }
                }
            }
        }
    };
    figure(&format!("Latency by {}", report.over_time.step), "seconds", plot, &numbers)
}

pub(super) fn errors(report: &Report) -> Markup {
    let categories: Vec<_> = report.totals.errors_by_category.keys().copied().collect();
    let moments = &report.over_time.moments;
    let mut plot = Plot::new();
    let good = moments.iter().map(|at| at.operations - at.failed.min(at.operations)).collect();
    plot.add_trace(Bar::new(starts(report), good).name("succeeded"));
    for category in &categories {
        let of = |at: &Moment| at.errors_by_category.get(category).copied().unwrap_or(0);
        let values = moments.iter().map(of).collect();
        plot.add_trace(Bar::new(starts(report), values).name(category.to_string()));
    }
    plot.set_layout(Layout::new().bar_mode(BarMode::Stack));
    let numbers = html! {
        thead { tr {
            th scope="col" { "From" } th scope="col" { "Operations" } th scope="col" { "Not succeeded" }
            @for category in &categories { th scope="col" { (category) } }
        } }
        tbody {
            @for at in moments {
                tr {
                    th scope="row" { (at.start.format("%F %H:%M")) }
                    td { (count(at.operations)) }
                    td { (count(at.failed)) }
                    @for category in &categories {
                        td { (count(at.errors_by_category.get(category).copied().unwrap_or(0))) }
                    }
                }
            }
        }
    };
    figure(&format!("Operations and errors by {}", report.over_time.step), "count", plot, &numbers)
}

/// Where the time goes: a bar for each operation, of the parts of its critical path.
pub(super) fn time(report: &Report) -> Markup {
    let mut plot = Plot::new();
    let operations: Vec<_> =
        report.time_spent.iter().map(|spent| spent.operation.to_string()).collect();
    let mut parts = BTreeMap::<String, Vec<f64>>::new();
    for (at, spent) in report.time_spent.iter().enumerate() {
        for one in &spent.all.parts {
            let values =
                parts.entry(named(&one.part)).or_insert_with(|| vec![0.0; operations.len()]);
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
            @for spent in &report.time_spent {
                @for one in &spent.all.parts {
                    tr {
                        th scope="row" { (spent.operation) }
                        td { (named(&one.part)) }
                        td { (seconds(one.critical_seconds)) }
                        td { (part(Some(one.share))) }
                    }
                }
            }
        }
    };
    figure("Where the time goes, on the critical path", "seconds of one operation", plot, &numbers)
}

fn named(part: &Part) -> String {
    match part {
        Part::Llm(name) => format!("LLM {name}"),
        Part::Tool(name) => format!("tool {name}"),
        other => other.to_string(),
    }
}

/// A small line without axes; what is not known is a gap.
pub(super) fn spark(values: &[Option<f64>]) -> Markup {
    const WIDE: f64 = 120.0;
    const HIGH: f64 = 24.0;
    let most = values.iter().flatten().copied().fold(0.0, f64::max);
    let seen = values.iter().flatten().count();
    if seen < 2 || most <= 0.0 {
        return html! {};
    }
    #[expect(clippy::cast_precision_loss, reason = "a place in a picture")]
    let x = |at: usize| at as f64 / (values.len() - 1) as f64 * WIDE;
    let y = |value: f64| HIGH - value / most * (HIGH - 2.0) - 1.0;
    let mut path = String::new();
    let mut open = false;
    for (at, value) in values.iter().enumerate() {
        match value {
            Some(value) => {
                let step = if open { 'L' } else { 'M' };
                let _ = write!(path, "{step}{:.1} {:.1}", x(at), y(*value));
                open = true;
            }
            None => open = false,
        }
    }
    html! {
        svg.spark viewBox=(format!("0 0 {WIDE} {HIGH}")) preserveAspectRatio="none" aria-hidden="true" {
            path d=(path) {}
        }
    }
}
