//! Who may ask, and what no name that arrives can do.

use std::fmt::Write as _;

use tempfile::tempdir;

use super::support::{Running, agent, chat, config, raw, until};

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn other_names_and_other_pages_are_refused() {
    let folder = tempdir().unwrap();
    let mut config = config(folder.path());
    config.hosts = vec!["meter.example.com".into()];
    let server = Running::start(config);
    let asked = |host: &str, origin: &str| {
        let origin =
            if origin.is_empty() { String::new() } else { format!("Origin: {origin}\r\n") };
        let host = if host.is_empty() { String::new() } else { format!("Host: {host}\r\n") };
        let request = format!("GET /healthz HTTP/1.1\r\n{host}{origin}Connection: close\r\n\r\n");
        status(&raw(server.page, &request)).to_owned()
    };
    let port = server.page.port();
    for host in [
        "localhost",
        "127.0.0.1",
        "[::1]",
        "LOCALHOST",
        "meter.example.com",
        "meter.example.com:443",
        &format!("localhost:{port}"),
        &format!("127.0.0.1:{port}"),
        "127.0.0.2",
    ] {
        assert_eq!(asked(host, ""), "200", "{host}");
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "evil.localhost.example:4319",
        "localhost.",
        "localhost@evil.example",
        "192.168.1.5",
        "[fe80::1]",
        "0.0.0.0",
        "meter.example.com.evil.example",
        "127.0.0.1.nip.io",
    ] {
        assert_eq!(asked(host, ""), "403", "{host}");
    }
    assert_eq!(asked("", ""), "400");
    for origin in ["http://localhost:1", "http://127.0.0.1", "https://meter.example.com"] {
        assert_eq!(asked("localhost", origin), "200", "{origin}");
    }
    for origin in
        ["null", "http://evil.example", "https://localhost.evil.example", "file://", "http://"]
    {
        assert_eq!(asked("localhost", origin), "403", "{origin}");
    }
    // An address in the request line counts as much as the header.
    let absolute =
        "GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(status(&raw(server.page, absolute)), "403");
    let two = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_ne!(status(&raw(server.page, two)), "200");
    // Telemetry is guarded likewise.
    let post = "POST /v1/traces HTTP/1.1\r\nHost: evil.example\r\nContent-Type: application/json\r\n\
        Content-Length: 2\r\nConnection: close\r\n\r\n{}";
    assert_eq!(status(&raw(server.otlp, post)), "403");
    server.shutdown();
}

#[test]
fn a_token_is_asked_of_everybody_and_shown_to_nobody() {
    let folder = tempdir().unwrap();
    let mut config = config(folder.path());
    config.token = Some("a-secret-of-ours".into());
    let server = Running::start(config);
    let asked = |address: std::net::SocketAddr, authorization: &str| {
        let request = format!(
            "GET /healthz HTTP/1.1\r\nHost: localhost\r\n{authorization}Connection: close\r\n\r\n"
        );
        raw(address, &request)
    };
    let basic = "Authorization: Basic YW55Ym9keTphLXNlY3JldC1vZi1vdXJz\r\n"; // anybody:a-secret-of-ours
    for good in ["Authorization: Bearer a-secret-of-ours\r\n", basic] {
        assert_eq!(status(&asked(server.page, good)), "200");
    }
    for bad in [
        "",
        "Authorization: Bearer a-secret-of-our\r\n",
        "Authorization: Bearer a-secret-of-ours2\r\n",
        "Authorization: Bearer\r\n",
        "Authorization: Basic a-secret-of-ours\r\n",
        "Authorization: Digest a-secret-of-ours\r\n",
        "Cookie: token=a-secret-of-ours\r\n",
    ] {
        let answer = asked(server.page, bad);
        assert_eq!(status(&answer), "401", "{bad}");
        assert!(!answer.contains("a-secret-of-ours"));
        assert_eq!(status(&asked(server.otlp, bad)), "401", "{bad}");
    }
    server.shutdown();
}

#[test]
fn nothing_is_changed_by_asking_and_every_answer_is_guarded() {
    let folder = tempdir().unwrap();
    let server = Running::start(config(folder.path()));
    for path in ["/", "/operations", "/api/v1/report", "/assets/page.js", "/nowhere"] {
        let response = agent().get(format!("http://{}{path}", server.page)).call().unwrap();
        let header = |name: &str| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        };
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("referrer-policy"), "same-origin", "{path}");
        assert_eq!(header("access-control-allow-origin"), "", "{path}");
    }
    for method in ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS"] {
        let request = format!(
            "{method} / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(status(&raw(server.page, &request)), "405", "{method}");
    }
    for path in [
        "/../../etc/passwd",
        "/assets/..%2f..%2fetc%2fpasswd",
        "/assets/%2e%2e/Cargo.toml",
        "/assets/;/page",
    ] {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        assert_eq!(status(&raw(server.page, &request)), "404", "{path}");
    }
    server.shutdown();
}

/// Names that would do something if a page took them for more than text.
const PAYLOADS: [&str; 20] = [
    "<script>alert(1)</script>",
    "\"><script>alert(1)</script>",
    "'><img src=x onerror=alert(1)>",
    "</title><script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<svg/onload=alert(1)>",
    "<iframe src=javascript:alert(1)>",
    "javascript:alert(1)",
    "\" onmouseover=\"alert(1)",
    "' onfocus='alert(1)' autofocus='",
    "<a href=\"javascript:alert(1)\">x</a>",
    "<style>*{display:none}</style>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "{{constructor.constructor('alert(1)')()}}",
    "${alert(1)}",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\u{202e}<script>\u{2028}alert(1)</script>",
    "<math><mtext></mtext><script>alert(1)</script></math>",
    "--><script>alert(1)</script><!--",
];

#[test]
fn whatever_a_name_is_it_is_text_on_every_page() {
    let folder = tempdir().unwrap();
    let server = Running::start(config(folder.path()));
    let keys = [
        "gen_ai.request.model",
        "gen_ai.provider.name",
        "gen_ai.response.finish_reasons",
        "gen_ai.conversation.id",
        "user.id",
        "error.type",
        "gen_ai.tool.name",
    ];
    let mut trace = 0;
    for payload in PAYLOADS {
        for key in keys {
            let mut span = chat(trace, &[(key, payload)]);
            span["name"] = payload.into();
            span["status"] = serde_json::json!({"code": 2, "message": payload});
            assert_eq!(server.send(&[span]), 200);
            trace += 1;
        }
    }
    until("all are stored", || {
        server.json("/api/v1/report?since=1h")["total_operations"].as_u64() >= Some(trace)
    });
    let lines = server.json("/api/v1/operations?since=1h&limit=1000");
    let ids = lines["operations"].as_array().unwrap().iter().step_by(7);
    let mut pages: Vec<String> =
        ids.map(|line| format!("/operations/{}", line["operation_id"].as_str().unwrap())).collect();
    pages.extend(
        ["/", "/operations?limit=1000", "/trends", "/advice", "/health"].map(str::to_owned),
    );
    pages.extend(
        ["model", "provider", "operation", "user", "session", "tool"]
            .map(|by| format!("/costs?by={by}")),
    );
    pages.extend(PAYLOADS.map(|payload| {
        let mut encoded = String::new();
        for byte in payload.bytes() {
            write!(encoded, "%{byte:02x}").unwrap();
        }
        format!("/?only={encoded}&since={encoded}&by={encoded}")
    }));
    for path in &pages {
        let page = server.get(path);
        assert_eq!(page.matches("<script").count(), 2, "{path}"); // our own two
        for tag in ["<img", "<iframe", "<base", "<style", "<math", "onerror=alert(1)>", "<svg/"] {
            assert!(!page.contains(tag), "{path}: {tag}");
        }
        for attribute in ["href=\"javascript", " onmouseover=\"alert"] {
            assert!(!page.contains(attribute), "{path}: {attribute}");
        }
    }
    server.shutdown();
}
