//! Any bytes as a request of OTLP.
#![cfg_attr(fuzzing, no_main)]

taximeter_fuzz::target!(OTLP);
