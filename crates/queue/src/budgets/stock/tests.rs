//! What a process holds of a budget, from one moment to the next.

use super::*;
use crate::budgets::limits::Pace;

const ORDINARY: Call = Call {
    weight: 1,
    urgent: false,
};
const URGENT: Call = Call {
    weight: 1,
    urgent: true,
};
const FRESH: Duration = Duration::from_secs(2);
const TTL: Duration = Duration::from_secs(60);

fn lease(units: u64) -> Lease {
    Lease {
        units,
        opens_in: Duration::ZERO,
        pace: None,
        for_urgent: false,
    }
}

fn slot() -> DateTime<Utc> {
    "2026-11-21T10:55:00Z".parse().expect("a time")
}

/// The end of an exchange that was asked for just now and gave this.
fn given(lease: Option<Lease>, places: u32, now: Instant) -> Ended {
    Ended {
        asked_at: now,
        places,
        holds_until: now + TTL,
        fair_share: None,
        counts: true,
        lease,
        slot: Some(slot()),
        stays: true,
    }
}

fn holding(lease: Lease, now: Instant) -> Stock {
    let mut stock = Stock::default();
    stock.end(&given(Some(lease), 0, now), now);
    stock
}

fn draw(stock: &mut Stock, call: Call, now: Instant) -> bool {
    matches!(stock.draw(call, false, FRESH, now), Drawn::Taken(_))
}

#[test]
fn calls_are_drawn_until_there_are_none() {
    let now = Instant::now();
    let mut stock = holding(lease(2), now);

    let drawn = [(); 3].map(|()| draw(&mut stock, ORDINARY, now));

    assert_eq!(drawn, [true, true, false]);
}

#[test]
fn what_is_reserved_is_for_urgent_calls() {
    let now = Instant::now();
    let reserved = Lease {
        for_urgent: true,
        ..lease(1)
    };
    let mut stock = holding(reserved, now);

    let ordinary = draw(&mut stock, ORDINARY, now);
    let urgent = draw(&mut stock, URGENT, now);

    assert_eq!((ordinary, urgent), (false, true));
}

// Fails when a process acts for long on what it was told once: pauses and limits of others would not reach it.
#[test]
fn nothing_is_drawn_from_what_was_heard_of_long_ago() {
    let now = Instant::now();
    let mut stock = holding(lease(5), now);

    assert!(draw(&mut stock, ORDINARY, now + FRESH / 2));
    assert!(!draw(&mut stock, ORDINARY, now + FRESH));
}

#[test]
fn what_is_not_drawn_for_a_second_goes_back_to_its_slot() {
    let now = Instant::now();
    let mut stock = holding(lease(5), now);
    draw(&mut stock, ORDINARY, now);

    let in_use = stock.is_due(TTL, now + IDLE);
    stock.leave(&[]);
    let unused = stock.is_due(TTL, now + IDLE);
    let begun = stock.begin(None, false, now + IDLE);

    assert_eq!((in_use, unused), (false, true));
    assert_eq!(
        begun.given_back.into_iter().collect::<Vec<_>>(),
        [(slot(), 4)]
    );
    assert!(!begun.stays);
}

// Fails when a lease under a rate is used long after its time, beside those of others.
#[test]
fn a_lease_under_a_rate_ends_with_its_time() {
    let now = Instant::now();
    let second = Duration::from_secs(1);
    let paced = Lease {
        pace: Some(Pace {
            interval: second / 10,
            burst: 1,
        }),
        ..lease(10)
    };
    let mut stock = holding(paced, now);

    let in_time = draw(&mut stock, ORDINARY, now + second);
    stock.end(&given(None, 0, now + second * 2), now + second * 2);
    let late = draw(&mut stock, ORDINARY, now + second * 2);

    assert_eq!((in_time, late), (true, false));
}

// Fails when calls are given back twice: they would be made twice.
#[test]
fn what_may_have_been_given_back_is_not_given_back_again() {
    let now = Instant::now();
    let mut stock = holding(lease(5), now);
    let told = Report {
        used_share: Some(0.5),
        remaining: None,
        ends: now + TTL,
    };
    stock.hear(told.clone(), 0.95);

    let failed = stock.begin(None, true, now);
    stock.fail(failed);
    let again = stock.begin(None, true, now);

    assert!(again.given_back.is_empty(), "{again:?}");
    assert_eq!(again.report, Some(told));
}

// Fails when the answer to a call that was under way hides that all calls are to stop.
#[test]
fn that_calls_are_to_stop_is_told_whatever_is_said_after_it() {
    let now = Instant::now();
    let mut stock = holding(lease(5), now);
    let said = |share| Report {
        used_share: Some(share),
        remaining: None,
        ends: now + TTL,
    };

    for share in [0.5, 0.97, 0.2, 0.96] {
        stock.hear(said(share), 0.95);
    }

    assert_eq!(stock.begin(None, false, now).report, Some(said(0.96)));
}

#[test]
fn a_call_that_is_not_made_after_all_goes_back() {
    let now = Instant::now();
    let mut stock = holding(lease(1), now);
    let Drawn::Taken(taken) = stock.draw(ORDINARY, false, FRESH, now) else {
        panic!("there is one");
    };

    stock.leave(&taken.spent);

    let begun = stock.begin(None, false, now);
    assert_eq!(
        begun.given_back.into_iter().collect::<Vec<_>>(),
        [(slot(), 1)]
    );
}

// Fails when what was leased before a day was counted is taken off what counts since.
#[test]
fn what_counts_against_no_day_does_not_go_back() {
    let now = Instant::now();
    let mut stock = Stock::default();
    let uncounted = Ended {
        slot: None,
        ..given(Some(lease(5)), 0, now)
    };
    stock.end(&uncounted, now);
    let Drawn::Taken(taken) = stock.draw(ORDINARY, false, FRESH, now) else {
        panic!("there is one");
    };
    stock.leave(&taken.spent);

    let begun = stock.begin(None, true, now);

    assert!(begun.given_back.is_empty(), "{begun:?}");
}

// Fails when each of many calls asks for itself only.
#[test]
fn more_is_leased_where_more_wait_and_more_were_drawn() {
    let now = Instant::now();
    let mut stock = holding(lease(4), now);
    for _ in 0..4 {
        draw(&mut stock, ORDINARY, now);
    }
    for _ in 0..3 {
        stock.wait(ORDINARY);
    }

    let begun = stock.begin(Some(ORDINARY), false, now);

    assert_eq!((begun.ask.units, begun.ask.places), (3 + 4, 4 + 3));
}

// Fails when a call that only lacks a place leases what its process holds already.
#[test]
fn a_call_leases_only_what_it_lacks() {
    let now = Instant::now();
    let mut stock = holding(lease(4), now);

    let begun = stock.begin(Some(ORDINARY), false, now);

    assert_eq!(
        (begun.ask.call.map(|call| call.weight), begun.ask.units),
        (Some(0), 0)
    );
}

#[test]
fn that_there_is_nothing_is_believed_for_a_moment() {
    let now = Instant::now();
    let mut stock = holding(lease(1), now);
    let mut heavy = ORDINARY;
    heavy.weight = 5;
    stock.refuse(heavy, Dry::of(now + TTL, "used up".to_owned(), now), now);

    let is_refused =
        |stock: &mut Stock, call, now| matches!(stock.draw(call, false, FRESH, now), Drawn::Dry(_));

    assert!(is_refused(&mut stock, heavy, now));
    assert!(!is_refused(&mut stock, heavy, now + BELIEVED));
    assert!(draw(&mut stock, ORDINARY, now));
}

#[test]
fn a_pause_is_told_once_and_again_where_that_failed() {
    let now = Instant::now();
    let mut stock = holding(lease(1), now);
    stock.pause(now + TTL, "told to".to_owned());

    let first = stock.begin(None, false, now);
    let told = first.pause.is_some();
    stock.fail(first);
    let second = stock.begin(None, false, now).pause.is_some();
    let third = stock.begin(None, false, now).pause.is_some();

    assert_eq!((told, second, third), (true, true, false));
    assert!(matches!(
        stock.draw(ORDINARY, false, FRESH, now),
        Drawn::Dry(_)
    ));
}
