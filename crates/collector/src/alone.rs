//! The end of most operations: nobody else holds them any more, and all that they gathered is on their page.
//!
//! There is nobody to be kept out then but the worker, which closes what has been open for too long. It does so while it
//! holds the locks of all slots; and who ends an operation here looks whether it is open under the lock of its own slot,
//! which it needs to hand the frame in. So the operation's own lock is not needed.
//!
//! The place goes back into the slot as it is, and nobody is counted in and out as its holder. But then nothing leads to the
//! slots from here when their lock is let go: so each thread holds on to those that it used last, until it ends or uses
//! another collector's. Once their collector is gone they are empty, and some kilobytes.

use std::cell::Cell;
use std::sync::Arc;

use taximeter_models::Outcome;

use crate::closed::{Closed, Spare};
use crate::intake::{Slots, Taken};
use crate::place::{Core, close};

thread_local! {
    static LAST: Cell<Option<Arc<Slots>>> = const { Cell::new(None) };
}

/// Holds the slots, as this thread did before if they are those that it used last. A model's threads are none of the
/// machine's, and hold on to nothing.
#[inline]
fn hold(slots: &Arc<Slots>) -> Arc<Slots> {
    let last = if cfg!(taximeter_model) { None } else { LAST.try_with(Cell::take).ok().flatten() };
    last.filter(|last| Arc::ptr_eq(last, slots)).unwrap_or_else(|| Arc::clone(slots))
}

/// Leaves the slots to the next time. While a thread is torn down there is none.
#[inline]
fn leave(slots: Arc<Slots>) {
    if !cfg!(taximeter_model) {
        let _ = LAST.try_with(|last| last.set(Some(slots)));
    }
}

impl Core {
    /// Ends the operation and hands it in, of which its only holder knows that nothing of it is beside its page.
    #[inline]
    pub(crate) fn finish_alone(self: Arc<Self>, outcome: Outcome) {
        let lasted = self.since_start(self.now());
        let slots = hold(self.shared.intake.slots());
        let left = self.hand_in_alone(&slots, outcome, lasted);
        leave(slots);
        if let Some((core, taken)) = left {
            core.see_to(taken, outcome, lasted);
        }
    }

    /// Gives itself back where something is left to be done, or its place is not used again.
    #[inline]
    fn hand_in_alone(
        self: Arc<Self>,
        slots: &Slots,
        outcome: Outcome,
        lasted: u64,
    ) -> Option<(Arc<Self>, Taken)> {
        let mut slot = self.shared.intake.lock_own(slots)?;
        // The worker may have closed it just before.
        if !close(&self.is_open) {
            return None;
        }
        let length = self.written_at_end();
        self.page.end(length, outcome, lasted);
        let copy = |place: &mut [u8]| self.page.copy_to(place);
        let abandoned = outcome == Outcome::Abandoned;
        let taken = self.shared.intake.queue(&mut slot, length, abandoned, copy);
        match taken {
            Taken::Queued if slot.has_room() => {
                slot.keep(Spare::of(self));
                return None;
            }
            Taken::Pressing | Taken::NoRoom if slot.has_room() => {
                slot.keep(Spare::of(Arc::clone(&self)));
            }
            _ => {}
        }
        Some((self, taken))
    }

    #[cold]
    fn see_to(self: Arc<Self>, taken: Taken, outcome: Outcome, lasted: u64) {
        let operation = Closed::new(&self, self.page.written(), None, outcome, lasted);
        self.shared.see_to(taken, operation, outcome);
    }
}
