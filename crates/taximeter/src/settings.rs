//! The settings of a meter: defaults, then `taximeter.toml`, then the environment; each knows where it comes from.

mod keep;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use config::{Config, File, FileFormat, Map, Source, Value, ValueKind};
use serde::Deserialize;
use taximeter_analysis::Thresholds;
use taximeter_collector::{Limits, Redaction};
use taximeter_persistence::store::Durability;
use thiserror::Error;

pub use self::keep::KeepSettings;

/// The settings of a [`Meter`](crate::Meter).
///
/// | Key | In the environment | Default |
/// |---|---|---|
/// | `enabled` | `TAXIMETER_ENABLED`, `ENABLE_METRICS` | `true` |
/// | `persistence` | `TAXIMETER_PERSISTENCE`, `ENABLE_METRICS_PERSISTENCE` | `true` |
/// | `session_id` | `TAXIMETER_SESSION_ID`, `METRICS_SESSION_ID` | made anew for each run |
/// | `data_dir` | `TAXIMETER_DATA_DIR` | `data/metrics` |
/// | `store` | `TAXIMETER_STORE` | none for a meter; for who asks, the file `taximeter.db` in `data_dir` |
/// | `durability` | `TAXIMETER_DURABILITY` | `os`: what is stored survives the process; or `fsync`: the power, too |
/// | `keep.operations` | `TAXIMETER_KEEP_OPERATIONS` | `forever`; or a time such as `90d`, counted from their beginning |
/// | `keep.bytes` | `TAXIMETER_KEEP_BYTES` | `all`; or a size such as `10GB`, above which the oldest operations go |
/// | `keep.minutes`, `keep.hours`, `keep.days` | `TAXIMETER_KEEP_MINUTES` and so on | `3d`, `100d`, `forever`: the sums |
/// | `recent_operations` | `TAXIMETER_RECENT_OPERATIONS` | 50,000 |
/// | `queued_records` | `TAXIMETER_QUEUED_RECORDS` | 262,144 |
/// | `queued_bytes` | `TAXIMETER_QUEUED_BYTES` | 67,108,864 |
/// | `pricing.book` | `TAXIMETER_PRICING_BOOK` | the embedded price book |
/// | `pricing.overrides` | `TAXIMETER_PRICING_OVERRIDES` | none |
/// | `pricing.reload_seconds` | `TAXIMETER_PRICING_RELOAD_SECONDS` | 5; 0 is never |
/// | `redaction.mask_secrets` | `TAXIMETER_REDACTION_MASK_SECRETS` | `true` |
/// | `redaction.capture_content` | `TAXIMETER_REDACTION_CAPTURE_CONTENT` | `false` |
/// | `thresholds` (a table) | | those of [`Thresholds`] |
///
/// The file is `taximeter.toml` in the working directory, or the one that `TAXIMETER_CONFIG` names. Where both names
/// of a variable are set, the first one counts; an empty variable is as good as none.
///
/// ```
/// use taximeter::{Origin, Settings};
///
/// let environment = [("ENABLE_METRICS".to_owned(), "false".to_owned())];
/// let settings = Settings::read(None, environment)?;
/// assert!(!settings.enabled);
/// assert_eq!(settings.origin("enabled"), Origin::Environment("ENABLE_METRICS".into()));
///
/// let wrong = Settings::read(None, [("TAXIMETER_ENABLED".to_owned(), "maybe".to_owned())]);
/// let error = wrong.expect_err("maybe is no boolean").to_string();
/// assert!(error.contains("`enabled`") && error.contains("TAXIMETER_ENABLED"), "{error}");
/// # Ok::<(), taximeter::SettingsError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// Whether anything is metered at all.
    pub enabled: bool,
    /// Whether sessions may be saved.
    pub persistence: bool,
    /// The id of the session; none means that one is made.
    pub session_id: Option<String>,
    /// Where session files go.
    pub data_dir: PathBuf,
    /// The store: its file, or the folder that it is in. None means that a meter stores nothing, and that who asks looks
    /// in `data_dir`.
    pub store: Option<PathBuf>,
    /// What is safe when the store has taken it.
    pub durability: Durability,
    /// How long what is stored is kept.
    pub keep: KeepSettings,
    /// How many finished operations are kept in memory in full; totals hold all.
    pub recent_operations: usize,
    /// How many ended operations may wait for the worker.
    pub queued_records: usize,
    /// How many bytes they may hold.
    pub queued_bytes: usize,
    /// Where prices come from.
    pub pricing: PricingSettings,
    /// What is masked and left out before anything is kept.
    pub redaction: RedactionSettings,
    /// What stands out in an analysis.
    pub thresholds: Thresholds,
    origins: BTreeMap<&'static str, Origin>,
}

/// Where prices come from; a path that is not absolute starts in the working directory. See [`LiveBook`].
///
/// [`LiveBook`]: crate::pricing::LiveBook
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PricingSettings {
    /// A file with a price book that replaces the embedded one, in TOML or JSON.
    pub book: Option<PathBuf>,
    /// A file with prices of one's own that lie over the book, in TOML or JSON.
    pub overrides: Option<PathBuf>,
    /// How many seconds go by before the files are looked at again; 0 for never.
    pub reload_seconds: u64,
}

/// What is masked and left out before anything is kept; see [`Redaction`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedactionSettings {
    /// Whether keys, tokens and passwords are masked.
    pub mask_secrets: bool,
    /// Whether metadata is kept that holds what people and LLMs said.
    pub capture_content: bool,
}

impl Default for RedactionSettings {
    fn default() -> Self {
        Self { mask_secrets: true, capture_content: false }
    }
}

impl Default for PricingSettings {
    fn default() -> Self {
        Self { book: None, overrides: None, reload_seconds: 5 }
    }
}

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Origin {
    /// Nobody set it.
    #[default]
    Default,
    /// This file.
    File(PathBuf),
    /// This environment variable.
    Environment(String),
    /// The program itself.
    Program,
}

/// A setting that cannot be.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("reading the settings in {path}: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A value is not of the kind that its key asks for.
    #[error("the setting `{key}` from {origin} is wrong: {why}")]
    Value {
        /// The key.
        key: String,
        /// Where it comes from.
        origin: Origin,
        /// What is wrong.
        why: String,
    },
    /// There is no such setting.
    #[error("the setting `{key}` from {origin} is not known; the known ones are {}", KEYS.join(", "))]
    UnknownKey {
        /// The key.
        key: String,
        /// Where it comes from.
        origin: Origin,
    },
}

/// Every key, in the order of the documentation.
const KEYS: [&str; 20] = [
    "enabled",
    "persistence",
    "session_id",
    "data_dir",
    "store",
    "durability",
    "keep.operations",
    "keep.bytes",
    "keep.minutes",
    "keep.hours",
    "keep.days",
    "recent_operations",
    "queued_records",
    "queued_bytes",
    "pricing.book",
    "pricing.overrides",
    "pricing.reload_seconds",
    "redaction.mask_secrets",
    "redaction.capture_content",
    "thresholds",
];

/// The variables of the environment and the key that each sets; of one key, the first that is set counts.
const VARIABLES: [(&str, &str); 22] = [
    ("TAXIMETER_ENABLED", "enabled"),
    ("ENABLE_METRICS", "enabled"),
    ("TAXIMETER_PERSISTENCE", "persistence"),
    ("ENABLE_METRICS_PERSISTENCE", "persistence"),
    ("TAXIMETER_SESSION_ID", "session_id"),
    ("METRICS_SESSION_ID", "session_id"),
    ("TAXIMETER_DATA_DIR", "data_dir"),
    ("TAXIMETER_STORE", "store"),
    ("TAXIMETER_DURABILITY", "durability"),
    ("TAXIMETER_KEEP_OPERATIONS", "keep.operations"),
    ("TAXIMETER_KEEP_BYTES", "keep.bytes"),
    ("TAXIMETER_KEEP_MINUTES", "keep.minutes"),
    ("TAXIMETER_KEEP_HOURS", "keep.hours"),
    ("TAXIMETER_KEEP_DAYS", "keep.days"),
    ("TAXIMETER_RECENT_OPERATIONS", "recent_operations"),
    ("TAXIMETER_QUEUED_RECORDS", "queued_records"),
    ("TAXIMETER_QUEUED_BYTES", "queued_bytes"),
    ("TAXIMETER_PRICING_BOOK", "pricing.book"),
    ("TAXIMETER_PRICING_OVERRIDES", "pricing.overrides"),
    ("TAXIMETER_PRICING_RELOAD_SECONDS", "pricing.reload_seconds"),
    ("TAXIMETER_REDACTION_MASK_SECRETS", "redaction.mask_secrets"),
    ("TAXIMETER_REDACTION_CAPTURE_CONTENT", "redaction.capture_content"),
];

const FILE_VARIABLE: &str = "TAXIMETER_CONFIG";
const DEFAULT_FILE: &str = "taximeter.toml";

impl Default for Settings {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            enabled: true,
            persistence: true,
            session_id: None,
            data_dir: PathBuf::from("data/metrics"),
            store: None,
            durability: Durability::default(),
            keep: KeepSettings::default(),
            recent_operations: 50_000,
            queued_records: limits.queued_records,
            queued_bytes: limits.queued_bytes,
            pricing: PricingSettings::default(),
            redaction: RedactionSettings::default(),
            thresholds: Thresholds::default(),
            origins: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// The settings of this process: defaults, file, environment.
    ///
    /// # Errors
    /// Where the file cannot be read, a key is not known or a value is wrong; the error names the source and the key.
    pub fn load() -> Result<Self, SettingsError> {
        let named =
            std::env::var_os(FILE_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        let file = named.or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()));
        // A variable whose name or value is no Unicode cannot be one of ours, or is wrong in a way worth hearing of.
        let environment = std::env::vars_os().map(|(name, value)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
        });
        Self::read(file.as_deref(), environment)
    }

    /// The settings from this file, if any, and these variables.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn read(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let mut layers = Config::builder();
        if let Some(path) = file {
            layers = layers.add_source(File::from(path).format(FileFormat::Toml).required(true));
        }
        let merged = layers.add_source(Environment(environment.into_iter().collect())).build();
        let values =
            merged.and_then(|merged| merged.collect()).map_err(|why| SettingsError::File {
                path: file.unwrap_or(Path::new(DEFAULT_FILE)).to_owned(),
                why: why.to_string(),
            })?;
        Self::from_values(values)
    }

    fn from_values(values: Map<String, Value>) -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        for (key, value) in flat(values) {
            let origin = origin_of(&value);
            let Some(known) = KEYS.into_iter().find(|known| *known == key) else {
                return Err(SettingsError::UnknownKey { key, origin });
            };
            settings.put(known, value).map_err(|why| SettingsError::Value {
                key,
                origin: origin.clone(),
                why,
            })?;
            settings.origins.insert(known, origin);
        }
        Ok(settings)
    }

    fn put(&mut self, key: &str, value: Value) -> Result<(), String> {
        match key {
            "enabled" => self.enabled = boolean(value)?,
            "persistence" => self.persistence = boolean(value)?,
            "session_id" => self.session_id = Some(typed(value)?),
            "data_dir" => self.data_dir = typed(value)?,
            "store" => self.store = Some(typed(value)?),
            "durability" => self.durability = typed(value)?,
            "keep.bytes" => self.keep.bytes = keep::size(&value)?,
            "keep.operations" => self.keep.operations = keep::time(value)?,
            "keep.minutes" => self.keep.minutes = keep::time(value)?,
            "keep.hours" => self.keep.hours = keep::time(value)?,
            "keep.days" => self.keep.days = keep::time(value)?,
            "recent_operations" => self.recent_operations = typed(value)?,
            "queued_records" => self.queued_records = typed(value)?,
            "queued_bytes" => self.queued_bytes = typed(value)?,
            "pricing.book" => self.pricing.book = Some(typed(value)?),
            "pricing.overrides" => self.pricing.overrides = Some(typed(value)?),
            "pricing.reload_seconds" => self.pricing.reload_seconds = typed(value)?,
            "redaction.mask_secrets" => self.redaction.mask_secrets = boolean(value)?,
            "redaction.capture_content" => self.redaction.capture_content = boolean(value)?,
            _ => {
                let thresholds: Thresholds = typed(value)?;
                thresholds.check().map_err(|error| error.to_string())?;
                self.thresholds = thresholds;
            }
        }
        Ok(())
    }

    /// Where the store is: the setting `store`, or else `data_dir`.
    pub fn store_path(&self) -> PathBuf {
        self.store.clone().unwrap_or_else(|| self.data_dir.clone())
    }

    /// Where the setting of that key comes from.
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or_default()
    }

    /// Every setting as text, with its key and where it comes from.
    pub fn in_force(&self) -> Vec<(&'static str, String, Origin)> {
        let path = |path: &Option<PathBuf>, none: &str| {
            path.as_ref().map_or_else(|| none.to_owned(), |path| path.display().to_string())
        };
        let text = |key| match key {
            "enabled" => self.enabled.to_string(),
            "persistence" => self.persistence.to_string(),
            "session_id" => self.session_id.clone().unwrap_or_else(|| "(made anew)".into()),
            "data_dir" => self.data_dir.display().to_string(),
            "store" => path(&self.store, "(none)"),
            "durability" => format!("{:?}", self.durability).to_lowercase(),
            "keep.bytes" => self.keep.bytes.map_or_else(|| "all".into(), |most| most.to_string()),
            "keep.operations" => keep::shown(self.keep.operations),
            "keep.minutes" => keep::shown(self.keep.minutes),
            "keep.hours" => keep::shown(self.keep.hours),
            "keep.days" => keep::shown(self.keep.days),
            "recent_operations" => self.recent_operations.to_string(),
            "queued_records" => self.queued_records.to_string(),
            "queued_bytes" => self.queued_bytes.to_string(),
            "pricing.book" => path(&self.pricing.book, "(embedded)"),
            "pricing.overrides" => path(&self.pricing.overrides, "(none)"),
            "pricing.reload_seconds" => self.pricing.reload_seconds.to_string(),
            "redaction.mask_secrets" => self.redaction.mask_secrets.to_string(),
            "redaction.capture_content" => self.redaction.capture_content.to_string(),
            _ => serde_json::to_string(&self.thresholds).unwrap_or_default(),
        };
        KEYS.into_iter().map(|key| (key, text(key), self.origin(key))).collect()
    }

    pub(crate) fn set_by_program(&mut self, key: &'static str) {
        self.origins.insert(key, Origin::Program);
    }

    pub(crate) fn redaction(&self) -> Redaction {
        Redaction::default()
            .mask_secrets(self.redaction.mask_secrets)
            .capture_content(self.redaction.capture_content)
    }

    pub(crate) fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        limits.queued_records = self.queued_records;
        limits.queued_bytes = self.queued_bytes;
        limits
    }
}

/// The tables whose keys are settings of their own.
const TABLES: [&str; 3] = ["keep", "pricing", "redaction"];

/// The values by their keys; those of a table by its name, a point, and their keys in it.
fn flat(values: Map<String, Value>) -> Vec<(String, Value)> {
    let mut flat = Vec::with_capacity(values.len());
    for (key, value) in values {
        match value.kind {
            ValueKind::Table(table) if TABLES.contains(&key.as_str()) => {
                flat.extend(
                    table.into_iter().map(|(inner, value)| (format!("{key}.{inner}"), value)),
                );
            }
            _ => flat.push((key, value)),
        }
    }
    flat
}

fn typed<'de, T: Deserialize<'de>>(value: Value) -> Result<T, String> {
    // The message of the error alone: key and origin stand beside it already.
    let plain = Value::new(None, value.kind);
    plain.try_deserialize().map_err(|error| error.to_string())
}

/// Only what is clearly one of the two is a boolean; a number is none.
fn boolean(value: Value) -> Result<bool, String> {
    match &value.kind {
        ValueKind::Boolean(_) | ValueKind::String(_) => {
            Value::new(None, value.kind).into_bool().map_err(|error| error.to_string())
        }
        other => Err(format!("true or false expected, not {other}")),
    }
}

const ENVIRONMENT: &str = "environment variable ";

fn origin_of(value: &Value) -> Origin {
    match value.origin() {
        Some(text) => match text.strip_prefix(ENVIRONMENT) {
            Some(variable) => Origin::Environment(variable.into()),
            None => Origin::File(text.into()),
        },
        // A table has no origin of its own, but its values do.
        None => match &value.kind {
            ValueKind::Table(table) => table.values().next().map(origin_of).unwrap_or_default(),
            _ => Origin::Default,
        },
    }
}

/// The environment as a source of the `config` crate, which names the variable as the origin of each value.
#[derive(Debug, Clone)]
struct Environment(BTreeMap<String, String>);

impl Source for Environment {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        let mut values = Map::new();
        for (variable, key) in VARIABLES.into_iter().rev() {
            if let Some(text) = self.0.get(variable).filter(|text| !text.is_empty()) {
                let origin = format!("{ENVIRONMENT}{variable}");
                values.insert(key.to_owned(), Value::new(Some(&origin), text.as_str()));
            }
        }
        Ok(values)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the defaults"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(variable) => write!(f, "the environment variable {variable}"),
            Self::Program => f.write_str("the program"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(toml: &str, environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        file.write_all(toml.as_bytes()).unwrap();
        let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Settings::read(Some(file.path()), environment.collect::<Vec<_>>())
    }

    #[test]
    fn the_environment_wins_over_the_file_and_ours_over_the_originals() {
        let toml = "enabled = false\ndata_dir = 'here'\nrecent_operations = 7\n[thresholds]\nerror_rate = 0.2\n";
        let settings = read(
            toml,
            &[
                ("ENABLE_METRICS", "false"),
                ("TAXIMETER_ENABLED", "yes"),
                ("METRICS_SESSION_ID", "s"),
            ],
        )
        .unwrap();
        assert!(settings.enabled);
        assert_eq!(settings.origin("enabled"), Origin::Environment("TAXIMETER_ENABLED".into()));
        assert_eq!(settings.session_id.as_deref(), Some("s"));
        assert_eq!((settings.data_dir.to_str(), settings.recent_operations), (Some("here"), 7));
        assert!(matches!(settings.origin("data_dir"), Origin::File(_)));
        assert!(matches!(settings.origin("thresholds"), Origin::File(_)));
        assert_eq!(settings.origin("persistence"), Origin::Default);
        assert_eq!(settings.in_force().len(), KEYS.len());
    }

    #[test]
    fn prices_are_a_table_in_the_file_and_variables_in_the_environment() {
        let toml = "[pricing]\nbook = 'book.json'\nreload_seconds = 0\n";
        let settings = read(toml, &[("TAXIMETER_PRICING_OVERRIDES", "mine.toml")]).unwrap();
        assert_eq!(settings.pricing.book.as_deref(), Some(Path::new("book.json")));
        assert_eq!(settings.pricing.overrides.as_deref(), Some(Path::new("mine.toml")));
        assert_eq!(settings.pricing.reload_seconds, 0);
        assert!(matches!(settings.origin("pricing.book"), Origin::File(_)));
        let variable = Origin::Environment("TAXIMETER_PRICING_OVERRIDES".into());
        assert_eq!(settings.origin("pricing.overrides"), variable);
    }

    #[test]
    fn redaction_is_a_table_too() {
        let content = ("TAXIMETER_REDACTION_CAPTURE_CONTENT", "true");
        let settings = read("[redaction]\nmask_secrets = false", &[content]).unwrap();
        let expected = RedactionSettings { mask_secrets: false, capture_content: true };
        assert_eq!(settings.redaction, expected);
        assert_ne!(Settings::default().redaction, expected);
    }

    #[test]
    fn a_wrong_value_names_its_source_and_its_key() {
        for (toml, environment, parts) in [
            (
                "",
                &[("ENABLE_METRICS_PERSISTENCE", "perhaps")][..],
                &["`persistence`", "ENABLE_METRICS_PERSISTENCE"][..],
            ),
            ("recent_operations = -1", &[], &["`recent_operations`", ".toml"]),
            ("enabled = 3", &[], &["`enabled`", "true or false"]),
            ("enalbed = true", &[], &["`enalbed`", "not known", "enabled"]),
            ("[thresholds]\nerror_rate = -1.0", &[], &["`thresholds`", ".toml"]),
            ("pricing = 3", &[], &["`pricing`", "pricing.overrides"]),
            ("[pricing]\noverride = 'x'", &[], &["`pricing.override`", ".toml", "not known"]),
            (
                "",
                &[("TAXIMETER_PRICING_RELOAD_SECONDS", "soon")],
                &["`pricing.reload_seconds`", "TAXIMETER_PRICING_RELOAD_SECONDS"],
            ),
            ("enabled = ", &[], &["reading the settings", ".toml"]),
        ] {
            let error = read(toml, environment).expect_err(toml).to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_asked_for_must_be_there() {
        let missing = Settings::read(Some(Path::new("/nowhere/taximeter.toml")), []);
        assert!(matches!(missing, Err(SettingsError::File { .. })));
    }

    #[test]
    fn an_empty_variable_is_none() {
        assert_eq!(read("", &[("METRICS_SESSION_ID", "")]).unwrap(), Settings::default());
    }
}
