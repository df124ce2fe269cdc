//! What keeping an operation costs: appending at each durability, bytes, and questions over many.

mod standard;

use std::time::{Duration, Instant};

use taximeter_persistence::store::{Durability, SqliteStore, Store};

use crate::standard::Standard;

const BATCH: usize = 4_096;

fn main() {
    for durability in [Durability::Os, Durability::Fsync] {
        let room = tempfile::tempdir_in(".").unwrap();
        let store = SqliteStore::at(room.path()).durability(durability).open().unwrap();
        let mut standard = Standard::new();
        let (mut wall, mut cpu) = (Duration::ZERO, Duration::ZERO);
        let total = 400_000;
        for _ in 0..total / BATCH {
            let batch = standard.batch(BATCH);
            let (began, before) = (Instant::now(), cpu_time::ProcessTime::now());
            store.append(&batch).unwrap();
            wall += began.elapsed();
            cpu += before.elapsed();
        }
        let count = (total / BATCH * BATCH) as f64;
        let size = std::fs::metadata(store.path()).unwrap().len() as f64;
        println!("{durability:?}: {:.0} operations/s, {:.2} us CPU each, {:.1} bytes each", count / wall.as_secs_f64(), cpu.as_secs_f64() * 1e6 / count, size / count);
        let began = Instant::now();
        let mut n = 0;
        store.scan(&Default::default(), &mut |_| { n += 1; std::ops::ControlFlow::Continue(()) }).unwrap();
        println!("scan {n} in {:?}", began.elapsed());
        let c = rusqlite::Connection::open(store.path()).unwrap();
        let mut s = c.prepare("select name,sum(pgsize),sum(unused) from dbstat group by name").unwrap();
        let mut rows = s.query([]).unwrap();
        while let Some(r) = rows.next().unwrap() {
            let (n, b, u): (String, f64, f64) = (r.get(0).unwrap(), r.get(1).unwrap(), r.get(2).unwrap());
            println!("  {n} {:.1} unused {:.1}%", b / count, u / b * 100.0);
        }
    }
}
