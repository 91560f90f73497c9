//! Ad accounts: currencies, time zones and states in a fixed turn, so that even a small world has
//! of each.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::Deserialize;

use super::{Key, Platform, dice::Dice, money::Currency, plan};

/// What the first accounts of a platform look like; later ones begin again.
const TURN: [(Currency, Tz); 8] = [
    (Currency::Usd, Tz::America__New_York),
    (Currency::Eur, Tz::Europe__Berlin),
    (Currency::Jpy, Tz::Asia__Tokyo),
    (Currency::Usd, Tz::America__Los_Angeles),
    (Currency::Gbp, Tz::Europe__London),
    (Currency::Aud, Tz::Australia__Sydney),
    (Currency::Brl, Tz::America__Sao_Paulo),
    (Currency::Usd, Tz::UTC),
];
const OWNERS: [&str; 8] = [
    "Northwind Outdoor",
    "Café Größenwahn",
    "Ōsaka Bikes",
    "Dad's Garage & Co.",
    "Blue Heron Books",
    "Zażółć Studio",
    "Lumen \"Light\" Labs",
    "Finch & Fable",
];

/// The state of an ad account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AccountStatus {
    Active,
    /// The platform has switched it off.
    Disabled,
    Closed,
}

impl AccountStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Closed => "closed",
        }
    }
}

/// An ad account, as it is at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Account {
    pub(crate) key: Key,
    /// The platform's id of it, without prefixes.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) status: AccountStatus,
    pub(crate) currency: Currency,
    /// LinkedIn counts by days of UTC, so all of its accounts are there.
    pub(crate) zone: Tz,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

/// The currency and the zone of an account: those of Meta's first are New York's, of Google's
/// second Tokyo's.
pub(super) fn place(key: Key) -> (Currency, Tz) {
    let turn = key.account as usize + key.platform as usize;
    let (currency, zone) = TURN[turn % TURN.len()];
    match key.platform {
        Platform::LinkedIn => (currency, Tz::UTC),
        Platform::Meta | Platform::GoogleAds | Platform::TikTok | Platform::X => (currency, zone),
    }
}

/// An account as nobody has changed it.
pub(super) fn original(dice: Dice, key: Key, id: String) -> Account {
    let (currency, zone) = place(key);
    let status = match key.account {
        number if number % 20 == 13 => AccountStatus::Closed,
        number if number % 10 == 7 => AccountStatus::Disabled,
        _ => AccountStatus::Active,
    };
    let owner = dice.about("owner").pick(&OWNERS);
    let created_at = plan::begins_at();
    Account {
        key,
        id,
        name: format!("{owner} {}", key.account + 1),
        status,
        currency,
        zone,
        created_at,
        updated_at: created_at,
    }
}
