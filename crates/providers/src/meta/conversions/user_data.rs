//! What becomes of each member of `user_data`: hashed, kept as it is, or left out. Also which members together are too
//! weak to find anybody by.

use chrono::NaiveDate;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{
    event::{OneOrMany, Scalar, UserData},
    normalise::{
        city, country, date_of_birth, gender, hashed_already, phone, postal_code, state,
        two_digits, year,
    },
};
use crate::platform::conversion_event::{email, external_id, name};

/// Members of which any number together find nobody: Meta refuses events with nothing else.
const WEAK_TOGETHER: [&[&str]; 4] = [
    &["ct", "country", "st", "zp", "ge", "client_user_agent"],
    &["db", "doby", "dobm", "dobd", "client_user_agent"],
    &["fn", "ge"],
    &["ln", "ge"],
];

/// What the rules of some members depend on.
struct Context {
    country: Option<String>,
    today: NaiveDate,
}

/// What is done with a member's values.
enum Rule {
    /// Normalised and hashed, unless hashed already; the text says what a value that is left out is not.
    Hash(fn(&str, &Context) -> Option<String>, &'static str),
    /// Never hashed, never changed, a single value; the function says whether it can be used.
    Keep(fn(&str) -> bool, &'static str),
}

struct Member<'a> {
    name: &'static str,
    values: Option<&'a OneOrMany>,
    rule: Rule,
}

/// The members as they are sent. What is left out is told in `left_out` as a JSON Pointer into the event and a reason,
/// never with the value.
pub(super) fn to_send(
    data: &UserData,
    today: NaiveDate,
    left_out: &mut Vec<String>,
) -> Map<String, Value> {
    let context = Context {
        country: data.country.as_ref().and_then(known_country),
        today,
    };
    let mut sent = Map::new();
    for member in hashed_members(data).into_iter().chain(kept_members(data)) {
        let Some(values) = member.values else {
            continue;
        };
        let value = match member.rule {
            Rule::Hash(rule, not_a) => hashed(
                values,
                |text| rule(text, &context),
                |place| {
                    left_out.push(told(member.name, place, not_a));
                },
            ),
            Rule::Keep(is_usable, not_a) => kept(values, is_usable, |place, why| {
                left_out.push(told(member.name, place, why.unwrap_or(not_a)));
            }),
        };
        if let Some(value) = value {
            sent.insert(member.name.to_owned(), value);
        }
    }
    sent
}

/// Whether nobody can be found by these members.
pub(super) fn is_too_weak(sent: &Map<String, Value>) -> bool {
    WEAK_TOGETHER
        .iter()
        .any(|weak| sent.keys().all(|name| weak.contains(&name.as_str())))
}

/// All hashes of a member, each once.
fn hashed(
    values: &OneOrMany,
    rule: impl Fn(&str) -> Option<String>,
    mut leave_out: impl FnMut(Option<usize>),
) -> Option<Value> {
    let mut hashes: Vec<String> = Vec::new();
    for (place, value) in values.values() {
        let text = value.text();
        if is_blank(&text) {
            continue;
        }
        let hash = hashed_already(&text)
            .or_else(|| rule(&text).map(|text| hex::encode(Sha256::digest(text))));
        match hash {
            Some(hash) if hashes.contains(&hash) => {}
            Some(hash) => hashes.push(hash),
            None => leave_out(place),
        }
    }
    (!hashes.is_empty()).then(|| Value::from(hashes))
}

/// The first usable value of a member; Meta takes one.
fn kept(
    values: &OneOrMany,
    is_usable: fn(&str) -> bool,
    mut leave_out: impl FnMut(Option<usize>, Option<&'static str>),
) -> Option<Value> {
    let mut kept = None;
    for (place, value) in values.values() {
        let text = value.text();
        if is_blank(&text) {
            continue;
        }
        if kept.is_some() {
            leave_out(place, Some("Meta takes one value"));
        } else if is_usable(&text) {
            kept = Some(match value {
                Scalar::Text(text) => Value::from(text.as_str()),
                Scalar::Number(number) => Value::from(*number),
            });
        } else {
            leave_out(place, None);
        }
    }
    kept
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn told(name: &str, place: Option<usize>, why: &str) -> String {
    match place {
        Some(place) => format!("/user_data/{name}/{place}: {why}"),
        None => format!("/user_data/{name}: {why}"),
    }
}

/// The country that states and postal codes are read by, if the event names one that is not hashed.
fn known_country(values: &OneOrMany) -> Option<String> {
    values
        .values()
        .into_iter()
        .find_map(|(_, value)| country(&value.text()))
}

fn is_ip_address(text: &str) -> bool {
    text.trim().parse::<std::net::IpAddr>().is_ok()
}

fn hash<'a>(
    name: &'static str,
    values: &'a Option<OneOrMany>,
    rule: fn(&str, &Context) -> Option<String>,
    not_a: &'static str,
) -> Member<'a> {
    Member {
        name,
        values: values.as_ref(),
        rule: Rule::Hash(rule, not_a),
    }
}

fn keep<'a>(name: &'static str, values: &'a Option<OneOrMany>) -> Member<'a> {
    Member {
        name,
        values: values.as_ref(),
        rule: Rule::Keep(|_| true, "cannot be used"),
    }
}

/// The one table of what is hashed.
fn hashed_members(data: &UserData) -> [Member<'_>; 14] {
    [
        hash("em", &data.em, |text, _| email(text), "no mail address"),
        hash("ph", &data.ph, |text, _| phone(text), "no phone number"),
        hash("fn", &data.first_name, |text, _| name(text), "no name"),
        hash("ln", &data.ln, |text, _| name(text), "no name"),
        hash("ge", &data.ge, |text, _| gender(text), "neither f nor m"),
        hash(
            "db",
            &data.db,
            |text, c| date_of_birth(text, c.today),
            "no date of birth",
        ),
        hash(
            "doby",
            &data.doby,
            |text, c| year(text, c.today),
            "no year of birth",
        ),
        hash(
            "dobm",
            &data.dobm,
            |text, _| two_digits(text, 12),
            "no month",
        ),
        hash("dobd", &data.dobd, |text, _| two_digits(text, 31), "no day"),
        hash("ct", &data.ct, |text, _| city(text), "no city"),
        hash(
            "st",
            &data.st,
            |text, c| state(text, c.country.as_deref()),
            "no state",
        ),
        hash(
            "zp",
            &data.zp,
            |text, c| postal_code(text, c.country.as_deref()),
            "no postal code",
        ),
        hash(
            "country",
            &data.country,
            |text, _| country(text),
            "no known country",
        ),
        hash(
            "external_id",
            &data.external_id,
            |text, _| external_id(text),
            "no id",
        ),
    ]
}

/// The one table of what is sent as it is.
fn kept_members(data: &UserData) -> [Member<'_>; 14] {
    [
        Member {
            name: "client_ip_address",
            values: data.client_ip_address.as_ref(),
            rule: Rule::Keep(is_ip_address, "no address of the internet protocol"),
        },
        keep("client_user_agent", &data.client_user_agent),
        keep("fbc", &data.fbc),
        keep("fbp", &data.fbp),
        keep("subscription_id", &data.subscription_id),
        keep("fb_login_id", &data.fb_login_id),
        keep("lead_id", &data.lead_id),
        keep("anon_id", &data.anon_id),
        keep("madid", &data.madid),
        keep("page_id", &data.page_id),
        keep("page_scoped_user_id", &data.page_scoped_user_id),
        keep("ctwa_clid", &data.ctwa_clid),
        keep("ig_account_id", &data.ig_account_id),
        keep("ig_sid", &data.ig_sid),
    ]
}
