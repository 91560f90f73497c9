//! Storing figures: what is replaced, what waits, and what is left alone.

use providers::{
    meta::SocialValue,
    platform::{Platform, ReportRun},
};
use sqlx::postgres::PgPoolOptions;

use super::*;
use crate::sync::{Replaced, SyncError};

const DAILY: &str = "SELECT concat_ws(' ', date, entity_id, clicks, spend, currency)
                       FROM marketing.insights_daily ORDER BY date, entity_id";
const HOURLY: &str = "SELECT concat_ws(' ', date, hour, entity_id, clicks)
                        FROM marketing.insights_hourly ORDER BY date, hour, entity_id";

/// Stores days whose figures come in one page.
async fn replace(
    scene: &Scene,
    what: &SyncWhat,
    days: Days,
    rows: &[InsightRow],
) -> anyhow::Result<Replaced> {
    let mut sync = scene.begin(what).await?;
    let next = cursor(1);
    let replaced = scene.syncs.replace_insights(&mut sync, days, rows, &next);
    Ok(replaced.await?)
}

// Fails when rows that did not come back stay, or when more than the days of the window is touched.
#[sqlx::test(migrations = "../../migrations")]
async fn figures_of_a_window_take_the_place_of_those_that_were_there(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let month = days("2026-11-01", "2026-11-30");
    let what = scope(Granularity::Day, month);
    let first = [
        figures("2026-11-01", "7", 1),
        figures("2026-11-02", "7", 2),
        figures("2026-11-02", "8", 3),
        figures("2026-11-03", "7", 4),
    ];
    replace(&scene, &what, month, &first).await?;
    let again = [figures("2026-11-02", "7", 20)];

    let middle = days("2026-11-02", "2026-11-02");
    let replaced = replace(&scene, &what, middle, &again).await?;

    assert_eq!(
        replaced,
        Replaced {
            written: 1,
            removed: 1
        }
    );
    assert_eq!(
        scene.texts(DAILY).await?,
        [
            "2026-11-01 7 1 1.25 EUR",
            "2026-11-02 7 20 25.00 EUR",
            "2026-11-03 7 4 5.00 EUR"
        ]
    );
    Ok(())
}

// Fails when the first hours of a day, or the sum of its hours, outlive what the platform tells of the day later.
#[sqlx::test(migrations = "../../migrations")]
async fn a_day_that_is_told_again_takes_the_place_of_what_was_known_of_it(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let today = days("2026-11-03", "2026-11-03");
    let what = scope(Granularity::Day, today);
    let [early, added_up] = ["7", "8"].map(|id| figures("2026-11-03", id, 1));
    replace(&scene, &what, today, &[early, added_up.clone()]).await?;
    scene
        .run("UPDATE marketing.insights_daily SET origin = 'hours', reach = NULL WHERE entity_id = '8'")
        .await?;

    let told_later = [figures("2026-11-03", "7", 5), added_up];
    let replaced = replace(&scene, &what, today, &told_later).await?;

    let rows = "SELECT concat_ws(' ', entity_id, clicks, reach, origin)
                  FROM marketing.insights_daily ORDER BY entity_id";
    assert_eq!((replaced.written, replaced.removed), (2, 0));
    assert_eq!(
        scene.texts(rows).await?,
        ["7 5 50 platform", "8 1 10 platform"]
    );
    Ok(())
}

// Fails when pages show before the last one, or when a killed sync forgets those before.
#[sqlx::test(migrations = "../../migrations")]
async fn pages_wait_for_the_last_one_and_survive_a_killed_sync(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let asked = days("2026-11-20", "2026-11-20");
    let what = scope(Granularity::Hour, asked);
    let old = [figures_of_hour("2026-11-20", 1, "gone", 9)];
    replace(&scene, &what, asked, &old).await?;
    let pages = [
        [
            figures_of_hour("2026-11-20", 5, "7", 1),
            figures_of_hour("2026-11-20", 6, "7", 2),
        ],
        [
            figures_of_hour("2026-11-20", 6, "7", 3),
            figures_of_hour("2026-11-20", 6, "8", 4),
        ],
    ];
    let mut killed = scene.begin(&what).await?;
    scene
        .syncs
        .stage_insights(&mut killed, asked, &pages[0], &cursor(2))
        .await?;
    let meanwhile = scene.texts(HOURLY).await?;

    let mut next = scene.begin(&what).await?;
    let replaced = scene
        .syncs
        .replace_insights(&mut next, asked, &pages[1], &cursor(3))
        .await?;

    assert_eq!(meanwhile, ["2026-11-20 1 gone 9"]);
    assert_eq!(next.id, killed.id);
    assert_eq!(replaced.removed, 1);
    assert_eq!(
        scene.texts(HOURLY).await?,
        ["2026-11-20 5 7 1", "2026-11-20 6 7 3", "2026-11-20 6 8 4"]
    );
    assert_eq!(scene.count("insights_staged").await?, 0);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn other_levels_accounts_and_breakdowns_are_left_alone(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let other = scene.of(account(&db, "acme", "102").await?);
    let asked = days("2026-11-01", "2026-11-01");
    let SyncWhat::Insights(plain) = scope(Granularity::Day, asked) else {
        unreachable!("it is of figures");
    };
    let of_ads = SyncWhat::Insights(InsightScope {
        level: Level::Ad,
        ..plain.clone()
    });
    let by_age = SyncWhat::Insights(InsightScope {
        breakdowns: vec!["age".to_owned()],
        ..plain.clone()
    });
    let plain = SyncWhat::Insights(plain);
    let row = figures("2026-11-01", "7", 1);
    let young = InsightRow {
        breakdown: "age=18-24".to_owned(),
        ..row.clone()
    };
    replace(&scene, &of_ads, asked, std::slice::from_ref(&row)).await?;
    replace(&scene, &by_age, asked, &[young]).await?;
    replace(&other, &plain, asked, std::slice::from_ref(&row)).await?;
    replace(&scene, &plain, asked, &[row]).await?;

    let emptied = replace(&scene, &plain, asked, &[]).await?;

    assert_eq!((emptied.written, emptied.removed), (0, 1));
    assert_eq!(scene.count("insights_daily").await?, 3);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn figures_that_stay_the_same_are_not_written_again(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let asked = days("2026-11-01", "2026-11-02");
    let what = scope(Granularity::Day, asked);
    let rows = [figures("2026-11-01", "7", 1), figures("2026-11-02", "7", 2)];
    replace(&scene, &what, asked, &rows).await?;
    let mut restated = rows.clone();
    restated[1].figures.conversions = Decimal::new(5, 1);

    let same = replace(&scene, &what, asked, &rows).await?;
    let other = replace(&scene, &what, asked, &restated).await?;

    assert_eq!((same.written, same.removed), (0, 0));
    assert_eq!((other.written, other.removed), (1, 0));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn years_that_no_partition_was_made_for_can_be_filled(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let year = days("2023-12-31", "2024-12-31");
    let what = scope(Granularity::Day, year);
    let rows = [
        figures("2023-12-31", "7", 1),
        figures("2024-02-29", "7", 2),
        figures("2024-12-31", "7", 3),
        figures("2025-01-01", "7", 4),
    ];

    let mut sync = scene.begin(&what).await?;
    let replaced = scene
        .syncs
        .replace_insights(&mut sync, year, &rows, &cursor(1))
        .await?;
    let foreign = days("2024-12-31", "2025-01-01");
    let refused = scene
        .syncs
        .replace_insights(&mut sync, foreign, &rows, &cursor(2))
        .await;

    assert_eq!(replaced.written, 3);
    assert_eq!((sync.counts.rows, sync.counts.ignored), (3, 1));
    assert!(matches!(refused, Err(SyncError::Invalid { .. })));
    assert_eq!(
        scene
            .count("insight_days WHERE granularity = 'day'")
            .await?,
        367
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_window_that_is_too_much_is_forgotten_and_begun_smaller(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let asked = days("2026-11-01", "2026-11-30");
    let what = scope(Granularity::Day, asked);
    let mut sync = scene.begin(&what).await?;
    let syncs = &scene.syncs;
    syncs
        .stage_insights(
            &mut sync,
            asked,
            &[figures("2026-11-01", "old", 1)],
            &cursor(1),
        )
        .await?;

    syncs.discard_staged(&mut sync, &cursor(2)).await?;
    let half = days("2026-11-01", "2026-11-15");
    let row = [figures("2026-11-01", "7", 2)];
    syncs
        .replace_insights(&mut sync, half, &row, &cursor(3))
        .await?;

    assert_eq!(scene.texts(DAILY).await?, ["2026-11-01 7 2 2.50 EUR"]);
    assert_eq!(scene.count("insight_days").await?, 15);
    assert_eq!(scene.begin(&what).await?.cursor, Some(cursor(3)));
    Ok(())
}

// Fails when a report is asked for twice, or outlives its figures.
#[sqlx::test(migrations = "../../migrations")]
async fn a_report_is_found_again_until_its_figures_are_stored(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let asked = days("2026-11-01", "2026-11-30");
    let what = scope(Granularity::Day, asked);
    let run = ReportRun {
        platform: Platform::Meta,
        account_id: "101".to_owned(),
        id: "6023920149050".to_owned(),
    };
    let killed = scene.begin(&what).await?;
    scene.syncs.keep_report(&killed, asked, &run).await?;

    let mut next = scene.begin(&what).await?;
    let found = scene.syncs.report(&next, asked).await?;
    let too_late = scene.syncs.keep_report(&killed, asked, &run).await;
    scene
        .syncs
        .replace_insights(&mut next, asked, &[], &cursor(1))
        .await?;

    assert_eq!(found.map(|kept| kept.run), Some(run));
    assert!(matches!(too_late, Err(SyncError::Superseded)));
    assert_eq!(scene.syncs.report(&next, asked).await?, None);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn values_of_a_page_stay_until_others_come(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let asked = days("2026-11-01", "2026-11-01");
    let mut sync = scene.begin(&scope(Granularity::Day, asked)).await?;
    let value = |metric: &str, value: i64| SocialValue {
        metric: metric.to_owned(),
        from: asked.from,
        to: asked.to,
        part: String::new(),
        value: Decimal::from(value),
    };
    let first = [value("page_follows", 10), value("page_views_total", 3)];
    let second = [value("page_follows", 11)];

    for values in [&first[..], &second[..]] {
        scene
            .syncs
            .store_social(&mut sync, "page-1", values, &cursor(1))
            .await?;
    }

    let stored = "SELECT concat_ws(' ', entity_id, metric, value) FROM marketing.social_insights ORDER BY metric";
    assert_eq!(
        scene.texts(stored).await?,
        ["page-1 page_follows 11", "page-1 page_views_total 3"]
    );
    assert_eq!((sync.counts.pages, sync.counts.written), (2, 3));
    Ok(())
}

// Fails when what comes in one large page is taken for something else than what comes in many small ones.
#[sqlx::test(migrations = "../../migrations")]
async fn a_page_of_thousands_of_figures_is_replaced_as_a_whole(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let asked = days("2026-11-01", "2026-11-02");
    let what = scope(Granularity::Day, asked);
    let rows: Vec<InsightRow> = (0..5_100)
        .map(|n| {
            let date = ["2026-11-01", "2026-11-02"][n % 2];
            figures(date, &n.to_string(), 1)
        })
        .collect();

    let first = replace(&scene, &what, asked, &rows).await?;
    let second = replace(&scene, &what, asked, &rows[1..]).await?;

    assert_eq!((first.written, first.removed), (5_100, 0));
    assert_eq!((second.written, second.removed), (0, 1));
    assert_eq!(scene.count("insights_staged").await?, 0);
    Ok(())
}

// Fails when a sync gives up because another one has many figures of its account to replace.
#[sqlx::test(migrations = "../../migrations")]
async fn whoever_replaces_figures_waits_for_whoever_is_at_it(db: PgPool) -> anyhow::Result<()> {
    let impatient = db.connect_options().as_ref().clone();
    let impatient = impatient.options([("lock_timeout", "50ms")]);
    let scene = Scene::new(&PgPoolOptions::new().connect_with(impatient).await?).await?;
    let asked = days("2026-11-20", "2026-11-20");
    let what = scope(Granularity::Day, asked);
    let mut other = db.begin().await?;
    let lock = "SELECT pg_advisory_xact_lock(hashtextextended('marketing.insights ' || $1 || ' campaign', 0))";
    sqlx::query(lock)
        .bind(scene.account.to_string())
        .execute(&mut *other)
        .await?;

    let rows = [figures("2026-11-20", "7", 1)];
    let mut replacing = Box::pin(replace(&scene, &what, asked, &rows));
    tokio::select! {
        ended = &mut replacing => panic!("it did not wait: {ended:?}"),
        waits = waits_for_long(&db) => waits?,
    }
    other.commit().await?;
    let replaced = replacing.await?;

    assert_eq!(replaced.written, 1);
    Ok(())
}

/// Until somebody has waited for a turn for longer than these sessions wait for a lock.
async fn waits_for_long(db: &PgPool) -> anyhow::Result<()> {
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity
                                 WHERE datname = current_database() AND wait_event = 'advisory'
                                   AND query_start < clock_timestamp() - interval '200 ms')";
    while !sqlx::query_scalar::<_, bool>(waits).fetch_one(db).await? {}
    Ok(())
}
