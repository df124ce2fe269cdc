//! Which texts need no closer look: short names and harmless keys, and values in which nothing looks like a secret.
//!
//! Most are such, and are known to be in a few instructions; all others go through the [`Bounds`](crate::bounds::Bounds).

use crate::frame::{Label, hot};
use crate::limits::Limits;
use crate::redact::{CONTENT_KEY, Redaction, SHORTEST, SecretName};

/// Whether there are such texts at all: what is short is within the limits, and neither a hook nor a list of keys nor who is
/// shown what runs wants to see it.
pub(crate) fn is_any(limits: &Limits, redaction: &Redaction, shown: bool) -> bool {
    let looked_at = shown || redaction.has_hook() || !redaction.allows_all();
    !looked_at && limits.name_bytes >= Label::MOST && limits.text_bytes >= hot::TEXT
}

// A label is too short to be a key to anything, whatever is in it.
const _: () = assert!(Label::MOST < SHORTEST, "names are looked at for keys");

/// The label of a key that is short, no name of a secret and none of content.
#[inline(always)]
#[expect(clippy::inline_always, reason = "of a text that the compiler knows, numbers are left")]
pub(crate) fn key(key: &str) -> Option<Label> {
    if SecretName::may_be(key) {
        return None;
    }
    // All names of content have a point in them, and none is shorter.
    Label::of(key).filter(|label| label.len() < CONTENT_KEY || !label.holds(b'.'))
}
