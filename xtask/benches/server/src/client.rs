//! A client of HTTP/1.1 that costs next to nothing: one connection, one request at a time.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A connection that is used again and again.
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
    address: SocketAddr,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { reader: BufReader::new(stream), address })
    }

    /// Sends telemetry, and gives the status of the answer.
    pub(crate) fn post(&mut self, body: &[u8]) -> io::Result<u16> {
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-protobuf\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        let stream = self.reader.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        self.answer().map(|(status, _)| status)
    }

    fn answer(&mut self) -> io::Result<(u16, Vec<u8>)> {
        let (mut status, mut length, mut line) = (0, None, String::new());
        loop {
            line.clear();
            if self.reader.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let told = line.trim_end();
            if told.is_empty() {
                break;
            }
            if let Some(rest) = told.strip_prefix("HTTP/1.1 ") {
                status = rest.split(' ').next().and_then(|code| code.parse().ok()).unwrap_or(0);
            } else if let Some((name, value)) = told.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().ok();
            }
        }
        let mut body = Vec::new();
        match length {
            Some(length) => self.reader.by_ref().take(length).read_to_end(&mut body)?,
            None => self.reader.read_to_end(&mut body)?,
        };
        Ok((status, body))
    }
}

/// Asks once.
pub(crate) fn get(address: SocketAddr, path: &str) -> io::Result<(u16, Vec<u8>)> {
    let mut connection = Connection::open(address)?;
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    connection.reader.get_mut().write_all(head.as_bytes())?;
    connection.answer()
}
