//! The API as its clients know it: two addresses, and answers that say whether a job was stored.

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::ledger::Ledger;
use crate::harness::Client;

/// What a client learns from a request.
#[derive(Debug)]
pub(super) enum Reply {
    /// It was taken; the body says what became of it.
    Taken(Value),
    /// It was refused for good: nothing was stored.
    Refused(StatusCode),
    /// Not now, and nothing was stored.
    NotNow,
    /// Nobody knows.
    InDoubt,
}

/// Both addresses of the API, with a key.
#[derive(Clone)]
pub(super) struct Door {
    clients: Vec<Client>,
}

impl Door {
    pub(super) fn new(bases: Vec<String>, key: &str) -> anyhow::Result<Self> {
        let clients: anyhow::Result<Vec<Client>> = bases
            .into_iter()
            .map(|base| Client::new(base, key.to_owned()))
            .collect();
        Ok(Self { clients: clients? })
    }

    /// Sends a request to one of the addresses and notes what came back.
    pub(super) async fn post(
        &self,
        place: usize,
        (path, key): (&str, Option<&str>),
        body: &Value,
        ledger: &mut Ledger,
    ) -> Reply {
        let client = &self.clients[place % self.clients.len()];
        let mut request = client.request(Method::POST, path).json(body);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let Ok(answer) = Box::pin(client.send(request)).await else {
            ledger.note_silence();
            return Reply::InDoubt;
        };
        ledger.note(answer.status, &answer.headers);
        reply(answer.status, answer.body)
    }

    /// The status of a health check; `None` without an answer.
    pub(super) async fn health(&self, path: &str) -> Option<StatusCode> {
        let client = self.clients.first()?;
        let answer = Box::pin(client.send(client.bare(Method::GET, path))).await;
        Some(answer.ok()?.status)
    }
}

fn reply(status: StatusCode, body: Value) -> Reply {
    match status.as_u16() {
        200 | 201 => Reply::Taken(body),
        409 | 429 => Reply::NotNow,
        400..=499 => Reply::Refused(status),
        _ => Reply::InDoubt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_4xx_says_that_nothing_was_stored() {
        let of = |status: u16| {
            let status = StatusCode::from_u16(status).expect("a status");
            reply(status, Value::Null)
        };

        assert!(matches!(of(201), Reply::Taken(_)));
        assert!(matches!(of(422), Reply::Refused(_)));
        assert!(matches!(of(429), Reply::NotNow));
        assert!(matches!(of(503), Reply::InDoubt));
        assert!(matches!(of(500), Reply::InDoubt));
    }
}
