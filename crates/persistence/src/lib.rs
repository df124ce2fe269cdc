//! Records to disk and back: session files, written whole or not at all.
