//! A tenant with many waiting jobs delays one with few by no more than a turn.

use serde_json::{Value, json};

use super::fleet::Fleet;
use crate::harness::eventually;

/// Processes of one slot: a turn is a job.
const PROCESSES: usize = 2;
const MANY: i64 = 20_000;
const FEW: usize = 3;

const CONFIG: &str = r#"
[queues.default]
concurrency = 1
fair_by = "tenant"

[kinds."test.hook"]
target = "RECEIVER"
"#;

/// Jobs of the large tenant that were started before the last one of the small tenant was.
const STARTED_BEFORE: &str = "
    WITH started AS (
        SELECT tenant, started_at FROM millpond.job_history
         UNION ALL
        SELECT tenant, started_at FROM millpond.jobs WHERE state = 'running')
    SELECT count(*) FROM started
     WHERE tenant = 'large' AND started_at < (SELECT max(started_at) FROM started WHERE tenant = 'small')";

// Fails when jobs start in the order in which they came, when each process takes turns for itself, and when
// `millpond.enqueue` does not tell whose turn a job takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_jobs_of_one_tenant_wait_a_turn_each_behind_twenty_thousand_of_another()
-> anyhow::Result<()> {
    let mut fleet = Fleet::new(CONFIG).await?;
    fleet.start(PROCESSES).await?;
    fleet.world.command(&["queues", "pause", "default"])?;
    let many = format!(
        "SELECT count(millpond.enqueue('test.hook', '{{\"of\": \"large\"}}', tenant => 'large')) FROM generate_series(1, {MANY})"
    );
    assert_eq!(fleet.count(&many).await?, MANY);
    let few = json!({"kind": "test.hook", "payload": {"of": "small"}, "tenant": "small"});
    fleet.enqueue(vec![few; FEW]).await?;

    fleet.world.command(&["queues", "resume", "default"])?;
    let few = "SELECT count(*) FROM millpond.job_history WHERE tenant = 'small'";
    eventually("the few are done", || async {
        Ok((fleet.count(few).await? == i64::try_from(FEW)?).then_some(()))
    })
    .await?;

    let started = usize::try_from(fleet.count(STARTED_BEFORE).await?)?;
    assert!(started <= FEW, "{started} went before {FEW}");
    let calls = fleet.receiver.calls();
    let is_small = |payload: &Value| payload["of"] == "small";
    let last = calls.iter().rposition(|call| is_small(&call.payload));
    // The other process may be a call ahead.
    let most = 2 * FEW + PROCESSES - 1;
    assert!(last.is_some_and(|last| last < most), "{last:?}");
    Ok(())
}
