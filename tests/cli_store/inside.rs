//! The store itself: out and in again, sealed, checked, repaired, asked by SQL, empty, missing.

use std::fs;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use taximeter::OperationRecord;

use super::room::{Room, money, planted, run, truth};

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
    let bytes = fs::read(&file).unwrap();
    // Somebody else asked the question, says the file; its checksum does not.
    let text: Vec<u8> = bytes
        .windows(6)
        .enumerate()
        .filter(|(_, six)| six == b"user-3")
        .map(|(place, _)| place)
        .fold(bytes.clone(), |mut changed, place| {
            changed[place + 5] = b'4';
            changed
        });
    assert!(text != bytes, "no user is in the file");
    fs::write(&file, text).unwrap();
    let (code, output, errors) = room.ask(&["store", "check"]);
    assert!(code == 5 && output.contains("DAMAGED"), "{code} {output}{errors}");
    let new = room.path("repaired");
    let saved = room.json(&["store", "repair", "--into", new.to_str().unwrap()]);
    let of = |name: &str| saved[name].as_u64().unwrap();
    assert!(of("lost_operations") > 0 && of("operations") + of("lost_operations") == 50, "{saved}");
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
