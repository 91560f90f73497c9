//! How figures are read: by windows that are replaced as a whole, cut where they are too much, and by reports that are
//! waited for.

use std::sync::{Arc, Mutex, PoisonError};

use marketing::{
    PgPool,
    sync::{SyncRecord, SyncState},
};
use providers::platform::{
    Cursor, Figures, InsightRow, Insights, Platform, ReportRun, ReportState,
};
use queue::{ErrorClass, JobError, PageRequest};
use rust_decimal::Decimal;
use serde_json::json;

use super::*;
use crate::kinds::{
    scene::Scene,
    scripted::{EXTERNAL_ID, down, more, no_more, rejected, too_large},
    testing::schema_accepts,
};

fn day(text: &str) -> NaiveDate {
    text.parse().expect("a day")
}

fn scope(level: Level, from: &str, to: &str) -> InsightScope {
    InsightScope {
        level,
        granularity: Granularity::Day,
        from: day(from),
        to: day(to),
        breakdowns: Vec::new(),
    }
}

fn row(date: NaiveDate, entity_id: &str, clicks: i64) -> InsightRow {
    InsightRow {
        entity_id: entity_id.to_owned(),
        date,
        hour: None,
        breakdown: String::new(),
        currency: Some("EUR".to_owned()),
        figures: Figures {
            clicks,
            spend: Decimal::new(1050, 2),
            ..Figures::default()
        },
        reach: None,
    }
}

fn report(id: &str) -> ReportRun {
    ReportRun {
        platform: Platform::Meta,
        account_id: EXTERNAL_ID.to_owned(),
        id: id.to_owned(),
    }
}

async fn run(scene: &Scene, scope: &InsightScope) -> Result<Outcome, Error> {
    let reached = scene.reached().await.expect("it is connected");
    let attempt = scene.attempt(&reached);
    settled(read(&attempt, scope.clone(), Pace::of_a_job()).await)
}

/// Days, entities and clicks, as they are stored.
async fn stored(db: &PgPool) -> anyhow::Result<Vec<(NaiveDate, String, i64)>> {
    let stored =
        "SELECT date, entity_id, clicks FROM marketing.insights_daily ORDER BY date, entity_id";
    Ok(sqlx::query_as(stored).fetch_all(db).await?)
}

async fn newest(scene: &Scene) -> anyhow::Result<SyncRecord> {
    let reached = scene.reached().await?;
    let page = PageRequest::new(Some(1), None)?;
    let listed = scene.app.syncs.list(reached.account.id, &page).await?;
    Ok(listed.items.into_iter().next().expect("a sync"))
}

/// The windows that were asked for, and whether a report was.
fn asked(scene: &Scene) -> Vec<(String, String, bool)> {
    let queries = scene.platform.queries().into_iter();
    queries
        .map(|it| (it.from.to_string(), it.to.to_string(), it.in_background))
        .collect()
}

fn windows(of: &[(&str, &str, bool)]) -> Vec<(String, String, bool)> {
    of.iter()
        .map(|(from, to, report)| ((*from).to_owned(), (*to).to_owned(), *report))
        .collect()
}

#[test]
fn the_schema_takes_days_as_they_are_written() {
    let id = "01920000-0000-7000-8000-00000000abcd";
    let payload = |level: &str, from: &str| json!({ "account_id": id, "level": level, "granularity": "day", "from": from, "to": "2026-11-20" });
    let accepts = |payload| schema_accepts::<SyncInsights>(&payload);

    assert!(accepts(payload("ad_set", "2026-11-01")));
    assert!(!accepts(payload("ad_sets", "2026-11-01")));
    assert!(!accepts(payload("ad", "1.11.2026")));
    let decoded = serde_json::from_value::<SyncInsights>(payload("ad", "2026-02-30"));
    assert!(decoded.is_err(), "there is no such day");
}

// Fails when a job reads everything again of which an attempt has died between the end of its sync and its own.
#[sqlx::test(migrations = "../../migrations")]
async fn what_was_read_to_its_end_before_an_attempt_died_is_not_read_again(
    db: PgPool,
) -> anyhow::Result<()> {
    let mut scene = Scene::new(&db);
    scene.connected().await?;
    let days = scope(Level::Campaign, "2026-11-01", "2026-11-02");
    scene
        .platform
        .answer_insights(|query, _| Ok(Insights::Rows(no_more(vec![row(query.from, "c1", 10)]))));
    let first = run(&scene, &days).await.expect("they are read");

    scene.job.attempt = 2;
    let second = run(&scene, &days).await.expect("nothing is left");

    assert_eq!(asked(&scene).len(), 1);
    let (Outcome::SucceededWith(first), Outcome::SucceededWith(second)) = (first, second) else {
        panic!("both have done it");
    };
    assert_eq!(first, second);
    Ok(())
}

// Fails when a stored row that the platform does not tell any more stays.
#[sqlx::test(migrations = "../../migrations")]
async fn restated_days_are_replaced_as_a_whole(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    scene.connected().await?;
    let days = scope(Level::Campaign, "2026-11-01", "2026-11-02");
    scene.platform.answer_insights(|query, _| {
        let rows = vec![row(query.from, "c1", 10), row(query.to, "c2", 20)];
        Ok(Insights::Rows(no_more(rows)))
    });
    run(&scene, &days).await.expect("they are read");

    scene
        .platform
        .answer_insights(|query, _| Ok(Insights::Rows(no_more(vec![row(query.from, "c1", 11)]))));
    let again = run(&scene, &days).await;

    let Ok(Outcome::SucceededWith(result)) = again else {
        panic!("they are read again: {again:?}");
    };
    assert_eq!(
        stored(&db).await?,
        [(day("2026-11-01"), "c1".to_owned(), 11)]
    );
    assert_eq!(result["removed"], 1);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn days_are_asked_for_in_windows_that_the_platform_takes(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    scene.connected().await?;
    scene.platform.known().longest_window = 3;

    run(&scene, &scope(Level::Account, "2026-11-01", "2026-11-07"))
        .await
        .expect("they are read");

    assert_eq!(
        asked(&scene),
        windows(&[
            ("2026-11-01", "2026-11-03", false),
            ("2026-11-04", "2026-11-06", false),
            ("2026-11-07", "2026-11-07", false),
        ])
    );
    Ok(())
}

// Fails when what is too much is given up, or its days are left out.
#[sqlx::test(migrations = "../../migrations")]
async fn a_window_that_is_too_much_is_cut_in_half(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    scene.connected().await?;
    scene.platform.answer_insights(|query, _| {
        if (query.to - query.from).num_days() > 0 {
            return Err(too_large());
        }
        Ok(Insights::Rows(no_more(vec![row(query.from, "c1", 1)])))
    });

    run(&scene, &scope(Level::Campaign, "2026-11-01", "2026-11-04"))
        .await
        .expect("days pass one by one");

    assert_eq!(
        asked(&scene)[..3],
        windows(&[
            ("2026-11-01", "2026-11-04", false),
            ("2026-11-01", "2026-11-02", false),
            ("2026-11-01", "2026-11-01", false),
        ])
    );
    assert_eq!(stored(&db).await?.len(), 4);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_single_row_that_is_too_much_ends_the_job(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    scene.connected().await?;
    scene.platform.answer_insights(|_, _| Err(too_large()));

    let read = run(&scene, &scope(Level::Campaign, "2026-11-01", "2026-11-01")).await;

    let class = JobError::from(read.expect_err("nothing less can be asked for")).class();
    assert_eq!(class, ErrorClass::TooLarge);
    assert_eq!(newest(&scene).await?.state, SyncState::Failed);
    let last = scene.platform.queries().pop().and_then(|it| it.page_size);
    assert_eq!(last, Some(1));
    Ok(())
}

// Fails when rows of a page are seen before their window is whole, or when the next attempt begins at its first page.
#[sqlx::test(migrations = "../../migrations")]
async fn a_killed_attempt_goes_on_behind_its_last_page(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    scene.connected().await?;
    let days = scope(Level::Campaign, "2026-11-01", "2026-11-02");
    let fails = Arc::new(Mutex::new(true));
    let once = Arc::clone(&fails);
    scene.platform.answer_insights(move |query, after| {
        if after.is_none() {
            let page = more(vec![row(query.from, "c1", 1)], "2");
            return Ok(Insights::Rows(page));
        }
        let mut fails = once.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut *fails) {
            return Err(down());
        }
        Ok(Insights::Rows(no_more(vec![row(query.to, "c2", 2)])))
    });

    run(&scene, &days).await.expect_err("it fails midway");
    let between = stored(&db).await?;
    run(&scene, &days).await.expect("it goes on");

    assert!(between.is_empty(), "{between:?}");
    assert_eq!(stored(&db).await?.len(), 2);
    assert_eq!(scene.platform.queries().len(), 3);
    assert_eq!(newest(&scene).await?.counts.pages, 2);
    Ok(())
}

// Fails when an attempt sleeps over a report, asks for a second one, or asks before it is kept.
#[sqlx::test(migrations = "../../migrations")]
async fn a_report_is_kept_first_and_waited_for_by_snoozes(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    scene.connected().await?;
    let days = scope(Level::Ad, "2026-10-24", "2026-11-20");
    scene
        .platform
        .answer_insights(|_, _| Ok(Insights::Started(report("r1"))));
    scene.platform.known().report_states = [
        ReportState::NotReady { percent: Some(40) },
        ReportState::Ready {
            from: Some(Cursor("file".to_owned())),
        },
    ]
    .into();
    scene
        .platform
        .answer_report_rows(|query, after| match after.map(|cursor| cursor.0.as_str()) {
            Some("file") => Ok(more(vec![row(query.from, "a1", 1)], "2")),
            Some("2") => Ok(no_more(vec![row(query.to, "a2", 2)])),
            _ => Err(rejected()),
        });

    let first = run(&scene, &days).await;
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM marketing.report_runs")
        .fetch_one(&db)
        .await?;
    let second = run(&scene, &days).await;
    let third = run(&scene, &days).await;

    let half_a_minute = std::time::Duration::from_secs(30);
    for waiting in [&first, &second] {
        assert!(
            matches!(waiting, Ok(Outcome::Snoozed(wait)) if *wait == half_a_minute),
            "{waiting:?}"
        );
    }
    assert_eq!(kept, 1);
    assert!(matches!(third, Ok(Outcome::SucceededWith(_))), "{third:?}");
    assert_eq!(
        asked(&scene),
        windows(&[("2026-10-24", "2026-11-20", true)])
    );
    assert_eq!(scene.platform.known().reports_looked_at, ["r1", "r1"]);
    assert_eq!(stored(&db).await?.len(), 2);
    Ok(())
}

// Fails when a platform's few questions of a quarter of an hour are spent on what it would make in the background.
#[sqlx::test(migrations = "../../migrations")]
async fn reports_are_asked_for_of_the_levels_and_from_the_day_on_that_the_platform_wants(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    scene.connected().await?;
    scene.platform.known().reports_of = vec![Level::Account];

    for (level, to) in [
        (Level::Account, "2026-11-08"),
        (Level::Account, "2026-11-07"),
        (Level::Ad, "2026-11-08"),
    ] {
        run(&scene, &scope(level, "2026-11-01", to))
            .await
            .expect("they are read");
    }

    assert_eq!(
        asked(&scene),
        windows(&[
            ("2026-11-01", "2026-11-08", true),
            ("2026-11-01", "2026-11-07", false),
            ("2026-11-01", "2026-11-08", false),
        ])
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_report_that_takes_longer_than_an_hour_is_given_up(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    scene.connected().await?;
    let days = scope(Level::Ad, "2026-11-11", "2026-11-20");
    scene
        .platform
        .answer_insights(|_, _| Ok(Insights::Started(report("r1"))));
    scene.platform.known().report_states = [ReportState::NotReady { percent: None }].into();
    run(&scene, &days).await.expect("it is begun");
    sqlx::query("UPDATE marketing.report_runs SET started_at = now() - interval '61 minutes'")
        .execute(&db)
        .await?;

    let second = run(&scene, &days).await;

    assert!(matches!(second, Ok(Outcome::Snoozed(_))), "{second:?}");
    assert_eq!(
        asked(&scene),
        windows(&[
            ("2026-11-11", "2026-11-20", true),
            ("2026-11-11", "2026-11-15", true)
        ])
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_report_that_fails_is_asked_for_of_fewer_days_and_of_one_day_anew(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    scene.connected().await?;
    let days = scope(Level::Ad, "2026-11-01", "2026-11-08");
    scene
        .platform
        .answer_insights(|_, _| Ok(Insights::Started(report("r1"))));
    scene.platform.known().report_states = [ReportState::Failed("too much".to_owned())].into();

    let mut last = run(&scene, &days).await;
    let mut attempts = 1;
    while last.is_ok() && attempts < 20 {
        last = run(&scene, &days).await;
        attempts += 1;
    }

    let class = JobError::from(last.expect_err("a day's report fails too")).class();
    let lengths: Vec<i64> = scene
        .platform
        .queries()
        .iter()
        .map(|it| (it.to - it.from).num_days() + 1)
        .collect();
    assert_eq!(class, ErrorClass::Transient);
    assert_eq!(lengths, [8, 4, 2, 1]);
    Ok(())
}

// Fails when the next report is read from the middle on, behind pages of the one that was lost.
#[sqlx::test(migrations = "../../migrations")]
async fn a_days_report_that_is_lost_midway_is_read_anew_from_its_first_row(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    scene.connected().await?;
    let one_day = scope(Level::Ad, "2026-11-01", "2026-11-01");
    scene.platform.answer_insights(|query, _| {
        if query.in_background {
            return Ok(Insights::Started(report("r1")));
        }
        Err(too_large())
    });
    scene.platform.known().report_states = [ReportState::Ready { from: None }].into();
    let mut pages = 0;
    scene.platform.answer_report_rows(move |query, after| {
        pages += 1;
        match (after, pages) {
            (None, _) => Ok(more(vec![row(query.from, "a1", pages)], "2")),
            (Some(_), 2) => Err(rejected()),
            (Some(_), _) => Ok(no_more(vec![row(query.from, "a2", pages)])),
        }
    });

    run(&scene, &one_day).await.expect("a report is begun");
    let lost = run(&scene, &one_day).await;
    run(&scene, &one_day).await.expect("another one is begun");
    run(&scene, &one_day).await.expect("it is read");

    let class = JobError::from(lost.expect_err("its second page is gone")).class();
    assert_eq!(class, ErrorClass::Transient);
    let (first, second) = ("a1".to_owned(), "a2".to_owned());
    let day = day("2026-11-01");
    assert_eq!(stored(&db).await?, [(day, first, 3), (day, second, 4)]);
    Ok(())
}

// Fails when pages that a sync of another release left waiting become figures.
#[sqlx::test(migrations = "../../migrations")]
async fn a_place_that_another_release_wrote_is_no_place_to_go_on_from(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    scene.connected().await?;
    let days = scope(Level::Campaign, "2026-11-01", "2026-11-01");
    scene.platform.answer_insights(|query, after| match after {
        None => Ok(Insights::Rows(more(vec![row(query.from, "gone", 1)], "2"))),
        Some(_) => Err(down()),
    });
    run(&scene, &days).await.expect_err("it fails midway");
    sqlx::query("UPDATE marketing.syncs SET cursor = '{\"page\": 2}'")
        .execute(&db)
        .await?;
    scene
        .platform
        .answer_insights(|query, _| Ok(Insights::Rows(no_more(vec![row(query.from, "c1", 2)]))));

    run(&scene, &days).await.expect("it begins anew");

    assert_eq!(
        stored(&db).await?,
        [(day("2026-11-01"), "c1".to_owned(), 2)]
    );
    Ok(())
}
