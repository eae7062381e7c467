//! The Waxwing sealing format, version 1.
#![forbid(unsafe_code)]

mod attestation;
mod key;
mod key_id;
mod names;
mod object;
mod place;
mod recipients_file;
mod refusal;
mod seal;
mod sealed_at;
mod signer;
mod suite;

pub use attestation::{Attestation, AttestationError, KeyState, Statement};
pub use key::{Identity, KeyError, Recipient};
pub use key_id::KeyId;
pub use names::{EntryKey, Label, NameError};
pub use object::{DataValue, EnvelopeText, Opened, OpenedValue, RunInfo, Sealed, SealedText};
pub use place::{Place, PlaceError, Scope};
pub use recipients_file::{RecipientsFile, RecipientsFileError};
pub use refusal::{Class, Refusal, Refusals};
pub use seal::{NewEntry, Plaintext, SealError, SealedRun, SealingRun, seal, seal_self};
pub use sealed_at::{SealedAt, TimeError};
pub use signer::{Signer, SignerError, SignerPublic};
pub use suite::Suite;
