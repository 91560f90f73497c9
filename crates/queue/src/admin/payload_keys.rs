//! The keys that payloads lie under: which are missing here, whether every payload opens, and sealing all of them anew under
//! the newest one while processes go on with their jobs.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Actor, audit};
use crate::{
    Queue,
    db::{DatabaseError, within},
    error_chain, metrics,
    sealing::{self, Sealer, Unopened},
    store::{
        self,
        payload_keys::{self, PatchRow, PayloadRow},
    },
};

/// Most payloads that are named one by one.
const MOST_TOLD: usize = 1_000;
/// Passes over everything: what somebody stored under an older key meanwhile is found by the next one.
const PASSES: usize = 3;
/// Longest that a process looks for what needs a key before it starts.
const LONGEST_LOOK: Duration = Duration::from_secs(20);
const DEED: &str = "payloads.rotate";

/// Why payloads could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum PayloadKeysError {
    /// This process has no keys.
    #[error("no encryption key is configured: set MILLPOND_ENCRYPTION_KEYS")]
    NoKeys,
    /// The database did not take part: what was done before stays done.
    #[error("the database did not take part")]
    Database(#[from] DatabaseError),
}

/// A payload that does not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadFault {
    /// `schema.table:id:column`; the table is that of jobs wherever the job has gone.
    pub place: String,
    /// The key that it is said to be sealed under.
    pub key_id: Option<String>,
    /// Why it does not open.
    pub reason: String,
}

/// Whether payloads open that lie encrypted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PayloadsVerified {
    /// How many opened, by their key.
    pub opened: BTreeMap<String, u64>,
    /// How many did not.
    pub unopened: u64,
    /// How many lie in the clear though their kind is encrypted by now.
    pub in_the_clear: u64,
    /// Those that did not open, up to 1,000.
    pub faults: Vec<PayloadFault>,
}

/// What was sealed anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PayloadsRotated {
    /// How many payloads and patches were sealed anew.
    pub rows: u64,
    /// How many were changed by others at that moment, and may be under an older key.
    pub left: u64,
    /// What does not open and was left alone, up to 1,000.
    pub faults: Vec<PayloadFault>,
}

/// Where payloads lie that are still needed.
#[derive(Debug, Clone, Copy)]
enum Table {
    Jobs,
    Letters,
}

impl Table {
    const ALL: [Self; 2] = [Self::Jobs, Self::Letters];

    async fn page(
        self,
        conn: &mut PgConnection,
        after: Uuid,
        kinds: &[String],
    ) -> Result<Vec<PayloadRow>, sqlx::Error> {
        match self {
            Self::Jobs => payload_keys::of_jobs(conn, after, kinds).await,
            Self::Letters => payload_keys::of_letters(conn, after, kinds).await,
        }
    }

    async fn reseal(
        self,
        conn: &mut PgConnection,
        id: Uuid,
        (old, new): (&str, &str),
    ) -> Result<bool, sqlx::Error> {
        match self {
            Self::Jobs => payload_keys::reseal_job(conn, id, old, new).await,
            Self::Letters => payload_keys::reseal_letter(conn, id, old, new).await,
        }
    }
}

impl Queue {
    /// The keys that payloads lie under and that this process does not have. Where there are very many jobs, also those that
    /// some may lie under. That a key was used stays noted although nothing lies under it now: a process that has it may be about
    /// to seal under it. Who seals everything anew takes the note out.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn missing_payload_keys(&self) -> Result<Vec<String>, DatabaseError> {
        let mut session = self.shared.db.request().await?;
        let known = within(payload_keys::known(session.conn())).await;
        let known = session.end(known)?;
        let sealer = self.shared.sealer();
        let is_here = |id: &String| sealer.is_some_and(|sealer| sealer.has_key(id));
        let missing: BTreeSet<String> = known.into_iter().filter(|id| !is_here(id)).collect();
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        let needed = self.needed_among(&missing).await?;
        Ok(needed.into_iter().collect())
    }

    /// Those of these keys that something lies under, read off the envelopes.
    async fn needed_among(
        &self,
        keys: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>, DatabaseError> {
        let began = Instant::now();
        let mut needed = BTreeSet::new();
        let mut after = Uuid::nil();
        while let Some((rows, last)) = self.patches(after).await? {
            let stored = rows.iter().map(|row| row.patch.to_string());
            let ids = stored.filter_map(|stored| sealing::key_id_of(&stored));
            needed.extend(ids.filter(|id| keys.contains(id)));
            after = last;
        }
        for table in Table::ALL {
            let mut after = Uuid::nil();
            while let Some((rows, last)) = self.payloads(table, after).await? {
                let stored = rows.iter().filter_map(|row| row.payload.as_deref());
                let ids = stored.filter_map(sealing::key_id_of);
                needed.extend(ids.filter(|id| keys.contains(id)));
                if needed.len() == keys.len() || began.elapsed() > LONGEST_LOOK {
                    return Ok(keys.clone());
                }
                after = last;
            }
        }
        Ok(needed)
    }

    /// Tries to open every payload that lies encrypted, of jobs that are to be done and of dead letters, and every patch of
    /// replay runs that go on.
    ///
    /// # Errors
    /// [`PayloadKeysError`]. What does not open is no error here.
    pub async fn verify_payloads(&self) -> Result<PayloadsVerified, PayloadKeysError> {
        let sealer = self.shared.sealer().ok_or(PayloadKeysError::NoKeys)?;
        let mut verified = PayloadsVerified::default();
        for table in Table::ALL {
            let mut after = Uuid::nil();
            while let Some((rows, last)) = self.payloads(table, after).await? {
                for row in &rows {
                    verified.look_at(sealer, row);
                }
                after = last;
            }
        }
        let mut after = Uuid::nil();
        while let Some((rows, last)) = self.patches(after).await? {
            for row in rows {
                verified.look_at_patch(sealer, row);
            }
            after = last;
        }
        Ok(verified)
    }

    /// Seals every payload anew that lies under an older key than the newest, or in the clear though its kind is encrypted.
    /// It may be stopped anywhere and started again, and runs beside processes that work on these jobs: each payload is
    /// replaced only as it was read. Keys that nothing lies under after that are not needed any more.
    ///
    /// # Errors
    /// [`PayloadKeysError`]: what is sealed anew stays that.
    pub async fn rotate_payloads(
        &self,
        actor: &Actor,
    ) -> Result<PayloadsRotated, PayloadKeysError> {
        let sealer = self.shared.sealer().ok_or(PayloadKeysError::NoKeys)?;
        let mut session = self.shared.db.request().await?;
        let noted = within(payload_keys::remember(session.conn(), sealer.key_id())).await;
        session.end(noted)?;
        let mut rotated = PayloadsRotated::default();
        for _ in 0..PASSES {
            rotated.left = 0;
            rotated.faults.clear();
            for table in Table::ALL {
                self.rotate_table(table, sealer, &mut rotated).await?;
            }
            self.rotate_patches(sealer, &mut rotated).await?;
            if rotated.left == 0 {
                break;
            }
        }
        self.note_rotation(sealer, &rotated, actor).await?;
        Ok(rotated)
    }

    async fn rotate_table(
        &self,
        table: Table,
        sealer: &Sealer,
        rotated: &mut PayloadsRotated,
    ) -> Result<(), PayloadKeysError> {
        let mut after = Uuid::nil();
        while let Some((rows, last)) = self.payloads(table, after).await? {
            for row in rows {
                let Some(old) = row.payload else { continue };
                if sealing::is_wiped(&old) || sealer.is_newest(&old) {
                    continue;
                }
                let new = match sealer.resealed(row.id, &old) {
                    Ok(new) => new,
                    Err(why) => {
                        rotated.fault(PayloadFault::of_payload(row.id, &old, &why));
                        continue;
                    }
                };
                let mut session = self.shared.db.request().await?;
                let done = within(table.reseal(session.conn(), row.id, (&old, &new))).await;
                rotated.did(session.end(done)?);
            }
            after = last;
        }
        Ok(())
    }

    async fn rotate_patches(
        &self,
        sealer: &Sealer,
        rotated: &mut PayloadsRotated,
    ) -> Result<(), PayloadKeysError> {
        let mut after = Uuid::nil();
        while let Some((rows, last)) = self.patches(after).await? {
            for PatchRow { id, patch: old } in rows {
                let stored = old.to_string();
                if sealer.is_newest(&stored) {
                    continue;
                }
                let new = match sealing::opened_patch(Some(sealer), id, old.clone()) {
                    Ok(patch) => sealer.seal_patch(id, &patch),
                    Err(why) => {
                        rotated.fault(PayloadFault::of_patch(id, &stored, &why));
                        continue;
                    }
                };
                let mut session = self.shared.db.request().await?;
                let done = payload_keys::reseal_patch(session.conn(), id, &old, &new);
                let done = within(done).await;
                rotated.did(session.end(done)?);
            }
            after = last;
        }
        Ok(())
    }

    /// Notes what was done, and takes out the keys that nothing lies under.
    async fn note_rotation(
        &self,
        sealer: &Sealer,
        rotated: &PayloadsRotated,
        actor: &Actor,
    ) -> Result<(), PayloadKeysError> {
        let needed: BTreeSet<&str> = rotated.needed_keys().chain([sealer.key_id()]).collect();
        let is_whole = rotated.left == 0 && rotated.faults.len() < MOST_TOLD;
        let mut session = self.shared.db.request().await?;
        let noted = within(async {
            let mut tx = sqlx::Connection::begin(session.conn()).await?;
            for id in payload_keys::known(&mut *tx).await? {
                if is_whole && !needed.contains(&*id) {
                    payload_keys::forget(&mut *tx, &id).await?;
                }
            }
            let mut row = audit(actor, DEED, Some(sealer.key_id()));
            row.count = i64::try_from(rotated.rows).unwrap_or(i64::MAX);
            row.detail = json!({"left": rotated.left, "unopened": rotated.faults.len()});
            store::audit::note(&mut *tx, &row).await?;
            tx.commit().await
        })
        .await;
        session.end(noted)?;
        metrics::admin_action(DEED);
        Ok(())
    }

    /// The next portion of payloads, with the last of their jobs; `None` at the end.
    async fn payloads(
        &self,
        table: Table,
        after: Uuid,
    ) -> Result<Option<(Vec<PayloadRow>, Uuid)>, DatabaseError> {
        let config = self.shared.config();
        let kinds = self.shared.kind_names();
        let sealed = kinds.filter(|kind| self.shared.seals(&config.policy(kind)));
        let sealed: Vec<String> = sealed.map(str::to_owned).collect();
        let mut session = self.shared.db.request().await?;
        let rows = within(table.page(session.conn(), after, &sealed)).await;
        let rows = session.end(rows)?;
        let last = rows.last().map(|row| row.id);
        Ok(last.map(|last| (rows, last)))
    }

    /// The next portion of sealed patches of runs that go on, with the last of them; `None` at the end.
    async fn patches(&self, after: Uuid) -> Result<Option<(Vec<PatchRow>, Uuid)>, DatabaseError> {
        let mut session = self.shared.db.request().await?;
        let rows = within(payload_keys::of_replays(session.conn(), after)).await;
        let rows = session.end(rows)?;
        let last = rows.last().map(|row| row.id);
        Ok(last.map(|last| (rows, last)))
    }
}

impl PayloadsVerified {
    fn look_at(&mut self, sealer: &Sealer, row: &PayloadRow) {
        let Some(stored) = row.payload.as_deref() else {
            return;
        };
        if sealing::is_wiped(stored) {
            return;
        }
        if !sealing::is_sealed(stored) {
            self.in_the_clear += 1;
            return;
        }
        match sealing::opened(Some(sealer), row.id, stored) {
            Ok(_) => self.opens(stored),
            Err(why) => self.fault(PayloadFault::of_payload(row.id, stored, &why)),
        }
    }

    fn look_at_patch(&mut self, sealer: &Sealer, row: PatchRow) {
        let stored = row.patch.to_string();
        match sealing::opened_patch(Some(sealer), row.id, row.patch) {
            Ok(_) => self.opens(&stored),
            Err(why) => self.fault(PayloadFault::of_patch(row.id, &stored, &why)),
        }
    }

    fn opens(&mut self, stored: &str) {
        let key_id = sealing::key_id_of(stored).unwrap_or_default();
        *self.opened.entry(key_id).or_default() += 1;
    }

    fn fault(&mut self, fault: PayloadFault) {
        self.unopened += 1;
        if self.faults.len() < MOST_TOLD {
            self.faults.push(fault);
        }
    }
}

impl PayloadsRotated {
    fn did(&mut self, is_done: bool) {
        if is_done {
            self.rows += 1;
        } else {
            self.left += 1;
        }
    }

    fn fault(&mut self, fault: PayloadFault) {
        if self.faults.len() < MOST_TOLD {
            self.faults.push(fault);
        }
    }

    /// The keys that something lies under which does not open.
    fn needed_keys(&self) -> impl Iterator<Item = &str> {
        self.faults
            .iter()
            .filter_map(|fault| fault.key_id.as_deref())
    }
}

impl PayloadFault {
    fn of_payload(job: Uuid, stored: &str, why: &Unopened) -> Self {
        Self {
            place: sealing::place_of_payload(job).as_str().to_owned(),
            key_id: sealing::key_id_of(stored),
            reason: error_chain(why),
        }
    }

    fn of_patch(replay: Uuid, stored: &str, why: &Unopened) -> Self {
        Self {
            place: sealing::place_of_patch(replay).as_str().to_owned(),
            ..Self::of_payload(replay, stored, why)
        }
    }
}
