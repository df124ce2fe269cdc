//! How soon the first screen is there in a browser that comes for the first time: Chromium, with nothing kept from before.
//!
//! From the request for the page until its charts on the screen are drawn: then the page asks for news. Between the two
//! stands a relay that hears both requests, and sees nothing else.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::Served;
use crate::{millis, say};

const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Each visit is a browser of its own.
const VISITS: usize = 7;

/// So long a browser has to settle, where it is not to be busy with its own start.
const SETTLING: Duration = Duration::from_secs(5);

const PATIENCE: Duration = Duration::from_secs(60);

/// What a browser asked for, and when.
struct Asked {
    news: bool,
    at: Instant,
}

/// Visits the first screen over so many days.
pub(crate) fn run(served: &Served, days: u64, json: bool) -> io::Result<()> {
    let is_there = |name: &&str| Command::new(name).arg("--version").output().is_ok();
    let Some(browser) = BROWSERS.into_iter().find(is_there) else {
        say(
            json,
            &serde_json::json!({"what": "browser", "skipped": "no Chromium"}),
            "first screen in a browser: skipped, there is no Chromium here",
        );
        return Ok(());
    };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let (tell, asked) = channel();
    let (server, page) = (served.page, format!("http://127.0.0.1:{port}/?since={days}d"));
    let waiting = waiting(&page);
    thread::spawn(move || relay(&listener, server, &waiting, &tell));
    // Another site than the page's, or the browser would have its process for it already.
    let settled = format!("http://localhost:{port}/waiting");
    for (what, address) in [("settled", &settled), ("starting in the same moment", &page)] {
        let mut times = Vec::new();
        for _ in 0..VISITS {
            times.extend(visit(browser, address, &asked)?.map(millis));
        }
        times.sort_by(f64::total_cmp);
        let (Some(least), Some(most)) = (times.first(), times.last()) else { continue };
        let median = times[times.len() / 2];
        say(
            json,
            &serde_json::json!({
                "what": "browser", "browser": what, "visits": times.len(), "median_ms": median, "least_ms": least, "most_ms": most,
            }),
            &format!(
                "first screen drawn in Chromium, {what}: {median:.0} ms [{least:.0}..{most:.0}] in {} visits, nothing kept from before",
                times.len()
            ),
        );
    }
    Ok(())
}

/// A page that goes to another when the browser has come to rest.
fn waiting(page: &str) -> String {
    let seconds = SETTLING.as_secs();
    let body = format!(
        "<!DOCTYPE html><meta http-equiv=\"refresh\" content=\"{seconds};url={page}\"><p>waiting"
    );
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Starts a browser, and gives the time it took to draw the page; none where it never did.
fn visit(browser: &str, address: &str, asked: &Receiver<Asked>) -> io::Result<Option<Duration>> {
    let folder = tempfile::tempdir()?;
    let mut child = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1280,900"])
        .arg(format!("--user-data-dir={}", folder.path().display()))
        .arg(address)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    // What the last browser asked for before its end came is not this one's.
    while asked.try_recv().is_ok() {}
    let (begun, mut page) = (Instant::now(), None);
    let took = loop {
        let Ok(asked) = asked.recv_timeout(PATIENCE.saturating_sub(begun.elapsed())) else {
            break None;
        };
        match page {
            Some(page) if asked.news => break Some(asked.at - page),
            None if !asked.news => page = Some(asked.at),
            _ => {}
        }
    };
    child.kill()?;
    child.wait()?;
    Ok(took)
}

/// Passes on what comes, and tells of the two requests.
fn relay(listener: &TcpListener, server: SocketAddr, waiting: &str, tell: &Sender<Asked>) {
    for client in listener.incoming().flatten() {
        let (tell, waiting) = (tell.clone(), waiting.to_owned());
        thread::spawn(move || {
            // A connection that breaks is the browser's to make again.
            let _ = pass_on(&client, server, &waiting, &tell);
        });
    }
}

fn pass_on(
    client: &TcpStream,
    server: SocketAddr,
    waiting: &str,
    tell: &Sender<Asked>,
) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    server.set_nodelay(true)?;
    client.set_nodelay(true)?;
    let (mut from_server, mut to_client) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Both);
    });
    let (mut bytes, mut from_client, mut to_server) = ([0; 16 << 10], client, server);
    loop {
        // A browser sends the head of a request in one piece, and no second one before the answer.
        let read = from_client.read(&mut bytes)?;
        let request = &bytes[..read];
        if request.starts_with(b"GET /waiting") {
            from_client.write_all(waiting.as_bytes())?;
            return to_server.shutdown(Shutdown::Both);
        }
        for (path, news) in [(&b"GET /?"[..], false), (b"GET /events", true)] {
            if request.starts_with(path) {
                let _ = tell.send(Asked { news, at: Instant::now() });
            }
        }
        if read == 0 {
            return to_server.shutdown(Shutdown::Both);
        }
        to_server.write_all(request)?;
    }
}
