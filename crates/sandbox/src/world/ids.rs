//! What each platform calls its things. An id is arithmetic on a [`Key`] and back, so that no table
//! of ids is kept.

use super::{Key, Kind, Platform};

/// The manager account that all Google Ads accounts can be reached through.
pub(crate) const GOOGLE_MANAGER: &str = "1000000001";

/// Numbers of one sort of thing: those of an account stand beside each other.
struct Range {
    first: u64,
    per_account: u64,
}

/// Things of one sort that an account can have at most; more than it ever has.
const MANY: u64 = 1_000_000;
const FEW: u64 = 10;
/// Accounts that there is room for.
const MOST_ACCOUNTS: u64 = 1_000;

/// The platform's id of a thing: digits, or base 36 at X. Without any prefix, `act_` and URNs
/// included.
pub(crate) fn text(key: Key) -> String {
    let Some(range) = range(key.platform, key.kind) else {
        return String::new();
    };
    let number = range.first + u64::from(key.account) * range.per_account + u64::from(key.n);
    match key.platform {
        Platform::X => base_36(number),
        Platform::Meta | Platform::GoogleAds | Platform::LinkedIn | Platform::TikTok => {
            number.to_string()
        }
    }
}

/// What an id could be of; whether there is such a thing is the world's to say.
pub(super) fn parse(platform: Platform, id: &str) -> Option<Key> {
    let radix = match platform {
        Platform::X => 36,
        Platform::Meta | Platform::GoogleAds | Platform::LinkedIn | Platform::TikTok => 10,
    };
    let number = u64::from_str_radix(id, radix).ok()?;
    let key = Kind::ALL.iter().find_map(|kind| {
        let range = range(platform, *kind)?;
        let offset = number.checked_sub(range.first)?;
        if offset >= MOST_ACCOUNTS * range.per_account {
            return None;
        }
        Some(Key {
            platform,
            kind: *kind,
            account: u32::try_from(offset / range.per_account).ok()?,
            n: u32::try_from(offset % range.per_account).ok()?,
        })
    })?;
    // Signs, leading zeros and capitals are other texts for the same number.
    (text(key) == id).then_some(key)
}

fn range(platform: Platform, kind: Kind) -> Option<Range> {
    if kind != Kind::Account && !platform.kinds().contains(&kind) {
        return None;
    }
    let (first, per_account) = match platform {
        Platform::Meta => meta(kind),
        Platform::GoogleAds => google(kind),
        Platform::LinkedIn => linkedin(kind),
        Platform::TikTok => tiktok(kind),
        Platform::X => x(kind),
    };
    Some(Range { first, per_account })
}

fn meta(kind: Kind) -> (u64, u64) {
    match kind {
        Kind::Account => (1_000_000_000_001, 1),
        Kind::Campaign => (120_200_000_000_000_001, MANY),
        Kind::AdSet => (120_200_010_000_000_001, MANY),
        Kind::Ad => (120_200_020_000_000_001, MANY),
        Kind::Creative => (120_200_030_000_000_001, MANY),
        Kind::Audience => (120_200_040_000_000_001, FEW),
        Kind::LeadForm => (800_000_000_000_001, FEW),
        Kind::Pixel => (1_000_000_000_000_001, FEW),
        Kind::Page => (100_000_000_000_001, FEW),
        Kind::InstagramAccount => (17_841_400_000_000_001, FEW),
        Kind::FundingInstrument => (120_200_050_000_000_001, FEW),
    }
}

fn google(kind: Kind) -> (u64, u64) {
    match kind {
        Kind::Account => (2_000_000_001, 1),
        Kind::Campaign => (21_000_000_001, MANY),
        Kind::AdSet => (31_000_000_001, MANY),
        Kind::Ad => (41_000_000_001, MANY),
        other => (51_000_000_001 + other as u64 * 1_000_000_000, FEW),
    }
}

fn linkedin(kind: Kind) -> (u64, u64) {
    match kind {
        Kind::Account => (500_000_001, 1),
        Kind::Campaign => (6_000_000_001, MANY),
        Kind::AdSet => (3_000_000_001, MANY),
        Kind::Ad => (9_000_000_001, MANY),
        other => (11_000_000_001 + other as u64 * 1_000_000_000, FEW),
    }
}

fn tiktok(kind: Kind) -> (u64, u64) {
    match kind {
        Kind::Account => (7_000_000_000_000_000_001, 1),
        Kind::Campaign => (1_700_000_000_000_001, MANY),
        Kind::AdSet => (1_710_000_000_000_001, MANY),
        Kind::Ad => (1_720_000_000_000_001, MANY),
        other => (1_730_000_000_000_001 + other as u64 * 1_000_000_000, FEW),
    }
}

/// Ten characters, of which the first tells the sort.
fn x(kind: Kind) -> (u64, u64) {
    let (letter, per_account) = match kind {
        Kind::Account => (1, 1),
        Kind::Campaign => (12, MANY),
        Kind::AdSet => (21, MANY),
        Kind::Ad => (25, MANY),
        Kind::Creative => (22, MANY),
        Kind::FundingInstrument => (15, FEW),
        Kind::Audience => (29, FEW),
        Kind::LeadForm | Kind::Pixel | Kind::Page | Kind::InstagramAccount => {
            (30 + kind as u64 % 5, FEW)
        }
    };
    (letter * 36_u64.pow(9) + 36_u64.pow(7), per_account)
}

fn base_36(mut number: u64) -> String {
    let mut digits = Vec::new();
    while number > 0 {
        // Less than 36.
        let digit = (number % 36) as u32;
        digits.extend(char::from_digit(digit, 36));
        number /= 36;
    }
    digits.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_leads_back_to_what_it_is_of() {
        for platform in Platform::ALL {
            for kind in platform.kinds().iter().chain(&[Kind::Account]) {
                for (account, n) in [(0, 0), (1, 7), (199, 3)] {
                    let n = if *kind == Kind::Account { 0 } else { n };
                    let key = Key {
                        platform,
                        kind: *kind,
                        account,
                        n,
                    };

                    assert_eq!(parse(platform, &text(key)), Some(key), "{key:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_id_is_of_nothing() {
        for id in [
            "",
            "0",
            "-1",
            "+120200000000000001",
            "0120200000000000001",
            "abc",
            "é",
        ] {
            assert_eq!(parse(Platform::Meta, id), None, "{id}");
        }
        assert_eq!(parse(Platform::X, "NOTHING"), None);
    }

    #[test]
    fn the_first_pixel_of_meta_is_the_development_dataset() {
        let key = Key {
            platform: Platform::Meta,
            kind: Kind::Pixel,
            account: 0,
            n: 0,
        };

        assert_eq!(text(key), crate::DEV_META_DATASET);
    }
}
