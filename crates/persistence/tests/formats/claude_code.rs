//! Logs of Claude Code: each reply counted once, whatever was written of it.

use std::collections::BTreeSet;
use std::time::Duration;

use taximeter_models::{ErrorCategory, Outcome, ToolStatus, Unit};
use taximeter_persistence::{ImportOptions, Importer, Why};

use crate::support::{all, data, named, totals, usage};

/// What a script of its own added up over the last line of each of the twelve replies, and of the advisor's one.
#[test]
fn each_reply_is_counted_once_with_its_last_usage() {
    let mut importer = Importer::open(data("claude-code/projects")).unwrap();
    let (records, rejected) = all(&mut importer);
    let usage = usage(&records);
    assert_eq!(usage.get(Unit::Input), 224 + 823);
    assert_eq!(usage.get(Unit::Output), 666 + 1_612);
    assert_eq!(usage.get(Unit::CacheRead), 10_850);
    assert_eq!(usage.get(Unit::CacheWrite5m), 1_500 + 100);
    assert_eq!(usage.get(Unit::CacheWrite1h), 500);
    assert_eq!(usage.get(Unit::CacheWrite), 300);
    assert_eq!(usage.get(Unit::WebSearch), 2);
    assert_eq!(totals(&records).cost.usd().to_string(), "0.0175");
    let calls: Vec<_> = records.iter().flat_map(|record| &record.llm_calls).collect();
    assert_eq!(calls.iter().filter(|call| call.usage.is_some()).count(), 12 + 1);

    // One line is cut off in its middle, and said so with its place.
    assert_eq!(rejected.len(), 1);
    assert_eq!((rejected[0].line, &rejected[0].why), (20, &Why::CutShort));
    // Two lines tell more of a reply in the first file, one in the agent's and one in the older log; the agent replays
    // one, and the resumed session copies five lines.
    assert_eq!(importer.counts().duplicates, 2 + 1 + 1 + 5 + 1);
}

#[test]
fn a_turn_is_an_operation_and_a_sub_agent_its_child() {
    let (records, _) = all(&mut Importer::open(data("claude-code/projects")).unwrap());
    let turns = named(&records, "claude_code.turn");
    let agents = named(&records, "claude_code.agent");
    assert_eq!((turns.len(), agents.len(), records.len()), (7, 2, 9));
    let first = turns[0];
    assert_eq!(first.started_at.to_rfc3339(), "2026-03-02T10:00:00+00:00");
    assert_eq!(first.duration, Duration::from_millis(45_500));
    assert_eq!(first.session.as_deref(), Some("5f0c0001-0000-4000-8000-000000000001"));
    assert_eq!(first.tags["project"], "/home/ada/taxi");
    assert_eq!(first.tags["git_branch"], "main");
    let calls = &first.llm_calls;
    assert_eq!(calls.len(), 3);
    assert_eq!(calls[0].provider.as_deref(), Some("anthropic"));
    assert_eq!(calls[0].model(), "claude-sonnet-4-5-20250929");
    assert_eq!(calls[0].finish_reason.as_deref(), Some("tool_use"));
    assert_eq!(calls[0].duration, Some(Duration::from_secs(5)));
    assert_eq!(calls[1].usage.as_ref().unwrap().output_tokens(), 200);

    assert_eq!(agents[0].parent, Some(first.id));
    assert_eq!(agents[0].trace_id, first.trace_id);
    assert_eq!(agents[0].tags["agent"], "Explore");
    assert_eq!(agents[0].usage().output_tokens(), 80, "what it replays is its parent's");
    // The older log does not name its agents; theirs is the turn among whose lines they stand.
    assert_eq!(agents[1].parent, Some(turns[4].id));
    assert_eq!(agents[1].usage().total_tokens(), 55);
}

#[test]
fn tools_have_results_durations_and_the_kind_of_their_errors() {
    let (records, _) = all(&mut Importer::open(data("claude-code/projects")).unwrap());
    let turns = named(&records, "claude_code.turn");
    let tools = &turns[0].tool_calls;
    let names: Vec<_> = tools.iter().map(|call| call.name.as_str()).collect();
    assert_eq!(names, ["Read", "Bash", "Task"]);
    assert_eq!(tools[0].duration, Some(Duration::from_millis(250)));
    assert_eq!(tools[1].status, ToolStatus::Failure);
    assert_eq!(tools[1].error_category(), Some(ErrorCategory::Network));
    assert_eq!(tools[1].error.as_ref().unwrap().message, "its result is an error");
    assert_eq!(tools[2].duration, Some(Duration::from_millis(30_500)));
    assert!(tools.iter().all(|call| call.arguments_hash.is_some()));
    let interrupted = turns[6];
    assert_eq!(interrupted.outcome, Outcome::Abandoned);
    assert_eq!(interrupted.tool_calls[0].error_category(), Some(ErrorCategory::Cancelled));
}

#[test]
fn attempts_that_failed_are_calls_without_usage() {
    let (records, _) = all(&mut Importer::open(data("claude-code/projects")).unwrap());
    let turns = named(&records, "claude_code.turn");
    let retried = turns[1];
    assert_eq!(retried.outcome, Outcome::Success);
    let [refused, answered, advice] = &retried.llm_calls[..] else { panic!("{retried:?}") };
    assert_eq!(refused.error.as_ref().unwrap().category, ErrorCategory::Server);
    assert_eq!((refused.attempt, answered.attempt), (1, 2));
    assert_eq!(answered.started_at.unwrap().to_rfc3339(), "2026-03-02T10:05:02+00:00");
    assert_eq!(answered.served_tier.as_deref(), Some("priority"));
    assert_eq!(answered.served_as["speed"], *"fast");
    assert_eq!(
        (advice.model(), advice.usage.as_ref().unwrap().total_tokens()),
        ("claude-opus-4-7", 2_435)
    );
    let failed = turns[2];
    assert_eq!(failed.outcome, Outcome::Failure);
    assert_eq!(failed.errors[0].category, ErrorCategory::Authentication);
    assert_eq!(totals(&records).cost.calls_without_usage, 2);
}

/// A prompt that is typed ahead is written before the rest of the reply; the rest counts where it belongs.
#[test]
fn a_reply_goes_on_behind_a_prompt_that_was_typed_ahead() {
    let (records, _) = all(&mut Importer::open(data("claude-code/projects")).unwrap());
    let turns = named(&records, "claude_code.turn");
    assert_eq!(turns[4].usage().output_tokens(), 40 + 25);
    assert_eq!(turns[5].usage().output_tokens(), 12);
}

#[test]
fn the_same_is_found_again_with_the_same_ids_in_whatever_order() {
    let ids = |path: &str| {
        let (records, _) = all(&mut Importer::open(data(path)).unwrap());
        records.iter().map(|record| record.id).collect::<BTreeSet<_>>()
    };
    let whole = ids("claude-code/projects");
    assert_eq!(whole, ids("claude-code/projects"));
    assert_eq!(whole.len(), 9);
    let folder = "claude-code/projects/-home-ada-taxi";
    for session in 1..=3 {
        let part =
            ids(&format!("{folder}/5f0c000{session}-0000-4000-8000-00000000000{session}.jsonl"));
        assert!(!part.is_empty() && part.is_subset(&whole), "session {session}");
    }
}

/// Some tools write lines with the fields that matter alone.
#[test]
fn a_line_without_a_type_is_what_the_role_of_its_message_says() {
    let text = r#"{"timestamp":"2026-01-09T10:00:00Z","sessionId":"s","requestId":"r","costUSD":0.12,"message":{"role":"assistant","id":"m","model":"claude-sonnet-4","usage":{"input_tokens":100,"output_tokens":50}}}"#;
    let (records, rejected) = all(&mut ImportOptions::new().read(text.as_bytes()).unwrap());
    assert!(rejected.is_empty(), "{rejected:?}");
    assert_eq!(usage(&records).total_tokens(), 150);
    assert_eq!(totals(&records).cost.usd().to_string(), "0.12");
}
