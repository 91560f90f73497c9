//! Queries in the syntax of Rest.li 2.0, built by hand: `( ) : ,` of the syntax stay as they are, and inside of values they
//! are percent-encoded. Ordinary builders of URLs encode all of them, or what is encoded already once more.

use std::fmt::Write as _;

use chrono::{Datelike as _, NaiveDate};

/// A query as it stands behind the question mark.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Query(String);

impl Query {
    /// A query that names a finder.
    pub(super) fn finder(name: &str) -> Self {
        Self(format!("q={name}"))
    }

    /// With one more parameter, whose value is syntax already.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        self.0.push_str(value);
        self
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A value in which nothing is syntax.
pub(super) fn encoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("a String takes every text");
        }
    }
    text
}

/// `List(a,b)`.
pub(super) fn list<V: AsRef<str>>(values: impl IntoIterator<Item = V>) -> String {
    let values: Vec<String> = values
        .into_iter()
        .map(|value| encoded(value.as_ref()))
        .collect();
    format!("List({})", values.join(","))
}

/// A span of days, both ends included.
pub(super) fn date_range(from: NaiveDate, to: NaiveDate) -> String {
    format!("(start:{},end:{})", date(from), date(to))
}

fn date(day: NaiveDate) -> String {
    let (year, month, day) = (day.year(), day.month(), day.day());
    format!("(year:{year},month:{month},day:{day})")
}

/// What is behind the last colon of a URN, and all of what is none.
pub(super) fn bare(urn: &str) -> &str {
    urn.rsplit(':').next().unwrap_or(urn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_syntax_stays_and_values_are_encoded() {
        let query = Query::finder("search")
            .with("accounts", &list(["urn:li:sponsoredAccount:1", "a,b(c)"]))
            .with("pageToken", &encoded("Dg+/=%"));

        assert_eq!(
            query.as_str(),
            "q=search&accounts=List(urn%3Ali%3AsponsoredAccount%3A1,a%2Cb%28c%29)&pageToken=Dg%2B%2F%3D%25"
        );
        assert_eq!(Query::default().with("a", "1").as_str(), "a=1");
    }

    #[test]
    fn days_have_no_leading_zeros() {
        let day = |d| NaiveDate::from_ymd_opt(2026, 11, d).expect("a day");

        assert_eq!(
            date_range(day(1), day(7)),
            "(start:(year:2026,month:11,day:1),end:(year:2026,month:11,day:7))"
        );
    }

    #[test]
    fn an_id_is_what_stands_last_in_a_urn() {
        assert_eq!(bare("urn:li:sponsoredCampaign:300000001"), "300000001");
        assert_eq!(bare("300000001"), "300000001");
    }
}
