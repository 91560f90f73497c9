//! Random situations: what is explained as runnable is what the next claim starts, and nothing else.

use std::collections::BTreeSet;

use anyhow::ensure;
use rand::{Rng, SeedableRng, rngs::StdRng};
use sqlx::PgPool;
use uuid::Uuid;

use super::{limited, run};
use crate::{
    Gate, JobId, Queue,
    gates::Sweep,
    store::claim::{self as plain, Claim},
};

/// Situations that are tried; a situation's number is its seed.
const CASES: u64 = 60;
const KINDS: [&str; 2] = ["test.work", "test.together"];

/// What a situation makes of everything that gates go by.
struct Situation {
    dice: StdRng,
    slots: i64,
    is_plain: bool,
}

impl Situation {
    fn chance(&mut self, percent: u32) -> bool {
        self.dice.random_range(0..100) < percent
    }

    fn below(&mut self, bound: i64) -> i64 {
        self.dice.random_range(0..bound)
    }

    /// A value in this share of situations, else NULL.
    fn maybe(&mut self, percent: u32, value: String) -> String {
        if self.chance(percent) {
            value
        } else {
            "NULL".to_owned()
        }
    }

    /// SQL that makes the situation out of nothing.
    fn sql(&mut self) -> String {
        let mut sql = "TRUNCATE millpond.jobs, millpond.holds, millpond.budgets, millpond.workers;"
            .to_owned();
        sql.push_str(&self.limits());
        for job in 0..self.below(30) {
            sql.push_str(&self.job(job));
        }
        sql
    }

    fn limits(&mut self) -> String {
        let global = self.below(6) + 1;
        let global = self.maybe(30, global.to_string());
        let has_rate = self.chance(25);
        let (rate, started) = if has_rate {
            (self.below(5) + 1, self.below(4))
        } else {
            (0, 0)
        };
        let fair = self.maybe(35, "'tenant'".to_owned());
        let last = self.below(3);
        let last = self.maybe(50, format!("'t{last}'"));
        let paused = self.chance(8);
        let places = self.below(2) + 1;
        let places = self.maybe(50, places.to_string());
        let budget = self.maybe(40, "'meta'".to_owned());
        self.is_plain = [&global, &fair, &places, &budget]
            .into_iter()
            .all(|it| it == "NULL")
            && !has_rate;
        let rate = if has_rate {
            format!(
                "rate_count = {rate}, rate_per_seconds = 3600, rate_times = ARRAY[now()], rate_starts = ARRAY[{started}]"
            )
        } else {
            "rate_count = NULL, rate_per_seconds = NULL, rate_times = '{}', rate_starts = '{}'"
                .to_owned()
        };
        let paused = if paused { "now()" } else { "NULL" };
        let knows_all = self.chance(80);
        let kinds = if knows_all {
            "{test.work,test.together}"
        } else {
            "{test.work}"
        };
        let slots = self.slots;
        let mut sql = format!(
            "UPDATE millpond.queues SET global_concurrency = {global}, {rate}, fair_by = {fair}, fair_last = {last},
                    paused_at = {paused}, paused_by = CASE WHEN {paused}::timestamptz IS NOT NULL THEN 'test' END
              WHERE name = 'default';
             UPDATE millpond.kinds_seen SET per_key_concurrency = {places} WHERE kind = 'test.work';
             UPDATE millpond.kinds_seen SET budget = {budget} WHERE kind = 'test.together';
             INSERT INTO millpond.workers (id, host, pid, version, roles, kinds, slots)
             VALUES (gen_random_uuid(), 'h', 1, 'test', '{{worker}}', '{kinds}', jsonb_build_object('default', {slots}));"
        );
        for account in ["a", "b"] {
            if self.chance(25) {
                sql.push_str(&format!(
                    "INSERT INTO millpond.holds (account, reason, by) VALUES ('{account}', 'r', 'test');"
                ));
            }
            if self.chance(25) {
                let for_urgent = self.chance(50);
                sql.push_str(&format!(
                    "INSERT INTO millpond.budgets (name, account, dry_until, dry_detail, dry_for_urgent, dry_under)
                     VALUES ('meta', '{account}', now() + interval '1 hour', 'd', {for_urgent}, 'x');"
                ));
            }
        }
        sql
    }

    fn job(&mut self, number: i64) -> String {
        let kind = KINDS[usize::from(self.chance(40))];
        let state = match self.below(10) {
            0..7 => "ready",
            7 | 8 => "running",
            _ => "scheduled",
        };
        let key = self.below(3);
        let key = self.maybe(70, format!("'k{key}'"));
        let account = ["'a'", "'b'", "'c'", "NULL"][usize::try_from(self.below(4)).unwrap_or(0)];
        let tenant = self.below(3);
        let tenant = self.maybe(80, format!("'t{tenant}'"));
        let is_marked = self.chance(80);
        let fair = if is_marked {
            format!("COALESCE({tenant}, '')")
        } else {
            "NULL".to_owned()
        };
        let priority = [0, 5, 5, 9][usize::try_from(self.below(4)).unwrap_or(0)];
        let due = self.below(50);
        let is_running = state == "running";
        let note = if state == "ready" && self.chance(30) {
            self.is_plain = false;
            self.note(kind)
        } else {
            "NULL, NULL".to_owned()
        };
        let lease = if is_running {
            "gen_random_uuid(), now() + interval '1 hour', gen_random_uuid(), true"
        } else {
            "NULL, NULL, NULL, NULL"
        };
        let attempts = i32::from(is_running);
        format!(
            "INSERT INTO millpond.jobs (id, queue, kind, state, priority, run_at, payload, attempt, attempts_used, key, account,
                    tenant, fair, lease_token, lease_until, worker, takes_place, parked_gate, parked_for)
             SELECT ('00000000-0000-7000-8000-' || lpad('{number}', 12, '0'))::uuid, 'default', '{kind}', '{state}', {priority},
                    now() - interval '{due} seconds', '{{}}', {attempts}, {attempts}, {key}, {account}, {tenant}, {fair},
                    {lease}, {note};"
        )
    }

    /// What some earlier claim noted, rightly or not.
    fn note(&mut self, kind: &str) -> String {
        let key = self.below(3);
        match self.below(3) {
            0 => format!("'key_limit', '{kind} k{key}'"),
            1 => format!("'budget', 'meta {kind} a'"),
            _ => "'account_held', 'b'".to_owned(),
        }
    }
}

/// The ready jobs that are explained as runnable, once what is told of each was found consistent in itself.
async fn runnable(db: &PgPool, queue: &Queue) -> anyhow::Result<BTreeSet<Uuid>> {
    let jobs: Vec<(Uuid, String)> =
        sqlx::query_as("SELECT id, state FROM millpond.jobs WHERE state <> 'running'")
            .fetch_all(db)
            .await?;
    let mut runnable = BTreeSet::new();
    for (id, state) in jobs {
        let told = queue.explain_job(JobId(id), None).await?;
        let is_kept = told.gates.iter().any(|gate| gate.blocking);
        ensure!(
            told.state == state && told.gates.len() == Gate::ALL.len(),
            "{told:?}"
        );
        ensure!(
            told.runnable != is_kept,
            "{id} is kept by a gate or runnable: {told:?}"
        );
        if told.runnable {
            runnable.insert(id);
        }
    }
    Ok(runnable)
}

/// What the worker of the situation starts with its free slots.
async fn started(db: &PgPool, is_plain: bool) -> anyhow::Result<BTreeSet<Uuid>> {
    let (kinds, free): (Vec<String>, i64) = sqlx::query_as(
        "SELECT w.kinds, GREATEST((w.slots ->> 'default')::int8 - (SELECT count(*) FROM millpond.jobs WHERE state = 'running'), 0)
           FROM millpond.workers w",
    )
    .fetch_one(db)
    .await?;
    let claim = Claim {
        queue: "default",
        worker: Uuid::new_v4(),
        ttl_seconds: 60.0,
        kinds: &kinds,
    };
    let most = usize::try_from(free)?;
    let mut rows = Vec::new();
    if is_plain {
        for _ in 0..most {
            rows.extend(plain::next(db, &claim, 1).await?);
        }
    } else {
        let ask = crate::gates::Ask {
            claim: &claim,
            most,
        };
        let mut conn = db.acquire().await?;
        let claimed = crate::gates::claim(&mut conn, &ask, &mut Sweep::default()).await?;
        rows.extend(claimed.rows);
    }
    Ok(rows.into_iter().map(|row| row.id).collect())
}

// Fails when a claim and an explanation go by different predicates, or by the same in another order.
#[sqlx::test(migrations = "../../migrations")]
async fn what_is_explained_as_runnable_is_what_the_next_claim_starts(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = limited(&db, "").await?;
    let mut all = 0;
    for case in 0..CASES {
        let mut situation = Situation {
            dice: StdRng::seed_from_u64(case),
            slots: 0,
            is_plain: true,
        };
        situation.slots = situation.below(12);
        let sql = situation.sql();
        run(&db, &sql).await?;

        let runnable = runnable(&db, &queue).await?;
        let started = started(&db, situation.is_plain).await?;

        ensure!(
            runnable == started,
            "case {case}: {runnable:?} are explained as runnable, {started:?} were started\n{sql}"
        );
        all += started.len();
    }

    assert!(all > 50, "only {all} jobs were started in all situations");
    Ok(())
}
