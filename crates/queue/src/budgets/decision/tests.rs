//! What a process is given, case by case; how it all works together is the business of the tests of the whole folder.

use super::*;
use crate::config::Config;

fn limits(section: &str) -> Limits {
    let text = format!("[budgets.meta]\nconcurrent = 10\n{section}");
    let config = Config::parse(&text, &[])
        .expect("the section is right")
        .config;
    Limits::of("meta", &config.budgets["meta"])
}

fn row() -> BudgetRow {
    BudgetRow {
        now: "2026-11-21T10:57:00Z".parse().expect("a time"),
        free_at: None,
        paused_until: None,
        pause_reason: None,
        used_share: None,
        remaining: None,
        told_until: None,
    }
}

fn later(seconds: u64) -> DateTime<Utc> {
    row().now + Duration::from_secs(seconds)
}

fn ask(weight: u64, units: u64, urgent: bool) -> Ask {
    Ask {
        call: Some(Call { weight, urgent }),
        units,
        in_flight: 0,
        places: 1,
    }
}

fn units(decision: &Decision) -> Option<u64> {
    decision.lease.map(|lease| lease.units)
}

fn used(used: i64, others: i64) -> Draws {
    Draws {
        used,
        others,
        ..Draws::default()
    }
}

#[test]
fn leases_get_smaller_with_what_is_left_and_with_who_draws() {
    let limits = limits("daily = 1000\nrate = \"1000000/s\"");
    let leased = |used_calls, others| {
        let draws = used(used_calls, others);
        units(&decide(&limits, row(), &draws, &ask(1, 500, false)))
    };

    assert_eq!(leased(0, 0), Some(225));
    assert_eq!(leased(0, 2), Some(75));
    assert_eq!(leased(888, 2), Some(1));
    assert_eq!(leased(900, 2), None);
}

#[test]
fn the_last_tenth_is_for_urgent_calls_one_by_one() {
    let limits = limits("daily = 1000\nrate = \"1000000/s\"");

    let urgent = decide(&limits, row(), &used(950, 0), &ask(1, 500, true));
    let ordinary = decide(&limits, row(), &used(950, 0), &ask(1, 500, false));

    let lease = urgent.lease.expect("some are left");
    assert_eq!((lease.units, lease.for_urgent), (1, true));
    assert_eq!(ordinary.hindrance, Some(Hindrance::Day(51)));
}

#[test]
fn under_a_rate_no_more_is_leased_than_a_second_takes() {
    let limits = limits("rate = \"10/s\"");

    let first = decide(&limits, row(), &used(0, 0), &ask(1, 500, false));
    let second = decide(&limits, first.row.clone(), &used(0, 1), &ask(1, 500, false));
    let third = decide(
        &limits,
        second.row.clone(),
        &used(0, 1),
        &ask(1, 500, false),
    );

    assert_eq!(units(&first), Some(11));
    assert_eq!(third.row.free_at, second.row.free_at);
    assert_eq!(
        second.hindrance,
        Some(Hindrance::Rate(Duration::from_millis(100)))
    );
}

#[test]
fn a_heavy_call_is_made_at_once_and_takes_the_time_after_it() {
    let limits = limits("rate = \"5/s\"");

    let heavy = decide(&limits, row(), &used(0, 0), &ask(50, 50, false));

    let lease = heavy.lease.expect("nothing hinders it");
    assert_eq!((lease.units, lease.opens_in), (50, Duration::ZERO));
    assert_eq!(heavy.row.free_at, Some(later(10)));
}

#[test]
fn a_pause_of_the_account_or_of_the_provider_stops_calls() {
    let limits = limits("");
    let own = BudgetRow {
        paused_until: Some(later(60)),
        pause_reason: Some("told to".to_owned()),
        ..row()
    };
    let of_provider = Draws {
        provider_paused_until: Some(later(90)),
        provider_pause_reason: Some("it is down".to_owned()),
        ..Draws::default()
    };
    let call = ask(1, 1, true);

    let by_account = decide(&limits, own.clone(), &Draws::default(), &call);
    let by_both = decide(&limits, own, &of_provider, &call);

    let paused = |seconds, reason: &str| Some(Hindrance::Paused(later(seconds), reason.to_owned()));
    assert_eq!(by_account.hindrance, paused(60, "told to"));
    assert_eq!(by_both.hindrance, paused(90, "it is down"));
    assert_eq!(by_both.lease, None);
}

#[test]
fn what_the_provider_says_is_left_is_the_most_that_is_leased() {
    let limits = limits("rate = \"1000000/s\"");
    let told = |remaining| BudgetRow {
        remaining: Some(remaining),
        told_until: Some(later(60)),
        ..row()
    };

    let few = decide(&limits, told(8), &Draws::default(), &ask(1, 500, false));
    let none = decide(&limits, told(0), &Draws::default(), &ask(1, 500, true));

    assert_eq!((units(&few), few.row.remaining), (Some(2), Some(6)));
    assert_eq!(none.hindrance, Some(Hindrance::Told(later(60))));
}

#[test]
fn from_stop_at_on_nothing_is_called_and_before_it_less() {
    let limits = limits("rate = \"10/s\"");
    let told = |share| BudgetRow {
        used_share: Some(share),
        told_until: Some(later(60)),
        ..row()
    };
    let decided = |share| decide(&limits, told(share), &Draws::default(), &ask(1, 1, false));

    let pace = |share| {
        decided(share)
            .lease
            .and_then(|lease| lease.pace)
            .map(|pace| pace.interval)
    };

    let interval = Duration::from_millis(100);
    assert_eq!(pace(0.5), Some(interval));
    assert!(
        pace(0.85).is_some_and(|slowed| slowed > interval),
        "{:?}",
        pace(0.85)
    );
    assert!(
        matches!(decided(0.95).hindrance, Some(Hindrance::Paused(until, _)) if until == later(60))
    );
}

#[test]
fn places_are_shared_and_those_in_use_are_kept() {
    let limits = limits("");
    let asked = |in_flight, places| Ask {
        in_flight,
        places,
        ..ask(1, 1, false)
    };
    let others = |places, others_wait| Draws {
        places,
        others: 1,
        others_wait,
        ..Draws::default()
    };
    let given = |draws: Draws, ask| decide(&limits, row(), &draws, &ask).places;

    assert_eq!(given(others(0, false), asked(0, 20)), 10);
    assert_eq!(given(others(7, false), asked(0, 20)), 3);
    assert_eq!(given(others(10, false), asked(2, 20)), 2);
    assert_eq!(given(others(0, true), asked(0, 20)), 5);
    assert_eq!(given(others(3, true), asked(7, 20)), 7);
}

#[test]
fn without_a_place_nothing_is_leased() {
    let limits = limits("daily = 1000");
    let full = Draws {
        places: 10,
        others: 2,
        ..Draws::default()
    };

    let decision = decide(&limits, row(), &full, &ask(1, 1, false));

    assert_eq!(
        (decision.hindrance, decision.lease),
        (Some(Hindrance::Places), None)
    );
    assert_eq!(decision.used, 0);
}

#[test]
fn a_budget_is_dry_once_the_last_ordinary_call_is_leased() {
    let limits = limits("daily = 100\nrate = \"1000000/s\"");
    let patience = Duration::from_secs(10);
    let after = |used_calls, urgent| {
        let draws = used(used_calls, 0);
        decide(&limits, row(), &draws, &ask(1, 1, urgent)).dryness(&limits, patience)
    };

    assert_eq!(after(88, false), None);
    assert_eq!(after(89, false), Some((Hindrance::Day(1), false)));
    assert_eq!(after(99, true), Some((Hindrance::Day(11), true)));
}
