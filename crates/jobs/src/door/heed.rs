//! What follows from how a call to a platform went: what the fleet is told of its quota, and whom it leaves alone. Pure.

use std::time::Duration;

use providers::platform::{CallRecord, Usage};
use queue::QuotaReport;

use crate::budget::SET_UP_PAUSE;

/// The pause after a refusal for want of quota that names none.
const UNNAMED_PAUSE: Duration = Duration::from_secs(60);

/// What the fleet is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Word {
    /// What the platform says of its quota.
    Quota(QuotaReport),
    /// What the budget is kept for is not to be called for so long.
    Pause(Duration, &'static str),
    /// The platform is not to be called for so long, for whatever account: it refuses our own set-up.
    PauseAll(Duration, &'static str),
}

/// What a call says of the platform itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// It answers, whatever it says.
    Answers,
    /// It does not, or says itself that it is in trouble.
    InTrouble,
}

pub(super) fn health(record: &CallRecord) -> Health {
    match record.class {
        Some("transient" | "timeout") => Health::InTrouble,
        _ => Health::Answers,
    }
}

/// What the fleet is told after a call; `opened`: for how long a circuit breaker has opened at it.
pub(super) fn words(record: &CallRecord, opened: Option<Duration>) -> Vec<Word> {
    let mut words = Vec::new();
    if record.usage != Usage::default() {
        words.push(Word::Quota(QuotaReport {
            used_share: record.usage.used_share,
            remaining: record.usage.remaining,
            resets_in: record.usage.resets_in,
        }));
    }
    match record.class {
        Some("rate_limited") => {
            let wait = record.usage.resets_in.unwrap_or(UNNAMED_PAUSE);
            words.push(Word::Pause(wait, "the provider asks for a pause"));
        }
        Some("config") => {
            let why = "the provider refuses our own set-up";
            words.push(Word::PauseAll(SET_UP_PAUSE, why));
        }
        _ => {}
    }
    words.extend(opened.map(|wait| Word::Pause(wait, "provider down")));
    words
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use providers::platform::Platform;

    use super::*;

    fn record(class: Option<&'static str>, usage: Usage) -> CallRecord {
        CallRecord {
            platform: Platform::Meta,
            endpoint: "GET act_{id}/campaigns",
            started_at: Utc::now(),
            took: Duration::from_millis(80),
            status: Some(200),
            class,
            request_id: None,
            usage,
        }
    }

    #[test]
    fn a_call_that_says_nothing_of_quotas_changes_nothing() {
        assert!(words(&record(None, Usage::default()), None).is_empty());
    }

    #[test]
    fn what_a_platform_says_of_its_quota_is_told_as_it_is() {
        let usage = Usage {
            used_share: Some(0.97),
            remaining: None,
            resets_in: Some(Duration::from_secs(300)),
        };

        let told = words(&record(None, usage), None);

        let report = QuotaReport {
            used_share: Some(0.97),
            remaining: None,
            resets_in: Some(Duration::from_secs(300)),
        };
        assert_eq!(told, [Word::Quota(report)]);
    }

    #[test]
    fn a_refusal_for_want_of_quota_pauses_for_what_the_platform_asks() {
        let usage = |resets_in| Usage {
            remaining: Some(0),
            resets_in,
            ..Usage::default()
        };
        let pause = |usage| words(&record(Some("rate_limited"), usage), None).pop();
        let why = "the provider asks for a pause";

        let named = Duration::from_secs(330);
        assert_eq!(pause(usage(Some(named))), Some(Word::Pause(named, why)));
        let unnamed = Word::Pause(Duration::from_secs(60), why);
        assert_eq!(pause(usage(None)), Some(unnamed));
    }

    #[test]
    fn our_own_wrong_set_up_pauses_the_platform_for_everybody() {
        let told = words(&record(Some("config"), Usage::default()), None);

        let minute = Duration::from_secs(60);
        let why = "the provider refuses our own set-up";
        assert_eq!(told, [Word::PauseAll(minute, why)]);
    }

    #[test]
    fn a_breaker_that_opens_shows_as_a_paused_budget() {
        let wait = Duration::from_secs(30);

        let told = words(&record(Some("timeout"), Usage::default()), Some(wait));

        assert_eq!(told, [Word::Pause(wait, "provider down")]);
    }

    #[test]
    fn only_what_is_no_answer_speaks_against_a_platform() {
        for class in ["transient", "timeout"] {
            let health = health(&record(Some(class), Usage::default()));
            assert_eq!(health, Health::InTrouble, "{class}");
        }
        for class in [
            "rate_limited",
            "auth_expired",
            "permission",
            "invalid",
            "too_large",
            "config",
        ] {
            let health = health(&record(Some(class), Usage::default()));
            assert_eq!(health, Health::Answers, "{class}");
        }
        assert_eq!(health(&record(None, Usage::default())), Health::Answers);
    }
}
