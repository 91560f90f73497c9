//! Evaluating a rule: what it finds now is stored with its reasons, in one transaction that nobody else evaluates it in. What it
//! found and does not hold any more expires; what it is to do by itself is counted against its cap.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use providers::platform::EntityType;
use serde::Serialize;
use serde_json::json;
use sqlx::Connection as _;
use uuid::Uuid;

use super::{
    Rules, RulesError, StrategyId, document,
    figures::{self, Figured, Window, today},
    recommendations::told_reasons,
    stored_tenant,
    strategies::{Strategy, strategy},
    strategy::{Act, Finding, Mode, Seen, has_cents},
};
use crate::store::{
    LONG_DEADLINE, Session,
    recommendations::{self, Found, NewRecommendation},
    strategies as stored_strategies, within,
};

/// Most findings of one evaluation: those that spent most.
const MOST_FINDINGS: usize = 1_000;

/// Changes that one job makes at most.
const MOST_A_BATCH: usize = 50;

/// Who decided what a rule does by itself.
pub(super) const BY_ITSELF: &str = "the strategy itself";

/// What an evaluation came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct StrategyFound {
    /// Accounts that it looked at: of its tenant, of its scope, switched on and with a grant that works.
    pub accounts: u64,
    /// Entities with figures.
    pub looked_at: u64,
    /// Those that the rule fires for.
    pub found: u64,
    /// Those of them that are new and wait for somebody.
    pub recommended: u64,
    /// Those that are done without asking.
    pub acted: u64,
    /// Those that were told.
    pub notified: u64,
    /// Those that wait since the daily cap is reached.
    pub capped: u64,
    /// Those that wait since their figures are behind.
    pub behind: u64,
    /// What was open and does not hold any more.
    pub expired: u64,
}

/// A finding of an entity.
struct Hit {
    account: Uuid,
    /// Whether its figures were read lately: nothing is done by what may be over.
    is_fresh: bool,
    entity: Figured,
    finding: Finding,
}

impl Rules {
    /// Evaluates an active rule and stores what it finds; `None`: it is not active, or not there.
    ///
    /// # Errors
    /// [`RulesError::Store`].
    pub async fn evaluate_strategy(
        &self,
        id: StrategyId,
        now: DateTime<Utc>,
    ) -> Result<Option<StrategyFound>, RulesError> {
        let db = self.db();
        let found = within(LONG_DEADLINE, async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            // Held from the beginning: what it does, and whether it may, must not change while it is evaluated.
            let is_active = stored_strategies::lock_active(&mut *tx, id.0).await?;
            let row = stored_strategies::get(&mut *tx, id.0, None).await?;
            let Some(rule) = row.map(strategy).transpose()?.filter(|_| is_active) else {
                tx.rollback().await?;
                session.done();
                return Ok(None);
            };
            let (hits, accounts, looked_at) = look(&mut tx, &rule, now).await?;
            let found = keep(&mut tx, &rule, &hits).await?;
            tx.commit().await?;
            session.done();
            Ok(Some(StrategyFound {
                accounts,
                looked_at,
                ..found
            }))
        });
        Ok(found.await?)
    }
}

/// What the rule fires for now, what spent most first, and how many accounts and entities were looked at.
async fn look(
    db: &mut sqlx::PgConnection,
    rule: &Strategy,
    now: DateTime<Utc>,
) -> Result<(Vec<Hit>, u64, u64), sqlx::Error> {
    let scope = &rule.rule.scope;
    let tenant = stored_tenant(rule.tenant.as_deref());
    let platform = scope.platform.map(|platform| platform.as_str());
    let which = (scope.account_id, platform);
    let level = scope.level.as_str();
    let accounts = stored_strategies::accounts(&mut *db, tenant, which, level).await?;
    let (mut hits, mut accounts_seen, mut looked_at) = (Vec::new(), 0, 0);
    for account in &accounts {
        accounts_seen += 1;
        let window = Window::ending(today(account, now), rule.rule.look_back_days);
        for entity in figures::of(&mut *db, account, scope, window).await? {
            looked_at += 1;
            let seen = Seen {
                status: entity.status,
                daily_budget: entity.daily_budget,
                has_cents: has_cents(account.currency.as_deref()),
                sums: entity.sums,
            };
            if let Some(finding) = rule.rule.find(&seen) {
                hits.push(Hit {
                    account: account.id,
                    is_fresh: account.is_fresh,
                    entity,
                    finding,
                });
            }
        }
    }
    hits.sort_by_key(|hit| std::cmp::Reverse(hit.entity.sums.spend));
    hits.truncate(MOST_FINDINGS);
    Ok((hits, accounts_seen, looked_at))
}

async fn keep(
    tx: &mut sqlx::PgConnection,
    rule: &Strategy,
    hits: &[Hit],
) -> Result<StrategyFound, sqlx::Error> {
    let mut found = StrategyFound::default();
    let Some(kind) = rule.rule.scope.kind() else {
        return Ok(found);
    };
    let action = rule.rule.action.as_str();
    found.expired = recommendations::expire_others(&mut *tx, rule.id.0, action).await?;
    let acted = recommendations::acted_lately(&mut *tx, rule.id.0, BY_ITSELF).await?;
    let may_act = rule.mode == Mode::Act && rule.rule.action != Act::Notify;
    let mut left = if may_act {
        u64::from(rule.rule.daily_cap).saturating_sub(u64::try_from(acted).unwrap_or(u64::MAX))
    } else {
        0
    };
    let mut batches = Batches::default();
    let mut still = Vec::new();
    for hit in hits {
        found.found += 1;
        let which = Found {
            strategy: rule.id.0,
            account: hit.account,
            kind: kind.as_str(),
            entity_id: &hit.entity.id,
        };
        let known = recommendations::known(&mut *tx, &which).await?;
        let acts = left > 0 && hit.is_fresh;
        let Some(known) = known else {
            let id = add(tx, rule, (kind, hit), (acts, &mut batches)).await?;
            still.push(id);
            count(&mut found, rule, acts);
            left -= u64::from(acts);
            found.wait(may_act && !acts, hit);
            continue;
        };
        still.push(known.id);
        if !known.is_open {
            continue;
        }
        let finding = &hit.finding;
        let change = (finding.before.as_deref(), finding.after.as_deref());
        let reasons = document(&finding.reasons);
        recommendations::renew(&mut *tx, known.id, change, &reasons).await?;
        if acts {
            let batch = batches.of(hit.account);
            if recommendations::act(&mut *tx, known.id, batch, BY_ITSELF).await? {
                left -= 1;
                found.acted += 1;
            }
        }
        found.wait(may_act && !acts, hit);
    }
    found.expired += recommendations::expire(&mut *tx, rule.id.0, &still).await?;
    Ok(found)
}

impl StrategyFound {
    /// Counts what is not done though the rule acts, by what it waits for.
    fn wait(&mut self, waits: bool, hit: &Hit) {
        if !waits {
            return;
        }
        if hit.is_fresh {
            self.capped += 1;
        } else {
            self.behind += 1;
        }
    }
}

/// Counts what was just added.
fn count(found: &mut StrategyFound, rule: &Strategy, acts: bool) {
    match (rule.rule.action, acts) {
        (Act::Notify, _) => found.notified += 1,
        (Act::Pause | Act::RaiseBudget, true) => found.acted += 1,
        (Act::Pause | Act::RaiseBudget, false) => found.recommended += 1,
    }
}

async fn add(
    tx: &mut sqlx::PgConnection,
    rule: &Strategy,
    (kind, hit): (EntityType, &Hit),
    (acts, batches): (bool, &mut Batches),
) -> Result<Uuid, sqlx::Error> {
    let is_told = rule.rule.action == Act::Notify;
    let state = match (is_told, acts) {
        (true, _) => "notified",
        (false, true) => "acting",
        (false, false) => "open",
    };
    let id = Uuid::now_v7();
    let tenant = stored_tenant(rule.tenant.as_deref());
    let reasons = document(&hit.finding.reasons);
    let new = NewRecommendation {
        id,
        strategy: rule.id.0,
        tenant,
        account: hit.account,
        kind: kind.as_str(),
        entity_id: &hit.entity.id,
        entity_name: &hit.entity.name,
        action: rule.rule.action.as_str(),
        before: hit.finding.before.as_deref(),
        after: hit.finding.after.as_deref(),
        reasons: &reasons,
        state,
        batch: (acts && !is_told).then(|| batches.of(hit.account)),
    };
    recommendations::add(&mut *tx, &new).await?;
    if state != "open" {
        recommendations::decided(&mut *tx, id, BY_ITSELF).await?;
    }
    if is_told {
        let data = json!({
            "source": "strategy",
            "strategy_id": rule.id,
            "name": rule.name,
            "account_id": hit.account,
            "level": kind,
            "entity_id": hit.entity.id,
            "entity_name": hit.entity.name,
            "reasons": hit.finding.reasons,
            "text": told_reasons(&hit.finding.reasons),
        });
        recommendations::tell(&mut *tx, (tenant, hit.account), &data).await?;
    }
    Ok(id)
}

impl Act {
    /// The word that is shown and stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::RaiseBudget => "raise_budget",
            Self::Notify => "notify",
        }
    }
}

/// The jobs of the future, an account each until one has as many changes as it may.
#[derive(Default)]
struct Batches(HashMap<Uuid, (Uuid, usize)>);

impl Batches {
    fn of(&mut self, account: Uuid) -> Uuid {
        let (batch, count) = self.0.entry(account).or_insert_with(|| (Uuid::now_v7(), 0));
        if *count == MOST_A_BATCH {
            (*batch, *count) = (Uuid::now_v7(), 0);
        }
        *count += 1;
        *batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_has_changes_of_one_account_and_no_more_than_it_may() {
        let mut batches = Batches::default();
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));

        let first = batches.of(one);
        let elsewhere = batches.of(other);
        let more: Vec<Uuid> = (1..MOST_A_BATCH).map(|_| batches.of(one)).collect();
        let next = batches.of(one);

        assert_ne!(first, elsewhere);
        assert!(more.iter().all(|batch| *batch == first));
        assert_ne!(next, first);
    }
}
