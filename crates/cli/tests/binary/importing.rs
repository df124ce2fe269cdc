//! Importing: logs that are found, imports that are killed in the middle, Parquet.

use std::fs;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use serde_json::Value;
use taximeter::OperationRecord;
use taximeter::store::{SqliteStore, Store};

use super::room::{Room, lines, questions};

/// Small operations, as many as take some seconds.
fn many(count: u32) -> Vec<OperationRecord> {
    let begun = Utc::now() - TimeDelta::hours(2);
    let one = |at: u32| {
        let mut record = OperationRecord::new("tick");
        record.started_at = begun + TimeDelta::milliseconds(i64::from(at) * 100);
        record
    };
    (0..count).map(one).collect()
}

/// Whether the store knows of an import that has not come to its end.
fn is_noted(room: &Room) -> bool {
    let store = SqliteStore::at(room.path("data/metrics")).open_to_read();
    let notes = store.and_then(|store| store.notes("import/"));
    notes.is_ok_and(|notes| !notes.is_empty())
}

/// Whether an import that has not come to its end has stored so many.
fn is_noted_with(room: &Room, operations: u64) -> bool {
    let store = SqliteStore::at(room.path("data/metrics")).open_to_read();
    let stats = store.and_then(|store| store.stats());
    stats.is_ok_and(|stats| stats.hot_operations + stats.sealed_operations >= operations)
        && is_noted(room)
}

/// Imports, and kills that as soon as it has stored so many.
fn kill_in_the_middle(room: &Room, path: &str, operations: u64) {
    let mut child = room.command(&["import", path]).spawn().unwrap();
    let waited = Instant::now();
    while !is_noted_with(room, operations) {
        assert!(waited.elapsed() < Duration::from_secs(60), "it has begun within a minute");
        assert!(child.try_wait().unwrap().is_none(), "it was killed before its end");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn an_import_that_is_killed_goes_on_where_it_was() {
    let room = Room::empty();
    let count = 12_000;
    room.write("many.jsonl", &lines(&many(count)));
    kill_in_the_middle(&room, "many.jsonl", 1);

    let stored = |room: &Room| room.json(&["store", "stats"])["operations"].as_u64().unwrap();
    let before = stored(&room);
    assert!(before >= 1_000 && before < u64::from(count), "{before} of {count}");
    let again = room.json(&["import", "many.jsonl"]);
    let before_bytes = again["resumed"][0][1].as_u64().unwrap();
    assert!(before_bytes > 0, "{again}");
    // It did not read again what was in the store, and left nothing out.
    let read = again["records"].as_u64().unwrap();
    assert!(read <= u64::from(count) - 1_000, "{again}");
    assert_eq!(again["stored"].as_u64().unwrap(), u64::from(count) - before);
    assert_eq!(stored(&room), u64::from(count));
    // At its end nothing is left to go on with, and the file is read as a whole.
    assert!(!is_noted(&room));
    let whole = room.json(&["import", "many.jsonl"]);
    assert_eq!((&whole["known"], &whole["resumed"]), (&count.into(), &serde_json::json!([])));
}

#[test]
fn a_file_that_is_another_since_is_read_from_its_beginning() {
    let room = Room::empty();
    room.write("many.jsonl", &lines(&many(10_000)));
    kill_in_the_middle(&room, "many.jsonl", 1);
    room.write("many.jsonl", &lines(&questions(10, TimeDelta::hours(1))));
    let other = room.json(&["import", "many.jsonl"]);
    assert_eq!((&other["records"], &other["resumed"]), (&10.into(), &serde_json::json!([])));
}

#[test]
fn an_import_of_a_folder_that_is_killed_goes_on_with_its_file() {
    let room = Room::empty();
    let (each, all) = (8_000, 24_000);
    for (at, records) in many(all).chunks(each).enumerate() {
        room.write(&format!("logs/{at}.jsonl"), &lines(records));
    }
    let size = |at: u32| fs::metadata(room.path(&format!("logs/{at}.jsonl"))).unwrap().len();
    kill_in_the_middle(&room, "logs", each as u64 + 1_000);
    let before = room.json(&["store", "stats"])["operations"].as_u64().unwrap();
    let again = room.json(&["import", "logs"]);
    // What the first file holds was not read again.
    assert!(again["resumed"][0][1].as_u64().unwrap() >= size(0), "{again}");
    assert!(again["records"].as_u64().unwrap() <= u64::from(all) - each as u64, "{again}");
    assert_eq!(again["stored"].as_u64().unwrap(), u64::from(all) - before);
    assert!(!is_noted(&room));
    let whole = room.json(&["import", "logs"]);
    assert_eq!((&whole["known"], &whole["stored"]), (&all.into(), &0.into()));
}

#[test]
fn tables_of_an_export_are_read_side_by_side() {
    let room = Room::of(&questions(60, TimeDelta::days(3)));
    let out = |table: &str, more: &[&str]| {
        let file = format!("{table}.csv");
        let arguments = [
            "export",
            "--since",
            "all",
            "--format",
            "csv",
            "--table",
            table,
            "--overwrite",
            "--output",
            &file,
        ];
        room.run(&[&arguments[..], more].concat()).well();
        file
    };
    let tables = ["tool_calls", "llm_calls", "components"];
    for table in tables {
        let file = out(table, &[]);
        // It is not taken for a table of operations.
        let said = room.run(&["import", &file, "--store", "other"]);
        assert!(said.code == 1 && said.errors.contains("--beside"), "{table}: {}", said.errors);
    }
    out("operations", &[]);
    let all = [
        "import",
        "operations.csv",
        "--beside",
        "tool_calls.csv",
        "--beside",
        "llm_calls.csv",
        "--beside",
        "components.csv",
        "--store",
    ];
    let read = room.json(&[&all[..], &["copy"]].concat());
    assert_eq!((&read["stored"], &read["rejected"]), (&60.into(), &0.into()));
    let (report, again) = (
        room.json(&["report", "--since", "all"]),
        room.json(&["report", "--since", "all", "--store", "copy"]),
    );
    for name in ["total_cost", "total_tokens", "tools", "components", "failed_operations"] {
        assert_eq!(again[name], report[name], "{name}");
    }
    let calls = |report: &Value| {
        let rows = report["by_llm"].as_array().unwrap().iter();
        rows.map(|row| [&row["model"], &row["success"], &row["p95_seconds"]].map(Clone::clone))
            .collect::<Vec<_>>()
    };
    assert_eq!(calls(&again), calls(&report));
    // Of another export, the parts of others are told, and nothing is put where it does not belong.
    out("operations", &["--failed"]);
    let some = room.run(&[&all[..], &["some"]].concat());
    assert!(some.code == 4 && some.output.contains("60 rows of tool_calls.csv"), "{}", some.output);
    let wrong =
        room.run(&["import", "operations.jsonl", "--beside", "tool_calls.csv", "--store", "some"]);
    assert!(wrong.code == 1 && wrong.errors.contains("no table beside it"), "{}", wrong.errors);
}

/// A log of Claude Code: one prompt, one reply that was written in two lines, as it streams.
fn claude(session: &str, message: &str, output: u32) -> String {
    let at = "2026-11-20T10:00";
    let line = |second: u32, tokens: u32| {
        format!(
            r#"{{"type":"assistant","sessionId":"{session}","uuid":"a{second}{message}","timestamp":"{at}:{second:02}.000Z","requestId":"r-{message}","message":{{"id":"{message}","role":"assistant","model":"claude-sonnet-4-5","stop_reason":"end_turn","content":[{{"type":"text","text":"x"}}],"usage":{{"input_tokens":100,"cache_creation_input_tokens":50,"cache_read_input_tokens":20,"output_tokens":{tokens}}}}}}}"#
        )
    };
    format!(
        "{{\"type\":\"user\",\"sessionId\":\"{session}\",\"uuid\":\"u{message}\",\"timestamp\":\"{at}:01.000Z\",\"message\":{{\"role\":\"user\",\"content\":\"hello\"}}}}\n{}\n{}\n",
        line(3, 1),
        line(4, output)
    )
}

#[test]
fn logs_of_coding_agents_are_found_at_home_and_counted_once() {
    let room = Room::empty();
    let none = room.run(&["import"]);
    assert!(none.code == 1 && none.errors.contains("~/.claude/projects"), "{}", none.errors);
    room.write(".claude/projects/here/s1.jsonl", &claude("s1", "msg_1", 40));
    // A forked session tells again of the first one's reply.
    room.write(
        ".claude/projects/here/s2.jsonl",
        &(claude("s2", "msg_1", 40) + &claude("s2", "msg_2", 7)),
    );
    let imported = room.run(&["import"]).well();
    assert!(imported.contains("taximeter report --since 30d --by day"), "{imported}");
    let again = room.json(&["import"]);
    assert_eq!(again["stored"], 0, "{again}");
    let report =
        room.json(&["report", "--since", "2026-11-20", "--until", "2026-11-21", "--by", "day"]);
    assert_eq!(report["total_output_tokens"], 47, "{report}");
    let days = report["groups_by_llm"].as_array().unwrap();
    assert_eq!(days.len(), 1);
    assert_eq!(
        (
            &days[0]["llm"],
            &days[0]["calls"],
            &days[0]["cache_write_tokens"],
            &days[0]["cache_read_tokens"]
        ),
        (&"anthropic/claude-sonnet-4-5".into(), &2.into(), &100.into(), &40.into())
    );
    let days = ["report", "--since", "2026-11-20", "--until", "2026-11-21", "--by", "day"];
    let table = room.run(&[&days[..], &["--width", "140"]].concat()).well();
    assert!(table.contains("By day and LLM") && table.contains("cache read"), "{table}");
    // Elsewhere, where a variable says so.
    fs::create_dir_all(room.path("codex/sessions")).unwrap();
    let empty = room.run_with(&["import"], &[("HOME", "/nowhere"), ("CODEX_HOME", "codex")]);
    assert!(empty.code == 1 && empty.errors.contains("codex/sessions"), "{}", empty.errors);
}

#[test]
fn an_export_goes_on_where_it_was_broken_off() {
    let room = Room::of(&questions(60, TimeDelta::days(3)));
    let export = |file: &str, more: &[&str]| {
        let asked = ["export", "--since", "all", "--output", file];
        room.run(&[&asked[..], more].concat()).well();
        fs::read_to_string(room.path(file)).unwrap()
    };
    let whole = export("whole.jsonl", &[]);
    assert_eq!(export("again.jsonl", &["--resume"]), whole);
    // As a process leaves it that is killed behind the twentieth operation.
    let lines: Vec<_> = whole.lines().take(21).collect();
    let last: Value = serde_json::from_str(lines[20]).unwrap();
    let begun = lines.join("\n") + "\n";
    let mark = serde_json::json!({
        "of": "Jsonl all None []",
        "bytes": begun.len(),
        "last": { "started_at": last["started_at"], "id": last["operation_id"], "written": 20 },
    });
    room.write("on.jsonl.partial", &(begun + "{\"half an oper"));
    room.write("on.jsonl.partial.json", &mark.to_string());
    assert_eq!(export("on.jsonl", &["--resume"]), whole);
    assert!(!room.path("on.jsonl.partial").exists());
    assert!(!room.path("on.jsonl.partial.json").exists());
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_goes_out_and_comes_in_again() {
    let room = Room::of(&questions(50, TimeDelta::days(2)));
    room.run(&["export", "--since", "all", "--format", "parquet", "--output", "all.parquet"])
        .well();
    let report = room.json(&["report", "--since", "all"]);
    let read = room.json(&["import", "all.parquet", "--store", "copy"]);
    assert_eq!((&read["stored"], &read["rejected"]), (&50.into(), &0.into()));
    let again = room.json(&["report", "--since", "all", "--store", "copy"]);
    assert_eq!((&again["total_cost"], &again["cost"]), (&report["total_cost"], &report["cost"]));
}

#[cfg(not(feature = "parquet"))]
#[test]
fn where_there_is_no_parquet_it_says_what_to_do() {
    let room = Room::of(&questions(5, TimeDelta::days(2)));
    let said = room.run(&["export", "--format", "parquet", "--output", "all.parquet"]);
    assert!(said.code == 1 && said.errors.contains("--features parquet"), "{}", said.errors);
    assert!(!room.path("all.parquet").exists());
}
