//! Finding plaintext. Structural: what Kubernetes would read is judged, not lines. A finding names keys and places, never a value.
//!
//! One file per rule; `value` says for all of them what counts as a value.

mod last_applied;
mod secret;
mod value;

pub use secret::{PlaintextKey, PlaintextSecret, plaintext_secret};
