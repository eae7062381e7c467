//! Reading conditions, and the one assertion of the scenarios.

use anyhow::{Result, bail};
use serde_json::Value;

/// A condition of an object, by type.
pub fn of<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    object
        .pointer("/status/conditions")?
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == name)
}

/// Whether a condition has a status and speaks of the object's present generation.
pub fn is(object: &Value, name: &str, status: &str) -> bool {
    of(object, name).is_some_and(|condition| {
        condition["status"] == status
            && condition["observedGeneration"] == object["metadata"]["generation"]
    })
}

/// The message of a condition; empty when there is none.
pub fn message<'a>(object: &'a Value, name: &str) -> &'a str {
    of(object, name)
        .and_then(|condition| condition["message"].as_str())
        .unwrap_or_default()
}

/// The reason of a condition; empty when there is none.
pub fn reason<'a>(object: &'a Value, name: &str) -> &'a str {
    of(object, name)
        .and_then(|condition| condition["reason"].as_str())
        .unwrap_or_default()
}

/// Fails with `what` unless `holds`.
pub fn check(holds: bool, what: &str) -> Result<()> {
    if holds {
        Ok(())
    } else {
        bail!("expected {what}")
    }
}
