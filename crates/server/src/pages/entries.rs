//! The forms in which budgets and receivers are written: no secret that was saved comes back.

use maud::{Markup, html};
use serde::Deserialize;
use taximeter::analysis::Dimension;
use taximeter::report::money;
use taximeter::{BudgetPeriod, BudgetPlan, Money};
use taximeter_alerts::{Receiver, ReceiverDraft, ReceiverKind, ReceiverNow};

use super::alerts::Shown;
use super::frame::{missing, scroll};
use super::words::{NONE, encoded};
use crate::questions::QuestionError;

/// A budget as its form has it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct BudgetForm {
    name: String,
    amount: String,
    per: String,
    by: String,
    pub(super) was: String,
    pub(super) mark: String,
    #[serde(skip)]
    pub(super) wrong: Option<String>,
}

const PER: [(&str, BudgetPeriod); 3] =
    [("month", BudgetPeriod::Month), ("week", BudgetPeriod::Week), ("day", BudgetPeriod::Day)];

impl BudgetForm {
    /// One of the file, to be changed.
    pub(super) fn of(plan: &BudgetPlan, mark: Result<String, QuestionError>) -> Self {
        let by = Some(plan.dimension()).filter(|by| **by != Dimension::All);
        let mut form = Self {
            name: plan.name().to_string(),
            amount: plan.amount().to_string(),
            per: plan.per().to_string(),
            by: by.map_or_else(String::new, ToString::to_string),
            was: plan.name().to_string(),
            ..Self::default()
        };
        match mark {
            Ok(mark) => form.mark = mark,
            Err(why) => form.wrong = Some(why.to_string()),
        }
        form
    }

    /// # Errors
    /// Says which field is wrong, and what is expected.
    pub(super) fn plan(&self) -> Result<BudgetPlan, String> {
        let amount = self.amount.trim().trim_start_matches('$').parse::<Money>();
        let amount = amount.map_err(|why| format!("amount: {why}"))?;
        let per = PER.iter().find(|(name, _)| *name == self.per).map(|(_, per)| *per);
        let per = per.ok_or("per: expected month, week or day")?;
        let by = match self.by.trim() {
            "" => Dimension::All,
            by => by.parse().map_err(|why| format!("by: {why}"))?,
        };
        let plan = BudgetPlan::new(self.name.trim(), amount, per);
        plan.and_then(|plan| plan.by(by)).map_err(|why| why.to_string())
    }
}

/// The budgets of the file, each with the way to change it, and the form.
pub(super) fn budgets(shown: &Shown<'_>) -> Markup {
    let (form, all) = (&shown.drafts.budget, &shown.rules.budgets);
    html! {
        @if !all.is_empty() {
            (scroll("Budgets of the file", &html! {
                table {
                    thead { tr { th scope="col" { "Budget" } th scope="col" { "Amount" } th scope="col" { "By" } th scope="col" { "Of each" } } }
                    tbody {
                        @for plan in all {
                            tr {
                                th scope="row" {
                                    (plan.name())
                                    @if shown.may_write { br; (change("edit_budget", plan.name(), "budget")) }
                                }
                                td { (money(plan.amount())) }
                                td { (plan.per()) }
                                td { (plan.dimension()) }
                            }
                        }
                    }
                }
            }))
        }
        @if shown.may_write { (written("budget", &form.was, &form.mark, form.wrong.as_deref(), &html! {
            label { "Name " input name="name" value=(form.name) required maxlength="200" size="14"; }
            label { "US dollars " input name="amount" value=(form.amount) required inputmode="decimal" size="8"; }
            label {
                "By "
                select name="per" { @for (name, _) in PER { option value=(name) selected[name == form.per] { (name) } } }
            }
            label { "Of each " input name="by" value=(form.by) placeholder="all, user, tag:team" list="groups-of-budgets" size="14"; }
            datalist #groups-of-budgets { @for by in ["user", "session", "operation", "provider", "llm", "tag:team"] { option value=(by) {} } }
        })) }
    }
}

/// A receiver as its form has it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ReceiverForm {
    name: String,
    kind: String,
    url: String,
    secret: String,
    token: String,
    /// Set where the secret is to be taken out; likewise the token.
    no_secret: String,
    no_token: String,
    pub(super) was: String,
    pub(super) mark: String,
    #[serde(skip)]
    pub(super) wrong: Option<String>,
}

const KINDS: [(ReceiverKind, &str); 3] = [
    (ReceiverKind::Webhook, "Webhook"),
    (ReceiverKind::Slack, "Slack"),
    (ReceiverKind::Alertmanager, "Alertmanager"),
];

impl ReceiverForm {
    /// One of the file, to be changed: without what nobody is shown.
    pub(super) fn of(receiver: &Receiver, mark: Result<String, QuestionError>) -> Self {
        let (name, kind) = (receiver.name.to_string(), receiver.kind.as_str().to_owned());
        let mut form = Self { was: name.clone(), name, kind, ..Self::default() };
        match mark {
            Ok(mark) => form.mark = mark,
            Err(why) => form.wrong = Some(why.to_string()),
        }
        form
    }

    /// # Errors
    /// Says which field is wrong.
    pub(super) fn draft(&self) -> Result<ReceiverDraft, String> {
        let kind = KINDS.iter().map(|(kind, _)| *kind).find(|kind| kind.as_str() == self.kind);
        let kind = kind.ok_or("kind: expected webhook, slack or alertmanager")?;
        let mut draft = ReceiverDraft::new(self.name.trim(), kind);
        let told = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let unless = |gone: &str, text: &str| {
            if gone.is_empty() { told(text) } else { Some(String::new()) }
        };
        draft.url = told(&self.url);
        draft.secret = unless(&self.no_secret, &self.secret);
        draft.token = unless(&self.no_token, &self.token);
        Ok(draft)
    }

    /// What was written is not shown again either, where it could not be saved.
    pub(super) fn forget_secrets(&mut self) {
        for text in [&mut self.url, &mut self.secret, &mut self.token] {
            text.clear();
        }
    }
}

/// Who is told, and the form.
pub(super) fn receivers(shown: &Shown<'_>) -> Markup {
    let (all, form) = (&shown.overview.receivers, &shown.drafts.receiver);
    let is_changed = !form.was.is_empty();
    html! {
        section.card #receivers aria-label="Receivers" {
            h2 { "Receivers" }
            @if all.iter().any(|one| *one.name == *shown.drafts.tested) { p.success role="status" { (shown.drafts.tested) " was told, and took it." } }
            @if all.is_empty() {
                (missing("nobody is told of anything", "[[receiver]]\nname = \"ops\"\nkind = \"webhook\"\nurl_env = \"OPS_HOOK\""))
            } @else {
                (scroll("Receivers", &html! {
                    table.words {
                        thead { tr {
                            th scope="col" { "Receiver" } th scope="col" { "Kind" } th scope="col" { "Where" } th scope="col" { "Signed" }
                            th scope="col" { "Token" } th scope="col" { "Test" }
                        } }
                        tbody { @for one in all { (receiver(one, shown)) } }
                    }
                }))
            }
            @if shown.may_write { (written("receiver", &form.was, &form.mark, form.wrong.as_deref(), &html! {
                label { "Name " input name="name" value=(form.name) required maxlength="200" size="14"; }
                label {
                    "Kind "
                    select name="kind" { @for (kind, told) in KINDS { option value=(kind.as_str()) selected[kind.as_str() == form.kind] { (told) } } }
                }
                label {
                    "Address "
                    input name="url" type="url" autocomplete="off" required[!is_changed] size="28"
                        placeholder=(if is_changed { "stays as it is" } else { "https://example.com/hook" });
                }
                (secret("Secret, by which a webhook is signed", "secret", is_changed))
                (secret("Token, sent as Bearer", "token", is_changed))
            }))
            p.note {
                "An address, secret or token is written into the file and never shown again. A new address gets no old secret. "
                "Variables of the environment that hold them are named in the file alone: " code { "url_env" } ", " code { "secret_env" } ", " code { "token_env" } "."
            } }
        }
    }
}

fn secret(told: &str, name: &str, is_changed: bool) -> Markup {
    html! {
        label { (told) " " input name=(name) type="password" autocomplete="new-password" size="18" placeholder=(if is_changed { "stays as it is" } else { "none" }); }
        @if is_changed { label { input type="checkbox" name=(format!("no_{name}")) value="1"; " no " (name) } }
    }
}

fn receiver(one: &ReceiverNow, shown: &Shown<'_>) -> Markup {
    let yes = |is: bool| if is { "yes" } else { "no" };
    html! {
        tr {
            th scope="row" {
                (one.name)
                @if shown.may_write { br; (change("edit_receiver", &one.name, "receiver")) }
            }
            td { (one.kind.as_str()) }
            td { (one.host) }
            td { (yes(one.signed)) }
            td { (yes(one.token)) }
            td {
                @if shown.may_mute {
                    form method="post" action="/alerts/receiver/test" {
                        input type="hidden" name="receiver" value=(one.name);
                        button aria-label=(format!("Test {}", one.name)) { "Test" }
                    }
                } @else { (NONE) }
            }
        }
    }
}

fn change(field: &str, name: &str, kind: &str) -> Markup {
    html! { a href=(format!("/alerts?{field}={}#{kind}", encoded(name))) aria-label=(format!("Change the {kind} {name}")) { "Change" } }
}

/// A form that makes one, or changes or takes out the one that was opened.
fn written(kind: &str, was: &str, mark: &str, wrong: Option<&str>, fields: &Markup) -> Markup {
    let is_changed = !was.is_empty();
    let title =
        if is_changed { format!("Change the {kind} {was}") } else { format!("A new {kind}") };
    let action = format!("/alerts/{kind}");
    html! {
        div id=(kind) data-still[is_changed || wrong.is_some()] {
            h3 { (title) }
            @if let Some(wrong) = wrong { p.failure role="alert" { (wrong) } }
            form.inline method="post" action=(action) aria-label=(title) {
                input type="hidden" name="was" value=(was);
                input type="hidden" name="mark" value=(mark);
                (fields)
                button { (if is_changed { "Save the change" } else { "Put it into the file" }) }
                @if is_changed {
                    button formaction=(format!("{action}/remove")) formnovalidate { "Take it out of the file" }
                    a href="/alerts" { "Leave it as it is" }
                }
            }
        }
    }
}
