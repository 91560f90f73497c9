//! Figures of a Page or an Instagram account, by the day. They are read with the Page's own token, and a metric that Meta does
//! not know any more is not asked for again for a day.

use chrono::{Days as DaySpan, NaiveDate};
use marketing::{
    accounts::{Account, AccountKind},
    sync::{CacheKey, CacheOf, Cached, InsightScope, Sync, SyncOutcome, SyncWhat},
};
use providers::{
    meta::{
        SocialFigures, instagram_insights,
        instagram_insights::{InstagramQuery, Values},
        page_insights,
        page_insights::PageQuery,
    },
    platform::{Access, Caller},
};
use queue::{Outcome, error_chain};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{account::Attempt, error::Error, page_access::page_access, setback::set_back};

/// Under which name dead metrics are remembered.
const DEAD: &str = "dead-metrics";

/// Where the sync goes on: the days before are read.
#[derive(Serialize, Deserialize)]
struct Place {
    from: NaiveDate,
}

/// Reads the figures of a Page or an Instagram account.
pub(super) async fn read_social(
    attempt: &Attempt<'_>,
    scope: InsightScope,
) -> Result<Outcome, Error> {
    let syncs = &attempt.app.syncs;
    let what = SyncWhat::Insights(scope.clone());
    let mut sync = syncs
        .begin(attempt.account.id, &what, attempt.job.id)
        .await?;
    if let Err(error) = go_on(attempt, &scope, &mut sync).await {
        set_back(attempt.app, sync, &error).await;
        return Err(error);
    }
    let told = json!({ "rows": sync.counts.rows, "written": sync.counts.written });
    syncs.finish(sync, &SyncOutcome::Succeeded).await?;
    Ok(Outcome::SucceededWith(told))
}

async fn go_on(attempt: &Attempt<'_>, scope: &InsightScope, sync: &mut Sync) -> Result<(), Error> {
    let access = page_access(attempt).await?;
    let mut dead = Dead::known(attempt).await;
    let place = sync.cursor.as_ref();
    let place = place.and_then(|cursor| Place::deserialize(cursor).ok());
    let mut from = place.map_or(scope.from, |place| place.from);
    while from <= scope.to {
        attempt.go_on()?;
        let to = window(attempt.account, from, scope.to);
        let figures = ask(attempt, &access, &dead, (from, to)).await?;
        dead.add(attempt, figures.dead).await;
        let next = Place {
            from: to.succ_opt().unwrap_or(NaiveDate::MAX),
        };
        attempt
            .app
            .syncs
            .store_social(
                sync,
                &attempt.account.external_id,
                &figures.values,
                &json!(next),
            )
            .await?;
        from = next.from;
    }
    Ok(())
}

/// The last day of a question: most metrics of Instagram are totals of what is asked for.
fn window(account: &Account, from: NaiveDate, last: NaiveDate) -> NaiveDate {
    let more = match account.kind {
        AccountKind::InstagramAccount => 0,
        _ => u64::try_from(page_insights::LONGEST_DAYS - 1).unwrap_or(0),
    };
    let to = from.checked_add_days(DaySpan::new(more));
    to.map_or(last, |to| to.min(last))
}

async fn ask(
    attempt: &Attempt<'_>,
    access: &Access,
    dead: &Dead,
    (from, to): (NaiveDate, NaiveDate),
) -> Result<SocialFigures, Error> {
    let Attempt {
        app, account, door, ..
    } = *attempt;
    let caller = Caller { access, door };
    let id = account.external_id.clone();
    let figures = match account.kind {
        AccountKind::InstagramAccount => {
            let query = InstagramQuery {
                account_id: id,
                metrics: dead.without(&instagram_insights::METRICS),
                from,
                to,
                values: Values::Total,
            };
            Box::pin(app.meta.instagram_insights(caller, &query)).await?
        }
        _ => {
            let query = PageQuery {
                page_id: id,
                metrics: dead.without(&page_insights::METRICS),
                from,
                to,
            };
            Box::pin(app.meta.page_insights(caller, &query)).await?
        }
    };
    Ok(figures)
}

/// Metrics that Meta does not know any more. That they cannot be remembered costs a few calls.
struct Dead {
    key: CacheKey,
    metrics: Vec<String>,
}

impl Dead {
    async fn known(attempt: &Attempt<'_>) -> Self {
        let key = CacheKey {
            of: CacheOf::Account(attempt.account.id),
            sort: Cached::Accounts,
            name: DEAD.to_owned(),
        };
        let known = match attempt.app.syncs.cache_get(&key).await {
            Ok(known) => known,
            Err(error) => {
                tracing::debug!(error = %error_chain(&error), "dead metrics are asked for once more");
                None
            }
        };
        let metrics = known.and_then(|known| serde_json::from_value(known).ok());
        Self {
            key,
            metrics: metrics.unwrap_or_default(),
        }
    }

    fn without(&self, metrics: &[&str]) -> Vec<String> {
        let alive = metrics
            .iter()
            .filter(|metric| !self.metrics.iter().any(|dead| dead == *metric));
        alive.map(|metric| (*metric).to_owned()).collect()
    }

    async fn add(&mut self, attempt: &Attempt<'_>, dead: Vec<String>) {
        if dead.is_empty() {
            return;
        }
        tracing::info!(account.id = %attempt.account.id, metrics = ?dead,
            "meta does not know some metrics any more: they are left out for a day");
        self.metrics.extend(dead);
        let remembered = json!(self.metrics);
        if let Err(error) = attempt.app.syncs.cache_put(&self.key, &remembered).await {
            tracing::debug!(error = %error_chain(&error), "dead metrics are asked for once more");
        }
    }
}
