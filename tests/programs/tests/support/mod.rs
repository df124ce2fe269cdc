//! What the tests share: a meter behind the layer, and its sums as the endpoint has them in its books.

use std::future::Future;

use taximeter::models::Unit;
use taximeter::{Meter, OperationRecord};
use taximeter_programs::{Served, StandIn};
use tracing_subscriber::prelude::*;

/// Runs a program against a stand-in, under the layer and nothing else; gives what the meter has and what was served.
pub fn run<F: Future<Output = ()>>(program: impl FnOnce(Meter, String) -> F) -> (Meter, Served) {
    let meter = Meter::builder().build().expect("the worker starts");
    let subscriber = tracing_subscriber::registry().with(taximeter::tracing::layer(&meter));
    // The runtime has one thread, so that the subscriber of this thread is that of every task.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let served = tracing::subscriber::with_default(subscriber, || {
        let served = runtime.block_on(async {
            let stand_in = StandIn::start().await.expect("there is a port");
            program(meter.clone(), stand_in.base_url()).await;
            stand_in.served()
        });
        // Tasks of the libraries hold spans until they are dropped.
        drop(runtime);
        assert!(taximeter::tracing::check().is_well(), "{}", taximeter::tracing::check());
        served
    });
    assert!(meter.counts().adds_up());
    (meter, served)
}

/// The sums of the meter in the words of the endpoint's books.
pub fn sums(meter: &Meter) -> Served {
    let mut sums = Served::default();
    for record in records(meter) {
        for call in &record.llm_calls {
            sums.requests += 1;
            match (&call.usage, &call.error) {
                (Some(usage), None) => {
                    sums.answered += 1;
                    sums.input += usage.input_tokens();
                    sums.output += usage.output_tokens();
                    sums.cached += usage.get(Unit::CacheRead);
                    sums.reasoning += usage.get(Unit::Reasoning);
                }
                (None, None) => sums.silent += 1,
                (_, Some(_)) => sums.refused += 1,
            }
        }
        sums.tool_calls += record.tool_calls.len() as u64;
    }
    sums
}

pub fn records(meter: &Meter) -> Vec<OperationRecord> {
    meter.recent(100)
}
