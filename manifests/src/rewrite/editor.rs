//! From an old and a new value of a mapping to edits of its text: what is the same in both style families.

use serde_json::{Map, Value};

use super::{Edit, block, flow};
use crate::outline::{Outline, Shape};
use crate::read::Parsed;

/// Edits one document of a file.
pub(super) struct Editor<'a> {
    /// The text of the document.
    pub(super) text: &'a str,
    pub(super) outline: &'a Outline,
    /// The file's line break.
    pub(super) eol: &'static str,
    base: usize,
    edits: Vec<Edit>,
}

/// A mapping that is edited.
pub(super) struct Target<'a> {
    pub(super) node: usize,
    pub(super) entries: &'a [(usize, usize)],
    /// What becomes of each entry.
    pub(super) fates: Vec<Fate>,
    /// New entries, each with the number of entries that stand before it.
    pub(super) additions: Vec<(usize, Map<String, Value>)>,
}

/// What becomes of an entry.
#[derive(Clone, PartialEq)]
pub(super) enum Fate {
    Kept,
    Removed,
    /// The value changes.
    Changed(Value),
}

impl<'a> Editor<'a> {
    /// For one document of `source`, which has been read from it.
    pub(super) fn new(source: &'a [u8], document: &'a Parsed) -> Self {
        let range = document.document.span.clone();
        // The file was read, so it is UTF-8, and documents end at line ends.
        let text = source
            .get(range.clone())
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or_default();
        let crlf = source
            .iter()
            .position(|&byte| byte == b'\n')
            .is_some_and(|at| at > 0 && source[at - 1] == b'\r');
        Self {
            text,
            outline: &document.outline,
            eol: if crlf { "\r\n" } else { "\n" },
            base: range.start,
            edits: Vec::new(),
        }
    }

    /// Edits that exchange only what differs; `None` when the text is too entangled for that.
    pub(super) fn differences(
        mut self,
        node: usize,
        old: &Value,
        new: &Value,
    ) -> Option<Vec<Edit>> {
        self.mapping(node, old.as_object()?, new.as_object()?)?;
        Some(self.edits)
    }

    /// Edits that write the node anew as a whole.
    pub(super) fn whole(mut self, node: usize, new: &Value) -> Vec<Edit> {
        match &self.outline.node(node).shape {
            Shape::Mapping { flow: false, .. } => block::whole(&mut self, node, new),
            _ => flow::whole(&mut self, node, new),
        }
        self.edits
    }

    /// Replaces bytes of the document.
    pub(super) fn replace(&mut self, start: usize, end: usize, text: impl Into<String>) {
        self.edits.push(Edit {
            range: self.base + start..self.base + end,
            text: text.into(),
        });
    }

    /// End of an entry's content: of its value, or of its key when the value is empty.
    pub(super) fn content_end(&self, (key, value): (usize, usize)) -> usize {
        let (key, value) = (self.outline.range(key), self.outline.range(value));
        if value.is_empty() {
            key.end
        } else {
            value.end.max(key.end)
        }
    }

    /// Start of the line on which a byte stands.
    pub(super) fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// End of the line on which a byte stands, its line break included.
    pub(super) fn line_end(&self, at: usize) -> usize {
        self.text[at..]
            .find('\n')
            .map_or(self.text.len(), |newline| at + newline + 1)
    }

    /// The text between the start of a byte's line and that byte, when it is only white space.
    pub(super) fn indentation(&self, at: usize) -> Option<&'a str> {
        let before = self.text[self.line_start(at)..at].trim_start_matches('\u{feff}');
        before.trim().is_empty().then_some(before)
    }

    /// Exchanges what differs between two values of the mapping at `node`.
    pub(super) fn mapping(
        &mut self,
        node: usize,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
    ) -> Option<()> {
        let Shape::Mapping { flow, entries } = &self.outline.node(node).shape else {
            return None;
        };
        let key = |entry: &(usize, usize)| self.outline.key(entry.0);
        let mut fates = Vec::with_capacity(entries.len());
        for entry in entries {
            // A merge key is in neither value: it stays, and what it brings is judged when the result is read.
            let name = key(entry)?;
            fates.push(match (old.get(name), new.get(name)) {
                (Some(_), None) => Fate::Removed,
                (Some(old), Some(new)) if old != new => Fate::Changed(new.clone()),
                _ => Fate::Kept,
            });
        }
        let mut additions: Vec<(usize, Map<String, Value>)> = Vec::new();
        let mut position = 0;
        for (name, value) in new {
            if let Some(at) = entries.iter().position(|entry| key(entry) == Some(name)) {
                position = at + 1;
            } else if old.get(name) != Some(value) {
                if additions.last().is_none_or(|(at, _)| *at != position) {
                    additions.push((position, Map::new()));
                }
                if let Some((_, group)) = additions.last_mut() {
                    group.insert(name.clone(), value.clone());
                }
            }
        }
        // Changes within nested mappings first: what remains is for this mapping's own lines.
        for (position, entry) in entries.iter().enumerate() {
            let Fate::Changed(Value::Object(new)) = &fates[position] else {
                continue;
            };
            let Some(Value::Object(old)) = key(entry).and_then(|name| old.get(name)) else {
                continue;
            };
            if new.is_empty()
                || old.is_empty()
                || matches!(self.outline.node(entry.1).shape, Shape::Alias(_))
            {
                continue;
            }
            let new = new.clone();
            self.mapping(entry.1, old, &new)?;
            fates[position] = Fate::Kept;
        }
        let target = Target {
            node,
            entries,
            fates,
            additions,
        };
        if *flow {
            flow::entries(self, &target)
        } else {
            block::entries(self, &target)
        }
    }
}
