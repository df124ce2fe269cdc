//! Folders of files, and logs that are still being written.

use std::path::Path;

use chrono::{DateTime, Utc};
use taximeter_persistence::{Format, ImportError, ImportOptions, Importer, Why};

use crate::support::{all, data, named, usage};

/// A line of a log of Claude Code.
fn line(kind: &str, at: &str, message: &str, more: &str) -> String {
    format!(
        r#"{{"type":"{kind}","uuid":"{kind}-{at}","sessionId":"s","timestamp":"2026-03-02T{at}Z","message":{message}{more}}}"#
    )
}

fn prompt(at: &str) -> String {
    line("user", at, r#"{"role":"user","content":"go"}"#, "")
}

fn reply(at: &str, id: &str, output: u64, reason: &str) -> String {
    let usage = format!(r#"{{"input_tokens":10,"output_tokens":{output}}}"#);
    let message = format!(
        r#"{{"id":"{id}","model":"claude-opus-4-1","content":[],"stop_reason":{reason},"usage":{usage}}}"#
    );
    line("assistant", at, &message, r#","requestId":"r""#)
}

fn write(path: &Path, lines: &[String]) {
    std::fs::write(path, lines.join("\n")).unwrap();
}

fn at(time: &str) -> DateTime<Utc> {
    format!("2026-03-02T{time}Z").parse().unwrap()
}

#[test]
fn a_turn_that_may_go_on_waits_for_the_next_import() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("s.jsonl");
    let first = [prompt("10:00:00"), reply("10:00:05", "m1", 5, "\"end_turn\"")];
    let running = [prompt("10:01:00"), reply("10:01:05", "m2", 7, "\"tool_use\"")];
    write(&path, &[&first[..], &running[..]].concat());
    let import = |options: ImportOptions| {
        let mut importer = options.open(&path).unwrap();
        let tokens = usage(&all(&mut importer).0).output_tokens();
        (tokens, importer.counts().held_back)
    };
    let options = ImportOptions::new;
    assert_eq!(import(options().now(at("10:02:00"))), (5, 1), "a tool may still answer");
    assert_eq!(import(options().now(at("15:00:00"))), (5, 1));
    assert_eq!(import(options().now(at("16:02:00"))), (12, 0), "nobody waits for it any more");
    assert_eq!(import(options().now(at("10:02:00")).hold_back(false)), (12, 0));
    assert_eq!(
        import(options().now(at("09:00:00"))),
        (12, 0),
        "a log ahead of the clock is not being written"
    );

    // A turn at its end is given two minutes later, and by the same id however much it grew.
    write(&path, &first);
    assert_eq!(import(options().now(at("10:01:00"))), (0, 1));
    assert_eq!(import(options().now(at("10:02:06"))), (5, 0));
    let id = || all(&mut Importer::open(&path).unwrap()).0[0].id;
    let before = id();
    write(&path, &[&first[..], &[reply("10:00:09", "m3", 1, "\"end_turn\"")]].concat());
    assert_eq!(id(), before);
}

#[test]
fn a_reply_that_grows_after_it_was_counted_is_said_so() {
    let room = tempfile::tempdir().unwrap();
    let mut lines = vec![prompt("10:00:00"), reply("10:00:05", "m1", 5, "null")];
    for turn in 1..4 {
        lines.push(prompt(&format!("10:0{turn}:00")));
        lines.push(reply(&format!("10:0{turn}:05"), &format!("n{turn}"), 1, "\"end_turn\""));
    }
    lines.push(reply("10:09:00", "m1", 50, "\"end_turn\""));
    let path = room.path().join("s.jsonl");
    write(&path, &lines);
    let (records, rejected) = all(&mut Importer::open(&path).unwrap());
    assert_eq!(usage(&records).output_tokens(), 5 + 3);
    assert_eq!(rejected[0].why, Why::TooLate { id: "m1".into(), tokens: 45 });
    assert_eq!(rejected[0].line, 9);
}

/// A log without prompts is given out in pieces, and every reply once.
#[test]
fn a_turn_without_end_is_given_out_in_pieces() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("s.jsonl");
    let lines: Vec<_> =
        (0..10_500).map(|number| reply("10:00:05", &format!("m{number}"), 1, "null")).collect();
    write(&path, &lines);
    let (records, rejected) = all(&mut Importer::open(&path).unwrap());
    assert!(rejected.is_empty(), "{}", rejected[0]);
    let calls: Vec<_> = records.iter().map(|record| record.llm_calls.len()).collect();
    assert_eq!(calls, [10_000, 500]);
    assert_ne!(records[0].id, records[1].id);
}

#[test]
fn a_folder_may_hold_files_of_several_formats_and_of_none() {
    let room = tempfile::tempdir().unwrap();
    let folder = room.path().join("below");
    std::fs::create_dir(&folder).unwrap();
    write(
        &folder.join("a.jsonl"),
        &[prompt("10:00:00"), reply("10:00:05", "m1", 5, "\"end_turn\"")],
    );
    std::fs::copy(data("litellm/spend_logs.json"), folder.join("b.JSON")).unwrap();
    std::fs::write(folder.join("c.csv"), "name,age\nada,36\n").unwrap();
    std::fs::write(folder.join("d.jsonl"), "").unwrap();
    std::fs::write(folder.join("notes.txt"), "dear diary").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(room.path(), folder.join("circle")).unwrap();

    let mut importer = Importer::open(room.path()).unwrap();
    let (records, rejected) = all(&mut importer);
    assert_eq!((records.len(), rejected.len()), (1 + 6, 1 + 1));
    assert!(
        rejected
            .iter()
            .any(|refused| matches!(&refused.why, Why::File(why) if why.contains("c.csv")))
    );
    assert_eq!(importer.counts().ignored["empty file"], 1);
    let position = importer.position();
    assert_eq!((position.file, position.files), (4, 4));
    assert!(importer.checkpoint().is_some());

    // A folder goes on with the file in which it stopped.
    let mut importer = Importer::open(room.path()).unwrap();
    importer.by_ref().take(3).for_each(drop);
    let rest = ImportOptions::new().resume(room.path(), &importer.checkpoint().unwrap()).unwrap();
    assert_eq!(rest.filter(|item| item.as_ref().unwrap().is_ok()).count(), 7 - 3);

    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(Importer::open(empty.path()), Err(ImportError::NothingThere { .. })));
    assert!(Importer::open(empty.path().join("x")).unwrap_err().is_not_found());
}

#[test]
fn how_far_an_import_is_can_be_shown() {
    let mut importer = Importer::open(data("claude-code")).unwrap();
    let (mut last, mut files) = (0, 0);
    while importer.next().is_some() {
        let position = importer.position();
        assert!(position.bytes_read >= last && Some(position.bytes_read) <= position.bytes);
        (last, files) = (position.bytes_read, position.file);
    }
    assert_eq!(Some(importer.position().bytes_read), importer.position().bytes);
    assert_eq!(files, importer.position().files);
}

/// Logs of a session and of two that were forked from it, which repeat its reply.
fn forked(room: &Path) {
    for (name, own) in [("a", "m2"), ("b", "m3"), ("c", "m4")] {
        let lines = [
            prompt("10:00:00"),
            reply("10:00:05", "m1", 5, "\"end_turn\""),
            prompt("10:01:00"),
            reply("10:01:05", own, 7, "\"end_turn\""),
        ];
        write(&room.join(name).with_extension("jsonl"), &lines);
    }
}

#[test]
fn a_folder_of_logs_goes_on_with_its_file_and_counts_nothing_twice() {
    let room = tempfile::tempdir().unwrap();
    forked(room.path());
    let mut importer = Importer::open(room.path()).unwrap();
    let first: Vec<_> = importer.by_ref().take(3).map(|item| item.unwrap().unwrap()).collect();
    assert_eq!(
        usage(&first).output_tokens(),
        5 + 7 + 7,
        "two turns of the first, one of the second"
    );
    let stopped = importer.checkpoint().unwrap();
    let kept = serde_json::from_str(&serde_json::to_string(&stopped).unwrap()).unwrap();

    let resume = || {
        let mut rest = ImportOptions::new().resume(room.path(), &kept).unwrap();
        let read_before = rest.position().bytes_read;
        let tokens = usage(&all(&mut rest).0).output_tokens();
        (tokens, read_before > 0, rest.position().file)
    };
    // The file in which it stopped is read again, without what the first one told.
    assert_eq!(resume(), (7 + 7, true, 3));
    // The one in which it stopped may have grown.
    let mut grown = std::fs::read_to_string(room.path().join("b.jsonl")).unwrap();
    for line in [prompt("10:02:00"), reply("10:02:05", "m5", 2, "null")] {
        grown.push('\n');
        grown.push_str(&line);
    }
    std::fs::write(room.path().join("b.jsonl"), grown).unwrap();
    assert_eq!(resume(), (7 + 2 + 7, true, 3));
    // Is one of those before it another, nothing is passed over.
    std::fs::write(room.path().join("a.jsonl"), prompt("10:00:00")).unwrap();
    assert_eq!(resume(), (5 + 7 + 2 + 7, false, 3));
}

/// What is said to be one format is read as that, whatever it looks like.
#[test]
fn a_format_that_was_said_is_not_looked_for() {
    let path =
        data("claude-code/projects/-home-ada-taxi/5f0c0003-0000-4000-8000-000000000003.jsonl");
    let (records, rejected) =
        all(&mut ImportOptions::new().format(Format::Codex).open(path).unwrap());
    assert_eq!((records.len(), rejected.len()), (0, 0));
    let (records, _) = all(&mut Importer::open(data("claude-code/projects")).unwrap());
    assert_eq!(named(&records, "claude_code.agent").len(), 2);
}
