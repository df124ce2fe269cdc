//! Rules and what fires by them, budgets and what is left of them, what was told, and what a rule would have done.

use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};
use taximeter::report::{count, counted};
use taximeter_alerts::{
    BudgetState, Delivery, Evidence, Fate, FiringNow, Overview, Rule, RuleNow, Rules, Status,
};

use super::entries::{self, BudgetForm, ReceiverForm};
use super::frame::{heading, missing, scroll};
use super::rule::{self, Draft};
use super::words::{NONE, encoded, instant};
use crate::alerts::Budgets;

/// All that the page shows.
pub(super) struct Shown<'a> {
    pub(super) overview: &'a Overview,
    pub(super) rules: &'a Rules,
    pub(super) budgets: &'a Budgets,
    /// What is being written or tried.
    pub(super) drafts: &'a Drafts,
    /// Whether something may be muted here.
    pub(super) may_mute: bool,
    /// Whether rules, budgets and receivers may be made and changed here.
    pub(super) may_write: bool,
    pub(super) now: DateTime<Utc>,
}

/// What is being written: a rule, which may be tried too, a budget, a receiver.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    pub(super) rule: Draft,
    pub(super) budget: BudgetForm,
    pub(super) receiver: ReceiverForm,
    /// The receiver that was told that this is a test.
    pub(super) tested: String,
}

pub(super) fn page(shown: &Shown<'_>) -> Markup {
    html! {
        h1 { "Alerts" }
        @if let Some(error) = &shown.overview.error { p.failure role="alert" { (error) } }
        (firing(&shown.overview.firing, shown.now))
        (budgets(shown.budgets, &entries::budgets(shown)))
        (all_rules(shown))
        (rule::form(&shown.drafts.rule, shown.rules, shown.may_write))
        (entries::receivers(shown))
        (log(shown.overview))
    }
}

pub(super) fn firing(all: &[FiringNow], now: DateTime<Utc>) -> Markup {
    html! {
        section.card #firing aria-label="Firing now" {
            (heading("Firing now", &exports("firing")))
            @if all.is_empty() { p { "Nothing fires." } }
            ul.firing {
                @for one in all {
                    li {
                        p {
                            strong class=(if one.told { "failure" } else { "note" }) { (one.rule) }
                            @if let Some(key) = &one.key { " · " (key) }
                            " [" (one.severity) "]"
                            @if !one.told { " (muted)" }
                            ": " (one.text)
                        }
                        p.note { "since " (instant(one.since)) ", for " (lasting(now - one.since)) }
                        (proof(one.evidence.as_ref(), &one.look))
                    }
                }
            }
        }
    }
}

/// A table of alerts, to be taken away.
fn exports(table: &str) -> [(&'static str, String); 2] {
    let csv = format!("/api/v1/alerts?format=csv&table={table}");
    [("CSV", csv), ("JSON", "/api/v1/alerts".to_owned())]
}

/// The operations behind something.
fn proof(evidence: Option<&Evidence>, look: &str) -> Markup {
    html! {
        p.look {
            @if let Some(evidence) = evidence {
                a href=(operations(evidence)) { "The operations behind it" } " · "
            }
            code { (look) }
        }
    }
}

pub(super) fn operations(evidence: &Evidence) -> String {
    let (since, only) = (encoded(&evidence.period()), encoded(&evidence.only()));
    if only.is_empty() {
        return format!("/operations?since={since}");
    }
    format!("/operations?since={since}&only={only}")
}

/// What is left of each, and what stands below.
pub(super) fn budgets(all: &Budgets, below: &Markup) -> Markup {
    html! {
        section.card #budgets aria-label="Budgets" {
            (heading("Budgets", &[("CSV", "/api/v1/budgets?format=csv".to_owned()), ("JSON", "/api/v1/budgets".to_owned())]))
            @if all.states.is_empty() {
                (missing("there is no budget", "[[budget]]\nname = \"month\"\namount = 500\nper = \"month\""))
            }
            @for state in &all.states { (budget(state)) }
            @if all.more > 0 { p.note { (counted(all.more as u64, "more group")) " with less spent" } }
            (below)
        }
    }
}

fn budget(state: &BudgetState) -> Markup {
    let share = state.share();
    html! {
        div.budget {
            p {
                strong { (state.budget) }
                @if let Some(key) = &state.key { " · " (key) }
                " by " (state.per) ": "
                span class=(if state.is_over() { "failure" } else { "success" }) {
                    (format!("{:.1} %", share * 100.0)) " spent"
                }
            }
            progress max="1" value=(format!("{:.4}", share.clamp(0.0, 1.0)))
                aria-label=(format!("spent of the budget {}", state.budget)) { (format!("{:.1} %", share * 100.0)) }
            p.note { (state.in_words()) " · " (state.left_in_words()) }
        }
    }
}

fn all_rules(shown: &Shown<'_>) -> Markup {
    let all = &shown.overview.rules;
    html! {
        section.card #rules aria-label="Rules" {
            (heading("Rules", &exports("rules")))
            @if let Some(path) = &shown.rules.path { p.note { "of " code { (path.display()) } } }
            @if all.is_empty() {
                (missing(
                    "there is no rule; make one below, or write it into taximeter.alerts.toml",
                    "[[rule]]\nname = \"answers fail\"\nkind = \"threshold\"\nquantity = \"error_rate\"\nabove = 0.1\nwindow = \"15m\"",
                ))
            } @else {
                (scroll("Rules", &html! {
                    table.words {
                        thead { tr {
                            th scope="col" { "Rule" } th scope="col" { "Says" } th scope="col" { "State" }
                            th scope="col" { "Last seen" } th scope="col" { "Mute" } th scope="col" { "Would have" }
                        } }
                        tbody { @for (now, rule) in all.iter().zip(&shown.rules.rules) { (row(now, rule, shown)) } }
                    }
                }))
            }
        }
    }
}

fn row(now: &RuleNow, rule: &Rule, shown: &Shown<'_>) -> Markup {
    html! {
        tr {
            th scope="row" {
                (now.name) " [" (now.severity) "]"
                @if shown.may_write { br; a href=(format!("/alerts?edit={}#rule", encoded(&now.name))) aria-label=(format!("Change {}", now.name)) { "Change" } }
            }
            td { (now.says) }
            td { (state(now)) }
            td {
                @match now.looked_at { Some(at) => (instant(at)), None => (NONE) }
                @if let Some(worst) = now.seen.iter().find(|seen| seen.place == taximeter_alerts::Place::Beyond).or(now.seen.first()) {
                    br; small { @if let Some(key) = &worst.key { (key) ": " } (worst.text) }
                }
                @if now.overflow > 0 { br; small { (counted(now.overflow as u64, "group")) " without room" } }
                @if let Some(error) = &now.error { br; small.failure { (error) } }
            }
            td { (mute(now, rule, shown)) }
            td { a href=(format!("/alerts?rule={}&over=7d#rule", encoded(&now.name))) aria-label=(format!("What {} would have done in 7 days", now.name)) { "7 days" } }
        }
    }
}

fn state(now: &RuleNow) -> Markup {
    html! {
        @match (now.firing, now.pending) {
            (0, 0) => span.success { "quiet" },
            (0, pending) => span { (pending) " pending" },
            (firing, _) => span.failure { (firing) " firing" },
        }
    }
}

/// Plain forms: they need no script, and what they send is refused where it comes from another page.
fn mute(now: &RuleNow, rule: &Rule, shown: &Shown<'_>) -> Markup {
    let by_file = rule.is_muted(shown.now);
    html! {
        @if by_file { span.note { "by the file" } }
        @match now.muted_until {
            Some(until) => {
                "until " (instant(until))
                @if shown.may_mute {
                    form method="post" action="/alerts/unmute" {
                        input type="hidden" name="rule" value=(now.name);
                        button { "End it" }
                    }
                }
            }
            None => @if shown.may_mute {
                form method="post" action="/alerts/mute" {
                    input type="hidden" name="rule" value=(now.name);
                    label {
                        span.skip { "Mute " (now.name) " for" }
                        select name="until" {
                            @for (value, text) in [("1h", "1 hour"), ("4h", "4 hours"), ("1d", "1 day"), ("7d", "7 days")] {
                                option value=(value) { (text) }
                            }
                        }
                    }
                    button { "Mute" }
                }
            },
        }
        @if !shown.may_mute && now.muted_until.is_none() && !by_file { (NONE) }
    }
}

fn log(overview: &Overview) -> Markup {
    html! {
        section.card #told aria-label="What was told" {
            (heading("What was told", &exports("log")))
            p.note {
                (counted(overview.waiting as u64, "letter")) " waiting; " (count(overview.lost)) " not delivered"
            }
            @if overview.log.is_empty() { p { "Nobody was told anything yet." } } @else {
                (scroll("What was told", &html! {
                    table.words {
                        thead { tr {
                            th scope="col" { "When" } th scope="col" { "To" } th scope="col" { "About" }
                            th scope="col" { "That it is" } th scope="col" { "Was" } th scope="col" { "Tries" }
                        } }
                        tbody { @for one in &overview.log { (delivery(one)) } }
                    }
                }))
            }
        }
    }
}

fn delivery(one: &Delivery) -> Markup {
    let (word, class) = match one.fate {
        Fate::Delivered => ("delivered", "success"),
        Fate::Refused => ("refused", "failure"),
        Fate::GivenUp => ("given up", "failure"),
        Fate::Dropped => ("dropped: too many waited", "failure"),
        _ => ("dropped: there is no such receiver", "failure"),
    };
    html! {
        tr {
            th scope="row" { (instant(one.at)) }
            td { (one.receiver) }
            td { (one.about) }
            td { (if one.status == Status::Firing { "firing" } else { "over" }) }
            td { span class=(class) { (word) } @if let Some(said) = &one.said { br; small { (said) } } }
            td { (one.tries) }
        }
    }
}

/// How long something lasts, in its two largest units.
pub(super) fn lasting(time: TimeDelta) -> String {
    let minutes = time.num_minutes().max(0);
    match (minutes / 1_440, minutes / 60 % 24, minutes % 60) {
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_their_largest_units() {
        assert_eq!(lasting(TimeDelta::seconds(59)), "0 min");
        assert_eq!(lasting(TimeDelta::minutes(125)), "2 h 5 min");
        assert_eq!(lasting(TimeDelta::hours(49)), "2 d 1 h");
    }
}
