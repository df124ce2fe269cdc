//! Kinds of operations: those of one name that ended alike, and in which the same LLMs, tools and components ran.

use std::collections::HashMap;

use taximeter_persistence::store::{Block, Column};

use super::cells::{Names, Places};

/// What the operations of a kind have in common, by places of names; of LLMs those of provider and LLM together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    pub(super) name: usize,
    /// How they ended; none where that does not tell them apart.
    pub(super) outcome: Option<usize>,
    /// Each in rising order, and once.
    pub(super) llms: Vec<usize>,
    pub(super) tools: Vec<usize>,
    pub(super) components: Vec<usize>,
}

/// The kinds that there are.
#[derive(Debug)]
pub(super) struct Kinds {
    known: HashMap<Kind, usize>,
    list: Vec<Kind>,
    /// More are too many.
    most: usize,
    by_outcome: bool,
}

impl Kinds {
    /// So many at most, told apart by their outcomes too or not.
    pub(super) fn at_most(most: usize, by_outcome: bool) -> Self {
        Self { known: HashMap::new(), list: Vec::new(), most, by_outcome }
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    pub(super) fn are_too_many(&self) -> bool {
        self.list.len() > self.most
    }

    pub(super) fn list(&self) -> &[Kind] {
        &self.list
    }

    /// The place of the kind of each operation, from their names, their outcomes and the tables of their parts.
    pub(super) fn of(
        &mut self,
        operations: &[usize],
        outcomes: &[usize],
        [llms, tools, components]: [&Parts<'_>; 3],
    ) -> Vec<usize> {
        let (mut kind, mut from) = (Kind::default(), [0; 3]);
        let mut kinds = Vec::with_capacity(operations.len());
        for (owner, (name, outcome)) in (0_u64..).zip(operations.iter().zip(outcomes)) {
            kind.name = *name;
            kind.outcome = self.by_outcome.then_some(*outcome);
            let sets = [&mut kind.llms, &mut kind.tools, &mut kind.components];
            for ((set, parts), from) in
                sets.into_iter().zip([llms, tools, components]).zip(&mut from)
            {
                parts.take(owner, from, set);
            }
            kinds.push(self.place(&kind));
        }
        kinds
    }

    fn place(&mut self, kind: &Kind) -> usize {
        if let Some(place) = self.known.get(kind) {
            return *place;
        }
        self.known.insert(kind.clone(), self.list.len());
        self.list.push(kind.clone());
        self.list.len() - 1
    }
}

/// The parts of operations: whose each is, in rising order, and the place of what it is.
#[derive(Debug)]
pub(super) struct Parts<'b> {
    owners: &'b [u64],
    places: Vec<usize>,
}

impl<'b> Parts<'b> {
    /// Tools or components, by their names.
    pub(super) fn named(block: &Block<'b>, names: &mut Names) -> Self {
        let owners = block.numbers(&Column::Owner).unwrap_or_default();
        Self { owners, places: names.rows(block.texts(&Column::Name), block.rows()) }
    }

    /// LLMs, by provider and name.
    pub(super) fn llms(
        block: &Block<'b>,
        names: &mut Names,
        pairs: &mut Places<(usize, usize)>,
    ) -> Self {
        let by_name = Self::named(block, names);
        let providers = names.rows(block.texts(&Column::Provider), block.rows());
        let pair = |(provider, name)| pairs.of((provider, name));
        let places = providers.into_iter().zip(by_name.places).map(pair).collect();
        Self { owners: by_name.owners, places }
    }

    /// Puts what an operation has into a set. Those of the operations before were taken already.
    fn take(&self, owner: u64, from: &mut usize, set: &mut Vec<usize>) {
        set.clear();
        while self.owners.get(*from) == Some(&owner) {
            set.push(self.places[*from]);
            *from += 1;
        }
        set.sort_unstable();
        set.dedup();
    }
}
