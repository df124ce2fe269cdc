//! Small pieces of code that are metered while you watch: guards that are dropped, functions with an attribute.

use std::error::Error;
use std::io;
use std::panic;
use std::thread;
use std::time::Duration;

use taximeter::{Meter, OperationRecord, with_meter};

/// What was run, and what the meter has of it.
pub(crate) struct Live {
    /// Operations that were dropped, unwound, or ended as they should.
    pub(crate) guards: Vec<OperationRecord>,
    /// Operations of functions with an attribute.
    pub(crate) functions: Vec<OperationRecord>,
}

pub(crate) fn run(meter: &Meter) -> Result<Live, Box<dyn Error>> {
    let guards = since(meter, || guards(meter))?;
    let functions = since(meter, || {
        with_meter(meter, || {
            // Both results are of interest to the meter alone.
            let _ = summarise("the fare is shown while the ride goes on");
            let _ = summarise("");
        });
    })?;
    Ok(Live { guards, functions })
}

/// The operations that a piece of code leaves behind.
fn since(meter: &Meter, work: impl FnOnce()) -> Result<Vec<OperationRecord>, Box<dyn Error>> {
    let before = meter.totals().operations();
    work();
    let new = meter.totals().operations() - before;
    Ok(meter.recent(usize::try_from(new)?))
}

fn guards(meter: &Meter) {
    let done = meter.operation("ends_as_it_should").start();
    done.time("some_work", || thread::sleep(Duration::from_millis(5)));
    done.succeed();

    let forgotten = meter.operation("dropped_without_an_end").start();
    forgotten.add_component("work_before_the_drop", Duration::from_millis(12));
    drop(forgotten);

    // The hook is silenced for the one panic that is on purpose.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let unwound = panic::catch_unwind(|| {
        meter.scope("unwound_by_a_panic", |op| {
            op.warn("about to divide");
            let passengers: u32 = "0".parse().unwrap_or_default();
            assert_ne!(passengers, 0, "nobody is in the taxi");
        });
    });
    panic::set_hook(hook);
    debug_assert!(unwound.is_err());
}

#[taximeter::metered("summarise", with(length = text.len()))]
fn summarise(text: &str) -> Result<String, io::Error> {
    let words = count_words(text)?;
    Ok(format!("{words} words"))
}

#[taximeter::tool("count_words")]
fn count_words(text: &str) -> Result<usize, io::Error> {
    match text.split_whitespace().count() {
        0 => Err(io::Error::new(io::ErrorKind::InvalidInput, "there is nothing to count")),
        words => Ok(words),
    }
}
