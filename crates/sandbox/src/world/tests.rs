//! What the world promises: the same for the same seed, sums that add up, and figures that change
//! as the platforms' documents say.

use std::collections::{BTreeMap, HashSet};

use chrono::{NaiveDate, TimeDelta};

use super::*;

fn small(seed: u64) -> World {
    let world = World::new(&WorldConfig {
        seed,
        campaigns_per_account: 12,
        ..WorldConfig::default()
    });
    world.clock().stop();
    world.clock().set(noon()).expect("near enough");
    world
}

fn noon() -> DateTime<Utc> {
    "2026-11-20T12:10:00Z".parse().expect("a time")
}

fn day(text: &str) -> NaiveDate {
    parse_day(text).expect("a day")
}

fn first(platform: Platform) -> Key {
    Key::account(platform, 0)
}

fn query(account: Key, level: Kind, grain: Grain) -> RowQuery {
    RowQuery {
        account,
        level,
        only: None,
        grain,
        from: day("2026-10-28"),
        to: day("2026-11-03"),
        seen: noon(),
    }
}

fn rows(world: &World, query: &RowQuery) -> Vec<Row> {
    world.rows(query, Position::default()).collect()
}

/// The sum of each day of each thing that `name` makes of a row's.
fn sums(
    rows: &[Row],
    name: impl Fn(Key) -> Option<Key>,
) -> BTreeMap<(Option<Key>, NaiveDate), Figures> {
    let mut sums: BTreeMap<_, Figures> = BTreeMap::new();
    for row in rows {
        *sums.entry((name(row.key), row.bucket.from)).or_default() += row.figures;
    }
    sums
}

#[test]
fn the_same_seed_makes_the_same_world_and_another_one_another() {
    let (one, two, other) = (small(1), small(1), small(2));
    let account = first(Platform::TikTok);
    let query = query(account, Kind::Ad, Grain::Hour);
    let ads = |world: &World| world.list(account, Kind::Ad).collect::<Vec<_>>();

    assert_eq!(ads(&one), ads(&two));
    assert_eq!(rows(&one, &query), rows(&two, &query));
    assert_ne!(ads(&one), ads(&other));
    assert_ne!(rows(&one, &query), rows(&other, &query));
}

#[test]
fn parents_are_exactly_the_sum_of_their_children() {
    let world = small(1);
    for platform in Platform::ALL {
        let of = |level| rows(&world, &query(first(platform), level, Grain::Day));
        let (ads, ad_sets) = (of(Kind::Ad), of(Kind::AdSet));
        let (campaigns, account) = (of(Kind::Campaign), of(Kind::Account));
        assert!(ads.len() > ad_sets.len() && ad_sets.len() > campaigns.len());

        assert_eq!(sums(&ads, Key::parent), sums(&ad_sets, Some));
        assert_eq!(sums(&ad_sets, Key::parent), sums(&campaigns, Some));
        assert_eq!(sums(&campaigns, Key::parent), sums(&account, Some));
    }
}

#[test]
fn days_are_exactly_the_sum_of_their_hours_also_when_the_clocks_change() {
    let world = small(1);
    let account = first(Platform::Meta);

    let hours = rows(&world, &query(account, Kind::Campaign, Grain::Hour));
    let days = rows(&world, &query(account, Kind::Campaign, Grain::Day));
    let whole = rows(&world, &query(account, Kind::Account, Grain::Whole));

    assert_eq!(sums(&hours, Some), sums(&days, Some));
    let mut total = Figures::default();
    for row in &days {
        total += row.figures;
    }
    assert_eq!(whole.len(), 1);
    assert_eq!(whole[0].figures, total);
}

#[test]
fn a_whole_year_is_the_sum_of_its_days() {
    let world = small(1);
    let mut year = query(first(Platform::X), Kind::Account, Grain::Whole);
    year.from = day("2025-11-01");
    year.to = day("2026-10-31");

    let whole = rows(&world, &year)[0].figures;
    year.grain = Grain::Day;
    let mut total = Figures::default();
    for row in rows(&world, &year) {
        total += row.figures;
    }

    assert_eq!(whole, total);
}

#[test]
fn figures_of_hours_of_utc_are_those_of_the_rows() {
    let world = small(1);
    let account = first(Platform::X);

    for row in rows(&world, &query(account, Kind::Campaign, Grain::Day)) {
        let figures = world.figures(row.key, &row.bucket.hours, noon());

        assert_eq!(figures, row.figures);
    }
}

#[test]
fn rows_go_on_where_a_page_ended() {
    let world = small(1);
    let query = query(first(Platform::Meta), Kind::Ad, Grain::Day);
    let all = rows(&world, &query);
    let mut paged = Vec::new();
    let mut position = Position::default();

    loop {
        let mut page = world.rows(&query, position);
        let before = paged.len();
        paged.extend(page.by_ref().take(7));
        position = page.position();
        if paged.len() == before {
            break;
        }
    }

    assert_eq!(paged, all);
}

#[test]
fn money_is_whole_minor_units() {
    let world = small(1);
    for number in 0..2 {
        let account = world.account_of(Key::account(Platform::GoogleAds, number));
        let minor = account.currency.minor_micros();

        for row in rows(&world, &query(account.key, Kind::Ad, Grain::Hour)) {
            assert_eq!(row.figures.spend_micros % minor, 0);
            assert_eq!(row.figures.revenue_micros % minor, 0);
        }
    }
}

#[test]
fn conversions_of_past_days_arrive_late_and_are_all_there_in_the_end() {
    let world = small(1);
    for platform in Platform::ALL {
        let mut query = query(first(platform), Kind::Account, Grain::Whole);
        let seen = |query: &RowQuery| rows(&world, query)[0].figures;
        query.from = day("2026-08-01");
        query.to = day("2026-08-07");

        query.seen = "2026-08-09T00:00:00Z".parse().expect("a time");
        let early = seen(&query);
        query.seen += TimeDelta::days(platform.restated_days());
        let settled = seen(&query);
        query.seen += TimeDelta::days(365);
        let ever = seen(&query);

        assert!(
            early.conversion_millis < settled.conversion_millis,
            "{platform:?}"
        );
        assert!(
            early.revenue_micros < settled.revenue_micros,
            "{platform:?}"
        );
        assert_eq!(settled, ever, "{platform:?}");
    }
}

#[test]
fn spend_on_traffic_that_was_not_real_is_taken_back() {
    let world = small(1);
    let mut query = query(first(Platform::X), Kind::Account, Grain::Whole);

    query.seen = "2026-11-04T12:00:00Z".parse().expect("a time");
    let early = rows(&world, &query)[0].figures;
    query.seen += TimeDelta::days(15);
    let later = rows(&world, &query)[0].figures;

    assert!(early.spend_micros > later.spend_micros);
    assert!(early.impressions > later.impressions);
}

#[test]
fn an_hour_that_runs_counts_as_far_as_it_went_and_the_next_not_at_all() {
    let world = small(1);
    let hour = hour_of(noon()) - 24;
    let at = |minutes| start_of(hour) + TimeDelta::minutes(minutes);
    let account = first(Platform::Meta);
    let seen = |minutes| {
        world
            .figures(account, &(hour..hour + 1), at(minutes))
            .impressions
    };

    assert_eq!(seen(0), 0);
    assert!(0 < seen(15) && seen(15) < seen(30) && seen(30) < seen(60));
    assert_eq!(
        world.figures(account, &(hour + 1..hour + 9), at(59)),
        Figures::default()
    );
}

#[test]
fn evenings_are_busier_than_nights() {
    let world = small(1);
    let hours = rows(
        &world,
        &query(first(Platform::Meta), Kind::Account, Grain::Hour),
    );
    let of = |hour| -> i64 {
        let at_hour = hours.iter().filter(|row| row.bucket.hour == Some(hour));
        at_hour.map(|row| row.figures.impressions).sum()
    };

    assert!(of(20) > 3 * of(4));
}

#[test]
fn what_is_paused_stops_from_then_on_and_keeps_what_it_had() {
    let world = small(1);
    let query = query(first(Platform::Meta), Kind::Campaign, Grain::Day);
    let before = rows(&world, &query);
    let campaign = before[0].key;

    world
        .change(campaign, vec![Change::Status(Status::Paused)])
        .expect("a change");
    world.clock().advance(TimeDelta::days(3)).expect("near");

    let entity = world.entity(campaign).expect("it is there");
    assert_eq!(entity.effective, Effective::Paused);
    assert_eq!(entity.updated_at, noon());
    let ad = world.list(campaign, Kind::Ad).next().expect("an ad");
    assert_eq!(ad.effective, Effective::CampaignPaused);
    assert!(ad.updated_at < noon());
    assert_eq!(rows(&world, &query), before);
    let after = hour_of(noon()) + 1..hour_of(noon()) + 60;
    assert!(world.figures(campaign, &after, world.now()).is_zero());
}

#[test]
fn what_is_deleted_is_still_known_with_its_figures() {
    let world = small(1);
    let query = query(first(Platform::X), Kind::Campaign, Grain::Day);
    let before = rows(&world, &query);
    let key = before[0].key;

    let changes = vec![
        Change::Status(Status::Deleted),
        Change::Name("gone".to_owned()),
    ];
    world.change(key, changes).expect("a change");

    let entity = world.entity(key).expect("it is known");
    assert_eq!(
        (entity.status, entity.name.as_str()),
        (Status::Deleted, "gone")
    );
    assert_eq!(world.find(Platform::X, &entity.id), Some(key));
    assert_eq!(rows(&world, &query), before);
    world.reset();
    assert_ne!(
        world.entity(key).map(|entity| entity.name),
        Some("gone".to_owned())
    );
}

#[test]
fn changes_that_do_not_fit_are_refused_whole() {
    let world = small(1);
    let account = first(Platform::Meta);
    let campaign = account.sibling(Kind::Campaign, 0);
    let name = || Change::Name("new".to_owned());

    let status = world.change(account, vec![name(), Change::Status(Status::Paused)]);
    let budget = world.change(campaign, vec![name(), Change::DailyBudget(0)]);
    let nothing = world.change(account.sibling(Kind::Campaign, 4_999), vec![name()]);

    assert_eq!(status, Err(ChangeError::DoesNotFit));
    assert_eq!(budget, Err(ChangeError::DoesNotFit));
    assert_eq!(nothing, Err(ChangeError::Unknown));
    assert_ne!(world.account_of(account).name, "new");
}

#[test]
fn every_platform_has_things_in_every_state() {
    let world = World::new(&WorldConfig {
        campaigns_per_account: 200,
        ..WorldConfig::default()
    });
    world.clock().stop();
    world.clock().set(noon()).expect("near enough");
    for platform in Platform::ALL {
        let campaigns = world.list(first(platform), Kind::Campaign);
        let states: HashSet<_> = campaigns.map(|one| one.effective.as_str()).collect();
        let ads = world.list(first(platform), Kind::Ad);
        let of_ads: HashSet<_> = ads.map(|one| one.effective.as_str()).collect();

        for state in [
            "active",
            "paused",
            "archived",
            "deleted",
            "with_issues",
            "ended",
        ] {
            assert!(states.contains(state), "{platform:?} {state}");
        }
        for state in ["active", "campaign_paused", "disapproved", "in_review"] {
            assert!(of_ads.contains(state), "{platform:?} {state}");
        }
    }
}

#[test]
fn a_large_world_has_ids_and_currencies_of_its_own() {
    let world = World::new(&WorldConfig {
        accounts_per_platform: 1_000,
        campaigns_per_account: 100_000,
        ..WorldConfig::default()
    });

    let accounts = world.accounts(Platform::Meta);
    let ids: HashSet<_> = accounts.iter().map(|account| &account.id).collect();
    let currencies: HashSet<_> = accounts.iter().map(|one| one.currency.code()).collect();
    let campaigns = world.keys(accounts[199].key, Kind::Campaign).len();

    assert_eq!((accounts.len(), ids.len()), (200, 200));
    assert!(currencies.is_superset(&HashSet::from(["USD", "EUR", "JPY"])));
    assert!((4_000..=5_000).contains(&campaigns), "{campaigns}");
}

#[test]
fn what_pages_tell_of_a_day_never_changes() {
    let page = first(Platform::Meta).sibling(Kind::Page, 0);
    let of = |seed, metric| small(seed).social(page, metric, day("2026-11-03"));

    assert_eq!(of(1, "page_follows"), of(1, "page_follows"));
    assert_ne!(of(1, "page_follows"), of(1, "page_views_total"));
    assert_ne!(of(1, "page_follows"), of(2, "page_follows"));
}
