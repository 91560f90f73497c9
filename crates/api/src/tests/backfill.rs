//! Back-fills over HTTP, and the jobs that follow a watch.

use axum::http::Method;
use marketing::{accounts::AccountId, sync::WatchId};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::Api;

/// An account of the tenant `acme`.
async fn account(pool: &PgPool) -> Uuid {
    let (connection, account) = (Uuid::now_v7(), Uuid::now_v7());
    let grant = "INSERT INTO marketing.connections (id, platform, tenant, access_token)
                 VALUES ($1, 'meta', 'acme', 'sealed')";
    let granted = sqlx::query(grant).bind(connection).execute(pool).await;
    granted.expect("a grant");
    let reached =
        "INSERT INTO marketing.accounts (id, connection, platform, tenant, external_id, kind, name)
                   VALUES ($1, $2, 'meta', 'acme', '101', 'ad_account', 'Shop')";
    let connected = sqlx::query(reached).bind(account).bind(connection);
    connected.execute(pool).await.expect("an account");
    account
}

/// Kinds, tenants and priorities of the jobs that wait.
async fn jobs(pool: &PgPool) -> Vec<(String, Option<String>, i16)> {
    let jobs = "SELECT kind, tenant, priority FROM millpond.jobs ORDER BY id";
    sqlx::query_as(jobs).fetch_all(pool).await.expect("rows")
}

// Fails when a back-fill doubles what is under way, or takes the place of what is wanted every hour.
#[sqlx::test(migrations = "../../migrations")]
async fn past_days_are_read_by_jobs_that_let_others_go_first(pool: PgPool) {
    let api = Api::new(pool.clone()).await;
    let path = format!("/v1/accounts/{}/backfill", account(&pool).await);
    let body = json!({"from": "2024-01-01", "to": "2024-02-10", "levels": ["campaign"]});

    let made = api.post(&path, &api.admin, body.clone()).await;
    let again = api.post(&path, &api.admin, body).await;

    assert_eq!(made.status, 202, "{}", made.text);
    assert_eq!(made.json(), json!({"created": 2, "deduplicated": 0}));
    assert_eq!(again.json(), json!({"created": 0, "deduplicated": 2}));
    let job = ("sync.insights".to_owned(), Some("acme".to_owned()), 8);
    assert_eq!(jobs(&pool).await, [job.clone(), job]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_back_fill_is_of_past_days_that_are_named_and_of_ones_own_account(pool: PgPool) {
    let api = Api::new(pool.clone()).await;
    let path = format!("/v1/accounts/{}/backfill", account(&pool).await);
    let body =
        |from: &str, to: &str, levels: Value| json!({"from": from, "to": to, "levels": levels});

    for (body, pointer) in [
        (json!({}), "/from"),
        (json!({"from": "2024-01-01"}), "/to"),
        (body("1.1.2024", "2024-01-01", json!([])), "/from"),
        (body("2024-01-02", "2024-01-01", json!([])), "/to"),
        (body("2020-01-01", "2024-01-01", json!([])), "/to"),
        (body("2990-01-01", "2990-01-02", json!([])), "/to"),
        (body("2024-01-01", "2024-01-02", json!(["ads"])), "/levels"),
        (
            json!({"from": "2024-01-01", "to": "2024-01-02", "day": 1}),
            "/day",
        ),
    ] {
        let refused = api.post(&path, &api.admin, body).await;

        refused.is_problem(422, "invalid");
        assert_eq!(refused.pointers(), [pointer], "{}", refused.text);
    }
    let nowhere = format!("/v1/accounts/{}/backfill", Uuid::nil());
    let sound = body("2024-01-01", "2024-01-02", json!([]));
    let unknown = api.post(&nowhere, &api.admin, sound).await;
    unknown.is_problem(404, "not-found");
    assert!(jobs(&pool).await.is_empty());
}

// Fails when a watch is stored and nothing looks.
#[sqlx::test(migrations = "../../migrations")]
async fn a_watch_is_followed_by_one_job(pool: PgPool) {
    let api = Api::new(pool.clone()).await;
    let path = format!("/v1/accounts/{}/watch", account(&pool).await);

    for _ in 0..2 {
        let body = json!({"for": "30m"}).to_string();
        let watched = api.call(Method::PUT, &path, &api.admin, body).await;
        assert_eq!(watched.status, 200, "{}", watched.text);
    }

    let job = ("sync.watch".to_owned(), Some("acme".to_owned()), 5);
    assert_eq!(jobs(&pool).await, [job]);
}

// Fails when who looks again at the end of a watch gets an answer and no job, since the one that is ending stands for it.
#[sqlx::test(migrations = "../../migrations")]
async fn a_watch_begun_while_the_job_of_the_last_one_ends_has_a_job_of_its_own(pool: PgPool) {
    let api = Api::new(pool.clone()).await;
    let account = account(&pool).await;
    let path = format!("/v1/accounts/{account}/watch");
    let body = json!({"for": "30m"}).to_string();

    let watched = api.call(Method::PUT, &path, &api.admin, body.clone()).await;
    let over = "UPDATE marketing.watches SET until = now() RETURNING id";
    let watch = sqlx::query_scalar::<_, Uuid>(over).fetch_one(&pool).await;
    // The last that the job asks: it still has to tell that it is done.
    let syncs = api.state.syncs();
    let goes_on = syncs
        .goes_on(AccountId(account), WatchId(watch.expect("a watch")))
        .await;
    let again = api.call(Method::PUT, &path, &api.admin, body).await;

    assert_eq!(watched.status, 200, "{}", watched.text);
    assert_eq!(again.status, 200, "{}", again.text);
    assert!(!goes_on.expect("an answer"));
    assert_eq!(jobs(&pool).await.len(), 2);
}
