//! Sealing: one run, one data key, many recipients.

use std::collections::{BTreeMap, BTreeSet};

use zeroize::Zeroizing;

use crate::binding::Binding;
use crate::entry::SealedEntry;
use crate::header::Header;
use crate::key::Recipient;
use crate::key_id::KeyId;
use crate::limits::{MAX_ENTRIES, MAX_RECIPIENTS, MAX_VALUES_BYTES};
use crate::names::{EntryKey, Label};
use crate::object::EnvelopeText;
use crate::place::{Place, Scope};
use crate::random::{self, NoRandomness};
use crate::schedule::{Commitment, DataKey, Derived};
use crate::sealed_at::SealedAt;
use crate::stack::clean_after;
use crate::template::{self, Template};
use crate::text::{base32, base64url};
use crate::token::{self, AloneEnvelope};
use crate::wrap::{self, WrapError};

/// A value to be sealed. Wiped when dropped; can be neither printed, logged, serialised nor cloned.
///
/// ```compile_fail,E0277
/// let value = sealing::Plaintext::new(zeroize::Zeroizing::new(vec![1]));
/// println!("{value:?}");
/// ```
pub struct Plaintext(Zeroizing<Vec<u8>>);

impl Plaintext {
    /// Takes the value. A buffer that grew has left copies behind: read into one of the final size.
    pub fn new(value: Zeroizing<Vec<u8>>) -> Self {
        Self(value)
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its bytes. Copy them to nothing that is not wiped.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

/// One entry to be sealed.
pub struct NewEntry {
    /// Its key in the Secret.
    pub key: EntryKey,
    /// Its value.
    pub value: Plaintext,
    /// Whether `template.data` may use it; sealed in.
    pub templatable: bool,
}

/// What all entries of one sealing run share.
#[derive(Clone, Copy, Debug)]
pub struct SealingRun<'a> {
    /// Where the values belong.
    pub place: &'a Place,
    /// How narrowly they are bound to it.
    pub scope: Scope,
    /// The text of `template.data` when it is to be bound too.
    pub bound_template: Option<&'a BTreeMap<String, String>>,
    /// The time to seal in.
    pub sealed_at: SealedAt,
    /// Who can open it: 1 to 64, each key once.
    pub recipients: &'a [(Label, Recipient)],
    /// Whether classical (X25519) recipients are allowed.
    pub allow_classical: bool,
}

/// What a run made: an envelope and the tokens that share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedRun {
    /// The envelope's id: 8 random characters. An object that has it already (one in 10^12) needs another run.
    pub envelope_id: String,
    /// The envelope.
    pub envelope: EnvelopeText,
    /// The tokens by entry key.
    pub tokens: BTreeMap<String, String>,
}

/// Why nothing was sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// A classical recipient without permission.
    #[error(
        "recipient {0} has a classical key (age1…), which a quantum computer will break; use a hybrid key (age1pq1…), or give --allow-classical"
    )]
    Classical(String),
    /// Two entries of one run have the same key.
    #[error("entry {0} is given twice")]
    EntryTwice(EntryKey),
    /// Classical and hybrid recipients without permission.
    #[error(
        "recipient {0} has a classical key (age1…) and others have hybrid ones (age1pq1…): the envelope would be as weak as the classical one; leave it out, or give --allow-classical"
    )]
    MixedSuites(String),
    /// A scope that needs a name, without one.
    #[error("scope strict needs the name of the Secret; name it, or use scope namespace")]
    NameMissing,
    /// A scope that needs a namespace, without one.
    #[error("scope {0} needs a namespace; name it with -n, or use scope cluster")]
    NamespaceMissing(Scope),
    /// No recipients.
    #[error(
        "there is nobody to seal to; give a recipient with -r FILE or -r age1…, or a cluster with --cluster"
    )]
    NoRecipients,
    /// The opened object has no such entry in a token that stands alone.
    #[error("there is no entry {0}, or it shares an envelope")]
    NotAlone(String),
    /// No entries.
    #[error("there is nothing to seal")]
    NothingToSeal,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Random,
    /// One key twice among the recipients.
    #[error("recipient {0} is given twice: it is the key of {1}")]
    RecipientTwice(String, String),
    /// The template to be bound is not one.
    #[error("{0}")]
    Template(String),
    /// More entries than one object can hold.
    #[error("{0} entries, at most {MAX_ENTRIES} are allowed")]
    TooManyEntries(usize),
    /// More recipients than one envelope can hold.
    #[error("{0} recipients, at most {MAX_RECIPIENTS} are allowed")]
    TooManyRecipients(usize),
    /// The opened object has no such envelope in use.
    #[error("no entry uses an envelope {0}")]
    UnknownEnvelope(String),
    /// A recipient's key could not be used.
    #[error("recipient {0}: its key cannot be sealed to; copy it again from where it was made")]
    UnusableRecipient(String),
    /// The values are larger than a Secret can be.
    #[error("the values have {0} bytes together; a Secret holds {MAX_VALUES_BYTES}")]
    ValuesTooLarge(usize),
}

impl From<NoRandomness> for SealError {
    fn from(_: NoRandomness) -> Self {
        Self::Random
    }
}

/// Seals entries into one envelope: one data key, wrapped once per recipient. Needs public keys only.
pub fn seal(run: &SealingRun<'_>, entries: Vec<NewEntry>) -> Result<SealedRun, SealError> {
    check_entries(&entries)?;
    clean_after(|| seal_shared(run, entries))
}

fn seal_shared(run: &SealingRun<'_>, entries: Vec<NewEntry>) -> Result<SealedRun, SealError> {
    let started = Started::new(run)?;
    let recipients = wrap_to(
        run.recipients,
        run.allow_classical,
        &started.header,
        &started.derived.commitment,
        &started.data_key,
    )?;

    let mut id = [0; 5];
    random::fill(&mut id)?;
    let envelope_id = base32(&id);
    let mut tokens = BTreeMap::new();
    for entry in entries {
        let sealed = started.seal(&entry)?;
        tokens.insert(
            entry.key.as_str().to_owned(),
            token::shared(&envelope_id, &sealed),
        );
    }
    let envelope = EnvelopeText {
        binding: started.binding.to_string(),
        sealed_at: run.sealed_at.to_string(),
        template_bound: started.template.is_some(),
        commitment: base64url(&started.derived.commitment.0),
        recipients,
    };
    Ok(SealedRun {
        envelope_id,
        envelope,
        tokens,
    })
}

/// Seals one entry into a token that stands alone: `wx1:self:…`.
pub fn seal_self(run: &SealingRun<'_>, entry: NewEntry) -> Result<String, SealError> {
    check_entries(std::slice::from_ref(&entry))?;
    clean_after(|| seal_alone(run, entry))
}

fn seal_alone(run: &SealingRun<'_>, entry: NewEntry) -> Result<String, SealError> {
    let started = Started::new(run)?;
    let wraps = wraps_to(
        run.recipients,
        run.allow_classical,
        &started.header,
        &started.derived.commitment,
        &started.data_key,
    )?;
    let sealed = started.seal(&entry)?;
    drop(entry);
    let envelope = AloneEnvelope {
        binding: started.binding,
        template: started.template,
        sealed_at: run.sealed_at,
        commitment: started.derived.commitment,
        wraps,
    };
    Ok(token::alone(&envelope, &sealed))
}

/// A run with its fresh data key. Made inside one function call and gone after it: nothing can seal
/// to the same data key later.
struct Started {
    binding: Binding,
    template: Option<[u8; 32]>,
    header: Header,
    data_key: DataKey,
    derived: Derived,
}

impl Started {
    fn new(run: &SealingRun<'_>) -> Result<Self, SealError> {
        if run.scope != Scope::Cluster && run.place.namespace().is_empty() {
            return Err(SealError::NamespaceMissing(run.scope));
        }
        if run.scope == Scope::Strict && run.place.name().is_empty() {
            return Err(SealError::NameMissing);
        }
        let template = run.bound_template.map(template_digest).transpose()?;
        let binding = Binding::of(run.scope, run.place);
        let header = Header::new(&binding, template.as_ref(), run.sealed_at);
        let data_key = DataKey::random()?;
        let derived = data_key.derive(&header);
        Ok(Self {
            binding,
            template,
            header,
            data_key,
            derived,
        })
    }

    fn seal(&self, entry: &NewEntry) -> Result<SealedEntry, SealError> {
        Ok(SealedEntry::seal(
            &self.derived,
            &self.header,
            &entry.key,
            entry.templatable,
            entry.value.expose(),
        )?)
    }
}

/// Wraps a data key to recipients: `label.short-key-id` to wrap.
pub(crate) fn wrap_to(
    recipients: &[(Label, Recipient)],
    allow_classical: bool,
    header: &Header,
    commitment: &Commitment,
    data_key: &DataKey,
) -> Result<BTreeMap<String, String>, SealError> {
    check_recipients(recipients, allow_classical)?;
    recipients
        .iter()
        .map(|named| {
            Ok((
                name(named),
                base64url(&wrap_one(named, header, commitment, data_key)?),
            ))
        })
        .collect()
}

/// Wraps a data key to recipients: key id and wrap, sorted.
pub(crate) fn wraps_to(
    recipients: &[(Label, Recipient)],
    allow_classical: bool,
    header: &Header,
    commitment: &Commitment,
    data_key: &DataKey,
) -> Result<Vec<(KeyId, Vec<u8>)>, SealError> {
    check_recipients(recipients, allow_classical)?;
    let mut wraps = recipients
        .iter()
        .map(|named| {
            Ok((
                *named.1.key_id(),
                wrap_one(named, header, commitment, data_key)?,
            ))
        })
        .collect::<Result<Vec<_>, SealError>>()?;
    wraps.sort();
    Ok(wraps)
}

fn wrap_one(
    named: &(Label, Recipient),
    header: &Header,
    commitment: &Commitment,
    data_key: &DataKey,
) -> Result<Vec<u8>, SealError> {
    wrap::wrap(&named.1, header, commitment, data_key).map_err(|error| match error {
        WrapError::Random => SealError::Random,
        WrapError::Recipient => SealError::UnusableRecipient(name(named)),
    })
}

fn name((label, recipient): &(Label, Recipient)) -> String {
    format!("{label}.{}", recipient.key_id().short())
}

fn check_recipients(
    recipients: &[(Label, Recipient)],
    allow_classical: bool,
) -> Result<(), SealError> {
    if recipients.is_empty() {
        return Err(SealError::NoRecipients);
    }
    if recipients.len() > MAX_RECIPIENTS {
        return Err(SealError::TooManyRecipients(recipients.len()));
    }
    let mut seen = BTreeMap::new();
    for named in recipients {
        // By short id: an envelope can name it once only.
        if let Some(first) = seen.insert(named.1.key_id().short(), named) {
            return Err(SealError::RecipientTwice(name(named), name(first)));
        }
    }
    let classical = recipients
        .iter()
        .find(|(_, recipient)| !recipient.suite().is_hybrid());
    let hybrid = recipients
        .iter()
        .any(|(_, recipient)| recipient.suite().is_hybrid());
    match classical {
        Some(named) if !allow_classical && hybrid => Err(SealError::MixedSuites(name(named))),
        Some(named) if !allow_classical => Err(SealError::Classical(name(named))),
        _ => Ok(()),
    }
}

fn check_entries(entries: &[NewEntry]) -> Result<(), SealError> {
    if entries.is_empty() {
        return Err(SealError::NothingToSeal);
    }
    if entries.len() > MAX_ENTRIES {
        return Err(SealError::TooManyEntries(entries.len()));
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = entries.iter().find(|entry| !seen.insert(&entry.key)) {
        return Err(SealError::EntryTwice(twice.key.clone()));
    }
    let bytes = entries
        .iter()
        .fold(0_usize, |sum, entry| sum.saturating_add(entry.value.len()));
    if bytes > MAX_VALUES_BYTES {
        Err(SealError::ValuesTooLarge(bytes))
    } else {
        Ok(())
    }
}

fn template_digest(texts: &BTreeMap<String, String>) -> Result<[u8; 32], SealError> {
    Template::parse(texts).map_err(|errors| SealError::Template(errors[0].to_string()))?;
    if texts.len() > MAX_ENTRIES {
        return Err(SealError::Template(format!(
            "{} keys in template.data, at most {MAX_ENTRIES} are allowed",
            texts.len()
        )));
    }
    template::digest(texts)
        .ok_or_else(|| SealError::Template("template.data is too long".to_owned()))
}
