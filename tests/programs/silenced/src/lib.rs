//! A program that was built without the spans of libraries, by a feature of the crate `tracing`: what the layer says of it.

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use taximeter::Meter;
    use taximeter::tracing::{Check, check, layer};
    use tracing::info_span;
    use tracing_subscriber::prelude::*;

    #[test]
    fn the_layer_says_that_the_program_was_built_without_spans() {
        let meter = Meter::builder().build().expect("the worker starts");
        let subscriber = tracing_subscriber::registry().with(layer(&meter));
        tracing::subscriber::with_default(subscriber, || {
            let call = info_span!("chat", gen_ai.operation.name = "chat");
            assert!(call.is_disabled(), "or the test shows nothing");
            assert_eq!(check(), Check::BuiltWithout);
            assert!(check().to_string().contains("leave out the feature `max_level_*`"));
            // Whoever asks for nothing is told by the report.
            meter.flush(Duration::from_secs(5)).expect("nothing fails");
            let notes = meter.session().notes;
            assert!(notes.iter().any(|note| note.contains("was built without spans")), "{notes:?}");
        });
    }
}
