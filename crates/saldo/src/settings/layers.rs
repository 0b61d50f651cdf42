//! Settings by section and key, each with where it came from.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::failure::Failure;

/// Where a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Nobody said anything.
    Default,
    /// The file.
    File,
    /// This variable of the environment.
    Environment(String),
    /// The flag of the command line for this key.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File => f.write_str("file"),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(key) => write!(f, "--{}", key.replace('_', "-")),
        }
    }
}

/// A setting.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) section: String,
    pub(crate) key: String,
    pub(crate) value: Value,
    pub(crate) source: Source,
    /// What is shown in place of the value.
    shown: Option<String>,
}

impl Setting {
    /// Its name in the environment.
    fn variable(&self) -> String {
        let name = match self.section.as_str() {
            "server" => self.key.clone(),
            section => format!("{section}_{}", self.key),
        };
        format!("SALDO_{}", name.to_uppercase())
    }

    /// The value as the file would have it, without secrets.
    pub(crate) fn shown(&self) -> String {
        match &self.shown {
            Some(text) => Value::String(text.clone()).to_string(),
            None => self.value.to_string(),
        }
    }
}

/// All settings, in order.
#[derive(Clone, Debug)]
pub(crate) struct Layers(Vec<Setting>);

impl Layers {
    /// The defaults, which are all the settings that there are.
    pub(super) fn new(defaults: &impl Serialize) -> Result<Self, Failure> {
        let table = Table::try_from(defaults)
            .map_err(|error| Failure::while_doing("writing the default configuration", error))?;
        let mut all = Vec::new();
        for (section, keys) in table {
            let Value::Table(keys) = keys else { continue };
            all.extend(keys.into_iter().map(|(key, value)| Setting {
                section: section.clone(),
                key,
                value,
                source: Source::Default,
                shown: None,
            }));
        }
        Ok(Self(all))
    }

    /// What a file says, which knows no other keys.
    pub(super) fn file(&mut self, table: &Table) {
        for setting in &mut self.0 {
            let said = table
                .get(&setting.section)
                .and_then(|keys| keys.get(&setting.key));
            if let Some(value) = said {
                setting.value = value.clone();
                setting.source = Source::File;
            }
        }
    }

    /// What the environment says.
    pub(super) fn environment(&mut self, env: impl Fn(&str) -> Option<String>) -> Result<(), Failure> {
        for setting in &mut self.0 {
            let name = setting.variable();
            let Some(text) = env(&name) else { continue };
            setting.value = read(&text, &setting.value).ok_or_else(|| {
                Failure::new(format!(
                    "{name} must be {}, and is `{text}`",
                    kind(&setting.value)
                ))
            })?;
            setting.source = Source::Environment(name);
        }
        Ok(())
    }

    /// What a flag of the command line says, which is a key of `[server]`.
    pub(super) fn flag(&mut self, key: &'static str, value: Value) {
        if let Some(setting) = self.server(key) {
            setting.value = value;
            setting.source = Source::Flag(key);
        }
    }

    /// What is shown of a key of `[server]` in place of its value.
    pub(super) fn show(&mut self, key: &str, text: String) {
        if let Some(setting) = self.server(key) {
            setting.shown = Some(text);
        }
    }

    fn server(&mut self, key: &str) -> Option<&mut Setting> {
        self.0
            .iter_mut()
            .find(|setting| setting.section == "server" && setting.key == key)
    }

    /// All settings together.
    pub(super) fn document<T: DeserializeOwned>(&self) -> Result<T, String> {
        let mut all = Table::new();
        for Setting {
            section, key, value, ..
        } in &self.0
        {
            let keys = all
                .entry(section.as_str())
                .or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(keys) = keys {
                keys.insert(key.clone(), value.clone());
            }
        }
        all.try_into().map_err(|error: toml::de::Error| error.to_string())
    }

    /// Each of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.0.iter()
    }
}

/// A text as a value of the kind that `like` is. Lists are separated by commas.
fn read(text: &str, like: &Value) -> Option<Value> {
    Some(match like {
        Value::Integer(_) => Value::Integer(text.parse().ok()?),
        Value::Boolean(_) => Value::Boolean(text.parse().ok()?),
        Value::Array(_) => {
            let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
            Value::Array(words.map(|word| Value::String(word.to_owned())).collect())
        }
        _ => Value::String(text.to_owned()),
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Integer(_) => "a whole number",
        Value::Boolean(_) => "true or false",
        _ => "a text",
    }
}
