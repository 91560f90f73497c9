//! What is told of accounts, against a database of its own.

use std::sync::Arc;

use queue::{Database, config::Config};
use rust_decimal::Decimal;
use sqlx::PgPool;

use super::*;
use crate::rollups::{Grain as Rolled, Place, Rollups};

const FIRST: &str = "00000000-0000-0000-0000-00000000000a";

/// Two accounts: `acme` counts in euros at Meta, `bolt` in dollars at Google.
struct Scene {
    db: PgPool,
    queue: Queue,
}

impl Scene {
    async fn new(db: &PgPool) -> anyhow::Result<Self> {
        let config = Config::parse(
            "[kpis]\ncost_per_lead = \"spend / nullif(leads, 0)\"\n",
            &[],
        );
        let config = config.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
        let queue = Queue::new(Database::from_pool(db.clone()), Arc::new(config.config), [])?;
        let scene = Self {
            db: db.clone(),
            queue,
        };
        scene
            .run(
                "INSERT INTO marketing.connections (id, platform, tenant, access_token)
                 VALUES ('00000000-0000-0000-0000-000000000001', 'meta', 'acme', 'sealed'),
                        ('00000000-0000-0000-0000-000000000002', 'google_ads', 'bolt', 'sealed');
                 INSERT INTO marketing.accounts
                        (id, connection, platform, tenant, external_id, kind, name, currency, time_zone)
                 VALUES ('00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-000000000001', 'meta', 'acme', '101',
                         'ad_account', 'First', 'EUR', 'Europe/Berlin'),
                        ('00000000-0000-0000-0000-00000000000b', '00000000-0000-0000-0000-000000000002', 'google_ads', 'bolt',
                         '102', 'ad_account', 'Second', 'USD', 'America/New_York');
                 SELECT marketing.make_insight_months('insights_daily', '2026-09-01', '2026-11-30');
                 SELECT marketing.make_insight_months('insights_hourly', '2026-10-01', '2026-10-31');
                 INSERT INTO marketing.insights_daily
                        (account, level, date, entity_id, impressions, clicks, link_clicks, views, likes, comments, shares,
                         spend, conversions, revenue, leads, reach, currency)
                 SELECT a.id, 'campaign', day::date, entity, 1000, 10, 0, 0, 0, 0, 0, 10.10, 0, 20, 1, 500, a.currency
                   FROM marketing.accounts a, unnest(ARRAY['7', '8']) AS entity,
                        generate_series('2026-09-01', '2026-10-31', interval '1 day') AS day;
                 INSERT INTO marketing.insight_days (account, level, granularity, breakdowns, date, read_at)
                 SELECT a.id, 'campaign', 'day', '', day::date, now()
                   FROM marketing.accounts a, generate_series('2026-09-01', '2026-10-31', interval '1 day') AS day;
                 INSERT INTO marketing.entities (account, kind, id, name, status, platform_status, raw)
                 VALUES ('00000000-0000-0000-0000-00000000000a', 'campaign', '7', 'Spring', 'active', 'ACTIVE', '{}')",
            )
            .await?;
        Ok(scene)
    }

    async fn run(&self, sql: &str) -> anyhow::Result<()> {
        sqlx::raw_sql(sql).execute(&self.db).await?;
        Ok(())
    }

    fn performance(&self) -> Performance {
        Performance::new(self.queue.clone())
    }

    async fn roll_up(&self) -> anyhow::Result<()> {
        let rollups = Rollups::new(self.queue.clone());
        for grain in [Rolled::Days, Rolled::Months, Rolled::AccountDays] {
            let mut place = Place::default();
            while rollups.roll_up_next(grain, &mut place).await?.is_some() {}
        }
        Ok(())
    }
}

fn day(text: &str) -> NaiveDate {
    text.parse().expect("a day")
}

fn decimal(text: &str) -> Decimal {
    text.parse().expect("a number")
}

/// October of all campaigns, as a whole.
fn october() -> Question {
    Question {
        tenant: None,
        platform: None,
        account: None,
        level: Level::Campaign,
        period: Period {
            from: day("2026-10-01"),
            to: day("2026-10-31"),
        },
        grain: Grain::Total,
        by: GroupBy::default(),
    }
}

fn first() -> AccountId {
    AccountId(FIRST.parse().expect("an id"))
}

// Fails when what is rolled up and what is not come to different sums, or one of them is counted twice.
#[sqlx::test(migrations = "../../migrations")]
async fn sums_are_the_same_before_and_after_rolling_up_and_while_a_part_is_behind(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let performance = scene.performance();
    let mut questions = Vec::new();
    for grain in [Grain::Day, Grain::Week, Grain::Month, Grain::Total] {
        for entity in [false, true] {
            let by = GroupBy {
                account: true,
                entity,
                ..GroupBy::default()
            };
            questions.push(Question {
                grain,
                by,
                ..october()
            });
        }
    }
    let mut before = Vec::new();
    for question in &questions {
        before.push(performance.answer(question).await?);
    }

    scene.roll_up().await?;
    let mut after = Vec::new();
    for question in &questions {
        after.push(performance.answer(question).await?);
    }
    scene
        .run(
            "UPDATE marketing.insights_daily SET impressions = 1001 WHERE date = '2026-10-03' AND entity_id = '7';
             UPDATE marketing.insight_days SET read_at = now() WHERE date = '2026-10-03'",
        )
        .await?;
    let partly = performance.answer(&questions[6]).await?;
    let partly_by_entity = performance.answer(&questions[7]).await?;

    let form = performance.normal_form().await?;
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(form.of(&before.total), form.of(&after.total));
        assert_eq!(before.items.len(), after.items.len());
    }
    for answer in [partly, partly_by_entity] {
        assert_eq!(form.of(&answer.total).impressions, 124_002);
    }
    Ok(())
}

// Fails when months that are told as a whole differ from their days, or days beside them are left out or counted twice.
#[sqlx::test(migrations = "../../migrations")]
async fn whole_months_come_to_the_same_as_their_days(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let performance = scene.performance();
    let form = performance.normal_form().await?;
    scene.roll_up().await?;

    for change in [
        "SELECT",
        "UPDATE marketing.insights_daily SET impressions = 1001 WHERE date = '2026-10-03' AND entity_id = '7';
         UPDATE marketing.insight_days SET read_at = now() WHERE date = '2026-10-03'",
        "DELETE FROM marketing.insights_daily WHERE date = '2026-09-30';
         UPDATE marketing.insight_days SET read_at = now() WHERE date = '2026-09-30'",
    ] {
        scene.run(change).await?;
        for is_rolled_up in [false, true] {
            if is_rolled_up {
                scene.roll_up().await?;
            }
            for (from, to) in [
                ("2026-09-01", "2026-10-31"),
                ("2026-08-20", "2026-10-15"),
                ("2026-09-20", "2026-10-31"),
                ("2026-09-20", "2026-10-15"),
            ] {
                let told = |grain| Question {
                    period: Period {
                        from: day(from),
                        to: day(to),
                    },
                    grain,
                    by: GroupBy {
                        account: true,
                        ..GroupBy::default()
                    },
                    ..october()
                };
                let days = performance.answer(&told(Grain::Day)).await?;
                for grain in [Grain::Month, Grain::Total] {
                    let answer = performance.answer(&told(grain)).await?;

                    let state = format!("{change}, {is_rolled_up}, {from} {to} {grain:?}");
                    assert_eq!(form.of(&answer.total), form.of(&days.total), "{state}");
                }
            }
        }
    }
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn figures_are_told_by_group_with_names_and_formulas(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let performance = scene.performance();
    let by = GroupBy {
        entity: true,
        ..GroupBy::default()
    };

    let answer = performance
        .answer(&Question {
            tenant: Some("acme".to_owned()),
            by,
            ..october()
        })
        .await?;

    let form = performance.normal_form().await?;
    let named: Vec<_> = answer
        .items
        .iter()
        .map(|item| (item.group.entity_id.as_deref(), item.entity_name.as_deref()))
        .collect();
    assert_eq!(named, [(Some("7"), Some("Spring")), (Some("8"), None)]);
    let item = &answer.items[0];
    assert_eq!(item.account_name.as_deref(), Some("First"));
    assert_eq!(item.group.platform.as_deref(), Some("meta"));
    assert_eq!(item.group.account, Some(first().0));
    let metrics = form.of(&item.sums);
    assert_eq!(metrics.spend, Some(decimal("313.1")));
    assert_eq!(metrics.currency.as_deref(), Some("EUR"));
    assert_eq!(metrics.kpis["cost_per_lead"], Some(decimal("10.1")));
    assert_eq!(metrics.reach, None);
    Ok(())
}

// Fails when euros and dollars are added up, or a day's rate is not that day's.
#[sqlx::test(migrations = "../../migrations")]
async fn accounts_of_several_currencies_are_added_up_at_the_rates_of_each_day(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let performance = scene.performance();
    let without = performance.answer(&october()).await?;
    let without = performance.normal_form().await?.of(&without.total);
    scene
        .run(
            "INSERT INTO marketing.reporting (currency) VALUES ('EUR');
             INSERT INTO marketing.rates (currency, day, rate)
             SELECT 'USD', day::date, CASE WHEN day < '2026-10-16' THEN 0.5 ELSE 1 END
               FROM generate_series('2026-10-01', '2026-10-31', interval '1 day') AS day",
        )
        .await?;

    let unrolled = performance.answer(&october()).await?;
    scene.roll_up().await?;
    let rolled = performance.answer(&october()).await?;

    let form = performance.normal_form().await?;
    assert_eq!((without.spend, without.currency), (None, None));
    for answer in [unrolled, rolled] {
        let metrics = form.of(&answer.total);
        // 62 × 10.10 at Meta; 30 × 10.10 at half and 32 × 10.10 at the whole at Google.
        assert_eq!(metrics.spend, Some(decimal("1100.9")));
        assert_eq!(metrics.currency.as_deref(), Some("EUR"));
    }
    Ok(())
}

// Fails when days are worth nothing in the reporting currency once their account counts in another one.
#[sqlx::test(migrations = "../../migrations")]
async fn days_keep_their_rates_where_their_account_counts_in_another_currency_by_now(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    scene
        .run(
            "INSERT INTO marketing.reporting (currency) VALUES ('EUR');
             INSERT INTO marketing.rates (currency, day, rate) VALUES ('USD', '2026-10-01', 0.5), ('USD', '2026-10-08', 0.5),
                    ('USD', '2026-10-15', 0.5), ('USD', '2026-10-22', 0.5), ('USD', '2026-10-29', 0.5);
             UPDATE marketing.accounts SET currency = 'CHF' WHERE currency = 'USD'",
        )
        .await?;
    let performance = scene.performance();

    let mut spent = Vec::new();
    for grain in [Grain::Day, Grain::Week] {
        let by = GroupBy {
            entity: true,
            ..GroupBy::default()
        };
        let question = Question {
            grain,
            by,
            ..october()
        };
        let answer = performance.answer(&question).await?;
        let form = performance.normal_form().await?;
        spent.push(form.of(&answer.total).reporting_spend);
    }

    // 62 × 10.10 in euros, and as much in dollars at half.
    assert_eq!(spent, [Some(decimal("939.3")), Some(decimal("939.3"))]);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_period_is_told_with_the_one_before(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let performance = scene.performance();
    scene
        .run("UPDATE marketing.insights_daily SET clicks = 20 WHERE date = '2026-10-02'")
        .await?;
    let question = Question {
        account: Some(first()),
        period: Period {
            from: day("2026-10-01"),
            to: day("2026-10-02"),
        },
        grain: Grain::Day,
        ..october()
    };
    let answer = performance.answer(&question).await?;

    let before = performance.before(&question, &answer).await?;

    let before = before.expect("there is a period before");
    let form = performance.normal_form().await?;
    assert_eq!(before.period.from, day("2026-09-29"));
    let then = before.items[1].as_ref().map(|sums| form.of(sums));
    let change = form
        .of(&answer.items[1].sums)
        .change_since(&then.expect("it had figures"));
    assert_eq!(change["clicks"], Some(decimal("100")));
    assert_eq!(change["impressions"], Some(decimal("0")));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn hours_are_told_as_the_account_counts_them(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    scene
        .run(
            "INSERT INTO marketing.insights_hourly
                    (account, level, date, hour, entity_id, impressions, clicks, link_clicks, views, likes, comments, shares,
                     spend, conversions, revenue, leads, reach, currency)
             SELECT '00000000-0000-0000-0000-00000000000a', 'campaign', '2026-10-25', hour, '7', 10, 1, 0, 0, 0, 0, 0, 1, 0, 0,
                    0, 9, 'EUR' FROM generate_series(22, 23) AS hour",
        )
        .await?;
    let performance = scene.performance();
    let question = Question {
        grain: Grain::Hour,
        ..october()
    };

    let answer = performance.answer(&question).await?;

    let starts: Vec<String> = answer.items.iter().map(|it| it.start.to_string()).collect();
    assert_eq!(starts, ["2026-10-25T22", "2026-10-25T23"]);
    let form = performance.normal_form().await?;
    assert_eq!(form.of(&answer.items[0].sums).reach, Some(9));
    assert_eq!(form.of(&answer.total).reach, None);
    Ok(())
}

// Fails when a day whose first hours were told by the day is answered with them for as long as nobody asks by the day again.
#[sqlx::test(migrations = "../../migrations")]
async fn a_day_that_goes_on_is_the_sum_of_the_hours_that_were_read_last(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let today = Question {
        account: Some(first()),
        period: Period {
            from: day("2026-10-20"),
            to: day("2026-10-20"),
        },
        ..october()
    };
    scene
        .run(
            "UPDATE marketing.insight_days SET read_at = '2026-10-20 01:00Z' WHERE date = '2026-10-20';
             INSERT INTO marketing.insights_hourly
                    (account, level, date, hour, entity_id, impressions, clicks, link_clicks, views, likes, comments, shares,
                     spend, conversions, revenue, leads, reach, currency)
             SELECT '00000000-0000-0000-0000-00000000000a', 'campaign', '2026-10-20', hour, entity, 1000, 1, 0, 0, 0, 0, 0, 2, 0,
                    0, 0, 9, 'EUR' FROM generate_series(0, 9) AS hour, unnest(ARRAY['7', '8']) AS entity;
             INSERT INTO marketing.insight_days (account, level, granularity, breakdowns, date, read_at)
             VALUES ('00000000-0000-0000-0000-00000000000a', 'campaign', 'hour', '', '2026-10-20', '2026-10-20 08:00Z')",
        )
        .await?;
    let performance = scene.performance();

    let before = performance.answer(&today).await?;
    scene.roll_up().await?;
    let after = performance.answer(&today).await?;

    let form = performance.normal_form().await?;
    let told = |answer: &Answer| {
        let metrics = form.of(&answer.total);
        (metrics.impressions, metrics.spend)
    };
    assert_eq!(told(&before), (2_000, Some(decimal("20.2"))));
    assert_eq!(told(&after), (20_000, Some(decimal("40"))));
    Ok(())
}
