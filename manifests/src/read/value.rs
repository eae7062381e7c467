//! The text of one document to a JSON value, as kubectl would send it.

use serde_json::{Number, Value};
use serde_saphyr::{DuplicateKeyPolicy, Error, Options};

use super::Reason;
use crate::Limits;

/// Reads one document. The position of an error is relative to `text`, both numbers from 1.
pub(super) fn value(text: &str, limits: &Limits) -> Result<Value, (usize, usize, Reason)> {
    let mut value: Value = serde_saphyr::from_str_with_options(text, options(limits))
        .map_err(|error| describe(&error, limits))?;
    normalize(&mut value);
    Ok(value)
}

fn options(limits: &Limits) -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            // The outline has counted already; these only must not come first.
            max_documents: 2,
            max_nodes: limits.nodes.saturating_mul(2),
            max_events: limits.nodes.saturating_mul(4),
            max_depth: limits.depth.saturating_add(1),
            max_aliases: limits.aliases,
            max_anchors: limits.nodes,
            max_total_scalar_bytes: limits.file_bytes,
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: limits.alias_nodes },
        emit_comments: false,
        legacy_octal_numbers: true,
        duplicate_keys: DuplicateKeyPolicy::Error,
        // Snippets would carry values.
        with_snippet: false,
    }
}

/// The library's message can carry a scalar of the file, which may be a value of a Secret: only what is known to carry none is passed on.
fn describe(error: &Error, limits: &Limits) -> (usize, usize, Reason) {
    let error = error.without_snippet();
    let at = error.location();
    let position = |number: Option<u64>| {
        number
            .and_then(|number| usize::try_from(number).ok())
            .filter(|&number| number > 0)
            .unwrap_or(1)
    };
    let (line, column) = (
        position(at.map(|at| at.line())),
        position(at.map(|at| at.column())),
    );
    let mut cause = error;
    while let Error::AliasError { error, .. } = cause {
        cause = error;
    }
    let reason = match cause {
        Error::DuplicateMappingKey { key: Some(key), .. } => Reason::DuplicateKey(key.clone()),
        Error::DuplicateMappingKey { .. } => {
            Reason::Syntax("a key stands twice in one mapping".to_owned())
        }
        Error::NonFiniteFloat { .. } => Reason::NonFiniteNumber,
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. } => Reason::Limit {
            what: "nodes expanded from aliases",
            limit: limits.alias_nodes,
        },
        Error::Budget { .. } => Reason::Limit {
            what: "nodes in one document, aliases expanded",
            limit: limits.nodes,
        },
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            Reason::Syntax("an alias inside of the node that it stands for".to_owned())
        }
        Error::MergeValueNotMapOrSeqOfMaps { .. } => {
            Reason::Syntax("the merge key `<<` takes a mapping or a list of mappings".to_owned())
        }
        Error::UnknownAnchor { .. } => {
            Reason::Syntax("an alias to an anchor that is not in this document".to_owned())
        }
        Error::MultipleDocuments { .. } => Reason::SecondDocument,
        Error::TaggedScalarCannotDeserializeIntoString { .. } => {
            Reason::Syntax("a tag that JSON has no type for".to_owned())
        }
        _ => Reason::Syntax(
            "a key that is not text, or a value that JSON has no form for".to_owned(),
        ),
    };
    (line, column, reason)
}

/// Whole numbers are written as Go writes them: `3.0` and `08` are sent as `3` and `8`, or an integer field would refuse them.
fn normalize(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(whole) = number.as_f64().filter(|_| number.is_f64()).and_then(whole) {
                *number = whole;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(normalize),
        Value::Object(entries) => entries.values_mut().for_each(normalize),
        _ => {}
    }
}

fn whole(float: f64) -> Option<Number> {
    // 2^63: below it every whole float is an i64.
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole and inside of the range of i64, just checked"
    )]
    (float.fract() == 0.0 && (-BOUND..BOUND).contains(&float)).then(|| Number::from(float as i64))
}
