//! Any bytes as a session in JSON.
#![cfg_attr(fuzzing, no_main)]

taximeter_fuzz::target!(SESSIONS);
