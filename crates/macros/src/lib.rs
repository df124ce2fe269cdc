//! The attribute macros of taximeter: metered functions and tools.
