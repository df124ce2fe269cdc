//! Where the time of operations goes: their critical path through nested and parallel parts, and what if one were faster.

mod schedule;
mod tree;

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::{Deserialize, Serialize};
use taximeter_models::{Name, OperationId, OperationRecord};

use self::tree::Tree;
use crate::statistics::{mean, quantile};

/// A part of an operation that takes time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "part", content = "name", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Part {
    /// The operation itself, where none of its parts is known to run.
    Own,
    /// A component.
    Component(Name),
    /// An operation within it.
    Operation(Name),
    /// Calls of a tool.
    Tool(Name),
    /// Calls of an LLM.
    Llm(Name),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.pad("own time"),
            Self::Component(name) | Self::Operation(name) | Self::Tool(name) | Self::Llm(name) => {
                f.pad(name)
            }
        }
    }
}

/// What one part takes of the operations.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PartTime {
    /// The part.
    pub part: Part,
    /// How many times it ran, in all operations.
    pub runs: u64,
    /// What the operations wait for: its seconds on the critical path, in the mean of all operations.
    pub critical_seconds: f64,
    /// The same as a share of the mean duration, 0 to 1; the shares of all parts sum to 1.
    pub share: f64,
    /// Its seconds less those of what runs within it, in the mean of all operations. More than on the critical path
    /// where it runs in parallel to something that takes longer.
    pub self_seconds: f64,
    /// The most that ran at one time within one operation.
    pub most_parallel: u64,
}

/// How the time of some operations divides.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct TimeSplit {
    /// How many operations they are.
    pub operations: u64,
    /// Their mean duration in seconds: the sum of the parts.
    pub mean_seconds: f64,
    /// The parts, the one with the most critical time first.
    pub parts: Vec<PartTime>,
}

/// Where the time of the operations of one name goes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct TimeSpent {
    /// The name of the operations.
    pub operation: Name,
    /// Over all of them.
    pub all: TimeSplit,
    /// From this duration in seconds on an operation belongs to the slow tail: the 95th percentile.
    pub slow_from_seconds: f64,
    /// Over the slow tail: what makes these slow may be another part.
    pub slow: TimeSplit,
}

/// What would be if a part were faster.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct WhatIf {
    /// The part.
    pub part: Part,
    /// How many times as fast it would be.
    pub speedup: f64,
    /// How many operations were looked at.
    pub operations: u64,
    /// Their mean duration in seconds.
    pub mean_seconds: f64,
    /// Their mean duration in seconds if it were so.
    pub then_mean_seconds: f64,
    /// The duration in seconds within which 95 % end.
    pub p95_seconds: f64,
    /// The same if it were so.
    pub then_p95_seconds: f64,
}

impl WhatIf {
    /// The part of the mean duration that would be saved, 0 to 1.
    pub fn saved_share(&self) -> f64 {
        let share = 1.0 - self.then_mean_seconds / self.mean_seconds;
        if share.is_finite() { share.max(0.0) } else { 0.0 }
    }
}

/// Where the time of the operations of this name goes, on the mean and in the slow tail; none where there are none.
///
/// Components, calls and operations within an operation that tell when they began are put in their places: what lies
/// within a component or operation belongs to it, what overlaps runs in parallel. The critical path is followed from
/// the end back to the beginning, always through what ended last (as B. P. Miller and C.-Q. Yang define it, "IPS: an
/// interactive and automatic performance measurement tool for parallel and distributed programs", ICDCS 1987); every
/// nanosecond of an operation belongs to exactly one part. Those that told their duration alone are taken from the
/// operation's own time, components before calls, since a call is often made within a component.
///
/// ```
/// use std::time::Duration;
/// use taximeter_analysis::{Part, time_spent};
/// use taximeter_models::{ComponentTiming, OperationRecord};
///
/// let millis = Duration::from_millis;
/// let mut agent = OperationRecord::new("agent");
/// agent.duration = millis(1_000);
/// // Two searches side by side, then the answer.
/// for (name, from, long) in [("web", 0, 600), ("files", 0, 200), ("answer", 600, 300)] {
///     agent.components.push(ComponentTiming {
///         name: name.into(), offset: Some(millis(from)), duration: millis(long), count: 1,
///     });
/// }
/// // "files" lies within "web" by the clock, and is taken for a part of it.
/// let spent = time_spent([&agent], "agent").unwrap();
/// let seconds: Vec<_> =
///     spent.all.parts.iter().map(|part| (part.part.to_string(), part.critical_seconds)).collect();
/// assert_eq!(
///     seconds,
///     [("web".into(), 0.4), ("answer".into(), 0.3), ("files".into(), 0.2), ("own time".into(), 0.1)]
/// );
/// assert!(time_spent([&agent], "another").is_none());
/// ```
pub fn time_spent<'a>(
    operations: impl IntoIterator<Item = &'a OperationRecord>,
    operation_name: &str,
) -> Option<TimeSpent> {
    let own = Own::of(operations, operation_name);
    let durations = own.durations();
    let slow_from = quantile(&durations, 0.95)?;
    let slow = own.operations.iter().copied().filter(|o| o.duration.as_secs_f64() >= slow_from);
    Some(TimeSpent {
        operation: operation_name.into(),
        all: own.split(own.operations.iter().copied()),
        slow_from_seconds: slow_from,
        slow: own.split(slow),
    })
}

/// What if a part of the operations of this name, with all that runs within it, were so many times as fast; none where there are none, or where the
/// speed-up is not above zero and finite.
///
/// Each operation is run again: what began after something had ended begins after it again, with the same gap, and
/// what ran in parallel still does. Where everything runs one after the other, that is G. M. Amdahl's law ("Validity
/// of the single processor approach to achieving large scale computing capabilities", AFIPS 1967); where another
/// part takes as long, less is saved.
///
/// ```
/// use std::time::Duration;
/// use taximeter_analysis::{Part, what_if};
/// use taximeter_models::OperationRecord;
///
/// let mut answer = OperationRecord::new("answer");
/// answer.duration = Duration::from_secs(4);
/// answer.add_component("llm_inference", Duration::from_secs(3));
/// let inference = Part::Component("llm_inference".into());
/// let then = what_if([&answer], "answer", &inference, 2.0).unwrap();
/// assert_eq!((then.mean_seconds, then.then_mean_seconds), (4.0, 2.5));
/// assert_eq!(what_if([&answer], "answer", &inference, 0.0), None);
/// ```
pub fn what_if<'a>(
    operations: impl IntoIterator<Item = &'a OperationRecord>,
    operation_name: &str,
    part: &Part,
    speedup: f64,
) -> Option<WhatIf> {
    if !(speedup.is_finite() && speedup > 0.0) {
        return None;
    }
    let own = Own::of(operations, operation_name);
    let before = own.durations();
    let then = |operation: &&OperationRecord| again(operation, &own.children, part, speedup).1;
    let mut then: Vec<f64> = own.operations.iter().map(then).collect();
    then.sort_unstable_by(f64::total_cmp);
    Some(WhatIf {
        part: part.clone(),
        speedup,
        operations: before.len() as u64,
        mean_seconds: mean(&before)?,
        then_mean_seconds: mean(&then)?,
        p95_seconds: quantile(&before, 0.95)?,
        then_p95_seconds: quantile(&then, 0.95)?,
    })
}

/// What each of these operations would take less if a part were so many times as fast, in seconds.
pub(crate) fn saved_seconds(
    operations: &[&OperationRecord],
    inner: &Children<'_>,
    part: &Part,
    speedup: f64,
) -> Vec<f64> {
    let again = operations.iter().map(|operation| again(operation, inner, part, speedup));
    again.map(|(before, then)| (before - then).max(0.0)).collect()
}

/// The operations within others, by the id of the other.
pub(crate) type Children<'a> = HashMap<OperationId, Vec<&'a OperationRecord>>;

/// Those among all operations that lie within others, in the order of time.
pub(crate) fn children<'a>(
    operations: impl IntoIterator<Item = &'a OperationRecord>,
) -> Children<'a> {
    let mut children = Children::new();
    for operation in operations {
        if let Some(parent) = operation.parent.filter(|parent| *parent != operation.id) {
            children.entry(parent).or_default().push(operation);
        }
    }
    for inner in children.values_mut() {
        inner.sort_unstable_by_key(|o| (o.started_at, o.duration, o.id));
    }
    children
}

/// What an operation takes, and what it would take if a part were so many times as fast, in seconds.
fn again(
    operation: &OperationRecord,
    inner: &Children<'_>,
    part: &Part,
    speedup: f64,
) -> (f64, f64) {
    let tree = Tree::of(operation, inner);
    let then = schedule::again(&tree, part, speedup) * 1e-9;
    (operation.duration.as_secs_f64(), then)
}

/// The operations of one name, and all that lie within others.
struct Own<'a> {
    operations: Vec<&'a OperationRecord>,
    children: Children<'a>,
}

impl<'a> Own<'a> {
    fn of(operations: impl IntoIterator<Item = &'a OperationRecord>, name: &str) -> Self {
        let mut own = Vec::new();
        let all = operations.into_iter().inspect(|operation| {
            if operation.name == *name {
                own.push(*operation);
            }
        });
        let children = children(all);
        // Sums of floats depend on their order; the answers must not.
        own.sort_unstable_by_key(|o| (o.duration, o.started_at, o.id));
        Self { operations: own, children }
    }

    /// In seconds, the shortest first.
    fn durations(&self) -> Vec<f64> {
        self.operations.iter().map(|operation| operation.duration.as_secs_f64()).collect()
    }

    #[expect(clippy::cast_precision_loss, reason = "a mean needs no more than 53 bits")]
    fn split<'b>(&self, operations: impl Iterator<Item = &'b OperationRecord>) -> TimeSplit
    where
        'a: 'b,
    {
        let (mut count, mut nanos) = (0_u64, 0_u128);
        let mut parts = BTreeMap::<Part, tree::Times>::new();
        for operation in operations {
            let tree = Tree::of(operation, &self.children);
            count += 1;
            nanos = nanos.saturating_add(u128::from(tree.duration()));
            tree.add_to(&mut parts);
        }
        let mean = |nanos: u128| nanos as f64 / (count.max(1) as f64 * 1e9);
        let part = |(part, times): (Part, tree::Times)| PartTime {
            part,
            runs: times.runs,
            critical_seconds: mean(times.critical),
            share: if nanos > 0 { times.critical as f64 / nanos as f64 } else { 0.0 },
            self_seconds: mean(times.own),
            most_parallel: times.most_parallel,
        };
        let mut parts: Vec<PartTime> = parts.into_iter().map(part).collect();
        parts.sort_by(|left, right| right.critical_seconds.total_cmp(&left.critical_seconds));
        TimeSplit { operations: count, mean_seconds: mean(nanos), parts }
    }
}
