//! Where it is put down what is said of a span while it is open.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use super::heard::Heard;
use super::plan::Plan;

/// What is said of one span. Most of it is said by one thread, one piece after the other; so each thread remembers to whom
/// it listened last.
#[derive(Debug)]
pub(super) struct Voice {
    whose: Whose,
    plan: &'static Plan,
    heard: Mutex<Heard>,
    /// What was said while somebody else was heard.
    meanwhile: Mutex<Vec<Heard>>,
    /// Relaxed: who closes a span has seen all that was done within it, and nothing is done within it afterwards.
    has_closed: AtomicBool,
}

/// The number of a layer's table, and the id of the span.
pub(super) type Whose = (u64, u64);

/// So many are kept by each thread to be used again.
const SPARES: usize = 16;

thread_local! {
    static LATELY: RefCell<Option<Arc<Voice>>> = const { RefCell::new(None) };
    static SPARE: RefCell<Vec<Arc<Voice>>> = const { RefCell::new(Vec::new()) };
}

impl Voice {
    /// That of a new span, and what was said of it at once.
    pub(super) fn new(
        whose: Whose,
        plan: &'static Plan,
        hear: impl FnOnce(&mut Heard),
    ) -> Arc<Self> {
        let spare = SPARE.try_with(|spare| spare.borrow_mut().pop()).ok().flatten();
        let mut voice = spare.unwrap_or_else(|| Arc::new(Self::of(whose, plan)));
        // It is nobody else's.
        if let Some(own) = Arc::get_mut(&mut voice) {
            (own.whose, own.plan) = (whose, plan);
            hear(own.heard.get_mut().unwrap_or_else(PoisonError::into_inner));
        }
        voice
    }

    fn of(whose: Whose, plan: &'static Plan) -> Self {
        let (heard, meanwhile) = (Mutex::default(), Mutex::default());
        Self { whose, plan, heard, meanwhile, has_closed: AtomicBool::new(false) }
    }

    /// Hears the voice to which this thread listened last, if it is this one and still speaks; else who was to hear is left.
    #[inline]
    pub(super) fn lately<R>(
        whose: Whose,
        hear: &mut Option<impl FnOnce(&mut Heard, &'static Plan) -> R>,
    ) -> Option<R> {
        let listen = |lately: &RefCell<Option<Arc<Self>>>| {
            let lately = lately.try_borrow().ok()?;
            // One that has closed is that of a span whose id was given to another one.
            let speaks = |voice: &&Self| !voice.has_closed.load(Ordering::Relaxed);
            let voice = lately.as_deref().filter(|voice| voice.whose == whose).filter(speaks)?;
            Some(voice.hear(hear.take()?))
        };
        LATELY.try_with(listen).ok()?
    }

    /// Remembers that this thread listens to it.
    pub(super) fn remember(voice: &Arc<Self>) {
        let _ = LATELY.try_with(|lately| {
            if let Ok(mut lately) = lately.try_borrow_mut() {
                *lately = Some(Arc::clone(voice));
            }
        });
    }

    /// Hears what is said. Values are written by code of the program's own, which may do whatever it likes, be heard itself
    /// included; so nobody waits for anybody who is heard.
    #[inline]
    pub(super) fn hear<R>(&self, hear: impl FnOnce(&mut Heard, &'static Plan) -> R) -> R {
        match self.heard.try_lock() {
            Ok(mut heard) => hear(&mut heard, self.plan),
            Err(TryLockError::Poisoned(heard)) => hear(&mut heard.into_inner(), self.plan),
            Err(TryLockError::WouldBlock) => self.hear_aside(hear),
        }
    }

    #[cold]
    fn hear_aside<R>(&self, hear: impl FnOnce(&mut Heard, &'static Plan) -> R) -> R {
        let mut heard = Heard::default();
        let said = hear(&mut heard, self.plan);
        self.meanwhile.lock().unwrap_or_else(PoisonError::into_inner).push(heard);
        said
    }

    /// Shows what was heard, now that the span has closed.
    pub(super) fn end<R>(mut self: Arc<Self>, show: impl FnOnce(&Heard) -> R) -> R {
        self.has_closed.store(true, Ordering::Relaxed);
        let _ = LATELY.try_with(|lately| {
            if let Ok(mut lately) = lately.try_borrow_mut()
                && lately.as_ref().is_some_and(|lately| Arc::ptr_eq(lately, &self))
            {
                *lately = None;
            }
        });
        let shown = {
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            let mut meanwhile = self.meanwhile.lock().unwrap_or_else(PoisonError::into_inner);
            meanwhile.drain(..).for_each(|more| heard.append(&more));
            show(&heard)
        };
        let Some(own) = Arc::get_mut(&mut self) else { return shown };
        *own.has_closed.get_mut() = false;
        if own.heard.get_mut().unwrap_or_else(PoisonError::into_inner).forget() {
            let _ = SPARE.try_with(|spare| {
                let mut spare = spare.borrow_mut();
                if spare.len() < SPARES {
                    spare.push(self);
                }
            });
        }
        shown
    }
}
