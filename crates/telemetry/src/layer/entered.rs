//! The spans that a thread is within, as far as the layer is shown them. The registry knows them too, and takes several
//! times as long to say which of them is the innermost, which is asked for each span that begins.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

/// The spans of one layer, among those of all layers of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entered(u64);

#[derive(Debug, Clone, Copy)]
struct Span {
    of: Entered,
    id: u64,
    /// Whether it was entered before: then it stays where it was, as the registry has it.
    again: bool,
}

thread_local! {
    static ENTERED: RefCell<Vec<Span>> = const { RefCell::new(Vec::new()) };
}

impl Entered {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    #[inline]
    pub(super) fn enter(self, id: u64) {
        with(|entered| {
            let again = entered.iter().any(|within| within.id == id && within.of == self);
            entered.push(Span { of: self, id, again });
        });
    }

    #[inline]
    pub(super) fn exit(self, id: u64) {
        with(|entered| {
            let is_it = |within: &Span| within.id == id && within.of == self;
            if entered.last().is_some_and(is_it) {
                entered.pop();
            } else if let Some(at) = entered.iter().rposition(is_it) {
                // A span may be left before those that were entered after it.
                entered.remove(at);
            }
        });
    }

    /// The innermost span of this thread.
    #[inline]
    pub(super) fn innermost(self) -> Option<u64> {
        with(|entered| {
            let innermost = entered.iter().rfind(|within| within.of == self && !within.again);
            innermost.map(|within| within.id)
        })?
    }
}

/// Nothing of a program runs within. While a thread is torn down there are no spans that it is within.
#[inline]
fn with<R>(look: impl FnOnce(&mut Vec<Span>) -> R) -> Option<R> {
    ENTERED
        .try_with(|entered| entered.try_borrow_mut().ok().map(|mut entered| look(&mut entered)))
        .ok()?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_is_the_last_that_was_entered_and_not_left() {
        let (layer, other) = (Entered::new(), Entered::new());
        assert_eq!(layer.innermost(), None);
        layer.enter(1);
        layer.enter(2);
        other.enter(3);
        assert_eq!((layer.innermost(), other.innermost()), (Some(2), Some(3)));
        // As the registry has it, to enter a span again moves it nowhere.
        layer.enter(1);
        assert_eq!(layer.innermost(), Some(2));
        layer.exit(1);
        // One may be left before those within it.
        layer.exit(1);
        assert_eq!(layer.innermost(), Some(2));
        layer.exit(2);
        assert_eq!((layer.innermost(), other.innermost()), (None, Some(3)));
        other.exit(3);
        other.exit(3);
        assert_eq!(other.innermost(), None);
    }
}
