//! Budgets and receivers as they are written on a page: what is not named stays as it is in the file, and secrets go in and
//! never out.

use taximeter::analysis::Dimension;
use taximeter::{BudgetPlan, Name};

use crate::edit::{quoted, set};
use crate::receiver::ReceiverKind;
use crate::{ChangeError, Rules};

/// What a receiver is to be.
///
/// Variables of the environment are named in the file alone: who may change receivers from elsewhere could otherwise have
/// any of them sent to any address.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceiverDraft {
    /// What it is called.
    pub name: Name,
    /// How it is told.
    pub kind: ReceiverKind,
    /// The address. Default: as in the file; a new receiver needs one.
    pub url: Option<String>,
    /// The secret by which a webhook is signed; empty for none. Default: as in the file.
    pub secret: Option<String>,
    /// What is sent as `Authorization: Bearer …`; empty for nothing. Default: as in the file.
    pub token: Option<String>,
}

/// Nothing that may be a secret is shown.
impl std::fmt::Debug for ReceiverDraft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceiverDraft").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ReceiverDraft {
    /// A receiver of this name and kind, all else of which stays as it is.
    pub fn new(name: impl Into<Name>, kind: ReceiverKind) -> Self {
        let name = name.into();
        Self { name, kind, url: None, secret: None, token: None }
    }

    /// The keys, with what is to become of them.
    pub(crate) fn values(&self) -> Values {
        let told = |text: &Option<String>| match text.as_deref().map(str::trim) {
            None => Put::Stays,
            Some("") => Put::Gone,
            Some(text) => Put::text(text),
        };
        // What was told by a variable of the environment is so no more.
        let gone = |text: &Option<String>| if text.is_some() { Put::Gone } else { Put::Stays };
        vec![
            ("name", Put::text(&self.name)),
            ("kind", Put::text(self.kind.as_str())),
            ("url", told(&self.url)),
            ("url_env", gone(&self.url)),
            ("secret", told(&self.secret)),
            ("secret_env", gone(&self.secret)),
            ("token", told(&self.token)),
            ("token_env", gone(&self.token)),
        ]
    }

    /// # Errors
    /// Where the address becomes another, and nothing is said of a secret that goes to the old one.
    pub(crate) fn check_secrets(&self, old: &Rules, was: &str) -> Result<(), ChangeError> {
        let Some(was) = old.receivers.iter().find(|one| *one.name == *was) else { return Ok(()) };
        let is_moved = self.url.as_deref().is_some_and(|url| url.trim() != was.url.show());
        let is_kept = |has: bool, said: &Option<String>| has && said.is_none();
        let keeps = is_kept(was.is_signed(), &self.secret) || is_kept(was.has_token(), &self.token);
        if is_moved && keeps {
            return Err(ChangeError::OldSecrets { name: was.name.to_string() });
        }
        Ok(())
    }
}

/// What is to become of a key of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Put {
    /// As it is.
    Stays,
    /// Taken out.
    Gone,
    /// This, as TOML.
    Is(String),
}

impl Put {
    fn text(text: &str) -> Self {
        Self::Is(quoted(text))
    }
}

/// The keys of an entry, with what is to become of them.
pub(crate) type Values = Vec<(&'static str, Put)>;

/// The keys of a budget.
pub(crate) fn of_budget(plan: &BudgetPlan) -> Values {
    let by = match plan.dimension() {
        Dimension::All => Put::Gone,
        by => Put::text(&by.to_string()),
    };
    vec![
        ("name", Put::text(plan.name())),
        ("amount", Put::Is(plan.amount().to_string())),
        ("per", Put::text(&plan.per().to_string())),
        ("by", by),
    ]
}

/// An entry of a kind with these values; none where the text is no such entry.
pub(crate) fn written_into(entry: &str, kind: &str, values: &Values) -> Option<String> {
    let mut entry = entry.to_owned();
    // What comes to be goes behind the header, so that the last of these stands first.
    for (key, put) in values.iter().rev() {
        entry = match put {
            Put::Stays => entry,
            Put::Gone => set(&entry, kind, key, None)?,
            Put::Is(value) => set(&entry, kind, key, Some(value))?,
        };
    }
    Some(entry)
}

#[cfg(test)]
mod tests {
    use taximeter::BudgetPeriod;

    use super::*;

    #[test]
    fn what_is_not_named_stays_and_a_new_one_begins_with_its_name() {
        let mut draft = ReceiverDraft::new("ops", ReceiverKind::Webhook);
        draft.url = Some(" http://a/x ".into());
        (draft.secret, draft.token) = (Some("s\"1".into()), Some(String::new()));
        let written = |draft: &ReceiverDraft, entry: &str| {
            written_into(entry, "receiver", &draft.values()).unwrap()
        };
        assert_eq!(
            written(&draft, "[[receiver]]\n"),
            "[[receiver]]\nname = \"ops\"\nkind = \"webhook\"\nurl = \"http://a/x\"\nsecret = \"s\\\"1\"\n"
        );
        let old = "[[receiver]]\nname = 'ops' # on call\nkind = 'slack'\nurl_env = 'HOOK'\ntoken_env = 'TOKEN'\ntimeout = '5s'\n";
        let kept = ReceiverDraft::new("night", ReceiverKind::Webhook);
        let told = old.replace("'ops'", "\"night\"").replace("'slack'", "\"webhook\"");
        assert_eq!(written(&kept, old), told);
        let moved = written(&draft, old);
        assert!(!moved.contains("HOOK") && !moved.contains("TOKEN"), "{moved}");
        assert!(moved.contains("# on call") && moved.contains("url = \"http://a/x\""), "{moved}");
        assert!(moved.contains("timeout = '5s'") && !format!("{draft:?}").contains("http"));
    }

    #[test]
    fn a_budget_is_written_as_it_is_read() {
        let plan = |by: Dimension| {
            let plan = BudgetPlan::new("team", "12.50".parse().unwrap(), BudgetPeriod::Week);
            of_budget(&plan.and_then(|plan| plan.by(by)).unwrap())
        };
        let new = written_into("[[budget]]\n", "budget", &plan(Dimension::User)).unwrap();
        let rules: Rules = new.parse().unwrap();
        assert_eq!(rules.budgets[0].dimension(), &Dimension::User, "{new}");
        assert_eq!(rules.budgets[0].amount(), "12.5".parse().unwrap());
        let of_all = written_into(&new, "budget", &plan(Dimension::All)).unwrap();
        assert!(!of_all.contains("by =") && of_all.parse::<Rules>().is_ok(), "{of_all}");
    }
}
