//! Page tokens: where a query goes on. A token stands for one query of one customer, and not for long.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::AdsError;
use crate::world::Position;

/// How long a token is good for. Google says hours.
const LASTS: TimeDelta = TimeDelta::hours(4);

/// Where a query goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PageToken {
    /// Of the customer and the query.
    digest: String,
    entity: usize,
    bucket: usize,
    /// Rows that came before.
    pub(super) rows: usize,
    /// When the first page was asked for: all pages show the figures of then.
    pub(super) seen: DateTime<Utc>,
    issued_at: DateTime<Utc>,
}

impl PageToken {
    pub(super) fn new(
        question: (&str, &str),
        position: Position,
        rows: usize,
        (seen, now): (DateTime<Utc>, DateTime<Utc>),
    ) -> Self {
        Self {
            digest: digest(question),
            entity: position.entity,
            bucket: position.bucket,
            rows,
            seen,
            issued_at: now,
        }
    }

    /// A token that was sent with a customer and a query.
    ///
    /// # Errors
    /// INVALID_PAGE_TOKEN for one that is none, or of another query, EXPIRED_PAGE_TOKEN.
    pub(super) fn read(
        text: &str,
        question: (&str, &str),
        now: DateTime<Utc>,
    ) -> Result<Self, AdsError> {
        let decoded = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
        let token = serde_json::from_slice::<Self>(&decoded).ok();
        let fitting = token.filter(|token| token.digest == digest(question));
        let token = fitting
            .ok_or_else(|| AdsError::request("INVALID_PAGE_TOKEN", "Page token is invalid."))?;
        if token.issued_at + LASTS <= now {
            let message = "Page token in the request has expired.";
            return Err(AdsError::request("EXPIRED_PAGE_TOKEN", message));
        }
        Ok(token)
    }

    pub(super) fn position(&self) -> Position {
        Position {
            entity: self.entity,
            bucket: self.bucket,
        }
    }

    /// As it is sent.
    pub(super) fn text(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        URL_SAFE_NO_PAD.encode(json)
    }
}

fn digest((customer, query): (&str, &str)) -> String {
    let digest = Sha256::new()
        .chain_update(customer)
        .chain_update("\n")
        .chain_update(query)
        .finalize();
    hex::encode(&digest[..12])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_query_and_customer_and_for_some_hours() {
        let now = "2026-11-20T12:00:00Z".parse().expect("a time");
        let position = Position {
            entity: 3,
            bucket: 4,
        };
        let text = PageToken::new(("1", "a query"), position, 7, (now, now)).text();
        let read = |question, now| PageToken::read(&text, question, now).ok();

        let token = read(("1", "a query"), now).expect("a token");

        assert_eq!((token.position(), token.rows), (position, 7));
        assert_eq!(read(("2", "a query"), now), None);
        assert_eq!(read(("1", "another query"), now), None);
        assert_eq!(read(("1", "a query"), now + LASTS), None);
        assert!(PageToken::read("", ("1", "a query"), now).is_err());
    }
}
