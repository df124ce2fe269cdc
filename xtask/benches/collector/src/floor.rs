//! The least that a record of the standard operation takes, and the pace of this machine by it.
//!
//! Where the aims were set, a prototype stood beside the peers: five readings of the processor's counter, a record that is put
//! together in memory of its own, names as two bytes each, and a copy of it, 264 bytes, into a chunk that is used again. It
//! has no bounds, no counts, no prices and no readers. It took 61.5 nanoseconds there. It is made anew here by what is
//! known of it, and runs in each round, so that an aim in nanoseconds can be told on a machine of another pace: both are made of
//! readings of the counter, and of stores and copies.

use std::cell::RefCell;

use crate::{Case, Input, ours};

pub const FLOOR: &str = "a record put together and copied, no more";

/// The nanoseconds of the prototype where the aims were set.
pub const THERE: f64 = 61.5;

const CHUNK: usize = 64 << 10;

/// A record that is put together: as many bytes as no operation of this form has.
struct Record {
    bytes: [u8; 464],
    length: usize,
}

impl Record {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        let to = self.length + bytes.len();
        self.bytes[self.length..to].copy_from_slice(bytes);
        self.length = to;
    }

    #[inline]
    fn word(&mut self, word: u64) {
        self.put(&word.to_le_bytes());
    }

    #[inline]
    fn name(&mut self, number: u16) {
        self.put(&number.to_le_bytes());
    }

    /// A text that only the run knows, behind its length.
    #[inline]
    fn text(&mut self, text: &str) {
        self.name(text.len() as u16);
        self.put(text.as_bytes());
    }
}

struct Chunk {
    bytes: Vec<u8>,
    length: usize,
}

impl Chunk {
    #[inline]
    fn take(&mut self, record: &[u8]) {
        if self.bytes.len() - self.length < record.len() {
            self.length = 0;
        }
        self.bytes[self.length..][..record.len()].copy_from_slice(record);
        self.length += record.len();
    }
}

#[inline(never)]
fn record(clock: &quanta::Clock, chunk: &RefCell<Chunk>, id: u64, input: &Input) {
    let mut record = Record { bytes: [0; 464], length: 0 };
    let began = clock.raw();
    record.word(id);
    record.word(id);
    record.word(began);
    record.name(1);
    record.name(2);
    record.text(&input.user);
    record.name(3);
    record.word(input.number);
    let moments = [clock.raw(), clock.raw(), clock.raw()];
    for (name, [from, to]) in (4..).zip([[0, 1], [1, 2], [0, 2]]) {
        record.name(name);
        record.word(moments[to] - moments[from]);
    }
    for (name, url) in (7..).zip(&input.urls) {
        record.name(name);
        record.word(ours::TOOK.as_nanos() as u64);
        record.name(9);
        record.text(url);
        record.name(10);
        record.word(input.number);
    }
    record.name(11);
    record.name(12);
    record.word(1_200);
    record.word(350);
    record.word(clock.raw() - began);
    chunk.borrow_mut().take(&record.bytes[..LENGTH.max(record.length)]);
}

/// The bytes of the prototype's records, which held more of times than these do.
const LENGTH: usize = 264;

pub fn case() -> Case {
    let clock = quanta::Clock::new();
    let chunk = RefCell::new(Chunk { bytes: vec![0; CHUNK], length: 0 });
    let ids = std::cell::Cell::new(0_u64);
    let record = move |input: &Input| {
        ids.set(ids.get() + 1);
        record(&clock, &chunk, ids.get(), input);
    };
    Case { what: FLOOR, record: Box::new(record), flush: Box::new(|| ()), kept: "nothing" }
}
