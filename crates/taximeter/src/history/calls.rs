//! How tools and LLMs did: a row for each, and each of them over time.

use chrono::{DateTime, Utc};
use serde::Serialize;
use taximeter_models::Name;
use taximeter_persistence::StoreError;

use super::over_time::level;
use super::report::RECORDS;
use super::{By, History, LlmRow, LookedAt, Period, ToolRow, tables, windows};

/// How the tools did.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Tools {
    /// The period.
    #[serde(flatten)]
    pub period: Period,
    /// The operations that were looked at for what failures came to.
    pub looked_at: LookedAt,
    /// A row for each tool, the one that takes the most time first.
    pub by_tool: Vec<ToolRow>,
    /// How long a step is.
    pub step: By,
    /// Each tool step by step, where it was called.
    pub over_time: Vec<ToolStretch>,
}

/// The calls of one tool in one stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ToolStretch {
    /// When it begins.
    pub start: DateTime<Utc>,
    /// The tool.
    pub tool: Name,
    /// The calls.
    pub calls: u64,
    /// Those of them that did not succeed.
    pub failed: u64,
    /// Half of the calls did not take longer, in seconds; none where none told.
    pub p50_seconds: Option<f64>,
    /// 95 % did not.
    pub p95_seconds: Option<f64>,
}

impl History {
    /// How the tools did in a period.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn tools(&self, period: Period) -> Result<Tools, StoreError> {
        let period = self.whole(self.bounded(period)?);
        let (records, looked_at) = self.records(period.query(), RECORDS)?;
        let step = level(period).max(self.reach()?.finest(period));
        let tools = self.sums(windows::TOOL, period, None)?;
        let sums = self.sums(windows::TOOL, period, Some(step))?;
        let stretch = |one: super::Summed| {
            let took = one.sums.nanos.distribution(1e-9);
            Some(ToolStretch {
                start: one.start?,
                tool: one.key.unwrap_or_else(|| "unknown".into()),
                calls: one.sums.success.of,
                failed: one.sums.success.complement().hits,
                p50_seconds: took.map(|took| took.p50),
                p95_seconds: took.map(|took| took.p95),
            })
        };
        Ok(Tools {
            period,
            looked_at,
            by_tool: tables::tool_rows(&tools, &self.all(period)?, &records),
            step: By::Time(step),
            over_time: sums.into_iter().filter_map(stretch).collect(),
        })
    }

    /// How the LLMs did in a period, the dearest first.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn llms(&self, period: Period) -> Result<Vec<LlmRow>, StoreError> {
        Ok(tables::llm_rows(&self.sums(windows::LLM, self.whole(period), None)?))
    }
}
