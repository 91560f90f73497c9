//! Conditions of queries: whether they fit their fields, and whether a row fits them.

use std::cmp::Ordering;

use chrono::{Datelike, Days, NaiveDate, NaiveDateTime};

use super::{
    error::AdsError,
    fields::{Cell, Field, FieldType},
    gaql::{Condition, Literal, Operator},
    scene::Scene,
};
use crate::world::parse_day;

/// A condition on a field, its values read.
pub(super) struct Filter {
    pub(super) field: &'static Field,
    operator: Operator,
    values: Vec<Cell>,
}

impl Filter {
    /// `today` is what spans like LAST_7_DAYS are counted from.
    ///
    /// # Errors
    /// `queryError` or `dateError` for an operator or a value that is not for such a field.
    pub(super) fn new(
        field: &'static Field,
        condition: &Condition,
        today: NaiveDate,
    ) -> Result<Self, AdsError> {
        if !fits(field.of, condition.operator) {
            let message = format!("Operator and field {} do not match.", field.name);
            return Err(AdsError::query("OPERATOR_FIELD_MISMATCH", message));
        }
        if condition.operator == Operator::During {
            let (from, to) = span(&condition.values, today)?;
            let last = match field.of {
                FieldType::Time => format!("{to} 23:59:59.999999"),
                _ => to.to_string(),
            };
            return Ok(Self {
                field,
                operator: Operator::Between,
                values: vec![Cell::Text(from.to_string()), Cell::Text(last)],
            });
        }
        let values = condition.values.iter().map(|value| cell(field, value));
        Ok(Self {
            field,
            operator: condition.operator,
            values: values.collect::<Result<_, _>>()?,
        })
    }

    /// Whether a row fits it.
    pub(super) fn holds(&self, scene: &Scene) -> bool {
        let cell = (self.field.read)(scene);
        let is_one_of = || self.values.contains(&cell);
        match self.operator {
            Operator::Equal | Operator::In => is_one_of(),
            Operator::NotEqual | Operator::NotIn => !is_one_of(),
            Operator::IsNull => cell == Cell::Nothing,
            Operator::IsNotNull => cell != Cell::Nothing,
            Operator::Like => self.is_like(&cell),
            Operator::NotLike => !self.is_like(&cell),
            _ if cell == Cell::Nothing => false,
            Operator::Less => self.is(&cell, Ordering::is_lt),
            Operator::LessOrEqual => self.is(&cell, Ordering::is_le),
            Operator::Greater => self.is(&cell, Ordering::is_gt),
            Operator::GreaterOrEqual => self.is(&cell, Ordering::is_ge),
            // DURING has been made a BETWEEN.
            Operator::Between | Operator::During => match self.values.as_slice() {
                [from, to] => cell.compare(from).is_ge() && cell.compare(to).is_le(),
                _ => false,
            },
        }
    }

    fn is(&self, cell: &Cell, expected: fn(Ordering) -> bool) -> bool {
        let value = self.values.first();
        value.is_some_and(|value| expected(cell.compare(value)))
    }

    fn is_like(&self, cell: &Cell) -> bool {
        match (cell, self.values.first()) {
            (Cell::Text(text), Some(Cell::Text(pattern))) => {
                is_like(&text.to_lowercase(), &pattern.to_lowercase())
            }
            _ => false,
        }
    }

    /// The earliest and the latest text that fit it, as far as it says.
    fn ends(&self) -> (Option<&str>, Option<&str>) {
        let text = |index: usize| match self.values.get(index) {
            Some(Cell::Text(text)) => Some(text.as_str()),
            _ => None,
        };
        match self.operator {
            Operator::Equal => (text(0), text(0)),
            Operator::Between => (text(0), text(1)),
            Operator::Greater | Operator::GreaterOrEqual => (text(0), None),
            Operator::Less | Operator::LessOrEqual => (None, text(0)),
            _ => (None, None),
        }
    }
}

/// The earliest and the latest text that fit all of the filters, as far as they say.
pub(super) fn ends(filters: &[Filter]) -> (Option<&str>, Option<&str>) {
    let from = filters.iter().filter_map(|filter| filter.ends().0).max();
    let to = filters.iter().filter_map(|filter| filter.ends().1).min();
    (from, to)
}

/// The first and the last day that fit all of the filters, which are on a day.
pub(super) fn days(filters: &[Filter]) -> (Option<NaiveDate>, Option<NaiveDate>) {
    let day = |text: &str| text.parse::<NaiveDate>().ok();
    let from = filters.iter().filter_map(|filter| {
        let from = day(filter.ends().0?)?;
        if filter.operator == Operator::Greater {
            return from.succ_opt();
        }
        Some(from)
    });
    let to = filters.iter().filter_map(|filter| {
        let to = day(filter.ends().1?)?;
        if filter.operator == Operator::Less {
            return to.pred_opt();
        }
        Some(to)
    });
    (from.max(), to.min())
}

fn fits(of: FieldType, operator: Operator) -> bool {
    let is_of_time = matches!(of, FieldType::Day | FieldType::Time);
    match operator {
        Operator::Equal | Operator::IsNull | Operator::IsNotNull => true,
        Operator::NotEqual | Operator::In | Operator::NotIn => !is_of_time,
        Operator::During => is_of_time,
        Operator::Like | Operator::NotLike => matches!(of, FieldType::Text | FieldType::Name),
        Operator::Less
        | Operator::LessOrEqual
        | Operator::Greater
        | Operator::GreaterOrEqual
        | Operator::Between => {
            is_of_time || matches!(of, FieldType::Int | FieldType::Small | FieldType::Float)
        }
    }
}

fn cell(field: &Field, value: &Literal) -> Result<Cell, AdsError> {
    let bad = |name, text: &str| {
        let message = format!("Error in query: invalid value '{text}' for {}.", field.name);
        AdsError::query(name, message)
    };
    let (Literal::Quoted(text) | Literal::Bare(text)) = value;
    let is_quoted = matches!(value, Literal::Quoted(_));
    match field.of {
        FieldType::Int | FieldType::Small => {
            let number = text.parse::<i64>().map(Cell::Int);
            number.map_err(|_| bad("BAD_NUMBER", text))
        }
        FieldType::Float => {
            let number = text.parse::<f64>().map(Cell::Float);
            number.map_err(|_| bad("BAD_NUMBER", text))
        }
        FieldType::Flag => match text.to_ascii_lowercase().as_str() {
            "true" => Ok(Cell::Flag(true)),
            "false" => Ok(Cell::Flag(false)),
            _ => Err(bad("BAD_VALUE", text)),
        },
        FieldType::Word(words) if words.contains(&text.as_str()) => Ok(Cell::Text(text.clone())),
        FieldType::Word(_) => Err(bad("BAD_ENUM_CONSTANT", text)),
        _ if !is_quoted => Err(bad("BAD_VALUE", text)),
        FieldType::Day if parse_day(text).is_none() => Err(no_date(text)),
        FieldType::Time if !is_time(text) => Err(no_date(text)),
        FieldType::Text | FieldType::Name | FieldType::Day | FieldType::Time => {
            Ok(Cell::Text(text.clone()))
        }
    }
}

fn no_date(text: &str) -> AdsError {
    let message = format!("The date '{text}' is not one.");
    AdsError::date("INVALID_STRING_DATE", message)
}

/// A day, or a moment of it, with or without a fraction of the second.
fn is_time(text: &str) -> bool {
    let is_moment = || NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").is_ok();
    parse_day(text).is_some() || (text.len() >= 19 && is_moment())
}

/// The days that a word behind DURING stands for.
fn span(values: &[Literal], today: NaiveDate) -> Result<(NaiveDate, NaiveDate), AdsError> {
    let word = match values {
        [Literal::Bare(word)] => word.as_str(),
        _ => "",
    };
    let before = |days| today.checked_sub_days(Days::new(days));
    let first_of_month = today.with_day(1);
    let found = match word {
        "TODAY" => Some(today).zip(Some(today)),
        "YESTERDAY" => before(1).zip(before(1)),
        "LAST_7_DAYS" => before(7).zip(before(1)),
        "LAST_14_DAYS" => before(14).zip(before(1)),
        "LAST_30_DAYS" => before(30).zip(before(1)),
        "THIS_MONTH" => first_of_month.zip(Some(today)),
        "LAST_MONTH" => {
            let last = first_of_month.and_then(|day| day.pred_opt());
            last.and_then(|day| day.with_day(1)).zip(last)
        }
        _ => None,
    };
    found.ok_or_else(|| {
        let message = format!("Error in query: invalid value {word} with the DURING operator.");
        AdsError::query("INVALID_VALUE_WITH_DURING_OPERATOR", message)
    })
}

/// Whether a text fits a pattern in which `%` is any text and `_` any character.
fn is_like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let pattern: Vec<char> = pattern.chars().collect();
    let (mut at, mut in_pattern) = (0, 0);
    // Where to go on from when what came after the last `%` does not fit.
    let mut again: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(in_pattern) {
            Some('%') => {
                again = Some((at, in_pattern));
                in_pattern += 1;
            }
            Some(c) if *c == '_' || *c == text[at] => {
                at += 1;
                in_pattern += 1;
            }
            _ => {
                let Some((from, percent)) = again else {
                    return false;
                };
                again = Some((from + 1, percent));
                at = from + 1;
                in_pattern = percent + 1;
            }
        }
    }
    pattern[in_pattern..].iter().all(|c| *c == '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(operator: Operator, values: &[&str]) -> Condition {
        let quoted = values
            .iter()
            .map(|value| Literal::Quoted((*value).to_owned()));
        Condition {
            field: "segments.date".to_owned(),
            operator,
            values: quoted.collect(),
        }
    }

    fn today() -> NaiveDate {
        parse_day("2026-11-20").expect("a day")
    }

    fn on_days(operator: Operator, values: &[&str]) -> Result<Filter, AdsError> {
        let field = Field::named("segments.date").expect("a field");
        Filter::new(field, &condition(operator, values), today())
    }

    #[test]
    fn patterns_are_of_any_text_and_any_character() {
        assert!(is_like("brand | us #1", "%us%"));
        assert!(is_like("abc", "a_c"));
        assert!(is_like("aXbXc", "a%X%c"));
        assert!(is_like("", "%"));
        assert!(!is_like("abc", "ab"));
        assert!(!is_like("abc", "b%"));
    }

    #[test]
    fn the_days_of_several_filters_are_those_that_fit_all() {
        let after = on_days(Operator::Greater, &["2026-11-01"]).expect("a filter");
        let before = on_days(Operator::LessOrEqual, &["2026-11-09"]).expect("a filter");
        let between = on_days(Operator::Between, &["2026-10-01", "2026-11-07"]).expect("a filter");

        let (from, to) = days(&[after, before, between]);

        assert_eq!(from, parse_day("2026-11-02"));
        assert_eq!(to, parse_day("2026-11-07"));
    }

    #[test]
    fn words_for_days_are_counted_from_the_day_before_today() {
        let span = |word: &str| span(&[Literal::Bare(word.to_owned())], today()).ok();
        let days = |from, to| parse_day(from).zip(parse_day(to));

        assert_eq!(span("LAST_7_DAYS"), days("2026-11-13", "2026-11-19"));
        assert_eq!(span("LAST_MONTH"), days("2026-10-01", "2026-10-31"));
        assert_eq!(span("TODAY"), days("2026-11-20", "2026-11-20"));
        assert_eq!(span("LAST_YEAR"), None);
    }

    #[test]
    fn what_is_not_for_a_field_is_refused() {
        assert!(on_days(Operator::Equal, &["2026-11-31"]).is_err());
        assert!(on_days(Operator::Like, &["2026-11-01"]).is_err());
        assert!(on_days(Operator::In, &["2026-11-01"]).is_err());
    }
}
