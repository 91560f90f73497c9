//! `sync.watch`: today's figures of an account, read every half minute while somebody is looking, and less often before the
//! platform's quota comes near its reserve. It ends with the watch.

use std::time::{Duration, Instant};

use chrono::Utc;
use marketing::sync::{InsightScope, WatchId};
use providers::{Error as ProviderError, platform::Level};
use queue::{ErrorClass, Job, JobContext, LogLevel, Outcome, config::Budget};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::sync_insights::{Pace, read};
use crate::{
    App,
    account::{AccountRef, Attempt, PATTERN, Reached, settled},
    door::JobDoor,
    error::Error,
};

/// The time between two looks, and between two of them while the quota's reserve is near.
const EVERY: Duration = Duration::from_secs(30);
const EVERY_AT_MOST: Duration = Duration::from_secs(5 * 60);
/// Shortest wait after a look, however long it took.
const LEAST: Duration = Duration::from_secs(5);
/// How long a look that failed is followed by none.
const AFTER_FAILURE: Duration = Duration::from_secs(60);
/// Of what figures are looked at.
const LEVELS: [Level; 2] = [Level::Account, Level::Campaign];

/// Looks at an account while a watch goes on. Safe to repeat: what is stored is replaced.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SyncWatch {
    /// The account.
    account_id: AccountRef,
    /// Which watch of it: another one is followed by another job.
    #[schemars(with = "String", regex(pattern = PATTERN))]
    watch_id: WatchId,
}

impl Job for SyncWatch {
    const KIND: &'static str = "sync.watch";
    type App = App;
    type Error = Error;

    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, Error> {
        let began = Instant::now();
        let reached = match Reached::of(&ctx.app, &ctx.job, self.account_id).await {
            Ok(reached) => reached,
            Err(error) => return settled(Err(error)),
        };
        let account = &reached.account;
        let door = JobDoor::new(ctx, account.platform, Some(account.id));
        let attempt = Attempt {
            app: &ctx.app,
            job: &ctx.job,
            account,
            client: &*reached.client,
            door: &door,
            stop: ctx.cancellation(),
            progress: &|told| ctx.progress(told),
        };
        let looked = Box::pin(look(&attempt, self.watch_id)).await;
        if let Err(error) = &looked
            && passes(error.class())
        {
            let line = format!("a look failed, and another one follows: {error}");
            ctx.log(LogLevel::Warn, &line);
        }
        let config = ctx.app.queue.config();
        let budget = config.budgets.get(door.budget());
        let pause = pause(budget, door.used_share()).saturating_sub(began.elapsed());
        settled(next(looked, pause.max(LEAST)))
    }
}

/// Looks once; `false`: the watch has ended.
async fn look(attempt: &Attempt<'_>, watch: WatchId) -> Result<bool, Error> {
    let Attempt {
        app,
        account,
        client,
        ..
    } = *attempt;
    if !app.syncs.goes_on(account.id, watch).await? {
        return Ok(false);
    }
    // It may be synced again before the watch ends, which would then have no job.
    if !account.is_synced() {
        return Ok(true);
    }
    let today = account.day_of(Utc::now());
    for level in LEVELS {
        let scope = InsightScope {
            level,
            granularity: client.finest(),
            from: today,
            to: today,
            breakdowns: Vec::new(),
        };
        // What is not there at once is left to the next look.
        Box::pin(read(attempt, scope, Pace::of_a_look())).await?;
    }
    Ok(true)
}

/// What follows from a look. One that failed in passing is made up for by the next one and uses up no attempt: the watch ends
/// by itself, and a platform that is down is left alone by the door.
fn next(looked: Result<bool, Error>, pause: Duration) -> Result<Outcome, Error> {
    match looked {
        Ok(true) => Ok(Outcome::Snoozed(pause)),
        Ok(false) => Ok(Outcome::SucceededWith(json!({ "ended": true }))),
        Err(Error::Provider(ProviderError::Postponed { wait, .. })) => {
            Ok(Outcome::Snoozed(pause.max(wait.unwrap_or_default())))
        }
        Err(error) if passes(error.class()) => Ok(Outcome::Snoozed(pause.max(AFTER_FAILURE))),
        Err(error) => Err(error),
    }
}

/// Whether a failure is likely to pass by itself.
fn passes(class: ErrorClass) -> bool {
    matches!(
        class,
        ErrorClass::Transient | ErrorClass::Timeout | ErrorClass::TooLarge
    )
}

/// The time between two looks: longer from where a budget's calls are spaced out.
fn pause(budget: Option<&Budget>, used_share: Option<f64>) -> Duration {
    let (Some(budget), Some(used)) = (budget, used_share.filter(|used| used.is_finite())) else {
        return EVERY;
    };
    if used < budget.slow_down_at {
        return EVERY;
    }
    let room = budget.stop_at - budget.slow_down_at;
    let near = if room > 0.0 {
        ((used - budget.slow_down_at) / room).clamp(0.0, 1.0)
    } else {
        1.0
    };
    EVERY + (EVERY_AT_MOST - EVERY).mul_f64(near)
}

#[cfg(test)]
mod tests {
    use marketing::PgPool;
    use providers::{Detail, platform::Insights};
    use queue::{Source, config::Config};

    use super::*;
    use crate::kinds::{scene::Scene, scripted::no_more};

    const WANTED: Duration = Duration::from_secs(600);

    /// Has the time of all watches be over.
    async fn end_watches(db: &PgPool) -> anyhow::Result<()> {
        sqlx::query("UPDATE marketing.watches SET until = now()")
            .execute(db)
            .await?;
        Ok(())
    }

    #[test]
    fn looks_are_fewer_the_nearer_the_reserve_is() {
        let config = Config::builtin();
        let meta = config.budgets.get("meta");
        let seconds = |used| pause(meta, used).as_secs();

        assert_eq!(seconds(None), 30);
        assert_eq!(seconds(Some(0.5)), 30);
        assert!((160..170).contains(&seconds(Some(0.85))));
        assert_eq!(seconds(Some(0.95)), 300);
        assert_eq!(seconds(Some(2.0)), 300);
        assert_eq!(seconds(Some(f64::NAN)), 30);
        assert_eq!(pause(None, Some(0.99)), EVERY);
    }

    // Fails when a night of looking ends as a dead letter because the platform hiccuped now and then.
    #[test]
    fn a_look_that_fails_in_passing_uses_up_no_attempt() {
        let failed = || ProviderError::Unavailable {
            detail: Detail::default(),
            maybe_received: true,
            source: None,
        };
        let spent = ProviderError::AuthExpired {
            detail: Detail::default(),
        };

        let passing = next(Err(failed().into()), EVERY);
        let final_one = next(Err(spent.into()), EVERY);

        assert!(matches!(passing, Ok(Outcome::Snoozed(wait)) if wait == AFTER_FAILURE));
        assert!(final_one.is_err());
    }

    #[sqlx::test(migrations = "../../migrations")]
    async fn it_looks_while_somebody_does_and_ends_then(db: PgPool) -> anyhow::Result<()> {
        let scene = Scene::new(&db);
        let account = scene.connected().await?;
        scene
            .platform
            .answer_insights(|_, _| Ok(Insights::Rows(no_more(Vec::new()))));
        let reached = scene.reached().await?;

        let syncs = &scene.app.syncs;
        let watch = syncs.watch(account, None, WANTED).await?.id;
        let watched = look(&scene.attempt(&reached), watch).await?;
        end_watches(&db).await?;
        let unwatched = look(&scene.attempt(&reached), watch).await?;

        assert!(watched && !unwatched);
        let asked: Vec<Level> = scene.platform.queries().iter().map(|it| it.level).collect();
        assert_eq!(asked, LEVELS);
        Ok(())
    }

    // Fails when who looks again while the job of the ended watch is ending is left to that job, and when both jobs look then.
    #[sqlx::test(migrations = "../../migrations")]
    async fn a_watch_that_begins_while_the_one_before_it_ends_has_a_job_of_its_own(
        db: PgPool,
    ) -> anyhow::Result<()> {
        let scene = Scene::new(&db);
        let account = scene.connected().await?;
        let reached = scene.reached().await?;
        let App {
            syncs, accounts, ..
        } = &scene.app;
        let follow = |watch| Box::pin(accounts.follow_watch(&reached.account, watch, Source::Http));
        let ending = syncs.watch(account, None, WANTED).await?.id;
        follow(ending).await?;
        end_watches(&db).await?;

        // The job is not done yet when it is asked for again, and again.
        let goes_on = look(&scene.attempt(&reached), ending).await?;
        let begun = syncs.watch(account, None, WANTED).await?.id;
        follow(begun).await?;
        let renewed = syncs.watch(account, None, WANTED).await?.id;
        follow(renewed).await?;

        let mut looking = Vec::new();
        for payload in scene.payloads(SyncWatch::KIND).await? {
            let job: SyncWatch = serde_json::from_value(payload)?;
            let looks = look(&scene.attempt(&reached), job.watch_id).await?;
            looking.push((job.watch_id, looks));
        }
        assert!(!goes_on);
        assert_eq!(looking, [(ending, false), (begun, true)]);
        Ok(())
    }

    #[sqlx::test(migrations = "../../migrations")]
    async fn what_cannot_be_synced_now_is_left_alone_and_stays_watched(
        db: PgPool,
    ) -> anyhow::Result<()> {
        let scene = Scene::new(&db);
        let account = scene.connected().await?;
        let watch = scene.app.syncs.watch(account, None, WANTED).await?.id;
        sqlx::query("UPDATE marketing.accounts SET sync_enabled = false")
            .execute(&db)
            .await?;
        let reached = scene.reached().await?;

        let watched = look(&scene.attempt(&reached), watch).await?;

        assert!(watched);
        assert!(scene.platform.queries().is_empty());
        Ok(())
    }
}
