//! Revisions and overrides in the database, and processes that follow them.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::{HOUR, apply, concurrency, count, front_door, member, new, nowhere, process, set};
use crate::{
    AdminError, Database, Follower,
    admin::{ConfigText, OverrideEnd, PageRequest},
    live::{Again, NewRevision, Recorded, RevisionSource, start::store},
    tests::fixture::{FAST, actor, until},
};

fn saved(text: &str) -> NewRevision<'_> {
    NewRevision {
        text,
        source: RevisionSource::File,
        author: "file jobs.toml on loom",
        reason: None,
        again: Again::Always,
    }
}

// Fails when what is newest is looked at before others are locked out.
#[sqlx::test(migrations = "../../migrations")]
async fn files_that_are_saved_at_once_become_a_revision_each_and_one_holds(
    db: PgPool,
) -> anyhow::Result<()> {
    let database = Database::from_pool(db.clone());
    let texts: Vec<String> = (1..=4)
        .map(|n| format!("[queues.sync]\nconcurrency = {n}\n"))
        .collect();

    let two_of_each = texts.iter().chain(&texts);
    let database = &database;
    let stored = two_of_each.map(|text| async move { store(database, &saved(text)).await });
    let stored = futures::future::try_join_all(stored).await?;

    let is_new = |recorded: &&Recorded| matches!(recorded, Recorded::New { .. });
    let made = stored.iter().filter(is_new).count();
    let revisions = count(&db, "SELECT count(*) FROM millpond.config_revisions").await?;
    let changes = count(&db, "SELECT change FROM millpond.config_state").await?;
    assert!(made >= texts.len(), "{stored:?}");
    assert_eq!((revisions, changes), (made as i64, made as i64));
    let doubled = count(
        &db,
        "SELECT count(*) FROM millpond.config_revisions a JOIN millpond.config_revisions b
            ON b.revision = (SELECT min(revision) FROM millpond.config_revisions WHERE revision > a.revision)
         WHERE a.content_hash = b.content_hash",
    )
    .await?;
    assert_eq!(doubled, 0, "the same text twice in a row is no change");
    Ok(())
}

// Fails when a file is compared with the newest revision alone, or when a known text cannot come back.
#[sqlx::test(migrations = "../../migrations")]
async fn a_known_file_changes_nothing_at_a_start_and_is_a_change_when_it_is_saved(
    db: PgPool,
) -> anyhow::Result<()> {
    let database = Database::from_pool(db.clone());
    let old = "[queues.sync]\nconcurrency = 1\n";
    let first = process(&db, old).await;
    let (queue, _) = member(&db, "").await;
    apply(&queue, new("[queues.sync]\nconcurrency = 2\n")).await?;

    let again = process(&db, old).await;
    let gone_back = NewRevision {
        again: Again::IfNotAfter(2),
        ..saved(old)
    };
    let third = store(&database, &gone_back).await?;

    assert_eq!((first.revision(), first.is_of_file()), (Some(1), true));
    assert_eq!((again.revision(), again.is_of_file()), (Some(2), false));
    assert_eq!(again.config().queues["sync"].concurrency, 2);
    let expected = Recorded::New {
        revision: 3,
        changed: vec!["queues.sync.concurrency".to_owned()],
    };
    assert_eq!(third, expected);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn without_a_revision_a_command_goes_by_its_file_and_stores_nothing(
    db: PgPool,
) -> anyhow::Result<()> {
    let (queue, start) = member(&db, "[queues.sync]\nconcurrency = 7\n").await;

    assert_eq!((concurrency(&queue), start.revision()), (7, None));
    let revisions = count(&db, "SELECT count(*) FROM millpond.config_revisions").await?;
    assert_eq!(revisions, 0);
    Ok(())
}

// Fails when a process waits for its database before it goes by anything.
#[tokio::test]
async fn without_the_database_the_file_alone_holds() {
    let start = process(&nowhere(), "[queues.sync]\nconcurrency = 3\n").await;

    assert_eq!(start.config().queues["sync"].concurrency, 3);
    assert_eq!((start.revision(), start.is_of_file()), (None, true));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_text_that_is_applied_holds_in_every_process_and_goes_back(
    db: PgPool,
) -> anyhow::Result<()> {
    let (one, first) = member(&db, "").await;
    let (two, second) = member(&db, "").await;
    let followers = [
        Follower::start(one.clone(), first),
        Follower::start(two.clone(), second),
    ];
    let holds = async |expected: u32| {
        until("it holds in both", || async {
            Ok(concurrency(&one) == expected && concurrency(&two) == expected)
        })
        .await
    };

    let applied = apply(&one, new("[queues.sync]\nconcurrency = 3\n")).await?;
    holds(3).await?;
    apply(&one, new("[queues.sync]\nconcurrency = 4\n")).await?;
    holds(4).await?;
    let back = apply(&two, ConfigText::Of(applied.revision)).await?;
    holds(3).await?;
    let same = apply(&two, ConfigText::Of(applied.revision)).await?;

    assert_eq!((applied.revision, back.revision), (1, 3));
    assert_eq!(back.changed, ["queues.sync.concurrency"]);
    assert_eq!((same.revision, same.is_new), (3, false));
    let history = one.config_revisions(&PageRequest::new(None, None)?).await?;
    let told: Vec<_> = history
        .items
        .iter()
        .map(|revision| (revision.revision, revision.author.as_str()))
        .collect();
    assert_eq!(told, [(3, "test"), (2, "test"), (1, "test")]);
    let noted = count(
        &db,
        "SELECT count(*) FROM millpond.audit WHERE action = 'config.apply' AND reason = 'a test'",
    )
    .await?;
    assert_eq!(noted, 3);
    for follower in followers {
        follower.stop().await;
    }
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_wrong_text_is_refused_with_every_place_and_changes_nothing(
    db: PgPool,
) -> anyhow::Result<()> {
    let (queue, _) = member(&db, "").await;

    let refused = apply(
        &queue,
        new("[queues.sync]\nconcurency = 3\n[lease]\nttl = 5\n"),
    )
    .await;
    let unknown = apply(&queue, ConfigText::Of(9)).await;

    let refused = refused.expect_err("it is wrong");
    match refused.downcast_ref() {
        Some(AdminError::Configuration(problems)) => assert_eq!(problems.len(), 2),
        other => panic!("{other:?}"),
    }
    let unknown = unknown.expect_err("there is none");
    assert!(matches!(
        unknown.downcast_ref(),
        Some(AdminError::Invalid { pointer, .. }) if pointer == "/revision"
    ));
    assert_eq!(
        count(&db, "SELECT change FROM millpond.config_state").await?,
        0
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_text_that_processes_could_not_start_with_is_refused(db: PgPool) -> anyhow::Result<()> {
    let start = process(&db, "[queues.sync]\nconcurrency = 1\n").await;
    let queue = front_door(&db, &start);

    let refused = apply(&queue, new("[queues.forbidden]\n")).await;

    let refused = refused.expect_err("the process says no");
    assert!(matches!(
        refused.downcast_ref(),
        Some(AdminError::Invalid { pointer, message })
            if pointer == "/text" && message == "the queue is forbidden"
    ));
    Ok(())
}

// Fails when an override is kept for as long as nobody else changes anything, or when its end waits for the database.
#[sqlx::test(migrations = "../../migrations")]
async fn an_override_holds_everywhere_and_ends_by_itself(db: PgPool) -> anyhow::Result<()> {
    let (queue, start) = member(&db, "[queues.sync]\nconcurrency = 8\n").await;
    apply(&queue, new("[queues.sync]\nconcurrency = 8\n")).await?;
    let follower = Follower::start(queue.clone(), start);

    set(
        &queue,
        "queues.sync.concurrency",
        json!(2),
        OverrideEnd::After(Duration::from_secs(3)),
    )
    .await?;
    until("it holds", || async { Ok(concurrency(&queue) == 2) }).await?;
    let shown = queue.in_force();
    until("it has ended", || async { Ok(concurrency(&queue) == 8) }).await?;

    assert_eq!(shown.overrides.len(), 1);
    assert_eq!(shown.overrides[0].author, "test");
    assert!(queue.in_force().overrides.is_empty());
    follower.stop().await;
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_override_is_checked_set_replaced_and_taken_away(db: PgPool) -> anyhow::Result<()> {
    let (queue, _) = member(&db, "").await;
    let key = "queues.sync.concurrency";

    set(&queue, key, json!(2), HOUR).await?;
    let later = Utc::now() + TimeDelta::hours(2);
    let replaced = set(
        &queue,
        " queues.'sync'.concurrency",
        json!(3),
        OverrideEnd::At(later),
    )
    .await?;
    let held = count(&db, "SELECT count(*) FROM millpond.config_overrides").await?;
    queue.unset_override(key, &actor()).await?;
    let gone = queue.unset_override(key, &actor()).await;

    assert_eq!((replaced.key.as_str(), held), (key, 1));
    assert!((replaced.until - later).num_milliseconds().abs() <= 1);
    assert!(matches!(gone, Err(AdminError::NotFound)));
    let at_fault = async |key: &str, value: Value, ends: OverrideEnd| match set(
        &queue, key, value, ends,
    )
    .await
    {
        Err(AdminError::Invalid { pointer, .. }) => pointer,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        at_fault("queues.sync.concurency", json!(2), HOUR).await,
        "/key"
    );
    assert_eq!(at_fault(key, json!(0), HOUR).await, "/value");
    let (soon, past) = (
        OverrideEnd::After(Duration::ZERO),
        OverrideEnd::At(Utc::now()),
    );
    assert_eq!(at_fault(key, json!(2), soon).await, "/for");
    assert_eq!(at_fault(key, json!(2), past).await, "/until");
    let noted = count(
        &db,
        "SELECT count(*) FROM millpond.audit WHERE action IN ('config.set', 'config.unset')",
    )
    .await?;
    assert_eq!(noted, 3);
    Ok(())
}

// Fails when overrides are read as part of a revision instead of over it.
#[sqlx::test(migrations = "../../migrations")]
async fn an_override_that_a_revision_makes_wrong_stands_not_in_its_way(
    db: PgPool,
) -> anyhow::Result<()> {
    let (queue, start) = member(&db, "").await;
    apply(&queue, new("[queues.extra]\nconcurrency = 8\n")).await?;
    set(&queue, "queues.extra.concurrency", json!(2), HOUR).await?;
    let follower = Follower::start(queue.clone(), start);
    until("it holds", || async {
        Ok(queue.in_force().overrides.len() == 1)
    })
    .await?;

    apply(&queue, new("[queues.sync]\nconcurrency = 5\n")).await?;

    until("the revision holds", || async {
        Ok(concurrency(&queue) == 5)
    })
    .await?;
    let in_force = queue.in_force();
    assert!(in_force.overrides.is_empty());
    assert_eq!(in_force.ignored.len(), 1);
    assert!(in_force.ignored[0].problem.contains("queues.extra"));
    follower.stop().await;
    Ok(())
}

// Fails when a revision of a newer release empties the configuration of an older one, or is not told.
#[sqlx::test(migrations = "../../migrations")]
async fn a_revision_that_this_release_cannot_read_is_told_and_what_held_holds(
    db: PgPool,
) -> anyhow::Result<()> {
    let (queue, start) = member(&db, "").await;
    apply(&queue, new("[queues.sync]\nconcurrency = 5\n")).await?;
    let follower = Follower::start(queue.clone(), start);
    until("it holds", || async { Ok(concurrency(&queue) == 5) }).await?;

    sqlx::raw_sql(
        "INSERT INTO millpond.config_revisions (content_hash, text, source, author, changed)
         VALUES ('\\x00', E'[queues.sync]\\nfrom_the_future = 1\\n', 'file', 'newer', '{}');
         UPDATE millpond.config_state SET change = change + 1",
    )
    .execute(&db)
    .await?;
    until("it is told", || async { Ok(queue.has_rejected_config()) }).await?;
    let status = queue.config_status().await?;
    set(&queue, "queues.sync.concurrency", json!(6), HOUR)
        .await
        .expect_err("nobody can check it over a text that cannot be read");
    apply(&queue, new("[queues.sync]\nconcurrency = 7\n")).await?;
    until("the next one holds", || async {
        Ok(concurrency(&queue) == 7)
    })
    .await?;

    let rejected = status.rejected.expect("it was told");
    assert_eq!(
        (status.in_force.revision, rejected.source.as_str()),
        (Some(1), "revision 2")
    );
    assert!(
        rejected.problems[0].starts_with("revision 2:2:1: unknown key \"from_the_future\""),
        "{rejected:?}"
    );
    assert!(!queue.has_rejected_config());
    follower.stop().await;
    Ok(())
}

// Fails when a change is applied and millpond.enqueue goes on with what was announced at the start.
#[sqlx::test(migrations = "../../migrations")]
async fn the_database_learns_what_a_change_means_for_kinds(db: PgPool) -> anyhow::Result<()> {
    let (queue, start) = member(&db, FAST).await;
    queue.announce().await?;
    let follower = Follower::start(queue.clone(), start);

    apply(
        &queue,
        new("[kinds.\"test.work\"]\nmax_attempts = 9\n[queues.extra]\n"),
    )
    .await?;

    until("both are known", || async {
        let kinds = "SELECT count(*) FROM millpond.kinds_seen WHERE kind = 'test.work' AND max_attempts = 9";
        let queues = "SELECT count(*) FROM millpond.queues WHERE name = 'extra'";
        Ok(count(&db, kinds).await? == 1 && count(&db, queues).await? == 1)
    })
    .await?;
    follower.stop().await;
    Ok(())
}
