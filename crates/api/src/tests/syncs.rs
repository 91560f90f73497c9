//! What sync stored, over HTTP.

use axum::http::{Method, StatusCode};
use marketing::{
    accounts::AccountId,
    platform::{Entity, EntityStatus, EntityType, Granularity, Level},
    sync::{InsightScope, SyncMode, SyncOutcome, SyncWhat, Syncs},
};
use queue::JobId;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::{Answer, Api};

/// An account of a tenant.
async fn account(pool: &PgPool, tenant: &str) -> AccountId {
    let (connection, account) = (Uuid::now_v7(), Uuid::now_v7());
    let grant = "INSERT INTO marketing.connections (id, platform, tenant, access_token)
                 VALUES ($1, 'meta', $2, 'sealed')";
    let granted = sqlx::query(grant).bind(connection).bind(tenant);
    granted.execute(pool).await.expect("a grant");
    let reached = "INSERT INTO marketing.accounts (id, connection, platform, tenant, external_id, kind, name, currency)
                   VALUES ($1, $2, 'meta', $3, $4, 'ad_account', 'Account', 'EUR')";
    let connected = sqlx::query(reached)
        .bind(account)
        .bind(connection)
        .bind(tenant)
        .bind(account.to_string());
    connected.execute(pool).await.expect("an account");
    AccountId(account)
}

fn entity(kind: EntityType, id: &str, status: EntityStatus) -> Entity {
    Entity {
        kind,
        id: id.to_owned(),
        parent_id: (kind == EntityType::AdSet).then(|| "7".to_owned()),
        campaign_id: None,
        name: format!("Spring {id}"),
        status,
        platform_status: "ACTIVE".to_owned(),
        daily_budget: "50.10".parse().ok(),
        lifetime_budget: None,
        created_at: None,
        updated_at: None,
        raw: json!({"secret": "of the platform"}),
    }
}

/// Syncs a campaign with an active and a paused ad set.
async fn sync(syncs: &Syncs, account: AccountId) {
    let what = SyncWhat::Entities(SyncMode::Full);
    let begun = syncs.begin(account, &what, JobId::new()).await;
    let mut sync = begun.expect("a sync");
    let page = [
        entity(EntityType::Campaign, "7", EntityStatus::Active),
        entity(EntityType::AdSet, "8", EntityStatus::Active),
        entity(EntityType::AdSet, "9", EntityStatus::Paused),
    ];
    let place = json!({});
    let stored = syncs.store_entities(&mut sync, &page, &place).await;
    stored.expect("a page");
    let finished = syncs.finish(sync, &SyncOutcome::Succeeded).await;
    finished.expect("an end");
}

fn ids(answer: &Answer) -> Vec<String> {
    let answer = answer.json();
    let items = answer["items"].as_array().cloned().unwrap_or_default();
    let ids = items.iter().map(|item| item["id"].as_str().expect("an id"));
    ids.map(str::to_owned).collect()
}

#[sqlx::test(migrations = "../../migrations")]
async fn entities_are_listed_by_what_is_asked_for(pool: PgPool) {
    let api = Api::new(pool.clone()).await;
    let reader = api.key(&["read"]).await;
    let account = account(&pool, "acme").await;
    sync(api.state.syncs(), account).await;

    for (query, expected) in [
        (String::new(), vec!["8", "9", "7"]),
        ("?type=campaign".to_owned(), vec!["7"]),
        (format!("?account={account}&type=ad_set"), vec!["8", "9"]),
        ("?parent=7&status=paused".to_owned(), vec!["9"]),
        ("?q=spring%208".to_owned(), vec!["8"]),
        ("?q=&tenant=acme".to_owned(), vec!["8", "9", "7"]),
        (format!("?account={}", Uuid::nil()), vec![]),
    ] {
        let listed = api.get(&format!("/v1/entities{query}"), &reader).await;

        assert_eq!(listed.status, StatusCode::OK, "{}", listed.text);
        assert_eq!(ids(&listed), expected, "{query}");
    }

    let first = api.get("/v1/entities?limit=2", &reader).await.json();
    let cursor = first["next"].as_str().expect("there is a second page");
    let second = format!("/v1/entities?limit=2&cursor={cursor}");
    let second = api.get(&second, &reader).await;
    assert_eq!(ids(&second), ["7"]);
    let campaign = &second.json()["items"][0];
    assert_eq!(
        (
            &campaign["type"],
            &campaign["daily_budget"],
            &campaign["currency"]
        ),
        (&json!("campaign"), &json!("50.10"), &json!("EUR"))
    );
    assert!(!second.text.contains("of the platform"));
}

// Fails when a change is told with other values than it has, and when another tenant sees it.
#[sqlx::test(migrations = "../../migrations")]
async fn what_was_changed_at_a_platform_is_listed_the_newest_first(pool: PgPool) {
    let api = Api::new(pool.clone()).await;
    let account = account(&pool, "acme").await;
    sync(api.state.syncs(), account).await;
    let changed = [
        Entity {
            name: "Summer".to_owned(),
            ..entity(EntityType::Campaign, "7", EntityStatus::Active)
        },
        entity(EntityType::AdSet, "9", EntityStatus::Active),
    ];
    let what = SyncWhat::Entities(SyncMode::Incremental);
    let syncs = api.state.syncs();
    let begun = syncs.begin(account, &what, JobId::new()).await;
    let mut second = begun.expect("a sync");
    let stored = syncs
        .store_entities(&mut second, &changed, &json!({}))
        .await;
    stored.expect("a page");
    let acme = api.tenant_key(&["read"], "acme").await;
    let umbrella = api.tenant_key(&["read"], "umbrella").await;
    let path = format!("/v1/accounts/{account}/changes");

    let first = api.get(&format!("{path}?limit=1"), &acme).await.json();
    let cursor = first["next"].as_str().expect("there is a second page");
    let rest = api
        .get(&format!("{path}?cursor={cursor}"), &acme)
        .await
        .json();
    let hidden = api.get(&path, &umbrella).await;

    let mut told = Vec::new();
    for page in [&first, &rest] {
        for item in page["items"].as_array().expect("a list") {
            assert_eq!(item["sync_id"], second.id.to_string());
            let member = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
            told.push(["type", "entity_id", "field", "before", "after"].map(member));
        }
    }
    told.sort();
    let expected = [
        ["ad_set", "9", "status", "paused", "active"],
        ["campaign", "7", "name", "Spring 7", "Summer"],
    ];
    assert_eq!(told, expected);
    assert_eq!(rest["next"], Value::Null);
    hidden.is_problem(404, "not-found");
}

#[sqlx::test(migrations = "../../migrations")]
async fn wrong_filters_are_refused_with_their_names(pool: PgPool) {
    let api = Api::new(pool).await;

    for (query, pointer) in [
        ("type=group", "?type"),
        ("status=on", "?status"),
        ("account=7", "?account"),
        ("kind=ad", "?kind"),
        ("cursor=sync-7", "?cursor"),
        ("limit=501", "?limit"),
    ] {
        let refused = api.get(&format!("/v1/entities?{query}"), &api.admin).await;

        refused.is_problem(400, "malformed-request");
        assert_eq!(refused.pointers(), [pointer], "{}", refused.text);
    }
}

// Fails when a key of one tenant sees what another one's account holds, or how it is synced.
#[sqlx::test(migrations = "../../migrations")]
async fn keys_of_a_tenant_see_what_its_accounts_hold_alone(pool: PgPool) {
    let api = Api::new(pool.clone()).await;
    let account = account(&pool, "acme").await;
    sync(api.state.syncs(), account).await;
    let acme = api.tenant_key(&["read", "operate"], "acme").await;
    let umbrella = api.tenant_key(&["read", "operate"], "umbrella").await;
    let log = format!("/v1/accounts/{account}/syncs");
    let freshness = format!("/v1/accounts/{account}/freshness");
    let watch = format!("/v1/accounts/{account}/watch");
    let body = json!({"for": "30m"}).to_string();

    let own = api.get("/v1/entities", &acme).await;
    let foreign = format!("/v1/entities?account={account}");
    let foreign = api.get(&foreign, &umbrella).await;
    let named = api.get("/v1/entities?tenant=acme", &umbrella).await;

    assert_eq!(ids(&own).len(), 3);
    assert_eq!(foreign.json()["items"], json!([]));
    named.is_problem(403, "forbidden");
    for path in [&log, &freshness] {
        assert_eq!(api.get(path, &acme).await.status, 200);
        api.get(path, &umbrella).await.is_problem(404, "not-found");
    }
    let watched = api.call(Method::PUT, &watch, &umbrella, body.clone()).await;
    watched.is_problem(404, "not-found");
    let watched = api.call(Method::PUT, &watch, &acme, body).await;
    assert_eq!(watched.status, 200, "{}", watched.text);
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_log_tells_what_each_sync_was_of_and_did(pool: PgPool) {
    let api = Api::new(pool.clone()).await;
    let account = account(&pool, "").await;
    let syncs = api.state.syncs();
    sync(syncs, account).await;
    let day = "2026-11-01".parse().expect("a day");
    let what = SyncWhat::Insights(InsightScope {
        level: Level::Campaign,
        granularity: Granularity::Day,
        from: day,
        to: day,
        breakdowns: Vec::new(),
    });
    let begun = syncs.begin(account, &what, JobId::new()).await;
    begun.expect("a sync");

    let listed = api
        .get(&format!("/v1/accounts/{account}/syncs"), &api.admin)
        .await;

    let items = listed.json()["items"].clone();
    let told = |place: usize, names: &[&str]| -> Vec<Value> {
        let item = &items[place];
        names.iter().map(|name| item[*name].clone()).collect()
    };
    assert_eq!(
        told(0, &["of", "mode", "level", "granularity", "from", "state"]),
        [
            json!("insights"),
            Value::Null,
            json!("campaign"),
            json!("day"),
            json!("2026-11-01"),
            json!("running")
        ]
    );
    assert_eq!(
        told(1, &["of", "mode", "from", "state", "attempts"]),
        [
            json!("entities"),
            json!("full"),
            Value::Null,
            json!("succeeded"),
            json!(1)
        ]
    );
    assert_eq!(items[1]["counts"]["entities"], 3);
    assert_eq!(items[1]["counts"]["created"], 3);
}

#[sqlx::test(migrations = "../../migrations")]
async fn freshness_is_told_by_level(pool: PgPool) {
    let api = Api::new(pool.clone()).await;
    let account = account(&pool, "").await;
    let syncs = api.state.syncs();
    let day = "2026-11-01".parse().expect("a day");
    let scope = InsightScope {
        level: Level::Ad,
        granularity: Granularity::Day,
        from: day,
        to: day,
        breakdowns: Vec::new(),
    };
    let days = scope.days();
    let what = SyncWhat::Insights(scope);
    let begun = syncs.begin(account, &what, JobId::new()).await;
    let mut sync = begun.expect("a sync");
    let place = json!({});
    let stored = syncs.replace_insights(&mut sync, days, &[], &place).await;
    stored.expect("figures");

    let path = format!("/v1/accounts/{account}/freshness");
    let told = api.get(&path, &api.admin).await.json();

    assert_eq!(told["time_zone"], "UTC");
    assert_eq!(told["entities_synced_at"], Value::Null);
    let ads = &told["figures"][0];
    assert_eq!(
        (&ads["level"], &ads["granularity"]),
        (&json!("ad"), &json!("day"))
    );
    assert_eq!(ads["newest_day"], "2026-11-01");
    assert_eq!(ads["complete_until"], "2026-11-02T00:00:00Z");
    assert_eq!(ads["newest_hour"], Value::Null);
}

// Fails when the list of those behind has accounts that nothing can be read of, or another tenant's.
#[sqlx::test(migrations = "../../migrations")]
async fn the_accounts_most_behind_come_first(pool: PgPool) {
    let api = Api::new(pool.clone()).await;
    let young = account(&pool, "acme").await;
    let old = account(&pool, "acme").await;
    let oldest = account(&pool, "umbrella").await;
    let off = account(&pool, "acme").await;
    let found = "UPDATE marketing.accounts SET discovered_at = now() - make_interval(hours => $2), sync_enabled = $3
                  WHERE id = $1";
    for (account, hours, is_on) in [
        (young, 1, true),
        (old, 3, true),
        (oldest, 7, true),
        (off, 9, false),
    ] {
        let changed = sqlx::query(found).bind(account.0).bind(hours).bind(is_on);
        changed.execute(&pool).await.expect("an account");
    }
    sync(api.state.syncs(), young).await;
    let acme = api.tenant_key(&["admin"], "acme").await;
    let text = |accounts: &[AccountId]| -> Vec<String> {
        accounts.iter().map(AccountId::to_string).collect()
    };

    let all = api.get("/v1/accounts?order=behind", &api.admin).await;
    let own = api.get("/v1/accounts?order=behind", &acme).await;
    let of_x = api.get("/v1/accounts?order=behind&platform=x", &acme).await;
    let first = api.get("/v1/accounts?order=behind&limit=1", &acme).await;
    let cursor = first.json()["next"]
        .as_str()
        .expect("a second page")
        .to_owned();
    let second = format!("/v1/accounts?order=behind&limit=1&cursor={cursor}");
    let second = api.get(&second, &acme).await;
    let as_found = api.get("/v1/accounts?order=found", &acme).await;

    assert_eq!(ids(&all), text(&[oldest, old, young]));
    assert_eq!(ids(&own), text(&[old, young]));
    assert!(ids(&of_x).is_empty());
    assert_eq!(ids(&first), text(&[old]));
    assert_eq!(ids(&second), text(&[young]));
    assert_eq!(second.json()["next"], Value::Null);
    assert_eq!(ids(&as_found), text(&[young, old, off]));
    let told = own.json()["items"][1]["as_of"].clone();
    assert!(told["entities"].is_string(), "{told}");
    assert_eq!(told["figures"], Value::Null);
    let behind_s = told["behind_s"].as_u64().expect("seconds");
    assert!((3_600..4_000).contains(&behind_s), "{told}");
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_order_or_a_place_that_there_is_not_is_refused(pool: PgPool) {
    let api = Api::new(pool).await;

    for (query, pointer) in [
        ("order=age", "?order"),
        ("order=behind&cursor=account-7", "?cursor"),
        ("order=behind&cursor=behind-7", "?cursor"),
        (
            "order=behind&cursor=behind--1_00000000-0000-0000-0000-000000000000",
            "?cursor",
        ),
        (
            "order=behind&cursor=behind-9223372036854775807_7",
            "?cursor",
        ),
        ("cursor=behind-7", "?cursor"),
    ] {
        let refused = api.get(&format!("/v1/accounts?{query}"), &api.admin).await;

        refused.is_problem(400, "malformed-request");
        assert_eq!(refused.pointers(), [pointer], "{}", refused.text);
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_watch_is_for_a_bearable_time_and_an_account_that_is_there(pool: PgPool) {
    let api = Api::new(pool.clone()).await;
    let account = account(&pool, "").await;
    let path = format!("/v1/accounts/{account}/watch");
    let put = |body: Value| {
        let (api, path) = (&api, &path);
        async move {
            api.call(Method::PUT, path, &api.admin, body.to_string())
                .await
        }
    };

    for (body, pointer) in [
        (json!({}), "/for"),
        (json!({"for": "soon"}), "/for"),
        (json!({"for": "59s"}), "/for"),
        (json!({"for": "25h"}), "/for"),
        (json!({"for": "1m", "every": "1s"}), "/every"),
    ] {
        let refused = put(body).await;

        refused.is_problem(422, "invalid");
        assert_eq!(refused.pointers(), [pointer], "{}", refused.text);
    }
    let watched = put(json!({"for": "30m"})).await;
    let reader = api.key(&["read"]).await;
    let body = json!({"for": "30m"}).to_string();
    let without_scope = api.call(Method::PUT, &path, &reader, body).await;
    let ended = "UPDATE marketing.accounts SET status = 'disconnected'";
    sqlx::query(ended).execute(&pool).await.expect("an end");
    let gone = put(json!({"for": "30m"})).await;

    assert_eq!(watched.status, 200, "{}", watched.text);
    assert_eq!(watched.json()["account_id"], json!(account));
    without_scope.is_problem(403, "forbidden");
    gone.is_problem(409, "wrong-state");
}
