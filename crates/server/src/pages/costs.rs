//! What was spent: told apart by anything, over time, why it changed, what comes, and what it would be elsewhere.

use chrono::TimeDelta;
use maud::{Markup, html};
use taximeter::history::{By, Group, KindSpent, LookedAt, Outlook, OverTime, Period};
use taximeter::report::{NONE, count, each, money, share, spend, took};

use super::compare::{self, Sides};
use super::frame::{groups as exports, heading, looked, no_operation, scroll};
use super::what_if::{self, Elsewhere};
use super::words::{during, link, narrowed};
use super::{alerts, charts, outlook, over_time};
use crate::alerts::Budgets;
use crate::questions::{Filter, MOST_LINES};

/// So many groups are shown, the dearest first, where no number is asked for: there may be millions of conversations.
const ROWS: usize = 100;

const ALL: [&str; 13] = [
    "model",
    "kind",
    "provider",
    "operation",
    "tool",
    "component",
    "user",
    "session",
    "tag:service.name",
    "tag:version",
    super::asked::ENVIRONMENT,
    "hour",
    "day",
];

/// What the page shows.
pub(super) struct Costs {
    pub(super) period: Period,
    pub(super) looked_at: Option<LookedAt>,
    pub(super) by: By,
    pub(super) groups: Vec<Group>,
    pub(super) over_time: OverTime,
    /// What was spent on each kind in each step, where these are asked for.
    pub(super) kinds: Vec<KindSpent>,
    pub(super) sides: Sides,
    pub(super) outlook: Outlook,
    /// Of how many operations the outlook is, where it is not of all.
    pub(super) outlook_of: Option<LookedAt>,
    pub(super) elsewhere: Elsewhere,
}

pub(super) fn page(
    costs: &Costs,
    budgets: &Budgets,
    endpoint: Option<&str>,
    filter: &Filter,
) -> Markup {
    let key = costs.by.to_string();
    let shown = if key == "llm" { "model" } else { &key };
    html! {
        h1 { "Costs by " (name(shown)) }
        p.period { (costs.period) }
        (looked(costs.looked_at))
        div.periods role="group" aria-label="By" {
            @for one in ALL {
                a href=(link("/costs", filter, &[("by", one)])) aria-current=[(one == shown).then_some("true")] { (name(one)) }
            }
        }
        @if costs.groups.is_empty() { (no_operation(endpoint)) } @else {
            (table(&costs.groups, &costs.by, &key, filter))
            (over_time::spend(&costs.over_time, &costs.kinds, filter))
        }
        (compare::why_cost(&costs.sides, filter))
        (outlook::page(&costs.outlook, costs.outlook_of, filter))
        (alerts::budgets(budgets, &html! { p.note { "Budgets are made and changed under " a href="/alerts#budgets" { "Alerts" } "." } }))
        (what_if::page(&costs.elsewhere, filter))
    }
}

/// A dimension as it is spoken of.
fn name(by: &str) -> &str {
    match by {
        "model" | "llm" => "LLM",
        "kind" => "kind of token",
        "tag:service.name" => "service",
        super::asked::ENVIRONMENT => "environment",
        by => by.strip_prefix("tag:").unwrap_or(by),
    }
}

/// What a group with no name lacks, and the line that names it.
fn unnamed(key: &str) -> Option<(String, String)> {
    let line = match key {
        "user" => "taximeter::operation(\"qa_response\").user(\"ann\")".to_owned(),
        "session" => "taximeter::operation(\"qa_response\").session(\"s1\")".to_owned(),
        key => {
            let tag = key.strip_prefix("tag:")?;
            format!("taximeter::operation(\"qa_response\").tag({tag:?}, \"…\")")
        }
    };
    Some((format!("no operation told its {}", name(key)), line))
}

fn table(groups: &[Group], by: &By, key: &str, filter: &Filter) -> Markup {
    let title = format!("By {}", name(key));
    let is_told = groups.iter().any(|group| group.key.is_some() || group.start.is_some());
    let step = charts::length(by);
    // Of steps of time all are told: there are not many, and none is dearest for its own sake.
    let is_time = matches!(by, By::Time(_));
    let most = filter.limit.unwrap_or(ROWS).min(MOST_LINES);
    let most = if is_time { groups.len() } else { most };
    html! {
        @if let (false, Some((what, line))) = (is_told, unnamed(key)) { (super::frame::missing(&what, &line)) }
        section.card {
            (heading(&title, &exports(filter, key)))
            (scroll(&title, &html! {
                table {
                    thead { tr {
                        th scope="col" { (name(key)) } th scope="col" { "Cost" } th scope="col" { "Each" }
                        th scope="col" { "Count" } th scope="col" { "Errors" } th scope="col" { "p50" }
                        th scope="col" { "p95" } th scope="col" { "Input" } th scope="col" { "Output" }
                        th scope="col" { "Cached" }
                    } }
                    tbody { @for group in groups.iter().take(most) { (row(group, key, step, filter)) } }
                }
            }))
            @if groups.len() > most {
                p.note {
                    "The " (count(most as u64)) " dearest of " (count(groups.len() as u64)) "; the exports have all of them. "
                    @if most < MOST_LINES {
                        a href=(link("/costs", filter, &[("limit", &MOST_LINES.to_string())])) { "Show more" }
                    }
                }
            }
            p.note {
                (money(groups.iter().map(|group| group.total_cost).sum())) " in all"
                // A call that is paid for two kinds is counted with each.
                @if key == "kind" { "; the count is of LLM calls" } @else { ", of " (count(groups.iter().map(Group::count).sum())) }
                @if key == "tool" || key == "component" { "; a tool or component has no cost of its own" }
            }
        }
    }
}

fn row(group: &Group, key: &str, step: TimeDelta, filter: &Filter) -> Markup {
    let times = group.duration_seconds.as_ref();
    html! {
        tr {
            th scope="row" {
                @match (&group.key, group.start) {
                    (Some(kind), _) if key == "kind" => (over_time::kind_name(kind)),
                    (Some(name), _) => a href=(narrowed(filter, key, name)) { (name) },
                    (None, Some(start)) => a href=(during(filter, start, start + step)) { (charts::shown(&start)) },
                    (None, None) => "(not told)",
                }
            }
            td { @if key == "tool" || key == "component" { (NONE) } @else { (spend(group.total_cost, group.unpriced_calls)) } }
            td { (each(group.mean_cost().filter(|mean| !mean.is_zero()))) }
            td { (count(group.count())) }
            td { (share(group.errors())) }
            td { (took(times.map(|times| times.p50))) }
            td { (took(times.map(|times| times.p95))) }
            td { (count(group.input_tokens)) }
            td { (count(group.output_tokens)) }
            td { (share(group.cache_read)) }
        }
    }
}
