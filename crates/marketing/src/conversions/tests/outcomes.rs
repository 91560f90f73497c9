//! Deliveries to a destination that only accepts at once and says later what became of a request, and what others are told of
//! events that are refused.

use std::sync::{Mutex, PoisonError};

use chrono::DateTime;
use providers::{
    Error as ProviderError,
    meta::conversions::Refused,
    platform::{Receipt, RequestOutcome},
};

use super::*;
use crate::conversions::{carrier::Carrier, delivery::deliver_by};

/// Accepts everything with the request `request-N`, and says of requests what it is told to.
struct Fake {
    outcome: Result<RequestOutcome, ProviderError>,
    /// For each event that was sent whether it had a request of its own.
    sent: Mutex<Vec<bool>>,
    asked: Mutex<Vec<(String, usize)>>,
}

impl Fake {
    fn saying(outcome: RequestOutcome) -> Self {
        Self {
            outcome: Ok(outcome),
            sent: Mutex::default(),
            asked: Mutex::default(),
        }
    }

    fn sent(&self) -> Vec<bool> {
        self.sent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn asked(&self) -> Vec<(String, usize)> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Carrier for Fake {
    type Ready = ();

    fn dedupes_hours(&self) -> u32 {
        47
    }

    fn prepare(&self, event: &Event, now: DateTime<Utc>) -> Result<((), Vec<String>), Refused> {
        if now.timestamp() - event.event_time > 90 * 86_400 {
            return Err(Refused {
                reasons: vec![("/event_time".to_owned(), "has expired".to_owned())],
                expired: true,
            });
        }
        Ok(((), vec!["/opt_out: no use".to_owned()]))
    }

    async fn send(&self, events: Vec<((), bool)>) -> Vec<Result<Receipt, ProviderError>> {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = events.iter().map(|((), is_alone)| {
            let request = if *is_alone { "alone" } else { "request-1" };
            Ok(Receipt {
                request_id: Some(request.to_owned()),
                messages: Vec::new(),
                is_pending: true,
            })
        });
        let answers = answers.collect();
        sent.extend(events.iter().map(|((), is_alone)| *is_alone));
        answers
    }

    async fn outcome(&self, request_id: &str, of: usize) -> Result<RequestOutcome, ProviderError> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((request_id.to_owned(), of));
        self.outcome.clone()
    }
}

async fn delivered(
    fake: &Fake,
    db: &PgPool,
    events: &[Pending],
) -> Result<Vec<&'static str>, StoreError> {
    let address = Address {
        tenant: Some("acme"),
        destination: Destination::GoogleAds,
        account: None,
        dataset: "700000001",
        test_event_code: None,
    };
    let delivered = deliver_by(db, fake, &address, events).await?;
    Ok(delivered.iter().map(|event| word(&event.fate)).collect())
}

fn two(job: JobId) -> [Pending; 2] {
    ["a", "b"].map(|id| pending(job, id))
}

// Fails when an event that was accepted is sent again, or called sent before it is counted.
#[sqlx::test(migrations = "../../migrations")]
async fn what_was_accepted_is_asked_for_and_not_sent_again(db: PgPool) -> anyhow::Result<()> {
    let job = JobId::new();
    let processing = Fake::saying(RequestOutcome::Pending);

    let first = delivered(&processing, &db, &two(job)).await?;
    let second = delivered(&processing, &db, &two(job)).await?;
    let done = Fake::saying(RequestOutcome::Done);
    let third = delivered(&done, &db, &two(job)).await?;
    let replay = delivered(&done, &db, &two(JobId::new())).await?;

    assert_eq!((first, second), (vec!["later"; 2], vec!["later"; 2]));
    assert_eq!(processing.sent().len(), 2);
    assert_eq!(processing.asked(), [("request-1".to_owned(), 2)]);
    assert_eq!(third, ["sent"; 2]);
    assert_eq!(replay, ["already sent"; 2]);
    assert_eq!(testing::states(&db).await?, ["a sent", "b sent"]);
    Ok(())
}

// Fails when nobody learns which event of a request was not counted.
#[sqlx::test(migrations = "../../migrations")]
async fn of_a_request_that_failed_in_part_each_event_goes_alone(db: PgPool) -> anyhow::Result<()> {
    let job = JobId::new();
    let unclear = Fake::saying(RequestOutcome::Unclear);
    delivered(&unclear, &db, &two(job)).await?;
    let asked = delivered(&unclear, &db, &two(job)).await?;

    let alone = Fake::saying(RequestOutcome::Refused {
        reason: "DENIED_CONSENT".to_owned(),
        expired: false,
    });
    delivered(&alone, &db, &two(job)).await?;

    assert_eq!(asked, ["later"; 2]);
    assert_eq!(alone.sent(), [true; 2]);
    Ok(())
}

// Fails when a refusal is not told, or told with every attempt, or told of a person.
#[sqlx::test(migrations = "../../migrations")]
async fn a_refused_event_is_told_once(db: PgPool) -> anyhow::Result<()> {
    let job = JobId::new();
    let refusing = Fake::saying(RequestOutcome::Refused {
        reason: "EVENT_TOO_OLD".to_owned(),
        expired: true,
    });
    let event = [pending(job, "a")];
    delivered(&refusing, &db, &event).await?;

    let refused = delivered(&refusing, &db, &event).await?;
    let again = delivered(&refusing, &db, &event).await?;

    assert_eq!((refused, again), (vec!["expired"], vec!["expired"]));
    let told = testing::told(&db).await?;
    assert_eq!(told.len(), 1);
    assert_eq!(
        (
            &told[0]["destination"],
            &told[0]["event_id"],
            &told[0]["expired"]
        ),
        (&json!("google_ads"), &json!("a"), &json!(true))
    );
    assert_eq!(told[0]["reasons"][0]["code"], "EVENT_TOO_OLD");
    assert!(!told[0].to_string().contains("ada@example.com"));
    Ok(())
}

// Fails when what a destination quotes of a person is stored with the event and told to endpoints.
#[sqlx::test(migrations = "../../migrations")]
async fn what_a_destination_quotes_of_a_person_is_kept_by_nobody(db: PgPool) -> anyhow::Result<()> {
    let server = MockServer::start().await;
    let quoting = ResponseTemplate::new(400).set_body_json(json!({
        "error": {"message": "Lovelace, 16505550100 is bad", "type": "OAuthException", "code": 100}
    }));
    answers(&server, quoting).await;
    let people = json!({"user_data": {"ln": "Lovelace", "ph": "+1 650 555 0100"}});
    let event = Pending {
        event: event("Lead", &people),
        ..pending(JobId::new(), "a")
    };

    let fates = deliver_to(&server, &db, &[event]).await?;

    assert_eq!(fates, ["refused"]);
    let told = testing::told(&db).await?;
    let told = told[0]["reasons"].to_string();
    assert!(told.contains("is bad"), "{told}");
    assert!(
        !told.contains("Lovelace") && !told.contains("5550100"),
        "{told}"
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_is_put_off_waits_and_is_given_up_where_once_is_enough(
    db: PgPool,
) -> anyhow::Result<()> {
    let job = JobId::new();
    let event = [pending(job, "a")];
    let missing = Fake::saying(RequestOutcome::Again {
        hours: 24,
        reason: "CLICK_NOT_FOUND".to_owned(),
        once: true,
    });
    delivered(&missing, &db, &event).await?;
    let put_off = delivered(&missing, &db, &event).await?;

    let too_soon = delivered(&missing, &db, &event).await?;
    testing::let_be_due(&db).await?;
    let sent_again = delivered(&missing, &db, &event).await?;
    let given_up = delivered(&missing, &db, &event).await?;

    assert_eq!((put_off, too_soon), (vec!["later"], vec!["later"]));
    assert_eq!((sent_again, given_up), (vec!["later"], vec!["refused"]));
    assert_eq!(missing.sent().len(), 2);
    Ok(())
}

// Fails when two jobs send one event at once, or when a job that died keeps it from being sent for ever.
#[sqlx::test(migrations = "../../migrations")]
async fn what_one_job_is_sending_another_one_leaves_to_it(db: PgPool) -> anyhow::Result<()> {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(502))
        .up_to_n_times(1)
        .with_priority(1)
        .mount(&server)
        .await;
    answers(&server, taken()).await;
    let (first, second) = (JobId::new(), JobId::new());

    let unanswered = deliver_to(&server, &db, &[pending(first, "order-1")]).await?;
    let meanwhile = deliver_to(&server, &db, &[pending(second, "order-1")]).await?;
    let calls_meanwhile = calls(&server).await;
    testing::let_go(&db).await?;
    let afterwards = deliver_to(&server, &db, &[pending(second, "order-1")]).await?;

    assert_eq!((unanswered, meanwhile), (vec!["failed"], vec!["later"]));
    assert_eq!(calls_meanwhile, 1);
    assert_eq!(afterwards, ["sent"]);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_was_accepted_in_time_is_on_its_way_however_old_it_becomes(
    db: PgPool,
) -> anyhow::Result<()> {
    let job = JobId::new();
    let done = Fake::saying(RequestOutcome::Done);
    delivered(&done, &db, &[pending(job, "a")]).await?;
    let event_time = Utc::now().timestamp() - 91 * 86_400;
    let old = Pending {
        event: event("Lead", &json!({ "event_time": event_time })),
        ..pending(job, "a")
    };

    let fates = delivered(&done, &db, &[old]).await?;

    assert_eq!(fates, ["sent"]);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_is_too_old_for_every_destination_is_forgotten(db: PgPool) -> anyhow::Result<()> {
    let server = MockServer::start().await;
    answers(&server, taken()).await;
    deliver_to(&server, &db, &[pending(JobId::new(), "new")]).await?;
    deliver_to(&server, &db, &[pending(JobId::new(), "old")]).await?;
    sqlx::query(
        "UPDATE marketing.conversion_events SET updated_at = now() - interval '101 days' WHERE event_id = 'old'",
    )
    .execute(&db)
    .await?;

    let deleted = prune(&db).await?;

    assert_eq!(deleted, 1);
    assert_eq!(testing::states(&db).await?, ["new sent"]);
    Ok(())
}
