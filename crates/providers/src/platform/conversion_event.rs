//! What the platforms do alike with a conversion event: its age, its value, and the personal data in it, normalised by the
//! rules that each of them documents and then hashed. What Meta alone has stands in its folder.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Number, Value};
use sha2::{Digest, Sha256};

use crate::meta::conversions::{Allowed, Event, OneOrMany, Refused};

/// How far a sender's clock may be ahead of ours: such events happen "now".
const LARGEST_SKEW: TimeDelta = TimeDelta::minutes(5);
/// Unix seconds reach this in the year 5138, milliseconds reached it in 1973.
const FIRST_MILLISECONDS: i64 = 100_000_000_000;
/// Longest mail address there is.
const EMAIL_LIMIT: usize = 254;
/// Digits of an international phone number.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
/// Mail of these takes no notice of dots and of what follows a `+`.
const DOTLESS: [&str; 2] = ["gmail.com", "googlemail.com"];

/// What is found while an event is prepared.
#[derive(Default)]
pub(crate) struct Report {
    reasons: Vec<(String, String)>,
    pub(crate) left_out: Vec<String>,
    expired: bool,
}

impl Report {
    /// The event cannot be sent for this.
    pub(crate) fn refuse(&mut self, pointer: &str, message: impl Into<String>) {
        self.reasons.push((pointer.to_owned(), message.into()));
    }

    /// A member is not sent.
    pub(crate) fn leave_out(&mut self, pointer: &str, why: &str) {
        self.left_out.push(format!("{pointer}: {why}"));
    }

    /// What is left out, where nothing keeps the event from being sent.
    ///
    /// # Errors
    /// [`Refused`] otherwise.
    pub(crate) fn ended(self) -> Result<Vec<String>, Refused> {
        if self.reasons.is_empty() {
            return Ok(self.left_out);
        }
        Err(Refused {
            reasons: self.reasons,
            expired: self.expired,
        })
    }

    /// When the event happened, where that is not too long ago.
    pub(crate) fn time(
        &mut self,
        event: &Event,
        oldest_days: i64,
        now: DateTime<Utc>,
    ) -> DateTime<Utc> {
        let age = now.timestamp().saturating_sub(event.event_time);
        if event.event_time >= FIRST_MILLISECONDS {
            self.refuse(
                "/event_time",
                "must be Unix seconds; these look like milliseconds",
            );
        } else if age > TimeDelta::days(oldest_days).num_seconds() {
            self.expired = true;
            let message = format!("is more than {oldest_days} days ago: the event has expired");
            self.refuse("/event_time", message);
        } else if -age > LARGEST_SKEW.num_seconds() {
            self.refuse("/event_time", "lies in the future");
        }
        DateTime::from_timestamp(event.event_time, 0).map_or(now, |time| time.min(now))
    }

    /// Tells of the members of the event that a platform has no use for. Who does not allow that data about them is sent is
    /// sent to none that cannot be told so.
    pub(crate) fn unused(&mut self, event: &Event, used: &[&str], platform: &str) {
        let Ok(Value::Object(members)) = serde_json::to_value(event) else {
            return;
        };
        // What every platform makes something of, or what is looked at apart.
        let common = [
            "event_name",
            "event_time",
            "event_id",
            "action_source",
            "user_data",
            "custom_data",
        ];
        let others = members.iter().filter(|(name, value)| {
            !value.is_null() && !common.contains(&name.as_str()) && !used.contains(&name.as_str())
        });
        for (name, _) in others {
            self.leave_out(&format!("/{name}"), &no_use(platform));
        }
        let denied = event.consent.and_then(|consent| consent.ad_user_data);
        if denied == Some(Allowed::Denied) && !used.contains(&"consent") {
            let message = format!("is denied, which {platform} cannot be told: nothing is sent");
            self.refuse("/consent/ad_user_data", message);
        }
    }

    /// Tells of the members below `user_data` or `custom_data` that a platform has no use for.
    pub(crate) fn unused_below(
        &mut self,
        (name, members): (&str, Value),
        used: &[&str],
        platform: &str,
    ) {
        let Value::Object(members) = members else {
            return;
        };
        let others = members
            .iter()
            .filter(|(member, value)| !value.is_null() && !used.contains(&member.as_str()));
        for (member, _) in others {
            self.leave_out(&format!("/{name}/{member}"), &no_use(platform));
        }
    }

    /// The values of a member as a rule makes them; those that are hashed already as they are. What the rule does not take
    /// is left out, as are repeats and blanks.
    pub(crate) fn hashed(
        &mut self,
        name: &str,
        values: Option<&OneOrMany>,
        rule: fn(&str) -> Option<String>,
    ) -> Vec<String> {
        let mut hashes: Vec<String> = Vec::new();
        for (place, value) in values.into_iter().flat_map(OneOrMany::values) {
            let text = value.text();
            if text.trim().is_empty() {
                continue;
            }
            match hashed_already(&text).or_else(|| rule(&text).as_deref().map(sha256)) {
                Some(hash) if hashes.contains(&hash) => {}
                Some(hash) => hashes.push(hash),
                None => {
                    let pointer = match place {
                        Some(place) => format!("/user_data/{name}/{place}"),
                        None => format!("/user_data/{name}"),
                    };
                    self.leave_out(&pointer, "cannot be used");
                }
            }
        }
        hashes
    }

    /// The value and its currency, where there are both.
    pub(crate) fn money(&mut self, event: &Event) -> Option<(Number, String)> {
        let data = event.custom_data.as_ref();
        let given = |name: &str| {
            data.and_then(|data| data.get(name))
                .filter(|value| !value.is_null())
        };
        let (value, currency) = (given("value"), given("currency"));
        let number = value.and_then(number);
        let code = currency.and_then(Value::as_str).and_then(currency_code);
        if value.is_some() && number.is_none() {
            self.leave_out("/custom_data/value", "must be a number");
        }
        if currency.is_some() && code.is_none() {
            self.leave_out(
                "/custom_data/currency",
                "must be a currency's code of three letters",
            );
        }
        match (number, code) {
            (Some(number), Some(code)) => Some((number, code)),
            (Some(_), None) => {
                self.leave_out("/custom_data/value", "has no currency");
                None
            }
            (None, Some(_)) => {
                self.leave_out("/custom_data/currency", "has no value");
                None
            }
            (None, None) => None,
        }
    }
}

/// The first value of a member that is not blank, as it came.
pub(crate) fn first(values: Option<&OneOrMany>) -> Option<String> {
    let values = values?.values().into_iter();
    values
        .map(|(_, value)| value.text().trim().to_owned())
        .find(|text| !text.is_empty())
}

/// A member of `custom_data` that is text.
pub(crate) fn custom_text(event: &Event, name: &str) -> Option<String> {
    let value = event.custom_data.as_ref()?.get(name)?;
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// Trimmed, lower case. Dots and `+tags` stay: they tell mailboxes apart.
pub(crate) fn email(text: &str) -> Option<String> {
    let address = text.trim().to_lowercase();
    let (local, domain) = address.split_once('@')?;
    let is_address = !local.is_empty()
        && address.len() <= EMAIL_LIMIT
        && !domain.contains('@')
        && domain.contains('.')
        && domain.split('.').all(|label| !label.is_empty())
        && !address.contains(|c: char| c.is_whitespace() || c.is_control());
    is_address.then_some(address)
}

/// As [`email`]; Google documents that dots and `+tags` of its own mail go.
pub(crate) fn email_of_google(text: &str) -> Option<String> {
    let address = email(text)?;
    let (local, domain) = address.split_once('@')?;
    if !DOTLESS.contains(&domain) {
        return Some(address);
    }
    let local = local.split('+').next().unwrap_or_default().replace('.', "");
    (!local.is_empty()).then(|| format!("{local}@{domain}"))
}

/// E.164 with its `+`. Nothing is repaired: a number in national form stays one.
pub(crate) fn phone(text: &str) -> Option<String> {
    let text = text.trim();
    let is_foreign = |c: char| {
        c.is_alphabetic() || "#*,;".contains(c) || (c.is_numeric() && !c.is_ascii_digit())
    };
    if text.contains(is_foreign) || text.chars().skip(1).any(|c| c == '+') {
        return None;
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    PHONE_DIGITS
        .contains(&digits.len())
        .then(|| format!("+{digits}"))
}

/// Trimmed, lower case in every script; punctuation and inner blanks stay.
pub(crate) fn name(text: &str) -> Option<String> {
    let name = text.trim().to_lowercase();
    (!name.is_empty()).then_some(name)
}

/// Trimmed; case stays, since ids tell people apart by it.
pub(crate) fn external_id(text: &str) -> Option<String> {
    let id = text.trim();
    (!id.is_empty()).then(|| id.to_owned())
}

/// A country or region by its two letters in upper case. Never hashed.
pub(crate) fn region(text: &str) -> Option<String> {
    let code = text.trim().to_ascii_uppercase();
    let is_code = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    is_code.then_some(code)
}

/// Lower-case hex.
pub(crate) fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// A SHA-256 that was made before it came to us, in lower case.
fn hashed_already(text: &str) -> Option<String> {
    let text = text.trim();
    let is_hash = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| text.to_ascii_lowercase())
}

/// Numbers come as text from systems that keep money as decimals.
fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Number(number) => Some(number.clone()),
        Value::String(text) => serde_json::from_str(text.trim()).ok(),
        _ => None,
    }
}

fn currency_code(text: &str) -> Option<String> {
    let code = text.trim().to_ascii_uppercase();
    let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    is_code.then_some(code)
}

fn no_use(platform: &str) -> String {
    format!("{platform} has no use for it")
}

#[cfg(test)]
mod tests;
