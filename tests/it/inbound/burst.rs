//! Many events at once, and a database that crashes in the middle of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
    time::{Duration, Instant},
};

use anyhow::Context;
use serde_json::{Value, json};

use super::scene::{SANDBOX, Scene, ids, sorted, tick};
use crate::{
    chaos::{ports::Port, postgres::Postgres},
    harness::{World, eventually},
};

/// Leads of a burst unless `MILLPOND_WEBHOOKS_EVENTS` says another number: `scripts/webhooks` has 10,000.
const EVENTS: usize = 500;
/// Requests at once, and how often each is tried, as Meta does for a day and a half.
const AT_ONCE: usize = 32;
const TRIES: usize = 100;
/// Events that one job hands over to endpoints.
const HANDED_OVER: usize = 10_000;

fn events() -> anyhow::Result<usize> {
    match std::env::var("MILLPOND_WEBHOOKS_EVENTS") {
        Ok(text) => text
            .parse()
            .context("MILLPOND_WEBHOOKS_EVENTS is no number"),
        Err(_) => Ok(EVENTS),
    }
}

/// Crashes the database once so many events are stored, and starts it again; tells for how long it was away.
async fn crash(
    world: &World,
    (postgres, events): (&mut Postgres, i64),
) -> anyhow::Result<Duration> {
    eventually("the burst has reached the database", || async {
        let stored = "SELECT count(*) FROM marketing.inbound_events";
        let mut db = world.sql().await?;
        let stored: i64 = sqlx::query_scalar(stored).fetch_one(&mut db).await?;
        Ok((stored >= events).then_some(()))
    })
    .await?;
    let began = Instant::now();
    postgres.stop("immediate").await?;
    postgres.start().await?;
    Ok(began.elapsed())
}

/// How many events a second were taken.
fn a_second(events: usize, took: Duration) -> f64 {
    events as f64 / took.as_secs_f64()
}

fn say(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout(), "{text}")?)
}

/// The leads that a receiver was told of, by `webhook-id`.
async fn told_at(world: &World, receiver: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let mut told = BTreeMap::new();
    for call in world.received("hooks").await? {
        if call["name"] == receiver {
            let body: Value = serde_json::from_str(call["body"].as_str().context("a body")?)?;
            let id = call["webhook_id"].as_str().context("an id")?;
            let lead = body["data"]["lead_id"].as_str().context("a lead")?;
            told.insert(id.to_owned(), lead.to_owned());
        }
    }
    Ok(told)
}

// Fails when events are answered before they are on disk, when an event and its job are not stored together, when a request that
// comes again makes a second lead, when a job that was claimed is lost with the database, and when a lead is told twice.
#[tokio::test]
async fn each_lead_of_a_burst_is_kept_and_told_once_though_the_database_crashes()
-> anyhow::Result<()> {
    let count = events()?;
    let port = Port::free()?.number();
    let folder = std::env::temp_dir().join(format!("millpond-{}", uuid::Uuid::new_v4()));
    let mut postgres = Box::pin(Postgres::make(folder, port)).await?;
    let world = World::on(&Postgres::url(port), &SANDBOX).await?;
    let scene = Box::pin(Scene::of(world)).await?;
    scene.endpoint("told", &["lead.created"]).await?;

    let quiet = json!({"comments": count / 4, "at_once": AT_ONCE});
    let began = Instant::now();
    let undisturbed = scene.told(&quiet).await?;
    let took = began.elapsed();
    let before = scene
        .count("SELECT count(*) FROM marketing.inbound_events")
        .await?;
    let burst = json!({"leads": count, "at_once": AT_ONCE, "tries": TRIES});
    let began = Instant::now();
    let middle = before + i64::try_from(count / 3)?;
    let (told, away) = tokio::try_join!(
        scene.told(&burst),
        Box::pin(crash(&scene.world, (&mut postgres, middle)))
    )?;
    let burst_took = began.elapsed();
    let worked = Instant::now();
    scene.nothing_is_left().await?;
    let worked_off = worked.elapsed();
    for _ in 0..=count / HANDED_OVER {
        tick(&scene.client, "webhook-fanout").await?;
    }
    scene.nothing_is_left().await?;

    say(&format!(
        "{:.0} events a second were taken, undisturbed",
        a_second(count / 4, took)
    ))?;
    say(&format!(
        "{:.0} events a second in a burst of {count}, of whose {:.1} s the database was away for {:.1} s; {:.1} s later all was done",
        a_second(count, burst_took),
        burst_took.as_secs_f64(),
        away.as_secs_f64(),
        worked_off.as_secs_f64()
    ))?;
    assert_eq!(undisturbed["answers"], json!({ "200": count / 4 }));
    assert_eq!(told["answers"], json!({ "200": count }));
    let sent = ids(&told, "leads");
    let listed = scene.leads().await?;
    assert_eq!(sorted(&listed, "lead_id"), sent);
    let rows = "SELECT count(*) FROM marketing.leads";
    assert_eq!(scene.count(rows).await?, i64::try_from(count)?);
    let given_up = "SELECT count(*) FROM millpond.dead_letters";
    assert_eq!(scene.count(given_up).await?, 0);
    let told = told_at(&scene.world, "told").await?;
    let leads: BTreeSet<&String> = told.values().collect();
    assert_eq!((told.len(), leads.len()), (count, count));
    assert!(leads.into_iter().eq(sent.iter()));
    Ok(())
}

// Fails when copies count as events, when a Page's comments are looked after in the order in which they came, or when what people
// answered can be read off the table.
#[tokio::test]
async fn copies_and_events_in_the_wrong_order_change_nothing() -> anyhow::Result<()> {
    let scene = Box::pin(Scene::new()).await?;
    let order = json!({
        "leads": 5, "comments": 20, "removed": true, "backwards": true, "per_request": 9, "copies": 3, "at_once": 4,
    });

    let told = scene.told(&order).await?;
    scene.nothing_is_left().await?;

    assert_eq!(told["answers"], json!({ "200": 5 }));
    let events = "SELECT count(*) FROM marketing.inbound_events";
    assert_eq!(scene.count(events).await?, 45);
    let client = &scene.client;
    let received = "millpond_webhooks_received_total";
    let new = client.metric(received, "outcome=\"stored\"").await?;
    let copies = client.metric(received, "outcome=\"duplicate\"").await?;
    assert_eq!((new, copies), (45.0, 90.0));
    let listed = scene.leads().await?;
    assert_eq!(sorted(&listed, "lead_id"), ids(&told, "leads"));
    let taken_away = "SELECT count(*) FROM marketing.social_engagements
                       WHERE kind = 'comment' AND removed_at IS NOT NULL AND text IS NULL";
    assert_eq!(scene.count(taken_away).await?, 20);
    let all = "SELECT count(*) FROM marketing.social_engagements";
    assert_eq!(scene.count(all).await?, 20);
    let email = json!("email");
    for lead in &listed {
        let answers = lead["answers"].as_array().context("answers")?;
        let mail = answers.iter().find(|answer| answer["name"] == email);
        let mail = mail.and_then(|answer| answer["values"][0].as_str());
        assert!(mail.is_some_and(|mail| mail.ends_with("@example.com")));
    }
    let readable =
        "SELECT count(*) FROM marketing.leads WHERE position('example.com'::bytea IN answers) > 0";
    assert_eq!(scene.count(readable).await?, 0);
    Ok(())
}
