//! The API, held against the document that tells of it.

use std::sync::Arc;

use serde_json::{Value, json};
use taximeter::store::SqliteStore;
use tempfile::{TempDir, tempdir};

use super::support::{Running, agent, chat, config, until};

/// A server with some operations in its store.
fn filled() -> (Running, TempDir) {
    let folder = tempdir().unwrap();
    let mut config = config(folder.path());
    config.sqlite = Some(Arc::new(SqliteStore::at(folder.path()).open_to_read().unwrap()));
    let server = Running::start(config);
    let spans: Vec<_> = (0..40)
        .map(|trace| {
            let mut span = chat(trace, &[("user.id", if trace % 2 == 0 { "ann" } else { "bob" })]);
            if trace % 10 == 0 {
                span["status"] = json!({ "code": 2, "message": "HTTP status 429" });
            }
            span
        })
        .collect();
    assert_eq!(server.send(&spans), 200);
    until("all are stored", || server.json("/api/v1/report?since=1h")["total_operations"] == 40);
    (server, folder)
}

/// Status, type and body.
fn ask(server: &Running, path: &str) -> (u16, String, String) {
    let address = format!("http://{}{path}", server.page);
    let mut response = agent().get(address).call().unwrap();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    (response.status().as_u16(), kind, response.body_mut().read_to_string().unwrap())
}

fn post_sql(server: &Running, question: &Value) -> (u16, Value) {
    let request = agent().post(format!("http://{}/api/v1/sql", server.page));
    let request = request.header("content-type", "application/json");
    let mut response = request.send(&question.to_string()).unwrap();
    let body = response.body_mut().with_config().limit(32 << 20).read_to_string().unwrap();
    (response.status().as_u16(), serde_json::from_str(&body).unwrap())
}

/// A schema of the document, whose references lead into the document.
fn validator(document: &Value, schema: &Value) -> jsonschema::Validator {
    let mut whole = schema.clone();
    whole["components"] = document["components"].clone();
    jsonschema::validator_for(&whole).unwrap()
}

fn hold(document: &Value, answer: &Value, path: &str, body: &Value) {
    let schema = &answer["schema"];
    assert!(schema.is_object(), "{path} has no schema");
    let wrong: Vec<_> = validator(document, schema)
        .iter_errors(body)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{path} is not what the document says: {wrong:#?}");
}

#[test]
fn every_path_answers_as_the_document_says() {
    let (server, _folder) = filled();
    let document = server.json("/api/v1/openapi.json");
    assert_eq!(document["openapi"], "3.1.0");
    let id = server.json("/api/v1/operations?limit=1")["operations"][0]["operation_id"].clone();
    let operation =
        server.json("/api/v1/operations?limit=1")["operations"][0]["operation_name"].clone();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 15);
    for (path, methods) in paths {
        if path == "/events" {
            continue; // It goes on for ever; the browser's tests listen to it.
        }
        let Some(told) = methods.get("get") else {
            assert_eq!(path, "/api/v1/sql");
            let (status, body) = post_sql(&server, &json!({ "sql": "SELECT * FROM llm_calls" }));
            assert_eq!(status, 200, "{body}");
            let answers = &methods["post"]["responses"];
            hold(&document, &answers["200"]["content"]["application/json"], path, &body);
            continue;
        };
        let address = path
            .replace("{id}", id.as_str().unwrap())
            .replace("{name}", "top_k")
            .replace("{operation}", &operation.as_str().unwrap().replace(' ', "%20"));
        let asked = match path.as_str() {
            "/api/v1/report" => format!("{address}?since=1h&by=hour&budget=10"),
            "/api/v1/compare" => format!("{address}?a=user=ann&b=user=bob"),
            "/api/v1/groups" => format!("{address}?by=user&only=user=ann"),
            "/api/v1/slo" => format!("{address}?target=99&within=800ms"),
            "/api/v1/alerts/backtest" => {
                let rule = "[[rule]]%0Aname='r'%0Akind='no_data'%0Awindow='1h'";
                format!("{address}?over=1h&toml={rule}")
            }
            _ => address,
        };
        let (status, kind, body) = ask(&server, &asked);
        assert_eq!(status, 200, "{asked}: {body}");
        let content = told["responses"]["200"]["content"].as_object().unwrap();
        let essence = kind.split(';').next().unwrap();
        let answer = content.get(essence).unwrap_or_else(|| panic!("{path} is {kind}"));
        if essence == "application/json" {
            hold(&document, answer, path, &serde_json::from_str(&body).unwrap());
        }
    }
    server.shutdown();
}

#[test]
fn a_document_that_is_another_is_noticed() {
    let (server, _folder) = filled();
    let document = server.json("/api/v1/openapi.json");
    let told = &document["paths"]["/api/v1/report"]["get"]["responses"]["200"]["content"];
    let schema = &told["application/json"]["schema"];
    let mut report = server.json("/api/v1/report?since=1h");
    assert!(validator(&document, schema).is_valid(&report));
    report["total_operations"] = "many".into();
    assert!(!validator(&document, schema).is_valid(&report));
    server.shutdown();
}

#[test]
fn what_cannot_be_answered_is_a_problem() {
    let (server, _folder) = filled();
    let document = server.json("/api/v1/openapi.json");
    let told = &document["paths"]["/api/v1/report"]["get"]["responses"]["default"]["content"];
    for (path, expected) in [
        ("/api/v1/report?since=soon", 400),
        ("/api/v1/report?only=colour=red", 400),
        ("/api/v1/operations?limit=many", 400),
        ("/api/v1/operations?order=loudest", 400),
        ("/api/v1/groups?by=colour", 400),
        ("/api/v1/groups?format=xls", 400),
        ("/api/v1/compare?a=user=ann", 400),
        ("/api/v1/operations/nothing", 400),
        ("/api/v1/operations/00000000-0000-7000-8000-000000000000", 404),
        ("/api/v1/sql", 405),
        ("/api/v1/nothing", 404),
        ("/api/v2/report", 404),
    ] {
        let (status, kind, body) = ask(&server, path);
        assert_eq!(
            (status, kind.as_str()),
            (expected, "application/problem+json"),
            "{path}: {body}"
        );
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["status"], expected, "{path}");
        hold(&document, &told["application/problem+json"], path, &body);
    }
    server.shutdown();
}

#[test]
fn sql_reads_within_its_limits_and_changes_nothing() {
    let (server, folder) = filled();
    let question = "SELECT user, count(*) AS n FROM operations GROUP BY user ORDER BY user";
    let (status, body) = post_sql(&server, &json!({ "sql": question, "since": "1h" }));
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["columns"], json!(["user", "n"]));
    assert_eq!(body["rows"], json!([["ann", 20], ["bob", 20]]));
    let (_, cut) = post_sql(&server, &json!({ "sql": "SELECT id FROM operations", "limit": 3 }));
    assert_eq!((cut["rows"].as_array().unwrap().len(), &cut["cut"]), (3, &true.into()));
    // Of 40 cells of a megabyte, sixteen are an answer.
    let long = json!({ "sql": "SELECT hex(zeroblob(524288)) FROM operations" });
    let (_, long) = post_sql(&server, &long);
    assert_eq!((long["rows"].as_array().unwrap().len(), &long["cut"]), (16, &true.into()));

    let before = std::fs::read(folder.path().join("taximeter.db")).unwrap();
    for (sql, why) in [
        ("DELETE FROM operations", "nothing can be changed"),
        ("DROP TABLE counters", "nothing can be changed"),
        ("PRAGMA user_version = 7", "nothing can be changed"),
        ("ATTACH 'other.db' AS other", "nothing can be changed"),
        ("VACUUM INTO 'copy.db'", "nothing can be changed"),
        ("SELECT load_extension('x')", "nothing can be changed"),
        ("SELECT 1; DELETE FROM operations", "asking by SQL"),
        ("SELECT * FROM elsewhere", "no such table"),
        ("SELEC 1", "syntax error"),
        ("", "asking by SQL"),
    ] {
        let (status, problem) = post_sql(&server, &json!({ "sql": sql }));
        let detail = problem["detail"].as_str().unwrap();
        assert!(status == 400 && detail.contains(why), "{sql}: {status} {detail}");
        assert!(!detail.contains(folder.path().to_str().unwrap()), "{detail}");
    }
    let (status, problem) = post_sql(&server, &json!({ "sql": "SELECT 1", "since": "soon" }));
    assert!(status == 400 && problem["detail"].as_str().unwrap().contains("soon"));
    assert_eq!(before, std::fs::read(folder.path().join("taximeter.db")).unwrap());

    // What would go on for ever ends.
    let endless = "WITH RECURSIVE more(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more) SELECT max(n) FROM more";
    let (status, problem) = post_sql(&server, &json!({ "sql": endless }));
    assert!(
        status == 504 && problem["detail"].as_str().unwrap().contains("longer than"),
        "{problem}"
    );
    server.shutdown();
}

#[test]
fn without_a_file_there_is_no_sql() {
    let folder = tempdir().unwrap();
    let server = Running::start(config(folder.path()));
    let (status, problem) = post_sql(&server, &json!({ "sql": "SELECT 1" }));
    assert!(status == 404 && problem["detail"].as_str().unwrap().contains("SQL"));
    server.shutdown();
}

#[test]
fn lists_are_tables_too() {
    let (server, _folder) = filled();
    for path in
        ["/api/v1/operations?since=1h&format=csv", "/api/v1/groups?since=1h&by=user&format=csv"]
    {
        let (status, kind, body) = ask(&server, path);
        assert_eq!(
            (status, kind.as_str()),
            (200, "text/csv; charset=utf-8; header=present"),
            "{path}"
        );
        assert!(body.contains("ann"), "{body}");
    }
    let (_, _, groups) = ask(&server, "/api/v1/groups?since=1h&by=user&format=csv");
    let rows: Vec<_> = groups.lines().map(|line| line.split(',').collect::<Vec<_>>()).collect();
    assert_eq!(rows[0][..5], ["key", "start", "operations", "failed", "total_cost"]);
    let json = server.json("/api/v1/groups?since=1h&by=user");
    for (row, group) in rows[1..].iter().zip(json["groups"].as_array().unwrap()) {
        assert_eq!(group["key"], row[0]);
        assert_eq!(group["total_cost"], row[4]);
    }
    // Who asks for it by its type gets it as well.
    let address = format!("http://{}/api/v1/operations?since=1h", server.page);
    let mut answer = agent().get(address).header("accept", "text/csv").call().unwrap();
    assert_eq!(answer.body_mut().read_to_string().unwrap().lines().count(), 41);
    server.shutdown();
}

#[test]
fn what_came_is_counted_and_scraped() {
    let (server, _folder) = filled();
    assert_eq!(server.send(&[chat(0, &[]), chat(1_000, &[])]), 200);
    let wrong = json!({ "traceId": "nothing", "spanId": "nothing", "name": "x" });
    assert_eq!(server.send(&[wrong]), 200);
    let post = agent().post(format!("http://{}/v1/traces", server.otlp));
    assert_eq!(post.header("content-type", "application/json").send("{").unwrap().status(), 400);
    until("the new one is stored", || {
        server.json("/api/v1/report?since=1h")["total_operations"] == 41
    });
    let receiver = &server.json("/api/v1/health")["receiver"];
    let is = |name: &str, count: u64| assert_eq!(receiver[name], count, "{name} of {receiver}");
    is("requests", 3);
    is("refused_requests", 1);
    is("spans", 42);
    is("duplicates", 1);
    is("rejected", 1);
    is("operations", 41);
    is("waiting_traces", 0);
    is("unstored_operations", 0);
    assert!(receiver["journal_bytes"].as_u64() > Some(0));
    let page = server.get("/health");
    for told in ["Requests acknowledged", "Came twice, and count once", "Size of the journal"] {
        assert!(page.contains(told), "{told}");
    }
    let text = server.get("/metrics");
    for line in [
        "taximeter_receiver_requests_total{taximeter_answer=\"acknowledged\"} 3",
        "taximeter_receiver_requests_total{taximeter_answer=\"refused\"} 1",
        "taximeter_receiver_items_total{taximeter_what=\"spans\"} 42",
        "taximeter_receiver_items_total{taximeter_what=\"duplicates\"} 1",
        "taximeter_store_operations{taximeter_what=\"hot\"} 41",
        "taximeter_operation_duration_seconds_count{",
        "gen_ai_client_token_usage_sum{",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    server.shutdown();
}
