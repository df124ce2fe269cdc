//! `--json` of every command: one document, with a kind and a version, whose names docs/FORMATS.md knows.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use chrono::TimeDelta;
use serde_json::Value;

use super::room::{Room, questions};

/// Every word of docs/FORMATS.md that stands in backticks.
fn documented() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/FORMATS.md");
    let text = fs::read_to_string(path).unwrap();
    text.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect()
}

fn check(at: &str, value: &Value, documented: &BTreeSet<String>) {
    for name in value.as_object().unwrap_or_else(|| panic!("{at} is no object")).keys() {
        assert!(documented.contains(name), "{at}.{name} is not in docs/FORMATS.md");
    }
}

#[test]
fn every_command_prints_one_document_whose_names_are_documented() {
    let documented = documented();
    let room = Room::of(&questions(60, TimeDelta::days(20)));
    let id = room.json(&["ops", "--since", "all"])["operations"][0]["operation_id"].clone();
    let id = id.as_str().unwrap();
    room.write(
        "taximeter.alerts.toml",
        "[[budget]]\nname = 'b'\namount = 1\nper = 'month'\n\
         [[rule]]\nname = 'r'\nkind = 'threshold'\nquantity = 'count'\nwindow = '1h'\nabove = 0",
    );
    let commands: [(&str, &[&str]); 35] = [
        ("report", &["report", "--since", "all", "--by", "day", "--budget", "1"]),
        ("operations", &["ops"]),
        ("sessions", &["sessions", "--by", "user"]),
        ("found", &["find", "qa"]),
        ("operation", &["show", id]),
        ("trend", &["trend", "qa_response"]),
        ("advice", &["bottlenecks"]),
        ("advice", &["advise"]),
        ("remeasured", &["remeasure", "10d", "--since", "all"]),
        ("anomalies", &["anomalies", "--since", "7d"]),
        ("slo", &["slo", "--target", "50", "--within", "3s"]),
        ("forecast", &["forecast", "--budget", "1"]),
        ("compare", &["compare", "user=user-1", "user=user-2", "--since", "all"]),
        ("metrics", &["metrics"]),
        ("metric", &["metrics", "retrieved_documents"]),
        ("gate", &["gate", "--baseline", "user=user-1", "--since", "all"]),
        ("top", &["top"]),
        ("import", &["import", "operations.jsonl"]),
        ("sql", &["sql", "SELECT 1 AS one"]),
        ("store", &["store", "stats"]),
        ("check", &["store", "check"]),
        ("vacuum", &["store", "vacuum"]),
        ("repair", &["store", "repair", "--into", "repaired.db"]),
        ("store", &["store", "migrate"]),
        ("price", &["price", "--provider", "openai", "--model", "gpt-4o", "--input", "1"]),
        ("price", &["price", "--provider", "openai", "--model", "gpt-0", "--input", "1"]),
        ("models", &["models", "--search", "gpt-4o-mini"]),
        ("reprice", &["reprice", "--as", "openai/gpt-4o-mini"]),
        ("rules", &["alerts", "check"]),
        ("alerts", &["alerts", "status"]),
        ("backtest", &["alerts", "backtest", "r", "--since", "2d"]),
        ("mute", &["alerts", "mute", "r", "--for", "2h"]),
        ("mute", &["alerts", "unmute", "r"]),
        ("budgets", &["budget"]),
        ("doctor", &["doctor"]),
    ];
    for (kind, command) in commands {
        let document = room.json(command);
        assert_eq!(document["document"], kind, "{command:?}");
        assert_eq!(document["taximeter_version"], 1, "{command:?}");
        check(kind, &document, &documented);
    }
    let report = room.json(&["report", "--since", "all", "--by", "day", "--budget", "0.0001"]);
    for (name, part) in [
        ("health", &report["health"]),
        ("losses", &report["health"]["losses"]),
        ("numbers", &report["numbers"]),
        ("alerts", &report["alerts"][0]),
        ("moments", &report["over_time"]["moments"][0]),
        ("by_llm", &report["by_llm"][0]),
        ("by_tool", &report["by_tool"][0]),
        ("failures", &report["by_tool"][0]["failures"]),
        ("groups", &report["groups"][0]),
        ("time_by_step", &report["time_by_step"][0]),
        ("sessions", &report["sessions"]),
        ("sessions", &report["sessions"]["dearest"][0]),
        ("groups_by_llm", &report["groups_by_llm"][0]),
    ] {
        check(name, part, &documented);
    }
}
