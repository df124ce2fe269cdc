//! The attribute macros as a program uses them.
