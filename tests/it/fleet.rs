//! Several processes, one fleet: what describes all of them is shown by one of them.

use crate::harness::{Client, World, eventually};

const TERM: &str = "millpond_leader_term";

/// Whether each process shows the fleet's gauges.
async fn who_shows(clients: [&Client; 2]) -> anyhow::Result<[bool; 2]> {
    Ok([
        clients[0].metric(TERM, "").await? > 0.0,
        clients[1].metric(TERM, "").await? > 0.0,
    ])
}

/// Fails when `/metrics` does not go through the engine, which withholds a follower's copy.
#[tokio::test]
async fn one_process_shows_the_fleets_gauges_and_another_when_it_is_gone() -> anyhow::Result<()> {
    let world = World::new().await?;
    let (first, one) = world.serve().await?;
    eventually("the first process leads", || async {
        Ok((one.metric(TERM, "").await? > 0.0).then_some(()))
    })
    .await?;
    let (_second, two) = world.serve().await?;
    assert_eq!(who_shows([&one, &two]).await?, [true, false]);
    assert!(two.metric("millpond_worker_slots", "").await? > 0.0);
    assert!(two.metric("millpond_db_pool_connections", "idle").await? > 0.0);

    first.signal("STOP")?;
    eventually("the second process leads", || async {
        Ok((two.metric(TERM, "").await? > 0.0).then_some(()))
    })
    .await?;
    first.signal("CONT")?;

    eventually("the first process follows", || async {
        Ok((who_shows([&one, &two]).await? == [false, true]).then_some(()))
    })
    .await
}
