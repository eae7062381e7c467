//! Block style: an entry is its lines.

use serde_json::{Map, Value};

use super::editor::{Editor, Fate, Target};
use crate::outline::Shape;
use crate::write_yaml;

/// Exchanges the entries of a block mapping.
pub(super) fn entries(editor: &mut Editor<'_>, target: &Target<'_>) -> Option<()> {
    let column = editor.outline.node(target.entries.first()?.0).column;
    let indent = " ".repeat(column - 1);
    let mut additions = target.additions.iter().peekable();
    for (position, &(key, value)) in target.entries.iter().enumerate() {
        let start = editor.outline.node(key).start;
        let end = own_end(editor, target, position, column);
        let addition = additions
            .next_if(|(at, _)| *at == position)
            .map(|(_, group)| group);
        match (&target.fates[position], addition) {
            // What is new takes the place of what goes.
            (Fate::Removed, Some(group)) => {
                let text = render(editor, group, &indent);
                let text = ended(editor, &text, end);
                editor.replace(start, end, text);
            }
            (Fate::Removed, None) => {
                // The first key of a list item shares its line with the item's dash.
                let indentation = editor.indentation(start)?;
                editor.replace(start - indentation.len(), end, "");
            }
            (fate, addition) => {
                if let Some(group) = addition {
                    let text = render(editor, group, &indent);
                    if position == 0 {
                        editor.replace(start, start, format!("{text}{}{indent}", editor.eol));
                    } else {
                        // Before the comments that belong to the next key.
                        let at = own_end(editor, target, position - 1, column);
                        editor.replace(at, at, format!("{indent}{text}{}", editor.eol));
                    }
                }
                if let Fate::Changed(new) = fate {
                    change(editor, key, value, new, end, &indent)?;
                }
            }
        }
    }
    for (_, group) in additions {
        let end = own_end(editor, target, target.entries.len() - 1, column);
        let text = render(editor, group, &indent);
        let ends_line = editor.text[..end].ends_with('\n');
        let (before, after) = if ends_line {
            ("", editor.eol)
        } else {
            (editor.eol, "")
        };
        editor.replace(end, end, format!("{before}{indent}{text}{after}"));
    }
    Some(())
}

/// Writes a block mapping anew.
pub(super) fn whole(editor: &mut Editor<'_>, node: usize, new: &Value) {
    let at = editor.outline.node(node);
    let (start, end, indent) = (at.start, at.end, " ".repeat(at.column - 1));
    let text = indented(editor, write_yaml(new).trim_end_matches('\n'), &indent);
    // A comment at the end of the last line would become part of what now ends there.
    let end = end
        + editor.text[end..]
            .find(['\r', '\n'])
            .unwrap_or(editor.text.len() - end);
    editor.replace(start, end, text);
}

fn change(
    editor: &mut Editor<'_>,
    key: usize,
    value: usize,
    new: &Value,
    end: usize,
    indent: &str,
) -> Option<()> {
    let range = editor.outline.range(value);
    let is_word = matches!(
        editor.outline.node(value).shape,
        Shape::Plain { .. } | Shape::Scalar
    ) && !range.is_empty()
        && !editor.text[range.clone()].contains('\n')
        && editor.line_start(range.start) == editor.line_start(editor.outline.node(key).start);
    let text = write_yaml(new);
    if is_word && !new.is_object() && !new.is_array() && text.lines().count() == 1 {
        editor.replace(range.start, range.end, text.trim_end());
        return Some(());
    }
    let name = editor.outline.key(key)?.to_owned();
    let text = render(editor, &Map::from_iter([(name, new.clone())]), indent);
    let text = ended(editor, &text, end);
    editor.replace(editor.outline.node(key).start, end, text);
    Some(())
}

/// The end of an entry's lines: of its content, and of comments after it that are indented as its content is. Comments further left, and
/// blank lines, belong to what follows.
fn own_end(editor: &Editor<'_>, target: &Target<'_>, position: usize, column: usize) -> usize {
    let next = target
        .entries
        .get(position + 1)
        .map(|&(key, _)| editor.line_start(editor.outline.node(key).start));
    let limit = next.unwrap_or(editor.text.len());
    let mut end = editor
        .line_end(editor.content_end(target.entries[position]))
        .min(limit);
    let mut at = end;
    while at < limit {
        let line_end = editor.line_end(at);
        let line = editor.text[at..line_end].trim_end();
        let indentation = line.len() - line.trim_start().len();
        if !line.is_empty() {
            // What follows the last entry is not ours to look through.
            let is_comment = line.trim_start().starts_with('#');
            if indentation < column || !is_comment {
                break;
            }
            end = line_end;
        }
        at = line_end;
    }
    end
}

/// New entries as lines, without indentation before the first and without a line break after the last.
fn render(editor: &Editor<'_>, entries: &Map<String, Value>, indent: &str) -> String {
    indented(
        editor,
        write_yaml(&Value::Object(entries.clone())).trim_end_matches('\n'),
        indent,
    )
}

fn indented(editor: &Editor<'_>, text: &str, indent: &str) -> String {
    let mut lines = text.split('\n');
    let mut out = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        out.push_str(editor.eol);
        if !line.is_empty() {
            out.push_str(indent);
            out.push_str(line);
        }
    }
    out
}

/// `text` with a line break, if the lines that it replaces end with one.
fn ended(editor: &Editor<'_>, text: &str, end: usize) -> String {
    let eol = if editor.text[..end].ends_with('\n') {
        editor.eol
    } else {
        ""
    };
    format!("{text}{eol}")
}
