//! Any bytes as the reply of a provider.
#![cfg_attr(fuzzing, no_main)]

taximeter_fuzz::target!(REPLIES);
