//! Counting over columns: what who counts is shown, and what may stand for it.

use super::Block;

/// Counts what a question means, piece by piece; see [`Store::count`](super::Store::count).
///
/// ```
/// use std::time::Duration;
///
/// use taximeter_models::{OperationId, OperationRecord};
/// use taximeter_persistence::store::{Block, Column, Counter, MemoryStore, Query, Store, Table};
///
/// #[derive(Default)]
/// struct Longest(u64);
///
/// impl Counter for Longest {
///     fn columns(&mut self, blocks: &[Block<'_>]) {
///         let nanos = blocks[0].numbers(&Column::Duration).unwrap_or_default();
///         self.0 = nanos.iter().copied().chain([self.0]).max().unwrap_or_default();
///     }
/// }
///
/// let store = MemoryStore::new();
/// let mut slow = OperationRecord::new("answer");
/// (slow.id, slow.duration) = (OperationId::from_bits(1), Duration::from_secs(2));
/// store.append(&[slow, OperationRecord::new("index")])?;
/// let mut all = [Longest::default(), Longest::default()];
/// let mut counters = all.each_mut().map(|counter| counter as &mut dyn Counter);
/// let columns = [Column::Duration];
/// let counted = store.count(&Query::default(), &[(Table::Operations, &columns)], &mut counters)?;
/// assert_eq!(counted.shown, 2);
/// assert_eq!(all[0].0.max(all[1].0), 2_000_000_000);
/// # Ok::<(), taximeter_persistence::StoreError>(())
/// ```
pub trait Counter: Send {
    /// Is shown columns of the tables that were asked for. The rows of all are those of the same operations.
    fn columns(&mut self, blocks: &[Block<'_>]);

    /// Whether it is shown the sums that [`Summarize::block`](super::Summarize::block) made of a piece, where there are some. Default: no.
    fn takes_sums(&self) -> bool {
        false
    }

    /// Is shown these sums, and says how many operations it has taken; none where they do not serve, so that the columns are
    /// shown. The conditions of the question are its own business. Default: they do not serve.
    fn sums(&mut self, sums: &[u8]) -> Option<u64> {
        let _ = sums;
        None
    }
}
