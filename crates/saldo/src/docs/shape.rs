//! Schemas as people read them: a table of members, each with its type and what is said about it.

use maud::{Markup, html};
use serde_json::Value;

use super::markdown;

/// How deep objects within objects are shown; deeper ones are named.
const DEPTH: usize = 4;

/// The members of a schema, if it has any.
pub(super) fn members(document: &Value, schema: &Value) -> Markup {
    let (schema, _) = resolve(document, schema);
    table(document, schema, DEPTH)
}

fn table(document: &Value, schema: &Value, depth: usize) -> Markup {
    let required: Vec<_> = texts(&schema["required"]).collect();
    let Some(properties) = schema["properties"]
        .as_object()
        .filter(|properties| !properties.is_empty())
    else {
        return html! {};
    };
    html! {
        ul.members {
            @for (name, member) in properties {
                li {
                    code.name { (name) }
                    @if !required.contains(&name.as_str()) { span.optional { "?" } }
                    " " span.kind { (kind(document, member)) }
                    @if let Some(text) = said(document, member) {
                        " " span.said { (markdown::inline(text)) }
                    }
                    @if depth > 0 { (table(document, inner(document, member), depth - 1)) }
                }
            }
        }
    }
}

/// What is said about a member, or about the schema that it refers to.
fn said<'d>(document: &'d Value, schema: &'d Value) -> Option<&'d str> {
    let own = schema["description"].as_str();
    own.or_else(|| resolve(document, schema).0["description"].as_str())
}

/// The object that a member is, or that its items are.
fn inner<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    let (schema, _) = resolve(document, schema);
    match schema["type"].as_str() {
        Some("array") => inner(document, &schema["items"]),
        _ => schema,
    }
}

/// What a value is, in a few words.
pub(super) fn kind(document: &Value, schema: &Value) -> String {
    let (schema, name) = resolve(document, schema);
    if let Some(all) = schema["enum"].as_array() {
        let words: Vec<_> = all.iter().filter_map(Value::as_str).collect();
        return match words.len() {
            0..=8 => words.join(" | "),
            _ => format!("{}: one of {}", name.unwrap_or("word"), words.len()),
        };
    }
    if let Some(only) = schema.get("const") {
        return only.as_str().map_or_else(|| only.to_string(), str::to_owned);
    }
    if let Some(some) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
        let kinds: Vec<_> = some.iter().map(|one| kind(document, one)).collect();
        return kinds.join(" or ");
    }
    match schema["type"].as_str().unwrap_or("any") {
        "array" => format!("list of {}", kind(document, &schema["items"])),
        "object" => name.unwrap_or("object").to_owned(),
        "string" => match schema["format"].as_str() {
            Some("date-time") => "time".to_owned(),
            Some(format) => format.to_owned(),
            None => name.unwrap_or("string").to_owned(),
        },
        other => match (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
            (Some(least), Some(most)) if most < 1_000_000 => format!("{other} {least}–{most}"),
            _ => other.to_owned(),
        },
    }
}

/// Follows references; also the name of the last one.
pub(super) fn resolve<'d>(document: &'d Value, schema: &'d Value) -> (&'d Value, Option<&'d str>) {
    let (mut schema, mut name) = (schema, None);
    while let Some(reference) = schema["$ref"].as_str()
        && let Some(target) = document.pointer(reference.trim_start_matches('#'))
    {
        name = reference.rsplit('/').next();
        schema = target;
    }
    (schema, name)
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}
