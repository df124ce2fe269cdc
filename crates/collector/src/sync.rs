//! Locks, atomics and threads: those of the standard library, or, for the models, of a scheduler that tries one order
//! of events after another (`RUSTFLAGS="--cfg taximeter_model" cargo test -p taximeter-collector --lib models`).

#[cfg(not(taximeter_model))]
mod real {
    pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, atomic};
    pub(crate) use std::thread;

    /// A lock that is held for some nanoseconds, and mostly by the same thread again and again: who finds it taken
    /// lets other threads run and tries again. It is let go by a plain store, which halves its price.
    pub(crate) type Brief<T> = spin::mutex::SpinMutex<T, spin::Yield>;
    pub(crate) type BriefGuard<'l, T> = spin::mutex::SpinMutexGuard<'l, T>;
}

#[cfg(taximeter_model)]
mod real {
    pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard, atomic};
    pub(crate) use shuttle::thread;

    pub(crate) type BriefGuard<'l, T> = MutexGuard<'l, T>;

    /// As the lock that it stands for, without poison.
    #[derive(Debug, Default)]
    pub(crate) struct Brief<T>(Mutex<T>);

    impl<T> Brief<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> BriefGuard<'_, T> {
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        }

        pub(crate) fn try_lock(&self) -> Option<BriefGuard<'_, T>> {
            self.0.try_lock().ok()
        }
    }
}

pub(crate) use real::{Brief, BriefGuard, Condvar, Mutex, MutexGuard, atomic, thread};
