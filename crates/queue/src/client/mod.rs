//! The engine's front door: one [`Queue`] a process. It accepts jobs; reads and admin actions stand in `admin/`.

mod backlog;
mod batch;
mod enqueuer;
mod error;
mod health;
mod joined;
mod keyring;
mod prepare;
mod seen;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, OnceLock},
    time::Duration,
};

use serde_json::{Value, json};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use batch::settle_conflict;
pub use error::EnqueueError;
pub use health::Health;
pub use joined::{JoinedJob, WhereOneWaits};
pub use keyring::AuthenticatedKey;
pub(crate) use keyring::hash as hash_secret;
pub(crate) use prepare::account_of;
pub(crate) use seen::{Asked, Seen};

use crate::{
    budgets::{self, Budgets},
    cipher::Cipher,
    config::{Config, FairBy, Policy},
    db::{Database, DatabaseError, within},
    doorbell::Bell,
    handler::KindInfo,
    job::{Enqueued, Idempotency, JobId, JobState, NewJob, Source, payload::field_path},
    live::{ConfigStart, InForce, LiveConfig},
    metrics::{self, EnqueueLabels},
    sealing::Sealer,
    store::{
        gates::facts::take_places,
        insert::Answer,
        payload_keys,
        schema::{self, QueuesSet},
    },
};
use backlog::{Backlog, queue_full};
use batch::{Answered, Item};
use enqueuer::Enqueuer;
use keyring::Keyring;

/// Longest that closing waits for what is being stored.
const CLOSE: Duration = Duration::from_secs(10);

/// A kind's schema cannot be compiled: a fault of the kind.
#[derive(Debug, thiserror::Error)]
#[error("the schema of kind \"{kind}\" cannot be used: {reason}")]
pub struct SchemaError {
    /// The kind.
    pub kind: String,
    /// What the library says.
    pub reason: String,
}

/// A kind as callers see it: what is registered, with the policy that holds for it.
#[derive(Debug, Clone)]
pub struct Kind {
    /// `family.action`.
    pub name: Arc<str>,
    /// The queue its jobs wait in.
    pub queue: String,
    /// JSON Schema of its payload.
    pub schema: Arc<Value>,
    /// Payload fields that are never shown.
    pub redact: Vec<String>,
    /// Whether its handler takes waiting jobs together.
    pub batch: bool,
    /// Attempts before a job is dead.
    pub max_attempts: u32,
    /// Longest attempt.
    pub timeout: Duration,
    /// 0 (first) to 9.
    pub priority: i16,
}

/// A registered kind with its compiled schema.
pub(crate) struct KnownKind {
    info: KindInfo,
    validator: jsonschema::Validator,
}

/// What all clones of a [`Queue`] share.
pub(crate) struct Shared {
    pub(crate) db: Database,
    pub(crate) live: LiveConfig,
    kinds: BTreeMap<Arc<str>, KnownKind>,
    pub(crate) bell: Arc<Bell>,
    pub(crate) budgets: Budgets,
    enqueuer: Enqueuer,
    backlog: Backlog,
    keyring: Keyring,
    health: health::Checker,
    /// Seals payloads; empty where no keys are configured.
    sealer: OnceLock<Sealer>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Shared {
    /// What `jobs.toml` says now. Whoever needs two values that belong together asks once.
    pub(crate) fn config(&self) -> Arc<Config> {
        self.live.config()
    }

    /// Says that the configuration of the fleet has changed: this process and the others look now.
    pub(crate) fn tell_of_config(&self) {
        self.live.news.ring();
        self.bell.config();
    }

    /// Who seals and opens payloads here; `None` without keys.
    pub(crate) fn sealer(&self) -> Option<&Sealer> {
        self.sealer.get()
    }

    /// Who seals new payloads of a kind; `None`: they lie as they are. Beside processes with keys none does.
    fn sealer_of(
        &self,
        kind: &str,
        policy: &Policy,
        seen: &Seen,
    ) -> Result<Option<&Sealer>, EnqueueError> {
        match self.sealer() {
            _ if !policy.encrypt => Ok(None),
            None if policy.needs_keys || seen.has_keys() => Err(EnqueueError::NoKeys {
                kind: kind.to_owned(),
            }),
            sealer => Ok(sealer),
        }
    }

    /// Whether payloads of a kind lie encrypted.
    pub(crate) fn seals(&self, policy: &Policy) -> bool {
        policy.encrypt && (policy.needs_keys || self.sealer().is_some())
    }

    /// Whether this process has registered a kind.
    pub(crate) fn has_kind(&self, kind: &str) -> bool {
        self.kinds.contains_key(kind)
    }

    pub(crate) fn kind_names(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().map(|name| &**name)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The engine's front door; cheap to clone, one a process.
#[derive(Clone)]
pub struct Queue {
    pub(crate) shared: Arc<Shared>,
}

impl Queue {
    /// Opens the front door. Starts tasks that end when the last clone is dropped or [`Self::close`] is called, so it
    /// must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When a kind's schema cannot be compiled.
    pub fn new(
        db: Database,
        config: Arc<Config>,
        kinds: impl IntoIterator<Item = KindInfo>,
    ) -> Result<Self, SchemaError> {
        let kinds: Vec<KindInfo> = kinds.into_iter().collect();
        let names = kinds.iter().map(|kind| Arc::clone(&kind.name)).collect();
        Self::open(db, LiveConfig::new(config, names), kinds)
    }

    /// The same with what a process begins with; a [`crate::Follower`] keeps it in step.
    ///
    /// # Errors
    /// When a kind's schema cannot be compiled.
    pub fn starting(
        db: Database,
        start: &ConfigStart,
        kinds: impl IntoIterator<Item = KindInfo>,
    ) -> Result<Self, SchemaError> {
        let kinds = kinds.into_iter().collect();
        Self::open(db, LiveConfig::starting(start), kinds)
    }

    fn open(db: Database, live: LiveConfig, kinds: Vec<KindInfo>) -> Result<Self, SchemaError> {
        let kinds = kinds.into_iter().map(compile).collect::<Result<_, _>>()?;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let bell = Arc::new(Bell::start(db.clone(), &tasks, stop.clone()));
        let budgets = Budgets::start(db.clone(), live.changes(), &tasks, stop.clone());
        let ttl = live.config().http.idempotency_ttl;
        let shared = Shared {
            budgets,
            enqueuer: Enqueuer::start(&db, ttl, &tasks, &stop),
            backlog: Backlog::default(),
            keyring: Keyring::default(),
            health: health::Checker::default(),
            sealer: OnceLock::new(),
            db,
            live,
            kinds,
            bell,
            tasks,
            stop,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Gives the keys that payloads are sealed with and open under. To be called before the first job; whoever comes
    /// second changes nothing.
    #[must_use]
    pub fn with_cipher(self, cipher: Arc<Cipher>) -> Self {
        self.shared.sealer.get_or_init(|| Sealer::new(cipher));
        self
    }

    /// What `jobs.toml` says now: ask when it is needed, since it changes.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        self.shared.config()
    }

    /// What this process goes by now, and where that comes from.
    #[must_use]
    pub fn in_force(&self) -> Arc<InForce> {
        self.shared.live.in_force()
    }

    /// The connections it uses.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.shared.db
    }

    /// Every kind that this process has registered, by name.
    #[must_use]
    pub fn kinds(&self) -> Vec<Kind> {
        self.shared
            .kinds
            .keys()
            .filter_map(|name| self.kind(name))
            .collect()
    }

    /// One kind; `None` where this process has not registered it.
    #[must_use]
    pub fn kind(&self, name: &str) -> Option<Kind> {
        let info = &self.shared.kinds.get(name)?.info;
        let policy = self.shared.config().policy(name);
        Some(Kind {
            name: Arc::clone(&info.name),
            queue: policy.queue.clone(),
            schema: Arc::clone(&info.schema),
            redact: policy.redact.clone(),
            batch: info.batch.is_some(),
            max_attempts: policy.max_attempts,
            timeout: policy.timeout,
            priority: policy.priority,
        })
    }

    /// Tells the database which queues and kinds there are and what limits them, so that `millpond.enqueue`, claims and
    /// other processes know it.
    ///
    /// # Errors
    /// When the database cannot be told.
    pub async fn announce(&self) -> Result<(), DatabaseError> {
        let config = self.shared.config();
        let queues = queues_set(&config);
        let sealer = self.shared.sealer().filter(|_| {
            let mut kinds = self.shared.kinds.keys();
            kinds.any(|name| self.shared.seals(&config.policy(name)))
        });
        let mut session = self.shared.db.request().await?;
        let told = within(async {
            let conn = session.conn();
            schema::remember_queues(&mut *conn, &queues).await?;
            if let Some(sealer) = sealer {
                payload_keys::remember(&mut *conn, sealer.key_id()).await?;
            }
            // Of any process: who has none does not say for the others that nothing is encrypted.
            let has_keys = !payload_keys::known(&mut *conn).await?.is_empty();
            for name in self.shared.kinds.keys() {
                schema::remember_kind(&mut *conn, &self.kind_seen(name, has_keys)).await?;
            }
            take_places(&mut *conn).await?;
            budgets::announce(&mut *conn, &config).await?;
            Ok(())
        })
        .await;
        session.end(told)
    }

    fn kind_seen(&self, name: &str, has_keys: bool) -> schema::KindSeen {
        let config = self.shared.config();
        let policy = config.policy(name);
        let kind = config.kinds.get(name);
        schema::KindSeen {
            kind: name.to_owned(),
            queue: policy.queue.clone(),
            priority: policy.priority,
            max_attempts: stored(policy.max_attempts),
            per_key_concurrency: kind.and_then(|kind| kind.per_key_concurrency).map(stored),
            account_path: policy.account.as_deref().map(field_path),
            budget: kind.and_then(|kind| kind.budget.clone()),
            encrypt: policy.encrypt && (policy.needs_keys || has_keys),
            key_path: policy.key.as_deref().map(field_path),
            unique_rule: policy.unique.as_ref().map(|rule| {
                json!({
                    "paths": rule.fields.iter().map(|field| field_path(field)).collect::<Vec<_>>(),
                    "states": rule.states.iter().fold(0, |bits, state| bits | state.bit()),
                    "on_conflict": rule.on_conflict.as_str(),
                })
            }),
        }
    }

    /// Accepts a job; answers only after it is on disk. Callers at the same time share commits.
    ///
    /// # Errors
    /// See [`EnqueueError`]: nothing is stored, except perhaps with [`EnqueueError::Unavailable`].
    pub async fn enqueue(
        &self,
        job: NewJob,
        idempotency: Option<Idempotency>,
    ) -> Result<Enqueued, EnqueueError> {
        let source = job.source;
        let seen = self.seen_elsewhere(std::slice::from_ref(&job)).await?;
        let row = self.shared.prepare_seen(job, &seen)?;
        let item = Item { row, idempotency };
        let refused = self
            .shared
            .without_room(std::slice::from_ref(&item))
            .await?;
        if !refused.is_empty() {
            return Err(queue_full(&item));
        }
        let kind: Arc<str> = item.row.kind.as_str().into();
        let answered = self.shared.enqueuer.store(item).await?;
        let enqueued = enqueued(kind, answered);
        self.accepted([(&enqueued, source)]);
        Ok(enqueued)
    }

    /// Accepts many jobs, one answer each, in their order. With `atomic` nothing is kept when one is refused: the
    /// others then answer [`EnqueueError::NotKept`].
    ///
    /// # Errors
    /// When none of them was taken: the database failed, or the queues are full.
    pub async fn enqueue_batch(
        &self,
        jobs: Vec<(NewJob, Option<Idempotency>)>,
        atomic: bool,
    ) -> Result<Vec<Result<Enqueued, EnqueueError>>, EnqueueError> {
        let sources: Vec<Source> = jobs.iter().map(|(job, _)| job.source).collect();
        let mut answers: Vec<Option<Result<Enqueued, EnqueueError>>> =
            Vec::with_capacity(jobs.len());
        let mut items = Vec::with_capacity(jobs.len());
        let (jobs, idempotencies): (Vec<_>, Vec<_>) = jobs.into_iter().unzip();
        let seen = self.seen_elsewhere(&jobs).await?;
        for (job, idempotency) in jobs.into_iter().zip(idempotencies) {
            match self.shared.prepare_seen(job, &seen) {
                Ok(row) => {
                    items.push(Item { row, idempotency });
                    answers.push(None);
                }
                Err(error) => answers.push(Some(Err(error))),
            }
        }
        if atomic && answers.iter().any(Option::is_some) {
            return Ok(answers
                .into_iter()
                .map(|known| known.unwrap_or(Err(EnqueueError::NotKept)))
                .collect());
        }
        let items = self.admit(items, &mut answers, atomic).await?;
        let kinds: Vec<Arc<str>> = items
            .iter()
            .map(|item| item.row.kind.as_str().into())
            .collect();
        let ttl = self.shared.config().http.idempotency_ttl;
        let stored = batch::store(&self.shared.db, items, ttl, atomic).await?;
        let mut stored = kinds.into_iter().zip(stored);
        let answers: Vec<_> = answers
            .into_iter()
            .map(|known| {
                known.unwrap_or_else(|| {
                    let (kind, result) = stored
                        .next()
                        .unwrap_or(("".into(), Err(EnqueueError::NotKept)));
                    result.map(|answered| enqueued(kind, answered))
                })
            })
            .collect();
        let accepted = answers.iter().zip(sources);
        self.accepted(
            accepted.filter_map(|(answer, source)| Some((answer.as_ref().ok()?, source))),
        );
        Ok(answers)
    }

    /// Takes out the items for which their queues have no room, and answers them.
    async fn admit(
        &self,
        items: Vec<Item>,
        answers: &mut [Option<Result<Enqueued, EnqueueError>>],
        atomic: bool,
    ) -> Result<Vec<Item>, EnqueueError> {
        let refused = self.shared.without_room(&items).await?;
        let first = refused.iter().min().and_then(|place| items.get(*place));
        let Some(first) = first else {
            return Ok(items);
        };
        if atomic {
            self.shared.fits_together(&items)?;
        }
        if atomic || refused.len() == items.len() {
            return Err(queue_full(first));
        }
        let unanswered = answers.iter_mut().filter(|answer| answer.is_none());
        let mut admitted = Vec::with_capacity(items.len());
        for ((place, item), answer) in items.into_iter().enumerate().zip(unanswered) {
            if refused.contains(&place) {
                *answer = Some(Err(queue_full(&item)));
            } else {
                admitted.push(item);
            }
        }
        Ok(admitted)
    }

    /// Kinds and queues of other processes that these jobs name. A person may name one; what a client sends is taken
    /// only where its payload can be checked. And keys of other processes, where this one has none for these jobs.
    async fn seen_elsewhere(&self, jobs: &[NewJob]) -> Result<Seen, DatabaseError> {
        let lacking = jobs
            .iter()
            .filter(|job| job.source == Source::Cli)
            .map(|job| (&*job.kind, job.queue.as_deref()))
            .filter(|asked| !self.shared.knows(*asked));
        let in_the_clear = jobs
            .iter()
            .map(|job| (&*job.kind, None))
            .filter(|(kind, _)| self.shared.lies_in_the_clear(kind));
        let asked: Vec<Asked<'_>> = lacking.chain(in_the_clear).collect();
        if asked.is_empty() {
            return Ok(Seen::default());
        }
        let mut session = self.shared.db.request().await?;
        let seen = within(self.shared.seen(session.conn(), &asked)).await;
        session.end(seen)
    }

    /// Counts what was taken and rings for it, once for all that are alike. A repeated answer was counted, and its
    /// queue's doorbell rung, when it was given first.
    fn accepted<'a>(&self, enqueued: impl IntoIterator<Item = (&'a Enqueued, Source)>) {
        let mut alike: HashMap<EnqueueLabels<'_>, u64> = HashMap::new();
        let mut ready = BTreeSet::new();
        for (enqueued, source) in enqueued.into_iter().filter(|(job, _)| !job.repeated) {
            let labels = EnqueueLabels {
                queue: &enqueued.queue,
                kind: &enqueued.kind,
                source,
                outcome: enqueued.outcome,
            };
            *alike.entry(labels).or_default() += 1;
            if enqueued.state == JobState::Ready {
                ready.insert(&enqueued.queue);
            }
        }
        for (labels, jobs) in alike {
            metrics::enqueued(labels, jobs);
        }
        for queue in ready {
            self.shared.bell.ring(queue);
        }
    }

    /// What a scrape of this process's metrics is answered; `render` gives the exporter's text.
    pub fn scrape(&self, render: impl FnOnce() -> String) -> String {
        let (open, idle) = self.shared.db.connections();
        metrics::connections(open, idle);
        metrics::config_revision(self.in_force().revision);
        metrics::exposition(&render())
    }

    /// Ends what runs beside: waits for what is being stored, for at most 10 s.
    pub async fn close(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        if tokio::time::timeout(CLOSE, self.shared.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("jobs were still being stored when the process ended");
        }
    }
}

/// A number of the configuration as the database stores it.
fn stored(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn compile(info: KindInfo) -> Result<(Arc<str>, KnownKind), SchemaError> {
    let validator = jsonschema::validator_for(&info.schema).map_err(|error| SchemaError {
        kind: info.name.to_string(),
        reason: error.to_string(),
    })?;
    Ok((Arc::clone(&info.name), KnownKind { info, validator }))
}

fn enqueued(kind: Arc<str>, answered: Answered) -> Enqueued {
    let Answer {
        stored,
        queue,
        outcome,
    } = answered.answer;
    Enqueued {
        id: JobId(stored.id),
        kind,
        queue,
        state: stored.state.parse().unwrap_or(JobState::Ready),
        run_at: stored.run_at,
        outcome,
        repeated: answered.repeated,
    }
}

fn queues_set(config: &Config) -> QueuesSet {
    let mut set = QueuesSet::default();
    for (name, queue) in &config.queues {
        set.names.push(name.clone());
        set.global_concurrency
            .push(queue.global_concurrency.map(stored));
        set.rate_counts
            .push(queue.rate.map(|rate| stored(rate.count)));
        set.rate_seconds
            .push(queue.rate.map(|rate| rate.per.as_secs_f64()));
        set.fair_by.push(queue.fair_by.map(FairBy::as_str));
    }
    set
}
