//! Dead letters: groups, replay, discard, restore.

use serde_json::{Value, json};
use sqlx::PgPool;

use super::fixture::{FAST, actor, engine, in_state, job, until, work};
use crate::{
    AdminError, DeadFilter, GroupChange, JobId, PageRequest, Queue, ReplayRequest, Resolution,
    Selection, admin::advance_replays,
};

async fn dead_letters(queue: &Queue, count: usize) -> anyhow::Result<Vec<JobId>> {
    let jobs = (0..count)
        .map(|_| (job(&json!({"do": "fail", "class": "invalid"})), None))
        .collect();
    let ids: Vec<JobId> = queue
        .enqueue_batch(jobs, true)
        .await?
        .into_iter()
        .flatten()
        .map(|e| e.id)
        .collect();
    for id in &ids {
        in_state(queue, *id, "dead").await?;
    }
    Ok(ids)
}

fn page() -> PageRequest {
    PageRequest::new(None, None).expect("the default page is allowed")
}

fn request(selection: Selection, patch: Option<Value>) -> ReplayRequest {
    ReplayRequest {
        selection,
        dry_run: false,
        patch,
        reason: Some("mended".to_owned()),
    }
}

fn of_kind() -> DeadFilter {
    DeadFilter {
        kind: Some("test.work".to_owned()),
        ..DeadFilter::default()
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_patched_replay_runs_as_a_new_job_that_names_its_origin(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let (workers, _) = work(&queue).await?;
    let id = dead_letters(&queue, 1).await?[0];

    let patch = json!({"do": "succeed", "class": null, "name": "mended"});
    let answer = queue
        .replay(request(Selection::Ids(vec![id]), Some(patch)), &actor())
        .await?;
    let letter = queue.dead_letter(id, None).await?;
    let replayed = letter.summary.job.replayed_as.expect("it was replayed");
    let done = in_state(&queue, replayed, "succeeded").await?;

    assert_eq!((answer.matched, answer.will_enqueue), (1, 1));
    assert_eq!(done.summary.replay_of, Some(id));
    assert_eq!(letter.summary.resolution.as_deref(), Some("replayed"));
    let run = queue
        .replay_run(answer.replay_id.expect("it was no dry run"), None)
        .await?;
    assert_eq!((run.replay.total, run.replay.enqueued), (1, 1));
    workers.drain().await;
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_dry_run_tells_and_changes_nothing(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let (workers, _) = work(&queue).await?;
    dead_letters(&queue, 3).await?;

    let dry = ReplayRequest {
        dry_run: true,
        ..request(Selection::Filter(of_kind()), None)
    };
    let answer = queue.replay(dry, &actor()).await?;
    let bad = ReplayRequest {
        dry_run: true,
        ..request(
            Selection::Filter(of_kind()),
            Some(json!({"do": "nonsense"})),
        )
    };
    let bad = queue.replay(bad, &actor()).await?;

    assert_eq!(
        (answer.replay_id, answer.matched, answer.will_enqueue),
        (None, 3, 3)
    );
    assert_eq!(
        (
            bad.will_enqueue,
            bad.skipped[0].reason.as_str(),
            bad.skipped[0].count
        ),
        (0, "invalid_payload", 3)
    );
    assert_eq!(
        queue.dead_letters(&of_kind(), &page()).await?.items.len(),
        3
    );
    workers.drain().await;
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_replay_tells_how_many_its_patch_spoils(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let (workers, _) = work(&queue).await?;
    dead_letters(&queue, 3).await?;

    let patch = Some(json!({"do": "nonsense"}));
    let answer = queue
        .replay(request(Selection::Filter(of_kind()), patch), &actor())
        .await?;

    let skipped = answer.skipped.first().map(|skipped| skipped.count);
    assert_eq!(
        (answer.matched, answer.will_enqueue, skipped),
        (3, 0, Some(3))
    );
    let run = answer.replay_id.expect("it was no dry run");
    let run = queue.replay_run(run, None).await?.replay;
    assert_eq!((run.enqueued, run.skipped), (0, 3));
    workers.drain().await;
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_run_is_settled_when_its_jobs_have_ended_in_whatever_way(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let (workers, _) = work(&queue).await?;
    let id = dead_letters(&queue, 1).await?[0];
    workers.drain().await;
    let answer = queue
        .replay(request(Selection::Ids(vec![id]), None), &actor())
        .await?;
    let run = answer.replay_id.expect("it was no dry run");
    let letter = queue.dead_letter(id, None).await?;
    let replayed = letter.summary.job.replayed_as.expect("it was replayed");

    let while_it_waits = queue.is_replay_settled(run, None).await?;
    queue.cancel(replayed, &actor()).await?;
    let once_it_is_cancelled = queue.is_replay_settled(run, None).await?;

    assert_eq!((while_it_waits, once_it_is_cancelled), (false, true));
    assert!(matches!(
        queue.is_replay_settled(run, Some("other")).await,
        Err(AdminError::NotFound)
    ));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_letter_is_replayed_once_however_often_it_is_asked_for(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let (workers, app) = work(&queue).await?;
    dead_letters(&queue, 20).await?;

    let asker = actor();
    let asked = (0..4).map(|_| queue.replay(request(Selection::Filter(of_kind()), None), &asker));
    let answers = futures::future::try_join_all(asked).await?;
    until("they failed again", || async { Ok(app.seen().len() >= 40) }).await?;
    workers.drain().await;

    assert!(answers.iter().all(|answer| answer.replay_id.is_some()));
    assert_eq!(app.seen().len(), 40);
    Ok(())
}

// Fails when the jobs of a run are committed without what says that they were made: broken off between the two, the run
// makes them again.
#[sqlx::test(migrations = "../../migrations")]
async fn a_replay_that_is_broken_off_makes_no_job_twice(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let (workers, _) = work(&queue).await?;
    let ids = dead_letters(&queue, 3).await?;
    workers.drain().await;
    sqlx::raw_sql(
        "CREATE SEQUENCE public.tries;
         CREATE FUNCTION public.break_off() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF nextval('public.tries') = 1 THEN
                 RAISE EXCEPTION 'told to fail';
             END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER break_off BEFORE UPDATE ON millpond.replay_items
             FOR EACH ROW EXECUTE FUNCTION public.break_off();",
    )
    .execute(&db)
    .await?;
    let jobs = async || {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM millpond.jobs")
            .fetch_one(&db)
            .await?;
        anyhow::Ok(count)
    };

    queue
        .replay(request(Selection::Ids(ids), None), &actor())
        .await?;
    let once_broken_off = jobs().await?;
    while advance_replays(&queue.shared, None).await? {}

    assert_eq!((once_broken_off, jobs().await?), (0, 3));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_selection_that_is_empty_or_names_a_resolution_is_refused(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);

    for selection in [
        Selection::Ids(Vec::new()),
        Selection::Filter(DeadFilter::default()),
        Selection::Filter(DeadFilter {
            resolution: Some(Resolution::Replayed),
            ..of_kind()
        }),
    ] {
        assert!(matches!(
            queue
                .replay(request(selection.clone(), None), &actor())
                .await,
            Err(AdminError::Invalid { .. })
        ));
        assert!(matches!(
            queue.discard(selection.clone(), "why", &actor()).await,
            Err(AdminError::Invalid { .. })
        ));
        assert!(matches!(
            queue.restore(selection, "why", &actor()).await,
            Err(AdminError::Invalid { .. })
        ));
    }
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn groups_count_what_is_open_through_discard_and_restore(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let (workers, _) = work(&queue).await?;
    let ids = dead_letters(&queue, 3).await?;
    let open = async || {
        anyhow::Ok(
            queue
                .dead_groups(&of_kind(), &page())
                .await?
                .items
                .first()
                .map(|group| group.count),
        )
    };

    let before = open().await?;
    let discarded = queue
        .discard(Selection::Ids(ids.clone()), "not wanted", &actor())
        .await?;
    let after_discard = open().await?;
    let again = queue
        .discard(Selection::Ids(ids.clone()), "not wanted", &actor())
        .await?;
    let restored = queue
        .restore(Selection::Filter(of_kind()), "wanted after all", &actor())
        .await?;

    assert_eq!(
        (before, discarded, after_discard, again, restored),
        (Some(3), 3, None, 0, 3)
    );
    assert_eq!(open().await?, Some(3));
    workers.drain().await;
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_empty_note_takes_a_groups_note_away(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let (workers, _) = work(&queue).await?;
    let id = dead_letters(&queue, 1).await?[0];
    workers.drain().await;
    let group = queue.dead_letter(id, None).await?.summary.fingerprint;
    let note = async |text: Option<&str>| {
        let change = GroupChange {
            state: None,
            note: text.map(str::to_owned),
        };
        let changed = queue.update_dead_group(&group, change, &actor()).await;
        anyhow::Ok(changed?.note)
    };

    let noted = note(Some("seen")).await?;
    let untouched = note(None).await?;
    let taken_away = note(Some("")).await?;

    assert_eq!(noted.as_deref(), Some("seen"));
    assert_eq!(untouched, noted);
    assert_eq!(taken_away, None);
    Ok(())
}
