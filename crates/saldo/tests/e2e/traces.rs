//! Traces reach a collector, which reads what it gets as the protocol has it; and one that is not there disturbs nobody.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::harness::{Client, Home, Server, saldo, transaction};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const ID: &str = "0199aaaa-0000-7000-8000-000000000001";

/// How long spans may take to come; on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a collector was sent: the resource's attributes, and a span of it.
type Received = (Vec<KeyValue>, Span);

/// Takes traces, for ever.
fn collect(listener: TcpListener) -> Receiver<Received> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            take(stream.expect("a connection"), &sender);
        }
    });
    receiver
}

/// Takes one export.
fn take(stream: TcpStream, sender: &Sender<Received>) {
    let mut reader = BufReader::new(&stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        // Who only looked whether somebody listens sends nothing.
        if reader.read_line(&mut line).expect("text") == 0 {
            return;
        }
        if line == "\r\n" {
            break;
        }
        head.push(line.trim_end().to_ascii_lowercase());
    }
    assert_eq!(head[0], "post /v1/traces http/1.1");
    assert!(
        head.contains(&"content-type: application/x-protobuf".to_owned()),
        "{head:?}"
    );
    assert!(head.contains(&"x-tenant: tests".to_owned()), "{head:?}");
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.expect("a length").parse().expect("a number")];
    reader.read_exact(&mut body).expect("the body");
    let export = ExportTraceServiceRequest::decode(&*body).expect("it is what the protocol has");
    (&stream)
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")
        .expect("answered");
    for all in export.resource_spans {
        let resource = all.resource.expect("a resource").attributes;
        for span in all.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            // The test that waited may be over.
            let _ = sender.send((resource.clone(), span));
        }
    }
}

/// An attribute as text.
fn attribute(all: &[KeyValue], name: &str) -> Option<String> {
    let found = all.iter().find(|one| one.key == name)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => panic!("{name}: {other:?}"),
    })
}

/// The next span with this name.
fn next(spans: &Receiver<Received>, name: &str) -> Received {
    loop {
        let received = spans.recv_timeout(PATIENCE);
        let received = received.unwrap_or_else(|error| panic!("{name}: {error}"));
        if received.1.name == name {
            return received;
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A sandbox's store that is served with this environment, and who talks to it: a token, and two accounts.
struct World {
    home: Home,
    server: Server,
    client: Client,
    external: String,
    main: String,
}

fn serve(env: &[(&str, &str)]) -> World {
    let home = Home::in_a_folder();
    let sandbox = home.sandbox();
    let card = |pointer| sandbox.on_card(pointer);
    let (token, external, main) = (
        card("/native/token"),
        card("/accounts/external"),
        card("/accounts/main"),
    );
    assert!(sandbox.server.stop().0.success());
    let mut command = saldo(&["serve", "--store", &home.store()]);
    command.envs(env.iter().copied());
    let server = Server::start_with(command, &home.path().join("log"));
    let client = Client::to(&server.url).bearing(&token);
    World {
        home,
        server,
        client,
        external,
        main,
    }
}

#[test]
fn a_request_is_a_span_in_the_callers_trace_with_its_commit_in_it() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let spans = collect(listener);
    let world = serve(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=tests"),
        ("OTEL_SERVICE_NAME", "balances"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ]);
    let traced = [("traceparent", format!("00-{TRACE}-{PARENT}-01"))];
    let headers: Vec<_> = traced
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let body = transaction(ID, &world.external, &world.main, "USD", 5).to_string();
    let posted = world.client.try_post("/api/v1/transactions", &headers, &body);
    let posted = posted.expect("an answer");
    assert_eq!(posted.status, 201, "{}", posted.text);

    // The inner one ends first.
    let (_, commit) = next(&spans, "commit");
    let (resource, span) = next(&spans, "POST /api/v1/transactions");
    assert_eq!(attribute(&resource, "service.name").as_deref(), Some("balances"));
    assert!(attribute(&resource, "service.version").is_some());
    assert_eq!(
        (hex(&span.trace_id), hex(&span.parent_span_id)),
        (TRACE.into(), PARENT.into())
    );
    assert_eq!(
        (&commit.trace_id, &commit.parent_span_id),
        (&span.trace_id, &span.span_id)
    );
    assert_eq!(
        attribute(&commit.attributes, "saldo.commands").as_deref(),
        Some("1")
    );
    assert!(
        span.start_time_unix_nano <= commit.end_time_unix_nano
            && commit.end_time_unix_nano <= span.end_time_unix_nano
    );
    let server_kind = 2;
    assert_eq!(span.kind, server_kind);
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/api/v1/transactions"),
        ("http.response.status_code", "201"),
        ("saldo.dialect", "native"),
        ("saldo.book", "1"),
        ("saldo.request", posted.request.as_str()),
    ] {
        assert_eq!(
            attribute(&span.attributes, name).as_deref(),
            Some(value),
            "{name}"
        );
    }

    // The caller says that this one is not sampled; the next has no caller, and is a trace of its own.
    let unsampled = format!("00-{TRACE}-{PARENT}-00");
    let got = world.client.get("/api/v1/keys", &[("traceparent", &unsampled)]);
    assert_eq!(got.status, 200);
    let path = format!("/api/v1/accounts/{}/balances", world.main);
    world.client.get(&path, &[]).json(200);
    let (_, own) = spans.recv_timeout(PATIENCE).expect("a span");
    assert_eq!(own.name, "GET /api/v1/accounts/{id}/balances");
    assert!(own.parent_span_id.is_empty() && hex(&own.trace_id) != TRACE);
    // What comes last is sent before the end.
    assert_eq!(Client::to(&world.server.url).get("/api/v1/keys", &[]).status, 401);
    let (status, log) = world.server.stop();
    assert!(status.success(), "{log}");
    let (_, last) = next(&spans, "GET /api/v1/keys");
    assert_eq!(
        attribute(&last.attributes, "http.response.status_code").as_deref(),
        Some("401")
    );
    assert_eq!(attribute(&last.attributes, "saldo.book"), None);
}

#[test]
fn a_collector_that_is_not_there_disturbs_nobody() {
    // Nobody listens on the one; on the other nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", silent.local_addr().expect("an address"));
    for endpoint in ["http://127.0.0.1:1", &endpoint] {
        let world = serve(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            ("OTEL_BSP_SCHEDULE_DELAY", "1"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "4"),
        ]);
        for _ in 0..50 {
            assert_eq!(world.client.get("/api/v1/keys", &[]).status, 200);
        }
        let (status, log) = world.server.stop();
        assert!(status.success(), "{log}");
        if endpoint.ends_with(":1") {
            let said = log
                .lines()
                .filter(|line| line.contains("traces can't be exported"));
            assert_eq!(said.count(), 1, "{log}");
        }
        world.home.verify();
    }
}

#[test]
fn what_would_be_passed_over_is_said() {
    let home = Home::in_a_folder();
    for (name, value, expected) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
        ("OTEL_TRACES_SAMPLER", "sometimes", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER", "traceidratio", "OTEL_TRACES_SAMPLER_ARG"),
    ] {
        let mut command = saldo(&["serve", "--store", &home.store()]);
        command
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
            .env(name, value);
        let failed = command.output().expect("it starts");
        assert_eq!(failed.status.code(), Some(1));
        let said = String::from_utf8(failed.stderr).expect("text");
        assert!(said.contains(name) && said.contains(expected), "{said}");
    }
}
