//! One SealedSecret becomes one Secret: judged, opened in memory, written by server-side apply.
//!
//! ```text
//! SealedSecret ─> refuse ─> open (sealing) ─> ownership ─> body ─> apply ─> status
//!      ▲                                          ▲
//!      └── settled? <── index (metadata watch) ───┘
//! ```
//!
//! Two callers share it: the watch of SealedSecrets (`watch`) and the sync, which opens a whole
//! revision before anything is written and writes each Secret in the pass that applies its
//! SealedSecret. What decides (`refuse`, `ownership`, `settled`, `status`, `fields`, `facts`) is
//! pure; `write`, `watch` and `orphans` talk to the API server.

mod error;
mod facts;
mod fields;
mod foreign;
mod index;
mod open;
mod orphans;
mod ownership;
mod refuse;
mod settled;
mod status;
mod watch;
mod write;

pub use self::{
    error::UnsealError,
    open::Unsealed,
    ownership::Consent,
    refuse::Policy,
    watch::run,
    write::{Unsealer, UnsealerSetup, Written},
};
