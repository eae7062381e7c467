//! Opened values with their authenticated context.
//!
//! What comes out of here cannot go back into sealing: [`OpenedValue`] is no
//! [`Plaintext`](crate::Plaintext), and [`Opened::rewrap`] reuses header and commitment, so neither
//! scope nor place nor content can change.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::entry::{SealedEntry, Value};
use crate::header::Header;
use crate::key::Recipient;
use crate::key_id::KeyId;
use crate::names::Label;
use crate::object::run::Origin;
use crate::place::Place;
use crate::refusal::Refusals;
use crate::schedule::{DataKey, Derived};
use crate::seal::{SealError, wrap_to, wraps_to};
use crate::stack::clean_after;
use crate::suite::Suite;
use crate::template::Template;
use crate::token::{self, AloneEnvelope};

/// An object whose every value was opened, with the place that was authenticated on the way. Wiped
/// when dropped.
pub struct Opened {
    place: Place,
    template: Template,
    runs: Vec<OpenedRun>,
    /// Sorted by key.
    values: Vec<OpenedValue>,
}

/// A run with its data key.
pub(crate) struct OpenedRun {
    pub(crate) origin: Origin,
    pub(crate) header: Header,
    pub(crate) data_key: DataKey,
    pub(crate) derived: Derived,
    /// The key that opened it, and its suite.
    pub(crate) key_id: KeyId,
    pub(crate) suite: Suite,
    /// Envelope and entry of a token that stands alone.
    pub(crate) alone: Option<(AloneEnvelope, SealedEntry)>,
}

impl Opened {
    pub(crate) fn new(
        place: Place,
        template: Template,
        runs: Vec<OpenedRun>,
        values: Vec<OpenedValue>,
    ) -> Self {
        Self {
            place,
            template,
            runs,
            values,
        }
    }

    /// The entries, sorted by key, before the template.
    pub fn values(&self) -> impl Iterator<Item = &OpenedValue> {
        self.values.iter()
    }

    /// One entry.
    pub fn get(&self, key: &str) -> Option<&OpenedValue> {
        let index = self
            .values
            .binary_search_by(|value| value.key.as_str().cmp(key))
            .ok()?;
        self.values.get(index)
    }

    /// The place that the values were opened for: the object's own.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// How many entries each key opened.
    pub fn keys_used(&self) -> BTreeMap<KeyId, usize> {
        let mut used = BTreeMap::new();
        for value in &self.values {
            *used.entry(value.key_id).or_default() += 1;
        }
        used
    }

    /// The data of the Secret: the entries and what `template.data` makes of them, sorted by key.
    ///
    /// Everything that can be wrong with a template was refused by
    /// [`Sealed::parse`](crate::Sealed::parse), so this does not fail today.
    pub fn data(&self) -> Result<Vec<(String, DataValue)>, Refusals> {
        Ok(clean_after(|| self.rendered()))
    }

    fn rendered(&self) -> Vec<(String, DataValue)> {
        let mut data: Vec<(String, DataValue)> = self
            .values
            .iter()
            .map(|value| {
                (
                    value.key.clone(),
                    DataValue(Zeroizing::new(value.expose().to_vec())),
                )
            })
            .collect();
        let files = self
            .template
            .render(|key| self.get(key).map_or(&[], OpenedValue::expose));
        data.extend(
            files
                .into_iter()
                .map(|(key, file)| (key.to_owned(), DataValue(file))),
        );
        data.sort_by(|(one, _), (other, _)| one.cmp(other));
        data
    }

    /// Wraps the data key of an envelope to other recipients, with the same header and commitment:
    /// the only re-encryption there is. Returns `label.short-key-id` to wrap, for
    /// `spec.envelopes.<id>.recipients`.
    ///
    /// Fails with [`SealError::UnknownEnvelope`] when no entry of the object uses the envelope, and
    /// like sealing when the recipients will not do. A classical recipient is refused unless the
    /// envelope was opened with a classical key: re-wrapping never makes an envelope weaker.
    pub fn rewrap(
        &self,
        envelope: &str,
        to: &[(Label, Recipient)],
    ) -> Result<BTreeMap<String, String>, SealError> {
        let run = self
            .runs
            .iter()
            .find(|run| matches!(&run.origin, Origin::Envelope(id) if id == envelope))
            .ok_or_else(|| SealError::UnknownEnvelope(envelope.to_owned()))?;
        clean_after(|| {
            wrap_to(
                to,
                !run.suite.is_hybrid(),
                &run.header,
                &run.derived.commitment,
                &run.data_key,
            )
        })
    }
}

impl Opened {
    /// Wraps the data key of a token that stands alone to other recipients and returns the whole new
    /// token: place, time, commitment and entry are the same bytes as before.
    ///
    /// Fails with [`SealError::NotAlone`] when the entry is not there or shares an envelope, and
    /// otherwise like [`Opened::rewrap`].
    pub fn rewrap_alone(&self, key: &str, to: &[(Label, Recipient)]) -> Result<String, SealError> {
        let run = self
            .runs
            .iter()
            .find(|run| matches!(&run.origin, Origin::Entry(entry) if entry == key));
        let Some((run, (envelope, entry))) = run.and_then(|run| Some((run, run.alone.as_ref()?)))
        else {
            return Err(SealError::NotAlone(key.to_owned()));
        };
        let wraps = clean_after(|| {
            wraps_to(
                to,
                !run.suite.is_hybrid(),
                &run.header,
                &run.derived.commitment,
                &run.data_key,
            )
        })?;
        Ok(token::alone(
            &AloneEnvelope {
                wraps,
                ..envelope.clone()
            },
            entry,
        ))
    }
}

/// One opened entry. Wiped when dropped; can be neither printed, logged, serialised nor cloned, and
/// there is no way to seal it again:
///
/// ```compile_fail,E0277
/// fn elsewhere(value: sealing::OpenedValue) -> sealing::Plaintext {
///     value.into()
/// }
/// ```
///
/// ```compile_fail,E0277
/// fn log(value: &sealing::OpenedValue) {
///     println!("{value:?}");
/// }
/// ```
pub struct OpenedValue {
    key: String,
    value: Value,
    templatable: bool,
    key_id: KeyId,
}

impl OpenedValue {
    pub(crate) fn new(key: &str, value: Value, templatable: bool, key_id: KeyId) -> Self {
        Self {
            key: key.to_owned(),
            value,
            templatable,
            key_id,
        }
    }

    /// Its key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Its bytes. Copy them to nothing that is not wiped.
    pub fn expose(&self) -> &[u8] {
        self.value.expose()
    }

    /// Whether templates may use it.
    pub fn templatable(&self) -> bool {
        self.templatable
    }

    /// The key that opened it.
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }
}

/// One value of a Secret's data: an entry, or what the template made. Wiped when dropped.
pub struct DataValue(Zeroizing<Vec<u8>>);

impl DataValue {
    /// Its bytes. Copy them to nothing that is not wiped.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}
