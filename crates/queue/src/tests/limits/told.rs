//! What is told of limits to whom, whoever works.

use sqlx::PgPool;

use super::{
    ONE_PER_KEY, claim_all, enqueue_all,
    explain::{answer, idle_worker},
    keyed, limited, run,
};
use crate::{Gate, GateAnswer, NewJob, tests::fixture::succeed};

// Fails when the limits of a kind are told as if there were none while no worker is there.
#[sqlx::test(migrations = "../../migrations")]
async fn limits_are_told_while_nobody_works(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, ONE_PER_KEY).await?;
    enqueue_all(&queue, [keyed("runs", "k")]).await?;
    claim_all(&db, "default", 1).await?;
    let id = queue.enqueue(keyed("waits", "k"), None).await?.id;

    let told = queue.explain_job(id, None).await?;

    let key_limit = answer(&told, Gate::KeyLimit);
    assert!(key_limit.blocking, "{told:?}");
    assert!(key_limit.detail.starts_with("1 of 1 places"), "{told:?}");
    assert!(answer(&told, Gate::NoWorker).blocking && !told.runnable);
    Ok(())
}

// Fails when a tenant learns how many attempts of others run, or how many calls they made.
#[sqlx::test(migrations = "../../migrations")]
async fn a_tenant_is_told_no_numbers_that_others_have_a_part_in(db: PgPool) -> anyhow::Result<()> {
    let config = format!(
        "{ONE_PER_KEY}budget = \"meta\"\n[queues.default]\nglobal_concurrency = 7\nrate = \"90/h\"\n"
    );
    let queue = limited(&db, &config).await?;
    idle_worker(&db).await?;
    enqueue_all(&queue, ["x", "y"].map(|key| keyed(key, key))).await?;
    claim_all(&db, "default", 1).await?;
    run(
        &db,
        "INSERT INTO millpond.budgets (name, account, dry_until, dry_detail, dry_for_urgent, dry_under)
         VALUES ('meta', '', now() + interval '1 hour', '9 of 10 calls a day are used', true, 'x')",
    )
    .await?;
    let own = NewJob {
        tenant: Some("a".to_owned()),
        ..keyed("own", "x")
    };
    let id = queue.enqueue(own, None).await?.id;

    let told = queue.explain_job(id, Some("a")).await?;

    let has_number = |gate: &&GateAnswer| gate.detail.chars().any(|c| c.is_ascii_digit());
    let of_workers = |gate: &&GateAnswer| gate.gate != Gate::NoWorker;
    let numbers: Vec<&GateAnswer> = told
        .gates
        .iter()
        .filter(of_workers)
        .filter(has_number)
        .collect();
    assert!(numbers.is_empty(), "{numbers:?}");
    assert!(answer(&told, Gate::KeyLimit).blocking && answer(&told, Gate::Budget).blocking);
    Ok(())
}

// Fails when the end of one of several reasons is told, whichever that is.
#[sqlx::test(migrations = "../../migrations")]
async fn a_budget_that_is_dry_for_two_reasons_tells_the_one_that_lasts(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = limited(&db, "[kinds.\"test.work\"]\nbudget = \"meta\"").await?;
    idle_worker(&db).await?;
    for (short, long) in [("paused", "dry"), ("dry", "paused")] {
        run(
            &db,
            &format!(
                "DELETE FROM millpond.budgets;
                 INSERT INTO millpond.budgets (name, account, paused_until, pause_reason, dry_until, dry_detail, dry_for_urgent,
                                               dry_under)
                 VALUES ('meta', '', now(), 'paused', now(), 'dry', true, 'x');
                 UPDATE millpond.budgets
                    SET {short}_until = now() + interval '1 hour', {long}_until = now() + interval '2 hours'"
            ),
        )
        .await?;
        let id = queue.enqueue(succeed("x"), None).await?.id;

        let told = queue.explain_job(id, None).await?;

        let budget = answer(&told, Gate::Budget);
        assert_eq!(budget.detail, format!("the budget meta: {long}"));
    }
    Ok(())
}
