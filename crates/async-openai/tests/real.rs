//! A client of async-openai against a stand-in endpoint: what its types tell is what was served, whole and streamed.

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::types::chat::{
    ChatCompletionRequestUserMessageArgs, ChatCompletionStreamOptions, CreateChatCompletionRequest,
    CreateChatCompletionRequestArgs,
};
use futures_util::StreamExt;
use taximeter::{ErrorCategory, LlmCall, Meter};
use taximeter_programs::{StandIn, assert_failed, assert_silent};

fn question(model: &str) -> CreateChatCompletionRequest {
    let message = ChatCompletionRequestUserMessageArgs::default().content("?").build();
    let message = message.expect("it is whole");
    let request =
        CreateChatCompletionRequestArgs::default().model(model).messages([message.into()]).build();
    request.expect("it is whole")
}

fn client(stand_in: &StandIn) -> Client<OpenAIConfig> {
    let config = OpenAIConfig::new().with_api_key("sk-stand-in").with_api_base(stand_in.base_url());
    Client::with_config(config)
}

#[tokio::test]
async fn what_its_types_tell_is_what_was_served() {
    let stand_in = StandIn::start().await.expect("there is a port");
    let (client, meter) = (client(&stand_in), Meter::builder().build().expect("it starts"));
    let op = meter.operation("qa_response").start();
    for model in ["gpt-4o-mini", "silent", "broken"] {
        let call = op.llm_call("openai", model).start();
        taximeter_async_openai::end(call, &client.chat().create(question(model)).await);
    }
    let record = op.finish().expect("it is on");
    stand_in.assert_told(&record.llm_calls, ErrorCategory::Server);
}

fn streamed(model: &str, usage: bool) -> CreateChatCompletionRequest {
    let mut request = question(model);
    let options =
        ChatCompletionStreamOptions { include_usage: Some(true), include_obfuscation: None };
    request.stream_options = usage.then_some(options);
    request
}

/// Follows one streamed reply, of which so many events are read; gives the record of its call.
async fn followed(
    stand_in: &StandIn,
    request: CreateChatCompletionRequest,
    most: usize,
) -> LlmCall {
    let meter = Meter::builder().build().expect("it starts");
    let op = meter.operation("qa_response").start();
    let call = op.llm_call("openai", &request.model).start();
    match client(stand_in).chat().create_stream(request).await {
        Ok(stream) => {
            let mut stream = taximeter_async_openai::follow(call, stream).take(most);
            while stream.next().await.is_some() {}
        }
        Err(error) => call.fail(&taximeter_async_openai::error(&error)),
    }
    op.finish().expect("it is on").llm_calls.remove(0)
}

#[tokio::test]
async fn a_streamed_reply_is_followed_to_its_end() {
    let stand_in = StandIn::start().await.expect("there is a port");
    let told = followed(&stand_in, streamed("gpt-4o-mini", true), usize::MAX).await;
    stand_in.assert_streamed(&told);
    // Who does not ask for the usage gets none, which is not zero.
    let silent = followed(&stand_in, streamed("gpt-4o-mini", false), usize::MAX).await;
    assert_silent(&silent);
}

#[tokio::test]
async fn a_stream_that_is_left_or_refused_is_a_failure() {
    let stand_in = StandIn::start().await.expect("there is a port");
    let left = followed(&stand_in, streamed("gpt-4o-mini", true), 2).await;
    assert_failed(&left, ErrorCategory::Cancelled);
    let busy = followed(&stand_in, streamed("busy", true), usize::MAX).await;
    assert_failed(&busy, ErrorCategory::RateLimit);
}
