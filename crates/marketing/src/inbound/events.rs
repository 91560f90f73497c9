//! Events on their way in: checked, split, stored with the jobs that look after them, and read by those. Nothing is said to
//! the platform before all of that is on disk.

use std::{collections::BTreeMap, panic::resume_unwind};

use chrono::{DateTime, Utc};
use providers::platform::Platform;
use serde_json::Value;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::{
    Inbound, InboundEventId,
    engagement::Engagement,
    signature::is_signed,
    split::{Change, Split, split},
};
use crate::{
    accounts::AccountsError,
    metrics,
    store::{
        Session, StoreError,
        inbound_events::{self, InboundRow, NewEvents},
        within_deadline,
    },
};

/// Bodies beyond take so long to be checked and read that they would hold up everybody else on their thread.
const LARGE_BYTES: usize = 256 << 10;
/// The kind of the jobs that look after events.
const PROCESS: &str = "webhook.process";

/// An event as it is stored. No `Debug`: it may be about a person.
#[derive(Clone)]
pub struct InboundEvent {
    /// Ours.
    pub id: InboundEventId,
    /// What it is about, in the platform's word: `page`.
    pub object: String,
    /// The platform's id of that.
    pub entry_id: String,
    /// What of it changed: `leadgen`.
    pub field: String,
    /// What the platform says of it.
    pub value: Value,
    /// When it was sent, by the platform's clock.
    pub sent_at: Option<DateTime<Utc>>,
    /// When it was stored.
    pub received_at: DateTime<Utc>,
}

/// What an event tells of.
#[derive(Clone)]
pub enum Subject {
    /// A lead, by the platform's id; its answers are to be fetched.
    Lead(String),
    /// What somebody said or did at a Page or an Instagram account.
    Engagement(Box<Engagement>),
    /// What a person granted has changed.
    Permissions,
    /// Something that an ad account holds has changed.
    AdObjects,
    /// Nothing that this release acts on.
    Other,
}

impl InboundEvent {
    /// What it tells of.
    #[must_use]
    pub fn subject(&self) -> Subject {
        match (self.object.as_str(), self.field.as_str()) {
            ("page", "leadgen") => match self.value.get("leadgen_id").and_then(id_of) {
                Some(lead) => Subject::Lead(lead),
                None => Subject::Other,
            },
            ("page" | "instagram", _) => match Engagement::of(self) {
                Some(engagement) => Subject::Engagement(Box::new(engagement)),
                None => Subject::Other,
            },
            ("permissions" | "user", _) => Subject::Permissions,
            ("ad_account", _) => Subject::AdObjects,
            _ => Subject::Other,
        }
    }
}

impl Inbound {
    /// Takes what Meta sends: events that are new are stored, each with a job for every account that it is about. Tells how
    /// many were new.
    ///
    /// # Errors
    /// [`AccountsError::NotSigned`], [`AccountsError::NotSetUp`] without the app's secret, and when the database did not take
    /// part: Meta sends it again then.
    pub async fn receive(
        &self,
        signature: Option<Vec<u8>>,
        body: impl AsRef<[u8]> + Send + 'static,
    ) -> Result<u64, AccountsError> {
        let provider = Platform::Meta.as_str();
        let is_large = body.as_ref().len() > LARGE_BYTES;
        let inbound = self.clone();
        let read = move || inbound.read(signature.as_deref(), body.as_ref());
        let changes = if is_large {
            match spawn_blocking(read).await {
                Ok(read) => read,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => resume_unwind(panic),
                    Err(_ended) => Err(StoreError::Silent.into()),
                },
            }
        } else {
            read()
        };
        let stored = match changes {
            Ok(changes) => self.store(provider, changes).await,
            Err(error) => Err(error),
        };
        match &stored {
            Ok((new, copies)) => {
                metrics::webhooks_received(provider, "stored", *new);
                metrics::webhooks_received(provider, "duplicate", *copies);
            }
            Err(AccountsError::NotSigned) => metrics::webhooks_received(provider, "refused", 1),
            Err(_) => metrics::webhooks_received(provider, "failed", 1),
        }
        stored.map(|(new, _)| new)
    }

    /// Checks a body and splits it.
    fn read(
        &self,
        signature: Option<&[u8]>,
        body: &[u8],
    ) -> Result<BTreeMap<String, Change>, AccountsError> {
        let settings = self.0.settings();
        let secret = settings.meta_app_secret.as_ref();
        let secret = secret.ok_or(AccountsError::NotSetUp(
            "set MILLPOND_META_APP_SECRET: Meta signs its events with it",
        ))?;
        let secrets = std::iter::once(secret).chain(&settings.meta_app_secret_before);
        if !is_signed(signature, body, secrets) {
            return Err(AccountsError::NotSigned);
        }
        let Split {
            changes,
            unreadable,
        } = split(body);
        if let Some(error) = unreadable {
            let provider = Platform::Meta.as_str();
            metrics::webhooks_received(provider, "unreadable", 1);
            tracing::warn!(provider.name = provider, size_bytes = body.len(), error = %error,
                "a signed request cannot be read: it is kept as one event, and nothing is made of it");
        }
        Ok(changes)
    }

    /// Stores events in the order of their keys, so that two requests with the same ones do not wait for one another in turn.
    /// Tells how many were new and how many were not.
    async fn store(
        &self,
        provider: &'static str,
        changes: BTreeMap<String, Change>,
    ) -> Result<(u64, u64), AccountsError> {
        let all = changes.len() as u64;
        let mut events = NewEvents::default();
        for (key, change) in changes {
            events.ids.push(Uuid::now_v7());
            events.keys.push(key);
            events.objects.push(change.object);
            events.entry_ids.push(change.entry_id);
            events.fields.push(change.field);
            events.values.push(change.value.to_string());
            events.sent.push(change.sent_at);
        }
        let db = self.0.db();
        let new = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let new = inbound_events::store(session.connection(), provider, &events).await?;
            session.done();
            Ok(new)
        })
        .await?;
        let new = new.unsigned_abs();
        if new > 0 {
            self.0.queue().ring_for(PROCESS);
        }
        Ok((new, all.saturating_sub(new)))
    }

    /// An event; `None`: it is not kept any more.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn event(&self, id: InboundEventId) -> Result<Option<InboundEvent>, AccountsError> {
        let db = self.0.db();
        let row = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let row = inbound_events::get(session.connection(), id.0).await?;
            session.done();
            row.map(event).transpose()
        });
        Ok(row.await?)
    }
}

fn event(row: InboundRow) -> Result<InboundEvent, sqlx::Error> {
    let value = serde_json::from_str(&row.value);
    Ok(InboundEvent {
        id: InboundEventId(row.id),
        object: row.object,
        entry_id: row.entry_id,
        field: row.field,
        value: value.map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        sent_at: row.sent_at,
        received_at: row.received_at,
    })
}

/// An id, which may be a number or text.
pub(super) fn id_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A time in Unix seconds, or in milliseconds as messages have it; text of either.
pub(super) fn time_of(value: &Value) -> Option<DateTime<Utc>> {
    /// Seconds of the year 5138, and milliseconds of 1973.
    const FROM_HERE_IN_MS: i64 = 100_000_000_000;
    let number = match value {
        Value::Number(number) => number.as_i64()?,
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    match number {
        ..=0 => None,
        FROM_HERE_IN_MS.. => {
            DateTime::from_timestamp_millis(number).filter(|at| at.timestamp() < FROM_HERE_IN_MS)
        }
        _ => DateTime::from_timestamp(number, 0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_read_in_seconds_and_in_milliseconds() {
        let expected: Option<DateTime<Utc>> = "2025-11-20T12:00:00Z".parse().ok();

        for value in [
            json!(1_763_640_000),
            json!("1763640000"),
            json!(1_763_640_000_000_i64),
        ] {
            assert_eq!(time_of(&value), expected, "{value}");
        }
        for value in [
            json!(0),
            json!(-5),
            json!("soon"),
            json!(i64::MAX),
            json!(null),
        ] {
            assert_eq!(time_of(&value), None, "{value}");
        }
    }
}
