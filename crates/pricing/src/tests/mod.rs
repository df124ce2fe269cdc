//! Tests over the whole crate: known answers, hand-made books, and properties that hold for any input.

mod books;
mod embedded;
mod grammar;
mod live;
mod oracle;
mod properties;
