//! A sealed block of the store, changed at will.
#![cfg_attr(fuzzing, no_main)]

taximeter_fuzz::target!(BLOCKS);
