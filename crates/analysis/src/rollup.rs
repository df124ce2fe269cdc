//! The sums of a batch of operations, for each dimension and each key in it: what a store keeps of every minute.

use serde::{Deserialize, Serialize};
use taximeter_models::{Name, OperationRecord};
use thiserror::Error;

use crate::groups::{Dimension, Keys};
use crate::sums::Sums;

/// The key under which those stand together that are too many for keys of their own. Names that a collector has no room for
/// stand under the same.
pub const OTHER_KEY: &str = "_other";

/// By what operations are summed up, and how many keys are kept apart.
///
/// ```
/// use taximeter_analysis::RollupConfig;
///
/// let mut config = RollupConfig::default();
/// assert_eq!(config.most_keys, 256);
/// config.dimensions.push("tag:team".parse()?);
/// assert_eq!(config.check(), Ok(()));
/// config.dimensions.push("tag:team".parse()?);
/// assert!(config.check().unwrap_err().to_string().contains("tag:team stands there twice"));
/// # Ok::<(), taximeter_analysis::UnknownDimension>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RollupConfig {
    /// The dimensions. Default: all, operation, component, tool, provider, llm, user.
    pub dimensions: Vec<Dimension>,
    /// At most so many keys of a dimension have sums of their own, those with the most operations or calls; the others
    /// stand together under [`OTHER_KEY`]. Default: 256.
    pub most_keys: usize,
}

impl Default for RollupConfig {
    fn default() -> Self {
        let dimensions = vec![
            Dimension::All,
            Dimension::Operation,
            Dimension::Component,
            Dimension::Tool,
            Dimension::Provider,
            Dimension::Llm,
            Dimension::User,
        ];
        Self { dimensions, most_keys: 256 }
    }
}

/// A setting that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RollupConfigError {
    /// A dimension is named twice.
    #[error("rollup setting dimensions: {0} stands there twice; each is expected once")]
    Twice(Dimension),
    /// There is room for no key.
    #[error("rollup setting most_keys: 0 keys leave room for nothing; 1 or more are expected")]
    NoKeys,
}

impl RollupConfig {
    /// Looks whether every setting can be meant.
    ///
    /// # Errors
    /// Names the first setting that cannot be.
    pub fn check(&self) -> Result<(), RollupConfigError> {
        let twice = |(at, dimension): (usize, &Dimension)| {
            self.dimensions[..at].contains(dimension).then(|| dimension.clone())
        };
        if let Some(dimension) = self.dimensions.iter().enumerate().find_map(twice) {
            return Err(RollupConfigError::Twice(dimension));
        }
        (self.most_keys > 0).then_some(()).ok_or(RollupConfigError::NoKeys)
    }
}

/// The sums of one dimension.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Rollup {
    /// By what.
    pub dimension: Dimension,
    /// The sums of each key, by key; what has none comes first, and of all operations together there is but that.
    pub keys: Vec<(Option<Name>, Sums)>,
}

/// Sums up operations by several dimensions at once, one operation after the other.
///
/// ```
/// use taximeter_analysis::{RollupConfig, Rollups, Sums};
/// use taximeter_models::OperationRecord;
///
/// let mut rollups = Rollups::new(&RollupConfig::default());
/// for name in ["answer", "index", "answer"] {
///     rollups.add(&OperationRecord::new(name));
/// }
/// let found = rollups.finish();
/// assert_eq!((found[0].dimension.to_string().as_str(), found[0].keys[0].1.count()), ("all", 3));
/// let (answer, sums) = &found[1].keys[0];
/// assert_eq!((answer.as_deref(), sums.count()), (Some("answer"), 2));
///
/// // What is kept as bytes is read again, and merged with what comes later.
/// let mut merged = Sums::from_bytes(&sums.to_bytes())?;
/// merged.merge(sums);
/// assert_eq!(merged.count(), 4);
/// assert!(Sums::from_bytes(b"no sums").is_err());
/// # Ok::<(), taximeter_analysis::SumsError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Rollups {
    by: Vec<(Dimension, Keys)>,
    most_keys: usize,
    /// Whether operations are summed up by name. Those of all are not counted then, but follow from these at the end.
    all_follows: bool,
}

impl Rollups {
    /// Sums of nothing yet.
    pub fn new(config: &RollupConfig) -> Self {
        Self {
            by: config.dimensions.iter().map(|by| (by.clone(), Keys::default())).collect(),
            most_keys: config.most_keys.max(1),
            all_follows: config.dimensions.contains(&Dimension::Operation),
        }
    }

    /// Counts an operation, its components and its calls, in every dimension.
    pub fn add(&mut self, operation: &OperationRecord) {
        for (dimension, keys) in &mut self.by {
            if !(self.all_follows && matches!(dimension, Dimension::All)) {
                keys.add(dimension, operation);
            }
        }
    }

    /// The sums of each dimension, in the order in which they were named.
    pub fn finish(mut self) -> Vec<Rollup> {
        let place = |by| self.by.iter().position(|(own, _)| *own == by);
        if let Some((all, operations)) = place(Dimension::All).zip(place(Dimension::Operation)) {
            self.by[all].1 = Keys::unnamed(self.by[operations].1.sum());
        }
        let Self { by, most_keys, .. } = self;
        let rollup = |(dimension, keys): (Dimension, Keys)| {
            let mut rollup = Rollup { dimension, keys: keys.into_sorted() };
            rollup.limit(most_keys);
            rollup
        };
        by.into_iter().map(rollup).collect()
    }
}

impl Rollup {
    /// Leaves at most so many keys apart, those with the most operations or calls, and puts the others together under
    /// [`OTHER_KEY`]; what is there already goes with them. What has no key stays apart. No sum is changed by it but where it
    /// stands.
    ///
    /// ```
    /// use taximeter_analysis::{OTHER_KEY, RollupConfig, Rollups};
    /// use taximeter_models::OperationRecord;
    ///
    /// let mut config = RollupConfig::default();
    /// config.dimensions = vec!["user".parse()?];
    /// let mut rollups = Rollups::new(&config);
    /// for user in 0..1_000 {
    ///     let mut operation = OperationRecord::new("answer");
    ///     operation.user = Some(format!("user-{user}").into());
    ///     rollups.add(&operation);
    /// }
    /// let mut users = rollups.finish().remove(0);
    /// assert_eq!(users.keys.len(), 257);
    /// users.limit(1);
    /// let counts: Vec<_> = users.keys.iter().map(|(key, sums)| (key.as_deref(), sums.count())).collect();
    /// assert_eq!(counts, [(Some(OTHER_KEY), 999), (Some("user-0"), 1)]);
    /// # Ok::<(), taximeter_analysis::UnknownDimension>(())
    /// ```
    pub fn limit(&mut self, most_keys: usize) {
        let is_own =
            |(key, _): &(Option<Name>, Sums)| key.as_ref().is_some_and(|key| *key != *OTHER_KEY);
        if self.keys.iter().filter(|keyed| is_own(keyed)).count() <= most_keys {
            return;
        }
        let (mut own, mut kept): (Vec<_>, Vec<_>) = self.keys.drain(..).partition(is_own);
        own.sort_by(|(one, of_one), (other, of_other)| {
            of_other.count().cmp(&of_one.count()).then_with(|| one.cmp(other))
        });
        let mut others = Sums::default();
        for (_, sums) in own.drain(most_keys..) {
            others.merge(&sums);
        }
        match kept.iter_mut().find(|(key, _)| key.is_some()) {
            Some((_, sums)) => sums.merge(&others),
            None => kept.push((Some(OTHER_KEY.into()), others)),
        }
        kept.append(&mut own);
        kept.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.keys = kept;
    }
}
