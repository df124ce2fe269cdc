//! Addresses of requests, and whom they ask.

use crate::reply::{Dialect, Endpoint};

/// Provider (with a question mark where it is assumed), dialect, operation and LLM of an address; `-` is none.
fn told(host: &str, port: Option<u16>, path: &str) -> String {
    let Some(endpoint) = Endpoint::of(host, port, path) else { return "no call".to_owned() };
    let provider = endpoint.provider.as_deref().unwrap_or("-");
    let assumed = if endpoint.is_assumed { "?" } else { "" };
    let model = endpoint.model.as_deref().unwrap_or("-");
    format!("{provider}{assumed} {} {} {model}", endpoint.dialect, endpoint.operation)
}

#[test]
fn known_hosts() {
    for (host, path, expected) in [
        ("api.openai.com", "/v1/chat/completions", "openai openai chat -"),
        ("api.openai.com", "/v1/responses", "openai openai chat -"),
        ("API.OpenAI.com.", "/v1/embeddings/", "openai openai embeddings -"),
        (
            "acme.openai.azure.com",
            "/openai/deployments/gpt4/chat/completions",
            "azure openai chat gpt4",
        ),
        ("acme.openai.azure.com", "/openai/v1/responses", "azure openai chat -"),
        ("api.anthropic.com", "/v1/messages", "anthropic anthropic chat -"),
        (
            "generativelanguage.googleapis.com",
            "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
            "google gemini generate_content gemini-2.5-flash",
        ),
        (
            "us-central1-aiplatform.googleapis.com",
            "/v1/projects/p/locations/us-central1/publishers/anthropic/models/claude-sonnet-4-5@20250929:rawPredict",
            "vertex_ai unknown chat claude-sonnet-4-5@20250929",
        ),
        (
            "bedrock-runtime.us-east-1.amazonaws.com",
            "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse",
            "bedrock bedrock chat anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        (
            "bedrock-runtime-fips.us-east-1.amazonaws.com",
            "/model/amazon.nova-pro-v1:0/invoke-with-response-stream",
            "bedrock unknown chat amazon.nova-pro-v1:0",
        ),
        ("openrouter.ai", "/api/v1/chat/completions", "openrouter openai chat -"),
        ("api.x.ai", "/v1/chat/completions", "xai openai chat -"),
        ("us-east-1.api.x.ai", "/v1/chat/completions", "xai openai chat -"),
        ("api.groq.com", "/openai/v1/chat/completions", "groq openai chat -"),
    ] {
        assert_eq!(told(host, None, path), expected, "{host}{path}");
    }
    let region =
        |host| Endpoint::of(host, None, "/v1/responses").and_then(|endpoint| endpoint.region);
    assert_eq!([region("eu.api.openai.com"), region("api.openai.com")], [Some("eu"), None]);
}

#[test]
fn hosts_that_are_not_known_are_taken_for_whose_dialect_they_speak() {
    for (host, port, path, expected) in [
        ("localhost", Some(11_434), "/api/chat", "ollama ollama chat -"),
        ("localhost", Some(11_434), "/v1/chat/completions", "ollama openai chat -"),
        ("127.0.0.1", Some(8_000), "/v1/chat/completions", "openai? openai chat -"),
        ("gateway.example", None, "/api/embeddings", "ollama? ollama embeddings -"),
        ("gateway.example", None, "/model/x/invoke", "-? unknown chat x"),
        ("evil-api.openai.com.example", None, "/v1/messages", "anthropic? anthropic chat -"),
        ("notapi.openai.com", None, "/v1/completions", "openai? openai text_completion -"),
    ] {
        assert_eq!(told(host, port, path), expected, "{host}{path}");
    }
}

#[test]
fn other_requests_are_no_calls() {
    for path in [
        "/",
        "/v1/models",
        "/v1/chat",
        "/invoke",
        "/v1/batches",
        "/api/tags",
        "/v1/messages/batches",
    ] {
        assert_eq!(told("api.openai.com", None, path), "no call", "{path}");
        assert_eq!(
            Endpoint::of("api.openai.com", None, path).map(|endpoint| endpoint.dialect),
            None::<Dialect>
        );
    }
}
