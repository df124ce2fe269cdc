//! The command line over a store: what goes in comes out, to the last digit, at every width, with the documented exit codes.

mod drawing;
mod help;
mod inside;
mod questions;
mod room;
mod totals;
