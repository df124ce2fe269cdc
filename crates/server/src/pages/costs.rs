//! What was spent, told apart by anything.

use maud::{Markup, html};
use taximeter::history::{By, Group};
use taximeter::report::{count, money};

use super::frame::missing;
use super::words::{NONE, each, link, narrowed, share, spend, took};
use crate::questions::Filter;

const ALL: [&str; 9] =
    ["model", "provider", "operation", "tool", "component", "user", "session", "hour", "day"];

pub(super) fn page(groups: &[Group], by: &By, filter: &Filter) -> Markup {
    let key = by.to_string();
    let shown = if key == "llm" { "model" } else { &key };
    html! {
        h1 { "Costs by " (shown) }
        div.periods role="group" aria-label="By" {
            @for one in ALL {
                a href=(link("/costs", filter, &[("by", one)])) aria-current=[(one == shown).then_some("true")] { (one) }
            }
        }
        @if groups.is_empty() {
            (missing("nothing was recorded in this period", "let op = taximeter::operation(\"qa_response\").start();"))
        } @else { (table(groups, &key, filter)) }
    }
}

fn table(groups: &[Group], key: &str, filter: &Filter) -> Markup {
    html! {
        section.card {
            div.scroll tabindex="0" role="region" aria-label=(format!("Costs by {key}")) {
                table {
                    thead { tr {
                        th scope="col" { (key) } th scope="col" { "Count" } th scope="col" { "Errors" }
                        th scope="col" { "p50" } th scope="col" { "p95" } th scope="col" { "Input" }
                        th scope="col" { "Output" } th scope="col" { "Cached" } th scope="col" { "Each" }
                        th scope="col" { "Cost" }
                    } }
                    tbody {
                        @for group in groups {
                            @let took_of = group.duration_seconds.as_ref();
                            tr {
                                th scope="row" {
                                    @match (&group.key, group.start) {
                                        (Some(name), _) => a href=(narrowed(filter, key, name)) { (name) },
                                        (None, Some(start)) => (start.format("%F %H:%M")),
                                        (None, None) => "(not told)",
                                    }
                                }
                                td { (count(group.count())) }
                                td { (share(group.errors())) }
                                td { (took_of.map_or_else(|| NONE.into(), |took_of| took(Some(took_of.p50)))) }
                                td { (took_of.map_or_else(|| NONE.into(), |took_of| took(Some(took_of.p95)))) }
                                td { (count(group.input_tokens)) }
                                td { (count(group.output_tokens)) }
                                td { (share(group.cache_read)) }
                                td { (each(group.mean_cost().filter(|mean| !mean.is_zero()))) }
                                td { (spend(group.total_cost, group.unpriced_calls)) }
                            }
                        }
                    }
                }
            }
            p.note { (money(groups.iter().map(|group| group.total_cost).sum())) " in all" }
        }
    }
}
