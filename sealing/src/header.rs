//! The binding header H: the bytes that say where a value belongs. Never stored; both sides build
//! it, the opening side from the object's own place.

use crate::binding::Binding;
use crate::sealed_at::SealedAt;

const VERSION: &[u8; 4] = b"WXW1";
/// HKDF-SHA256, XChaCha20-Poly1305, padding 1.
const DEM: u8 = 0x01;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header(Vec<u8>);

impl Header {
    /// `template` is the digest of the template's text when that is bound.
    pub(crate) fn new(binding: &Binding, template: Option<&[u8; 32]>, sealed_at: SealedAt) -> Self {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(VERSION);
        bytes.push(DEM);
        bytes.push(binding.scope.number());
        lp16(&mut bytes, binding.namespace.as_bytes());
        lp16(&mut bytes, binding.name.as_bytes());
        lp16(&mut bytes, binding.secret_type.as_bytes());
        lp16(&mut bytes, template.map_or(&[], <[u8; 32]>::as_slice));
        bytes.extend_from_slice(&sealed_at.unix().to_be_bytes());
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Appends the two-byte length of `field` and `field`.
///
/// Everything that is written with it has passed a grammar that keeps it far below 64 KiB.
pub(crate) fn lp16(bytes: &mut Vec<u8>, field: &[u8]) {
    #[expect(
        clippy::expect_used,
        reason = "names are at most 253 bytes, digests 32, wraps 1,169, headers below 1 KiB"
    )]
    let length = u16::try_from(field.len()).expect("a field below 64 KiB");
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(field);
}
