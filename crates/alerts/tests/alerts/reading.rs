//! Files of rules: what is read, and what is refused, with its line.

use proptest::prelude::*;
use taximeter::analysis::Dimension;
use taximeter_alerts::{Kind, Missing, Mute, Rules, Severity};

use super::support::{at, rules};

const ALL: &str = r#"
[[receiver]]
name = "ops"
kind = "webhook"
url = "http://127.0.0.1:9/hook?key=s3cret"

[[budget]]
name = "month"
amount = 500.10
per = "month"

[[rule]]
name = "tools fail"
kind = "threshold"
quantity = "error_rate"
by = "tool"
above = 0.1
clear = 0.05
window = "15m"
minimum = 30
for = "5m"
missing = "keep"
severity = "critical"
labels = { team = "search" }
to = ["ops"]
every = "5m"
groups = 7
mute = [
    { until = 2026-12-01T06:00:00Z },
    { days = ["sat", "Sunday"], from = "22:00", to = "06:00" },
]

[[rule]]
name = "dearer"
kind = "change"
quantity = "cost"
by = "model"
window = "1h"
baseline = "last_week"
above = 0.5
at_least = "0.50"

[[rule]]
name = "odd"
kind = "anomaly"
quantity = "calls"
step = "day"
side = "above"

[[rule]]
name = "gone"
kind = "forecast"
budget = "month"
probability = 0.8

[[rule]]
name = "promise"
kind = "burn_rate"
target = 0.99
windows = ["1h", "3d"]

[[rule]]
name = "silence"
kind = "no_data"
window = "30m"
"#;

#[test]
fn every_key_is_read() {
    let rules = rules(ALL);
    let first = &rules.rules[0];
    assert_eq!((first.by.clone(), first.minimum, first.most_groups), (Dimension::Tool, 30, 7));
    assert_eq!((first.missing, first.severity), (Missing::Keep, Severity::Critical));
    assert_eq!((first.line, first.labels["team"].as_str()), (12, "search"));
    assert_eq!(first.mutes[0], Mute::Until(at("2026-12-01T06:00:00Z")));
    // From Saturday evening to Monday morning, and at no other time.
    for (moment, is_muted) in [
        ("2026-12-05T21:59:00Z", false),
        ("2026-12-05T22:00:00Z", true),
        ("2026-12-06T05:59:00Z", true),
        ("2026-12-06T06:00:00Z", false),
        ("2026-12-07T05:59:00Z", true),
        ("2026-12-08T05:59:00Z", false),
        ("2026-11-30T12:00:00Z", true),
    ] {
        assert_eq!(first.is_muted(at(moment)), is_muted, "{moment}");
    }
    let kinds: Vec<_> = rules.rules.iter().map(|rule| rule.kind.as_str()).collect();
    assert_eq!(kinds, ["threshold", "change", "anomaly", "forecast", "burn_rate", "no_data"]);
    assert_eq!(rules.budgets[0].amount().to_string(), "500.1");
    let Kind::BurnRate { windows, .. } = &rules.rules[4].kind else { panic!("a promise") };
    assert_eq!(windows.len(), 2);
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let rule = |text: &str| format!("[[rule]]\nname = \"x\"\n{text}");
    for (toml, line, parts) in [
        ("rules = 1".to_owned(), 1, &["rules", "rule"][..]),
        ("[[rule]]\nname = 'x'".into(), 1, &["kind"]),
        (rule("kind = 'treshold'"), 3, &["treshold", "threshold"]),
        (rule("kind = 'threshold'\ntreshold = 3"), 4, &["treshold", "above"]),
        (rule("kind = 'threshold'\nwindow = '5m'\nabove = 1"), 1, &["quantity is needed"]),
        (rule("kind = 'threshold'\nquantity = 'cost'\nabove = 1"), 1, &["window is needed"]),
        (rule("kind = 'threshold'\nquantity = 'cost'\nwindow = '5m'"), 1, &["above or below"]),
        (
            rule("kind = 'threshold'\nquantity = 'cost'\nwindow = '5m'\nabove = 1\nbelow = 1"),
            1,
            &["above or below"],
        ),
        (
            rule("kind = 'threshold'\nquantity = 'cost'\nwindow = '5m'\nabove = 'much'"),
            1,
            &["above:", "much"],
        ),
        (
            rule("kind = 'threshold'\nquantity = 'error_rate'\nwindow = '5m'\nabove = nan"),
            1,
            &["above:", "no number"],
        ),
        (
            rule("kind = 'threshold'\nquantity = 'cost'\nwindow = '5m'\nabove = 1\nclear = 2"),
            1,
            &["clear:", "never be over"],
        ),
        (
            rule("kind = 'threshold'\nquantity = 'cost'\nwindow = '90s'\nabove = 1"),
            1,
            &["window:", "whole minutes"],
        ),
        (
            rule("kind = 'threshold'\nquantity = 'cost'\nwindow = '500d'\nabove = 1"),
            1,
            &["window:", "400d"],
        ),
        (
            rule("kind = 'threshold'\nquantity = 'cost'\nwindow = '5m'\nabove = 1\nby = 'team'"),
            1,
            &["by:", "tag:NAME"],
        ),
        (
            rule("kind = 'threshold'\nquantity = 'cost'\nwindow = '5m'\nabove = 1\nkeys = ['a']"),
            1,
            &["keys:"],
        ),
        (
            rule(
                "kind = 'threshold'\nquantity = 'cost'\nwindow = '5m'\nabove = 1\nto = ['nobody']",
            ),
            1,
            &["nobody", "the file has none"],
        ),
        (
            rule("kind = 'threshold'\nquantity = 'cost'\nwindow = '5m'\nabove = 1\ntarget = 0.9"),
            1,
            &["target:", "take it out"],
        ),
        (rule("kind = 'forecast'\nbudget = 'month'"), 1, &["no budget", "month"]),
        (rule("kind = 'burn_rate'\ntarget = 1"), 1, &["target:", "below 1"]),
        (rule("kind = 'burn_rate'\ntarget = 0.9\nwindows = ['2h']"), 1, &["1h, 6h and 3d"]),
        (rule("kind = 'anomaly'\nquantity = 'error_rate'\nstep = 'day'"), 1, &["anomalies are of"]),
        (rule("kind = 'no_data'\nwindow = '5m'\nmute = [{}]"), 1, &["mute:", "until"]),
        (rule("kind = 'no_data'\nwindow = '5m'\nmute = [{ days = ['xday'] }]"), 1, &["xday"]),
        (rule("kind = 'no_data'\nwindow = '5m'\nlabels = { a = 1 }"), 5, &["string"]),
        ("[[budget]]\nname = 'b'\namount = 0\nper = 'day'".into(), 1, &["above 0"]),
        ("[[budget]]\nname = 'b'\namount = 1\nper = 'year'".into(), 4, &["year", "month"]),
        ("[[budget]]\nname = 'b'\namount = 1\nper = 'day'\nby = 'tool'".into(), 1, &["tool"]),
        ("[[receiver]]\nname = 'r'\nkind = 'mail'".into(), 3, &["mail", "webhook"]),
        ("[[receiver]]\nname = 'r'\nkind = 'slack'".into(), 1, &["url or url_env"]),
        ("[[receiver]]\nname = 'r'\nkind = 'slack'\nurl = 'ftp://x'".into(), 1, &["no address"]),
        (
            "[[receiver]]\nname = 'r'\nkind = 'webhook'\nurl = 'http://x'\ntoken_env = 'NOT_SET'"
                .into(),
            1,
            &["NOT_SET", "not set"],
        ),
        (
            "[[receiver]]\nname = 'r'\nkind = 'webhook'\nurl = 'http://x'\nsecret = 'a'\nsecret_env = 'HOME'"
                .into(),
            1,
            &["either secret or secret_env"],
        ),
        (
            "[[receiver]]\nname = 'r'\nkind = 'webhook'\nurl = 'http://x'\ntoken = \"a\\nb\"".into(),
            1,
            &["token:", "no header"],
        ),
        (format!("{ALL}{ALL}"), 1, &["twice", "tools fail"]),
    ] {
        let error = toml.parse::<Rules>().expect_err(&toml).to_string();
        let line = format!("line {line}:");
        assert!(error.contains(&line), "{line} in {error}\n{toml}");
        assert!(parts.iter().all(|part| error.contains(part)), "{parts:?} in {error}");
    }
}

#[test]
fn no_address_and_no_secret_is_shown() {
    let shown = format!("{:?}", rules(ALL));
    assert!(!shown.contains("s3cret") && !shown.contains("/hook"), "{shown}");
    assert!(shown.contains("http://127.0.0.1:9"));
    let toml = "[[receiver]]\nname = 'r'\nkind = 'webhook'\nurl = 'http://x/K3Y'\nsecret = 'K3Y'\ntoken = 'K3Y'";
    assert!(!format!("{:?}", rules(toml)).contains("K3Y"));
    // Nor where it is wrong.
    let wrong = toml.replace("webhook", "slack").parse::<Rules>().unwrap_err().to_string();
    assert!(wrong.contains("only a webhook") && !wrong.contains("K3Y"), "{wrong}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever a file holds, it is read or refused with a line that it has.
    #[test]
    fn no_file_brings_it_down(text in "(?s).{0,300}") {
        if let Err(taximeter_alerts::RulesError::Wrong { line, .. }) = text.parse::<Rules>() {
            prop_assert!(line >= 1 && line <= text.split('\n').count());
        }
    }

    /// One line of a good file is another: the rest is read as before, or all of it is refused.
    #[test]
    fn one_line_that_is_another_is_read_or_refused(
        place in 0..61_usize,
        other in "[a-z_]{1,9} = ([0-9.]{1,9}|'[ -&(-~]{0,20}'|\\[\\]|true)",
    ) {
        let mut lines: Vec<_> = ALL.lines().map(ToOwned::to_owned).collect();
        lines[place] = other;
        if let Ok(rules) = lines.join("\n").parse::<Rules>() {
            prop_assert!(rules.rules.len() <= 6 && rules.rules.iter().all(|rule| !rule.name.is_empty()));
        }
    }

    /// A limit of money is the amount that is written, to the last digit.
    #[test]
    fn money_is_exact(whole in 0_u32..1_000_000, digits in "[0-9]{1,12}") {
        let toml = format!(
            "[[rule]]\nname = 'x'\nkind = 'threshold'\nquantity = 'cost'\nwindow = '5m'\nabove = {whole}.{digits}"
        );
        let rules: Rules = toml.parse().unwrap();
        let Kind::Threshold { limit, .. } = &rules.rules[0].kind else { panic!("a threshold") };
        let expected = taximeter_alerts::Amount::Money(format!("{whole}.{digits}").parse().unwrap());
        prop_assert_eq!(limit.at, expected);
    }
}
