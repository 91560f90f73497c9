//! What the clients keep of what they asked and were answered, and what is wrong with the answers themselves.

use std::collections::BTreeMap;

use reqwest::{
    StatusCode,
    header::{HeaderMap, RETRY_AFTER},
};

use super::conservation::Sent;

/// Most complaints that are kept: one fault of ours may spoil thousands of answers.
const MOST_COMPLAINTS: usize = 50;

/// The clients' ledger.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) sent: Vec<Sent>,
    /// How often each status was answered; 0 where there was no answer.
    pub(super) statuses: BTreeMap<u16, u64>,
    /// What no answer may be.
    pub(super) complaints: Vec<String>,
}

impl Ledger {
    /// Counts an answer, and complains of one that no caller should get.
    pub(super) fn note(&mut self, status: StatusCode, headers: &HeaderMap) {
        *self.statuses.entry(status.as_u16()).or_default() += 1;
        let says_when = headers.contains_key(RETRY_AFTER);
        match status.as_u16() {
            429 | 503 if !says_when => self.complain(format!("{status} without Retry-After")),
            500 => self.complain("a request was answered with 500".to_owned()),
            _ => {}
        }
    }

    /// Counts a request without an answer.
    pub(super) fn note_silence(&mut self) {
        *self.statuses.entry(0).or_default() += 1;
    }

    pub(super) fn complain(&mut self, complaint: String) {
        if self.complaints.len() < MOST_COMPLAINTS {
            self.complaints.push(complaint);
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.sent.extend(other.sent);
        for (status, times) in other.statuses {
            *self.statuses.entry(status).or_default() += times;
        }
        for complaint in other.complaints {
            self.complain(complaint);
        }
    }

    /// Jobs that were acknowledged, repeated answers counted.
    pub(super) fn acknowledged(&self) -> usize {
        self.sent.iter().map(|sent| sent.answers.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_no_caller_should_get_are_complained_of() {
        let mut ledger = Ledger::default();
        let told = HeaderMap::from_iter([(RETRY_AFTER, "1".parse().expect("a header value"))]);

        ledger.note(StatusCode::SERVICE_UNAVAILABLE, &told);
        ledger.note(StatusCode::CREATED, &HeaderMap::new());
        assert!(ledger.complaints.is_empty());

        ledger.note(StatusCode::SERVICE_UNAVAILABLE, &HeaderMap::new());
        ledger.note(StatusCode::INTERNAL_SERVER_ERROR, &told);

        assert_eq!(ledger.complaints.len(), 2, "{:?}", ledger.complaints);
    }
}
