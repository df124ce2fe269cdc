//! How the LLMs do: latency, speed, the first token, caches, cost of a call, replies that were cut off, errors.

use maud::{Markup, html};
use taximeter::history::{LlmRow, LookedAt, OverTime, Period};
use taximeter::report::{NONE, count, each, money, share, spend, took};

use super::frame::{groups, heading, looked, missing, scroll};
use super::over_time;
use super::words::{narrowed, ordered};
use crate::questions::Filter;

pub(super) fn page(
    rows: &[LlmRow],
    over_time: &OverTime,
    period: Period,
    at: Option<LookedAt>,
    filter: &Filter,
) -> Markup {
    let speed =
        |value: Option<f64>| value.map_or_else(|| NONE.into(), |speed| format!("{speed:.0}"));
    let dollars =
        |value: Option<f64>| value.map_or_else(|| NONE.into(), |usd| format!("${usd:.6}"));
    html! {
        h1 { "LLMs" }
        p.period { (period) }
        (looked(at))
        (table(rows, filter))
        @if !rows.is_empty() {
            div.two {
                (over_time::by_llm("p95 of a call", "seconds", over_time, filter, |at| at.p95_seconds, took))
                (over_time::by_llm("First token, p95", "seconds", over_time, filter, |at| at.first_token_p95_seconds, took))
                (over_time::by_llm("Output after the first token, median", "tokens/s", over_time, filter, |at| at.output_tokens_per_second, speed))
                (over_time::by_llm("Cost of a call, mean of what is known", "US dollars", over_time, filter, mean_cost, dollars))
                (over_time::by_llm("Input from a cache", "% of the input tokens", over_time, filter, cached, percent))
                (over_time::by_llm("Failed calls", "% of the calls", over_time, filter, failing, percent))
            }
        }
    }
}

fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| NONE.into(), |value| format!("{value:.1} %"))
}

fn mean_cost(at: &taximeter::history::LlmMoment) -> Option<f64> {
    let known = at.calls.checked_sub(at.unpriced_calls)?;
    at.total_cost.mean(known).map(taximeter::Money::to_f64_lossy)
}

fn cached(at: &taximeter::history::LlmMoment) -> Option<f64> {
    part(at.cache_read_tokens, at.input_tokens)
}

fn failing(at: &taximeter::history::LlmMoment) -> Option<f64> {
    part(at.failed, at.calls)
}

fn part(hits: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| over_time::float(hits) / over_time::float(of) * 100.0)
}

/// Each LLM in a line, as the first screen shows it too.
pub(super) fn table(rows: &[LlmRow], filter: &Filter) -> Markup {
    if rows.is_empty() {
        return missing(
            "no LLM call was recorded",
            "let mut call = op.llm_call(\"openai\", \"gpt-4o\").start();",
        );
    }
    html! {
        section.card {
            (heading("Every LLM, the dearest first", &groups(filter, "llm")))
            (scroll("LLMs", &html! {
                table.dense {
                    thead { tr {
                        th scope="col" { "LLM" } th scope="col" { "Cost" } th scope="col" { "Each" } th scope="col" { "Calls" } th scope="col" { "Errors" } th scope="col" { "Retries" }
                        th scope="col" { "p50" } th scope="col" { "p95" } th scope="col" { "First token p95" }
                        th scope="col" { "Tokens/s" } th scope="col" { "Input" } th scope="col" { "Output" }
                        th scope="col" { "Cached" } th scope="col" { "Reasoning" } th scope="col" { "Cut off" }
                        th scope="col" { "To tools" }
                    } }
                    tbody { @for llm in rows { (row(llm, filter)) } }
                }
            }))
            @if rows.iter().all(|llm| llm.first_token_p95_seconds.is_none()) {
                p.note { "No call told when its first token came: " code { "call.first_token()" } ", or the attribute " code { "gen_ai.response.time_to_first_chunk" } "." }
            }
        }
    }
}

fn row(llm: &LlmRow, filter: &Filter) -> Markup {
    let name = format!("{}/{}", llm.provider, llm.model);
    let to = |order: &str| ordered(filter, "llm", &name, order);
    let unknown = llm.cost.unpriced_calls + llm.cost.calls_without_usage;
    html! {
        tr {
            th scope="row" { a href=(narrowed(filter, "llm", &name)) { (name) } }
            td {
                a href=(to("dearest")) title=(format!("{} in all", money(llm.total_cost))) { (spend(llm.total_cost, unknown)) }
            }
            td { (each(llm.mean_cost.filter(|mean| !mean.is_zero()))) }
            td { (count(llm.success.rate.of)) }
            td { a href=(to("failed")) { (share(llm.success.rate.complement())) } }
            td { (share(llm.retries)) }
            td { (took(llm.p50_seconds)) }
            td { a href=(to("slowest")) { (took(llm.p95_seconds)) } }
            td { (took(llm.first_token_p95_seconds)) }
            td { (llm.output_tokens_per_second.map_or_else(|| NONE.into(), |speed| format!("{speed:.0}"))) }
            td { (count(llm.input_tokens)) }
            td { (count(llm.output_tokens)) }
            td { (share(llm.cache_read)) }
            td { (share(llm.reasoning)) }
            td { (share(llm.truncated)) }
            td { (share(llm.tool_replies)) }
        }
    }
}
