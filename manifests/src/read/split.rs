//! A file's text cut into documents the way kubectl does it: by lines that begin with `---`, before any YAML is parsed.
//!
//! YAML forbids such a line inside of a document, so the cut is YAML's too; and since each document is parsed alone, one that is broken
//! does not hide what is wrong with the others.

use std::ops::Range;

use serde::de::IgnoredAny;

/// A stretch of a file with one document in it, possibly an empty one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Byte range in the file. Chunks in order make up the whole file.
    pub(super) range: Range<usize>,
    /// Line of its first byte, from 1.
    pub(super) line: usize,
    /// Column of its first byte, from 1. Only a JSON value that follows another one begins within a line.
    pub(super) column: usize,
}

/// Cuts `text`. A text of zero bytes has no chunk.
pub(super) fn split(text: &str) -> Vec<Chunk> {
    if let Some(chunks) = json_stream(text) {
        return chunks;
    }
    let mut chunks = Vec::new();
    let (mut start, mut start_line, mut has_content) = (0, 1, false);
    let (mut offset, mut line) = (0, 1);
    for text_line in text.split_inclusive('\n') {
        if is_marker(text_line) && has_content {
            chunks.push(Chunk {
                range: start..offset,
                line: start_line,
                column: 1,
            });
            (start, start_line) = (offset, line);
        }
        // Comments before the first `---` belong to the document that it begins; after that every `---` begins one.
        has_content = has_content || is_marker(text_line) || is_content(text_line);
        offset += text_line.len();
        line += 1;
    }
    if offset > start {
        chunks.push(Chunk {
            range: start..offset,
            line: start_line,
            column: 1,
        });
    }
    chunks
}

fn is_marker(line: &str) -> bool {
    line.trim_start_matches('\u{feff}')
        .strip_prefix("---")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

fn is_content(line: &str) -> bool {
    let line = line.trim_start_matches('\u{feff}').trim();
    !line.is_empty() && !line.starts_with('#')
}

/// JSON objects one after the other without `---`, as `jq` prints them and kubectl reads them.
fn json_stream(text: &str) -> Option<Vec<Chunk>> {
    if !text
        .trim_start_matches('\u{feff}')
        .trim_start()
        .starts_with('{')
    {
        return None;
    }
    let bom = text.len() - text.trim_start_matches('\u{feff}').len();
    let mut values = serde_json::Deserializer::from_str(&text[bom..]).into_iter::<IgnoredAny>();
    let mut ends = Vec::new();
    while let Some(value) = values.next() {
        value.ok()?;
        ends.push(bom + values.byte_offset());
    }
    if ends.len() < 2 {
        return None;
    }
    if let Some(last) = ends.last_mut() {
        *last = text.len();
    }
    let mut start = 0;
    let chunks = ends.into_iter().map(|end| {
        let before = &text[..start];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
        let chunk = Chunk {
            range: start..end,
            line,
            column,
        };
        start = end;
        chunk
    });
    Some(chunks.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<&str> {
        split(text)
            .into_iter()
            .map(|chunk| &text[chunk.range])
            .collect()
    }

    #[test]
    fn documents_are_cut_at_their_markers_and_cover_the_file() {
        assert_eq!(parts(""), Vec::<&str>::new());
        assert_eq!(parts("a: 1\n"), ["a: 1\n"]);
        assert_eq!(
            parts("# c\n---\na: 1\n---\n---  # d\nb: 2"),
            ["# c\n---\na: 1\n", "---\n", "---  # d\nb: 2"]
        );
        assert_eq!(
            parts("a: 1\r\n---\r\nb: 2\r\n"),
            ["a: 1\r\n", "---\r\nb: 2\r\n"]
        );
        assert_eq!(parts("\u{feff}---\na: 1\n"), ["\u{feff}---\na: 1\n"]);
        assert_eq!(parts("---x: 1\n ---\n"), ["---x: 1\n ---\n"]);
        assert_eq!(
            parts("{\"a\": 1}\n{\"b\": 2} {\"c\": 3}\n"),
            ["{\"a\": 1}", "\n{\"b\": 2}", " {\"c\": 3}\n"]
        );
        assert_eq!(
            parts("{\"a\": 1}\n---\n{\"b\": 2}\n"),
            ["{\"a\": 1}\n", "---\n{\"b\": 2}\n"]
        );
    }

    #[test]
    fn chunks_know_their_first_line() {
        let lines: Vec<_> = split("# c\n---\na: 1\n---\nb: 2")
            .into_iter()
            .map(|chunk| (chunk.line, chunk.column))
            .collect();
        assert_eq!(lines, [(1, 1), (4, 1)]);
        let lines: Vec<_> = split("{\"a\": 1}\n{\"b\": 2} {}")
            .into_iter()
            .map(|chunk| (chunk.line, chunk.column))
            .collect();
        assert_eq!(lines, [(1, 1), (1, 9), (2, 9)]);
    }
}
