//! The object.
use std::collections::BTreeMap;
use zeroize::Zeroizing;
use crate::{Identity, KeyId, Label, Place, Recipient, Refusals, Scope, SealError, SealedAt};

/// The text of a SealedSecret, no grammar checked yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealedText {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `spec.template.type`.
    pub secret_type: Option<String>,
    /// `spec.template.data`.
    pub template_data: BTreeMap<String, String>,
    /// `spec.envelopes`.
    pub envelopes: BTreeMap<String, EnvelopeText>,
    /// `spec.encryptedData.*.value`.
    pub entries: BTreeMap<String, String>,
}
/// The text of one envelope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvelopeText {
    /// `binding`.
    pub binding: String,
    /// `sealedAt`.
    pub sealed_at: String,
    /// `templateBound`.
    pub template_bound: bool,
    /// `commitment`.
    pub commitment: String,
    /// `recipients`.
    pub recipients: BTreeMap<String, String>,
}
/// A SealedSecret whose grammar stands.
#[derive(Clone, Debug)]
pub struct Sealed(());
impl Sealed {
    /// Checks limits, grammar and the template.
    pub fn parse(_text: &SealedText) -> Result<Self, Refusals> { unimplemented!() }
    /// Compares every claim with the object's own place.
    pub fn check_place(&self) -> Result<(), Refusals> { unimplemented!() }
    /// Opens with keys, newest first.
    pub fn open(&self, _keys: &[&Identity]) -> Result<Opened, Refusals> { unimplemented!() }
    /// What can be told without a key.
    pub fn runs(&self) -> Vec<RunInfo> { unimplemented!() }
}
/// One envelope or self-contained token, as can be told without a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunInfo {
    /// The envelope's id.
    pub id: Option<String>,
    /// Claimed scope.
    pub scope: Scope,
    /// Claimed namespace.
    pub namespace: String,
    /// Claimed name.
    pub name: String,
    /// Claimed type.
    pub secret_type: String,
    /// Claimed time.
    pub sealed_at: SealedAt,
    /// Whether the template's text is bound.
    pub template_bound: bool,
    /// Label, short key id, key id.
    pub recipients: Vec<(Option<Label>, String, Option<KeyId>)>,
    /// Entry keys that use it.
    pub entries: Vec<String>,
    /// Those of them that templates may use.
    pub templatable: Vec<String>,
    /// The commitment's text.
    pub commitment: String,
}
/// An opened object with its authenticated context.
pub struct Opened { place: Place, values: Vec<OpenedValue> }
impl Opened {
    /// The entries, sorted by key.
    pub fn values(&self) -> impl Iterator<Item = &OpenedValue> { self.values.iter() }
    /// One entry.
    pub fn get(&self, key: &str) -> Option<&OpenedValue> { self.values.iter().find(|v| v.key == key) }
    /// Where it was sealed for.
    pub fn place(&self) -> &Place { &self.place }
    /// Entries opened per key.
    pub fn keys_used(&self) -> BTreeMap<KeyId, usize> { unimplemented!() }
    /// The data of the Secret: entries and rendered template, sorted by key.
    pub fn data(&self) -> Result<Vec<(String, DataValue)>, Refusals> { unimplemented!() }
    /// Wraps the data key of an envelope to others.
    pub fn rewrap(&self, _envelope: &str, _to: &[(Label, Recipient)]) -> Result<BTreeMap<String, String>, SealError> { unimplemented!() }
}
/// One opened entry.
pub struct OpenedValue { key: String, value: Zeroizing<Vec<u8>>, templatable: bool, key_id: KeyId }
impl OpenedValue {
    /// Its key.
    pub fn key(&self) -> &str { &self.key }
    /// Its bytes.
    pub fn expose(&self) -> &[u8] { &self.value }
    /// Whether templates may use it.
    pub fn templatable(&self) -> bool { self.templatable }
    /// The key that opened it.
    pub fn key_id(&self) -> &KeyId { &self.key_id }
}
/// One value of the Secret's data.
pub struct DataValue(Zeroizing<Vec<u8>>);
impl DataValue {
    /// Its bytes.
    pub fn expose(&self) -> &[u8] { &self.0 }
}
