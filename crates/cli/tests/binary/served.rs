//! `taximeter serve`: the page and the API say what the command line says of the same store.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use chrono::TimeDelta;
use serde_json::Value;
use taximeter::report::{NONE, count, counted, money, number, seconds, share, took};
use taximeter::{Money, Rate};

use super::room::{Room, questions};

/// A server that ends with the test.
struct Served(Child, String);

impl Served {
    fn over(room: &Room) -> Self {
        let mut command = room.command(&["serve", "--read-only", "--port", "0"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        let address = line.split_once("http://").unwrap().1.trim().to_owned();
        std::thread::spawn(move || lines.count());
        Self(child, address)
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.1).unwrap();
        let head = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.1);
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.0 200"), "{path}: {answer:.200}");
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path)).unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn page_and_api_say_what_the_command_line_says() {
    let room = Room::of(&questions(60, TimeDelta::days(20)));
    let served = Served::over(&room);
    let id = room.json(&["ops", "--since", "30d"])["operations"][0]["operation_id"].clone();
    let id = id.as_str().unwrap();
    for (command, path) in [
        (
            vec!["report", "--since", "30d", "--by", "user"],
            "/api/v1/report?since=30d&by=user".to_owned(),
        ),
        (
            vec!["report", "--since", "30d", "--budget", "1"],
            "/api/v1/report?since=30d&budget=1".to_owned(),
        ),
        (vec!["ops", "--since", "30d"], "/api/v1/operations?since=30d&limit=20".to_owned()),
        (vec!["show", id], format!("/api/v1/operations/{id}")),
        (
            vec!["trend", "qa_response", "--window", "30d"],
            "/api/v1/trend/qa_response?since=30d".to_owned(),
        ),
        (vec!["advise", "--since", "30d"], "/api/v1/advice?since=30d".to_owned()),
        (vec!["bottlenecks", "--since", "30d"], "/api/v1/advice?since=30d".to_owned()),
        (vec!["forecast"], "/api/v1/forecast".to_owned()),
        (vec!["forecast", "--budget", "1"], "/api/v1/forecast?budget=1".to_owned()),
        (
            vec!["forecast", "--by", "hour", "--steps", "8"],
            "/api/v1/forecast?by=hour&limit=8".to_owned(),
        ),
        (
            vec!["sessions", "--by", "user", "--since", "30d", "--slowest"],
            "/api/v1/sessions?by=user&since=30d&order=slowest&limit=20".to_owned(),
        ),
        (
            vec!["sessions", "--by", "user", "--since", "30d", "--user", "user-1"],
            "/api/v1/sessions?by=user&since=30d&limit=20&only=user=user-1".to_owned(),
        ),
        (
            vec!["find", "No Answer", "--since", "30d"],
            "/api/v1/search?q=No+Answer&since=30d".to_owned(),
        ),
        (
            vec!["slo", "--target", "95", "--within", "1500ms", "--user", "user-1"],
            "/api/v1/slo?target=95&within=1500ms&only=user=user-1".to_owned(),
        ),
        (vec!["metrics", "--since", "30d"], "/api/v1/metrics?since=30d".to_owned()),
        (
            vec!["metrics", "retrieved_documents", "--since", "30d", "--by", "user"],
            "/api/v1/metrics/retrieved_documents?since=30d&by=user".to_owned(),
        ),
        (
            vec!["compare", "user=user-1", "user=user-2", "--since", "30d"],
            "/api/v1/compare?a=user=user-1&b=user=user-2&since=30d".to_owned(),
        ),
    ] {
        same(|| room.json(&command), || served.json(&path), &path);
    }
}

/// A page by its tables: of each row what stands in its cells.
struct Page(String);

impl Page {
    /// The rows of the table of that name, without its head.
    fn rows(&self, label: &str) -> Vec<Vec<String>> {
        let region = self.0.split(&format!("aria-label=\"{label}\"")).nth(1);
        let region = region.unwrap_or_else(|| panic!("there is no table {label}: {}", self.0));
        let body = region.split("<tbody>").nth(1).unwrap().split("</tbody>").next().unwrap();
        let cell = |cell: &str| {
            let inner = cell.split_once('>').map_or("", |(_, inner)| inner);
            plain(inner.split("</t").next().unwrap_or_default())
        };
        let cells = |row: &str| {
            row.replace("<th", "<td").split("<td").skip(1).map(cell).collect::<Vec<_>>()
        };
        body.split("<tr").skip(1).map(cells).collect()
    }

    fn holds(&self, text: &str) {
        assert!(plain(&self.0).contains(text), "{text:?} is not on the page: {}", self.0);
    }
}

/// What is read: without tags, each run of spaces as one.
fn plain(html: &str) -> String {
    let mut text = String::new();
    let mut tags = 0;
    for letter in html.chars() {
        match letter {
            '<' => tags += 1,
            '>' => tags -= 1,
            letter if tags == 0 => text.push(letter),
            _ => {}
        }
    }
    let text = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&amp;", "&");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn rate(value: &Value) -> String {
    share(Rate { hits: value["hits"].as_u64().unwrap(), of: value["of"].as_u64().unwrap() })
}

fn errors(success: &Value) -> String {
    let (hits, of) = (success["hits"].as_u64().unwrap(), success["of"].as_u64().unwrap());
    share(Rate { hits: of - hits, of })
}

fn usd(value: &Value) -> Money {
    value.as_str().unwrap().parse().unwrap()
}

fn whole(value: &Value) -> String {
    count(value.as_u64().unwrap())
}

/// Asks the command line, the page and the command line, until both say the same and no minute ended in between.
fn both(command: impl Fn() -> Value, page: impl Fn() -> String) -> (Value, Page) {
    let mut before = command();
    for _ in 0..20 {
        let page = page();
        let after = command();
        if timeless(before.clone()) == timeless(after.clone()) {
            return (after, Page(page));
        }
        before = after;
    }
    panic!("the command line never says the same twice");
}

#[test]
fn the_page_shows_the_numbers_of_the_command_line() {
    let mut records = questions(60, TimeDelta::days(20));
    for (at, record) in (0_u32..).zip(&mut records) {
        record.session = Some(format!("session-{}", at / 4).into());
        record.metadata.insert("answer_relevance".into(), (0.5 + f64::from(at % 9) / 20.0).into());
    }
    let room = Room::of(&records);
    room.write(
        "taximeter.alerts.toml",
        "[[budget]]\nname = 'month'\namount = 1\nper = 'month'\nby = 'user'",
    );
    let served = Served::over(&room);
    first_screen(&room, &served);

    let (trend, page) = both(
        || room.json(&["trend", "qa_response", "--window", "30d"]),
        || served.get("/trends?since=30d"),
    );
    let rows = page.rows("qa_response, measures");
    let percent = |value: &Value| {
        value.as_f64().map_or_else(|| NONE.into(), |value| format!("{value:+.1} %"))
    };
    assert_eq!(rows[0][2], percent(&trend["change_percent"]), "{trend}");
    assert_eq!(rows[0][4], counted(trend["data_points"].as_u64().unwrap(), "operation"));
    let measures = trend["measures"].as_object().unwrap();
    assert_eq!(rows.len(), measures.len() + 1);
    for (name, measure) in measures {
        let row = rows.iter().find(|row| row[0] == name.replace('_', " ").replace("llm", "LLM"));
        let row = row.unwrap_or_else(|| panic!("{name} is not among {rows:?}"));
        let points =
            format!("{} of {}", whole(&measure["data_points"]), whole(&measure["operations"]));
        assert_eq!((&row[2], &row[4]), (&percent(&measure["change_percent"]), &points), "{name}");
    }

    let (forecast, page) = both(|| room.json(&["forecast"]), || served.get("/costs?since=30d"));
    let rows = page.rows("Forecast of all operations, numbers");
    let points = forecast["forecast"]["points"].as_array().unwrap();
    assert_eq!((rows.len(), points.len()), (30, 30));
    for (row, point) in rows.iter().zip(points) {
        let names = ["value", "low_80", "high_80", "low_95", "high_95"];
        let told = names.map(|name| format!("${:.4}", point[name].as_f64().unwrap()));
        assert_eq!(row[1..], told, "{point}");
    }
    let by_llm = room.json(&["report", "--since", "30d", "--by", "llm"]);
    for (row, group) in page.rows("By LLM").iter().zip(by_llm["groups"].as_array().unwrap()) {
        let took = |name: &str| took(group["duration_seconds"][name].as_f64());
        let told = [
            whole(&group["success"]["of"]),
            errors(&group["success"]),
            took("p50"),
            took("p95"),
            whole(&group["input_tokens"]),
            whole(&group["output_tokens"]),
            rate(&group["cache_read"]),
        ];
        assert_eq!(
            (row[0].as_str(), &row[3..]),
            (group["key"].as_str().unwrap(), &told[..]),
            "{group}"
        );
        assert_eq!(row[1], money(usd(&group["total_cost"])));
    }
    for state in room.json(&["budget"])["budgets"].as_array().unwrap() {
        page.holds(&format!(
            "{} of $1.0000 spent in this month",
            money(usd(&state["spent"]["usd"]))
        ));
    }

    let (advice, page) =
        both(|| room.json(&["advise", "--since", "30d"]), || served.get("/advice?since=30d"));
    let findings = room.json(&["bottlenecks", "--since", "30d"]);
    assert_eq!(timeless(findings), timeless(advice.clone()));
    let advised = advice["optimization_suggestions"].as_array().unwrap();
    assert!(!advised.is_empty(), "{advice}");
    for (one, per_month) in advised.iter().zip(advice["per_month"].as_array().unwrap()) {
        page.holds(one["text"].as_str().unwrap());
        if per_month["usd"].is_string() {
            page.holds(&format!("{} a month", money(usd(&per_month["usd"]))));
        }
        if let Some(time) = per_month["seconds"].as_f64() {
            page.holds(&format!("{} of waiting a month", seconds(time)));
        }
    }
    let (metrics, page) =
        both(|| room.json(&["metrics", "--since", "30d"]), || served.get("/own-metrics?since=30d"));
    for (row, metric) in
        page.rows("Numbers of operations").iter().zip(metrics["metrics"].as_array().unwrap())
    {
        let told = ["mean", "p50", "p95", "min", "max"]
            .map(|name| number(metric["values"][name].as_f64().unwrap()));
        assert_eq!(row[2..7], told, "{metric}");
    }
}

fn first_screen(room: &Room, served: &Served) {
    let (report, page) =
        both(|| room.json(&["report", "--since", "30d"]), || served.get("/?since=30d"));
    let numbers = &report["numbers"];
    page.holds(&counted(report["total_operations"].as_u64().unwrap(), "operation"));
    page.holds(&money(usd(&numbers["spend"]["now"])));
    page.holds(&rate(&numbers["errors"]["now"]));
    page.holds(&took(numbers["p95_seconds"]["now"].as_f64()));
    page.holds(&format!(
        "first token {}",
        took(numbers["first_token_p95_seconds"]["now"].as_f64())
    ));
    page.holds(&counted(numbers["llm_calls"]["now"].as_u64().unwrap(), "LLM call"));
    page.holds(&rate(&numbers["cache"]["read"]["now"]));
    let llms = report["by_llm"].as_array().unwrap();
    let rows = page.rows("LLMs");
    assert!(rows.len() == llms.len() && llms.len() == 2, "{rows:?}");
    for (row, llm) in rows.iter().zip(llms) {
        let took = |name: &str| took(llm[name].as_f64());
        let speed = llm["output_tokens_per_second"].as_f64();
        let told = [
            format!("{}/{}", llm["provider"].as_str().unwrap(), llm["model"].as_str().unwrap()),
            money(usd(&llm["total_cost"])),
            money(usd(&llm["mean_cost"])),
            whole(&llm["success"]["of"]),
            errors(&llm["success"]),
            rate(&llm["retries"]),
            took("p50_seconds"),
            took("p95_seconds"),
            took("first_token_p95_seconds"),
            speed.map_or_else(|| NONE.into(), |speed| format!("{speed:.0}")),
            whole(&llm["input_tokens"]),
            whole(&llm["output_tokens"]),
            rate(&llm["cache_read"]),
            rate(&llm["reasoning"]),
            rate(&llm["truncated"]),
            rate(&llm["tool_replies"]),
        ];
        assert_eq!(row[..], told, "{llm}");
    }
    let tool = &report["by_tool"][0];
    let row = &page.rows("Tools")[0];
    assert_eq!((&row[0], &row[1]), (&"web_search".to_owned(), &whole(&tool["success"]["of"])));
    assert!(row[2].starts_with(&rate(&tool["success"])), "{row:?}");
    assert_eq!(
        row[5..8],
        [
            rate(&tool["retries"]),
            took(tool["p50_seconds"].as_f64()),
            took(tool["p95_seconds"].as_f64())
        ]
    );
    over_time(&report, &page, room, served);
    for order in ["dearest", "slowest"] {
        let rows = page.rows(&format!("The {order} sessions"));
        let sessions = report["sessions"][order].as_array().unwrap();
        assert_eq!((rows.len(), sessions.len()), (5, 5));
        for (row, session) in rows.iter().zip(sessions) {
            let told = [
                session["key"].as_str().unwrap().to_owned(),
                money(usd(&session["total_cost"])),
                seconds(session["busy_seconds"].as_f64().unwrap()),
                whole(&session["errors"]["of"]),
                rate(&session["errors"]),
                seconds(session["longest_seconds"].as_f64().unwrap()),
            ];
            assert_eq!(row[..6], told, "{session}");
        }
    }
    for spenders in report["spenders"].as_array().unwrap() {
        let rows = page.rows(&format!("Top spenders by {}", spenders["by"].as_str().unwrap()));
        for (row, spender) in rows.iter().zip(spenders["top"].as_array().unwrap()) {
            assert_eq!(
                (&row[3], &row[1]),
                (&whole(&spender["operations"]), &money(usd(&spender["total_cost"])))
            );
        }
    }
    for (order, label) in
        [("dearest", "The dearest operations"), ("slowest", "The slowest operations")]
    {
        for (row, line) in page.rows(label).iter().zip(report[order].as_array().unwrap()) {
            let told = [
                seconds(line["total_duration"].as_f64().unwrap()),
                money(usd(&line["total_cost"])),
            ];
            assert_eq!(
                (&row[2], &row[7], &row[6]),
                (&told[0], &told[1], &whole(&line["total_tokens"]))
            );
        }
    }
    let unit = |unit: &str| page.rows("Tokens").into_iter().find(|row| row[0] == unit).unwrap();
    assert_eq!(unit("input")[1], whole(&report["total_input_tokens"]), "{report}");
}

/// The charts of the first screen, by the tables below them: what was spent, what comes, and where the time went.
fn over_time(report: &Value, page: &Page, room: &Room, served: &Served) {
    let moments = report["over_time"]["moments"].as_array().unwrap();
    let steps = (moments.len() / 3).clamp(1, 48).to_string();
    let forecast = room.json(&["forecast", "--steps", &steps]);
    let points = forecast["forecast"]["points"].as_array().unwrap();
    let day =
        |at: &Value| at.as_str().unwrap().replace('T', " ").chars().take(16).collect::<String>();
    let by_llm = page.rows("Spend by day, numbers");
    // Today is the last step that was and the first that comes.
    assert_eq!(by_llm.len(), moments.len() + points.len() - 1);
    for point in points {
        let row = by_llm.iter().find(|row| row[0] == day(&point["at"])).unwrap();
        let told = ["value", "low_80", "high_80"];
        let told = told.map(|name| format!("${:.4}", point[name].as_f64().unwrap()));
        assert_eq!(row[row.len() - 3..], told, "{point}");
    }
    let by_kind = Page(served.get("/?since=30d&spend=cost"));
    let by_kind = by_kind.rows("Spend on each kind of token by day, numbers");
    let kinds_told = room.json(&["report", "--since", "30d", "--by", "kind"])["groups"].clone();
    for kind in kinds_told.as_array().unwrap() {
        let all = in_columns(&by_kind, &kinds_told, &[kind["key"].as_str().unwrap()]);
        assert_near(all, usd(&kind["total_cost"]).to_f64_lossy(), by_kind.len());
    }
    let times = page.rows("Where the time goes by day, numbers");
    let mut known = 0;
    for (row, moment) in moments.iter().enumerate() {
        let told = |name: &str| usd(&moment[name]).to_f64_lossy();
        let spent = |kinds: &[&str]| in_columns(&by_kind[row..=row], &kinds_told, kinds);
        assert_near(spent(&["input", "cache_read", "cache_write"]), told("input_cost"), 1);
        assert_near(spent(&["output", "reasoning"]), told("output_cost"), 1);
        let of_step = report["time_by_step"].as_array().unwrap().iter();
        let step = of_step.clone().find(|step| step["start"] == moment["start"]);
        known += usize::from(step.is_some());
        let told = ["llm_seconds", "tool_seconds", "component_seconds", "own_seconds"]
            .map(|name| took(step.and_then(|step| step[name].as_f64())));
        assert_eq!(times[row][1..], told, "{moment}");
    }
    assert!(known > 15, "{known} of {} steps", moments.len());
}

/// The dollars in the columns of these kinds. A table has a column for each kind that is told, in the order of what a call is
/// paid for.
fn in_columns(rows: &[Vec<String>], told: &Value, kinds: &[&str]) -> f64 {
    let is_told = |kind: &&str| told.as_array().unwrap().iter().any(|group| group["key"] == **kind);
    let all = ["input", "cache_read", "cache_write", "output", "reasoning", "other", "untold"];
    let columns: Vec<_> = all.iter().filter(|kind| is_told(kind)).collect();
    let place = |kind: &&str| columns.iter().position(|column| *column == kind);
    let dollars = |cell: &String| cell.trim_start_matches('$').parse::<f64>().unwrap_or_default();
    let cells = |row: &Vec<String>| -> f64 {
        kinds.iter().filter_map(place).map(|at| dollars(&row[1 + at])).sum()
    };
    rows.iter().map(cells).sum()
}

/// So many cells are rounded to the last of six places.
fn assert_near(found: f64, expected: f64, cells: usize) {
    let most = 4e-6 * f64::from(u32::try_from(cells).unwrap());
    assert!((found - expected).abs() <= most, "{found} {expected}");
}

/// Asks both until no minute ended in between, which moves a period: then they are one document.
fn same(command: impl Fn() -> Value, served: impl Fn() -> Value, path: &str) {
    let mut before = timeless(command());
    for _ in 0..20 {
        let answer = timeless(served());
        let after = timeless(command());
        if before == after {
            assert!(before.as_object().is_some_and(|names| names.len() > 3), "{path}");
            assert_eq!(answer, before, "{path}");
            return;
        }
        before = after;
    }
    panic!("{path}: the command line never says the same twice");
}

/// A document without the moment at which it was made, and without what was asked.
fn timeless(mut document: Value) -> Value {
    if let Value::Object(names) = &mut document {
        for name in ["analysis_timestamp", "only", "since", "until"] {
            names.remove(name);
        }
    }
    document
}
