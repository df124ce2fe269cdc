//! Who is told, and the secrets that are needed for it: these are shown to nobody.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use taximeter::Name;

/// How a receiver is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReceiverKind {
    /// JSON by POST, signed as Standard Webhooks says.
    Webhook,
    /// A message as Slack's incoming webhooks take it, and whatever speaks like them.
    Slack,
    /// Version 2 of the API of Prometheus' Alertmanager; the address is that of the Alertmanager.
    Alertmanager,
}

impl ReceiverKind {
    /// Its name, as in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::Alertmanager => "alertmanager",
        }
    }
}

/// Something that is shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The value of a variable of the environment.
    ///
    /// # Errors
    /// Where it is not set, or empty.
    pub(crate) fn from_environment(variable: &str) -> Result<Self, String> {
        match std::env::var(variable) {
            Ok(value) if !value.trim().is_empty() => Ok(Self(value.trim().to_owned())),
            _ => Err(format!(
                "the environment variable {variable:?} is not set; set it, or leave its key out"
            )),
        }
    }

    pub(crate) fn show(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// A receiver, as it was read. Its address, secret and token are shown to nobody, for an address may be a key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receiver {
    /// What it is called.
    pub name: Name,
    /// How it is told.
    pub kind: ReceiverKind,
    /// The scheme and host of its address, which are no secret.
    pub host: String,
    pub(crate) url: Secret,
    pub(crate) signed: Option<Vec<u8>>,
    pub(crate) token: Option<Secret>,
    /// How long a request may take. Default: 10 s.
    pub(crate) timeout: Duration,
}

impl Receiver {
    /// # Errors
    /// Where the address is none, or a secret says nothing for this kind.
    pub(crate) fn new(
        name: Name,
        kind: ReceiverKind,
        url: Secret,
        signed: Option<Secret>,
        token: Option<Secret>,
        timeout: Duration,
    ) -> Result<Self, String> {
        let host =
            host(url.show()).ok_or("url: it is no address such as https://example.com/hook")?;
        if url.show().starts_with("https://") && !cfg!(feature = "tls") {
            return Err("url: https:// needs taximeter to be built with the feature `tls`".into());
        }
        if signed.is_some() && kind != ReceiverKind::Webhook {
            return Err("secret: only a webhook is signed".into());
        }
        if timeout.is_zero() || timeout > Duration::from_secs(120) {
            return Err("timeout: expected more than nothing and up to 2m".into());
        }
        if token
            .as_ref()
            .is_some_and(|token| !token.show().bytes().all(|b| (0x20..0x7f).contains(&b)))
        {
            return Err("token: it holds what no header can; expected plain letters".into());
        }
        let signed = signed.map(|secret| crate::sign::key(secret.show())).transpose()?;
        Ok(Self { name, kind, host, url, signed, token, timeout })
    }
}

impl Receiver {
    /// Whether what it gets is signed.
    pub fn is_signed(&self) -> bool {
        self.signed.is_some()
    }

    /// Whether a token is sent along.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }
}

/// The scheme and the host of an address; none where there is none.
fn host(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    if !matches!(scheme, "http" | "https") || url.chars().any(|c| c.is_control() || c == ' ') {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // A name and a password before the host are no part of it.
    let host = authority.rsplit('@').next().filter(|host| !host.is_empty())?;
    Some(format!("{scheme}://{host}"))
}
