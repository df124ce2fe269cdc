//! Runs an operation again in which one part is faster.

use super::Part;
use super::tree::{Node, Tree};

/// How long the operation would take, in nanoseconds.
#[expect(clippy::cast_precision_loss, reason = "a time needs no more than 53 bits")]
pub(super) fn again(tree: &Tree, part: &Part, speedup: f64) -> f64 {
    let mut saved = 0.0;
    let mut own = 0.0;
    for (unplaced, nanos, _) in &tree.unplaced {
        own += *nanos as f64;
        if unplaced == part {
            saved += *nanos as f64 * (1.0 - 1.0 / speedup);
        }
    }
    if *part == Part::Own {
        // What is without a place lies in the own time, and is no faster.
        saved -= own * (1.0 - 1.0 / speedup);
    }
    (length(&tree.root, part, speedup, false) - saved).max(0.0)
}

/// How long a part takes when it is run again.
///
/// Each child begins after all that had ended when it began, with the gap that there was; the part ends after its last
/// child, with the gap that there was. What of the gaps no child covers is the part's own time, and shrinks with it.
#[expect(clippy::cast_precision_loss, reason = "a time needs no more than 53 bits")]
fn length(node: &Node, part: &Part, speedup: f64, within: bool) -> f64 {
    // A part is faster with all that runs within it; the operation's own time is not what its parts take.
    let faster = node.part == *part || (within && *part != Part::Own);
    let mut children: Vec<&Node> = node.children.iter().collect();
    children.sort_by_key(|child| (child.start, child.end));
    let gap = |from: u64, to: u64| {
        let own = if faster { uncovered(&children, from, to) } else { 0 };
        (to - from - own) as f64 + own as f64 / speedup
    };
    // Of each child, where it ended and where it ends now.
    let mut ends: Vec<(u64, f64)> = Vec::with_capacity(children.len());
    let after = |ends: &[(u64, f64)], at: u64| {
        let before = ends.iter().filter(|(end, _)| *end <= at);
        let later = |(end, now): (u64, f64), (e, n): &(u64, f64)| (end.max(*e), now.max(*n));
        let (end, now) = before.fold((node.start, 0.0), later);
        now + gap(end, at)
    };
    for child in &children {
        let start = after(&ends, child.start);
        ends.push((child.end, start + length(child, part, speedup, faster)));
    }
    after(&ends, node.end)
}

/// The time between two moments in which none of these ran; they are in the order of their starts.
fn uncovered(children: &[&Node], from: u64, to: u64) -> u64 {
    let (mut left, mut until) = (to - from, from);
    for child in children {
        let (start, end) = (child.start.max(until).min(to), child.end.min(to));
        left -= end.saturating_sub(start);
        until = until.max(end);
    }
    left
}
