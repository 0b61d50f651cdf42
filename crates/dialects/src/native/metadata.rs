//! Metadata: a JSON object of the caller's, kept as canonical text, so that the same object is the same request however it
//! was written: without white space, names in order, each character escaped only if it must be. Numbers stay as written.

use std::borrow::Cow;

use service::Problem;

use super::body::Value;
use super::tape::Node;
use crate::json::Json;

/// The most bytes of canonical text.
const BYTES_MAX: usize = 4096;
/// The most bytes of it as sent: more can't be but white space and escapes.
const SENT_MAX: usize = 4 * BYTES_MAX;
/// How deep it may nest.
const DEPTH_MAX: usize = 16;

/// Reads metadata into its canonical text.
pub(super) fn read(value: Value<'_, '_>) -> Result<Box<str>, Problem> {
    let node = value.node();
    if node.first() != b'{' {
        return Err(value.fault("must be an object"));
    }
    let raw = node.raw();
    let too_large = || value.fault(format_args!("must be at most {BYTES_MAX} bytes of JSON"));
    if raw.len() > SENT_MAX {
        return Err(too_large());
    }
    let mut text = Json::with_capacity(raw.len());
    write(node, &mut text, DEPTH_MAX).map_err(|detail| value.fault(detail))?;
    let text = String::from_utf8(text.into_bytes()).unwrap_or_default();
    if text.len() > BYTES_MAX {
        return Err(too_large());
    }
    Ok(text.into())
}

/// Writes what may have `depth` more levels.
fn write(node: Node<'_>, out: &mut Json, depth: usize) -> Result<(), String> {
    let text_of = |string: Node<'_>| {
        let text = string.text().map(Cow::into_owned);
        text.ok_or_else(|| "has an escape that stands for no character".to_owned())
    };
    match node.first() {
        b'{' | b'[' if depth == 0 => {
            return Err(format!("must not nest deeper than {DEPTH_MAX} levels"));
        }
        b'{' => {
            let named = |(name, value)| Ok((text_of(name)?, value));
            let mut members = node.members().map(named).collect::<Result<Vec<_>, String>>()?;
            members.sort_by(|(one, _), (other, _)| one.cmp(other));
            if let Some(pair) = members.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                return Err(format!("has `{}` twice; name it once", pair[0].0));
            }
            let mut done = Ok(());
            out.object(|out| {
                done = members
                    .iter()
                    .try_for_each(|(name, value)| write(*value, out.any_key(name), depth - 1));
            });
            done?;
        }
        b'[' => {
            let mut done = Ok(());
            out.array(|out| done = node.items().try_for_each(|item| write(item, out, depth - 1)));
            done?;
        }
        b'"' => out.string(&text_of(node)?),
        _ => out.raw(node.raw()),
    }
    Ok(())
}
