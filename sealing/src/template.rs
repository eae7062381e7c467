//! `template.data`: pouring entries into files.
//!
//! The language is total: text, names and encoders, no conditions and no loops. Everything that can
//! be wrong with a template is found before anything is opened, and depends on public facts only.
//!
//! ```text
//! {{ NAME }}                       the entry's bytes as they are
//! {{ NAME | json }}                a JSON string with its quotes
//! {{ NAME | urlencode | quote }}   encoders apply from left to right
//! {{"{{"}}                         writes {{
//! ```
//!
//! Space and tab may stand inside the braces. `}}` outside of them is text.

pub(crate) mod encoder;

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::names::EntryKey;
use crate::template::encoder::Encoder;
use crate::text::shown;

const OPEN: &str = "{{";
const CLOSE: &str = "}}";

/// The texts of `template.data`, parsed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Template {
    files: BTreeMap<String, Vec<Piece>>,
}

/// What is wrong with a template; names the key and the place in its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TemplateError(pub(crate) String);

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value { key: String, encoders: Vec<Encoder> },
}

/// SHA-256 over `u16 n || n × (LP16(key) || LP32(text))`, keys in byte order: what is bound with
/// `--bind-template`. `None` for more keys or longer ones than the format can count, which
/// [`Template::parse`] refuses.
pub(crate) fn digest(texts: &BTreeMap<String, String>) -> Option<[u8; 32]> {
    let mut hash = Sha256::new();
    hash.update(u16::try_from(texts.len()).ok()?.to_be_bytes());
    for (key, text) in texts {
        hash.update(u16::try_from(key.len()).ok()?.to_be_bytes());
        hash.update(key);
        hash.update(u32::try_from(text.len()).ok()?.to_be_bytes());
        hash.update(text);
    }
    Some(hash.finalize().into())
}

impl Template {
    /// Parses every text; all errors, one per text.
    pub(crate) fn parse(texts: &BTreeMap<String, String>) -> Result<Self, Vec<TemplateError>> {
        let mut files = BTreeMap::new();
        let mut errors = Vec::new();
        for (key, text) in texts {
            let parsed = EntryKey::new(key)
                .map_err(|error| error.to_string())
                .and_then(|_| parse(text));
            match parsed {
                Ok(pieces) => drop(files.insert(key.clone(), pieces)),
                Err(why) => errors.push(TemplateError(format!(
                    "template.data {:?}: {why}",
                    shown(key)
                ))),
            }
        }
        if errors.is_empty() {
            Ok(Self { files })
        } else {
            Err(errors)
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The keys that the template makes.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Every use of an entry: the template's key and the entry's.
    pub(crate) fn uses(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().flat_map(|(file, pieces)| {
            pieces.iter().filter_map(move |piece| match piece {
                Piece::Text(_) => None,
                Piece::Value { key, .. } => Some((file.as_str(), key.as_str())),
            })
        })
    }

    /// The most bytes that all files together can have when no entry is longer than `longest` says.
    /// It must not depend on any value, so it counts the worst that each encoder can do.
    pub(crate) fn longest(&self, longest: impl Fn(&str) -> usize) -> usize {
        self.files.values().flatten().fold(0_usize, |sum, piece| {
            sum.saturating_add(match piece {
                Piece::Text(text) => text.len(),
                Piece::Value { key, encoders } => encoders
                    .iter()
                    .fold(longest(key), |length, encoder| encoder.longest(length)),
            })
        })
    }

    /// Renders every file. `value` knows every name in [`Template::uses`]. Every buffer has its final
    /// size from the start, so that none leaves copies when it grows.
    pub(crate) fn render<'a>(
        &'a self,
        value: impl Fn(&str) -> &'a [u8],
    ) -> Vec<(&'a str, Zeroizing<Vec<u8>>)> {
        self.files
            .iter()
            .map(|(file, pieces)| (file.as_str(), render(pieces, &value)))
            .collect()
    }
}

fn render<'a>(pieces: &'a [Piece], value: &impl Fn(&str) -> &'a [u8]) -> Zeroizing<Vec<u8>> {
    let encoded: Vec<Rendered<'a>> = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => Rendered::Borrowed(text.as_bytes()),
            Piece::Value { key, encoders } => encoders
                .iter()
                .fold(Rendered::Borrowed(value(key)), |input, encoder| {
                    Rendered::Made(encoder.encode(input.as_ref()))
                }),
        })
        .collect();
    let mut out = Zeroizing::new(Vec::with_capacity(
        encoded.iter().map(|part| part.as_ref().len()).sum(),
    ));
    for part in &encoded {
        out.extend_from_slice(part.as_ref());
    }
    out
}

enum Rendered<'a> {
    Borrowed(&'a [u8]),
    Made(Zeroizing<Vec<u8>>),
}

impl Rendered<'_> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Rendered::Borrowed(bytes) => bytes,
            Rendered::Made(bytes) => bytes,
        }
    }
}

fn parse(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(OPEN) {
        if at > 0 {
            pieces.push(Piece::Text(rest[..at].to_owned()));
        }
        let line = text[..text.len() - rest.len() + at].matches('\n').count() + 1;
        let (piece, after) =
            action(&rest[at + OPEN.len()..]).map_err(|why| format!("line {line}: {why}"))?;
        pieces.push(piece);
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

/// Reads what follows `{{`, and returns what follows `}}`.
fn action(text: &str) -> Result<(Piece, &str), String> {
    const BLANK: [char; 2] = [' ', '\t'];
    if let Some(rest) = text.trim_start_matches(BLANK).strip_prefix("\"{{\"") {
        let rest = rest
            .trim_start_matches(BLANK)
            .strip_prefix(CLOSE)
            .ok_or_else(|| "`{{\"{{\"` must be followed by `}}`".to_owned())?;
        return Ok((Piece::Text(OPEN.to_owned()), rest));
    }
    let Some((inside, rest)) = text.split_once(CLOSE) else {
        return Err("`{{` without `}}`; to write braces use {{\"{{\"}}".to_owned());
    };
    let mut parts = inside.split('|').map(|part| part.trim_matches(BLANK));
    let key = parts.next().unwrap_or_default();
    if EntryKey::new(key).is_err() {
        return Err(format!(
            "{:?} is not the name of an entry; inside {{{{ }}}} stands a name and encoders after `|`",
            shown(key)
        ));
    }
    let encoders = parts.map(Encoder::parse).collect::<Result<_, _>>()?;
    Ok((
        Piece::Value {
            key: key.to_owned(),
            encoders,
        },
        rest,
    ))
}

#[cfg(test)]
mod tests;
