//! Rules as people make, look at and change them.

use chrono::{DateTime, Utc};
use queue::{Actor, Deed, Page, PageRequest, Queue};
use serde::Serialize;
use serde_json::json;
use sqlx::Connection as _;
use uuid::Uuid;

use super::{
    Rules, RulesError, StrategyId, check_name, document, shown_tenant, stored_document,
    stored_tenant, stored_word,
    strategy::{Mode, StrategyRule},
};
use crate::{
    store::{
        Session,
        strategies::{self, Change, StrategyRow},
        within_deadline,
    },
    words::words,
};

/// Begins the cursors of this list.
const LIST: &str = "strategy";

words! {
    /// Whether a rule is evaluated.
    StrategyStatus ["active, paused and completed"] {
        /// It is.
        Active = "active",
        /// Somebody stopped it.
        Paused = "paused",
        /// It has done what it was for.
        Completed = "completed",
    }
}

/// A rule to be.
#[derive(Debug, Clone, PartialEq)]
pub struct NewStrategy {
    /// Whose it is; `None`: of the account that it names, or of no tenant.
    pub tenant: Option<String>,
    /// Unique in its tenant.
    pub name: String,
    /// Whether it is evaluated.
    pub status: StrategyStatus,
    /// Whether it acts by itself.
    pub mode: Mode,
    /// What it watches and does.
    pub rule: StrategyRule,
}

/// What changes of a rule; `None` leaves a member as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StrategyChange {
    /// Unique in its tenant.
    pub name: Option<String>,
    /// Whether it is evaluated.
    pub status: Option<StrategyStatus>,
    /// Whether it acts by itself.
    pub mode: Option<Mode>,
    /// What it watches and does, as a whole.
    pub rule: Option<StrategyRule>,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Strategy {
    /// Ours.
    pub id: StrategyId,
    /// Whose it is; `None`: it belongs to no tenant.
    pub tenant: Option<String>,
    /// Unique in its tenant.
    pub name: String,
    /// Whether it is evaluated.
    pub status: StrategyStatus,
    /// Whether it acts by itself.
    pub mode: Mode,
    /// What it watches and does.
    pub rule: StrategyRule,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
    /// When it was evaluated last, since it was changed.
    pub evaluated_at: Option<DateTime<Utc>>,
}

impl Rules {
    /// Makes a rule.
    ///
    /// # Errors
    /// [`RulesError::Invalid`], also for a name that is taken.
    pub async fn add_strategy(
        &self,
        new: &NewStrategy,
        actor: &Actor,
    ) -> Result<Strategy, RulesError> {
        check_name(&new.name)?;
        new.rule.check()?;
        let owner = self.owner(&new.rule.scope, new.tenant.as_deref()).await?;
        let id = Uuid::now_v7();
        let rule = document(&new.rule);
        let db = self.db();
        let added = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let which = (id, stored_tenant(owner.as_deref()), new.name.as_str());
            let words = (new.status.as_str(), new.mode.as_str());
            let added = strategies::add(&mut *tx, which, words, &rule).await?;
            if added.is_some() {
                note(&mut tx, "strategy.create", id, actor).await?;
            }
            tx.commit().await?;
            session.done();
            added.map(strategy).transpose()
        })
        .await?;
        let added = added.ok_or_else(taken)?;
        Queue::count_deed("strategy.create");
        Ok(added)
    }

    /// A rule.
    ///
    /// # Errors
    /// [`RulesError::NotFound`], also for another tenant's.
    pub async fn strategy(
        &self,
        id: StrategyId,
        tenant: Option<&str>,
    ) -> Result<Strategy, RulesError> {
        let db = self.db();
        let found = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let found = strategies::get(session.connection(), id.0, tenant).await?;
            session.done();
            found.map(strategy).transpose()
        });
        found.await?.ok_or(RulesError::NotFound)
    }

    /// A page of rules, in the order in which they were made.
    ///
    /// # Errors
    /// [`RulesError::Engine`] for a cursor of another list.
    pub async fn strategies(
        &self,
        tenant: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<Strategy>, RulesError> {
        let after = page.id(LIST)?;
        let db = self.db();
        let listed = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let rows = strategies::list(session.connection(), tenant, after, page.rows()).await?;
            session.done();
            rows.into_iter()
                .map(strategy)
                .collect::<Result<Vec<_>, _>>()
        })
        .await?;
        Ok(Page::cut(listed, page, LIST, |it: &Strategy| {
            it.id.to_string()
        }))
    }

    /// Changes a rule.
    ///
    /// # Errors
    /// [`RulesError::NotFound`], [`RulesError::Invalid`].
    pub async fn change_strategy(
        &self,
        id: StrategyId,
        change: &StrategyChange,
        actor: &Actor,
    ) -> Result<Strategy, RulesError> {
        if let Some(name) = &change.name {
            check_name(name)?;
        }
        if let Some(rule) = &change.rule {
            rule.check()?;
            let tenant = self.strategy(id, actor.tenant.as_deref()).await?.tenant;
            self.check_owner(&rule.scope, tenant.as_deref()).await?;
        }
        let rule = change.rule.as_ref().map(document);
        let db = self.db();
        let changed = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let columns = Change {
                name: change.name.as_deref(),
                status: change.status.map(StrategyStatus::as_str),
                mode: change.mode.map(Mode::as_str),
                rule: rule.as_ref(),
            };
            let which = (id.0, actor.tenant.as_deref());
            let changed = strategies::change(&mut *tx, which, &columns).await?;
            if changed.is_some() {
                note(&mut tx, "strategy.change", id.0, actor).await?;
            }
            tx.commit().await?;
            session.done();
            changed.map(strategy).transpose()
        });
        let changed = changed
            .await
            .map_err(|error| taken_or(error, "strategies_name"))?;
        let changed = changed.ok_or(RulesError::NotFound)?;
        Queue::count_deed("strategy.change");
        Ok(changed)
    }

    /// Deletes a rule with all that it found.
    ///
    /// # Errors
    /// [`RulesError::NotFound`], also for another tenant's.
    pub async fn delete_strategy(&self, id: StrategyId, actor: &Actor) -> Result<(), RulesError> {
        let db = self.db();
        let was_there = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let was_there = strategies::delete(&mut *tx, id.0, actor.tenant.as_deref()).await?;
            if was_there {
                note(&mut tx, "strategy.delete", id.0, actor).await?;
            }
            tx.commit().await?;
            session.done();
            Ok(was_there)
        })
        .await?;
        if !was_there {
            return Err(RulesError::NotFound);
        }
        Queue::count_deed("strategy.delete");
        Ok(())
    }
}

/// Notes who did something to a rule or an alert.
pub(super) async fn note(
    tx: &mut sqlx::PgConnection,
    action: &'static str,
    id: Uuid,
    actor: &Actor,
) -> Result<(), sqlx::Error> {
    let target = id.to_string();
    let deed = Deed {
        action,
        target: Some(&target),
        reason: None,
        count: 1,
        detail: json!({}),
    };
    Queue::note_in(tx, deed, actor).await
}

/// That a name is taken.
pub(super) fn taken() -> RulesError {
    RulesError::invalid("/name", "is the name of another one")
}

/// A failure, as a name that is taken where it is one.
pub(super) fn taken_or(error: crate::StoreError, constraint: &str) -> RulesError {
    match &error {
        crate::StoreError::Database(sqlx::Error::Database(refused))
            if refused.constraint() == Some(constraint) =>
        {
            taken()
        }
        _ => error.into(),
    }
}

/// A stored rule as others see it.
pub(super) fn strategy(row: StrategyRow) -> Result<Strategy, sqlx::Error> {
    Ok(Strategy {
        id: StrategyId(row.id),
        tenant: shown_tenant(row.tenant),
        name: row.name,
        status: stored_word(&row.status)?,
        mode: stored_word(&row.mode)?,
        rule: stored_document(row.rule)?,
        created_at: row.created_at,
        updated_at: row.updated_at,
        evaluated_at: row.evaluated_at,
    })
}
