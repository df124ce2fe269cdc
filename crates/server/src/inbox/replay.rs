//! The journal as an earlier server left it: read again, so that what was acknowledged is stored, once.

use chrono::Utc;
use taximeter::otlp_in::{Address, Closed, Format, Receiver, Signal};
use taximeter::store::{Journal, JournalEntry, JournalTrace};

use super::keeper::append;
use crate::{Config, ServerError};

/// Reads the journal as an earlier server left it: stores what that one may not have stored, and gives a receiver that
/// holds all else, with the next mark.
pub(super) fn replayed(journal: &Journal, config: &Config) -> Result<(Receiver, u64), ServerError> {
    let closed = journal.closed().map_err(ServerError::Journal)?;
    let (stored, closing): (Vec<_>, Vec<_>) = closed.iter().partition(|trace| trace.stored);
    let as_closed = |traces: &[&JournalTrace]| -> Vec<Closed> {
        traces.iter().map(|one| Closed::new(one.trace, one.mark)).collect()
    };
    let now = Utc::now();
    if !closing.is_empty() {
        let first = Receiver::new(config.receiver.clone(), now);
        first.only(as_closed(&closing));
        first.done(as_closed(&stored));
        replay(journal, &first)?;
        let mut records = first.finish();
        config.history.price(&mut records);
        append(&config.history, &records).map_err(ServerError::Replay)?;
        journal.stored(0).map_err(ServerError::Journal)?;
    }
    let receiver = Receiver::new(config.receiver.clone(), now);
    receiver.done(as_closed(&stored));
    receiver.done(as_closed(&closing));
    let next = replay(journal, &receiver)?;
    Ok((receiver, next))
}

/// Gives a receiver the whole journal, and gives the next mark.
fn replay(journal: &Journal, receiver: &Receiver) -> Result<u64, ServerError> {
    let mut next = 1;
    let each = |mark, entry: JournalEntry| {
        next = mark + 1;
        // What was acknowledged could be read; what can no longer be is of another version.
        if let Some(address) = address(&entry.kind)
            && let Ok(decoded) = receiver.decode(address, &entry.body)
        {
            receiver.hold(decoded, mark, entry.at);
        }
    };
    journal.replay(each).map_err(ServerError::Journal)?;
    Ok(next)
}

/// How the journal names an address: `traces protobuf gzip`.
pub(super) fn kind(address: Address) -> String {
    let signal = address.signal.path().trim_start_matches("/v1/");
    let format = match address.format {
        Format::Protobuf => "protobuf",
        Format::Json => "json",
    };
    format!("{signal} {format} {}", address.encoding())
}

fn address(kind: &str) -> Option<Address> {
    let mut words = kind.split(' ');
    let (signal, format, encoding) = (words.next()?, words.next()?, words.next()?);
    let signal = [Signal::Traces, Signal::Metrics, Signal::Logs]
        .into_iter()
        .find(|one| one.path().strip_prefix("/v1/") == Some(signal))?;
    let format = [Format::Protobuf, Format::Json]
        .into_iter()
        .find(|one| one.content_type().ends_with(format))?;
    Address::of_http(signal, Some(format.content_type()), Some(encoding)).ok()
}
