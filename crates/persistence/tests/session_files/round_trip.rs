//! What is saved is what is loaded.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::DateTime;
use proptest::prelude::*;
use serde_json::{Value, json};
use taximeter_models::{
    LlmCall, OperationId, OperationRecord, Outcome, PerformanceTrend, Session, TokenUsage,
    ToolCall, ToolStatus,
};
use taximeter_persistence::{PersistenceError, SessionFiles};

use crate::support::{names_in, noon};

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4).prop_map(Value::from_iter),
        ]
    })
}

fn metadata() -> impl Strategy<Value = BTreeMap<String, Value>> {
    prop::collection::btree_map(any::<String>(), value(), 0..3)
}

prop_compose! {
    fn operation()(
        (name, id, parent) in (any::<String>(), any::<u128>(), any::<Option<u128>>()),
        (seconds, nanos, duration) in (0..4_000_000_000_i64, 0..1_000_000_000_u32, any::<u64>()),
        parts in prop::collection::vec((any::<String>(), any::<u64>()), 0..3),
        tokens in prop::option::of((0..1_u64 << 40, 0..1_u64 << 40)),
        failed in any::<bool>(),
        metadata in metadata(),
    ) -> OperationRecord {
        let mut operation = OperationRecord::new(name);
        operation.id = OperationId::from_bits(id);
        operation.parent = parent.map(OperationId::from_bits);
        operation.remote_parent = parent.map(|parent| OperationId::from_bits(parent).span_id());
        operation.started_at = DateTime::from_timestamp(seconds, nanos).unwrap();
        operation.duration = Duration::from_nanos(duration);
        operation.outcome = if failed { Outcome::Abandoned } else { Outcome::Success };
        for (name, nanos) in parts {
            operation.add_component(name.clone(), Duration::from_nanos(nanos));
            operation.tool_calls.push(ToolCall::new(name, ToolStatus::Failure));
        }
        let usage = tokens.map(|(input, output)| TokenUsage::new(input, output));
        operation.llm_calls.extend(usage.map(|usage| LlmCall::new("openai", "gpt-4o").using(usage)));
        operation.metadata = metadata;
        operation
    }
}

prop_compose! {
    fn session()(
        id in any::<String>(),
        operations in prop::collection::vec(operation(), 0..4),
        ended in any::<bool>(),
        notes in prop::collection::vec(any::<String>(), 0..2),
        metadata in metadata(),
        mean in any::<Option<u32>>(),
    ) -> Session {
        let mut session = Session::new(id, noon());
        session.operations = operations;
        session.ended_at = ended.then(noon);
        session.notes = notes;
        session.metadata = metadata;
        let mut trend = PerformanceTrend::default();
        trend.avg_duration = mean.map(f64::from);
        session.trends.push(trend);
        session
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_session_comes_back_as_it_was(session in session()) {
        let room = tempfile::tempdir().unwrap();
        let files = SessionFiles::new(room.path());
        let path = files.save(&session, None, noon()).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        prop_assert_eq!(&files.load(name).unwrap(), &session);
        prop_assert_eq!(&files.load_path(&path).unwrap(), &session);
        prop_assert_eq!(names_in(room.path()), [name]);
    }
}

#[test]
fn what_could_not_be_read_again_is_not_written() {
    let room = tempfile::tempdir().unwrap();
    let files = SessionFiles::new(room.path().join("files"));
    let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));

    let mut session = crate::support::session("deep", 2);
    let call = session.operations[1].tool_calls[0].clone().with("deep", nested(100));
    session.operations[1].tool_calls[0] = call;
    session.metadata.insert("deep".into(), nested(100));
    files.save(&session, Some("deep"), noon()).unwrap();
    assert_eq!(files.load("deep").unwrap(), session);

    session.operations[1].llm_calls[0].metadata.insert("deeper".into(), nested(101));
    let error = files.save(&session, Some("deep"), noon()).unwrap_err();
    assert!(matches!(error, PersistenceError::TooDeep { limit: 100, .. }), "{error}");
    session.operations.clear();
    assert_ne!(files.load("deep").unwrap(), session);
    assert_eq!(names_in(files.directory()), ["deep.json"]);
}

#[test]
fn documents_of_the_original_system_are_read_by_path() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("metrics_old.json");
    let text = r#"{
        "session_id": "old", "start_time": "2026-11-23 22:15:45.636042", "end_time": null,
        "operations": [{"operation_name": "qa", "start_time": 1760001017.5, "end_time": 1760001018.0,
            "total_duration": 0.5, "component_timing": {}, "tool_calls": [], "token_usage": null,
            "cost_estimate": null, "success": true, "error_count": 0, "warning_count": 1, "metadata": {}}],
        "total_operations": 0, "total_duration": 0.0, "trends": [], "metadata": {}
    }"#;
    std::fs::write(&path, text).unwrap();
    let files = SessionFiles::new(room.path());
    let session = files.load_path(&path).unwrap();
    assert_eq!(session.totals().operations(), 1);
    assert_eq!(session.notes.len(), 1, "the naive time is noted");
    let saved = files.save(&session, None, noon()).unwrap();
    assert_eq!(files.load_path(saved).unwrap(), session);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "what was read is left as it was");
}
