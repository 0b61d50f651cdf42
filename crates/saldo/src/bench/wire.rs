//! HTTP/1.1 as cheap as it gets: one request at a time on a connection that stays open, of the answer only what counts.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::failure::Failure;

/// After so long without an answer a request counts as failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server, as a URL names it.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// As it stands in the `Host` header.
    pub(super) host: String,
    pub(super) address: SocketAddr,
}

impl Target {
    /// Finds the server of a URL.
    pub(super) async fn find(url: &str) -> Result<Self, Failure> {
        let wrong = |why: &str| Failure::new(format!("--url {url}: {why}"));
        let host = url
            .strip_prefix("http://")
            .ok_or_else(|| wrong("must begin with http://; the load generator speaks no TLS"))?
            .trim_end_matches('/');
        if host.is_empty() || host.contains('/') {
            return Err(wrong(
                "must name a host and a port alone, as in http://127.0.0.1:8080",
            ));
        }
        let named = match host.rsplit_once(':') {
            Some((_, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host.to_owned(),
            _ => format!("{host}:80"),
        };
        let mut found = tokio::net::lookup_host(&named)
            .await
            .map_err(|error| wrong(&error.to_string()))?;
        let address = found.next().ok_or_else(|| wrong("the host has no address"))?;
        Ok(Self {
            host: host.to_owned(),
            address,
        })
    }
}

/// A connection to a server.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer; its body is the rest of the connection's buffer.
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    pub(super) body: &'a [u8],
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(16 << 10),
        })
    }

    /// Sends a whole request and reads the whole answer. After an error the connection is of no more use.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        let read = async {
            self.stream.write_all(request).await?;
            self.buffer.clear();
            let (status, head, length) = loop {
                self.more().await?;
                if let Some(end) = memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                    let (status, length) = parse(&self.buffer[..end + 2])?;
                    break (status, end + 4, length);
                }
            };
            self.buffer
                .reserve((head + length).saturating_sub(self.buffer.len()));
            while self.buffer.len() < head + length {
                self.more().await?;
            }
            Ok::<_, io::Error>((status, head))
        };
        let (status, head) = tokio::time::timeout(PATIENCE, read).await??;
        Ok(Answer {
            status,
            body: &self.buffer[head..],
        })
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            _ => Ok(()),
        }
    }
}

/// The status of an answer and the length of its body, from its head.
fn parse(head: &[u8]) -> io::Result<(u16, usize)> {
    let wrong = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "not an answer of HTTP/1.1 with a content-length",
        )
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.trim().parse::<usize>().ok();
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix(b"HTTP/1.1 "))
        .and_then(|line| number(line.get(..3)?))
        .and_then(|status| u16::try_from(status).ok())
        .ok_or_else(wrong)?;
    const LENGTH: &[u8] = b"content-length:";
    let length = lines
        .find(|line| line.len() > LENGTH.len() && line[..LENGTH.len()].eq_ignore_ascii_case(LENGTH))
        .and_then(|line| number(&line[LENGTH.len()..]));
    match (length, status) {
        (Some(length), _) => Ok((status, length)),
        (None, 204) => Ok((status, 0)),
        (None, _) => Err(wrong()),
    }
}

/// The header of a bearer's token.
pub(super) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// A request without its variable parts; each of `headers` ends with its line end.
pub(super) fn request(method: &str, path: &str, host: &str, headers: &str, body: &str) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}");
    if !body.is_empty() {
        text += &format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
    }
    text += "\r\n";
    text += body;
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_head_status_and_length_are_read() {
        let head = |text: &str| parse(text.as_bytes()).ok();
        assert_eq!(
            head("HTTP/1.1 201 Created\r\nContent-Length: 12\r\n"),
            Some((201, 12))
        );
        assert_eq!(
            head("HTTP/1.1 200 OK\r\na: b\r\ncontent-length:0\r\nc: d\r\n"),
            Some((200, 0))
        );
        assert_eq!(head("HTTP/1.1 204 No Content\r\n"), Some((204, 0)));
        for wrong in [
            "HTTP/1.0 200 OK\r\ncontent-length: 1\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: x\r\n",
            "HTTP/1.1 2\r\n",
            "",
        ] {
            assert_eq!(head(wrong), None, "{wrong}");
        }
    }
}
