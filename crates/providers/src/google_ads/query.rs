//! Queries in Google's query language. Field lists are constants, everything else passes through [`quoted`] or is checked
//! to be digits or a name.

use super::refused;
use crate::error::Error;

/// Longest id: those of today have up to 13 digits.
const LONGEST_ID: usize = 20;

/// Longest name of a segment.
const LONGEST_NAME: usize = 64;

/// A query in the making.
pub(super) struct Gaql {
    fields: Vec<String>,
    resource: &'static str,
    conditions: Vec<String>,
}

impl Gaql {
    /// Fields of a resource.
    pub(super) fn of(resource: &'static str, fields: &[&str]) -> Self {
        Self {
            fields: fields.iter().map(|&field| field.to_owned()).collect(),
            resource,
            conditions: Vec::new(),
        }
    }

    /// And one more field.
    pub(super) fn and(mut self, field: String) -> Self {
        self.fields.push(field);
        self
    }

    /// Only where this holds.
    pub(super) fn only(mut self, condition: String) -> Self {
        self.conditions.push(condition);
        self
    }

    /// Only where a field is one of these ids.
    pub(super) fn only_ids(self, field: &str, ids: &[String]) -> Self {
        self.only(format!("{field} IN ({})", ids.join(", ")))
    }

    /// Its text, with what stands behind all conditions.
    pub(super) fn text(&self, tail: &str) -> String {
        let mut text = format!("SELECT {} FROM {}", self.fields.join(", "), self.resource);
        for (place, condition) in self.conditions.iter().enumerate() {
            text.push_str(if place == 0 { " WHERE " } else { " AND " });
            text.push_str(condition);
        }
        if !tail.is_empty() {
            text.push(' ');
            text.push_str(tail);
        }
        text
    }
}

/// A value between quotation marks.
pub(super) fn quoted(value: &str) -> String {
    let escaped = value.replace('\\', "\\\\").replace('\'', "\\'");
    format!("'{escaped}'")
}

/// An id without the hyphens with which people write those of accounts.
///
/// # Errors
/// [`Error::Rejected`] for what is no id: it would become part of an address or a query.
pub(super) fn digits(id: &str) -> Result<String, Error> {
    let id = id.replace('-', "");
    let is_id =
        (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
    if is_id {
        Ok(id)
    } else {
        Err(refused("ids of google ads are digits"))
    }
}

/// The field of a segment.
///
/// # Errors
/// [`Error::Rejected`] for what is no name.
pub(super) fn segment(name: &str) -> Result<String, Error> {
    let is_name = (1..=LONGEST_NAME).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if is_name {
        Ok(format!("segments.{name}"))
    } else {
        Err(refused(
            "a segment of google ads is small letters, digits and _",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_reads_as_google_documents_it() {
        let query = Gaql::of("campaign", &["campaign.id", "segments.date"])
            .and("metrics.clicks".to_owned())
            .only(format!("segments.date = {}", quoted("2026-11-07")))
            .only_ids("campaign.id", &["900".to_owned(), "901".to_owned()]);

        assert_eq!(
            query.text("LIMIT 10"),
            "SELECT campaign.id, segments.date, metrics.clicks FROM campaign \
             WHERE segments.date = '2026-11-07' AND campaign.id IN (900, 901) LIMIT 10"
        );
        assert_eq!(
            Gaql::of("ad_group", &["ad_group.id"]).text(""),
            "SELECT ad_group.id FROM ad_group"
        );
    }

    #[test]
    fn a_value_cannot_leave_its_quotation_marks() {
        assert_eq!(quoted("it's"), r"'it\'s'");
        assert_eq!(quoted(r"a\"), r"'a\\'");
        assert_eq!(quoted(r"\' OR 1"), r"'\\\' OR 1'");
    }

    #[test]
    fn an_id_is_digits_and_loses_its_hyphens() {
        assert_eq!(digits("123-456-7890").ok().as_deref(), Some("1234567890"));
        for odd in ["", "-", "12a", "1/2", "1 2", "..", &"1".repeat(21)] {
            assert!(matches!(digits(odd), Err(Error::Rejected { .. })), "{odd}");
        }
    }

    #[test]
    fn a_segment_is_a_name() {
        assert_eq!(segment("device").ok().as_deref(), Some("segments.device"));
        for odd in ["", "Device", "a b", "a,metrics.clicks", "a'"] {
            assert!(matches!(segment(odd), Err(Error::Rejected { .. })), "{odd}");
        }
    }
}
