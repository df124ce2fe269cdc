//! Any bytes as a file of every format that can be imported.
#![cfg_attr(fuzzing, no_main)]

taximeter_fuzz::target!(IMPORTS);
