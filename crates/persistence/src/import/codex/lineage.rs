//! Which requests and calls of a session are its own, and which were copied into it from the one that it was forked of.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use taximeter_models::{OperationId, TraceId};

use super::line::{SessionMeta, Tokens};
use crate::import::id::hash;

/// What is remembered across files.
#[derive(Default)]
pub(crate) struct Memory {
    /// Requests and calls of tools that were counted, by hashes of their lineage and what names them there.
    seen: HashSet<u64>,
    /// Requests that were passed over as copies, whose own session was not read.
    copied: HashSet<u64>,
    /// Sessions that were read to their end.
    read: HashSet<u64>,
    /// The first session of the lineage of each session.
    roots: HashMap<u64, u64>,
    /// The turns of each session, by when they began: a sub-agent was sent out in the last before it began.
    pub(super) turns: HashMap<u64, Vec<(DateTime<Utc>, OperationId, TraceId)>>,
}

/// Where a session comes from, and how far what was copied into it reaches.
///
/// A copy has the totals and usages of what it copies, and most often other times: those of the moment in which it was
/// written, all in one go. So a request is known by the first session of its lineage and its counts; and where the
/// session that was copied is not there to compare, by coming in the burst with which the file begins.
#[derive(Default)]
pub(super) struct Lineage {
    own: Option<u64>,
    /// The first session of the lineage.
    root: Option<u64>,
    /// The session that was copied.
    parent: Option<u64>,
    /// When the file was begun.
    began: Option<DateTime<Utc>>,
    /// When the last line was written.
    last: Option<DateTime<Utc>>,
    /// Whether lines may still be copies.
    is_copying: bool,
    /// Whether there were requests: what names a session comes before them.
    has_requests: bool,
    /// Calls of tools of this file: their ids are only compared with those of others.
    calls: HashSet<u64>,
}

impl Lineage {
    /// Takes what names a session: this one first, then those whose history follows, the oldest last.
    pub(super) fn session(&mut self, meta: &SessionMeta, memory: &mut Memory) {
        if self.has_requests {
            return;
        }
        let named = hash(&[&meta.id]);
        let own = *self.own.get_or_insert(named);
        let forked_from = meta.forked_from_id.as_deref().map(|id| hash(&[id]));
        if named == own {
            self.began = self.last.or(meta.timestamp);
        }
        let other = forked_from.or((named != own).then_some(named));
        self.parent = self.parent.or(other);
        self.is_copying = self.parent.is_some();
        let known = forked_from.map(|before| memory.roots.get(&before).copied().unwrap_or(before));
        let root = known.unwrap_or(named);
        self.root = Some(root);
        memory.roots.insert(own, root);
    }

    /// Takes the time of a line. What a session does by itself takes longer than to copy a line.
    pub(super) fn line(&mut self, at: DateTime<Utc>) {
        let began = self.began.unwrap_or(at);
        let before = self.last.unwrap_or(began).max(began);
        if at >= began && at - before > TimeDelta::seconds(1) {
            self.is_copying = false;
        }
        self.last = Some(at);
    }

    /// The key of a request, if it is new and this session's own.
    pub(super) fn request(
        &mut self,
        at: DateTime<Utc>,
        (total, used): (Option<Tokens>, Tokens),
        path: Option<&Path>,
        memory: &mut Memory,
    ) -> Option<u64> {
        self.has_requests = true;
        let name = path.and_then(Path::file_name).unwrap_or_default();
        let root = *self.root.get_or_insert_with(|| hash(&["file", &name.to_string_lossy()]));
        let counts = [total.unwrap_or_default().as_text(), used.as_text()];
        let key = hash(&["tokens", &root.to_string(), &counts[0], &counts[1]]);
        // Where copies keep their times, these tell them without a lineage.
        let time = at.timestamp_micros().to_string();
        let exact = hash(&["at", &time, &counts[0], &counts[1]]);
        let is_told = memory.seen.contains(&key) || memory.seen.contains(&exact);
        if self.is_copy(memory) || (self.is_copying && memory.copied.contains(&key)) {
            memory.copied.insert(key);
            return None;
        }
        memory.seen.extend([key, exact]);
        (!is_told).then_some(key)
    }

    /// Whether a call of a tool is new and this session's own.
    pub(super) fn call(&mut self, id: &str, memory: &Memory) -> bool {
        let key = hash(&["call", &self.root.unwrap_or_default().to_string(), id]);
        if self.is_copy(memory) || (!id.is_empty() && memory.seen.contains(&key)) {
            return false;
        }
        self.calls.insert(key);
        true
    }

    /// Notes that the session was read.
    pub(super) fn end(&mut self, memory: &mut Memory) {
        memory.seen.extend(self.calls.drain());
        memory.read.extend(self.own);
    }

    /// Whether what comes now was copied, as far as that cannot be told by comparing.
    fn is_copy(&self, memory: &Memory) -> bool {
        self.is_copying && self.parent.is_none_or(|parent| !memory.read.contains(&parent))
    }
}
