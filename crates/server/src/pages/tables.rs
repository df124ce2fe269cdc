//! The tables of the first screen.

use maud::{Markup, html};
use taximeter::history::{Report, Spenders};
use taximeter::report::{count, counted, money};
use taximeter::{Rate, Unit};

use super::frame::missing;
use super::words::{NONE, each, narrowed, part, share, spend, took};
use crate::questions::Filter;

pub(super) fn llms(report: &Report, filter: &Filter) -> Markup {
    if report.by_llm.is_empty() {
        return missing(
            "no LLM call was recorded",
            "let mut call = op.llm_call(\"openai\", \"gpt-4o\").start();",
        );
    }
    html! {
        section.card {
            h2 { "LLMs, the dearest first" }
            div.scroll tabindex="0" role="region" aria-label="LLMs" {
                table {
                    thead { tr {
                        th scope="col" { "LLM" } th scope="col" { "Calls" } th scope="col" { "Errors" }
                        th scope="col" { "p50" } th scope="col" { "p95" } th scope="col" { "First token p95" }
                        th scope="col" { "Tokens/s" } th scope="col" { "Input" } th scope="col" { "Output" }
                        th scope="col" { "Cached" } th scope="col" { "Reasoning" } th scope="col" { "Cut off" }
                        th scope="col" { "To tools" } th scope="col" { "Each" } th scope="col" { "Cost" }
                    } }
                    tbody {
                        @for llm in &report.by_llm {
                            @let name = format!("{}/{}", llm.provider, llm.model);
                            tr {
                                th scope="row" { a href=(narrowed(filter, "llm", &name)) { (name) } }
                                td { (count(llm.success.rate.of)) }
                                td { (share(llm.success.rate.complement())) }
                                td { (took(llm.p50_seconds)) }
                                td { (took(llm.p95_seconds)) }
                                td { (took(llm.first_token_p95_seconds)) }
                                td { (llm.output_tokens_per_second.map_or_else(|| NONE.into(), |speed| format!("{speed:.0}"))) }
                                td { (count(llm.input_tokens)) }
                                td { (count(llm.output_tokens)) }
                                td { (share(llm.cache_read)) }
                                td { (share(llm.reasoning)) }
                                td { (share(llm.truncated)) }
                                td { (share(llm.tool_replies)) }
                                td { (each(llm.mean_cost.filter(|mean| !mean.is_zero()))) }
                                td { (spend(llm.total_cost, llm.cost.unpriced_calls + llm.cost.calls_without_usage)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn tools(report: &Report, filter: &Filter) -> Markup {
    if report.by_tool.is_empty() {
        return missing(
            "no tool call was recorded",
            "op.tool(\"web_search\").run(|| search(question));",
        );
    }
    html! {
        section.card {
            h2 { "Tools" }
            div.scroll tabindex="0" role="region" aria-label="Tools" {
                table {
                    thead { tr {
                        th scope="col" { "Tool" } th scope="col" { "Calls" } th scope="col" { "Success (95 %)" }
                        th scope="col" { "Most errors" } th scope="col" { "Retries" } th scope="col" { "p50" }
                        th scope="col" { "p95" } th scope="col" { "Of the time" }
                    } }
                    tbody {
                        @for tool in &report.by_tool {
                            tr {
                                th scope="row" { a href=(narrowed(filter, "tool", &tool.tool)) { (tool.tool) } }
                                td { (count(tool.success.rate.of)) }
                                td {
                                    (share(tool.success.rate))
                                    @if let Some(interval) = &tool.success.interval_95 {
                                        (format!(" ({:.0} to {:.0})", interval.low * 100.0, interval.high * 100.0))
                                    }
                                }
                                td {
                                    @match tool.top_error {
                                        Some((category, errors)) => { (category) " (" (count(errors)) ")" }
                                        None => (NONE)
                                    }
                                }
                                td { (share(tool.retries)) }
                                td { (took(tool.p50_seconds)) }
                                td { (took(tool.p95_seconds)) }
                                td { (part(tool.share_of_time)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn spenders(spenders: &Spenders, report: &Report, filter: &Filter) -> Markup {
    let all = report.totals.cost.usd().to_f64_lossy();
    let key = spenders.by.to_string();
    html! {
        section.card {
            h2 { "Top spenders by " (key) }
            div.scroll tabindex="0" role="region" aria-label=(format!("Top spenders by {key}")) {
                table {
                    thead { tr {
                        th scope="col" { (key) } th scope="col" { "Operations" } th scope="col" { "Share" }
                        th scope="col" { "Cost" }
                    } }
                    tbody {
                        @for spender in &spenders.top {
                            tr {
                                th scope="row" {
                                    @match &spender.key {
                                        Some(name) => a href=(narrowed(filter, &key, name)) { (name) },
                                        None => "(not told)",
                                    }
                                }
                                td { (count(spender.operations)) }
                                td { (part(Some(spender.total_cost.to_f64_lossy() / all).filter(|part| part.is_finite()))) }
                                td { (spend(spender.total_cost, spender.unpriced_calls)) }
                            }
                        }
                        @if spenders.others > 0 {
                            tr {
                                th scope="row" { (counted(spenders.others, "other")) }
                                td {} td {}
                                td { (money(spenders.others_cost)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn tokens(report: &Report) -> Markup {
    let usage = &report.totals.usage;
    if usage.is_empty() {
        return missing(
            "no reply told what it used",
            "call.usage(TokenUsage::inclusive(1_200, 350).cache_read(200));",
        );
    }
    let (input, output) = (usage.input_tokens(), usage.output_tokens());
    let of = |hits: u64, of: u64| share(Rate { hits: hits.min(of), of });
    let row = |name: &str, tokens: u64, part: String| {
        html! { tr { th scope="row" { (name) } td { (count(tokens)) } td { (part) } } }
    };
    html! {
        section.card {
            h2 { "Tokens" }
            table {
                thead { tr { th scope="col" { "Of" } th scope="col" { "Tokens" } th scope="col" { "Share" } } }
                tbody {
                    (row("input", input, of(input, input.saturating_add(output))))
                    @for (unit, tokens) in usage.iter().filter(|(unit, _)| unit.is_input_tokens()) {
                        (row(&if unit == Unit::Input { "· not cached".into() } else { format!("· {unit}") }, tokens, of(tokens, input)))
                    }
                    (row("output", output, of(output, input.saturating_add(output))))
                    @for (unit, tokens) in usage.iter().filter(|(unit, _)| !unit.is_input_tokens() && *unit != Unit::Output) {
                        (row(&format!("· {unit}"), tokens, of(tokens, output)))
                    }
                }
            }
        }
    }
}
