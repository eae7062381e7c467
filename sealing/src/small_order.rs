//! Points of small order on Curve25519 and its twist.

use x25519_dalek::x25519;

/// Any scalar will do: clamping makes it a multiple of 8, which takes every point of small order to
/// zero, and no other point (the next multiples of both prime orders are beyond 2^255).
const SCALAR: [u8; 32] = [0x5a; 32];

/// Whether an X25519 share gives zero with every private key (RFC 7748, 6.1). Independent of any
/// key, so refusing such a share tells nothing about ours.
///
/// HPKE wants it refused for DHKEM(X25519); for X-Wing the drafts do not say, Go and age refuse it,
/// and `hpke` 0.15 does not.
pub(crate) fn is_small_order(share: &[u8; 32]) -> bool {
    x25519(SCALAR, *share) == [0; 32]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All encodings of the points of small order, as in libsodium's list and RFC 7748's text.
    const SMALL: [&str; 7] = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];

    #[test]
    fn every_share_of_small_order_is_found() {
        for text in SMALL {
            let mut share = [0; 32];
            for (byte, pair) in share.iter_mut().zip(text.as_bytes().chunks(2)) {
                *byte = u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
            }
            assert!(is_small_order(&share), "{text}");
            share[31] |= 0x80; // the unused top bit
            assert!(is_small_order(&share), "{text} with its top bit");
            share[15] ^= 4;
            assert!(!is_small_order(&share), "{text}, one bit away");
        }
    }

    #[test]
    fn the_base_point_is_not_of_small_order() {
        let mut base = [0; 32];
        base[0] = 9;
        assert!(!is_small_order(&base));
    }
}
