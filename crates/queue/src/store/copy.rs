//! New jobs go in by the thousand: what comes by COPY is stored a page at a time, with less work and less log a row
//! than by any INSERT. It takes two round trips more, so few jobs are better off with [`super::insert`].

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor};

use super::insert::{JobRow, Stored};
use crate::job::JobState;

/// What [`super::insert::insert`] writes and, so that a job is as old as it has waited, `created_at`. [`Data::row`]
/// has the same order.
const COPY: &str = "COPY millpond.jobs
                         (id, queue, kind, state, priority, run_at, created_at, max_attempts, tenant, key, payload, tags,
                          traceparent, replay_of, account, fair)
                    FROM STDIN (FORMAT binary)";
const COLUMNS: i16 = 16;
/// What the binary format opens with: its signature, then no flags and no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Stands where another row would have the number of its columns.
const NO_MORE: i16 = -1;
/// Stands where a value would have its length.
const NULL: i32 = -1;
/// What the binary format of `jsonb` opens with.
const JSONB_VERSION: u8 = 1;
/// When PostgreSQL's time begins, 2000-01-01, in microseconds since 1970.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
/// Bytes of a row beside its payload, where it has no long names and no tags.
const USUAL_BYTES: usize = 256;
/// Bytes that are handed over at once, as many as PostgreSQL reads at once: it works on them while the next are on
/// their way, and the connection's buffer stays small.
const MESSAGE_BYTES: usize = 64 * 1_024;

/// The database's time, which decides what is due among the jobs that are stored next.
pub(crate) async fn now(db: impl PgExecutor<'_>) -> Result<DateTime<Utc>, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT now() AS "now!""#)
        .fetch_one(db)
        .await
}

/// Stores jobs that have no unique key, all of them or none, as they are at the time that [`now`] gave; tells in their
/// order where they stand. Whoever gives up waiting closes the connection: it takes nothing but the rest of the rows.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    rows: &[&JobRow],
    now: DateTime<Utc>,
) -> Result<Vec<Stored>, sqlx::Error> {
    // All of it beforehand: once the COPY has begun, what cannot be written would leave it half-way.
    let mut data = Data::sized_for(rows);
    let mut stored = Vec::with_capacity(rows.len());
    for row in rows {
        let begun = begin(row, now);
        data.row(row, &begun, now)?;
        stored.push(begun);
    }
    let data = data.end();
    let mut copy = conn.copy_in_raw(COPY).await?;
    for message in data.chunks(MESSAGE_BYTES) {
        copy.send(message).await?;
    }
    copy.finish().await?;
    Ok(stored)
}

/// Where a job stands that is stored `now`, to the microsecond: what the statement of [`super::insert::insert`] finds.
fn begin(row: &JobRow, now: DateTime<Utc>) -> Stored {
    let after = |seconds: f64| {
        let wait = TimeDelta::microseconds((seconds * 1e6).round_ties_even() as i64);
        now.checked_add_signed(wait)
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    };
    let asked = row.run_at.or_else(|| row.delay_seconds.map(after));
    let run_at = asked.map_or(now, |at| at.trunc_subsecs(6).max(now));
    let state = if run_at <= now {
        JobState::Ready
    } else {
        JobState::Scheduled
    };
    Stored {
        id: row.id.0,
        state: state.as_str().to_owned(),
        run_at,
    }
}

/// Rows in the binary format of COPY: each is the number of its values, and each value its length and its bytes.
struct Data(Vec<u8>);

impl Data {
    fn sized_for(rows: &[&JobRow]) -> Self {
        let payloads: usize = rows.iter().map(|row| row.payload.len()).sum();
        let mut bytes = Vec::with_capacity(payloads + rows.len() * USUAL_BYTES);
        bytes.extend_from_slice(HEADER);
        Self(bytes)
    }

    fn row(&mut self, row: &JobRow, begun: &Stored, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
        self.0.extend_from_slice(&COLUMNS.to_be_bytes());
        self.value(begun.id)?;
        self.value(&row.queue)?;
        self.value(&row.kind)?;
        self.value(&begun.state)?;
        self.value(row.priority.to_be_bytes())?;
        self.value(time(begun.run_at))?;
        self.value(time(now))?;
        self.value_or_null(row.max_attempts.map(i32::to_be_bytes))?;
        self.value_or_null(row.tenant.as_ref())?;
        self.value_or_null(row.key.as_ref())?;
        self.value(&row.payload)?;
        self.value_or_null(row.tags.as_ref().map(jsonb).transpose()?)?;
        self.value_or_null(row.traceparent.as_ref())?;
        self.value_or_null(row.replay_of)?;
        self.value_or_null(row.account.as_ref())?;
        self.value_or_null(row.fair.as_ref())
    }

    fn value(&mut self, value: impl AsRef<[u8]>) -> Result<(), sqlx::Error> {
        let bytes = value.as_ref();
        let length = i32::try_from(bytes.len())
            .map_err(|too_long| sqlx::Error::Encode(Box::new(too_long)))?;
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn value_or_null(&mut self, value: Option<impl AsRef<[u8]>>) -> Result<(), sqlx::Error> {
        match value {
            Some(value) => self.value(value),
            None => {
                self.0.extend_from_slice(&NULL.to_be_bytes());
                Ok(())
            }
        }
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&NO_MORE.to_be_bytes());
        self.0
    }
}

fn time(at: DateTime<Utc>) -> [u8; 8] {
    (at.timestamp_micros() - EPOCH_MICROS).to_be_bytes()
}

fn jsonb(value: &Value) -> Result<Vec<u8>, sqlx::Error> {
    let mut bytes = vec![JSONB_VERSION];
    serde_json::to_writer(&mut bytes, value)
        .map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::JobId;

    /// A moment that the database can tell: it counts microseconds.
    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 123_456_000).expect("it is a time")
    }

    fn begun(run_at: Option<DateTime<Utc>>, delay_seconds: Option<f64>) -> (String, TimeDelta) {
        let row = JobRow {
            id: JobId::new(),
            queue: "default".to_owned(),
            kind: "test.work".to_owned(),
            priority: 5,
            run_at,
            delay_seconds,
            max_attempts: None,
            tenant: None,
            key: None,
            unique: None,
            payload: "{}".to_owned(),
            sealer: None,
            tags: None,
            traceparent: None,
            replay_of: None,
            account: None,
            fair: None,
        };
        let stored = begin(&row, now());
        (stored.state, stored.run_at - now())
    }

    #[test]
    fn a_job_is_never_due_before_it_is_stored() {
        let ready = ("ready".to_owned(), TimeDelta::zero());

        assert_eq!(begun(None, None), ready);
        assert_eq!(begun(None, Some(0.0)), ready);
        assert_eq!(begun(Some(now() - TimeDelta::days(1)), None), ready);
        assert_eq!(begun(Some(DateTime::UNIX_EPOCH), None), ready);
    }

    #[test]
    fn times_are_kept_to_the_microsecond() {
        let scheduled = |wait| ("scheduled".to_owned(), wait);

        assert_eq!(
            begun(Some(now() + TimeDelta::nanoseconds(2_999)), None),
            scheduled(TimeDelta::microseconds(2))
        );
        assert_eq!(
            begun(Some(now() + TimeDelta::nanoseconds(999)), None).0,
            "ready"
        );
        assert_eq!(
            begun(None, Some(90_000.000_000_6)),
            scheduled(TimeDelta::microseconds(90_000_000_001))
        );
    }

    #[test]
    fn a_delay_beyond_all_times_is_no_panic() {
        assert_eq!(begun(None, Some(f64::INFINITY)).0, "scheduled");
    }
}
