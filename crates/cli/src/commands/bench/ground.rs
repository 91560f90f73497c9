//! What figures of whole processes stand on: a database, a folder with the `jobs.toml` that children read, and an engine
//! of the bench's own that fills queues for them.

use std::{fs, path::Path, sync::Arc};

use anyhow::Context as _;
use chrono::{TimeDelta, Utc};
use queue::{
    Actor, Database, NewJob, NewKey, Queue, Source,
    bench::{BenchSettings, empty, remove_keys},
    config::Config,
    error_chain,
};
use secrecy::SecretString;
use serde_json::{json, value::to_raw_value};

use crate::{compose, environment::Environment, output::note};

/// What children read. The slots are few enough that eight processes and what they call stay below the usual limit of
/// open files.
const JOBS_TOML: &str = "[defaults]\nretain_succeeded = \"0s\"\n\
    [queues.bench]\nconcurrency = 64\n\
    [kinds.\"http.request\"]\nqueue = \"bench\"\n";
/// The kind that children run.
const KIND: &str = "http.request";
/// Jobs of a call in bulk.
const BULK: usize = 1_000;
/// How long an API key holds that a run did not come to remove.
const KEY_HOLDS: TimeDelta = TimeDelta::days(1);

/// Whose server is measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    /// It was made for this run.
    Private,
    /// It was given, and its settings are not ours to change.
    Given,
}

/// What figures of whole processes stand on.
pub(super) struct Ground<'a> {
    /// The database.
    pub(super) db: Database,
    /// Its address, for children.
    pub(super) url: &'a SecretString,
    /// Whose it is.
    pub(super) server: Server,
    /// What this run's API keys are called, and no others.
    pub(super) key_name: String,
    /// Where children work: `jobs.toml` lies there, and their logs.
    pub(super) folder: &'a Path,
    /// The variables of this process.
    pub(super) environment: &'a Environment,
    /// What is measured.
    pub(super) settings: &'a BenchSettings,
}

impl Ground<'_> {
    /// The front door of an engine that knows what children know.
    pub(super) fn queue(&self) -> anyhow::Result<Queue> {
        let parsed = Config::parse(JOBS_TOML, &[KIND]).ok();
        let config = parsed
            .context("the configuration of children is wrong")?
            .config;
        fs::write(self.folder.join("jobs.toml"), JOBS_TOML)?;
        Ok(compose::queue(self.db.clone(), Arc::new(config), false)?)
    }

    /// A key that may enqueue.
    pub(super) async fn key(&self, queue: &Queue) -> anyhow::Result<SecretString> {
        let request = NewKey {
            name: self.key_name.clone(),
            scopes: vec!["enqueue".to_owned()],
            tenant: None,
            expires_at: Some(Utc::now() + KEY_HOLDS),
        };
        let actor = Actor {
            name: "bench".to_owned(),
            tenant: None,
        };
        let (_, secret) = queue.create_key(request, &actor).await?;
        Ok(secret)
    }

    /// Takes out the jobs and keys that were left in the database, and closes it. What cannot be is told: it takes
    /// nothing from what was measured.
    pub(super) async fn leave(&self) {
        let (keys, jobs) = (
            remove_keys(&self.db, &self.key_name).await,
            empty(&self.db).await,
        );
        for error in [keys, jobs].into_iter().filter_map(Result::err) {
            let why = error_chain(&error);
            note(format_args!(
                "not everything that the benchmark stored could be removed: {why}"
            ));
        }
        self.db.close().await;
    }
}

/// The body of a request that enqueues a job which calls this address.
pub(super) fn call_body(url: &str) -> String {
    json!({ "kind": KIND, "payload": { "url": url } }).to_string()
}

/// A job that calls this address.
pub(super) fn call(url: &str) -> anyhow::Result<NewJob> {
    let payload = to_raw_value(&json!({ "url": url }))?;
    Ok(NewJob::new(KIND, payload, Source::Cli))
}

/// Enqueues jobs that each call this address.
pub(super) async fn fill(queue: &Queue, jobs: usize, url: &str) -> anyhow::Result<()> {
    let job = call(url)?;
    let mut left = jobs;
    while left > 0 {
        let now = left.min(BULK);
        let jobs = (0..now).map(|_| (job.clone(), None)).collect();
        for result in queue.enqueue_batch(jobs, false).await? {
            result?;
        }
        left -= now;
    }
    Ok(())
}
