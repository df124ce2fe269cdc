//! Operations and their parts shown elsewhere while they run: as spans in a log, or in a flame graph.

use std::fmt;
use std::sync::Arc;

use taximeter_models::{ErrorRecord, LlmCall, OperationId, Outcome, ToolStatus};

use crate::collector::Shared;
use crate::foreign::guarded;

/// Something that is shown while it runs: an operation, or a part of one; and that in which all operations begin, of which
/// only [`begin`](Show::begin) is called.
///
/// It is called where the program records, so it must be quick. A panic is caught, and counted as internal.
pub trait Show: Send + Sync + fmt::Debug {
    /// Something begins within it.
    fn begin(&self, begun: Begun<'_>) -> Arc<dyn Show>;

    /// The thread begins to run it, or goes on with it. Default: nothing is done.
    fn enter(&self) {}

    /// The thread leaves it. Default: nothing is done.
    fn exit(&self) {}

    /// It is over.
    fn end(&self, over: Over<'_>);
}

/// What begins.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Begun<'a> {
    /// An operation, of this name.
    Operation(&'a str, OperationId),
    /// A call of an LLM, as far as it is known.
    Llm(&'a LlmCall),
    /// A call of a tool of this name.
    Tool(&'a str),
    /// A component of this name.
    Component(&'a str),
}

/// How something ended.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Over<'a> {
    /// An operation.
    Operation(Outcome),
    /// A call of an LLM, with all that is known of it.
    Llm(&'a LlmCall),
    /// A call of a tool.
    Tool(ToolStatus, Option<&'a ErrorRecord>),
    /// A component.
    Component,
}

/// Something that is shown; or nothing, where nothing is.
#[derive(Clone, Default)]
pub(crate) struct Shown(Option<Arc<dyn Show>>);

impl Shown {
    pub(crate) const NOTHING: Self = Self(None);

    pub(crate) const fn new(show: Arc<dyn Show>) -> Self {
        Self(Some(show))
    }

    pub(crate) const fn is_something(&self) -> bool {
        self.0.is_some()
    }

    /// What is shown, of which nothing is left here.
    #[inline]
    pub(crate) fn take(&mut self) -> Self {
        Self(self.0.take())
    }

    pub(crate) fn begin(&self, shared: &Shared, begun: Begun<'_>) -> Self {
        let show = |show: &Arc<dyn Show>| guarded(&shared.intake, || show.begin(begun));
        Self(self.0.as_ref().and_then(show))
    }

    #[inline]
    pub(crate) fn end(self, shared: &Shared, over: Over<'_>) {
        if let Some(show) = self.0 {
            end(&show, shared, over);
        }
    }

    /// Enters it until what is given back is dropped.
    pub(crate) fn enter(self) -> Inside {
        if let Some(show) = &self.0 {
            crate::foreign::caught(|| show.enter());
        }
        Inside(self)
    }
}

#[cold]
fn end(show: &Arc<dyn Show>, shared: &Shared, over: Over<'_>) {
    guarded(&shared.intake, || show.end(over));
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Something that is shown, and entered by this thread.
#[derive(Debug)]
pub(crate) struct Inside(Shown);

impl Drop for Inside {
    fn drop(&mut self) {
        if let Some(show) = &self.0.0 {
            crate::foreign::caught(|| show.exit());
        }
    }
}
