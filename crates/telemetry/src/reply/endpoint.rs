//! Whom a request asks, and for what: told by its address and its body.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use taximeter_models::Name;

use super::Dialect;
use super::part::name;

/// Whom a request asks: what its host and its path tell.
///
/// ```
/// use taximeter_telemetry::reply::{Dialect, Endpoint};
///
/// let azure = Endpoint::of("acme.openai.azure.com", None, "/openai/deployments/gpt4o/chat/completions").expect("a call");
/// assert_eq!(azure.provider.as_deref(), Some("azure"));
/// assert_eq!((azure.dialect, azure.model.as_deref()), (Dialect::OpenAi, Some("gpt4o")));
///
/// // An unknown host is taken for whose dialect it speaks, and that is said.
/// let own = Endpoint::of("llm.example.com", None, "/v1/messages").expect("a call");
/// assert!(own.provider.as_deref() == Some("anthropic") && own.is_assumed);
///
/// // What is no call of an LLM is none.
/// assert_eq!(Endpoint::of("api.openai.com", None, "/v1/models"), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Endpoint {
    /// Who serves the LLM, as the price book calls it; none where neither host nor path tell.
    pub provider: Option<Name>,
    /// Whether the host is not known, so that the provider is the one whose dialect the path is of.
    pub is_assumed: bool,
    /// The dialect of the path.
    pub dialect: Dialect,
    /// What is asked for, in the words of OpenTelemetry: `chat`, `embeddings`, `generate_content`, `text_completion`.
    pub operation: &'static str,
    /// The LLM, where the path names it; a deployment at Azure.
    pub model: Option<Name>,
    /// The region, where the host names one that changes the price.
    pub region: Option<&'static str>,
}

impl Endpoint {
    /// Looks at the address of a request; none if no path of a known API asks an LLM like this.
    pub fn of(host: &str, port: Option<u16>, path: &str) -> Option<Self> {
        let path = path.trim_end_matches('/');
        let (dialect, operation) = asked_for(path)?;
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let known = provider(&host, port);
        let provider = known.or_else(|| dialect.provider());
        Some(Self {
            provider: provider.map(Name::from),
            is_assumed: known.is_none(),
            dialect,
            operation,
            model: model_in(path),
            region: region(&host),
        })
    }
}

/// The ends of paths that ask an LLM.
const PATHS: &[(&str, Dialect, &str)] = &[
    ("/chat/completions", Dialect::OpenAi, "chat"),
    ("/completions", Dialect::OpenAi, "text_completion"),
    ("/responses", Dialect::OpenAi, "chat"),
    ("/embeddings", Dialect::OpenAi, "embeddings"),
    ("/images/generations", Dialect::OpenAi, "generate_content"),
    ("/images/edits", Dialect::OpenAi, "generate_content"),
    ("/audio/transcriptions", Dialect::OpenAi, "generate_content"),
    ("/audio/translations", Dialect::OpenAi, "generate_content"),
    ("/messages", Dialect::Anthropic, "chat"),
    (":generateContent", Dialect::Gemini, "generate_content"),
    (":streamGenerateContent", Dialect::Gemini, "generate_content"),
    (":embedContent", Dialect::Gemini, "embeddings"),
    (":batchEmbedContents", Dialect::Gemini, "embeddings"),
    // Vertex AI passes what the maker of an LLM answers.
    (":rawPredict", Dialect::Unknown, "chat"),
    (":streamRawPredict", Dialect::Unknown, "chat"),
    ("/converse", Dialect::Bedrock, "chat"),
    ("/converse-stream", Dialect::Bedrock, "chat"),
    // So does Bedrock.
    ("/invoke", Dialect::Unknown, "chat"),
    ("/invoke-with-response-stream", Dialect::Unknown, "chat"),
    ("/api/chat", Dialect::Ollama, "chat"),
    ("/api/generate", Dialect::Ollama, "text_completion"),
    ("/api/embed", Dialect::Ollama, "embeddings"),
    ("/api/embeddings", Dialect::Ollama, "embeddings"),
];

fn asked_for(path: &str) -> Option<(Dialect, &'static str)> {
    // The longest end decides: Ollama's `/api/embeddings` ends like OpenAI's.
    let ends = PATHS.iter().filter(|(end, ..)| path.ends_with(end));
    let (end, dialect, operation) = ends.max_by_key(|(end, ..)| end.len())?;
    // A path that is known by a common word alone must name an LLM.
    let needs_model = end.starts_with("/invoke") || end.starts_with("/converse");
    (!needs_model || model_in(path).is_some()).then_some((*dialect, *operation))
}

/// The LLM in a path: `…/models/NAME:verb` of Google's, `/model/NAME/verb` of Bedrock's, `/deployments/NAME/…` of Azure's.
fn model_in(path: &str) -> Option<Name> {
    let before_verb = path.rsplit_once(':').map(|(before, _)| before);
    let google =
        before_verb.and_then(|before| before.rsplit_once("/models/")).map(|(_, name)| name);
    let between = |begin: &str| {
        let (_, rest) = path.split_once(begin)?;
        rest.split_once('/').map(|(name, _)| name)
    };
    let found = google.or_else(|| between("/model/")).or_else(|| between("/deployments/"))?;
    // An ARN in a path has its colons as `%3A`.
    let found = percent_decode_str(found).decode_utf8_lossy();
    (!found.is_empty()).then(|| name(&found))
}

/// Hosts by their ends, and who serves LLMs there, as the price book calls it.
const HOSTS: &[(&str, &str)] = &[
    ("api.openai.com", "openai"),
    ("openai.azure.com", "azure"),
    ("cognitiveservices.azure.com", "azure"),
    ("services.ai.azure.com", "azure_ai"),
    ("models.ai.azure.com", "azure_ai"),
    ("api.anthropic.com", "anthropic"),
    ("generativelanguage.googleapis.com", "google"),
    ("aiplatform.googleapis.com", "vertex_ai"),
    ("openrouter.ai", "openrouter"),
    ("api.deepseek.com", "deepseek"),
    ("api.groq.com", "groq"),
    ("codestral.mistral.ai", "codestral"),
    ("api.mistral.ai", "mistral"),
    ("api.x.ai", "xai"),
    ("api.perplexity.ai", "perplexity"),
    ("api.together.xyz", "together_ai"),
    ("api.together.ai", "together_ai"),
    ("api.fireworks.ai", "fireworks_ai"),
    ("api.cohere.com", "cohere"),
    ("api.cohere.ai", "cohere"),
    ("api.cerebras.ai", "cerebras"),
    ("api.moonshot.ai", "moonshotai"),
    ("api.moonshot.cn", "moonshotai"),
    ("api.deepinfra.com", "deepinfra"),
    ("api.sambanova.ai", "sambanova"),
    ("api.z.ai", "zai"),
    ("api.minimax.io", "minimax"),
    ("integrate.api.nvidia.com", "nvidia_nim"),
    ("api.githubcopilot.com", "github_copilot"),
    ("ai-gateway.vercel.sh", "vercel_ai_gateway"),
];

/// Servers on this machine, by the ports that they listen on unless told otherwise.
const LOCAL_PORTS: &[(u16, &str)] = &[(11_434, "ollama"), (1_234, "lmstudio")];

fn provider(host: &str, port: Option<u16>) -> Option<&'static str> {
    let is_local = matches!(host, "localhost" | "127.0.0.1" | "[::1]" | "::1" | "ollama");
    if is_local {
        let port = port.unwrap_or_default();
        return LOCAL_PORTS.iter().find(|(known, _)| *known == port).map(|(_, name)| *name);
    }
    if host.starts_with("bedrock-runtime") && host.contains(".amazonaws.com") {
        return Some("bedrock");
    }
    HOSTS.iter().find(|(known, _)| is_within(host, known)).map(|(_, name)| *name)
}

/// Whether a host is that one, one below it, or Google's `region-` form of it.
fn is_within(host: &str, known: &str) -> bool {
    let before = host.strip_suffix(known);
    before.is_some_and(|before| before.is_empty() || before.ends_with(['.', '-']))
}

/// OpenAI's hosts for data that stays in a region, which costs more.
fn region(host: &str) -> Option<&'static str> {
    match host {
        "us.api.openai.com" => Some("us"),
        "eu.api.openai.com" => Some("eu"),
        _ => None,
    }
}

/// What the body of a request says of the call. Content is passed over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Request {
    /// The LLM that is asked.
    pub model: Option<Name>,
    /// Whether a streamed reply is asked for.
    pub stream: Option<bool>,
}

impl Request {
    /// Reads a body; what is no JSON says nothing.
    ///
    /// ```
    /// use taximeter_telemetry::reply::Request;
    ///
    /// let request = Request::read(br#"{"model": "gpt-4o", "messages": [{"role": "user"}], "stream": true}"#);
    /// assert_eq!((request.model.as_deref(), request.stream), (Some("gpt-4o"), Some(true)));
    /// assert_eq!(Request::read(b"--boundary"), Request::default());
    /// ```
    pub fn read(body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Head<'b> {
            #[serde(borrow, default)]
            model: Option<Cow<'b, str>>,
            #[serde(default)]
            stream: Option<bool>,
        }

        let head: Option<Head<'_>> = serde_json::from_slice(body).ok();
        head.map_or_else(Self::default, |head| Self {
            model: head.model.filter(|model| !model.is_empty()).map(|model| name(&model)),
            stream: head.stream,
        })
    }
}
