//! What owners are told in mails that gather: accounts that could not be read, one mail a day, and the figures of a week.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, Utc};
use providers::platform::Platform;
use rust_decimal::Decimal;
use sqlx::{PgConnection, PgPool};

use crate::{
    store::{
        Session, StoreError,
        mail_news::{self, AccountRow, DayRow, FailingRow, OwnerRow},
        within_deadline,
    },
    tenant::shown_tenant,
};

/// Most owners of a page.
const PAGE: i64 = 200;
/// Most accounts that a mail names.
const MOST_NAMED: u16 = 10;
/// Most rows of days of one owner: two weeks in more currencies than a mail shows.
const MOST_DAYS: i64 = 500;
const WEEK: Days = Days::new(7);

/// Somebody who owns accounts of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailOwner {
    /// `None`: none.
    pub tenant: Option<String>,
    /// Where the mail goes.
    pub email: String,
}

/// An owner some of whose accounts could not be read for a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// Who is told.
    pub owner: MailOwner,
    /// Up to ten of them.
    pub accounts: Vec<FailingAccount>,
    /// How many there are beside those.
    pub more: u64,
}

/// An account that could not be read for a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailingAccount {
    /// Its name at the platform.
    pub name: String,
    /// Of which platform.
    pub platform: Platform,
    /// The class of the last failure.
    pub class: String,
    /// Since when nothing was read of it.
    pub since: DateTime<Utc>,
}

/// A week of an owner's accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeekOf {
    /// The Monday.
    pub first_day: NaiveDate,
    /// The Sunday.
    pub last_day: NaiveDate,
    /// A total a currency.
    pub totals: Vec<WeekTotal>,
    /// The accounts with most spent, up to ten.
    pub accounts: Vec<WeekAccount>,
    /// How many there are beside those.
    pub more: u64,
}

/// What a week had in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeekTotal {
    /// ISO 4217, where it is known.
    pub currency: Option<String>,
    /// In major units of it.
    pub spend: Decimal,
    /// The same of the week before; `None`: it had no figures.
    pub spend_before: Option<Decimal>,
    /// How often something was shown.
    pub impressions: u64,
    /// How often it was clicked.
    pub clicks: u64,
    /// What came of it; it may be a fraction.
    pub conversions: Decimal,
    /// What was spent on each of the seven days.
    pub days: Vec<(NaiveDate, Decimal)>,
}

/// What an account had in a week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeekAccount {
    /// Its name at the platform.
    pub name: String,
    /// Of which platform.
    pub platform: Platform,
    /// ISO 4217, where it is known.
    pub currency: Option<String>,
    /// In major units of it.
    pub spend: Decimal,
    /// How often something was clicked.
    pub clicks: u64,
    /// What came of it; it may be a fraction.
    pub conversions: Decimal,
}

/// Owners who want to hear of it, each with accounts that could not be read for a day, up to 200 behind this one; an empty page
/// is the end.
///
/// # Errors
/// When the database did not take part.
pub async fn failing_accounts(
    db: &PgPool,
    after: Option<&MailOwner>,
) -> Result<Vec<Failing>, StoreError> {
    within_deadline(async {
        let mut session = Session::open(db).await?;
        let most = (i32::from(MOST_NAMED), PAGE);
        let rows = mail_news::failing(session.connection(), place_of(after), most).await?;
        session.done();
        rows.into_iter().map(failing).collect()
    })
    .await
}

/// Owners who want digests, up to 200 behind this one; an empty page is the end.
///
/// # Errors
/// When the database did not take part.
pub async fn digest_owners(
    db: &PgPool,
    after: Option<&MailOwner>,
) -> Result<Vec<MailOwner>, StoreError> {
    within_deadline(async {
        let mut session = Session::open(db).await?;
        let rows = mail_news::digest_owners(session.connection(), place_of(after), PAGE).await?;
        session.done();
        Ok(rows.into_iter().map(owner).collect())
    })
    .await
}

/// The last week that is over, of an owner's accounts; `None` where it had no figures.
///
/// # Errors
/// When the database did not take part.
pub async fn last_week_of(db: &PgPool, owner: &MailOwner) -> Result<Option<WeekOf>, StoreError> {
    within_deadline(async {
        let mut session = Session::open(db).await?;
        let week = week_of(session.connection(), place_of(Some(owner))).await?;
        session.done();
        Ok(week)
    })
    .await
}

async fn week_of(
    conn: &mut PgConnection,
    owner: (&str, &str),
) -> Result<Option<WeekOf>, sqlx::Error> {
    let first_day = mail_news::last_week(&mut *conn).await?;
    let last_day = first_day + Days::new(6);
    let both = (first_day - WEEK, last_day);
    let days = mail_news::days(&mut *conn, owner, both, MOST_DAYS).await?;
    let named = i64::from(MOST_NAMED);
    let week = (first_day, last_day);
    let accounts = mail_news::accounts(&mut *conn, owner, week, named).await?;
    let all = accounts.first().map_or(0, |account| count(account.all));
    let accounts: Vec<WeekAccount> = accounts
        .into_iter()
        .map(week_account)
        .collect::<Result<_, _>>()?;
    let told = u64::try_from(accounts.len()).unwrap_or(u64::MAX);
    let totals = totals(first_day, days);
    Ok((!totals.is_empty()).then(|| WeekOf {
        first_day,
        last_day,
        totals,
        accounts,
        more: all.saturating_sub(told),
    }))
}

/// A total for each currency that this week has figures in.
fn totals(first_day: NaiveDate, rows: Vec<DayRow>) -> Vec<WeekTotal> {
    let mut totals: BTreeMap<Option<String>, WeekTotal> = BTreeMap::new();
    let mut before: BTreeMap<Option<String>, Decimal> = BTreeMap::new();
    for row in rows {
        if row.day < first_day {
            *before.entry(row.currency).or_default() += row.spend;
            continue;
        }
        let total = totals
            .entry(row.currency.clone())
            .or_insert_with(|| WeekTotal {
                currency: row.currency,
                spend: Decimal::ZERO,
                spend_before: None,
                impressions: 0,
                clicks: 0,
                conversions: Decimal::ZERO,
                days: first_day
                    .iter_days()
                    .take(7)
                    .map(|day| (day, Decimal::ZERO))
                    .collect(),
            });
        total.spend += row.spend;
        total.impressions += count(row.impressions);
        total.clicks += count(row.clicks);
        total.conversions += row.conversions;
        if let Some((_, spend)) = total.days.iter_mut().find(|(day, _)| *day == row.day) {
            *spend += row.spend;
        }
    }
    let with_before = totals.into_iter().map(|(currency, total)| WeekTotal {
        spend_before: before.get(&currency).copied(),
        ..total
    });
    with_before.collect()
}

fn week_account(row: AccountRow) -> Result<WeekAccount, sqlx::Error> {
    Ok(WeekAccount {
        name: row.name,
        platform: platform(&row.platform)?,
        currency: row.currency,
        spend: row.spend,
        clicks: count(row.clicks),
        conversions: row.conversions,
    })
}

fn failing(row: FailingRow) -> Result<Failing, sqlx::Error> {
    let told = row.names.into_iter().zip(row.platforms);
    let told = told.zip(row.classes.into_iter().zip(row.since));
    let accounts = told.map(|((name, of), (class, since))| {
        Ok(FailingAccount {
            name,
            platform: platform(&of)?,
            class,
            since,
        })
    });
    let accounts: Vec<FailingAccount> = accounts.collect::<Result<_, sqlx::Error>>()?;
    let named = u64::try_from(accounts.len()).unwrap_or(u64::MAX);
    Ok(Failing {
        owner: owner(OwnerRow {
            tenant: row.tenant,
            email: row.email,
        }),
        accounts,
        more: count(row.all).saturating_sub(named),
    })
}

fn owner(row: OwnerRow) -> MailOwner {
    MailOwner {
        tenant: shown_tenant(row.tenant),
        email: row.email,
    }
}

/// Where an owner stands in their order; before all of them for none.
fn place_of(owner: Option<&MailOwner>) -> (&str, &str) {
    owner.map_or(("", ""), |owner| {
        (owner.tenant.as_deref().unwrap_or_default(), &*owner.email)
    })
}

fn platform(word: &str) -> Result<Platform, sqlx::Error> {
    word.parse::<Platform>()
        .map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(day: NaiveDate, currency: &str, spend: i64) -> DayRow {
        DayRow {
            currency: Some(currency.to_owned()),
            day,
            spend: Decimal::from(spend),
            impressions: 10,
            clicks: 1,
            conversions: Decimal::ONE,
        }
    }

    #[test]
    fn currencies_are_never_added_up_and_every_day_has_its_place() {
        let monday = NaiveDate::from_ymd_opt(2026, 11, 9).expect("a day");
        let sunday = monday + Days::new(6);
        let rows = vec![
            row(monday - Days::new(1), "EUR", 70),
            row(monday, "EUR", 100),
            row(sunday, "EUR", 5),
            row(sunday, "USD", 3),
        ];

        let totals = totals(monday, rows);

        let told: Vec<_> = totals
            .iter()
            .map(|total| (total.currency.as_deref(), total.spend, total.spend_before))
            .collect();
        let decimal = Decimal::from;
        assert_eq!(
            told,
            [
                (Some("EUR"), decimal(105), Some(decimal(70))),
                (Some("USD"), decimal(3), None)
            ]
        );
        assert_eq!(totals[0].days.len(), 7);
        assert_eq!(totals[0].days[0], (monday, decimal(100)));
        assert_eq!(totals[0].days[1].1, Decimal::ZERO);
        assert_eq!((totals[0].impressions, totals[0].clicks), (20, 2));
    }

    #[test]
    fn a_week_without_figures_has_no_total_whatever_was_before() {
        let monday = NaiveDate::from_ymd_opt(2026, 11, 9).expect("a day");

        let totals = totals(monday, vec![row(monday - Days::new(3), "EUR", 70)]);

        assert!(totals.is_empty(), "{totals:?}");
    }
}
