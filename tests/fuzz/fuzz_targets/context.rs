//! Any texts as headers of W3C Trace Context and Baggage.
#![cfg_attr(fuzzing, no_main)]

taximeter_fuzz::target!(CONTEXT);
