//! Meta's words for the states of things, and what they are here.

use serde_json::Value;

use crate::platform::{EntityStatus, EntityType, StatusRule, members};

/// States of campaigns, ad sets, ads, creatives and lead forms.
const WORDS: [StatusRule; 14] = [
    ("ACTIVE", EntityStatus::Active),
    ("PAUSED", EntityStatus::Paused),
    ("CAMPAIGN_PAUSED", EntityStatus::Paused),
    ("ADSET_PAUSED", EntityStatus::Paused),
    ("DRAFT", EntityStatus::Pending),
    ("IN_PROCESS", EntityStatus::Pending),
    ("PENDING_REVIEW", EntityStatus::Pending),
    ("PREAPPROVED", EntityStatus::Pending),
    ("PENDING_BILLING_INFO", EntityStatus::Pending),
    ("WITH_ISSUES", EntityStatus::Rejected),
    ("DISAPPROVED", EntityStatus::Rejected),
    ("ARCHIVED", EntityStatus::Archived),
    ("DELETED", EntityStatus::Deleted),
    ("UNAVAILABLE", EntityStatus::Rejected),
];

/// States of ad accounts, which Meta tells by number.
const ACCOUNTS: [(i64, StatusRule); 10] = [
    (1, ("ACTIVE", EntityStatus::Active)),
    (2, ("DISABLED", EntityStatus::Rejected)),
    (3, ("UNSETTLED", EntityStatus::Rejected)),
    (7, ("PENDING_RISK_REVIEW", EntityStatus::Pending)),
    (8, ("PENDING_SETTLEMENT", EntityStatus::Pending)),
    (9, ("IN_GRACE_PERIOD", EntityStatus::Active)),
    (100, ("PENDING_CLOSURE", EntityStatus::Ended)),
    (101, ("CLOSED", EntityStatus::Ended)),
    (201, ("ANY_ACTIVE", EntityStatus::Active)),
    (202, ("ANY_CLOSED", EntityStatus::Ended)),
];

/// What Meta says of an audience that can be used, of one that is too small, and of one that is being made.
const AUDIENCE_READY: i64 = 200;
const AUDIENCE_TOO_SMALL: i64 = 300;
const AUDIENCE_IN_THE_MAKING: [i64; 2] = [414, 441];

/// The state of something that an account holds, and Meta's word for it. What becomes of a thing goes before what somebody
/// set it to.
pub(super) fn of_entity(kind: EntityType, raw: &Value) -> (String, EntityStatus) {
    let word = match kind {
        EntityType::Audience => return of_audience(raw),
        // They have no state: what is listed is there.
        EntityType::Page | EntityType::InstagramAccount => {
            return (String::new(), EntityStatus::Active);
        }
        EntityType::Pixel => match raw.get("is_unavailable").and_then(Value::as_bool) {
            Some(true) => "UNAVAILABLE",
            Some(false) | None => "ACTIVE",
        },
        EntityType::Campaign
        | EntityType::AdSet
        | EntityType::Ad
        | EntityType::Creative
        | EntityType::LeadForm => members::text(raw, "effective_status")
            .or_else(|| members::text(raw, "status"))
            .unwrap_or_default(),
    };
    (word.to_owned(), meaning(word))
}

/// The state of an ad account, and Meta's word for it: its number where this release does not know it.
pub(super) fn of_account(raw: &Value) -> (String, EntityStatus) {
    let number = raw.get("account_status").and_then(members::integer);
    let known = ACCOUNTS.iter().find(|(known, _)| Some(*known) == number);
    match known {
        Some((_, (word, status))) => ((*word).to_owned(), *status),
        None => {
            let word = number.map(|number| number.to_string());
            (word.unwrap_or_default(), EntityStatus::Unknown)
        }
    }
}

fn meaning(word: &str) -> EntityStatus {
    let known = WORDS.iter().find(|(known, _)| *known == word);
    known.map_or(EntityStatus::Unknown, |(_, status)| *status)
}

/// An audience has two states, each a number with a sentence: whether it can be used, and what is being done to it.
fn of_audience(raw: &Value) -> (String, EntityStatus) {
    let code = |name| raw.get(name)?.get("code").and_then(members::integer);
    let (delivery, operation) = (code("delivery_status"), code("operation_status"));
    let status = match (delivery, operation) {
        (_, Some(doing)) if AUDIENCE_IN_THE_MAKING.contains(&doing) => EntityStatus::Pending,
        (Some(AUDIENCE_READY), _) => EntityStatus::Active,
        (Some(AUDIENCE_TOO_SMALL), _) => EntityStatus::Rejected,
        _ => EntityStatus::Unknown,
    };
    let word = delivery.map(|code| code.to_string());
    (word.unwrap_or_default(), status)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_becomes_of_a_thing_goes_before_what_it_was_set_to() {
        let ad = json!({"status": "ACTIVE", "effective_status": "CAMPAIGN_PAUSED"});

        assert_eq!(
            of_entity(EntityType::Ad, &ad),
            ("CAMPAIGN_PAUSED".to_owned(), EntityStatus::Paused)
        );
        assert_eq!(
            of_entity(EntityType::Creative, &json!({"status": "WITH_ISSUES"})).1,
            EntityStatus::Rejected
        );
    }

    #[test]
    fn a_word_that_is_not_known_is_kept_as_it_is() {
        let campaign = json!({"effective_status": "DREAMING"});

        assert_eq!(
            of_entity(EntityType::Campaign, &campaign),
            ("DREAMING".to_owned(), EntityStatus::Unknown)
        );
        assert_eq!(
            of_account(&json!({"account_status": 77})),
            ("77".to_owned(), EntityStatus::Unknown)
        );
        assert_eq!(
            of_account(&json!({})),
            (String::new(), EntityStatus::Unknown)
        );
    }

    #[test]
    fn every_number_of_an_account_has_its_word() {
        for (number, (word, status)) in ACCOUNTS {
            let told = of_account(&json!({"account_status": number}));

            assert_eq!(told, (word.to_owned(), status));
        }
        assert_eq!(of_account(&json!({"account_status": "2"})).0, "DISABLED");
    }

    #[test]
    fn what_has_no_word_of_its_own_is_told_by_what_there_is() {
        let of = |kind, raw: Value| of_entity(kind, &raw).1;
        let audience = |delivery: i64, operation: i64| json!({"delivery_status": {"code": delivery}, "operation_status": {"code": operation}});

        assert_eq!(
            of(EntityType::Pixel, json!({"is_unavailable": true})),
            EntityStatus::Rejected
        );
        assert_eq!(of(EntityType::Pixel, json!({})), EntityStatus::Active);
        assert_eq!(of(EntityType::Page, json!({})), EntityStatus::Active);
        assert_eq!(
            of(EntityType::Audience, audience(200, 200)),
            EntityStatus::Active
        );
        assert_eq!(
            of(EntityType::Audience, audience(300, 441)),
            EntityStatus::Pending
        );
        assert_eq!(
            of(EntityType::Audience, audience(300, 200)),
            EntityStatus::Rejected
        );
        assert_eq!(of(EntityType::Audience, json!({})), EntityStatus::Unknown);
    }
}
