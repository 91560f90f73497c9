//! A process in whose place plans are made and applied.

use std::sync::Arc;

use sqlx::PgPool;

use crate::{
    ConfigRequest, ConfigStart, ConfigText, Database, Follower, Queue, Registry, RevisionSource,
    plan::ConfigPlan,
    tests::fixture::{actor, until},
};

/// A process that goes by what the fleet goes by.
pub(super) struct Fleet {
    pub(super) db: PgPool,
    pub(super) queue: Queue,
    pub(super) follower: Follower,
}

impl Fleet {
    /// With this text in force.
    pub(super) async fn new<A: Send + Sync + 'static>(
        db: &PgPool,
        registry: &Registry<A>,
        text: &str,
    ) -> anyhow::Result<Self> {
        let database = Database::from_pool(db.clone());
        let names = registry.kinds().map(|kind| Arc::clone(&kind.name));
        let start = ConfigStart::of_command(&database, None, names.collect())
            .await
            .expect("no text is right");
        let infos: Vec<_> = registry.kinds().cloned().collect();
        let queue = Queue::starting(database, &start, infos)?;
        let fleet = Self {
            db: db.clone(),
            follower: Follower::start(queue.clone(), start),
            queue,
        };
        fleet.apply(text).await?;
        Ok(fleet)
    }

    pub(super) async fn apply(&self, text: &str) -> anyhow::Result<()> {
        let request = ConfigRequest {
            text: ConfigText::New(text.to_owned()),
            source: RevisionSource::Cli,
            reason: None,
        };
        let applied = self.queue.apply_config(request, &actor()).await?;
        until("the revision holds", || async {
            Ok(self.queue.in_force().revision == Some(applied.revision))
        })
        .await
    }

    pub(super) async fn plan(&self, text: &str) -> anyhow::Result<ConfigPlan> {
        let text = ConfigText::New(text.to_owned());
        Ok(self.queue.plan_config(text).await?)
    }

    pub(super) async fn run(&self, sql: &str) -> anyhow::Result<()> {
        sqlx::raw_sql(sql).execute(&self.db).await?;
        Ok(())
    }

    pub(super) async fn count(&self, sql: &str) -> anyhow::Result<i64> {
        Ok(sqlx::query_scalar(sql).fetch_one(&self.db).await?)
    }
}
