//! Where an operation comes from, if another process asked for it.

use taximeter_models::{Name, SpanId, TraceId};

/// The span of another process within which an operation runs, and what travels on with its trace.
///
/// The texts are those of the headers of W3C Trace Context and W3C Baggage. Nothing here reads them: they are handed on
/// to whom the operation asks something of in its turn.
///
/// ```
/// use taximeter_collector::{Collector, NullSink, RemoteParent};
/// use taximeter_models::{SpanId, TraceId};
///
/// let asked = RemoteParent::new(TraceId::from_bits(7), SpanId::from_bits(9));
/// let collector = Collector::builder().sink(NullSink).build()?;
/// let op = collector.operation("answer").remote_parent(asked).start();
/// let within = collector.operation("search").parent(&op.handle()).start();
/// assert_eq!(within.trace_id(), Some(TraceId::from_bits(7)));
/// assert_eq!(within.remote_parent().expect("the one around it has one").span_id, SpanId::from_bits(9));
///
/// let record = op.finish().expect("it is switched on");
/// assert_eq!((record.remote_parent, record.parent), (Some(SpanId::from_bits(9)), None));
/// # Ok::<(), taximeter_collector::CollectorError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemoteParent {
    /// The trace.
    pub trace_id: TraceId,
    /// The span that asked.
    pub span_id: SpanId,
    /// The flags of `traceparent`; the lowest says whether the trace is sampled. Default: it is.
    pub flags: u8,
    /// The value of `tracestate`. Default: none.
    pub trace_state: Option<Name>,
    /// The value of `baggage`. Default: none.
    pub baggage: Option<Name>,
}

impl RemoteParent {
    /// A span of another process, sampled, with which nothing else travels.
    pub const fn new(trace_id: TraceId, span_id: SpanId) -> Self {
        Self { trace_id, span_id, flags: 1, trace_state: None, baggage: None }
    }

    /// The bytes of memory that it holds, generously.
    pub(crate) fn memory(&self) -> usize {
        let length = |text: &Option<Name>| text.as_ref().map_or(0, |text| text.len() + 32);
        size_of::<Self>() + length(&self.trace_state) + length(&self.baggage)
    }
}
