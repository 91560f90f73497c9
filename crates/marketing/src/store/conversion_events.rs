//! Table `conversion_events`: what became of each event, whichever job it came with.

use serde_json::Value;
use sqlx::PgExecutor;
use sqlx::types::{
    Uuid,
    chrono::{DateTime, Utc},
};

/// Which events a statement is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// Whose they are; empty where they belong to no tenant.
    pub(crate) tenant: &'a str,
    /// The provider: `meta`.
    pub(crate) destination: &'static str,
    /// The provider's data set.
    pub(crate) dataset_id: &'a str,
    /// Sent with a test code.
    pub(crate) test: bool,
}

/// An event that may be sent now.
pub(crate) struct Begun {
    pub(crate) event_name: String,
    pub(crate) event_id: String,
    /// An attempt before this one may have delivered it.
    pub(crate) in_doubt: bool,
}

/// What is stored of an event.
pub(crate) struct Standing {
    pub(crate) event_name: String,
    pub(crate) event_id: String,
    /// `sent`, `rejected`, `expired` or `in_doubt`.
    pub(crate) state: String,
    pub(crate) first_sent_at: Option<DateTime<Utc>>,
    pub(crate) sent_at: Option<DateTime<Utc>>,
    pub(crate) detail: Option<Value>,
}

/// Columns of many events, one entry an event in each.
#[derive(Default)]
pub(crate) struct Rows {
    names: Vec<String>,
    ids: Vec<String>,
    jobs: Vec<Uuid>,
    states: Vec<String>,
    details: Vec<Value>,
}

impl Rows {
    /// Adds an event by its key alone.
    pub(crate) fn look_up(&mut self, event_name: &str, event_id: &str) {
        self.names.push(event_name.to_owned());
        self.ids.push(event_id.to_owned());
    }

    /// Adds an event on behalf of a job.
    pub(crate) fn ask(&mut self, event_name: &str, event_id: &str, job: Uuid) {
        self.look_up(event_name, event_id);
        self.jobs.push(job);
    }

    /// Adds an event with what became of it.
    pub(crate) fn tell(&mut self, asked: (&str, &str, Uuid), state: &str, detail: Value) {
        let (event_name, event_id, job) = asked;
        self.ask(event_name, event_id, job);
        self.states.push(state.to_owned());
        self.details.push(detail);
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// Stores the intent to send these events, each at most once among them, and answers those that may be sent. Left out are
/// events that were sent, that this job had refused before, and that may have been delivered more than 47 hours ago: the
/// destination drops repeats for 48.
pub(crate) async fn begin(
    db: impl PgExecutor<'_>,
    scope: Scope<'_>,
    rows: &Rows,
) -> Result<Vec<Begun>, sqlx::Error> {
    sqlx::query_as!(
        Begun,
        r#"INSERT INTO marketing.conversion_events AS known
                  (tenant, destination, dataset_id, test, event_name, event_id, job_id, state, first_sent_at)
           SELECT $1::text, $2::text, $3::text, $4::boolean, asked.event_name, asked.event_id, asked.job_id, 'in_doubt',
                  now()
             FROM unnest($5::text[], $6::text[], $7::uuid[]) AS asked (event_name, event_id, job_id)
            ORDER BY asked.event_name, asked.event_id -- everybody locks in this order
           ON CONFLICT ON CONSTRAINT conversion_events_pkey DO UPDATE
              SET job_id = excluded.job_id,
                  state = 'in_doubt',
                  first_sent_at = CASE known.state WHEN 'in_doubt' THEN known.first_sent_at ELSE now() END,
                  detail = NULL,
                  updated_at = now()
            WHERE known.state = 'in_doubt' AND known.first_sent_at > now() - interval '47 hours'
               OR known.state IN ('rejected', 'expired') AND known.job_id <> excluded.job_id
           RETURNING event_name, event_id, first_sent_at < now() AS "in_doubt!""#,
        scope.tenant,
        scope.destination,
        scope.dataset_id,
        scope.test,
        &rows.names[..],
        &rows.ids[..],
        &rows.jobs[..],
    )
    .fetch_all(db)
    .await
}

/// What is stored of these events; those that are unknown are not answered.
pub(crate) async fn standing(
    db: impl PgExecutor<'_>,
    scope: Scope<'_>,
    rows: &Rows,
) -> Result<Vec<Standing>, sqlx::Error> {
    sqlx::query_as!(
        Standing,
        r#"SELECT known.event_name AS "event_name!", known.event_id AS "event_id!", known.state AS "state!",
                  known.first_sent_at AS "first_sent_at?", known.sent_at AS "sent_at?", known.detail AS "detail?"
             FROM unnest($5::text[], $6::text[]) AS asked (event_name, event_id)
             JOIN marketing.conversion_events AS known
               ON known.tenant = $1
              AND known.destination = $2
              AND known.dataset_id = $3
              AND known.test = $4
              AND known.event_name = asked.event_name
              AND known.event_id = asked.event_id"#,
        scope.tenant,
        scope.destination,
        scope.dataset_id,
        scope.test,
        &rows.names[..],
        &rows.ids[..],
    )
    .fetch_all(db)
    .await
}

/// Stores what became of these events, each at most once among them. What was sent stays sent.
pub(crate) async fn record(
    db: impl PgExecutor<'_>,
    scope: Scope<'_>,
    rows: &Rows,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"INSERT INTO marketing.conversion_events AS known
                  (tenant, destination, dataset_id, test, event_name, event_id, job_id, state, sent_at, detail)
           SELECT $1::text, $2::text, $3::text, $4::boolean, told.event_name, told.event_id, told.job_id, told.state,
                  CASE told.state WHEN 'sent' THEN now() END, told.detail
             FROM unnest($5::text[], $6::text[], $7::uuid[], $8::text[], $9::jsonb[])
                  AS told (event_name, event_id, job_id, state, detail)
            ORDER BY told.event_name, told.event_id -- everybody locks in this order
           ON CONFLICT ON CONSTRAINT conversion_events_pkey DO UPDATE
              SET job_id = excluded.job_id,
                  state = excluded.state,
                  sent_at = excluded.sent_at,
                  detail = excluded.detail,
                  updated_at = now()
            WHERE known.state <> 'sent'"#,
        scope.tenant,
        scope.destination,
        scope.dataset_id,
        scope.test,
        &rows.names[..],
        &rows.ids[..],
        &rows.jobs[..],
        &rows.states[..],
        &rows.details[..],
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Takes back the intent to send these events, for they were certainly not delivered; not where another job renewed it.
pub(crate) async fn forget(
    db: impl PgExecutor<'_>,
    scope: Scope<'_>,
    rows: &Rows,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"DELETE FROM marketing.conversion_events AS known
            USING unnest($5::text[], $6::text[], $7::uuid[]) AS asked (event_name, event_id, job_id)
            WHERE known.tenant = $1
              AND known.destination = $2
              AND known.dataset_id = $3
              AND known.test = $4
              AND known.event_name = asked.event_name
              AND known.event_id = asked.event_id
              AND known.job_id = asked.job_id
              AND known.state = 'in_doubt'"#,
        scope.tenant,
        scope.destination,
        scope.dataset_id,
        scope.test,
        &rows.names[..],
        &rows.ids[..],
        &rows.jobs[..],
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What tests look at and change.
#[cfg(test)]
pub(crate) mod testing {
    use sqlx::PgPool;

    /// Each event's id and state, by id.
    pub(crate) async fn states(db: &PgPool) -> Result<Vec<String>, sqlx::Error> {
        sqlx::query_scalar(
            "SELECT event_id || ' ' || state FROM marketing.conversion_events ORDER BY event_id",
        )
        .fetch_all(db)
        .await
    }

    /// Makes all doubts so many hours older.
    pub(crate) async fn age(db: &PgPool, hours: i32) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE marketing.conversion_events SET first_sent_at = first_sent_at - make_interval(hours => $1)",
        )
        .bind(hours)
        .execute(db)
        .await?;
        Ok(())
    }
}
