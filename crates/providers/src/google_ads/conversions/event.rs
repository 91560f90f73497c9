//! A conversion event in the two forms that Google takes.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use crate::{
    meta::conversions::{ActionSource, Allowed, Consent, Event, Refused, UserData},
    platform::{
        ConversionTarget, Outgoing, Via,
        conversion_event::{
            Report, custom_text, email_of_google, external_id, first, name, phone, region,
        },
    },
};

/// Oldest event, in days.
const OLDEST_DAYS: i64 = 90;
/// Most identifiers of a person: of Data Manager, and of uploads.
const MOST_IDENTIFIERS: usize = 10;
const MOST_UPLOADED_IDENTIFIERS: usize = 5;
const PLATFORM: &str = "google";
/// What is used of a person.
const USED: [&str; 9] = [
    "em", "ph", "fn", "ln", "country", "zp", "gclid", "gbraid", "wbraid",
];

/// The event as it is sent, with everything personal hashed that Google takes hashed.
pub(super) fn prepare(
    event: &Event,
    target: &ConversionTarget<'_>,
    now: DateTime<Utc>,
) -> Result<Outgoing, Refused> {
    let mut report = Report::default();
    let time = report.time(event, OLDEST_DAYS, now);
    report.unused(event, &["consent"], PLATFORM);
    let data = serde_json::to_value(&event.user_data).unwrap_or_default();
    report.unused_below(("user_data", data), &USED, PLATFORM);
    let custom = serde_json::to_value(&event.custom_data).unwrap_or_default();
    report.unused_below(("custom_data", custom), &["value", "currency"], PLATFORM);
    let money = report.money(event);
    let mut clicks = clicks(&event.user_data);
    let person = person(&event.user_data, &mut report);
    if clicks.is_empty() && person.is_empty() {
        report.refuse("/user_data", "has neither a click nor a person");
    }

    let id = event
        .event_id
        .clone()
        .or_else(|| custom_text(event, "order_id"));
    let mut body = Map::new();
    match target.via {
        Via::Standard => {
            body.insert("transactionId".to_owned(), json!(id));
            let at = time.to_rfc3339_opts(SecondsFormat::Secs, true);
            body.insert("eventTimestamp".to_owned(), json!(at));
            body.insert("eventSource".to_owned(), json!(source(event.action_source)));
            if let Some((value, currency)) = money {
                body.insert("conversionValue".to_owned(), Value::Number(value));
                body.insert("currency".to_owned(), json!(currency));
            }
            if !clicks.is_empty() {
                body.insert("adIdentifiers".to_owned(), Value::Object(clicks));
            }
            let identifiers = person.identifiers(MOST_IDENTIFIERS, &mut report);
            if !identifiers.is_empty() {
                let identifiers = json!({ "userIdentifiers": identifiers });
                body.insert("userData".to_owned(), identifiers);
            }
        }
        Via::Upload => {
            let action = format!(
                "customers/{}/conversionActions/{}",
                target.account, target.dataset
            );
            body.insert("conversionAction".to_owned(), json!(action));
            body.insert("orderId".to_owned(), json!(id));
            let at = time.format("%Y-%m-%d %H:%M:%S+00:00").to_string();
            body.insert("conversionDateTime".to_owned(), json!(at));
            if let Some((value, currency)) = money {
                body.insert("conversionValue".to_owned(), Value::Number(value));
                body.insert("currencyCode".to_owned(), json!(currency));
            }
            keep_one(&mut clicks, &mut report);
            body.append(&mut clicks);
            let identifiers = person.uploaded(&mut report);
            if !identifiers.is_empty() {
                body.insert("userIdentifiers".to_owned(), json!(identifiers));
            }
            if let Some(consent) = consent(event.consent, "") {
                body.insert("consent".to_owned(), consent);
            }
        }
    }
    let left_out = report.ended()?;
    Ok(Outgoing {
        body: Value::Object(body),
        group: match target.via {
            Via::Standard => group(event.consent),
            Via::Upload => "",
        },
        left_out,
    })
}

/// The clicks that are named; none is hashed or changed.
fn clicks(data: &UserData) -> Map<String, Value> {
    let given = [
        ("gclid", &data.gclid),
        ("gbraid", &data.gbraid),
        ("wbraid", &data.wbraid),
    ];
    given
        .into_iter()
        .filter_map(|(name, values)| {
            let value = first(values.as_ref())?;
            Some((name.to_owned(), Value::String(value)))
        })
        .collect()
}

/// Google documents that an upload names one click.
fn keep_one(clicks: &mut Map<String, Value>, report: &mut Report) {
    let mut is_kept = false;
    for name in ["gclid", "gbraid", "wbraid"] {
        if is_kept && clicks.remove(name).is_some() {
            report.leave_out(&format!("/user_data/{name}"), "google takes one click");
        }
        is_kept |= clicks.contains_key(name);
    }
}

/// Whom the event happened to, hashed.
struct Person {
    emails: Vec<String>,
    phones: Vec<String>,
    address: Option<Value>,
}

fn person(data: &UserData, report: &mut Report) -> Person {
    Person {
        emails: report.hashed("em", data.em.as_ref(), email_of_google),
        phones: report.hashed("ph", data.ph.as_ref(), phone),
        address: address(data, report),
    }
}

/// Google takes an address whole or not at all; its region and postal code are not hashed.
fn address(data: &UserData, report: &mut Report) -> Option<Value> {
    let given = report.hashed("fn", data.first_name.as_ref(), name);
    let family = report.hashed("ln", data.ln.as_ref(), name);
    let country = first(data.country.as_ref());
    let postal = first(data.zp.as_ref()).and_then(|text| external_id(&text));
    let code = country.as_deref().and_then(region);
    let parts = (given.first(), family.first(), code, postal);
    if let (Some(given), Some(family), Some(code), Some(postal)) = &parts {
        return Some(json!({
            "givenName": given,
            "familyName": family,
            "regionCode": code,
            "postalCode": postal,
        }));
    }
    let is_named = [
        ("fn", parts.0.is_some()),
        ("ln", parts.1.is_some()),
        ("country", country.is_some()),
        ("zp", parts.3.is_some()),
    ];
    for (name, _) in is_named.iter().filter(|(_, is_named)| *is_named) {
        report.leave_out(
            &format!("/user_data/{name}"),
            "google takes fn, ln, country by its code, and zp together alone",
        );
    }
    None
}

impl Person {
    fn is_empty(&self) -> bool {
        self.emails.is_empty() && self.phones.is_empty() && self.address.is_none()
    }

    /// As Data Manager takes them.
    fn identifiers(self, most: usize, report: &mut Report) -> Vec<Value> {
        let emails = self.emails.iter().map(|it| json!({ "emailAddress": it }));
        let phones = self.phones.iter().map(|it| json!({ "phoneNumber": it }));
        let address = self.address.map(|address| json!({ "address": address }));
        cut(emails.chain(phones).chain(address).collect(), most, report)
    }

    /// As uploads take them: mail addresses and phone numbers.
    fn uploaded(self, report: &mut Report) -> Vec<Value> {
        if self.address.is_some() {
            report.leave_out("/user_data/fn", "google takes no address with an upload");
        }
        let emails = self.emails.iter().map(|it| json!({ "hashedEmail": it }));
        let phones = self.phones.iter();
        let phones = phones.map(|it| json!({ "hashedPhoneNumber": it }));
        let all = emails.chain(phones).collect();
        cut(all, MOST_UPLOADED_IDENTIFIERS, report)
    }
}

fn cut(mut identifiers: Vec<Value>, most: usize, report: &mut Report) -> Vec<Value> {
    if identifiers.len() > most {
        let why = format!("google takes {most} identifiers of a person");
        report.leave_out("/user_data", &why);
        identifiers.truncate(most);
    }
    identifiers
}

fn source(source: ActionSource) -> &'static str {
    match source {
        ActionSource::Website => "WEB",
        ActionSource::App => "APP",
        ActionSource::PhysicalStore => "IN_STORE",
        ActionSource::PhoneCall => "PHONE",
        ActionSource::Email
        | ActionSource::Chat
        | ActionSource::SystemGenerated
        | ActionSource::BusinessMessaging
        | ActionSource::Other => "OTHER",
    }
}

/// Consent stands once in a request, so events of one request share it.
const CONSENTS: [(&str, Option<Allowed>, Option<Allowed>); 9] = [
    ("", None, None),
    ("data", Some(Allowed::Granted), None),
    ("no data", Some(Allowed::Denied), None),
    ("ads", None, Some(Allowed::Granted)),
    ("no ads", None, Some(Allowed::Denied)),
    ("data, ads", Some(Allowed::Granted), Some(Allowed::Granted)),
    (
        "data, no ads",
        Some(Allowed::Granted),
        Some(Allowed::Denied),
    ),
    (
        "no data, ads",
        Some(Allowed::Denied),
        Some(Allowed::Granted),
    ),
    (
        "no data, no ads",
        Some(Allowed::Denied),
        Some(Allowed::Denied),
    ),
];

fn group(consent: Option<Consent>) -> &'static str {
    let (data, ads) = consent.map_or((None, None), |it| (it.ad_user_data, it.ad_personalization));
    CONSENTS
        .iter()
        .find(|(_, of_data, of_ads)| (*of_data, *of_ads) == (data, ads))
        .map_or("", |(name, _, _)| name)
}

/// The consent that events of a group share, as Data Manager takes it.
pub(super) fn consent_of(group: &str) -> Option<Value> {
    let (_, ad_user_data, ad_personalization) =
        CONSENTS.iter().find(|(name, _, _)| *name == group)?;
    let consent = Consent {
        ad_user_data: *ad_user_data,
        ad_personalization: *ad_personalization,
    };
    self::consent(Some(consent), "CONSENT_")
}

fn consent(consent: Option<Consent>, prefix: &str) -> Option<Value> {
    let consent = consent?;
    let word = |allowed| match allowed {
        Allowed::Granted => format!("{prefix}GRANTED"),
        Allowed::Denied => format!("{prefix}DENIED"),
    };
    let told: Map<String, Value> = [
        ("adUserData", consent.ad_user_data.map(word)),
        ("adPersonalization", consent.ad_personalization.map(word)),
    ]
    .into_iter()
    .filter_map(|(name, word)| Some((name.to_owned(), Value::String(word?))))
    .collect();
    (!told.is_empty()).then_some(Value::Object(told))
}
