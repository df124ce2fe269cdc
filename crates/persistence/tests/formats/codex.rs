//! Logs of the Codex CLI: totals that run on, forks that repeat, and each request once.

use std::time::Duration;

use taximeter_models::{ErrorCategory, Outcome, ToolStatus, Unit, UsageError};
use taximeter_persistence::{Importer, Why};

use crate::support::{all, data, named, usage};

/// What a script of its own added up over the nine requests.
#[test]
fn each_request_is_counted_once_however_often_it_is_told() {
    let mut importer = Importer::open(data("codex")).unwrap();
    let (records, rejected) = all(&mut importer);
    let usage = usage(&records);
    assert_eq!((usage.input_tokens(), usage.get(Unit::CacheRead)), (64_200, 56_000));
    assert_eq!((usage.output_tokens(), usage.get(Unit::Reasoning)), (920, 400));
    assert_eq!(records.iter().map(|record| record.llm_calls.len()).sum::<usize>(), 9);
    // The archived copy, the fork and the sub-agent repeat eight requests and nine calls; one total is told twice in
    // the session, in its copy, and in the fork.
    assert_eq!(importer.counts().duplicates, (4 + 3 + 1) + (3 + 2 + 1) + 3);
    // More tokens are said to be cached than went in.
    assert_eq!(rejected.len(), 1);
    assert!(
        matches!(rejected[0].why, Why::Usage(UsageError::CacheAboveInput { .. })),
        "{}",
        rejected[0]
    );
    assert_eq!(importer.counts().ignored["line without a payload"], 3);
}

#[test]
fn a_turn_is_an_operation_and_a_sub_agent_its_child() {
    let (records, _) = all(&mut Importer::open(data("codex")).unwrap());
    let turns = named(&records, "codex.turn");
    let agents = named(&records, "codex.agent");
    assert_eq!((turns.len(), agents.len(), records.len()), (6, 1, 7));
    let first = turns[0];
    assert_eq!(first.started_at.to_rfc3339(), "2026-03-02T09:00:01+00:00");
    assert_eq!(first.duration, Duration::from_millis(14_200));
    assert_eq!(first.outcome, Outcome::Success);
    assert_eq!(
        (first.tags["project"].as_str(), first.tags["git_branch"].as_str()),
        ("/home/ada/taxi", "main")
    );
    assert_eq!(first.metadata["reasoning_effort"], "high");
    let call = &first.llm_calls[0];
    assert_eq!((call.provider.as_deref(), call.model()), (Some("openai"), "gpt-5.1-codex"));
    assert_eq!(
        (call.context_window, call.duration),
        (Some(272_000), Some(Duration::from_millis(5_070)))
    );
    assert_eq!(agents[0].parent, Some(first.id));
    assert_eq!(agents[0].usage().total_tokens(), 520);
    assert_eq!(agents[0].tags["agent"], "explorer");
    // The fork has its own turn alone.
    assert_eq!(turns[2].usage().total_tokens(), 14_090);
    assert_eq!(turns[2].tool_calls[0].name, *"web_search");
}

#[test]
fn tools_have_results_durations_and_the_kind_of_their_errors() {
    let (records, _) = all(&mut Importer::open(data("codex")).unwrap());
    let turns = named(&records, "codex.turn");
    let [shell, patch] = &turns[0].tool_calls[..] else { panic!("{:?}", turns[0]) };
    assert_eq!((shell.name.as_str(), shell.status), ("shell", ToolStatus::Success));
    assert_eq!(shell.duration, Some(Duration::from_millis(400)));
    assert_eq!((patch.name.as_str(), patch.status), ("apply_patch", ToolStatus::Failure));
    assert_eq!(patch.duration, Some(Duration::from_millis(250)));
    assert_eq!(patch.error_category(), Some(ErrorCategory::Authorization));
    assert_eq!(turns[1].outcome, Outcome::Abandoned);
    assert_eq!(turns[1].tool_calls[0].error_category(), Some(ErrorCategory::Cancelled));
    // An output of an older version says itself that it is none.
    assert_eq!(turns[3].tool_calls[0].status, ToolStatus::Failure);
}

/// A total that falls was set back, and what it says is new; one that was set to the context window says nothing.
#[test]
fn totals_alone_are_told_apart_by_their_difference() {
    let (records, _) = all(&mut Importer::open(data("codex")).unwrap());
    let turns = named(&records, "codex.turn");
    let used: Vec<_> = turns[3].llm_calls.iter().map(|call| call.usage.clone().unwrap()).collect();
    assert_eq!(used[0].total_tokens(), 1_100);
    assert_eq!((used[1].input_tokens(), used[1].get(Unit::CacheRead)), (2_000, 1_500));
    assert_eq!(turns[4].outcome, Outcome::Failure);
    assert_eq!(turns[4].errors[0].category, ErrorCategory::ContextLength);
    assert!(turns[4].llm_calls.is_empty());
    assert_eq!(turns[5].usage().total_tokens(), 770);
}

#[test]
fn a_copy_has_the_ids_of_what_it_copies() {
    let ids = |path: &str| -> Vec<_> {
        all(&mut Importer::open(data(path)).unwrap()).0.iter().map(|record| record.id).collect()
    };
    let whole = ids("codex");
    assert_eq!(whole, ids("codex"));
    let file = "rollout-2026-03-02T09-00-00-019cb000-0000-7000-8000-00000000000a.jsonl";
    let archived = ids(&format!("codex/archived_sessions/{file}"));
    assert_eq!(archived, ids(&format!("codex/sessions/2026/03/02/{file}")));
    assert!(archived.iter().all(|id| whole.contains(id)));
    // What the fork copied is its parent's, also where that is not there to compare.
    let fork = "rollout-2026-03-02T10-00-00-019cb000-0000-7000-8000-00000000000b.jsonl";
    let own = ids(&format!("codex/sessions/2026/03/02/{fork}"));
    assert_eq!(own.len(), 1);
    assert!(whole.contains(&own[0]) && !archived.contains(&own[0]));
}

/// A count of tokens, with a total of input and what came last.
fn count(time: &str, total: u64, last: u64) -> String {
    let tokens = |input: u64| {
        format!(r#"{{"input_tokens":{input},"output_tokens":1,"total_tokens":{}}}"#, input + 1)
    };
    format!(
        r#"{{"timestamp":"2026-03-02T{time}Z","type":"event_msg","payload":{{"type":"token_count","info":{{"total_token_usage":{},"last_token_usage":{}}}}}}}"#,
        tokens(total),
        tokens(last),
    )
}

fn meta(time: &str, id: &str, more: &str) -> String {
    format!(
        r#"{{"timestamp":"2026-03-02T{time}Z","type":"session_meta","payload":{{"id":"{id}","timestamp":"2026-03-02T{time}Z"{more}}}}}"#
    )
}

/// The input tokens of these files, read as a folder.
fn input(files: &[&[String]]) -> u64 {
    let room = tempfile::tempdir().unwrap();
    for (number, lines) in files.iter().enumerate() {
        std::fs::write(room.path().join(format!("{number}.jsonl")), lines.join("\n")).unwrap();
    }
    let (records, rejected) = all(&mut Importer::open(room.path()).unwrap());
    assert!(rejected.is_empty(), "{rejected:?}");
    usage(&records).input_tokens()
}

#[test]
fn copies_are_told_by_their_times_where_nothing_else_tells_them() {
    // No session is named, and the times are kept: 100 and 50 are the first file's, 70 the second's.
    let first = [count("08:01:00", 100, 100), count("08:02:00", 150, 50)];
    let second = [&first[..], &[count("08:09:00", 220, 70)]].concat();
    assert_eq!(input(&[&first, &second]), 220);
    // Two sessions may begin with the same counts by chance.
    assert_eq!(input(&[&[count("08:01:00", 100, 100)], &[count("08:07:00", 100, 100)]]), 200);
    // The parent does not name itself: the burst with which the fork begins is not the fork's.
    let fork = [
        meta("08:03:00", "child", r#","forked_from_id":"parent""#),
        meta("08:03:00.010", "parent", ""),
        count("08:03:00.020", 100, 100),
        count("08:03:00.060", 150, 50),
        count("08:04:00", 220, 70),
    ];
    assert_eq!(input(&[&first, &fork]), 220);
    assert_eq!(input(&[&fork]), 70);
    // Copies that keep their times are older than the file.
    let kept = [
        meta("08:03:00", "child", r#","forked_from_id":"parent""#),
        count("08:01:00", 100, 100),
        count("08:02:00", 150, 50),
        count("08:03:09", 220, 70),
    ];
    assert_eq!(input(&[&kept]), 70);
    // A fork of a fork, whose root is not there.
    let again = [
        meta("08:05:00", "grandchild", r#","forked_from_id":"child""#),
        meta("08:05:00", "child", r#","forked_from_id":"parent""#),
        meta("08:05:00", "parent", ""),
        count("08:05:00.020", 100, 100),
        count("08:05:00.040", 150, 50),
        count("08:05:00.060", 220, 70),
        count("08:05:00.900", 230, 10),
    ];
    assert_eq!(
        input(&[&fork, &again]),
        70 + 10,
        "what the child has is known, so that no burst is needed"
    );
}
