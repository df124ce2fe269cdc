//! Bodies and statuses of replies that failed.

use serde_json::json;
use taximeter_models::ErrorCategory::{
    self, Authentication, Authorization, ContentFilter, ContextLength, NotFound, Quota, RateLimit,
    Server, Timeout, Validation,
};

use crate::reply::{error, read};

fn check(
    what: &str,
    status: u16,
    body: &serde_json::Value,
    category: ErrorCategory,
    message: &str,
) {
    let record = error(status, None, body.to_string().as_bytes());
    assert_eq!((record.category, record.message.as_str()), (category, message), "{what}");
}

#[test]
fn errors_of_those_who_speak_as_openai() {
    let said = |kind, code: Option<&str>, message| {
        json!({"error":
        {"message": message, "type": kind, "param": null, "code": code}})
    };
    for (status, body, category) in [
        (401, said("invalid_request_error", Some("invalid_api_key"), "m"), Authentication),
        (429, said("requests", Some("rate_limit_exceeded"), "m"), RateLimit),
        (429, said("insufficient_quota", Some("insufficient_quota"), "m"), Quota),
        (400, said("invalid_request_error", Some("context_length_exceeded"), "m"), ContextLength),
        (400, said("invalid_request_error", Some("content_policy_violation"), "m"), ContentFilter),
        (404, said("invalid_request_error", Some("model_not_found"), "m"), NotFound),
        (400, said("invalid_request_error", None, "m"), Validation),
        (500, said("server_error", None, "m"), Server),
        (503, said("service_unavailable", None, "m"), Server),
        (403, said("unsupported_country", None, "m"), Authorization),
    ] {
        check("OpenAI", status, &body, category, "m");
    }
    let long =
        "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens";
    check(
        "vLLM: the code is the status",
        400,
        &json!({"object": "error", "message": long, "type": "BadRequestError", "param": null, "code": 400}),
        ContextLength,
        long,
    );
    check(
        "a filter of Azure's",
        400,
        &json!({"error": {"code": "content_filter", "message": "m", "status": 400,
            "innererror": {"code": "ResponsibleAIPolicyViolation"}}}),
        ContentFilter,
        "m",
    );
    check("Azure's limit", 429, &json!({"error": {"code": "429", "message": "m"}}), RateLimit, "m");
    check(
        "no such deployment",
        404,
        &json!({"error": {"code": "DeploymentNotFound", "message": "m"}}),
        NotFound,
        "m",
    );
    check("Azure's gateway", 401, &json!({"statusCode": 401, "message": "m"}), Authentication, "m");
    check(
        "OpenRouter: the code is a status",
        402,
        &json!({"error": {"code": 402, "message": "m", "metadata": {}}}),
        Quota,
        "m",
    );
    check("FastAPI", 422, &json!({"detail": "m"}), Validation, "m");
    check(
        "xAI",
        400,
        &json!({"code": "Client specified an invalid argument", "error": "Incorrect API key provided"}),
        Authentication,
        "Incorrect API key provided",
    );
}

#[test]
fn errors_of_anthropic() {
    let said = |kind, message| json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "r"});
    for (status, kind, category) in [
        (400, "invalid_request_error", Validation),
        (401, "authentication_error", Authentication),
        (402, "billing_error", Quota),
        (403, "permission_error", Authorization),
        (404, "not_found_error", NotFound),
        (413, "request_too_large", ContextLength),
        (429, "rate_limit_error", RateLimit),
        (500, "api_error", Server),
        (504, "timeout_error", Timeout),
        (529, "overloaded_error", Server),
    ] {
        check(kind, status, &said(kind, "m"), category, "m");
    }
    let long = "prompt is too long: 210000 tokens > 200000 maximum";
    check("too long", 400, &said("invalid_request_error", long), ContextLength, long);
    let poor = "Your credit balance is too low to access the Anthropic API";
    check("no money", 400, &said("invalid_request_error", poor), Quota, poor);
}

#[test]
fn errors_of_google() {
    let said = |code, status, message| json!({"error": {"code": code, "message": message, "status": status}});
    for (status, word, category) in [
        (400, "INVALID_ARGUMENT", Validation),
        (403, "PERMISSION_DENIED", Authorization),
        (404, "NOT_FOUND", NotFound),
        (429, "RESOURCE_EXHAUSTED", RateLimit),
        (500, "INTERNAL", Server),
        (503, "UNAVAILABLE", Server),
        (504, "DEADLINE_EXCEEDED", Timeout),
    ] {
        check(word, status, &said(status, word, "m"), category, "m");
        check("in a list", status, &json!([said(status, word, "m")]), category, "m");
    }
    let long =
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).";
    check("too long", 400, &said(400, "INVALID_ARGUMENT", long), ContextLength, long);
    let mut key = said(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.");
    check(
        "a wrong key, by its message",
        400,
        &key,
        Authentication,
        "API key not valid. Please pass a valid API key.",
    );
    key["error"]["message"] = "m".into();
    key["error"]["details"] =
        json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]);
    check("a wrong key, by its reason", 400, &key, Authentication, "m");
}

#[test]
fn errors_of_bedrock_and_ollama() {
    for (status, code, category) in [
        (429, "ThrottlingException", RateLimit),
        (403, "AccessDeniedException", Authorization),
        (400, "ValidationException", Validation),
        (404, "ResourceNotFoundException", NotFound),
        (408, "ModelTimeoutException", Timeout),
        (424, "ModelErrorException", Server),
        (503, "ServiceUnavailableException", Server),
        (403, "ExpiredTokenException", Authentication),
    ] {
        let record = error(status, Some(code), br#"{"message":"m"}"#);
        assert_eq!((record.category, record.message.as_str()), (category, "m"), "{code}");
        let in_body = json!({"__type": format!("com.amazon.coral.service#{code}"), "Message": "m"});
        check(code, status, &in_body, category, "m");
    }
    let long = "Input is too long for requested model.";
    let record =
        error(400, Some("ValidationException"), json!({"message": long}).to_string().as_bytes());
    assert_eq!(record.category, ContextLength);
    check(
        "Ollama",
        404,
        &json!({"error": "model \"x\" not found, try pulling it first"}),
        NotFound,
        "model \"x\" not found, try pulling it first",
    );
}

#[test]
fn a_status_says_what_a_body_does_not() {
    for (status, category) in
        [(401, Authentication), (429, RateLimit), (502, Server), (529, Server), (408, Timeout)]
    {
        let record = error(status, None, b"<html>Bad Gateway</html>");
        assert_eq!((record.category, record.message), (category, format!("HTTP status {status}")));
    }
    let page = json!({"error": "x".repeat(100_000)}).to_string();
    assert_eq!(error(500, None, page.as_bytes()).message.len(), 2_000);
}

#[test]
fn a_reply_may_hold_an_error_in_spite_of_its_status() {
    for (what, reply, category, message) in [
        (
            "Anthropic",
            json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
            Server,
            "Overloaded",
        ),
        (
            "OpenRouter, at its choice",
            json!({"choices": [{"index": 0, "finish_reason": "error",
            "error": {"code": 429, "message": "slow"}}]}),
            RateLimit,
            "slow",
        ),
        (
            "responses",
            json!({"object": "response", "status": "failed",
            "error": {"code": "rate_limit_exceeded", "message": "slow"}}),
            RateLimit,
            "slow",
        ),
        (
            "an event of responses",
            json!({"type": "response.failed", "response": {"object": "response",
            "status": "failed", "error": {"code": "server_error", "message": "oh"}}}),
            Server,
            "oh",
        ),
        (
            "another one",
            json!({"type": "error", "code": "context_length_exceeded", "message": "long", "param": null}),
            ContextLength,
            "long",
        ),
    ] {
        let error = read(&reply).error.expect(what);
        assert_eq!((error.category, error.message.as_str()), (category, message), "{what}");
    }
}
