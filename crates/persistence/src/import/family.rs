//! Finding the parents of spans that come in any order, without keeping them all.

use std::collections::{BTreeMap, HashMap, VecDeque};

use taximeter_models::{OperationId, OperationRecord, TraceId};

use super::id::{hash, operation_id, trace_id};

/// The most spans whose ids are remembered for their children, and to tell a span that comes again.
const MOST_KNOWN: usize = 200_000;

/// The most spans that wait for their parents. Exports have a trace's spans near one another, the last first.
const MOST_WAITING: usize = 5_000;

/// The spans of an import: those that were given out, and those that wait for their parents.
#[derive(Default)]
pub(crate) struct Family {
    known: HashMap<u64, OperationId>,
    order: VecDeque<u64>,
    /// Those that wait, in the order in which they came, each with the key of its parent.
    waiting: BTreeMap<u64, (u64, OperationRecord)>,
    /// Which of them wait for whom.
    children: HashMap<u64, Vec<u64>>,
    came: u64,
}

/// What names a span in its source.
pub(crate) struct Names<'a> {
    pub(crate) source: &'static str,
    pub(crate) trace: &'a str,
    pub(crate) span: &'a str,
    pub(crate) parent: Option<&'a str>,
}

impl Family {
    /// Names a record, and gives back what can be given out now: itself, if its parent is known or it has none, and
    /// those that waited for it. None for a span that came before.
    pub(crate) fn add(
        &mut self,
        names: &Names<'_>,
        mut record: OperationRecord,
    ) -> Option<Vec<OperationRecord>> {
        let key = |span: &str| hash(&[names.source, names.trace, span]);
        let own = key(names.span);
        if self.known.contains_key(&own) {
            return None;
        }
        record.id = operation_id(record.started_at, &[names.source, names.trace, names.span]);
        record.trace_id = match names.trace {
            "" => TraceId::from(record.id),
            trace => trace_id(trace),
        };
        self.remember(own, record.id);
        let mut ready = self.children_of(own, record.id);
        let parent = names.parent.filter(|parent| !parent.is_empty()).map(key);
        record.parent = parent.and_then(|parent| self.known.get(&parent).copied());
        match parent.filter(|_| record.parent.is_none()) {
            Some(parent) => ready.extend(self.wait(parent, record)),
            None => ready.push(record),
        }
        Some(ready)
    }

    /// Gives out what still waits: the parents are not in the file.
    pub(crate) fn end(&mut self) -> Vec<OperationRecord> {
        self.children.clear();
        std::mem::take(&mut self.waiting).into_values().map(|(_, record)| record).collect()
    }

    /// Lets a record wait for its parent; the one that has waited longest may have to go without.
    fn wait(&mut self, parent: u64, record: OperationRecord) -> Option<OperationRecord> {
        self.came += 1;
        self.waiting.insert(self.came, (parent, record));
        self.children.entry(parent).or_default().push(self.came);
        if self.waiting.len() <= MOST_WAITING {
            return None;
        }
        let (number, (parent, record)) = self.waiting.pop_first()?;
        if let Some(siblings) = self.children.get_mut(&parent) {
            siblings.retain(|sibling| *sibling != number);
        }
        Some(record)
    }

    fn remember(&mut self, key: u64, id: OperationId) {
        self.known.insert(key, id);
        self.order.push_back(key);
        if self.order.len() > MOST_KNOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    fn children_of(&mut self, key: u64, id: OperationId) -> Vec<OperationRecord> {
        let numbers = self.children.remove(&key).unwrap_or_default();
        let found = numbers.iter().filter_map(|number| self.waiting.remove(number));
        found
            .map(|(_, mut child)| {
                child.parent = Some(id);
                child
            })
            .collect()
    }
}
