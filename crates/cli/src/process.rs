//! A process at work: its HTTP side, its workers, its share in leading. It starts while the database is away, waits for
//! it unready, and stops in the order that loses nothing.

use std::{future::pending, net::SocketAddr, sync::Arc, time::Duration};

use clap::ValueEnum;
use jobs::{App, Doors};
use marketing::{
    accounts::{AccountGauges, Accounts},
    outbound::EndpointGauges,
    rollups::RollupGauges,
    sync::ObjectiveGauges,
};
use metrics_exporter_prometheus::PrometheusHandle;
use queue::{
    ConfigStart, DatabaseError, FleetGauges, Follower, Leader, Queue, Registry, WorkerSettings,
    Workers,
};
use tokio::{
    net::TcpListener,
    task::JoinError,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    args::VERSION,
    compose::{self, HttpPart},
    needed_keys, telemetry,
};

/// How often the recorder tidies up what it counted.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// Between two looks for a database that is away, in milliseconds: spread, since a fleet starts at once.
const LOOK_EVERY_MS: std::ops::Range<u64> = 500..1_000;
/// Longest that leading may take to end.
const LEADER_STOP: Duration = Duration::from_secs(10);
/// How much longer than `[worker] drain` a stop may take: what has ended is stored, requests under way are answered,
/// connections are closed. docker-compose.yml and docs/operations.md give a process more than both together.
const AFTER_DRAIN: Duration = Duration::from_secs(15);

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Serves HTTP.
    Api,
    /// Runs jobs.
    Worker,
    /// Takes part in leading: maintenance, replays, the fleet's gauges.
    Scheduler,
}

impl Role {
    /// Every role.
    pub(crate) const ALL: [Self; 3] = [Self::Api, Self::Worker, Self::Scheduler];

    fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Worker => "worker",
            Self::Scheduler => "scheduler",
        }
    }
}

/// What a process is made of and what it is to do.
pub(crate) struct Plan {
    /// The engine's front door.
    pub(crate) queue: Queue,
    /// The configuration that it begins with, and where that comes from.
    pub(crate) start: ConfigStart,
    /// What handlers need.
    pub(crate) app: App,
    /// The connected accounts.
    pub(crate) accounts: Accounts,
    /// Where HTTP is served.
    pub(crate) listener: TcpListener,
    /// What to do.
    pub(crate) roles: Vec<Role>,
    /// The queues to work on; `None`: all.
    pub(crate) queues: Option<Vec<String>>,
    /// Whether `demo.work` is a kind.
    pub(crate) with_demo: bool,
}

/// A process at work.
pub(crate) struct Process {
    queue: Queue,
    stopping: CancellationToken,
    closing: CancellationToken,
    http: Option<HttpTask>,
    workers: Option<Workers>,
    leader: Option<Leader>,
    follower: Option<Follower>,
    doors: Doors,
    _upkeep: AbortOnDropHandle<()>,
}

type HttpTask = AbortOnDropHandle<Result<(), api::ServeError>>;

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr}: stop what uses it, or set MILLPOND_HTTP_ADDR to another address")]
pub(crate) struct ListenError {
    addr: SocketAddr,
    source: std::io::Error,
}

/// The database was made by an older release.
#[derive(Debug, thiserror::Error)]
#[error(
    "the database's schema lacks {missing} migrations of this release: run `millpond migrate`, then start again"
)]
struct SchemaOlder {
    missing: usize,
}

/// The HTTP side ended by itself.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP server ended by itself")]
struct HttpEnded(#[source] Option<JoinError>);

/// Listens on an address.
///
/// # Errors
/// [`ListenError`] when it is taken, or not this machine's.
pub(crate) async fn listen(addr: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(addr)
        .await
        .map_err(|source| ListenError { addr, source })
}

impl Process {
    /// Starts serving HTTP at once and, as soon as the database is there, everything else. Returns early, with nothing
    /// else started, when `shutdown` is cancelled meanwhile.
    ///
    /// # Errors
    /// When the schema is older than this release, or a worker cannot start; whatever had started is stopped.
    pub(crate) async fn start(plan: Plan, shutdown: &CancellationToken) -> anyhow::Result<Self> {
        let prometheus = telemetry::start_metrics()?;
        compose::describe_metrics();
        let (stopping, closing) = (CancellationToken::new(), CancellationToken::new());
        let started = CancellationToken::new();
        let part = HttpPart {
            accounts: plan.accounts.clone(),
            is_api: plan.roles.contains(&Role::Api),
            started: started.clone(),
            stopping: stopping.clone(),
            closing: closing.clone(),
        };
        let serving =
            compose::serve_http(plan.listener, plan.queue.clone(), prometheus.clone(), part);
        let registry = compose::registry(&plan.start.config(), plan.with_demo);
        let mut process = Self {
            follower: Some(Follower::start(plan.queue.clone(), plan.start)),
            queue: plan.queue,
            stopping,
            closing,
            http: Some(AbortOnDropHandle::new(tokio::spawn(serving))),
            workers: None,
            leader: None,
            doors: plan.app.doors.clone(),
            _upkeep: AbortOnDropHandle::new(tokio::spawn(keep_up(prometheus))),
        };
        let settings = WorkerSettings {
            queues: plan.queues,
            roles: plan
                .roles
                .iter()
                .map(|role| role.as_str().to_owned())
                .collect(),
            version: VERSION.to_owned(),
        };
        let work = Work {
            app: plan.app,
            accounts: plan.accounts,
            registry,
            roles: plan.roles,
            settings,
        };
        match process.start_work(work, shutdown).await {
            Ok(()) => {
                started.cancel();
                Ok(process)
            }
            Err(error) => {
                process.stop().await;
                Err(error)
            }
        }
    }

    async fn start_work(&mut self, work: Work, shutdown: &CancellationToken) -> anyhow::Result<()> {
        if !wait_for_database(&self.queue, self.follower.as_ref(), shutdown).await? {
            return Ok(());
        }
        needed_keys::require(&self.queue, &work.accounts).await?;
        if work.roles.contains(&Role::Worker) {
            let app = Arc::new(work.app);
            let started =
                compose::start_workers(&self.queue, work.registry, app, work.settings).await;
            self.workers = Some(started?);
        }
        if work.roles.contains(&Role::Scheduler) {
            let gauges: Vec<Arc<dyn FleetGauges>> = vec![
                Arc::new(AccountGauges),
                Arc::new(ObjectiveGauges::new(self.queue.clone())),
                Arc::new(EndpointGauges),
                Arc::new(RollupGauges),
            ];
            self.leader = Some(Leader::start_with(self.queue.clone(), gauges));
        }
        Ok(())
    }

    /// The engine's front door.
    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Resolves when the HTTP side ends by itself, which it never should. Cancel-safe.
    pub(crate) async fn ended(&mut self) -> anyhow::Error {
        let Some(http) = &mut self.http else {
            return pending().await;
        };
        let ended = http.await;
        self.http = None;
        HttpEnded(ended.err()).into()
    }

    /// Stops: readiness fails, nothing more is claimed and what runs may finish while leading ends, requests under way
    /// are answered, connections close. All of it ends [`AFTER_DRAIN`] after `[worker] drain` at the latest.
    pub(crate) async fn stop(self) {
        let longest = self.queue.config().worker.drain + AFTER_DRAIN;
        self.stop_within(longest).await;
    }

    async fn stop_within(self, longest: Duration) {
        if timeout(longest, self.stop_in_order()).await.is_err() {
            tracing::warn!(
                "stopping took too long: requests under way are cut, jobs that still run will be rescued"
            );
        }
        tracing::info!("stopped");
    }

    async fn stop_in_order(mut self) {
        self.stopping.cancel();
        if let Some(follower) = self.follower.take() {
            follower.stop().await;
        }
        let (workers, leader) = (self.workers.take(), self.leader.take());
        tokio::join!(end_work(workers), end_leading(leader));
        // No job calls anybody any more.
        self.doors.close().await;
        self.closing.cancel();
        if let Some(http) = self.http.take() {
            match http.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the HTTP server did not end in order"),
                Err(error) => tracing::error!(%error, "the HTTP server failed"),
            }
        }
        self.queue.close().await;
        self.queue.database().close().await;
    }
}

async fn end_work(workers: Option<Workers>) {
    if let Some(workers) = workers {
        workers.drain().await;
    }
}

async fn end_leading(leader: Option<Leader>) {
    if let Some(leader) = leader
        && timeout(LEADER_STOP, leader.stop()).await.is_err()
    {
        tracing::warn!(
            "leading did not end in time; another process takes over when its term is over"
        );
    }
}

/// What starts once the database is there.
struct Work {
    app: App,
    accounts: Accounts,
    registry: Registry<App>,
    roles: Vec<Role>,
    settings: WorkerSettings,
}

/// Waits until the database answers with a schema that is new enough and has said what holds for the fleet, and tells it
/// our kinds. False when `shutdown` was cancelled first.
async fn wait_for_database(
    queue: &Queue,
    follower: Option<&Follower>,
    shutdown: &CancellationToken,
) -> anyhow::Result<bool> {
    let mut was_told = false;
    loop {
        // Both may be dropped: a question to the database changes nothing, and the announcement can be repeated.
        let asked = tokio::select! {
            () = shutdown.cancelled() => return Ok(false),
            asked = greet(queue, follower) => asked,
        };
        match asked {
            Ok(0) => return Ok(true),
            Ok(missing) => return Err(SchemaOlder { missing }.into()),
            Err(error) if !was_told => {
                let error = anyhow::Error::from(error);
                tracing::warn!("not ready: {error:#}; trying again until the database is there");
                was_told = true;
            }
            Err(error) => tracing::debug!(%error, "the database is still away"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(false),
            () = sleep(Duration::from_millis(rand::random_range(LOOK_EVERY_MS))) => {}
        }
    }
}

/// The number of migrations that the schema lacks; with none, the database is told our queues and kinds, as they are by
/// what holds for the fleet: a file that was read while the database was away may say something old.
async fn greet(queue: &Queue, follower: Option<&Follower>) -> Result<usize, DatabaseError> {
    let missing = queue.database().pending_migrations().await?.len();
    if missing == 0 {
        if let Some(follower) = follower {
            follower.caught_up().await;
        }
        queue.announce().await?;
    }
    Ok(missing)
}

async fn keep_up(prometheus: PrometheusHandle) {
    loop {
        sleep(UPKEEP_EVERY).await;
        prometheus.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use marketing::sync::Syncs;
    use queue::config::Config;
    use secrecy::SecretString;

    use super::*;
    use crate::compose::Connections;

    #[tokio::test]
    async fn a_stop_ends_in_time_though_a_request_does_not() {
        let nowhere = SecretString::from("postgres://127.0.0.1:1/none");
        let database = compose::connect_lazily(nowhere, Connections::Few)
            .await
            .expect("an address");
        let queue = Queue::new(database, Arc::new(Config::builtin()), []).expect("no schema");
        let process = Process {
            doors: Doors::start(Syncs::new(queue.clone())),
            queue,
            stopping: CancellationToken::new(),
            closing: CancellationToken::new(),
            http: Some(AbortOnDropHandle::new(tokio::spawn(pending()))),
            workers: None,
            leader: None,
            follower: None,
            _upkeep: AbortOnDropHandle::new(tokio::spawn(pending())),
        };

        let stopped = timeout(
            Duration::from_secs(20),
            process.stop_within(Duration::from_millis(50)),
        );

        assert!(stopped.await.is_ok());
    }

    #[tokio::test]
    async fn an_address_in_use_is_told_with_the_variable_that_changes_it() {
        let first = listen(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .expect("a port is free");
        let addr = first.local_addr().expect("bound");

        let refused = listen(addr).await.expect_err("it is taken").to_string();

        assert!(refused.contains(&addr.to_string()));
        assert!(refused.contains("MILLPOND_HTTP_ADDR"));
    }

    #[test]
    fn roles_are_called_as_on_the_command_line() {
        for role in Role::ALL {
            let name = role
                .to_possible_value()
                .map(|value| value.get_name().to_owned());

            assert_eq!(name.as_deref(), Some(role.as_str()));
        }
    }
}
