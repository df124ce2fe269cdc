//! Two pieces of work at once.

/// Does one piece of work on a thread of its own while this one does the other, where it is worth a thread.
pub(crate) fn beside<A: Send, B>(
    is_worth: bool,
    one: impl Fn() -> A + Sync,
    other: impl FnOnce() -> B,
) -> (A, B) {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("taximeter-store".into());
        let beside = is_worth.then(|| thread.spawn_scoped(scope, &one).ok()).flatten();
        let other = other();
        // Where there is no thread to be had, it is done here.
        let one = beside.map_or_else(&one, |beside| {
            beside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        (one, other)
    })
}
