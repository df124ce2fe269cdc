//! Meters the tools of MCP, on either side of the wire, for servers and clients made with `rmcp`.
//!
//! | You have | You write |
//! |---|---|
//! | a server | [`MeteredServer::new(handler)`](MeteredServer), and serve that |
//! | a client | [`call_tool_metered`](MeteredTools::call_tool_metered) in the place of `call_tool` |
//!
//! A call of a tool is recorded into the [current](taximeter::current) operation, with its duration and how it ended:
//! a result that says `is_error` is a failure, an error of the protocol or of the transport is an error with its category.
//! A server has no current operation, so there each call is one of its own, named `execute_tool`; what the tool records
//! while it runs goes into it. The trace is told from one side to the other, in the `_meta` of the message: the operation of
//! the server is within that of the client. What tools are given and what they answer is content, and is not kept.
//!
//! ```
//! use rmcp::ServiceExt;
//! use rmcp::handler::server::ServerHandler;
//! use rmcp::model::{CallToolRequestParams, CallToolResponse, CallToolResult, ErrorData};
//! use rmcp::service::{RequestContext, RoleServer};
//! use taximeter::{Meter, MeteredExt, Outcome, ToolStatus};
//! use taximeter_mcp::{MeteredServer, MeteredTools};
//!
//! struct Doubtful;
//!
//! impl ServerHandler for Doubtful {
//!     async fn call_tool(
//!         &self,
//!         _: CallToolRequestParams,
//!         _: RequestContext<RoleServer>,
//!     ) -> Result<CallToolResponse, ErrorData> {
//!         Ok(CallToolResult::error(Vec::new()).into()) // the tool ran, and could not do it
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let meter = Meter::builder().build()?;
//! let (here, there) = tokio::io::duplex(4_096);
//! let served = MeteredServer::new(Doubtful).meter(&meter);
//! tokio::spawn(async move { served.serve(there).await.expect("a client").waiting().await });
//! let client = ().serve(here).await?;
//!
//! let op = meter.operation("qa_response").start();
//! let call = client.call_tool_metered(CallToolRequestParams::new("guess"));
//! let result = call.within(op.handle()).await?;
//! assert_eq!(result.is_error, Some(true));
//!
//! let record = op.finish().expect("the meter is on");
//! assert_eq!((record.tool_calls[0].name.as_str(), record.tool_calls[0].status), ("guess", ToolStatus::Failure));
//! let at_server = &meter.recent(2)[0];
//! assert_eq!((at_server.name.as_str(), at_server.outcome), ("execute_tool", Outcome::Failure));
//! # Ok(())
//! # }
//! ```

mod client;
mod end;
mod server;

pub use client::MeteredTools;
pub use server::MeteredServer;
