//! Plans must not flip: the statements of the hot path walk their indexes in every state of the table, whether the
//! planner knows that state or not, and whether it sees the parameters or not. What is explained is what the store
//! prepared, on connections of the engine's own, with their settings.

use anyhow::{Context, ensure};
use secrecy::SecretString;
use serde_json::Value;
use sqlx::{ConnectOptions, PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    Database, DatabaseSettings,
    db::Session,
    store::{
        claim::{self, Claim},
        gates::{
            self, Notes, facts, fleet,
            rows::{self, Lines, Opened},
        },
        lease::{self, Renewals},
        poll,
        settle::{self, Again, Ended},
    },
};

/// Pages that an empty poll may touch.
const PAGES: i64 = 50;
/// Jobs claimed and settled while another session's snapshot keeps their dead rows.
const PINNED: usize = 20_000;
const TTL_SECONDS: f64 = 60.0;

/// What every settlement names first: the queue, jobs and their tokens.
const BATCH: &str = "'default', array_fill(gen_random_uuid(), ARRAY[500]), array_fill(gen_random_uuid(), ARRAY[500])";

const READY: &str = "INSERT INTO millpond.jobs (id, queue, kind, state, priority, run_at, payload)
    SELECT millpond.new_job_id(), 'default', 'test.work', 'ready', 5, now(), '{}' FROM generate_series(1, 200000)";
const HALF_TOMORROW: &str = "INSERT INTO millpond.jobs (id, queue, kind, state, priority, run_at, payload)
    SELECT millpond.new_job_id(), 'default', 'test.work', CASE n % 2 WHEN 0 THEN 'ready' ELSE 'scheduled' END, 5,
           now() + n % 2 * interval '1 day', '{}'
      FROM generate_series(1, 200000) AS n";
const ANALYSE: &str = "ANALYZE millpond.jobs";

/// States of the table, each with what leads to it from the one before.
const STATES: [(&str, &[&str]); 4] = [
    ("empty", &[]),
    ("loaded and not analysed", &[READY]),
    ("analysed", &[ANALYSE]),
    (
        "half of it scheduled for tomorrow",
        &["TRUNCATE millpond.jobs", HALF_TOMORROW, ANALYSE],
    ),
];

/// A statement as the store prepared it.
struct Prepared {
    what: &'static str,
    name: String,
    /// What it is explained with, as SQL.
    arguments: String,
    reach: Reach,
}

/// How a statement may reach rows of the hot table.
#[derive(Debug, Clone, Copy)]
enum Reach {
    /// It walks these indexes, all of them and no other, each under a condition and in its order.
    Walk(&'static [&'static str]),
    /// It finds the rows that it names by their ids; with which index, and how it matches their tokens, is no matter.
    Ids,
}

/// A connection with what was prepared on it.
struct Prober {
    session: Session,
    statements: Vec<Prepared>,
}

// Fails when the engine's connections may scan the table sequentially (a plan made while it was empty then reads all of
// it at every claim), when the limit of the claim becomes a parameter or the claim a join, when jobs_ready loses a
// column of the order, when a settlement or renewal may start from all running jobs instead of those it names, and when
// the look hashes all ready jobs to learn whether there is one.
#[sqlx::test(migrations = "../../migrations")]
async fn the_hot_path_walks_its_indexes_whatever_the_table_holds(db: PgPool) -> anyhow::Result<()> {
    run(
        &db,
        "ALTER TABLE millpond.jobs SET (autovacuum_enabled = off)",
    )
    .await?;
    let database = engine_database(&db)?;
    let mut probers = probers(&database).await?;
    let mut faults = Vec::new();

    for (state, steps) in STATES {
        for step in steps {
            run(&db, step).await?;
        }
        for prober in &mut probers {
            let found = prober.faults().await?.into_iter();
            faults.extend(found.map(|fault| format!("{state}: {fault}")));
            for (what, pages) in prober.empty_polls().await? {
                if pages >= PAGES {
                    faults.push(format!("{state}: an empty {what} touches {pages} pages"));
                }
            }
        }
    }

    assert!(faults.is_empty(), "{}", faults.join("\n"));
    drop(probers);
    database.close().await;
    Ok(())
}

// Fails with the same mutations, and when the planner's look at the ends of an index full of dead entries misleads it.
#[sqlx::test(migrations = "../../migrations")]
async fn dead_rows_that_a_snapshot_keeps_change_no_plan(db: PgPool) -> anyhow::Result<()> {
    run(
        &db,
        "ALTER TABLE millpond.jobs SET (autovacuum_enabled = off)",
    )
    .await?;
    run(&db, READY).await?;
    let database = engine_database(&db)?;
    let mut probers = probers(&database).await?;
    let mut reader = db.begin().await?;
    sqlx::raw_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT FROM millpond.queues")
        .execute(&mut *reader)
        .await?;

    claim_and_settle(&db, PINNED).await?;
    let mut faults = Vec::new();
    for prober in &mut probers {
        faults.extend(prober.faults().await?);
    }

    assert!(faults.is_empty(), "{}", faults.join("\n"));
    reader.rollback().await?;
    drop(probers);
    database.close().await;
    Ok(())
}

/// The test's database through connections as production makes them.
fn engine_database(db: &PgPool) -> anyhow::Result<Database> {
    Ok(Database::connect_lazy(DatabaseSettings {
        url: SecretString::from(db.connect_options().to_url_lossy().to_string()),
        requests: 1,
        enqueues: 1,
        engine: 1,
        claims: 1,
        application_name: "plans".to_owned(),
    })?)
}

async fn run(db: &PgPool, sql: &str) -> anyhow::Result<()> {
    sqlx::raw_sql(sql).execute(db).await?;
    Ok(())
}

async fn claim_and_settle(db: &PgPool, count: usize) -> anyhow::Result<()> {
    let kinds = ["test.work".to_owned()];
    let mut settled = 0;
    while settled < count {
        let jobs = claim::next(db, &claim_of(&kinds), 500).await?;
        ensure!(!jobs.is_empty(), "there are not enough jobs");
        let ended = Ended {
            ids: jobs.iter().map(|job| job.id).collect(),
            tokens: jobs.iter().map(|job| job.token).collect(),
            ..Ended::default()
        };
        settled += settle::delete(db, "default", &ended).await?.len();
    }
    Ok(())
}

fn claim_of(kinds: &[String]) -> Claim<'_> {
    Claim {
        queue: "default",
        worker: Uuid::new_v4(),
        ttl_seconds: TTL_SECONDS,
        kinds,
    }
}

/// One connection of each sort that the hot path uses, with its statements prepared by the store itself.
async fn probers(database: &Database) -> anyhow::Result<[Prober; 2]> {
    let mut engine = Prober::new(database.engine().await?);
    engine.prepare_claims().await?;
    engine.prepare_gates().await?;
    engine.prepare_gated_claims().await?;
    engine.prepare_explanations().await?;
    engine.prepare_polls().await?;
    engine.prepare_settlements().await?;
    let mut keeper = Prober::new(Session::open(&database.separate_pool(1)).await?);
    keeper.prepare_renewal().await?;
    Ok([engine, keeper])
}

impl Prober {
    fn new(session: Session) -> Self {
        Self {
            session,
            statements: Vec::new(),
        }
    }

    async fn prepare_claims(&mut self) -> anyhow::Result<()> {
        let kinds = ["test.work".to_owned()];
        let reach = Reach::Walk(&["jobs_ready", "jobs_pkey"]);
        for most in [1, 10, 100, 500] {
            claim::next(self.session.conn(), &claim_of(&kinds), most).await?;
            let arguments = "'default', gen_random_uuid(), 60, ARRAY['test.work']";
            self.keep("claim", arguments, reach).await?;
        }
        claim::mates(
            self.session.conn(),
            &claim_of(&kinds),
            "test.work",
            None,
            100,
        )
        .await?;
        let arguments = "'default', gen_random_uuid(), 60, 'test.work', 100";
        self.keep("claim of mates", arguments, reach).await?;
        claim::mates(
            self.session.conn(),
            &claim_of(&kinds),
            "test.work",
            Some("a"),
            100,
        )
        .await?;
        let arguments = "'default', gen_random_uuid(), 60, 'test.work', 100, 'a'";
        let reach = Reach::Walk(&["jobs_ready_key", "jobs_pkey"]);
        self.keep("claim of mates by key", arguments, reach).await
    }

    /// What a claim under limits looks at before it claims.
    async fn prepare_gates(&mut self) -> anyhow::Result<()> {
        let kinds = ["test.work".to_owned()];
        let (few, work) = ("'default', ARRAY['test.work']", &kinds[..]);
        for most in [1, 11, 101] {
            rows::first(self.session.conn(), "default", work, most).await?;
            let reach = Reach::Walk(&["jobs_ready"]);
            self.keep("first jobs", few, reach).await?;
        }
        rows::any_of(self.session.conn(), "default", work).await?;
        let reach = Reach::Walk(&["jobs_ready", "jobs_parked"]);
        self.keep("any of some kinds", few, reach).await?;
        let reach = Reach::Walk(&["jobs_ready"]);
        rows::next_priority(self.session.conn(), "default", 0).await?;
        self.keep("next priority", "'default', 0::int2", reach)
            .await?;
        let lines = Lines {
            queue: "default",
            priority: 5,
            from: "",
            kinds: work,
            most: 500,
        };
        rows::unmarked(self.session.conn(), lines).await?;
        let arguments = "'default', 5::int2, ARRAY['test.work'], 500";
        self.keep("unmarked jobs", arguments, reach).await?;
        rows::lines(self.session.conn(), lines).await?;
        let arguments = "'default', 5::int2, 'a', ARRAY['test.work'], 500";
        let reach = Reach::Walk(&["jobs_fair"]);
        self.keep("lines", arguments, reach).await?;
        rows::groups(self.session.conn(), "default", ("", "")).await?;
        let reach = Reach::Walk(&["jobs_parked"]);
        self.keep("groups", "'default', 'a', 'b'", reach).await?;
        rows::behind(self.session.conn(), "default", work, &Opened::default()).await?;
        let arguments =
            "'default', ARRAY['test.work'], ARRAY['key_limit'], ARRAY['a'], ARRAY[1], ARRAY[9]";
        self.keep("jobs behind a gate", arguments, reach).await?;
        rows::mates(self.session.conn(), "default", ("test.work", "a"), 100).await?;
        let arguments = "'default', 'test.work', 'a', 100";
        let reach = Reach::Walk(&["jobs_ready_key"]);
        self.keep("gated mates", arguments, reach).await
    }

    /// What it counts, and what it changes.
    async fn prepare_gated_claims(&mut self) -> anyhow::Result<()> {
        let kinds = ["test.work".to_owned()];
        gates::queue(self.session.conn(), "default").await?;
        let reach = Reach::Walk(&["jobs_running", "jobs_ready", "jobs_parked"]);
        self.keep("standing of a queue", "'default'", reach).await?;
        facts::taken(self.session.conn(), "test.work", &["a"], 1).await?;
        let arguments = "'test.work', ARRAY['a', 'b'], 1";
        let reach = Reach::Walk(&["jobs_place"]);
        self.keep("places of keys", arguments, reach).await?;
        gates::park(self.session.conn(), "default", &Notes::default()).await?;
        let ids = "array_fill(gen_random_uuid(), ARRAY[500])";
        let notes = "array_fill('a'::text, ARRAY[500])";
        let arguments = format!("'default', {ids}, {notes}, {notes}");
        self.keep("parking", &arguments, Reach::Ids).await?;
        claim::these(self.session.conn(), &claim_of(&kinds), &[], &kinds).await?;
        let arguments = format!("'default', gen_random_uuid(), 60, {ids}, ARRAY['test.work']");
        self.keep("claim of chosen jobs", &arguments, Reach::Ids)
            .await
    }

    /// What is asked of each group of jobs that a gate keeps, when their queue is explained.
    async fn prepare_explanations(&mut self) -> anyhow::Result<()> {
        fleet::kept_for(self.session.conn(), "default", ("key_limit", "a"), 1).await?;
        let arguments = "'default', 'key_limit', 'a', 1";
        let reach = Reach::Walk(&["jobs_parked"]);
        self.keep("kept jobs", arguments, reach).await?;
        fleet::takers(self.session.conn(), "test.work", "a").await?;
        let reach = Reach::Walk(&["jobs_place"]);
        self.keep("takers of places", "'test.work', 'a'", reach)
            .await
    }

    async fn prepare_polls(&mut self) -> anyhow::Result<()> {
        let queues = ["default".to_owned(), "idle".to_owned()];
        poll::look(self.session.conn(), Some(&queues)).await?;
        let reach = Reach::Walk(&["jobs_ready", "jobs_parked", "jobs_deferred", "jobs_running"]);
        self.keep("look", "ARRAY['default', 'idle']", reach).await?;
        poll::promote(self.session.conn(), "default").await?;
        let reach = Reach::Walk(&["jobs_deferred", "jobs_pkey"]);
        self.keep("promotion", "'default'", reach).await?;
        lease::expired(self.session.conn(), "default", TTL_SECONDS).await?;
        let reach = Reach::Walk(&["jobs_running"]);
        self.keep("rescue", "'default', 60", reach).await
    }

    async fn prepare_settlements(&mut self) -> anyhow::Result<()> {
        let (none, again) = (Ended::default(), Again::default());
        let ended = format!("{BATCH}, array_fill('x'::text, ARRAY[500]), NULL, NULL, NULL, NULL");
        let finished = format!("{ended}, NULL");
        settle::delete(self.session.conn(), "default", &none).await?;
        self.keep("deletion", BATCH, Reach::Ids).await?;
        settle::unclaim(self.session.conn(), "default", &[], &[]).await?;
        self.keep("hand-back", BATCH, Reach::Ids).await?;
        settle::finish(self.session.conn(), "default", &none, &[]).await?;
        self.keep("finish", &finished, Reach::Ids).await?;
        settle::bury(self.session.conn(), "default", &none, &[]).await?;
        self.keep("burial", &ended, Reach::Ids).await?;
        settle::put_back(self.session.conn(), "default", &none, &again).await?;
        self.keep(
            "put-back",
            &format!("{ended}, NULL, NULL, NULL"),
            Reach::Ids,
        )
        .await
    }

    async fn prepare_renewal(&mut self) -> anyhow::Result<()> {
        let none = Renewals::default();
        lease::renew(self.session.conn(), "default", &none, TTL_SECONDS).await?;
        let arguments = format!("{BATCH}, {TTL_SECONDS}, NULL");
        self.keep("renewal", &arguments, Reach::Ids).await
    }

    /// Keeps what the store has just prepared.
    async fn keep(
        &mut self,
        what: &'static str,
        arguments: &str,
        reach: Reach,
    ) -> anyhow::Result<()> {
        let (name, text): (String, String) = sqlx::query_as(
            "SELECT name, statement FROM pg_prepared_statements ORDER BY prepare_time DESC LIMIT 1",
        )
        .persistent(false)
        .fetch_one(self.session.conn())
        .await?;
        ensure!(
            text.contains("millpond.jobs"),
            "{what} is not prepared: {text}"
        );
        self.statements.push(Prepared {
            what,
            name,
            arguments: arguments.to_owned(),
            reach,
        });
        Ok(())
    }

    /// Has everything planned anew, without the parameters' values and with them, and tells what is wrong.
    async fn faults(&mut self) -> anyhow::Result<Vec<String>> {
        let mut faults = Vec::new();
        for mode in ["force_generic_plan", "force_custom_plan"] {
            let settings = format!("SET plan_cache_mode = {mode}; DISCARD PLANS");
            sqlx::raw_sql(&settings)
                .execute(self.session.conn())
                .await?;
            for statement in &self.statements {
                let sql = format!(
                    "EXPLAIN (FORMAT JSON) EXECUTE {}({})",
                    statement.name, statement.arguments
                );
                let plan = explain(self.session.conn(), &sql).await?;
                let found = statement.faults(&plan).into_iter();
                faults.extend(found.map(|fault| format!("{mode}: {}: {fault}", statement.what)));
            }
        }
        Ok(faults)
    }

    /// Polls a queue in which nothing waits, in every way, and tells how many pages each touched.
    async fn empty_polls(&mut self) -> anyhow::Result<Vec<(&'static str, i64)>> {
        let mut touched = Vec::new();
        for statement in &self.statements {
            let arguments = match statement.what {
                "claim" => "'idle', gen_random_uuid(), 60, ARRAY['test.work']",
                "look" => &statement.arguments,
                "promotion" => "'idle'",
                _ => continue,
            };
            let name = &statement.name;
            let sql =
                format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE {name}({arguments})");
            let plan = explain(self.session.conn(), &sql).await?;
            let pages = ["Shared Hit Blocks", "Shared Read Blocks"]
                .map(|of| plan[of].as_i64().unwrap_or(PAGES));
            touched.push((statement.what, pages.iter().sum()));
        }
        Ok(touched)
    }
}

async fn explain(conn: &mut PgConnection, sql: &str) -> anyhow::Result<Value> {
    let explained: Value = sqlx::query_scalar(sql)
        .persistent(false)
        .fetch_one(conn)
        .await
        .with_context(|| sql.to_owned())?;
    Ok(explained[0]["Plan"].clone())
}

impl Prepared {
    fn faults(&self, plan: &Value) -> Vec<String> {
        let nodes = nodes(plan);
        let mut faults: Vec<String> = nodes.iter().filter_map(|node| self.fault(node)).collect();
        if let Reach::Walk(indexes) = self.reach {
            for index in indexes {
                if !nodes.iter().any(|node| node["Index Name"] == *index) {
                    faults.push(format!("does not walk {index}"));
                }
            }
        }
        faults
    }

    fn fault(&self, node: &Value) -> Option<String> {
        let kind = node["Node Type"].as_str().unwrap_or_default();
        match (kind, self.reach) {
            ("Hash Join", Reach::Walk(_)) | ("Merge Join", _) => Some(format!("has a {kind}")),
            ("Nested Loop", _) if !node["Join Filter"].is_null() => {
                Some("compares every row with every other".to_owned())
            }
            // What a statement has changed may be sorted; what it looks for comes sorted.
            ("Sort" | "Incremental Sort", _) if nodes(node).into_iter().any(reads_jobs) => {
                Some(format!("has a {kind}"))
            }
            ("Index Scan" | "Index Only Scan", _) if reads_jobs(node) => self.stray(node),
            _ if reads_jobs(node) => Some(format!("has a {kind} of the table")),
            _ => None,
        }
    }

    /// What is wrong with a scan of an index.
    fn stray(&self, node: &Value) -> Option<String> {
        let index = node["Index Name"].as_str().unwrap_or_default();
        let condition = node["Index Cond"].as_str().unwrap_or_default();
        match self.reach {
            _ if condition.is_empty() => Some(format!("reads all of {index}")),
            Reach::Walk(indexes) if indexes.contains(&index) => None,
            Reach::Walk(_) => Some(format!("walks {index}")),
            Reach::Ids if condition.contains("id = ") => None,
            Reach::Ids => Some(format!("walks {index} past rows that it does not name")),
        }
    }
}

fn reads_jobs(node: &Value) -> bool {
    node["Relation Name"] == "jobs" && node["Node Type"] != "ModifyTable"
}

/// A plan's nodes, from the top.
fn nodes(plan: &Value) -> Vec<&Value> {
    let mut nodes = vec![plan];
    let mut at = 0;
    while let Some(node) = nodes.get(at).copied() {
        nodes.extend(node["Plans"].as_array().into_iter().flatten());
        at += 1;
    }
    nodes
}
