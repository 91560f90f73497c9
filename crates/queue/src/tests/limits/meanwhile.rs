//! Limits that come or change while jobs run, and claims that stop in their midst.

use sqlx::PgPool;

use super::{
    ONE_PER_KEY, claim_all, claim_by, claim_on, count, enqueue_all, keyed, limited, names, run,
    settle,
};
use crate::{
    gates::{self, Ask, Sweep},
    store::claim as plain,
    tests::fixture::{succeed, until},
};

// Fails when attempts that were started before their kind had a limit take no place.
#[sqlx::test(migrations = "../../migrations")]
async fn what_runs_when_a_limit_per_key_comes_counts(db: PgPool) -> anyhow::Result<()> {
    let before = limited(&db, "").await?;
    enqueue_all(&before, ["runs", "waits"].map(|it| keyed(it, "k"))).await?;
    let kinds = ["test.work".to_owned()];
    let running = plain::next(&db, &claim_by("default", &kinds), 1).await?;

    limited(&db, ONE_PER_KEY).await?;
    let too_early = claim_all(&db, "default", 1).await?;
    settle(&db, "default", &running).await?;
    let in_time = claim_all(&db, "default", 1).await?;

    assert_eq!((running.len(), too_early.len()), (1, 0));
    assert_eq!(names(&in_time), ["waits"]);
    Ok(())
}

// Fails when starts count on from the end of a part of the span that holds no more: a part of a day is a quarter of an hour.
#[sqlx::test(migrations = "../../migrations")]
async fn another_rate_holds_for_what_was_started_under_a_slower_one(
    db: PgPool,
) -> anyhow::Result<()> {
    let slow = limited(&db, "[queues.default]\nrate = \"5/d\"").await?;
    enqueue_all(&slow, (0..10).map(|n| succeed(&n.to_string()))).await?;
    let first = claim_all(&db, "default", 1).await?;
    let none = claim_all(&db, "default", 1).await?;

    limited(&db, "[queues.default]\nrate = \"5/s\"").await?;

    assert_eq!((first.len(), none.len()), (5, 0));
    until("the second is over", || async {
        claim_all(&db, "default", 1).await?;
        Ok(count(&db, "state = 'running'").await? == 10)
    })
    .await
}

// Fails when a claim relies on what its session is set to: behind a pooler in transaction mode that is nothing, and a
// process that stops in the midst of a claim would hold up its queue for as long as it is stopped.
#[sqlx::test(migrations = "../../migrations")]
async fn a_claim_under_limits_is_ended_where_its_process_stops(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, "[queues.default]\nglobal_concurrency = 5").await?;
    enqueue_all(&queue, ["a", "b"].map(|it| keyed(it, "k"))).await?;
    run(
        &db,
        "CREATE TABLE public.seen (idle text, lock text);
         CREATE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             INSERT INTO public.seen
             VALUES (current_setting('idle_in_transaction_session_timeout'), current_setting('lock_timeout'));
             RETURN NEW;
         END $$;
         CREATE TRIGGER see BEFORE UPDATE ON millpond.jobs FOR EACH ROW EXECUTE FUNCTION public.see()",
    )
    .await?;
    let kinds = ["test.work".to_owned()];
    let ask = Ask {
        claim: &claim_by("default", &kinds),
        most: 1,
    };
    let mut conn = db.acquire().await?;

    claim_on(&mut conn, "default", 1, &mut Sweep::default()).await?;
    let mates = gates::mates(&mut conn, &ask, ("test.work", "k")).await?;

    let seen: Vec<(String, String)> = sqlx::query_as("SELECT idle, lock FROM public.seen")
        .fetch_all(&db)
        .await?;
    let afterwards: String = sqlx::query_scalar("SELECT current_setting('lock_timeout')")
        .fetch_one(&mut *conn)
        .await?;
    let two_seconds = || ("2s".to_owned(), "2s".to_owned());
    assert_eq!(mates.len(), 1);
    assert_eq!(seen, [two_seconds(), two_seconds()]);
    assert_ne!(afterwards, "2s");
    Ok(())
}
