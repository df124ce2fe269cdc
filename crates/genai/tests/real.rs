//! A client of genai against a stand-in endpoint: what its types tell is what was served.

use futures_util::StreamExt;
use genai::adapter::AdapterKind;
use genai::chat::{ChatMessage, ChatOptions, ChatRequest};
use genai::resolver::{AuthData, Endpoint, Error, ServiceTargetResolver};
use genai::{Client, ModelIden, ServiceTarget};
use taximeter::{ErrorCategory, LlmCall, Meter};
use taximeter_programs::{StandIn, assert_failed, assert_silent};

fn client(base_url: &str) -> Client {
    let base_url = format!("{base_url}/");
    let resolver = ServiceTargetResolver::from_resolver_fn(
        move |target: ServiceTarget| -> Result<ServiceTarget, Error> {
            Ok(ServiceTarget {
                endpoint: Endpoint::from_owned(base_url.clone()),
                auth: AuthData::from_single("sk-stand-in"),
                model: ModelIden::new(AdapterKind::OpenAI, target.model.model_name),
            })
        },
    );
    Client::builder().with_service_target_resolver(resolver).build().expect("it needs nothing")
}

#[tokio::test]
async fn what_its_types_tell_is_what_was_served() {
    let stand_in = StandIn::start().await.expect("there is a port");
    let (client, meter) = (client(&stand_in.base_url()), Meter::builder().build().expect("on"));
    let op = meter.operation("qa_response").start();
    for model in ["gpt-4o-mini", "silent", "busy"] {
        let call = op.llm_call("openai", model).start();
        let question = ChatRequest::new(vec![ChatMessage::user("What is the answer?")]);
        taximeter_genai::end(call, &client.exec_chat(model, question, None).await);
    }
    let record = op.finish().expect("it is on");
    stand_in.assert_told(&record.llm_calls, ErrorCategory::RateLimit);
}

/// Follows one streamed reply, of which so many events are read; gives the record of its call.
async fn followed(stand_in: &StandIn, model: &str, usage: bool, most: usize) -> LlmCall {
    let meter = Meter::builder().build().expect("it starts");
    let op = meter.operation("qa_response").start();
    let call = op.llm_call("openai", model).start();
    let options = ChatOptions::default().with_capture_usage(usage);
    let question = ChatRequest::new(vec![ChatMessage::user("What is the answer?")]);
    let client = client(&stand_in.base_url());
    match client.exec_chat_stream(model, question, Some(&options)).await {
        Ok(reply) => {
            let mut stream = taximeter_genai::follow(call, reply.stream).take(most);
            while stream.next().await.is_some() {}
        }
        Err(error) => call.fail(&taximeter_genai::error(&error)),
    }
    op.finish().expect("it is on").llm_calls.remove(0)
}

#[tokio::test]
async fn a_streamed_reply_is_followed_to_its_end() {
    let stand_in = StandIn::start().await.expect("there is a port");
    let told = followed(&stand_in, "gpt-4o-mini", true, usize::MAX).await;
    stand_in.assert_streamed(&told);
    // Who does not ask for the usage gets none, which is not zero.
    let silent = followed(&stand_in, "gpt-4o-mini", false, usize::MAX).await;
    assert_silent(&silent);
}

#[tokio::test]
async fn a_stream_that_is_left_or_refused_is_a_failure() {
    let stand_in = StandIn::start().await.expect("there is a port");
    let left = followed(&stand_in, "gpt-4o-mini", true, 2).await;
    assert_failed(&left, ErrorCategory::Cancelled);
    let busy = followed(&stand_in, "busy", true, usize::MAX).await;
    assert_failed(&busy, ErrorCategory::RateLimit);
}

#[test]
fn counts_that_cannot_be_are_an_error_and_no_clamp() {
    let told = r#"{"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 6}}"#;
    let told = serde_json::from_str(told).expect("it is a usage");
    assert!(taximeter_genai::usage(&told).expect("it is told").is_err());
    assert!(taximeter_genai::usage(&genai::chat::Usage::default()).is_none());
}
