//! When a run was sealed: whole seconds, UTC, one spelling.

use std::fmt;

use crate::text::shown;

/// 9999-12-31T23:59:59Z.
const LAST: u64 = 253_402_300_799;
const DAY: u64 = 86_400;

/// Not a time that the format knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a time of this format: YYYY-MM-DDTHH:MM:SSZ, from 1970 to 9999, in UTC and whole seconds"
)]
pub struct TimeError(String);

/// Unix seconds from 1970-01-01T00:00:00Z to 9999-12-31T23:59:59Z. Printed `YYYY-MM-DDTHH:MM:SSZ`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SealedAt(u64);

impl SealedAt {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// From Unix seconds; an error beyond the year 9999.
    pub fn from_unix(seconds: u64) -> Result<Self, TimeError> {
        if seconds <= LAST {
            Ok(Self(seconds))
        } else {
            Err(TimeError(seconds.to_string()))
        }
    }

    /// Unix seconds.
    pub fn unix(self) -> u64 {
        self.0
    }

    /// From `YYYY-MM-DDTHH:MM:SSZ`: no offset, no fraction, no leap second, only days that exist.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let refused = || TimeError(shown(text));
        let shape = text.len() == 20
            && text
                .bytes()
                .zip(b"0000-00-00T00:00:00Z")
                .all(|(byte, &shape)| match shape {
                    b'0' => byte.is_ascii_digit(),
                    mark => byte == mark,
                });
        if !shape {
            return Err(refused());
        }
        let number = |from: usize, to: usize| {
            text[from..to]
                .bytes()
                .fold(0, |n, b| n * 10 + u64::from(b - b'0'))
        };
        let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
        let (hour, minute, second) = (number(11, 13), number(14, 16), number(17, 19));
        if year < 1970
            || !(1..=12).contains(&month)
            || day == 0
            || hour > 23
            || minute > 59
            || second > 59
        {
            return Err(refused());
        }
        let time =
            Self(days_since_1970(year, month, day) * DAY + hour * 3600 + minute * 60 + second);
        // A day that its month does not have becomes another date, which prints differently.
        if time.to_string() == text {
            Ok(time)
        } else {
            Err(refused())
        }
    }
}

impl fmt::Display for SealedAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.0 / DAY);
        let (hour, minute, second) = (self.0 % DAY / 3600, self.0 % 3600 / 60, self.0 % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, counted in years that start in March so
/// that the leap day comes last; `day` is at least 1 (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The date of a day; the inverse of [`days_since_1970`].
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (month, day) = (
        (shifted + 2) % 12 + 1,
        day_of_year - (153 * shifted + 2) / 5 + 1,
    );
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_prints_and_parses() {
        let mut before = (1969, 12, 31);
        for day in 0..=LAST / DAY {
            let (y, m, d) = date(day);
            let follows = (y, m, d) == (before.0, before.1, before.2 + 1)
                || (y, m, d) == (before.0, before.1 + 1, 1)
                || (y, m, d) == (before.0 + 1, 1, 1);
            assert!(follows, "{before:?} {y} {m} {d}");
            assert_eq!(days_since_1970(y, m, d), day);
            before = (y, m, d);
        }
        assert_eq!(before, (9999, 12, 31));
    }

    #[test]
    fn known_times() {
        for (text, unix) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2026-11-21T19:00:00Z", 1_795_287_600),
            ("9999-12-31T23:59:59Z", LAST),
        ] {
            assert_eq!(SealedAt::parse(text).map(SealedAt::unix), Ok(unix));
            assert_eq!(SealedAt(unix).to_string(), text);
        }
        assert!(SealedAt::from_unix(LAST + 1).is_err());
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in [
            "",
            "1969-12-31T23:59:59Z",
            "10000-01-01T00:00:00Z",
            "2026-11-21T19:00:00+00:00",
            "2026-11-21T19:00:00.0Z",
            "2026-11-21t19:00:00Z",
            "2026-11-21T19:00:00z",
            "2026-11-21 19:00:00Z",
            "2026-11-21T19:00Z",
            "2026-02-29T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T23:60:00Z",
            "2016-12-31T23:59:60Z",
            " 2026-11-21T19:00:00Z",
            "2026-11-21T19:00:00Z\n",
            "2026-1-021T19:00:00Z",
            "２026-11-21T19:00Z",
            "1970-01-00T00:00:00Z",
        ] {
            assert!(SealedAt::parse(text).is_err(), "{text:?}");
        }
    }
}
