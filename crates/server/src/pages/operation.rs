//! One operation taken apart: its waterfall with the critical path, its calls, what they cost and why.

use maud::{Markup, html};
use taximeter::history::{Shown, Waterfall, WaterfallKind};
use taximeter::report::{NONE, count, counted, duration, money, part, part_name, seconds, took};
use taximeter::{CostEstimate, CostOutcome, LlmCall, OperationRecord};

use super::flame;
use super::frame::{heading, scroll};
use super::words::{encoded, instant, narrowed, one};
use crate::questions::Filter;

pub(super) fn page(shown: &Shown) -> Markup {
    let operation = &shown.operation;
    html! {
        p { a href="/operations" { "‹ All operations" } }
        h1 { (operation.name) }
        (about(operation))
        (waterfall(shown))
        (flame::view(&operation.name, &shown.waterfall, operation.duration.as_secs_f64()))
        (path(shown))
        @for call in &operation.llm_calls { (llm(call)) }
        @if !operation.errors.is_empty() || !operation.warnings.is_empty() {
            section.card {
                h2 { "Errors and warnings" }
                ul {
                    @for error in &operation.errors { li.failure { (error) } }
                    @for warning in &operation.warnings { li { (warning.message) } }
                }
            }
        }
        @if !operation.metadata.is_empty() {
            section.card {
                h2 { "Metadata" }
                dl { @for (key, value) in &operation.metadata { dt { (key) } dd { code { (value) } } } }
            }
        }
    }
}

fn about(operation: &OperationRecord) -> Markup {
    let (cost, usage) = (operation.cost(), operation.usage());
    let lacks = cost.unpriced_calls + cost.calls_without_usage;
    // A neighbour may be of any time.
    let all = Filter { since: "all".into(), ..Filter::default() };
    let json = format!("/api/v1/operations/{}", encoded(&operation.id.to_string()));
    html! {
        section.card {
            (heading("In short", &[("JSON", json)]))
            p.value class=(operation.outcome.as_str()) {
                (operation.outcome.as_str()) " in " (duration(operation.duration))
            }
            p {
                "began " (instant(operation.started_at)) " · "
                (count(usage.total_tokens())) " tokens (" (count(usage.input_tokens())) " in, "
                (count(usage.output_tokens())) " out) · " (money(cost.usd()))
                @if lacks > 0 { ", and " (counted(lacks, "call")) " without a price" }
            }
            dl {
                dt { "id" } dd { code { (operation.id) } }
                dt { "trace" } dd { code { (operation.trace_id) } }
                @if let Some(user) = &operation.user { dt { "user" } dd { a href=(narrowed(&all, "user", user)) { (user) } } }
                @if let Some(session) = &operation.session { dt { "session" } dd { a href=(narrowed(&all, "session", session)) { (session) } } }
                @if let Some(parent) = operation.parent {
                    dt { "within" } dd { a href=(one(parent)) { (parent) } }
                }
                @for (tag, value) in &operation.tags { dt { (tag) } dd { a href=(narrowed(&all, &format!("tag:{tag}"), value)) { (value) } } }
            }
        }
    }
}

/// The width of the picture, in units of its own.
const WIDE: f64 = 600.0;

fn waterfall(shown: &Shown) -> Markup {
    if shown.waterfall.is_empty() {
        return html! { section.card { p { "Nothing is known of what ran in it." } } };
    }
    let whole = shown.operation.duration.as_secs_f64();
    html! {
        section.card {
            h2 { "Waterfall" }
            p.note { "Filled: on the critical path. Outlined: beside it." }
            (scroll("Waterfall", &html! {
                table.waterfall {
                    thead { tr {
                        th scope="col" { "What" } th scope="col" { "When" } th scope="col" { "Began" }
                        th scope="col" { "Took" } th scope="col" { "Tokens" } th scope="col" { "Cost" }
                    } }
                    tbody {
                        @for line in &shown.waterfall {
                            tr class=[line.error.as_ref().map(|_| "failure")] {
                                th scope="row" {
                                    (kind(line.kind))
                                    @match line.id { Some(id) => a href=(one(id)) { (line.name) }, None => (line.name) }
                                    @if let Some(error) = &line.error { br; small { (error) } }
                                }
                                td { (stretch(line, whole)) }
                                td { @match line.start_seconds { Some(at) => { "+" (seconds(at)) } None => (NONE) } }
                                td { (took(line.seconds)) }
                                td { @if let Some(tokens) = line.tokens { (count(tokens)) } }
                                td { @if let Some(cost) = line.cost { (money(cost)) } }
                            }
                        }
                    }
                }
            }))
        }
    }
}

fn kind(kind: WaterfallKind) -> &'static str {
    match kind {
        WaterfallKind::Component => "",
        WaterfallKind::Tool => "tool ",
        WaterfallKind::Llm => "LLM ",
        WaterfallKind::Operation => "operation ",
    }
}

/// Where in the operation it ran; what tells no beginning has no place.
fn stretch(line: &Waterfall, whole: f64) -> Markup {
    let (Some(start), Some(long)) = (line.start_seconds, line.seconds) else {
        return html! {};
    };
    let place = |at: f64| {
        let share = (at / whole).clamp(0.0, 1.0);
        if share.is_finite() { share * WIDE } else { 0.0 }
    };
    let from = place(start);
    let wide = (place(start + long) - from).max(2.0);
    let class = if line.critical_seconds > 0.0 { "critical" } else { "beside" };
    let said = format!("from {} on, for {}", seconds(start), seconds(long));
    html! {
        svg viewBox=(format!("0 0 {WIDE} 12")) preserveAspectRatio="none" role="img" aria-label=(said) {
            rect class=(class) x=(format!("{from:.1}")) y="1" width=(format!("{wide:.1}")) height="10" {}
        }
    }
}

fn path(shown: &Shown) -> Markup {
    let Some(spent) = &shown.time_spent else { return html! {} };
    html! {
        section.card {
            h2 { "The critical path" }
            (scroll("The critical path", &html! {
                table {
                    thead { tr {
                        th scope="col" { "Part" } th scope="col" { "Seconds" } th scope="col" { "Share" }
                        th scope="col" { "At a time" }
                    } }
                    tbody {
                        @for one in &spent.all.parts {
                            tr {
                                th scope="row" { (part_name(&one.part)) }
                                td { (seconds(one.critical_seconds)) }
                                td { (part(Some(one.share))) }
                                td { (count(one.most_parallel)) }
                            }
                        }
                    }
                }
            }))
        }
    }
}

/// A call: what it used, what it cost, and why that.
fn llm(call: &LlmCall) -> Markup {
    let provider = call.provider.as_deref().unwrap_or("unknown");
    html! {
        section.card {
            h2 { "LLM call: " (provider) "/" (call.model()) @if call.attempt > 1 { ", attempt " (call.attempt) } }
            dl {
                @if let Some(took) = call.duration { dt { "took" } dd { (duration(took)) } }
                @if let Some(first) = call.time_to_first_token { dt { "first token after" } dd { (duration(first)) } }
                @if let Some(speed) = call.output_tokens_per_second() { dt { "speed" } dd { (format!("{speed:.0}")) " tokens/s" } }
                @if let Some(reason) = &call.finish_reason { dt { "ended" } dd { (reason) } }
                @if let Some(usage) = &call.usage {
                    dt { "tokens" }
                    dd { @for (unit, tokens) in usage.iter() { (count(tokens)) " " (unit) "; " } }
                }
                dt { "cost" } dd { (cost(&call.cost)) }
            }
            @if let Some(error) = &call.error { p.failure { (error) } }
            @if let CostOutcome::Priced(estimate) = &call.cost { (lines(estimate)) }
            @if let CostOutcome::PartlyUnpriced { priced, .. } = &call.cost { (lines(priced)) }
        }
    }
}

fn cost(cost: &CostOutcome) -> Markup {
    html! {
        @match cost.amount() {
            Some((amount, _)) => { (money(amount)) " (" (cost.as_str()) ")" }
            None => { "unpriced: " (cost.as_str()) }
        }
    }
}

/// Why a call costs what it costs: its lines, and the card that they are of.
fn lines(estimate: &CostEstimate) -> Markup {
    let card = &estimate.card;
    html! {
        (scroll("What it costs, and why", &html! {
            table {
                caption { "By the card of " (card.provider) "/" (card.model) }
                thead { tr {
                    th scope="col" { "Of" } th scope="col" { "Quantity" } th scope="col" { "Rate" } th scope="col" { "Amount" }
                } }
                tbody {
                    @for line in &estimate.lines {
                        tr {
                            th scope="row" { (line.unit) }
                            td { (count(line.quantity)) }
                            td {
                                (line.rate) " for " (count(line.per))
                                @if let Some((times, by)) = line.multiplier { ", × " (times) "/" (by) }
                            }
                            td { (money(line.amount)) }
                        }
                    }
                }
            }
        }))
    }
}
