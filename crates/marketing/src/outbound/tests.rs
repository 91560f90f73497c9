//! Endpoints against a database of their own. What is sent is tested where it is sent.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use providers::platform::{Door, OpenDoor};
use queue::{Database, KindInfo, PageRequest, Queue, config::Config};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::*;
use crate::{Platforms, accounts::AccountsSettings};

const KEY: &str = "k1:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const BOTH_KEYS: &str = "k2:ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100,\
                         k1:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Accounts of a process with these keys, which knows how messages are sent.
async fn accounts(db: &PgPool, keys: &str) -> anyhow::Result<Accounts> {
    let deliver = KindInfo {
        name: DELIVER.into(),
        schema: Arc::new(json!(true)),
        batch: None,
        late: None,
    };
    let config = Arc::new(Config::builtin());
    let queue = Queue::new(Database::from_pool(db.clone()), config, [deliver])?;
    queue.announce().await?;
    let cipher = Cipher::read(&SecretString::from(keys))?;
    let door: Arc<dyn Door> = Arc::new(OpenDoor);
    let parts = (Platforms::default(), door);
    let settings = AccountsSettings::default();
    Ok(Accounts::new(
        queue,
        Some(Arc::new(cipher)),
        parts,
        settings,
    ))
}

fn actor() -> Actor {
    Actor {
        name: "test".to_owned(),
        tenant: None,
    }
}

fn wanting(events: &[&str]) -> NewEndpoint {
    NewEndpoint {
        tenant: Some("acme".to_owned()),
        url: "https://hooks.example.com/in".to_owned(),
        events: events.iter().map(|event| (*event).to_owned()).collect(),
        ..NewEndpoint::default()
    }
}

/// A job that died.
async fn dead(
    db: &PgPool,
    kind: &str,
    tenant: Option<&str>,
    payload: &Value,
) -> anyhow::Result<()> {
    sqlx::query(
        "INSERT INTO millpond.dead_letters
                (id, queue, kind, priority, run_at, created_at, attempts_used, tenant, payload, error_class, error, fingerprint)
         VALUES (gen_random_uuid(), 'default', $1, 5, now(), now(), 8, $2, $3, 'transient', 'it broke', 'f')",
    )
    .bind(kind)
    .bind(tenant)
    .bind(payload)
    .execute(db)
    .await?;
    Ok(())
}

async fn bodies(db: &PgPool) -> anyhow::Result<Vec<Value>> {
    let sql = "SELECT body FROM marketing.webhook_deliveries ORDER BY seq";
    let texts: Vec<String> = sqlx::query_scalar(sql).fetch_all(db).await?;
    let read = texts.iter().map(|text| serde_json::from_str(text));
    Ok(read.collect::<Result<_, _>>()?)
}

// Fails when a dead job is told to another tenant or to nobody, or what its payload says is told.
#[sqlx::test(migrations = "../../migrations")]
async fn a_job_that_died_is_told_to_its_tenant_alone(db: PgPool) -> anyhow::Result<()> {
    let outbound = Outbound::new(&accounts(&db, KEY).await?);
    let payload = json!({ "to": "canary@example.com" });
    dead(&db, "email.send", Some("acme"), &payload).await?;
    outbound.create(&wanting(&["job.dead"]), &actor()).await?;

    for tenant in [None, Some("umbrella"), Some("acme")] {
        dead(&db, "email.send", tenant, &payload).await?;
    }
    let done = outbound.fan_out().await?;

    assert_eq!((done.events, done.deliveries), (1, 1));
    let told = bodies(&db).await?;
    assert_eq!(told[0]["type"], "job.dead");
    let data = &told[0]["data"];
    assert_eq!(
        (&data["kind"], &data["error_class"], &data["attempts"]),
        (&json!("email.send"), &json!("transient"), &json!(8))
    );
    assert!(!told[0].to_string().contains("canary"));
    Ok(())
}

// Fails when a message that was given up is one more event for the endpoint that does not take it, or when a payload that
// somebody wrote by hand keeps jobs from being buried.
#[sqlx::test(migrations = "../../migrations")]
async fn a_message_that_was_given_up_is_marked_and_no_event(db: PgPool) -> anyhow::Result<()> {
    let outbound = Outbound::new(&accounts(&db, KEY).await?);
    let (endpoint, _) = outbound.create(&wanting(&[]), &actor()).await?;
    let sent = outbound.test(endpoint.id, Utc::now(), &actor()).await?;
    let payload = json!({ "delivery_id": sent.id.0 });

    for payload in [json!({ "delivery_id": "x" }), json!([1]), json!("x")] {
        dead(&db, DELIVER, Some("acme"), &payload).await?;
    }
    dead(&db, DELIVER, Some("umbrella"), &payload).await?;
    let page = PageRequest::new(None, None)?;
    let state = async || -> anyhow::Result<DeliveryState> {
        let all = outbound
            .deliveries(endpoint.id, None, (None, &page))
            .await?;
        Ok(all.items[0].state)
    };
    let of_another = state().await?;
    dead(&db, DELIVER, Some("acme"), &payload).await?;

    assert_eq!(of_another, DeliveryState::Pending);
    assert_eq!(state().await?, DeliveryState::Failed);
    assert_eq!(outbound.fan_out().await?.events, 0);
    Ok(())
}

// Fails when a job whose payload PostgreSQL cannot take apart is never buried, and is run for ever.
#[sqlx::test(migrations = "../../migrations")]
async fn a_payload_that_postgres_cannot_read_keeps_no_job_from_being_buried(
    db: PgPool,
) -> anyhow::Result<()> {
    for kind in [DELIVER, "sync.account", "sync.insights"] {
        sqlx::query(
            "INSERT INTO millpond.dead_letters
                    (id, queue, kind, priority, run_at, created_at, attempts_used, payload, error_class, error, fingerprint)
             VALUES (gen_random_uuid(), 'default', $1, 5, now(), now(), 8, $2::text::json, 'invalid', 'it broke', 'f')",
        )
        .bind(kind)
        .bind(r#"{"account_id": "\u0000", "delivery_id": "\u0000"}"#)
        .execute(&db)
        .await?;
    }

    let buried: i64 = sqlx::query_scalar("SELECT count(*) FROM millpond.dead_letters")
        .fetch_one(&db)
        .await?;
    assert_eq!(buried, 3);
    Ok(())
}

// Fails when of two new secrets one goes on for ever, which somebody wanted to end.
#[sqlx::test(migrations = "../../migrations")]
async fn secrets_that_are_changed_at_once_leave_one_that_does_not_end(
    db: PgPool,
) -> anyhow::Result<()> {
    let outbound = Outbound::new(&accounts(&db, KEY).await?);
    let (endpoint, _) = outbound.create(&wanting(&[]), &actor()).await?;
    let actor = actor();
    let rotate = || Box::pin(outbound.rotate_secret(endpoint.id, Duration::from_secs(60), &actor));

    let (first, second, third, fourth) = tokio::join!(rotate(), rotate(), rotate(), rotate());

    assert!(first.is_ok() && second.is_ok() && third.is_ok() && fourth.is_ok());
    let for_ever: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM marketing.webhook_secrets WHERE expires_at IS NULL",
    )
    .fetch_one(&db)
    .await?;
    assert_eq!(for_ever, 1);
    Ok(())
}

// Fails when somebody who has mended an endpoint waits up to a day for what is to be sent again.
#[sqlx::test(migrations = "../../migrations")]
async fn what_waits_for_its_next_attempt_is_sent_again_at_once(db: PgPool) -> anyhow::Result<()> {
    let outbound = Outbound::new(&accounts(&db, KEY).await?);
    let (endpoint, _) = outbound.create(&wanting(&[]), &actor()).await?;
    outbound.test(endpoint.id, Utc::now(), &actor()).await?;
    sqlx::query(
        "UPDATE millpond.jobs SET state = 'scheduled', run_at = now() + interval '20 hours', attempt = 8, attempts_used = 8
          WHERE kind = 'webhook.deliver'",
    )
    .execute(&db)
    .await?;
    let hour = Duration::from_secs(60 * 60);

    let span = (Utc::now() - hour, Utc::now() + hour);
    let again = outbound.send_again(endpoint.id, span, &actor()).await?;

    assert_eq!((again.count, again.is_all), (1, true));
    let jobs: Vec<(String, i32)> =
        sqlx::query_as("SELECT state, attempts_used::int4 FROM millpond.jobs")
            .fetch_all(&db)
            .await?;
    assert_eq!(jobs, [("ready".to_owned(), 0)]);
    Ok(())
}

// Fails when an endpoint that asks to be left alone is called all the same because it took another message just before.
#[sqlx::test(migrations = "../../migrations")]
async fn a_pause_outlives_what_gets_through_meanwhile(db: PgPool) -> anyhow::Result<()> {
    let outbound = Outbound::new(&accounts(&db, KEY).await?);
    let (endpoint, _) = outbound.create(&wanting(&[]), &actor()).await?;
    sqlx::query(
        "INSERT INTO marketing.events (kind, tenant, data) SELECT 'sync.failed', 'acme', '{}' FROM generate_series(1, 2)",
    )
    .execute(&db)
    .await?;
    outbound.fan_out().await?;
    let page = PageRequest::new(None, None)?;
    let made = outbound
        .deliveries(endpoint.id, None, (None, &page))
        .await?;
    let [refused, taken] = made.items.as_slice() else {
        panic!("two messages: {}", made.items.len());
    };
    let answered = |status, pause| Attempted {
        status: Some(status),
        duration: Duration::from_millis(5),
        excerpt: String::new(),
        is_taken: status == 200,
        pause,
    };
    let tenant = Some("acme");

    let busy = answered(429, Some(Duration::from_secs(600)));
    outbound.attempted(refused.id, tenant, &busy).await?;
    outbound
        .attempted(taken.id, tenant, &answered(200, None))
        .await?;

    let next = outbound.next_step(refused.id, tenant).await?;
    assert!(matches!(next, NextStep::Wait(left) if left > Duration::from_secs(500)));
    let shown = outbound.get(endpoint.id, None).await?;
    assert_eq!((shown.failures, shown.failing_since), (0, None));
    Ok(())
}

// Fails when a secret lies open in the database, or key rotation leaves it behind.
#[sqlx::test(migrations = "../../migrations")]
async fn secrets_lie_sealed_and_go_over_to_a_new_key(db: PgPool) -> anyhow::Result<()> {
    let outbound = Outbound::new(&accounts(&db, KEY).await?);
    let (_, secret) = outbound.create(&wanting(&[]), &actor()).await?;

    let stored: Vec<Vec<u8>> = sqlx::query_scalar("SELECT secret FROM marketing.webhook_secrets")
        .fetch_all(&db)
        .await?;
    let newer = accounts(&db, BOTH_KEYS).await?;
    let rotated = newer.rotate_secrets(&actor()).await?;
    let verified = newer.verify_secrets().await?;
    let uses = newer.keys_in_use().await?;

    let plain = secret.expose_secret().as_bytes();
    assert!(!stored[0].windows(plain.len()).any(|window| window == plain));
    assert_eq!((rotated.rows, rotated.left), (1, 0));
    assert_eq!((verified.values, verified.unopened), (1, 0));
    assert_eq!(uses.len(), 1);
    assert_eq!(uses[0].key_id.as_deref(), Some("k2"));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_is_too_large_for_a_message_is_left_out_of_it(db: PgPool) -> anyhow::Result<()> {
    let outbound = Outbound::new(&accounts(&db, KEY).await?);
    outbound.create(&wanting(&[]), &actor()).await?;
    sqlx::query(
        "INSERT INTO marketing.events (kind, tenant, account, data)
         VALUES ('entity.changed', 'acme', '00000000-0000-0000-0000-000000000001',
                 jsonb_build_object('changes', repeat('x', 20000)))",
    )
    .execute(&db)
    .await?;

    outbound.fan_out().await?;

    let told = bodies(&db).await?;
    assert_eq!(
        told[0]["data"],
        json!({ "left_out": true, "account_id": "00000000-0000-0000-0000-000000000001" })
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_tenant_has_so_many_endpoints_and_no_more(db: PgPool) -> anyhow::Result<()> {
    let outbound = Outbound::new(&accounts(&db, KEY).await?);
    for _ in 0..50 {
        outbound.create(&wanting(&[]), &actor()).await?;
    }

    let refused = outbound.create(&wanting(&[]), &actor()).await;
    let other = NewEndpoint {
        tenant: Some("umbrella".to_owned()),
        ..wanting(&[])
    };
    let of_another = outbound.create(&other, &actor()).await;

    assert!(matches!(refused, Err(OutboundError::TooMany(50))));
    assert!(of_another.is_ok());
    Ok(())
}

// Fails when those who add endpoints at the same time do not count each other's.
#[sqlx::test(migrations = "../../migrations")]
async fn the_last_place_of_a_tenant_is_given_once(db: PgPool) -> anyhow::Result<()> {
    let outbound = Outbound::new(&accounts(&db, KEY).await?);
    sqlx::query(
        "INSERT INTO marketing.webhook_endpoints (id, tenant, url)
         SELECT gen_random_uuid(), 'acme', 'https://hooks.example.com/in' FROM generate_series(1, 49)",
    )
    .execute(&db)
    .await?;
    let (new, actor) = (wanting(&[]), actor());
    let add = || Box::pin(outbound.create(&new, &actor));

    let (first, second, third, fourth) = tokio::join!(add(), add(), add(), add());

    let all = [first, second, third, fourth];
    let refused = all.iter().filter(|made| made.is_err());
    for made in refused.clone() {
        assert!(matches!(made, Err(OutboundError::TooMany(50))));
    }
    assert_eq!(refused.count(), 3);
    Ok(())
}

// Fails when an endpoint is made for a tenant that no event and no job can have.
#[sqlx::test(migrations = "../../migrations")]
async fn a_tenant_that_no_job_could_have_gets_no_endpoint(db: PgPool) -> anyhow::Result<()> {
    let outbound = Outbound::new(&accounts(&db, KEY).await?);

    for tenant in [String::new(), "x".repeat(256), "a\nb".to_owned()] {
        let new = NewEndpoint {
            tenant: Some(tenant),
            ..wanting(&[])
        };
        let refused = outbound.create(&new, &actor()).await;

        let Err(error) = refused else {
            panic!("taken: {new:?}");
        };
        assert!(error.to_string().starts_with("/tenant "), "{error}");
    }
    Ok(())
}

// Fails when what customers were told is kept for ever, or secrets that have ended are.
#[sqlx::test(migrations = "../../migrations")]
async fn what_is_old_goes(db: PgPool) -> anyhow::Result<()> {
    let outbound = Outbound::new(&accounts(&db, KEY).await?);
    let (endpoint, _) = outbound.create(&wanting(&[]), &actor()).await?;
    outbound
        .rotate_secret(endpoint.id, Duration::ZERO, &actor())
        .await?;
    for _ in 0..2 {
        outbound.test(endpoint.id, Utc::now(), &actor()).await?;
    }
    sqlx::query(
        "UPDATE marketing.webhook_deliveries SET created_at = now() - interval '2 days'
          WHERE seq = (SELECT min(seq) FROM marketing.webhook_deliveries)",
    )
    .execute(&db)
    .await?;

    let day = Duration::from_secs(24 * 60 * 60);
    let first = outbound.prune(day).await?;
    let second = outbound.prune(day).await?;

    assert_eq!((first, second), ((1, 1), (0, 0)));
    Ok(())
}
