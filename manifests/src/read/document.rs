//! One document: its node tree, its value, its objects.

use serde_json::Value;

use super::split::Chunk;
use super::{Document, Incomplete, ReadError, Reason, identity, kubectl, value};
use crate::object::Positions;
use crate::outline::{Outline, OutlineError, Shape, Why};
use crate::{Limits, Location, Object};

/// A document together with where its nodes stand.
pub(crate) struct Parsed {
    pub(crate) document: Document,
    pub(crate) outline: Outline,
    /// The node of each object of the document; `None` when a merge key brings it from elsewhere.
    pub(crate) nodes: Vec<Option<usize>>,
}

/// Reads the document of one chunk of `source`. `first_index` is the index of its first object in the file.
pub(super) fn parse(
    file: &str,
    source: &str,
    chunk: &Chunk,
    number: usize,
    first_index: usize,
    limits: &Limits,
) -> Result<Parsed, Vec<ReadError>> {
    let text = &source[chunk.range.clone()];
    let place = Place {
        file,
        chunk,
        number,
    };
    let outline =
        Outline::new(text, limits).map_err(|error| vec![place.outline_error(error, limits)])?;
    let document = Document {
        number,
        span: chunk.range.clone(),
        objects: Vec::new(),
        incomplete: Vec::new(),
    };
    let mut reader = Reader {
        place,
        outline,
        document,
        nodes: Vec::new(),
        first_index,
    };
    if let Some(root) = reader.outline.root() {
        let value = value::value(text, limits)
            .map_err(|(line, column, reason)| vec![reader.place.error(line, column, reason)])?;
        // kubectl skips a document that is `null`.
        if !value.is_null() {
            reader
                .object(value, Some(root), limits)
                .map_err(|error| vec![error])?;
            let errors = reader.deceptions();
            if !errors.is_empty() {
                return Err(errors);
            }
        }
    }
    Ok(Parsed {
        document: reader.document,
        outline: reader.outline,
        nodes: reader.nodes,
    })
}

struct Place<'a> {
    file: &'a str,
    chunk: &'a Chunk,
    number: usize,
}

impl Place<'_> {
    /// A place in the file from one in the chunk; both count from 1.
    fn location(&self, line: usize, column: usize) -> Location {
        let column = if line == 1 {
            self.chunk.column + column - 1
        } else {
            column
        };
        Location {
            file: self.file.to_owned(),
            line: self.chunk.line + line - 1,
            column,
            document: self.number,
        }
    }

    fn error(&self, line: usize, column: usize, reason: Reason) -> ReadError {
        ReadError {
            location: self.location(line, column),
            reason,
        }
    }

    fn outline_error(&self, error: OutlineError, limits: &Limits) -> ReadError {
        let reason = match error.why {
            Why::Syntax(words) => Reason::Syntax(words),
            Why::SecondDocument => Reason::SecondDocument,
            Why::Nodes => Reason::Limit {
                what: "nodes in one document",
                limit: limits.nodes,
            },
            Why::Depth => Reason::Limit {
                what: "levels of nesting",
                limit: limits.depth,
            },
            Why::Aliases => Reason::Limit {
                what: "aliases in one document",
                limit: limits.aliases,
            },
        };
        self.error(error.line, error.column, reason)
    }
}

struct Reader<'a> {
    place: Place<'a>,
    outline: Outline,
    document: Document,
    nodes: Vec<Option<usize>>,
    first_index: usize,
}

impl Reader<'_> {
    /// Takes `value` as an object, or as a list of them. Nested lists end with the document's depth, which is limited.
    fn object(
        &mut self,
        mut value: Value,
        node: Option<usize>,
        limits: &Limits,
    ) -> Result<(), ReadError> {
        if let Some((api_version, kind, items)) = identity::list_items(&mut value) {
            let item_nodes = node
                .map(|node| self.outline.resolve(node))
                .and_then(|node| self.outline.entry(node, "items"));
            let item_nodes = match item_nodes
                .map(|(_, items)| &self.outline.node(self.outline.resolve(items)).shape)
            {
                Some(Shape::Sequence { items }) => items.clone(),
                _ => Vec::new(),
            };
            for (position, mut item) in items.into_iter().enumerate() {
                identity::infer_type(&mut item, &api_version, &kind);
                self.object(item, item_nodes.get(position).copied(), limits)?;
            }
            return Ok(());
        }
        let index = self.first_index + self.document.objects.len();
        if index >= limits.objects {
            return Err(self.error_at(
                node,
                &[],
                Reason::Limit {
                    what: "objects in one file",
                    limit: limits.objects,
                },
            ));
        }
        let unlabelled = identity::labels_that_are_not_text(&value)
            .map(|(reason, path)| self.error_at(node, &path, reason));
        let identity = identity::identity(&value);
        match (identity, unlabelled) {
            (Ok(_), Some(error)) => self.incomplete(&value, error),
            (Err((reason, path)), _) => {
                let error = self.error_at(node, &path, reason);
                self.incomplete(&value, error);
            }
            (Ok(id), None) => {
                let span_node = node.or_else(|| self.outline.root());
                let range = span_node.map_or(0..0, |node| self.outline.range(node));
                let base = self.place.chunk.range.start;
                let object = Object {
                    id,
                    location: self.location_at(node, &[]),
                    value,
                    span: base + range.start..base + range.end,
                    index,
                    positions: self.positions(node),
                };
                self.document.objects.push(object);
                self.nodes.push(node);
            }
        }
        Ok(())
    }

    fn incomplete(&mut self, value: &Value, error: ReadError) {
        let text = |field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
        self.document.incomplete.push(Incomplete {
            api_version: text("apiVersion"),
            kind: text("kind"),
            error,
        });
    }

    fn error_at(&self, node: Option<usize>, path: &[&str], reason: Reason) -> ReadError {
        ReadError {
            location: self.location_at(node, path),
            reason,
        }
    }

    /// Where the deepest part of `path` that is written below `node` stands.
    fn location_at(&self, node: Option<usize>, path: &[&str]) -> Location {
        let Some(node) = node.or_else(|| self.outline.root()) else {
            return self.place.location(1, 1);
        };
        let (mut at, mut parent) = (node, self.outline.resolve(node));
        for key in path {
            let Some((key, value)) = self.outline.entry(parent, key) else {
                break;
            };
            (at, parent) = (key, self.outline.resolve(value));
        }
        let at = self.outline.node(at);
        self.place.location(at.line, at.column)
    }

    fn positions(&self, node: Option<usize>) -> Positions {
        let mut positions = Positions::default();
        if let Some(node) = node {
            self.collect_positions(&mut positions, node, &mut Vec::new());
        }
        positions
    }

    fn collect_positions<'s>(
        &'s self,
        positions: &mut Positions,
        node: usize,
        path: &mut Vec<&'s str>,
    ) {
        if path.len() == Positions::DEPTH {
            return;
        }
        for &(key, value) in self.outline.entries(self.outline.resolve(node)) {
            let Some(text) = self.outline.key(key) else {
                continue;
            };
            path.push(text);
            let at = self.outline.node(key);
            let at = self.place.location(at.line, at.column);
            positions.insert(path, at.line, at.column);
            self.collect_positions(positions, value, path);
            path.pop();
        }
    }

    /// What kubectl would read differently, in a document that holds an object.
    fn deceptions(&self) -> Vec<ReadError> {
        if self.document.objects.is_empty() {
            return Vec::new();
        }
        let mut errors = Vec::new();
        for index in 0..self.outline.len() {
            let node = self.outline.node(index);
            let reason = match &node.shape {
                Shape::Plain { deceptive: true } => Some(Reason::DeceptiveValue),
                Shape::Key { text, plain: true } => {
                    kubectl::key_reads_as(text).map(|reads_as| Reason::DeceptiveKey {
                        key: text.to_string(),
                        reads_as,
                    })
                }
                Shape::Mapping { entries, .. } => self
                    .late_merge(entries)
                    .map(|key| Reason::LateMerge { key }),
                _ => None,
            };
            errors.extend(reason.map(|reason| self.place.error(node.line, node.column, reason)));
        }
        errors
    }

    /// A key that stands before a merge key which brings it too.
    fn late_merge(&self, entries: &[(usize, usize)]) -> Option<String> {
        let position = entries.iter().position(|&(key, _)| self.is_merge(key))?;
        let (_, merged) = entries[position];
        let mut before = entries[..position]
            .iter()
            .filter_map(|&(key, _)| self.outline.key(key));
        before
            .find(|key| self.brings(merged, key))
            .map(str::to_owned)
    }

    /// Whether the value of a merge key brings `name`. An anchor can only bring what stands before it, so this ends.
    fn brings(&self, merged: usize, name: &str) -> bool {
        match &self.outline.node(self.outline.resolve(merged)).shape {
            Shape::Sequence { items } => items.iter().any(|&item| self.brings(item, name)),
            Shape::Mapping { entries, .. } => entries.iter().any(|&(key, value)| {
                if self.is_merge(key) {
                    self.brings(value, name)
                } else {
                    self.outline.key(key) == Some(name)
                }
            }),
            _ => false,
        }
    }

    fn is_merge(&self, key: usize) -> bool {
        matches!(&self.outline.node(key).shape, Shape::Key { text, plain: true } if &**text == "<<")
    }
}
