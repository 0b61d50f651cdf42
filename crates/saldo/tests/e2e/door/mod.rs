//! The door: what a server does with connections before it knows who is there. No store has a part in it.

pub(crate) mod crowd;
mod limits;
mod proxy;
mod tls;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::harness::{Home, Server, run, said};

/// A server on a new store in a folder, and its operator's token.
struct Door {
    server: Server,
    token: String,
    _home: Home,
}

impl Door {
    /// With these lines under `[service]` in its configuration, and these options.
    fn with(limits: &str, options: &[&str]) -> Self {
        let home = Home::in_a_folder();
        let token = init(&home);
        let config = home.path().join("config.toml");
        std::fs::write(&config, format!("[service]\n{limits}\n")).expect("a file");
        let (store, config) = (home.store(), config.to_str().expect("text").to_owned());
        let serve = ["serve", "--store", &store, "--config", &config];
        let server = Server::start(&[&serve, options].concat(), home.path());
        Self {
            server,
            token,
            _home: home,
        }
    }

    fn address(&self) -> &str {
        self.server.url.split_once("://").expect("a URL").1
    }

    fn connect(&self) -> TcpStream {
        connect(self.address())
    }

    /// Sends these bytes alone on a connection; answers with all that comes back.
    fn raw(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("sent");
        rest(&mut stream)
    }

    /// Whether somebody who behaves is served.
    fn serves(&self) -> bool {
        self.raw("GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .ends_with("ready\n")
    }
}

/// Makes a store; answers with the operator's token.
fn init(home: &Home) -> String {
    let made = run(&["init", "--store", &home.store()]);
    assert!(made.status.success(), "{}", said(&made));
    String::from_utf8(made.stdout).expect("text").trim().to_owned()
}

/// A connection on which nothing is waited for without end: that would be a test that never fails.
pub(crate) fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    let end = Some(Duration::from_secs(60));
    stream.set_read_timeout(end).expect("a time-out");
    stream.set_write_timeout(end).expect("a time-out");
    stream
}

/// What comes until the server closes, in order or not.
pub(crate) fn rest(stream: &mut impl Read) -> String {
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert!(
            !is_late(&error),
            "the server does not close: {}",
            String::from_utf8_lossy(&answer)
        );
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Whether it was the test that gave up.
fn is_late(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
    )
}

fn first_line(answer: &str) -> &str {
    answer.lines().next().unwrap_or_default()
}
