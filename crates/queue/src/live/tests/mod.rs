//! How a configuration changes while everything runs: revisions, overrides, files, what a process refuses, what follows
//! for the workers.

mod files;
mod fleet;
mod refusals;
mod work;

use std::{path::PathBuf, sync::Arc, time::Duration};

use serde_json::Value;
use sqlx::{PgPool, postgres::PgPoolOptions};

use super::{CheckConfig, ConfigStart, ConfigStartError, FileSource};
use crate::{
    AdminError, Database, Queue,
    admin::{ConfigApplied, ConfigRequest, ConfigText, NewOverride, OverrideEnd},
    config::{Config, Override},
    live::RevisionSource,
    tests::fixture::{actor, registry},
};

const HOUR: OverrideEnd = OverrideEnd::After(Duration::from_secs(3_600));

/// What the processes of these tests cannot run with.
fn check() -> CheckConfig {
    Arc::new(|config: &Config| {
        let mut against = Vec::new();
        if config.queues.contains_key("forbidden") {
            against.push("the queue is forbidden".to_owned());
        }
        if config.queues["sync"].concurrency > 100 {
            against.push("sync has more slots than the machine".to_owned());
        }
        against
    })
}

fn source(text: Option<&str>) -> FileSource {
    FileSource {
        path: PathBuf::from("/nowhere/jobs.toml"),
        text: text.map(str::to_owned),
        author: "file jobs.toml on loom".to_owned(),
        check: check(),
    }
}

async fn start_with(db: &PgPool, source: FileSource) -> Result<ConfigStart, ConfigStartError> {
    ConfigStart::of_process(&Database::from_pool(db.clone()), source, kinds()).await
}

/// A process that has read this file.
async fn process(db: &PgPool, text: &str) -> ConfigStart {
    let start = start_with(db, source(Some(text))).await;
    start.expect("the file is right")
}

/// The front door of a process that goes by what the fleet goes by, or by this text where nothing is known.
async fn member(db: &PgPool, text: &str) -> (Queue, ConfigStart) {
    let database = Database::from_pool(db.clone());
    let start = ConfigStart::of_command(&database, Some(text.to_owned()), kinds())
        .await
        .expect("the text is right");
    (front_door(db, &start), start)
}

fn front_door(db: &PgPool, start: &ConfigStart) -> Queue {
    let infos = registry().kinds().cloned().collect::<Vec<_>>();
    Queue::starting(Database::from_pool(db.clone()), start, infos)
        .expect("schemas of tests compile")
}

fn kinds() -> Vec<Arc<str>> {
    let kinds = registry();
    kinds.kinds().map(|kind| Arc::clone(&kind.name)).collect()
}

/// A database that does not answer.
fn nowhere() -> PgPool {
    PgPoolOptions::new()
        .acquire_timeout(Duration::from_millis(200))
        .connect_lazy("postgres://127.0.0.1:1/none")
        .expect("it is an address")
}

/// Puts a text in force.
async fn apply(queue: &Queue, text: ConfigText) -> anyhow::Result<ConfigApplied> {
    let request = ConfigRequest {
        text,
        source: RevisionSource::Cli,
        reason: Some("a test".to_owned()),
    };
    Ok(queue.apply_config(request, &actor()).await?)
}

fn new(text: &str) -> ConfigText {
    ConfigText::New(text.to_owned())
}

/// A text with so many slots for `sync`.
fn slots(slots: u32) -> String {
    format!("[queues.sync]\nconcurrency = {slots}\n")
}

fn concurrency(queue: &Queue) -> u32 {
    queue.config().queues["sync"].concurrency
}

async fn set(
    queue: &Queue,
    key: &str,
    value: Value,
    ends: OverrideEnd,
) -> Result<Override, AdminError> {
    let request = NewOverride {
        key: key.to_owned(),
        value,
        ends,
        reason: None,
    };
    queue.set_override(request, &actor()).await
}

async fn count(db: &PgPool, sql: &str) -> anyhow::Result<i64> {
    Ok(sqlx::query_scalar(sql).fetch_one(db).await?)
}
