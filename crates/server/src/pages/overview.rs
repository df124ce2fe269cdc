//! The first screen: what needs attention, six numbers, money, time and errors over time, who and what.

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use taximeter::analysis::{Dimension, When};
use taximeter::history::{Attention, Cause, Change, Concern, KindSpent, Report};
use taximeter::report::{count, counted, money, share, spend, took};
use taximeter::{Money, Rate};
use taximeter_alerts::FiringNow;

use super::ahead::Coming;
use super::compare::{self, Sides};
use super::frame::{looked, no_operation};
use super::over_time::float;
use super::words::{self, change, instant, link};
use super::{advice, alerts, charts, llms, operations, over_time, sessions, tables, tools};
use crate::demo::Demo;
use crate::questions::{Filter, Questions};

/// What stands on the chart of spending beside what the report says.
pub(super) struct Spent {
    /// What was spent on each kind of token, where that is asked for.
    pub(super) kinds: Vec<KindSpent>,
    pub(super) coming: Coming,
}

pub(super) fn page(
    report: &Report,
    sides: &Sides,
    spent: Spent,
    firing: &[FiringNow],
    questions: &Questions,
    filter: &Filter,
) -> Markup {
    if report.totals.operations() == 0 {
        return empty(report, questions);
    }
    html! {
        h1 { "Overview" }
        p.period { (report.period) " · " (counted(report.totals.operations(), "operation")) " · " (health(report, filter)) }
        (looked(report.looked_at))
        @if !firing.is_empty() { (alerts::firing(firing, Utc::now())) }
        @if !report.alerts.is_empty() { (attention("Alerts", &report.alerts, report, filter)) }
        (attention("Needs attention", &report.attention, report, filter))
        (numbers(report, filter))
        @if !filter.compare.is_empty() { (compare::measures(sides)) }
        div.two {
            (over_time::spending(&report.over_time, &spent.kinds, spent.coming, filter))
            (over_time::latency(&report.over_time, filter))
            (over_time::errors(report, filter))
            (over_time::time_by_step(report, filter))
            (over_time::time(report, filter))
        }
        (llms::table(&report.by_llm, filter))
        (tools::brief(&report.by_tool, filter))
        div.three { @for spenders in &report.spenders { (tables::spenders(spenders, report, filter)) } }
        (sessions::top(report, filter))
        section.card {
            h2 { a href=(link("/operations", filter, &[("order", "dearest")])) { "The dearest operations" } }
            (operations::table(&report.dearest, "The dearest operations", filter))
            h2 { a href=(link("/operations", filter, &[("order", "slowest")])) { "The slowest operations" } }
            (operations::table(&report.slowest, "The slowest operations", filter))
        }
        div.two { (tables::tokens(report)) (savings(report, filter)) }
    }
}

/// What a newcomer sees, and a store of which nothing is in the period.
fn empty(report: &Report, questions: &Questions) -> Markup {
    html! {
        h1 { "Overview" }
        p.period { (report.period) }
        (no_operation(questions.endpoint.as_deref()))
        @if report.health.operations > 0 {
            p { (counted(report.health.operations, "operation")) " of other times are stored: " a href="/?since=all" { "show all of them" } "." }
        }
        @if questions.demo == Demo::Off {
            form.inline method="post" action="/demo" { button { "See it alive, with demo data" } }
            p.note { "The operations of a RAG application are played into a store in memory, beside yours; " code { "taximeter serve --demo" } " does the same." }
        } @else { p { "The curtain rises in a moment." } }
    }
}

/// How far the numbers can be trusted, in a line.
fn health(report: &Report, filter: &Filter) -> Markup {
    let health = &report.health;
    html! {
        a.health href=(link("/health", filter, &[])) {
            @if health.losses.lost > 0 { (counted(health.losses.lost, "operation")) " lost · " }
            @if health.unpriced_calls > 0 { (counted(health.unpriced_calls, "call")) " unpriced · " }
            @if let Some(day) = health.prices_as_of { "prices of " (day) }
            @if let Some(last) = health.last_at { " · last began " (instant(last)) }
        }
    }
}

fn attention(title: &str, all: &[Attention], report: &Report, filter: &Filter) -> Markup {
    let until = report.period.until.unwrap_or_else(Utc::now);
    let id = title.to_lowercase().replace(' ', "-");
    html! {
        section.card aria-labelledby=(id) {
            h2 id=(id) { (title) }
            @if all.is_empty() { p.good { "Nothing is worse than in the period before." } }
            ol.attention {
                @for one in all {
                    li {
                        p { @match behind(one, filter) { Some(to) => a href=(to) { (one.text) }, None => (one.text) } }
                        @if let Some(cause) = &one.cause { p { (told(one, cause, until, filter)) } }
                        p.look { code { (one.look) } }
                    }
                }
            }
        }
    }
}

/// Since when it is so, and in what it lies: with the way to these operations.
fn told(one: &Attention, cause: &Cause, until: DateTime<Utc>, filter: &Filter) -> Markup {
    let since = cause.since.as_ref().map(|since| words::stretch(since.at, until));
    let to = one.by.as_ref().map(|by| {
        let only = words::also(filter, &by.to_string(), &one.about);
        let of = Filter { only, ..filter.clone() };
        let only = match chosen(cause) {
            Some((by, key)) => words::also(&of, &by, key),
            None => of.only,
        };
        let when = since.as_deref().unwrap_or(&filter.since);
        link("/operations", filter, &[("since", when), ("only", &only), ("by", ""), ("order", "")])
    });
    html! { (cause) @if let Some(to) = to { " · " a href=(to) { "these operations" } } }
}

/// The driver as a condition: several tools or LLMs together are none.
fn chosen(cause: &Cause) -> Option<(String, &str)> {
    let driver = cause.driver.as_ref()?;
    let key = driver.key.as_deref().filter(|key| !key.contains(" + "))?;
    Some((driver.by.to_string(), key))
}

/// The page of what needs attention: the operations behind it, or where it is mended.
fn behind(one: &Attention, filter: &Filter) -> Option<String> {
    let order = match &one.concern {
        Concern::MoreErrors { .. } => "failed",
        Concern::Slower { .. } => "slowest",
        Concern::Dearer { .. } => "dearest",
        Concern::Unpriced { .. } => return Some(link("/prices", filter, &[])),
        Concern::Budget { .. } => return Some(link("/costs", filter, &[])),
        Concern::Threshold { finding } => {
            let proof = finding.evidence.first();
            return proof.map(|proof| words::one(*proof));
        }
        _ => return Some(link("/health", filter, &[])),
    };
    let by = one.by.as_ref()?.to_string();
    Some(words::ordered(filter, &by, &one.about, order))
}

fn numbers(report: &Report, filter: &Filter) -> Markup {
    let against = if filter.compare == "off" { "" } else { " against the period before" };
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
            (number("Spend", against, &link("/costs", filter, &[("order", "")]), &spend(numbers.spend.now, unknown), &unpriced(report), &numbers.spend, usd))
            (month(report, filter))
            (number("Operations", against, &link("/operations", filter, &[("order", "")]), &count(numbers.operations.now), &calls(report),
                &numbers.operations, |many| Some(float(*many))))
            (number("Errors", against, &link("/operations", filter, &[("order", "failed")]), &share(errors), &interval, &numbers.errors, |rate: &Rate| rate.fraction()))
            (number("95 % took at most", against, &link("/operations", filter, &[("order", "slowest")]), &took(numbers.p95_seconds.now), &format!("first token {first}"),
                &numbers.p95_seconds, |value| *value))
            (number("From a cache", against, &link("/llms", filter, &[("order", "")]), &share(read), &format!("{saved}of {} input tokens", count(read.of)),
                &numbers.cache.read, |rate: &Rate| rate.fraction()))
        }
    }
}

fn number<V>(
    name: &str,
    against: &str,
    to: &str,
    now: &str,
    note: &str,
    of: &Change<V>,
    value: impl Fn(&V) -> Option<f64>,
) -> Markup {
    let moved = change(of.before.as_ref().and_then(&value), value(&of.now));
    html! {
        div.card.number {
            h2 { a href=(to) { (name) } }
            p.value { (now) }
            @if !against.is_empty() { p.moved { (moved) (against) } }
            p.note { (note) }
            (charts::spark(&of.over_time))
        }
    }
}

/// The calls, and the conversations where there are any and they were counted.
fn calls(report: &Report) -> String {
    let calls = counted(report.numbers.llm_calls.now, "LLM call");
    let of = report.spenders.iter().find(|spenders| spenders.by == Dimension::Session);
    of.map_or(calls.clone(), |of| format!("{calls}, {}", counted(of.named, "session")))
}

fn unpriced(report: &Report) -> String {
    let cost = &report.totals.cost;
    match cost.unpriced_calls + cost.calls_without_usage {
        0 => "every call has a price".into(),
        calls => format!("{} without a price", counted(calls, "call")),
    }
}

fn month(report: &Report, filter: &Filter) -> Markup {
    let Some(month) = &report.numbers.month else {
        return html! {
            div.card.number {
                h2 { a href=(link("/costs", filter, &[])) { "This month" } }
                p.value { "–" }
                p.note { "A forecast needs 14 days." }
            }
        };
    };
    let (low, expected, high) = month.expected();
    html! {
        div.card.number {
            h2 { a href=(link("/costs", filter, &[])) { "This month" } }
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
                        (advice::saves(per_month.as_ref()))
                        @if let Some(proof) = advice.because.evidence.first() {
                            p.look { a href=(words::one(*proof)) { "The operation that proves it" } }
                        }
                    }
                }
            }
            p.look { a href=(link("/advice", filter, &[])) { "All advice" } }
        }
    }
}
