//! Receivers on this machine: what they get, how they fail, and that each event is told once.

use std::collections::BTreeSet;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use taximeter_alerts::{Alerts, Fate};

use super::support::{Answer, Hook, OK, failed, history, midnight, minutes, operation, rules};

const RULE: &str = r#"
    [[rule]]
    name = "fails"
    kind = "threshold"
    quantity = "error_rate"
    window = "5m"
    above = 0.5
    minimum = 1
    labels = { team = "search" }
"#;

/// All fails from minute 10 to 19.
fn alerts(receivers: &str, state: Option<&std::path::Path>) -> Alerts {
    let one = |minute: i64| {
        let at = midnight() + minutes(minute);
        if (10..20).contains(&minute) { failed(at) } else { operation(at) }
    };
    let toml = format!("{receivers}{RULE}");
    Alerts::open(rules(&toml), history((0..60).map(one).collect()), state).unwrap()
}

fn receiver(kind: &str, url: &str, rest: &str) -> String {
    format!("[[receiver]]\nname = \"{kind}\"\nkind = \"{kind}\"\nurl = \"{url}\"\n{rest}\n")
}

fn minute(minute: i64) -> DateTime<Utc> {
    midnight() + minutes(minute) + TimeDelta::seconds(31)
}

/// Looks at every minute from 5 to 40 and delivers each time.
fn run(alerts: &Alerts) {
    for at in 5..40 {
        alerts.evaluate(minute(at)).unwrap();
        alerts.deliver(minute(at)).unwrap();
    }
}

#[test]
fn a_webhook_is_told_of_both_ends_and_each_is_signed() {
    // The variable is one that cargo sets for every test: its value is known, and nothing is changed.
    let secret = env!("CARGO_PKG_NAME");
    let hook = Hook::new(vec![OK]);
    let rest = "secret_env = \"CARGO_PKG_NAME\"\ntoken_env = \"CARGO_PKG_NAME\"";
    let alerts = alerts(&receiver("webhook", &hook.url(), rest), None);
    run(&alerts);
    let requests = hook.requests();
    let told: Vec<_> = requests.iter().map(|request| request.json()["status"].clone()).collect();
    assert_eq!(told, ["firing", "resolved"]);
    for request in &requests {
        let event = request.json();
        assert_eq!(
            (event["document"].clone(), event["taximeter_version"].clone()),
            ("alert".into(), 1.into())
        );
        assert_eq!(
            (event["rule"].clone(), event["labels"]["team"].clone()),
            ("fails".into(), "search".into())
        );
        assert_eq!(request.path, "/hook");
        assert_eq!(event["id"], request.header("webhook-id"));
        assert_eq!(request.header("idempotency-key"), request.header("webhook-id"));
        assert_eq!(request.header("authorization"), format!("Bearer {secret}"));
        let signed = format!(
            "{}.{}.{}",
            request.header("webhook-id"),
            request.header("webhook-timestamp"),
            request.body
        );
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(signed.as_bytes());
        let expected = format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
        assert_eq!(request.header("webhook-signature"), expected);
    }
    assert_eq!(requests[1].json()["resolved_at"], "2026-11-23T00:23:00Z");
    let overview = alerts.overview();
    assert!(overview.log.iter().all(|delivery| delivery.fate == Fate::Delivered));
    assert_eq!((overview.log.len(), overview.waiting, overview.lost), (2, 0, 0));
}

#[test]
fn a_receiver_that_fails_is_tried_again_and_told_once_in_order() {
    let slow: Answer =
        Some("HTTP/1.1 429 Too Many\r\nretry-after: 90\r\ncontent-length: 4\r\n\r\nslow");
    let down: Answer = Some("HTTP/1.1 503 Down\r\ncontent-length: 0\r\n\r\n");
    let hook = Hook::new(vec![slow, down, None, OK]);
    let alerts = alerts(&receiver("webhook", &hook.url(), ""), None);
    alerts.evaluate(minute(14)).unwrap();
    let fired = minute(14);
    assert_eq!(alerts.deliver(fired).unwrap(), 0);
    // It asked for ninety seconds.
    assert_eq!(alerts.deliver(fired + TimeDelta::seconds(89)).unwrap(), 0);
    assert_eq!(hook.requests().len(), 1);
    alerts.deliver(fired + TimeDelta::seconds(90)).unwrap();
    assert_eq!(hook.requests().len(), 2);
    // It is over meanwhile, but that is told only behind what is told before.
    alerts.evaluate(minute(30)).unwrap();
    alerts.deliver(minute(30)).unwrap(); // the connection is reset
    assert_eq!((hook.requests().len(), alerts.overview().waiting), (3, 2));
    alerts.deliver(minute(40)).unwrap();
    let requests = hook.requests();
    let told: Vec<_> = requests.iter().map(|one| one.json()["status"].clone()).collect();
    assert_eq!(told, ["firing", "firing", "firing", "firing", "resolved"]);
    // Whoever keeps the ids has heard of each once.
    let ids: BTreeSet<_> = requests.iter().map(|one| one.header("webhook-id").to_owned()).collect();
    assert_eq!(ids.len(), 2);
    let log = alerts.overview().log;
    assert_eq!((log[1].tries, log[1].fate, log[0].tries), (4, Fate::Delivered, 1));
}

#[test]
fn what_is_refused_or_nobody_takes_is_given_up_and_counted() {
    let never: Answer = Some("HTTP/1.1 410 Gone\r\ncontent-length: 8\r\n\r\ngone\u{1b}[2J");
    let hook = Hook::new(vec![never]);
    let alerts_of = alerts(&receiver("webhook", &hook.url(), ""), None);
    run(&alerts_of);
    let overview = alerts_of.overview();
    assert_eq!((hook.requests().len(), overview.lost), (2, 2));
    assert_eq!(overview.log[0].fate, Fate::Refused);
    let said = overview.log[0].said.clone().unwrap();
    assert!(said.starts_with("410 gone") && !said.contains('\u{1b}'), "{said:?}");

    // Nobody listens there.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let alerts_of = alerts(&receiver("webhook", &format!("http://{nobody}/"), ""), None);
    alerts_of.evaluate(minute(14)).unwrap();
    alerts_of.deliver(minute(14)).unwrap();
    assert_eq!(alerts_of.overview().waiting, 1);
    alerts_of.deliver(minute(14) + TimeDelta::days(1)).unwrap();
    let overview = alerts_of.overview();
    assert_eq!(
        (overview.waiting, overview.log[0].fate, overview.log[0].tries),
        (0, Fate::GivenUp, 2)
    );
}

#[test]
fn one_receiver_that_fails_holds_up_no_other() {
    let down: Answer = Some("HTTP/1.1 500 Down\r\ncontent-length: 0\r\n\r\n");
    let (bad, good) = (Hook::new(vec![down]), Hook::new(vec![OK]));
    let receivers = receiver("webhook", &bad.url(), "") + &receiver("slack", &good.url(), "");
    run(&alerts(&receivers, None));
    let requests = good.requests();
    assert_eq!(requests.len(), 2);
    let message = requests[0].json();
    assert!(message["text"].as_str().unwrap().starts_with("Firing: fails [warning]: error_rate"));
    assert_eq!(message["blocks"][0]["text"]["type"], "mrkdwn");
    assert!(requests[1].json()["text"].as_str().unwrap().starts_with("Resolved: fails"));
    assert!(bad.requests().len() > 2);
}

#[test]
fn a_redirect_is_followed_nowhere() {
    let other = Hook::new(vec![OK]);
    let to: &'static str = Box::leak(
        format!("HTTP/1.1 307 There\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", other.url())
            .into_boxed_str(),
    );
    let hook = Hook::new(vec![Some(to)]);
    let alerts = alerts(&receiver("webhook", &hook.url(), ""), None);
    run(&alerts);
    assert_eq!((other.requests().len(), alerts.overview().log[0].fate), (0, Fate::Refused));
}

#[test]
fn what_is_muted_is_told_when_it_still_fires_afterwards_and_else_never() {
    let hook = Hook::new(vec![OK]);
    let told = |until: i64| {
        let hook_before = hook.requests().len();
        let alerts = alerts(&receiver("webhook", &hook.url(), ""), None);
        alerts.mute("fails", minute(until)).unwrap();
        run(&alerts);
        hook.requests().len() - hook_before
    };
    assert_eq!((told(17), told(38)), (2, 0));
    let alerts = alerts("", None);
    assert!(alerts.mute("falls", minute(3)).unwrap_err().to_string().contains("falls"));
    alerts.mute("fails", minute(50)).unwrap();
    assert_eq!(alerts.overview().rules[0].muted_until, Some(minute(50)));
    alerts.unmute("fails").unwrap();
    assert_eq!(alerts.overview().rules[0].muted_until, None);
}

#[test]
fn who_starts_anew_goes_on_where_the_other_was() {
    let (hook, folder) = (Hook::new(vec![OK]), tempfile::tempdir().unwrap());
    let state = folder.path().join("taximeter.alerts.json");
    let receivers = receiver("webhook", &hook.url(), "");
    for at in 5..40 {
        // A new process each minute, which ends as if it were killed.
        let alerts = alerts(&receivers, Some(&state));
        alerts.evaluate(minute(at)).unwrap();
        alerts.deliver(minute(at)).unwrap();
    }
    let told: Vec<_> = hook.requests().iter().map(|one| one.json()["status"].clone()).collect();
    assert_eq!(told, ["firing", "resolved"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_rule_that_is_taken_out_is_over() {
    let (hook, folder) = (Hook::new(vec![OK]), tempfile::tempdir().unwrap());
    let state = folder.path().join("state.json");
    let receivers = receiver("webhook", &hook.url(), "");
    let before = alerts(&receivers, Some(&state));
    before.evaluate(minute(14)).unwrap();
    before.deliver(minute(14)).unwrap();
    let after = Alerts::open(rules(&receivers), history(vec![]), Some(&state)).unwrap();
    after.evaluate(minute(15)).unwrap();
    after.deliver(minute(15)).unwrap();
    let told: Vec<_> = hook.requests().iter().map(|one| one.json()["text"].clone()).collect();
    assert_eq!(told.len(), 2);
    assert_eq!(told[1], "the rule was taken out");
}

#[test]
fn a_test_says_what_the_receiver_said() {
    let denied: Answer = Some("HTTP/1.1 403 No\r\ncontent-length: 9\r\n\r\nno_access");
    let (good, bad) = (Hook::new(vec![OK]), Hook::new(vec![denied]));
    let alerts =
        alerts(&(receiver("webhook", &good.url(), "") + &receiver("slack", &bad.url(), "")), None);
    alerts.test("webhook", minute(1)).unwrap();
    assert_eq!(good.requests()[0].json()["kind"], "test");
    let error = alerts.test("slack", minute(1)).unwrap_err().to_string();
    assert!(error.contains("403 no_access"), "{error}");
    assert!(alerts.test("mail", minute(1)).is_err());
}
