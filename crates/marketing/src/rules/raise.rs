//! Looking at an alert: what it is raised for and what is over, stored with the events that tell it, in one transaction that
//! nobody else looks at it in.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use queue::config::Formula;
use serde::Serialize;
use serde_json::json;
use sqlx::Connection as _;
use uuid::Uuid;

use super::{
    AlertId, Rules, RulesError,
    alert::{Reading, Step},
    alerts::{Alert, alert},
    figures::{self, Figured, Window, today},
    firing::Became,
    metric::Sums,
    stored_tenant,
};
use crate::store::{
    LONG_DEADLINE, Session,
    alert_history::{self, NewEntry, RaisedRow},
    alerts as stored_alerts,
    rule_figures::MOST_ENTITIES,
    strategies::{self as stored_strategies, ScopedAccount},
    within,
};

/// Most that an alert is raised for at once; what is beyond is raised at the next look.
const MOST_AT_ONCE: usize = 200;

/// For how many days more than count something must have had no figures to be over.
const IDLE_DAYS: u32 = 2;

/// What a look at an alert came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct AlertsFound {
    /// Accounts of its tenant and of its scope that are switched on, with a grant that works.
    pub accounts: u64,
    /// Entities with figures.
    pub looked_at: u64,
    /// For how many it was raised.
    pub fired: u64,
    /// For how many it is over.
    pub cleared: u64,
}

/// What becomes of an alert for an entity.
struct Turn {
    account: Uuid,
    entity_id: String,
    entity_name: String,
    reading: Reading,
}

impl Rules {
    /// Looks at an active alert and stores what becomes of it; `None`: it is not active, or not there.
    ///
    /// # Errors
    /// [`RulesError::Store`].
    pub async fn look_at_alert(
        &self,
        id: AlertId,
        now: DateTime<Utc>,
    ) -> Result<Option<(Alert, AlertsFound)>, RulesError> {
        let db = self.db();
        let found = within(LONG_DEADLINE, async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            // Held from the beginning: what it is raised for must not change while it is looked at.
            let is_active = stored_alerts::lock_active(&mut *tx, id.0).await?;
            let row = stored_alerts::get(&mut *tx, id.0, None).await?;
            let watched = row.map(alert).transpose()?.filter(|_| is_active);
            let Some(watched) = watched else {
                tx.rollback().await?;
                session.done();
                return Ok(None);
            };
            let formula = self.formula(&watched);
            let (turns, mut found) = turns(&mut tx, &watched, (now, formula.as_ref())).await?;
            for turn in &turns {
                take(&mut tx, &watched, turn, &mut found).await?;
            }
            tx.commit().await?;
            session.done();
            Ok(Some((watched, found)))
        });
        Ok(found.await?)
    }
}

impl Rules {
    /// The formula that an alert watches, as it is in force now.
    fn formula(&self, watched: &Alert) -> Option<Formula> {
        let config = self.queue.config();
        let text = config.kpis.get(watched.rule.kpi.as_deref()?)?;
        Formula::parse(text).ok()
    }
}

async fn turns(
    tx: &mut sqlx::PgConnection,
    watched: &Alert,
    (now, formula): (DateTime<Utc>, Option<&Formula>),
) -> Result<(Vec<Turn>, AlertsFound), sqlx::Error> {
    let scope = &watched.rule.scope;
    let tenant = stored_tenant(watched.tenant.as_deref());
    let platform = scope.platform.map(|platform| platform.as_str());
    let which = (scope.account_id, platform);
    let accounts =
        stored_strategies::accounts(&mut *tx, tenant, which, scope.level.as_str()).await?;
    let (mut turns, mut found) = (Vec::new(), AlertsFound::default());
    for account in &accounts {
        found.accounts += 1;
        // Figures that are behind say nothing: what was not read yet would have fallen.
        if !account.is_fresh {
            continue;
        }
        if watched.rule.comparison.is_of_change()
            && !figures::is_yesterday_whole(&mut *tx, account, (scope, now)).await?
        {
            continue;
        }
        let which = (watched.id.0, account.id);
        let raised = alert_history::raised(&mut *tx, which, scope.level.as_str()).await?;
        let raised = raised.into_iter().map(|row| (row.entity_id.clone(), row));
        let mut raised: BTreeMap<String, RaisedRow> = raised.collect();
        let pairs = pairs(tx, watched, account, now).await?;
        let are_all = i64::try_from(pairs.len()).is_ok_and(|seen| seen < MOST_ENTITIES);
        for (entity, before) in pairs {
            found.looked_at += 1;
            let is_raised = raised.remove(&entity.id).is_some();
            let reading = watched
                .rule
                .read(is_raised, (&entity.sums, &before), formula);
            if let Some(reading) = reading.filter(|reading| reading.step != Step::Stay) {
                turns.push(Turn {
                    account: account.id,
                    entity_id: entity.id,
                    entity_name: entity.name,
                    reading,
                });
            }
        }
        if are_all && !raised.is_empty() {
            turns.extend(idle(tx, watched, account, (now, formula), raised).await?);
        }
    }
    turns.truncate(MOST_AT_ONCE);
    Ok((turns, found))
}

/// What is over since it has no figures any more: it would be raised for ever. A day that has just begun has none either, so
/// what had some shortly before stays.
async fn idle(
    tx: &mut sqlx::PgConnection,
    watched: &Alert,
    account: &ScopedAccount,
    (now, formula): (DateTime<Utc>, Option<&Formula>),
    mut raised: BTreeMap<String, RaisedRow>,
) -> Result<Vec<Turn>, sqlx::Error> {
    let rule = &watched.rule;
    let lately = Window::ending(today(account, now), rule.window_days + IDLE_DAYS);
    for entity in figures::of(tx, account, &rule.scope, lately).await? {
        raised.remove(&entity.id);
    }
    let over = raised.into_values().filter_map(|row| {
        Some(Turn {
            account: account.id,
            reading: rule.read_idle(row.is_gone, formula)?,
            entity_id: row.entity_id,
            entity_name: row.entity_name,
        })
    });
    Ok(over.collect())
}

/// Entities with what they did in the window, and in the one before where that is compared.
async fn pairs(
    tx: &mut sqlx::PgConnection,
    watched: &Alert,
    account: &ScopedAccount,
    now: DateTime<Utc>,
) -> Result<Vec<(Figured, Sums)>, sqlx::Error> {
    let rule = &watched.rule;
    let today = today(account, now);
    if !rule.comparison.is_of_change() {
        let window = Window::ending(today, rule.window_days);
        let figured = figures::of(tx, account, &rule.scope, window).await?;
        let pairs = figured.into_iter().map(|entity| (entity, Sums::default()));
        return Ok(pairs.collect());
    }
    // A day that is not over is less than a whole one: it would always have fallen.
    let yesterday = today.pred_opt().unwrap_or(today);
    let window = Window::ending(yesterday, rule.window_days);
    let present = figures::of(&mut *tx, account, &rule.scope, window).await?;
    let before = window.before(rule.window_days);
    let before = figures::of(&mut *tx, account, &rule.scope, before).await?;
    let mut pairs: BTreeMap<String, (Figured, Sums)> = present
        .into_iter()
        .map(|entity| (entity.id.clone(), (entity, Sums::default())))
        .collect();
    for entity in before {
        let sums = entity.sums;
        pairs
            .entry(entity.id.clone())
            // What did nothing since has no figures at all.
            .or_insert_with(|| {
                let idle = Figured {
                    sums: Sums::default(),
                    ..entity
                };
                (idle, Sums::default())
            })
            .1 = sums;
    }
    Ok(pairs.into_values().collect())
}

async fn take(
    tx: &mut sqlx::PgConnection,
    watched: &Alert,
    turn: &Turn,
    found: &mut AlertsFound,
) -> Result<(), sqlx::Error> {
    let id = Uuid::now_v7();
    let which = (watched.id.0, turn.account, turn.entity_id.as_str());
    let (became, is_news) = match turn.reading.step {
        Step::Fire => (
            Became::Fired,
            alert_history::raise(&mut *tx, which, id).await?,
        ),
        Step::Clear => (
            Became::Cleared,
            alert_history::clear(&mut *tx, which).await?,
        ),
        Step::Stay => return Ok(()),
    };
    if !is_news {
        return Ok(());
    }
    let rule = &watched.rule;
    let tenant = stored_tenant(watched.tenant.as_deref());
    let new = NewEntry {
        id,
        alert: watched.id.0,
        tenant,
        account: turn.account,
        level: rule.scope.level.as_str(),
        entity_id: &turn.entity_id,
        entity_name: &turn.entity_name,
        became: became.as_str(),
        metric: rule.watched(),
        value: turn.reading.value,
        threshold: rule.threshold,
        baseline: turn.reading.baseline,
        mail: if became == Became::Fired {
            "due"
        } else {
            "none"
        },
    };
    alert_history::note(&mut *tx, &new).await?;
    if became == Became::Cleared {
        found.cleared += 1;
        return Ok(());
    }
    found.fired += 1;
    let data = json!({
        "source": "alert",
        "alert_id": watched.id,
        "entry_id": id,
        "name": watched.name,
        "account_id": turn.account,
        "level": rule.scope.level,
        "entity_id": turn.entity_id,
        "entity_name": turn.entity_name,
        "metric": rule.watched(),
        "comparison": rule.comparison,
        "value": turn.reading.value,
        "threshold": rule.threshold,
        "baseline": turn.reading.baseline,
    });
    alert_history::tell(&mut *tx, (tenant, turn.account), &data).await
}
