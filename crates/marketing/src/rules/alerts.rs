//! Alerts as people make, look at and change them.

use chrono::{DateTime, Utc};
use queue::{Actor, Page, PageRequest, Queue};
use serde::Serialize;
use sqlx::Connection as _;
use uuid::Uuid;

use super::{
    AlertId, Rules, RulesError,
    alert::AlertRule,
    check_name, document, shown_tenant, stored_document, stored_tenant, stored_word,
    strategies::{note, taken, taken_or},
};
use crate::{
    store::{
        Session, alert_history,
        alerts::{self, AlertRow},
        within_deadline,
    },
    words::words,
};

/// Begins the cursors of this list.
const LIST: &str = "alert";

words! {
    /// Whether an alert is looked at.
    AlertStatus ["active and paused"] {
        /// It is.
        Active = "active",
        /// Somebody stopped it.
        Paused = "paused",
    }
}

/// An alert to be.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAlert {
    /// Whose it is; `None`: of the account that it names, or of no tenant.
    pub tenant: Option<String>,
    /// Unique in its tenant.
    pub name: String,
    /// Whether it is looked at.
    pub status: AlertStatus,
    /// What it watches.
    pub rule: AlertRule,
}

/// What changes of an alert; `None` leaves a member as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AlertChange {
    /// Unique in its tenant.
    pub name: Option<String>,
    /// Whether it is looked at.
    pub status: Option<AlertStatus>,
    /// What it watches, as a whole.
    pub rule: Option<AlertRule>,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alert {
    /// Ours.
    pub id: AlertId,
    /// Whose it is; `None`: it belongs to no tenant.
    pub tenant: Option<String>,
    /// Unique in its tenant.
    pub name: String,
    /// Whether it is looked at.
    pub status: AlertStatus,
    /// What it watches.
    pub rule: AlertRule,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
    /// When it was looked at last, since it was changed.
    pub evaluated_at: Option<DateTime<Utc>>,
}

impl Rules {
    /// Makes an alert.
    ///
    /// # Errors
    /// [`RulesError::Invalid`], also for a name that is taken.
    pub async fn add_alert(&self, new: &NewAlert, actor: &Actor) -> Result<Alert, RulesError> {
        check_name(&new.name)?;
        new.rule.check()?;
        self.check_kpi(&new.rule)?;
        let owner = self.owner(&new.rule.scope, new.tenant.as_deref()).await?;
        let id = Uuid::now_v7();
        let rule = document(&new.rule);
        let db = self.db();
        let added = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let which = (id, stored_tenant(owner.as_deref()), new.name.as_str());
            let added = alerts::add(&mut *tx, which, new.status.as_str(), &rule).await?;
            if added.is_some() {
                note(&mut tx, "alert.create", id, actor).await?;
            }
            tx.commit().await?;
            session.done();
            added.map(alert).transpose()
        })
        .await?;
        let added = added.ok_or_else(taken)?;
        Queue::count_deed("alert.create");
        Ok(added)
    }

    /// An alert.
    ///
    /// # Errors
    /// [`RulesError::NotFound`], also for another tenant's.
    pub async fn alert(&self, id: AlertId, tenant: Option<&str>) -> Result<Alert, RulesError> {
        let db = self.db();
        let found = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let found = alerts::get(session.connection(), id.0, tenant).await?;
            session.done();
            found.map(alert).transpose()
        });
        found.await?.ok_or(RulesError::NotFound)
    }

    /// A page of alerts, in the order in which they were made.
    ///
    /// # Errors
    /// [`RulesError::Engine`] for a cursor of another list.
    pub async fn alerts(
        &self,
        tenant: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<Alert>, RulesError> {
        let after = page.id(LIST)?;
        let db = self.db();
        let listed = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let rows = alerts::list(session.connection(), tenant, after, page.rows()).await?;
            session.done();
            rows.into_iter().map(alert).collect::<Result<Vec<_>, _>>()
        })
        .await?;
        Ok(Page::cut(listed, page, LIST, |it: &Alert| {
            it.id.to_string()
        }))
    }

    /// Changes an alert.
    ///
    /// # Errors
    /// [`RulesError::NotFound`], [`RulesError::Invalid`].
    pub async fn change_alert(
        &self,
        id: AlertId,
        change: &AlertChange,
        actor: &Actor,
    ) -> Result<Alert, RulesError> {
        if let Some(name) = &change.name {
            check_name(name)?;
        }
        if let Some(rule) = &change.rule {
            rule.check()?;
            self.check_kpi(rule)?;
            let tenant = self.alert(id, actor.tenant.as_deref()).await?.tenant;
            self.check_owner(&rule.scope, tenant.as_deref()).await?;
        }
        let rule = change.rule.as_ref().map(document);
        let db = self.db();
        let changed = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let which = (id.0, actor.tenant.as_deref());
            let before = alerts::get(&mut *tx, id.0, actor.tenant.as_deref()).await?;
            let before = before.map(alert).transpose()?;
            let words = (
                change.name.as_deref(),
                change.status.map(AlertStatus::as_str),
            );
            let changed = alerts::change(&mut *tx, which, words, rule.as_ref()).await?;
            let changed = changed.map(alert).transpose()?;
            if let (Some(before), Some(after)) = (before, &changed)
                && !before.rule.is_raised_as(&after.rule)
            {
                // It was raised by another rule: this one has not said anything yet.
                alert_history::forget(&mut *tx, id.0).await?;
            }
            if changed.is_some() {
                note(&mut tx, "alert.change", id.0, actor).await?;
            }
            tx.commit().await?;
            session.done();
            Ok(changed)
        });
        let changed = changed
            .await
            .map_err(|error| taken_or(error, "alerts_name"))?;
        let changed = changed.ok_or(RulesError::NotFound)?;
        Queue::count_deed("alert.change");
        Ok(changed)
    }

    /// Deletes an alert with its history.
    ///
    /// # Errors
    /// [`RulesError::NotFound`], also for another tenant's.
    pub async fn delete_alert(&self, id: AlertId, actor: &Actor) -> Result<(), RulesError> {
        let db = self.db();
        let was_there = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let was_there = alerts::delete(&mut *tx, id.0, actor.tenant.as_deref()).await?;
            if was_there {
                note(&mut tx, "alert.delete", id.0, actor).await?;
            }
            tx.commit().await?;
            session.done();
            Ok(was_there)
        })
        .await?;
        if !was_there {
            return Err(RulesError::NotFound);
        }
        Queue::count_deed("alert.delete");
        Ok(())
    }
}

impl Rules {
    /// A formula must be there when an alert is made.
    fn check_kpi(&self, rule: &AlertRule) -> Result<(), RulesError> {
        match &rule.kpi {
            Some(kpi) if !self.queue.config().kpis.contains_key(kpi) => {
                Err(RulesError::invalid("/rule/kpi", "is no formula of [kpis]"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// A stored alert as others see it.
pub(super) fn alert(row: AlertRow) -> Result<Alert, sqlx::Error> {
    Ok(Alert {
        id: AlertId(row.id),
        tenant: shown_tenant(row.tenant),
        name: row.name,
        status: stored_word(&row.status)?,
        rule: stored_document(row.rule)?,
        created_at: row.created_at,
        updated_at: row.updated_at,
        evaluated_at: row.evaluated_at,
    })
}
