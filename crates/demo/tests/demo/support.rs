//! What the tests share: a library of real prose, stand-ins that answer at once, and applications that ask them.

use std::path::PathBuf;

use taximeter::Meter;
use taximeter_demo::{FaultRates, RagApp, RagConfig, StandIn, StandInConfig};

/// The folder of documents that the tests ask about.
pub(crate) fn library() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/library")
}

/// Settings without any latency, and with a prompt cache for short prompts.
pub(crate) fn quick() -> StandInConfig {
    StandInConfig::default().latency_scale(0.0).cache_threshold(256)
}

/// A stand-in that answers at once.
pub(crate) fn stand_in() -> StandIn {
    StandIn::start(quick()).unwrap()
}

/// A stand-in in which all requests meet the fault that `set` raises the rate of.
pub(crate) fn failing(set: impl FnOnce(&mut FaultRates)) -> StandIn {
    let mut faults = FaultRates::none();
    set(&mut faults);
    StandIn::start(quick().faults(faults)).unwrap()
}

/// An application on the library, with changes to its configuration.
pub(crate) fn app(stand_in: &StandIn, change: impl FnOnce(&mut RagConfig)) -> RagApp {
    let mut config = RagConfig::for_stand_in(library(), stand_in);
    change(&mut config);
    RagApp::open(config, Meter::off()).unwrap()
}
