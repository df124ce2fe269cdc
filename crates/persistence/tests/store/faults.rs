//! A disk that fails, and power that goes: every call that the store makes fails once and for good, and every order of
//! what was not yet brought to the disk is played.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

use taximeter_models::OperationId;
use taximeter_persistence::StoreError;
use taximeter_persistence::store::{Durability, Keep, SqliteStore, Store};

use crate::maintaining::{at, operations};
use crate::processes::{ids, summed};
use crate::records::all;
use crate::summing::summing;

const BATCH: i64 = 20;
const BATCHES: i64 = 8;

/// The library that fails, made by the C compiler; none where there is no such compiler, or no such library.
fn library() -> Option<&'static Path> {
    static MADE: OnceLock<Option<(tempfile::TempDir, PathBuf)>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let room = tempfile::tempdir().unwrap();
        let library = room.path().join("faults.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/faults.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl");
        let output = compiler.output().ok().filter(|_| cfg!(target_os = "linux"))?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some((room, library))
    });
    if made.is_none() {
        println!("skipped: there is no C compiler, or no Linux");
    }
    made.as_ref().map(|(_, library)| library.as_path())
}

fn open(folder: &Path, durability: Durability) -> Result<SqliteStore, StoreError> {
    // A few operations are a block, so that sealing meets the faults too.
    let keep = match std::env::var_os("TAXIMETER_AT_ONCE") {
        Some(_) => Keep::default().block_operations(50).seal_at_once(20),
        None => Keep::default().block_operations(1).hot_operations(0).hot_for(Duration::ZERO),
    };
    SqliteStore::at(folder).durability(durability).keep(keep).summarize(summing()).open()
}

fn say(what: &str) {
    std::io::stdout().write_all(format!("\n{what}\n").as_bytes()).unwrap();
}

/// The process whose disk fails. It goes on as a program does: what is refused is tried once more, and then left.
#[test]
fn the_faulty_process() {
    let Ok(durability) = std::env::var("TAXIMETER_FAULTY") else { return };
    let durability = if durability == "fsync" { Durability::Fsync } else { Durability::Os };
    let folder = PathBuf::from(std::env::var("FAULT_FOLDER").unwrap());
    let opened = (0..3).find_map(|_| open(&folder, durability).ok());
    let Some(store) = opened else { return say("never opened") };
    for batch in 0..BATCHES {
        let (first, mut tries) = (batch * BATCH, 0..2);
        let taken = tries.any(|_| store.append(&operations(first, BATCH)).is_ok());
        say(&if taken { format!("acknowledged {first}") } else { format!("refused {first}") });
        if batch % 3 == 2 {
            let maintained = store.maintain(at(1_000_000));
            say(&format!("maintained {}", maintained.is_ok()));
        }
    }
    if (0..2).any(|_| store.append(&operations(10_000, BATCH)).is_ok()) {
        say("acknowledged 10000\nrecovered");
    }
}

fn run(folder: &Path, durability: &str, settings: &[(&str, &str)]) -> Option<Output> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "faults::the_faulty_process", "--nocapture", "--test-threads=1"])
        .env("TAXIMETER_FAULTY", durability)
        .env("FAULT_FOLDER", folder)
        .env("LD_PRELOAD", library()?)
        .envs(settings.iter().copied());
    Some(command.output().unwrap())
}

fn acknowledged(text: &str) -> Vec<i64> {
    text.lines().filter_map(|line| line.strip_prefix("acknowledged ")?.parse().ok()).collect()
}

/// What holds of a store whatever happened to the process that wrote it: what was acknowledged is there, batches whole
/// or not at all, each operation once, and the sums are those of the operations.
fn holds(folder: &Path, acknowledged: &[i64], when: &str) {
    let store = open(folder, Durability::Os).unwrap_or_else(|error| panic!("{when}: {error:?}"));
    let records = all(&store);
    let there: HashSet<OperationId> = records.iter().map(|record| record.id).collect();
    assert_eq!(there.len(), records.len(), "{when}: each once");
    assert_eq!(records.len() % 20, 0, "{when}: batches whole or not at all");
    let missing = acknowledged.iter().copied().flat_map(ids).find(|id| !there.contains(id));
    assert_eq!(missing, None, "{when}: acknowledged, and not there");
    assert_eq!(summed(&store), records.len() as u64, "{when}");
    let checked = store.check().unwrap();
    assert!(checked.is_sound(), "{when}: {checked:?}");
}

/// A store that a process left in the middle: what it acknowledged is in the log, and nobody has read that yet.
fn left_behind(folder: &Path) -> Vec<i64> {
    let room = tempfile::tempdir().unwrap();
    let store = open(room.path(), Durability::Fsync).unwrap();
    let firsts = vec![20_000, 20_020, 20_040];
    for first in &firsts {
        store.append(&operations(*first, BATCH)).unwrap();
    }
    fs::create_dir_all(folder).unwrap();
    for file in ["taximeter.db", "taximeter.db-wal"] {
        fs::copy(room.path().join(file), folder.join(file)).unwrap();
    }
    firsts
}

/// Every so many-th place by default; each with `TAXIMETER_FAULTS=1`.
fn stride() -> usize {
    std::env::var("TAXIMETER_FAULTS").ok().map_or(31, |text| text.parse().unwrap())
}

#[test]
fn a_disk_that_fails_loses_nothing_that_was_acknowledged() {
    if library().is_none() {
        return;
    }
    let (mut runs, mut refused, mut never_opened) = (0, 0, 0);
    // Input/output error, no room, read-only, none (a short write); the error once, and from then on for ever.
    let errors = [("write", "5"), ("write", "28"), ("write", "30"), ("write", "0")];
    let others = [("open", "5"), ("open", "24"), ("read", "5"), ("sync", "5"), ("truncate", "28")];
    for (call, error) in errors.into_iter().chain(others) {
        for times in ["1", "1000000"] {
            // Not the same places at each error.
            for n in (1 + runs % stride()..).step_by(stride()) {
                let room = tempfile::tempdir().unwrap();
                let when = format!("{call} {n}, {times} times, error {error}");
                let at = n.to_string();
                let settings = [
                    ("FAULT_CALL", call),
                    ("FAULT_AT", at.as_str()),
                    ("FAULT_TIMES", times),
                    ("FAULT_ERROR", error),
                    // Of some, batches are sealed as they come.
                    ("TAXIMETER_AT_ONCE", ""),
                ];
                let settings = &settings[..if n % 5 < 3 { 4 } else { 5 }];
                let durability = if n % 2 == 0 { "os" } else { "fsync" };
                // Of some, the failure comes while they are brought back from another one.
                let mut acknowledged_before = Vec::new();
                if n % 3 == 0 {
                    acknowledged_before = left_behind(room.path());
                }
                let Some(output) = run(room.path(), durability, settings) else { return };
                let (said, told) = (
                    String::from_utf8_lossy(&output.stdout).into_owned(),
                    String::from_utf8_lossy(&output.stderr),
                );
                assert!(output.status.success(), "{when}: {said}{told}");
                runs += 1;
                refused += said.matches("refused").count();
                never_opened += said.matches("never opened").count();
                if times == "1" {
                    assert!(said.contains("recovered"), "{when}: it goes on by itself: {said}");
                }
                acknowledged_before.extend(acknowledged(&said));
                holds(room.path(), &acknowledged_before, &when);
                if !told.contains("injected") {
                    // There is no such call any more.
                    break;
                }
            }
        }
    }
    println!("{runs} runs, {refused} batches refused, {never_opened} times never opened");
    assert!(refused > 0 && never_opened > 0);
}

/// What the process did to its files, in order.
enum Event {
    Write { file: usize, offset: u64, bytes: Vec<u8> },
    Truncate { file: usize, length: u64 },
    Sync { file: usize },
    Said(String),
}

fn events(trace: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    let mut rest = trace;
    while let [what, file, head @ ..] = rest {
        let offset = u64::from_ne_bytes(head[..8].try_into().unwrap());
        let length = u32::from_ne_bytes(head[8..12].try_into().unwrap()) as usize;
        let (bytes, file) = (head[12..12 + length].to_vec(), usize::from(*file));
        rest = &head[12 + length..];
        events.push(match what {
            b'W' => Event::Write { file, offset, bytes },
            b'T' => Event::Truncate { file, length: offset },
            b'S' => Event::Sync { file },
            _ => Event::Said(String::from_utf8(bytes).unwrap()),
        });
    }
    events
}

/// The two files as they lie on the disk, and what was done to them since they were last brought there.
#[derive(Default, Clone)]
struct Disk {
    files: [Vec<u8>; 2],
}

impl Disk {
    fn write(&mut self, file: usize, offset: u64, bytes: &[u8]) {
        let (file, from) = (&mut self.files[file - 1], usize::try_from(offset).unwrap());
        file.resize(file.len().max(from + bytes.len()), 0);
        file[from..from + bytes.len()].copy_from_slice(bytes);
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Write { file, offset, bytes } => self.write(*file, *offset, bytes),
            Event::Truncate { file, length } => {
                self.files[file - 1].resize(usize::try_from(*length).unwrap(), 0);
            }
            Event::Sync { .. } | Event::Said(_) => {}
        }
    }
}

/// A small generator of numbers: the same at every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }
}

/// Lets power go: of what was not brought to the disk, some is there and some is not, and some up to a sector.
fn crash(disk: &Disk, pending: &[&Event], numbers: &mut Numbers) -> Disk {
    let mut disk = disk.clone();
    for event in pending {
        match (numbers.next(4), event) {
            (0, _) => {}
            (1, Event::Write { file, offset, bytes }) => {
                let sectors = 512 * numbers.next(bytes.len() / 512 + 1);
                disk.write(*file, *offset, &bytes[..sectors]);
            }
            _ => disk.apply(event),
        }
    }
    disk
}

fn file_of(event: &Event) -> usize {
    match event {
        Event::Write { file, .. } | Event::Truncate { file, .. } | Event::Sync { file } => *file,
        Event::Said(_) => 0,
    }
}

#[test]
fn power_that_goes_takes_nothing_that_was_acknowledged() {
    for (durability, at_once) in [("fsync", false), ("os", false), ("fsync", true), ("os", true)] {
        let room = tempfile::tempdir().unwrap();
        let (folder, trace) = (room.path().join("store"), room.path().join("trace"));
        drop(open(&folder, Durability::Os).unwrap());
        let mut disk = Disk { files: [fs::read(folder.join("taximeter.db")).unwrap(), vec![]] };
        let settings = [("FAULT_LOG", trace.to_str().unwrap()), ("TAXIMETER_AT_ONCE", "")];
        let settings = &settings[..=usize::from(at_once)];
        let Some(output) = run(&folder, durability, settings) else { return };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let events = events(&fs::read(&trace).unwrap());
        let mut numbers = Numbers(7);
        let (mut pending, mut said, mut crashes) = (Vec::<&Event>::new(), Vec::new(), 0);
        for event in &events {
            match event {
                Event::Said(text) => said.extend(acknowledged(text)),
                Event::Sync { file } => {
                    pending.retain(|done| {
                        let is_synced = file_of(done) == *file;
                        if is_synced {
                            disk.apply(done);
                        }
                        !is_synced
                    });
                }
                other => pending.push(other),
            }
            // At each barrier, and now and then between two.
            if matches!(event, Event::Write { .. }) && numbers.next(4 * stride()) > 0 {
                continue;
            }
            // With `os`, power may take the last batches, but breaks nothing.
            let kept: &[i64] = if durability == "fsync" { &said } else { &[] };
            let crashed = crash(&disk, &pending, &mut numbers);
            let place = tempfile::tempdir().unwrap();
            fs::write(place.path().join("taximeter.db"), &crashed.files[0]).unwrap();
            fs::write(place.path().join("taximeter.db-wal"), &crashed.files[1]).unwrap();
            holds(place.path(), kept, &format!("{durability}, after event {crashes}"));
            crashes += 1;
        }
        println!("{durability}: power went {crashes} times, {} batches acknowledged", said.len());
        assert!(crashes > 10 && said.len() == 9);
    }
}
