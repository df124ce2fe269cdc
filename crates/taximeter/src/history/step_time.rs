//! Where the time goes, step by step: of the newest operations, by what they waited for.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Serialize;
use taximeter_analysis::{Part, time_spent};
use taximeter_models::{Name, OperationRecord};

use super::{By, LookedAt};

/// Where the time of the operations goes that began in one step; in seconds of their critical paths, added up.
///
/// Operations within others are parts of these, and are not counted again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct StepTime {
    /// When the step begins.
    pub start: DateTime<Utc>,
    /// The operations that were looked at.
    pub operations: u64,
    /// Waiting for LLMs.
    pub llm_seconds: f64,
    /// Waiting for tools.
    pub tool_seconds: f64,
    /// In components, and in operations within of which no more is known.
    pub component_seconds: f64,
    /// In the operation itself, where none of its parts is known to run.
    pub own_seconds: f64,
}

/// The steps of the newest operations, the oldest step first. Where there are more operations than these, the first step is
/// left out: it is not whole.
pub(super) fn step_times(
    records: &[OperationRecord],
    looked_at: LookedAt,
    step: &By,
) -> Vec<StepTime> {
    let By::Time(level) = step else { return Vec::new() };
    let mut steps = BTreeMap::<i64, Vec<&OperationRecord>>::new();
    for record in records {
        steps.entry(level.start(record.started_at.timestamp())).or_default().push(record);
    }
    if looked_at.more {
        steps.pop_first();
    }
    steps.into_iter().filter_map(|(start, records)| one(start, &records)).collect()
}

fn one(start: i64, records: &[&OperationRecord]) -> Option<StepTime> {
    let start = DateTime::from_timestamp(start, 0)?;
    let mut step = StepTime {
        start,
        operations: 0,
        llm_seconds: 0.0,
        tool_seconds: 0.0,
        component_seconds: 0.0,
        own_seconds: 0.0,
    };
    let whole = || records.iter().filter(|record| record.parent.is_none());
    let names: BTreeSet<&Name> = whole().map(|record| &record.name).collect();
    for name in names {
        // One of this name that is a part of another is none of these.
        let those = records.iter().filter(|one| one.parent.is_none() || one.name != *name);
        let Some(spent) = time_spent(those.copied(), name) else { continue };
        step.operations += spent.all.operations;
        #[expect(clippy::cast_precision_loss, reason = "a count of operations stays below 2^53")]
        let many = spent.all.operations as f64;
        for part in &spent.all.parts {
            let seconds = part.critical_seconds * many;
            match part.part {
                Part::Llm(_) => step.llm_seconds += seconds,
                Part::Tool(_) => step.tool_seconds += seconds,
                Part::Own => step.own_seconds += seconds,
                _ => step.component_seconds += seconds,
            }
        }
    }
    (step.operations > 0).then_some(step)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use taximeter_models::{ToolCall, ToolStatus};
    use taximeter_persistence::store::Level;

    use super::*;

    #[test]
    fn each_second_is_in_one_part_and_a_step_that_is_not_whole_is_left_out() {
        let at = |text: &str, seconds: u64| {
            let mut record = OperationRecord::new("answer");
            record.started_at = text.parse().unwrap();
            record.duration = Duration::from_secs(seconds);
            let mut call = ToolCall::new("search", ToolStatus::Success);
            call.duration = Some(Duration::from_secs(1));
            record.tool_calls.push(call);
            record
        };
        let (first, second) = (at("2026-11-26T12:59:00Z", 3), at("2026-11-26T13:00:00Z", 2));
        let mut within = at("2026-11-26T13:00:01Z", 1);
        within.parent = Some(second.id);
        within.trace_id = second.trace_id;
        let records = [first, second, within];
        let by_hour = By::Time(Level::Hour);
        let all = step_times(&records, LookedAt { records: 3, more: false, damaged: 0 }, &by_hour);
        assert_eq!(all.len(), 2);
        let parts = |step: &StepTime| {
            step.llm_seconds + step.tool_seconds + step.component_seconds + step.own_seconds
        };
        assert_eq!((all[0].operations, all[0].tool_seconds, all[0].own_seconds), (1, 1.0, 2.0));
        assert_eq!((all[1].operations, parts(&all[1])), (1, 2.0));
        let some = step_times(&records, LookedAt { records: 3, more: true, damaged: 0 }, &by_hour);
        assert_eq!(some, all[1..]);
    }
}
