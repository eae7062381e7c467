//! The annotation in which `kubectl apply` keeps a copy of what it applied.

use serde_json::Value;

use super::value::{is_data_plaintext, is_string_plaintext};

/// Whether the annotation's text is the copy of a Secret with values. A text that cannot be read counts when it `may_be` one.
pub(super) fn has_values(text: &str, may_be: bool) -> bool {
    let Ok(copy) = serde_json::from_str::<Value>(text) else {
        return may_be && !text.trim().is_empty();
    };
    let any = |field: &str, is_plaintext: fn(&Value) -> bool| {
        copy[field]
            .as_object()
            .is_some_and(|entries| entries.values().any(is_plaintext))
    };
    copy["kind"] == "Secret"
        && (any("data", is_data_plaintext) || any("stringData", is_string_plaintext))
}
