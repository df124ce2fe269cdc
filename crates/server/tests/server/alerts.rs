//! Alerts of a server: what fires is told and shown, what may be muted and from where, what a rule would have done.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use chrono::{TimeDelta, Utc};
use serde_json::Value;
use taximeter::{OperationId, OperationRecord, Outcome};
use taximeter_alerts::Rules;
use taximeter_server::{AlertsConfig, Config};
use tempfile::tempdir;

use super::support::{Running, agent, config, raw, until};

const PAYLOAD: &str = "\"><script>alert(1)</script>";

/// A receiver that takes everything; what it got.
fn hook() -> (String, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let got: Arc<Mutex<Vec<Value>>> = Arc::default();
    let kept = Arc::clone(&got);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(mut stream), mut text, mut piece) = (stream, Vec::new(), [0; 8_192]) else {
                return;
            };
            let body = loop {
                let Ok(length) = stream.read(&mut piece) else { break None };
                text.extend_from_slice(&piece[..length]);
                let shown = String::from_utf8_lossy(&text).into_owned();
                let body = shown.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
                let whole = body.and_then(|body| serde_json::from_str(&body).ok());
                if whole.is_some() || length == 0 {
                    break whole;
                }
            };
            kept.lock().unwrap().extend(body);
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    (url, got)
}

/// A server over operations of the last minutes, of which all of one user fail.
fn with_rules(folder: &Path, url: &str) -> Config {
    let mut config = config(folder);
    let toml = format!(
        "[[receiver]]\nname = 'hook'\nkind = 'webhook'\nurl = '{url}?key=s3cret'\n\
         [[budget]]\nname = 'month'\namount = 5\nper = 'month'\n\
         [[rule]]\nname = 'fails'\nkind = 'threshold'\nquantity = 'error_rate'\nby = 'user'\n\
         above = 0.5\nwindow = '1h'\nminimum = 1"
    );
    let now = Utc::now();
    let operations = (0..40_u8).map(|number| {
        let mut operation = OperationRecord::new("qa_response");
        operation.id = OperationId::from_bits(u128::from(number) + 1);
        operation.started_at = now - TimeDelta::minutes(2) - TimeDelta::seconds(number.into());
        operation.user = Some(if number % 2 == 0 { PAYLOAD } else { "bob" }.into());
        operation.outcome = if number % 2 == 0 { Outcome::Failure } else { Outcome::Success };
        operation
    });
    config.history.append(operations.collect()).unwrap();
    let mut alerts = AlertsConfig::new(toml.parse::<Rules>().unwrap());
    alerts.state = Some(folder.join("alerts.json"));
    config.alerts = Some(alerts);
    config
}

/// The status that a form is answered with.
fn post(server: &Running, path: &str, origin: &str, body: &str) -> String {
    let answer = sent(server, path, origin, body);
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// The whole answer to a form of this server's own page.
fn answer(server: &Running, path: &str, body: &str) -> String {
    sent(server, path, "", body)
}

fn sent(server: &Running, path: &str, origin: &str, body: &str) -> String {
    let origin = if origin.is_empty() { String::new() } else { format!("Origin: {origin}\r\n") };
    let length = body.len();
    raw(
        server.page,
        &format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\n{origin}Connection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}"
        ),
    )
}

#[test]
fn what_fires_is_told_once_over_two_servers_and_shown_with_its_operations() {
    let ((url, got), folder) = (hook(), tempdir().unwrap());
    for _ in 0..2 {
        let server = Running::start(with_rules(folder.path(), &url));
        until("it fires and is told", || {
            let alerts = server.json("/api/v1/alerts");
            alerts["firing"].as_array().is_some_and(|firing| firing.len() == 1)
                && alerts["waiting"] == 0
                && alerts["rules"][0]["looked_at"].is_string()
        });
        let alerts = server.json("/api/v1/alerts");
        let firing = &alerts["firing"][0];
        assert_eq!((firing["key"].clone(), firing["told"].clone()), (PAYLOAD.into(), true.into()));
        let page = server.get("/alerts");
        assert!(!page.contains("<script>alert"), "a name does something on the page");
        assert!(
            page.contains("&lt;script&gt;alert")
                && !page.contains("s3cret")
                && !page.contains("/hook")
        );
        assert!(page.contains("error_rate over 1h is 100.0 % of 20"));
        let link = page.split("href=\"/operations?").nth(1).unwrap().split('"').next().unwrap();
        let operations = server.json(&format!("/api/v1/operations?{}", link.replace("&amp;", "&")));
        assert_eq!(operations["operations"].as_array().unwrap().len(), 20);
        server.shutdown();
    }
    let got = got.lock().unwrap();
    assert_eq!(got.len(), 1, "{got:?}");
    assert_eq!(
        (got[0]["status"].clone(), got[0]["key"].clone()),
        ("firing".into(), PAYLOAD.into())
    );
}

#[test]
fn a_rule_is_muted_by_post_from_here_alone() {
    let ((url, _), folder) = (hook(), tempdir().unwrap());
    let server = Running::start(with_rules(folder.path(), &url));
    let muted = || server.json("/api/v1/alerts")["rules"][0]["muted_until"].clone();
    let page = server.page;
    for (path, origin, body, status) in [
        ("/alerts/mute", "https://evil.example", "rule=fails&until=1h", "403"),
        ("/alerts/mute", "null", "rule=fails&until=1h", "403"),
        ("/alerts/mute", "", "rule=falls&until=1h", "400"),
        ("/alerts/mute", "", "rule=fails&until=ever", "400"),
        ("/alerts/mute", "", "until=1h", "422"),
    ] {
        assert_eq!(post(&server, path, origin, body), status, "{path} {origin} {body}");
    }
    let asked =
        agent().get(format!("http://{page}/alerts/mute?rule=fails&until=1h")).call().unwrap();
    assert_eq!((asked.status().as_u16(), muted()), (405, Value::Null));
    assert_eq!(post(&server, "/alerts/mute", "http://localhost", "rule=fails&until=1h"), "303");
    assert!(muted().is_string());
    assert!(server.get("/alerts").contains("End it"));
    assert_eq!(post(&server, "/alerts/unmute", "", "rule=fails"), "303");
    assert_eq!(muted(), Value::Null);
    // A browser tells where a form came from only where the page lets it.
    let page = agent().get(format!("http://{page}/alerts")).call().unwrap();
    assert_eq!(page.headers()["referrer-policy"], "same-origin");
    server.shutdown();
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02x}"))
}

/// A server whose rules are of a file, with comments.
fn of_file(folder: &Path) -> (Config, std::path::PathBuf) {
    let path = folder.join("rules.toml");
    let toml = "# Ours: ask before you change them.\n\n# Failing answers.\n[[rule]]\nname = 'fails' # since May\nkind = 'threshold'\n\
        quantity = 'error_rate'\nby = 'user'\nabove = 0.5\nwindow = '1h'\nminimum = 1\n\n# The month.\n[[budget]]\n\
        name = 'month'\namount = 5\nper = 'month'\n";
    std::fs::write(&path, toml).unwrap();
    let mut config = with_rules(folder, "http://127.0.0.1:9/none");
    config.alerts.as_mut().unwrap().rules = Rules::load(&path).unwrap();
    (config, path)
}

/// What stands in a hidden field of a page.
fn hidden<'p>(page: &'p str, name: &str) -> &'p str {
    let field = page.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap();
    field.split('"').next().unwrap()
}

#[test]
fn a_rule_is_made_changed_and_taken_out_from_the_page_and_every_comment_stays() {
    let folder = tempdir().unwrap();
    let (config, path) = of_file(folder.path());
    let server = Running::start(config);
    let text = || std::fs::read_to_string(&path).unwrap();
    let names = || {
        let alerts = server.json("/api/v1/alerts");
        let rules = alerts["rules"].as_array().unwrap();
        rules.iter().map(|rule| rule["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let save = |origin: &str, was: &str, mark: &str, toml: &str| {
        let body = format!("was={}&mark={mark}&over=7d&toml={}", encoded(was), encoded(toml));
        post(&server, "/alerts/rule", origin, &body)
    };
    let new =
        "[[rule]]\r\nname = 'quiet'\r\nkind = 'no_data' # nothing at all\r\nwindow = '2h'\r\n";
    let before = text();
    for (origin, toml, status) in [
        ("https://evil.example", new, "403"),
        ("null", new, "403"),
        ("", "[[rule]]\nname = 'fails'\nkind = 'no_data'\nwindow = '2h'", "400"),
        ("", "[[rule]]\nname = 'x'\nkind = 'no_date'", "400"),
        ("", "[[receiver]]\nname = 'r'\nkind = 'slack'\nurl = 'http://127.0.0.1/'", "400"),
        ("", "[[budget]]\nname = 'b'\namount = 1\nper = 'day'", "400"),
        ("", "", "400"),
    ] {
        assert_eq!(save(origin, "", "", toml), status, "{toml}");
    }
    let asked = agent().get(format!("http://{}/alerts/rule?toml=x", server.page)).call().unwrap();
    assert_eq!((asked.status().as_u16(), text()), (405, before.clone()));

    assert_eq!(save("http://localhost", "", "", new), "303");
    assert_eq!(names(), ["fails", "quiet"]);
    assert_eq!(text(), format!("{before}\n{}", new.replace("\r\n", "\n")));

    // It is tried before it is saved, and what it would have done is said.
    let page = server.get("/alerts?edit=fails");
    let mark = hidden(rule_form(&page), "mark").to_owned();
    assert!(page.contains("Change the rule fails") && page.contains("since May"), "{page}");
    let changed = "[[rule]]\nname = 'fails'\nkind = 'threshold'\nquantity = 'count'\nabove = 30\nwindow = '10m'";
    let tried =
        server.get(&format!("/alerts?over=1h&was=fails&mark={mark}&toml={}", encoded(changed)));
    assert!(tried.contains("fails would have fired once"), "{tried}");
    let form = rule_form(&tried);
    assert_eq!((hidden(form, "was"), hidden(form, "mark")), ("fails", mark.as_str()));
    assert_eq!(save("", "fails", &mark, changed), "303");
    until("it is looked at by what it says now", || {
        let rule = &server.json("/api/v1/alerts")["rules"][0];
        rule["says"] == "count over 10m above 30" && rule["firing"] == 1
    });
    for comment in
        ["# Ours: ask before", "# Failing answers.\n[[rule]]", "# The month.", "# nothing at all"]
    {
        assert!(text().contains(comment), "{comment} in {}", text());
    }
    // Who opened it before that does not undo it.
    assert_eq!(
        save("", "fails", &mark, "[[rule]]\nname = 'fails'\nkind = 'no_data'\nwindow = '9h'"),
        "409"
    );

    assert_eq!(
        post(&server, "/alerts/rule/remove", "https://evil.example", "was=fails&toml="),
        "403"
    );
    assert_eq!(post(&server, "/alerts/rule/remove", "", "was=falls&toml="), "400");
    assert_eq!(post(&server, "/alerts/rule/remove", "", "was=fails&toml="), "303");
    assert_eq!(names(), ["quiet"]);
    assert!(
        text().starts_with("# Ours: ask before you change them.\n\n# The month.\n"),
        "{}",
        text()
    );
    until("what fired is over", || {
        server.json("/api/v1/alerts")["firing"] == serde_json::json!([])
    });
    server.shutdown();
}

/// The page from the form of a rule on.
fn rule_form(page: &str) -> &str {
    page.split("action=\"/alerts/rule\"").nth(1).unwrap()
}

/// A form as a browser sends it.
fn form(fields: &[(&str, &str)]) -> String {
    let field = |(name, value): &(&str, &str)| format!("{name}={}", encoded(value));
    fields.iter().map(field).collect::<Vec<_>>().join("&")
}

#[test]
fn a_budget_is_made_changed_and_taken_out_from_the_page() {
    let folder = tempdir().unwrap();
    let (config, path) = of_file(folder.path());
    let server = Running::start(config);
    let text = || std::fs::read_to_string(&path).unwrap();
    let before = text();
    let save = |origin: &str, fields: &[(&str, &str)]| {
        post(&server, "/alerts/budget", origin, &form(fields))
    };
    let team = [("name", "team"), ("amount", "$12.50"), ("per", "week"), ("by", "tag:team")];
    assert_eq!(save("https://evil.example", &team), "403");
    for (fields, said) in [
        ([("name", "month"), ("amount", "1"), ("per", "day"), ("by", "")], "stands there twice"),
        ([("name", "x"), ("amount", "0"), ("per", "day"), ("by", "")], "cannot be a budget"),
        ([("name", "x"), ("amount", "much"), ("per", "day"), ("by", "")], "amount"),
        ([("name", "x"), ("amount", "1"), ("per", "year"), ("by", "")], "month, week or day"),
        (
            [("name", "x"), ("amount", "1"), ("per", "day"), ("by", "tool")],
            "nothing is spent by tool",
        ),
        ([("name", "a\u{1b}"), ("amount", "1"), ("per", "day"), ("by", "")], "printable"),
    ] {
        let answer = answer(&server, "/alerts/budget", &form(&fields));
        assert!(answer.contains(" 400 ") && answer.contains(said), "{said}: {answer}");
    }
    assert_eq!(text(), before);
    let asked = agent().get(format!("http://{}/alerts/budget", server.page)).call().unwrap();
    assert_eq!(asked.status().as_u16(), 405);

    assert_eq!(save("http://localhost", &team), "303");
    let added = "\n[[budget]]\nname = \"team\"\namount = 12.5\nper = \"week\"\nby = \"tag:team\"\n";
    assert_eq!(text(), format!("{before}{added}"));
    let page = server.get("/alerts?edit_budget=month");
    let mark = budget_mark(&page);
    let changed = [
        ("name", "month"),
        ("amount", "7"),
        ("per", "month"),
        ("by", ""),
        ("was", "month"),
        ("mark", mark.as_str()),
    ];
    assert_eq!(save("", &changed), "303");
    assert!(
        text().contains("# The month.\n[[budget]]\nname = \"month\"\namount = 7\n"),
        "{}",
        text()
    );
    assert_eq!(save("", &changed), "409", "who opened it before that does not undo it");
    let budgets = server.json("/api/v1/budgets");
    assert_eq!(budgets["budgets"][0]["amount"], "7");
    assert_eq!(post(&server, "/alerts/budget/remove", "https://evil.example", "was=team"), "403");
    assert_eq!(post(&server, "/alerts/budget/remove", "", "was=term"), "400");
    assert_eq!(post(&server, "/alerts/budget/remove", "", "was=team"), "303");
    assert!(!text().contains("team"), "{}", text());
    server.shutdown();
}

/// The mark in the form of a budget.
fn budget_mark(page: &str) -> String {
    hidden(page.split("action=\"/alerts/budget\"").nth(1).unwrap(), "mark").to_owned()
}

#[test]
fn a_receiver_is_made_changed_tested_and_taken_out_and_its_secrets_never_come_back() {
    let ((url, got), folder) = (hook(), tempdir().unwrap());
    let (mut config, path) = of_file(folder.path());
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str("\n# On call.\n[[receiver]]\nname = 'night'\nkind = 'slack'\nurl = 'http://127.0.0.1:9/K3Y' # ours\n");
    std::fs::write(&path, &text).unwrap();
    config.alerts.as_mut().unwrap().rules = Rules::load(&path).unwrap();
    let server = Running::start(config);
    let text = || std::fs::read_to_string(&path).unwrap();
    let save = |origin: &str, fields: &[(&str, &str)]| {
        post(&server, "/alerts/receiver", origin, &form(fields))
    };
    let address = format!("{url}?key=K3Y1");
    let new = [
        ("name", "ops"),
        ("kind", "webhook"),
        ("url", address.as_str()),
        ("secret", "K3Y2"),
        ("token", "K3Y3"),
    ];
    assert_eq!(save("https://evil.example", &new), "403");
    assert_eq!(save("null", &new), "403");
    for (kind, url, secret, token) in [
        ("mail", address.as_str(), "", ""),
        ("slack", "K3Y4", "", ""),
        ("slack", &address, "K3Y4", ""),
        ("webhook", &address, "", "K3Y\n4"),
    ] {
        let fields =
            [("name", "x"), ("kind", kind), ("url", url), ("secret", secret), ("token", token)];
        let answer = answer(&server, "/alerts/receiver", &form(&fields));
        assert!(answer.contains(" 400 ") && !answer.contains("K3Y"), "{kind}: {answer}");
    }
    assert_eq!(save("http://localhost", &new), "303");
    assert!(text().contains("secret = \"K3Y2\"\ntoken = \"K3Y3\""), "{}", text());

    // It is told that this is a test, signed and with its token.
    assert_eq!(
        post(&server, "/alerts/receiver/test", "https://evil.example", "receiver=ops"),
        "403"
    );
    assert_eq!(post(&server, "/alerts/receiver/test", "", "receiver=nobody"), "400");
    assert_eq!(post(&server, "/alerts/receiver/test", "", "receiver=night"), "502");
    assert_eq!(post(&server, "/alerts/receiver/test", "", "receiver=ops"), "303");
    assert_eq!(got.lock().unwrap().len(), 1);

    // What was saved is on no page and in no answer.
    let open = |name: &str| {
        let page = server.get(&format!("/alerts?edit_receiver={name}"));
        let form = page.split("action=\"/alerts/receiver\"").nth(1).unwrap();
        hidden(form, "mark").to_owned()
    };
    for path in [
        "/alerts",
        "/alerts?edit_receiver=ops",
        "/alerts?edit_receiver=night",
        "/api/v1/alerts",
        "/costs",
        "/",
    ] {
        let shown = server.get(path);
        assert!(!shown.contains("K3Y"), "{path}: {shown}");
    }
    let receivers = server.json("/api/v1/alerts")["receivers"].clone();
    assert_eq!(receivers[1]["name"], "ops");
    assert_eq!(
        (receivers[1]["signed"].clone(), receivers[1]["token"].clone()),
        (true.into(), true.into())
    );

    // A new address gets no old secret, unless it is given anew or taken out.
    let mark = open("ops");
    let moved = |more: &[(&'static str, &'static str)]| {
        let mut fields = vec![
            ("name", "ops"),
            ("kind", "webhook"),
            ("url", "http://127.0.0.1:9/elsewhere"),
            ("was", "ops"),
            ("mark", mark.as_str()),
        ];
        fields.extend(more);
        save("", &fields)
    };
    assert_eq!(moved(&[]), "400");
    assert_eq!(moved(&[("secret", "K3Y5")]), "400");
    assert_eq!(moved(&[("secret", "K3Y5"), ("no_token", "1")]), "303");
    assert!(text().contains("secret = \"K3Y5\"") && !text().contains("K3Y3"), "{}", text());
    assert_eq!(moved(&[("secret", "K3Y5"), ("no_token", "1")]), "409");
    // A new name keeps all else, to the last comment.
    let mark = open("night");
    let named = [("name", "nights"), ("kind", "slack"), ("was", "night"), ("mark", mark.as_str())];
    assert_eq!(save("", &named), "303");
    let kept = "# On call.\n[[receiver]]\nname = \"nights\"\nkind = \"slack\"\nurl = 'http://127.0.0.1:9/K3Y' # ours\n";
    assert!(text().contains(kept), "{}", text());
    assert_eq!(post(&server, "/alerts/receiver/remove", "https://evil.example", "was=ops"), "403");
    assert_eq!(post(&server, "/alerts/receiver/remove", "", "was=ops"), "303");
    assert!(!text().contains("ops") && text().contains("nights"), "{}", text());
    server.shutdown();
}

#[test]
fn where_nothing_may_be_changed_no_rule_is() {
    let folder = tempdir().unwrap();
    let (mut config, path) = of_file(folder.path());
    (config.journal, config.alerts.as_mut().unwrap().watch) = (None, false);
    let before = std::fs::read_to_string(&path).unwrap();
    let server = Running::start(config);
    let body = format!("toml={}", encoded("[[rule]]\nname = 'q'\nkind = 'no_data'\nwindow = '2h'"));
    assert_eq!(post(&server, "/alerts/rule", "", &body), "403");
    assert_eq!(post(&server, "/alerts/rule/remove", "", "was=fails&toml="), "403");
    for (path, body) in [
        ("/alerts/budget", "name=b&amount=1&per=day"),
        ("/alerts/budget/remove", "was=month"),
        ("/alerts/receiver", "name=r&kind=slack&url=http://127.0.0.1:9/"),
        ("/alerts/receiver/remove", "was=hook"),
        ("/alerts/receiver/test", "receiver=hook"),
    ] {
        assert_eq!(post(&server, path, "", body), "403", "{path}");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
    server.shutdown();
    // Rules that are of no file are not made into one.
    let server = Running::start(with_rules(tempdir().unwrap().path(), "http://127.0.0.1:9/none"));
    assert_eq!(post(&server, "/alerts/rule", "", &body), "400");
    server.shutdown();
}

#[test]
fn a_server_that_only_reads_shows_all_of_it_and_changes_nothing() {
    let ((url, got), folder) = (hook(), tempdir().unwrap());
    let mut config = with_rules(folder.path(), &url);
    config.journal = None;
    config.alerts.as_mut().unwrap().watch = false;
    let server = Running::start(config);
    assert_eq!(post(&server, "/alerts/mute", "", "rule=fails&until=1h"), "403");
    let page = server.get("/alerts");
    assert!(page.contains("fails") && !page.contains("method=\"post\""));
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    assert!(got.lock().unwrap().is_empty() && !folder.path().join("alerts.json").exists());
    server.shutdown();
}

#[test]
fn a_rule_is_tried_over_the_past_before_it_is_in_the_file() {
    let ((url, _), folder) = (hook(), tempdir().unwrap());
    let server = Running::start(with_rules(folder.path(), &url));
    let past = server.json("/api/v1/alerts/backtest?rule=fails&over=1h");
    assert_eq!(
        (past["document"].clone(), past["would_have_fired"].clone()),
        ("backtest".into(), 1.into())
    );
    assert_eq!(past["groups"][0]["key"], PAYLOAD);
    let toml = |rest: &str| {
        let toml =
            format!("[[rule]]\nname='t'\nkind='threshold'\nquantity='count'\nwindow='10m'\n{rest}");
        toml.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02x}"))
    };
    let tried =
        server.json(&format!("/api/v1/alerts/backtest?over=1h&toml={}", toml("above = 30")));
    assert_eq!(tried["would_have_fired"], 1, "{tried}");
    let page = server.get(&format!("/alerts?over=1h&toml={}", toml("above = 30")));
    assert!(page.contains("t would have fired once"));
    for rest in [
        "above = 30\nnothing = 1",
        "above = 1\n[[receiver]]\nname='r'\nkind='webhook'\nurl_env='HOME'",
    ] {
        let url = format!("http://{}/api/v1/alerts/backtest?toml={}", server.page, toml(rest));
        let mut answer = agent().get(url).call().unwrap();
        assert_eq!(answer.status().as_u16(), 400);
        let said = answer.body_mut().read_to_string().unwrap();
        assert!(said.contains("line") || said.contains("file alone"), "{said}");
    }
    let wrong = server.get("/alerts?rule=falls");
    assert!(wrong.contains("there is none of this name"));
    let budgets = server.json("/api/v1/budgets");
    assert_eq!(
        (budgets["budgets"][0]["left"].clone(), budgets["document"].clone()),
        ("5".into(), "budgets".into())
    );
    server.shutdown();
}
