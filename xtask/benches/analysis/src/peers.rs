//! Peers from PyPI, each script of which runs in a Python environment of its own: DuckDB and polars are asked for the same
//! groups by `peers.py`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use taximeter_analysis::ColumnGroup;

use crate::columns::{NAMES, Rows};

/// One way in which a peer was asked.
pub(crate) struct Peer {
    pub(crate) what: String,
    pub(crate) percentiles: String,
    /// The types of key and value.
    pub(crate) types: String,
    /// Whether the key is a small integer, as ours is.
    pub(crate) small_key: bool,
    pub(crate) seconds: f64,
    /// How far its answers are from ours at most, relative to ours.
    pub(crate) difference: f64,
}

/// What the peers took; or why there are none on this machine. A peer that answers otherwise ends the bench.
pub(crate) fn ask(rows: &Rows, groups: &[ColumnGroup], rounds: usize) -> Result<Vec<Peer>, String> {
    let folder = folder("columns")?;
    write(&folder, rows, groups, rounds)
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    run_script("peers", &folder)?.lines().map(read).collect()
}

/// What a script of the bench prints over the files in this folder, in an environment that has what its list names.
pub(crate) fn run_script(script: &str, folder: &Path) -> Result<String, String> {
    let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = environment(folder, &bench.join(script).with_extension("txt"))?;
    let asked = Command::new(python)
        .arg(bench.join(script).with_extension("py"))
        .arg(folder)
        .env("POLARS_MAX_THREADS", "1")
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| error.to_string())?;
    assert!(asked.status.success(), "{script}.py failed: {}", asked.status);
    Ok(String::from_utf8_lossy(&asked.stdout).into_owned())
}

/// Beside the bench, below the target directory.
pub(crate) fn folder(name: &str) -> Result<PathBuf, String> {
    let bench = std::env::current_exe().map_err(|error| error.to_string())?;
    let target = bench.ancestors().nth(2).ok_or("the bench lies in no folder")?;
    let folder = target.join(name);
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

/// The Python that has the peers of this list; pip is quick where they are there already.
fn environment(folder: &Path, peers: &Path) -> Result<PathBuf, String> {
    let place = folder.join("python");
    let python = place.join("bin/python");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&place))?;
    }
    let install =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    run(Command::new(&python).args(install).arg(peers))?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let done = command.output().map_err(|error| format!("{program}: {error}"))?;
    let told = String::from_utf8_lossy(&done.stderr);
    let last = told.lines().last().unwrap_or_default();
    if done.status.success() { Ok(()) } else { Err(format!("{program}: {}: {last}", done.status)) }
}

/// The columns as they lie in memory of little-endian machines, and what was found in them.
fn write(folder: &Path, rows: &Rows, groups: &[ColumnGroup], rounds: usize) -> std::io::Result<()> {
    let keys: Vec<u8> = rows.keys.iter().flat_map(|key| key.to_le_bytes()).collect();
    let nanos: Vec<u8> = rows.nanos.iter().flat_map(|nanos| nanos.to_le_bytes()).collect();
    let errors: Vec<u8> = rows.errors.iter().map(|error| u8::from(*error)).collect();
    let asked = serde_json::json!({"names": NAMES, "rounds": rounds, "groups": groups});
    fs::write(folder.join("keys.u16"), keys)?;
    fs::write(folder.join("nanos.u64"), nanos)?;
    fs::write(folder.join("errors.u8"), errors)?;
    fs::write(folder.join("asked.json"), asked.to_string())
}

fn read(line: &str) -> Result<Peer, String> {
    let found: Value = serde_json::from_str(line).map_err(|error| format!("{line}: {error}"))?;
    let text = |field: &str| found[field].as_str().unwrap_or_default();
    let number = |field: &str| found[field].as_f64().ok_or(format!("{line}: no {field}"));
    Ok(Peer {
        what: text("what").into(),
        percentiles: text("percentiles").into(),
        types: format!("{} {}", text("key"), text("value")),
        small_key: found["small_key"] == true,
        seconds: number("seconds")?,
        difference: number("largest_difference")?,
    })
}
