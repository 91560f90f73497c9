//! The versions of the platforms' APIs: which one a setting names, when it appeared, and when it ends as far as that is known.
//! Most platforms replace theirs within about a year, and some without a word: Meta answers a call for a version that has
//! ended by another one.

use chrono::NaiveDate;

use super::Platform;

/// After how many days a version is old: its successors are there, and its end is near or not known.
pub const OLD_AFTER_DAYS: i64 = 270;

/// A version of a platform's API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiVersion {
    /// Whose.
    pub platform: Platform,
    /// As the platform writes it: `v26.0`, `v26`, `202609`, `12`.
    pub name: String,
    /// The day on which it appeared; `None`: this release does not know it.
    pub appeared: Option<NaiveDate>,
    /// From which day on it is not to be had, or not whole; `None`: that is not known.
    pub ends: Option<NaiveDate>,
}

impl ApiVersion {
    /// How many days ago it appeared; `None`: that is not known.
    #[must_use]
    pub fn age_days(&self, today: NaiveDate) -> Option<i64> {
        Some((today - self.appeared?).num_days())
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self, today: NaiveDate) -> bool {
        self.ends.is_some_and(|end| end <= today)
    }

    /// Whether it has ended, or is so old that it is time for another. TikTok and X have one version for many years.
    #[must_use]
    pub fn is_old(&self, today: NaiveDate) -> bool {
        let is_aged = match self.platform {
            Platform::Meta | Platform::GoogleAds | Platform::LinkedIn => self
                .age_days(today)
                .is_some_and(|days| days > OLD_AFTER_DAYS),
            Platform::TikTok | Platform::X => false,
        };
        is_aged || self.has_ended(today)
    }
}

/// A day as it is written in the tables: year, month, day.
type Day = (i32, u32, u32);

/// A version, its first day, and its end.
type Known = (&'static str, Day, Option<Day>);

/// Versions of the Graph API. The parts for ads end before the rest, so that is the end where it is known.
const META: [Known; 6] = [
    ("v26.0", (2026, 7, 29), None),
    ("v25.0", (2026, 2, 18), Some((2028, 7, 29))),
    ("v24.0", (2025, 10, 8), Some((2026, 10, 6))),
    ("v23.0", (2025, 5, 29), None),
    ("v22.0", (2025, 1, 21), None),
    ("v21.0", (2024, 10, 2), None),
];

/// Versions of the Google Ads API. All calls fail from the end on.
const GOOGLE_ADS: [Known; 7] = [
    ("v26", (2026, 10, 14), None),
    ("v25", (2026, 7, 22), None),
    ("v23", (2026, 1, 28), None),
    ("v22", (2025, 10, 15), Some((2026, 10, 7))),
    ("v21", (2025, 8, 6), Some((2026, 8, 5))),
    ("v20", (2025, 6, 4), Some((2026, 6, 10))),
    ("v19", (2025, 2, 26), Some((2026, 2, 11))),
];

/// Versions of LinkedIn are named for their month; these are the ends that are known.
const LINKEDIN: [Known; 2] = [
    ("202607", (2026, 7, 1), Some((2027, 7, 15))),
    ("202511", (2025, 11, 1), Some((2026, 11, 16))),
];

const X: [Known; 1] = [("12", (2022, 10, 27), None)];

/// The version that a setting names: a base address with the version in its path, or LinkedIn's version by itself. `None`
/// where it names none, as the address of something that stands in for a platform may not.
#[must_use]
pub fn api_version(platform: Platform, setting: &str) -> Option<ApiVersion> {
    let mut parts = setting.split('/').rev();
    let name = parts.find(|part| is_version(platform, part))?;
    let table: &[Known] = match platform {
        Platform::Meta => &META,
        Platform::GoogleAds => &GOOGLE_ADS,
        Platform::LinkedIn => &LINKEDIN,
        Platform::TikTok => &[],
        Platform::X => &X,
    };
    let known = table.iter().find(|(known, ..)| *known == name);
    Some(ApiVersion {
        platform,
        name: name.to_owned(),
        appeared: match (known, platform) {
            (Some((_, appeared, _)), _) => date(*appeared),
            (None, Platform::LinkedIn) => first_of_month(name),
            (None, _) => None,
        },
        ends: known.and_then(|(_, _, end)| date((*end)?)),
    })
}

fn is_version(platform: Platform, part: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_fraction = |text: &str| {
        let parts = text.split_once('.');
        parts.is_some_and(|(major, minor)| is_number(major) && is_number(minor))
    };
    match platform {
        Platform::Meta | Platform::TikTok => part.strip_prefix('v').is_some_and(is_fraction),
        Platform::GoogleAds => part.strip_prefix('v').is_some_and(is_number),
        Platform::LinkedIn => part.len() == 6 && is_number(part),
        Platform::X => is_number(part),
    }
}

fn date((year, month, day): Day) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(year, month, day)
}

fn first_of_month(name: &str) -> Option<NaiveDate> {
    let (year, month) = name.split_at_checked(4)?;
    date((year.parse().ok()?, month.parse().ok()?, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    fn version(platform: Platform, setting: &str) -> ApiVersion {
        api_version(platform, setting).expect("a version")
    }

    #[test]
    fn a_version_is_found_in_every_platforms_setting() {
        let cases = [
            (
                Platform::Meta,
                "https://graph.facebook.com/v26.0",
                "v26.0",
                Some("2026-07-29"),
            ),
            (
                Platform::Meta,
                "http://127.0.0.1:4000/v99.0/",
                "v99.0",
                None,
            ),
            (
                Platform::GoogleAds,
                "https://googleads.googleapis.com/v25",
                "v25",
                Some("2026-07-22"),
            ),
            (Platform::LinkedIn, "202609", "202609", Some("2026-09-01")),
            (Platform::LinkedIn, "202511", "202511", Some("2025-11-01")),
            (
                Platform::TikTok,
                "https://business-api.tiktok.com/open_api/v1.3/",
                "v1.3",
                None,
            ),
            (
                Platform::X,
                "https://ads-api.x.com/12/",
                "12",
                Some("2022-10-27"),
            ),
        ];

        for (platform, setting, name, appeared) in cases {
            let found = version(platform, setting);

            assert_eq!(found.name, name, "{setting}");
            assert_eq!(found.appeared, appeared.map(day), "{setting}");
        }
    }

    #[test]
    fn a_setting_without_a_version_has_none() {
        assert_eq!(api_version(Platform::Meta, "http://127.0.0.1:4000"), None);
        assert_eq!(
            api_version(Platform::GoogleAds, "https://example.com/v26.0"),
            None
        );
        assert_eq!(api_version(Platform::LinkedIn, "latest"), None);
        assert_eq!(api_version(Platform::X, ""), None);
    }

    #[test]
    fn a_version_grows_old_and_ends() {
        let today = day("2026-11-21");
        let of = |name: &str| version(Platform::Meta, name);

        assert_eq!(of("v26.0").age_days(today), Some(115));
        assert!(!of("v26.0").is_old(today));
        assert!(of("v25.0").is_old(today) && !of("v25.0").has_ended(today));
        assert!(of("v24.0").has_ended(today));
        assert!(version(Platform::LinkedIn, "202511").has_ended(today));
        assert!(!version(Platform::LinkedIn, "202607").is_old(today));
    }

    #[test]
    fn what_is_not_known_or_has_no_successors_is_not_old() {
        let today = day("2026-11-21");

        assert!(!version(Platform::Meta, "v99.0").is_old(today));
        assert!(!version(Platform::X, "12").is_old(today));
        assert_eq!(version(Platform::LinkedIn, "202613").age_days(today), None);
    }
}
