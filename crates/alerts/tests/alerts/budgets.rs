//! Budgets over planted histories: what is spent, what is left, when it is gone.

use chrono::TimeDelta;
use taximeter::analysis::When;
use taximeter_alerts::{BudgetState, budgets};

use super::support::{at, costing, history, midnight, minutes, rules};

fn states(toml: &str, operations: Vec<taximeter::OperationRecord>, now: &str) -> Vec<BudgetState> {
    let found = budgets(&rules(toml).budgets, &history(operations), at(now), 3).unwrap();
    found.into_iter().flat_map(|(_, states, _)| states).collect()
}

#[test]
fn what_is_spent_is_exact_and_what_is_not_known_is_named() {
    let toml = "[[budget]]\nname = 'day'\namount = '10'\nper = 'day'";
    let operations = vec![
        costing(midnight() - minutes(1), Some("5")), // of the day before
        costing(midnight(), Some("0.1")),
        costing(midnight() + minutes(1), Some("0.2")),
        costing(midnight() + minutes(2), None),
    ];
    let found = states(toml, operations, "2026-11-23T12:00:00Z");
    assert_eq!(found[0].spent.to_string(), "at least $0.3, without 1 of 3 calls (1 unpriced)");
    assert_eq!(found[0].left.to_string(), "9.7");
    assert!(found[0].not_known.as_ref().unwrap().contains("too few"), "{:?}", found[0]);
    let words = found[0].in_words();
    assert!(words.contains("without 1 of 3 calls") && words.contains("not known"), "{words}");
    // Where nothing was recorded, nothing is spent.
    let found = states(toml, vec![], "2026-11-23T12:00:00Z");
    assert_eq!((found.len(), found[0].left.to_string().as_str()), (1, "10"));
}

#[test]
fn each_group_has_the_whole_budget_and_those_that_spend_most_come_first() {
    let by = |dimension: &str| {
        let toml = format!("[[budget]]\nname = 'b'\namount = 2\nper = 'week'\nby = '{dimension}'");
        let operations = (0..40)
            .map(|number: i64| {
                let mut operation = costing(midnight() + minutes(number), Some("0.5"));
                let user =
                    ["ann", "bob", "cleo", "dora", "ann"][usize::try_from(number % 5).unwrap()];
                operation.user = Some(user.into());
                operation.tags.insert("team".into(), user.into());
                operation
            })
            .collect();
        states(&toml, operations, "2026-11-25T12:00:00Z")
    };
    for dimension in ["user", "tag:team"] {
        let found = by(dimension);
        let of: Vec<_> = found
            .iter()
            .map(|state| {
                (state.key.as_deref().unwrap(), state.spent.usd.to_string(), state.is_over())
            })
            .collect();
        assert_eq!(of[0], ("ann", "8".to_owned(), true), "{dimension}");
        assert_eq!((of[1].clone(), of.len()), (("bob", "4".to_owned(), true), 3));
    }
    let llms = by("llm");
    assert_eq!((llms[0].key.as_deref(), llms[0].spent.coverage.calls), (Some("openai/gpt-4o"), 40));
}

#[test]
fn it_is_said_when_it_will_be_gone_by_days_or_where_these_are_few_by_hours() {
    let toml = "[[budget]]\nname = 'month'\namount = 300\nper = 'month'";
    let days = |days: i64| {
        let mut operations = Vec::new();
        for day in 0..days {
            for number in 0..10 + day * 7 % 5 {
                let at = at("2026-11-19T00:30:00Z") - TimeDelta::days(day) + minutes(20 * number);
                operations.push(costing(at, Some("1")));
            }
        }
        states(toml, operations, "2026-11-20T00:00:00Z").remove(0)
    };
    let found = days(40);
    let gone = found.exhaustion.unwrap();
    let When::At(day) = gone.estimate else { panic!("{gone:?}") };
    assert_eq!(day.format("%F").to_string(), "2026-11-26"); // 227 are spent, and 12 go a day
    assert!(gone.probability > 0.9 && gone.earliest_80 <= gone.latest_80);
    let few = days(5);
    assert!(few.exhaustion.is_some(), "{few:?}");
}
