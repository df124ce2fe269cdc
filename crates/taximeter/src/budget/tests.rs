//! Budgets of a real meter: what is counted, what is read of the store, and what begins anew.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use taximeter_analysis::Dimension;
use taximeter_collector::ManualClock;
use taximeter_models::{KnownUsd, Money, TokenUsage};

use crate::{Budget, BudgetPeriod, BudgetPlan, Meter, MeterBuilder};

const WAIT: Duration = Duration::from_secs(30);

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn plan(amount: &str, per: BudgetPeriod) -> BudgetPlan {
    BudgetPlan::new("all", money(amount), per).unwrap()
}

/// An answer of a thousand tokens in and a hundred out: $0.0035.
fn answer(meter: &Meter, user: &str) {
    let op = meter.operation("qa_response").user(user).tag("team", user).start();
    op.record_usage("openai", "gpt-4o", TokenUsage::new(1_000, 100));
    op.succeed();
}

fn spent(budget: &Budget) -> KnownUsd {
    budget.account().spent
}

#[test]
fn it_is_over_when_nothing_is_left_and_not_before() {
    let meter = Meter::builder().budget(plan("0.007", BudgetPeriod::Month)).build().unwrap();
    let left = || match meter.check_budget("all").unwrap() {
        Budget::Within { left, .. } => left.to_string(),
        Budget::Over { over, .. } => format!("over by {over}"),
    };
    let mut seen = vec![left()];
    for _ in 0..3 {
        answer(&meter, "ann");
        meter.flush(WAIT).unwrap();
        seen.push(left());
    }
    assert_eq!(seen, ["0.007", "0.0035", "over by 0", "over by 0.0035"]);
    assert!(meter.check_budget("all").unwrap().is_exact());
}

#[test]
fn what_is_open_is_told_and_in_no_sum() {
    let meter = Meter::builder().budget(plan("1", BudgetPeriod::Day)).build().unwrap();
    let open = meter.operation("qa_response").start();
    open.record_usage("openai", "gpt-4o", TokenUsage::new(1_000, 100));
    let budget = meter.check_budget("all").unwrap();
    assert_eq!((budget.account().in_flight, spent(&budget).usd), (1, Money::ZERO));
    drop(open);
    meter.flush(WAIT).unwrap();
    let budget = meter.check_budget("all").unwrap();
    assert_eq!((budget.account().in_flight, spent(&budget).usd), (0, money("0.0035")));
}

#[test]
fn each_group_is_counted_apart_until_there_are_too_many() {
    let by = |name: &str, by: Dimension| {
        BudgetPlan::new(name, money("1"), BudgetPeriod::Day).unwrap().by(by).unwrap()
    };
    let mut meter = Meter::builder();
    for plan in [
        by("user", Dimension::User),
        by("team", Dimension::Tag("team".into())),
        by("llm", Dimension::Llm),
        by("provider", Dimension::Provider),
        by("operation", Dimension::Operation),
    ] {
        meter = meter.budget(plan);
    }
    let meter = meter.build().unwrap();
    for user in ["ann", "ann", "bob"] {
        answer(&meter, user);
    }
    meter.flush(WAIT).unwrap();
    for (name, group, calls) in [
        ("user", "ann", 2),
        ("user", "bob", 1),
        ("user", "cleo", 0),
        ("team", "ann", 2),
        ("llm", "openai/gpt-4o", 3),
        ("provider", "openai", 3),
        ("operation", "qa_response", 3),
    ] {
        let budget = meter.check_budget_of(name, group).unwrap();
        assert_eq!(spent(&budget).coverage.calls, calls, "{name} {group}");
    }
    // Who has no room of his own is answered for with all of those who have none.
    for user in 0..10_010 {
        answer(&meter, &format!("user-{user}"));
    }
    meter.flush(WAIT).unwrap();
    let budget = meter.check_budget_of("user", "user-10009").unwrap();
    assert!(budget.account().shared && !budget.is_exact());
    assert_eq!(spent(&budget).coverage.calls, 12);
    assert_eq!(spent(&meter.check_budget_of("user", "ann").unwrap()).coverage.calls, 2);
}

#[test]
fn a_new_period_begins_with_nothing() {
    let noon: DateTime<Utc> = "2026-11-30T12:00:00Z".parse().unwrap();
    let clock = std::sync::Arc::new(ManualClock::at(noon));
    let of_clock = |builder: MeterBuilder| builder.clock(clock.clone());
    let meter = of_clock(Meter::builder().budget(plan("1", BudgetPeriod::Month))).build().unwrap();
    answer(&meter, "ann");
    meter.flush(WAIT).unwrap();
    assert_eq!(spent(&meter.check_budget("all").unwrap()).usd, money("0.0035"));
    clock.advance(Duration::from_secs(86_400));
    let budget = meter.check_budget("all").unwrap();
    let account = budget.account();
    assert_eq!((account.spent, account.since), (KnownUsd::default(), noon + TimeDelta::hours(12)));
    answer(&meter, "ann");
    meter.flush(WAIT).unwrap();
    assert_eq!(spent(&meter.check_budget("all").unwrap()).coverage.calls, 1);
}

#[cfg(feature = "store")]
#[test]
fn what_the_store_has_is_counted_from_the_beginning_and_read_again_once() {
    let folder = tempfile::tempdir().unwrap();
    let meter = || {
        let plan = plan("1", BudgetPeriod::Day);
        let by = BudgetPlan::new("user", money("1"), BudgetPeriod::Day).unwrap();
        let by = by.by(Dimension::User).unwrap();
        Meter::builder().store(folder.path()).budget(plan).budget(by).build().unwrap()
    };
    let calls = |meter: &Meter| spent(&meter.check_budget("all").unwrap()).coverage.calls;
    let first = meter();
    answer(&first, "ann");
    first.flush(WAIT).unwrap();
    let second = meter();
    assert_eq!(calls(&second), 1);
    answer(&second, "bob");
    second.flush(WAIT).unwrap();
    assert_eq!((calls(&first), calls(&second)), (1, 2)); // the first one does not know yet
    first.reread_budgets().unwrap();
    first.reread_budgets().unwrap();
    assert_eq!(calls(&first), 2);
    answer(&first, "ann");
    first.flush(WAIT).unwrap();
    assert_eq!(calls(&first), 3);
    first.reread_budgets().unwrap();
    assert_eq!(calls(&first), 3);
    assert_eq!(spent(&first.check_budget_of("user", "ann").unwrap()).coverage.calls, 2);
}

#[cfg(feature = "store")]
#[test]
fn reading_again_while_others_record_loses_nothing_and_counts_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan("100", BudgetPeriod::Day);
    let meter = Meter::builder().store(folder.path()).budget(plan).build().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..500).for_each(|_| answer(&meter, "ann")));
        }
        for _ in 0..20 {
            meter.reread_budgets().unwrap();
        }
    });
    meter.flush(WAIT).unwrap();
    assert_eq!(spent(&meter.check_budget("all").unwrap()).coverage.calls, 1_000);
}
