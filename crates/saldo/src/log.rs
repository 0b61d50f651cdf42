//! The log: lines on stderr, as text for people or as JSON for programs.
//!
//! A line that is written while a request is answered bears the request's id, whoever writes it. The id is kept with the task
//! instead of in a span: a span would cost every request, and hardly any of them is logged.
#![expect(
    clippy::print_stderr,
    reason = "what ends the process is said whatever is logged"
)]

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt;
use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// What lines look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// One object a line: `time`, `level`, `target`, `message`, `request`, `fields`.
    Json,
}

/// What the log looks like from now on.
static FORMAT: OnceLock<Format> = OnceLock::new();

tokio::task_local! {
    /// The request that the task answers.
    static REQUEST: RequestId;
}

/// The name of a request: of this start of the server, and a number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestId {
    pub(crate) start: u32,
    pub(crate) number: u64,
}

impl RequestId {
    /// Eight digits, a hyphen and as many as the number needs, all in base 16. Every answer has it, and the formatter would
    /// take ten times as long.
    pub(crate) fn text(self) -> String {
        let hex = |number: u64, digits: u32| {
            let digit = move |place| (number >> (4 * place) & 15) as usize;
            (0..digits)
                .rev()
                .map(move |place| char::from(b"0123456789abcdef"[digit(place)]))
        };
        let needed = (u64::BITS - self.number.leading_zeros()).div_ceil(4).max(1);
        let mut text = String::with_capacity(8 + 1 + 16);
        text.extend(hex(self.start.into(), 8));
        text.push('-');
        text.extend(hex(self.number, needed));
        text
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// Does something for a request: what is logged meanwhile bears its id.
pub(crate) fn about<T>(request: RequestId, work: impl Future<Output = T>) -> impl Future<Output = T> {
    REQUEST.scope(request, work)
}

/// Logs to stderr what `SALDO_LOG` asks for, or from `level` on.
pub(crate) fn start(level: &str, format: Format) {
    let wanted = std::env::var("SALDO_LOG").unwrap_or_else(|_| level.to_owned());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(wanted))
        .with_writer(std::io::stderr)
        .fmt_fields(WithRequest);
    match format {
        Format::Text => subscriber.with_ansi(std::io::stderr().is_terminal()).init(),
        Format::Json => subscriber.event_format(Json).init(),
    }
    // Once: it is said at the start of a command.
    let _ = FORMAT.set(format);
}

/// From now on a panic is a line of the log like others, with the request that it ended.
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        let message = match panic.payload() {
            payload if payload.is::<&str>() => payload.downcast_ref::<&str>().copied(),
            payload => payload.downcast_ref::<String>().map(String::as_str),
        };
        let place = panic.location().map(tracing::field::display);
        let backtrace = Backtrace::capture();
        let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        tracing::error!(
            place,
            backtrace,
            "a bug: {}",
            message.unwrap_or("a panic without words")
        );
    }));
}

/// Says why the process ends.
pub(crate) fn failed(why: &dyn fmt::Display) {
    match FORMAT.get() {
        Some(Format::Json) => {
            let line = Line {
                time: now(),
                level: tracing::Level::ERROR.as_str(),
                target: "saldo",
                message: why.to_string(),
                request: None,
                fields: Map::new(),
            };
            eprintln!("{}", line.written());
        }
        _ => eprintln!("saldo: {why}"),
    }
}

/// Fields as text, and the request's id behind them.
struct WithRequest;

impl<'writer> FormatFields<'writer> for WithRequest {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        DefaultFields::new().format_fields(writer.by_ref(), fields)?;
        match REQUEST.try_get() {
            Ok(request) => write!(writer, " request={request}"),
            Err(_) => Ok(()),
        }
    }
}

/// Lines of JSON.
struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        let line = Line {
            time: now(),
            level: event.metadata().level().as_str(),
            target: event.metadata().target(),
            message: said.message,
            request: REQUEST.try_get().ok().map(|request| request.to_string()),
            fields: said.fields,
        };
        writeln!(writer, "{}", line.written())
    }
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    level: &'static str,
    target: &'a str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    fields: Map<String, Value>,
}

impl Line<'_> {
    fn written(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers are JSON")
    }
}

/// The time as RFC 3339 has it.
fn now() -> String {
    let mut text = String::new();
    SystemTime
        .format_time(&mut Writer::new(&mut text))
        .expect("a text takes what is written");
    text
}

/// What an event says.
#[derive(Default)]
struct Said {
    message: String,
    fields: Map<String, Value>,
}

impl Said {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.fields.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            _ => self.put(field, text),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            _ => self.put(field, value),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_named_in_base_16() {
        for (start, number) in [
            (0, 0),
            (0x1a2b, 15),
            (u32::MAX, 16),
            (7, 0x1234_5678_9abc),
            (1, u64::MAX),
        ] {
            let id = RequestId { start, number };
            assert_eq!(id.text(), format!("{start:08x}-{number:x}"));
            assert_eq!(id.to_string(), id.text());
        }
    }
}
