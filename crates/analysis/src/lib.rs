//! From records to summaries, trends, bottlenecks and advice: pure functions that cannot fail.
