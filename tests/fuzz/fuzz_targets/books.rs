//! Any text as a price book.
#![cfg_attr(fuzzing, no_main)]

taximeter_fuzz::target!(BOOKS);
