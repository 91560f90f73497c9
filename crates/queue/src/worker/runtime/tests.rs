//! Code that knows apalis' `Storage` and nothing of Millpond pushes through it.

use apalis_core::storage::Storage;
use serde_json::Value;
use sqlx::PgPool;
use ulid::Ulid;
use uuid::Uuid;

use crate::{
    JobId,
    tests::fixture::{FAST, engine, in_state, work},
};

async fn push<S: Storage>(storage: &mut S, job: S::Job) -> anyhow::Result<JobId>
where
    S::Error: std::error::Error + Send + Sync + 'static,
{
    let parts = storage.push(job).await?;
    let Ulid(id) = parts.task_id.inner();
    Ok(JobId(Uuid::from_u128(id)))
}

#[sqlx::test(migrations = "../../migrations")]
async fn code_generic_over_apalis_storage_pushes_jobs(db: PgPool) -> anyhow::Result<()> {
    #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
    struct Pushed {
        r#do: String,
        name: String,
    }
    impl crate::Job for Pushed {
        const KIND: &'static str = "test.work";
        type App = ();
        type Error = crate::JobError;

        async fn run(self, _: &crate::JobContext<()>) -> Result<crate::Outcome, crate::JobError> {
            Ok(crate::Outcome::Succeeded)
        }
    }
    let queue = engine(&db, FAST);
    let mut storage = crate::JobStorage::<Pushed>::new(queue.clone());
    let (workers, _) = work(&queue).await?;

    let id = push(
        &mut storage,
        Pushed {
            r#do: "succeed".to_owned(),
            name: "pushed".to_owned(),
        },
    )
    .await?;
    let done = in_state(&queue, id, "succeeded").await?;

    assert_eq!(
        done.result.as_ref().and_then(|result| result.get("name")),
        Some(&Value::from("pushed"))
    );
    assert_eq!(done.summary.priority, 5);
    workers.drain().await;
    Ok(())
}
