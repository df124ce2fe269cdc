//! DuckDB, asked the same questions by `peers.py` in a Python environment of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::questions::{Groups, Plain, Question, TEXTS};

/// What each peer took for each question, by its place; or why there are none on this machine. A peer that answers
/// otherwise ends the bench.
pub(crate) fn ask(
    plain: &Plain,
    questions: &[Question],
    answers: &[Groups],
) -> Result<Vec<(String, usize, f64)>, String> {
    let folder = folder()?;
    let python = environment(&folder)?;
    write(&folder, plain, questions, answers)
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers.py");
    let mut command = Command::new(python);
    let asked = command.arg(script).arg(&folder).stderr(Stdio::inherit()).output();
    let asked = asked.map_err(|error| error.to_string())?;
    assert!(asked.status.success(), "peers.py failed: {}", asked.status);
    String::from_utf8_lossy(&asked.stdout).lines().map(read).collect()
}

/// Beside the bench, below the target directory.
fn folder() -> Result<PathBuf, String> {
    let bench = std::env::current_exe().map_err(|error| error.to_string())?;
    let target = bench.ancestors().nth(2).ok_or("the bench lies in no folder")?;
    let folder = target.join("store");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

/// The Python that has the peers of `peers.txt`; pip is quick where they are there already.
fn environment(folder: &Path) -> Result<PathBuf, String> {
    let place = folder.join("python");
    let python = place.join("bin/python");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&place))?;
    }
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers.txt");
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

/// The columns as they lie in memory of little-endian machines, the questions and what was found.
fn write(
    folder: &Path,
    plain: &Plain,
    questions: &[Question],
    answers: &[Groups],
) -> std::io::Result<()> {
    let asked: Vec<Value> = questions
        .iter()
        .zip(answers)
        .map(|(question, answer)| serde_json::json!({"by": question.by, "of": question.of, "answer": answer}))
        .collect();
    for (name, texts) in TEXTS.iter().zip(&plain.texts) {
        let keys: Vec<u8> = texts.keys.iter().flat_map(|key| key.to_le_bytes()).collect();
        fs::write(folder.join(format!("{name}.u16")), keys)?;
    }
    let names: Vec<_> = plain.texts.iter().map(|texts| &texts.names).collect();
    let nanos: Vec<u8> = plain.nanos.iter().flat_map(|nanos| nanos.to_le_bytes()).collect();
    let tokens: Vec<u8> = plain.tokens.iter().flat_map(|tokens| tokens.to_le_bytes()).collect();
    fs::write(folder.join("nanos.u64"), nanos)?;
    fs::write(folder.join("tokens.u32"), tokens)?;
    fs::write(folder.join("failed.u8"), &plain.failed)?;
    let asked = serde_json::json!({"texts": TEXTS, "names": names, "questions": asked});
    fs::write(folder.join("asked.json"), asked.to_string())
}

fn read(line: &str) -> Result<(String, usize, f64), String> {
    let found: Value = serde_json::from_str(line).map_err(|error| format!("{line}: {error}"))?;
    let question = found["question"].as_u64().and_then(|question| usize::try_from(question).ok());
    let (what, seconds) = (found["what"].as_str(), found["seconds"].as_f64());
    match (what, question, seconds) {
        (Some(what), Some(question), Some(seconds)) => Ok((what.into(), question, seconds)),
        _ => Err(format!("{line}: no answer")),
    }
}
