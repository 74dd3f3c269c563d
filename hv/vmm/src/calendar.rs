//! The calendar: a date to the seconds since 1970, and back.

/// The seconds since 1970-01-01 00:00 UTC of year, month, day, hour, minute and second, if they
/// are a date after that.
#[must_use]
pub fn seconds(date: [u32; 6]) -> Option<u64> {
    let [year, month, day, hour, minute, second] = date.map(u64::from);
    let sound = year >= 1970 && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !sound || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Years that begin in March put the leap day last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = |year: u64| year / 4 - year / 100 + year / 400;
    let days =
        (year * 365 + leap_days(year) + (153 * month + 2) / 5 + day - 1).checked_sub(719_468)?;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// Year, month, day, hour, minute and second of so many seconds after 1970-01-01 00:00 UTC; after the year 9999 it
/// begins again with 10 000 years less.
#[must_use]
pub fn date(seconds: u64) -> [u32; 6] {
    /// The days of 400 years, after which the calendar repeats.
    const ERA: u64 = 146_097;
    let days = (seconds / 86_400 + 719_468) % (25 * ERA);
    let (era, day) = (days / ERA, days % ERA);
    let year = (day - day / 1460 + day / 36_524 - day / (ERA - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    // As above, years begin in March.
    let (year, month) = match month {
        0..10 => (400 * era + year, month + 3),
        _ => (400 * era + year + 1, month - 9),
    };
    let (hour, minute) = (seconds / 3600 % 24, seconds / 60 % 60);
    [year, month, day, hour, minute, seconds % 60].map(|part| part as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_date() {
        for (date, want) in [
            ([1970, 1, 1, 0, 0, 0], Some(0)),
            ([2000, 2, 29, 12, 0, 0], Some(951_825_600)),
            ([2026, 11, 21, 3, 55, 1], Some(1_795_233_301)),
            ([2038, 1, 19, 3, 14, 8], Some(1 << 31)),
            ([2100, 3, 1, 0, 0, 0], Some(4_107_542_400)),
            ([1969, 12, 31, 0, 0, 0], None),
            ([2026, 13, 1, 0, 0, 0], None),
        ] {
            assert_eq!(seconds(date), want, "{date:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn comes_back(at in 0..253_402_300_800u64) {
            proptest::prop_assert_eq!(seconds(date(at)), Some(at));
        }

        #[test]
        fn any_time_has_a_date(at: u64) {
            let [year, month, day, hour, minute, second] = date(at);
            proptest::prop_assert!(year <= 10_000 && (1..=12).contains(&month) && (1..=31).contains(&day));
            proptest::prop_assert!(hour < 24 && minute < 60 && second < 60);
        }
    }
}
