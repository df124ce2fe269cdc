//! Which texts need no closer look: short names, harmless keys, values in which nothing looks like a secret.
//!
//! Most are such, and are known to be in a few instructions; all others go through the [`Bounds`](crate::bounds::Bounds).

use crate::frame::{Label, hot};
use crate::limits::Limits;
use crate::redact::{CONTENT_KEY, Redaction, SHORTEST, SecretName, is_suspicious};

/// Lengths below which a text is plain, by what the limits and the redaction say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plain {
    name: usize,
    key: usize,
    text: usize,
    /// How many keys there may be.
    pub(crate) keys: usize,
    masks: bool,
}

impl Plain {
    /// Where there is a hook, or operations are shown, nothing is plain.
    pub(crate) fn new(limits: &Limits, redaction: &Redaction, shown: bool) -> Self {
        if redaction.has_hook() || shown {
            return Self { name: 0, key: 0, text: 0, keys: 0, masks: true };
        }
        let masks = redaction.masks();
        let within = |limit: usize| limit.saturating_add(1);
        let name = within(limits.name_bytes).min(if masks { SHORTEST } else { usize::MAX });
        let key = match (redaction.allows_all(), redaction.captures()) {
            (false, _) => 0,
            (true, true) => name,
            (true, false) => name.min(CONTENT_KEY),
        };
        Self { name, key, text: within(limits.text_bytes), keys: limits.keys, masks }
    }

    #[inline]
    pub(crate) fn is_name(&self, name: Label) -> bool {
        name.len() < self.name
    }

    #[inline]
    pub(crate) fn is_key(&self, key: Label) -> bool {
        key.len() < self.key
    }

    /// Whether a text is plain that is kept under a plain key, and short.
    #[inline]
    pub(crate) fn is_text(&self, text: &str) -> bool {
        text.len() <= hot::TEXT && text.len() < self.text && !(self.masks && is_suspicious(text))
    }
}

/// The label of a key that is short and no name of a secret.
#[inline(always)]
#[expect(clippy::inline_always, reason = "of a text that the compiler knows, numbers are left")]
pub(crate) fn key(key: &str) -> Option<Label> {
    if SecretName::may_be(key) { None } else { Label::of(key) }
}
