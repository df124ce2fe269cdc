//! A client whose calls of tools are metered.

use rmcp::model::{CallToolRequestParams, CallToolResult};
use rmcp::service::{Peer, RoleClient, ServiceError};
use taximeter::context;

use crate::end::End;

/// Calls of tools that are metered, for every client: a running service leads to its [`Peer`].
pub trait MeteredTools {
    /// Calls a tool as `call_tool` does, and records the call into the [current](taximeter::current) operation; without one
    /// it is recorded nowhere. The trace of that operation is told in the `_meta` of the message.
    ///
    /// # Errors
    /// As `call_tool`: where the server or the way to it fails. A tool that could not do what it was asked to is no such
    /// error, but a result that says `is_error`; it is recorded as a failure.
    fn call_tool_metered(
        &self,
        params: CallToolRequestParams,
    ) -> impl Future<Output = Result<CallToolResult, ServiceError>> + Send;
}

impl MeteredTools for Peer<RoleClient> {
    async fn call_tool_metered(
        &self,
        mut params: CallToolRequestParams,
    ) -> Result<CallToolResult, ServiceError> {
        let operation = taximeter::current();
        let tool = operation.tool(&params.name).start();
        if operation.is_recording() {
            context::to_meta(&operation, params.meta.get_or_insert_default());
        }
        let called = self.call_tool(params).await;
        End::of_called(&called).end(tool, None);
        called
    }
}
