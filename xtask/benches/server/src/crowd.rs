//! Connections that send a byte now and then, and others that say nothing, while the load is served beside them. Who is let
//! go comes again.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::say;

/// Those who hold connections.
pub(crate) struct Crowd {
    over: Arc<AtomicBool>,
    /// None where nobody is asked for.
    held: Option<JoinHandle<Held>>,
}

#[derive(Default)]
struct Held {
    most: usize,
    let_go: u64,
    refused: u64,
}

const HEAD: &[u8] =
    b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
    Content-Length: 100000\r\n\r\n";

impl Crowd {
    /// So many that are slow, and as many that are silent.
    pub(crate) fn gather(address: SocketAddr, each: usize) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let held = (each > 0).then(|| std::thread::spawn(move || hold(address, each, &told)));
        Self { over, held }
    }

    pub(crate) fn disperse(self, json: bool) {
        self.over.store(true, Ordering::Relaxed);
        let Some(held) = self.held else { return };
        let Held { most, let_go, refused } = held.join().unwrap_or_default();
        say(
            json,
            &serde_json::json!({"what": "crowd", "connections": most, "let_go": let_go, "refused": refused}),
            &format!(
                "beside it {most} connections at once, half of them slow and half silent; {let_go} were let go and came again, \
                 {refused} could not be opened"
            ),
        );
    }
}

fn hold(address: SocketAddr, each: usize, over: &AtomicBool) -> Held {
    let mut all: Vec<Option<TcpStream>> = (0..2 * each).map(|_| None).collect();
    let mut held = Held::default();
    while !over.load(Ordering::Relaxed) {
        for (place, one) in all.iter_mut().enumerate() {
            let is_slow = place < each;
            match one.as_mut().map(|stream| goes_on(stream, is_slow)) {
                Some(true) => {}
                Some(false) => {
                    *one = None;
                    held.let_go += 1;
                    continue;
                }
                None => *one = open(address, is_slow),
            }
            held.refused += u64::from(one.is_none());
        }
        held.most = held.most.max(all.iter().flatten().count());
        std::thread::sleep(Duration::from_millis(500));
    }
    held
}

fn open(address: SocketAddr, is_slow: bool) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).ok()?;
    if is_slow {
        stream.write_all(HEAD).ok()?;
    }
    stream.set_nonblocking(true).ok()?;
    Some(stream)
}

/// Says a little where it is slow; whether the other side is still there.
fn goes_on(stream: &mut TcpStream, is_slow: bool) -> bool {
    let waits = |error: &std::io::Error| error.kind() == ErrorKind::WouldBlock;
    let is_there = stream.read(&mut [0; 256]).is_err_and(|error| waits(&error));
    is_there && (!is_slow || stream.write(b" ").is_ok())
}
