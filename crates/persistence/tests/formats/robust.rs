//! Files as they should not be: cut, mangled, endless, nested without end. Every reader says so, and none panics.

use std::io::{BufReader, Cursor, Read};
use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::{Value, json};
use taximeter_persistence::{
    ExportFormat, ExportOptions, ExportTable, Format, ImportOptions, Importer, Why,
};

use crate::support::{all, data, operation};

/// The formats that are read from streams.
const STREAMS: &[Format] = &[
    Format::Session,
    Format::Jsonl,
    Format::Csv,
    Format::ClaudeCode,
    Format::Codex,
    Format::LiteLlm,
    Format::Langfuse,
    Format::Phoenix,
];

/// Every file of the test data, and one of each format of our own.
fn samples() -> Vec<(Format, Vec<u8>)> {
    let logs = |folder: &str, format| {
        let mut files = Vec::new();
        let mut folders = vec![data(folder)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path: PathBuf = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push((format, std::fs::read(path).unwrap()));
                }
            }
        }
        files.retain(|(_, bytes)| !bytes.is_empty());
        files
    };
    let room = tempfile::tempdir().unwrap();
    let exported = |format| {
        let path = room.path().join("x");
        let mut exporter = ExportOptions::new(format).overwrite(true).create(&path).unwrap();
        for item in
            Importer::open(data("claude-code")).unwrap().filter_map(|item| item.unwrap().ok())
        {
            exporter.write(&item).unwrap();
        }
        exporter.finish().unwrap();
        std::fs::read(path).unwrap()
    };
    let session = json!({"taximeter_version": 1, "session_id": "s", "start_time": "2026-11-23T12:00:00Z", "operations": [
        {"operation_name": "a", "start_time": 1.5, "total_duration": 0.5},
        {"operation_name": "b \"{[", "start_time": 2.5, "total_duration": 0.5, "metadata": {"x": [1, {"y": "]}"}]}}],
        "total_operations": 2});
    let mut samples = vec![
        (Format::Jsonl, exported(ExportFormat::Jsonl)),
        (Format::Csv, exported(ExportFormat::Csv(ExportTable::Operations))),
        (Format::Session, serde_json::to_vec_pretty(&session).unwrap()),
    ];
    samples.extend(logs("claude-code", Format::ClaudeCode));
    samples.extend(logs("codex", Format::Codex));
    samples.extend(logs("litellm", Format::LiteLlm));
    samples.extend(logs("langfuse", Format::Langfuse));
    samples.extend(logs("phoenix", Format::Phoenix));
    samples
}

/// Reads all of it as a format, or as what it looks like; how many records and rejected frames there were.
fn read(bytes: &[u8], format: Option<Format>) -> (usize, usize) {
    let mut options = ImportOptions::new().limit(1 << 16);
    if let Some(format) = format {
        options = options.format(format);
    }
    let Ok(mut importer) = options.read(Cursor::new(bytes.to_vec())) else { return (0, 0) };
    let items: Vec<_> = importer.by_ref().take_while(Result::is_ok).map(Result::unwrap).collect();
    assert!(importer.next().is_none() || items.len() > bytes.len());
    let records = items.iter().filter(|item| item.is_ok()).count();
    (records, items.len() - records)
}

#[test]
fn formats_are_told_apart_by_their_beginning() {
    for (format, bytes) in samples() {
        let told = Format::detect(&bytes);
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(120)]).into_owned();
        assert_eq!(told, Some(format), "{text}");
        let mut marked = b"\xEF\xBB\xBF".to_vec();
        marked.extend(&bytes);
        assert_eq!(Format::detect(&marked), Some(format), "with a byte order mark: {text}");
        assert_eq!(read(&marked, None), read(&bytes, None), "{text}");
    }
    let foreign: [(&[u8], &str); 7] = [
        (b"", "empty"),
        (b"dear diary", "neither JSON"),
        (b"\x1f\x8b\x08", "gzip -dc"),
        (b"\x28\xb5\x2f\xfd", "zstd -dc"),
        (b"SQLite format 3\0", "store"),
        (br#"{"hello": "world"}"#, "no format that is known"),
        (b"name,age\nada,36\n", "neither JSON"),
    ];
    for (bytes, says) in foreign {
        let error = ImportOptions::new().read(Cursor::new(bytes.to_vec())).unwrap_err();
        assert!(error.is_unknown_format());
        let said = error.to_string();
        assert!(said.contains(says) && said.contains("claude-code"), "{said}");
    }
}

#[test]
fn a_file_may_end_anywhere() {
    for (format, bytes) in samples() {
        let (whole, _) = read(&bytes, Some(format));
        let step = (bytes.len() / 400).max(1);
        for end in (0..bytes.len()).step_by(step) {
            let (records, rejected) = read(&bytes[..end], Some(format));
            assert!(
                records <= whole + 1,
                "{format}: {records} of {whole} records before byte {end}"
            );
            assert!(rejected <= bytes.len(), "{format}");
        }
    }
}

/// Where a line is too long, or nested without end, or no UTF-8, the lines around it are read.
#[test]
fn one_bad_line_costs_one_line() {
    let good = r#"{"operation_name":"a","start_time":1}"#;
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let bad: Vec<Vec<u8>> = vec![
        format!(r#"{{"operation_name":"{}","start_time":1}}"#, "x".repeat(1 << 17)).into_bytes(),
        deep.as_bytes()[..60_000].to_vec(),
        format!(
            r#"{{"operation_name":"a","start_time":1,"metadata":{{"x":{}}}}}"#,
            &deep[199_000..201_000]
        )
        .into_bytes(),
        b"{\"operation_name\":\"\xff\xfe\",\"start_time\":1}".to_vec(),
        b"\0\0\0".to_vec(),
    ];
    for bad in bad {
        let text = [good.as_bytes(), &bad, good.as_bytes()].join(&b'\n');
        assert_eq!(read(&text, Some(Format::Jsonl)), (2, 1));
        let array = [b"[", good.as_bytes(), b",", &bad, b",", good.as_bytes(), b"]"].concat();
        let (records, rejected) = read(&array, Some(Format::Jsonl));
        assert!(records >= 1 && rejected >= 1, "{records} and {rejected}");
    }
}

#[test]
fn nesting_without_end_is_refused_in_every_format() {
    for (at, open) in
        ["[", "{\"a\":", "[{\"operations\":", "{\"data\":[{\"a\":["].iter().enumerate()
    {
        let text = open.repeat(50_000);
        for format in STREAMS {
            let (records, rejected) = read(text.as_bytes(), Some(*format));
            assert_eq!(records, 0, "{format} {at}");
            assert!(rejected <= 3, "{format} {at}: {rejected}");
        }
    }
}

/// A stream without a line's end in it, longer than any memory that it may have.
#[test]
fn an_endless_line_is_passed_over() {
    let begun = Cursor::new(
        b"{\"operation_name\":\"a\",\"start_time\":1}\n{\"operation_name\":\"".to_vec(),
    );
    let endless = std::io::repeat(b'x').take(32 << 20);
    let ended = Cursor::new(b"\"}\n{\"operation_name\":\"b\",\"start_time\":1}\n".to_vec());
    let stream = BufReader::new(begun.chain(endless).chain(ended));
    let (records, rejected) = all(&mut ImportOptions::new().limit(1 << 20).read(stream).unwrap());
    let names: Vec<_> = records.iter().map(|record| record.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(rejected[0].why, Why::TooLong { limit: 1 << 20 });

    // A quote that is never closed takes the rest of a table with it.
    let begun = Cursor::new(b"operation_name,started_at\na,2026-11-23T12:00:00Z\n\"b".to_vec());
    let stream = BufReader::new(begun.chain(std::io::repeat(b'x').take(32 << 20)));
    let (records, rejected) = all(&mut ImportOptions::new().limit(1 << 20).read(stream).unwrap());
    assert_eq!((records.len(), &rejected[0].why), (1, &Why::TooLong { limit: 1 << 20 }));
}

/// An import that was broken off anywhere goes on with exactly what was not given.
#[test]
fn an_import_goes_on_where_it_stopped() {
    for (format, bytes) in samples() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("file");
        std::fs::write(&path, &bytes).unwrap();
        let whole: Vec<_> = Importer::open(&path).unwrap().map(Result::unwrap).collect();
        let begins_again = matches!(
            format,
            Format::ClaudeCode | Format::Codex | Format::Langfuse | Format::Phoenix
        );
        for stop in 0..=whole.len() {
            let mut importer = Importer::open(&path).unwrap();
            assert_eq!(importer.by_ref().take(stop).count(), stop);
            let checkpoint = serde_json::to_string(&importer.checkpoint().unwrap()).unwrap();
            let checkpoint = serde_json::from_str(&checkpoint).unwrap();
            let rest: Vec<_> = ImportOptions::new()
                .resume(&path, &checkpoint)
                .unwrap()
                .map(Result::unwrap)
                .collect();
            let from = if begins_again && stop < whole.len() { 0 } else { stop };
            let rest = if begins_again && stop == whole.len() { &[] } else { &rest[..] };
            assert_eq!(rest, &whole[from..], "{format} after {stop}");
        }
    }
}

fn element() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[\\[\\]{}\",:\\\\ a\n]{0,12}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4).prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// However a document is written and through however small a buffer it is read, its elements come out whole.
    #[test]
    fn elements_are_cut_where_json_says(
        operations in prop::collection::vec(operation(), 0..4),
        (before, after) in (element(), element()),
        (pretty, capacity) in (any::<bool>(), 1..64_usize),
    ) {
        let document = json!({"session_id": "s", "before": before, "operations": operations, "total_operations": after});
        let text = if pretty { serde_json::to_vec_pretty(&document) } else { serde_json::to_vec(&document) }.unwrap();
        let reader = BufReader::with_capacity(capacity, Cursor::new(text.clone()));
        let mut importer = ImportOptions::new().format(Format::Session).read(reader).unwrap();
        let (back, rejected) = all(&mut importer);
        prop_assert!(rejected.is_empty(), "{:?}", rejected);
        prop_assert_eq!(back, operations);
    }

    #[test]
    fn any_bytes_are_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for format in STREAMS {
            read(&bytes, Some(*format));
        }
        read(&bytes, None);
    }

    #[test]
    fn any_json_is_an_answer(elements in prop::collection::vec(element(), 0..6), lines in any::<bool>()) {
        let text = if lines {
            lines_of(&elements)
        } else {
            Value::from(elements).to_string()
        };
        for format in STREAMS {
            read(text.as_bytes(), Some(*format));
        }
    }

    /// Files of every format with some bytes changed, taken out, or written twice.
    #[test]
    fn mangled_files_are_an_answer(
        sample in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, any::<u8>(), 0..200_usize), 1..6),
    ) {
        let samples = SAMPLES.get_or_init(samples);
        let (format, bytes) = &samples[sample.index(samples.len())];
        let mut bytes = bytes.clone();
        for (at, how, byte, length) in changes {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            let end = (at + length).min(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => drop(bytes.drain(at..end)),
                2 => bytes.insert(at, b"\"\\{}[],:\n0"[usize::from(byte) % 10]),
                _ => {
                    let copy = bytes[at..end].to_vec();
                    bytes.splice(at..at, copy);
                }
            }
        }
        read(&bytes, Some(*format));
        read(&bytes, None);
    }

    /// JSON with another value in the place of one of its own: what a field may be is not what it is.
    #[test]
    fn other_values_are_an_answer(
        sample in any::<prop::sample::Index>(),
        places in prop::collection::vec((any::<prop::sample::Index>(), element()), 1..4),
    ) {
        let samples = SAMPLES.get_or_init(samples);
        let (format, bytes) = &samples[sample.index(samples.len())];
        let lines: Vec<Value> = bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        let whole = serde_json::from_slice(bytes).ok().map(|value| vec![value]);
        let mut values = whole.unwrap_or(lines);
        for (at, other) in places {
            let count: usize = values.iter().map(leaves).sum();
            if count > 0 {
                let mut number = at.index(count);
                values.iter_mut().any(|value| replace(value, &mut number, &other));
            }
        }
        let text = lines_of(&values);
        read(text.as_bytes(), Some(*format));
    }
}

fn lines_of(values: &[Value]) -> String {
    let lines: Vec<_> = values.iter().map(Value::to_string).collect();
    lines.join("\n")
}

static SAMPLES: std::sync::OnceLock<Vec<(Format, Vec<u8>)>> = std::sync::OnceLock::new();

fn leaves(value: &Value) -> usize {
    match value {
        Value::Array(list) => list.iter().map(leaves).sum(),
        Value::Object(map) => map.values().map(leaves).sum(),
        _ => 1,
    }
}

/// Puts another value in the place of the leaf of that number; whether it was there.
fn replace(value: &mut Value, number: &mut usize, other: &Value) -> bool {
    match value {
        Value::Array(list) => list.iter_mut().any(|value| replace(value, number, other)),
        Value::Object(map) => map.values_mut().any(|value| replace(value, number, other)),
        leaf if *number == 0 => {
            *leaf = other.clone();
            true
        }
        _ => {
            *number -= 1;
            false
        }
    }
}
