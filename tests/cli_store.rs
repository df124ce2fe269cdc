//! The command line over a store: what goes in comes out, to the last digit, at every width, with the documented exit codes.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use taximeter::{
    ErrorCategory, ErrorRecord, LlmCall, Money, OperationId, OperationRecord, Outcome, PriceBook,
    TokenUsage, ToolCall, ToolStatus, Totals,
};
use tempfile::TempDir;

/// Exit code, standard output and standard error.
type Said = (u8, String, String);

fn run(arguments: &[&str]) -> Said {
    run_with(arguments, "")
}

fn run_with(arguments: &[&str], input: &str) -> Said {
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let all = std::iter::once("taximeter").chain(arguments.iter().copied());
    let code = taximeter_cli::run(all, &mut input.as_bytes(), &mut output, &mut errors);
    (code, String::from_utf8(output).unwrap(), String::from_utf8(errors).unwrap())
}

/// A RAG application: questions over some days, of which the last tenth is slower, fails more often and has version 2.
fn planted(count: u32, over: TimeDelta) -> Vec<OperationRecord> {
    let now = Utc::now() - TimeDelta::minutes(2);
    (0..count)
        .map(|at| {
            question(
                at,
                count,
                now - over * i32::try_from(count - at).unwrap() / i32::try_from(count).unwrap(),
            )
        })
        .collect()
}

fn question(at: u32, count: u32, started_at: DateTime<Utc>) -> OperationRecord {
    let late = at >= count - count / 10;
    let mut record =
        OperationRecord::new(if at % 5 == 0 { "index_documents" } else { "qa_response" });
    let millis = u128::from(started_at.timestamp_millis().unsigned_abs());
    record.id =
        OperationId::from_bits(millis << 80 | 0x7abc << 64 | 2 << 62 | u128::from(at * 7_919));
    record.trace_id = record.id.into();
    record.started_at = started_at;
    let noise = u64::from(at * 2_654_435 % 997);
    record.duration = Duration::from_millis((1_000 + noise) * if late { 2 } else { 1 });
    record.add_component("document_retrieval", record.duration / 5);
    record.add_component("llm_inference", record.duration / 2);
    record.user = Some(format!("user-{}", at % 7).into());
    record.session = Some(format!("session-{}", at / 6).into());
    record.tags.insert("version".into(), if late { "2" } else { "1" }.into());
    let failed = at % if late { 3 } else { 50 } == 1;
    let status = if failed { ToolStatus::Timeout } else { ToolStatus::Success };
    record.tool_calls.push(ToolCall::new("web_search", status).lasting(record.duration / 10));
    let (provider, model) = match at % 20 {
        7 => ("nobody", "mystery-1"),
        even if even % 2 == 0 => ("openai", "gpt-4o"),
        _ => ("openai", "gpt-4o-mini"),
    };
    let input = 500 + u64::from(at % 333);
    let usage = TokenUsage::inclusive(input, 40 + u64::from(at % 91)).cache_read(input / 3);
    let mut call = LlmCall::new(provider, model).using(usage.build().unwrap());
    call.duration = Some(record.duration / 2);
    call.time_to_first_token = Some(record.duration / 8);
    call.finish_reason = Some(if at % 9 == 0 { "length" } else { "stop" }.into());
    record.llm_calls.push(call);
    if failed {
        record.outcome = Outcome::Failure;
        record.errors.push(ErrorRecord::new(ErrorCategory::Timeout, "no answer"));
    }
    record
}

/// The totals as they must be: every call priced by the embedded book at its moment.
fn truth(records: &[OperationRecord]) -> Totals {
    let mut priced = records.to_vec();
    for record in &mut priced {
        let at = record.started_at;
        for call in &mut record.llm_calls {
            call.cost = PriceBook::embedded().price_call(call, at);
        }
    }
    Totals::of(&priced)
}

fn lines(records: &[OperationRecord]) -> String {
    records.iter().fold(String::new(), |mut text, record| {
        writeln!(text, "{}", serde_json::to_string(record).unwrap()).unwrap();
        text
    })
}

/// A folder with a store that was filled by `taximeter import`.
struct Room {
    folder: TempDir,
    records: Vec<OperationRecord>,
}

impl Room {
    fn new(records: Vec<OperationRecord>) -> Self {
        let room = Self { folder: tempfile::tempdir().unwrap(), records };
        fs::write(room.path("operations.jsonl"), lines(&room.records)).unwrap();
        let (code, output, errors) =
            room.ask(&["import", room.path("operations.jsonl").to_str().unwrap()]);
        assert_eq!(code, 0, "{output}{errors}");
        room
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn store(&self) -> String {
        self.path("store").to_str().unwrap().to_owned()
    }

    fn ask(&self, arguments: &[&str]) -> Said {
        run(&[arguments, &["--store", &self.store()]].concat())
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let (code, output, errors) = self.ask(&[arguments, &["--json"]].concat());
        assert!(errors.is_empty(), "{arguments:?} ends with {code}: {errors}");
        serde_json::from_str(&output).unwrap_or_else(|why| panic!("{arguments:?}: {why}\n{output}"))
    }
}

fn money(value: &Value) -> Money {
    value.as_str().unwrap_or_else(|| panic!("{value} is no exact text")).parse().unwrap()
}

#[test]
fn the_totals_of_a_report_are_the_truth_to_the_last_digit() {
    let room = Room::new(planted(300, TimeDelta::days(20)));
    let truth = serde_json::to_value(truth(&room.records)).unwrap();
    let report = room.json(&["report", "--since", "all"]);
    for name in [
        "total_operations",
        "successful_operations",
        "failed_operations",
        "total_input_tokens",
        "total_output_tokens",
        "total_tokens",
        "total_cost",
        "avg_cost_per_operation",
        "total_tool_calls",
        "successful_tool_calls",
        "failed_tool_calls",
        "total_errors",
        "cost",
        "tokens",
        "errors_by_category",
        "tools",
        "llms",
        "components",
    ] {
        assert_eq!(report[name], truth[name], "{name}");
    }
    assert!(report["cost"]["unpriced_calls"].as_u64().unwrap() > 0);
    assert_eq!((&report["taximeter_version"], &report["document"]), (&1.into(), &"report".into()));
}

#[test]
fn an_import_that_is_repeated_changes_nothing() {
    let room = Room::new(planted(120, TimeDelta::hours(20)));
    let before = room.json(&["report", "--since", "all"]);
    let file = room.path("operations.jsonl");
    let again = room.json(&["import", file.to_str().unwrap()]);
    assert_eq!(
        (&again["stored"], &again["known"], &again["rejected"]),
        (&0.into(), &120.into(), &0.into())
    );
    let after = room.json(&["report", "--since", "all"]);
    assert_eq!(before["total_cost"], after["total_cost"]);
    assert_eq!(after["health"]["known_again"], 120);
}

#[test]
fn what_does_not_fit_is_counted_and_shown_and_the_rest_imported() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let rows = format!("{}{{\"operation_name\": 3}}\n", lines(&planted(5, TimeDelta::hours(1))));
    let arguments = ["import", "-", "--store", store.to_str().unwrap()];
    let (code, output, _) = run_with(&arguments, &rows);
    assert_eq!(code, 4, "{output}");
    assert!(output.contains("stored 5") && output.contains("rejected 1"), "{output}");
    let (code, _, errors) = run(&["import", "nowhere.jsonl", "--store", store.to_str().unwrap()]);
    assert!(code == 1 && errors.contains("nowhere.jsonl"), "{errors}");
}

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

#[test]
fn what_goes_out_comes_in_again_as_it_was() {
    let room = Room::new(planted(60, TimeDelta::days(2)));
    let truth = room.json(&["report", "--since", "all"]);
    for format in ["jsonl", "json"] {
        let file = room.path(&format!("exported.{format}"));
        let (code, _, errors) = room.ask(&[
            "export",
            "--format",
            format,
            "--since",
            "all",
            "--output",
            file.to_str().unwrap(),
        ]);
        assert_eq!(code, 0, "{errors}");
        let copy = room.path(&format!("copy-{format}"));
        let copy = copy.to_str().unwrap();
        assert_eq!(run(&["import", file.to_str().unwrap(), "--store", copy]).0, 0);
        let (_, output, _) = run(&["report", "--since", "all", "--json", "--store", copy]);
        let again: Value = serde_json::from_str(&output).unwrap();
        assert_eq!(again["total_cost"], truth["total_cost"], "{format}");
        assert_eq!(again["cost"], truth["cost"], "{format}");
    }
    let (_, table, _) = room.ask(&["export", "--format", "csv", "--since", "all"]);
    assert_eq!(table.lines().count(), 61);
    let (_, calls, _) =
        room.ask(&["export", "--format", "csv", "--table", "llm_calls", "--since", "all"]);
    assert!(calls.lines().count() == 61 && calls.contains("gpt-4o-mini"), "{calls}");
    let file = room.path("exported.jsonl");
    let again = ["export", "--output", file.to_str().unwrap()];
    let (code, _, errors) = room.ask(&again);
    assert!(code == 1 && errors.contains("already"), "{errors}");
    assert_eq!(room.ask(&[&again[..], &["--overwrite"]].concat()).0, 0);
}

#[test]
fn a_session_of_the_original_system_is_a_history_too() {
    let folder = tempfile::tempdir().unwrap();
    let session = r#"{"session_id": "old", "start_time": "2025-06-01T10:00:00", "operations": [
        {"operation_name": "qa_response", "start_time": 1748772000.0, "end_time": 1748772002.5, "total_duration": 2.5,
         "component_timing": {"llm_inference": 2.0}, "success": true, "error_count": 0, "warning_count": 0, "metadata": {},
         "tool_calls": [{"tool_name": "vector_search", "status": "success", "start_time": 1748772000.1, "duration": 0.2, "metadata": {}}],
         "token_usage": {"operation": "qa_response", "input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100,
                         "model_name": "gpt-4o", "timestamp": "2025-06-01T10:00:02"},
         "cost_estimate": null}]}"#;
    let file = folder.path().join("old.json");
    fs::write(&file, session).unwrap();
    let store = folder.path().join("store");
    let store = store.to_str().unwrap();
    let (code, output, errors) = run(&["import", file.to_str().unwrap(), "--store", store]);
    assert_eq!(code, 0, "{output}{errors}");
    let (_, output, _) = run(&["report", "--since", "all", "--json", "--store", store]);
    let report: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((&report["total_operations"], &report["total_tokens"]), (&1.into(), &1100.into()));
    assert_eq!(report["successful_tool_calls"], 1);
    assert_eq!(report["total_cost"], "0.0035"); // priced by the prices of that day, its provider inferred
}

#[test]
fn an_empty_or_missing_store_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("nothing");
    let store = store.to_str().unwrap();
    for command in [&["report"][..], &["ops"], &["trend", "x"], &["top"], &["store", "stats"]] {
        let (code, _, errors) = run(&[command, &["--store", store]].concat());
        assert!(code == 1 && errors.contains("it is not there"), "{command:?}: {errors}");
    }
    let (code, output, _) = run(&["doctor", "--store", store]);
    assert!(code == 0 && output.contains("taximeter import FILE"), "{output}");

    let empty = folder.path().join("empty.jsonl");
    fs::write(&empty, "").unwrap();
    let (code, _, errors) = run(&["import", empty.to_str().unwrap(), "--store", store]);
    assert!(code <= 1, "{errors}");
    let room = Room::new(planted(3, TimeDelta::days(30)));
    let (code, output, _) = room.ask(&["report", "--since", "1h", "--until", "30m"]);
    assert!(code == 0 && output.contains("taximeter report --since all"), "{output}");
}

#[test]
fn a_doctor_finds_what_is_wrong() {
    let room = Room::new(planted(30, TimeDelta::hours(5)));
    let doctor = room.json(&["doctor"]);
    assert_eq!(doctor["health"]["operations"], 30);
    assert!(doctor["settings"].as_array().unwrap().iter().any(|one| one["key"] == "store"));
    assert!(doctor["hints"][0].as_str().unwrap().contains("pricing.overrides"));
    let file = room.path("no-store.db");
    fs::write(&file, "this is a diary and not a database, however long it may be").unwrap();
    let (code, output, _) = run(&["doctor", "--store", file.to_str().unwrap()]);
    assert!(code == 5 && output.contains("wrong: "), "{code} {output}");
}

#[test]
fn a_store_that_was_sealed_and_rolled_up_answers_as_before() {
    // Old enough that the sums of minutes, and of hours, are not kept any more.
    let room = Room::new(planted(500, TimeDelta::days(150)));
    let truth = truth(&room.records);
    let report = |more: &[&str]| room.json(&[&["report"], more].concat());
    assert_eq!(money(&report(&["--since", "all"])["total_cost"]), truth.cost.usd());
    let vacuum = room.json(&["store", "vacuum"]);
    assert_eq!(vacuum["document"], "vacuum");
    let stats = room.json(&["store", "stats"]);
    assert_eq!(stats["operations"], 500);
    for since in ["1h", "24h", "2d", "5d", "20d", "60d", "120d", "all"] {
        let shown = report(&["--since", since]);
        let at =
            |name: &str| shown[name].as_str().map(|text| text.parse::<DateTime<Utc>>().unwrap());
        let (from, until) = (at("since"), at("until"));
        let meant = |record: &&OperationRecord| {
            from.is_none_or(|from| from <= record.started_at)
                && until.is_none_or(|until| record.started_at < until)
        };
        let meant: Vec<_> = room.records.iter().filter(meant).cloned().collect();
        let truth = serde_json::to_value(self::truth(&meant)).unwrap();
        for name in
            ["total_operations", "total_cost", "total_tokens", "total_tool_calls", "cost", "llms"]
        {
            assert_eq!(shown[name], truth[name], "{since}: {name}");
        }
    }
}

#[test]
fn sql_reads_everything_and_changes_nothing() {
    let room = Room::new(planted(90, TimeDelta::days(2)));
    let answer = room.json(&[
        "sql",
        "--since",
        "all",
        "SELECT count(*) AS many, count(DISTINCT user) FROM operations",
    ]);
    assert_eq!(
        (&answer["columns"][0], &answer["rows"][0][0], &answer["rows"][0][1]),
        (&"many".into(), &90.into(), &7.into())
    );
    let some = room.json(&["sql", "--since", "all", "--limit", "3", "SELECT id FROM operations"]);
    assert_eq!((some["rows"].as_array().unwrap().len(), &some["cut"]), (3, &true.into()));
    let (code, table, _) = room.ask(&[
        "sql",
        "--since",
        "all",
        "SELECT name, count(*) AS many FROM tool_calls GROUP BY name",
    ]);
    assert!(code == 0 && table.contains("web_search") && table.contains("90"), "{table}");
    let (code, csv, _) = room.ask(&[
        "sql",
        "--csv",
        "--since",
        "all",
        "SELECT user, count(*) FROM operations GROUP BY user",
    ]);
    assert!(code == 0 && csv.starts_with("user,count(*)\n") && csv.lines().count() == 8, "{csv}");
    for wrong in
        ["DELETE FROM operations", "DROP TABLE names", "ATTACH 'x.db' AS x", "SELECT nothing"]
    {
        let (code, output, errors) = room.ask(&["sql", wrong]);
        assert!(code == 1 && output.is_empty() && !errors.is_empty(), "{wrong}: {code} {errors}");
    }
    assert_eq!(room.json(&["store", "stats"])["operations"], 90);
}

#[test]
fn a_store_is_checked_and_what_can_be_saved_is_saved() {
    let room = Room::new(planted(50, TimeDelta::days(2)));
    let check = room.json(&["store", "check"]);
    assert_eq!((&check["sound"], &check["operations"]), (&true.into(), &50.into()));
    // Everything is in the file itself, and not in the log beside it.
    assert_eq!(room.json(&["store", "vacuum", "--full"])["document"], "vacuum");
    let store = room.path("store");
    let (code, _, errors) = room.ask(&["store", "repair", "--into", store.to_str().unwrap()]);
    assert!(code == 1 && errors.contains("there already"), "{errors}");
    let file = store.join("taximeter.db");
    let mut bytes = fs::read(&file).unwrap();
    // The schema is at the beginning, and stays as it is.
    for place in (bytes.len() / 3..bytes.len()).step_by(509) {
        bytes[place] ^= 0x5a;
    }
    fs::write(&file, bytes).unwrap();
    let (code, output, errors) = room.ask(&["store", "check"]);
    assert!(code == 5 && output.contains("DAMAGED"), "{code} {output}{errors}");
    let new = room.path("repaired");
    let saved = room.json(&["store", "repair", "--into", new.to_str().unwrap()]);
    let of = |name: &str| saved[name].as_u64().unwrap();
    assert!(of("operations") <= 50 && of("lost_operations") <= 50, "{saved}");
    let (_, output, _) = run(&["store", "check", "--json", "--store", new.to_str().unwrap()]);
    let check: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((&check["sound"], &check["operations"]), (&true.into(), &saved["operations"]));
}

#[test]
fn a_store_is_priced_again_without_a_change() {
    let room = Room::new(planted(60, TimeDelta::days(2)));
    let before = room.json(&["report", "--since", "all"]);
    let (code, output, _) = room.ask(&["reprice", "--as", "openai/gpt-4o-mini"]);
    assert!(code == 0 || code == 3, "{code}");
    assert!(
        output.contains("60 LLM calls of 60 operations") && output.contains("Nothing was written"),
        "{output}"
    );
    let priced = room.json(&["reprice"]);
    assert_eq!((&priced["operations"], &priced["sessions"]), (&60.into(), &Value::Null));
    assert_eq!(room.json(&["report", "--since", "all"])["total_cost"], before["total_cost"]);
    let (code, _, errors) = room.ask(&["reprice", "--write"]);
    assert!(code == 2 && errors.contains("FILE|DIR"), "{errors}");
}

/// Every command that draws something of a store.
fn drawing(id: &str) -> Vec<Vec<&str>> {
    vec![
        vec!["report", "--since", "7d"],
        vec!["report", "--since", "7d", "--verbose", "--budget", "100"],
        vec!["report", "--debug"],
        vec!["report", "--by", "session", "--since", "all"],
        vec!["report", "--by", "day", "--since", "all"],
        vec!["report", "--failed"],
        vec!["ops", "--slowest"],
        vec!["show", id],
        vec!["trend", "qa_response"],
        vec!["bottlenecks", "--since", "all"],
        vec!["advise", "--since", "all"],
        vec!["forecast"],
        vec!["compare", "tag:version=1", "tag:version=2", "--since", "all"],
        vec!["gate", "--baseline", "tag:version=1", "--tag", "version=2", "--since", "all"],
        vec!["top", "--window", "24h"],
        vec!["doctor"],
        vec!["store", "stats"],
        vec!["store", "check"],
        vec!["sql", "--since", "all", "SELECT * FROM operations LIMIT 5"],
        vec![
            "price",
            "--provider",
            "openai",
            "--model",
            "gpt-4o",
            "--input",
            "12345",
            "--cache-read",
            "45",
        ],
        vec!["models", "--search", "gpt-4o-mini"],
    ]
}

#[test]
fn no_line_is_wider_than_the_screen_and_nothing_has_colours_where_no_terminal_is() {
    let mut records = planted(90, TimeDelta::days(5));
    records[3].name =
        "a name as long as names ought not to be, with \u{1b}[31mcolour, 漢字 and\nlines"
            .repeat(3)
            .into();
    records[4].user = Some("😀".repeat(60).into());
    let room = Room::new(records);
    let id = room.records[3].id.to_string();
    for command in drawing(&id) {
        for width in [40, 57, 80, 123, 200] {
            let text = width.to_string();
            let (code, output, errors) = room.ask(&[&command[..], &["--width", &text]].concat());
            assert!(matches!(code, 0 | 5 | 6), "{command:?} ends with {code}: {errors}");
            assert!(!output.contains('\u{1b}'), "{command:?} has colours or more");
            for line in output.lines() {
                let columns = textwrap::core::display_width(line);
                assert!(columns <= width, "{command:?} at {width} is {columns} wide: {line}");
            }
        }
        let (_, output, _) = room.ask(&[&command[..], &["--color", "always"]].concat());
        let drawn = !matches!(command[0], "top" | "price" | "models" | "sql");
        assert!(
            !drawn || output.contains('\u{1b}') || command[0] == "ops",
            "{command:?} has no colours"
        );
    }
}

#[test]
fn every_document_says_what_it_is_and_money_is_exact_text() {
    fn look(value: &Value, path: &str) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if name.ends_with("_cost") || name == "cost_usd" || name == "failed_usd" {
                        assert!(!value.is_number(), "{path}.{name} is a float");
                    }
                    look(value, &format!("{path}.{name}"));
                }
            }
            Value::Array(items) => items.iter().for_each(|item| look(item, path)),
            _ => {}
        }
    }

    let room = Room::new(planted(60, TimeDelta::days(3)));
    let id = room.records[7].id.to_string();
    for command in drawing(&id) {
        if matches!(command[0], "price" | "models") {
            continue;
        }
        let document = room.json(&command);
        assert_eq!(document["taximeter_version"], 1, "{command:?}");
        assert!(document["document"].is_string(), "{command:?}");
        look(&document, command[0]);
    }
}

/// A pipe whose reader has gone away.
struct Gone;

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_has_gone_away_is_no_failure() {
    let room = Room::new(planted(40, TimeDelta::hours(9)));
    let (store, id) = (room.store(), room.records[2].id.to_string());
    let mut commands = drawing(&id);
    commands.push(vec!["export", "--since", "all"]);
    commands.push(vec!["export", "--since", "all", "--format", "csv"]);
    commands.push(vec!["completions", "bash"]);
    for command in commands {
        for json in [&[][..], &["--json"]] {
            let all = [&["taximeter"], &command[..], &["--store", &store], json].concat();
            let mut errors = Vec::new();
            let code = taximeter_cli::run(all, &mut io::empty(), &mut Gone, &mut errors);
            assert!(
                errors.is_empty() && code == 0,
                "{command:?}: {code} {}",
                String::from_utf8_lossy(&errors)
            );
        }
    }
}

/// Words as a shell takes them, as far as the examples go.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut quote, mut open) = (vec![String::new()], None, false);
    for letter in line.chars() {
        match (quote, letter) {
            (Some(mark), letter) if mark == letter => quote = None,
            (None, '"' | '\'') => (quote, open) = (Some(letter), true),
            (None, ' ') if open || !words.last().unwrap().is_empty() => {
                words.push(String::new());
                open = false;
            }
            (None, ' ') => {}
            (_, letter) => words.last_mut().unwrap().push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The examples in the help of every command, as arguments.
fn examples(command: &clap::Command, into: &mut Vec<Vec<String>>) {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let text = help.replace("\\\n", " ");
    for line in text.lines().map(str::trim).filter(|line| line.starts_with("taximeter ")) {
        let plain = line.split(" > ").next().unwrap().split(" | ").next().unwrap();
        let plain = plain.split(" < ").next().unwrap();
        into.push(words(plain));
    }
    command.get_subcommands().for_each(|inner| examples(inner, into));
}

#[test]
fn every_example_in_the_help_can_be_parsed_and_every_command_has_one() {
    let command = taximeter_cli::command();
    let mut all = Vec::new();
    examples(&command, &mut all);
    assert!(all.len() > 40, "only {} examples were found", all.len());
    for example in &all {
        let parsed = command.clone().try_get_matches_from(example);
        assert!(parsed.is_ok(), "{}: {}", example.join(" "), parsed.unwrap_err());
    }
    for inner in command.get_subcommands() {
        let found = all.iter().any(|example| example[1] == inner.get_name());
        assert!(found, "{} has no example", inner.get_name());
    }
}

#[test]
fn the_examples_of_questions_run() {
    let room = Room::new(planted(200, TimeDelta::days(12)));
    let mut all = Vec::new();
    examples(&taximeter_cli::command(), &mut all);
    let asks = [
        "report",
        "ops",
        "trend",
        "bottlenecks",
        "advise",
        "forecast",
        "top",
        "doctor",
        "models",
        "man",
        "completions",
    ];
    let runnable = all.iter().filter(|example| asks.contains(&example[1].as_str()));
    for example in runnable {
        let words: Vec<&str> = example[1..].iter().map(String::as_str).collect();
        let without_store: Vec<&str> = match words.iter().position(|word| *word == "--store") {
            Some(at) => [&words[..at], &words[at + 2..]].concat(),
            None => words,
        };
        let (code, _, errors) = room.ask(&without_store);
        assert!(code == 0, "{}: {code} {errors}", example.join(" "));
    }
}

#[test]
fn the_shell_and_the_manual_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, _) = run(&["completions", shell]);
        assert!(
            code == 0 && script.contains("forecast") && script.contains("--max-ratio")
                || shell == "fish" && script.contains("max-ratio"),
            "{shell}"
        );
    }
    let (code, page, _) = run(&["man"]);
    assert!(code == 0 && page.contains(".TH taximeter") && page.contains("report"), "{page}");
    let (code, page, _) = run(&["man", "gate"]);
    assert!(code == 0 && page.contains("max\\-ratio"), "{page}");
    let (code, _, errors) = run(&["man", "nothing"]);
    assert!(code == 1 && errors.contains("no command nothing"), "{errors}");
}
