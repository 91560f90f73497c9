//! What people do to things that other crates keep: noted beside what they do to ours, in the transaction that does it.

use serde_json::Value;
use sqlx::PgConnection;

use super::{Actor, audit};
use crate::{Queue, metrics, store};

/// Something that was done to a thing of another crate.
#[derive(Debug)]
pub struct Deed<'a> {
    /// What, as `thing.verb`.
    pub action: &'static str,
    /// To what.
    pub target: Option<&'a str>,
    /// Why.
    pub reason: Option<&'a str>,
    /// To how many.
    pub count: i64,
    /// What else is worth knowing: never a secret.
    pub detail: Value,
}

impl Queue {
    /// Notes a deed in the transaction that does it. Call [`Self::count_deed`] after the commit.
    ///
    /// # Errors
    /// When the database did not take part: the transaction is over.
    pub async fn note_in(
        conn: &mut PgConnection,
        deed: Deed<'_>,
        actor: &Actor,
    ) -> Result<(), sqlx::Error> {
        let mut row = audit(actor, deed.action, deed.target);
        (row.reason, row.count, row.detail) = (deed.reason, deed.count, deed.detail);
        store::audit::note(conn, &row).await
    }

    /// Counts an action that was carried out.
    pub fn count_deed(action: &'static str) {
        metrics::admin_action(action);
    }
}
