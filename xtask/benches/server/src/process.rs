//! The server as a process: how it is started, where it listens, what the system says of it.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::client;

/// A server that runs.
pub(crate) struct Served {
    child: Child,
    folder: PathBuf,
    begun: Instant,
    pub(crate) page: SocketAddr,
    pub(crate) otlp: SocketAddr,
}

/// What the system says of a process.
#[derive(Clone, Copy, Default)]
pub(crate) struct Look {
    /// Bytes in memory, now and at most.
    pub(crate) rss: u64,
    pub(crate) peak: u64,
    /// CPU time since it began.
    pub(crate) cpu: Duration,
}

impl Served {
    pub(crate) fn start(binary: &Path, folder: &Path) -> Result<Self, Box<dyn Error>> {
        let begun = Instant::now();
        let mut child = Command::new(binary)
            .args(["serve", "--port", "0", "--otlp", "0", "--store"])
            .arg(folder)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let mut told = || {
            let address = lines.find_map(|line| {
                line.ok()?.split_once("http://").and_then(|(_, address)| address.parse().ok())
            });
            address.ok_or("the server did not say where it is")
        };
        let (page, otlp) = (told()?, told()?);
        std::thread::spawn(move || lines.count());
        Ok(Self { child, folder: folder.to_owned(), begun, page, otlp })
    }

    /// How long it took from the start of the process to the first page.
    pub(crate) fn first_page(&self) -> Result<Duration, Box<dyn Error>> {
        self.get("/")?;
        Ok(self.begun.elapsed())
    }

    pub(crate) fn get(&self, path: &str) -> Result<Vec<u8>, Box<dyn Error>> {
        let (status, body) = client::get(self.page, path)?;
        if status == 200 { Ok(body) } else { Err(format!("{path}: status {status}").into()) }
    }

    pub(crate) fn json(&self, path: &str) -> Result<serde_json::Value, Box<dyn Error>> {
        Ok(serde_json::from_slice(&self.get(path)?)?)
    }

    pub(crate) fn looked_at(&self) -> Look {
        let read = |file: &str| {
            std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap_or_default()
        };
        let status = read("status");
        let kilobytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        let stat = read("stat");
        // The name of the program may hold anything; what follows are numbers.
        let numbers = stat.rsplit_once(") ").map_or("", |(_, numbers)| numbers);
        let ticks = |at: usize| {
            numbers.split(' ').nth(at).and_then(|one| one.parse::<u64>().ok()).unwrap_or(0)
        };
        Look {
            rss: kilobytes("VmRSS:") << 10,
            peak: kilobytes("VmHWM:") << 10,
            // Linux counts hundredths of a second here, whatever the kernel's own tick is.
            cpu: Duration::from_millis(10 * (ticks(11) + ticks(12))),
        }
    }

    /// Bytes of a file of the store with its log.
    pub(crate) fn bytes(&self, file: &str) -> u64 {
        let bytes =
            |name: String| std::fs::metadata(self.folder.join(name)).map_or(0, |seen| seen.len());
        bytes(file.to_owned()) + bytes(format!("{file}-wal"))
    }

    /// Ends it as a service manager would.
    pub(crate) fn end(mut self) {
        let pid = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status();
        if !told.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
