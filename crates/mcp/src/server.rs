//! A server whose tools are metered.

use std::borrow::Cow;

use rmcp::model::{
    ClientNotification, ClientRequest, ErrorData, ProtocolVersion, ServerConfig, ServerResult,
};
use rmcp::service::{NotificationContext, RequestContext, RoleServer, Service};
use taximeter::context::from_meta;
use taximeter::{Meter, MeteredExt, Operation};

use crate::end::End;

/// A server whose tools are metered; all else passes as it is.
#[derive(Debug, Clone)]
pub struct MeteredServer<S> {
    inner: S,
    meter: Option<Meter>,
}

impl<S: Service<RoleServer>> MeteredServer<S> {
    /// Meters the tools of a server, or of a handler.
    pub fn new(inner: S) -> Self {
        Self { inner, meter: None }
    }

    /// Records calls that have no current operation with that meter. Default: the [meter](taximeter::meter()) in force.
    pub fn meter(mut self, meter: &Meter) -> Self {
        self.meter = Some(meter.clone());
        self
    }

    async fn call_tool(
        &self,
        name: &str,
        request: ClientRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<ServerResult, ErrorData> {
        let current = taximeter::current();
        let operation = (!current.is_recording()).then(|| {
            let meter = self.meter.clone().unwrap_or_else(taximeter::meter);
            meter.operation("execute_tool").remote_parent(from_meta(&context.meta)).start()
        });
        let handle = operation.as_ref().map_or(current, Operation::handle);
        let tool = handle.tool(name).start().owned();
        let served = self.inner.handle_request(request, context).within(handle).await;
        End::of_served(&served).end(tool, operation);
        served
    }
}

impl<S: Service<RoleServer>> Service<RoleServer> for MeteredServer<S> {
    async fn handle_request(
        &self,
        request: ClientRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<ServerResult, ErrorData> {
        match &request {
            ClientRequest::CallToolRequest(call) => {
                let name = call.params.name.clone();
                self.call_tool(&name, request, context).await
            }
            _ => self.inner.handle_request(request, context).await,
        }
    }

    async fn handle_notification(
        &self,
        notification: ClientNotification,
        context: NotificationContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.inner.handle_notification(notification, context).await
    }

    fn get_info(&self) -> ServerConfig {
        self.inner.get_info()
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        self.inner.supported_protocol_versions()
    }
}
