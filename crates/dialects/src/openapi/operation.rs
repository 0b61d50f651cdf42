//! One route as the document describes it.

use serde_json::{Map, Value, json};

use super::{Description, example, schema};
use crate::route::{Access, Dialect, Route};

/// What is particular about a route. Who may use it and the refusals that all routes share are added from the route.
#[derive(Clone)]
pub struct Operation {
    /// Its name, unique in the document.
    pub id: &'static str,
    /// The group that it belongs to: one of its wire format's.
    pub tag: &'static str,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// What there is to know besides, in Markdown.
    pub about: &'static str,
    /// The parameters in path, query and headers.
    pub parameters: Vec<Value>,
    /// The schema of its body, and whether there must be one.
    pub body: Option<(Value, bool)>,
    /// The answer when all is well.
    pub done: Done,
    /// Whether it changes something: then it may be refused for that.
    pub writes: bool,
    /// Statuses of refusals that only this one has.
    pub more_refusals: Vec<u16>,
}

/// The answer when all is well.
#[derive(Clone)]
pub struct Done {
    /// Its status.
    pub status: u16,
    /// What it is.
    pub what: &'static str,
    /// Its media type and the schema of its body; `None` without one.
    pub body: Option<(&'static str, Value)>,
    /// Its headers beside `X-Request-Id`.
    pub headers: Vec<&'static str>,
}

impl Operation {
    pub(super) fn into_json(self, dialect: &Dialect, about: &Description, route: &Route) -> Value {
        let refusals = self.refusals(dialect, route);
        let shown = example(self.id);
        let mut answers = Map::new();
        let known = route.access != Access::Public;
        let standing = if known { about.standing } else { &[] };
        let done = self.done.into_json(shown, standing);
        answers.insert(done.0, done.1);
        for status in refusals {
            let name = format!("#/components/responses/{}.{status}", dialect.name);
            answers.insert(status.to_string(), json!({"$ref": name}));
        }
        let mut described = json!({
            "operationId": self.id,
            "tags": [self.tag],
            "summary": self.summary,
            "responses": answers,
        });
        let mut text = self.about.to_owned();
        if let Access::Scope(scope) = route.access {
            let words: Vec<_> = scope.words().map(|word| format!("`{word}`")).collect();
            let gap = if text.is_empty() { "" } else { "\n\n" };
            text = format!("{text}{gap}Needs the scope {}.", words.join(", "));
        }
        if !text.is_empty() {
            described["description"] = text.into();
        }
        if !self.parameters.is_empty() {
            described["parameters"] = self.parameters.into();
        }
        if let Some((schema, required)) = self.body {
            let mut content = json!({"schema": schema});
            if let Some(request) = shown.and_then(|shown| shown.get("request")) {
                content["example"] = request.clone();
            }
            described["requestBody"] = json!({
                "required": required,
                "content": {"application/json": content},
            });
        }
        let one_of = |names: &Vec<(&str, Value)>| {
            let all = names.iter().map(|(name, _)| ((*name).to_owned(), json!([])));
            Value::Object(all.collect())
        };
        described["security"] = match known {
            true => about.security.iter().map(one_of).collect(),
            false => json!([]),
        };
        described
    }
}

impl Done {
    /// Its status and what is said about it.
    fn into_json(self, shown: Option<&Value>, standing: &[&'static str]) -> (String, Value) {
        let mut names = vec!["X-Request-Id"];
        names.extend(self.headers);
        names.extend(standing);
        let mut described = json!({
            "description": self.what,
            "headers": schema::named(&names),
        });
        if let Some((media_type, schema)) = self.body {
            let mut content = json!({"schema": schema});
            if let Some(answer) = shown.and_then(|shown| shown.get("answer")) {
                content["example"] = answer.clone();
            }
            described["content"] = json!({media_type: content});
        }
        (self.status.to_string(), described)
    }
}
