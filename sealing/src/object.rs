//! The object: a SealedSecret from its text to its opened values.
//!
//! [`SealedText`] (as it lies in YAML) → [`Sealed::parse`] (limits, grammar, template) →
//! [`Sealed::check_place`] → [`Sealed::open`] → [`Opened`] (values with their authenticated context).

mod open;
mod opened;
mod parse;
mod run;

use std::collections::BTreeMap;

pub use opened::{DataValue, Opened, OpenedValue};
pub use run::RunInfo;

use crate::entry::SealedEntry;
use crate::object::run::Run;
use crate::place::Place;
use crate::template::Template;

/// The text of a SealedSecret as it lies in YAML, no grammar checked yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealedText {
    /// `metadata.namespace`; empty when there is none.
    pub namespace: String,
    /// `metadata.name`; empty when there is none.
    pub name: String,
    /// `spec.template.type`.
    pub secret_type: Option<String>,
    /// `spec.template.data`.
    pub template_data: BTreeMap<String, String>,
    /// `spec.envelopes`.
    pub envelopes: BTreeMap<String, EnvelopeText>,
    /// `spec.encryptedData`: the `value` of each entry.
    pub entries: BTreeMap<String, String>,
}

/// The text of one envelope as it lies in YAML.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvelopeText {
    /// `binding`: the claimed scope and place.
    pub binding: String,
    /// `sealedAt`.
    pub sealed_at: String,
    /// `templateBound`; false when absent.
    pub template_bound: bool,
    /// `commitment`: 43 characters.
    pub commitment: String,
    /// `recipients`: `label.short-key-id` to wrap.
    pub recipients: BTreeMap<String, String>,
}

/// A SealedSecret whose counts, grammar and template stand. Holds nothing secret.
#[derive(Clone, Debug)]
pub struct Sealed {
    place: Place,
    template: Template,
    /// The digest of the object's own template text.
    template_digest: [u8; 32],
    /// Envelopes, sorted by id, then tokens that stand alone, sorted by entry key.
    runs: Vec<Run>,
    /// Sorted by key.
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    key: String,
    /// Index into the object's runs.
    run: usize,
    sealed: SealedEntry,
}

impl Sealed {
    /// Every envelope and every token that stands alone, as can be told without a key.
    pub fn runs(&self) -> Vec<RunInfo> {
        self.runs
            .iter()
            .enumerate()
            .map(|(i, run)| {
                let entries = self.entries.iter().filter(|entry| entry.run == i);
                run.info(entries.map(|entry| (entry.key.as_str(), entry.sealed.templatable())))
            })
            .collect()
    }

    /// The object's own place.
    pub fn place(&self) -> &Place {
        &self.place
    }
}
