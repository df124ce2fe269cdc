//! Which texts need no closer look: short names, harmless keys, values in which nothing looks like a secret.
//!
//! Most are such, and are known to be in a few instructions; all others go through the [`Bounds`](crate::bounds::Bounds).

use crate::limits::Limits;
use crate::redact::{CONTENT_KEY, Redaction, SHORTEST, SecretName, is_suspicious};

/// Lengths below which a text is plain, by what the limits and the redaction say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plain {
    name: usize,
    key: usize,
    text: usize,
    masks: bool,
}

impl Plain {
    pub(crate) fn new(limits: &Limits, redaction: &Redaction) -> Self {
        if redaction.has_hook() {
            return Self { name: 0, key: 0, text: 0, masks: true };
        }
        let masks = redaction.masks();
        let within = |limit: usize| limit.saturating_add(1);
        let name = within(limits.name_bytes).min(if masks { SHORTEST } else { usize::MAX });
        let key = match (redaction.allows_all(), redaction.captures()) {
            (false, _) => 0,
            (true, true) => name,
            (true, false) => name.min(CONTENT_KEY),
        };
        Self { name, key, text: within(limits.text_bytes), masks }
    }

    #[inline]
    pub(crate) fn is_name(&self, name: &str) -> bool {
        name.len() < self.name
    }

    #[inline]
    pub(crate) fn is_key(&self, key: &str) -> bool {
        key.len() < self.key && !(self.masks && SecretName::of(key).is_some())
    }

    /// Whether both a key and its text are plain.
    #[inline]
    pub(crate) fn is_entry(&self, key: &str, text: &str) -> bool {
        self.is_key(key) && text.len() < self.text && !(self.masks && is_suspicious(text))
    }
}
