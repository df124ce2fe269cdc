//! What leaves a program's hands: secrets masked, content left out, and a hook for what only the program knows.

mod names;
mod secrets;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use self::names::is_content;
pub(crate) use self::names::{CONTENT_KEY, SecretName};
pub(crate) use self::secrets::{MASK, SHORTEST, is_suspicious};
use crate::value::MetaValue;

/// What is done to every text before it is put into a record, on the thread that records it.
///
/// By default the values of secret names (`api_key`, `authorization`, `password`) and all that looks like a key, a token
/// or a password in a URL is replaced by `***`, in names, metadata, tags and messages alike; and metadata that holds what
/// people and LLMs said, by the names of OpenTelemetry's GenAI conventions, is left out. What that changed is counted in
/// [`Counts::redacted`](crate::Counts::redacted).
///
/// ```
/// use std::time::Duration;
/// use taximeter_collector::{Collector, Field, MemorySink, Redacted, Redaction};
///
/// let sink = MemorySink::default();
/// let names = |field: Field<'_>, text: &str| match field {
///     Field::User => Redacted::Replace(format!("user-{}", text.len())),
///     Field::Metadata("address") => Redacted::Drop,
///     _ => Redacted::Keep,
/// };
/// let collector =
///     Collector::builder().sink(sink.clone()).redaction(Redaction::default().hook(names)).build()?;
///
/// let op = collector.operation("qa_response").user("alice").with("address", "1 Main St").start();
/// op.set("url", "https://api.example.com/?key=abc&page=2");
/// op.set("gen_ai.input.messages", "What is a taxi?");
/// op.warn("401: Incorrect API key provided: sk-proj-4f9aQ2xw8Zt1LmN7");
/// op.succeed();
///
/// collector.flush(Duration::from_secs(1))?;
/// let record = &sink.records()[0];
/// assert_eq!(record.user.as_deref(), Some("user-5"));
/// assert_eq!(record.metadata.len(), 1);
/// assert_eq!(record.metadata["url"], "https://api.example.com/?key=***&page=2");
/// assert_eq!(record.warnings[0].message, "401: Incorrect API key provided: ***");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Redaction {
    hook: Option<Hook>,
    mask_secrets: bool,
    capture_content: bool,
    allowed: Option<Arc<BTreeSet<String>>>,
}

type Hook = Arc<dyn Fn(Field<'_>, &str) -> Redacted + Send + Sync>;

/// What a text is, for a hook to decide what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field<'a> {
    /// The name of an operation.
    Operation,
    /// The name of a component.
    Component,
    /// The name of a tool.
    Tool,
    /// A provider, or the name of its LLM.
    Model,
    /// What a reply says of itself: why it ended, what tier served it.
    Reply,
    /// For whom an operation runs.
    User,
    /// The conversation that it is part of.
    Session,
    /// The key of metadata or of a tag.
    Key,
    /// The value of the tag of this key.
    Tag(&'a str),
    /// A text in the metadata of this key.
    Metadata(&'a str),
    /// The message of an error, or of one of its causes.
    Error,
    /// The message of a warning.
    Warning,
}

/// What a hook makes of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redacted {
    /// It stays as it is.
    Keep,
    /// This is recorded in its place.
    Replace(String),
    /// It is left out; where there must be a text, such as the name of a tool, `***` takes its place.
    Drop,
}

impl Default for Redaction {
    fn default() -> Self {
        Self { hook: None, mask_secrets: true, capture_content: false, allowed: None }
    }
}

impl Redaction {
    /// Asks this for every text, after secrets were masked in it. It runs on the threads that record, so it should be
    /// quick. Should it panic, the text is left out, and counted in
    /// [`Counts::redaction_failed`](crate::Counts::redaction_failed).
    pub fn hook(
        mut self,
        hook: impl Fn(Field<'_>, &str) -> Redacted + Send + Sync + 'static,
    ) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// Whether keys, tokens and passwords are masked. Default: yes.
    pub fn mask_secrets(mut self, mask: bool) -> Self {
        self.mask_secrets = mask;
        self
    }

    /// Whether metadata is kept that holds what people and LLMs said. Default: no.
    pub fn capture_content(mut self, capture: bool) -> Self {
        self.capture_content = capture;
        self
    }

    /// Keeps metadata and tags of these keys alone. Default: of all.
    pub fn allow_only(mut self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.allowed = Some(Arc::new(keys.into_iter().map(Into::into).collect()));
        self
    }
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redaction")
            .field("hook", &self.hook.is_some())
            .field("mask_secrets", &self.mask_secrets)
            .field("capture_content", &self.capture_content)
            .field("allowed", &self.allowed)
            .finish()
    }
}

/// Applies a redaction, and counts what it changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Texts that were changed or left out.
    pub(crate) redacted: u64,
    /// Texts that were left out because the hook panicked.
    pub(crate) failed: u64,
}

impl Redaction {
    pub(crate) fn has_hook(&self) -> bool {
        self.hook.is_some()
    }

    pub(crate) fn allows_all(&self) -> bool {
        self.allowed.is_none()
    }

    /// A text that may be left out; none where it is.
    #[inline]
    pub(crate) fn text<'t>(
        &self,
        field: Field<'_>,
        text: &'t str,
        changes: &mut Changes,
    ) -> Option<Cow<'t, str>> {
        if self.hook.is_none() && !(self.mask_secrets && is_suspicious(text)) {
            return Some(Cow::Borrowed(text));
        }
        self.closely(field, text, changes)
    }

    /// A message, which is seldom and often tells what it should not: it is read to the end.
    pub(crate) fn message<'t>(
        &self,
        field: Field<'_>,
        text: &'t str,
        changes: &mut Changes,
    ) -> Option<Cow<'t, str>> {
        self.closely(field, text, changes)
    }

    /// A name: there is always one. It is too short to hold more than a key.
    #[inline]
    pub(crate) fn name<'t>(
        &self,
        field: Field<'_>,
        name: &'t str,
        changes: &mut Changes,
    ) -> Cow<'t, str> {
        if self.hook.is_none() && !(self.mask_secrets && secrets::has_key(name)) {
            return Cow::Borrowed(name);
        }
        self.closely(field, name, changes).unwrap_or(Cow::Borrowed(MASK))
    }

    #[cold]
    fn closely<'t>(
        &self,
        field: Field<'_>,
        text: &'t str,
        changes: &mut Changes,
    ) -> Option<Cow<'t, str>> {
        let masked = if self.mask_secrets { secrets::masked(text) } else { None };
        changes.redacted += u64::from(masked.is_some());
        let text = masked.map_or(Cow::Borrowed(text), Cow::Owned);
        let Some(hook) = &self.hook else { return Some(text) };
        let asked = || hook(field, &text);
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(asked)) {
            Ok(Redacted::Keep) => Some(text),
            Ok(Redacted::Replace(other)) => {
                changes.redacted += 1;
                Some(Cow::Owned(other))
            }
            Ok(Redacted::Drop) => {
                changes.redacted += 1;
                None
            }
            Err(_) => {
                changes.failed += 1;
                None
            }
        }
    }

    /// Whether metadata of this key is kept at all.
    #[inline]
    pub(crate) fn keeps(&self, key: &str, changes: &mut Changes) -> bool {
        let keeps = (self.capture_content || !is_content(key))
            && self.allowed.as_ref().is_none_or(|allowed| allowed.contains(key));
        changes.redacted += u64::from(!keeps);
        keeps
    }

    /// Whether the value of this key is a secret as a whole.
    #[inline]
    pub(crate) fn is_secret(&self, key: &str) -> bool {
        self.mask_secrets && SecretName::of(key).is_some()
    }

    /// A value of metadata; none where it is left out. Numbers pass, but for those of a password.
    #[inline]
    pub(crate) fn value<'v>(
        &self,
        key: &str,
        value: MetaValue<'v>,
        changes: &mut Changes,
    ) -> Option<MetaValue<'v>> {
        if self.is_secret(key) {
            return Some(secret_value(key, value, changes));
        }
        Some(match value {
            MetaValue::Text(text) => match self.text(Field::Metadata(key), text, changes)? {
                Cow::Borrowed(text) => MetaValue::Text(text),
                Cow::Owned(text) => MetaValue::Owned(text),
            },
            MetaValue::Owned(text) => {
                let changed = match self.text(Field::Metadata(key), &text, changes)? {
                    Cow::Borrowed(_) => None,
                    Cow::Owned(other) => Some(other),
                };
                MetaValue::Owned(changed.unwrap_or(text))
            }
            MetaValue::Json(value) => MetaValue::Json(self.json(key, value, changes)?),
            number => number,
        })
    }

    fn json(&self, key: &str, value: Value, changes: &mut Changes) -> Option<Value> {
        match value {
            Value::String(text) => self.text(Field::Metadata(key), &text, changes).map(Into::into),
            Value::Array(items) => {
                Some(items.into_iter().filter_map(|item| self.json(key, item, changes)).collect())
            }
            Value::Object(map) => {
                let item = |(key, value): (String, Value)| {
                    let value = if self.is_secret(&key) {
                        secret_value(&key, value.into(), changes).into_value()
                    } else {
                        self.json(&key, value, changes)?
                    };
                    let key = self.text(Field::Key, &key, changes)?.into_owned();
                    Some((key, value))
                };
                Some(Value::Object(map.into_iter().filter_map(item).collect()))
            }
            other => Some(other),
        }
    }
}

/// What stands for the value of a secret name.
fn secret_value<'v>(key: &str, value: MetaValue<'v>, changes: &mut Changes) -> MetaValue<'v> {
    let harmless = match &value {
        MetaValue::Bool(_)
        | MetaValue::Json(Value::Null | Value::Bool(_))
        | MetaValue::Text("") => true,
        // A number of tokens is no token; a password can be a number.
        MetaValue::Unsigned(_) | MetaValue::Signed(_) | MetaValue::Float(_) => {
            SecretName::of(key) == Some(SecretName::Likely)
        }
        MetaValue::Json(value) => {
            value.is_number() && SecretName::of(key) == Some(SecretName::Likely)
        }
        MetaValue::Text(_) | MetaValue::Owned(_) => false,
    };
    if harmless {
        return value;
    }
    changes.redacted += 1;
    MetaValue::Text(MASK)
}
