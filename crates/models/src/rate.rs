//! A share of a whole that never goes without its denominator.

use std::fmt;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// So many hits of so many cases.
///
/// ```
/// use taximeter_models::Rate;
///
/// let success = Rate { hits: 39, of: 40 };
/// assert_eq!(success.to_string(), "97.5 % (39 of 40)");
/// // Of nothing there is no share, and in particular not zero.
/// assert_eq!(Rate { hits: 0, of: 0 }.fraction(), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rate {
    /// The cases that count.
    pub hits: u64,
    /// All cases: the denominator.
    pub of: u64,
}

impl Rate {
    /// Counts one case.
    pub fn record(&mut self, hit: bool) {
        self.hits = self.hits.saturating_add(u64::from(hit));
        self.of = self.of.saturating_add(1);
    }

    /// The share, 0 to 1; none where there were no cases.
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
    pub fn fraction(self) -> Option<f64> {
        (self.of > 0).then(|| self.hits as f64 / self.of as f64)
    }

    /// The share in percent, 0 to 100; none where there were no cases.
    pub fn percent(self) -> Option<f64> {
        self.fraction().map(|share| share * 100.0)
    }

    /// The other cases: the failures of a success rate.
    pub fn complement(self) -> Self {
        Self { hits: self.of.saturating_sub(self.hits), of: self.of }
    }
}

impl AddAssign for Rate {
    fn add_assign(&mut self, other: Self) {
        self.hits = self.hits.saturating_add(other.hits);
        self.of = self.of.saturating_add(other.of);
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.percent() {
            Some(percent) => write!(f, "{percent:.1} % ({} of {})", self.hits, self.of),
            None => f.write_str("no cases"),
        }
    }
}
