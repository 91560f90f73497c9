//! The database goes away and comes back; nobody helps.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{enqueue_for_later, proxy::Proxy};
use crate::harness::{Client, Program, World, eventually, world::free_port};

/// Longest until `/readyz` tells of the outage, and of its end: "within seconds", twice.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// A process whose way to the database is the proxy's.
async fn serve(world: &World, proxy: &Proxy) -> anyhow::Result<(Program, Client)> {
    let port = free_port()?;
    let mut command = world.millpond(&["serve"])?;
    command
        .env("DATABASE_URL", proxy.url())
        .env("MILLPOND_HTTP_ADDR", format!("127.0.0.1:{port}"));
    let program = Program::start(command, &world.folder.join("serve.log"))?;
    let key = world.key(&["enqueue", "read"], None)?;
    let client = Client::new(format!("http://127.0.0.1:{port}"), key)?;
    until_readyz(&client, StatusCode::OK).await?;
    Ok((program, client))
}

/// Waits for an answer of `/readyz`, and tells how long that took.
async fn until_readyz(client: &Client, status: StatusCode) -> anyhow::Result<Duration> {
    let began = Instant::now();
    eventually(&format!("/readyz answers {status}"), || async {
        let answer = client.bare(Method::GET, "/readyz").send().await;
        Ok(answer
            .is_ok_and(|answer| answer.status() == status)
            .then_some(()))
    })
    .await?;
    Ok(began.elapsed())
}

/// What is promised while the database is away.
async fn check_outage(client: &Client) -> anyhow::Result<()> {
    let told_after = until_readyz(client, StatusCode::SERVICE_UNAVAILABLE).await?;
    let began = Instant::now();
    let alive = client.bare(Method::GET, "/livez").send().await?.status();
    let livez_took = began.elapsed();
    let enqueues = (0..20).map(|_| enqueue_for_later(client));
    let enqueues = futures::future::try_join_all(enqueues).await?;

    assert!(told_after <= TOLD_WITHIN, "{told_after:?}");
    assert_eq!(alive, StatusCode::OK);
    assert!(livez_took < Duration::from_secs(1), "{livez_took:?}");
    for enqueue in enqueues {
        assert!(
            enqueue.status == StatusCode::SERVICE_UNAVAILABLE && enqueue.says_when_to_return,
            "{enqueue:?}"
        );
    }
    Ok(())
}

/// What is promised once the database is back.
async fn check_return(client: &Client) -> anyhow::Result<()> {
    let told_after = until_readyz(client, StatusCode::OK).await?;
    let id = eventually("a job is accepted", || async {
        let answer = client
            .post("/v1/jobs", &json!({"kind": "test.hook", "payload": {}}))
            .await?;
        Ok(answer.body["id"].as_str().map(str::to_owned))
    })
    .await?;
    client.in_state(&id, "succeeded").await?;

    assert!(told_after <= TOLD_WITHIN, "{told_after:?}");
    Ok(())
}

// Fails when a process ends with its database, when `/livez` or `/readyz` waits for it, when an enqueue answers anything
// but 503 with Retry-After, and when a worker, its feeders or its lease keeper give up.
#[tokio::test]
async fn a_database_that_refuses_is_told_within_seconds_and_its_return_needs_nobody()
-> anyhow::Result<()> {
    let world = World::new().await?;
    let mut proxy = Proxy::open(&world.database_url).await?;
    let (_program, client) = serve(&world, &proxy).await?;

    for _ in 0..2 {
        proxy.refuse().await;
        check_outage(&client).await?;
        proxy.recover().await?;
        check_return(&client).await?;
    }
    Ok(())
}

// Fails, beside that, when a call to the database has no deadline on our side.
#[tokio::test]
async fn a_database_that_falls_silent_is_told_within_seconds_and_its_return_needs_nobody()
-> anyhow::Result<()> {
    let world = World::new().await?;
    let mut proxy = Proxy::open(&world.database_url).await?;
    let (_program, client) = serve(&world, &proxy).await?;

    proxy.fall_silent();
    check_outage(&client).await?;
    proxy.recover().await?;
    check_return(&client).await?;
    Ok(())
}
