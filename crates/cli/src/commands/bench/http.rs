//! P4 and P5: enqueueing over HTTP, with keys, scopes and schemas checked, beside a handler that checks nothing. Both run
//! in this process, so that each shares the machine with the load generator alike.

use std::{
    future::ready,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use marketing::accounts::Accounts;
use queue::{
    Queue,
    bench::{self, Bench, Figure, Goal, KIND, PAYLOAD, ROUND, empty, insert_together},
};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    bare_http::BareHttp,
    ground::Ground,
    load::{Answered, Load, Request},
};
use crate::{
    compose::{self, HttpPart},
    telemetry,
};

/// Connections, and the longest that 99 of 100 answers may take there, in milliseconds.
const CONNECTIONS: [(usize, Option<f64>); 3] = [(16, None), (64, Some(4.0)), (256, Some(10.0))];
/// Jobs of a request of P5, and how many send them at once.
const BATCH: usize = 100;
const BATCH_CALLERS: u32 = 4;

/// P4 and P5, as far as they are wanted.
pub(super) async fn measure(ground: &Ground<'_>, bench: &mut Bench<'_>) {
    let ids = ["P4", "P5"];
    if !bench.wants_any(&ids) {
        return;
    }
    let api = match Api::start(ground).await {
        Ok(api) => api,
        Err(error) => {
            let failed = ready(Err::<[Figure; 0], _>(error));
            return bench.measure(&ids, "HTTP enqueue", failed).await;
        }
    };
    for (connections, p99_ms) in CONNECTIONS {
        let what = format!("HTTP enqueue, {connections} connections");
        let one_each = one_each(ground, &api, connections, p99_ms);
        bench.measure(&["P4"], &what, Box::pin(one_each)).await;
    }
    let what = format!("HTTP enqueue, {BATCH} jobs a request");
    let batches = batches(ground, &api);
    bench.measure(&["P5"], &what, Box::pin(batches)).await;
    api.stop().await;
}

/// P4: a job a request, without and with an idempotency key.
async fn one_each(
    ground: &Ground<'_>,
    api: &Api,
    connections: usize,
    p99_goal_ms: Option<f64>,
) -> anyhow::Result<[Figure; 3]> {
    let bare = BareHttp::start(&ground.db).await?;
    let body = format!(r#"{{"kind":"{KIND}","payload":{PAYLOAD}}}"#);
    let plain = Request::post("/v1/jobs", &api.key, &body, 201);
    let keyed = plain.clone().with_idempotency_key();
    let bare_request = Request::post("/", &api.key, &body, 201);
    let (mut ours, mut repeatable, mut limit) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ground.settings.rounds {
        ours.push(send(api.addr, &plain, connections).await?);
        limit.push(send(bare.addr, &bare_request, connections).await?);
        repeatable.push(send(api.addr, &keyed, connections).await?);
        empty(&ground.db).await?;
    }
    let what = format!("HTTP enqueue, {connections} connections");
    let keyed_what = format!("{what}, an Idempotency-Key each");
    let limit_is = "bare axum handler with group commit";
    let p99 = Figure::new("P4", format!("{what}, p99"), "ms", p99_ms(&ours))
        .with_limit(limit_is, p99_ms(&limit));
    Ok([
        Figure::new("P4", what, "/s", rates(&ours))
            .beside(limit_is, rates(&limit))
            .judged_by(Goal::AtLeast(0.85))
            .in_series("HTTP", connections),
        Figure::new("P4", keyed_what, "/s", rates(&repeatable))
            .beside(limit_is, rates(&limit))
            .judged_by(Goal::AtLeast(0.55))
            .in_series("HTTP, Idempotency-Key", connections),
        match p99_goal_ms {
            Some(most) => p99.judged_by(Goal::AtMost(most)),
            None => p99,
        },
    ])
}

/// P5: a hundred jobs a request.
async fn batches(ground: &Ground<'_>, api: &Api) -> anyhow::Result<[Figure; 1]> {
    let job = format!(r#"{{"kind":"{KIND}","payload":{PAYLOAD}}}"#);
    let body = format!(r#"{{"jobs":[{}]}}"#, vec![job; BATCH].join(","));
    let request = Request::post("/v1/jobs/batch", &api.key, &body, 200);
    let callers = usize::try_from(BATCH_CALLERS)?;
    let jobs_of_a_request = bench::per_second(BATCH, Duration::from_secs(1));
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..ground.settings.rounds {
        let answered = send(api.addr, &request, callers).await?;
        ours.push(answered.per_second * jobs_of_a_request);
        limit.push(insert_together(&ground.db, BATCH_CALLERS, BATCH).await?);
        empty(&ground.db).await?;
    }
    let what = format!("HTTP enqueue, {BATCH} jobs a request, {callers} connections");
    let figure = Figure::new("P5", what, "/s", ours)
        .beside("unnest of 100 narrow rows, 4 connections", limit)
        .judged_by(Goal::AtLeast(0.75));
    Ok([figure])
}

async fn send(addr: SocketAddr, request: &Request, connections: usize) -> anyhow::Result<Answered> {
    let load = Load {
        addr,
        request: request.clone(),
        connections,
        time: ROUND,
    };
    load.run().await
}

fn rates(answered: &[Answered]) -> Vec<f64> {
    answered.iter().map(|round| round.per_second).collect()
}

fn p99_ms(answered: &[Answered]) -> Vec<f64> {
    answered.iter().map(|round| round.p99_ms).collect()
}

/// The whole API in this process, with the benchmark's own kind behind it.
struct Api {
    addr: SocketAddr,
    key: SecretString,
    queue: Queue,
    closing: CancellationToken,
    serving: AbortOnDropHandle<Result<(), api::ServeError>>,
}

impl Api {
    async fn start(ground: &Ground<'_>) -> anyhow::Result<Self> {
        let prometheus = telemetry::start_metrics()?;
        let queue = bench::engine(&ground.db, false)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let closing = CancellationToken::new();
        let started = CancellationToken::new();
        started.cancel();
        let part = HttpPart {
            accounts: Accounts::only_to_look_at(queue.clone()),
            started,
            is_api: true,
            stopping: CancellationToken::new(),
            closing: closing.clone(),
        };
        let serving = compose::serve_http(listener, queue.clone(), prometheus, part);
        Ok(Self {
            addr,
            key: ground.key(&queue).await?,
            queue,
            closing,
            serving: AbortOnDropHandle::new(tokio::spawn(serving)),
        })
    }

    async fn stop(self) {
        self.closing.cancel();
        // Cut connections are the generator's, which has ended.
        let _ = self.serving.await;
        self.queue.close().await;
    }
}
