//! Files that change while their processes run: which of them speaks, and what becomes of one that cannot be stored.

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{apply, concurrency, count, front_door, member, new, nowhere, process, slots, source};
use crate::{
    Queue,
    admin::ConfigText,
    live::{ConfigStart, file::Seen, follower::Following},
};

/// A process that works on this database, whose steps the test takes.
fn node(db: &PgPool, start: ConfigStart) -> (Queue, Following) {
    let queue = front_door(db, &start);
    let following = Following::new(queue.clone(), start, CancellationToken::new());
    (queue, following)
}

async fn step(following: &mut Following) -> anyhow::Result<()> {
    following.live().news.ring();
    Ok(following.keep_in_step().await?)
}

/// The file of this process has another text from now on.
async fn save(following: &mut Following, text: &str) -> anyhow::Result<()> {
    following.consider(Seen::at_start(Some(text)));
    step(following).await
}

async fn newest(db: &PgPool) -> anyhow::Result<i64> {
    count(db, "SELECT max(revision) FROM millpond.config_revisions").await
}

// Fails when a text that another process made a revision is put in force again by whoever sees it later, as nodes do whose
// copy of an orchestrator's map arrives with a delay.
#[sqlx::test(migrations = "../../migrations")]
async fn a_file_that_arrives_late_does_not_undo_a_roll_back(db: PgPool) -> anyhow::Result<()> {
    let (_, mut early) = node(&db, process(&db, &slots(1)).await);
    let (queue, mut late) = node(&db, process(&db, &slots(1)).await);
    let (person, _) = member(&db, "").await;
    save(&mut early, &slots(2)).await?;
    step(&mut late).await?;
    let rolled_out = concurrency(&queue);
    let back = apply(&person, ConfigText::Of(1)).await?;

    save(&mut late, &slots(2)).await?;
    let after = concurrency(&queue);
    save(&mut late, &slots(3)).await?;

    assert_eq!((rolled_out, back.revision, after), (2, 3, 1));
    assert_eq!(
        (newest(&db).await?, concurrency(&queue)),
        (4, 3),
        "a new text takes effect as ever"
    );
    Ok(())
}

// Fails when every text that was a revision before is taken for one that arrives late.
#[sqlx::test(migrations = "../../migrations")]
async fn an_older_text_that_somebody_saves_on_purpose_takes_effect(
    db: PgPool,
) -> anyhow::Result<()> {
    let (queue, mut one) = node(&db, process(&db, &slots(1)).await);
    let mut seen = Vec::new();

    for text in [slots(2), slots(1), slots(2), slots(3), slots(2)] {
        save(&mut one, &text).await?;
        seen.push(concurrency(&queue));
    }

    assert_eq!(seen, [2, 1, 2, 3, 2]);
    assert_eq!(newest(&db).await?, 6);
    Ok(())
}

// Fails when a process that was started anew takes for late what was a revision before it started.
#[sqlx::test(migrations = "../../migrations")]
async fn after_a_restart_too_an_older_text_can_be_saved_on_purpose(
    db: PgPool,
) -> anyhow::Result<()> {
    let (_, mut before) = node(&db, process(&db, &slots(1)).await);
    save(&mut before, &slots(2)).await?;
    save(&mut before, &slots(3)).await?;

    let (queue, mut after) = node(&db, process(&db, &slots(3)).await);
    save(&mut after, &slots(2)).await?;

    assert_eq!((newest(&db).await?, concurrency(&queue)), (4, 2));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_first_file_that_was_a_revision_before_changes_nothing(db: PgPool) -> anyhow::Result<()> {
    process(&db, &slots(1)).await;
    let (person, _) = member(&db, "").await;
    apply(&person, new(&slots(2))).await?;
    let without = super::start_with(&db, source(None)).await;
    let (queue, mut without) = node(&db, without.expect("a revision holds"));
    let (other, mut away) = node(&db, process(&nowhere(), &slots(1)).await);

    save(&mut without, &slots(1)).await?;
    step(&mut away).await?;

    assert_eq!(newest(&db).await?, 2);
    assert_eq!((concurrency(&queue), concurrency(&other)), (2, 2));
    Ok(())
}

// Fails when a save that the database will never take keeps the process from hearing of anything else.
#[sqlx::test(migrations = "../../migrations")]
async fn a_file_that_cannot_be_stored_is_told_once_and_others_are_followed(
    db: PgPool,
) -> anyhow::Result<()> {
    let (queue, mut following) = node(&db, process(&db, &slots(1)).await);
    let (person, _) = member(&db, "").await;
    sqlx::raw_sql(
        "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'no files any more'; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON millpond.config_revisions
             FOR EACH ROW WHEN (NEW.source = 'file') EXECUTE FUNCTION public.refuse()",
    )
    .execute(&db)
    .await?;

    save(&mut following, &slots(2)).await?;
    let told = queue.rejected_config();
    apply(&person, new(&slots(7))).await?;
    step(&mut following).await?;
    let told_still = queue.rejected_config();

    let rejected = told.clone().expect("it was told");
    assert!(
        rejected.problems[0].contains("cannot be stored")
            && rejected.problems[0].contains("no files any more"),
        "{rejected:?}"
    );
    assert_eq!(told_still, told);
    assert_eq!(concurrency(&queue), 7);
    Ok(())
}
