//! The cluster's private keys and its signer.
//!
//! ```text
//! key Secrets ──watch──> keyring (private halves in memory, newest first) ──> unseal
//!      │                     │ settle: exactly one key is Active
//!      └── state, sequence <─┘ publish: one SealingKey each, attested by the signer
//! ```
//!
//! The key Secret is the source of truth; the SealingKey is a projection that is restored when it
//! is edited or deleted. Key material is only ever in a key Secret and in [`keyring::Keyring`].

pub mod keyring;
pub mod publish;
pub mod run;
pub mod secret;
pub mod settle;
pub mod store;

pub use keyring::{Keyring, SharedKeyring};
