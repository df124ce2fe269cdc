//! What the application is told: which folder, which server, which model, and how patient to be.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::stand_in::StandIn;

const OPENAI: &str = "https://api.openai.com/v1";
const DEFAULT_MODEL: &str = "gpt-4o-mini";

/// How [`RagApp::open`](crate::RagApp::open) shall work.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RagConfig {
    /// The folder of Markdown files, read with its subfolders.
    pub docs_dir: PathBuf,
    /// The address in front of `/chat/completions`, such as `https://api.openai.com/v1`.
    pub base_url: String,
    /// Sent as a bearer token; a local server may need none. Default: none.
    pub api_key: Option<ApiKey>,
    /// The model to ask.
    pub model: String,
    /// Whose price list applies. Default: read off the host of `base_url`.
    pub provider: String,
    /// How many passages go into a prompt. Default: 4.
    pub top_k: usize,
    /// How long one attempt may take, from connecting to the last byte. Default: 60 s.
    pub timeout: Duration,
    /// Whether replies are streamed. Default: no.
    pub stream: bool,
    /// How often and how long to wait before another attempt. Default: [`RetryPolicy::default`].
    pub retry: RetryPolicy,
    /// The longest question, in characters. Default: 2,000.
    pub max_question_chars: usize,
    /// The longest passage, in characters. Default: 900.
    pub max_passage_chars: usize,
    /// The longest reply, in tokens. Default: as long as the model likes.
    pub max_answer_tokens: Option<u32>,
}

impl RagConfig {
    /// A configuration with all defaults, for a server that needs no key.
    pub fn new(
        docs_dir: impl Into<PathBuf>,
        base_url: impl Into<String>,
        model: impl Into<String>,
    ) -> Self {
        let base_url = base_url.into().trim_end_matches('/').to_owned();
        Self {
            docs_dir: docs_dir.into(),
            provider: provider_of(&base_url),
            base_url,
            api_key: None,
            model: model.into(),
            top_k: 4,
            timeout: Duration::from_secs(60),
            stream: false,
            retry: RetryPolicy::default(),
            max_question_chars: 2_000,
            max_passage_chars: 900,
            max_answer_tokens: None,
        }
    }

    /// A configuration for the real server named by `OPENAI_BASE_URL`, `OPENAI_API_KEY` and `OPENAI_MODEL`.
    ///
    /// `None` when neither an address nor a key is set. The address defaults to OpenAI's, the model to `gpt-4o-mini`.
    pub fn from_env(docs_dir: impl Into<PathBuf>) -> Option<Self> {
        Self::from_lookup(docs_dir.into(), |name| std::env::var(name).ok())
    }

    /// A configuration for the stand-in: its key and model, a short timeout and quick retries.
    pub fn for_stand_in(docs_dir: impl Into<PathBuf>, stand_in: &StandIn) -> Self {
        Self {
            api_key: Some(ApiKey::new(stand_in.api_key())),
            provider: "openai".to_owned(),
            timeout: Duration::from_secs(2),
            retry: RetryPolicy::quick(),
            ..Self::new(docs_dir, stand_in.base_url(), DEFAULT_MODEL)
        }
    }

    fn from_lookup(docs_dir: PathBuf, get: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let get = |name| get(name).filter(|value| !value.trim().is_empty());
        let (base_url, key) = (get("OPENAI_BASE_URL"), get("OPENAI_API_KEY"));
        if base_url.is_none() && key.is_none() {
            return None;
        }
        let base_url = base_url.unwrap_or_else(|| OPENAI.to_owned());
        let model = get("OPENAI_MODEL").unwrap_or_else(|| DEFAULT_MODEL.to_owned());
        Some(Self { api_key: key.map(ApiKey::new), ..Self::new(docs_dir, base_url, model) })
    }
}

/// How often to try, and how long to wait in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, the first included. Default: 3.
    pub attempts: u32,
    /// The wait before the second attempt; it doubles from there. Default: 500 ms.
    pub first_wait: Duration,
    /// No wait is longer, whatever the server asks for. Default: 20 s.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 3,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(20),
        }
    }
}

impl RetryPolicy {
    /// Short waits, for a server on this machine.
    pub fn quick() -> Self {
        Self {
            attempts: 3,
            first_wait: Duration::from_millis(20),
            longest_wait: Duration::from_millis(200),
        }
    }

    /// The wait after `attempt` attempts: the server's wish or the doubled first wait, whichever is longer, within the
    /// limit. The upper half is drawn at random, so that clients turned away together do not come back together.
    pub(crate) fn wait_after(&self, attempt: u32, asked: Option<Duration>) -> Duration {
        let doubled = self.first_wait.saturating_mul(1 << attempt.saturating_sub(1).min(16));
        let jittered = doubled.mul_f64(0.5 + 0.5 * fastrand::f64());
        jittered.max(asked.unwrap_or_default()).min(self.longest_wait)
    }
}

/// A key that shows itself to the server alone, never in `Debug` or an error.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// Takes the key as the provider issued it.
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// `text` without the key, for messages that a server may have echoed it into.
    pub(crate) fn redact(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(&self.0, "[key]") }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey([hidden])")
    }
}

/// Names the provider behind an address; a host that is not known stands for itself, and so stays unpriced.
fn provider_of(base_url: &str) -> String {
    const KNOWN: [(&str, &str); 7] = [
        ("openai.com", "openai"),
        ("openai.azure.com", "azure"),
        ("openrouter.ai", "openrouter"),
        ("deepseek.com", "deepseek"),
        ("groq.com", "groq"),
        ("mistral.ai", "mistral"),
        ("x.ai", "xai"),
    ];
    let host = host_of(base_url);
    KNOWN
        .iter()
        .find(|(domain, _)| {
            host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
        .map_or_else(|| host.to_owned(), |(_, name)| (*name).to_owned())
}

/// The host of an address, without scheme, user, port and path.
pub(crate) fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None => host.split(':').next().unwrap_or(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(vars: &[(&str, &str)]) -> Option<RagConfig> {
        RagConfig::from_lookup(PathBuf::from("docs"), |name| {
            vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_in_the_environment_is_no_configuration() {
        assert!(from(&[]).is_none());
        assert!(from(&[("OPENAI_API_KEY", " "), ("OPENAI_MODEL", "gpt-4o")]).is_none());
    }

    #[test]
    fn a_key_alone_means_openai() {
        let config = from(&[("OPENAI_API_KEY", "sk-1")]).unwrap();
        assert_eq!(
            (config.base_url.as_str(), config.provider.as_str(), config.model.as_str()),
            (OPENAI, "openai", DEFAULT_MODEL)
        );
    }

    #[test]
    fn an_address_alone_means_a_server_without_a_key() {
        let config =
            from(&[("OPENAI_BASE_URL", "http://[::1]:11434/v1/"), ("OPENAI_MODEL", "qwen3")])
                .unwrap();
        assert_eq!(config.base_url, "http://[::1]:11434/v1");
        assert_eq!((config.provider.as_str(), config.model.as_str()), ("::1", "qwen3"));
        assert!(config.api_key.is_none());
    }

    #[test]
    fn the_provider_is_read_off_the_host() {
        for (url, provider) in [
            ("https://api.openai.com/v1", "openai"),
            ("https://eu.openai.azure.com/openai/v1", "azure"),
            ("https://user:word@api.x.ai:443/v1", "xai"),
            ("https://max.ai/v1", "max.ai"),
            ("localhost:8080", "localhost"),
        ] {
            assert_eq!(provider_of(url), provider, "{url}");
        }
    }

    #[test]
    fn a_key_is_never_shown() {
        let config = from(&[("OPENAI_API_KEY", "sk-secret")]).unwrap();
        assert!(!format!("{config:?}").contains("secret"));
        let key = config.api_key.unwrap();
        assert_eq!(key.redact("wrong key sk-secret!"), "wrong key [key]!");
        assert_eq!(key.bearer(), "Bearer sk-secret");
    }

    #[test]
    fn waits_grow_listen_to_the_server_and_stay_bounded() {
        let policy = RetryPolicy {
            attempts: 9,
            first_wait: Duration::from_millis(100),
            longest_wait: Duration::from_secs(1),
        };
        for attempt in 1..40 {
            let wait = policy.wait_after(attempt, None);
            let doubled = Duration::from_millis(100 << (attempt - 1).min(16));
            assert!(wait >= (doubled / 2).min(policy.longest_wait) && wait <= policy.longest_wait);
        }
        let asked = |ms| policy.wait_after(1, Some(Duration::from_millis(ms)));
        assert_eq!(asked(400), Duration::from_millis(400));
        assert_eq!(asked(60_000), Duration::from_secs(1));
    }
}
