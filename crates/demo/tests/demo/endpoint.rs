//! The stand-in, asked by a bare HTTP client: what any client of the API would see.

use serde_json::{Value, json};
use taximeter_demo::StandIn;
use ureq::Agent;
use ureq::http::Response;

use crate::support::{failing, quick, stand_in};

fn agent() -> Agent {
    Agent::config_builder().http_status_as_error(false).proxy(None).build().into()
}

fn post(stand_in: &StandIn, body: &str) -> Response<ureq::Body> {
    agent()
        .post(format!("{}/chat/completions", stand_in.base_url()))
        .header("authorization", format!("Bearer {}", stand_in.api_key()))
        .header("content-type", "application/json")
        .send(body)
        .unwrap()
}

fn ask(stand_in: &StandIn, extra: &Value) -> Response<ureq::Body> {
    let mut body = json!({"model": "gpt-4o", "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Passages:\n\n[1] a.md\nThe fare is five euros.\n\nQuestion: What is the fare?"},
    ]});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    post(stand_in, &body.to_string())
}

fn json_of(mut response: Response<ureq::Body>) -> Value {
    response.body_mut().read_json().unwrap()
}

#[test]
fn a_completion_has_the_documented_shape() {
    let stand_in = stand_in();
    let body = json_of(ask(&stand_in, &json!({})));
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["model"], "gpt-4o-2024-08-06");
    let choice = &body["choices"][0];
    assert!(choice["message"]["content"].as_str().unwrap().ends_with("he fare is five euros [1]."));
    assert_eq!(
        (&choice["message"]["role"], &choice["finish_reason"]),
        (&json!("assistant"), &json!("stop"))
    );
    let usage = &body["usage"];
    let of = |key: &str| usage[key].as_u64().unwrap();
    assert_eq!(of("prompt_tokens") + of("completion_tokens"), of("total_tokens"));
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 0);
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], 0);
    let served = stand_in.served().tokens;
    assert_eq!((served.prompt, served.completion), (of("prompt_tokens"), of("completion_tokens")));
}

#[test]
fn a_stream_says_the_same_and_its_usage_on_request() {
    let stand_in = stand_in();
    let whole = json_of(ask(&stand_in, &json!({})));
    for include_usage in [true, false] {
        let extra = json!({"stream": true, "stream_options": {"include_usage": include_usage}});
        let mut response = ask(&stand_in, &extra);
        assert!(
            response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream")
        );
        let body = response.body_mut().read_to_string().unwrap();
        let mut data: Vec<&str> =
            body.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect();
        assert_eq!(data.pop(), Some("[DONE]"));
        let chunks: Vec<Value> =
            data.iter().map(|data| serde_json::from_str(data).unwrap()).collect();
        assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
        let text: String = chunks
            .iter()
            .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
            .collect();
        assert!(text.ends_with("he fare is five euros [1]."), "{text}");
        let last = chunks.last().unwrap();
        if include_usage {
            assert_eq!(last["choices"], json!([]));
            assert_eq!(last["usage"]["prompt_tokens"], whole["usage"]["prompt_tokens"]);
        } else {
            assert!(chunks.iter().all(|chunk| chunk["usage"].is_null()));
            assert_eq!(last["choices"][0]["finish_reason"], "stop");
        }
    }
}

#[test]
fn models_are_listed_for_those_with_a_key() {
    let stand_in = stand_in();
    let list = |key: &str| {
        agent()
            .get(format!("{}/models", stand_in.base_url()))
            .header("authorization", format!("Bearer {key}"))
            .call()
            .unwrap()
    };
    let ids = json_of(list(stand_in.api_key()))["data"].as_array().unwrap().clone();
    assert!(ids.iter().any(|model| model["id"] == "gpt-4o-mini"));
    assert_eq!(list("other").status(), 401);
    assert_eq!(stand_in.served().requests, 0);
}

#[test]
fn what_is_no_request_is_refused() {
    let stand_in = stand_in();
    for body in ["", "{", "[]", r#"{"model":"gpt-4o"}"#, r#"{"model":1,"messages":[]}"#] {
        let response = post(&stand_in, body);
        assert_eq!(response.status(), 400, "{body}");
        assert_eq!(json_of(response)["error"]["type"], "invalid_request_error");
    }
    let served = stand_in.served();
    assert_eq!((served.requests, served.bad_requests, served.under_way()), (5, 5, 0));
}

#[test]
fn a_rate_limit_says_how_long_to_wait() {
    let stand_in = failing(|faults| faults.rate_limited = 1.0);
    let response = ask(&stand_in, &json!({}));
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &"1".parse().unwrap())
    );
    assert_eq!(json_of(response)["error"]["code"], "rate_limit_exceeded");
}

#[test]
fn it_stops_when_it_is_dropped() {
    let stand_in = StandIn::start(quick().seed(77)).unwrap();
    let url = format!("{}/models", stand_in.base_url());
    let key = format!("Bearer {}", stand_in.api_key());
    // The port may be taken by the stand-in of another test, which has another key.
    let answers = || {
        let reply = agent().get(&url).header("authorization", &key).call();
        reply.is_ok_and(|reply| reply.status() == 200)
    };
    assert!(answers());
    drop(stand_in);
    assert!(!answers());
}

#[test]
fn it_may_be_dropped_within_a_runtime() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        drop(stand_in());
    });
}
