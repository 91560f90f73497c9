//! The vectors of Google and of the other platforms, and what is left out.

use serde::Deserialize;
use serde_json::json;

use super::*;

const GOOGLE: &str = include_str!("../../../vectors/google_user_data_hashing.json");
const OTHERS: &str = include_str!("../../../vectors/cross_provider_hashing.json");

#[derive(Deserialize)]
struct Vectors<T> {
    vectors: Vec<T>,
}

#[derive(Deserialize)]
struct OfGoogle {
    id: String,
    field: String,
    input: String,
    hashed: bool,
    normalized: Option<String>,
    expected_hex: Option<String>,
}

#[derive(Deserialize)]
struct OfOthers {
    id: String,
    field: String,
    input: String,
    normalized: String,
    expected: String,
    provider: String,
}

fn read<T: for<'de> Deserialize<'de>>(text: &str) -> Vec<T> {
    let read: Vectors<T> = serde_json::from_str(text).expect("vectors");
    read.vectors
}

fn event(change: Value) -> Event {
    let mut event = json!({"event_name": "Purchase", "event_time": 1_763_640_000, "event_id": "order-1",
        "action_source": "website", "user_data": {}});
    let members = event.as_object_mut().expect("an object");
    members.extend(change.as_object().expect("an object").clone());
    serde_json::from_value(event).expect("an event")
}

fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_763_640_000, 0).expect("a time")
}

#[test]
fn mail_addresses_keep_what_tells_mailboxes_apart() {
    assert_eq!(
        email(" A.b+C@Example.org\n").as_deref(),
        Some("a.b+c@example.org")
    );
    for bad in [
        "", "@", "a@", "@b.c", "a@b", "a@b..c", "a@.c", "a b@c.d", "a@b@c.d", "a@b.c\0",
    ] {
        assert_eq!(email(bad), None, "{bad:?}");
    }
}

#[test]
fn every_vector_of_googles_is_met() {
    let vectors: Vec<OfGoogle> = read(GOOGLE);
    assert!(vectors.len() >= 23);
    for vector in vectors {
        let rule: fn(&str) -> Option<String> = match vector.field.as_str() {
            "email" => email_of_google,
            "phone" => phone,
            "given_name" | "family_name" => name,
            "region" => region,
            "postal" => external_id,
            other => panic!("no rule for {other}"),
        };

        let normalised = rule(&vector.input);

        assert_eq!(normalised, vector.normalized, "{}", vector.id);
        let sent = if vector.hashed {
            normalised.as_deref().map(sha256)
        } else {
            normalised
        };
        assert_eq!(sent, vector.expected_hex, "{}", vector.id);
    }
}

#[test]
fn every_vector_across_platforms_is_met() {
    let vectors: Vec<OfOthers> = read(OTHERS);
    assert!(vectors.len() >= 8);
    for vector in vectors {
        let rule: fn(&str) -> Option<String> = match vector.field.as_str() {
            "hashed_email" | "SHA256_EMAIL" | "email" => email,
            "hashed_phone_number" | "phone" | "hashedPhoneNumber" => phone,
            "external_id" => external_id,
            // Meta's own rule has its own vectors; it differs by the sign alone.
            "ph" => |text| phone(text).map(|phone| phone.trim_start_matches('+').to_owned()),
            other => panic!("no rule for {other}"),
        };

        let normalised = rule(&vector.input);

        let (id, provider) = (&vector.id, &vector.provider);
        assert_eq!(
            normalised.as_deref(),
            Some(vector.normalized.as_str()),
            "{id} {provider}"
        );
        assert_eq!(
            normalised.as_deref().map(sha256),
            Some(vector.expected),
            "{id} {provider}"
        );
    }
}

#[test]
fn a_value_that_is_hashed_already_is_not_hashed_again() {
    let hash = sha256("a@example.com").to_uppercase();
    let event = event(json!({"user_data": {"em": [hash, "A@example.com ", "", "none"]}}));
    let mut report = Report::default();

    let hashes = report.hashed("em", event.user_data.em.as_ref(), email);

    assert_eq!(hashes, [sha256("a@example.com")]);
    assert_eq!(report.left_out, ["/user_data/em/3: cannot be used"]);
}

#[test]
fn an_event_is_as_old_as_its_window_and_no_older() {
    let at = |event_time: i64, days: i64| {
        let mut report = Report::default();
        report.time(&event(json!({ "event_time": event_time })), days, noon());
        report.ended()
    };
    let now = noon().timestamp();
    let day = 86_400;

    assert!(at(now - 90 * day, 90).is_ok());
    let expired = at(now - 90 * day - 1, 90).expect_err("too old");
    assert!(expired.expired, "{expired}");
    assert!(at(now + 200, 7).is_ok());
    assert!(!at(now + 3_600, 7).expect_err("in the future").expired);
    assert!(!at(now * 1_000, 7).expect_err("milliseconds").expired);
}

#[test]
fn a_value_goes_with_its_currency_or_not_at_all() {
    let money = |custom_data| {
        let mut report = Report::default();
        let money = report.money(&event(json!({ "custom_data": custom_data })));
        (
            money.map(|(value, code)| format!("{value} {code}")),
            report.left_out,
        )
    };

    assert_eq!(
        money(json!({"value": "84.37", "currency": "usd"}))
            .0
            .as_deref(),
        Some("84.37 USD")
    );
    assert_eq!(
        money(json!({"value": 1})),
        (None, vec!["/custom_data/value: has no currency".to_owned()])
    );
    assert_eq!(
        money(json!({"currency": "euro"})).1,
        ["/custom_data/currency: must be a currency's code of three letters"]
    );
}

#[test]
fn members_without_a_use_are_told_without_their_values() {
    let event = event(json!({"opt_out": true, "event_source_url": "https://canary.example.com"}));
    let mut report = Report::default();

    report.unused(&event, &["event_source_url"], "linkedin");
    report.unused_below(
        ("user_data", json!({"ge": "canary", "em": null})),
        &[],
        "linkedin",
    );

    assert_eq!(
        report.left_out,
        [
            "/opt_out: linkedin has no use for it",
            "/user_data/ge: linkedin has no use for it"
        ]
    );
}

// Fails when data about somebody who does not allow it goes to a platform that has no word for that.
#[test]
fn who_does_not_allow_it_is_sent_to_nobody_who_cannot_be_told_so() {
    let refused = |consent: Value, used: &[&str]| {
        let mut report = Report::default();
        report.unused(&event(json!({ "consent": consent })), used, "linkedin");
        report.ended()
    };
    let denied = json!({"ad_user_data": "denied"});

    let told = refused(denied.clone(), &["consent"]);
    let untold = refused(denied, &[]).expect_err("nothing is sent");

    assert!(told.is_ok_and(|left_out| left_out.is_empty()));
    assert_eq!(untold.reasons[0].0, "/consent/ad_user_data");
    let granted = refused(json!({"ad_user_data": "granted"}), &[]);
    assert_eq!(
        granted.ok(),
        Some(vec!["/consent: linkedin has no use for it".to_owned()])
    );
}
