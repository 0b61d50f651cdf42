//! Metadata: a JSON object of the caller's, kept as canonical text, so that the same object is the same request however it
//! was written: without white space, names in order, each character escaped only if it must be. Numbers stay as written.

use serde_json::value::RawValue;
use service::Problem;

use super::body::Value;
use crate::json::Json;

/// The most bytes of canonical text.
const BYTES_MAX: usize = 4096;
/// The most bytes of it as sent: more can't be but white space and escapes.
const SENT_MAX: usize = 4 * BYTES_MAX;
/// How deep it may nest.
const DEPTH_MAX: usize = 16;

/// Reads metadata into its canonical text.
pub(super) fn read(value: Value<'_, '_>) -> Result<Box<str>, Problem> {
    let raw = value.raw();
    if !raw.starts_with('{') {
        return Err(value.fault("must be an object"));
    }
    let too_large = || value.fault(format_args!("must be at most {BYTES_MAX} bytes of JSON"));
    if raw.len() > SENT_MAX {
        return Err(too_large());
    }
    let mut text = Json::with_capacity(raw.len());
    write(raw, &mut text, DEPTH_MAX).map_err(|detail| value.fault(detail))?;
    let text = String::from_utf8(text.into_bytes()).unwrap_or_default();
    if text.len() > BYTES_MAX {
        return Err(too_large());
    }
    Ok(text.into())
}

/// Writes what may have `depth` more levels.
fn write(raw: &str, out: &mut Json, depth: usize) -> Result<(), String> {
    let no_character = |_| "has an escape that stands for no character".to_owned();
    match raw.as_bytes().first() {
        Some(b'{' | b'[') if depth == 0 => {
            return Err(format!("must not nest deeper than {DEPTH_MAX} levels"));
        }
        Some(b'{') => {
            let mut members = members(raw)?;
            members.sort_by(|(one, _), (other, _)| one.cmp(other));
            if let Some(pair) = members.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                return Err(format!("has `{}` twice; name it once", pair[0].0));
            }
            let mut done = Ok(());
            out.object(|out| {
                done = members
                    .iter()
                    .try_for_each(|(name, value)| write(value.get(), out.any_key(name), depth - 1));
            });
            done?;
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(raw).map_err(|error| error.to_string())?;
            let mut done = Ok(());
            out.array(|out| {
                done = items
                    .iter()
                    .try_for_each(|item| write(item.get(), out, depth - 1))
            });
            done?;
        }
        Some(b'"') => out.string(&serde_json::from_str::<String>(raw).map_err(no_character)?),
        _ => out.raw(raw),
    }
    Ok(())
}

/// The members of an object in the order written, twice where they are.
fn members(raw: &str) -> Result<Vec<(String, &RawValue)>, String> {
    struct Pairs;
    impl<'de> serde::de::Visitor<'de> for Pairs {
        type Value = Vec<(String, &'de RawValue)>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some(pair) = map.next_entry()? {
                pairs.push(pair);
            }
            Ok(pairs)
        }
    }
    use serde::Deserializer;
    let mut json = serde_json::Deserializer::from_str(raw);
    json.deserialize_map(Pairs)
        .map_err(|_| "has an escape that stands for no character".to_owned())
}
