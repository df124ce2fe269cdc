//! From where on a change is called one.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Thresholds, ThresholdsError};

/// From where on a change is called one.
///
/// ```
/// use taximeter_analysis::TrendConfig;
///
/// let mut config = TrendConfig::default();
/// assert_eq!((config.alpha, config.minimum_change_percent, config.minimum_points), (0.05, 5.0, 10));
/// config.alpha = 5.0;
/// assert!(config.check().unwrap_err().to_string().contains("0.05"));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TrendConfig {
    /// A change counts only where chance makes one as consistent less often than this, 0 to 1. Default: 0.05.
    pub alpha: f64,
    /// A change counts only where it is at least so many percent over the time observed. Default: 5.0.
    pub minimum_change_percent: f64,
    /// With fewer operations than this nothing is said; with fewer than three nothing can be. Default: 10.
    pub minimum_points: u64,
    /// The limits for the bottlenecks that a trend lists. Default: [`Thresholds::default`].
    pub thresholds: Thresholds,
}

/// A setting that cannot be.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum TrendConfigError {
    /// The level of significance is no probability.
    #[error(
        "trend setting alpha: {0} is not a probability; a number from 0 to 1 is expected (0.05 for 5 %)"
    )]
    Alpha(f64),
    /// The smallest change is no percentage.
    #[error(
        "trend setting minimum_change_percent: {0} is not a change; a finite number of percent, 0 or more, is expected"
    )]
    MinimumChange(f64),
    /// A threshold cannot be.
    #[error(transparent)]
    Thresholds(#[from] ThresholdsError),
}

impl Default for TrendConfig {
    fn default() -> Self {
        Self {
            alpha: 0.05,
            minimum_change_percent: 5.0,
            minimum_points: 10,
            thresholds: Thresholds::default(),
        }
    }
}

impl TrendConfig {
    /// Looks whether every setting can be meant.
    ///
    /// # Errors
    /// Names the first setting that is out of its range.
    pub fn check(&self) -> Result<(), TrendConfigError> {
        if !(0.0..=1.0).contains(&self.alpha) {
            return Err(TrendConfigError::Alpha(self.alpha));
        }
        if !(self.minimum_change_percent.is_finite() && self.minimum_change_percent >= 0.0) {
            return Err(TrendConfigError::MinimumChange(self.minimum_change_percent));
        }
        Ok(self.thresholds.check()?)
    }
}
