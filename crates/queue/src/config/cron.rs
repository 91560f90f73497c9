//! Cron expressions as crontab(5) means them, in terms of the `cron` crate, which numbers weekdays from 1 = Sunday,
//! wants seconds, and lets a day of the month and a weekday restrict each other instead of adding up.

use std::{collections::BTreeSet, str::FromStr};

use ::cron::Schedule;
use chrono::DateTime;

use super::suggest::closest;

/// A field of an expression.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    /// Words for the values, from the least one on.
    names: &'static [&'static str],
}

const SECOND: Field = Field {
    name: "second",
    least: 0,
    most: 59,
    names: &[],
};
const MINUTE: Field = Field {
    name: "minute",
    ..SECOND
};
const HOUR: Field = Field {
    name: "hour",
    most: 23,
    ..SECOND
};
const DAY: Field = Field {
    name: "day of month",
    least: 1,
    most: 31,
    names: &[],
};
const MONTH: Field = Field {
    name: "month",
    least: 1,
    most: 12,
    names: &[
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ],
};
/// 0 and 7 are both Sunday.
const WEEKDAY: Field = Field {
    name: "weekday",
    least: 0,
    most: 7,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

/// Why an expression is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum CronError {
    #[error("has {found} fields; five are expected, or six with seconds first")]
    Fields { found: usize },
    #[error("{text:?} is no {field} ({least} to {most})")]
    Value {
        field: &'static str,
        text: String,
        least: u32,
        most: u32,
        nearest: Option<String>,
    },
    #[error("the {field} range {text:?} runs backwards")]
    Backwards { field: &'static str, text: String },
    #[error("the {field} step in {text:?} is no number from 1 to {most}")]
    Step {
        field: &'static str,
        text: String,
        most: u32,
    },
    #[error("the {field} step in {text:?} needs a range")]
    StepWithoutRange {
        field: &'static str,
        text: String,
        ranged: String,
    },
    #[error("never comes, such as the 30th of February")]
    Never,
    #[error("is not understood")]
    Translated(#[from] ::cron::error::Error),
}

impl CronError {
    /// What was probably meant.
    pub(super) fn suggestion(&self) -> Option<String> {
        match self {
            Self::Value { nearest, .. } => nearest.clone(),
            Self::StepWithoutRange { ranged, .. } => Some(ranged.clone()),
            Self::Fields { .. }
            | Self::Backwards { .. }
            | Self::Step { .. }
            | Self::Never
            | Self::Translated(_) => None,
        }
    }
}

/// The schedules that together make up an expression: it ticks whenever one of them does.
pub(super) fn parse(expression: &str) -> Result<Vec<Schedule>, CronError> {
    let texts: Vec<&str> = expression.split_whitespace().collect();
    let (second, [minute, hour, day, month, weekday]) = match *texts.as_slice() {
        [minute, hour, day, month, weekday] => ("0", [minute, hour, day, month, weekday]),
        [second, minute, hour, day, month, weekday] => {
            (second, [minute, hour, day, month, weekday])
        }
        _ => return Err(CronError::Fields { found: texts.len() }),
    };

    let clock = [
        SECOND.translate(second)?,
        MINUTE.translate(minute)?,
        HOUR.translate(hour)?,
    ]
    .join(" ");
    let (days, months) = (DAY.translate(day)?, MONTH.translate(month)?);
    let weekdays = WEEKDAY.translate(weekday)?;

    // Where both are restricted, either is enough: crontab(5).
    let lines = if day.starts_with('*') || weekday.starts_with('*') {
        vec![format!("{clock} {days} {months} {weekdays}")]
    } else {
        vec![
            format!("{clock} {days} {months} *"),
            format!("{clock} * {months} {weekdays}"),
        ]
    };
    let mut schedules = Vec::new();
    for line in &lines {
        schedules.push(Schedule::from_str(line)?);
    }
    if schedules.iter().any(comes) {
        Ok(schedules)
    } else {
        Err(CronError::Never)
    }
}

fn comes(schedule: &Schedule) -> bool {
    schedule.after(&DateTime::UNIX_EPOCH).next().is_some()
}

impl Field {
    /// The field as the `cron` crate writes it: every value by number.
    fn translate(&self, text: &str) -> Result<String, CronError> {
        if text == "*" {
            return Ok(text.to_owned());
        }
        let mut values = BTreeSet::new();
        for item in text.split(',') {
            let item = self.values(item)?;
            values.extend(item.into_iter().map(|value| self.crate_number(value)));
        }
        let numbers: Vec<String> = values.iter().map(u32::to_string).collect();
        Ok(numbers.join(","))
    }

    /// A weekday counts from 1 there, and Sunday has one number only.
    fn crate_number(&self, value: u32) -> u32 {
        if self.name == WEEKDAY.name {
            value % 7 + 1
        } else {
            value
        }
    }

    /// The values of `*`, `a` or `a-b`, the ranges with or without a step.
    fn values(&self, item: &str) -> Result<Vec<u32>, CronError> {
        let Some((range, step)) = item.split_once('/') else {
            let (first, last) = self.range(item)?;
            return Ok((first..=last).collect());
        };
        let (first, last) = self.range(range)?;
        let step = self.step(item, step)?;
        if range != "*" && !range.contains('-') {
            return Err(CronError::StepWithoutRange {
                field: self.name,
                text: item.to_owned(),
                ranged: format!("{range}-{}/{step}", self.most),
            });
        }
        Ok((first..=last).step_by(step).collect())
    }

    fn range(&self, text: &str) -> Result<(u32, u32), CronError> {
        if text == "*" {
            return Ok((self.least, self.most));
        }
        let Some((first, last)) = text.split_once('-') else {
            let value = self.value(text)?;
            return Ok((value, value));
        };
        let (first, last) = (self.value(first)?, self.value(last)?);
        // "sat-sun": a range that ends on Sunday ends on the seventh day.
        let ends_on_sunday = self.name == WEEKDAY.name && last == 0;
        let last = if ends_on_sunday && first > 0 { 7 } else { last };
        if first > last {
            return Err(CronError::Backwards {
                field: self.name,
                text: text.to_owned(),
            });
        }
        Ok((first, last))
    }

    fn value(&self, text: &str) -> Result<u32, CronError> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = if is_number {
            text.parse::<u32>().ok()
        } else {
            (self.least..)
                .zip(self.names)
                .find(|(_, name)| name.eq_ignore_ascii_case(text))
                .map(|(number, _)| number)
        };
        number
            .filter(|number| (self.least..=self.most).contains(number))
            .ok_or_else(|| CronError::Value {
                field: self.name,
                text: text.to_owned(),
                least: self.least,
                most: self.most,
                nearest: closest(text, self.names.iter().copied()),
            })
    }

    fn step(&self, item: &str, text: &str) -> Result<usize, CronError> {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let step = text.parse::<u32>().ok().filter(|_| is_number);
        let step = step.filter(|step| (1..=self.most).contains(step));
        step.and_then(|step| usize::try_from(step).ok())
            .ok_or_else(|| CronError::Step {
                field: self.name,
                text: item.to_owned(),
                most: self.most,
            })
    }
}

#[cfg(test)]
mod tests {
    use chrono::{TimeZone, Utc};

    use super::*;

    /// The days of January 2024, which begins on a Monday, on which an expression ticks.
    fn days(expression: &str) -> Vec<String> {
        let new_year = Utc
            .with_ymd_and_hms(2023, 12, 31, 23, 59, 59)
            .single()
            .expect("this moment exists once");
        let schedules = parse(expression).expect("the expression is right");

        let ticks: BTreeSet<_> = schedules
            .iter()
            .flat_map(|schedule| schedule.after(&new_year).take(40))
            .collect();
        let ticks = ticks.iter().map(|tick| tick.format("%Y-%m %d").to_string());
        ticks
            .filter_map(|tick| tick.strip_prefix("2024-01 ").map(str::to_owned))
            .collect()
    }

    #[test]
    fn weekdays_count_from_sunday_as_in_crontab() {
        assert_eq!(days("0 9 * * 1"), ["01", "08", "15", "22", "29"]);
        assert_eq!(days("0 9 * * 0"), ["07", "14", "21", "28"]);
        assert_eq!(days("0 9 * * 7"), days("0 9 * * 0"));
        assert_eq!(days("0 9 * * sun"), days("0 9 * * 0"));
        assert_eq!(days("0 9 * * 5-7"), days("0 9 * * FRI,Sat,SUN"));
        assert_eq!(days("0 9 * * fri-sun"), days("0 9 * * 5-7"));
    }

    #[test]
    fn a_day_of_month_and_a_weekday_add_up() {
        assert_eq!(days("0 9 13 * 5"), ["05", "12", "13", "19", "26"]);
    }

    #[test]
    fn a_step_over_all_days_leaves_the_weekday_in_force() {
        assert_eq!(days("0 9 */2 * 5"), ["05", "19"]);
    }

    #[test]
    fn six_fields_begin_with_seconds() {
        let new_year = Utc
            .with_ymd_and_hms(2023, 12, 31, 23, 59, 59)
            .single()
            .expect("this moment exists once");

        let schedules = parse("*/20 5 0 1 jan *").expect("the expression is right");

        let ticks: Vec<String> = schedules[0]
            .after(&new_year)
            .take(3)
            .map(|tick| tick.format("%H:%M:%S").to_string())
            .collect();
        assert_eq!(ticks, ["00:05:00", "00:05:20", "00:05:40"]);
    }

    #[test]
    fn what_crontab_does_not_know_is_refused_with_the_reason() {
        let cases = [
            (
                "",
                "has 0 fields; five are expected, or six with seconds first",
            ),
            (
                "@daily",
                "has 1 fields; five are expected, or six with seconds first",
            ),
            ("60 * * * *", "\"60\" is no minute (0 to 59)"),
            ("* 24 * * *", "\"24\" is no hour (0 to 23)"),
            ("* * 0 * *", "\"0\" is no day of month (1 to 31)"),
            ("* * ? * *", "\"?\" is no day of month (1 to 31)"),
            ("* * * 13 *", "\"13\" is no month (1 to 12)"),
            ("* * * * 8", "\"8\" is no weekday (0 to 7)"),
            ("1,,2 * * * *", "\"\" is no minute (0 to 59)"),
            ("-5 * * * *", "\"\" is no minute (0 to 59)"),
            ("30-10 * * * *", "the minute range \"30-10\" runs backwards"),
            (
                "*/0 * * * *",
                "the minute step in \"*/0\" is no number from 1 to 59",
            ),
            (
                "*/+5 * * * *",
                "the minute step in \"*/+5\" is no number from 1 to 59",
            ),
            ("5/15 * * * *", "the minute step in \"5/15\" needs a range"),
            ("0 0 30 2 *", "never comes, such as the 30th of February"),
        ];

        for (expression, reason) in cases {
            let error = parse(expression).expect_err(expression);

            assert_eq!(error.to_string(), reason, "{expression}");
        }
    }

    #[test]
    fn a_mistyped_name_and_a_bare_step_come_with_a_suggestion() {
        let cases = [("0 9 * * mno", "mon"), ("5/15 * * * *", "5-59/15")];

        for (expression, suggestion) in cases {
            let error = parse(expression).expect_err(expression);

            assert_eq!(error.suggestion().as_deref(), Some(suggestion));
        }
    }
}
