//! Who may change what, against a database of its own.

use std::sync::Arc;

use providers::platform::EntityType;
use queue::{Database, ErrorClass, JobId, PageRequest, Queue, config::Config};
use rust_decimal::Decimal;
use sqlx::PgPool;
use uuid::Uuid;

use super::{Action, Campaigns, ChangeState, Expected, Fate, Order, Wanted};
use crate::accounts::AccountId;

struct Scene {
    campaigns: Campaigns,
    account: AccountId,
    db: PgPool,
}

impl Scene {
    /// An account with two active campaigns of 50.00 a day.
    async fn new(db: &PgPool) -> anyhow::Result<Self> {
        let account = Uuid::now_v7();
        let sql = format!(
            "INSERT INTO marketing.connections (id, platform, tenant, access_token)
             VALUES ('{account}', 'meta', 'acme', 'sealed');
             INSERT INTO marketing.accounts (id, connection, platform, tenant, external_id, kind, name, currency)
             VALUES ('{account}', '{account}', 'meta', 'acme', '101', 'ad_account', 'Shop', 'EUR');
             INSERT INTO marketing.entities (account, kind, id, name, status, platform_status, daily_budget, raw)
             SELECT '{account}', 'campaign', n::text, 'Campaign', 'active', 'ACTIVE', 50.00, '{{}}'
               FROM generate_series(1, 2) n;"
        );
        sqlx::raw_sql(&sql).execute(db).await?;
        let config = Arc::new(Config::builtin());
        let queue = Queue::new(Database::from_pool(db.clone()), config, [])?;
        Ok(Self {
            campaigns: Campaigns::new(queue),
            account: AccountId(account),
            db: db.clone(),
        })
    }

    fn order(&self) -> Order {
        Order {
            job: JobId::new(),
            is_replay: false,
            account: self.account,
            strategy: None,
        }
    }

    async fn status(&self, id: &str) -> anyhow::Result<String> {
        let sql = "SELECT status FROM marketing.entities WHERE id = $1";
        Ok(sqlx::query_scalar(sql).bind(id).fetch_one(&self.db).await?)
    }
}

fn wanted(id: &str, action: Action) -> Wanted {
    Wanted {
        kind: EntityType::Campaign,
        id: id.to_owned(),
        action,
        expected: Expected::default(),
        reason: Some("too dear".to_owned()),
        requested_by: Some("Ada".to_owned()),
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_was_made_is_shown_at_once_and_kept_with_what_was_before(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let order = scene.order();
    let all = [
        wanted("1", Action::Pause),
        wanted("2", Action::DailyBudget(Decimal::from(60))),
        wanted("404", Action::Pause),
    ];

    let claimed = scene.campaigns.claim(order, &all).await?;
    let fates = [
        (0, &all[0], Fate::Done),
        (
            1,
            &all[1],
            Fate::Refused(ErrorClass::Permission, "no".to_owned()),
        ),
    ];
    scene.campaigns.settle(order, &claimed, &fates).await?;

    assert_eq!(claimed.to_send.len(), 2);
    assert_eq!(scene.status("1").await?, "paused");
    let page = PageRequest::new(None, None)?;
    let told = scene.campaigns.list(scene.account, &page).await?.items;
    let told: Vec<_> = told
        .iter()
        .map(|it| {
            assert_eq!(it.requested_by.as_deref(), Some("Ada"));
            (it.entity_id.as_str(), it.state, it.before.as_deref())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("404", ChangeState::Refused, None),
            ("2", ChangeState::Refused, Some("50.00")),
            ("1", ChangeState::Done, Some("active")),
        ]
    );
    Ok(())
}

// Fails when two jobs may be at one entity.
#[sqlx::test(migrations = "../../migrations")]
async fn an_entity_is_changed_by_one_job_at_a_time(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let (first, second) = (scene.order(), scene.order());
    let pause = [wanted("1", Action::Pause)];
    let resume = [wanted("1", Action::Resume), wanted("2", Action::Pause)];

    let held = scene.campaigns.claim(first, &pause).await?;
    let other = scene.campaigns.claim(second, &resume).await?;
    let fates = [(0, &pause[0], Fate::Done)];
    scene.campaigns.settle(first, &held, &fates).await?;
    let later = scene.campaigns.claim(second, &resume).await?;

    assert!(other.busy_until.is_some());
    assert_eq!(other.to_send.len(), 1);
    assert!(later.busy_until.is_none());
    assert!(later.to_send.iter().any(|sent| sent.place == 0));
    Ok(())
}

// Fails when an attempt that was taken for dead overwrites what the next one did.
#[sqlx::test(migrations = "../../migrations")]
async fn an_attempt_that_was_taken_over_ends_nothing(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let order = scene.order();
    let pause = [wanted("1", Action::Pause)];
    let dead = scene.campaigns.claim(order, &pause).await?;
    let next = scene.campaigns.claim(order, &pause).await?;

    let fates = [(0, &pause[0], Fate::Done)];
    scene.campaigns.settle(order, &dead, &fates).await?;

    assert_eq!(scene.status("1").await?, "active");
    scene.campaigns.settle(order, &next, &fates).await?;
    assert_eq!(scene.status("1").await?, "paused");
    let again = scene.campaigns.claim(order, &pause).await?;
    assert!(again.to_send.is_empty());
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn whoever_is_silent_for_too_long_is_passed_by_and_what_he_did_is_unknown(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let (dead, next) = (scene.order(), scene.order());
    let pause = [wanted("1", Action::Pause)];
    scene.campaigns.claim(dead, &pause).await?;
    sqlx::query("UPDATE marketing.campaign_changes SET run_until = now() - interval '1 second'")
        .execute(&db)
        .await?;

    let claimed = scene.campaigns.claim(next, &pause).await?;

    assert_eq!(claimed.to_send.len(), 1);
    let told = scene.campaigns.of_job(dead.job).await?;
    assert_eq!(told[0].state, ChangeState::Unknown);
    Ok(())
}

// Fails when a job whose change failed in passing undoes what a later one made.
#[sqlx::test(migrations = "../../migrations")]
async fn a_change_that_waits_is_not_made_over_one_that_came_later(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let (early, late) = (scene.order(), scene.order());
    let to = |amount: i64| [wanted("1", Action::DailyBudget(Decimal::from(amount)))];
    let (sixty, eighty) = (to(60), to(80));
    let first = scene.campaigns.claim(early, &sixty).await?;
    let failed = Fate::Again(ErrorClass::Transient, "away".to_owned());
    let fates = [(0, &sixty[0], failed)];
    scene.campaigns.settle(early, &first, &fates).await?;
    let second = scene.campaigns.claim(late, &eighty).await?;
    let fates = [(0, &eighty[0], Fate::Done)];
    scene.campaigns.settle(late, &second, &fates).await?;

    let again = scene.campaigns.claim(early, &sixty).await?;

    assert!(again.to_send.is_empty());
    let told = scene.campaigns.of_job(early.job).await?;
    assert_eq!(told[0].state, ChangeState::Refused);
    assert_eq!(told[0].before.as_deref(), Some("50.00"));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_dry_run_stores_nothing(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let order = scene.order();
    let pause = [wanted("1", Action::Pause)];

    let told = scene.campaigns.preview(order, &pause).await?;

    assert_eq!(told[0].before.as_deref(), Some("active"));
    assert_eq!(told[0].state, ChangeState::Sending);
    assert!(scene.campaigns.of_job(order.job).await?.is_empty());
    Ok(())
}

// Fails when a replay leaves what was refused as it is, though what stood in its way was mended, and when it makes again what was
// made.
#[sqlx::test(migrations = "../../migrations")]
async fn a_replay_tries_once_more_what_was_refused(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let order = scene.order();
    let replay = Order {
        is_replay: true,
        ..order
    };
    let all = [wanted("1", Action::Pause), wanted("2", Action::Pause)];
    let refused = Fate::Refused(ErrorClass::Permission, "no".to_owned());
    let first = scene.campaigns.claim(order, &all).await?;
    let fates = [(0, &all[0], Fate::Done), (1, &all[1], refused)];
    scene.campaigns.settle(order, &first, &fates).await?;

    let same = scene.campaigns.claim(order, &all).await?;
    let anew = scene.campaigns.claim(replay, &all).await?;
    let fates = [(1, &all[1], Fate::Done)];
    scene.campaigns.settle(replay, &anew, &fates).await?;

    assert!(same.to_send.is_empty(), "{same:?}");
    let places: Vec<_> = anew.to_send.iter().map(|sent| sent.place).collect();
    assert_eq!(places, [1]);
    let made = scene.campaigns.of_job(order.job).await?;
    let states: Vec<_> = made
        .iter()
        .map(|it| (it.state, it.error.is_some()))
        .collect();
    assert_eq!(states, [(ChangeState::Done, false); 2]);
    Ok(())
}
