//! Indexes that are swollen, or that cannot be used. How large an index should be is an estimate from `pg_class` and
//! `pg_stats`: nothing of it is read, so this is cheap however large it is.

use super::{Finding, Limits, words::size};
use crate::{
    db::{Database, DatabaseError, within},
    store::doctor::tables::{self, Index},
};

/// Half of what PostgreSQL holds in memory by default: a smaller one stays there, swollen or not.
pub(super) const INDEX_BYTES: i64 = 64 << 20;
/// An index in use is half to two thirds full, and its entries are counted late: twice its packed size is normal.
const SWOLLEN: f64 = 4.0;
/// A page, in bytes, and what of it entries take when it is built.
const PAGE: f64 = 8_192.0;
const PAGE_FILLED: f64 = 0.9 * (PAGE - 40.0);
/// What an entry needs beside its key, in bytes: its header, its place in the page, and what aligns it.
const BESIDE_KEY: f64 = 16.0;

pub(super) async fn look(db: &Database, limits: &Limits) -> Result<Vec<Finding>, DatabaseError> {
    let mut session = db.request().await?;
    let indexes = within(tables::indexes(session.conn(), limits.index_bytes)).await;
    let indexes = session.end(indexes)?;
    Ok(super::or_ok(
        indexes.iter().filter_map(finding).collect(),
        "indexes",
        "none is swollen, by an estimate from pg_class and pg_stats",
    ))
}

fn finding(index: &Index) -> Option<Finding> {
    let name = &index.name;
    if !index.is_valid {
        return Some(Finding::error(
            "indexes",
            format!("{name} is not usable: building it was broken off"),
            "statements that rely on it read whole tables, and every write pays for it",
            format!("run: REINDEX INDEX CONCURRENTLY {name};"),
        ));
    }
    let packed = packed_bytes(index)?;
    (index.bytes as f64 > SWOLLEN * packed).then(|| {
        Finding::warning(
            "indexes",
            format!(
                "{name} takes {}, and its entries would fit in {} (an estimate from pg_class and pg_stats)",
                size(index.bytes),
                size(packed as i64)
            ),
            "it takes memory from what is in use, and vacuum walks through all of it each time",
            format!("run: REINDEX INDEX CONCURRENTLY {name};"),
        )
    })
}

/// What the index would take if it were built now, at least a page; `None` when nobody has counted its entries.
fn packed_bytes(index: &Index) -> Option<f64> {
    let entry = index.key_bytes as f64 + BESIDE_KEY;
    let pages = (index.entries * entry / PAGE_FILLED).ceil();
    (index.entries >= 0.0).then_some(pages.max(1.0) * PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;

    fn index(bytes: i64, entries: f64) -> Index {
        Index {
            name: "millpond.jobs_ready".to_owned(),
            is_valid: true,
            bytes,
            entries,
            key_bytes: 31,
        }
    }

    // 47 bytes an entry, 156 entries a page.
    #[test]
    fn an_index_is_swollen_at_four_times_its_packed_size() {
        let full = index(4 * 8_192, 156.0);

        assert!(finding(&full).is_none());
        assert!(finding(&index(full.bytes + 1, 156.0)).is_some());
        assert!(finding(&index(full.bytes + 1, 157.0)).is_none());
    }

    #[test]
    fn an_index_that_nobody_has_counted_is_not_judged() {
        assert!(finding(&index(1 << 40, -1.0)).is_none());
    }

    #[test]
    fn an_index_that_cannot_be_used_is_an_error_whatever_its_size() {
        let broken = Index {
            is_valid: false,
            ..index(0, 0.0)
        };

        let found = finding(&broken).expect("it is broken");

        assert_eq!(found.severity, Severity::Error);
    }
}
