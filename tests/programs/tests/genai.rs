//! A program on genai 0.7, metered by the layer alone.

mod support;

use futures_util::StreamExt;
use genai::adapter::AdapterKind;
use genai::chat::{ChatMessage, ChatOptions, ChatRequest, ChatStreamEvent, Tool, ToolResponse};
use genai::otel::agent::execute_tool_span;
use genai::resolver::{AuthData, Endpoint, ServiceTargetResolver};
use genai::{Client, ModelIden, ServiceTarget};
use serde_json::json;
use support::{records, run, sums};
use taximeter::ErrorCategory;

fn client(base_url: &str) -> Client {
    let base_url = format!("{base_url}/");
    let resolver = ServiceTargetResolver::from_resolver_fn(
        move |target: ServiceTarget| -> Result<ServiceTarget, genai::resolver::Error> {
            Ok(ServiceTarget {
                endpoint: Endpoint::from_owned(base_url.clone()),
                auth: AuthData::from_single("sk-stand-in"),
                model: ModelIden::new(AdapterKind::OpenAI, target.model.model_name),
            })
        },
    );
    Client::builder().with_service_target_resolver(resolver).build().expect("it needs nothing")
}

fn question() -> ChatRequest {
    ChatRequest::new(vec![ChatMessage::user("What is the answer?")])
}

async fn stream(client: &Client, model: &str, options: &ChatOptions) -> usize {
    let response = client.exec_chat_stream(model, question(), Some(options)).await.expect("200");
    let mut stream = response.stream;
    let mut chunks = 0;
    while let Some(event) = stream.next().await {
        chunks += usize::from(matches!(event, Ok(ChatStreamEvent::Chunk(_))));
    }
    chunks
}

#[test]
fn whole_and_streamed_replies_sum_up_to_what_was_served() {
    let (meter, served) = run(|_, base_url| async move {
        let client = client(&base_url);
        for _ in 0..3 {
            client.exec_chat("gpt-4o-mini", question(), None).await.expect("it is served");
        }
        let with_usage = ChatOptions::default().with_capture_usage(true);
        assert_eq!(stream(&client, "gpt-4o-mini", &with_usage).await, 3);
    });
    assert_eq!((served.requests, served.answered), (4, 4));
    assert_eq!(sums(&meter), served);
    let streamed: Vec<_> = records(&meter)
        .into_iter()
        .flat_map(|record| record.llm_calls)
        .filter(|call| call.streamed)
        .collect();
    assert_eq!(streamed.len(), 1);
    assert!(
        streamed[0].time_to_first_token.is_some_and(|first| Some(first) <= streamed[0].duration)
    );
    assert_eq!(records(&meter)[0].name, "chat gpt-4o-mini");
    // Its own prices are those of the model that was asked for.
    assert!(meter.totals().cost.usd() > taximeter::Money::ZERO);
}

#[test]
fn replies_without_a_usage_are_calls_of_which_it_is_not_known() {
    let (meter, served) = run(|_, base_url| async move {
        let client = client(&base_url);
        client.exec_chat("silent", question(), None).await.expect("it is served");
        // Who does not ask for the usage of a stream gets none.
        stream(&client, "gpt-4o-mini", &ChatOptions::default()).await;
    });
    assert_eq!((served.requests, served.silent), (2, 2));
    assert_eq!(sums(&meter), served);
}

#[test]
fn refusals_are_failures_by_their_category() {
    let (meter, served) = run(|_, base_url| async move {
        let client = client(&base_url);
        client.exec_chat("busy", question(), None).await.expect_err("429");
        client.exec_chat("broken", question(), None).await.expect_err("500");
    });
    assert_eq!((served.requests, served.refused), (2, 2));
    assert_eq!(sums(&meter), served);
    let categories: Vec<_> = records(&meter)
        .iter()
        .map(|record| record.llm_calls[0].error.as_ref().expect("it failed").category)
        .collect();
    assert_eq!(categories, [ErrorCategory::RateLimit, ErrorCategory::Server]);
}

#[test]
fn a_tool_is_called_once() {
    let (meter, served) = run(|_, base_url| async move {
        let client = client(&base_url);
        let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
        let add = Tool::new("add").with_description("Adds").with_schema(schema);
        let request = question().with_tools(vec![add]);
        let reply = client.exec_chat("tools", request.clone(), None).await.expect("it is served");
        let calls = reply.into_tool_calls();
        let answer = execute_tool_span(&calls[0])
            .in_scope(|| ToolResponse::new(calls[0].call_id.clone(), "42".to_owned()));
        let request = request.append_message(calls).append_message(answer);
        client.exec_chat("tools", request, None).await.expect("it is served");
    });
    assert_eq!((served.requests, served.tool_calls), (2, 1));
    assert_eq!(sums(&meter), served);
    let tools = records(&meter).into_iter().flat_map(|record| record.tool_calls);
    assert_eq!(tools.map(|tool| tool.name.to_string()).collect::<Vec<_>>(), ["add"]);
}
