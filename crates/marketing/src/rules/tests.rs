//! Rules and alerts over stored figures, against a database of its own.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use providers::platform::Level;
use queue::{Actor, Database, PageRequest, Queue, config::Config};
use rust_decimal::Decimal;
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    Act, AlertRule, AlertStatus, Comparison, Metric, Mode, NewAlert, NewStrategy, QuietHours,
    RecommendationFilter, RecommendationState, RuleScope, Rules, RulesError, StrategyId,
    StrategyRule, StrategyStatus,
};

/// Noon in Berlin.
fn noon() -> DateTime<Utc> {
    "2026-11-20T11:00:00Z".parse().expect("a time")
}

fn actor() -> Actor {
    Actor {
        name: "key test".to_owned(),
        tenant: Some("acme".to_owned()),
    }
}

struct Scene {
    rules: Rules,
    db: PgPool,
}

impl Scene {
    /// Five campaigns with 10,000 impressions and 100 clicks on two days; those with odd numbers cost 3.00 a click, the others
    /// 1.00.
    async fn new(db: &PgPool) -> anyhow::Result<Self> {
        let account = Uuid::now_v7();
        let sql = format!(
            "INSERT INTO marketing.connections (id, platform, tenant, access_token, owner_email)
             VALUES ('{account}', 'meta', 'acme', 'sealed', 'ada@example.com');
             INSERT INTO marketing.accounts
                    (id, connection, platform, tenant, external_id, kind, name, currency, time_zone)
             VALUES ('{account}', '{account}', 'meta', 'acme', '101', 'ad_account', 'Shop', 'EUR', 'Europe/Berlin');
             INSERT INTO marketing.entities (account, kind, id, name, status, platform_status, daily_budget, raw)
             SELECT '{account}', 'campaign', n::text, 'Campaign ' || n, 'active', 'ACTIVE', 50.00, '{{}}'
               FROM generate_series(1, 5) n;
             SELECT marketing.make_insight_months('insights_daily', '2026-11-01', '2026-11-30');
             INSERT INTO marketing.insights_daily
                    (account, level, date, entity_id, impressions, clicks, link_clicks, views, likes, comments, shares,
                     spend, conversions, revenue, leads)
             SELECT '{account}', 'campaign', d::date, n::text, 10000, 100, 0, 0, 0, 0, 0,
                    CASE WHEN n % 2 = 1 THEN 300 ELSE 100 END, 0, 0, 0
               FROM generate_series(1, 5) n, generate_series('2026-11-19'::date, '2026-11-20', '1 day') d;
             INSERT INTO marketing.insight_days (account, level, granularity, breakdowns, date, read_at)
             VALUES ('{account}', 'campaign', 'day', '', now()::date, now());"
        );
        sqlx::raw_sql(&sql).execute(db).await?;
        let config = Arc::new(Config::builtin());
        let queue = Queue::new(Database::from_pool(db.clone()), config, [])?;
        Ok(Self {
            rules: Rules::new(queue),
            db: db.clone(),
        })
    }

    async fn strategy(&self, mode: Mode, cap: u32) -> anyhow::Result<StrategyId> {
        let new = NewStrategy {
            tenant: Some("acme".to_owned()),
            name: format!("Stop dear clicks {}", Uuid::now_v7()),
            status: StrategyStatus::Active,
            mode,
            rule: StrategyRule {
                scope: scope(),
                action: Act::Pause,
                look_back_days: 2,
                min_impressions: 1_000,
                min_clicks: 10,
                min_ctr_pct: None,
                max_cpc: Some(Decimal::TWO),
                target_cpm: None,
                budget_threshold_pct: None,
                raise_pct: None,
                max_daily_budget: None,
                daily_cap: cap,
            },
        };
        Ok(self.rules.add_strategy(&new, &actor()).await?.id)
    }

    async fn states(&self) -> anyhow::Result<Vec<(String, RecommendationState)>> {
        let page = PageRequest::new(None, None)?;
        let filter = RecommendationFilter::default();
        let mut found = self.rules.recommendations(&filter, &page).await?.items;
        found.sort_by(|a, b| a.entity_id.cmp(&b.entity_id));
        Ok(found
            .into_iter()
            .map(|it| (it.entity_id, it.state))
            .collect())
    }

    async fn count(&self, of: &str) -> anyhow::Result<i64> {
        let sql = format!("SELECT count(*) FROM {of}");
        Ok(sqlx::query_scalar(&sql).fetch_one(&self.db).await?)
    }

    async fn run(&self, sql: &str) -> anyhow::Result<()> {
        sqlx::raw_sql(sql).execute(&self.db).await?;
        Ok(())
    }
}

fn scope() -> RuleScope {
    RuleScope {
        account_id: None,
        platform: None,
        level: Level::Campaign,
        entity_ids: Vec::new(),
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_a_rule_finds_is_listed_with_its_reasons_and_found_once(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let id = scene.strategy(Mode::Recommend, 10).await?;

    let first = scene.rules.evaluate_strategy(id, noon()).await?;
    let second = scene.rules.evaluate_strategy(id, noon()).await?;

    let (first, second) = (first.expect("active"), second.expect("active"));
    assert_eq!((first.looked_at, first.found, first.recommended), (5, 3, 3));
    assert_eq!((second.found, second.recommended), (3, 0));
    let open = |id: &str| (id.to_owned(), RecommendationState::Open);
    assert_eq!(scene.states().await?, [open("1"), open("3"), open("5")]);
    let page = PageRequest::new(None, None)?;
    let filter = RecommendationFilter::default();
    let found = scene.rules.recommendations(&filter, &page).await?.items;
    assert_eq!(found[0].reasons[0].metric, "cpc");
    assert_eq!(found[0].reasons[0].value, Decimal::from(3));
    Ok(())
}

// Fails when a filter is left out by one of the statements that lists are made by.
#[sqlx::test(migrations = "../../migrations")]
async fn recommendations_are_listed_by_each_of_their_filters(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let id = scene.strategy(Mode::Recommend, 10).await?;
    scene.rules.evaluate_strategy(id, noon()).await?;
    let listed = |tenant: Option<&str>, strategy, state| {
        let filter = RecommendationFilter {
            tenant: tenant.map(str::to_owned),
            strategy,
            state,
        };
        let rules = &scene.rules;
        async move {
            let page = PageRequest::new(None, None)?;
            let found = rules.recommendations(&filter, &page).await?;
            anyhow::Ok(found.items.len())
        }
    };
    let (open, acted) = (RecommendationState::Open, RecommendationState::Acted);
    let no_rule = StrategyId(Uuid::nil());

    for (found, tenant, strategy, state) in [
        (3, Some("acme"), None, None),
        (3, Some("acme"), None, Some(open)),
        (3, Some("acme"), Some(id), Some(open)),
        (3, None, Some(id), None),
        (3, None, None, Some(open)),
        (0, Some("other"), None, None),
        (0, Some("other"), None, Some(open)),
        (0, Some("other"), Some(id), None),
        (0, Some("acme"), None, Some(acted)),
        (0, None, Some(id), Some(acted)),
        (0, None, Some(no_rule), None),
        (0, None, None, Some(acted)),
    ] {
        let case = format!("{tenant:?} {strategy:?} {state:?}");

        assert_eq!(listed(tenant, strategy, state).await?, found, "{case}");
    }
    Ok(())
}

// Fails when a rule does more in a day than it may.
#[sqlx::test(migrations = "../../migrations")]
async fn a_rule_that_acts_keeps_to_its_daily_cap(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let id = scene.strategy(Mode::Act, 2).await?;

    let first = scene.rules.evaluate_strategy(id, noon()).await?;
    let again = scene.rules.evaluate_strategy(id, noon()).await?;

    let (first, again) = (first.expect("active"), again.expect("active"));
    assert_eq!((first.acted, first.capped), (2, 1));
    assert_eq!((again.acted, again.capped), (0, 1));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_holds_no_longer_expires(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let id = scene.strategy(Mode::Recommend, 10).await?;
    scene.rules.evaluate_strategy(id, noon()).await?;
    scene
        .run("UPDATE marketing.insights_daily SET spend = 100 WHERE entity_id = '3'")
        .await?;

    let found = scene.rules.evaluate_strategy(id, noon()).await?;

    assert_eq!(found.map(|found| found.expired), Some(1));
    assert_eq!(scene.states().await?[1].1, RecommendationState::Expired);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_was_dismissed_is_not_found_again_and_another_tenant_decides_nothing(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let id = scene.strategy(Mode::Recommend, 10).await?;
    scene.rules.evaluate_strategy(id, noon()).await?;
    let page = PageRequest::new(None, None)?;
    let filter = RecommendationFilter::default();
    let first = scene.rules.recommendations(&filter, &page).await?.items[0].id;
    let stranger = Actor {
        tenant: Some("other".to_owned()),
        ..actor()
    };

    let refused = scene.rules.dismiss(first, &stranger).await;
    scene.rules.dismiss(first, &actor()).await?;
    let twice = scene.rules.dismiss(first, &actor()).await;
    let found = scene.rules.evaluate_strategy(id, noon()).await?;

    assert!(matches!(refused, Err(RulesError::NotFound)));
    assert!(matches!(twice, Err(RulesError::State { .. })));
    assert_eq!(found.map(|found| found.recommended), Some(0));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn names_are_unique_and_paused_rules_are_not_evaluated(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let id = scene.strategy(Mode::Recommend, 10).await?;
    let strategy = scene.rules.strategy(id, Some("acme")).await?;
    let same = NewStrategy {
        tenant: strategy.tenant,
        name: strategy.name,
        status: strategy.status,
        mode: strategy.mode,
        rule: strategy.rule,
    };
    let pause = super::StrategyChange {
        status: Some(StrategyStatus::Paused),
        ..super::StrategyChange::default()
    };

    let taken = scene.rules.add_strategy(&same, &actor()).await;
    scene.rules.change_strategy(id, &pause, &actor()).await?;
    let found = scene.rules.evaluate_strategy(id, noon()).await?;

    assert!(matches!(taken, Err(RulesError::Invalid { .. })));
    assert_eq!(found, None);
    Ok(())
}

// Fails when campaigns are stopped for what they cost before somebody mended them.
#[sqlx::test(migrations = "../../migrations")]
async fn a_rule_does_nothing_by_itself_while_its_figures_are_behind(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let id = scene.strategy(Mode::Act, 10).await?;
    scene
        .run("UPDATE marketing.insight_days SET read_at = now() - interval '2 days'")
        .await?;

    let behind = scene.rules.evaluate_strategy(id, noon()).await?;
    scene
        .run("UPDATE marketing.insight_days SET read_at = now()")
        .await?;
    let fresh = scene.rules.evaluate_strategy(id, noon()).await?;

    let (behind, fresh) = (behind.expect("active"), fresh.expect("active"));
    assert_eq!((behind.acted, behind.behind, behind.recommended), (0, 3, 3));
    assert_eq!((fresh.acted, fresh.behind), (3, 0));
    Ok(())
}

// Fails when a rule that somebody stopped still changes campaigns.
#[sqlx::test(migrations = "../../migrations")]
async fn what_a_rule_decided_itself_is_not_ordered_while_it_is_paused(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let id = scene.strategy(Mode::Act, 10).await?;
    let becomes = |status| super::StrategyChange {
        status: Some(status),
        ..super::StrategyChange::default()
    };
    let paused = becomes(StrategyStatus::Paused);
    let active = becomes(StrategyStatus::Active);
    scene.rules.evaluate_strategy(id, noon()).await?;

    scene.rules.change_strategy(id, &paused, &actor()).await?;
    let while_paused = scene.rules.give_orders(id).await;
    scene.rules.change_strategy(id, &active, &actor()).await?;
    let while_active = scene.rules.give_orders(id).await;

    assert!(matches!(while_paused, Ok(0)), "{while_paused:?}");
    // No kind is known here: that a job is asked for is all that can be seen.
    assert!(!matches!(while_active, Ok(0)), "{while_active:?}");
    Ok(())
}

// Fails when a campaign can still be stopped by what was found for a rule that only tells by now.
#[sqlx::test(migrations = "../../migrations")]
async fn what_was_found_to_do_something_else_expires_with_it(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let id = scene.strategy(Mode::Recommend, 10).await?;
    scene.rules.evaluate_strategy(id, noon()).await?;
    let rule = scene.rules.strategy(id, None).await?.rule;
    let tells = super::StrategyChange {
        rule: Some(StrategyRule {
            action: Act::Notify,
            ..rule
        }),
        ..super::StrategyChange::default()
    };

    scene.rules.change_strategy(id, &tells, &actor()).await?;
    let found = scene.rules.evaluate_strategy(id, noon()).await?;

    let found = found.expect("active");
    assert_eq!((found.expired, found.notified), (3, 3));
    Ok(())
}

fn alert(quiet: bool) -> NewAlert {
    NewAlert {
        tenant: Some("acme".to_owned()),
        name: "Dear clicks".to_owned(),
        status: AlertStatus::Active,
        rule: AlertRule {
            scope: scope(),
            metric: Metric::Cpc,
            kpi: None,
            comparison: Comparison::Above,
            threshold: Decimal::TWO,
            clear_at: Some(Decimal::new(15, 1)),
            window_days: 2,
            min_impressions: 0,
            quiet_hours: quiet.then(|| QuietHours {
                from: "11:00".to_owned(),
                to: "13:00".to_owned(),
                time_zone: "Europe/Berlin".to_owned(),
            }),
            recipients: Vec::new(),
        },
    }
}

// Fails when the same is told again while it lasts.
#[sqlx::test(migrations = "../../migrations")]
async fn an_alert_is_told_once_until_it_is_over(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let id = scene.rules.add_alert(&alert(false), &actor()).await?.id;

    let raised = scene.rules.look_at_alert(id, noon()).await?;
    let again = scene.rules.look_at_alert(id, noon()).await?;
    scene
        .run("UPDATE marketing.insights_daily SET spend = 140 WHERE entity_id = '3'")
        .await?;
    let over = scene.rules.look_at_alert(id, noon()).await?;

    let found = |looked: Option<(super::Alert, super::AlertsFound)>| looked.expect("active").1;
    let (raised, again, over) = (found(raised), found(again), found(over));
    assert_eq!((raised.looked_at, raised.fired), (5, 3));
    assert_eq!((again.fired, again.cleared), (0, 0));
    assert_eq!((over.fired, over.cleared), (0, 1));
    assert_eq!(
        scene
            .count("marketing.events WHERE kind = 'alert.fired'")
            .await?,
        3
    );
    Ok(())
}

// Fails when an alert stays raised for a campaign that was stopped, and when it is over since nobody read the figures.
#[sqlx::test(migrations = "../../migrations")]
async fn an_alert_is_over_for_what_has_no_figures_any_more_but_not_for_what_was_not_read(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let id = scene.rules.add_alert(&alert(false), &actor()).await?.id;
    scene.rules.look_at_alert(id, noon()).await?;
    scene
        .run(
            "DELETE FROM marketing.insights_daily WHERE entity_id = '3';
             UPDATE marketing.insight_days SET read_at = now() - interval '2 days'",
        )
        .await?;

    let behind = scene.rules.look_at_alert(id, noon()).await?;
    scene
        .run("UPDATE marketing.insight_days SET read_at = now()")
        .await?;
    let over = scene.rules.look_at_alert(id, noon()).await?;

    let (behind, over) = (behind.expect("active").1, over.expect("active").1);
    assert_eq!((behind.looked_at, behind.cleared), (0, 0));
    assert_eq!((over.cleared, over.fired), (1, 0));
    assert_eq!(scene.count("marketing.alert_states").await?, 2);
    Ok(())
}

// Fails when an alert that was raised by another threshold is never raised by the new one.
#[sqlx::test(migrations = "../../migrations")]
async fn an_alert_with_another_threshold_is_raised_anew_and_one_with_other_hours_is_not(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let made = scene.rules.add_alert(&alert(false), &actor()).await?;
    scene.rules.look_at_alert(made.id, noon()).await?;
    let becomes = |rule| super::AlertChange {
        rule: Some(rule),
        ..super::AlertChange::default()
    };
    let quiet = becomes(alert(true).rule);
    let higher = becomes(AlertRule {
        threshold: Decimal::new(25, 1),
        ..made.rule
    });

    scene.rules.change_alert(made.id, &quiet, &actor()).await?;
    let same = scene.rules.look_at_alert(made.id, noon()).await?;
    scene.rules.change_alert(made.id, &higher, &actor()).await?;
    let anew = scene.rules.look_at_alert(made.id, noon()).await?;

    assert_eq!(same.expect("active").1.fired, 0);
    assert_eq!(anew.expect("active").1.fired, 3);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn mails_wait_for_the_end_of_quiet_hours_and_what_is_over_by_then_is_not_mailed(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let id = scene.rules.add_alert(&alert(true), &actor()).await?.id;
    let (watched, _) = scene
        .rules
        .look_at_alert(id, noon())
        .await?
        .expect("active");
    let later: DateTime<Utc> = "2026-11-20T12:00:00Z".parse()?;

    let quiet = scene.rules.due_mails(id, &watched.rule, noon()).await?;
    scene
        .run("UPDATE marketing.insights_daily SET spend = 100 WHERE entity_id = '1'")
        .await?;
    scene.rules.look_at_alert(id, noon()).await?;
    let due = scene.rules.due_mails(id, &watched.rule, later).await?;
    for mail in &due {
        scene.rules.mailed(mail.entry, true).await?;
    }
    let none = scene.rules.due_mails(id, &watched.rule, later).await?;

    assert!(quiet.is_empty() && none.is_empty());
    assert_eq!(due.len(), 2);
    assert_eq!(due[0].to, ["ada@example.com"]);
    Ok(())
}

// Fails when a rule about an account of another tenant is taken, which would find nothing for ever.
#[sqlx::test(migrations = "../../migrations")]
async fn a_rule_belongs_to_whom_the_account_belongs_that_it_names(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let account: Uuid = sqlx::query_scalar("SELECT id FROM marketing.accounts")
        .fetch_one(&db)
        .await?;
    let of = |tenant: Option<&str>, account_id: Uuid| {
        let mut new = alert(false);
        new.tenant = tenant.map(str::to_owned);
        new.rule.scope.account_id = Some(account_id);
        new
    };

    let unsaid = scene.rules.add_alert(&of(None, account), &actor()).await?;
    let others = of(Some("globex"), account);
    let others = scene.rules.add_alert(&others, &actor()).await;
    let nowhere = of(Some("acme"), Uuid::now_v7());
    let nowhere = scene.rules.add_alert(&nowhere, &actor()).await;
    let looked = scene.rules.look_at_alert(unsaid.id, noon()).await?;

    assert_eq!(unsaid.tenant.as_deref(), Some("acme"));
    for refused in [others, nowhere] {
        assert!(
            matches!(&refused, Err(RulesError::Invalid { pointer, .. }) if *pointer == "/rule/scope/account_id"),
            "{refused:?}"
        );
    }
    assert_eq!(looked.map(|(_, found)| found.accounts), Some(1));
    Ok(())
}

// Fails when a day of which the last hours were not read yet has fallen, and when one that truly fell is not told of.
#[sqlx::test(migrations = "../../migrations")]
async fn a_change_is_told_of_days_that_were_read_after_their_end(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let mut new = alert(false);
    new.rule.metric = Metric::Spend;
    new.rule.comparison = Comparison::FallsPct;
    new.rule.threshold = Decimal::from(50);
    new.rule.clear_at = None;
    new.rule.window_days = 1;
    let id = scene.rules.add_alert(&new, &actor()).await?.id;
    scene
        .run(
            "INSERT INTO marketing.insights_daily
                    (account, level, date, entity_id, impressions, clicks, link_clicks, views, likes, comments, shares,
                     spend, conversions, revenue, leads)
             SELECT account, level, '2026-11-18', entity_id, impressions, clicks, 0, 0, 0, 0, 0, 10 * spend, 0, 0, 0
               FROM marketing.insights_daily WHERE date = '2026-11-19';
             INSERT INTO marketing.insight_days (account, level, granularity, breakdowns, date, read_at)
             SELECT id, 'campaign', 'hour', '', '2026-11-19', '2026-11-19 23:30 Europe/Berlin' FROM marketing.accounts",
        )
        .await?;

    let early = scene.rules.look_at_alert(id, noon()).await?;
    scene
        .run("UPDATE marketing.insight_days SET read_at = '2026-11-20 00:30 Europe/Berlin' WHERE date = '2026-11-19'")
        .await?;
    let whole = scene.rules.look_at_alert(id, noon()).await?;

    let fired = [early, whole].map(|looked| looked.map(|(_, found)| found.fired));
    assert_eq!(fired, [Some(0), Some(5)]);
    Ok(())
}
