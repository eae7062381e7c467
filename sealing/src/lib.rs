//! The Waxwing sealing format, version 1 (`WXW1`): keys, envelopes, entries, templates.
//!
//! A sealing run makes one random *data key* and wraps it once per *recipient* with HPKE (RFC 9180,
//! X-Wing by default). Each value is an *entry* under a key derived from the data key; everything that
//! says where it belongs is bound, so it can be opened only there. `docs/format.md` has the bytes.
//!
//! ```text
//! seal    SealingRun + NewEntry ──► seal()  ──► EnvelopeText + tokens ──► YAML, Git
//! open    SealedText ──► Sealed::parse ──► Sealed::open(identities) ──► Opened ──► data()
//!         (limits, grammar, template)     (place, own wraps, keys)       └──► rewrap()
//! ```
//!
//! ```
//! use std::collections::BTreeMap;
//! use sealing::*;
//! use zeroize::Zeroizing;
//!
//! let identity = Identity::generate(Suite::XWing)?;
//! let place = Place::new("payments", "db-credentials", None)?;
//! let recipients = [(Label::new("prod")?, identity.recipient().clone())];
//! let run = SealingRun {
//!     place: &place,
//!     scope: Scope::Strict,
//!     bound_template: None,
//!     sealed_at: SealedAt::parse("2026-11-21T19:00:00Z")?,
//!     recipients: &recipients,
//!     allow_classical: false,
//! };
//! let value = Plaintext::new(Zeroizing::new(b"hunter2".to_vec()));
//! let sealed = seal(&run, vec![NewEntry { key: EntryKey::new("password")?, value, templatable: false }])?;
//!
//! let text = SealedText {
//!     namespace: "payments".into(),
//!     name: "db-credentials".into(),
//!     envelopes: BTreeMap::from([(sealed.envelope_id, sealed.envelope)]),
//!     entries: sealed.tokens,
//!     ..SealedText::default()
//! };
//! let opened = Sealed::parse(&text)?.open(&[&identity])?;
//! assert_eq!(opened.get("password").map(OpenedValue::expose), Some(&b"hunter2"[..]));
//!
//! // Moved to another namespace it does not open.
//! let moved = SealedText { namespace: "attacker".into(), ..text };
//! let refusals = Sealed::parse(&moved)?.open(&[&identity]).err().unwrap();
//! assert_eq!(refusals.class(), Class::Misplaced);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What it refuses to do: I/O, time and async (the caller brings bytes and the clock); sealing an
//! opened value to another place (no function takes both); telling where opening failed once a key
//! was used; HPKE's other modes; passphrases; compression.
//!
//! Values live in [`Plaintext`], [`OpenedValue`] and [`DataValue`]: buffers of their final size that
//! are wiped when dropped, without `Debug`, `Display`, `Clone` and `Serialize`.
#![forbid(unsafe_code)]

mod age_text;
mod attestation;
mod binding;
mod entry;
mod header;
mod key;
mod key_id;
mod limits;
mod names;
mod object;
mod padding;
mod place;
mod random;
mod recipients_file;
mod refusal;
mod schedule;
mod seal;
mod sealed_at;
mod signer;
mod small_order;
mod stack;
mod suite;
mod template;
mod text;
mod token;
mod wrap;

pub use attestation::{Attestation, AttestationError, KeyState, Statement};
pub use key::{Identity, KeyError, Recipient};
pub use key_id::KeyId;
pub use limits::{
    LARGE_OBJECT_BYTES, MAX_ENTRIES, MAX_ENVELOPES, MAX_OBJECT_BYTES, MAX_RECIPIENTS,
    MAX_VALUES_BYTES,
};
pub use names::{EntryKey, Label, NameError};
pub use object::{DataValue, EnvelopeText, Opened, OpenedValue, RunInfo, Sealed, SealedText};
pub use place::{Place, PlaceError, Scope};
pub use recipients_file::{RecipientsFile, RecipientsFileError};
pub use refusal::{Class, Refusal, Refusals};
pub use seal::{NewEntry, Plaintext, SealError, SealedRun, SealingRun, seal, seal_self};
pub use sealed_at::{SealedAt, TimeError};
pub use signer::{Signer, SignerError, SignerPublic};
pub use suite::Suite;
