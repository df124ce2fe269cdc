//! Operations that are addressed by their id, for callers who cannot hold a guard.

use std::time::Duration;

use taximeter_models::{
    LlmCall, Metadata, Name, OperationId, OperationRecord, Outcome, TokenUsage, ToolCall,
};

use crate::collector::Shared;
use crate::handle::Handle;
use crate::{Collector, CollectorError};

impl Collector {
    /// Starts an operation that is addressed by its id, for callers who cannot hold a guard. It stays open until
    /// [`end_operation`](Collector::end_operation), or until the collector ends, when it is abandoned.
    ///
    /// Above the limit of open operations it is not recorded, which is counted; its id is then not open.
    pub fn start_operation(&self, name: impl AsRef<str>, metadata: Metadata) -> OperationId {
        let mut operation = self.operation(name);
        for (key, value) in metadata {
            operation = operation.with(key, value);
        }
        operation.start_by_id()
    }

    /// The handle of an open operation, to record into it.
    ///
    /// # Errors
    /// [`CollectorError::NotOpen`] where there is no open operation of that id.
    #[inline]
    pub fn handle(&self, id: OperationId) -> Result<Handle, CollectorError> {
        let Some(inner) = &self.inner else { return Ok(Handle::off()) };
        // The entry is let go before anything is recorded: no lock of the map is held while other code runs.
        let found = inner.shared.by_id.get(&id).map(|operation| operation.handle());
        found.ok_or(CollectorError::NotOpen { id })
    }

    /// Ends an operation that is addressed by its id, as a success or a failure; the cheap way, which gives no record.
    ///
    /// ```
    /// use std::time::Duration;
    /// use taximeter_collector::{Collector, NullSink};
    ///
    /// let collector = Collector::builder().sink(NullSink).build()?;
    /// let id = collector.operation("qa_response").with("user_id", "123").start_by_id();
    /// collector.handle(id)?.add_component("retrieval", Duration::from_millis(3));
    /// collector.end_by_id(id, true)?;
    /// assert!(collector.end_by_id(id, true).is_err()); // it is over
    /// # Ok::<(), taximeter_collector::CollectorError>(())
    /// ```
    ///
    /// # Errors
    /// [`CollectorError::NotOpen`] where there is no open operation of that id.
    pub fn end_by_id(&self, id: OperationId, success: bool) -> Result<(), CollectorError> {
        let Some(inner) = &self.inner else { return Ok(()) };
        let removed = inner.shared.by_id.remove(&id);
        let (_, operation) = removed.ok_or(CollectorError::NotOpen { id })?;
        operation.end_as(if success { Outcome::Success } else { Outcome::Failure });
        Ok(())
    }

    /// Adds the time that a component took.
    ///
    /// # Errors
    /// [`CollectorError::NotOpen`] where there is no open operation of that id.
    pub fn add_component_timing(
        &self,
        id: OperationId,
        component: impl AsRef<str>,
        duration: Duration,
    ) -> Result<(), CollectorError> {
        self.handle(id).map(|handle| handle.add_component(component, duration))
    }

    /// Records a call of a tool.
    ///
    /// # Errors
    /// [`CollectorError::NotOpen`] where there is no open operation of that id.
    pub fn record_tool_call(&self, id: OperationId, call: ToolCall) -> Result<(), CollectorError> {
        self.handle(id).map(|handle| handle.record_tool_call(call))
    }

    /// Records a call of an LLM.
    ///
    /// # Errors
    /// [`CollectorError::NotOpen`] where there is no open operation of that id.
    pub fn record_llm_call(&self, id: OperationId, call: LlmCall) -> Result<(), CollectorError> {
        self.handle(id).map(|handle| handle.record_llm_call(call))
    }

    /// Records plain input and output tokens. No provider is given; a price book infers it from the LLM's name where
    /// that is certain.
    ///
    /// # Errors
    /// [`CollectorError::NotOpen`] where there is no open operation of that id.
    pub fn record_token_usage(
        &self,
        id: OperationId,
        input_tokens: u64,
        output_tokens: u64,
        model_name: Option<&str>,
    ) -> Result<(), CollectorError> {
        let mut call = LlmCall::default().using(TokenUsage::new(input_tokens, output_tokens));
        call.request_model = model_name.map(Name::from);
        self.record_llm_call(id, call)
    }

    /// Ends an operation and gives its record back, completed and priced; none where the collector is switched off.
    ///
    /// Errors and warnings that were recorded one by one are counted besides.
    ///
    /// # Errors
    /// [`CollectorError::NotOpen`] where there is no open operation of that id.
    pub fn end_operation(
        &self,
        id: OperationId,
        success: bool,
        error_count: u64,
        warning_count: u64,
        metadata: Metadata,
    ) -> Result<Option<OperationRecord>, CollectorError> {
        let Some(inner) = &self.inner else { return Ok(None) };
        let removed = inner.shared.by_id.remove(&id);
        let (_, operation) = removed.ok_or(CollectorError::NotOpen { id })?;
        for (key, value) in metadata {
            operation.set(key, value);
        }
        if error_count > 0 || warning_count > 0 {
            operation.add_unlisted(error_count, warning_count);
        }
        Ok(operation.finish_as(if success { Outcome::Success } else { Outcome::Failure }))
    }
}

impl Shared {
    /// Abandons what is open by id, one by one, and each when the map's lock is let go: a clock or a hook may look into the
    /// map too.
    pub(crate) fn abandon_those_by_id(&self) {
        let open: Vec<_> = self.by_id.iter().map(|entry| *entry.key()).collect();
        for id in open {
            drop(self.by_id.remove(&id));
        }
    }
}
