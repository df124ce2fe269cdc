//! Each kind of rule over a history in which something is planted: it fires once, and is over once.

use chrono::TimeDelta;
use taximeter::OperationRecord;
use taximeter::history::Period;
use taximeter_alerts::{Alerts, backtest};

use super::support::{
    at, calling, costing, failed, history, midnight, minutes, operation, rules, told,
};

/// An operation every ten seconds of these minutes; it is what `of` makes of its minute.
fn every_ten_seconds(
    minutes: std::ops::Range<i64>,
    of: impl Fn(i64, chrono::DateTime<chrono::Utc>) -> OperationRecord,
) -> Vec<OperationRecord> {
    let one = |number: i64| of(number / 6, midnight() + TimeDelta::seconds(10 * number));
    (minutes.start * 6..minutes.end * 6).map(one).collect()
}

fn alerts(toml: &str, operations: Vec<OperationRecord>) -> Alerts {
    Alerts::open(rules(toml), history(operations), None).unwrap()
}

const FAILING: &str = r#"
    [[rule]]
    name = "fails"
    kind = "threshold"
    quantity = "error_rate"
    window = "10m"
"#;

/// Half of the operations fail from minute 100 to 129; then a fifth does to 159.
fn failing() -> Vec<OperationRecord> {
    let mut number = 0;
    let numbers = std::cell::RefCell::new(&mut number);
    every_ten_seconds(0..240, |minute, at| {
        let mut number = numbers.borrow_mut();
        **number += 1;
        let fails = match minute {
            100..130 => **number % 2 == 0,
            130..160 => **number % 5 == 0,
            _ => false,
        };
        if fails { failed(at) } else { operation(at) }
    })
}

#[test]
fn a_threshold_fires_once_and_is_over_once() {
    let alerts = alerts(&format!("{FAILING}above = 0.3"), failing());
    // In the window before minute 107 three and a half of ten have failed, of 0.35.
    let found = told(&alerts, midnight() + minutes(60), 150);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].2 && (46..49).contains(&found[0].0), "{found:?}");
    assert!(!found[1].2 && (74..78).contains(&found[1].0), "{found:?}");
}

#[test]
fn what_is_between_the_limits_goes_on_but_does_not_begin() {
    let alerts = alerts(&format!("{FAILING}above = 0.3\nclear = 0.1"), failing());
    let found = told(&alerts, midnight() + minutes(60), 150);
    // It goes on while a fifth fails.
    assert!(found.len() == 2 && (104..108).contains(&found[1].0), "{found:?}");
    // Who begins to look when only a fifth fails sees nothing fire.
    let later = self::alerts(&format!("{FAILING}above = 0.3\nclear = 0.1"), failing());
    assert_eq!(told(&later, midnight() + minutes(145), 60), []);
}

#[test]
fn it_must_last_and_what_is_too_short_does_not_fire() {
    let lasting = |time: &str| {
        let alerts = alerts(&format!("{FAILING}above = 0.3\nfor = \"{time}\""), failing());
        told(&alerts, midnight() + minutes(60), 150)
    };
    let (short, long) = (lasting("20m"), lasting("40m"));
    assert!(short.len() == 2 && (66..69).contains(&short[0].0), "{short:?}");
    assert_eq!(long, []);
}

#[test]
fn few_operations_say_nothing() {
    let few: Vec<_> = (0..19).map(|n| failed(midnight() + TimeDelta::seconds(n * 10))).collect();
    let one_more = || few.iter().cloned().chain([failed(midnight() + minutes(4))]).collect();
    let toml = format!("{FAILING}above = 0.3"); // the minimum is 20 where none is named
    assert_eq!(told(&alerts(&toml, few.clone()), midnight() + minutes(5), 3), []);
    assert_eq!(told(&alerts(&toml, one_more()), midnight() + minutes(5), 1).len(), 1);
    let toml = format!("{FAILING}above = 0.3\nminimum = 21");
    assert_eq!(told(&alerts(&toml, one_more()), midnight() + minutes(5), 1), []);
}

#[test]
fn having_no_data_means_what_the_rule_says() {
    // All fails until minute 30; then nothing comes any more.
    let operations = || every_ten_seconds(0..30, |_, at| failed(at));
    let found = |missing: &str| {
        let toml = format!("{FAILING}above = 0.3\nmissing = \"{missing}\"");
        told(&alerts(&toml, operations()), midnight() + minutes(20), 40)
    };
    assert_eq!(found("ok").len(), 2);
    assert_eq!(found("keep"), [(0, String::new(), true)]);
    assert_eq!(found("alert"), [(0, String::new(), true)]);
    // Of a store with nothing in it, only the last one fires.
    let toml = |missing: &str| format!("{FAILING}above = 0.3\nmissing = \"{missing}\"");
    for (missing, times) in [("ok", 0), ("keep", 0), ("alert", 1)] {
        let found = told(&alerts(&toml(missing), vec![]), midnight(), 5);
        assert_eq!(found.len(), times, "{missing}");
    }
}

#[test]
fn each_group_has_a_state_of_its_own_and_there_are_no_more_than_may_be() {
    let toml = r#"
        [[rule]]
        name = "tools fail"
        kind = "threshold"
        quantity = "error_rate"
        by = "tool"
        above = 0.5
        window = "10m"
        minimum = 3
        groups = 3
    "#;
    let mut operations = Vec::new();
    for minute in 0..60 {
        let at = midnight() + minutes(minute);
        operations.push(calling(at, "search", !(20..30).contains(&minute)));
        operations.push(calling(at, "fetch", !(40..50).contains(&minute)));
        operations.push(calling(at, "answer", true));
    }
    let found = alerts(toml, operations.clone());
    let found = told(&found, midnight() + minutes(10), 60);
    let of: Vec<_> = found.iter().map(|(_, key, fires)| (key.as_str(), *fires)).collect();
    assert_eq!(of, [("search", true), ("search", false), ("fetch", true), ("fetch", false)]);

    // A fourth one, which is busier, takes the place of none that fires.
    for minute in 25..60 {
        for second in 0..10 {
            let at = midnight() + minutes(minute) + TimeDelta::seconds(second);
            operations.push(calling(at, "busy", true));
        }
    }
    let alerts = alerts(toml, operations);
    let found = told(&alerts, midnight() + minutes(10), 18);
    assert_eq!(found.len(), 1, "{found:?}");
    let overview = alerts.overview();
    assert_eq!((overview.rules[0].seen.len(), overview.rules[0].overflow), (3, 1));
}

#[test]
fn only_named_groups_are_looked_at_where_some_are_named() {
    let toml = |keys: &str| {
        format!("{FAILING}above = 0.3\nminimum = 1\nby = \"tag:team\"\nkeys = [{keys}]")
    };
    let operations = || {
        every_ten_seconds(0..20, |minute, at| {
            let mut operation = failed(at);
            let team = if minute % 2 == 0 { "search" } else { "chat" };
            operation.tags.insert("team".into(), team.into());
            operation
        })
    };
    let found = told(&alerts(&toml("'search'"), operations()), midnight() + minutes(15), 1);
    assert_eq!(found, [(0, "search".to_owned(), true)]);
    assert_eq!(told(&alerts(&toml("'x'"), operations()), midnight() + minutes(15), 1), []);
}

#[test]
fn latency_cost_tokens_and_shares_are_measured() {
    let operations = || {
        every_ten_seconds(0..60, |minute, at| {
            let mut operation = costing(at, Some("0.25"));
            operation.duration = std::time::Duration::from_secs(if minute < 50 { 1 } else { 9 });
            operation
        })
    };
    let text = |quantity: &str, limit: &str| {
        let toml = format!(
            "[[rule]]\nname = 'r'\nkind = 'threshold'\nquantity = '{quantity}'\n{limit}\nwindow = '10m'"
        );
        let alerts = alerts(&toml, operations());
        alerts.evaluate(midnight() + minutes(60) + TimeDelta::seconds(31)).unwrap();
        alerts.overview().firing.first().map(|one| one.text.clone())
    };
    let is = |quantity: &str, limit: &str, words: &str| {
        let found = text(quantity, limit).unwrap_or_else(|| panic!("{quantity} does not fire"));
        assert!(found.contains(words), "{found}");
    };
    is("latency_p95", "above = 8", "is 9.00 s of 60");
    is("latency_mean", "above = 8.5", "is 9.00 s of 60");
    is("cost", "above = '14.99'", "is $15.00 of 60");
    is("cost", "above = 14.99", "is $15.00 of 60");
    is("mean_cost", "above = 0.2", "is $0.25");
    is("tokens", "above = 65_999", "is 66,000 of 60");
    is("calls", "above = 59", "is 60 of 60");
    is("count", "below = 61", "is 60 of 60");
    is("cache_share", "below = 0.1", "is 0.0 % of 60");
    assert_eq!(text("cost", "above = 15"), None); // to the last digit
    assert_eq!(text("latency_p50", "below = 8"), None);
}

#[test]
fn a_cost_that_is_not_known_in_whole_can_be_too_much_and_never_too_little() {
    let operations = |dollars: &'static str| {
        let one = move |n: i64| {
            let dollars = (n % 2 == 0).then_some(dollars);
            costing(midnight() + TimeDelta::seconds(10 * n), dollars)
        };
        (0..60).map(one).collect::<Vec<_>>()
    };
    let toml = |limit: &str| {
        format!(
            "[[rule]]\nname = 'r'\nkind = 'threshold'\nquantity = 'cost'\n{limit}\nwindow = '10m'"
        )
    };
    let too_much = alerts(&toml("above = 10"), operations("1"));
    assert_eq!(told(&too_much, midnight() + minutes(10), 1).len(), 1);
    assert!(too_much.overview().firing[0].text.contains("is at least $30"));
    let too_little = alerts(&toml("below = 10"), operations("0.01"));
    assert_eq!(told(&too_little, midnight() + minutes(10), 1), []);
}

#[test]
fn a_change_is_one_against_the_time_before_or_a_week_ago() {
    // A week apart: the same day, but from minute 60 on operations take three times as long.
    let mut operations = every_ten_seconds(0..120, |minute, at| {
        let mut operation = operation(at);
        operation.duration = std::time::Duration::from_secs(if minute < 60 { 1 } else { 3 });
        operation
    });
    let before = operations.clone().into_iter().map(|mut operation| {
        operation.started_at -= TimeDelta::weeks(1);
        operation.duration = std::time::Duration::from_secs(1);
        operation.id = taximeter::OperationId::from_bits(operation.id.bits() ^ (1 << 70));
        operation
    });
    operations.extend(before.collect::<Vec<_>>());
    let toml = |rest: &str| {
        format!(
            "[[rule]]\nname = 'r'\nkind = 'change'\nquantity = 'latency_p95'\nwindow = '15m'\n{rest}"
        )
    };
    let previous = toml("baseline = 'previous'\nabove = 0.5");
    let found = told(&alerts(&previous, operations.clone()), midnight() + minutes(30), 85);
    assert_eq!(found.iter().map(|(.., fires)| *fires).collect::<Vec<_>>(), [true, false]);

    let last_week = toml("baseline = 'last_week'\nabove = 0.5");
    let alerts_of_week = alerts(&last_week, operations.clone());
    let found = told(&alerts_of_week, midnight() + minutes(30), 85);
    assert_eq!(found.len(), 1, "it does not get used to it: {found:?}");
    let text = &alerts_of_week.overview().firing[0].text;
    assert!(text.contains("is 3.00 s of 90, and was 1.00 s of 90: +200 %"), "{text}");

    // Two seconds more are not felt by who wants five.
    let felt = toml("baseline = 'last_week'\nabove = 0.5\nat_least = 5");
    assert_eq!(told(&alerts(&felt, operations), midnight() + minutes(30), 85), []);
}

#[test]
fn a_jump_in_an_hourly_series_is_an_anomaly_until_the_next_hour() {
    let mut operations = Vec::new();
    for hour in 0..72_i64 {
        let many = if hour == 60 { 60 } else { 10 + hour * 7 % 5 };
        for number in 0..many {
            let at = midnight() + TimeDelta::hours(hour) + TimeDelta::seconds(number * 30);
            operations.push(costing(at, Some("1")));
        }
    }
    let toml = |rest: &str| {
        format!("[[rule]]\nname = 'r'\nkind = 'anomaly'\nquantity = 'cost'\nstep = 'hour'\n{rest}")
    };
    let found = alerts(&toml(""), operations.clone());
    let found = told(&found, midnight() + TimeDelta::hours(55), 60 * 12);
    let hours: Vec<_> = found.iter().map(|(minute, _, fires)| (minute / 60, *fires)).collect();
    assert_eq!(hours, [(6, true), (7, false)]);
    let below = alerts(&toml("side = 'below'"), operations);
    assert_eq!(told(&below, midnight() + TimeDelta::hours(55), 60 * 12), []);
}

#[test]
fn a_promise_that_is_broken_fast_burns_and_soon_ends_when_it_is_kept() {
    let operations = every_ten_seconds(0..600, |minute, at| {
        if (300..330).contains(&minute) { failed(at) } else { operation(at) }
    });
    let toml = "[[rule]]\nname = 'r'\nkind = 'burn_rate'\ntarget = 0.99\nwindows = ['1h']";
    let found = told(&alerts(toml, operations), midnight() + minutes(290), 100);
    // A ninth of an hour failed at 307: 14.4 times the pace. It is over five minutes after the end.
    assert_eq!(found.len(), 2, "{found:?}");
    assert!((16..21).contains(&found[0].0) && (43..48).contains(&found[1].0), "{found:?}");
}

#[test]
fn silence_is_noticed_of_all_and_of_each_that_came_before() {
    let operations = || {
        every_ten_seconds(0..60, |minute, at| {
            let mut operation = operation(at);
            operation.user = Some(if minute < 30 { "ann" } else { "bob" }.into());
            operation
        })
    };
    let toml =
        |rest: &str| format!("[[rule]]\nname = 'r'\nkind = 'no_data'\nwindow = '10m'\n{rest}");
    let all = told(&alerts(&toml(""), operations()), midnight() + minutes(20), 60);
    assert_eq!(all, [(50, String::new(), true)]);
    let users = told(&alerts(&toml("by = 'user'"), operations()), midnight() + minutes(20), 60);
    assert_eq!(users, [(20, "ann".to_owned(), true), (50, "bob".to_owned(), true)]);
    let named = toml("by = 'user'\nkeys = ['cleo']");
    let named = told(&alerts(&named, operations()), midnight() + minutes(20), 2);
    assert_eq!(named, [(0, "cleo".to_owned(), true)]);
}

#[test]
fn a_budget_that_will_not_do_is_told_before_it_is_gone() {
    // Twelve dollars a day or so since the first of October; the month has 300.
    let mut operations = Vec::new();
    for day in 0..50_i64 {
        for number in 0..10 + day * 7 % 5 {
            let at = at("2026-10-01T08:00:00Z") + TimeDelta::days(day) + minutes(number);
            operations.push(costing(at, Some("1")));
        }
    }
    let toml = |amount: &str| {
        format!(
            "[[budget]]\nname = 'month'\namount = {amount}\nper = 'month'\n\
             [[rule]]\nname = 'r'\nkind = 'forecast'\nbudget = 'month'"
        )
    };
    let found = |amount: &str| {
        let alerts = alerts(&toml(amount), operations.clone());
        alerts.evaluate(at("2026-11-19T12:00:31Z")).unwrap();
        alerts.overview().firing.first().map(|one| one.text.clone())
    };
    let gone = found("300").unwrap();
    assert!(gone.contains("of $300.00 spent in this month; it is gone on 2026-11-2"), "{gone}");
    let over = found("50.50").unwrap();
    assert!(over.contains("of $50.50 spent in this month; it is gone"), "{over}");
    assert_eq!(found("1000"), None);
}

#[test]
fn a_back_test_says_what_the_watch_would_have_said() {
    let toml = format!("{FAILING}above = 0.3\nclear = 0.1\nfor = \"3m\"");
    let (parsed, history) = (rules(&toml), history(failing()));
    let period = Period::new(Some(midnight() + minutes(60)), Some(midnight() + minutes(210)));
    let now = midnight() + TimeDelta::days(2);
    let past = backtest(&parsed.rules[0], &parsed, &history, period, now).unwrap();
    let live = told(&alerts(&toml, failing()), midnight() + minutes(60), 150);
    assert_eq!((past.would_have_fired, past.looks, past.step_seconds), (1, 151, 60));
    let minute = |at: chrono::DateTime<chrono::Utc>| (at - midnight()).num_minutes() - 60;
    let fired = &past.fired[0];
    assert_eq!(minute(fired.fired_at), live[0].0);
    assert_eq!(fired.resolved_at.map(minute), Some(live[1].0));
    assert_eq!(fired.fired_at - fired.since, minutes(3));

    // A longer past is looked at less often, and a moment of it that is muted is said to be.
    let toml = format!("{toml}\nmute = [{{ from = '01:00', to = '02:00' }}]");
    let parsed = rules(&toml);
    let year = Period::new(Some(midnight() - TimeDelta::days(365)), Some(now));
    let past = backtest(&parsed.rules[0], &parsed, &history, year, now).unwrap();
    assert!(past.looks <= 10_001 && past.step_seconds > 60, "{past:?}");
    let past = backtest(&parsed.rules[0], &parsed, &history, period, now).unwrap();
    assert!(past.fired[0].muted);
}
