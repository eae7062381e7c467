//! Finding plaintext. Structural: what Kubernetes would read is judged, not lines. A finding names keys and places, never a value.

pub mod secret;

pub use secret::{PlaintextKey, PlaintextSecret, plaintext_secret};
