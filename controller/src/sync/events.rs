//! Events of a sync: failures, recoveries, and what was put right or left behind. Nothing when nothing happened.

use crds::ManifestSync;
use crds::reasons::Reason;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Resource as _, ResourceExt as _};

/// Longest note that an API server takes, in bytes.
const NOTE_LIMIT: usize = 1024;

/// Whom an event wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Good to know.
    Normal,
    /// Somebody has to do something.
    Warning,
}

/// Publishes an event on a ManifestSync. That it could not be published is logged and stops nothing: a namespace
/// that is going takes no events.
pub async fn publish(
    recorder: &Recorder,
    sync: &ManifestSync,
    weight: Weight,
    reason: Reason,
    note: &str,
) {
    let event = Event {
        type_: match weight {
            Weight::Normal => EventType::Normal,
            Weight::Warning => EventType::Warning,
        },
        reason: reason.to_string(),
        note: Some(cut(note)),
        action: "Sync".to_owned(),
        secondary: None,
    };
    if let Err(error) = recorder.publish(&event, &sync.object_ref(&())).await {
        tracing::warn!(sync = %sync.name_any(), %reason, error = %error, "an event could not be published");
    }
}

fn cut(note: &str) -> String {
    if note.len() <= NOTE_LIMIT {
        return note.to_owned();
    }
    let mut end = NOTE_LIMIT - "…".len();
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &note[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_note_is_cut_at_a_character() {
        let note = cut(&"é".repeat(2000));
        assert!(
            note.len() <= NOTE_LIMIT && note.ends_with('…'),
            "{}",
            note.len()
        );
        assert_eq!(cut("short"), "short");
    }
}
