//! Wraps: the data key, sealed to one recipient with HPKE base mode (RFC 9180).

use hpke::aead::{AeadTag, ChaCha20Poly1305};
use hpke::kdf::HkdfSha256;
use hpke::{Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _, kem};

use crate::header::Header;
use crate::key::{Identity, Public, Recipient, Secret};
use crate::random::{NoRandomness, Os};
use crate::schedule::{Commitment, DataKey};
use crate::small_order::is_small_order;
use crate::suite::Suite;

const INFO: &[u8] = b"waxwing/v1/wrap";
const TAG_LEN: usize = 16;

/// Why a data key was not wrapped.
#[derive(Debug)]
pub(crate) enum WrapError {
    Random,
    /// HPKE refused the public key.
    Recipient,
}

impl From<NoRandomness> for WrapError {
    fn from(_: NoRandomness) -> Self {
        Self::Random
    }
}

/// `suite(1) || enc || ct(48)`.
pub(crate) fn wrap(
    recipient: &Recipient,
    header: &Header,
    commitment: &Commitment,
    data_key: &DataKey,
) -> Result<Vec<u8>, WrapError> {
    let context = Context::new(recipient, header, commitment);
    match recipient.public() {
        Public::XWing(key) => seal::<kem::XWing>(key, Suite::XWing, &context, data_key),
        Public::X25519(key) => {
            seal::<kem::X25519HkdfSha256>(key, Suite::X25519, &context, data_key)
        }
    }
}

/// Why a wrap for one of our keys is malformed; said before any key is used.
pub(crate) fn check(bytes: &[u8], suite: Suite) -> Result<(), String> {
    let Some(&number) = bytes.first() else {
        return Err("the wrap is empty".to_owned());
    };
    let Some(named) = Suite::from_number(number) else {
        return Err(format!(
            "the wrap is of suite {number}, which this version does not know"
        ));
    };
    if bytes.len() != named.wrap_len() {
        return Err(format!(
            "the wrap has {} bytes; suite {number} has {}",
            bytes.len(),
            named.wrap_len()
        ));
    }
    if named != suite {
        return Err(format!(
            "the wrap is of suite {number}, its key of suite {}",
            suite.number()
        ));
    }
    Ok(())
}

/// Opens a wrap that [`check`] let pass and compares the commitment that follows from the data key
/// with the claimed one. `None`, whatever was wrong.
pub(crate) fn unwrap(
    identity: &Identity,
    bytes: &[u8],
    header: &Header,
    commitment: &Commitment,
) -> Option<DataKey> {
    let context = Context::new(identity.recipient(), header, commitment);
    let data_key = match identity.secret() {
        Secret::XWing(key) => open::<kem::XWing>(key, Suite::XWing, bytes, &context),
        Secret::X25519(key) => open::<kem::X25519HkdfSha256>(key, Suite::X25519, bytes, &context),
    }?;
    data_key
        .derive(header)
        .commitment
        .matches(commitment)
        .then_some(data_key)
}

/// What a wrap is bound to.
struct Context {
    info: Vec<u8>,
    aad: Vec<u8>,
}

impl Context {
    fn new(recipient: &Recipient, header: &Header, commitment: &Commitment) -> Self {
        Self {
            info: [
                INFO,
                &recipient.suite().ids(),
                recipient.key_id().as_bytes(),
            ]
            .concat(),
            aad: [header.as_bytes(), &commitment.0].concat(),
        }
    }
}

fn seal<K: Kem>(
    key: &K::PublicKey,
    suite: Suite,
    context: &Context,
    data_key: &DataKey,
) -> Result<Vec<u8>, WrapError> {
    let mut os = Os::default();
    let mut sealed = DataKey::zero();
    sealed.as_mut().copy_from_slice(data_key.as_bytes());
    let result = hpke::single_shot_seal_inout_detached_with_rng::<ChaCha20Poly1305, HkdfSha256, K>(
        &OpModeS::Base,
        key,
        &context.info,
        sealed.as_mut().as_mut_slice().into(),
        &context.aad,
        &mut os,
    );
    os.check()?;
    let (enc, tag) = result.map_err(|_| WrapError::Recipient)?;
    Ok([
        &[suite.number()],
        enc.to_bytes().as_slice(),
        sealed.as_bytes(),
        tag.to_bytes().as_slice(),
    ]
    .concat())
}

fn open<K: Kem>(
    key: &K::PrivateKey,
    suite: Suite,
    bytes: &[u8],
    context: &Context,
) -> Option<DataKey> {
    let (enc, sealed) = bytes.get(1..)?.split_at_checked(suite.enc_len())?;
    let (sealed, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG_LEN)?)?;
    // The X25519 share comes last in both suites.
    if is_small_order(enc.last_chunk()?) {
        return None;
    }
    let mut data_key = DataKey::zero();
    if sealed.len() != data_key.as_bytes().len() {
        return None;
    }
    data_key.as_mut().copy_from_slice(sealed);
    hpke::single_shot_open_inout_detached::<ChaCha20Poly1305, HkdfSha256, K>(
        &OpModeR::Base,
        key,
        &K::EncappedKey::from_bytes(enc).ok()?,
        &context.info,
        data_key.as_mut().as_mut_slice().into(),
        &context.aad,
        &AeadTag::from_bytes(tag).ok()?,
    )
    .ok()?;
    Some(data_key)
}

#[cfg(test)]
mod tests;
