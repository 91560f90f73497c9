//! What a destination says of an event may quote what the event says of a person: that is taken out before anybody stores
//! or shows it. Mail addresses and secrets its client has taken out already.

use std::collections::BTreeSet;

use providers::{Detail, Error as ProviderError, platform::Receipt};
use serde_json::Value;

use super::Pending;

/// What stands in place of a word about a person; no longer than any of them.
const HIDDEN: &str = "***";
/// Fewest characters of a word that tells something of a person.
const SHORTEST: usize = 3;
/// Fewest digits of a number that may be told with other signs in it.
const FEWEST_DIGITS: usize = 7;
/// Members whose words name nobody, and stand in ordinary sentences.
const COMMON: [&str; 7] = [
    "client_user_agent",
    "country",
    "dobd",
    "dobm",
    "doby",
    "ge",
    "st",
];

/// The words by which events name people, in lower case.
#[derive(Default)]
pub(super) struct People(BTreeSet<String>);

impl People {
    pub(super) fn of(events: &[Pending]) -> Self {
        let mut people = Self::default();
        for pending in events {
            let Ok(Value::Object(members)) = serde_json::to_value(&pending.event.user_data) else {
                continue;
            };
            let telling = members
                .iter()
                .filter(|(name, _)| !COMMON.contains(&name.as_str()));
            for (_, value) in telling {
                people.learn(value);
            }
        }
        people
    }

    /// What a destination answered, without people.
    pub(super) fn out_of(
        &self,
        answer: Result<Receipt, ProviderError>,
    ) -> Result<Receipt, ProviderError> {
        match answer {
            Ok(mut receipt) => {
                for message in &mut receipt.messages {
                    *message = self.hidden_in(message);
                }
                Ok(receipt)
            }
            Err(mut error) => {
                let detail = detail_of(&mut error);
                detail.message = self.hidden_in(&detail.message);
                Err(error)
            }
        }
    }

    fn learn(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.learn_text(text),
            Value::Number(number) => self.learn_text(&number.to_string()),
            Value::Array(values) => {
                for value in values {
                    self.learn(value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Object(_) => {}
        }
    }

    fn learn_text(&mut self, text: &str) {
        if text.contains('@') {
            return;
        }
        let text = text.to_lowercase();
        let words = text.split(ends_word).map(bare);
        let telling = words.filter(|word| word.chars().count() >= SHORTEST);
        self.0.extend(telling.map(str::to_owned));
        self.0.extend(number(&text));
    }

    fn hidden_in(&self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        for piece in text.split_inclusive(ends_word) {
            let word = piece.trim_end_matches(ends_word);
            shown.push_str(if self.is_told_by(word) { HIDDEN } else { word });
            shown.push_str(&piece[word.len()..]);
        }
        shown
    }

    fn is_told_by(&self, word: &str) -> bool {
        let word = bare(word);
        let is_hash = word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hash
            || self.0.contains(&word.to_lowercase())
            || number(word).is_some_and(|digits| self.0.contains(&digits))
    }
}

/// Whether a destination said anything.
pub(super) fn has_words(answer: &Result<Receipt, ProviderError>) -> bool {
    match answer {
        Ok(receipt) => !receipt.messages.is_empty(),
        Err(_) => true,
    }
}

fn ends_word(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "\"'`<>(){}[],;:=/".contains(c)
}

/// A word without the end of its sentence.
fn bare(word: &str) -> &str {
    word.trim_end_matches('.')
}

/// The digits of what may be the number of a phone.
fn number(text: &str) -> Option<String> {
    if text.contains(char::is_alphabetic) {
        return None;
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    (digits.len() >= FEWEST_DIGITS).then_some(digits)
}

fn detail_of(error: &mut ProviderError) -> &mut Detail {
    match error {
        ProviderError::RateLimited { detail, .. }
        | ProviderError::Postponed { detail, .. }
        | ProviderError::AuthExpired { detail }
        | ProviderError::Permission { detail }
        | ProviderError::Rejected { detail }
        | ProviderError::TooLarge { detail }
        | ProviderError::Config { detail }
        | ProviderError::Unavailable { detail, .. }
        | ProviderError::TimedOut { detail, .. } => detail,
    }
}

#[cfg(test)]
mod tests {
    use queue::JobId;
    use serde_json::json;

    use super::*;

    fn people(user_data: Value) -> People {
        let event = json!({"event_name": "Lead", "event_time": 1, "action_source": "other", "user_data": user_data});
        People::of(&[Pending {
            job: JobId::new(),
            event_id: "a".to_owned(),
            event: serde_json::from_value(event).expect("an event"),
        }])
    }

    // Fails when what a destination quotes of a person is stored, shown or told.
    #[test]
    fn what_is_quoted_of_a_person_is_hidden_and_the_rest_is_not() {
        let people = people(json!({
            "fn": "Anne Marie", "ln": ["O'Neil"], "ph": "+1 (650) 555-0100", "client_ip_address": "203.0.113.7",
            "zp": 94_043, "client_user_agent": "Mozilla/5.0 is bad", "country": "us", "st": "bad",
        }));
        let hash = format!("emailAddress={} is bad", "ab".repeat(32));

        let hidden = [
            "firstName \"Marie\" is bad",
            "ANNE: lastName O'Neil is bad",
            "+16505550100 is bad",
            "number 1 (650) 555-0100",
            "203.0.113.7 and 94043.",
            hash.as_str(),
        ]
        .map(|text| people.hidden_in(text));

        assert_eq!(
            hidden,
            [
                "firstName \"***\" is bad",
                "***: lastName O'*** is bad",
                "*** is bad",
                "number 1 (***) ***",
                "*** and ***",
                "emailAddress=*** is bad",
            ]
        );
    }

    #[test]
    fn every_text_of_an_answer_is_looked_at() {
        let people = people(json!({ "ln": "Lovelace" }));
        let detail = Detail {
            message: "Lovelace is bad".to_owned(),
            ..Detail::default()
        };
        let receipt = Receipt {
            messages: vec!["Lovelace is odd".to_owned()],
            ..Receipt::default()
        };

        let refused = people.out_of(Err(ProviderError::Rejected { detail }));
        let taken = people.out_of(Ok(receipt));

        assert_eq!(refused.expect_err("refused").detail().message, "*** is bad");
        assert_eq!(taken.expect("taken").messages, ["*** is odd"]);
        assert!(!has_words(&Ok(Receipt::default())));
    }
}
