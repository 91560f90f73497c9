//! The keys that secrets lie under: which are needed, whether everything opens, and sealing all of it anew under the
//! newest one while processes go on working with it.

use std::collections::BTreeMap;

use queue::{Actor, Cipher, Deed, Queue, SealedPlace};
use serde::Serialize;
use serde_json::json;
use sqlx::{Connection as _, PgPool};
use uuid::Uuid;

use super::{
    Accounts, AccountsError,
    vault::{place_of_verifier, places_of_tokens, reseal, reseal_tokens},
};
use crate::{
    inbound::place_of_answers,
    outbound::place_of_secret,
    store::{
        Session, StoreError,
        sealed::{self, SingleRow, TokensRow},
        within_deadline,
    },
};

/// Most values that are named one by one.
const MOST_TOLD: usize = 1_000;
/// Passes over everything: what somebody stored under an older key meanwhile is found by the next one.
const PASSES: usize = 3;
const DEED: &str = "secrets.rotate";

/// How many stored secrets need a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyUse {
    /// The key's id; `None`: values that no release like this one has sealed.
    pub key_id: Option<String>,
    /// How many values are sealed under it.
    pub values: u64,
    /// Whether it is configured here.
    pub is_known: bool,
}

/// A configured key that opens nothing of what is said to be sealed under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongKey {
    /// The key's id.
    pub key_id: String,
    /// How many values were tried. Of a single one nobody can tell whether the key is another one or the value was changed.
    pub values: u64,
}

/// Whether stored secrets open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// How many were tried.
    pub values: u64,
    /// How many of them opened, by their key.
    pub opened: BTreeMap<String, u64>,
    /// How many did not.
    pub unopened: u64,
    /// Those that did not, up to 1,000.
    pub faults: Vec<Unopened>,
}

/// A secret that does not open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unopened {
    /// `schema.table:id:column`.
    pub place: String,
    /// The key that it is said to be sealed under.
    pub key_id: Option<String>,
    /// Why it does not open.
    pub reason: String,
}

/// What was sealed anew.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Rotated {
    /// The newest key.
    pub key_id: String,
    /// How many rows were sealed anew.
    pub rows: u64,
    /// How many rows were changed by others at that moment, and are still under an older key.
    pub left: u64,
    /// What does not open and was left alone, up to 1,000.
    pub faults: Vec<Unopened>,
}

impl Accounts {
    /// Which keys stored secrets need, read off their envelopes without opening any.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn keys_in_use(&self) -> Result<Vec<KeyUse>, AccountsError> {
        let db = self.db();
        let counts = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let counts = sealed::keys_in_use(session.connection()).await?;
            session.done();
            Ok(counts)
        })
        .await?;
        let cipher = self.vault().cipher().ok();
        let is_known = |id: &str| cipher.is_some_and(|cipher| cipher.key_ids().any(|it| it == id));
        let uses = counts.into_iter().map(|count| KeyUse {
            is_known: count.key_id.as_deref().is_some_and(is_known),
            key_id: count.key_id,
            values: count.values.unsigned_abs(),
        });
        Ok(uses.collect())
    }

    /// The configured keys that open nothing of what is said to be sealed under them, as far as the first stored
    /// secrets tell: another key has been given their id.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn wrong_keys(&self) -> Result<Vec<WrongKey>, AccountsError> {
        let Ok(cipher) = self.vault().cipher() else {
            return Ok(Vec::new());
        };
        let db = self.db();
        let mut tried = BTreeMap::new();
        for row in tokens(&db, Uuid::nil()).await?.unwrap_or_default().0 {
            let id = row.id;
            for (place, value) in places_of_tokens(id, &row.tokens()) {
                try_key(&mut tried, cipher, value, &place);
            }
        }
        for of in Single::ALL {
            for row in singles(&db, of, Uuid::nil()).await?.unwrap_or_default().0 {
                try_key(&mut tried, cipher, &row.sealed, &of.place(row.id));
            }
        }
        let wrong = tried.into_iter().filter(|(_, tried)| !tried.opens);
        let wrong = wrong.map(|(key_id, Tried { values, .. })| WrongKey { key_id, values });
        Ok(wrong.collect())
    }

    /// Tries to open every stored secret.
    ///
    /// # Errors
    /// [`AccountsError::NoKeys`], or when the database did not take part. What does not open is no error here.
    pub async fn verify_secrets(&self) -> Result<Verified, AccountsError> {
        let cipher = self.vault().cipher()?;
        let db = self.db();
        let mut verified = Verified::default();
        let mut after = Uuid::nil();
        while let Some((rows, last)) = tokens(&db, after).await? {
            for row in rows {
                let id = row.id;
                for (place, value) in places_of_tokens(id, &row.tokens()) {
                    verified.tried(cipher, value, &place);
                }
            }
            after = last;
        }
        for of in Single::ALL {
            after = Uuid::nil();
            while let Some((rows, last)) = singles(&db, of, after).await? {
                for row in rows {
                    verified.tried(cipher, &row.sealed, &of.place(row.id));
                }
                after = last;
            }
        }
        Ok(verified)
    }

    /// Seals everything anew that lies under an older key than the newest. It may be stopped anywhere and started again,
    /// and runs beside processes that use and change what it seals: each row is replaced only as it was read.
    ///
    /// # Errors
    /// [`AccountsError::NoKeys`], or when the database did not take part: what is sealed anew stays that.
    pub async fn rotate_secrets(&self, actor: &Actor) -> Result<Rotated, AccountsError> {
        let cipher = self.vault().cipher()?;
        let mut rotated = Rotated {
            key_id: cipher.key_ids().next().unwrap_or_default().to_owned(),
            ..Rotated::default()
        };
        for _ in 0..PASSES {
            rotated.left = 0;
            rotated.faults.clear();
            self.rotate_tokens(cipher, &mut rotated).await?;
            for of in Single::ALL {
                self.rotate_singles(cipher, of, &mut rotated).await?;
            }
            if rotated.left == 0 {
                break;
            }
        }
        self.note_rotation(&rotated, actor).await?;
        Ok(rotated)
    }

    async fn rotate_tokens(
        &self,
        cipher: &Cipher,
        rotated: &mut Rotated,
    ) -> Result<(), AccountsError> {
        let db = self.db();
        let mut after = Uuid::nil();
        while let Some((rows, last)) = tokens(&db, after).await? {
            for row in rows {
                let id = row.id;
                let old = row.tokens();
                if places_of_tokens(id, &old).all(|(_, value)| cipher.is_newest(value)) {
                    continue;
                }
                let new = match reseal_tokens(cipher, id, &old) {
                    Ok(new) => new,
                    Err(fault) => {
                        rotated.fault(fault);
                        continue;
                    }
                };
                let done = within_deadline(async {
                    let mut session = Session::open(&db).await?;
                    let done = sealed::reseal_tokens(session.connection(), id, &old, &new).await?;
                    session.done();
                    Ok(done)
                });
                rotated.did(done.await?);
            }
            after = last;
        }
        Ok(())
    }

    async fn rotate_singles(
        &self,
        cipher: &Cipher,
        of: Single,
        rotated: &mut Rotated,
    ) -> Result<(), AccountsError> {
        let db = self.db();
        let mut after = Uuid::nil();
        while let Some((rows, last)) = singles(&db, of, after).await? {
            for SingleRow { id, sealed: old } in rows {
                if cipher.is_newest(&old) {
                    continue;
                }
                let new = match reseal(cipher, &old, &of.place(id)) {
                    Ok(new) => new,
                    Err(fault) => {
                        rotated.fault(fault);
                        continue;
                    }
                };
                let done = within_deadline(async {
                    let mut session = Session::open(&db).await?;
                    let conn = session.connection();
                    let done = match of {
                        Single::Verifier => sealed::reseal_verifier(conn, id, &old, &new).await?,
                        Single::WebhookSecret => {
                            sealed::reseal_secret(conn, id, &old, &new).await?
                        }
                        Single::LeadAnswers => sealed::reseal_answers(conn, id, &old, &new).await?,
                    };
                    session.done();
                    Ok(done)
                });
                rotated.did(done.await?);
            }
            after = last;
        }
        Ok(())
    }

    async fn note_rotation(&self, rotated: &Rotated, actor: &Actor) -> Result<(), AccountsError> {
        let db = self.db();
        let noted = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let deed = Deed {
                action: DEED,
                target: Some(&rotated.key_id),
                reason: None,
                count: i64::try_from(rotated.rows).unwrap_or(i64::MAX),
                detail: json!({"left": rotated.left, "unopened": rotated.faults.len()}),
            };
            Queue::note_in(&mut tx, deed, actor).await?;
            tx.commit().await?;
            session.done();
            Ok(())
        });
        noted.await?;
        Queue::count_deed(DEED);
        Ok(())
    }
}

impl Verified {
    fn tried(&mut self, cipher: &Cipher, value: &[u8], place: &SealedPlace) {
        self.values += 1;
        match cipher.open(value, place) {
            Ok(_) => {
                let key_id = Cipher::key_id_of(value).unwrap_or_default().to_owned();
                *self.opened.entry(key_id).or_default() += 1;
            }
            Err(error) => {
                self.unopened += 1;
                if self.faults.len() < MOST_TOLD {
                    self.faults.push(Unopened::new(value, place, &error));
                }
            }
        }
    }
}

impl Rotated {
    fn did(&mut self, is_done: bool) {
        if is_done {
            self.rows += 1;
        } else {
            self.left += 1;
        }
    }

    fn fault(&mut self, fault: Unopened) {
        if self.faults.len() < MOST_TOLD {
            self.faults.push(fault);
        }
    }
}

impl Unopened {
    pub(super) fn new(value: &[u8], place: &SealedPlace, error: &queue::CipherError) -> Self {
        Self {
            place: place.as_str().to_owned(),
            key_id: Cipher::key_id_of(value).ok().map(str::to_owned),
            reason: error.to_string(),
        }
    }
}

/// What came of a key.
#[derive(Default)]
struct Tried {
    values: u64,
    /// It has opened one.
    opens: bool,
}

/// Tries the key of a value, unless it has opened one. A key that is not configured is not tried.
fn try_key(
    tried: &mut BTreeMap<String, Tried>,
    cipher: &Cipher,
    value: &[u8],
    place: &SealedPlace,
) {
    let Ok(id) = Cipher::key_id_of(value) else {
        return;
    };
    if !cipher.key_ids().any(|known| known == id) {
        return;
    }
    let so_far = tried.entry(id.to_owned()).or_default();
    if !so_far.opens {
        so_far.values += 1;
        so_far.opens = cipher.open(value, place).is_ok();
    }
}

/// The next portion of grants, with the last of them; `None` at the end.
async fn tokens(db: &PgPool, after: Uuid) -> Result<Option<(Vec<TokensRow>, Uuid)>, StoreError> {
    let rows = within_deadline(async {
        let mut session = Session::open(db).await?;
        let rows = sealed::tokens_after(session.connection(), after).await?;
        session.done();
        Ok(rows)
    })
    .await?;
    let last = rows.last().map(|row| row.id);
    Ok(last.map(|last| (rows, last)))
}

/// Columns of which each row holds a sealed value of its own.
#[derive(Clone, Copy)]
enum Single {
    /// Of people who are away at a platform.
    Verifier,
    /// Of endpoints that are told of what happens.
    WebhookSecret,
    /// What people answered in forms.
    LeadAnswers,
}

impl Single {
    const ALL: [Self; 3] = [Self::Verifier, Self::WebhookSecret, Self::LeadAnswers];

    fn place(self, id: Uuid) -> SealedPlace {
        match self {
            Self::Verifier => place_of_verifier(id),
            Self::WebhookSecret => place_of_secret(id),
            Self::LeadAnswers => place_of_answers(id),
        }
    }
}

/// The same of such a column.
async fn singles(
    db: &PgPool,
    of: Single,
    after: Uuid,
) -> Result<Option<(Vec<SingleRow>, Uuid)>, StoreError> {
    let rows = within_deadline(async {
        let mut session = Session::open(db).await?;
        let conn = session.connection();
        let rows = match of {
            Single::Verifier => sealed::verifiers_after(conn, after).await?,
            Single::WebhookSecret => sealed::secrets_after(conn, after).await?,
            Single::LeadAnswers => sealed::answers_after(conn, after).await?,
        };
        session.done();
        Ok(rows)
    })
    .await?;
    let last = rows.last().map(|row| row.id);
    Ok(last.map(|last| (rows, last)))
}
