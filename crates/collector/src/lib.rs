//! From many threads and tasks to one sink: bounded, never blocking, counting every loss.
