//! Which replies were counted, and which turns sent out sub-agents: what is remembered across files.

use std::collections::HashMap;

use taximeter_models::{OperationId, TraceId};

use super::line::{Line, Message, is_sidechain};
use crate::import::id::hash;
use crate::import::json::some;

/// What is remembered across files.
#[derive(Default)]
pub(crate) struct Memory {
    /// Replies that were counted, by hashes of their ids, with their tokens.
    seen: HashMap<u64, u32>,
    /// The turns in which sub-agents were sent out, by the hash of the agent's id, with the agent's type.
    pub(super) agents: HashMap<u64, (OperationId, TraceId, Option<String>)>,
}

/// The ids of a reply. Anthropic's are unique; where there are none, the line's own is.
pub(super) struct Ids {
    pub(super) parts: [String; 2],
    pub(super) exact: u64,
    /// Of the reply alone: what a sub-agent replays has another request.
    alone: Option<u64>,
    pub(super) is_sidechain: bool,
}

impl Ids {
    pub(super) fn of(line: &Line<'_>, message: &Message<'_>) -> Self {
        let request = some(line.request_id.as_ref()).unwrap_or_default();
        let (id, request, alone) = match some(message.id.as_ref()) {
            Some(id) => (id, request, Some(hash(&["reply", id]))),
            None => ("", some(line.uuid.as_ref()).unwrap_or_default(), None),
        };
        Self {
            parts: [id.into(), request.into()],
            exact: hash(&["request", id, request]),
            alone,
            is_sidechain: is_sidechain(line),
        }
    }

    /// Under which hash a reply that a sub-agent had is found by its id alone.
    fn of_agent(&self) -> Option<u64> {
        self.alone.map(|alone| alone ^ 1)
    }
}

impl Memory {
    pub(super) fn remember(&mut self, ids: &Ids, tokens: u64) {
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        self.seen.insert(ids.exact, tokens);
        let other = if ids.is_sidechain { ids.of_agent() } else { None };
        for key in ids.alone.into_iter().chain(other) {
            self.seen.insert(key, tokens);
        }
    }

    /// The tokens with which a reply was counted, if it was. Between a sub-agent and its parent, the id of the reply
    /// tells that, whatever the request.
    pub(super) fn counted(&self, ids: &Ids) -> Option<u64> {
        let alone = if ids.is_sidechain { ids.alone } else { ids.of_agent() };
        let of_other = || self.seen.get(&alone?);
        self.seen.get(&ids.exact).or_else(of_other).copied().map(u64::from)
    }
}
