//! Who may ask.

use tempfile::tempdir;

use super::support::{Running, agent, config, raw};

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
    // Who asks the API is told as it tells.
    let refused = "GET /api/v1/report HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    let refused = raw(server.page, refused);
    assert!(refused.contains("application/problem+json") && refused.contains("\"status\":403"));
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
