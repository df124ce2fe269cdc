//! Questions over a store: groups, lists, one operation, trends, comparisons, gates, forecasts.

use std::fs;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use taximeter::{Money, OperationRecord, Outcome};

use super::room::{Room, lines, money, planted, truth};

#[test]
fn every_way_to_tell_numbers_apart_sums_to_the_same() {
    let room = Room::new(planted(200, TimeDelta::days(3)));
    let usd = truth(&room.records).cost.usd();
    for by in [
        "operation",
        "tool",
        "provider",
        "model",
        "llm",
        "user",
        "session",
        "minute",
        "hour",
        "day",
        "tag:version",
    ] {
        let report = room.json(&["report", "--since", "all", "--by", by]);
        let groups = report["groups"].as_array().unwrap();
        let count: u64 = groups.iter().map(|g| g["success"]["of"].as_u64().unwrap()).sum();
        assert_eq!(count, 200, "{by}");
        // A tool costs nothing.
        let sum: Money = groups.iter().map(|group| money(&group["total_cost"])).sum();
        assert_eq!(sum, if by == "tool" { Money::ZERO } else { usd }, "{by}");
    }
    let (code, _, errors) = room.ask(&["report", "--by", "colour"]);
    assert!(code == 2 && errors.contains("tag:NAME"), "{errors}");
}

#[test]
fn a_report_of_a_selection_is_that_of_its_operations_alone() {
    let room = Room::new(planted(200, TimeDelta::days(3)));
    for (arguments, holds) in [
        (
            vec!["--user", "user-3"],
            (|r: &OperationRecord| r.user.as_deref() == Some("user-3")) as fn(&_) -> _,
        ),
        (vec!["--tag", "version=2"], |r| r.tags["version"] == "2"),
        (vec!["--failed"], |r| r.outcome == Outcome::Failure),
        (vec!["--llm", "openai/gpt-4o"], |r| r.llm_calls[0].model() == "gpt-4o"),
        (vec!["--longer", "1500ms"], |r| r.duration >= Duration::from_millis(1_500)),
        (vec!["--error", "timeout", "--operation", "qa_response"], |r| {
            r.name == "qa_response" && r.outcome == Outcome::Failure
        }),
    ] {
        let only: Vec<_> = room.records.iter().filter(|record| holds(record)).cloned().collect();
        assert!(!only.is_empty(), "{arguments:?}");
        let truth = serde_json::to_value(truth(&only)).unwrap();
        let report = room.json(&[&["report", "--since", "all"], &arguments[..]].concat());
        assert_eq!(report["total_operations"], truth["total_operations"], "{arguments:?}");
        assert_eq!(report["total_cost"], truth["total_cost"], "{arguments:?}");
        let list = [&["ops", "--since", "all", "--limit", "1000"], &arguments[..]].concat();
        assert_eq!(room.json(&list)["operations"].as_array().unwrap().len(), only.len());
    }
}

#[test]
fn operations_are_listed_in_order_and_shown_by_the_beginning_of_their_id() {
    let room = Room::new(planted(80, TimeDelta::hours(20)));
    let slowest = room.records.iter().map(|record| record.duration).max().unwrap();
    let list = room.json(&["ops", "--slowest", "--limit", "3"]);
    let rows = list["operations"].as_array().unwrap();
    assert_eq!((rows.len(), rows[0]["total_duration"].as_f64()), (3, Some(slowest.as_secs_f64())));
    let dearest = room.json(&["ops", "--dearest", "--limit", "80"]);
    let costs: Vec<Money> = dearest["operations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| money(&row["total_cost"]))
        .collect();
    assert!(costs.is_sorted_by(|one, other| one >= other));

    let id = rows[0]["operation_id"].as_str().unwrap();
    for beginning in [id, &id[..18], &id.replace('-', "")[..20]] {
        let shown = room.json(&["show", beginning]);
        assert_eq!(shown["operation"]["operation_id"], id);
        assert_eq!(shown["waterfall"].as_array().unwrap().len(), 4);
    }
    let (code, text, _) = room.ask(&["show", id]);
    assert_eq!(code, 0);
    for part in [
        "document_retrieval",
        "llm_inference",
        "tool web_search",
        "critical path",
        "card: openai/",
        "version=",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let (code, _, errors) = room.ask(&["show", "0"]);
    assert!(code == 1 && errors.contains("several begin so"), "{errors}");
    let (code, _, errors) = room.ask(&["show", "ffff"]);
    assert!(code == 1 && errors.contains("taximeter ops"), "{errors}");
    let (code, _, errors) = room.ask(&["show", "qa_response"]);
    assert!(code == 1 && errors.contains("hexadecimal"), "{errors}");
}

#[test]
fn a_planted_slowdown_is_found_with_its_reasons() {
    let room = Room::new(planted(400, TimeDelta::days(6)));
    let trend = room.json(&["trend", "qa_response", "--window", "7d"]);
    assert_eq!(trend["trend_direction"], "declining");
    let since: DateTime<Utc> = trend["changes"].as_array().unwrap().last().unwrap()["since"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let planted = room.records.iter().find(|record| record.tags["version"] == "2").unwrap();
    assert!((since - planted.started_at).abs() < TimeDelta::hours(6), "{since}");
    assert!(
        trend["why_duration"]["after_seconds"].as_f64()
            > trend["why_duration"]["before_seconds"].as_f64()
    );

    let compared = room.json(&["compare", "tag:version=1", "tag:version=2", "--since", "all"]);
    let ratio = compared["measures"][0]["comparison"]["ratio"].as_f64().unwrap();
    assert!((1.8..2.2).contains(&ratio), "{ratio}");
    let parts = compared["why_cost"]["parts"].as_array().unwrap();
    let sum: Money = parts.iter().map(|part| money(&part[1])).sum();
    assert_eq!(sum, money(&compared["why_cost"]["after"]) - money(&compared["why_cost"]["before"]));
    let (code, _, errors) = room.ask(&["compare", "user=nobody", "24h"]);
    assert!(code == 1 && errors.contains("no operations"), "{errors}");
    let report = room.json(&["report", "--since", "15h"]);
    let concerns: Vec<_> = report["attention"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["concern"].as_str().unwrap())
        .collect();
    assert!(concerns.contains(&"slower") || concerns.contains(&"more_errors"), "{concerns:?}");
}

#[test]
fn a_gate_ends_with_the_code_of_its_verdict() {
    let room = Room::new(planted(400, TimeDelta::days(6)));
    let gate = |more: &[&str]| {
        let (code, output, errors) = room.ask(&[&["gate", "--measure", "duration"], more].concat());
        (code, format!("{output}{errors}"))
    };
    let late = ["--tag", "version=2", "--since", "all"];
    let (code, text) = gate(&[&["--baseline", "tag:version=1"], &late[..]].concat());
    assert!(code == 5 && text.contains("FAIL"), "{code} {text}");
    let (code, text) =
        gate(&[&["--baseline", "tag:version=1", "--max-ratio", "3"], &late[..]].concat());
    assert!(code == 0 && text.contains("PASS"), "{code} {text}");
    let (code, text) =
        gate(&[&["--baseline", "tag:version=1", "--min-delta", "1m"], &late[..]].concat());
    assert!(code == 0 && text.contains("PASS"), "{code} {text}");
    let few = ["--user", "user-1", "--tool", "web_search", "--since", "all", "--failed"];
    let (code, text) = gate(&[&["--baseline", "user=user-2,outcome=failure"], &few[..]].concat());
    assert!(code == 6 && text.contains("INCONCLUSIVE"), "{code} {text}");
    let (code, _) = gate(
        &[&["--baseline", "user=user-2,outcome=failure", "--allow-inconclusive"], &few[..]]
            .concat(),
    );
    assert_eq!(code, 0);
    // The baseline may be a file of records.
    let early: Vec<_> = room.records.iter().filter(|r| r.tags["version"] == "1").cloned().collect();
    let file = room.path("main.jsonl");
    fs::write(&file, lines(&early)).unwrap();
    let by_file =
        ["--baseline", file.to_str().unwrap(), "--since", "15h", "--operation", "qa_response"];
    let (code, text) = gate(&by_file);
    assert!(code == 5 && text.contains("of the baseline"), "{code} {text}");
    let (code, text) = gate(&["--baseline", "missing.jsonl"]);
    assert!(code == 1 && text.contains("is no file"), "{code} {text}");
    let (code, text) = gate(&["--baseline", "24h", "--min-delta", "50"]);
    assert!(code == 2 && text.contains("50ms"), "{code} {text}");
}

#[test]
fn a_forecast_has_a_range_and_a_budget() {
    let room = Room::new(planted(600, TimeDelta::days(40)));
    let outlook = room.json(&["forecast", "--budget", "0.0001", "--steps", "7"]);
    let points = outlook["forecast"]["points"].as_array().unwrap();
    assert_eq!(points.len(), 7);
    assert!(points.iter().all(|p| p["low_80"].as_f64() <= p["value"].as_f64()
        && p["value"].as_f64() <= p["high_80"].as_f64()));
    assert!(outlook["exhaustion"]["estimate"]["at"].is_string(), "{}", outlook["exhaustion"]);
    let few = Room::new(planted(10, TimeDelta::days(2)));
    let (code, text, _) = few.ask(&["forecast"]);
    assert!(code == 0 && text.contains("14 are needed"), "{text}");
}
