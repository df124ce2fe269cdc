//! Without a layer: a reply that a client has read already is put on the guard of its call by hand.

use serde_json::json;
use taximeter::reply;
use taximeter::{ErrorCategory, Meter};

use crate::served::told;

#[test]
fn a_reply_is_put_on_the_guard_of_its_call() {
    let meter = Meter::builder().build().unwrap();
    let op = meter.operation("qa_response").start();
    let answers = [
        json!({"object": "chat.completion", "model": "gpt-4o-2024-08-06", "choices": [],
            "usage": {"prompt_tokens": 1200, "completion_tokens": 350, "prompt_tokens_details": {"cached_tokens": 200}}}),
        json!({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 1,
            "prompt_tokens_details": {"cached_tokens": 6}}}),
        json!({"error": {"code": "insufficient_quota", "message": "no money left"}}),
    ];
    for answer in answers {
        let mut call = op.llm_call("openai", "gpt-4o").start();
        let reply = reply::read(&answer);
        call.fill(|record| reply.put_on(record));
        if let Some(usage) = reply.usage {
            call.usage(usage); // numbers that cannot be are counted
        }
        match &reply.error {
            Some(error) => call.fail(error),
            None => call.succeed(),
        }
    }
    let record = op.finish().unwrap();
    let [good, impossible, failed] = record.llm_calls.as_slice() else { panic!("{record:?}") };
    assert_eq!(told(good), "openai gpt-4o gpt-4o-2024-08-06 1200 200 350");
    assert_eq!(good.cost.amount().map(|(cost, _)| cost.to_string()).as_deref(), Some("0.00625"));
    assert_eq!((impossible.cost.as_str(), impossible.usage.is_none()), ("invalid_usage", true));
    assert_eq!(failed.error.as_ref().map(|error| error.category), Some(ErrorCategory::Quota));
    assert_eq!(meter.counts().invalid_usages, 1);
}
