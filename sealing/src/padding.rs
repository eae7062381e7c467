//! How long a padded value is: its length in Git is public for ever.

/// The shortest padded length: it hides the length of anything up to 60 bytes.
pub(crate) const MINIMUM: usize = 64;
/// The length word before the value.
pub(crate) const LENGTH_WORD: usize = 4;

/// The padded length of a value of `length` bytes: `max(64, Padmé(4 + length))`. Padmé (Nikitin and
/// others, "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", 2019)
/// keeps as many leading bits of the length as its own exponent has, which costs at most 12 %.
pub(crate) fn padded_len(length: usize) -> usize {
    padme(LENGTH_WORD + length).max(MINIMUM)
}

fn padme(length: usize) -> usize {
    let exponent = length.ilog2();
    let kept = exponent.checked_ilog2().map_or(0, |bits| bits + 1);
    let mask = (1_usize << (exponent - kept.min(exponent))) - 1;
    (length + mask) & !mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_up_to_60_bytes_look_alike() {
        assert_eq!(padded_len(0), 64);
        assert_eq!(padded_len(60), 64);
        assert_eq!(padded_len(61), 72);
    }

    #[test]
    fn padding_is_monotonic_idempotent_and_costs_at_most_12_percent() {
        let mut last = 0;
        for length in 0..70_000 {
            let padded = padded_len(length);
            assert!(padded >= length + LENGTH_WORD && padded >= last, "{length}");
            assert_eq!(padded_len(padded - LENGTH_WORD), padded, "{length}");
            assert!(
                length < 61 || padded * 100 <= (length + LENGTH_WORD) * 112,
                "{length}"
            );
            last = padded;
        }
    }

    #[test]
    fn the_example_of_the_paper() {
        assert_eq!(padme(9), 10);
        assert_eq!(padme(1_000_004), 1_015_808);
    }
}
