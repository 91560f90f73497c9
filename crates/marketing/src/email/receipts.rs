//! A mail cannot be unsent, so each send leaves an intent before and a receipt after. An attempt that finds an intent
//! without a receipt cannot know whether the mail went out: it sends once more, with the same Message-ID, unless the mail is to
//! go out once at most.

use std::time::Duration;

use chrono::{DateTime, Utc};
use queue::JobId;
use sha2::{Digest, Sha256};
use sqlx::PgPool;

use crate::store::{
    Session, StoreError,
    email_sends::{self, Standing},
    within_deadline,
};

/// For how long a receipt is kept: longer than any key that names a day, a week or a year comes again.
const KEPT: Duration = Duration::from_secs(400 * 24 * 60 * 60);
/// Most receipts that are deleted at once.
const MOST_FORGOTTEN: i64 = 10_000;

/// What makes two sends the same mail: the job, on all its attempts and replays, or a key of the business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailIdentity(String);

impl MailIdentity {
    /// One mail for this job.
    #[must_use]
    pub fn of_job(job: JobId) -> Self {
        Self(format!("job-{}", job.0.as_simple()))
    }

    /// One mail for this key of this tenant. The key is hashed: it may name a person.
    #[must_use]
    pub fn of_business_key(tenant: Option<&str>, key: &str) -> Self {
        let mut hash = Sha256::new();
        match tenant {
            Some(tenant) => {
                hash.update(b"tenant");
                hash.update(Sha256::digest(tenant));
            }
            None => hash.update(b"no tenant"),
        }
        hash.update(key);
        Self(format!("key-{}", hex::encode(hash.finalize())))
    }

    /// The mail's Message-ID, the same for the same mail and domain.
    #[must_use]
    pub fn message_id(&self, domain: &str) -> String {
        format!("<{}@{domain}>", self.0)
    }
}

/// Whether a mail is to be sent now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Send it, with this Message-ID.
    Send {
        /// That of the first attempt.
        message_id: String,
        /// An earlier attempt may have delivered it.
        in_doubt: bool,
    },
    /// It was sent.
    AlreadySent {
        /// What it was sent with.
        message_id: String,
        /// When the server took it.
        sent_at: Option<DateTime<Utc>>,
    },
    /// Another job with the same business key is sending it.
    Underway,
    /// An earlier attempt may have delivered it, and it is to go out once at most.
    InDoubt {
        /// What it was sent with, if it was.
        message_id: String,
    },
}

/// How an attempt ended that has no receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsent {
    /// The server refused the mail, or was never asked.
    Refused,
    /// The connection broke before the server's answer.
    Unknown,
}

/// Stores the intent to send a mail; call [`record_sent`] or [`record_unsent`] afterwards. One that an earlier attempt may have
/// delivered is sent again while that is not longer ago than `again_within`, or always for `None`.
///
/// # Errors
/// When the database did not store it: do not send.
pub async fn begin_send(
    db: &PgPool,
    identity: &MailIdentity,
    job: JobId,
    message_id: &str,
    again_within: Option<Duration>,
) -> Result<Begun, StoreError> {
    let again_within_s = again_within.map(|time| time.as_secs_f64());
    within_deadline(async {
        let mut session = Session::open(db).await?;
        let connection = session.connection();
        let (key, job) = (&*identity.0, job.0);
        let intent =
            email_sends::begin(&mut *connection, key, job, message_id, again_within_s).await?;
        let begun = match intent {
            Some(intent) => Begun::Send {
                message_id: intent.message_id,
                in_doubt: intent.in_doubt,
            },
            None => {
                refused(email_sends::standing(&mut *connection, key, job, again_within_s).await?)
            }
        };
        session.done();
        Ok(begun)
    })
    .await
}

/// Why a mail is not to be sent now.
fn refused(standing: Standing) -> Begun {
    let message_id = standing.message_id;
    match standing.standing.as_str() {
        "sent" => Begun::AlreadySent {
            message_id,
            sent_at: standing.ended_at,
        },
        "in_doubt" => Begun::InDoubt { message_id },
        _ => Begun::Underway,
    }
}

/// Stores the receipt: the server took the mail.
///
/// # Errors
/// When the database did not store it. The mail is out all the same.
pub async fn record_sent(db: &PgPool, identity: &MailIdentity) -> Result<(), StoreError> {
    within_deadline(async {
        let mut session = Session::open(db).await?;
        email_sends::record_sent(session.connection(), &identity.0).await?;
        session.done();
        Ok(())
    })
    .await
}

/// Stores that this job's attempt ended without a receipt.
///
/// # Errors
/// When the database did not store it: the next attempt takes the mail for one in doubt.
pub async fn record_unsent(
    db: &PgPool,
    identity: &MailIdentity,
    job: JobId,
    how: Unsent,
) -> Result<(), StoreError> {
    let state = match how {
        Unsent::Refused => "failed",
        Unsent::Unknown => "unknown",
    };
    within_deadline(async {
        let mut session = Session::open(db).await?;
        email_sends::record_unsent(session.connection(), &identity.0, job.0, state).await?;
        session.done();
        Ok(())
    })
    .await
}

/// Deletes receipts of mails that were begun more than 400 days ago, up to 10,000 at a time; tells how many. A business key that
/// comes again after that sends again.
///
/// # Errors
/// When the database did not take part.
pub async fn forget_old_sends(db: &PgPool) -> Result<u64, StoreError> {
    within_deadline(async {
        let mut session = Session::open(db).await?;
        let conn = session.connection();
        let gone = email_sends::prune(conn, KEPT.as_secs_f64(), MOST_FORGOTTEN).await?;
        session.done();
        Ok(gone)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE_ID: &str = "<first@example.com>";

    fn send(in_doubt: bool) -> Begun {
        Begun::Send {
            message_id: MESSAGE_ID.to_owned(),
            in_doubt,
        }
    }

    #[sqlx::test(migrations = "../../migrations")]
    async fn a_mail_that_was_sent_is_not_sent_again(db: PgPool) -> anyhow::Result<()> {
        let mail = MailIdentity::of_business_key(Some("acme"), "welcome-42");
        let first = begin_send(&db, &mail, JobId::new(), MESSAGE_ID, None).await?;
        record_sent(&db, &mail).await?;

        let second = begin_send(&db, &mail, JobId::new(), "<second@example.com>", None).await?;

        assert_eq!(first, send(false));
        assert!(
            matches!(&second, Begun::AlreadySent { message_id, sent_at: Some(_) } if message_id == MESSAGE_ID),
            "{second:?}"
        );
        Ok(())
    }

    #[sqlx::test(migrations = "../../migrations")]
    async fn an_intent_without_receipt_is_sent_again_in_doubt_with_the_same_message_id(
        db: PgPool,
    ) -> anyhow::Result<()> {
        let job = JobId::new();
        let mail = MailIdentity::of_job(job);
        begin_send(&db, &mail, job, MESSAGE_ID, None).await?;

        let again = begin_send(&db, &mail, job, "<moved@example.org>", None).await?;

        assert_eq!(again, send(true));
        Ok(())
    }

    #[sqlx::test(migrations = "../../migrations")]
    async fn a_refused_mail_is_sent_again_without_doubt(db: PgPool) -> anyhow::Result<()> {
        let job = JobId::new();
        let mail = MailIdentity::of_job(job);
        begin_send(&db, &mail, job, MESSAGE_ID, None).await?;
        record_unsent(&db, &mail, job, Unsent::Refused).await?;

        let again = begin_send(&db, &mail, job, MESSAGE_ID, None).await?;

        assert_eq!(again, send(false));
        Ok(())
    }

    #[sqlx::test(migrations = "../../migrations")]
    async fn doubt_outlives_a_later_refusal(db: PgPool) -> anyhow::Result<()> {
        let job = JobId::new();
        let mail = MailIdentity::of_job(job);
        begin_send(&db, &mail, job, MESSAGE_ID, None).await?;
        record_unsent(&db, &mail, job, Unsent::Unknown).await?;
        begin_send(&db, &mail, job, MESSAGE_ID, None).await?;
        record_unsent(&db, &mail, job, Unsent::Refused).await?;

        let again = begin_send(&db, &mail, job, MESSAGE_ID, None).await?;

        assert_eq!(again, send(true));
        Ok(())
    }

    #[sqlx::test(migrations = "../../migrations")]
    async fn two_jobs_with_one_business_key_do_not_send_at_once(db: PgPool) -> anyhow::Result<()> {
        let mail = MailIdentity::of_business_key(None, "digest");
        let (first, second) = (JobId::new(), JobId::new());
        begin_send(&db, &mail, first, MESSAGE_ID, None).await?;

        let meanwhile = begin_send(&db, &mail, second, MESSAGE_ID, None).await?;
        record_unsent(&db, &mail, second, Unsent::Refused).await?;
        let still = begin_send(&db, &mail, second, MESSAGE_ID, None).await?;

        assert_eq!((meanwhile, still), (Begun::Underway, Begun::Underway));
        Ok(())
    }

    /// A mail that may have been delivered by an attempt that began so many hours ago.
    async fn in_doubt(db: &PgPool, hours_ago: i32) -> anyhow::Result<MailIdentity> {
        let mail = MailIdentity::of_business_key(None, "welcome-42");
        sqlx::query(
            "INSERT INTO marketing.email_sends (identity, job_id, message_id, state, begun_at, ended_at)
             VALUES ($1, gen_random_uuid(), $2, 'unknown', now() - make_interval(hours => $3), now())",
        )
        .bind(&mail.0)
        .bind(MESSAGE_ID)
        .bind(hours_ago)
        .execute(db)
        .await?;
        Ok(mail)
    }

    // Fails when a key that lets a mail out once lets it out a second time, after a crash or a refusal in between.
    #[sqlx::test(migrations = "../../migrations")]
    async fn what_goes_out_once_at_most_is_not_sent_again_in_doubt(
        db: PgPool,
    ) -> anyhow::Result<()> {
        let mail = MailIdentity::of_business_key(None, "welcome-42");
        let (job, other) = (JobId::new(), JobId::new());
        let once = Some(Duration::ZERO);
        let first = begin_send(&db, &mail, job, MESSAGE_ID, once).await?;
        record_unsent(&db, &mail, job, Unsent::Refused).await?;
        let after_refusal = begin_send(&db, &mail, job, MESSAGE_ID, once).await?;

        let after_crash = begin_send(&db, &mail, job, MESSAGE_ID, once).await?;
        let meanwhile = begin_send(&db, &mail, other, MESSAGE_ID, once).await?;
        record_unsent(&db, &mail, job, Unsent::Unknown).await?;
        let later = begin_send(&db, &mail, other, MESSAGE_ID, once).await?;

        let doubt = Begun::InDoubt {
            message_id: MESSAGE_ID.to_owned(),
        };
        assert_eq!((first, after_refusal), (send(false), send(false)));
        assert_eq!((&after_crash, &later), (&doubt, &doubt));
        assert_eq!(meanwhile, Begun::Underway);
        Ok(())
    }

    // Fails when the time of a vendor that knows mails again begins anew with each attempt.
    #[sqlx::test(migrations = "../../migrations")]
    async fn a_vendor_is_asked_again_for_as_long_as_it_knows_the_first_attempt(
        db: PgPool,
    ) -> anyhow::Result<()> {
        let known = Some(Duration::from_secs(23 * 3_600));
        let (mail, job) = (in_doubt(&db, 22).await?, JobId::new());

        let within = begin_send(&db, &mail, job, MESSAGE_ID, known).await?;
        record_unsent(&db, &mail, job, Unsent::Refused).await?;
        sqlx::query("UPDATE marketing.email_sends SET begun_at = begun_at - interval '2 hours'")
            .execute(&db)
            .await?;
        let beyond = begin_send(&db, &mail, job, MESSAGE_ID, known).await?;

        assert_eq!(within, send(true));
        assert!(matches!(beyond, Begun::InDoubt { .. }), "{beyond:?}");
        Ok(())
    }

    #[sqlx::test(migrations = "../../migrations")]
    async fn old_receipts_go_and_young_ones_stay(db: PgPool) -> anyhow::Result<()> {
        for (identity, days) in [("old", 401), ("young", 399)] {
            sqlx::query(
                "INSERT INTO marketing.email_sends (identity, job_id, message_id, state, begun_at, ended_at)
                 VALUES ($1, gen_random_uuid(), '<x@y>', 'sent', now() - make_interval(days => $2), now())",
            )
            .bind(identity)
            .bind(days)
            .execute(&db)
            .await?;
        }

        let gone = forget_old_sends(&db).await?;

        let left: Vec<String> = sqlx::query_scalar("SELECT identity FROM marketing.email_sends")
            .fetch_all(&db)
            .await?;
        assert_eq!((gone, left), (1, vec!["young".to_owned()]));
        Ok(())
    }

    #[test]
    fn tenants_do_not_share_business_keys() {
        let identities = [
            MailIdentity::of_business_key(None, "welcome"),
            MailIdentity::of_business_key(Some(""), "welcome"),
            MailIdentity::of_business_key(Some("a"), "welcome"),
            MailIdentity::of_business_key(Some("awel"), "come"),
        ];

        for (index, identity) in identities.iter().enumerate() {
            assert!(!identities[..index].contains(identity), "{identity:?}");
        }
    }

    #[test]
    fn the_message_id_is_stable_and_names_nobody() {
        let by_key = MailIdentity::of_business_key(None, "welcome:ada@example.com");
        let by_job = MailIdentity::of_job(JobId(
            "0192f7c4-0000-7000-8000-000000000001"
                .parse()
                .expect("a UUID"),
        ));

        assert_eq!(
            by_job.message_id("example.com"),
            "<job-0192f7c4000070008000000000000001@example.com>"
        );
        assert_eq!(
            by_key.message_id("x.org"),
            by_key.clone().message_id("x.org")
        );
        assert!(!by_key.message_id("x.org").contains("ada"));
    }
}
