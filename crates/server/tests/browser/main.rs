//! Every page in a real browser, filled through OTLP: clicked through by `drive.mjs`, light and dark, wide and on a phone.
//!
//! It needs Chromium, Node and the modules playwright-core and axe-core in the folder that `TAXIMETER_NODE_MODULES` names;
//! `.ci/run` installs them. Where one of them is missing, the test says so and is skipped. `TAXIMETER_SCREENSHOTS=FOLDER`
//! keeps what was seen.
#![allow(clippy::unwrap_used, reason = "a test that meets with an error shall panic")]

#[path = "../server/support.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use support::{Running, config, until};
use taximeter::{OperationId, OperationRecord};
use taximeter_alerts::Rules;
use taximeter_server::{AlertsConfig, Config};
use tempfile::tempdir;

/// Where a program is, if it is anywhere.
fn program(names: &[&str]) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let folders: Vec<_> = std::env::split_paths(&folders).collect();
    let mut all = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    all.find(|path| path.is_file())
}

/// What is needed, or what of it is missing.
fn needed() -> Result<(PathBuf, PathBuf, PathBuf), &'static str> {
    let node = program(&["node"]).ok_or("Node")?;
    let chromium = program(&["chromium", "chromium-browser", "google-chrome"]).ok_or("Chromium")?;
    let modules = std::env::var_os("TAXIMETER_NODE_MODULES").map(PathBuf::from);
    let modules = modules.ok_or("the folder that TAXIMETER_NODE_MODULES would name")?;
    for module in ["playwright-core", "axe-core"] {
        if !modules.join(module).is_dir() {
            return Err("a module, playwright-core or axe-core");
        }
    }
    Ok((node, chromium, modules))
}

#[test]
fn every_page_in_a_real_browser() {
    let (node, chromium, modules) = match needed() {
        Ok(needed) => needed,
        Err(missing) => {
            println!("skipped: {missing} is missing, so no page is seen in a browser");
            return;
        }
    };
    let folder = tempdir().unwrap();
    let server = Running::start(config(folder.path()));
    fill(&server);
    server.shutdown();
    let server = Running::start(watched(folder.path()));
    let mut drive = Command::new(node);
    drive.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/drive.mjs"));
    drive
        .arg(format!("http://{}", server.page))
        .arg(format!("http://{}", server.otlp))
        .arg(chromium);
    // Modules are looked for beside the file that it is told of.
    drive.env("TAXIMETER_NODE_MODULES", modules);
    if let Some(screenshots) = std::env::var_os("TAXIMETER_SCREENSHOTS") {
        drive.arg(screenshots);
    }
    let seen = drive.output().unwrap();
    let (out, errors) =
        (String::from_utf8_lossy(&seen.stdout), String::from_utf8_lossy(&seen.stderr));
    assert!(seen.status.success(), "{out}{errors}");
    server.shutdown();
}

/// The same store with operations of another kind, and rules over all of them: two that fire, one of which is muted, and a
/// budget.
fn watched(folder: &Path) -> Config {
    let mut config = config(folder);
    config.history.append((0..240).flat_map(answers).collect()).unwrap();
    let path = folder.join("taximeter.alerts.toml");
    let toml = format!(
        "# Who is told.\n[[receiver]]\nname = 'hook'\nkind = 'webhook'\nurl = '{}'\n\n\
         [[budget]]\nname = 'month'\namount = 500\nper = 'month'\n\n\
         [[budget]]\nname = 'each user'\namount = 0.5\nper = 'week'\nby = 'user'\n\n\
         # They come in, day and night.\n[[rule]]\nname = 'answers come'\nkind = 'threshold'\nquantity = 'count'\n\
         by = 'operation'\nabove = 3\nwindow = '24h'\n\n\
         [[rule]]\nname = 'the budget goes'\nkind = 'forecast'\nbudget = 'each user'\n\n\
         [[rule]]\nname = 'tools fail'\nkind = 'threshold'\nquantity = 'tool_error_rate'\nby = 'tool'\nabove = 0.01\n\
         window = '7d'\nmute = [{{ from = '00:00', to = '00:00' }}]\n",
        hook()
    );
    std::fs::write(&path, toml).unwrap();
    let mut alerts = AlertsConfig::new(Rules::load(&path).unwrap());
    alerts.state = Some(folder.join("taximeter.alerts.json"));
    config.alerts = Some(alerts);
    config
}

/// A question that is answered within another operation, with numbers and tags of its own.
fn answers(number: u32) -> [OperationRecord; 2] {
    let begun = chrono::Utc::now() - chrono::TimeDelta::minutes(i64::from(number) * 42 + 3);
    let mut asked = OperationRecord::new("session_turn");
    asked.id = OperationId::from_bits(u128::from(number) * 2 + 1);
    (asked.started_at, asked.duration) = (begun, Duration::from_millis(900));
    let mut answered = OperationRecord::new("qa_response");
    answered.id = OperationId::from_bits(u128::from(number) * 2 + 2);
    (answered.started_at, answered.parent) = (begun, Some(asked.id));
    answered.duration = Duration::from_millis(700 + u64::from(number % 7) * 20);
    let relevance = if number < 80 { 0.6 } else { 0.9 } + f64::from(number % 5) / 100.0;
    answered.metadata.insert("answer_relevance".into(), relevance.into());
    answered.metadata.insert("retrieved_documents".into(), (4 + number % 9).into());
    let place = if number.is_multiple_of(9) { "staging" } else { "production" };
    for operation in [&mut asked, &mut answered] {
        operation.tags.insert("environment".into(), place.into());
        operation.tags.insert("version".into(), if number < 80 { "2" } else { "1" }.into());
    }
    [asked, answered]
}

/// A receiver that takes everything; where it is.
fn hook() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
            let mut piece = [0; 8_192];
            while stream.read(&mut piece).is_ok_and(|length| length > 0) {}
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    url
}

/// Three weeks of an assistant that gets slower and dearer in the last of them, and fails with its tool now and then.
fn fill(server: &Running) {
    let now = chrono::Utc::now().timestamp_nanos_opt().unwrap();
    let hour = 3_600_000_000_000;
    let mut operations = 0;
    for back in (0..21 * 8).rev() {
        let spans: Vec<_> =
            (0..3).flat_map(|at| trace(now - back * 3 * hour - at * hour / 2, back, at)).collect();
        operations += 3;
        assert_eq!(server.send(&spans), 200);
    }
    until("all are stored", || {
        server.json("/api/v1/report?since=30d")["total_operations"].as_u64() >= Some(operations)
    });
}

fn trace(end: i64, back: i64, at: i64) -> Vec<Value> {
    let id = u128::from((back * 8 + at).unsigned_abs()) + 1;
    let (failed, late) = ((back + at) % 13 == 0, back < 7 * 8);
    let took = (1_200 + 37 * ((back * 7 + at * 3) % 11) + if late { 900 } else { 0 }) * 1_000_000;
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let number =
        |key: &str, value: i64| json!({ "key": key, "value": { "intValue": value.to_string() } });
    let user = ["ann", "bob", "cem", "dia"][usize::try_from((back + at) % 4).unwrap()];
    let model = if at == 2 { "claude-sonnet-4-5" } else { "gpt-4o" };
    let provider = if at == 2 { "anthropic" } else { "openai" };
    let who = [text("user.id", user), text("gen_ai.conversation.id", &format!("c-{}", back % 9))];
    let span = |number: u64,
                name: &str,
                from: i64,
                until: i64,
                mut attributes: Vec<Value>,
                failed: bool| {
        attributes.extend(who.clone());
        let mut span = json!({
            "traceId": format!("{id:032x}"), "spanId": format!("{:016x}", number + 1), "name": name,
            "startTimeUnixNano": from.to_string(), "endTimeUnixNano": until.to_string(), "attributes": attributes,
        });
        if number > 0 {
            span["parentSpanId"] = format!("{:016x}", 1).into();
        }
        if failed {
            span["status"] = json!({ "code": 2, "message": "the index did not answer within 2 s" });
        }
        span
    };
    let begin = end - took;
    let mut tool =
        vec![text("gen_ai.operation.name", "execute_tool"), text("gen_ai.tool.name", "vector_db")];
    if failed {
        tool.push(text("error.type", "timeout"));
    }
    let call = vec![
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.provider.name", provider),
        text("gen_ai.request.model", model),
        number("gen_ai.usage.input_tokens", if late { 3_000 } else { 1_200 } + back % 17 * 10),
        number("gen_ai.usage.output_tokens", 300 + at * 20),
        number("gen_ai.usage.cache_read.input_tokens", 400),
    ];
    let agent =
        vec![text("gen_ai.operation.name", "invoke_agent"), text("gen_ai.agent.name", "assistant")];
    vec![
        span(0, "invoke_agent assistant", begin, end, agent, failed),
        span(1, "execute_tool vector_db", begin + 1_000_000, begin + took / 4, tool, failed),
        span(2, &format!("chat {model}"), begin + took / 4, end - 1_000_000, call, false),
    ]
}
