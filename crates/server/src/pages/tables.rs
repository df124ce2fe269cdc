//! The tables that only the first screen has: who spends the most, and what tokens there are.

use maud::{Markup, html};
use taximeter::history::{Report, Spenders};
use taximeter::report::{count, counted, money, part, share, spend};
use taximeter::{Rate, Unit};

use super::frame::{groups, heading, missing, scroll};
use super::words::{link, narrowed};
use crate::questions::Filter;

pub(super) fn spenders(spenders: &Spenders, report: &Report, filter: &Filter) -> Markup {
    let all = report.totals.cost.usd().to_f64_lossy();
    let key = spenders.by.to_string();
    html! {
        section.card {
            (heading(&format!("Top spenders by {key}"), &groups(filter, &key)))
            (scroll(&format!("Top spenders by {key}"), &html! {
                table {
                    thead { tr {
                        th scope="col" { (key) } th scope="col" { "Cost" } th scope="col" { "Share" }
                        th scope="col" { "Operations" }
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
                                td { (spend(spender.total_cost, spender.unpriced_calls)) }
                                td { (part(Some(spender.total_cost.to_f64_lossy() / all).filter(|part| part.is_finite()))) }
                                td { (count(spender.operations)) }
                            }
                        }
                        @if spenders.others > 0 {
                            tr {
                                th scope="row" { a href=(link("/costs", filter, &[("by", &key)])) { (counted(spenders.others, "other")) } }
                                td { (money(spenders.others_cost)) }
                                td {} td {}
                            }
                        }
                    }
                }
            }))
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
            (scroll("Tokens", &html! {
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
            }))
        }
    }
}
