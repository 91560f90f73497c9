//! Each check against a server in the state that it is there for, and against one where all is well.

use secrecy::SecretString;
use sqlx::{ConnectOptions, Connection, PgPool, postgres::PgPoolOptions};

use super::*;
use crate::{
    Database, DatabaseSettings,
    tests::fixture::{actor, engine, succeed},
};

/// Whatever there is at all is worth a word.
const STRICT: Limits = Limits {
    notify_queue_share: 0.0,
    snapshot_seconds: -1.0,
    idle_seconds: -1.0,
    dead_rows: 10,
    index_bytes: 16 * 8_192,
    ..Limits::USUAL
};

async fn found(db: &PgPool, limits: &Limits) -> Vec<Finding> {
    diagnose_within(&engine(db, ""), &Surroundings::default(), limits).await
}

/// What a check found wrong.
fn of(findings: &[Finding], check: &str) -> Vec<Finding> {
    let of_check = findings
        .iter()
        .filter(|finding| finding.check == check && finding.severity > Severity::Ok);
    of_check.cloned().collect()
}

async fn run(db: &PgPool, sql: &str) -> anyhow::Result<()> {
    sqlx::raw_sql(sql).execute(db).await?;
    Ok(())
}

// Slots belong to the whole server: only this test makes any, so that the others need not expect them.
#[sqlx::test(migrations = "../../migrations")]
async fn a_fresh_database_is_fine_until_a_slot_is_left_behind(db: PgPool) -> anyhow::Result<()> {
    let slot = format!("left_{}", uuid::Uuid::new_v4().simple());

    let fresh = found(&db, &Limits::USUAL).await;
    run(
        &db,
        &format!("SELECT pg_create_physical_replication_slot('{slot}', true)"),
    )
    .await?;
    let with_slot = found(&db, &Limits::USUAL).await;
    run(&db, &format!("SELECT pg_drop_replication_slot('{slot}')")).await?;

    // Tests run on a server that forgets what a crash takes.
    let wrong = fresh
        .iter()
        .filter(|finding| finding.severity > Severity::Ok && finding.check != "settings");
    assert_eq!(wrong.count(), 0, "{fresh:#?}");
    let slots = of(&with_slot, "slots");
    assert_eq!(slots.len(), 1, "{slots:#?}");
    assert!(slots[0].detail.contains(&slot), "{slots:#?}");
    assert!(
        slots[0]
            .remedy
            .contains(&format!("pg_drop_replication_slot('{slot}')"))
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn who_holds_a_snapshot_is_named_with_the_command_that_ends_it(
    db: PgPool,
) -> anyhow::Result<()> {
    let mut reader = db.begin().await?;
    sqlx::raw_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        .execute(&mut *reader)
        .await?;
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&mut *reader)
        .await?;

    let strict = found(&db, &STRICT).await;
    let usual = found(&db, &Limits::USUAL).await;

    let end = format!("pg_terminate_backend({pid})");
    let names = |findings: &[Finding]| findings.iter().any(|finding| finding.remedy.contains(&end));
    assert!(names(&of(&strict, "snapshots")), "{strict:#?}");
    assert!(names(&of(&strict, "sessions")), "{strict:#?}");
    assert!(!names(&usual), "{usual:#?}");
    reader.rollback().await?;
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_prepared_transaction_is_named_with_the_command_that_ends_it(
    db: PgPool,
) -> anyhow::Result<()> {
    let id = uuid::Uuid::new_v4();
    let prepare = format!("BEGIN; SELECT pg_current_xact_id(); PREPARE TRANSACTION '{id}'");
    run(&db, &prepare).await?;

    let findings = found(&db, &STRICT).await;
    run(&db, &format!("ROLLBACK PREPARED '{id}'")).await?;

    let holders = of(&findings, "snapshots");
    let remedy = format!("run: ROLLBACK PREPARED '{id}';");
    assert!(
        holders
            .iter()
            .any(|finding| finding.remedy.starts_with(&remedy)),
        "{holders:#?}"
    );
    Ok(())
}

// Fails when only what is written to, or only what is read from, counts as held.
#[sqlx::test(migrations = "../../migrations")]
async fn a_session_that_wrote_and_waits_holds_dead_rows_too(db: PgPool) -> anyhow::Result<()> {
    let mut writer = db.begin().await?;
    sqlx::raw_sql("SELECT pg_current_xact_id()")
        .execute(&mut *writer)
        .await?;

    let findings = found(&db, &STRICT).await;

    assert_eq!(of(&findings, "snapshots").len(), 1, "{findings:#?}");
    writer.rollback().await?;
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_table_that_is_not_kept_clean_is_named(db: PgPool) -> anyhow::Result<()> {
    run(
        &db,
        "ALTER TABLE millpond.dead_letters SET (autovacuum_enabled = off);
         ALTER TABLE millpond.jobs SET (autovacuum_enabled = off);
         ALTER TABLE millpond.jobs RESET (autovacuum_vacuum_cost_delay);
         INSERT INTO millpond.queues (name) SELECT 'q' || n FROM generate_series(1, 50) AS n;
         DELETE FROM millpond.queues;
         SELECT pg_stat_force_next_flush();",
    )
    .await?;
    let dirty = async {
        loop {
            let tables = of(&found(&db, &STRICT).await, "tables");
            if tables
                .iter()
                .any(|finding| finding.detail.contains("dead rows"))
            {
                return tables;
            }
        }
    };

    // Figures of dead rows come in late.
    let tables = tokio::time::timeout(std::time::Duration::from_secs(20), dirty).await?;

    let details: Vec<&str> = tables.iter().map(|table| table.detail.as_str()).collect();
    for expected in [
        "autovacuum is switched off for millpond.dead_letters",
        "autovacuum is switched off for millpond.jobs",
        "autovacuum pauses while it works on millpond.jobs",
    ] {
        assert!(details.contains(&expected), "{expected}: {details:#?}");
    }
    assert!(
        details
            .iter()
            .any(|detail| detail.starts_with("millpond.queues has 50 dead rows")),
        "{details:#?}"
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_index_that_is_swollen_or_broken_is_named(db: PgPool) -> anyhow::Result<()> {
    run(
        &db,
        "ALTER TABLE millpond.queues SET (autovacuum_enabled = off);
         INSERT INTO millpond.queues (name) SELECT repeat('q', 100) || n FROM generate_series(1, 10000) AS n;
         DELETE FROM millpond.queues;
         UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'millpond.jobs_deferred'::regclass;",
    )
    .await?;
    run(&db, "VACUUM (ANALYZE) millpond.queues").await?;

    let strict = of(&found(&db, &STRICT).await, "indexes");
    let usual = of(&found(&db, &Limits::USUAL).await, "indexes");

    let told = |findings: &[Finding], remedy: &str| {
        let remedy = format!("run: REINDEX INDEX CONCURRENTLY {remedy};");
        findings.iter().any(|finding| finding.remedy == remedy)
    };
    assert!(told(&strict, "millpond.queues_pkey"), "{strict:#?}");
    assert!(told(&strict, "millpond.jobs_deferred"), "{strict:#?}");
    assert!(!told(&usual, "millpond.queues_pkey"), "{usual:#?}");
    assert!(told(&usual, "millpond.jobs_deferred"), "{usual:#?}");
    Ok(())
}

// Fails when it is enough that the role may read and write.
#[sqlx::test(migrations = "../../migrations")]
async fn a_role_that_does_not_own_the_tables_is_told_what_it_lacks(
    db: PgPool,
) -> anyhow::Result<()> {
    let role = format!("guest_{}", uuid::Uuid::new_v4().simple());
    run(
        &db,
        &format!(
            "CREATE ROLE {role}; GRANT ALL ON SCHEMA millpond, public TO {role};
             GRANT ALL ON ALL TABLES IN SCHEMA millpond, public TO {role};"
        ),
    )
    .await?;
    let become_guest = format!("SET ROLE {role}");
    let guests = PgPoolOptions::new()
        .after_connect(move |connection, _| {
            let become_guest = become_guest.clone();
            Box::pin(async move {
                sqlx::Executor::execute(connection, become_guest.as_str()).await?;
                Ok(())
            })
        })
        .connect_with((*db.connect_options()).clone())
        .await?;

    let findings = found(&guests, &Limits::USUAL).await;
    guests.close().await;
    run(&db, &format!("DROP OWNED BY {role}; DROP ROLE {role}")).await?;

    let rights = of(&findings, "rights");
    assert_eq!(rights.len(), 2, "{findings:#?}");
    for finding in &rights {
        assert_eq!(finding.severity, Severity::Error);
        assert!(finding.remedy.ends_with(&format!(" TO {role};")));
    }
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_listener_that_stays_in_a_transaction_fills_the_queue_of_notifications(
    db: PgPool,
) -> anyhow::Result<()> {
    let mut listener = db.acquire().await?;
    for statement in ["LISTEN millpond_doorbell", "BEGIN", "SELECT 1"] {
        sqlx::raw_sql(statement).execute(&mut *listener).await?;
    }
    run(
        &db,
        "SELECT pg_notify('millpond_doorbell', repeat('x', 7000) || n) FROM generate_series(1, 50) AS n",
    )
    .await?;

    let findings = found(&db, &STRICT).await;

    assert_eq!(of(&findings, "notifications").len(), 1, "{findings:#?}");
    // Its transaction's end would bring all that it was told.
    listener.detach().close_hard().await?;
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn work_that_nobody_does_is_named(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, "");
    queue.announce().await?;
    queue.enqueue(succeed("one"), None).await?;
    queue.enqueue(succeed("two"), None).await?;
    run(
        &db,
        "UPDATE millpond.jobs
            SET state = 'running', lease_token = gen_random_uuid(), worker = gen_random_uuid(),
                lease_until = now() - interval '5 minutes', attempt = 1
          WHERE id = (SELECT min(id::text)::uuid FROM millpond.jobs);
         INSERT INTO millpond.schedules (name, evaluated_until, removed_at, last_tick, last_outcome)
         VALUES ('late', now() - interval '10 minutes', NULL, NULL, NULL),
                ('removed', now() - interval '10 minutes', now(), NULL, NULL),
                ('refused', now(), NULL, now(), 'refused');
         INSERT INTO millpond.schedule_ticks (schedule, tick, outcome, detail)
         SELECT name, last_tick, last_outcome, 'there is no such kind' FROM millpond.schedules WHERE name = 'refused';",
    )
    .await?;

    let findings = diagnose(&queue, &Surroundings::default()).await;

    let kinds = of(&findings, "kinds");
    assert!(
        kinds[0]
            .detail
            .starts_with("1 ready jobs of kind test.work"),
        "{kinds:#?}"
    );
    let leases = of(&findings, "leases");
    assert_eq!(
        leases[0].detail,
        "1 jobs are under leases that ran out long ago"
    );
    let schedules: Vec<String> = of(&findings, "schedules")
        .into_iter()
        .map(|finding| finding.detail)
        .collect();
    assert_eq!(
        schedules,
        [
            "nobody has looked at schedule late for 10 min",
            "the latest tick of schedule refused was refused its job: there is no such kind",
        ]
    );
    Ok(())
}

// Fails when a schedule that misses nothing is called late: it is paused, or this release has no handler for its kind.
#[sqlx::test(migrations = "../../migrations")]
async fn a_schedule_is_late_only_where_ticks_are_missed(db: PgPool) -> anyhow::Result<()> {
    let schedule = "kind = \"test.work\"\ncron = \"0 9 * * *\"\n";
    let text = format!("[schedules.paused]\n{schedule}[schedules.resumed]\n{schedule}");
    let queue = engine(&db, &text);
    for name in ["paused", "resumed", "sync-full", "token-check"] {
        queue.pause_schedule(name, None, None, &actor()).await?;
    }
    for name in ["resumed", "token-check"] {
        queue.resume_schedule(name, &actor()).await?;
    }
    run(
        &db,
        "UPDATE millpond.schedules SET evaluated_until = now() - interval '10 minutes'",
    )
    .await?;

    let findings = diagnose(&queue, &Surroundings::default()).await;

    let late: Vec<String> = of(&findings, "schedules")
        .into_iter()
        .map(|finding| finding.detail)
        .collect();
    assert_eq!(late, ["nobody has looked at schedule resumed for 10 min"]);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn processes_that_fell_silent_or_go_their_own_ways_are_named(
    db: PgPool,
) -> anyhow::Result<()> {
    run(
        &db,
        "INSERT INTO millpond.config_revisions (content_hash, text, source, author, changed)
         SELECT sha256('version = 1'), 'version = 1', 'cli', 'ada', '{}' FROM generate_series(1, 2);
         INSERT INTO millpond.workers (id, host, pid, version, roles, kinds, slots, seen_at, config_revision)
         SELECT gen_random_uuid(), 'loom', n, '1', '{worker}', '{}', '{}',
                now() - CASE WHEN n = 4 THEN interval '5 minutes' ELSE interval '0' END, (n + 1) / 2
           FROM generate_series(1, 4) AS n;",
    )
    .await?;
    let surroundings = Surroundings {
        connections_per_process: 1_000,
        file: Some("version = 1\n".to_owned()),
    };

    let findings = diagnose(&engine(&db, ""), &surroundings).await;

    let silent = of(&findings, "processes");
    assert_eq!(silent.len(), 1, "{silent:#?}");
    assert!(
        silent[0].detail.starts_with("process 4 on loom "),
        "{silent:#?}"
    );
    let configuration = of(&findings, "configuration");
    assert_eq!(
        configuration[0].detail,
        "processes go by different revisions (revision 1: loom 1, loom 2; revision 2: loom 3)"
    );
    assert_eq!(
        configuration[1].detail,
        "the jobs.toml of this machine is not revision 2, which holds"
    );
    let connections = of(&findings, "connections");
    assert!(
        connections[0]
            .detail
            .starts_with("3 processes that work may open 1000 connections each"),
        "{connections:#?}"
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_a_pooler_in_transaction_mode_takes_away_is_said(db: PgPool) -> anyhow::Result<()> {
    let mut url = db.connect_options().to_url_lossy();
    url.query_pairs_mut().append_pair("pooler", "transaction");
    let database = Database::connect_lazy(DatabaseSettings {
        url: SecretString::from(url.to_string()),
        requests: 2,
        enqueues: 1,
        engine: 1,
        claims: 1,
        application_name: "doctor".to_owned(),
    })?;
    let config = std::sync::Arc::new(crate::config::Config::builtin());
    let queue = Queue::new(database, config, [])?;

    let findings = diagnose(&queue, &Surroundings::default()).await;

    let told = findings.iter().find(|finding| finding.check == "pooler");
    assert!(
        told.is_some_and(|finding| finding.detail.contains("switched off: hearing")),
        "{findings:#?}"
    );
    let lacking = of(&findings, "pooler");
    assert!(
        lacking[0]
            .remedy
            .contains(" SET statement_timeout = '10s';"),
        "{lacking:#?}"
    );
    queue.close().await;
    Ok(())
}

#[sqlx::test(migrations = false)]
async fn a_schema_that_is_missing_is_one_finding_with_its_remedy(db: PgPool) -> anyhow::Result<()> {
    let findings = found(&db, &Limits::USUAL).await;

    let schema = of(&findings, "schema");
    assert_eq!(schema.len(), 1, "{findings:#?}");
    assert_eq!(schema[0].remedy, "run `millpond migrate`");
    assert!(of(&findings, "work").is_empty(), "{findings:#?}");
    Ok(())
}
