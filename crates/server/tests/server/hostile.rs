//! What no text that arrives can do: every page that links lead to is read tag by tag, and every answer of the API has a
//! type that no browser takes for a page.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;

use serde_json::{Value, json};
use tempfile::tempdir;

use super::payloads::PAYLOADS;
use super::support::{Running, agent, config, until};

fn attribute(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// Keys whose values are kept or shown.
const KEYS: [&str; 24] = [
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "gen_ai.response.id",
    "gen_ai.response.finish_reasons",
    "gen_ai.conversation.id",
    "gen_ai.agent.name",
    "gen_ai.agent.id",
    "gen_ai.tool.name",
    "gen_ai.tool.type",
    "gen_ai.tool.call.id",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.tool.description",
    "gen_ai.data_source.id",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "openai.response.service_tier",
    "error.type",
    "user.id",
    "session.id",
    "server.address",
    "url.full",
];

/// A span in which all that may be text is this text, of a role.
fn span(trace: usize, id: usize, role: &str, text: &str) -> Value {
    let now = chrono::Utc::now().timestamp_nanos_opt().unwrap();
    let mut attributes: Vec<_> = KEYS.iter().map(|key| attribute(key, text)).collect();
    attributes.push(attribute("gen_ai.operation.name", role));
    attributes.push(attribute(text, text));
    attributes.push(attribute(&format!("taximeter.tag.{text}"), text));
    attributes.push(json!({ "key": "gen_ai.usage.input_tokens", "value": { "intValue": "90" } }));
    let exception = ["exception.type", "exception.message", "exception.stacktrace", text];
    let event = |name: &str| {
        let attributes: Vec<_> = exception.iter().map(|key| attribute(key, text)).collect();
        json!({ "name": name, "timeUnixNano": now.to_string(), "attributes": attributes })
    };
    let mut span = json!({
        "traceId": format!("{:032x}", trace + 1), "spanId": format!("{:016x}", id + 1),
        "name": text, "attributes": attributes, "traceState": text,
        "status": { "code": 2, "message": text }, "events": [event("exception"), event(text)],
        "startTimeUnixNano": (now - 1_000_000_000).to_string(), "endTimeUnixNano": now.to_string(),
    });
    if !id.is_multiple_of(4) {
        span["parentSpanId"] = format!("{:016x}", id - id % 4 + 1).into();
    }
    span
}

/// Sends a trace in which all that may be text is this text, and the same as logs and metrics.
fn send(server: &Running, number: usize, text: &str) {
    let roles = ["invoke_agent", "chat", "execute_tool", text];
    let spans: Vec<_> =
        (0..).zip(roles).map(|(at, role)| span(number, number * 4 + at, role, text)).collect();
    let resource =
        json!({ "attributes": [attribute("service.name", text), attribute(text, text)] });
    let scope = json!({ "name": text, "version": text, "attributes": [attribute(text, text)] });
    let post = |path: &str, body: Value| {
        let request = agent().post(format!("http://{}{path}", server.otlp));
        let request = request.header("content-type", "application/json");
        request.send(&body.to_string()).unwrap().status().as_u16()
    };
    let traces = json!({ "resourceSpans": [{ "resource": resource, "schemaUrl": text,
        "scopeSpans": [{ "scope": scope, "spans": spans, "schemaUrl": text }] }] });
    assert_eq!(post("/v1/traces", traces), 200);
    // Ids that are none are refused, and what is said of it is no page.
    let wrong = json!({ "traceId": text, "spanId": text, "parentSpanId": text, "name": text });
    let wrong = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [wrong] }] }] });
    assert_eq!(post("/v1/traces", wrong), 200);
    let record = json!({ "body": { "stringValue": text }, "eventName": text, "severityText": text,
        "attributes": spans[1]["attributes"] });
    let logs = json!({ "resourceLogs": [{ "resource": resource,
        "scopeLogs": [{ "scope": scope, "logRecords": [record] }] }] });
    assert_eq!(post("/v1/logs", logs), 200);
    let point = json!({ "attributes": spans[1]["attributes"], "asInt": "5", "timeUnixNano": "1" });
    let metrics = json!({ "resourceMetrics": [{ "resource": resource, "scopeMetrics": [{ "scope": scope,
        "metrics": [{ "name": text, "description": text, "unit": text, "sum": { "dataPoints": [point] } }] }] }] });
    assert_eq!(post("/v1/metrics", metrics), 200);
}

/// Tags of a page with their attributes, as a browser would find them.
fn tags(page: &str) -> Vec<(String, Vec<(String, String)>)> {
    let (mut tags, mut rest) = (Vec::new(), page);
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if !rest.starts_with(|next: char| next.is_ascii_alphabetic()) {
            continue;
        }
        let (name, after) = word(rest);
        let mut attributes = Vec::new();
        rest = after;
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
            if rest.is_empty() || rest.starts_with('>') {
                break;
            }
            let (key, after) = word(rest);
            assert!(!key.is_empty(), "what is {rest:.40}?");
            rest = after;
            let mut value = "";
            if let Some(told) = rest.strip_prefix('=') {
                let quoted = told.strip_prefix('"').expect("every value is quoted");
                let end = quoted.find('"').expect("every value ends");
                (value, rest) = (&quoted[..end], &quoted[end + 1..]);
            }
            attributes.push((key.to_ascii_lowercase(), value.to_owned()));
        }
        tags.push((name.to_ascii_lowercase(), attributes));
    }
    tags
}

fn word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| c.is_whitespace() || "=/>".contains(c)).unwrap_or(text.len());
    text.split_at(end)
}

/// Tags that load, run or send something; ours load scripts and styles of this server alone.
const NEVER: [&str; 13] = [
    "iframe", "object", "embed", "base", "style", "math", "video", "audio", "source", "marquee",
    "img", "animate", "xss",
];

/// Looks at a page, and gives the addresses of this server that it leads to.
fn look(path: &str, page: &str) -> Vec<String> {
    let mut leads = Vec::new();
    for (tag, attributes) in tags(page) {
        assert!(!NEVER.contains(&tag.as_str()), "{path}: <{tag}>");
        let get = |name: &str| {
            attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
        };
        if tag == "script" {
            let own = get("src").is_some_and(|src| src.starts_with("/assets/"));
            assert!(
                own || get("type") == Some("application/json"),
                "{path}: a script {attributes:?}"
            );
        }
        assert!(tag != "meta" || get("http-equiv").is_none(), "{path}: {attributes:?}");
        for (key, value) in &attributes {
            assert!(!key.starts_with("on"), "{path}: {key}={value}");
            assert!(key != "style", "{path}: the policy lets no style stand in a page");
            if ["href", "src", "action", "formaction", "xlink:href", "data"].contains(&key.as_str())
            {
                let is_own = value.is_empty()
                    || value.starts_with(['#', '?'])
                    || (value.starts_with('/') && !value.starts_with("//"));
                assert!(is_own, "{path}: {key}={value}");
                leads.push(value.replace("&amp;", "&").replace("&quot;", "\""));
            }
        }
    }
    leads
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        write!(all, "%{byte:02x}").unwrap();
        all
    })
}

#[test]
fn whatever_arrives_is_text_on_every_page_and_no_page_elsewhere() {
    let folder = tempdir().unwrap();
    let server = Running::start(config(folder.path()));
    for (number, payload) in PAYLOADS.iter().enumerate() {
        send(&server, number, payload);
    }
    let operations = || server.json("/api/v1/report?since=1h")["total_operations"].as_u64();
    until("all are stored", || operations() >= Some(PAYLOADS.len() as u64));

    let mut next: VecDeque<String> = [
        "/",
        "/?spend=cost",
        "/operations?limit=1000",
        "/sessions?limit=1000",
        "/sessions?by=user",
        "/nowhere",
    ]
    .map(Into::into)
    .into();
    for by in ["llm", "provider", "operation", "tool", "user", "session", "tag:team"] {
        next.push_back(format!("/costs?by={by}"));
    }
    for payload in PAYLOADS {
        let text = encoded(payload);
        next.push_back(format!("/costs?by={text}&only=user={text}"));
        next.push_back(format!("/?only={text}&since={text}&by={text}&budget={text}&order={text}"));
        next.push_back(format!("/operations/{text}"));
        next.push_back(format!("/search?q={text}&since={text}"));
        next.push_back(format!("/search?q={text}"));
        next.push_back(format!("/sessions?by=user&only=user={text}&q={text}"));
        next.push_back(format!(
            "/alerts?edit={text}&edit_budget={text}&edit_receiver={text}&tested={text}"
        ));
    }
    let lines = server.json("/api/v1/operations?since=1h&limit=1000");
    for line in lines["operations"].as_array().unwrap() {
        next.push_back(format!("/operations/{}", line["operation_id"].as_str().unwrap()));
    }
    // Where links lead is looked at too, up to a number.
    let (mut seen, mut pages) = (BTreeSet::new(), 0);
    while let Some(path) = next.pop_front() {
        if pages >= 500 || !path.starts_with('/') || !seen.insert(path.clone()) {
            continue;
        }
        let address = format!("http://{}{}", server.page, path.split('#').next().unwrap());
        let Ok(mut response) = agent().get(address).call() else { continue };
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        assert_eq!(response.headers()["x-content-type-options"], "nosniff", "{path}");
        if kind.starts_with("text/html") {
            pages += 1;
            let page = response.body_mut().read_to_string().unwrap();
            assert!(page.starts_with("<!DOCTYPE html>"), "{path}");
            next.extend(look(&path, &page));
        }
    }
    assert!(pages > 250, "{pages} pages were looked at");
    answers_are_no_pages(&server);
    server.shutdown();
}

fn answers_are_no_pages(server: &Running) {
    for payload in PAYLOADS {
        let text = encoded(payload);
        for path in [
            format!("/api/v1/operations?only=user={text}"),
            format!("/api/v1/operations?since=1h&format=csv&only=user={text}"),
            format!("/api/v1/operations/{text}"),
            format!("/api/v1/groups?by={text}"),
            format!("/api/v1/groups?by=user&format={text}"),
            format!("/api/v1/trend/{text}?since={text}"),
            format!("/api/v1/{text}"),
            format!("/api/v1/compare?a={text}&b={text}"),
            format!("/api/v1/search?q={text}"),
            format!("/api/v1/sessions?by={text}"),
            format!("/api/v1/alerts?format=csv&table={text}"),
            format!("/api/v1/budgets?format=csv&only={text}"),
            "/metrics".to_owned(),
        ] {
            let response = agent().get(format!("http://{}{path}", server.page)).call().unwrap();
            let kind = response.headers()["content-type"].to_str().unwrap();
            let kinds = ["application/json", "application/problem+json", "text/csv", "text/plain"];
            assert!(kinds.iter().any(|known| kind.starts_with(known)), "{path}: {kind}");
            assert_eq!(response.headers()["x-content-type-options"], "nosniff", "{path}");
        }
    }
}

#[test]
fn what_would_do_something_is_found() {
    for bad in [
        "<p><script>alert(1)</script>",
        "<p onclick=\"x\">",
        "<a href=\"javascript:alert(1)\">",
        "<a href=\"//evil.example\">",
        "<script src=\"//evil.example/x.js\"></script>",
        "<meta http-equiv=\"refresh\">",
        "<iframe src=\"/\">",
        "<p style=\"x\">",
    ] {
        assert!(std::panic::catch_unwind(|| look("/", bad)).is_err(), "{bad}");
    }
    let good = "<!DOCTYPE html><a href=\"/x?y=1&amp;z=2\">&lt;script&gt;</a><script src=\"/assets/page.js\"></script>";
    assert_eq!(look("/", good), ["/x?y=1&z=2", "/assets/page.js"]);
}
