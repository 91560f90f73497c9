//! What is stored of one person, for those who ask for it or want to be forgotten: leads, what they said and did, events, and
//! what they are told of. Conversions and mails are known by hashes and job ids alone, and name nobody.

use queue::{Actor, Deed, Person, Queue};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgPool, types::Uuid};

use super::{Inbound, leads::opened};
use crate::{
    accounts::AccountsError,
    store::{
        Session, StoreError,
        people::{self, EngagementRow},
        within_deadline,
    },
};

const DEED: &str = "privacy.erase";

/// What is stored of a person. No `Debug`: it says what it says.
#[derive(Clone, Default, Serialize)]
pub struct KnownOfPerson {
    /// Leads, with all that the person answered.
    pub leads: Vec<Value>,
    /// What the person said and did on pages.
    pub engagements: Vec<Value>,
    /// Events of platforms that name the person, as they were sent.
    pub events: Vec<Value>,
    /// Grants that the person is told of.
    pub grants: Vec<Value>,
    /// Customers' endpoints that the person is told of.
    pub endpoints: Vec<Value>,
    /// Alerts that are mailed to the person.
    pub alerts: Vec<Value>,
    /// Leads whose answers do not open here: whom they name is not known.
    pub unopened_leads: u64,
}

/// How much was taken away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ForgottenPerson {
    /// Leads, which are deleted.
    pub leads: u64,
    /// Engagements, of which neither the author nor what was said is left.
    pub engagements: u64,
    /// Events, of which it is known that they came.
    pub events: u64,
    /// Grants, whose owner has no address any more.
    pub grants: u64,
    /// Customers' endpoints, whose owner has no address any more.
    pub endpoints: u64,
    /// Alerts, which are not mailed there any more.
    pub alerts: u64,
    /// Leads whose answers do not open here, so that they are as they were.
    pub unopened_leads: u64,
}

impl ForgottenPerson {
    fn all(&self) -> u64 {
        self.leads + self.engagements + self.events + self.grants + self.endpoints + self.alerts
    }
}

/// Rows that name a person.
#[derive(Default)]
struct Found {
    leads: Vec<(Uuid, Value)>,
    events: Vec<(Uuid, Value)>,
    engagements: Vec<EngagementRow>,
    /// Leads of which it is not known whether they do.
    unopened: u64,
}

impl Inbound {
    /// Everything that is stored of a person, of all tenants. Without keys no lead's answers open.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn known_of(&self, person: &Person) -> Result<KnownOfPerson, AccountsError> {
        let found = self.find(person).await?;
        let db = self.0.db();
        let (grants, endpoints, alerts) = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let conn = session.connection();
            let grants = people::grants(&mut *conn, person.as_str()).await?;
            let endpoints = people::endpoints(&mut *conn, person.as_str()).await?;
            let alerts = people::alerts(conn, person.as_str()).await?;
            session.done();
            Ok((grants, endpoints, alerts))
        })
        .await?;
        let engagements = found.engagements.into_iter().map(|row| {
            json!({
                "account": row.account, "kind": row.kind, "id": row.id, "author_id": row.author_id,
                "author_name": row.author_name, "text": row.text, "reaction": row.reaction, "created_at": row.created_at,
            })
        });
        let grants = grants.into_iter().map(
            |row| json!({"connection": row.id, "platform": row.platform, "tenant": row.tenant}),
        );
        Ok(KnownOfPerson {
            leads: found.leads.into_iter().map(|(_, lead)| lead).collect(),
            engagements: engagements.collect(),
            events: found.events.into_iter().map(|(_, event)| event).collect(),
            unopened_leads: found.unopened,
            grants: grants.collect(),
            endpoints: endpoints
                .iter()
                .map(|row| json!({"endpoint": row.id, "tenant": row.tenant}))
                .collect(),
            alerts: alerts
                .iter()
                .map(|row| json!({"alert": row.id, "tenant": row.tenant}))
                .collect(),
        })
    }

    /// Takes away what is stored of a person, of all tenants. The audit tells how much it was, and not of whom.
    ///
    /// # Errors
    /// As [`Self::known_of`]; nothing is taken away then.
    pub async fn forget(
        &self,
        person: &Person,
        actor: &Actor,
    ) -> Result<ForgottenPerson, AccountsError> {
        let found = self.find(person).await?;
        let db = self.0.db();
        let forgotten = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let mut forgotten = ForgottenPerson {
                unopened_leads: found.unopened,
                ..ForgottenPerson::default()
            };
            for (lead, _) in &found.leads {
                forgotten.leads += people::delete_lead(&mut *tx, *lead).await?;
            }
            for (event, _) in &found.events {
                forgotten.events += people::empty_event(&mut *tx, *event).await?;
            }
            let author = person.as_str();
            forgotten.engagements = people::delete_reactions(&mut *tx, author).await?;
            forgotten.engagements +=
                people::empty_engagements(&mut *tx, &found.engagements).await?;
            forgotten.grants = people::forget_owner(&mut *tx, author).await?;
            forgotten.endpoints = people::forget_endpoint_owner(&mut *tx, author).await?;
            forgotten.alerts = people::forget_recipient(&mut *tx, author).await?;
            let all = forgotten.all();
            let deed = Deed {
                action: DEED,
                target: None,
                reason: None,
                count: i64::try_from(all).unwrap_or(i64::MAX),
                detail: json!(forgotten),
            };
            Queue::note_in(&mut tx, deed, actor).await?;
            tx.commit().await?;
            session.done();
            Ok(forgotten)
        })
        .await?;
        Queue::count_deed(DEED);
        Ok(forgotten)
    }

    /// The leads and engagements that name a person, and the events that name the person or one of these leads.
    async fn find(&self, person: &Person) -> Result<Found, AccountsError> {
        let cipher = self.0.cipher().ok();
        let db = self.0.db();
        let mut found = Found::default();
        let mut names = vec![person.clone()];
        let mut after = Uuid::nil();
        while let Some((rows, last)) = leads(&db, after).await? {
            for row in rows {
                let answers = match cipher.map(|cipher| opened(cipher, row.id, &row.answers)) {
                    Some(Ok(answers)) => Some(answers),
                    None | Some(Err(AccountsError::Sealed { .. })) => None,
                    Some(Err(error)) => return Err(error),
                };
                let answers_name = answers
                    .as_ref()
                    .is_some_and(|answers| person.is_named_in(answers));
                let is_named = answers_name || person.is_named_by(&row.lead_id);
                found.unopened += u64::from(answers.is_none() && !is_named);
                if is_named {
                    names.extend(Person::known_by(&row.lead_id));
                    let lead = json!({
                        "id": row.id, "account": row.account, "lead_id": row.lead_id, "created_at": row.created_at,
                        "answers": answers,
                    });
                    found.leads.push((row.id, lead));
                }
            }
            after = last;
        }
        after = Uuid::nil();
        while let Some((rows, last)) = events(&db, after).await? {
            for row in rows {
                let Ok(value) = serde_json::from_str::<Value>(&row.value) else {
                    continue;
                };
                if names.iter().any(|name| name.is_named_in(&value)) {
                    let event = json!({"id": row.id, "field": row.field, "received_at": row.received_at, "value": value});
                    found.events.push((row.id, event));
                }
            }
            after = last;
        }
        found.engagements = engagements(&db, person).await?;
        Ok(found)
    }
}

/// What a document has in its text that names the person: an address stands anywhere, all else by itself.
fn needle(person: &Person) -> String {
    let text = person.as_str();
    if text.contains('@') {
        text.to_owned()
    } else {
        format!("\"{text}\"")
    }
}

/// Whether what somebody said or did names the person: a longer address is somebody else's.
fn names(row: &EngagementRow, person: &Person) -> bool {
    let said = [&row.author_id, &row.text];
    let mut said = said.into_iter().flatten();
    said.any(|text| person.is_named_by(text))
        || serde_json::from_str::<Value>(&row.raw).is_ok_and(|raw| person.is_named_in(&raw))
}

/// The engagements that name a person.
async fn engagements(db: &PgPool, person: &Person) -> Result<Vec<EngagementRow>, StoreError> {
    let needle = needle(person);
    let mut found = Vec::new();
    let mut after = (Uuid::nil(), String::new(), String::new());
    loop {
        let rows = within_deadline(async {
            let mut session = Session::open(db).await?;
            let behind = (after.0, after.1.as_str(), after.2.as_str());
            let rows =
                people::engagements_after(session.connection(), behind, person.as_str(), &needle)
                    .await?;
            session.done();
            Ok(rows)
        })
        .await?;
        let Some(last) = rows.last() else {
            return Ok(found);
        };
        after = (last.account, last.kind.clone(), last.id.clone());
        found.extend(rows.into_iter().filter(|row| names(row, person)));
    }
}

/// The next portion of leads, with the last of them; `None` at the end.
async fn leads(
    db: &PgPool,
    after: Uuid,
) -> Result<Option<(Vec<people::LeadRow>, Uuid)>, StoreError> {
    let rows = within_deadline(async {
        let mut session = Session::open(db).await?;
        let rows = people::leads_after(session.connection(), after).await?;
        session.done();
        Ok(rows)
    })
    .await?;
    let last = rows.last().map(|row| row.id);
    Ok(last.map(|last| (rows, last)))
}

/// The same of events.
async fn events(
    db: &PgPool,
    after: Uuid,
) -> Result<Option<(Vec<people::EventRow>, Uuid)>, StoreError> {
    let rows = within_deadline(async {
        let mut session = Session::open(db).await?;
        let rows = people::events_after(session.connection(), after).await?;
        session.done();
        Ok(rows)
    })
    .await?;
    let last = rows.last().map(|row| row.id);
    Ok(last.map(|last| (rows, last)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use providers::platform::{Door, OpenDoor};
    use queue::{Cipher, Database, config::Config};
    use secrecy::SecretString;

    use super::*;
    use crate::{
        Platforms,
        accounts::{Accounts, AccountsSettings},
        inbound::leads::place,
    };

    const KEY: &str = "k1:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    const ADA: &str = "Ada@Example.com";

    fn cipher() -> Cipher {
        Cipher::read(&SecretString::from(KEY)).expect("a key")
    }

    fn inbound(db: &PgPool) -> Inbound {
        inbound_with(db, Some(cipher()))
    }

    fn inbound_with(db: &PgPool, cipher: Option<Cipher>) -> Inbound {
        let config = Arc::new(Config::builtin());
        let queue = Queue::new(Database::from_pool(db.clone()), config, []);
        let queue = queue.expect("there are no schemas");
        let parts: (Platforms, Arc<dyn Door>) = (Platforms::default(), Arc::new(OpenDoor));
        let settings = AccountsSettings::default();
        Accounts::new(queue, cipher.map(Arc::new), parts, settings).inbound()
    }

    /// A lead of this person, told of by an event, and a comment by its author 777 that names the person.
    async fn name(db: &PgPool, who: &str, lead_id: &str) -> anyhow::Result<()> {
        let (account, lead) = (Uuid::now_v7(), Uuid::now_v7());
        let answers = json!({"id": lead_id, "field_data": [{"name": "email", "values": [who]}]});
        let sealed = cipher().seal(answers.to_string().as_bytes(), &place(lead));
        sqlx::query(
            "INSERT INTO marketing.connections (id, platform, tenant, owner_email, access_token)
             VALUES ($1, 'meta', 'acme', $2, '')",
        )
        .bind(account)
        .bind(who)
        .execute(db)
        .await?;
        sqlx::query(
            "INSERT INTO marketing.accounts (id, connection, platform, tenant, external_id, kind, name)
             VALUES ($1, $1, 'meta', 'acme', $2, 'page', 'A page')",
        )
        .bind(account)
        .bind(lead_id)
        .execute(db)
        .await?;
        sqlx::query(
            "INSERT INTO marketing.leads (id, account, tenant, lead_id, created_at, answers, source)
             VALUES ($1, $2, 'acme', $3, now(), $4, 'webhook')",
        )
        .bind(lead)
        .bind(account)
        .bind(lead_id)
        .bind(sealed)
        .execute(db)
        .await?;
        sqlx::query(
            "INSERT INTO marketing.inbound_events (id, provider, dedupe_key, object, entry_id, field, value)
             VALUES ($1, 'meta', $2, 'page', '1', 'leadgen', json_build_object('leadgen_id', $2::text))",
        )
        .bind(Uuid::now_v7())
        .bind(lead_id)
        .execute(db)
        .await?;
        sqlx::query(
            "INSERT INTO marketing.social_engagements (account, kind, id, author_id, is_own, text, is_hidden, changed_at, raw)
             VALUES ($1, 'comment', 'c1', '777', false, 'write to ' || $2::text, false, now(), '{}')",
        )
        .bind(account)
        .bind(who)
        .execute(db)
        .await?;
        Ok(())
    }

    /// An endpoint and an alert that this person is told of.
    async fn tell(db: &PgPool, who: &str) -> anyhow::Result<()> {
        sqlx::query(
            "INSERT INTO marketing.webhook_endpoints (id, tenant, url, owner_email)
             VALUES ($1, 'acme', 'https://hooks.example.com/in', $2)",
        )
        .bind(Uuid::now_v7())
        .bind(who)
        .execute(db)
        .await?;
        sqlx::query(
            "INSERT INTO marketing.alerts (id, tenant, name, rule)
             VALUES ($1, 'acme', $2, jsonb_build_object('recipients', jsonb_build_array('team@example.com', $2::text)))",
        )
        .bind(Uuid::now_v7())
        .bind(who)
        .execute(db)
        .await?;
        Ok(())
    }

    // Fails when something that names a person is not found, or stays, or when somebody else is forgotten as well.
    #[sqlx::test(migrations = "../../migrations")]
    async fn one_person_is_found_everywhere_and_forgotten_alone(db: PgPool) -> anyhow::Result<()> {
        let inbound = inbound(&db);
        name(&db, ADA, "900001").await?;
        tell(&db, ADA).await?;
        tell(&db, "bob@example.com").await?;
        name(&db, "bob@example.com", "900002").await?;
        name(&db, "jada@example.com", "900004").await?;
        name(&db, "ada@example.com.br", "900005").await?;
        name(&db, "eve@example.com", "900003").await?;
        sqlx::query("UPDATE marketing.leads SET answers = 'broken' WHERE lead_id = '900003'")
            .execute(&db)
            .await?;
        let ada = Person::known_by(ADA).expect("it names somebody");
        let actor = Actor {
            name: "test".to_owned(),
            tenant: None,
        };

        let known = inbound.known_of(&ada).await?;
        let forgotten = inbound.forget(&ada, &actor).await?;
        let after = inbound.known_of(&ada).await?;

        assert_eq!(
            [
                known.leads.len(),
                known.events.len(),
                known.engagements.len(),
                known.grants.len(),
                known.endpoints.len(),
                known.alerts.len()
            ],
            [1; 6]
        );
        let all_of_one = ForgottenPerson {
            leads: 1,
            engagements: 1,
            events: 1,
            grants: 1,
            endpoints: 1,
            alerts: 1,
            unopened_leads: 1,
        };
        assert_eq!(forgotten, all_of_one);
        assert!(after.leads.is_empty() && after.events.is_empty());
        assert!(after.engagements.is_empty() && after.grants.is_empty());
        assert!(after.endpoints.is_empty() && after.alerts.is_empty());
        let team = Person::known_by("team@example.com").expect("it names somebody");
        assert_eq!(inbound.known_of(&team).await?.alerts.len(), 2);
        let bob = Person::known_by("bob@example.com").expect("it names somebody");
        let known = inbound.known_of(&bob).await?;
        assert_eq!((known.leads.len(), known.engagements.len()), (1, 1));
        let left: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM marketing.social_engagements WHERE text IS NOT NULL",
        )
        .fetch_one(&db)
        .await?;
        assert_eq!(left, 4);
        let audited: String =
            sqlx::query_scalar("SELECT string_agg(a::text, ' ') FROM millpond.audit a")
                .fetch_one(&db)
                .await?;
        assert!(audited.contains(DEED) && !audited.to_lowercase().contains("ada@"));
        Ok(())
    }

    // Fails when nobody can be forgotten where there are no keys, or when leads that do not open there are passed over in silence.
    #[sqlx::test(migrations = "../../migrations")]
    async fn without_keys_a_person_is_found_in_all_but_leads(db: PgPool) -> anyhow::Result<()> {
        let inbound = inbound_with(&db, None);
        name(&db, ADA, "900001").await?;
        let ada = Person::known_by(ADA).expect("it names somebody");
        let actor = Actor {
            name: "test".to_owned(),
            tenant: None,
        };

        let known = inbound.known_of(&ada).await?;
        let forgotten = inbound.forget(&ada, &actor).await?;

        assert_eq!((known.leads.len(), known.unopened_leads), (0, 1));
        assert_eq!((known.engagements.len(), known.grants.len()), (1, 1));
        assert_eq!((forgotten.engagements, forgotten.grants), (1, 1));
        assert_eq!(forgotten.unopened_leads, 1);
        Ok(())
    }
}
