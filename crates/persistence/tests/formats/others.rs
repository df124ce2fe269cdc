//! LiteLLM, Langfuse, Phoenix: what their documented answers and exports hold comes out as it is in them.

use std::time::Duration;

use taximeter_models::{CostOutcome, ErrorCategory, OperationRecord, Outcome, Unit};
use taximeter_persistence::{ImportOptions, Importer, Why};

use crate::support::{all, data, totals};

fn find<'a>(records: &'a [OperationRecord], name: &str) -> &'a OperationRecord {
    records.iter().find(|record| record.name == *name).unwrap()
}

fn cost(record: &OperationRecord) -> String {
    record.llm_calls[0].cost.amount().map_or("none".into(), |(money, _)| money.to_string())
}

#[test]
fn a_spend_log_is_an_operation_with_one_call() {
    let (records, rejected) = all(&mut Importer::open(data("litellm/spend_logs.json")).unwrap());
    assert_eq!((records.len(), rejected.len()), (6, 1));
    let first = &records[0];
    assert_eq!(
        (first.name.as_str(), first.duration),
        ("litellm.acompletion", Duration::from_millis(2_500))
    );
    assert_eq!((first.user.as_deref(), first.session.as_deref()), (Some("ada"), Some("s-1")));
    let tags: Vec<_> = first.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(tags, ["key=taxi", "model_group=smart", "request_tags=job:1,night", "team=fleet"]);
    let call = &first.llm_calls[0];
    assert_eq!((call.provider.as_deref(), call.model()), (Some("openai"), "gpt-4o"));
    assert_eq!(call.time_to_first_token, Some(Duration::from_millis(400)));
    let usage = call.usage.as_ref().unwrap();
    assert_eq!(
        (usage.uncached_input(), usage.get(Unit::CacheRead), usage.get(Unit::Reasoning)),
        (200, 1_000, 40)
    );
    assert_eq!(cost(first), "0.00325");
    assert!(matches!(call.cost, CostOutcome::Recorded(_)));

    let call = &records[1].llm_calls[0];
    assert_eq!((call.model(), cost(&records[1]).as_str()), ("claude-sonnet-4-5", "0.00001"));
    let usage = call.usage.as_ref().unwrap();
    assert_eq!(usage.input_tokens(), 3_300);
    assert_eq!(
        (usage.get(Unit::CacheWrite5m), usage.get(Unit::CacheWrite1h), usage.get(Unit::CacheWrite)),
        (150, 50, 0)
    );

    assert_eq!(cost(&records[2]), "0", "the proxy's cache answered");
    assert_eq!(records[3].llm_calls[0].cost, CostOutcome::Pending, "it had no price");
    assert_eq!(records[4].outcome, Outcome::Failure);
    assert_eq!(records[4].llm_calls[0].error.as_ref().unwrap().category, ErrorCategory::RateLimit);
    assert_eq!(records[4].llm_calls[0].usage, None);
    assert_eq!(records[5].tool_calls[0].name, *"maps/route");
    assert!(records[5].llm_calls.is_empty());
    // What the same path answers for a day is a sum, and no request.
    assert!(matches!(&rejected[0].why, Why::DoesNotFit(_)), "{}", rejected[0]);
    assert_eq!(totals(&records).usage.total_tokens(), 1_300 + 3_350 + 30 + 15);
}

#[test]
fn observations_are_operations_within_that_of_their_parent() {
    let mut importer = Importer::open(data("langfuse/observations.json")).unwrap();
    let (records, rejected) = all(&mut importer);
    assert!(rejected.is_empty(), "{rejected:?}");
    assert_eq!((records.len(), importer.counts().ignored["EVENT"]), (4, 1));
    let root = find(&records, "answer");
    assert_eq!(
        (root.parent, root.trace_id.to_string().as_str()),
        (None, "6908d6bf52ed4c83132696513c372cfb")
    );
    for child in ["o-gen1", "o-gen2", "web_search"] {
        assert_eq!(find(&records, child).parent, Some(root.id), "{child} came before its parent");
    }
    // Buckets beside one another add up to the total.
    let usage = find(&records, "o-gen1").usage();
    assert_eq!(
        (usage.input_tokens(), usage.output_tokens(), usage.get(Unit::Reasoning)),
        (1_200, 100, 40)
    );
    assert_eq!(usage.get(Unit::CacheRead), 1_000);
    let claude = find(&records, "o-gen2");
    assert_eq!(claude.usage().input_tokens(), 3_300);
    assert_eq!(claude.llm_calls[0].cost.input_and_output().unwrap().0.to_string(), "0.0003");
    assert_eq!(claude.llm_calls[0].time_to_first_token, Some(Duration::from_millis(400)));
    let tool = find(&records, "web_search");
    assert_eq!(tool.tool_calls[0].error_category(), Some(ErrorCategory::Timeout));
    assert_eq!(tool.outcome, Outcome::Failure);
}

#[test]
fn a_trace_and_an_export_of_langfuse_are_read_too() {
    let (records, rejected) = all(&mut Importer::open(data("langfuse/trace.json")).unwrap());
    assert_eq!((records.len(), rejected.len()), (2, 1));
    let chat = find(&records, "chat");
    assert_eq!((chat.user.as_deref(), chat.session.as_deref()), (Some("bob"), Some("s-2")));
    // Input and output alone are the total: what is cached is a part of the input.
    assert_eq!((chat.usage().input_tokens(), chat.usage().get(Unit::CacheRead)), (500, 400));
    assert_eq!(cost(chat), "0.001");
    assert_eq!(find(&records, "old").usage().total_tokens(), 10);
    let Why::DoesNotFit(why) = &rejected[0].why else { panic!("{}", rejected[0]) };
    assert!(why.contains("950") && why.contains("550") && why.contains("999"), "{why}");

    let (records, rejected) =
        all(&mut Importer::open(data("langfuse/observations.jsonl")).unwrap());
    assert!(rejected.is_empty(), "{rejected:?}");
    assert_eq!(records[0].started_at.to_rfc3339(), "2026-03-02T12:00:00+00:00");
    assert_eq!((records[0].usage().total_tokens(), cost(&records[0]).as_str()), (100, "0.00003"));
    assert_eq!(records[0].llm_calls[0].model(), "gpt-4o-mini");
}

/// What the screen of Langfuse gives for download: a trace, and its observations beside it.
#[test]
fn a_download_of_langfuse_has_its_trace_beside_the_observations() {
    let text = r#"{"trace": {"id": "t", "name": "tutor", "userId": "ada", "sessionId": "s-9", "timestamp": "2026-03-02T13:00:00Z"},
        "observations": [{"id": "a", "traceId": "t", "type": "GENERATION", "name": "g", "startTime": "2026-03-02T13:00:01Z",
        "endTime": "2026-03-02T13:00:02Z", "model": "gemini-2.5-pro", "level": "DEFAULT",
        "usageDetails": {"input": 6, "output": 2055, "completion_details.reasoning": 1104, "total": 2061}}]}"#;
    let (records, rejected) = all(&mut ImportOptions::new().read(text.as_bytes()).unwrap());
    assert!(rejected.is_empty(), "{rejected:?}");
    let record = &records[0];
    assert_eq!((record.user.as_deref(), record.session.as_deref()), (Some("ada"), Some("s-9")));
    assert_eq!(record.tags["trace_name"], "tutor");
    assert_eq!(
        (record.usage().output_tokens(), record.usage().get(Unit::Reasoning)),
        (2_055, 1_104)
    );
}

#[test]
fn spans_of_phoenix_are_read_nested_and_flat() {
    let mut importer = Importer::open(data("phoenix/spans.jsonl")).unwrap();
    let (records, rejected) = all(&mut importer);
    assert!(rejected.is_empty(), "{rejected:?}");
    let root = find(&records, "answer");
    assert!(root.llm_calls.is_empty(), "what a chain tells of tokens are sums");
    let chat = find(&records, "ChatCompletion");
    assert_eq!((chat.parent, chat.trace_id), (Some(root.id), root.trace_id));
    let usage = chat.usage();
    assert_eq!(
        (usage.input_tokens(), usage.get(Unit::CacheRead), usage.get(Unit::Reasoning)),
        (1_200, 200, 50)
    );
    assert_eq!((chat.user.as_deref(), cost(chat).as_str()), (Some("ada"), "0.00625"));
    let tool = &find(&records, "Tool").tool_calls[0];
    assert_eq!(
        (tool.name.as_str(), tool.error_category()),
        ("route", Some(ErrorCategory::NotFound))
    );
    let claude = find(&records, "messages");
    assert_eq!(
        (claude.usage().input_tokens(), claude.llm_calls[0].provider.as_deref()),
        (3_300, Some("anthropic"))
    );
    assert_eq!(totals(&records).usage.total_tokens(), 1_550 + 3_310);

    let (records, rejected) = all(&mut Importer::open(data("phoenix/dataframe.json")).unwrap());
    assert!(rejected.is_empty(), "{rejected:?}");
    assert_eq!(records[0].started_at.to_rfc3339(), "2026-03-02T11:00:00+00:00");
    assert_eq!(
        (records[0].duration, records[0].usage().total_tokens()),
        (Duration::from_millis(250), 64)
    );
    assert_eq!(records[0].llm_calls[0].model(), "text-embedding-3-small");
}
