//! Reading a record for what sums need, in the place of one that was read before: the frequent parts in one go, and the
//! others as they are read always.

use std::time::Duration;

use chrono::DateTime;
use taximeter_models::{LlmCall, OperationRecord, ToolCall};

use super::piece::Piece;
use super::read::{
    Names, Reader, new_component, new_tool, next, put_component, put_name, put_used, read_header,
    tool_as_new,
};

/// As [`read`](super::read), into a record that was read before, and without the texts that are no names: what sums need,
/// without an allocation where the record has had as many parts.
pub(crate) fn read_lean<'b>(
    bytes: &'b [u8],
    names: &mut impl Names,
    record: &mut OperationRecord,
) -> Option<&'b [u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (frame, behind) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    (record.user, record.session) = (None, None);
    (record.parent, record.remote_parent) = (None, None);
    (record.unlisted_errors, record.unlisted_warnings) = (0, 0);
    record.errors.clear();
    record.warnings.clear();
    let [components, tools, llms] = parts(read_header(frame, record)?, names, record)?;
    record.components.truncate(components);
    record.tool_calls.truncate(tools);
    record.llm_calls.truncate(llms);
    Some(behind)
}

/// Reads parts; gives how many components, tool calls and LLM calls there are.
fn parts(
    mut bytes: &[u8],
    names: &mut impl Names,
    record: &mut OperationRecord,
) -> Option<[usize; 3]> {
    let mut used = [0; 3];
    while !bytes.is_empty() {
        let Some((part, rest)) = Piece::read(bytes) else {
            let mut reader = Reader { bytes, names, lean: true, used };
            reader.part(record)?;
            (bytes, used) = (reader.bytes, reader.used);
            continue;
        };
        bytes = rest;
        match part {
            Piece::Nothing | Piece::Text { .. } | Piece::Number { .. } => {}
            Piece::Name(name) => put_name(names, &mut record.name, name)?,
            Piece::Component { name, took } => {
                let timing = next(&mut record.components, &mut used[0], new_component)?;
                put_component(names, timing, name, took)?;
            }
            Piece::Tool(name) => {
                let call = next(&mut record.tool_calls, &mut used[1], new_tool)?;
                put_name(names, &mut call.name, name)?;
                bytes = tool(bytes, names, call)?;
            }
            Piece::Used(usage) => {
                let call = next(&mut record.llm_calls, &mut used[2], LlmCall::default)?;
                put_used(names, call, usage)?;
            }
            Piece::Started(_) | Piece::End { .. } => return None,
        }
    }
    Some(used)
}

/// Reads a call, behind its name; gives what is behind it.
fn tool<'b>(mut bytes: &'b [u8], names: &mut impl Names, call: &mut ToolCall) -> Option<&'b [u8]> {
    tool_as_new(call);
    loop {
        let Some((piece, rest)) = Piece::read(bytes) else {
            let mut reader = Reader { bytes, names, lean: true, used: [0; 3] };
            reader.tool_pieces(call)?;
            return Some(reader.bytes);
        };
        bytes = rest;
        match piece {
            Piece::Nothing | Piece::Text { .. } | Piece::Number { .. } => {}
            Piece::Started(at) => call.started_at = Some(DateTime::from_timestamp_nanos(at)),
            Piece::End { took, status } => {
                call.duration = Some(Duration::from_nanos(took));
                call.status = status;
                return Some(bytes);
            }
            _ => return None,
        }
    }
}
