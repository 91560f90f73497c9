//! Replication slots: each keeps the write-ahead log until its reader has read it, and one without a reader for ever.

use super::{Finding, Limits, words::size};
use crate::{
    db::{Database, DatabaseError, within},
    store::doctor::sessions::{self, Slot},
};

/// Sixty-four files of the log: a reader that keeps up is never that far behind.
pub(super) const RETAINED_BYTES: i64 = 1 << 30;

pub(super) async fn look(db: &Database, limits: &Limits) -> Result<Vec<Finding>, DatabaseError> {
    let mut session = db.request().await?;
    let slots = within(sessions::slots(session.conn())).await;
    let slots = session.end(slots)?;
    Ok(super::or_ok(
        slots
            .iter()
            .filter_map(|slot| finding(slot, limits))
            .collect(),
        "slots",
        "no replication slot is left behind",
    ))
}

fn finding(slot: &Slot, limits: &Limits) -> Option<Finding> {
    let name = &slot.name;
    let retained = slot.retained_bytes.unwrap_or_default();
    let kept = size(retained);
    let (detail, remedy) = if !slot.is_active {
        (
            format!(
                "nobody reads from the replication slot {name}, for which {kept} of the log are kept"
            ),
            format!(
                "start its reader, or if there is none any more, run: SELECT pg_drop_replication_slot({name});"
            ),
        )
    } else if retained > limits.retained_bytes {
        (
            format!("the reader of the replication slot {name} is {kept} behind"),
            "see what holds it up; ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; bounds what it can cost".to_owned(),
        )
    } else {
        return None;
    };
    Some(Finding::warning(
        "slots",
        detail,
        "the log is kept until it is read; a full disk stops the server",
        remedy,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_told_when_nobody_reads_from_it_or_its_reader_is_far_behind() {
        for (is_active, retained_bytes, expected) in [
            (true, Some(RETAINED_BYTES), None),
            (true, None, None),
            (true, Some(3 << 30), Some("3 GiB behind")),
            (false, Some(0), Some("nobody reads from")),
            (false, None, Some("nobody reads from")),
        ] {
            let slot = Slot {
                name: "'x'".to_owned(),
                is_active,
                retained_bytes,
            };

            let detail = finding(&slot, &Limits::USUAL).map(|finding| finding.detail);

            match expected {
                Some(part) => assert!(detail.is_some_and(|detail| detail.contains(part))),
                None => assert_eq!(detail, None),
            }
        }
    }
}
