//! Alerts: told once when they are raised, to each recipient by a mail of their own, and again only after they were over.

use anyhow::Context;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::types::Decimal;

use super::scene::{Scene, unsubscribe_address};

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";

/// What the account spends today, whatever the sandbox says of it.
async fn spend(scene: &Scene, amount: i64) -> anyhow::Result<()> {
    let mut db = scene.world.sql().await?;
    sqlx::query(
        "SELECT marketing.make_insight_months('insights_daily', now()::date - 2, now()::date + 2)",
    )
    .execute(&mut db)
    .await?;
    sqlx::query(
        "INSERT INTO marketing.insights_daily
                (account, level, date, entity_id, impressions, clicks, link_clicks, views, likes, comments, shares,
                 spend, conversions, revenue, leads, currency)
         SELECT id, 'account', (now() AT TIME ZONE time_zone)::date, external_id, 100, 10, 0, 0, 0, 0, 0, $2, 1, 0, 0, currency
           FROM marketing.accounts WHERE id = $1
         ON CONFLICT ON CONSTRAINT insights_daily_pkey DO UPDATE SET spend = excluded.spend",
    )
    .bind(scene.account)
    .bind(Decimal::from(amount))
    .execute(&mut db)
    .await?;
    // It was read just now: what is behind raises nothing.
    sqlx::query(
        "INSERT INTO marketing.insight_days (account, level, granularity, breakdowns, date, read_at)
         SELECT id, 'account', 'day', '', (now() AT TIME ZONE time_zone)::date, now() FROM marketing.accounts WHERE id = $1
         ON CONFLICT ON CONSTRAINT insight_days_pkey DO UPDATE SET read_at = excluded.read_at",
    )
    .bind(scene.account)
    .execute(&mut db)
    .await?;
    Ok(())
}

/// An alert on what the account spends, over two days: another one may begin meanwhile.
fn rule(quiet_hours: &Value) -> Value {
    json!({
        "scope": {"level": "account"}, "metric": "spend", "comparison": "above", "threshold": "90", "clear_at": "80",
        "window_days": 2, "quiet_hours": quiet_hours, "recipients": [ADA, BOB],
    })
}

async fn added(scene: &Scene, name: &str, rule: &Value) -> anyhow::Result<String> {
    let new = json!({"name": name, "rule": rule});
    let made = scene.ask(Method::POST, "/v1/alerts", &new).await?;
    Ok(made["id"].as_str().context("an id")?.to_owned())
}

/// Looks at an alert; tells how often it was raised, how often it was over, and how many mails are on their way.
async fn looked_at(scene: &Scene, alert: &str) -> anyhow::Result<[i64; 3]> {
    let payload = json!({"alert_id": alert});
    let told = scene.result_of("alert.evaluate", &payload).await?;
    let number = |value: &Value| value.as_i64().context("a number");
    let found = &told["found"];
    Ok([
        number(&found["fired"])?,
        number(&found["cleared"])?,
        number(&told["mails"])?,
    ])
}

async fn events(scene: &Scene) -> anyhow::Result<i64> {
    let events = "SELECT count(*) FROM marketing.events WHERE kind = 'alert.fired'";
    let events = sqlx::query_scalar(events);
    Ok(events.fetch_one(&mut scene.world.sql().await?).await?)
}

fn to<'m>(mails: &'m [String], address: &str) -> Vec<&'m String> {
    let line = format!("To: {address}");
    let is_to = |mail: &&String| mail.lines().any(|it| it == line);
    mails.iter().filter(is_to).collect()
}

// Fails when an alert is told again while it holds, is over before its other threshold or never raised again, when recipients
// are in one mail, and when one who ends alerts ends them for the other or gets more of them.
#[tokio::test]
async fn an_alert_is_told_once_while_it_holds_and_again_after_it_was_over() -> anyhow::Result<()> {
    let scene = Scene::begin(2).await?;
    let name = "N".repeat(200);
    let alert = added(&scene, &name, &rule(&Value::Null)).await?;

    let mut looks = Vec::new();
    for amount in [90, 100, 100, 85, 95] {
        spend(&scene, amount).await?;
        looks.push(looked_at(&scene, &alert).await?);
    }
    let first = scene.all_mails().await?;
    let of_ada = to(&first, ADA);
    let address = unsubscribe_address(of_ada.first().context("a mail")?)?;
    let clicked = scene.click(&address).await?;
    for amount in [80, 95] {
        spend(&scene, amount).await?;
        looks.push(looked_at(&scene, &alert).await?);
    }
    let all = scene.all_mails().await?;

    let (nothing, told, over) = ([0, 0, 0], [1, 0, 2], [0, 1, 0]);
    assert_eq!(
        looks,
        [nothing, told, nothing, nothing, nothing, over, told]
    );
    assert_eq!(events(&scene).await?, 2);
    assert_eq!(
        (first.len(), to(&first, ADA).len(), to(&first, BOB).len()),
        (2, 1, 1)
    );
    for mail in &first {
        assert!(
            mail.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click"),
            "{mail}"
        );
    }
    assert_eq!(clicked, StatusCode::OK);
    assert_eq!((all.len(), to(&all, BOB).len()), (3, 2));
    let history = scene.items(&format!("/v1/alerts/{alert}/history")).await?;
    let became: Vec<&Value> = history.iter().map(|it| &it["became"]).collect();
    assert_eq!(became, ["fired", "cleared", "fired"]);
    Ok(())
}

// Fails when somebody is woken in quiet hours, when what was raised in them is never mailed, and when endpoints wait for their end.
#[tokio::test]
async fn in_quiet_hours_an_alert_is_an_event_alone_and_its_mails_come_after_them()
-> anyhow::Result<()> {
    let scene = Scene::begin(2).await?;
    let around = "SELECT to_char(now() AT TIME ZONE 'UTC' - interval '2 hours', 'HH24:MI'),
                         to_char(now() AT TIME ZONE 'UTC' + interval '2 hours', 'HH24:MI')";
    let (from, until): (String, String) = sqlx::query_as(around)
        .fetch_one(&mut scene.world.sql().await?)
        .await?;
    let quiet = json!({"from": from, "to": until, "time_zone": "UTC"});
    let alert = added(&scene, "Spend", &rule(&quiet)).await?;
    let history = format!("/v1/alerts/{alert}/history");
    spend(&scene, 100).await?;

    let raised = looked_at(&scene, &alert).await?;
    let (told, due) = (events(&scene).await?, scene.items(&history).await?);
    let silence = scene.all_mails().await?;
    let loud = json!({"rule": rule(&Value::Null)});
    scene
        .ask(Method::PATCH, &format!("/v1/alerts/{alert}"), &loud)
        .await?;
    let later = looked_at(&scene, &alert).await?;
    let mails = scene.all_mails().await?;
    let sent = scene.items(&history).await?;

    assert_eq!((raised, told), ([1, 0, 0], 1));
    assert_eq!((due.len(), &due[0]["mail"]), (1, &json!("due")));
    assert!(silence.is_empty(), "{silence:?}");
    assert_eq!(later, [0, 0, 2]);
    assert_eq!(mails.len(), 2);
    assert_eq!((sent.len(), &sent[0]["mail"]), (1, &json!("sent")));
    assert_eq!(events(&scene).await?, 1);
    Ok(())
}
