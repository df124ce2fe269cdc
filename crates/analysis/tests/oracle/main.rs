//! The answers of numpy, scipy, statsmodels, pymannkendall, pyhomogeneity, ruptures and Otava to the same numbers.
//!
//! `answers.py` wrote `answers.json`, and `answers_otava.py` `otava.json`, which name the versions. Where nothing else is said, answers agree to 1e-9 of
//! themselves.

use serde::Deserialize;
use taximeter_analysis::statistics::{
    Distribution, Z_95, change_points, least_squares, mann_kendall, quantile, rank_sum, shift,
    theil_sen, theil_sen_interval, wilson,
};
use taximeter_models::Rate;

#[derive(Deserialize)]
struct Answers {
    series: Vec<Series>,
    steps: Vec<Steps>,
    pairs: Vec<Pair>,
    shares: Vec<Share>,
}

#[derive(Deserialize)]
struct Series {
    name: String,
    values: Vec<f64>,
    mean: f64,
    deviation: f64,
    quantiles: Vec<f64>,
    kendall_s: f64,
    kendall_variance: f64,
    kendall_p: f64,
    tau_b: f64,
    slope: f64,
    slope_low: f64,
    slope_high: f64,
    fit: [f64; 3],
}

#[derive(Deserialize)]
struct Steps {
    values: Vec<f64>,
    ruptures: Vec<usize>,
    pettitt: Option<usize>,
}

#[derive(Deserialize)]
struct Pair {
    before: Vec<f64>,
    after: Vec<f64>,
    u: f64,
    p: f64,
    shift: f64,
}

#[derive(Deserialize)]
struct Share {
    hits: u64,
    of: u64,
    low: f64,
    high: f64,
}

fn answers() -> Answers {
    serde_json::from_str(include_str!("answers.json")).expect("the answers are JSON")
}

#[track_caller]
fn same(what: &str, found: f64, expected: f64) {
    let close = (found - expected).abs() <= 1e-9 * found.abs().max(expected.abs()) + 1e-12;
    assert!(close, "{what}: {found}, and the other program says {expected}");
}

impl Series {
    fn points(&self) -> Vec<(f64, f64)> {
        (0_u32..).map(f64::from).zip(self.values.iter().copied()).collect()
    }
}

#[test]
fn spread_and_quantiles_of_numpy() {
    for series in answers().series {
        let found = Distribution::of(series.values.clone()).unwrap();
        same(&series.name, found.mean, series.mean);
        same(&series.name, found.std_deviation.unwrap(), series.deviation);
        let mut sorted = series.values;
        sorted.sort_by(f64::total_cmp);
        for (share, expected) in
            [0.0, 0.25, 0.5, 0.9, 0.95, 0.99, 1.0].into_iter().zip(series.quantiles)
        {
            same(&series.name, quantile(&sorted, share).unwrap(), expected);
        }
    }
}

#[test]
fn trends_of_pymannkendall_and_scipy() {
    for series in answers().series {
        let (points, name) = (series.points(), &series.name);
        let test = mann_kendall(&points).unwrap();
        same(name, test.s, series.kendall_s);
        same(name, test.variance, series.kendall_variance);
        same(name, test.p_value, series.kendall_p);
        same(name, test.tau_b.unwrap(), series.tau_b);
        same(name, theil_sen(&points).unwrap().slope, series.slope);
        let line = least_squares(&points).unwrap();
        same(name, line.slope, series.fit[0]);
        same(name, line.intercept, series.fit[1]);
        same(name, line.slope_error.unwrap(), series.fit[2]);
    }
}

/// scipy takes the slope at the nearest rank, ours lies between two: they are a rank apart at most, which is little
/// beside the width.
#[test]
fn slope_intervals_of_scipy() {
    for series in answers().series {
        let Some((low, high)) = theil_sen_interval(&series.points(), Z_95, 1.0) else { continue };
        let width = series.slope_high - series.slope_low;
        for (found, expected) in [(low, series.slope_low), (high, series.slope_high)] {
            assert!(
                (found - expected).abs() <= 0.05 * width,
                "{}: {found} {expected}",
                series.name
            );
        }
    }
}

/// The places of two other methods; ours may lie five values away, in noise of a fifth.
#[test]
fn change_points_of_ruptures_and_pyhomogeneity() {
    for steps in answers().steps {
        let found: Vec<usize> =
            change_points(&steps.values, 0.01, 10).iter().map(|change| change.at).collect();
        assert_eq!(found.len(), steps.ruptures.len(), "{found:?} {:?}", steps.ruptures);
        for (found, expected) in found.iter().zip(&steps.ruptures) {
            assert!(found.abs_diff(*expected) <= 5, "{found} {expected}");
        }
        if let Some(pettitt) = steps.pettitt {
            assert!(found[0].abs_diff(pettitt) <= 5, "{found:?} {pettitt}");
        }
    }
}

/// Apache Otava finds changes by energy statistics (E-divisive) and tests them by Student's t. Each of ours is one of its,
/// five values away at most; in noise it finds two more, three values apart, where nothing was put.
#[test]
fn change_points_of_otava() {
    #[derive(Deserialize)]
    struct Otava {
        places: Vec<Vec<usize>>,
    }
    let otava: Otava = serde_json::from_str(include_str!("otava.json")).unwrap();
    for (steps, expected) in answers().steps.iter().zip(otava.places) {
        let found: Vec<usize> =
            change_points(&steps.values, 0.01, 10).iter().map(|change| change.at).collect();
        assert_eq!(found.len(), steps.ruptures.len());
        for found in found {
            let is_theirs = expected.iter().any(|theirs| found.abs_diff(*theirs) <= 5);
            assert!(is_theirs, "{found} {expected:?}");
        }
    }
}

#[test]
fn two_groups_of_scipy() {
    for pair in answers().pairs {
        let test = rank_sum(&pair.before, &pair.after).unwrap();
        same("u", test.u, pair.u);
        same("p", test.p_value, pair.p);
        same("shift", shift(&pair.before, &pair.after, Z_95).unwrap().estimate, pair.shift);
    }
}

#[test]
fn wilson_of_statsmodels() {
    for share in answers().shares {
        let found = wilson(Rate { hits: share.hits, of: share.of }, Z_95).unwrap();
        // They round 1.96 at another place.
        assert!((found.low - share.low).abs() < 1e-8, "{found:?} {}", share.low);
        assert!((found.high - share.high).abs() < 1e-8, "{found:?} {}", share.high);
    }
}
