//! Which ticks come and go with a change of the schedules.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::{facts, now, sides};
use crate::{
    plan::{ConfigPlan, Facts, Harm, ScheduleChange, SchedulePlan, weigh},
    store::schedules::ScheduleRow,
};

fn schedule(name: &str, cron: &str) -> String {
    format!("[schedules.{name}]\nkind = \"test.work\"\ncron = \"{cron}\"\n")
}

fn hours(hour: i64) -> DateTime<Utc> {
    now() + TimeDelta::hours(hour)
}

fn only(plan: &ConfigPlan) -> &SchedulePlan {
    match plan.schedules.as_slice() {
        [told] => told,
        others => panic!("{others:?}"),
    }
}

fn paused(until: Option<DateTime<Utc>>) -> Facts {
    let row = ScheduleRow {
        name: "s".to_owned(),
        evaluated_until: now(),
        is_paused: true,
        paused_at: Some(now()),
        paused_by: Some("ada".to_owned()),
        pause_reason: None,
        paused_until: until,
        last_tick: None,
        last_outcome: None,
        tick_job: None,
        tick_ended: None,
        tick_detail: None,
        last_success_at: None,
    };
    Facts {
        schedules: vec![row],
        ..facts()
    }
}

// now() is noon in UTC.
#[test]
fn ticks_that_come_and_go_are_told_with_the_first_of_each() {
    let before = schedule("s", "0 */6 * * *");
    let after = schedule("s", "0 */8 * * *");

    let plan = weigh(sides(&before, &after), &facts());

    let expected = SchedulePlan {
        schedule: "s".to_owned(),
        change: ScheduleChange::Changed,
        stops: false,
        is_paused: false,
        ticks_before: 4,
        ticks_after: 3,
        is_cut: false,
        next_before: Some(hours(6)),
        next_after: Some(hours(4)),
        lost: vec![hours(6), hours(18), hours(24)],
        gained: vec![hours(4), hours(20)],
    };
    assert_eq!(only(&plan), &expected);
    assert!(plan.harms.is_empty());
}

#[test]
fn a_schedule_that_goes_or_ticks_no_more_today_stops() {
    let before = schedule("s", "0 * * * *");

    let goes = weigh(sides(&before, ""), &facts());
    let rests = weigh(sides(&before, &schedule("s", "0 0 1 7 *")), &facts());
    let comes = weigh(sides("", &before), &facts());

    assert_eq!(only(&goes).change, ScheduleChange::Removed);
    assert!(only(&goes).stops && only(&rests).stops);
    assert_eq!(only(&rests).ticks_after, 0);
    assert_eq!(goes.harms, [Harm::SchedulesStop]);
    assert!(!only(&comes).stops && comes.harms.is_empty());
    assert_eq!(only(&comes).ticks_after, 24);
}

#[test]
fn a_rare_schedule_stops_too_when_it_goes() {
    let yearly = schedule("s", "0 0 1 7 *");

    let plan = weigh(sides(&yearly, ""), &facts());

    assert!(only(&plan).stops);
    assert_eq!((only(&plan).ticks_before, only(&plan).ticks_after), (0, 0));
}

#[test]
fn other_payloads_and_the_same_times_in_other_words_change_no_tick() {
    let before = schedule("s", "0 */12 * * *");
    let after = schedule("s", "0 0,12 * * *");
    let other = format!("{before}payload = {{ a = 1 }}\n");

    assert!(weigh(sides(&before, &after), &facts()).schedules.is_empty());
    assert!(weigh(sides(&before, &other), &facts()).schedules.is_empty());
}

#[test]
fn ticks_of_a_pause_are_not_counted() {
    let (before, after) = (schedule("s", "0 * * * *"), schedule("s", "30 * * * *"));

    let for_hours = weigh(sides(&before, &after), &paused(Some(hours(20))));
    let for_good = weigh(sides(&before, ""), &paused(None));

    let told = only(&for_hours);
    assert!(told.is_paused);
    assert_eq!((told.ticks_before, told.ticks_after), (5, 4));
    assert_eq!(told.next_before, Some(hours(20)));
    assert!(!only(&for_good).stops, "it did not tick before either");
}

#[test]
fn a_kind_without_a_handler_has_no_ticks_to_lose() {
    let before = schedule("s", "0 * * * *");
    let facts = Facts {
        registered: ["other.kind".to_owned()].into(),
        ..facts()
    };

    let plan = weigh(sides(&before, ""), &facts);

    assert_eq!(only(&plan).ticks_before, 0);
    assert!(plan.harms.is_empty());
}

#[test]
fn what_ticks_every_second_is_counted_up_to_a_bound() {
    let before = schedule("s", "* * * * * *");
    let after = schedule("s", "*/2 * * * * *");

    let plan = weigh(sides(&before, &after), &facts());

    let told = only(&plan);
    assert_eq!((told.ticks_before, told.ticks_after), (10_000, 10_000));
    assert!(told.is_cut);
    assert_eq!(told.lost.first(), Some(&(now() + TimeDelta::seconds(1))));
    assert!(told.gained.is_empty(), "beyond the bound nothing is known");
}

#[test]
fn many_schedules_are_left_out_and_said_to_be() {
    let many: String = (0..230)
        .map(|n| schedule(&format!("s{n}"), "0 0 1 1 *"))
        .collect();

    let plan = weigh(sides("", &many), &facts());

    assert_eq!(plan.schedules.len(), 200);
    assert!(
        plan.notes
            .iter()
            .any(|note| note.starts_with("30 more schedules")),
        "{}",
        json!(plan.notes)
    );
}
