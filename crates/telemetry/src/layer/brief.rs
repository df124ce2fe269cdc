//! The lock of what threads of the program hold for some nanoseconds, and mostly the same thread again and again.

/// Who finds it taken lets other threads run and tries again. It is let go by a plain store, which halves its price. After
/// a panic it is free: nothing that is done under one leaves anything in halves.
pub(super) type Brief<T> = spin::mutex::SpinMutex<T, spin::Yield>;
