//! Run-time overrides: values that somebody set for a time. They are laid over the file's document, so that the very
//! reader that checks the file checks them too, with the same words.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Config, Parsed, Problem,
    document::{self, Lines},
    problem::{Origin, Refusal},
    section::{Findings, Reader, join},
    suggest::closest,
};

/// Longest name of a key.
const MAX_KEY_CHARS: usize = 300;
/// Longest value, as TOML writes it.
const MAX_VALUE_BYTES: usize = 16 * 1024;

/// A value that somebody set for a time, over whatever the file says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Override {
    /// Its full name, as [`canonical_key`] writes it.
    pub key: String,
    /// The value, in the words of the file.
    pub value: Value,
    /// Who set it.
    pub author: String,
    /// Why.
    pub reason: Option<String>,
    /// When it was set.
    pub created_at: DateTime<Utc>,
    /// When it ends by itself.
    pub until: DateTime<Utc>,
}

/// An override that does not fit the text any more: it has no effect.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ignored {
    /// The override.
    #[serde(flatten)]
    pub setting: Override,
    /// Why it has no effect.
    pub problem: String,
}

/// A configuration, and what became of the overrides over its text.
#[derive(Debug, Clone)]
pub struct Layered {
    /// What holds.
    pub config: Config,
    /// Keys of the text that are right but have no effect yet.
    pub warnings: Vec<Problem>,
    /// The overrides that hold.
    pub overrides: Vec<Override>,
    /// Those that do not fit.
    pub ignored: Vec<Ignored>,
}

/// Why an override is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct OverrideProblem {
    /// Whether its key is at fault; else its value is.
    pub is_in_key: bool,
    /// What is wrong, and what was probably meant.
    pub message: String,
}

impl OverrideProblem {
    fn key(message: impl Into<String>) -> Self {
        Self {
            is_in_key: true,
            message: message.into(),
        }
    }

    fn value(message: impl Into<String>) -> Self {
        Self {
            is_in_key: false,
            message: message.into(),
        }
    }

    fn suggesting(mut self, suggestion: Option<String>) -> Self {
        if let Some(suggestion) = suggestion {
            self.message
                .push_str(&format!("; did you mean \"{suggestion}\"?"));
        }
        self
    }
}

/// The one way to write the name of a key: `queues.sync.concurrency`, `kinds."email.send".timeout`.
///
/// # Errors
/// When the text is no name of a key.
pub fn canonical_key(key: &str) -> Result<String, OverrideProblem> {
    Ok(canonical(&path_of(key)?))
}

/// A value as a person types it at the command line: as TOML writes it, and as a text where it is no TOML, since shells
/// take the quotes away.
#[must_use]
pub fn typed_value(text: &str) -> Value {
    let as_text = || Value::from(text);
    if text.contains(char::is_control) {
        return as_text();
    }
    let typed = toml::from_str::<toml::Table>(&format!("value = {text}"));
    let value = typed.ok().and_then(|mut table| table.remove("value"));
    match value {
        // A time has no form of its own in JSON, and no key takes one.
        None | Some(toml::Value::Datetime(_)) => as_text(),
        Some(value) => serde_json::to_value(value).unwrap_or_else(|_| as_text()),
    }
}

fn canonical(path: &[String]) -> String {
    path.iter()
        .fold(String::new(), |path, name| join(&path, name))
}

fn path_of(key: &str) -> Result<Vec<String>, OverrideProblem> {
    let malformed = || {
        OverrideProblem::key(
            "is no key such as queues.sync.concurrency or kinds.\"email.send\".timeout",
        )
    };
    let is_unlike_a_key = |c: char| c.is_control() || "=#[]{},".contains(c);
    if key.chars().count() > MAX_KEY_CHARS || key.contains(is_unlike_a_key) {
        return Err(malformed());
    }

    let text = format!("{key} = 0");
    let mut table = document::parse(&text, &Lines::of(&text)).map_err(|_| malformed())?;
    let mut path = Vec::new();
    loop {
        let mut entries = table.into_iter();
        let (Some((name, value)), None) = (entries.next(), entries.next()) else {
            return Err(malformed());
        };
        path.push(name.into_inner().into_owned());
        match value.into_inner() {
            DeValue::Table(inner) => table = inner,
            _ => return Ok(path),
        }
    }
}

impl Config {
    /// Reads a text with overrides over it. One that does not fit is left out, and never stands in the way of the text.
    ///
    /// # Errors
    /// Everything that is wrong with the text itself.
    pub fn layered(
        text: &str,
        overrides: &[Override],
        registered: &[&str],
    ) -> Result<Layered, Vec<Problem>> {
        let Parsed { config, warnings } = Self::parse(text, registered)?;
        let mut layered = Layered {
            config,
            warnings,
            overrides: Vec::new(),
            ignored: Vec::new(),
        };
        if overrides.is_empty() {
            return Ok(layered);
        }

        let base = layered.config.clone();
        if let Ok(config) = base.under(text, overrides, registered) {
            layered.config = config;
            layered.overrides = overrides.to_vec();
            return Ok(layered);
        }
        // Some do not fit. Which ones is found out one by one, those that were set first before the others.
        for setting in overrides {
            let mut tried = layered.overrides.clone();
            tried.push(setting.clone());
            match base.under(text, &tried, registered) {
                Ok(config) => (layered.config, layered.overrides) = (config, tried),
                Err(problem) => layered.ignored.push(Ignored {
                    setting: setting.clone(),
                    problem: problem.message,
                }),
            }
        }
        Ok(layered)
    }

    /// Whether one more override fits a text and those that hold already; one with the same key gives way to it.
    ///
    /// # Errors
    /// [`OverrideProblem`] when it does not; the problems of the text when that is wrong by itself.
    pub fn check_override(
        text: &str,
        holding: &[Override],
        setting: &Override,
        registered: &[&str],
    ) -> Result<Result<(), OverrideProblem>, Vec<Problem>> {
        let others: Vec<Override> = holding
            .iter()
            .filter(|other| other.key != setting.key)
            .cloned()
            .collect();
        let mut overrides = Self::layered(text, &others, registered)?.overrides;
        let base = Self::parse(text, registered)?.config;
        overrides.push(setting.clone());
        Ok(base.under(text, &overrides, registered).map(|_| ()))
    }

    /// What holds with these overrides over the text, of which this configuration was read; else the first problem.
    fn under(
        &self,
        text: &str,
        overrides: &[Override],
        registered: &[&str],
    ) -> Result<Self, OverrideProblem> {
        let paths = overrides
            .iter()
            .map(|setting| path_of(&setting.key))
            .collect::<Result<Vec<_>, _>>()?;
        let layer = Layer::write(text.len(), overrides)?;
        let lines = Lines::of(text);
        let mut document = document::parse(text, &lines).map_err(|problems| beside(&problems))?;
        let above = document::syntax(&layer.text, &lines)
            .map_err(|_| OverrideProblem::key("cannot be set beside the other overrides"))?;
        for path in &paths {
            lay(&mut document, &above, path)?;
        }

        let reader = Reader::new(lines).over(layer.places);
        let (config, findings) = Self::read(reader, Some(&document), registered);
        first_problem(&findings)?;
        for path in &paths {
            self.takes(&config, path)?;
        }
        Ok(config)
    }

    /// Whether an override sets one value, in a section that is there without it.
    fn takes(&self, above: &Self, path: &[String]) -> Result<(), OverrideProblem> {
        let key = canonical(path);
        let set = above.effective.iter().find(|value| value.key == key);
        let Some(set) = set else {
            return Err(OverrideProblem::key(format!(
                "{key} is a section or a part of a value: name one of its keys"
            )));
        };
        if set.restart {
            return Err(OverrideProblem::key(format!(
                "{key} takes effect after a restart: change it in jobs.toml"
            )));
        }
        let section = canonical(path.get(..path.len().saturating_sub(1)).unwrap_or_default());
        let prefix = format!("{section}.");
        let is_there = |key: &str| section.is_empty() || key.starts_with(&prefix);
        if self.effective.iter().any(|value| is_there(&value.key)) {
            return Ok(());
        }
        let nearest = match path {
            [first, name, ..] if first == "queues" => {
                closest(name, self.queues.keys().map(String::as_str))
            }
            _ => None,
        };
        Err(
            OverrideProblem::key(format!("there is no [{section}] that it could override"))
                .suggesting(nearest),
        )
    }
}

/// What is wrong with the first override that is at fault, or with the file under it.
fn first_problem(findings: &Findings) -> Result<(), OverrideProblem> {
    if let Some(Misfit { is_in_key, refusal }) = findings.misfits.first() {
        let problem = OverrideProblem {
            is_in_key: *is_in_key,
            message: refusal.message.clone(),
        };
        return Err(problem.suggesting(refusal.suggestion.clone()));
    }
    if findings.problems.is_empty() {
        return Ok(());
    }
    Err(beside(&findings.problems))
}

fn beside(problems: &[Problem]) -> OverrideProblem {
    let first = problems
        .first()
        .map_or_else(String::new, ToString::to_string);
    OverrideProblem::value(format!("does not go together with the file: {first}"))
}

/// Lays the value at a path of the upper document over the lower one.
fn lay<'d>(
    lower: &mut DeTable<'d>,
    upper: &DeTable<'d>,
    path: &[String],
) -> Result<(), OverrideProblem> {
    let Some((name, below)) = path.split_first() else {
        return Ok(());
    };
    let Some((key, value)) = upper.get_key_value(name.as_str()) else {
        return Ok(());
    };
    if below.is_empty() {
        // Taken out first: a map keeps the key that it has, and with it the place in the file.
        lower.remove(name.as_str());
        lower.insert(key.clone(), value.clone());
        return Ok(());
    }
    if !lower.contains_key(name.as_str()) {
        let section = Spanned::new(key.span(), DeValue::Table(DeTable::new()));
        lower.insert(key.clone(), section);
    }
    let inner: Option<&mut Spanned<DeValue<'d>>> = lower.get_mut(name.as_str());
    match (inner.map(Spanned::get_mut), value.get_ref()) {
        (Some(DeValue::Table(lower)), DeValue::Table(upper)) => lay(lower, upper, below),
        _ => Err(OverrideProblem::key(format!("{name} is no section"))),
    }
}

/// The overrides as a document of their own. It begins with as many blanks as the file has bytes, so that one offset
/// tells which of both texts is meant.
struct Layer {
    text: String,
    places: Places,
}

impl Layer {
    fn write(file_bytes: usize, overrides: &[Override]) -> Result<Self, OverrideProblem> {
        let mut text = " ".repeat(file_bytes + 1);
        let mut places = Vec::with_capacity(overrides.len());
        for setting in overrides {
            let value = as_toml(&setting.value)?;
            let starts = text.len();
            text.push_str(&setting.key);
            text.push_str(" = ");
            places.push(Place {
                starts,
                value_starts: text.len(),
                origin: Origin::Override {
                    until: setting.until,
                    author: setting.author.clone(),
                },
            });
            text.push_str(&value);
            text.push('\n');
        }
        Ok(Self {
            text,
            places: Places(places),
        })
    }
}

/// A value as TOML writes it in one place.
fn as_toml(value: &Value) -> Result<String, OverrideProblem> {
    if holds_null(value) {
        return Err(OverrideProblem::value(
            "must not hold null: take the override away instead",
        ));
    }
    let text = match toml::Value::try_from(value) {
        Ok(value) => value.to_string(),
        Err(_) => return Err(OverrideProblem::value("is nothing that TOML can write")),
    };
    if text.len() > MAX_VALUE_BYTES {
        return Err(OverrideProblem::value(format!(
            "must have at most {MAX_VALUE_BYTES} bytes"
        )));
    }
    Ok(text)
}

fn holds_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(holds_null),
        Value::Object(members) => members.values().any(holds_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Where overrides stand, in the order of their offsets.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<Place>);

impl Places {
    /// The override that stands at an offset; `None`: the file does.
    pub(super) fn at(&self, offset: usize) -> Option<&Place> {
        let after = self.0.partition_point(|place| place.starts <= offset);
        self.0.get(..after)?.last()
    }
}

/// Where an override stands, and whose it is.
#[derive(Debug)]
pub(super) struct Place {
    starts: usize,
    value_starts: usize,
    origin: Origin,
}

impl Place {
    pub(super) fn origin(&self) -> Origin {
        self.origin.clone()
    }

    pub(super) fn misfit(&self, offset: usize, refusal: Refusal) -> Misfit {
        Misfit {
            is_in_key: offset < self.value_starts,
            refusal,
        }
    }
}

/// What the reader says of an override.
#[derive(Debug)]
pub(super) struct Misfit {
    is_in_key: bool,
    refusal: Refusal,
}
