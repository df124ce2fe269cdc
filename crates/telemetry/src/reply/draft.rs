//! What is known of a reply so far, event by event; a whole reply is one event.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use taximeter_models::{ErrorRecord, LlmCall, Name, ReportedCost, Unit, UsageBuilder, UsageError};

use super::part::{self, Part};
use super::{Dialect, Reply, ServerTimes, ToolRequest, anthropic, bedrock, error, gemini, ollama};
use super::{openai, responses};

/// What is known of a reply so far.
#[derive(Debug, Default)]
pub(super) struct Draft {
    dialect: Dialect,
    /// The reports of the usage, laid one over the other.
    usage: Map<String, Value>,
    pub(super) id: Option<Name>,
    pub(super) model: Option<Name>,
    pub(super) finish_reason: Option<Name>,
    pub(super) service_tier: Option<Name>,
    /// What the LLM asked for, by the place in the reply at which it stands.
    items: BTreeMap<(u64, u64), Item>,
    pub(super) makes: Makes,
    pub(super) times: ServerTimes,
    pub(super) error: Option<ErrorRecord>,
    /// What the last event held.
    pub(super) made: Made,
    pub(super) stage: Stage,
}

/// What an event holds of what the LLM made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Made {
    #[default]
    Nothing,
    /// Reasoning, a part of a tool call, something declined.
    Token,
    /// Text of the answer.
    Content,
}

/// How far a reply has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Stage {
    #[default]
    Open,
    /// The LLM came to its end; its usage may follow.
    Finished,
    /// Nothing more can come.
    Closed,
}

/// What an LLM made, where its usage does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Makes {
    /// Text, or what the usage says.
    #[default]
    Text,
    /// Images and nothing else.
    Images,
    /// Vectors, of which no tokens come out.
    Vectors,
}

/// Something that the LLM asked for.
#[derive(Debug)]
pub(super) enum Item {
    /// A tool of the caller's.
    Tool(ToolRequest),
    /// A search of the web, made by the provider.
    WebSearch,
    /// A search of a store of files, made by the provider.
    StorageSearch,
}

/// A usage as it is counted, or why it cannot be.
pub(super) type Counted = Result<Option<UsageBuilder>, UsageError>;

/// What the reports of a usage come to.
#[derive(Debug)]
pub(super) struct Summary {
    /// None where the reports do not say enough.
    pub(super) usage: Counted,
    pub(super) unexplained: u64,
    pub(super) cost: Option<ReportedCost>,
    pub(super) service_tier: Option<Name>,
    pub(super) served_as: BTreeMap<Name, Name>,
    pub(super) also: Vec<LlmCall>,
}

/// A reply that asks for more is made to fill the memory.
const MOST_ITEMS: usize = 128;

impl Draft {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { dialect, ..Self::default() }
    }

    /// Takes in the next event.
    pub(super) fn add(&mut self, event: &Value) {
        self.made = Made::Nothing;
        if self.dialect == Dialect::Unknown {
            self.dialect = Dialect::of(event);
        }
        let part = Part::of(event);
        match self.dialect {
            Dialect::OpenAi if responses::speaks(part) => responses::add(self, part),
            Dialect::OpenAi => openai::add(self, part),
            Dialect::Anthropic => anthropic::add(self, part),
            Dialect::Gemini => gemini::add(self, part),
            Dialect::Bedrock => bedrock::add(self, part),
            Dialect::Ollama => ollama::add(self, part),
            Dialect::Unknown => {}
        }
        if let Some(error) = error::said(part) {
            self.error.get_or_insert(error);
        }
    }

    /// The event holds this, if that is so; the most that it holds counts.
    pub(super) fn made(&mut self, made: Made, is_so: bool) {
        if is_so {
            self.made = self.made.max(made);
        }
    }

    /// The reply has come so far, if that is so; it never goes back.
    pub(super) fn reached(&mut self, stage: Stage, is_so: bool) {
        if is_so {
            self.stage = self.stage.max(stage);
        }
    }

    /// Lays a later report of the usage over the earlier ones.
    pub(super) fn report(&mut self, usage: Part<'_>) {
        if let Some(usage) = usage.value() {
            part::merge(&mut self.usage, usage);
        }
    }

    /// As [`report`](Self::report), for counts that stand among other things: content is not kept.
    pub(super) fn report_fields(&mut self, holder: Part<'_>, fields: &[&str]) {
        let found = fields
            .iter()
            .filter_map(|field| Some(((*field).to_owned(), holder.at(field).value()?.clone())));
        let found = Value::Object(found.collect());
        part::merge(&mut self.usage, &found);
    }

    /// Takes in what stands at that place of the reply; the same place counts once, however often it is told.
    pub(super) fn item(&mut self, place: (u64, u64), item: Item) {
        if self.items.len() < MOST_ITEMS || self.items.contains_key(&place) {
            self.items.entry(place).or_insert(item);
        }
    }

    /// As [`item`](Self::item), for a tool of the caller's; without a name there is nothing to tell.
    pub(super) fn tool(&mut self, place: (u64, u64), name: Part<'_>, id: Part<'_>) {
        if let Some(name) = name.name() {
            self.item(place, Item::Tool(ToolRequest::new(name, id.name())));
        }
    }

    /// The next free place within a part of the reply, for those who do not number their tools.
    pub(super) fn next_in(&self, part: u64) -> u64 {
        let last = self.items.range((part, 0)..=(part, u64::MAX)).next_back();
        last.map_or(0, |((_, place), _)| place.saturating_add(1))
    }

    pub(super) fn finish(self) -> Reply {
        let summary = self.summary();
        let searches = |of: fn(&Item) -> bool| self.items.values().filter(|item| of(item)).count();
        let web = searches(|item| matches!(item, Item::WebSearch)) as u64;
        let storage = searches(|item| matches!(item, Item::StorageSearch)) as u64;
        let usage = summary.usage.transpose().map(|counted| {
            let usage = counted?;
            usage.unit(Unit::WebSearch, web).unit(Unit::StorageSearch, storage).build()
        });
        let tools = self.items.into_values().filter_map(|item| match item {
            Item::Tool(tool) => Some(tool),
            Item::WebSearch | Item::StorageSearch => None,
        });
        Reply {
            dialect: self.dialect,
            id: self.id,
            model: self.model,
            finish_reason: self.finish_reason,
            service_tier: self.service_tier.or(summary.service_tier),
            served_as: summary.served_as,
            usage,
            unexplained_tokens: summary.unexplained,
            cost: summary.cost,
            tools: tools.collect(),
            also: summary.also,
            times: self.times,
            error: self.error,
        }
    }

    fn summary(&self) -> Summary {
        let usage = Value::Object(self.usage.clone());
        let usage = Part::of(&usage);
        match self.dialect {
            Dialect::OpenAi => openai::summary(usage, self.makes),
            Dialect::Anthropic => anthropic::summary(usage),
            Dialect::Gemini => gemini::summary(usage),
            Dialect::Bedrock => bedrock::summary(usage),
            Dialect::Ollama => ollama::summary(usage, self.makes),
            Dialect::Unknown => Summary::of(Ok(None)),
        }
    }
}

impl Summary {
    pub(super) const fn of(usage: Counted) -> Self {
        Self {
            usage,
            unexplained: 0,
            cost: None,
            service_tier: None,
            served_as: BTreeMap::new(),
            also: Vec::new(),
        }
    }
}

/// Keeps the later of two names, if there is a later one.
pub(super) fn newer(kept: &mut Option<Name>, later: Part<'_>) {
    if let Some(later) = later.name() {
        *kept = Some(later);
    }
}

/// What the total of a reply has above the sum of its parts.
pub(super) fn above(total: Option<u64>, parts: &[u64]) -> u64 {
    let sum = parts.iter().fold(0_u64, |sum, part| sum.saturating_add(*part));
    total.map_or(0, |total| total.saturating_sub(sum))
}
