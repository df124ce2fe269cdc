//! A client of rig against a stand-in endpoint: what its types tell is what was served.

use futures_util::StreamExt;
use rig_core::completion::CompletionRequest;
use rig_core::providers::openai::OpenAIConfig;
use taximeter::{ErrorCategory, LlmCall, Meter};
use taximeter_programs::{StandIn, assert_failed, assert_silent};
use taximeter_rig::Followed;

#[tokio::test]
async fn what_its_types_tell_is_what_was_served() {
    let stand_in = StandIn::start().await.expect("there is a port");
    let openai = OpenAIConfig::new("sk-stand-in").with_base_url(stand_in.base_url()).client();
    let meter = Meter::builder().build().expect("the worker starts");
    let op = meter.operation("qa_response").start();
    for model in ["gpt-4o-mini", "silent", "busy"] {
        let call = op.llm_call("openai", model).start();
        taximeter_rig::end(call, &openai.chat(model).call(CompletionRequest::new("?")).await);
    }
    let record = op.finish().expect("it is on");
    stand_in.assert_told(&record.llm_calls, ErrorCategory::RateLimit);
}

/// Begins a call whose reply is streamed; `read` reads as much as it likes. Gives the record of the call.
async fn followed(stand_in: &StandIn, model: &str, read: impl AsyncFnOnce(Followed)) -> LlmCall {
    let openai = OpenAIConfig::new("sk-stand-in").with_base_url(stand_in.base_url()).client();
    let meter = Meter::builder().build().expect("the worker starts");
    let op = meter.operation("qa_response").start();
    let call = op.llm_call("openai", model).start();
    let stream = openai.chat(model).stream(CompletionRequest::new("?")).expect("it can be asked");
    read(taximeter_rig::follow(call, stream)).await;
    op.finish().expect("it is on").llm_calls.remove(0)
}

async fn read_on(mut stream: Followed) {
    while stream.next().await.is_some() {}
}

#[tokio::test]
async fn a_streamed_reply_is_followed_to_its_end() {
    let stand_in = StandIn::start().await.expect("there is a port");
    let told = followed(&stand_in, "gpt-4o-mini", read_on).await;
    stand_in.assert_streamed(&told);
    let first = stand_in.served();
    // Who wants the response as a whole has the call metered all the same.
    let told = followed(&stand_in, "gpt-4o-mini", async |stream| {
        let response = stream.finish().await.expect("it is served");
        assert!(response.usage.input_tokens.is_some());
    })
    .await;
    let (usage, both) = (told.usage.as_ref().expect("it is told"), stand_in.served());
    assert_eq!(usage.input_tokens(), both.input - first.input);
    assert!(told.time_to_first_token.is_some() && told.error.is_none(), "{told:?}");
    let silent = followed(&stand_in, "silent", read_on).await;
    assert_silent(&silent);
}

#[tokio::test]
async fn a_stream_that_is_left_or_refused_is_a_failure() {
    let stand_in = StandIn::start().await.expect("there is a port");
    let left = followed(&stand_in, "gpt-4o-mini", async |mut stream| {
        assert!(stream.next().await.is_some());
    })
    .await;
    assert_failed(&left, ErrorCategory::Cancelled);
    let busy = followed(&stand_in, "busy", read_on).await;
    assert_failed(&busy, ErrorCategory::RateLimit);
    let busy = followed(&stand_in, "busy", async |stream| assert!(stream.finish().await.is_err()));
    assert_failed(&busy.await, ErrorCategory::RateLimit);
}
