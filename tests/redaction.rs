//! No secret leaves the program through a record: a canary in every text that can be recorded, looked for in all that
//! comes out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use taximeter::{
    Collector, ErrorCategory, ErrorRecord, Field, Handle, LlmCall, LossReason, MemorySink, Meter,
    Redacted, Redaction, TokenUsage, ToolCall, ToolStatus,
};

const CANARY: &str = "sk-proj-9fKq2LmZx7Wc4RtYb8Nv3JhGd6Ps5Q";

fn error() -> ErrorRecord {
    let mut error =
        ErrorRecord::new(ErrorCategory::Authentication, format!("401: {CANARY} is wrong"));
    error.causes.push(format!("password={CANARY}"));
    error.component = Some(CANARY.into());
    error
}

/// Puts the canary into every text there is.
fn record_everywhere(op: &Handle) {
    op.set("url", format!("https://me:{CANARY}@example.com/?key={CANARY}"));
    op.set("headers", json!({"Authorization": format!("Bearer {CANARY}"), "list": [CANARY]}));
    op.set("password", CANARY);
    op.set(CANARY, 1);
    op.tag("tag", CANARY);
    op.tag(CANARY, "value");
    op.tag("api_key", CANARY);
    op.set_user(CANARY);
    op.set_session(CANARY);
    op.add_component(CANARY, Duration::from_millis(1));
    drop(op.component(CANARY));
    op.tool(CANARY).with("token", CANARY).with(CANARY, CANARY).start().fail(&error());
    op.tool("search")
        .with("url", format!("x?sig={CANARY}"))
        .took(Duration::ZERO, ToolStatus::Success);
    let mut call = ToolCall::new(CANARY, ToolStatus::Error);
    call.error = Some(error());
    call.metadata.insert("key".into(), CANARY.into());
    op.record_tool_call(call);
    let mut llm = op.llm_call(CANARY, CANARY).with("prompt", CANARY).start();
    llm.served_model(CANARY);
    llm.served_tier(CANARY);
    llm.served_as(CANARY, CANARY);
    llm.finish_reason(CANARY);
    llm.set("gen_ai.input.messages", CANARY);
    llm.fail(&error());
    op.record_llm_call(LlmCall::new(CANARY, "m").using(TokenUsage::new(1, 1)));
    op.record_usage(CANARY, CANARY, TokenUsage::new(1, 1));
    op.error(&error());
    op.warn(format!("the key {CANARY} is old"));
}

#[test]
fn a_secret_in_any_text_comes_out_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let further = MemorySink::default();
    let meter = Meter::builder().data_dir(folder.path()).sink(further.clone()).build().unwrap();
    let op = meter
        .operation(CANARY)
        .user(CANARY)
        .session(CANARY)
        .tag("t", CANARY)
        .with("k", CANARY)
        .start();
    record_everywhere(&op);
    let record = op.finish_with(Some(error())).unwrap();
    meter.flush(Duration::from_secs(5)).unwrap();
    let saved = meter.save(None).unwrap().unwrap();

    let kept = further.records();
    assert_eq!(kept.len(), 1);
    for text in [
        serde_json::to_string(&record).unwrap(),
        serde_json::to_string(&kept).unwrap(),
        serde_json::to_string(&meter.summary()).unwrap(),
        std::fs::read_to_string(saved).unwrap(),
        format!("{meter:?} {kept:?}"),
    ] {
        assert!(!text.contains("9fKq2LmZx7"), "{text}");
    }
    assert!(meter.counts().redacted > 30, "{:?}", meter.counts());
    assert_eq!(record.tool_calls.len(), 3);
    assert!(!record.llm_calls[0].metadata.contains_key("gen_ai.input.messages"));
}

#[test]
fn a_hook_that_panics_and_records_costs_its_texts_alone() {
    let sink = MemorySink::default();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let hook = move |field: Field<'_>, text: &str| {
        counted.fetch_add(1, Ordering::Relaxed);
        // To record from here must neither hang nor go on without end.
        if matches!(field, Field::Warning) {
            taximeter::current().set("seen", text.len());
        }
        match field {
            Field::Metadata("fault") => panic!("a fault of the hook"),
            Field::Metadata("shout") => Redacted::Replace(text.to_uppercase()),
            Field::User => Redacted::Drop,
            _ => Redacted::Keep,
        }
    };
    let redaction = Redaction::default().hook(hook).allow_only(["fault", "shout", "seen"]);
    let collector = Collector::builder().sink(sink.clone()).redaction(redaction).build().unwrap();
    let op =
        collector.operation("op").user("alice").with("fault", "x").with("shout", "hey").start();
    let entered = op.enter();
    op.warn("careful");
    op.set("other", "not on the list");
    drop(entered);
    op.succeed();
    collector.flush(Duration::from_secs(5)).unwrap();

    let record = &sink.records()[0];
    assert_eq!((record.user.as_ref(), &record.metadata["shout"]), (None, &json!("HEY")));
    assert_eq!(record.metadata.keys().collect::<Vec<_>>(), ["seen", "shout"]);
    assert_eq!(record.warnings[0].message, "careful");
    let counts = collector.counts();
    assert_eq!((counts.redaction_failed, counts.redacted), (1, 3));
    assert_eq!(counts.dropped.get(&LossReason::InternalPanic), None);
    assert!(asked.load(Ordering::Relaxed) > 5);
}

#[test]
fn what_is_switched_off_is_not_masked() {
    let redaction = Redaction::default().mask_secrets(false).capture_content(true);
    let collector = Collector::builder().redaction(redaction).build().unwrap();
    let op = collector.operation("op").with("password", "x").with("gen_ai.prompt", "hi").start();
    let record = op.finish().unwrap();
    assert_eq!((record.metadata["password"].as_str(), record.metadata.len()), (Some("x"), 2));
    assert_eq!(collector.counts().redacted, 0);
}
