//! What figures of whole processes stand on: a database, a folder with the `jobs.toml` that children read, and an engine
//! of the bench's own that fills queues for them.

use std::{fs, path::Path, sync::Arc};

use anyhow::Context as _;
use queue::{
    Actor, Database, NewJob, NewKey, Queue, Source,
    bench::{BenchSettings, Figure, Report},
    config::Config,
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

/// What figures of whole processes stand on.
pub(super) struct Ground<'a> {
    /// The database.
    pub(super) db: Database,
    /// Its address, for children.
    pub(super) url: &'a SecretString,
    /// Where children work: `jobs.toml` lies there, and their logs.
    pub(super) folder: &'a Path,
    /// The variables of this process.
    pub(super) environment: &'a Environment,
    /// What is measured.
    pub(super) settings: &'a BenchSettings,
}

impl Ground<'_> {
    /// Tells what is measured next, if it is wanted.
    pub(super) fn begins(&self, id: &str, what: &str) -> bool {
        let is_wanted = self.settings.wants(id);
        if is_wanted {
            note(format_args!("{id}: {what}"));
        }
        is_wanted
    }

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
            name: "bench".to_owned(),
            scopes: vec!["enqueue".to_owned()],
            tenant: None,
            expires_at: None,
        };
        let actor = Actor {
            name: "bench".to_owned(),
            tenant: None,
        };
        let (_, secret) = queue.create_key(request, &actor).await?;
        Ok(secret)
    }
}

/// The body of a request that enqueues a job which calls this address.
pub(super) fn call_body(url: &str) -> String {
    json!({ "kind": KIND, "payload": { "url": url } }).to_string()
}

/// Enqueues jobs that each call this address.
pub(super) async fn fill(queue: &Queue, jobs: usize, url: &str) -> anyhow::Result<()> {
    let payload = to_raw_value(&json!({ "url": url }))?;
    let mut left = jobs;
    while left > 0 {
        let now = left.min(BULK);
        let jobs = (0..now)
            .map(|_| (NewJob::new(KIND, payload.clone(), Source::Cli), None))
            .collect();
        for result in queue.enqueue_batch(jobs, false).await? {
            result?;
        }
        left -= now;
    }
    Ok(())
}

/// Adds lines to the table.
pub(super) fn add(report: &mut Report, figures: impl IntoIterator<Item = Figure>) {
    for figure in figures {
        report.add(figure);
    }
}
