//! What accounts have achieved, over any days and by any group: sums of what is stored, in one form for all platforms. It is
//! read from the smallest table that can tell it; what is not rolled up yet, from what it will be rolled up from.

mod periods;
mod sums;
#[cfg(test)]
mod tests;

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use chrono::{NaiveDate, Utc};
use chrono_tz::Tz;
use providers::platform::{Level, Platform};
use queue::Queue;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    StoreError,
    accounts::AccountId,
    store::{
        Session, accounts,
        performance::{self, SumQuery, SumRow},
        rates, within_deadline,
    },
};

pub use periods::{Grain, Period, Range, Start, UnknownRange};
pub use sums::{Metrics, NormalForm, Sums};

/// Most items of an answer: who wants more asks for fewer days or coarser ones.
pub const MOST_ITEMS: usize = 10_000;
/// Longest period, in days.
pub const LONGEST_PERIOD: i64 = 1_200;
/// Longest period that is told by the hour, in days: hours are kept for about a week.
pub const LONGEST_HOURS: i64 = 31;

/// By what figures are told apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GroupBy {
    /// Each tenant.
    pub tenant: bool,
    /// Each platform.
    pub platform: bool,
    /// Each account, with its tenant and platform.
    pub account: bool,
    /// Each campaign, ad set or ad, with its account.
    pub entity: bool,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Only this tenant's.
    pub tenant: Option<String>,
    /// Only this platform's.
    pub platform: Option<Platform>,
    /// Only this account's.
    pub account: Option<AccountId>,
    /// Figures of what are added up; each level tells the whole.
    pub level: Level,
    /// Which days, by each account's clock.
    pub period: Period,
    /// Into what they are cut.
    pub grain: Grain,
    /// By what they are told apart.
    pub by: GroupBy,
}

/// Whose figures an item has.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// Whose accounts; `None`: of several, or of nobody.
    pub tenant: Option<String>,
    /// At which platform.
    pub platform: Option<String>,
    /// Of which account.
    pub account: Option<Uuid>,
    /// Of which campaign, ad set or ad, by the platform's id.
    pub entity_id: Option<String>,
}

/// The figures of a group in a stretch of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// When the stretch begins.
    pub start: Start,
    /// Whose.
    pub group: Group,
    /// What the account is called.
    pub account_name: Option<String>,
    /// What the entity is called, if sync has seen it.
    pub entity_name: Option<String>,
    /// The figures.
    pub sums: Sums,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// By time and group; what had no figures is left out.
    pub items: Vec<Item>,
    /// All of them together.
    pub total: Sums,
    /// Currencies in which there is money of a day without a rate.
    pub unrated: BTreeSet<String>,
}

/// The period before, to compare with.
#[derive(Debug, Clone, PartialEq)]
pub struct Before {
    /// Its days.
    pub period: Period,
    /// All its figures together.
    pub total: Sums,
    /// For each item, in their order, the figures of its group in the stretch of the same number.
    pub items: Vec<Option<Sums>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum PerformanceError {
    /// There would be too many items.
    #[error(
        "there are more than {} items: ask for fewer days, a coarser granularity or a coarser group",
        MOST_ITEMS
    )]
    TooMany,
    /// The database did not take part.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads what accounts have achieved; cheap to clone.
#[derive(Clone)]
pub struct Performance {
    queue: Queue,
}

impl Performance {
    /// In the queue's database, by the formulas that are in force there.
    #[must_use]
    pub fn new(queue: Queue) -> Self {
        Self { queue }
    }

    /// The day that is today by the account's clock, or in UTC where no account is named or there is none.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn today(
        &self,
        account: Option<AccountId>,
        tenant: Option<&str>,
    ) -> Result<NaiveDate, PerformanceError> {
        let now = Utc::now();
        let Some(account) = account else {
            return Ok(now.date_naive());
        };
        let db = self.queue.database().pool();
        let known = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let known = accounts::get(session.connection(), account.0, tenant).await?;
            session.done();
            Ok(known)
        })
        .await?;
        let zone = known.and_then(|known| known.time_zone?.parse().ok());
        Ok(now.with_timezone(&zone.unwrap_or(Tz::UTC)).date_naive())
    }

    /// The normal form with the formulas that are in force and the reporting currency.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn normal_form(&self) -> Result<NormalForm, PerformanceError> {
        let db = self.queue.database().pool();
        let currency = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let currency = rates::reporting_currency(session.connection()).await?;
            session.done();
            Ok(currency)
        })
        .await?;
        Ok(NormalForm::new(&self.queue.config().kpis, currency))
    }

    /// Figures, added up.
    ///
    /// # Errors
    /// [`PerformanceError::TooMany`].
    pub async fn answer(&self, question: &Question) -> Result<Answer, PerformanceError> {
        let mut answer = self.unnamed(question).await?;
        self.name(question, &mut answer.items).await?;
        Ok(answer)
    }

    /// The figures of as many days before the question's, or of as many months where it is of calendar months.
    ///
    /// # Errors
    /// [`PerformanceError::TooMany`].
    pub async fn before(
        &self,
        question: &Question,
        answer: &Answer,
    ) -> Result<Option<Before>, PerformanceError> {
        let Some(period) = question.period.before() else {
            return Ok(None);
        };
        let earlier = Question {
            period,
            ..question.clone()
        };
        let found = self.unnamed(&earlier).await?;
        let numbered = found.items.iter().map(|item| {
            let number = period.ordinal(question.grain, item.start);
            ((number, &item.group), &item.sums)
        });
        let numbered: BTreeMap<(i64, &Group), &Sums> = numbered.collect();
        let items = answer.items.iter().map(|item| {
            let number = question.period.ordinal(question.grain, item.start);
            numbered
                .get(&(number, &item.group))
                .map(|sums| (*sums).clone())
        });
        let items = items.collect();
        Ok(Some(Before {
            period,
            total: found.total,
            items,
        }))
    }

    async fn unnamed(&self, question: &Question) -> Result<Answer, PerformanceError> {
        let most = i64::try_from(MOST_ITEMS).unwrap_or(i64::MAX);
        // The entities of one account are told with their account, and that with all that it belongs to.
        let by_account = question.by.account || question.by.entity;
        let query = SumQuery {
            tenant: question.tenant.as_deref(),
            platform: question.platform.map(Platform::as_str),
            account: question.account.map(|account| account.0),
            level: question.level.as_str(),
            from: question.period.from,
            to: question.period.to,
            grain: question.grain.as_str(),
            by_tenant: question.by.tenant || by_account,
            by_platform: question.by.platform || by_account,
            by_account,
            by_entity: question.by.entity,
            most: most.saturating_add(1),
        };
        let db = self.queue.database().pool();
        let rows = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let rows = read(session.connection(), question, &query).await?;
            session.done();
            Ok(rows)
        })
        .await?;
        if rows.len() > MOST_ITEMS {
            return Err(PerformanceError::TooMany);
        }
        Ok(gather(rows))
    }

    async fn name(&self, question: &Question, items: &mut [Item]) -> Result<(), PerformanceError> {
        let mut asked: Vec<(Uuid, String)> = items
            .iter()
            .filter_map(|item| {
                let entity = item.group.entity_id.clone().unwrap_or_default();
                Some((item.group.account?, entity))
            })
            .collect();
        asked.sort_unstable();
        asked.dedup();
        let (of, ids): (Vec<Uuid>, Vec<String>) = asked.into_iter().unzip();
        if of.is_empty() {
            return Ok(());
        }
        let level = question.level.as_str();
        let is_by_entity = question.by.entity;
        let db = self.queue.database().pool();
        let (known, entities) = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let known = performance::account_names(session.connection(), &of).await?;
            let entities = if is_by_entity {
                performance::entity_names(session.connection(), level, &of, &ids).await?
            } else {
                Vec::new()
            };
            session.done();
            Ok((known, entities))
        })
        .await?;
        let known: BTreeMap<Uuid, String> = known.into_iter().map(|it| (it.id, it.name)).collect();
        let entities = entities
            .into_iter()
            .map(|it| ((it.account, it.id), it.name));
        let entities: BTreeMap<(Uuid, String), String> = entities.collect();
        for item in items {
            let Some(account) = item.group.account else {
                continue;
            };
            item.account_name = known.get(&account).cloned();
            let entity = item.group.entity_id.clone();
            item.entity_name = entity.and_then(|id| entities.get(&(account, id)).cloned());
        }
        Ok(())
    }
}

/// From the smallest table that can tell it. The level of accounts has one entity alone, which is the account.
async fn read(
    conn: &mut PgConnection,
    question: &Question,
    query: &SumQuery<'_>,
) -> Result<Vec<SumRow>, sqlx::Error> {
    let is_coarse = matches!(question.grain, Grain::Month | Grain::Total);
    match (question.grain, question.by.entity) {
        (Grain::Hour, _) => performance::of_hours(conn, query).await,
        (_, false) => {
            let whole = if is_coarse {
                question.period.whole_months()
            } else {
                question.period.no_months()
            };
            performance::of_accounts(conn, query, &whole).await
        }
        (Grain::Day, true) => performance::of_entity_days(conn, query).await,
        (_, true) if is_coarse && question.period.is_of_months() => {
            performance::of_entity_months(conn, query).await
        }
        (_, true) => performance::of_entities(conn, query).await,
    }
}

/// Rows come in the order of their stretches and groups, a row a currency, or are of one stretch and group each.
fn gather(rows: Vec<SumRow>) -> Answer {
    let mut items: Vec<Item> = Vec::with_capacity(rows.len());
    let mut total = Sums::default();
    let mut unrated = BTreeSet::new();
    for row in rows {
        let sums = Sums::from(&row);
        let is_rated = row.reporting_spend.is_some() && row.reporting_revenue.is_some();
        if !is_rated && !row.currency.is_empty() {
            unrated.insert(row.currency);
        }
        total.add(&sums);
        let start = Start {
            day: row.bucket,
            hour: row.hour.and_then(|hour| u8::try_from(hour).ok()),
        };
        let group = Group {
            tenant: row.tenant.filter(|tenant| !tenant.is_empty()),
            platform: row.platform,
            account: row.account,
            entity_id: row.entity_id,
        };
        match items.last_mut() {
            Some(last) if last.start == start && last.group == group => last.sums.add(&sums),
            _ => items.push(Item {
                start,
                group,
                account_name: None,
                entity_name: None,
                sums,
            }),
        }
    }
    items.sort_by(by_time_and_group);
    Answer {
        items,
        total,
        unrated,
    }
}

fn by_time_and_group(a: &Item, b: &Item) -> Ordering {
    (a.start, &a.group).cmp(&(b.start, &b.group))
}
