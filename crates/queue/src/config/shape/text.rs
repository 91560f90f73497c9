//! Texts: free ones with a check of their own, one of a few words, and names that must be known.

use serde_json::{Value, json};
use toml::{Spanned, de::DeValue};

use super::{Place, Shape};
use crate::config::{problem::Refusal, suggest::closest};

/// Longest text of any key.
const MAX_CHARS: usize = 2_000;

/// A text that a function checks.
pub(in crate::config) struct Text {
    /// What it is, with an example.
    pub(in crate::config) expected: &'static str,
    pub(in crate::config) check: fn(&str) -> Result<(), Refusal>,
}

impl Shape for Text {
    type Value = String;

    fn read(&self, found: &Spanned<DeValue<'_>>, place: &mut Place<'_>) -> Option<String> {
        let DeValue::String(text) = found.get_ref() else {
            return place.expected(self.expected, found);
        };
        if text.chars().count() > MAX_CHARS {
            let refusal = Refusal::new(format!("must have at most {MAX_CHARS} characters"));
            return place.refuse(found.span(), refusal);
        }
        match (self.check)(text) {
            Ok(()) => Some(text.to_string()),
            Err(refusal) => place.refuse(found.span(), refusal),
        }
    }

    fn show(&self, value: &String) -> Value {
        Value::from(value.as_str())
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "minLength": 1, "maxLength": MAX_CHARS })
    }
}

/// One of a few words, each with its meaning.
pub(in crate::config) struct Choice<T: 'static> {
    words: &'static [(&'static str, T)],
}

pub(in crate::config) fn choice<T: 'static>(words: &'static [(&'static str, T)]) -> Choice<T> {
    Choice { words }
}

impl<T: 'static> Choice<T> {
    fn words(&self) -> impl Iterator<Item = &'static str> {
        self.words.iter().map(|(word, _)| *word)
    }

    fn listed(&self) -> String {
        let quoted: Vec<String> = self.words().map(|word| format!("{word:?}")).collect();
        match quoted.as_slice() {
            [only] => only.clone(),
            several => format!("one of {}", several.join(", ")),
        }
    }
}

impl<T: Clone + PartialEq + 'static> Shape for Choice<T> {
    type Value = T;

    fn read(&self, found: &Spanned<DeValue<'_>>, place: &mut Place<'_>) -> Option<T> {
        let DeValue::String(text) = found.get_ref() else {
            return place.expected(self.listed(), found);
        };
        let text: &str = text;
        match self.words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Some(value.clone()),
            None => {
                let refusal = Refusal::new(format!("must be {}", self.listed()))
                    .suggesting(closest(text, self.words()));
                place.refuse(found.span(), refusal)
            }
        }
    }

    fn show(&self, value: &T) -> Value {
        let word = self.words.iter().find(|(_, meaning)| meaning == value);
        word.map(|(word, _)| *word).into()
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "enum": self.words().collect::<Vec<_>>() })
    }
}

/// The name of something that is built in or that the file declares elsewhere.
pub(in crate::config) struct Named<'n> {
    what: &'static str,
    known: &'n [&'n str],
}

pub(in crate::config) fn named<'n>(what: &'static str, known: &'n [&'n str]) -> Named<'n> {
    Named { what, known }
}

impl Shape for Named<'_> {
    type Value = String;

    fn read(&self, found: &Spanned<DeValue<'_>>, place: &mut Place<'_>) -> Option<String> {
        let DeValue::String(name) = found.get_ref() else {
            return place.expected(format!("the name of a {}", self.what), found);
        };
        let name: &str = name;
        if self.known.contains(&name) {
            return Some(name.to_owned());
        }
        let refusal = Refusal::new(format!("unknown {} {name:?}", self.what))
            .suggesting(closest(name, self.known.iter().copied()));
        place.refuse(found.span(), refusal)
    }

    fn show(&self, value: &String) -> Value {
        Value::from(value.as_str())
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "examples": self.known })
    }
}
