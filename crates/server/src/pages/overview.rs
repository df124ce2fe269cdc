//! The first screen: what needs attention, six numbers, money, time and errors over time, who and what.

use maud::{Markup, html};
use taximeter::analysis::When;
use taximeter::history::{Change, Report};
use taximeter::report::{count, counted, money, seconds};
use taximeter::{Money, Rate};

use super::frame::missing;
use super::words::{change, encoded, instant, link, share, spend, took};
use super::{charts, operations, tables};
use crate::questions::Filter;

pub(super) fn page(report: &Report, filter: &Filter) -> Markup {
    if report.totals.operations() == 0 {
        return html! {
            h1 { "Overview" }
            p.period { (report.period) }
            (missing("no operation was recorded in this period", "let op = taximeter::operation(\"qa_response\").start();"))
            p { "Or send OTLP: " code { "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318" } }
        };
    }
    html! {
        h1 { "Overview" }
        p.period { (report.period) " · " (counted(report.totals.operations(), "operation")) }
        (alerts(report))
        (attention(report))
        (numbers(report))
        div.two {
            (charts::spend(report))
            (charts::latency(report))
            (charts::errors(report))
            (charts::time(report))
        }
        (tables::llms(report, filter))
        (tables::tools(report, filter))
        div.two { @for spenders in &report.spenders { (tables::spenders(spenders, report, filter)) } }
        section.card {
            h2 { "The dearest operations" }
            (operations::table(&report.dearest, "The dearest operations"))
            h2 { "The slowest operations" }
            (operations::table(&report.slowest, "The slowest operations"))
        }
        div.two { (tables::tokens(report)) (savings(report, filter)) }
    }
}

/// What fires whatever was before: losses, a budget, thresholds.
fn alerts(report: &Report) -> Markup {
    html! {
        @if !report.alerts.is_empty() {
            section.card aria-labelledby="alerts" {
                h2 #alerts { "Alerts" }
                ol.attention {
                    @for one in &report.alerts {
                        li { p.failure { (one.text) } p.look { code { (one.look) } } }
                    }
                }
            }
        }
    }
}

fn attention(report: &Report) -> Markup {
    html! {
        section.card aria-labelledby="attention" {
            h2 #attention { "Needs attention" }
            @if report.attention.is_empty() {
                p.good { "Nothing is worse than in the period before." }
            }
            ol.attention {
                @for one in &report.attention {
                    li {
                        p { (one.text) }
                        p.look {
                            code { (one.look) }
                        }
                    }
                }
            }
        }
    }
}

fn numbers(report: &Report) -> Markup {
    let numbers = &report.numbers;
    let cost = &report.totals.cost;
    let unknown = cost.unpriced_calls + cost.calls_without_usage;
    let usd = |amount: &Money| Some(amount.to_f64_lossy());
    let errors = numbers.errors.now;
    let interval = numbers.errors_interval_95.map_or_else(String::new, |(low, high)| {
        format!(
            "{:.1} to {:.1} % with 95 % confidence, of {}",
            low * 100.0,
            high * 100.0,
            count(errors.of)
        )
    });
    let first = took(numbers.first_token_p95_seconds.now);
    let saved =
        numbers.cache.saved.map_or_else(String::new, |usd| format!("{} saved, ", money(usd)));
    let read = numbers.cache.read.now;
    html! {
        section.numbers aria-label="Six numbers" {
            (number("Spend", &spend(numbers.spend.now, unknown), &unpriced(report), &numbers.spend, usd))
            (month(report))
            (number("Operations", &count(numbers.operations.now), &counted(numbers.llm_calls.now, "LLM call"),
                &numbers.operations, |many| Some(float(*many))))
            (number("Errors", &share(errors), &interval, &numbers.errors, |rate: &Rate| rate.fraction()))
            (number("95 % took at most", &took(numbers.p95_seconds.now), &format!("first token {first}"),
                &numbers.p95_seconds, |value| *value))
            (number("From a cache", &share(read), &format!("{saved}of {} input tokens", count(read.of)),
                &numbers.cache.read, |rate: &Rate| rate.fraction()))
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a change needs no more than 53 bits")]
fn float(count: u64) -> f64 {
    count as f64
}

fn number<V>(
    name: &str,
    now: &str,
    note: &str,
    of: &Change<V>,
    value: impl Fn(&V) -> Option<f64>,
) -> Markup {
    let moved = change(of.before.as_ref().and_then(&value), value(&of.now));
    html! {
        div.card.number {
            h2 { (name) }
            p.value { (now) }
            p.moved { (moved) " against the period before" }
            p.note { (note) }
            (charts::spark(&of.over_time))
        }
    }
}

fn unpriced(report: &Report) -> String {
    let cost = &report.totals.cost;
    match cost.unpriced_calls + cost.calls_without_usage {
        0 => "every call has a price".into(),
        calls => format!("{} without a price", counted(calls, "call")),
    }
}

fn month(report: &Report) -> Markup {
    let Some(month) = &report.numbers.month else {
        return html! {
            div.card.number {
                h2 { "This month" }
                p.value { "–" }
                p.note { "A forecast needs 14 days." }
            }
        };
    };
    let (low, expected, high) = month.expected();
    html! {
        div.card.number {
            h2 { "This month" }
            p.value { (format!("${expected:.2}")) }
            p.moved { (format!("${low:.2} to ${high:.2} with 80 %")) }
            p.note {
                @if let Some(budget) = month.budget { "of " (money(budget)) }
                @match month.exhaustion.as_ref().map(|gone| gone.estimate) {
                    Some(When::At(at)) => { ", gone on " (at.format("%F")) }
                    Some(When::Never) => { ", enough" }
                    None => {}
                }
            }
        }
    }
}

fn savings(report: &Report, filter: &Filter) -> Markup {
    let all = report.savings.optimization_suggestions.iter().zip(&report.savings.per_month);
    html! {
        section.card {
            h2 { "Savings" }
            @if report.savings.optimization_suggestions.is_empty() { p { "There is nothing to advise." } }
            ol {
                @for (advice, per_month) in all.take(3) {
                    li {
                        p { (advice.text) }
                        @if let Some(saved) = per_month {
                            p.note {
                                @if let Some(usd) = saved.usd { (money(usd)) " a month " }
                                @if let Some(time) = saved.seconds { (seconds(time)) " of waiting a month" }
                            }
                        }
                        @if let Some(proof) = advice.because.evidence.first() {
                            p.look { a href=(format!("/operations/{}", encoded(&proof.to_string()))) { "The operation that proves it" } }
                        }
                    }
                }
            }
            p.look { a href=(link("/advice", filter, &[])) { "All advice" } }
            @if let Some(last) = report.health.last_at { p.note { "The last operation began " (instant(last)) } }
        }
    }
}
