//! Calls of LLMs while they run.

use std::time::Duration;

use taximeter_models::{ErrorRecord, Failure, LlmCall, TokenUsage, UsageError};

use crate::clock::Moment;
use crate::ending::read;
use crate::guards::dropped;
use crate::handle::Handle;
use crate::show::{Begun, Over, Shown};
use crate::sync::atomic::Ordering;
use crate::value::MetaValue;

/// A call of an LLM before it begins.
#[derive(Debug)]
#[must_use = "the call begins with `start()`"]
pub struct LlmStart {
    handle: Handle,
    call: Option<Box<LlmCall>>,
}

/// A call of an LLM that runs. Dropped without an end, as a stream that nobody reads on, it is recorded as cancelled,
/// with what it is known to have consumed. It borrows nothing, for it goes along with the stream.
#[derive(Debug)]
#[must_use = "dropped at once, the call is recorded as cancelled"]
pub struct LlmGuard {
    handle: Handle,
    call: Option<(Box<LlmCall>, Moment)>,
    shown: Shown,
}

impl LlmStart {
    pub(crate) fn new(handle: &Handle, provider: &str, model: &str) -> Self {
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
    pub fn with<'v>(self, key: impl AsRef<str>, value: impl Into<MetaValue<'v>>) -> Self {
        self.change(|call| {
            call.metadata.insert(key.as_ref().to_owned(), value.into().into_value());
        })
    }

    /// Begins it.
    pub fn start(self) -> LlmGuard {
        let call = self.call.zip(Moment::of(&self.handle));
        if let Some(core) = &self.handle.0 {
            core.llm_guards.iter().for_each(|guards| _ = guards.fetch_add(1, Ordering::Relaxed));
        }
        let shown = self
            .handle
            .0
            .as_ref()
            .zip(call.as_ref())
            .map(|(core, (call, _))| core.shown().begin(&core.shared, Begun::Llm(call)));
        LlmGuard { handle: self.handle, call, shown: shown.unwrap_or_default() }
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
        if let (Some((call, _)), Some(core)) = (&mut self.call, &self.handle.0) {
            core.put_usage(call, usage.try_into().map_err(UsageError::from));
        }
    }

    /// Says which LLM answered, in the reply's word.
    pub fn served_model(&mut self, model: impl AsRef<str>) {
        self.change(|call| call.response_model = Some(model.as_ref().into()));
    }

    /// Says which service tier answered, in the reply's word.
    pub fn served_tier(&mut self, tier: impl AsRef<str>) {
        self.change(|call| call.served_tier = Some(tier.as_ref().into()));
    }

    /// Says how it was served, as far as that changes its price: `("processing", "batch")`, `("region", "eu")`.
    pub fn served_as(&mut self, selector: impl AsRef<str>, value: impl AsRef<str>) {
        self.change(|call| {
            _ = call.served_as.insert(selector.as_ref().into(), value.as_ref().into());
        });
    }

    /// Says why the LLM stopped, in the reply's word.
    pub fn finish_reason(&mut self, reason: impl AsRef<str>) {
        self.change(|call| call.finish_reason = Some(reason.as_ref().into()));
    }

    /// Keeps a value with it.
    pub fn set<'v>(&mut self, key: impl AsRef<str>, value: impl Into<MetaValue<'v>>) {
        self.change(|call| {
            call.metadata.insert(key.as_ref().to_owned(), value.into().into_value());
        });
    }

    /// Fills in the record of the call in any other way: for adapters that know more of it than the methods above take,
    /// such as a cost that the provider reported. Start, duration and error are the guard's own.
    ///
    /// ```
    /// use taximeter_collector::{Collector, NullSink};
    ///
    /// let collector = Collector::builder().sink(NullSink).build()?;
    /// let op = collector.operation("qa_response").start();
    /// let mut call = op.llm_call("openai", "gpt-4o").start();
    /// call.fill(|record| record.streamed = true);
    /// call.succeed();
    /// assert!(op.finish().expect("it is switched on").llm_calls[0].streamed);
    /// # Ok::<(), taximeter_collector::CollectorError>(())
    /// ```
    pub fn fill(&mut self, fill: impl FnOnce(&mut LlmCall)) {
        self.change(fill);
    }

    /// How long it has been running, by the collector's clock; zero where nothing is recorded.
    pub fn elapsed(&self) -> Duration {
        let began = self.call.as_ref().map(|(_, began)| *began);
        began.and_then(|began| began.elapsed(&self.handle)).unwrap_or_default()
    }

    /// Ends it as a success.
    pub fn succeed(mut self) {
        self.close(None);
    }

    /// Ends it by an error. What was consumed stays recorded.
    pub fn fail<E: Failure<Kind> + ?Sized, Kind>(mut self, error: &E) {
        if let Some(intake) = self.call.as_ref().and_then(|_| self.handle.intake()) {
            self.close(Some(read(intake, error)));
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut LlmCall)) {
        if let Some((call, _)) = &mut self.call {
            change(call);
        }
    }

    fn close(&mut self, error: Option<ErrorRecord>) {
        let Some((mut call, began)) = self.call.take() else { return };
        if let Some(core) = &self.handle.0 {
            core.llm_guards[1].fetch_sub(1, Ordering::Relaxed);
        }
        call.started_at = Some(chrono::DateTime::from_timestamp_nanos(began.wall));
        call.duration = began.elapsed(&self.handle);
        call.error = error;
        if let Some(core) = &self.handle.0 {
            self.shown.take().end(&core.shared, Over::Llm(&call));
        }
        self.handle.record_llm_call(*call);
    }
}

impl Drop for LlmGuard {
    fn drop(&mut self) {
        self.close(Some(dropped()));
    }
}

impl Moment {
    fn of(handle: &Handle) -> Option<Self> {
        handle.0.as_ref().map(|core| core.shared.time.now(&core.shared.intake))
    }

    fn elapsed(self, handle: &Handle) -> Option<Duration> {
        let core = handle.0.as_ref()?;
        Some(Duration::from_nanos(core.now().saturating_sub(self.monotonic)))
    }
}
