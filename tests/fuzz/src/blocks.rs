//! A sealed block of the store, changed at will and with checksums that fit: whatever it is asked, it gives an answer or an
//! error, and nothing else. Bytes come in fours: which part, where in it (two), and what stands there then.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::LazyLock;
use std::time::Duration;

use taximeter_models::{
    ErrorCategory, ErrorRecord, LlmCall, OperationId, OperationRecord, TokenUsage, ToolCall,
    ToolStatus,
};
use taximeter_persistence::store::block::{ColumnId, Effort, Reader, Sealed, merge, seal};
use taximeter_persistence::store::{Column, Condition, Query, Table};

type Columns = BTreeMap<ColumnId, Vec<u8>>;

static SEALED: LazyLock<Sealed> = LazyLock::new(|| {
    let records: Vec<_> = (0..40).map(record).collect();
    seal(&records).expect("they can be sealed")
});

fn record(number: u64) -> OperationRecord {
    let mut record = OperationRecord::new(format!("operation {}", number % 3));
    record.id = OperationId::from_bits(7 << 76 | u128::from(number) << 40 | u128::from(number));
    record.duration = Duration::from_micros(number * number * 37);
    record.user = number.is_multiple_of(2).then(|| format!("user {number}").as_str().into());
    record.metadata.insert("rows".into(), number.into());
    record.metadata.insert("query".into(), format!("how many are {number}?").into());
    record.tags.insert("region".into(), "eu".into());
    record.add_component("retrieval", Duration::from_micros(number));
    let mut tool = ToolCall::new("search", ToolStatus::Success);
    tool.duration = Some(Duration::from_millis(number));
    record.tool_calls.push(tool);
    let usage = TokenUsage::inclusive(1_000 + number, number).cache_read(number).build();
    let mut call = LlmCall::new("openai", "gpt-4o").using(usage.expect("the parts are within"));
    call.error =
        number.is_multiple_of(7).then(|| ErrorRecord::new(ErrorCategory::Timeout, "too slow"));
    record.llm_calls.push(call);
    record
}

fn with_checksum(mut body: Vec<u8>, before: &[u8]) -> Vec<u8> {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(before);
    hasher.update(&body);
    body.extend_from_slice(&hasher.finalize().to_le_bytes());
    body
}

/// What stands before the checksum, changed.
fn changed(bytes: &[u8], changes: &[&[u8]]) -> Vec<u8> {
    let mut body = bytes[..bytes.len() - 4].to_vec();
    for change in changes {
        let at = usize::from(u16::from_le_bytes([change[1], change[2]]));
        match body.len() {
            0 => body.push(change[3]),
            // From here on nothing, or one byte more.
            length if at >= 0xff00 => body.truncate((at - 0xff00) % length),
            length if at >= 0xfe00 => body.insert((at - 0xfe00) % length, change[3]),
            length => body[at % length] = change[3],
        }
    }
    body
}

/// The block with these changes: its metadata and its columns.
fn damaged(changes: &BTreeMap<usize, Vec<&[u8]>>) -> (Vec<u8>, Columns) {
    let mut columns = Columns::new();
    let mut meta = SEALED.meta.clone();
    for (at, (column, kept)) in SEALED.columns.iter().enumerate() {
        let mut bytes = kept.clone();
        if let Some(changes) = changes.get(&(at + 1)) {
            bytes = with_checksum(changed(kept, changes), &column.get().to_le_bytes());
            // The metadata tell whose column it is by its checksum.
            let (before, after) = (&kept[kept.len() - 4..], &bytes[bytes.len() - 4..]);
            if let Some(place) = meta.windows(4).position(|window| window == before) {
                meta[place..place + 4].copy_from_slice(after);
            }
        }
        columns.insert(*column, bytes);
    }
    let of_meta = changes.get(&0).map(Vec::as_slice).unwrap_or_default();
    (with_checksum(changed(&meta, of_meta), &[]), columns)
}

pub(crate) fn holds(bytes: &[u8]) {
    let mut changes = BTreeMap::<usize, Vec<&[u8]>>::new();
    for change in bytes.chunks_exact(4).take(64) {
        let part = usize::from(change[0]) % (SEALED.columns.len() + 1);
        changes.entry(part).or_default().push(change);
    }
    let (meta, columns) = damaged(&changes);
    let open = || {
        let fetch = |column| Ok::<_, Infallible>(columns.get(&column).cloned().unwrap_or_default());
        Reader::open(&meta, fetch)
    };
    let Ok(mut whole) = open() else { return };
    if let Ok(rows) = whole.matching(&Query::default()) {
        let _ = whole.records(&rows);
    }
    for reader in [open(), open()].into_iter().flatten() {
        ask(reader);
    }
    if let (Ok(one), Ok(another)) = (open(), open()) {
        let _ = merge(&mut [one, another], Effort::Small);
    }
}

/// Asks for some operations, and for columns of each table.
fn ask(mut reader: Reader<'_>) {
    let _ = reader.ids();
    let some = Query::default()
        .and(Condition::User("user 4".into()))
        .and(Condition::Tag("region".into(), "eu".into()));
    let _ = (reader.meta().may_match(&some), reader.matching(&some));
    let everywhere =
        [Column::StartedAt, Column::Duration, Column::Outcome, Column::Name, Column::Owner];
    let of_calls = [Column::Usage, Column::Charge, Column::FinishReason, Column::ErrorCategory];
    let of_operations = [
        Column::InputTokens,
        Column::CostUsd,
        Column::Tag("region".into()),
        Column::Metadata("rows".into()),
    ];
    for (table, columns) in [
        (Table::Operations, of_operations.as_slice()),
        (Table::LlmCalls, &of_calls),
        (Table::ToolCalls, &everywhere),
        (Table::Components, &everywhere),
        (Table::Errors, &everywhere),
    ] {
        let _ = reader.scan(table, &Query::default(), columns, &mut |_| ControlFlow::Continue(()));
    }
}
