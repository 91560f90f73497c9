//! The weekly digest: once a week and owner, until its owner ends it by a click.

use anyhow::Context;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::rules::scene::{Scene, unsubscribe_address};

const ADA: &str = "ada@example.com";

/// Figures of the account for every day of last week.
async fn with_figures(scene: &Scene) -> anyhow::Result<()> {
    sqlx::raw_sql(
        "SELECT marketing.make_insight_months('insights_daily', (now() - interval '31 days')::date, now()::date + 2);
         INSERT INTO marketing.insights_daily
                (account, level, date, entity_id, impressions, clicks, link_clicks, views, likes, comments, shares,
                 spend, conversions, revenue, leads, currency)
         SELECT a.id, 'account', day::date, a.external_id, 100, 10, 0, 0, 0, 0, 0, 12.34, 1, 0, 0, 'EUR'
           FROM marketing.accounts a,
                generate_series(date_trunc('week', now() AT TIME ZONE 'UTC') - interval '7 days',
                                date_trunc('week', now() AT TIME ZONE 'UTC') - interval '1 day', '1 day') AS day
          WHERE a.kind = 'ad_account'",
    )
    .execute(&mut scene.world.sql().await?)
    .await?;
    Ok(())
}

/// Has digests sent, as the schedule does; tells to how many owners.
async fn sent(scene: &Scene) -> anyhow::Result<Value> {
    let path = "/v1/schedules/email-digest/trigger";
    let job = scene.ask(Method::POST, path, &json!({})).await?;
    let job = job["id"].as_str().context("a job")?;
    let done = scene.client.in_state(job, "succeeded").await?;
    Ok(done["result"]["sent"].clone())
}

/// The same address but for one character in its token.
fn forged(address: &str) -> anyhow::Result<String> {
    let (before, token) = address.rsplit_once('/').context("it has a token")?;
    let place = token.len() / 2;
    let other = if token[place..].starts_with('A') {
        "B"
    } else {
        "A"
    };
    Ok(format!(
        "{before}/{}{other}{}",
        &token[..place],
        &token[place + 1..]
    ))
}

// Fails when an owner gets a week twice, when a mail cannot be ended by one click or is ended by a look, when a forged address
// ends anything, and when mails of the sort go on after the click.
#[tokio::test]
async fn a_digest_comes_once_a_week_until_its_owner_ends_it_by_one_click() -> anyhow::Result<()> {
    let scene = Scene::begin(2).await?;
    let path = format!("/v1/accounts/{}", scene.account);
    scene
        .ask(Method::PATCH, &path, &json!({"owner_email": ADA}))
        .await?;
    with_figures(&scene).await?;

    let first = sent(&scene).await?;
    sent(&scene).await?;
    let mails = scene.all_mails().await?;
    let mail = mails.first().context("a mail")?;
    let address = unsubscribe_address(mail)?;
    let strange = scene.click(&forged(&address)?).await?;
    let page = address.strip_prefix(scene.client.base()).context("ours")?;
    let look = scene.client.bare(Method::GET, page);
    let look = scene.client.send(look).await?;
    let still_wanted = sent(&scene).await?;
    let clicked = scene.click(&address).await?;
    let again = scene.click(&address).await?;
    let after = sent(&scene).await?;
    let next = json!({"kind": "email.send", "payload": {
        "to": "Ada <ADA@example.com>", "subject": "Your week", "text": "Figures", "topic": "digest", "business_key": "the next week",
    }});
    let next = scene.client.enqueue(&next).await?;
    let next = scene.client.in_state(&next, "succeeded").await?;

    assert_eq!(first, 1);
    assert_eq!(mails.len(), 1, "{mails:?}");
    assert!(
        mail.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click"),
        "{mail}"
    );
    assert!(mail.contains("86.38"), "{mail}");
    assert_eq!(strange, StatusCode::NOT_FOUND);
    assert_eq!((look.status, still_wanted), (StatusCode::OK, json!(1)));
    assert_eq!((clicked, again), (StatusCode::OK, StatusCode::OK));
    assert_eq!(after, 0);
    assert_eq!(next["result"], json!({"not_sent": "unsubscribed"}));
    assert_eq!(scene.all_mails().await?.len(), 1);
    Ok(())
}
