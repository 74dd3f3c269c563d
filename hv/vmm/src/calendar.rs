//! The calendar: a date to the seconds since 1970.

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
}
