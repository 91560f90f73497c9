//! Versions of the API: about one a month, each of which lives a year.

use chrono::{DateTime, Months, NaiveDate, NaiveTime, Utc};

/// The newest version that this stand-in was written from. It is spared, so that a release goes on working with its own
/// sandbox however old both become.
const NEWEST: &str = "202609";
/// There was none in that month.
const MISSING: &str = "202512";
/// The day of the month on which versions come and go.
const DAY: u32 = 16;

/// Whether calls can be made with the version at that time.
pub(super) fn is_active(version: &str, now: DateTime<Utc>) -> bool {
    if version == NEWEST {
        return true;
    }
    if version == MISSING {
        return false;
    }
    let Some(comes) = comes_on(version) else {
        return false;
    };
    let goes = comes.checked_add_months(Months::new(12));
    let at = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
    at(comes) <= now && goes.is_some_and(|goes| now < at(goes))
}

fn comes_on(version: &str) -> Option<NaiveDate> {
    if version.len() != 6 || !version.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, month) = version.split_at(4);
    NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_each_month_and_go_after_a_year() {
        let is_active = |version, now: &str| is_active(version, now.parse().expect("a time"));

        assert!(is_active("202511", "2026-11-15T23:59:59Z"));
        assert!(!is_active("202511", "2026-11-16T00:00:00Z"));
        assert!(is_active("202607", "2027-07-15T12:00:00Z"));
        assert!(!is_active("202607", "2027-07-16T00:00:00Z"));
        assert!(!is_active("202512", "2026-06-01T00:00:00Z"));
        assert!(!is_active("202612", "2026-11-20T00:00:00Z"));
        assert!(is_active("202609", "2031-01-01T00:00:00Z"));
        for version in ["", "2026", "202613", "2026-9", "20260９"] {
            assert!(!is_active(version, "2026-11-20T00:00:00Z"), "{version}");
        }
    }
}
