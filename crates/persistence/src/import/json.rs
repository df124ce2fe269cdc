//! What the readers of other programs' JSON share.

use std::borrow::Cow;
use std::ops::Deref;

use serde::{Deserialize, Deserializer};

/// A text that is borrowed from the line where it has no escapes, within an option too.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// The text of an option, where it is not empty.
pub(crate) fn some<'a>(text: Option<&'a Text<'_>>) -> Option<&'a str> {
    text.map(|text| &**text).filter(|text| !text.is_empty())
}

/// An HTTP status, as a number or as text; anything else is none.
#[derive(Default)]
pub(crate) struct Status(pub(crate) Option<u16>);

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        Ok(Self(number.and_then(|number| u16::try_from(number).ok())))
    }
}

/// The beginning of a text that was written elsewhere, for an error: it is not known how long it is.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(300).collect()
}
