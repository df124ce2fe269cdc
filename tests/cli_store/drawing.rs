//! How answers are drawn: no line too wide, no colours in a pipe, money exact, readers that go away.

use std::io::{self, Write};

use chrono::TimeDelta;
use serde_json::Value;

use super::room::{Room, planted};

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
