//! What was synced, as others read it: lists of entities, views for SQL, and how fresh figures are.

use anyhow::Context;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::types::chrono::NaiveDate;

use super::{
    scene::{Account, Pace, Plan, Scene, nothing_failed},
    truth::LEVELS,
};

const PLAN: Plan<'static> = Plan {
    platforms: &["meta", "x"],
    campaigns: 6,
    has_history: false,
    config: "",
};

/// Accounts whose entities are read.
async fn read_scene() -> anyhow::Result<Scene> {
    let scene = Scene::begin(&PLAN).await?;
    scene.work_off(Pace::Steady).await?;
    Ok(scene)
}

/// Has the figures of three days read, and the hours of the last one, which is over wherever on earth; gives that day.
async fn read_figures(scene: &Scene) -> anyhow::Result<NaiveDate> {
    let days =
        "SELECT today - 4, today - 2 FROM (SELECT (now() AT TIME ZONE 'UTC')::date) AS t (today)";
    let (first, last): (NaiveDate, NaiveDate) = sqlx::query_as(days)
        .fetch_one(&mut scene.world.sql().await?)
        .await?;
    for account in &scene.accounts {
        for level in LEVELS {
            for (granularity, from) in [("day", first), ("hour", last)] {
                let payload = json!({
                    "account_id": account.id, "level": level, "granularity": granularity,
                    "from": from.to_string(), "to": last.to_string(),
                });
                let job = json!({"kind": "sync.insights", "queue": "sync", "payload": payload});
                scene.client.enqueue(&job).await?;
            }
        }
    }
    scene.work_off(Pace::Steady).await?;
    nothing_failed(&scene.world).await?;
    Ok(last)
}

/// Parameters of a list.
type Filter<'a> = &'a [(&'a str, &'a str)];

/// All entities that a filter finds, by pages of this length, as account, type and id.
async fn listed(scene: &Scene, filter: Filter<'_>, limit: usize) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let request = scene.client.request(Method::GET, "/v1/entities");
        let request = request.query(filter).query(&[("limit", limit.to_string())]);
        let place = cursor.map(|cursor| ("cursor", cursor));
        let place: Vec<(&str, String)> = place.into_iter().collect();
        let answer = scene.client.send(request.query(&place)).await?;
        anyhow::ensure!(answer.status == StatusCode::OK, "{answer:?}");
        for item in answer.body["items"].as_array().context("a list")? {
            let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
            found.push([text("account_id"), text("type"), text("id")].join(" "));
        }
        match answer.body["next"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return Ok(found),
        }
    }
}

/// The same as the table has them.
async fn stored(scene: &Scene, condition: &str, value: &str) -> anyhow::Result<Vec<String>> {
    let rows = format!(
        "SELECT concat_ws(' ', account, kind, id) FROM marketing.entities e WHERE {condition}
          ORDER BY account, kind, id"
    );
    let rows = sqlx::query_scalar(&rows).bind(value);
    Ok(rows.fetch_all(&mut scene.world.sql().await?).await?)
}

async fn text(scene: &Scene, sql: &str) -> anyhow::Result<String> {
    let text = sqlx::query_scalar(sql);
    Ok(text.fetch_one(&mut scene.world.sql().await?).await?)
}

async fn freshness(scene: &Scene, account: &Account) -> anyhow::Result<Value> {
    let path = format!("/v1/accounts/{}/freshness", account.id);
    Ok(scene.client.get(&path).await?.body)
}

// Fails when a filter finds something else than it says, when several do not hold together, and when a page repeats or leaves out
// an entity.
#[tokio::test]
async fn entities_are_found_by_every_filter_and_page_by_page() -> anyhow::Result<()> {
    let scene = read_scene().await?;
    let account = scene.accounts[0].id.to_string();
    let parent = text(
        &scene,
        "SELECT min(parent) FROM marketing.entities WHERE kind = 'ad'",
    )
    .await?;
    let name = "SELECT upper(left(min(name), 4)) FROM marketing.entities WHERE kind = 'campaign' AND name ~ '^[A-Za-z ]{4}'";
    let name = text(&scene, name).await?;

    let whole = listed(&scene, &[], 500).await?;
    let paged = listed(&scene, &[], 7).await?;
    let (account, parent, name) = (account.as_str(), parent.as_str(), name.as_str());
    let filters: [(Filter<'_>, &str, &str); 6] = [
        (&[("type", "ad_set")], "e.kind = $1", "ad_set"),
        (&[("account", account)], "e.account::text = $1", account),
        (&[("parent", parent)], "e.parent = $1", parent),
        (&[("status", "paused")], "e.status = $1", "paused"),
        (
            &[("q", name)],
            "position(lower($1) IN lower(e.name)) > 0",
            name,
        ),
        (
            &[("type", "ad"), ("account", account), ("status", "active")],
            "e.kind = 'ad' AND e.status = 'active' AND e.account::text = $1",
            account,
        ),
    ];
    let mut found = Vec::new();
    for (filter, condition, value) in filters {
        let filtered = listed(&scene, filter, 500).await?;
        found.push((filter, filtered, stored(&scene, condition, value).await?));
    }

    assert_eq!(whole, stored(&scene, "$1 = ''", "").await?);
    assert_eq!(paged, whole);
    for (filter, filtered, stored) in found {
        assert!(!filtered.is_empty(), "{filter:?}");
        assert_eq!(filtered, stored, "{filter:?}");
    }
    Ok(())
}

// Fails when a view is broken or doubles rows, when what it shows has no name, and when there is a new one that nobody has looked
// at.
#[tokio::test]
async fn views_for_sql_show_what_the_tables_hold() -> anyhow::Result<()> {
    let scene = read_scene().await?;
    read_figures(&scene).await?;
    let figures =
        "count(*), sum(impressions), sum(clicks), sum(spend), sum(conversions), sum(revenue)";
    let daily = format!("SELECT concat_ws(' ', {figures}, count(*)) FROM marketing.insights_daily");
    let hourly =
        format!("SELECT concat_ws(' ', {figures}, count(*)) FROM marketing.insights_hourly");
    let daily_view = format!(
        "SELECT concat_ws(' ', {figures}, count(entity_name)) FROM marketing.bi_insights_daily"
    );
    let hourly_view = format!(
        "SELECT concat_ws(' ', {figures}, count(entity_name)) FROM marketing.bi_insights_hourly"
    );

    let views: Vec<String> = sqlx::query_scalar(
        "SELECT viewname::text FROM pg_views WHERE schemaname = 'marketing' AND viewname LIKE 'bi\\_%' ORDER BY 1",
    )
    .fetch_all(&mut scene.world.sql().await?)
    .await?;
    let pairs: [(&str, &str); 6] = [
        (
            "SELECT concat_ws(' ', count(*), min(external_id)) FROM marketing.bi_accounts",
            "SELECT concat_ws(' ', count(*), min(external_id)) FROM marketing.accounts",
        ),
        (
            "SELECT concat_ws(' ', count(*), count(DISTINCT entity_id), sum(daily_budget)) FROM marketing.bi_entities",
            "SELECT concat_ws(' ', count(*), count(DISTINCT id), sum(daily_budget)) FROM marketing.entities",
        ),
        (
            "SELECT concat_ws(' ', count(*), count(entities_as_of)) FROM marketing.bi_freshness WHERE is_synced",
            "SELECT concat_ws(' ', count(*), count(*)) FROM marketing.accounts WHERE kind = 'ad_account'",
        ),
        (&daily_view, &daily),
        (&hourly_view, &hourly),
        (
            "SELECT concat_ws(' ', count(*), sum(pages), sum(entities), sum(rows)) FROM marketing.bi_syncs",
            "SELECT concat_ws(' ', count(*), sum((counts ->> 'pages')::int8), sum((counts ->> 'entities')::int8),
                              sum((counts ->> 'rows')::int8)) FROM marketing.syncs",
        ),
    ];
    let mut compared = Vec::new();
    for (view, table) in pairs {
        compared.push((text(&scene, view).await?, text(&scene, table).await?, view));
    }

    assert_eq!(
        views,
        [
            "bi_account_days",
            "bi_accounts",
            "bi_entities",
            "bi_freshness",
            "bi_insights_daily",
            "bi_insights_hourly",
            "bi_insights_monthly",
            "bi_syncs",
        ]
    );
    for (view, table, sql) in compared {
        assert!(!table.starts_with('0'), "{sql}");
        assert_eq!(view, table, "{sql}");
    }
    Ok(())
}

// Fails when freshness goes by jobs instead of figures, or by another clock than the account's.
#[tokio::test]
async fn freshness_tells_of_figures_that_are_stored() -> anyhow::Result<()> {
    let scene = read_scene().await?;
    let account = &scene.accounts[0];

    let before = freshness(&scene, account).await?;
    let last = read_figures(&scene).await?.to_string();
    let after = freshness(&scene, account).await?;

    assert_eq!(before["figures"], json!([]), "{before}");
    assert!(before["entities_synced_at"].is_string(), "{before}");
    let figures = after["figures"].as_array().context("figures")?;
    assert_eq!(figures.len(), 2 * LEVELS.len(), "{after}");
    for (place, of) in figures.iter().enumerate() {
        let hour = (of["granularity"] == "hour").then_some(23);
        assert_eq!(of["level"], LEVELS[place / 2], "{after}");
        assert_eq!(of["newest_day"], last.as_str(), "{after}");
        assert_eq!(of["newest_hour"], json!(hour), "{after}");
    }
    Ok(())
}
