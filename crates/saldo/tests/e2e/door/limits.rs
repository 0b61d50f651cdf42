//! Limits, tried from raw sockets: who is slow, sends too much, or is one too many.

use std::io::{Read, Write};

use super::{Door, first_line, is_late, rest};

/// Reads one answer with a short body, and leaves the connection open.
fn answer(stream: &mut impl Read) -> String {
    let mut told = String::new();
    let mut byte = [0];
    while !told.ends_with("\nok\n") {
        assert_eq!(stream.read(&mut byte).expect("an answer"), 1, "{told}");
        told.push(byte[0].into());
    }
    told
}

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn one_connection_too_many_is_told_so() {
    for limit in ["connections = 3", "connections_per_address = 3"] {
        let door = Door::with(limit, &[]);
        let mut open: Vec<_> = Vec::new();
        // What asked whether the server is ready may still be closing.
        while open.len() < 3 {
            let mut stream = door.connect();
            stream.write_all(HEALTH).expect("sent");
            let mut first = [0; 12];
            stream.read_exact(&mut first).expect("an answer");
            match &first[9..] {
                b"200" => open.push(stream),
                b"503" => {}
                other => panic!("{other:?}"),
            }
        }
        // Told without having asked, and then the end.
        let told = rest(&mut door.connect());
        assert_eq!(first_line(&told), "HTTP/1.1 503 Service Unavailable", "{limit}");
        assert!(
            told.contains("connection: close") && told.contains("retry-after: 1"),
            "{told}"
        );
        let told = door.raw("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(
            told.ends_with("too many connections; try again, or close some\n"),
            "{told}"
        );
        drop(open.pop());
        while !door.serves() {
            std::thread::yield_now();
        }
    }
}

#[test]
fn who_begins_a_head_must_end_it() {
    let door = Door::with("head_seconds = 1", &[]);
    for begun in ["G", "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long:"] {
        assert_eq!(
            door.raw(begun),
            "",
            "a connection that may idle for long is closed when it is slow"
        );
    }
    // Byte by byte, after a request that was well: each byte in time, the whole too late.
    let mut stream = door.connect();
    stream.write_all(HEALTH).expect("sent");
    answer(&mut stream);
    let mut dripping = stream.try_clone().expect("a second handle");
    let (tell, ended) = std::sync::mpsc::channel();
    let drip = std::thread::spawn(move || {
        while ended.recv_timeout(std::time::Duration::from_millis(50)).is_err() {
            // Fails when the server has closed; then the end is about to be told.
            let _ = dripping.write_all(b"X");
        }
    });
    rest(&mut stream);
    tell.send(()).expect("it listens");
    drip.join().expect("it ends");
    assert!(door.serves());
}

#[test]
fn who_says_nothing_is_let_go() {
    let door = Door::with("idle_seconds = 1", &[]);
    assert_eq!(door.raw(""), "");
    let mut stream = door.connect();
    stream.write_all(HEALTH).expect("sent");
    answer(&mut stream);
    assert_eq!(rest(&mut stream), "", "between requests");
}

#[test]
fn who_asks_now_and_then_or_waits_for_an_answer_is_not_idle() {
    let door = Door::with("idle_seconds = 1", &[]);
    let mut stream = door.connect();
    for _ in 0..4 {
        stream.write_all(HEALTH).expect("sent");
        answer(&mut stream);
        let short = Some(std::time::Duration::from_millis(400));
        stream.set_read_timeout(short).expect("a time-out");
        let nothing = stream.read(&mut [0]).expect_err("nothing comes");
        assert!(is_late(&nothing), "{nothing}");
    }
    let long = Some(std::time::Duration::from_secs(60));
    stream.set_read_timeout(long).expect("a time-out");
    let follow = format!(
        "GET /api/v1/events?wait=3 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
        door.token
    );
    stream.write_all(follow.as_bytes()).expect("sent");
    let told = rest(&mut stream);
    assert!(told.ends_with("0\r\n\r\n"), "it was broken off: {told}");
}

/// A transaction's head of which the body is still to come.
fn head(token: &str, length: usize, more: &str) -> String {
    format!(
        "POST /api/v1/clients HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n{more}\r\n"
    )
}

/// A body of this length that makes a client.
fn client(length: usize) -> String {
    let body = "{\"legalName\":\"Known\"}";
    body.to_owned() + &" ".repeat(length - body.len())
}

/// A request with such a body is answered by other threads than one with a shorter body.
const LONG: usize = 100_000;

#[test]
fn a_connection_goes_on_after_a_long_body_and_the_server_after_half_of_one() {
    let door = Door::with("", &[]);
    let mut stream = door.connect();
    let open = |length| head(&door.token, length, "").replace("Connection: close\r\n", "");
    for length in [LONG, 100, LONG] {
        let request = open(length) + &client(length);
        stream.write_all(request.as_bytes()).expect("sent");
    }
    let last = head(&door.token, 100, "") + &client(100);
    stream.write_all(last.as_bytes()).expect("sent");
    assert_eq!(rest(&mut stream).matches("HTTP/1.1 201 Created").count(), 4);
    let mut leaves = door.connect();
    let half = open(LONG) + &client(LONG)[..LONG / 2];
    leaves.write_all(half.as_bytes()).expect("sent");
    drop(leaves);
    assert!(door.serves());
    // The same in chunks, which do not say how much there is.
    let body = client(LONG);
    let chunked = open(0).replace(
        "Content-Length: 0",
        "Connection: close\r\nTransfer-Encoding: chunked",
    );
    let told = door.raw(&format!("{chunked}{LONG:x}\r\n{body}\r\n0\r\n\r\n"));
    assert_eq!(first_line(&told), "HTTP/1.1 201 Created", "{told}");
}

#[test]
fn a_body_is_waited_for_as_long_as_a_request_may_take() {
    let door = Door::with("request_seconds = 1", &[]);
    for length in [100, LONG] {
        let told = door.raw(&(head(&door.token, length, "") + "{\"legalName\":"));
        assert_eq!(first_line(&told), "HTTP/1.1 400 Bad Request", "{told}");
        assert!(told.contains("the body did not arrive within 1 s"), "{told}");
        assert!(door.serves());
    }
}

/// The body is asked for once it is known who sends it: nobody else's is read into memory.
#[test]
fn who_is_not_known_is_not_asked_for_a_body() {
    let door = Door::with("", &[]);
    let expect = "Expect: 100-continue\r\n";
    let refused = door.raw(&head("saldo_x", 1 << 20, expect));
    assert_eq!(first_line(&refused), "HTTP/1.1 401 Unauthorized", "{refused}");
    for length in [100, LONG] {
        let mut stream = door.connect();
        let request = head(&door.token, length, expect);
        stream.write_all(request.as_bytes()).expect("sent");
        let mut asked = [0; 25];
        stream.read_exact(&mut asked).expect("an interim answer");
        assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(client(length).as_bytes()).expect("sent");
        assert_eq!(first_line(&rest(&mut stream)), "HTTP/1.1 201 Created");
    }
    // Who sends without waiting is answered too, when all is sent.
    let sent = head("saldo_x", 3 << 20, "") + &"x".repeat(3 << 20);
    assert_eq!(first_line(&door.raw(&sent)), "HTTP/1.1 401 Unauthorized");
}

/// Who asks on and on and takes no answer is cut off, once what lies between the two is full.
#[test]
fn answers_that_nobody_takes_are_not_kept() {
    let door = Door::with("answer_seconds = 1", &[]);
    let mut stream = door.connect();
    let many = HEALTH.repeat(1_000);
    loop {
        if let Err(error) = stream.write_all(&many) {
            assert!(!is_late(&error), "the server waits for ever");
            break;
        }
    }
    assert!(door.serves());
}

#[test]
fn heads_have_limits() {
    let door = Door::with("", &[]);
    let ask = |target: &str, headers: &str| {
        let answer = door.raw(&format!(
            "GET {target} HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n"
        ));
        first_line(&answer).to_owned()
    };
    let lines = |count: usize| {
        (0..count)
            .map(|nth| format!("X-{nth}: y\r\n"))
            .collect::<String>()
    };
    // With `Host` and `Connection` two more.
    assert_eq!(ask("/healthz", &lines(120)), "HTTP/1.1 200 OK");
    for count in [127, 200, 1_000] {
        assert_eq!(
            ask("/healthz", &lines(count)),
            "HTTP/1.1 431 Request Header Fields Too Large",
            "{count}"
        );
    }
    let long = |bytes: usize| format!("/{}", "y".repeat(bytes - 1));
    assert_eq!(ask(&long(8_192), ""), "HTTP/1.1 404 Not Found");
    assert_eq!(ask(&long(8_193), ""), "HTTP/1.1 414 URI Too Long");
    assert_eq!(
        ask(&format!("/healthz?{}", long(8_192)), ""),
        "HTTP/1.1 414 URI Too Long"
    );
    assert!(ask(&long(200_000), "").starts_with("HTTP/1.1 4"));
    assert!(door.serves());
}

#[test]
fn what_only_says_that_it_runs_is_asked_with_get() {
    let door = Door::with("", &[]);
    for path in ["/healthz", "/readyz"] {
        for (method, status) in [
            ("GET", "200 OK"),
            ("HEAD", "200 OK"),
            ("POST", "405 Method Not Allowed"),
            ("DELETE", "405 Method Not Allowed"),
            ("OPTIONS", "405 Method Not Allowed"),
            ("BREW", "405 Method Not Allowed"),
        ] {
            let told = door.raw(&format!(
                "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            ));
            assert_eq!(first_line(&told), format!("HTTP/1.1 {status}"), "{method} {path}");
            assert_eq!(
                told.contains("allow: GET, HEAD\r\n"),
                status.starts_with("405"),
                "{told}"
            );
            assert_eq!(told.ends_with("\r\n\r\n"), method == "HEAD", "{told}");
        }
    }
}

#[test]
fn deep_json_is_answered() {
    let door = Door::with("", &[]);
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let depth = 150_000;
        let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        for body in [
            deep.clone(),
            format!("{{\"legalName\":{deep}}}"),
            format!("{{\"legalName\":\"N\",\"metadata\":{deep}}}"),
            open.repeat(depth),
        ] {
            let told = door.raw(&(head(&door.token, body.len(), "") + &body));
            assert_eq!(first_line(&told), "HTTP/1.1 400 Bad Request", "{}", &body[..40]);
        }
    }
    // What is deep and small enough to be kept is either refused or comes back.
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(2_000), "]".repeat(2_000));
    let body = format!("{{\"legalName\":\"N\",\"metadata\":{deep}}}");
    let told = door.raw(&(head(&door.token, body.len(), "") + &body));
    assert!(told.starts_with("HTTP/1.1 400") || told.contains(&deep), "{told}");
    assert!(door.serves());
}
