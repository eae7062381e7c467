//! Reading Kubernetes manifests as Kubernetes reads them.
//!
//! ```text
//! bytes ──read──▶ Document ──▶ Object {identity, file:line, byte span, value}
//!                                 │            │
//!  Tree ──render_plain──▶ Objects ┤            └─ rewrite::seal_in_place ──▶ bytes, one Secret replaced
//!                                 └─ plaintext_secret ──▶ key names and lines, never a value
//! ```
//!
//! Everything here is a function from values to values: no file, no network, no clock. The CLI and the controller call the same
//! functions, so that what the one accepts the other accepts too.
//!
//! It refuses what it cannot read exactly: duplicate keys, UTF-16, broken UTF-8, documents over a limit. See `docs/manifests.md` for
//! where this is stricter than `kubectl`, on purpose.

pub mod annotations;
pub mod duplicates;
pub mod limits;
pub mod location;
pub mod object;
mod outline;
pub mod plaintext;
pub mod problem;
pub mod read;
pub mod render;
pub mod rewrite;
pub mod tree;
pub mod write;

pub use duplicates::duplicates;
pub use limits::Limits;
pub use location::Location;
pub use object::{Object, ObjectId};
pub use plaintext::{PlaintextKey, PlaintextSecret, plaintext_secret};
pub use problem::Problem;
pub use read::{Document, Incomplete, ReadError, Reason, documents, read};
pub use render::render_plain;
pub use tree::{Entry, Tree, TreeError};
pub use write::write_yaml;
