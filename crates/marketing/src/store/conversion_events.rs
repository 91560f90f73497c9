//! Table `conversion_events`: what became of each event, whichever job it came with.

use serde_json::Value;
use sqlx::PgExecutor;
use sqlx::types::{
    Uuid,
    chrono::{DateTime, Utc},
};

/// For how many seconds after a job has begun to send an event no other job sends it too: longer than a call takes. The job
/// itself, when it comes again, does.
pub(crate) const HELD_S: f64 = 120.0;

/// Which events a statement is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// Whose they are; empty where they belong to no tenant.
    pub(crate) tenant: &'a str,
    /// The provider: `meta`, `google_ads` and the others.
    pub(crate) destination: &'static str,
    /// The provider's data set.
    pub(crate) dataset_id: &'a str,
    /// Sent with a test code.
    pub(crate) test: bool,
    /// For so many hours after an event may have been delivered a repeat counts once.
    pub(crate) dedupes_hours: i32,
}

/// An event that may be sent now.
pub(crate) struct Begun {
    pub(crate) event_name: String,
    pub(crate) event_id: String,
    /// An attempt before this one may have delivered it.
    pub(crate) in_doubt: bool,
    /// It is to have a request of its own.
    pub(crate) alone: bool,
}

/// What is stored of an event.
pub(crate) struct Standing {
    pub(crate) event_name: String,
    pub(crate) event_id: String,
    /// The job that handled it last.
    pub(crate) job_id: Uuid,
    /// `sent`, `rejected`, `expired`, `in_doubt`, `accepted` or `waiting`.
    pub(crate) state: String,
    pub(crate) first_sent_at: Option<DateTime<Utc>>,
    pub(crate) sent_at: Option<DateTime<Utc>>,
    pub(crate) detail: Option<Value>,
    /// How often the destination has put it off.
    pub(crate) tries: i16,
    /// In how many seconds it may be sent again.
    pub(crate) due_in_s: Option<f64>,
    /// For how many seconds it has stood so.
    pub(crate) age_s: f64,
    /// Whether the destination still drops a repeat of one that is in doubt.
    pub(crate) is_repeatable: bool,
}

/// What is to be told of an event.
pub(crate) struct Told<'a> {
    pub(crate) event_name: &'a str,
    pub(crate) event_id: &'a str,
    pub(crate) job: Uuid,
    pub(crate) state: &'a str,
    pub(crate) detail: Value,
    /// In how many hours an event that waits may be sent again.
    pub(crate) due_hours: i32,
    /// It then has a request of its own.
    pub(crate) alone: bool,
}

/// Columns of many events, one entry an event in each.
#[derive(Default)]
pub(crate) struct Rows {
    names: Vec<String>,
    ids: Vec<String>,
    jobs: Vec<Uuid>,
    states: Vec<String>,
    details: Vec<Value>,
    due_hours: Vec<i32>,
    alone: Vec<bool>,
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
    pub(crate) fn tell(&mut self, told: Told<'_>) {
        self.ask(told.event_name, told.event_id, told.job);
        self.states.push(told.state.to_owned());
        self.details.push(told.detail);
        self.due_hours.push(told.due_hours);
        self.alone.push(told.alone);
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// Stores the intent to send these events, each at most once among them, and answers those that may be sent. Left out are
/// events that were sent or accepted, that this job had refused before, that are to wait, that another job may be sending at
/// this moment, and that may have been delivered longer ago than the destination drops repeats for.
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
            WHERE known.state = 'in_doubt' AND known.first_sent_at > now() - make_interval(hours => $8)
                  AND (known.job_id = excluded.job_id OR known.updated_at < now() - make_interval(secs => $9))
               OR known.state = 'waiting' AND known.due_at <= now()
               OR known.state IN ('rejected', 'expired') AND known.job_id <> excluded.job_id
           RETURNING event_name, event_id, first_sent_at < now() AS "in_doubt!", alone"#,
        scope.tenant,
        scope.destination,
        scope.dataset_id,
        scope.test,
        &rows.names[..],
        &rows.ids[..],
        &rows.jobs[..],
        scope.dedupes_hours,
        HELD_S,
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
        r#"SELECT known.event_name AS "event_name!", known.event_id AS "event_id!", known.job_id AS "job_id!",
                  known.state AS "state!", known.first_sent_at AS "first_sent_at?", known.sent_at AS "sent_at?", known.detail AS "detail?",
                  known.tries AS "tries!", extract(epoch FROM known.due_at - now())::float8 AS "due_in_s?",
                  extract(epoch FROM now() - known.updated_at)::float8 AS "age_s!",
                  COALESCE(known.first_sent_at > now() - make_interval(hours => $7), false) AS "is_repeatable!"
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
        scope.dedupes_hours,
    )
    .fetch_all(db)
    .await
}

/// Stores what became of these events, each at most once among them. What was sent stays sent. Whoever wants to hear of it is
/// told of those that are refused, once each time that they are; of what is only tried out nobody is.
pub(crate) async fn record(
    db: impl PgExecutor<'_>,
    scope: Scope<'_>,
    account: Option<Uuid>,
    rows: &Rows,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"WITH recorded AS (
               INSERT INTO marketing.conversion_events AS known
                      (tenant, destination, dataset_id, test, event_name, event_id, job_id, state, sent_at, detail,
                       first_sent_at, due_at, alone)
               SELECT $1::text, $2::text, $3::text, $4::boolean, told.event_name, told.event_id, told.job_id, told.state,
                      CASE told.state WHEN 'sent' THEN now() END, told.detail,
                      CASE WHEN told.state IN ('accepted', 'waiting') THEN now() END,
                      CASE told.state WHEN 'waiting' THEN now() + make_interval(hours => told.due_hours) END,
                      told.alone
                 FROM unnest($5::text[], $6::text[], $7::uuid[], $8::text[], $9::jsonb[], $10::int[], $11::boolean[])
                      AS told (event_name, event_id, job_id, state, detail, due_hours, alone)
                ORDER BY told.event_name, told.event_id -- everybody locks in this order
               ON CONFLICT ON CONSTRAINT conversion_events_pkey DO UPDATE
                  SET job_id = excluded.job_id,
                      state = excluded.state,
                      sent_at = excluded.sent_at,
                      detail = excluded.detail,
                      due_at = excluded.due_at,
                      alone = known.alone OR excluded.alone,
                      tries = least(known.tries + CASE WHEN excluded.due_at > now() THEN 1 ELSE 0 END, 1000),
                      updated_at = now()
                WHERE known.state <> 'sent'
                  AND (known.state, known.job_id, known.detail)
                      IS DISTINCT FROM (excluded.state, excluded.job_id, excluded.detail)
               RETURNING event_name, event_id, job_id, state, detail)
           INSERT INTO marketing.events (kind, tenant, account, data)
           SELECT 'conversion.rejected', $1, $12::uuid,
                  jsonb_build_object('destination', $2, 'dataset_id', $3, 'event_name', event_name, 'event_id', event_id,
                                     'job_id', job_id, 'expired', state = 'expired', 'reasons', detail -> 'reasons')
             FROM recorded
            WHERE state IN ('rejected', 'expired') AND NOT $4
            ORDER BY event_name, event_id"#,
        scope.tenant,
        scope.destination,
        scope.dataset_id,
        scope.test,
        &rows.names[..],
        &rows.ids[..],
        &rows.jobs[..],
        &rows.states[..],
        &rows.details[..],
        &rows.due_hours[..],
        &rows.alone[..],
        account,
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

/// Deletes what is older than so many seconds of the 5,000 oldest events; tells how many. What is to be asked for or sent
/// again is younger than that.
pub(crate) async fn prune(db: impl PgExecutor<'_>, keep_s: f64) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM marketing.conversion_events AS known
          USING (SELECT ctid, updated_at FROM marketing.conversion_events ORDER BY updated_at LIMIT 5000) AS oldest
          WHERE known.ctid = oldest.ctid
            AND known.updated_at = oldest.updated_at
            AND oldest.updated_at < now() - make_interval(secs => $1)",
        keep_s,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
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

    /// What is told of refused events.
    pub(crate) async fn told(db: &PgPool) -> Result<Vec<serde_json::Value>, sqlx::Error> {
        sqlx::query_scalar(
            "SELECT data FROM marketing.events WHERE kind = 'conversion.rejected' ORDER BY id",
        )
        .fetch_all(db)
        .await
    }

    /// Lets all that waits be due.
    pub(crate) async fn let_be_due(db: &PgPool) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE marketing.conversion_events SET due_at = now() WHERE due_at IS NOT NULL",
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Lets every job that began to send an event be gone for long.
    pub(crate) async fn let_go(db: &PgPool) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE marketing.conversion_events SET updated_at = updated_at - interval '1 hour'",
        )
        .execute(db)
        .await?;
        Ok(())
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
