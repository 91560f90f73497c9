//! How a configuration changes while everything runs: revisions, overrides, what follows for the workers.

mod fleet;
mod work;

use std::{path::PathBuf, sync::Arc};

use sqlx::PgPool;

use super::{ConfigStart, FileSource};
use crate::{
    Database, Queue,
    admin::{ConfigApplied, ConfigRequest, ConfigText},
    config::Config,
    live::RevisionSource,
    tests::fixture::{actor, registry},
};

/// A process that has read this file.
async fn process(db: &PgPool, text: &str) -> ConfigStart {
    let source = FileSource {
        path: PathBuf::from("/nowhere/jobs.toml"),
        text: Some(text.to_owned()),
        author: "file jobs.toml on loom".to_owned(),
        check: Arc::new(|config: &Config| {
            let is_forbidden = config.queues.contains_key("forbidden");
            is_forbidden
                .then(|| "the queue is forbidden".to_owned())
                .into_iter()
                .collect()
        }),
    };
    ConfigStart::of_process(&Database::from_pool(db.clone()), source, kinds())
        .await
        .expect("the file is right")
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
