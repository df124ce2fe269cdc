//! The box that finds, the sessions, tables as CSV, and what is asked every few seconds.

use std::ops::ControlFlow;
use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use taximeter::history::{History, Windows};
use taximeter::store::{
    Appended, Block, Column, MemoryStore, Query, Rollup, RollupQuery, Scanned, Store, StoreSpan,
    StoreStats, Table,
};
use taximeter::{
    ErrorCategory, ErrorRecord, OperationId, OperationRecord, Outcome, StoreError, TraceId,
};
use taximeter_alerts::Rules;
use taximeter_server::{AlertsConfig, Config};
use tempfile::tempdir;

use super::support::{Running, agent, config, here};

/// Answers of the last minutes, of two users and a session.
fn answers() -> Vec<OperationRecord> {
    let now = Utc::now();
    let answer = |number: u8| {
        let mut answer = OperationRecord::new("qa_response");
        answer.id = OperationId::from_bits((0xabc_def0_u128 << 96) + u128::from(number));
        answer.trace_id = TraceId::from_bits(0xfeed_u128 << 112 | u128::from(number));
        answer.started_at = now - TimeDelta::minutes(5) - TimeDelta::seconds(number.into());
        answer.duration = std::time::Duration::from_millis(1_500);
        answer.user = Some(if number == 0 { "ann" } else { "bob" }.into());
        answer.session = (number < 3).then(|| "s, 1".into());
        if number == 4 {
            answer.outcome = Outcome::Failure;
            let said = "the index <b>is</b> gone";
            answer.errors.push(ErrorRecord::new(ErrorCategory::Server, said));
        }
        answer
    };
    (0..6).map(answer).collect()
}

/// Where a path leads at once; none where it is a page itself.
fn led(server: &Running, path: &str) -> Option<String> {
    let agent: ureq::Agent = ureq::Agent::config_builder().max_redirects(0).build().into();
    let answer = agent.get(format!("http://{}{path}", server.page)).call().unwrap();
    let to = answer.headers().get("location");
    to.map(|to| to.to_str().unwrap().to_owned())
}

#[test]
fn the_box_leads_to_the_one_thing_that_is_meant_or_to_all_that_may_be() {
    let folder = tempdir().unwrap();
    let config = config(folder.path());
    let records = answers();
    config.history.append(records.clone()).unwrap();
    let server = Running::start(config);
    let id = records[2].id.to_string();
    let one = Some(format!("/operations/{id}"));
    assert_eq!(led(&server, &format!("/search?q={id}")), one);
    assert_eq!(led(&server, &format!("/search?q={}", records[2].trace_id)), one);
    let of_ann = Some("/operations?since=1h&only=user%3Dann".into());
    assert_eq!(led(&server, "/search?q=ann&since=1h"), of_ann);
    assert_eq!(led(&server, "/search?q=ANN&since=1h"), of_ann);
    let of_session = Some("/operations?only=session%3Ds%5C%2C%201".into());
    assert_eq!(led(&server, "/search?q=s,+1"), of_session);
    // What may be several things is listed, and its address holds it.
    let page = server.get("/search?q=0abcdef0");
    assert!(page.contains("By id or trace") && page.contains(&id), "{page}");
    assert!(page.contains("type=\"search\" name=\"q\" value=\"0abcdef0\""), "{page}");
    let page = server.get("/search?q=index+%3Cb%3Eis&since=1h");
    assert!(
        page.contains("By the text of an error") && page.contains("Search: index &lt;b&gt;is"),
        "{page}"
    );
    assert!(server.get("/search?q=nobody&since=1h").contains("/search?q=nobody&amp;since=all"));
    assert!(server.get("/search").contains("into the box above"));
    let found = server.json("/api/v1/search?q=b&since=1h");
    assert_eq!(
        (found["document"].clone(), found["names"][0]["key"].clone()),
        ("found".into(), "bob".into())
    );
    assert_eq!(found["names"][0]["count"], 5);
    server.shutdown();
}

#[test]
fn sessions_and_users_lead_to_their_operations() {
    let folder = tempdir().unwrap();
    let config = config(folder.path());
    config.history.append(answers()).unwrap();
    let server = Running::start(config);
    let found = server.json("/api/v1/sessions?since=1h");
    let session = &found["sessions"][0];
    assert_eq!((found["of"].clone(), found["untold"].clone()), (1.into(), 3.into()));
    assert_eq!(
        (session["key"].clone(), session["busy_seconds"].clone()),
        ("s, 1".into(), 4.5.into())
    );
    let page = server.get("/sessions?since=1h");
    assert!(page.contains("/operations?since=1h&amp;only=session%3Ds%5C%2C%201"), "{page}");
    assert!(page.contains("3 operations told none"), "{page}");
    let users = server.get("/sessions?since=1h&by=user&order=slowest");
    assert!(users.find(">bob<") < users.find(">ann<"), "{users}");
    assert!(server.get("/?since=1h").contains("The slowest sessions"));
    for wrong in ["by=tool", "order=worst"] {
        let answer = agent().get(format!("http://{}/api/v1/sessions?{wrong}", server.page)).call();
        assert_eq!(answer.unwrap().status().as_u16(), 400, "{wrong}");
    }
    server.shutdown();
    // Where nobody tells it, the page says what is missing.
    let folder = tempdir().unwrap();
    let server = Running::start(super::support::config(folder.path()));
    for (by, line) in [("session", ".session("), ("user", ".user(")] {
        assert!(server.get(&format!("/sessions?by={by}")).contains(line), "{by}");
    }
    server.shutdown();
}

#[test]
fn what_is_no_list_is_csv_too() {
    let folder = tempdir().unwrap();
    let mut config = config(folder.path());
    config.history.append(answers()).unwrap();
    let days = (1..20_u8).map(|day| {
        let mut record = OperationRecord::new("earlier");
        record.id = OperationId::from_bits(day.into());
        record.started_at = Utc::now() - TimeDelta::days(day.into());
        record
    });
    config.history.append(days.collect()).unwrap();
    let toml = "[[budget]]\nname = 'month, all'\namount = 5\nper = 'month'\n[[rule]]\nname = 'quiet'\nkind = 'no_data'\nwindow = '2h'";
    config.alerts = Some(AlertsConfig::new(toml.parse::<Rules>().unwrap()));
    let server = Running::start(config);
    for (path, head, row) in [
        ("/api/v1/alerts", "rule,kind,says,", "quiet,no_data,nothing for 2h,"),
        ("/api/v1/alerts?table=firing", "", ""),
        ("/api/v1/alerts?table=log", "", ""),
        ("/api/v1/budgets", "budget,by,key,per,", "\"month, all\",all,,month,"),
        ("/api/v1/trend/qa_response?since=1h", "measure,direction,", "duration,"),
        ("/api/v1/sessions?since=1h", "key,operations,failed,", "\"s, 1\",3,0,"),
        ("/api/v1/forecast", "at,value,low_80,high_80,low_95,high_95", "2"),
        ("/api/v1/forecast?by=hour&limit=3", "at,value,", "2"),
    ] {
        let mark = if path.contains('?') { '&' } else { '?' };
        let csv = server.get(&format!("{path}{mark}format=csv"));
        assert!(csv.starts_with(head), "{path}: {csv}");
        assert!(csv.lines().nth(1).unwrap_or_default().starts_with(row), "{path}: {csv}");
    }
    for wrong in ["/api/v1/alerts?format=csv&table=all", "/api/v1/forecast?by=week"] {
        let answer = agent().get(format!("http://{}{wrong}", server.page)).call().unwrap();
        assert_eq!(answer.status().as_u16(), 400, "{wrong}");
    }
    server.shutdown();
}

/// A store that cannot count all that it holds: whoever asks it to has an error.
#[derive(Debug)]
struct Uncounted(MemoryStore);

impl Store for Uncounted {
    fn append(&self, records: &[OperationRecord]) -> Result<Appended, StoreError> {
        self.0.append(records)
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.0.flush()
    }

    fn get(&self, id: OperationId) -> Result<Option<OperationRecord>, StoreError> {
        self.0.get(id)
    }

    fn scan(
        &self,
        query: &Query,
        each: &mut dyn FnMut(OperationRecord) -> ControlFlow<()>,
    ) -> Result<Scanned, StoreError> {
        self.0.scan(query, each)
    }

    fn columns(
        &self,
        table: Table,
        query: &Query,
        columns: &[Column],
        each: &mut dyn FnMut(&Block<'_>) -> ControlFlow<()>,
    ) -> Result<Scanned, StoreError> {
        self.0.columns(table, query, columns, each)
    }

    fn tables(
        &self,
        query: &Query,
        tables: &[(Table, &[Column])],
        each: &mut dyn FnMut(&[Block<'_>]) -> ControlFlow<()>,
    ) -> Result<Scanned, StoreError> {
        self.0.tables(query, tables, each)
    }

    fn rollups(&self, query: &RollupQuery) -> Result<Vec<Rollup>, StoreError> {
        self.0.rollups(query)
    }

    fn stats(&self) -> Result<StoreStats, StoreError> {
        let what = "all of it was counted".to_owned();
        Err(StoreError::Damaged { doing: "counting", path: "store".into(), what })
    }

    fn span(&self) -> Result<StoreSpan, StoreError> {
        self.0.span()
    }
}

#[test]
fn what_is_asked_every_few_seconds_counts_nothing() {
    let store = Uncounted(MemoryStore::summarizing(Arc::new(Windows)));
    let history = History::new(Arc::new(store));
    history.append(answers()).unwrap();
    let mut config = Config::new(history);
    (config.page, config.otlp) = (here(0), vec![]);
    let server = Running::start(config);
    let metrics = server.get("/metrics");
    assert!(
        metrics.contains("\ntaximeter_store_operations{taximeter_what=\"hot\"} 6\n"),
        "{metrics}"
    );
    assert_eq!(server.get("/readyz"), "ready\n");
    assert_eq!(server.get("/healthz"), "ok\n");
    assert_eq!(server.json("/api/v1/health")["operations"], 6);
    assert!(server.get("/health").contains("Operations stored"));
    assert!(server.get("/").contains("Overview"));
    server.shutdown();
}
