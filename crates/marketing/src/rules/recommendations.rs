//! What rules found, as people look at it and decide about it.

use chrono::{DateTime, Utc};
use providers::platform::EntityType;
use queue::{Actor, JobId, Page, PageRequest, Queue};
use serde::Serialize;
use sqlx::Connection as _;
use uuid::Uuid;

use super::{
    Rules, RulesError, StrategyId, shown_tenant, stored_document, stored_word,
    strategies::note,
    strategy::{Act, Reason},
};
use crate::{
    accounts::AccountId,
    store::{
        Session,
        recommendations::{self, ListQuery, RecommendationRow},
        within_deadline,
    },
    words::words,
};

/// Begins the cursors of this list.
const LIST: &str = "recommendation";

words! {
    /// How a finding stands.
    RecommendationState ["open, acting, acted, notified, dismissed and expired"] {
        /// Somebody may accept or dismiss it.
        Open = "open",
        /// It is done: its job is about to be made.
        Acting = "acting",
        /// Its job was made.
        Acted = "acted",
        /// It was told, which is all that the rule does.
        Notified = "notified",
        /// Somebody dismissed it.
        Dismissed = "dismissed",
        /// It does not hold any more.
        Expired = "expired",
    }
}

/// Which findings to list.
#[derive(Debug, Clone, Default)]
pub struct RecommendationFilter {
    /// Only this tenant's.
    pub tenant: Option<String>,
    /// Only those of this rule.
    pub strategy: Option<StrategyId>,
    /// Only those that stand so.
    pub state: Option<RecommendationState>,
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recommendation {
    /// Ours; grows with time.
    pub id: Uuid,
    /// Which rule.
    pub strategy: StrategyId,
    /// Whose it is.
    pub tenant: Option<String>,
    /// Whose entity.
    pub account: AccountId,
    /// What the entity is.
    pub kind: EntityType,
    /// The platform's id of it.
    pub entity_id: String,
    /// Its name then.
    pub entity_name: String,
    /// What the rule would do.
    pub action: Act,
    /// What is changed, as it was.
    pub before: Option<String>,
    /// What it would be.
    pub after: Option<String>,
    /// Why.
    pub reasons: Vec<Reason>,
    /// How it stands.
    pub state: RecommendationState,
    /// The job that makes the change.
    pub job: Option<JobId>,
    /// When it was found.
    pub found_at: DateTime<Utc>,
    /// When it was decided.
    pub decided_at: Option<DateTime<Utc>>,
    /// By whom.
    pub decided_by: Option<String>,
}

impl Rules {
    /// A page of findings, the newest first.
    ///
    /// # Errors
    /// [`RulesError::Engine`] for a cursor of another list.
    pub async fn recommendations(
        &self,
        filter: &RecommendationFilter,
        page: &PageRequest,
    ) -> Result<Page<Recommendation>, RulesError> {
        let query = ListQuery {
            tenant: filter.tenant.as_deref(),
            strategy: filter.strategy.map(|strategy| strategy.0),
            state: filter.state.map(RecommendationState::as_str),
            before: page.id(LIST)?,
            limit: page.rows(),
        };
        let db = self.db();
        let listed = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let rows = recommendations::list(session.connection(), &query).await?;
            session.done();
            rows.into_iter().map(shown).collect::<Result<Vec<_>, _>>()
        })
        .await?;
        Ok(Page::cut(listed, page, LIST, |it: &Recommendation| {
            it.id.to_string()
        }))
    }

    /// Has an open finding done: its change is made by a job.
    ///
    /// # Errors
    /// [`RulesError::NotFound`], [`RulesError::State`] where it is not open any more.
    pub async fn accept(&self, id: Uuid, actor: &Actor) -> Result<Recommendation, RulesError> {
        let accepted = self.decide(id, actor, true).await?;
        self.give_orders(accepted.strategy).await?;
        self.one(id, actor.tenant.as_deref()).await
    }

    /// Dismisses an open finding: it is not found again for a week.
    ///
    /// # Errors
    /// As [`Self::accept`].
    pub async fn dismiss(&self, id: Uuid, actor: &Actor) -> Result<Recommendation, RulesError> {
        self.decide(id, actor, false).await
    }

    async fn decide(
        &self,
        id: Uuid,
        actor: &Actor,
        is_accepted: bool,
    ) -> Result<Recommendation, RulesError> {
        let tenant = actor.tenant.as_deref();
        self.one(id, tenant).await?;
        let action = if is_accepted {
            "recommendation.accept"
        } else {
            "recommendation.dismiss"
        };
        let db = self.db();
        let (done, after) = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let done = if is_accepted {
                recommendations::act(&mut *tx, id, Uuid::now_v7(), &actor.name).await?
            } else {
                recommendations::dismiss(&mut *tx, id, &actor.name).await?
            };
            if done {
                note(&mut tx, action, id, actor).await?;
            }
            let after = recommendations::get(&mut *tx, id, tenant).await?;
            tx.commit().await?;
            session.done();
            Ok((done, after.map(shown).transpose()?))
        })
        .await?;
        if done {
            Queue::count_deed(action);
        }
        let after = after.ok_or(RulesError::NotFound)?;
        // Accepted before, by somebody who died before its job was made.
        let is_under_way = is_accepted && after.state == RecommendationState::Acting;
        if !done && !is_under_way {
            return Err(RulesError::State {
                state: after.state.as_str(),
                message: "only an open recommendation can be accepted or dismissed",
            });
        }
        Ok(after)
    }

    async fn one(&self, id: Uuid, tenant: Option<&str>) -> Result<Recommendation, RulesError> {
        let db = self.db();
        let found = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let row = recommendations::get(session.connection(), id, tenant).await?;
            session.done();
            row.map(shown).transpose()
        });
        found.await?.ok_or(RulesError::NotFound)
    }
}

/// A stored finding as others see it.
pub(super) fn shown(row: RecommendationRow) -> Result<Recommendation, sqlx::Error> {
    Ok(Recommendation {
        id: row.id,
        strategy: StrategyId(row.strategy),
        tenant: shown_tenant(row.tenant),
        account: AccountId(row.account),
        kind: stored_word(&row.kind)?,
        entity_id: row.entity_id,
        entity_name: row.entity_name,
        action: stored_word(&row.action)?,
        before: row.before,
        after: row.after,
        reasons: stored_document(row.reasons)?,
        state: stored_word(&row.state)?,
        job: row.job.map(JobId),
        found_at: row.found_at,
        decided_at: row.decided_at,
        decided_by: row.decided_by,
    })
}

/// Reasons in words: `cpc 3 is above 2; ctr_pct 0.5 is below 1`.
pub(super) fn told_reasons(reasons: &[Reason]) -> String {
    let told = reasons.iter().map(|reason| {
        let comparison = match reason.comparison.as_str() {
            "keeps" => "keeps to",
            "at_least" => "is at least",
            "below" => "is below",
            _ => "is above",
        };
        format!(
            "{} {} {comparison} {}",
            reason.metric, reason.value, reason.threshold
        )
    });
    told.collect::<Vec<_>>().join("; ")
}
