//! Names that would do something to a terminal: no command lets them, and no table breaks.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use taximeter::{LlmCall, OperationRecord, TokenUsage, ToolCall, ToolStatus};

use super::room::{Room, Said};

const NAMES: [&str; 8] = [
    "\u{1b}[2J\u{1b}]0;owned\u{7}clear",
    "\u{9b}31mC1\u{85}next",
    "back\u{8}\u{8}\u{8}\r\rover",
    "two\nlines\tand\u{2028}three\u{2029}four",
    "\u{202e}gnp.exe\u{2066}\u{200f}",
    "null\u{0}and\u{7f}delete\u{feff}",
    "'; DROP TABLE operations; -- $(reboot) `id`",
    "漢字😀e\u{301}",
];

/// Operations whose every name is hostile, one of each and a very long one.
fn hostile() -> Vec<OperationRecord> {
    let long = "long \u{1b}[5m".repeat(400);
    let names = NAMES.into_iter().chain([long.as_str()]);
    let record = |(at, name): (usize, &str)| {
        let mut record = OperationRecord::new(name);
        record.started_at = Utc::now() - TimeDelta::minutes(3 + i64::try_from(at).unwrap());
        record.duration = Duration::from_millis(900);
        record.user = Some(name.into());
        record.session = Some(name.into());
        record.tags.insert("team".into(), name.into());
        record.metadata.insert(name.into(), name.into());
        record.add_component(name, record.duration / 2);
        record.tool_calls.push(ToolCall::new(name, ToolStatus::Error).lasting(record.duration / 9));
        let mut call = LlmCall::new(name, name).using(TokenUsage::new(1_000, 10));
        call.finish_reason = Some(name.into());
        call.duration = Some(record.duration / 2);
        record.llm_calls.push(call);
        record
    };
    let mut records: Vec<_> = names.enumerate().map(record).collect();
    // Enough of one name that it is spoken of.
    for _ in 0..30 {
        let mut again = record((20, NAMES[0]));
        again.outcome = taximeter::Outcome::Failure;
        records.push(again);
    }
    records
}

fn is_hostile(letter: char) -> bool {
    (letter.is_control() && letter != '\n')
        || "\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\u{feff}"
            .contains(letter)
}

fn calm(command: &[&str], said: &Said) {
    for text in [&said.output, &said.errors] {
        let found = text.chars().find(|letter| is_hostile(*letter));
        assert_eq!(found, None, "{command:?} prints {found:?}:\n{text:?}");
    }
}

#[test]
fn nothing_in_a_store_moves_the_cursor_or_breaks_a_table() {
    let room = Room::of(&hostile());
    let ids = room.json(&["ops", "--limit", "100"]);
    let ids: Vec<_> = ids["operations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["operation_id"].as_str().unwrap())
        .collect();
    let mut commands: Vec<Vec<&str>> = vec![
        vec!["report", "--verbose"],
        vec!["report", "--debug"],
        vec!["report", "--by", "operation"],
        vec!["report", "--by", "tag:team"],
        vec!["report", "--by", "day", "--tag", "team=x\u{1b}[2J"],
        vec!["ops", "--failed"],
        vec!["sessions"],
        vec!["sessions", "--by", "user", "--newest"],
        vec!["find", "long"],
        vec!["find", NAMES[0]],
        vec!["trend", NAMES[0]],
        vec!["trend", NAMES[4]],
        vec!["bottlenecks"],
        vec!["advise"],
        vec!["compare", "outcome=success", "outcome=failure"],
        vec!["gate", "--baseline", "outcome=success"],
        vec!["top", "--window", "1h"],
        vec!["remeasure", "1h", "--since", "all"],
        vec!["anomalies", "--since", "all"],
        vec!["metrics", "--since", "all"],
        vec!["metrics", NAMES[0], "--by", "tag:team"],
        vec!["anomalies", "--since", "24h", "--operation", NAMES[0]],
        vec!["slo", "--target", "90", "--within", "1s", "--operation", "\u{1b}[2J"],
        vec!["sql", "SELECT * FROM operations"],
        vec!["sql", "SELECT * FROM llm_calls"],
        vec!["store", "stats"],
        vec!["store", "check"],
        vec!["doctor"],
        vec!["reprice", "--as", "openai/gpt-4o"],
        vec!["report", "--operation", "\u{1b}[2J nothing"],
        vec!["show", "\u{1b}[2J"],
        vec!["import", "\u{1b}[2J"],
    ];
    commands.extend(ids.iter().take(12).map(|id| vec!["show", id]));
    for command in &commands {
        for width in ["40", "80", "140"] {
            let said = room.run(&[&command[..], &["--width", width]].concat());
            assert!(matches!(said.code, 0 | 1 | 3 | 5 | 6), "{command:?}: {}", said.errors);
            calm(command, &said);
            let most: usize = width.parse().unwrap();
            for line in said.output.lines() {
                let columns = textwrap::core::display_width(line);
                assert!(columns <= most, "{command:?} at {width} is {columns} wide: {line}");
            }
        }
        let said = room.run(&[&command[..], &["--json"]].concat());
        calm(command, &said);
    }
}

#[test]
fn what_goes_to_a_pipe_is_as_it_was() {
    let room = Room::of(&hostile());
    let table = room.run(&["sql", "--csv", "SELECT name FROM operations"]).well();
    assert!(table.contains(NAMES[1]) && table.contains(NAMES[4]), "{table:?}");
    let lines = room.run(&["export", "--since", "all"]).well();
    let names: Vec<String> = lines
        .lines()
        .skip(1)
        .map(|line| serde_json::from_str::<OperationRecord>(line).unwrap().name.to_string())
        .collect();
    assert!(NAMES.iter().all(|name| names.iter().any(|found| found == name)));
    let report = room.json(&["report"]);
    let keys: Vec<_> = report["spenders"][0]["top"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["key"].as_str().unwrap())
        .collect();
    assert!(keys.contains(&NAMES[0]) && keys.contains(&NAMES[4]), "{keys:?}");
}
