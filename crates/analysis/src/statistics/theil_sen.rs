//! A straight line through points that a few wild ones cannot bend.

use super::{Place, finite, in_order, median, out_of_order, settle_median, sorted_points};

/// With more points than this, [`theil_sen`] works on the medians of so many groups of them.
pub const MOST_THEIL_SEN_POINTS: usize = 300;

/// The line `y = intercept + slope × x`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct RobustLine {
    /// How much `y` changes with one unit of `x`.
    pub slope: f64,
    /// `y` where `x` is zero.
    pub intercept: f64,
}

/// The line of Theil and Sen through points `(x, y)`, in any order; none where fewer than two `x` differ, or where
/// a coordinate is not finite.
///
/// The slope is the median of the slopes of all pairs of points whose `x` differ; the intercept is the median of
/// `y − slope × x`. Up to 29 % of the points may be arbitrarily wrong before the line is.
///
/// All pairs of 100,000 points would be five thousand million. Above [`MOST_THEIL_SEN_POINTS`] points the slope is
/// taken through the medians of at most that many groups instead: the points are sorted by `x` and cut into groups
/// of equal count, and points of one `x` are never parted. That is deterministic, takes n log n time, and costs
/// little precision, since a median of many points scatters less than one of them.
///
/// Sources: H. Theil, "A rank-invariant method of linear and polynomial regression analysis", Proceedings of the
/// Royal Netherlands Academy of Sciences 53 (1950), pp. 386–392, 521–525, 1397–1412. P. K. Sen, "Estimates of the
/// regression coefficient based on Kendall's tau", Journal of the American Statistical Association 63 (1968),
/// pp. 1379–1389 (equal `x`).
///
/// ```
/// use taximeter_analysis::statistics::theil_sen;
///
/// let mut points: Vec<_> = (0..9).map(|at| (f64::from(at), 1.0 + 0.5 * f64::from(at))).collect();
/// points[4].1 = 1_000.0; // one that is wild
/// let line = theil_sen(&points).unwrap();
/// assert_eq!((line.slope, line.intercept), (0.5, 1.0));
/// ```
pub fn theil_sen(points: &[(f64, f64)]) -> Option<RobustLine> {
    TheilSen::of(points).map(|slopes| slopes.line())
}

/// Between which slopes the true one lies, with a confidence that `z` standard deviations give (1.96 for 95 %); none
/// where there is no line, or where so few points do not bound it.
///
/// The bounds are the slopes whose ranks lie `z √V` pairs apart around the median, with the variance V of Kendall's S,
/// corrected for ties (Sen 1968, section 6; R. O. Gilbert, "Statistical methods for environmental pollution
/// monitoring", 1987, section 16.4.2). `inflation` widens them for values that
/// [depend on those before them](super::variance_inflation). Above [`MOST_THEIL_SEN_POINTS`] points it is the interval
/// of the line through the medians of groups, which is a little wider than that of all points.
///
/// ```
/// use taximeter_analysis::statistics::{Z_95, theil_sen, theil_sen_interval};
///
/// let points: Vec<_> = (0..30).map(|at| (f64::from(at), f64::from(at) + f64::from(at * 7 % 5))).collect();
/// let (low, high) = theil_sen_interval(&points, Z_95, 1.0).unwrap();
/// let slope = theil_sen(&points).unwrap().slope;
/// assert!(low < slope && slope < high && high - low < 0.2);
/// assert_eq!(theil_sen_interval(&points[..3], Z_95, 1.0), None);
/// ```
pub fn theil_sen_interval(points: &[(f64, f64)], z: f64, inflation: f64) -> Option<(f64, f64)> {
    TheilSen::of(points)?.interval(z, inflation)
}

/// The [line](theil_sen) of Theil and Sen and its [interval](theil_sen_interval), for who wants both: the slopes of all pairs
/// are computed once.
///
/// ```
/// use taximeter_analysis::statistics::{TheilSen, Z_95, theil_sen, theil_sen_interval};
///
/// let points: Vec<_> = (0..30).map(|at| (f64::from(at), f64::from(at) + f64::from(at * 7 % 5))).collect();
/// let mut both = TheilSen::of(&points).unwrap();
/// assert_eq!(Some(both.line()), theil_sen(&points));
/// assert_eq!(both.interval(Z_95, 1.0), theil_sen_interval(&points, Z_95, 1.0));
/// assert!(TheilSen::of(&points[..1]).is_none());
/// ```
#[derive(Debug, Clone)]
pub struct TheilSen {
    line: RobustLine,
    /// The points, or the medians of their groups, by `x`.
    points: Vec<(f64, f64)>,
    /// The slopes of all pairs of these as numbers [in their order](in_order), of which none that stands before the middle is
    /// larger than the middle one, and none behind it is smaller.
    slopes: Vec<i64>,
}

impl TheilSen {
    /// Looks at points `(x, y)`, in any order; none where fewer than two `x` differ, or where a coordinate is not finite.
    pub fn of(points: &[(f64, f64)]) -> Option<Self> {
        let sorted = sorted_points(points)?;
        let points = reduced(&sorted, MOST_THEIL_SEN_POINTS);
        let mut slopes = slopes(&points);
        let slope = settle_median(&mut slopes)?;
        let rests = sorted.iter().map(|(x, y)| finite(y - slope * x));
        let line = RobustLine { slope, intercept: median(rests)? };
        Some(Self { line, points, slopes })
    }

    /// The line.
    pub fn line(&self) -> RobustLine {
        self.line
    }

    /// Between which slopes the true one lies; none where so few points do not bound it.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "ranks of pairs of at most 300 points"
    )]
    pub fn interval(&mut self, z: f64, inflation: f64) -> Option<(f64, f64)> {
        let test = super::mann_kendall(&self.points)?.inflated(inflation);
        let pairs = self.slopes.len() as f64;
        let half = z * test.variance.sqrt() / 2.0;
        let low = (pairs / 2.0 - half).round() - 1.0;
        let high = (pairs / 2.0 + half).round();
        let bounded = low >= 0.0 && high < pairs;
        bounded.then(|| (self.nth(low as usize), self.nth(high as usize)))
    }

    /// The slope that stands at this place when they are sorted, without sorting them: only the half is looked at in which it
    /// lies.
    fn nth(&mut self, place: usize) -> f64 {
        let middle = self.slopes.len() / 2;
        let (lower, upper) = self.slopes.split_at_mut(middle);
        let (half, place) = if place < middle { (lower, place) } else { (upper, place - middle) };
        out_of_order(*half.select_nth_unstable(place).1)
    }
}

fn slopes(points: &[(f64, f64)]) -> Vec<i64> {
    let mut slopes = Vec::with_capacity(points.len() * points.len().saturating_sub(1) / 2);
    for (at, (x, y)) in points.iter().enumerate() {
        // They are sorted, so that those of the same `x` come first.
        let later = &points[at + 1..];
        let same = later.iter().take_while(|(later, _)| later <= x).count();
        let slope =
            |(later_x, later_y): &(f64, f64)| in_order(finite((later_y - y) / (later_x - x)));
        slopes.extend(later[same..].iter().map(slope));
    }
    slopes
}

/// The medians of at most `most` groups of equal count; the points themselves where there are no more.
fn reduced(sorted: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    let count = sorted.len();
    if count <= most {
        return sorted.to_vec();
    }
    let mut centers = Vec::with_capacity(most);
    let (mut begin, mut end, mut group) = (0, 0, 0);
    // The points of one x go where the first of them goes.
    for points in sorted.chunk_by(|left, right| left.0.total_cmp(&right.0).is_eq()) {
        let own = end * most / count;
        if own != group {
            centers.extend(center(&sorted[begin..end]));
            (begin, group) = (end, own);
        }
        end += points.len();
    }
    centers.extend(center(&sorted[begin..]));
    centers
}

/// The medians of points that are sorted by `x`.
fn center(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let middle = Place::of(0.5, points.len())?;
    let x = middle.between(points[middle.below].0, points[middle.above].0);
    Some((x, median(points.iter().map(|(_, y)| *y))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::is_close;

    fn check(points: &[(f64, f64)], slope: f64, intercept: f64) {
        let line = theil_sen(points).unwrap();
        assert!(is_close(line.slope, slope, 1e-13), "{line:?}");
        assert!(is_close(line.intercept, intercept, 1e-13), "{line:?}");
    }

    /// scipy 1.17.1: `theilslopes(y, x, method="joint")`; relative tolerance 1e-13.
    #[test]
    fn the_answers_of_scipy() {
        let by_index =
            |values: [f64; 12]| (0..).map(f64::from).zip(values).collect::<Vec<(f64, f64)>>();
        let plain = [1.0, 1.3, 0.9, 1.6, 1.4, 1.8, 1.7, 2.2, 1.9, 2.5, 2.1, 2.9];
        check(&by_index(plain), 0.15, 1.025);
        let tied = [1.0, 1.0, 1.2, 1.0, 1.5, 1.2, 1.2, 1.5, 1.8, 1.5, 1.2, 1.8];
        check(&by_index(tied), 0.064_583_333_333_333_33, 0.967_708_333_333_333_4);
        let x = [0.0, 0.0, 1.0, 1.0, 1.0, 3.0, 3.0, 4.0, 6.0, 7.0, 7.0, 9.0];
        let y = [2.0, 1.8, 1.8, 1.9, 1.5, 1.5, 1.6, 1.2, 1.5, 1.0, 1.2, 1.0];
        check(&x.into_iter().zip(y).collect::<Vec<_>>(), -0.1, 1.9);
    }

    /// scipy 1.17.1: `theilslopes(y, x, 0.95)`, low and high slope; relative tolerance 1e-13.
    #[test]
    fn the_intervals_of_scipy() {
        let check = |values: [f64; 12], low: f64, high: f64| {
            let points: Vec<_> = (0..).map(f64::from).zip(values).collect();
            let found = theil_sen_interval(&points, crate::statistics::Z_95, 1.0).unwrap();
            assert!(is_close(found.0, low, 1e-13) && is_close(found.1, high, 1e-13), "{found:?}");
            let wider = theil_sen_interval(&points, crate::statistics::Z_95, 2.0).unwrap();
            assert!(wider.0 <= found.0 && wider.1 >= found.1 && wider != found);
        };
        check([1.0, 1.3, 0.9, 1.6, 1.4, 1.8, 1.7, 2.2, 1.9, 2.5, 2.1, 2.9], 0.1, 0.2);
        check([1.0, 1.0, 1.2, 1.0, 1.5, 1.2, 1.2, 1.5, 1.8, 1.5, 1.2, 1.8], 0.0, 0.1);
    }

    #[test]
    fn points_without_spread_have_no_line() {
        assert_eq!(theil_sen(&[]), None);
        assert_eq!(theil_sen(&[(1.0, 2.0), (1.0, 3.0)]), None);
        assert_eq!(theil_sen(&[(1.0, 2.0), (2.0, f64::INFINITY)]), None);
    }

    #[test]
    fn many_points_are_reduced_and_the_line_stays() {
        // A sawtooth of ±0.5 on a slope of 0.25, six points at each x.
        let points: Vec<(f64, f64)> = (0..30_000_u32)
            .map(|at| {
                let x = f64::from(at / 6);
                (x, 3.0 + 0.25 * x + f64::from(at % 6) / 5.0 - 0.5)
            })
            .collect();
        assert!(reduced(&points, 300).len() <= 300);
        let line = theil_sen(&points).unwrap();
        assert!(is_close(line.slope, 0.25, 1e-4), "{line:?}");
        assert!((line.intercept - 3.0).abs() < 0.1, "{line:?}");
    }

    #[test]
    fn a_thousand_points_at_two_times_still_have_a_line() {
        let points: Vec<(f64, f64)> =
            (0..1_000).map(|at| if at < 990 { (0.0, 1.0) } else { (2.0, 5.0) }).collect();
        check(&points, 2.0, 1.0);
    }
}
