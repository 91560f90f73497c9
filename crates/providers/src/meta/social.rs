//! What figures of Pages and of Instagram accounts have in common: values by metric and day, and metrics that die. One dead
//! metric in a question fails all of it, so each is then asked for by itself, and the dead ones are told.

use chrono::{Days, NaiveDate};
use rust_decimal::Decimal;
use serde_json::Value;

use super::{
    Meta,
    call::GraphCall,
    graph_batch::{MAX_OPERATIONS, Operated, Operation},
    refused, time, unreadable,
};
use crate::{
    error::Error,
    platform::{Caller, members},
};

/// What Meta answered of each metric.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SocialFigures {
    /// What it told. Nothing at all instead of zeros is usual for days on which nothing happened.
    pub values: Vec<SocialValue>,
    /// The metrics that it does not know, or not any more: not to be asked for again.
    pub dead: Vec<String>,
}

/// A metric's value of exactly these days. Hardly any of them may be added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocialValue {
    /// Meta's name of it.
    pub metric: String,
    /// The first day.
    pub from: NaiveDate,
    /// The last day; it belongs to them.
    pub to: NaiveDate,
    /// Of what part it is, where a metric is told in parts: the type of a reaction. Empty for all.
    pub part: String,
    /// The value.
    pub value: Decimal,
}

/// A question for figures of a Page or an Instagram account.
pub(super) struct Asked<'a> {
    /// With a placeholder for the id.
    pub(super) endpoint: &'static str,
    pub(super) id: &'a str,
    pub(super) metrics: &'a [String],
    /// All parameters but the metrics.
    pub(super) params: Vec<(&'static str, String)>,
    /// The days that are asked for: values of others are left out, and totals are of all of them.
    pub(super) days: (NaiveDate, NaiveDate),
}

impl Meta {
    /// Asks for all metrics at once, and for each by itself where one of them is dead.
    pub(super) async fn ask_social(
        &self,
        caller: Caller<'_>,
        asked: &Asked<'_>,
    ) -> Result<SocialFigures, Error> {
        if asked.metrics.len() > MAX_OPERATIONS {
            return Err(refused("at most 50 metrics can be asked for at once"));
        }
        if asked.metrics.is_empty() {
            return Ok(SocialFigures::default());
        }
        let call = GraphCall::get(asked.endpoint, &[asked.id, "insights"])
            .with("metric", asked.metrics.join(","));
        let params = asked.params.iter();
        let call = params.fold(call, |call, (name, value)| call.with(name, value));
        match self.graph(caller, call).await {
            Ok(body) => Ok(SocialFigures {
                values: asked.values(&body)?,
                dead: Vec::new(),
            }),
            Err(error) if names_a_dead_metric(&error) && asked.metrics.len() == 1 => {
                Ok(SocialFigures {
                    values: Vec::new(),
                    dead: asked.metrics.to_vec(),
                })
            }
            Err(error) if names_a_dead_metric(&error) => self.ask_one_by_one(caller, asked).await,
            Err(error) => Err(error),
        }
    }

    async fn ask_one_by_one(
        &self,
        caller: Caller<'_>,
        asked: &Asked<'_>,
    ) -> Result<SocialFigures, Error> {
        let operations: Vec<Operation> = asked
            .metrics
            .iter()
            .map(|metric| {
                let operation = Operation::get(format!("{}/insights", asked.id));
                let operation = operation.with("metric", metric);
                let params = asked.params.iter();
                params.fold(operation, |operation, (name, value)| {
                    operation.with(*name, value)
                })
            })
            .collect();
        let outcomes = self.graph_batch(caller, &operations).await?;

        let mut figures = SocialFigures::default();
        for (metric, outcome) in asked.metrics.iter().zip(outcomes) {
            match outcome {
                Operated::Done(body) => figures.values.extend(asked.values(&body)?),
                Operated::Failed(error) if names_a_dead_metric(&error) => {
                    figures.dead.push(metric.clone());
                }
                Operated::Failed(error) => return Err(error),
                Operated::Unfinished => {
                    return Err(unreadable("meta did not finish all metrics in time"));
                }
            }
        }
        Ok(figures)
    }
}

impl Asked<'_> {
    /// The values in an answer. Its address of the next page is never followed: it leads into the future without an end.
    fn values(&self, body: &Value) -> Result<Vec<SocialValue>, Error> {
        let data = body.get("data").and_then(Value::as_array);
        let data = data.ok_or_else(|| unreadable("the answer is no list"))?;
        let read: Option<Vec<_>> = data.iter().map(|metric| self.values_of(metric)).collect();
        let read = read.ok_or_else(|| unreadable("a metric's values cannot be read"))?;
        Ok(read.into_iter().flatten().collect())
    }

    fn values_of(&self, told: &Value) -> Option<Vec<SocialValue>> {
        let metric = members::text(told, "name")?;
        if let Some(total) = told.get("total_value") {
            return parts(metric, self.days, total.get("value")?);
        }
        let mut values = Vec::new();
        for entry in told.get("values")?.as_array()? {
            let day = day_of(entry.get("end_time")?)?;
            let (from, to) = self.days;
            if (from..=to).contains(&day) {
                values.extend(parts(metric, (day, day), entry.get("value")?)?);
            }
        }
        Some(values)
    }
}

/// The day that ends at this time. Whether it ended at midnight in California or in UTC: by UTC it was the one before.
fn day_of(end: &Value) -> Option<NaiveDate> {
    time::read(end)?.date_naive().checked_sub_days(Days::new(1))
}

/// A value, which may be one for each of several parts.
fn parts(
    metric: &str,
    (from, to): (NaiveDate, NaiveDate),
    value: &Value,
) -> Option<Vec<SocialValue>> {
    let told: Vec<(&str, &Value)> = match value {
        Value::Object(parts) => parts
            .iter()
            .map(|(part, value)| (part.as_str(), value))
            .collect(),
        value => vec![("", value)],
    };
    let mut values = Vec::with_capacity(told.len());
    for (part, value) in told {
        let number = members::number(Some(value)).ok()?;
        values.extend(number.map(|value| SocialValue {
            metric: metric.to_owned(),
            from,
            to,
            part: part.to_owned(),
            value,
        }));
    }
    Some(values)
}

/// Whether a refusal is about a metric that there is not. What it quotes of the others does not matter: which one it is
/// shows when each is asked for by itself.
fn names_a_dead_metric(error: &Error) -> bool {
    let Error::Rejected { detail } = error else {
        return false;
    };
    let code = detail.code.as_deref().unwrap_or_default();
    let is_of_parameters = code.split('/').next() == Some("100");
    let message = &detail.message;
    is_of_parameters && (message.contains("valid insights metric") || message.contains("metric["))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    #[test]
    fn a_value_belongs_to_the_day_before_its_end() {
        for (end, expected) in [
            ("2026-11-02T08:00:00+0000", "2026-11-01"),
            ("2026-07-02T07:00:00+0000", "2026-07-01"),
            ("2026-11-02T00:00:00+0000", "2026-11-01"),
            ("2026-03-01T08:00:00+0000", "2026-02-28"),
        ] {
            assert_eq!(day_of(&json!(end)), Some(day(expected)), "{end}");
        }
    }

    #[test]
    fn a_value_in_parts_is_one_for_each() {
        let days = (day("2026-11-01"), day("2026-11-01"));

        let read = parts("reactions", days, &json!({"like": 41, "love": "2"})).expect("numbers");

        let told: Vec<_> = read
            .iter()
            .map(|value| (value.part.as_str(), value.value.to_string()))
            .collect();
        assert_eq!(told, [("like", "41".to_owned()), ("love", "2".to_owned())]);
        assert_eq!(parts("reactions", days, &json!("many")), None);
        assert_eq!(parts("reactions", days, &Value::Null), Some(Vec::new()));
    }
}
