//! Any bytes against every decoder: what is done with them, what must hold of it, and with which bytes it begins.
//!
//! `tests/fuzz/run` has libFuzzer make up bytes. The ordinary tests take those that stand in `seeds`, among them all that
//! ever found something. What one input does is seen with `cargo run -p taximeter-fuzz --bin otlp -- FILE`.

mod blocks;
mod books;
mod call;
mod context;
mod imports;
mod names;
mod otlp;
mod replies;
#[cfg(test)]
mod seeds;
mod sessions;

use std::{env, fs};

/// A decoder, or some of a kind, and what must hold of it.
#[derive(Debug)]
pub struct Target {
    name: &'static str,
    holds: fn(&[u8]),
}

/// A request of OTLP.
pub static OTLP: Target = Target { name: "otlp", holds: otlp::holds };
/// The reply of a provider.
pub static REPLIES: Target = Target { name: "replies", holds: replies::holds };
/// The headers of W3C Trace Context and Baggage, and what a scraper asks for.
pub static CONTEXT: Target = Target { name: "context", holds: context::holds };
/// A sealed block of the store.
pub static BLOCKS: Target = Target { name: "blocks", holds: blocks::holds };
/// A session in JSON.
pub static SESSIONS: Target = Target { name: "sessions", holds: sessions::holds };
/// A file that is imported.
pub static IMPORTS: Target = Target { name: "imports", holds: imports::holds };
/// A price book.
pub static BOOKS: Target = Target { name: "books", holds: books::holds };
/// The name of an LLM at a provider.
pub static NAMES: Target = Target { name: "names", holds: names::holds };

/// Whatever the bytes are, no decoder may take more memory at a time.
const MEMORY: u64 = 64 << 20;

impl Target {
    /// Tries these bytes.
    ///
    /// # Panics
    /// Where something does not hold that must, or where they take more memory than 64 MiB.
    pub fn check(&self, bytes: &[u8]) {
        let taken = allocation_counter::measure(|| (self.holds)(bytes));
        let most = taken.bytes_max;
        assert!(most <= MEMORY, "{}: {} bytes took {most} bytes of memory", self.name, bytes.len());
    }

    /// Tries the files that the program was called with.
    ///
    /// # Panics
    /// As [`check`](Self::check) does, and where a file cannot be read.
    pub fn check_files(&self) {
        for path in env::args_os().skip(1) {
            let bytes = fs::read(&path);
            self.check(&bytes.unwrap_or_else(|error| panic!("{}: {error}", path.display())));
        }
    }
}

/// Makes a program of a target: libFuzzer's, where it is built for that, or one that reads files.
#[macro_export]
macro_rules! target {
    ($target:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| taximeter_fuzz::$target.check(bytes));

        #[cfg(not(fuzzing))]
        fn main() {
            taximeter_fuzz::$target.check_files();
        }
    };
}
