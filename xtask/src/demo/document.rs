//! What the demo has seen as one JSON document: the session's summary under the original's field names, and the rest
//! beside it under `demo`.

use serde_json::{Map, Value, json};
use taximeter_demo::Served;

use super::Seen;

pub(crate) fn document(seen: &Seen) -> Value {
    let session = seen.meter.session();
    let mut document = serde_json::to_value(&session).unwrap_or_default();
    if let Value::Object(fields) = &mut document {
        // The operations themselves are in the session file; here they would drown the numbers.
        fields.remove("operations");
        fields.insert("demo".into(), demo(seen));
    }
    document
}

fn demo(seen: &Seen) -> Value {
    let counts = seen.meter.counts();
    let dropped: Map<String, Value> = counts
        .dropped
        .iter()
        .map(|(reason, count)| (reason.to_string(), (*count).into()))
        .collect();
    json!({
        "server": seen.asked.server,
        "is_stand_in": seen.asked.served.is_some(),
        "docs": seen.asked.docs,
        "documents": seen.asked.documents,
        "passages": seen.asked.passages,
        "questions": seen.asked.questions,
        "threads": seen.asked.threads,
        "answered": seen.asked.answered,
        "refused_questions": seen.asked.refused,
        "served": seen.asked.served.as_ref().map(|served| served.iter().map(served_by).collect::<Vec<_>>()),
        "counts": {
            "offered": counts.offered,
            "stored": counts.stored,
            "queued": counts.queued,
            "open": counts.open,
            "dropped": dropped,
            "abandoned": counts.abandoned,
            "late_parts": counts.late_parts,
            "truncated": counts.truncated,
            "invalid_usages": counts.invalid_usages,
            "internal_panics": counts.internal_panics,
        },
        "summary": seen.meter.summary(),
        "bottlenecks": seen.meter.bottlenecks(),
        "optimization_suggestions": seen.meter.advice(),
        "system_metrics": seen.system,
        "session_file": seen.saved.path,
        "session_file_bytes": seen.saved.bytes,
        "session_file_loads_equal": seen.saved.equal,
        "seconds": seen.took.as_secs_f64(),
    })
}

/// A stand-in's own books.
fn served_by(served: &Served) -> Value {
    json!({
        "requests": served.requests,
        "answered": served.answered,
        "rate_limited": served.rate_limited,
        "unauthorized": served.unauthorized,
        "server_errors": served.server_errors,
        "timeouts": served.timeouts,
        "malformed": served.malformed,
        "input_tokens": served.tokens.prompt,
        "cached_tokens": served.tokens.cached,
        "output_tokens": served.tokens.completion,
        "reasoning_tokens": served.tokens.reasoning,
    })
}
