//! What alerts told, and the mails that are due of it.

use std::fmt;

use chrono::{DateTime, Utc};
use providers::platform::Level;
use queue::{Page, PageRequest};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AlertId, Rules, RulesError, alert::AlertRule, stored_word};
use crate::{
    accounts::AccountId,
    store::{
        Session,
        alert_history::{self, DueRow, EntryRow},
        within_deadline,
    },
};

/// Begins the cursors of this list.
const LIST: &str = "alert_entry";

/// What became of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Became {
    /// It was raised.
    Fired,
    /// It is over.
    Cleared,
}

impl Became {
    /// The word that is shown and stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Cleared => "cleared",
        }
    }
}

impl fmt::Display for Became {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an alert told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlertEntry {
    /// Ours; grows with time.
    pub id: Uuid,
    /// Which alert.
    pub alert: AlertId,
    /// Whose entity.
    pub account: AccountId,
    /// Of what the figures are.
    pub level: Level,
    /// The platform's id of the entity.
    pub entity_id: String,
    /// Its name then.
    pub entity_name: String,
    /// What became of the alert.
    pub became: Became,
    /// What was watched.
    pub metric: String,
    /// What it was.
    pub value: Decimal,
    /// What it was held against.
    pub threshold: Decimal,
    /// For changes: what it was in the window before.
    pub baseline: Option<Decimal>,
    /// When.
    pub at: DateTime<Utc>,
    /// `none`, `due`, `sent` or `dropped`.
    pub mail: String,
}

/// A mail that is due. No `Debug`: it names people.
pub struct DueMail {
    /// The entry that it tells of.
    pub entry: Uuid,
    /// To whom it goes.
    pub to: Vec<String>,
    /// The account's name at its platform.
    pub account_name: String,
    /// The platform's word.
    pub platform: String,
    /// ISO 4217, where it is known.
    pub currency: Option<String>,
    /// The entity's name.
    pub entity_name: String,
    /// What was watched.
    pub metric: String,
    /// What it was.
    pub value: Decimal,
    /// What it was held against.
    pub threshold: Decimal,
    /// For changes: what it was in the window before.
    pub baseline: Option<Decimal>,
    /// When the alert was raised.
    pub fired_at: DateTime<Utc>,
}

impl Rules {
    /// A page of what an alert told, the newest first.
    ///
    /// # Errors
    /// [`RulesError::NotFound`], [`RulesError::Engine`] for a cursor of another list.
    pub async fn alert_history(
        &self,
        id: AlertId,
        tenant: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<AlertEntry>, RulesError> {
        self.alert(id, tenant).await?;
        let before = page.id(LIST)?;
        let db = self.db();
        let entries = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let rows = alert_history::list(session.connection(), id.0, before, page.rows()).await?;
            session.done();
            rows.into_iter().map(entry).collect::<Result<Vec<_>, _>>()
        })
        .await?;
        Ok(Page::cut(entries, page, LIST, |it: &AlertEntry| {
            it.id.to_string()
        }))
    }

    /// The mails that are due of an alert and may be sent now; none in its quiet hours.
    ///
    /// # Errors
    /// [`RulesError::Store`].
    pub async fn due_mails(
        &self,
        id: AlertId,
        rule: &AlertRule,
        now: DateTime<Utc>,
    ) -> Result<Vec<DueMail>, RulesError> {
        if rule.is_quiet(now) {
            return Ok(Vec::new());
        }
        let db = self.db();
        let rows = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let rows = alert_history::due_mails(session.connection(), id.0).await?;
            session.done();
            Ok(rows)
        })
        .await?;
        Ok(rows.into_iter().map(|row| due(row, rule)).collect())
    }

    /// Notes that a mail is on its way, or that there is nobody to send it to.
    ///
    /// # Errors
    /// [`RulesError::Store`].
    pub async fn mailed(&self, entry: Uuid, is_sent: bool) -> Result<(), RulesError> {
        let word = if is_sent { "sent" } else { "dropped" };
        let db = self.db();
        within_deadline(async {
            let mut session = Session::open(&db).await?;
            alert_history::mailed(session.connection(), entry, word).await?;
            session.done();
            Ok(())
        })
        .await?;
        Ok(())
    }
}

fn due(row: DueRow, rule: &AlertRule) -> DueMail {
    let to = if rule.recipients.is_empty() {
        row.owner_email.into_iter().collect()
    } else {
        rule.recipients.clone()
    };
    DueMail {
        entry: row.id,
        to,
        account_name: row.account_name,
        platform: row.platform,
        currency: row.currency,
        entity_name: row.entity_name,
        metric: row.metric,
        value: row.value,
        threshold: row.threshold,
        baseline: row.baseline,
        fired_at: row.at,
    }
}

fn entry(row: EntryRow) -> Result<AlertEntry, sqlx::Error> {
    Ok(AlertEntry {
        id: row.id,
        alert: AlertId(row.alert),
        account: AccountId(row.account),
        level: stored_word(&row.level)?,
        entity_id: row.entity_id,
        entity_name: row.entity_name,
        became: stored_word(&row.became)?,
        metric: row.metric,
        value: row.value,
        threshold: row.threshold,
        baseline: row.baseline,
        at: row.at,
        mail: row.mail,
    })
}
