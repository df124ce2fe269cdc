//! Lists of operations.

use maud::{Markup, html};
use taximeter::history::{Line, LookedAt};
use taximeter::report::{count, counted, seconds};

use super::words::{encoded, instant, link, spend};
use crate::questions::Filter;

const ORDERS: [&str; 4] = ["newest", "slowest", "dearest", "failed"];

pub(super) fn page(lines: &[Line], looked_at: LookedAt, filter: &Filter) -> Markup {
    let order = if filter.order.is_empty() { "newest" } else { &filter.order };
    html! {
        h1 { "Operations" }
        div.periods role="group" aria-label="Which first" {
            @for one in ORDERS {
                a href=(link("/operations", filter, &[("order", one)])) aria-current=[(one == order).then_some("true")] { (one) }
            }
        }
        section.card {
            @if lines.is_empty() { p { "No operation is of this kind. Name a longer period, or fewer conditions." } }
            @else { (table(lines, "Operations")) }
            p.note {
                (counted(lines.len() as u64, "operation")) " shown"
                @if looked_at.damaged > 0 { ", " (counted(looked_at.damaged, "damaged record")) " left out" }
            }
        }
    }
}

pub(super) fn table(lines: &[Line], label: &str) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) {
            table {
                thead { tr {
                    th scope="col" { "Operation" } th scope="col" { "Began" } th scope="col" { "Took" }
                    th scope="col" { "Ended" } th scope="col" { "LLM calls" } th scope="col" { "Tool calls" }
                    th scope="col" { "Tokens" } th scope="col" { "Cost" } th scope="col" { "User" }
                } }
                tbody {
                    @for line in lines {
                        tr {
                            th scope="row" {
                                a href=(format!("/operations/{}", encoded(&line.operation_id.to_string()))) { (line.operation_name) }
                            }
                            td { (instant(line.started_at)) }
                            td { (seconds(line.total_duration)) }
                            td class=(line.outcome.as_str()) {
                                (line.outcome.as_str())
                                @if let Some(error) = line.error { " (" (error) ")" }
                            }
                            td { (count(line.llm_calls)) }
                            td { (count(line.tool_calls)) }
                            td { (count(line.total_tokens)) }
                            td { (spend(line.total_cost, line.unpriced_calls)) }
                            td { @if let Some(user) = &line.user { (user) } }
                        }
                    }
                }
            }
        }
    }
}
