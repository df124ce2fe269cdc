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
    // The fork alone tells what it copied under the ids that it has in its own session.
    let fork = "rollout-2026-03-02T10-00-00-019cb000-0000-7000-8000-00000000000b.jsonl";
    assert_eq!(ids(&format!("codex/sessions/2026/03/02/{fork}"))[0], archived[0]);
}
