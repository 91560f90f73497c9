//! Sending one delivery: what is sent and signed with what, and what follows from how it went. The call itself is the job's.

use std::time::Duration;

use providers::webhook::Signer;
use sqlx::Connection as _;

use super::{DeliveryId, DeliveryState, Outbound, OutboundError, TEST_EVENT, secrets::open};
use crate::store::{
    Session,
    outbound_deliveries::{self, AttemptColumns, AttemptRow},
    outbound_endpoints::{self, SecretRow},
    within_deadline,
};

/// Longest pause that an endpoint is granted.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest excerpt that is kept, in bytes.
const LONGEST_EXCERPT: usize = 1_024;
/// Why an endpoint is switched off that says so itself.
const IS_GONE: &str = "it answered with status 410: it is gone";

/// What to do with a delivery now. No `Debug`: it holds keys.
pub enum NextStep {
    /// Send this.
    Send(Message),
    /// The endpoint asks to be left alone for so long.
    Wait(Duration),
    /// It got through before.
    Done,
    /// The endpoint is switched off; that is noted.
    Missed,
    /// There is no such delivery, or its endpoint was deleted.
    Gone,
}

/// A message to an endpoint. No `Debug`: it holds keys.
pub struct Message {
    /// The id that is the same on every attempt.
    pub id: String,
    /// Where to.
    pub url: String,
    /// The very bytes.
    pub body: String,
    /// Signs with every secret that holds, the newest first.
    pub signer: Signer,
}

/// How an attempt went.
#[derive(Debug, Clone)]
pub struct Attempted {
    /// What the endpoint answered; `None`: nothing.
    pub status: Option<u16>,
    /// How long it took.
    pub duration: Duration,
    /// The beginning of the answer, or why there was none, without secrets; at most 1 KiB is kept.
    pub excerpt: String,
    /// Whether the endpoint took the message.
    pub is_taken: bool,
    /// For how long the endpoint asks to be left alone.
    pub pause: Option<Duration>,
}

/// What follows from an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    /// It got through.
    Taken,
    /// It is sent again as the plan says.
    Failed,
    /// The endpoint said that it is gone, and is switched off.
    SwitchedOff,
}

impl Outbound {
    /// What to do with a delivery of a tenant now.
    ///
    /// # Errors
    /// [`OutboundError::NoKeys`] and [`OutboundError::Sealed`] where its secrets cannot be read.
    pub async fn next_step(
        &self,
        id: DeliveryId,
        tenant: Option<&str>,
    ) -> Result<NextStep, OutboundError> {
        let db = self.db();
        let (row, secrets) = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let conn = session.connection();
            let tenant = tenant.unwrap_or_default();
            let row = outbound_deliveries::for_attempt(&mut *conn, id.0, tenant).await?;
            let secrets = match &row {
                Some(row) => outbound_endpoints::secrets(&mut *conn, row.endpoint).await?,
                None => Vec::new(),
            };
            if row.as_ref().is_some_and(is_missed) {
                outbound_deliveries::miss(&mut *conn, id.0).await?;
            }
            session.done();
            Ok((row, secrets))
        })
        .await?;
        let Some(row) = row else {
            return Ok(NextStep::Gone);
        };
        if row.state == DeliveryState::Succeeded.as_str() {
            return Ok(NextStep::Done);
        }
        if is_missed(&row) {
            return Ok(NextStep::Missed);
        }
        let Some(url) = row.url else {
            return Ok(NextStep::Gone);
        };
        // Whoever tries an endpoint out wants to know now.
        let pause = row
            .paused_s
            .filter(|left_s| *left_s > 0.0 && row.event != TEST_EVENT);
        if let Some(left_s) = pause {
            let left = Duration::try_from_secs_f64(left_s).unwrap_or(LONGEST_PAUSE);
            return Ok(NextStep::Wait(left.min(LONGEST_PAUSE)));
        }
        Ok(NextStep::Send(Message {
            id: id.message_id(),
            url,
            body: row.body,
            signer: self.signer(&secrets)?,
        }))
    }

    fn signer(&self, secrets: &[SecretRow]) -> Result<Signer, OutboundError> {
        let cipher = self.cipher()?;
        let opened = secrets.iter().map(|secret| open(cipher, secret));
        let opened = opened.collect::<Result<Vec<_>, _>>()?;
        Signer::new(&opened).map_err(|_unusable| OutboundError::NoSecret)
    }

    /// Notes how an attempt went, of the delivery and of its endpoint, in one transaction.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn attempted(
        &self,
        id: DeliveryId,
        tenant: Option<&str>,
        attempt: &Attempted,
    ) -> Result<Followed, OutboundError> {
        let followed = match (attempt.is_taken, attempt.status) {
            (true, _) => Followed::Taken,
            (false, Some(410)) => Followed::SwitchedOff,
            (false, _) => Followed::Failed,
        };
        let excerpt = kept(&attempt.excerpt);
        let columns = AttemptColumns {
            status: attempt.status.map(i32::from),
            duration_ms: i64::try_from(attempt.duration.as_millis()).unwrap_or(i64::MAX),
            excerpt: &excerpt,
            state: state_after(followed).as_str(),
        };
        let pause_s = attempt
            .pause
            .map(|pause| pause.min(LONGEST_PAUSE).as_secs_f64());
        let db = self.db();
        let noted = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let tenant = tenant.unwrap_or_default();
            let row = outbound_deliveries::for_attempt(&mut *tx, id.0, tenant).await?;
            if let Some(AttemptRow { endpoint, .. }) = row {
                outbound_deliveries::note_attempt(&mut *tx, id.0, &columns).await?;
                match followed {
                    Followed::Taken => outbound_endpoints::succeeded(&mut *tx, endpoint).await?,
                    Followed::Failed => {
                        outbound_endpoints::failed(&mut *tx, endpoint, pause_s).await?;
                    }
                    Followed::SwitchedOff => {
                        let why = ("gone", IS_GONE);
                        outbound_endpoints::disable(&mut *tx, endpoint, why).await?;
                    }
                }
            }
            tx.commit().await?;
            session.done();
            Ok(())
        });
        noted.await?;
        Ok(followed)
    }
}

/// Whether an endpoint is not to be told, unless somebody tries it out.
fn is_missed(row: &AttemptRow) -> bool {
    row.status.as_deref() == Some("disabled") && row.event != TEST_EVENT
}

fn state_after(followed: Followed) -> DeliveryState {
    match followed {
        Followed::Taken => DeliveryState::Succeeded,
        Followed::Failed => DeliveryState::Pending,
        Followed::SwitchedOff => DeliveryState::Failed,
    }
}

/// As much of a text as is kept, without what the database does not take.
fn kept(text: &str) -> String {
    let mut kept = text.replace('\0', " ");
    let mut end = kept.len().min(LONGEST_EXCERPT);
    while !kept.is_char_boundary(end) {
        end -= 1;
    }
    kept.truncate(end);
    kept
}
