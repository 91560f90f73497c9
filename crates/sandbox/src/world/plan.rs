//! What a thing is like before anybody changes it, and what becomes of it by itself: a pure
//! function of the seed.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Key, Kind, Platform, account,
    dice::Dice,
    entity::{Objective, SLOTS, Status},
    money::{Currency, MICROS},
    names,
};

/// When the first account was made: 2024-06-01.
const BEGINS_S: i64 = 1_717_200_000;
/// The days over which campaigns were made.
const MAKING_DAYS: i64 = 820;
/// Shares of a hundred.
const HUNDRED: u64 = 100;

/// When the world begins.
pub(super) fn begins_at() -> DateTime<Utc> {
    DateTime::from_timestamp(BEGINS_S, 0).unwrap_or_default()
}

/// A thing's life before anybody changes it.
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) created_at: DateTime<Utc>,
    pub(super) starts_at: DateTime<Utc>,
    pub(super) ends_at: Option<DateTime<Utc>>,
    pub(super) first: Status,
    /// What it is set to later, and when.
    pub(super) then: Option<(DateTime<Utc>, Status)>,
    pub(super) objective: Objective,
    pub(super) daily_budget_micros: Option<i64>,
    pub(super) lifetime_budget_micros: Option<i64>,
}

/// How many things of a sort an account has room for; not every number is taken.
pub(super) fn slots(platform: Platform, kind: Kind, campaigns: u32) -> u32 {
    if !platform.kinds().contains(&kind) {
        return u32::from(kind == Kind::Account);
    }
    match kind {
        Kind::Campaign => campaigns,
        Kind::AdSet => campaigns * SLOTS,
        Kind::Ad | Kind::Creative => campaigns * SLOTS * SLOTS,
        Kind::Audience => 4,
        Kind::LeadForm => 2,
        Kind::Account
        | Kind::Pixel
        | Kind::Page
        | Kind::InstagramAccount
        | Kind::FundingInstrument => 1,
    }
}

/// Whether a number below the slots is taken: a parent has one to three children, and the first
/// always.
pub(super) fn is_taken(seed: Dice, key: Key) -> bool {
    match (key.kind, key.parent()) {
        (Kind::AdSet | Kind::Ad, Some(parent)) => {
            let children = of(seed, parent).about("children").below(u64::from(SLOTS)) + 1;
            u64::from(key.n % SLOTS) < children && is_taken(seed, parent)
        }
        (Kind::Creative, Some(ad)) => is_taken(seed, ad),
        _ => true,
    }
}

/// The dice of a thing.
pub(super) fn of(seed: Dice, key: Key) -> Dice {
    seed.of(key.platform.number())
        .of(key.kind as u64)
        .of(u64::from(key.account))
        .of(u64::from(key.n))
}

/// The life of anything but an account.
pub(super) fn plan(seed: Dice, key: Key) -> Plan {
    let dice = of(seed, key);
    let created_at = created_at(seed, key);
    let (first, then) = life(dice, key, created_at);
    let starts_at = created_at;
    let mut plan = Plan {
        name: names::of(dice, key),
        created_at,
        starts_at,
        ends_at: flight_end(dice, key, starts_at),
        first,
        then,
        objective: objective(seed, key),
        daily_budget_micros: None,
        lifetime_budget_micros: None,
    };
    if holds_budget(seed, key) {
        let (currency, _) = account::place(key);
        let daily = daily_budget(dice, currency);
        match plan.ends_at {
            Some(ends_at) if dice.about("lifetime").below(2) == 0 => {
                let days = (ends_at - starts_at).num_days().max(1);
                plan.lifetime_budget_micros = Some(daily * days);
            }
            _ => plan.daily_budget_micros = Some(daily),
        }
    }
    plan
}

/// What an ad spends on an average day: its campaign's money is shared evenly by all ads that the
/// campaign ever has, whether the campaign or its ad sets hold the budget.
pub(super) fn spend_a_day(seed: Dice, campaign: Key) -> i64 {
    let (currency, _) = account::place(campaign);
    let ads = campaign
        .slots_below(Kind::Ad, 0)
        .filter(|n| is_taken(seed, campaign.sibling(Kind::Ad, *n)))
        .count();
    daily_budget(of(seed, campaign), currency) / i64::try_from(ads.max(1)).unwrap_or(i64::MAX)
}

/// Six of ten campaigns hold their budget; the ad sets of the others each hold one.
fn holds_budget(seed: Dice, key: Key) -> bool {
    let at_campaign = |campaign: Key| of(seed, campaign).about("holds budget").below(10) < 6;
    match (key.kind, key.parent()) {
        (Kind::Campaign, _) => at_campaign(key),
        (Kind::AdSet, Some(campaign)) => !at_campaign(campaign),
        _ => false,
    }
}

/// 10 to 400 dollars in the account's currency, low ones more often than high ones.
fn daily_budget(dice: Dice, currency: Currency) -> i64 {
    let dice = dice.about("budget");
    let steps = dice.of(1).between(2, 20) * dice.of(2).between(1, 4);
    currency.of_usd(steps * 5 * MICROS)
}

/// When anything was made: children within hours of their parents.
pub(super) fn created_at(seed: Dice, key: Key) -> DateTime<Utc> {
    let dice = of(seed, key).about("made");
    match (key.kind, key.parent()) {
        (Kind::AdSet | Kind::Ad | Kind::Creative, Some(parent)) => {
            created_at(seed, parent) + TimeDelta::seconds(dice.between(60, 3_600))
        }
        (Kind::Campaign, _) => {
            begins_at() + TimeDelta::seconds(dice.between(0, MAKING_DAYS * 24 * 3_600))
        }
        _ => begins_at(),
    }
}

/// What a thing's campaign is for.
pub(super) fn objective(seed: Dice, key: Key) -> Objective {
    let dice = of(seed, key.campaign().unwrap_or(key));
    dice.about("objective").pick(&Objective::ALL)
}

/// Four of ten campaigns run for a time that is set beforehand.
fn flight_end(dice: Dice, key: Key, starts_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let dice = dice.about("flight");
    let is_flight = key.kind == Kind::Campaign && dice.of(1).below(10) < 4;
    is_flight.then(|| starts_at + TimeDelta::days(dice.of(2).between(14, 240)))
}

/// What a thing is at first, and what it is set to later. A parent's first child is never touched,
/// so that every campaign that may deliver does.
fn life(
    dice: Dice,
    key: Key,
    created_at: DateTime<Utc>,
) -> (Status, Option<(DateTime<Utc>, Status)>) {
    let share = dice.about("life").below(HUNDRED);
    let stops_at = created_at + TimeDelta::minutes(dice.about("stop").between(20_000, 500_000));
    let later = |status| (Status::Active, Some((stops_at, status)));
    let is_first = key.n.is_multiple_of(SLOTS);
    match key.kind {
        Kind::Campaign => match share {
            0..64 => (Status::Active, None),
            64..80 => later(Status::Paused),
            80..89 => later(Status::Archived),
            89..96 => later(Status::Deleted),
            _ => later(Status::WithIssues),
        },
        Kind::AdSet if !is_first => match share {
            0..76 => (Status::Active, None),
            76..88 => later(Status::Paused),
            88..94 => later(Status::Archived),
            _ => later(Status::Deleted),
        },
        Kind::Ad if !is_first => match share {
            0..72 => (Status::Active, None),
            72..82 => later(Status::Paused),
            82..87 => later(Status::Archived),
            87..92 => later(Status::Deleted),
            92..97 => (Status::Disapproved, None),
            _ => (Status::InReview, None),
        },
        _ => (Status::Active, None),
    }
}
