//! Events from their arrival to what is made of them, against a database.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, Mac};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use providers::{
    meta::Lead,
    platform::{Door, OpenDoor},
};
use queue::{Cipher, Database, PageRequest, Queue, config::Config};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::Sha256;
use sqlx::PgPool;
use uuid::Uuid;

use super::{Inbound, LeadFilter, LeadSource, NewLead, RetainedInbound, Subject};
use crate::{
    Platforms,
    accounts::{AccountId, Accounts, AccountsError, AccountsSettings},
    store::inbound_events::{self, NewEvents},
};

const KEYS: &str = "k1:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const SECRET: &str = "fake-app-secret-not-real";
const ACCOUNT: Uuid = Uuid::from_u128(0xa);
const ELSEWHERE: Uuid = Uuid::from_u128(0xb);

/// A Page that two tenants have connected.
async fn connected(db: &PgPool) -> anyhow::Result<Inbound> {
    sqlx::raw_sql(
        "INSERT INTO millpond.queues (name) VALUES ('webhook');
         INSERT INTO millpond.kinds_seen (kind, queue, priority, max_attempts, account_path)
         VALUES ('webhook.process', 'webhook', 5, 8, '{account_id}');
         INSERT INTO marketing.connections (id, platform, tenant, subject, access_token)
         VALUES (gen_random_uuid(), 'meta', 'acme', '77', 'x'), (gen_random_uuid(), 'meta', 'other', NULL, 'x');
         INSERT INTO marketing.accounts (id, connection, platform, tenant, external_id, kind, name)
         SELECT CASE tenant WHEN 'acme' THEN '00000000-0000-0000-0000-00000000000a'::uuid
                            ELSE '00000000-0000-0000-0000-00000000000b' END,
                id, 'meta', tenant, '100000000000001', 'page', 'Page' FROM marketing.connections;",
    )
    .execute(db)
    .await?;
    let config = Arc::new(Config::builtin());
    let queue = Queue::new(Database::from_pool(db.clone()), config, []);
    let queue = queue.expect("there are no schemas");
    let cipher = Cipher::read(&SecretString::from(KEYS)).expect("the keys are sound");
    let settings = AccountsSettings {
        meta_app_secret: Some(SecretString::from(SECRET)),
        ..AccountsSettings::default()
    };
    let door: Arc<dyn Door> = Arc::new(OpenDoor);
    let parts = (Platforms::default(), door);
    Ok(Accounts::new(queue, Some(Arc::new(cipher)), parts, settings).inbound())
}

fn signed(body: &str) -> Option<Vec<u8>> {
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length will do");
    let made = mac.chain_update(body.as_bytes()).finalize().into_bytes();
    Some(format!("sha256={}", hex::encode(made)).into_bytes())
}

async fn send(inbound: &Inbound, body: &Value) -> Result<u64, AccountsError> {
    let body = body.to_string();
    inbound.receive(signed(&body), body).await
}

fn leads(ids: &[u64]) -> Value {
    let changes = ids.iter().map(
        |id| json!({"field": "leadgen", "value": {"leadgen_id": id, "page_id": "100000000000001"}}),
    );
    let changes: Vec<Value> = changes.collect();
    json!({"object": "page", "entry": [{"id": "100000000000001", "time": 1_763_640_000, "changes": changes}]})
}

async fn count(db: &PgPool, what: &str) -> anyhow::Result<i64> {
    let sql = format!("SELECT count(*) FROM {what}");
    Ok(sqlx::query_scalar(&sql).fetch_one(db).await?)
}

fn lead(id: &str, created_at: DateTime<Utc>, email: &str) -> Lead {
    Lead {
        id: id.to_owned(),
        created_at: Some(created_at),
        form_id: Some("800".to_owned()),
        ad_id: None,
        ad_name: None,
        ad_set_id: None,
        campaign_id: None,
        is_organic: Some(true),
        shown_on: None,
        raw: json!({"id": id, "field_data": [{"name": "email", "values": [email]}], "unknown": 7}),
    }
}

fn new(lead: &Lead) -> NewLead<'_> {
    NewLead {
        account: AccountId(ACCOUNT),
        lead,
        source: LeadSource::Webhook,
    }
}

// Fails when a copy makes another job, or an account that an event is about gets none.
#[sqlx::test(migrations = "../../migrations")]
async fn a_batch_is_stored_once_with_a_job_for_each_account(db: PgPool) -> anyhow::Result<()> {
    let inbound = connected(&db).await?;

    let first = send(&inbound, &leads(&[1, 2])).await?;
    let again = send(&inbound, &leads(&[2, 1, 3])).await?;

    assert_eq!((first, again), (2, 1));
    assert_eq!(count(&db, "marketing.inbound_events").await?, 3);
    let about: Vec<(String, String)> = sqlx::query_as(
        "SELECT account, tenant FROM millpond.jobs WHERE kind = 'webhook.process' GROUP BY 1, 2 HAVING count(*) = 3 ORDER BY 1",
    )
    .fetch_all(&db)
    .await?;
    let expected = [
        (ACCOUNT.to_string(), "acme".to_owned()),
        (ELSEWHERE.to_string(), "other".to_owned()),
    ];
    assert_eq!(about, expected);
    Ok(())
}

// Fails when anybody can have events stored.
#[sqlx::test(migrations = "../../migrations")]
async fn what_meta_did_not_sign_is_not_stored(db: PgPool) -> anyhow::Result<()> {
    let inbound = connected(&db).await?;
    let body = leads(&[1]).to_string();

    let unsigned = inbound.receive(None, body.clone()).await;
    let changed = inbound.receive(signed(&body), format!("{body} ")).await;

    assert!(matches!(unsigned, Err(AccountsError::NotSigned)));
    assert!(matches!(changed, Err(AccountsError::NotSigned)));
    assert_eq!(count(&db, "marketing.inbound_events").await?, 0);
    Ok(())
}

// Fails when each request is planned anew, which takes longer than all else that the database does for it.
#[sqlx::test(migrations = "../../migrations")]
async fn events_are_stored_by_a_plan_that_is_made_once(db: PgPool) -> anyhow::Result<()> {
    connected(&db).await?;
    sqlx::raw_sql(
        "INSERT INTO marketing.accounts (id, connection, platform, tenant, external_id, kind, name)
         SELECT gen_random_uuid(), c.id, 'meta', 'acme', 'other ' || n, 'page', 'Page'
           FROM marketing.connections c CROSS JOIN generate_series(1, 2000) n WHERE c.tenant = 'acme';
         ANALYZE marketing.accounts;",
    )
    .execute(&db)
    .await?;
    let mut conn = db.acquire().await?;

    for number in 0..10 {
        let event = NewEvents {
            ids: vec![Uuid::now_v7()],
            keys: vec![format!("leadgen:{number}")],
            objects: vec!["page".to_owned()],
            entry_ids: vec!["100000000000001".to_owned()],
            fields: vec!["leadgen".to_owned()],
            values: vec!["{}".to_owned()],
            sent: vec![None],
        };
        inbound_events::store(&mut *conn, "meta", &event).await?;
    }

    let plans =
        "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE $1";
    let plans: (i64, i64) = sqlx::query_as(plans)
        .bind("%inbound_events_once%")
        .fetch_one(&mut *conn)
        .await?;
    // The first five are planned for what they are given, whatever comes of it.
    assert_eq!(plans, (5, 5));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_event_about_nobody_here_is_kept_and_makes_no_job(db: PgPool) -> anyhow::Result<()> {
    let inbound = connected(&db).await?;
    let body = json!({"object": "page", "entry": [{"id": "5", "changes": [{"field": "feed", "value": "a\u{0}b"}]}]});

    let stored = send(&inbound, &body).await?;

    assert_eq!(stored, 1);
    assert_eq!(count(&db, "millpond.jobs").await?, 0);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_a_person_takes_back_is_looked_at_by_an_account_of_the_grant(
    db: PgPool,
) -> anyhow::Result<()> {
    let inbound = connected(&db).await?;
    let body = json!({"object": "permissions", "entry": [
        {"id": "77", "time": 1, "changes": [{"field": "ads_read", "value": {"verb": "revoke"}}]}]});

    send(&inbound, &body).await?;

    let payload: String = sqlx::query_scalar("SELECT payload::text FROM millpond.jobs")
        .fetch_one(&db)
        .await?;
    let payload: Value = serde_json::from_str(&payload)?;
    assert_eq!(payload["account_id"], ACCOUNT.to_string());
    let id = payload["event_id"].as_str().expect("text").parse()?;
    let event = inbound.event(id).await?.expect("it is kept");
    assert!(matches!(event.subject(), Subject::Permissions));
    Ok(())
}

// Fails when answers lie open, cannot be read again, or an update makes a second lead or a second event.
#[sqlx::test(migrations = "../../migrations")]
async fn a_lead_is_kept_sealed_and_told_once(db: PgPool) -> anyhow::Result<()> {
    let inbound = connected(&db).await?;
    let soon = Utc::now() + TimeDelta::minutes(1);

    let first = inbound
        .keep(&new(&lead("9", soon, "first@example.com")))
        .await?;
    let again = inbound
        .keep(&new(&lead("9", soon, "second@example.com")))
        .await?;

    assert_eq!(first, again);
    assert!(!first.is_told);
    let rows: String = sqlx::query_scalar("SELECT l::text FROM marketing.leads l")
        .fetch_one(&db)
        .await?;
    let hidden = hex::encode("second@example.com");
    assert!(
        !rows.contains("example.com") && !rows.contains(&hidden),
        "{rows}"
    );
    let shown = inbound.lead(first.id, Some("acme")).await?;
    let answers = shown.answers.expect("they open");
    assert_eq!(answers[0].values, ["second@example.com"]);
    assert!(inbound.lead(first.id, Some("other")).await.is_err());
    let told: Vec<Value> =
        sqlx::query_scalar("SELECT data FROM marketing.events WHERE kind = 'lead.created'")
            .fetch_all(&db)
            .await?;
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0]["lead_id"], &told[0]["id"]),
        (&json!("9"), &json!(first.id.to_string()))
    );
    assert!(!told[0].to_string().contains("example.com"), "{told:?}");
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_lead_from_before_the_connection_is_news_to_nobody(db: PgPool) -> anyhow::Result<()> {
    let inbound = connected(&db).await?;
    let before = lead("9", Utc::now() - TimeDelta::days(3), "a@example.com");
    let found = NewLead {
        source: LeadSource::CatchUp,
        ..new(&before)
    };

    let kept = inbound.keep(&found).await?;

    assert!(kept.is_told);
    assert_eq!(count(&db, "marketing.events").await?, 0);
    Ok(())
}

// Fails when the platform's clock decides whether anybody hears of a lead.
#[sqlx::test(migrations = "../../migrations")]
async fn a_lead_that_an_event_tells_of_is_news_whatever_its_time(db: PgPool) -> anyhow::Result<()> {
    let inbound = connected(&db).await?;
    let before = lead("9", Utc::now() - TimeDelta::days(3), "a@example.com");

    let kept = inbound.keep(&new(&before)).await?;

    assert!(!kept.is_told);
    assert_eq!(count(&db, "marketing.events").await?, 1);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn leads_are_listed_by_their_filters_and_page_by_page(db: PgPool) -> anyhow::Result<()> {
    let inbound = connected(&db).await?;
    for id in ["1", "2", "3"] {
        inbound
            .keep(&new(&lead(id, Utc::now(), "a@example.com")))
            .await?;
    }
    let of = |filter: LeadFilter, page: PageRequest| {
        let inbound = inbound.clone();
        async move { inbound.leads(&filter, &page).await }
    };
    let all = || PageRequest::new(None, None).expect("a page");

    let first = of(LeadFilter::default(), PageRequest::new(Some(2), None)?).await?;
    let rest = of(
        LeadFilter::default(),
        PageRequest::new(Some(2), first.next.clone())?,
    )
    .await?;
    let foreign = LeadFilter {
        tenant: Some("other".to_owned()),
        ..LeadFilter::default()
    };
    let form = LeadFilter {
        form: Some("801".to_owned()),
        ..LeadFilter::default()
    };
    let page = LeadFilter {
        account: Some(AccountId(ACCOUNT)),
        ..LeadFilter::default()
    };
    let ours = LeadFilter {
        tenant: Some("acme".to_owned()),
        ..LeadFilter::default()
    };
    let late = LeadFilter {
        since: Some(Utc::now() + TimeDelta::hours(1)),
        ..LeadFilter::default()
    };

    let ids: Vec<&str> = first
        .items
        .iter()
        .chain(&rest.items)
        .map(|lead| lead.lead_id.as_str())
        .collect();
    assert_eq!(ids, ["3", "2", "1"]);
    assert_eq!(of(page, all()).await?.items.len(), 3);
    assert_eq!(of(ours, all()).await?.items.len(), 3);
    for nothing in [foreign, form, late] {
        assert!(of(nothing, all()).await?.items.is_empty());
    }
    Ok(())
}

// Fails when one lead whose key is lost, or that was changed, hides all others.
#[sqlx::test(migrations = "../../migrations")]
async fn a_lead_that_does_not_open_is_listed_without_its_answers(db: PgPool) -> anyhow::Result<()> {
    let inbound = connected(&db).await?;
    for id in ["1", "2"] {
        inbound
            .keep(&new(&lead(id, Utc::now(), "a@example.com")))
            .await?;
    }
    sqlx::query("UPDATE marketing.leads SET answers = 'broken' WHERE lead_id = '1'")
        .execute(&db)
        .await?;

    let page = PageRequest::new(None, None)?;
    let listed = inbound.leads(&LeadFilter::default(), &page).await?.items;

    let opened: Vec<(&str, bool)> = listed
        .iter()
        .map(|lead| (lead.lead_id.as_str(), lead.answers.is_some()))
        .collect();
    assert_eq!(opened, [("2", true), ("1", false)]);
    Ok(())
}

// Fails when the order in which a comment's events come decides how it stands in the table.
#[sqlx::test(migrations = "../../migrations")]
async fn a_comment_stays_away_whose_removal_came_first(db: PgPool) -> anyhow::Result<()> {
    let inbound = connected(&db).await?;
    for verb in ["remove", "add"] {
        let value =
            json!({"item": "comment", "verb": verb, "comment_id": "1_2", "message": "hello"});
        let body = json!({"object": "page", "entry": [
            {"id": "100000000000001", "time": 1_763_640_000, "changes": [{"field": "feed", "value": value}]}]});
        send(&inbound, &body).await?;
    }
    let ids: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM marketing.inbound_events ORDER BY id")
        .fetch_all(&db)
        .await?;

    for id in ids {
        let event = inbound
            .event(super::InboundEventId(id))
            .await?
            .expect("it is kept");
        let Subject::Engagement(engagement) = event.subject() else {
            anyhow::bail!("it is one");
        };
        inbound.engaged(AccountId(ACCOUNT), *engagement).await?;
    }

    let stands: (i64, i64) = sqlx::query_as("SELECT count(*), count(text) FROM marketing.social_engagements WHERE removed_at IS NOT NULL")
        .fetch_one(&db)
        .await?;
    assert_eq!(stands, (1, 0));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_is_too_old_goes(db: PgPool) -> anyhow::Result<()> {
    let inbound = connected(&db).await?;
    send(&inbound, &leads(&[1, 2])).await?;
    inbound
        .keep(&new(&lead("9", Utc::now(), "a@example.com")))
        .await?;
    sqlx::raw_sql(
        "UPDATE marketing.inbound_events SET received_at = now() - interval '15 days' WHERE dedupe_key = 'leadgen:1';
         UPDATE marketing.leads SET received_at = now() - interval '3 years';
         INSERT INTO marketing.forgotten_leads (account, lead_id, at)
         SELECT gen_random_uuid(), '1', now() - make_interval(days => days) FROM unnest(ARRAY[99, 101]) AS days;",
    )
    .execute(&db)
    .await?;

    let first = inbound.prune(&RetainedInbound::default()).await?;
    let second = inbound.prune(&RetainedInbound::default()).await?;

    assert_eq!(
        (first.events, first.leads, first.forgotten_leads),
        (1, 1, 1)
    );
    assert!(second.is_done());
    assert_eq!(count(&db, "marketing.inbound_events").await?, 1);
    Ok(())
}

// Fails when the leads of one tenant are looked for among those of all.
#[sqlx::test(migrations = "../../migrations")]
async fn the_leads_of_a_tenant_are_found_by_an_index(db: PgPool) -> anyhow::Result<()> {
    connected(&db).await?;
    sqlx::raw_sql(
        "INSERT INTO marketing.leads (id, account, tenant, lead_id, created_at, answers, source)
         SELECT gen_random_uuid(), a.id, a.tenant, n::text, now(), '', 'webhook'
           FROM marketing.accounts a CROSS JOIN generate_series(1, 5000) n WHERE a.tenant = 'other';
         ANALYZE marketing.leads;",
    )
    .execute(&db)
    .await?;

    let plan: Vec<String> = sqlx::query_scalar(
        "EXPLAIN SELECT id FROM marketing.leads WHERE tenant = 'acme' ORDER BY id DESC LIMIT 50",
    )
    .fetch_all(&db)
    .await?;

    let plan = plan.join(" ");
    assert!(plan.contains("leads_of_tenant"), "{plan}");
    Ok(())
}

/// Counts requests that could not be read.
struct Unreadable(Arc<AtomicU64>);

impl Recorder for Unreadable {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut labels = key.labels();
        if labels.any(|label| label.value() == "unreadable") {
            Counter::from_arc(Arc::clone(&self.0))
        } else {
            Counter::noop()
        }
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

// Fails when nobody hears of requests of which nothing is made.
#[sqlx::test(migrations = "../../migrations")]
async fn a_signed_request_that_cannot_be_read_is_kept_and_counted(
    db: PgPool,
) -> anyhow::Result<()> {
    let inbound = connected(&db).await?;
    let counted = Arc::new(AtomicU64::new(0));
    let recorder = Unreadable(Arc::clone(&counted));
    let here = metrics::set_default_local_recorder(&recorder);
    let half_a_character = r#"{"object":"page","entry":[{"id":"\ud800"}]}"#.to_owned();
    let too_deep = format!("{}{}", "[".repeat(200), "]".repeat(200));

    for body in [half_a_character, too_deep, leads(&[1]).to_string()] {
        inbound.receive(signed(&body), body).await?;
    }

    drop(here);
    assert_eq!(counted.load(Ordering::Relaxed), 2);
    let kept = "marketing.inbound_events WHERE object = 'unreadable'";
    assert_eq!(count(&db, kept).await?, 2);
    Ok(())
}
