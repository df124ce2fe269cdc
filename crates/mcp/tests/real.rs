//! A real client and a real server of rmcp, over a pipe: what either side records is what happened.
#![allow(clippy::unwrap_used, reason = "a test that meets with an error shall panic")]

use std::time::Duration;

use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData,
};
use rmcp::service::{RequestContext, RoleClient, RoleServer, RunningService};
use rmcp::{ServiceExt, model::ServerCapabilities, model::ServerConfig};
use taximeter::{ErrorCategory, Meter, MeteredExt, OperationRecord, Outcome, ToolStatus};
use taximeter_mcp::{MeteredServer, MeteredTools};

/// A server that does what the name of the tool says.
struct Server;

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        // What a tool records goes into the operation of its call.
        taximeter::current().warn("at it");
        match &*request.name {
            "succeed" => {
                Ok(CallToolResult::success(vec![ContentBlock::text("secret content")]).into())
            }
            "fail" => Ok(CallToolResult::error(vec![ContentBlock::text("secret content")]).into()),
            "break" => Err(ErrorData::internal_error("it broke", None)),
            _ => Err(ErrorData::invalid_params("no such tool", None)),
        }
    }
}

async fn client(meter: &Meter) -> RunningService<RoleClient, ()> {
    let (here, there) = tokio::io::duplex(4_096);
    let server = MeteredServer::new(Server).meter(meter);
    tokio::spawn(async move { server.serve(there).await.unwrap().waiting().await });
    ().serve(here).await.unwrap()
}

#[tokio::test]
async fn both_sides_record_what_happened() {
    let (meter, at_server) = (Meter::builder().build().unwrap(), Meter::builder().build().unwrap());
    let client = client(&at_server).await;
    let op = meter.operation("agent").start();
    let work = async {
        for tool in ["succeed", "fail", "break", "nonsense"] {
            let _ = client.call_tool_metered(CallToolRequestParams::new(tool)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), work.within(op.handle())).await.unwrap();
    let expected = [
        ("succeed", ToolStatus::Success, None),
        ("fail", ToolStatus::Failure, None),
        ("break", ToolStatus::Error, Some(ErrorCategory::Server)),
        ("nonsense", ToolStatus::Error, Some(ErrorCategory::Validation)),
    ];
    let record = op.finish().unwrap();
    let seen = |record: &OperationRecord| -> Vec<_> {
        let call = |call: &taximeter::ToolCall| {
            (call.name.to_string(), call.status, call.error.as_ref().map(|error| error.category))
        };
        record.tool_calls.iter().map(call).collect()
    };
    let expected: Vec<_> =
        expected.map(|(name, status, error)| (name.to_owned(), status, error)).into();
    assert_eq!(seen(&record), expected);
    assert!(record.tool_calls.iter().all(|call| call.duration.is_some()));

    let records = at_server.recent(10);
    for at_server in &records {
        assert_eq!(at_server.trace_id, record.trace_id, "one trace");
        assert_eq!(
            at_server.remote_parent,
            Some(record.id.span_id()),
            "within the client's operation"
        );
    }
    assert_eq!(records.iter().flat_map(seen).collect::<Vec<_>>(), expected);
    let outcomes: Vec<_> = records.iter().map(|record| record.outcome).collect();
    assert_eq!(outcomes, [Outcome::Success, Outcome::Failure, Outcome::Failure, Outcome::Failure]);
    for record in &records {
        assert_eq!(
            (record.name.as_str(), record.warnings[0].message.as_str()),
            ("execute_tool", "at it")
        );
        assert!(!format!("{record:?}").contains("secret content"));
    }
}

#[tokio::test]
async fn a_server_that_is_gone_is_a_failure_of_the_network() {
    let meter = Meter::builder().build().unwrap();
    let (here, there) = tokio::io::duplex(4_096);
    let server =
        tokio::spawn(async move { MeteredServer::new(Server).serve(there).await.unwrap() });
    let client = ().serve(here).await.unwrap();
    server.await.unwrap().cancel().await.unwrap();
    let op = meter.operation("agent").start();
    let call = client.call_tool_metered(CallToolRequestParams::new("succeed")).within(op.handle());
    assert!(tokio::time::timeout(Duration::from_secs(30), call).await.unwrap().is_err());
    let record = op.finish().unwrap();
    assert_eq!(record.tool_calls[0].error.as_ref().unwrap().category, ErrorCategory::Network);
}

#[tokio::test]
async fn other_requests_pass_untouched() {
    let meter = Meter::builder().build().unwrap();
    let client = client(&meter).await;
    assert!(client.list_tools(None).await.unwrap().tools.is_empty());
    assert!(client.peer_info().unwrap().capabilities.tools.is_some());
    assert_eq!(meter.totals().operations(), 0);
}
