//! `taximeter reprice` over session files: what it prints, what it writes, and what it leaves alone.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use taximeter::{
    CostOutcome, LlmCall, OperationRecord, PriceBook, Session, SessionFiles, TokenUsage,
};
use tempfile::TempDir;

/// Exit code, standard output and standard error.
fn run(arguments: &[&str]) -> (u8, String, String) {
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let all = ["taximeter", "reprice"].into_iter().chain(arguments.iter().copied());
    let code = taximeter_cli::run(all, &mut std::io::empty(), &mut output, &mut errors);
    (code, String::from_utf8(output).unwrap(), String::from_utf8(errors).unwrap())
}

fn time(day: u32) -> chrono::DateTime<chrono::Utc> {
    format!("2026-11-{day:02}T12:00:00Z").parse().unwrap()
}

fn call(provider: &str, model: &str, day: u32) -> LlmCall {
    let usage = TokenUsage::exclusive(1_000_000, 100_000).cache_read(200_000).build().unwrap();
    let mut call = LlmCall::new(provider, model).using(usage);
    call.started_at = Some(time(day));
    call.cost = PriceBook::embedded().price_call(&call, time(day));
    call
}

/// A directory with a session of two days in it: two calls of gpt-4o, one of an LLM that no book knows, and one that
/// failed and told no usage.
struct Room {
    directory: TempDir,
}

impl Room {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut session = Session::new("history", time(19));
        for day in [19, 20] {
            let mut operation = OperationRecord::new("qa_response");
            operation.started_at = time(day);
            operation.llm_calls.push(call("openai", "gpt-4o", day));
            session.operations.push(operation);
        }
        let calls = &mut session.operations[1].llm_calls;
        calls.push(call("nobody", "nothing", 20));
        let mut silent = LlmCall::new("openai", "gpt-4o");
        silent.cost = CostOutcome::NoUsage;
        calls.push(silent);
        let room = Self { directory };
        SessionFiles::new(room.path()).save(&session, Some("history"), time(20)).unwrap();
        room
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn file(&self) -> PathBuf {
        self.path().join("history.json")
    }

    fn session(&self) -> Session {
        SessionFiles::new(self.path()).load("history").unwrap()
    }

    /// A price book in a file of its own, not among the sessions.
    fn book(&self, models: &str) -> PathBuf {
        let folder = self.path().join("books");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("book.json");
        fs::write(&path, format!(r#"{{"models": [{models}]}}"#)).unwrap();
        path
    }

    fn contract(&self) -> PathBuf {
        self.book(r#"{"provider": "openai", "id": "gpt-4o", "cards": [{"rates": {"input": "2", "cache_read": "1", "output": "8"}}]}"#)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn contains(output: &str, parts: &[&str]) {
    let squeezed = output.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in parts {
        assert!(squeezed.contains(part), "{part:?} is not in\n{output}");
    }
}

#[test]
fn a_dry_run_shows_the_difference_and_writes_nothing() {
    let room = Room::new();
    let before = fs::read(room.file()).unwrap();
    let (code, output, errors) = run(&[text(room.path()), "--overrides", text(&room.contract())]);
    // One call has no price by any book.
    assert_eq!((code, errors.as_str()), (3, ""));
    contains(
        &output,
        &[
            "4 LLM calls of 1 session",
            "changed 2 $7.5000 $6.0000 -$1.5000",
            "unpriced as before 1 – – –",
            "told no usage 1 – – –",
            "all 4 $7.5000+ $6.0000+ -$1.5000",
            "openai/gpt-4o 3",
            "nobody/nothing 1 – – –",
            "2026-11-19 1 $3.7500 $3.0000 -$0.7500",
            "cache_read 2 $0.5000 $0.4000 -$0.1000",
            "Nothing was written; --write saves the new costs.",
        ],
    );
    assert_eq!(fs::read(room.file()).unwrap(), before);
    assert_eq!(fs::read_dir(room.path()).unwrap().count(), 2);
}

#[test]
fn calls_are_chosen_by_day_and_by_llm() {
    let room = Room::new();
    let total = |more: &[&str]| {
        let (code, output, _) = run(&[&[text(&room.file()), "--json"], more].concat());
        let document: Value = serde_json::from_str(&output).unwrap();
        (code, document["total"]["calls"].as_u64().unwrap())
    };
    assert_eq!(total(&[]), (3, 4));
    assert_eq!(total(&["--until", "2026-11-19"]), (0, 1));
    assert_eq!(total(&["--from", "2026-11-20"]), (3, 3));
    assert_eq!(total(&["--only-model", "GPT-4o"]), (0, 3));
    assert_eq!(total(&["--from", "2026-11-21"]), (0, 0));
}

#[test]
fn what_is_written_is_the_new_cost_and_the_old_file_is_kept() {
    let room = Room::new();
    let before = fs::read(room.file()).unwrap();
    let contract = room.contract();
    let arguments = [text(room.path()), "--overrides", text(&contract), "--write"];
    let (code, output, _) = run(&arguments);
    assert_eq!(code, 3);
    contains(&output, &["2 calls with another cost", "history.json.old"]);
    assert_eq!(fs::read(room.path().join("history.json.old")).unwrap(), before);
    let session = room.session();
    assert_eq!(session.totals().cost.usd().to_string(), "6");
    assert_eq!(session.operations.len(), 2);
    // Once more, there is nothing left to do.
    let (_, output, _) = run(&arguments);
    contains(&output, &["unchanged 2 $6.0000", "Nothing was written: no cost is another one."]);
    // Back to the embedded prices: the second old file takes the place of none.
    let (_, output, _) = run(&[text(room.path()), "--write"]);
    contains(&output, &["history.json.old2"]);
    assert_eq!(room.session().totals().cost.usd().to_string(), "7.5");
    assert_eq!(fs::read(room.path().join("history.json.old")).unwrap(), before);
}

#[test]
fn a_known_cost_is_not_replaced_by_an_unknown_one() {
    let room = Room::new();
    let other = room.book(
        r#"{"provider": "nobody", "id": "nothing", "cards": [{"rates": {"input": "1", "output": "1"}}]}"#,
    );
    let (code, output, _) = run(&[text(&room.file()), "--book", text(&other), "--write"]);
    assert_eq!(code, 3);
    contains(
        &output,
        &[
            "newly priced 1 – $1.3000 –",
            "no longer priced 2 $7.5000 – –",
            "kept: the known costs of 2 calls",
        ],
    );
    assert_eq!(room.session().totals().cost.usd().to_string(), "8.8");
}

#[test]
fn a_what_if_is_a_range_and_is_never_written() {
    let room = Room::new();
    let file = room.file();
    let what_if = [text(&file), "--as", "anthropic/claude-opus-4-5"];
    let (code, output, _) = run(&what_if);
    assert_eq!(code, 0);
    contains(
        &output,
        &[
            "as if anthropic/claude-opus-4-5 had been asked",
            "changed 2 $7.5000 $15.20 to $20.52 +$7.7000 to +$13.02",
            "range: a token of o200k is 1.00 to 1.35 of Claude 3 (2 calls); VentureBeat",
            "range: text only; definitions of tools",
            "range: a token of unknown is 0.71 to 1.40 of Claude 3 (1 call); an assumption",
            "Nothing was written.",
        ],
    );
    let exact = [text(&file), "--as", "openai/gpt-4o-mini", "--only-model", "gpt-4o", "--json"];
    let document: Value = serde_json::from_str(&run(&exact).1).unwrap();
    let after = &document["total"]["amounts"][0]["after"];
    assert_eq!((&after["low"], &after["high"]), (&"0.45".into(), &"0.45".into()));
    assert_eq!(document["assumed"]["tokens"], Value::Array(Vec::new()));
    let (code, _, errors) = run(&[&what_if[..], &["--write"]].concat());
    assert!(code == 2 && errors.contains("--write"), "{errors}");
    let (code, _, errors) = run(&[text(&file), "--as", "claude"]);
    assert!(code == 2 && errors.contains("PROVIDER/MODEL expected"), "{errors}");
    let (code, output, _) = run(&[text(&file), "--as", "openai/gpt-4oo"]);
    assert!(code == 3 && output.contains("Nearest: gpt-4o"), "{output}");
}

#[test]
fn documents_of_the_original_system_keep_what_they_say() {
    let original =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/models/tests-data/original");
    let (_, output, _) = run(&[text(&original), "--json"]);
    let document: Value = serde_json::from_str(&output).unwrap();
    let kinds = document["by_kind"].as_array().unwrap();
    assert!(kinds.iter().any(|kind| kind["kind"] == "left_alone"), "{output}");
    assert!(kinds.iter().all(|kind| kind["kind"] != "changed"), "{output}");
    let (_, output, _) = run(&[text(&original), "--reported", "--json"]);
    assert!(!output.contains("left_alone"), "{output}");
}

#[test]
fn what_cannot_be_read_says_so() {
    let room = Room::new();
    fs::write(room.path().join("broken.json"), "{").unwrap();
    let (code, output, _) = run(&[text(room.path())]);
    assert_eq!(code, 4);
    contains(&output, &["4 LLM calls of 1 session", "failed: ", "broken.json"]);
    let (code, _, errors) = run(&[text(&room.path().join("nothing"))]);
    assert!(code == 1 && errors.contains("nothing"), "{errors}");
    let empty = tempfile::tempdir().unwrap();
    let (code, _, errors) = run(&[text(empty.path())]);
    assert!(code == 1 && errors.contains("no session files"), "{errors}");
    let odd = room.path().join("history.txt");
    fs::copy(room.file(), &odd).unwrap();
    let (code, output, _) = run(&[text(&odd), "--overrides", text(&room.contract()), "--write"]);
    assert_eq!(code, 4);
    contains(&output, &["end in .json"]);
}

#[test]
fn an_outcome_that_nobody_priced_yet_is_newly_priced() {
    let room = Room::new();
    let mut session = room.session();
    session.operations[0].llm_calls[0].cost = CostOutcome::Pending;
    SessionFiles::new(room.path()).save(&session, Some("history"), time(20)).unwrap();
    let (_, output, _) = run(&[text(&room.file()), "--only-model", "gpt-4o"]);
    contains(&output, &["newly priced 1 – $3.7500 –", "unchanged 1 $3.7500 $3.7500 $0.00"]);
}
