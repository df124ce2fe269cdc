//! What the pages show, and where they lead.

use tempfile::tempdir;

use crate::support::{Running, chat, config, here, raw, until};

const PAGES: [&str; 11] = [
    "/",
    "/operations",
    "/sessions",
    "/search",
    "/tools",
    "/llms",
    "/costs",
    "/trends",
    "/advice",
    "/health",
    "/prices",
];

/// Asks with further headers, and gives the answer as it is.
fn asked(server: &Running, method: &str, path: &str, headers: &str) -> String {
    let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    raw(server.page, &format!("{head}Content-Length: 0\r\n{headers}\r\n"))
}

fn status(answer: &str) -> &str {
    answer.get("HTTP/1.1 ".len()..).and_then(|rest| rest.get(..3)).unwrap_or_default()
}

fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
}

#[test]
fn of_many_groups_the_dearest_are_shown_and_all_can_be_taken() {
    let folder = tempdir().unwrap();
    let server = Running::start(config(folder.path()));
    let spans: Vec<_> = (0..130_u64)
        .map(|trace| chat(trace, &[("gen_ai.conversation.id", &format!("talk{trace}"))]))
        .collect();
    assert_eq!(server.send(&spans), 200);
    until("all are stored", || {
        server.json("/api/v1/report?since=1h")["total_operations"].as_u64() == Some(130)
    });
    let rows = |page: &str| page.matches("only=session%3Dtalk").count();
    let costs = server.get("/costs?since=1h&by=session");
    assert_eq!(rows(&costs), 100, "{costs}");
    assert!(costs.contains("The 100 dearest of 130; ") && costs.contains("of 130"), "{costs}");
    assert!(costs.contains("by=session&amp;limit=1000\">Show more</a>"), "{costs}");
    let more = server.get("/costs?since=1h&by=session&limit=1000");
    assert_eq!(rows(&more), 130);
    assert!(!more.contains("dearest of"), "{more}");
    let all = server.json("/api/v1/groups?since=1h&by=session");
    assert_eq!(all["groups"].as_array().map(Vec::len), Some(130), "{all}");
}

#[test]
fn every_page_shows_what_is_stored_and_leads_to_the_operations_behind() {
    let folder = tempdir().unwrap();
    let server = Running::start(config(folder.path()));
    for page in PAGES {
        let empty = server.get(page);
        assert!(empty.contains("<h1>"), "{page}");
    }
    assert!(server.get("/tools").contains("op.tool("), "the line that mends it");
    let spans: Vec<_> = (0..30)
        .map(|trace| {
            let model = if trace % 3 == 0 { "gpt-4o-mimi" } else { "gpt-4o" };
            chat(trace, &[("gen_ai.request.model", model), ("user.id", "ann, of <Kent>")])
        })
        .collect();
    assert_eq!(server.send(&spans), 200);
    until("all are stored", || {
        server.json("/api/v1/report?since=1h")["total_operations"].as_u64() == Some(30)
    });
    for page in PAGES {
        let shown = server.get(&format!("{page}?since=1h"));
        assert_eq!(shown.matches("<script").count(), 2, "{page}");
        assert!(!shown.contains("<Kent>"), "{page}");
    }
    let llms = server.get("/llms?since=1h");
    assert!(llms.contains("/operations?since=1h&amp;only=llm%3Dopenai%2Fgpt-4o\""), "{llms}");
    let prices = server.get("/prices?since=1h");
    assert!(prices.contains("10 calls of 10 have no price"), "{prices}");
    assert!(prices.contains("id = &quot;gpt-4o-mimi&quot;"), "{prices}");
    // A value with a comma has an address of its own, and the address finds it.
    let costs = server.get("/costs?since=1h&by=user");
    assert!(costs.contains("only=user%3Dann%5C%2C%20of%20%3CKent%3E"), "{costs}");
    let narrowed =
        server.get("/operations?since=1h&only=user%3Dann%5C%2C%20of%20%3CKent%3E&limit=20");
    assert!(narrowed.contains("of 30 operations") && narrowed.contains("skip=20"), "{narrowed}");
    let last = server.get("/operations?since=1h&limit=20&skip=20");
    assert!(last.contains("21 to 30 of 30 operations"), "{last}");
    let elsewhere = server.get("/costs?since=1h&as=anthropic/claude-sonnet-4-5");
    assert!(elsewhere.contains("What if anthropic/claude-sonnet-4-5 had been asked?"));
    let compared = server.get("/?since=1h&compare=llm%3Dgpt-4o-mimi&only=llm%3Dgpt-4o");
    assert!(compared.contains("Compared with llm=gpt-4o-mimi"), "{compared}");
    server.shutdown();
}

#[test]
fn the_form_is_sent_on_to_the_address_that_means_the_same() {
    let folder = tempdir().unwrap();
    let server = Running::start(config(folder.path()));
    let sent = asked(
        &server,
        "GET",
        "/costs?since=24h&from=&to=&llm=openai%2Fgpt-4o&user=&tag=a%3Db&by=user",
        "",
    );
    assert_eq!(status(&sent), "303", "{sent}");
    let to = "/costs?since=24h&only=llm%3Dopenai%2Fgpt-4o%2Ctag%3Aa%3Db&by=user";
    assert_eq!(header(&sent, "location"), to);
    assert_eq!(status(&asked(&server, "GET", to, "")), "200");
    // Nobody is sent to another server.
    let away = asked(&server, "GET", "//evil.example/?user=a", "");
    assert!(!header(&away, "location").starts_with("//"), "{away}");
    server.shutdown();
}

#[test]
fn a_demo_is_played_beside_what_is_stored_for_those_that_ask_for_it() {
    let folder = tempdir().unwrap();
    let server = Running::start(config(folder.path()));
    assert!(server.get("/").contains("action=\"/demo\""));
    assert_eq!(status(&asked(&server, "GET", "/demo", "")), "405");
    let foreign = asked(&server, "POST", "/demo", "Origin: http://evil.example\r\n");
    assert_eq!(status(&foreign), "403");
    let cookie = "Cookie: other=1; taximeter_demo=1\r\n";
    assert!(!asked(&server, "GET", "/", cookie).contains("Demo data"), "nobody began it");

    let begun = asked(&server, "POST", "/demo", "Origin: http://localhost\r\n");
    assert_eq!((status(&begun), header(&begun, "location")), ("303", "/"));
    assert!(header(&begun, "set-cookie").starts_with("taximeter_demo=1;"), "{begun}");
    until("operations are played", || {
        let shown = asked(&server, "GET", "/?since=all", cookie);
        shown.contains("Demo data") && shown.contains("qa_response")
    });
    // Others see what is stored, and nothing is.
    assert!(!server.get("/").contains("Demo data"));
    assert_eq!(server.json("/api/v1/health")["operations"], 0);
    let ended = asked(&server, "POST", "/demo/end", cookie);
    assert!(header(&ended, "set-cookie").contains("Max-Age=0"), "{ended}");
    server.shutdown();
}

#[test]
fn a_server_of_nothing_but_the_demo_takes_nothing_and_has_thirty_days() {
    let mut config = taximeter_server::Config::demo();
    (config.page, config.otlp) = (here(0), vec![here(0)]);
    let server = Running::start(config);
    assert_eq!(server.otlp, here(0), "no telemetry is taken");
    until("the past was played", || {
        let health = server.json("/api/v1/health");
        let told = |key: &str| {
            let at = health[key].as_str()?;
            at.parse::<chrono::DateTime<chrono::Utc>>().ok()
        };
        let reach = told("last_at").zip(told("first_at")).map(|(last, first)| last - first);
        reach.is_some_and(|reach| reach > chrono::TimeDelta::days(29))
    });
    // Played by a real meter, by which nothing was lost.
    let health = server.json("/api/v1/health?since=all");
    assert_eq!(health["losses"]["lost"], 0, "{health}");
    for (page, holds) in [
        ("/tools?since=7d", "web_search"),
        ("/prices?since=7d", "acme/support-7b"),
        ("/costs?since=30d&by=tag:version", "Forecast of all operations"),
        ("/trends?since=7d", "The tokens changed"),
        ("/operations?only=tag:environment%3Dstaging", "qa_response"),
    ] {
        let shown = server.get(page);
        assert!(shown.contains("Demo data") && shown.contains(holds), "{page}: {shown}");
    }
    server.shutdown();
}
