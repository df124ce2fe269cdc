//! Any name at any provider, in the embedded book.
#![cfg_attr(fuzzing, no_main)]

taximeter_fuzz::target!(NAMES);
