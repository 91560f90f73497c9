//! Payloads that lie encrypted: no table says what they say, handlers get them as they were sent, and they do not outlive
//! their jobs.

use std::{collections::BTreeMap, sync::Arc};

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json, value::to_raw_value};
use sqlx::PgPool;

use super::fixture::{App, FAST, actor, in_state, until};
use crate::{
    Cipher, Database, EnqueueError, EnqueueOutcome, ErrorClass, Idempotency, Job, JobContext,
    JobError, JobId, JobState, NewJob, OnConflict, Outcome, Person as Known, Queue, Registry,
    ReplayRequest, Selection, Source, Start, Unique, WorkerSettings, Workers, config::Config,
};

/// What no table may say.
const CANARY: &str = "ada.canary@example.com";
const SEALED: &str = "[kinds.\"test.person\"]\nencrypt = true\nkey = \"em\"\nredact = [\"em\"]\n";

/// Somebody, and what becomes of the job.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Person {
    em: String,
    fate: String,
}

impl Job for Person {
    const KIND: &'static str = "test.person";
    type App = App;
    type Error = JobError;

    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, JobError> {
        let seen = &ctx.app.seen;
        seen.lock()
            .expect("no test panics while it holds this")
            .push(self.em);
        match self.fate.as_str() {
            "fail" => Err(JobError::from_text(ErrorClass::Invalid, "told to fail")),
            "follow" => {
                ctx.enqueue(person("later")).expect("one is allowed");
                Ok(Outcome::Succeeded)
            }
            _ => Ok(Outcome::Succeeded),
        }
    }
}

fn registry() -> Registry<App> {
    Registry::new().with::<Person>()
}

/// A job that says whom it is about; "later" waits for a day.
fn person(fate: &str) -> NewJob {
    let payload = to_raw_value(&json!({"em": CANARY, "fate": fate})).expect("a value is JSON");
    NewJob {
        start: match fate {
            "later" => Start::After(std::time::Duration::from_secs(86_400)),
            _ => Start::Now,
        },
        ..NewJob::new("test.person", payload, Source::Http)
    }
}

/// An engine with the keys of these ids, the newest first.
fn engine(db: &PgPool, config: &str, keys: &[&str]) -> Queue {
    engine_of(db, &registry(), config, keys)
}

fn engine_of(db: &PgPool, registry: &Registry<App>, config: &str, keys: &[&str]) -> Queue {
    let kinds: Vec<_> = registry.kinds().cloned().collect();
    let names: Vec<&str> = kinds.iter().map(|kind| &*kind.name).collect();
    let config = Config::parse(&format!("{FAST}{config}"), &names)
        .expect("the test's configuration is right")
        .config;
    let queue = Queue::new(Database::from_pool(db.clone()), Arc::new(config), kinds)
        .expect("schemas of tests compile");
    if keys.is_empty() {
        return queue;
    }
    let pair = |id: &&str| format!("{id}:{}", hex::encode([id.as_bytes()[0]; 32]));
    let list: Vec<String> = keys.iter().map(pair).collect();
    let cipher = Cipher::read(&SecretString::from(list.join(","))).expect("the keys are sound");
    queue.with_cipher(Arc::new(cipher))
}

async fn work(queue: &Queue) -> anyhow::Result<(Workers, Arc<App>)> {
    work_on(queue, registry()).await
}

async fn work_on(queue: &Queue, registry: Registry<App>) -> anyhow::Result<(Workers, Arc<App>)> {
    queue.announce().await?;
    let app = Arc::new(App::default());
    let settings = WorkerSettings {
        queues: None,
        roles: vec!["worker".to_owned()],
        version: "test".to_owned(),
    };
    let workers = Workers::start(queue.clone(), registry, Arc::clone(&app), settings).await?;
    Ok((workers, app))
}

/// The tables in which a row says who it is about, plainly or in hexadecimal digits.
async fn tables_with_the_canary(db: &PgPool) -> anyhow::Result<Vec<String>> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT c.oid::regclass::text FROM pg_class c
           JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'millpond'
          WHERE c.relkind IN ('r', 'p') ORDER BY 1",
    )
    .fetch_all(db)
    .await?;
    let mut found = Vec::new();
    for table in tables {
        let sql = format!(
            "SELECT EXISTS (SELECT FROM {table} AS t WHERE t::text LIKE $1 OR t::text LIKE $2)"
        );
        let has: bool = sqlx::query_scalar(&sql)
            .bind(format!("%{CANARY}%"))
            .bind(format!("%{}%", hex::encode(CANARY)))
            .fetch_one(db)
            .await?;
        if has {
            found.push(table);
        }
    }
    Ok(found)
}

async fn stored(db: &PgPool, table: &str, id: JobId) -> anyhow::Result<String> {
    let sql = format!("SELECT payload::text FROM millpond.{table} WHERE id = $1");
    Ok(sqlx::query_scalar(&sql).bind(id.0).fetch_one(db).await?)
}

fn unique(fate: &str) -> NewJob {
    let unique = Unique {
        key: "one".to_owned(),
        states: vec![
            JobState::Scheduled,
            JobState::Ready,
            JobState::Running,
            JobState::Retrying,
        ],
        on_conflict: OnConflict::Replace,
    };
    NewJob {
        unique: Some(unique),
        ..person(fate)
    }
}

// Fails when a way in stores a payload as it is, or a job does not get its own.
#[sqlx::test(migrations = "../../migrations")]
async fn no_way_in_stores_what_a_payload_says_and_every_handler_gets_it(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, SEALED, &["a"]);
    let idempotency = Some(Idempotency {
        client: "a".to_owned(),
        key: "k".to_owned(),
        fingerprint: person("succeed").fingerprint(),
    });

    queue.enqueue(person("follow"), idempotency).await?;
    queue.enqueue(unique("later"), None).await?;
    let replaced = queue.enqueue(unique("succeed"), None).await?;
    for count in [2, 100] {
        let jobs = (0..count).map(|_| (person("succeed"), None)).collect();
        queue.enqueue_batch(jobs, true).await?;
    }
    let waiting = tables_with_the_canary(&db).await?;
    let keys: Vec<String> = sqlx::query_scalar("SELECT DISTINCT key FROM millpond.jobs")
        .fetch_all(&db)
        .await?;
    let (workers, app) = work(&queue).await?;
    until("all are done but the one that follows", || async {
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM millpond.jobs")
            .fetch_one(&db)
            .await?;
        Ok(left == 1)
    })
    .await?;
    workers.drain().await;

    assert_eq!(replaced.outcome, EnqueueOutcome::Replaced);
    assert_eq!(waiting, Vec::<String>::new());
    assert_eq!(keys.len(), 1);
    assert!(keys[0].starts_with("sha256:"), "{keys:?}");
    assert_eq!(app.seen(), vec![CANARY; 104]);
    assert_eq!(tables_with_the_canary(&db).await?, Vec::<String>::new());
    Ok(())
}

// Fails when what lay encrypted outlives its job.
#[sqlx::test(migrations = "../../migrations")]
async fn a_payload_is_shown_without_its_secrets_and_wiped_when_its_job_is_done(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, SEALED, &["a"]);
    let (done, cancelled) = (
        queue.enqueue(person("succeed"), None).await?.id,
        queue.enqueue(person("later"), None).await?.id,
    );
    let waiting = queue.job(done, None).await?.payload;
    let without_keys = engine(&db, SEALED, &[]).job(done, None).await?.payload;

    queue.cancel(cancelled, &actor()).await?;
    let (workers, _) = work(&queue).await?;
    let shown = in_state(&queue, done, "succeeded").await?.payload;
    workers.drain().await;

    assert_eq!(waiting, json!({"em": "[redacted]", "fate": "succeed"}));
    assert!(
        without_keys
            .as_str()
            .is_some_and(|text| text.starts_with("[encrypted"))
    );
    assert!(
        shown
            .as_str()
            .is_some_and(|text| text.starts_with("[wiped"))
    );
    for id in [done, cancelled] {
        let left = stored(&db, "job_history", id).await?;
        assert_eq!(left, r#"{"$sealed":null}"#);
    }
    Ok(())
}

/// A kind that is about people by what it is.
#[derive(Debug, Deserialize, JsonSchema)]
struct Conversion {
    em: String,
}

impl Job for Conversion {
    const KIND: &'static str = "conversion.send";
    type App = App;
    type Error = JobError;

    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, JobError> {
        let seen = &ctx.app.seen;
        seen.lock()
            .expect("no test panics while it holds this")
            .push(self.em);
        Ok(Outcome::Succeeded)
    }
}

fn conversion() -> NewJob {
    let payload = to_raw_value(&json!({ "em": CANARY })).expect("a value is JSON");
    NewJob::new(Conversion::KIND, payload, Source::Http)
}

// Fails when, for want of keys, somebody's data stays in the history although it was sent, or is not to be sent any more.
#[sqlx::test(migrations = "../../migrations")]
async fn without_keys_too_what_is_about_people_goes_when_its_job_is_done(
    db: PgPool,
) -> anyhow::Result<()> {
    let registry = Registry::new().with::<Conversion>();
    let queue = engine_of(&db, &registry, "", &[]);
    let unwanted = queue.enqueue(conversion(), None).await?.id;

    queue.cancel(unwanted, &actor()).await?;
    let id = queue.enqueue(conversion(), None).await?.id;
    let (workers, app) = work_on(&queue, registry).await?;
    in_state(&queue, id, "succeeded").await?;
    workers.drain().await;

    assert_eq!(app.seen(), [CANARY]);
    assert_eq!(tables_with_the_canary(&db).await?, Vec::<String>::new());
    Ok(())
}

// Fails when a process without keys stores in the clear what the others of its fleet encrypt, or has SQL do it.
#[sqlx::test(migrations = "../../migrations")]
async fn beside_processes_with_keys_nothing_about_people_is_stored_in_the_clear(
    db: PgPool,
) -> anyhow::Result<()> {
    let registry = Registry::new().with::<Conversion>();
    let without = engine_of(&db, &registry, "", &[]);
    let with = engine_of(&db, &registry, "", &["a"]);
    without.announce().await?;
    let alone = without.enqueue(conversion(), None).await;

    with.announce().await?;
    without.announce().await?;
    let beside = without.enqueue(conversion(), None).await;
    let many = without.enqueue_batch(vec![(conversion(), None)], false);
    let many = many.await?;
    let by_sql = sqlx::query("SELECT millpond.enqueue('conversion.send', '{\"em\": \"x\"}')")
        .execute(&db)
        .await;

    assert!(alone.is_ok(), "{alone:?}");
    assert!(matches!(beside, Err(EnqueueError::NoKeys { .. })));
    assert!(matches!(&many[..], [Err(EnqueueError::NoKeys { .. })]));
    assert!(by_sql.is_err_and(|why| why.to_string().contains("are encrypted")));
    assert!(with.enqueue(conversion(), None).await.is_ok());
    Ok(())
}

// Fails when a dead letter says what it is about, when a replay cannot open it, or when a patch lies in the clear.
#[sqlx::test(migrations = "../../migrations")]
async fn dead_letters_stay_sealed_and_are_replayed_with_a_patch(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, SEALED, &["a"]);
    let (workers, app) = work(&queue).await?;
    let id = queue.enqueue(person("fail"), None).await?.id;
    in_state(&queue, id, "dead").await?;
    let letter = stored(&db, "dead_letters", id).await?;

    let request = ReplayRequest {
        selection: Selection::Ids(vec![id]),
        dry_run: false,
        patch: Some(json!({"em": format!("new.{CANARY}"), "fate": "succeed"})),
        reason: None,
    };
    let answer = queue.replay(request, &actor()).await?;
    let replayed = queue.dead_letter(id, None).await?.summary.job.replayed_as;
    in_state(&queue, replayed.expect("it was replayed"), "succeeded").await?;
    workers.drain().await;

    assert!(letter.starts_with(r#"{"$sealed":""#));
    assert_eq!((answer.matched, answer.will_enqueue), (1, 1));
    assert_eq!(app.seen(), [CANARY.to_owned(), format!("new.{CANARY}")]);
    let left = stored(&db, "dead_letters", id).await?;
    assert_eq!(left, r#"{"$sealed":null}"#);
    assert_eq!(tables_with_the_canary(&db).await?, Vec::<String>::new());
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_payload_that_is_moved_to_another_job_does_not_open(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, SEALED, &["a"]);
    let (one, other) = (
        queue.enqueue(person("succeed"), None).await?.id,
        queue.enqueue(person("later"), None).await?.id,
    );
    sqlx::query(
        "UPDATE millpond.jobs SET payload = (SELECT payload FROM millpond.jobs WHERE id = $2) WHERE id = $1",
    )
    .bind(one.0)
    .bind(other.0)
    .execute(&db)
    .await?;

    let (workers, app) = work(&queue).await?;
    let dead = in_state(&queue, one, "dead").await?;
    workers.drain().await;

    assert_eq!(dead.summary.error_class.as_deref(), Some("invalid"));
    assert!(app.seen().is_empty());
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_would_lie_in_the_clear_is_refused(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, SEALED, &["a"]);
    queue.announce().await?;
    let like_a_sealed_one = to_raw_value(&json!({"$sealed": "x"})).expect("a value is JSON");

    let by_sql =
        sqlx::query("SELECT millpond.enqueue('test.person', '{\"em\": \"x\", \"fate\": \"x\"}')")
            .execute(&db)
            .await;
    let reserved = queue
        .enqueue(
            NewJob::new("test.person", like_a_sealed_one, Source::Http),
            None,
        )
        .await;
    let without_keys = engine(&db, SEALED, &[])
        .enqueue(person("succeed"), None)
        .await;

    let refused = by_sql.expect_err("it cannot encrypt").to_string();
    assert!(refused.contains("are encrypted"), "{refused}");
    assert!(matches!(reserved, Err(EnqueueError::Payload(_))));
    assert!(matches!(without_keys, Err(EnqueueError::NoKeys { .. })));
    let jobs: i64 = sqlx::query_scalar("SELECT count(*) FROM millpond.jobs")
        .fetch_one(&db)
        .await?;
    assert_eq!(jobs, 0);
    Ok(())
}

// Fails when a rotation leaves a payload under the old key, or a key that is still needed can be taken out unnoticed.
#[sqlx::test(migrations = "../../migrations")]
async fn everything_is_sealed_anew_and_older_keys_are_needed_no_more(
    db: PgPool,
) -> anyhow::Result<()> {
    let old = engine(&db, SEALED, &["a"]);
    let (workers, _) = work(&old).await?;
    let dead = old.enqueue(person("fail"), None).await?.id;
    in_state(&old, dead, "dead").await?;
    workers.drain().await;
    for _ in 0..3 {
        old.enqueue(person("succeed"), None).await?;
    }
    sqlx::query("INSERT INTO millpond.payload_keys (key_id) VALUES ('unused')")
        .execute(&db)
        .await?;
    let too_soon = engine(&db, SEALED, &["b"]).missing_payload_keys().await?;

    let both = engine(&db, SEALED, &["b", "a"]);
    let before = both.verify_payloads().await?;
    let rotated = both.rotate_payloads(&actor()).await?;
    let again = both.rotate_payloads(&actor()).await?;

    assert_eq!(too_soon, ["a"]);
    assert_eq!(before.opened, BTreeMap::from([("a".to_owned(), 4)]));
    assert_eq!((rotated.rows, rotated.left, again.rows), (4, 0, 0));
    let new = engine(&db, SEALED, &["b"]);
    assert!(new.missing_payload_keys().await?.is_empty());
    let after = new.verify_payloads().await?;
    assert_eq!(after.opened, BTreeMap::from([("b".to_owned(), 4)]));
    let (workers, app) = work(&new).await?;
    until("all have run", || async { Ok(app.seen().len() == 3) }).await?;
    workers.drain().await;
    Ok(())
}

// Fails when a process without a key, which starts while nothing lies under it, lets everybody forget that it is used.
#[sqlx::test(migrations = "../../migrations")]
async fn a_key_that_another_process_seals_under_is_not_forgotten(db: PgPool) -> anyhow::Result<()> {
    let (one, other) = (engine(&db, SEALED, &["a"]), engine(&db, SEALED, &["b"]));
    one.announce().await?;
    let at_first = other.missing_payload_keys().await?;

    one.enqueue(person("later"), None).await?;
    let afterwards = other.missing_payload_keys().await?;

    assert_eq!((at_first, afterwards), (vec![], vec!["a".to_owned()]));
    Ok(())
}

// Fails when, as there are many runs, a key that a patch needs is taken out unnoticed, or nobody is told of a patch that does
// not open.
#[sqlx::test(migrations = "../../migrations")]
async fn the_patches_of_all_runs_are_looked_at(db: PgPool) -> anyhow::Result<()> {
    let (old, new) = (engine(&db, SEALED, &["a"]), engine(&db, SEALED, &["b"]));
    new.announce().await?;
    old.announce().await?;
    for run in 0..=200 {
        let by = if run < 200 { &new } else { &old };
        let id = uuid::Uuid::now_v7();
        let patch = json!({ "em": CANARY });
        let sealed = by.shared.sealer().map(|it| it.seal_patch(id, &patch));
        sqlx::query("INSERT INTO millpond.replays (id, created_by, patch) VALUES ($1, 'test', $2)")
            .bind(id)
            .bind(sealed)
            .execute(&db)
            .await?;
    }

    let missing = new.missing_payload_keys().await?;
    let verified = new.verify_payloads().await?;

    assert_eq!(missing, ["a"]);
    assert_eq!(verified.opened, BTreeMap::from([("b".to_owned(), 200)]));
    assert_eq!((verified.unopened, verified.faults.len()), (1, 1));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_backlog_in_the_clear_runs_and_can_be_sealed(db: PgPool) -> anyhow::Result<()> {
    let plain = engine(&db, "", &[]);
    let first = plain.enqueue(person("succeed"), None).await?.id;
    plain.enqueue(person("later"), None).await?;
    let queue = engine(&db, SEALED, &["a"]);
    let (workers, app) = work(&queue).await?;
    in_state(&queue, first, "succeeded").await?;
    workers.drain().await;

    let clear = queue.verify_payloads().await?.in_the_clear;
    let rotated = queue.rotate_payloads(&actor()).await?;

    assert_eq!(app.seen(), [CANARY]);
    assert_eq!((clear, rotated.rows), (1, 1));
    let payload = stored(&db, "job_history", first).await?;
    assert_eq!(payload, r#"{"$sealed":null}"#);
    let left: Value = sqlx::query_scalar("SELECT payload::jsonb FROM millpond.jobs")
        .fetch_one(&db)
        .await?;
    assert!(left["$sealed"].is_string());
    Ok(())
}

// Fails when a job that names somebody is not found, sealed or not, or goes on saying so.
#[sqlx::test(migrations = "../../migrations")]
async fn somebody_is_found_and_forgotten_in_every_job(db: PgPool) -> anyhow::Result<()> {
    let plain = engine(&db, "", &[]);
    let done = plain.enqueue(person("succeed"), None).await?.id;
    let (workers, _) = work(&plain).await?;
    in_state(&plain, done, "succeeded").await?;
    workers.drain().await;
    let queue = engine(&db, SEALED, &["a"]);
    let dead = queue.enqueue(person("fail"), None).await?.id;
    let (workers, _) = work(&queue).await?;
    in_state(&queue, dead, "dead").await?;
    workers.drain().await;
    let waiting = queue.enqueue(person("later"), None).await?.id;
    let ada = Known::known_by(CANARY).expect("it names somebody");

    let blind = engine(&db, "", &[]).jobs_about(&ada).await?;
    let found = queue.jobs_about(&ada).await?;
    let forgotten = queue.forget_in_jobs(&ada).await?;

    let ids: Vec<JobId> = found.jobs.iter().map(|job| job.id).collect();
    assert_eq!(ids, [waiting, dead, done]);
    assert_eq!(
        (forgotten.cancelled, forgotten.dead_letters, forgotten.done),
        (1, 1, 1)
    );
    assert_eq!((blind.jobs.len(), blind.unopened), (1, 2));
    assert_eq!((found.unopened, forgotten.unopened), (0, 0));
    assert!(queue.jobs_about(&ada).await?.jobs.is_empty());
    assert_eq!(tables_with_the_canary(&db).await?, Vec::<String>::new());
    Ok(())
}
