//! The page: a list of all operations at the side, and each with its parameters, bodies, answers and a line for the shell.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::{Value, json};

use super::markdown;
use super::shape::{kind, members, resolve};

const STYLE: &str = include_str!("style.css");

/// One operation and where it is.
struct Operation<'d> {
    path: &'d str,
    method: &'d str,
    described: &'d Value,
}

impl<'d> Operation<'d> {
    fn text(&self, name: &str) -> &'d str {
        self.described[name].as_str().unwrap_or_default()
    }
}

pub(super) fn render(document: &Value) -> String {
    let operations = operations(document);
    let tags: Vec<&Value> = document["tags"].as_array().into_iter().flatten().collect();
    let of = |tag: &Value| {
        let name = tag["name"].clone();
        operations
            .iter()
            .filter(move |one| one.described["tags"][0] == name)
    };
    let version = document["info"]["version"].as_str().unwrap_or_default();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Saldo API " (version) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    a.brand href="#top" { "Saldo" } span.version { (version) }
                    a.raw href="/api/openapi.json" { "openapi.json" }
                }
                div.columns {
                    nav {
                        details open {
                            summary { "Contents" }
                            @for tag in &tags {
                                a.group href={"#" (anchor(tag["name"].as_str()))} { (tag["name"].as_str().unwrap_or_default()) }
                                ul { @for one in of(tag) { li { (link(one)) } } }
                            }
                            a.group href="#refusals" { "Refusals" }
                        }
                    }
                    main #top {
                        h1 { "The API" }
                        (markdown::paragraphs(document["info"]["description"].as_str().unwrap_or_default()))
                        @for tag in &tags {
                            section #(anchor(tag["name"].as_str())) {
                                h2 { (tag["name"].as_str().unwrap_or_default()) }
                                p { (markdown::inline(tag["description"].as_str().unwrap_or_default())) }
                                @for one in of(tag) { (operation(document, one)) }
                            }
                        }
                        (refusals(document))
                    }
                }
            }
        }
    };
    page.into_string()
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let each = paths.flat_map(|(path, methods)| {
        methods
            .as_object()
            .into_iter()
            .flatten()
            .map(|(method, described)| Operation {
                path,
                method,
                described,
            })
    });
    let mut all: Vec<_> = each.collect();
    let order = |method: &str| {
        ["post", "get", "put", "patch", "delete"]
            .iter()
            .position(|one| *one == method)
    };
    all.sort_by_key(|one| (one.path, order(one.method)));
    all
}

fn anchor(name: Option<&str>) -> String {
    name.unwrap_or_default().replace(' ', "-").to_lowercase()
}

fn badge(one: &Operation<'_>) -> Markup {
    html! { span class={"method " (one.method)} { (one.method.to_uppercase()) } }
}

fn link(one: &Operation<'_>) -> Markup {
    html! { a href={"#" (one.text("operationId"))} { (badge(one)) " " (one.text("summary")) } }
}

fn operation(document: &Value, one: &Operation<'_>) -> Markup {
    let described = one.described;
    let parameters: Vec<&Value> = described["parameters"].as_array().into_iter().flatten().collect();
    let body = &described["requestBody"]["content"]["application/json"];
    html! {
        article #(one.text("operationId")) {
            h3 { (badge(one)) " " code.path { (path(one.path)) } }
            p.summary { (one.text("summary")) }
            @if described["description"].is_string() { (markdown::paragraphs(one.text("description"))) }
            div.halves {
                div {
                    @if !parameters.is_empty() {
                        h4 { "Parameters" }
                        ul.members { @for each in &parameters { (parameter(document, each)) } }
                    }
                    @if body.is_object() {
                        h4 { "Body" @if described["requestBody"]["required"] == false { span.optional { " (may be left out)" } } }
                        @let shown = members(document, &body["schema"]);
                        @if shown.0.is_empty() { p.kind { (kind(document, &body["schema"])) } }
                        (listed(document, &body["schema"]))
                        (shown)
                    }
                    h4 { "Answers" }
                    ul.answers { @for (status, each) in described["responses"].as_object().into_iter().flatten() {
                        (answer(document, status, each))
                    } }
                }
                div.examples {
                    h4 { "Request" }
                    pre tabindex="0" { (curl(document, one)) }
                    (example(document, described))
                }
            }
        }
    }
}

/// The path with a place to break behind each slash.
fn path(path: &str) -> Markup {
    html! {
        @for segment in path.split('/').skip(1) { "/" wbr; (segment) }
    }
}

/// The members of what a list holds.
fn listed(document: &Value, schema: &Value) -> Markup {
    let (schema, _) = resolve(document, schema);
    match schema["type"].as_str() {
        Some("array") => members(document, &schema["items"]),
        _ => html! {},
    }
}

fn parameter(document: &Value, parameter: &Value) -> Markup {
    let place = parameter["in"].as_str().unwrap_or_default();
    html! {
        li {
            code.name { (parameter["name"].as_str().unwrap_or_default()) }
            @if parameter["required"] == false { span.optional { "?" } }
            " " span.kind { (place) " · " (kind(document, &parameter["schema"])) }
            @if let Some(text) = parameter["description"].as_str() { " " span.said { (markdown::inline(text)) } }
        }
    }
}

fn answer(document: &Value, status: &str, given: &Value) -> Markup {
    let (answer, name) = resolve(document, given);
    let text = answer["description"].as_str().unwrap_or_default();
    html! {
        li {
            @match name {
                // Refusals are the same for many operations, and stand at the end.
                Some(name) => { a href={"#" (name)} { (mark(status)) } " " (markdown::inline(text)) }
                None => details { summary { (mark(status)) " " (markdown::inline(text)) } (content(document, answer)) }
            }
        }
    }
}

fn mark(status: &str) -> Markup {
    html! { span class={"status s" (status.get(..1).unwrap_or_default())} { (status) } }
}

/// The headers and the body of an answer.
fn content(document: &Value, answer: &Value) -> Markup {
    let content = answer["content"]
        .as_object()
        .and_then(|content| content.iter().next());
    let headers = answer["headers"].as_object().into_iter().flatten();
    html! {
        p.kind { "Headers: " @for (nth, (name, _)) in headers.enumerate() { @if nth > 0 { ", " } code { (name) } } }
        @if let Some((media_type, content)) = content {
            p.kind { code { (media_type) } " · " (kind(document, &content["schema"])) }
            (members(document, &content["schema"]))
        }
    }
}

/// The refusals of all wire formats, each once.
fn refusals(document: &Value) -> Markup {
    let all = document["components"]["responses"]
        .as_object()
        .into_iter()
        .flatten();
    html! {
        section #refusals {
            h2 { "Refusals" }
            p { "What every operation of a wire format may answer instead, by its status." }
            @for (name, answer) in all {
                @let (dialect, status) = name.split_once('.').unwrap_or((name, ""));
                article id=(name) {
                    h3 { (mark(status)) " " (dialect) }
                    p { (markdown::inline(answer["description"].as_str().unwrap_or_default())) }
                    div.halves {
                        div { (content(document, answer)) }
                        @for content in answer["content"].as_object().into_iter().flat_map(|content| content.values()) {
                            @if content["example"].is_object() {
                                div.examples { pre tabindex="0" { (pretty(&content["example"])) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The answer of the example when all was well.
fn example(document: &Value, described: &Value) -> Markup {
    let mut answers = described["responses"].as_object().into_iter().flatten();
    let Some((status, answer)) = answers.find(|(status, _)| status.starts_with('2')) else {
        return html! {};
    };
    let (answer, _) = resolve(document, answer);
    let content = answer["content"]
        .as_object()
        .and_then(|content| content.values().next());
    html! {
        h4 { "Answer " span.status.s2 { (status) } }
        @match content {
            Some(content) => { pre tabindex="0" { (pretty(&content["example"])) } }
            None => { p.kind { "No body." } }
        }
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// A line for the shell that sends the example.
fn curl(document: &Value, one: &Operation<'_>) -> String {
    let mut line = "curl".to_owned();
    if one.method != "get" {
        line += &format!(" -X {}", one.method.to_uppercase());
    }
    line += &format!(" \"$SALDO_URL{}\"", one.path);
    let alternatives = one.described["security"].as_array().and_then(|all| all.first());
    for (name, _) in alternatives.and_then(Value::as_object).into_iter().flatten() {
        let scheme = &document["components"]["securitySchemes"][name];
        let header = match (scheme["type"].as_str(), scheme["name"].as_str()) {
            (Some("http"), _) => "Authorization: Bearer $SALDO_TOKEN".to_owned(),
            (_, Some("Authorization")) => "Authorization: Basic $SALDO_TOKEN".to_owned(),
            (_, Some("X-API-Secret")) => "X-API-Secret: $SALDO_API_SECRET".to_owned(),
            (_, Some(header)) => format!("{header}: $SALDO_API_KEY"),
            _ => continue,
        };
        line += &format!(" \\\n  -H \"{header}\"");
    }
    let body = &one.described["requestBody"]["content"]["application/json"];
    if let Some(example) = body.get("example").filter(|example| **example != json!(null)) {
        // A quotation mark of the shell can't stand within one.
        let body = pretty(example).replace('\'', "'\\''");
        line += &format!(" \\\n  -H \"Content-Type: application/json\" \\\n  -d '{body}'");
    }
    line
}
