//! Jobs whose payloads name a person, for those who ask what is known of them or want to be forgotten. What else is stored of
//! people is others' matter.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use super::AdminError;
use crate::{
    Queue,
    db::{DatabaseError, within},
    job::JobId,
    sealing::{self, Unopened},
    store::{
        jobs,
        people::{self, CandidateRow},
    },
};

/// Fewest and most characters of what names a person: what is shorter would name many.
const CHARACTERS: std::ops::RangeInclusive<usize> = 3..=320;

/// What a person is known by: an address, a number, or a platform's id. No `Debug`: it names somebody.
#[derive(Clone)]
pub struct Person {
    /// In lower case, without white space around it.
    text: String,
    /// Its SHA-256, as those send it who have hashed it already.
    hash: String,
}

impl Person {
    /// Whoever is known by this text; `None` where it has fewer than 3 or more than 320 characters.
    #[must_use]
    pub fn known_by(text: &str) -> Option<Self> {
        let text = text.trim().to_lowercase();
        let is_name = CHARACTERS.contains(&text.chars().count()) && !text.contains('\0');
        is_name.then(|| Self {
            hash: hex::encode(Sha256::digest(text.as_bytes())),
            text,
        })
    }

    /// What the person is known by.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a text names the person: an address anywhere in it, all else as the whole of it.
    #[must_use]
    pub fn is_named_by(&self, text: &str) -> bool {
        let text = text.trim().to_lowercase();
        let is_address = self.text.contains('@');
        text == self.text || text == self.hash || (is_address && self.stands_in(&text))
    }

    /// Whether the address stands in a text, and not as a part of another one: what is longer is somebody else's.
    fn stands_in(&self, text: &str) -> bool {
        let mut places = text.match_indices(&self.text);
        places.any(|(at, _)| {
            let before = text[..at].chars().next_back();
            let mut after = text[at + self.text.len()..].chars();
            let goes_on = match after.next() {
                Some('.') => after.next().is_some_and(char::is_alphanumeric),
                Some(next) => next.is_alphanumeric() || next == '-',
                None => false,
            };
            !goes_on && !before.is_some_and(|it| it.is_alphanumeric() || "._%+-".contains(it))
        })
    }

    /// Whether any text or number in a document names the person.
    #[must_use]
    pub fn is_named_in(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.is_named_by(text),
            Value::Number(number) => number.to_string() == self.text,
            Value::Array(elements) => elements.iter().any(|element| self.is_named_in(element)),
            Value::Object(members) => members.values().any(|member| self.is_named_in(member)),
            Value::Null | Value::Bool(_) => false,
        }
    }
}

/// A job that names a person. No `Debug`: it says what it says.
#[derive(Clone, Serialize)]
pub struct JobAbout {
    /// The job.
    pub id: JobId,
    /// Its kind.
    pub kind: String,
    /// What it says, nothing of it hidden.
    pub payload: Value,
}

/// Jobs that name a person. No `Debug`: they say what they say.
#[derive(Clone, Default, Serialize)]
pub struct JobsAbout {
    /// The jobs.
    pub jobs: Vec<JobAbout>,
    /// Jobs whose payloads do not open here: whom they name is not known.
    pub unopened: u64,
}

/// In which jobs a person was forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ForgottenInJobs {
    /// Jobs that waited, and are cancelled.
    pub cancelled: u64,
    /// Dead letters, which cannot be replayed any more.
    pub dead_letters: u64,
    /// Jobs that were done.
    pub done: u64,
    /// Jobs that run: ask again when they are done.
    pub running: u64,
    /// Jobs whose payloads do not open here, so that they are as they were.
    pub unopened: u64,
}

#[derive(Debug, Clone, Copy)]
enum Table {
    Jobs,
    Letters,
    History,
}

impl Table {
    /// In the order in which jobs go through them, so that none slips by.
    const ALL: [Self; 3] = [Self::Jobs, Self::Letters, Self::History];

    async fn page(
        self,
        conn: &mut PgConnection,
        after: Uuid,
        person: &Person,
    ) -> Result<Vec<CandidateRow>, sqlx::Error> {
        let texts = (person.text.as_str(), person.hash.as_str());
        match self {
            Self::Jobs => people::of_jobs(conn, after, texts).await,
            Self::Letters => people::of_letters(conn, after, texts).await,
            Self::History => people::of_history(conn, after, texts).await,
        }
    }
}

impl Queue {
    /// Every job whose payload names a person, of those that are to be done, dead or kept in the history.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn jobs_about(&self, person: &Person) -> Result<JobsAbout, AdminError> {
        let mut found = JobsAbout::default();
        for table in Table::ALL {
            let about = self.about_in(table, person).await?;
            found.jobs.extend(about.jobs);
            found.unopened += about.unopened;
        }
        Ok(found)
    }

    /// Takes away what jobs say that name a person. Those that wait are cancelled.
    ///
    /// # Errors
    /// When the database did not take part: what was forgotten stays that.
    pub async fn forget_in_jobs(&self, person: &Person) -> Result<ForgottenInJobs, AdminError> {
        let mut forgotten = ForgottenInJobs::default();
        for table in Table::ALL {
            let about = self.about_in(table, person).await?;
            forgotten.unopened += about.unopened;
            for job in about.jobs {
                let id = job.id.0;
                let mut session = self.shared.db.request().await?;
                let is_done = within(forget(session.conn(), table, id)).await;
                let is_done = session.end(is_done)?;
                match table {
                    Table::Jobs if is_done => forgotten.cancelled += 1,
                    Table::Jobs => forgotten.running += 1,
                    Table::Letters => forgotten.dead_letters += 1,
                    Table::History => forgotten.done += 1,
                }
            }
        }
        Ok(forgotten)
    }

    async fn about_in(&self, table: Table, person: &Person) -> Result<JobsAbout, DatabaseError> {
        let mut found = JobsAbout::default();
        let mut after = Uuid::nil();
        loop {
            let mut session = self.shared.db.request().await?;
            let rows = within(table.page(session.conn(), after, person)).await;
            let rows = session.end(rows)?;
            let Some(last) = rows.last().map(|row| row.id) else {
                return Ok(found);
            };
            for row in rows {
                match self.about(row, person) {
                    Ok(about) => found.jobs.extend(about),
                    // What is gone names nobody.
                    Err(Unopened::Wiped) => {}
                    Err(Unopened::NoKeys | Unopened::Cipher(_)) => found.unopened += 1,
                }
            }
            after = last;
        }
    }

    fn about(&self, row: CandidateRow, person: &Person) -> Result<Option<JobAbout>, Unopened> {
        let Some(stored) = row.payload else {
            return Ok(None);
        };
        let payload = sealing::opened(self.shared.sealer(), row.id, &stored)?;
        let payload: Option<Value> = serde_json::from_str(&payload).ok();
        let about = payload.filter(|payload| person.is_named_in(payload));
        Ok(about.map(|payload| JobAbout {
            id: JobId(row.id),
            kind: row.kind,
            payload,
        }))
    }
}

/// Tells whether it could be done: not of a job that runs.
async fn forget(conn: &mut PgConnection, table: Table, id: Uuid) -> Result<bool, sqlx::Error> {
    match table {
        Table::Jobs => {
            let mut tx = sqlx::Connection::begin(conn).await?;
            let waited = jobs::cancel_waiting(&mut *tx, id, None, &[]).await?;
            if waited {
                people::wipe_done(&mut *tx, id).await?;
            }
            tx.commit().await?;
            Ok(waited)
        }
        Table::Letters => people::wipe_letter(conn, id).await.map(|()| true),
        Table::History => people::wipe_done(conn, id).await.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn person(text: &str) -> Person {
        Person::known_by(text).expect("it names somebody")
    }

    #[test]
    fn an_address_is_found_anywhere_and_an_id_as_a_whole() {
        let ada = person(" Ada@Example.com ");
        let number = person("10157");

        assert!(ada.is_named_in(&json!({"to": [{"em": "ADA@example.com "}]})));
        assert!(ada.is_named_in(&json!("Dear ada@example.com, hello")));
        assert!(ada.is_named_in(&json!(hex::encode(Sha256::digest("ada@example.com")))));
        assert!(ada.is_named_in(&json!(
            "ask <ada@example.com>, or write to ada@example.com."
        )));
        assert!(number.is_named_in(&json!({"id": 10157})));
        assert!(!number.is_named_in(&json!({"id": "101570"})));
    }

    #[test]
    fn an_address_within_a_longer_one_is_somebody_elses() {
        let ada = person("ada@example.com");

        for other in [
            "jada@example.com",
            "x.ada@example.com",
            "ada@example.com.br",
            "ada@example.community",
        ] {
            assert!(!ada.is_named_in(&json!({ "em": other })), "{other}");
            assert!(
                !ada.is_named_in(&json!(format!("Dear {other}!"))),
                "{other}"
            );
        }
    }

    #[test]
    fn what_would_name_many_names_nobody() {
        assert!(Person::known_by("ab").is_none());
        assert!(Person::known_by(&"a".repeat(321)).is_none());
    }
}
