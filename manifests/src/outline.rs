//! Where every node of a document stands: the parser's events as a tree of byte ranges, with the text of mapping keys but of no value.

use std::ops::Range;

use serde_saphyr::granit_parser::{
    ErrorKind, Event, Options, Parser, ScalarStyle, Span, StructureStyle,
};

use crate::Limits;
use crate::read::kubectl::{is_deceptive, is_deceptive_tagged};

/// The nodes of one document. Offsets and lines are relative to the text that was outlined.
pub(crate) struct Outline {
    nodes: Vec<Node>,
    root: Option<usize>,
}

/// One node.
pub(crate) struct Node {
    pub(crate) shape: Shape,
    /// First byte of its content; an anchor or a tag before it is outside.
    pub(crate) start: usize,
    /// End of its last content byte; blank lines that end a block scalar are outside.
    pub(crate) end: usize,
    /// Line of `start`, from 1.
    pub(crate) line: usize,
    /// Column of `start` in characters, from 1.
    pub(crate) column: usize,
}

/// What a node is.
pub(crate) enum Shape {
    /// Not a key and not quoted: what kubectl and the parser may see differently.
    Plain {
        deceptive: bool,
    },
    /// A scalar that is quoted or a block.
    Scalar,
    Key {
        text: Box<str>,
        plain: bool,
    },
    Alias(Option<usize>),
    Sequence {
        items: Vec<usize>,
    },
    Mapping {
        flow: bool,
        entries: Vec<(usize, usize)>,
    },
}

/// Why there is no outline.
pub(crate) struct OutlineError {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) why: Why,
}

/// See [`OutlineError`].
pub(crate) enum Why {
    Syntax(String),
    SecondDocument,
    Nodes,
    Depth,
    Aliases,
}

impl Outline {
    /// Outlines `text`, which holds at most one document.
    pub(crate) fn new(text: &str, limits: &Limits) -> Result<Self, OutlineError> {
        let mut options = Options::default();
        options.set_emit_comments(false);
        let mut builder = Builder {
            text,
            limits,
            nodes: Vec::new(),
            open: Vec::new(),
            anchors: Vec::new(),
            aliases: 0,
            root: None,
            ended: false,
        };
        for event in Parser::new_from_str_with_options(text, options) {
            match event {
                Ok((event, span)) => builder.event(event, &span)?,
                Err(error) => {
                    let at = error.marker();
                    let why = if is_nesting(error.kind()) {
                        Why::Depth
                    } else {
                        Why::Syntax(error.info())
                    };
                    return Err(OutlineError {
                        line: at.line(),
                        column: at.col() + 1,
                        why,
                    });
                }
            }
        }
        Ok(Self {
            nodes: builder.nodes,
            root: builder.root,
        })
    }

    /// The document's node; `None` when there is only white space and comments.
    pub(crate) fn root(&self) -> Option<usize> {
        self.root
    }

    pub(crate) fn node(&self, index: usize) -> &Node {
        &self.nodes[index]
    }

    /// The byte range of a node's content.
    pub(crate) fn range(&self, index: usize) -> Range<usize> {
        let node = self.node(index);
        node.start..node.end
    }

    /// The node that an alias stands for; any other node itself.
    pub(crate) fn resolve(&self, mut index: usize) -> usize {
        // An alias can only refer to a node before it, so this ends.
        while let Shape::Alias(Some(target)) = self.node(index).shape {
            index = target;
        }
        index
    }

    /// The entries of a mapping, aliases not followed; none for anything else.
    pub(crate) fn entries(&self, index: usize) -> &[(usize, usize)] {
        match &self.node(index).shape {
            Shape::Mapping { entries, .. } => entries,
            _ => &[],
        }
    }

    /// The text of a mapping key.
    pub(crate) fn key(&self, index: usize) -> Option<&str> {
        match &self.node(index).shape {
            Shape::Key { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Key and value of an entry that is written in this mapping itself.
    pub(crate) fn entry(&self, mapping: usize, key: &str) -> Option<(usize, usize)> {
        self.entries(mapping)
            .iter()
            .copied()
            .find(|&(k, _)| self.key(k) == Some(key))
    }

    /// The aliases in a node, itself included. Nodes stand in the order of the text, so those of one node are together.
    pub(crate) fn aliases(&self, index: usize) -> impl Iterator<Item = usize> {
        let end = self.node(index).end;
        let inside =
            (index..self.len()).take_while(move |&at| at == index || self.node(at).start < end);
        inside.filter(|&at| matches!(self.node(at).shape, Shape::Alias(_)))
    }

    /// How many nodes there are.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }
}

/// The parser's own limits on nesting come after ours, except where it must look ahead.
fn is_nesting(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::RecursionLimitExceeded)
}

struct Builder<'a> {
    text: &'a str,
    limits: &'a Limits,
    nodes: Vec<Node>,
    /// Open collections, with the key that waits for its value.
    open: Vec<(usize, Option<usize>)>,
    /// Node of each anchor, by the parser's id.
    anchors: Vec<(usize, usize)>,
    aliases: usize,
    root: Option<usize>,
    ended: bool,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), OutlineError> {
        match event {
            Event::DocumentStart(..) if self.ended => return Err(error(span, Why::SecondDocument)),
            Event::DocumentEnd => self.ended = true,
            Event::Scalar(text, style, anchor, tag) => {
                let shape = if self.expects_key() {
                    Shape::Key {
                        text: text.as_ref().into(),
                        plain: style == ScalarStyle::Plain && tag.is_none(),
                    }
                } else if style == ScalarStyle::Plain {
                    let deceptive = match tag.as_deref() {
                        None => is_deceptive(&text),
                        Some(tag) => is_deceptive_tagged(&text, tag.core_suffix()),
                    };
                    Shape::Plain { deceptive }
                } else {
                    Shape::Scalar
                };
                let mut range = range(span);
                if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
                    let content = self.text.get(range.clone()).unwrap_or_default();
                    range.end = range.start + content.trim_end_matches([' ', '\n', '\r']).len();
                }
                self.add(shape, range, span, anchor)?;
            }
            Event::Alias(id) => {
                self.aliases += 1;
                if self.aliases > self.limits.aliases {
                    return Err(error(span, Why::Aliases));
                }
                let target = self
                    .anchors
                    .iter()
                    .rev()
                    .find(|(anchor, _)| *anchor == id)
                    .map(|(_, node)| *node);
                self.add(Shape::Alias(target), range(span), span, 0)?;
            }
            Event::SequenceStart(_, anchor, _) => {
                self.start(Shape::Sequence { items: Vec::new() }, span, anchor)?;
            }
            Event::MappingStart(style, anchor, _) => {
                let flow = style == StructureStyle::Flow;
                self.start(
                    Shape::Mapping {
                        flow,
                        entries: Vec::new(),
                    },
                    span,
                    anchor,
                )?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some((index, _)) = self.open.pop() {
                    // The end of a block collection is reported where the next token starts: only a flow collection has one of its own.
                    let own = range(span);
                    if !own.is_empty() {
                        self.nodes[index].end = own.end;
                    }
                    let end = self.nodes[index].end;
                    if let Some((parent, _)) = self.open.last() {
                        self.nodes[*parent].end = self.nodes[*parent].end.max(end);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn expects_key(&self) -> bool {
        self.open.last().is_some_and(|(parent, key)| {
            key.is_none() && matches!(self.nodes[*parent].shape, Shape::Mapping { .. })
        })
    }

    fn start(&mut self, shape: Shape, span: &Span, anchor: usize) -> Result<(), OutlineError> {
        let index = self.add(shape, range(span), span, anchor)?;
        if self.open.len() >= self.limits.depth {
            return Err(error(span, Why::Depth));
        }
        self.open.push((index, None));
        Ok(())
    }

    fn add(
        &mut self,
        shape: Shape,
        range: Range<usize>,
        span: &Span,
        anchor: usize,
    ) -> Result<usize, OutlineError> {
        let index = self.nodes.len();
        if index >= self.limits.nodes {
            return Err(error(span, Why::Nodes));
        }
        let Range { start, end } = range;
        self.nodes.push(Node {
            shape,
            start,
            end,
            line: span.start.line(),
            column: span.start.col() + 1,
        });
        if anchor != 0 {
            self.anchors.push((anchor, index));
        }
        let Some((parent, key)) = self.open.last_mut() else {
            self.root = self.root.or(Some(index));
            return Ok(index);
        };
        let parent = &mut self.nodes[*parent];
        // The place of an empty scalar is wherever the parser looked next: it is no content.
        if end > start {
            parent.end = parent.end.max(end);
        }
        match &mut parent.shape {
            Shape::Sequence { items } => items.push(index),
            Shape::Mapping { entries, .. } => match key.take() {
                Some(key) => entries.push((key, index)),
                None => *key = Some(index),
            },
            _ => {}
        }
        Ok(index)
    }
}

fn range(span: &Span) -> Range<usize> {
    span.byte_range().unwrap_or_default()
}

fn error(span: &Span, why: Why) -> OutlineError {
    OutlineError {
        line: span.start.line(),
        column: span.start.col() + 1,
        why,
    }
}
