//! Flow style, and JSON, which is part of it: an entry is the text between two commas. What is new is written as JSON.

use serde::Serialize;
use serde_json::ser::PrettyFormatter;
use serde_json::{Map, Serializer, Value};

use super::editor::{Editor, Fate, Target};

/// Exchanges the entries of a flow mapping.
pub(super) fn entries(editor: &mut Editor<'_>, target: &Target<'_>) -> Option<()> {
    let layout = Layout::of(editor, target);
    let mut additions = target.additions.iter().peekable();
    // Whether something stands before the entry in the new text: then what goes takes the comma before it along, else the one after.
    let mut stands = false;
    for (position, &(key, value)) in target.entries.iter().enumerate() {
        let start = editor.outline.node(key).start;
        let end = editor.content_end((key, value));
        let addition = additions
            .next_if(|(at, _)| *at == position)
            .map(|(_, group)| layout.entries(editor, group));
        match (&target.fates[position], addition) {
            (Fate::Removed, Some(text)) => {
                editor.replace(start, end, text);
                stands = true;
            }
            (Fate::Removed, None) if stands => {
                let previous = editor.content_end(target.entries[position - 1]);
                editor.replace(previous, end, "");
            }
            (Fate::Removed, None) => {
                let next = target
                    .entries
                    .get(position + 1)
                    .map(|&(key, _)| editor.outline.node(key).start);
                editor.replace(start, next?, "");
            }
            (fate, addition) => {
                if let Some(text) = addition {
                    editor.replace(start, start, format!("{text}{}", layout.separator(editor)));
                }
                if let Fate::Changed(new) = fate {
                    let range = editor.outline.range(value);
                    if range.is_empty() {
                        return None;
                    }
                    let text = layout.value(editor, new);
                    editor.replace(range.start, range.end, text);
                }
                stands = true;
            }
        }
    }
    for (_, group) in additions {
        let end = editor.content_end(*target.entries.last()?);
        let text = format!(
            "{}{}",
            layout.separator(editor),
            layout.entries(editor, group)
        );
        editor.replace(end, end, text);
    }
    Some(())
}

/// Writes a flow node anew.
pub(super) fn whole(editor: &mut Editor<'_>, node: usize, new: &Value) {
    let range = editor.outline.range(node);
    let entries = editor.outline.entries(node);
    let target = Target {
        node,
        entries,
        fates: Vec::new(),
        additions: Vec::new(),
    };
    let layout = Layout {
        indent: Layout::of(editor, &target).outer(editor, range.start),
        ..Layout::of(editor, &target)
    };
    let text = layout.value(editor, new);
    editor.replace(range.start, range.end, text);
}

/// How a flow mapping is laid out.
struct Layout {
    /// The white space before each key, when each stands on a line of its own.
    indent: Option<String>,
    /// One level of it.
    unit: String,
}

impl Layout {
    fn of(editor: &Editor<'_>, target: &Target<'_>) -> Self {
        let open = editor.outline.node(target.node).start;
        let first = target
            .entries
            .first()
            .map(|&(key, _)| editor.outline.node(key).start);
        let indent = first
            .and_then(|first| editor.indentation(first))
            .filter(|_| first.is_some_and(|at| editor.text[open..at].contains('\n')));
        let outer = leading(editor, open);
        let unit = indent
            .and_then(|indent| indent.strip_prefix(outer))
            .filter(|unit| !unit.is_empty())
            .unwrap_or("  ");
        Self {
            indent: indent.map(str::to_owned),
            unit: unit.to_owned(),
        }
    }

    /// The white space of the line on which the mapping begins, if it is spread over lines.
    fn outer(&self, editor: &Editor<'_>, open: usize) -> Option<String> {
        self.indent
            .as_ref()
            .map(|_| leading(editor, open).to_owned())
    }

    fn separator(&self, editor: &Editor<'_>) -> String {
        self.indent.as_ref().map_or_else(
            || ", ".to_owned(),
            |indent| format!(",{}{indent}", editor.eol),
        )
    }

    fn entries(&self, editor: &Editor<'_>, entries: &Map<String, Value>) -> String {
        let entries = entries.iter().map(|(key, value)| {
            format!(
                "{}: {}",
                Value::from(key.as_str()),
                self.value(editor, value)
            )
        });
        entries.collect::<Vec<_>>().join(&self.separator(editor))
    }

    fn value(&self, editor: &Editor<'_>, value: &Value) -> String {
        let Some(indent) = &self.indent else {
            return value.to_string();
        };
        let mut bytes = Vec::new();
        let written = value.serialize(&mut Serializer::with_formatter(
            &mut bytes,
            PrettyFormatter::with_indent(self.unit.as_bytes()),
        ));
        match (written, String::from_utf8(bytes)) {
            (Ok(()), Ok(text)) => text.replace('\n', &format!("{}{indent}", editor.eol)),
            _ => value.to_string(),
        }
    }
}

/// The white space at the start of a byte's line.
fn leading<'a>(editor: &Editor<'a>, at: usize) -> &'a str {
    let line = &editor.text[editor.line_start(at)..at];
    &line[..line.len() - line.trim_start().len()]
}
