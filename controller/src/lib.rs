//! The Waxwing controller: observes Git, opens SealedSecrets in the cluster in the same loop as
//! the manifest sync, applies everything in one pass and repairs drift.
//!
//! ```text
//! keys/    the cluster's private keys and its signer: made, watched, published as SealingKeys
//! unseal/  one SealedSecret -> one Secret: judged, opened in memory, written by server-side apply
//! sync/    one ManifestSync -> everything of one revision: source, plan, apply, prune
//! leader/  one writer at a time, by a Lease
//! http/    /livez, /readyz, /metrics
//! ```
//!
//! `unseal` is one function used by two callers: its own watch, and the sync, which writes the
//! Secret in the pass that applies its SealedSecret. What decides is pure and tested without a
//! cluster (`unseal::refuse`, `unseal::ownership`, `unseal::settled`, `sync::plan`, …); what talks
//! to the API server is a thin shell around it.

mod backoff;
mod secret_body;

pub mod config;
pub mod http;
pub mod keys;
pub mod leader;
pub mod metrics;
pub mod process;
pub mod run;
pub mod sync;
pub mod telemetry;
pub mod unseal;
pub mod watched;
