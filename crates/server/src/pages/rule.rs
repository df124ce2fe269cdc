//! The form in which a rule is written, tried over the past and put into the file.

use chrono::TimeDelta;
use maud::{Markup, html};
use taximeter::report::{count, counted};
use taximeter_alerts::{Backtest, Rules};

use super::alerts::{lasting, operations};
use super::frame::scroll;
use super::words::{NONE, instant};
use crate::alerts::{PAST, Trial};

/// A rule that is being written or tried, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) trial: Trial,
    /// The rule in whose place it goes, by its name and by what stood there when it was opened; empty for a new one.
    pub(super) was: String,
    pub(super) mark: String,
    /// What it would have done, or why that cannot be said.
    pub(super) tried: Option<Result<Backtest, String>>,
    /// Why it was not saved or opened.
    pub(super) wrong: Option<String>,
}

impl Draft {
    /// Whether somebody is at it, so that the page must not take it away.
    fn is_begun(&self) -> bool {
        self.trial != Trial::default() || self.tried.is_some() || self.wrong.is_some()
    }
}

/// What to begin with, by the kind of the rule.
pub(super) const EXAMPLES: [(&str, &str, &str); 6] = [
    (
        "threshold",
        "Threshold",
        "[[rule]]\nname = \"answers are slow\"\nkind = \"threshold\"\nquantity = \"latency_p95\"\nby = \"operation\"\nabove = 3\n\
         clear = 2.5\nwindow = \"15m\"\nfor = \"5m\"\nminimum = 20\n",
    ),
    (
        "change",
        "Change",
        "[[rule]]\nname = \"answers got dearer\"\nkind = \"change\"\nquantity = \"mean_cost\"\nby = \"operation\"\nbaseline = \"last_week\"\n\
         above = 0.5\nwindow = \"6h\"\nminimum = 20\n",
    ),
    (
        "anomaly",
        "Anomaly",
        "[[rule]]\nname = \"spending is unusual\"\nkind = \"anomaly\"\nquantity = \"cost\"\nstep = \"hour\"\nside = \"above\"\n",
    ),
    (
        "forecast",
        "Forecast",
        "[[rule]]\nname = \"budget will be gone\"\nkind = \"forecast\"\nbudget = \"month\"\nprobability = 0.5\n",
    ),
    (
        "burn_rate",
        "Burn rate",
        "[[rule]]\nname = \"promise is being broken\"\nkind = \"burn_rate\"\ntarget = 0.99\nwindows = [\"1h\", \"6h\"]\n",
    ),
    (
        "no_data",
        "No data",
        "[[rule]]\nname = \"nothing comes\"\nkind = \"no_data\"\nwindow = \"1h\"\nseverity = \"critical\"\n",
    ),
];

/// The form. To try a rule is a question and stands in the address; to save one is sent by POST.
pub(super) fn form(draft: &Draft, rules: &Rules, may_write: bool) -> Markup {
    let over = if draft.trial.over.is_empty() { PAST } else { &draft.trial.over };
    let title = match (draft.was.is_empty(), may_write) {
        (false, _) => format!("Change the rule {}", draft.was),
        (true, true) => "A new rule".to_owned(),
        (true, false) => "Try a rule".to_owned(),
    };
    html! {
        section.card #rule aria-labelledby="rule-title" data-still[draft.is_begun()] {
            h2 #rule-title { (title) }
            @if let Some(wrong) = &draft.wrong { p.failure role="alert" { (wrong) } }
            p.periods role="group" aria-label="Begin with" {
                "Begin with: "
                @for (kind, name, _) in EXAMPLES { a href=(format!("/alerts?kind={kind}#rule")) { (name) } }
            }
            form method=(if may_write { "post" } else { "get" }) action=(if may_write { "/alerts/rule" } else { "/alerts#rule" }) {
                input type="hidden" name="was" value=(draft.was);
                input type="hidden" name="mark" value=(draft.mark);
                p {
                    label for="toml" { "The rule, as it stands in the file" }
                    br;
                    textarea #toml name="toml" rows="10" cols="60" spellcheck="false" placeholder=(EXAMPLES[0].2) { "\n" (draft.trial.toml) }
                }
                div.inline {
                    label { "Over the last " input name="over" value=(over) size="10"; }
                    button formmethod="get" formaction="/alerts#rule" { "Try it over the past" }
                    @if may_write { button { (if draft.was.is_empty() { "Put it into the file" } else { "Save the change" }) } }
                    @if may_write && !draft.was.is_empty() {
                        button formaction="/alerts/rule/remove" { "Take it out of the file" }
                        a href="/alerts" { "Leave it as it is" }
                    }
                }
            }
            (told(may_write, rules))
            @match &draft.tried {
                None => {},
                Some(Err(why)) => p.failure role="alert" { (why) },
                Some(Ok(found)) => (would_have(found)),
            }
        }
    }
}

fn told(may_write: bool, rules: &Rules) -> Markup {
    html! {
        p.note {
            @match (&rules.path, may_write) {
                (Some(path), true) => { "It is written into " code { (path.display()) } ", of which all else stays as it is, and it holds at once." }
                (_, false) => "Nothing is changed here: this server only reads, or its rules are of no file.",
                (None, true) => {},
            }
        }
    }
}

fn would_have(found: &Backtest) -> Markup {
    html! {
        h3 { (found.rule) " would have fired " (times(found.would_have_fired)) }
        p.note {
            (found.says) "; looked at " (counted(found.looks, "time")) " from " (instant(found.since)) " to "
            (instant(found.until)) ", every " (lasting(TimeDelta::seconds(found.step_seconds)))
            @if found.looks_without_data > 0 { "; at " (count(found.looks_without_data)) " of these too little was known" }
            @if found.overflow > 0 { "; up to " (counted(found.overflow as u64, "group")) " without room" }
        }
        @if !found.fired.is_empty() { (scroll("When it would have fired", &fired(found))) }
    }
}

fn fired(found: &Backtest) -> Markup {
    html! {
        table.words {
            thead { tr {
                th scope="col" { "Fired" } th scope="col" { "Group" } th scope="col" { "For" } th scope="col" { "Why" }
            } }
            tbody {
                @for one in found.fired.iter().take(100) {
                    tr {
                        th scope="row" { (instant(one.fired_at)) @if one.muted { " (muted)" } }
                        td { (one.key.as_deref().unwrap_or(NONE)) }
                        td {
                            (lasting(one.resolved_at.unwrap_or(found.until) - one.fired_at))
                            @if one.resolved_at.is_none() { ", and still" }
                        }
                        td {
                            (one.text)
                            @if let Some(evidence) = &one.evidence {
                                br; a href=(operations(evidence)) { "The operations behind it" }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn times(number: usize) -> String {
    match number {
        0 => "never".into(),
        1 => "once".into(),
        number => format!("{number} times"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_rule_begins_with_is_a_rule() {
        let file: Rules =
            "[[budget]]\nname = 'month'\namount = 500\nper = 'month'".parse().unwrap();
        for (kind, _, toml) in EXAMPLES {
            let read = file.and_of(toml).unwrap_or_else(|why| panic!("{kind}: {why}"));
            assert_eq!((read.rules.len(), read.rules[0].kind.as_str()), (1, kind));
        }
    }

    #[test]
    fn times_are_told_in_words() {
        assert_eq!(
            (times(0), times(1), times(3)),
            ("never".into(), "once".into(), "3 times".into())
        );
    }
}
