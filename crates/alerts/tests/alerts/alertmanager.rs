//! The real Alertmanager of Prometheus, where it is installed; else the test says that it skips.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use serde_json::Value;
use taximeter_alerts::Alerts;

use super::support::{failed, history, operation, rules};

const PROGRAMS: [&str; 2] = ["/usr/bin/prometheus-alertmanager", "/usr/bin/alertmanager"];

struct Running {
    child: Child,
    url: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(program: &str, folder: &Path) -> Running {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = folder.join("alertmanager.yml");
    std::fs::write(&config, "route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n").unwrap();
    let child = Command::new(program)
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address={free}"))
        .arg("--cluster.listen-address=")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let running = Running { child, url: format!("http://{free}") };
    let begun = Instant::now();
    while get(&running, "/-/ready").is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the Alertmanager does not begin");
        std::thread::sleep(Duration::from_millis(50));
    }
    running
}

fn get(running: &Running, path: &str) -> Option<String> {
    let mut answer = ureq::get(format!("{}{path}", running.url)).call().ok()?;
    answer.body_mut().read_to_string().ok()
}

fn active(running: &Running) -> Vec<Value> {
    serde_json::from_str(&get(running, "/api/v2/alerts").unwrap()).unwrap()
}

#[test]
fn an_alertmanager_shows_what_fires_until_it_is_over() {
    let Some(program) = PROGRAMS.into_iter().find(|program| Path::new(program).exists()) else {
        println!("skipped: no Alertmanager is installed (Debian: prometheus-alertmanager)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let running = start(program, folder.path());
    let toml = format!(
        "[[receiver]]\nname = 'am'\nkind = 'alertmanager'\nurl = '{}/'\n\
         [[rule]]\nname = 'users fail'\nkind = 'threshold'\nquantity = 'error_rate'\nby = 'tag:team'\n\
         window = '5m'\nabove = 0.5\nminimum = 1\nseverity = 'critical'\nlabels = {{ service = 'qa' }}",
        running.url
    );
    // An Alertmanager goes by its own clock.
    let now = Utc::now();
    let with_team = |mut operation: taximeter::OperationRecord| {
        operation.tags.insert("team".into(), "<search> & \"more\"".into());
        operation
    };
    let operations = vec![
        with_team(failed(now - TimeDelta::minutes(12))),
        with_team(operation(now - TimeDelta::minutes(2))),
    ];
    let alerts = Alerts::open(rules(&toml), history(operations), None).unwrap();
    let then = now - TimeDelta::minutes(10);
    alerts.evaluate(then).unwrap();
    assert_eq!(alerts.deliver(now).unwrap(), 1);
    let firing = active(&running);
    assert_eq!(firing.len(), 1, "{firing:?}");
    let labels = &firing[0]["labels"];
    assert_eq!(labels["alertname"], "users fail");
    assert_eq!(
        (labels["severity"].clone(), labels["service"].clone()),
        ("critical".into(), "qa".into())
    );
    assert_eq!(labels["tag_team"], "<search> & \"more\"");
    assert_eq!(firing[0]["status"]["state"], "active");

    // It is told again every minute, and does not become two.
    alerts.deliver(now + TimeDelta::minutes(2)).unwrap();
    assert_eq!(active(&running).len(), 1);

    alerts.evaluate(now).unwrap();
    assert_eq!(alerts.deliver(now).unwrap(), 1);
    assert_eq!(active(&running), Vec::<Value>::new());
}
