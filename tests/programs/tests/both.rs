//! An agent on rig 0.44 whose HTTP client meters too: a span of the library and a guard below it tell of each call, and it
//! is counted once.

mod support;

use std::fmt;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rig_agent::prelude::*;
use rig_agent::tool::ToolContext;
use rig_core::http_client::{
    Error, HttpClientExt, LazyBody, MultipartForm, Request, Response, Result, StreamingResponse,
};
use rig_core::providers::openai::OpenAIConfig;
use rig_core::wasm_compat::WasmCompatSend;
use serde::Deserialize;
use serde_json::{Value, json};
use support::{records, run, sums};
use taximeter::{ErrorCategory, Meter};
use taximeter_http::{MeterLayer, Metering, RequestBody};
use tower::{Layer, ServiceExt};

/// What rig sends through: a client of hyper within the layer of `taximeter-http`.
#[derive(Clone)]
struct Metered {
    client: Client<HttpConnector, RequestBody<Full<Bytes>>>,
    metering: Metering,
}

impl Metered {
    fn into(meter: &Meter) -> Self {
        let metering = Metering::new().host("127.0.0.1", "openai").meter(meter);
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, metering }
    }
}

impl HttpClientExt for Metered {
    fn send<T, U>(
        &self,
        request: Request<T>,
    ) -> impl Future<Output = Result<Response<LazyBody<U>>>> + WasmCompatSend + 'static
    where
        T: Into<Bytes> + WasmCompatSend,
        U: From<Bytes> + WasmCompatSend + 'static,
    {
        let layer = MeterLayer::with(self.metering.clone());
        let service = layer.layer(self.client.clone());
        let request = request.map(|body| Full::new(body.into()));
        async move {
            let response = service.oneshot(request).await.map_err(Error::instance)?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.map_err(Error::instance)?.to_bytes();
            if !head.status.is_success() {
                let text = String::from_utf8_lossy(&body).into_owned();
                return Err(Error::non_success_with_details(head.status, head.headers, text));
            }
            let body: LazyBody<U> = Box::pin(async move { Ok(U::from(body)) });
            Ok(Response::from_parts(head, body))
        }
    }

    fn send_multipart<U>(
        &self,
        _: Request<MultipartForm>,
    ) -> impl Future<Output = Result<Response<LazyBody<U>>>> + WasmCompatSend + 'static
    where
        U: From<Bytes> + WasmCompatSend + 'static,
    {
        async { Err(Error::StreamEnded) }
    }

    async fn send_streaming<T>(&self, _: Request<T>) -> Result<StreamingResponse>
    where
        T: Into<Bytes> + WasmCompatSend,
    {
        Err(Error::StreamEnded)
    }
}

#[derive(Deserialize)]
struct Numbers {
    a: i64,
    b: i64,
}

#[derive(Debug)]
struct Overflow;

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the sum is too large")
    }
}

impl std::error::Error for Overflow {}

struct Add;

impl Tool for Add {
    const NAME: &'static str = "add";
    type Args = Numbers;
    type Output = i64;
    type Error = Overflow;

    fn description(&self) -> String {
        "Adds two numbers".to_owned()
    }

    fn parameters(&self) -> Value {
        json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}})
    }

    async fn call(
        &self,
        _: &mut ToolContext,
        numbers: Numbers,
    ) -> std::result::Result<i64, Overflow> {
        numbers.a.checked_add(numbers.b).ok_or(Overflow)
    }
}

fn agent(meter: &Meter, base_url: &str, model: &str) -> Agent {
    let openai = OpenAIConfig::new("sk-stand-in").with_base_url(base_url);
    let openai = openai.connect(Metered::into(meter));
    AgentBuilder::new(openai.chat(model)).name("adder").tool(Add).build()
}

#[test]
fn each_call_is_counted_once() {
    let (meter, served) = run(|meter, base_url| async move {
        let agent = agent(&meter, &base_url, "tools");
        agent.prompt("What is 40 + 2?").max_turns(3).await.expect("it is served");
        assert_eq!(taximeter::tracing::counts().expect("there is a layer").lost_spans, 0);
    });
    assert_eq!((served.requests, served.answered, served.tool_calls), (2, 2, 1));
    assert_eq!(sums(&meter), served);
    // The agent with its tool, and the calls that the client made: all of one trace.
    let records = records(&meter);
    assert_eq!(records.len(), 3, "{records:#?}");
    assert!(records.iter().all(|record| record.trace_id == records[0].trace_id));
    let agent = records.iter().find(|record| record.name == "invoke_agent adder").expect("one");
    assert_eq!((agent.llm_calls.len(), agent.tool_calls.len()), (0, 1));
}

#[test]
fn a_failure_is_counted_once_too() {
    let (meter, served) = run(|meter, base_url| async move {
        agent(&meter, &base_url, "busy").prompt("?").await.expect_err("429");
    });
    assert_eq!((served.requests, served.refused), (1, 1));
    assert_eq!(sums(&meter), served);
    let calls: Vec<_> = records(&meter).into_iter().flat_map(|record| record.llm_calls).collect();
    let category = calls[0].error.as_ref().map(|error| error.category);
    assert_eq!((calls.len(), category), (1, Some(ErrorCategory::RateLimit)));
}

#[test]
fn within_an_operation_of_the_program_it_is_the_same() {
    let (meter, served) = run(|meter, base_url| async move {
        let agent = agent(&meter, &base_url, "tools");
        let ask = async { agent.prompt("What is 40 + 2?").max_turns(3).await };
        meter.scope_async("qa_response", |_| ask).await.expect("it is served");
    });
    assert_eq!(served.requests, 2);
    assert_eq!(sums(&meter), served);
    let records = records(&meter);
    let own = records.iter().find(|record| record.name == "qa_response").expect("one");
    assert_eq!(own.llm_calls.len(), 2);
}
