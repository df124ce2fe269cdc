//! Small tables that differ, and what becomes of them.
