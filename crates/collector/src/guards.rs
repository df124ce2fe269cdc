//! The parts of an operation while they run: components, calls of tools, calls of LLMs.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use taximeter_models::{
    ErrorCategory, ErrorRecord, Failure, LlmCall, Name, TokenUsage, ToolCall, ToolStatus,
    UsageError,
};

use crate::ending::read;
use crate::operation::Handle;

/// A component that runs; its time is recorded when this is dropped.
#[derive(Debug)]
#[must_use = "dropped at once, the component took no time"]
pub struct ComponentGuard {
    handle: Handle,
    /// What it is called and when it began, after the start of the operation; none where nothing is recorded.
    running: Option<(Name, Duration)>,
}

impl ComponentGuard {
    pub(crate) fn start(handle: &Handle, name: impl Into<Name>) -> Self {
        let running = handle.0.as_ref().map(|core| (name.into(), core.elapsed()));
        Self { handle: handle.clone(), running }
    }

    /// Ends it; as good as dropping it.
    pub fn stop(self) {}
}

impl Drop for ComponentGuard {
    fn drop(&mut self) {
        let (Some(core), Some((name, began))) = (&self.handle.0, self.running.take()) else {
            return;
        };
        let took = core.elapsed().saturating_sub(began);
        self.handle.fill(|filler| filler.component(name, Some(began), took));
    }
}

/// When a call began, by both clocks.
#[derive(Debug, Clone, Copy)]
struct Began {
    offset: Duration,
    at: DateTime<Utc>,
}

impl Began {
    fn now(handle: &Handle) -> Option<Self> {
        let core = handle.0.as_ref()?;
        Some(Self { offset: core.elapsed(), at: core.shared.clock.wall() })
    }

    fn elapsed(self, handle: &Handle) -> Option<Duration> {
        Some(handle.0.as_ref()?.elapsed().saturating_sub(self.offset))
    }
}

/// What a call is recorded with that was dropped without an end.
fn dropped() -> ErrorRecord {
    ErrorRecord::new(ErrorCategory::Cancelled, "dropped before its end")
}

/// A call of a tool before it begins.
#[derive(Debug)]
#[must_use = "the call begins with `start()`"]
pub struct ToolStart {
    handle: Handle,
    call: Option<ToolCall>,
}

/// A call of a tool that runs. Dropped without an end it is recorded as an error, cancelled.
#[derive(Debug)]
#[must_use = "dropped at once, the call is recorded as cancelled"]
pub struct ToolGuard {
    handle: Handle,
    call: Option<(ToolCall, Began)>,
}

impl ToolStart {
    pub(crate) fn new(handle: &Handle, name: impl Into<Name>) -> Self {
        let call = handle.is_recording().then(|| ToolCall::new(name, ToolStatus::Error));
        Self { handle: handle.clone(), call }
    }

    /// Keeps a value with it.
    pub fn with(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.call = self.call.map(|call| call.with(key, value));
        self
    }

    /// Says which try this is, counted from 1. Default: 1.
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.call = self.call.map(|call| call.attempt(attempt));
        self
    }

    /// Gives a hash of the arguments, to find calls that repeat.
    pub fn arguments_hash(mut self, hash: u64) -> Self {
        if let Some(call) = &mut self.call {
            call.arguments_hash = Some(hash);
        }
        self
    }

    /// Begins it.
    pub fn start(self) -> ToolGuard {
        let call = self.call.zip(Began::now(&self.handle));
        ToolGuard { handle: self.handle, call }
    }

    /// Runs it: an `Err` is an error (or a timeout, by its category), all else a success.
    pub fn run<R: crate::Ending<Kind>, Kind>(self, work: impl FnOnce() -> R) -> R {
        let guard = self.start();
        let returned = work();
        match guard.call.is_some().then(|| returned.failure()).flatten() {
            Some(error) => guard.fail(&error),
            None => guard.succeed(),
        }
        returned
    }
}

impl ToolGuard {
    /// Keeps a value with it.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        if let Some((call, _)) = &mut self.call {
            call.metadata.insert(key.into(), value.into());
        }
    }

    /// Ends it as a success.
    pub fn succeed(mut self) {
        self.close(ToolStatus::Success, None);
    }

    /// Ends it by an error: a timeout if that is its category, else an error.
    pub fn fail<E: Failure<Kind> + ?Sized, Kind>(mut self, error: &E) {
        if self.call.is_some() {
            let error = read(error);
            self.close(ToolStatus::of_error(error.category), Some(error));
        }
    }

    /// Ends it with a status, and nothing said of why.
    pub fn end(mut self, status: ToolStatus) {
        self.close(status, None);
    }

    fn close(&mut self, status: ToolStatus, error: Option<ErrorRecord>) {
        let Some((mut call, began)) = self.call.take() else { return };
        call.status = status;
        call.started_at = Some(began.at);
        call.duration = began.elapsed(&self.handle);
        call.error = error;
        self.handle.record_tool_call(call);
    }
}

impl Drop for ToolGuard {
    fn drop(&mut self) {
        self.close(ToolStatus::Error, Some(dropped()));
    }
}

/// A call of an LLM before it begins.
#[derive(Debug)]
#[must_use = "the call begins with `start()`"]
pub struct LlmStart {
    handle: Handle,
    call: Option<Box<LlmCall>>,
}

/// A call of an LLM that runs. Dropped without an end, as a stream that nobody reads on, it is recorded as cancelled,
/// with what it is known to have consumed.
#[derive(Debug)]
#[must_use = "dropped at once, the call is recorded as cancelled"]
pub struct LlmGuard {
    handle: Handle,
    call: Option<(Box<LlmCall>, Began)>,
}

impl LlmStart {
    pub(crate) fn new(handle: &Handle, provider: impl Into<Name>, model: impl Into<Name>) -> Self {
        let call = handle.is_recording().then(|| Box::new(LlmCall::new(provider, model)));
        Self { handle: handle.clone(), call }
    }

    fn change(mut self, change: impl FnOnce(&mut LlmCall)) -> Self {
        if let Some(call) = &mut self.call {
            change(call);
        }
        self
    }

    /// Says whether the reply is streamed. Default: no.
    pub fn streamed(self, streamed: bool) -> Self {
        self.change(|call| call.streamed = streamed)
    }

    /// Says which try this is, counted from 1. Default: 1.
    pub fn attempt(self, attempt: u32) -> Self {
        self.change(|call| call.attempt = attempt)
    }

    /// Gives a hash of the beginning of the prompt, to see what a prompt cache could hold.
    pub fn prompt_prefix_hash(self, hash: u64) -> Self {
        self.change(|call| call.prompt_prefix_hash = Some(hash))
    }

    /// Gives a hash of the whole request, to find calls that repeat.
    pub fn arguments_hash(self, hash: u64) -> Self {
        self.change(|call| call.arguments_hash = Some(hash))
    }

    /// Says how many tokens the LLM's context window holds.
    pub fn context_window(self, tokens: u64) -> Self {
        self.change(|call| call.context_window = Some(tokens))
    }

    /// Keeps a value with it.
    pub fn with(self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.change(|call| {
            call.metadata.insert(key.into(), value.into());
        })
    }

    /// Begins it.
    pub fn start(self) -> LlmGuard {
        let call = self.call.zip(Began::now(&self.handle));
        LlmGuard { handle: self.handle, call }
    }
}

impl LlmGuard {
    /// Marks the first token; later marks change nothing.
    pub fn first_token(&mut self) {
        if let Some((call, began)) = &mut self.call {
            call.time_to_first_token =
                call.time_to_first_token.or_else(|| began.elapsed(&self.handle));
        }
    }

    /// Says what was consumed; a later report takes the place of an earlier one, for providers report running
    /// totals. Numbers that cannot be are counted, and the call is kept without them.
    pub fn usage<U>(&mut self, usage: U)
    where
        U: TryInto<TokenUsage>,
        UsageError: From<U::Error>,
    {
        if let Some((call, _)) = &mut self.call {
            self.handle.put_usage(call, usage);
        }
    }

    /// Says which LLM answered, in the reply's word.
    pub fn served_model(&mut self, model: impl Into<Name>) {
        self.change(|call| call.response_model = Some(model.into()));
    }

    /// Says which service tier answered, in the reply's word.
    pub fn served_tier(&mut self, tier: impl Into<Name>) {
        self.change(|call| call.served_tier = Some(tier.into()));
    }

    /// Says how it was served, as far as that changes its price: `("processing", "batch")`, `("region", "eu")`.
    pub fn served_as(&mut self, selector: impl Into<Name>, value: impl Into<Name>) {
        self.change(|call| _ = call.served_as.insert(selector.into(), value.into()));
    }

    /// Says why the LLM stopped, in the reply's word.
    pub fn finish_reason(&mut self, reason: impl Into<Name>) {
        self.change(|call| call.finish_reason = Some(reason.into()));
    }

    /// Keeps a value with it.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        self.change(|call| {
            call.metadata.insert(key.into(), value.into());
        });
    }

    /// Ends it as a success.
    pub fn succeed(mut self) {
        self.close(None);
    }

    /// Ends it by an error. What was consumed stays recorded.
    pub fn fail<E: Failure<Kind> + ?Sized, Kind>(mut self, error: &E) {
        if self.call.is_some() {
            self.close(Some(read(error)));
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut LlmCall)) {
        if let Some((call, _)) = &mut self.call {
            change(call);
        }
    }

    fn close(&mut self, error: Option<ErrorRecord>) {
        let Some((mut call, began)) = self.call.take() else { return };
        call.started_at = Some(began.at);
        call.duration = began.elapsed(&self.handle);
        call.error = error;
        self.handle.record_llm_call(*call);
    }
}

impl Drop for LlmGuard {
    fn drop(&mut self) {
        self.close(Some(dropped()));
    }
}
