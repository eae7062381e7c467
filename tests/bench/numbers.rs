//! Numbers and how they are printed.

use std::time::Duration;

/// The value below which `share` (0 to 1) of the values lie; the nearest rank. Zero of nothing.
pub fn quantile(values: &[Duration], share: f64) -> Duration {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let count = f64::from(u32::try_from(sorted.len()).unwrap_or(u32::MAX));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank is small and positive"
    )]
    let rank = (share * count).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

/// The middle value.
pub fn median(values: &[Duration]) -> Duration {
    quantile(values, 0.5)
}

/// How many a second.
pub fn rate(count: usize, time: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / time.as_secs_f64()
}

/// Prints one line.
#[expect(clippy::print_stdout, reason = "measurements are printed")]
pub fn say(text: &str) {
    println!("{text}");
}

/// Prints a goal and whether it was reached; returns that.
pub fn goal(text: &str, met: bool) -> bool {
    say(&format!(
        "{} {text}",
        if met { "met:   " } else { "MISSED:" }
    ));
    met
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let values: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(median(&values), Duration::from_millis(100));
        assert_eq!(quantile(&values, 0.99), Duration::from_millis(198));
        assert_eq!(quantile(&values, 1.0), Duration::from_millis(200));
        assert_eq!(quantile(&values[..1], 0.01), Duration::from_millis(200));
        assert_eq!(median(&[]), Duration::ZERO);
    }
}
