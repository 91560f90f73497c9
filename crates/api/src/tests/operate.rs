//! Looking at jobs and acting on them: cancel, run now, pause, dead letters and their replay.

use std::{sync::Arc, time::Duration};

use axum::http::Method;
use futures::future::BoxFuture;
use queue::{ErrorClass, JobContext, JobError, Outcome, RawJob, Registry, WorkerSettings, Workers};
use serde_json::{Value, json, value::RawValue};
use sqlx::PgPool;
use uuid::Uuid;

use super::Api;

/// Fails for good, whatever it is given.
struct Hopeless;

impl RawJob<()> for Hopeless {
    fn run<'a>(
        &'a self,
        _: &'a RawValue,
        _: &'a JobContext<()>,
    ) -> BoxFuture<'a, Result<Outcome, JobError>> {
        Box::pin(async {
            Err(JobError::from_text(
                ErrorClass::Invalid,
                "the address does not exist",
            ))
        })
    }
}

/// Enqueues a job that fails, and tells its id once it is a dead letter.
async fn dead_letter(api: &Api) -> String {
    let registry = Registry::<()>::new().with_raw("email.send", Arc::new(Hopeless));
    let settings = WorkerSettings {
        queues: None,
        roles: vec!["worker".to_owned()],
        version: "1.2.3".to_owned(),
    };
    let workers = Workers::start(api.queue.clone(), registry, Arc::new(()), settings)
        .await
        .expect("workers");
    let job = api
        .post(
            "/v1/jobs",
            &api.admin,
            json!({"kind": "email.send", "payload": {"to": "a@example.com"}}),
        )
        .await;
    let id = job.json()["id"].as_str().expect("an id").to_owned();

    let path = format!("/v1/dead-letters/{id}");
    let died = async {
        while api.get(&path, &api.admin).await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), died)
        .await
        .expect("the job dies soon");
    workers.drain().await;
    id
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_waiting_job_is_cancelled_once_and_run_now_only_while_it_waits(pool: PgPool) {
    let api = Api::new(pool).await;
    let id = api.scheduled_job(&api.admin, json!({})).await;
    let other = api.scheduled_job(&api.admin, json!({})).await;

    let cancelled = api
        .post(&format!("/v1/jobs/{id}/cancel"), &api.admin, json!({}))
        .await;
    let again = api
        .post(&format!("/v1/jobs/{id}/cancel"), &api.admin, json!({}))
        .await;
    let ready = api
        .call(
            Method::POST,
            &format!("/v1/jobs/{other}/run-now"),
            &api.admin,
            "",
        )
        .await;
    let late = api
        .post(&format!("/v1/jobs/{id}/run-now"), &api.admin, json!({}))
        .await;

    assert_eq!(
        (cancelled.status.as_u16(), &cancelled.json()["state"]),
        (200, &json!("cancelled"))
    );
    again.is_problem(409, "wrong-state");
    assert_eq!(again.json()["state"], "cancelled");
    assert_eq!(ready.json()["state"], "ready", "{}", ready.text);
    late.is_problem(409, "wrong-state");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_list_is_paged_without_loss(pool: PgPool) {
    let api = Api::new(pool).await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(api.scheduled_job(&api.admin, json!({})).await);
    }

    let mut seen = Vec::new();
    let mut path = "/v1/jobs?limit=2".to_owned();
    loop {
        let page = api.get(&path, &api.admin).await.json();
        let items = page["items"].as_array().expect("items").iter();
        seen.extend(items.map(|job| job["id"].as_str().expect("an id").to_owned()));
        match page["next"].as_str() {
            Some(cursor) => path = format!("/v1/jobs?limit=2&cursor={cursor}"),
            None => break,
        }
    }

    made.reverse();
    assert_eq!(seen, made);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_queue_is_paused_with_a_reason_and_resumed(pool: PgPool) {
    let api = Api::new(pool).await;
    api.queue.announce().await.expect("the queues are told");

    let reason =
        json!({"reason": "the mail server is being moved", "until": "2999-01-01T00:00:00Z"});
    let paused = api.post("/v1/queues/email/pause", &api.admin, reason).await;
    let listed = api.get("/v1/queues", &api.admin).await.json();
    let resumed = api
        .call(Method::POST, "/v1/queues/email/resume", &api.admin, "")
        .await;
    let unknown = api
        .post("/v1/queues/nowhere/pause", &api.admin, json!({}))
        .await;
    let past = api
        .post(
            "/v1/queues/email/pause",
            &api.admin,
            json!({"until": "2001-01-01T00:00:00Z"}),
        )
        .await;

    assert_eq!(
        paused.json()["paused"]["reason"],
        "the mail server is being moved",
        "{}",
        paused.text
    );
    let email = listed["items"]
        .as_array()
        .expect("items")
        .iter()
        .find(|queue| queue["name"] == "email");
    assert!(
        email.expect("the queue")["paused"]["by"]
            .as_str()
            .expect("a name")
            .starts_with("key mp_")
    );
    assert_eq!(resumed.json()["paused"], Value::Null);
    unknown.is_problem(404, "not-found");
    past.is_problem(422, "invalid");
    assert_eq!(past.pointers(), ["/until"]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_dead_letter_is_previewed_replayed_and_names_its_origin(pool: PgPool) {
    let api = Api::new(pool).await;
    let id = dead_letter(&api).await;
    let replay = async |body| api.post("/v1/dead-letters/replay", &api.admin, body).await;

    let preview = replay(json!({"ids": [id], "dry_run": true})).await;
    let begun = replay(
        json!({"ids": [id], "reason": "the address was mended", "patch": {"to": "b@example.com"}}),
    )
    .await;
    let run = begun.json()["replay_id"]
        .as_str()
        .expect("a run")
        .to_owned();
    let shown = api
        .get(&format!("/v1/replays/{run}"), &api.admin)
        .await
        .json();
    let job = shown["items"][0]["job"].as_str().expect("a job").to_owned();
    let job = api.get(&format!("/v1/jobs/{job}"), &api.admin).await.json();

    assert_eq!(
        (preview.status.as_u16(), &preview.json()["will_enqueue"]),
        (200, &json!(1)),
        "{}",
        preview.text
    );
    assert_eq!(preview.json()["replay_id"], Value::Null);
    assert_eq!(
        (begun.status.as_u16(), &begun.json()["matched"]),
        (202, &json!(1)),
        "{}",
        begun.text
    );
    assert_eq!(job["replay_of"], id);
    assert_eq!(job["payload"], json!({"to": "b@example.com"}));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_dead_letter_is_grouped_discarded_and_restored(pool: PgPool) {
    let api = Api::new(pool).await;
    let id = dead_letter(&api).await;

    let letter = api
        .get(&format!("/v1/dead-letters/{id}"), &api.admin)
        .await
        .json();
    let groups = api.get("/v1/dead-letters/groups", &api.admin).await.json();
    let group = format!(
        "/v1/dead-letters/groups/{}",
        letter["fingerprint"].as_str().expect("a fingerprint")
    );
    let noted = api
        .call(
            Method::PATCH,
            &group,
            &api.admin,
            r#"{"state": "acknowledged", "note": "seen"}"#,
        )
        .await;
    let nothing = api.call(Method::PATCH, &group, &api.admin, "{}").await;
    let cleared = api
        .call(Method::PATCH, &group, &api.admin, r#"{"note": null}"#)
        .await;
    let ids = json!({"ids": [id], "reason": "the campaign is over"});
    let discarded = api
        .post("/v1/dead-letters/discard", &api.admin, ids.clone())
        .await;
    let listed = api
        .get(
            "/v1/dead-letters?resolution=discarded&class=invalid",
            &api.admin,
        )
        .await
        .json();
    let restored = api.post("/v1/dead-letters/restore", &api.admin, ids).await;

    assert_eq!(letter["attempts"][0]["error_class"], "invalid");
    assert_eq!(
        (&groups["items"][0]["count"], &groups["items"][0]["kind"]),
        (&json!(1), &json!("email.send"))
    );
    assert_eq!(noted.json()["note"], "seen", "{}", noted.text);
    nothing.is_problem(422, "invalid");
    assert_eq!(
        (&cleared.json()["note"], &cleared.json()["state"]),
        (&Value::Null, &json!("acknowledged"))
    );
    assert_eq!(discarded.json(), json!({"count": 1}));
    assert_eq!(listed["items"][0]["resolve_reason"], "the campaign is over");
    assert_eq!(restored.json(), json!({"count": 1}));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_replay_says_what_is_wrong_with_it(pool: PgPool) {
    let api = Api::new(pool).await;
    let id = Uuid::nil();

    for (path, body, pointers) in [
        ("replay", json!({"ids": []}), &["/ids"][..]),
        ("replay", json!({"filter": {}}), &["/filter"][..]),
        (
            "replay",
            json!({"filter": {"clas": "invalid"}}),
            &["/filter/clas"][..],
        ),
        (
            "replay",
            json!({"filter": {"class": "bad", "resolution": "lost"}}),
            &["/filter/class", "/filter/resolution"][..],
        ),
        (
            "replay",
            json!({"filter": {"resolution": "replayed"}}),
            &["/filter/resolution"][..],
        ),
        (
            "restore",
            json!({"filter": {"kind": "email.send", "resolution": "replayed"}, "reason": "a"}),
            &["/filter/resolution"][..],
        ),
        (
            "replay",
            json!({"ids": [id], "filter": {"kind": "email.send"}}),
            &["/filter"][..],
        ),
        ("replay", json!({"ids": ["x"]}), &["/ids/0"][..]),
        (
            "replay",
            json!({"ids": [id], "canary": {"count": 5}, "rate": "10/s"}),
            &["/canary", "/rate"][..],
        ),
        ("replay", json!({"ids": [id], "patch": []}), &["/patch"][..]),
        ("discard", json!({"ids": [id]}), &["/reason"][..]),
        (
            "restore",
            json!({"ids": [id], "reason": " "}),
            &["/reason"][..],
        ),
    ] {
        let refused = api
            .post(
                &format!("/v1/dead-letters/{path}"),
                &api.admin,
                body.clone(),
            )
            .await;

        refused.is_problem(422, "invalid");
        assert_eq!(refused.pointers(), pointers, "{body}");
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn actions_are_in_the_audit(pool: PgPool) {
    let api = Api::new(pool).await;
    let id = api.scheduled_job(&api.admin, json!({})).await;

    api.post(&format!("/v1/jobs/{id}/cancel"), &api.admin, json!({}))
        .await;
    let audit = api.get("/v1/audit?limit=1", &api.admin).await.json();

    let entry = &audit["items"][0];
    assert_eq!(
        (&entry["action"], &entry["target"]),
        (&json!("job.cancel"), &json!(id))
    );
    assert!(
        entry["actor"]
            .as_str()
            .expect("a name")
            .starts_with("key mp_")
    );
}
