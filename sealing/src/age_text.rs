//! Keys as text: age's bech32, which knows no limit of length.

use bech32::Hrp;
use bech32::primitives::checksum::Checksum;
use bech32::primitives::decode::CheckedHrpstring;
use zeroize::Zeroizing;

/// BIP 173's checksum without its limit of 90 characters, as the age specification has it: a hybrid
/// public key takes 1,959.
enum Age {}

impl Checksum for Age {
    type MidstateRepr = u32;
    const CODE_LENGTH: usize = usize::MAX;
    const CHECKSUM_LENGTH: usize = <bech32::Bech32 as Checksum>::CHECKSUM_LENGTH;
    const GENERATOR_SH: [u32; 5] = <bech32::Bech32 as Checksum>::GENERATOR_SH;
    const TARGET_RESIDUE: u32 = <bech32::Bech32 as Checksum>::TARGET_RESIDUE;
}

/// The text of a public key, lower case.
pub(crate) fn lower(prefix: &str, bytes: &[u8]) -> String {
    let mut text = String::new();
    write(prefix, bytes, &mut text);
    text
}

/// The text of a private key, upper case, in a buffer that never grows and so leaves no copies.
pub(crate) fn upper(prefix: &str, bytes: &[u8]) -> Zeroizing<String> {
    let length = prefix.len() + 1 + bytes.len().div_ceil(5) * 8 + Age::CHECKSUM_LENGTH;
    let mut text = Zeroizing::new(String::with_capacity(length));
    write(prefix, bytes, &mut text);
    text.make_ascii_uppercase();
    text
}

/// The bytes of a key's text when its prefix is `prefix` and it is the one text of these bytes; the
/// case has to be right too.
pub(crate) fn decode(text: &str, prefix: &str) -> Option<Zeroizing<Vec<u8>>> {
    let checked = CheckedHrpstring::new::<Age>(text).ok()?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() * 5 / 8 + 1));
    bytes.extend(checked.byte_iter());
    // The decoder takes either case and ignores spare bits; the comparison does not.
    let canonical = if prefix.bytes().any(|b| b.is_ascii_uppercase()) {
        upper(prefix, &bytes)
    } else {
        Zeroizing::new(lower(prefix, &bytes))
    };
    (*canonical == *text).then_some(bytes)
}

fn write(prefix: &str, bytes: &[u8], text: &mut String) {
    #[expect(
        clippy::expect_used,
        reason = "the prefixes are constants of this crate, a String takes everything and the code has no limit of length"
    )]
    bech32::encode_lower_to_fmt::<Age, _>(text, Hrp::parse(prefix).expect("a valid prefix"), bytes)
        .expect("a string takes any text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_consistent() {
        Age::sanity_check();
    }

    #[test]
    fn spare_bits_and_case_are_strict() {
        let text = upper("AGE-SECRET-KEY-", &[7; 32]);
        assert_eq!(
            decode(&text, "AGE-SECRET-KEY-").map(|b| b.to_vec()),
            Some(vec![7; 32])
        );
        assert!(decode(&text.to_lowercase(), "AGE-SECRET-KEY-").is_none());
        assert!(decode(&text, "AGE-SECRET-KEY-PQ-").is_none());
        assert!(decode(&text, "age").is_none());
    }
}
