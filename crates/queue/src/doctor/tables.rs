//! How PostgreSQL keeps our tables clean.

use super::{Finding, Limits, words::lasting};
use crate::{
    db::{Database, DatabaseError, within},
    store::doctor::tables::{self, Table},
};

/// The table whose rows live for seconds: where cleaning pauses, it never catches up.
const HOT: &str = "millpond.jobs";
/// Some seconds of work at full speed. Fewer cost nothing that could be measured, whatever their share.
pub(super) const DEAD_ROWS: i64 = 100_000;
/// So many live rows to a dead one are normal between two rounds of cleaning.
const LIVE_TO_DEAD: i64 = 5;

pub(super) async fn look(db: &Database, limits: &Limits) -> Result<Vec<Finding>, DatabaseError> {
    let mut session = db.request().await?;
    let tables = within(tables::tables(session.conn())).await;
    let tables = session.end(tables)?;
    Ok(super::or_ok(
        tables
            .iter()
            .flat_map(|table| [unattended(table), throttled(table), dirty(table, limits)])
            .flatten()
            .collect(),
        "tables",
        "they are kept clean",
    ))
}

fn unattended(table: &Table) -> Option<Finding> {
    let name = &table.name;
    (!table.is_vacuumed).then(|| {
        Finding::warning(
            "tables",
            format!("autovacuum is switched off for {name}"),
            "its dead rows stay, it grows without bound, and whatever reads it slows down",
            format!("run: ALTER TABLE {name} RESET (autovacuum_enabled);"),
        )
    })
}

fn throttled(table: &Table) -> Option<Finding> {
    let name = &table.name;
    let is_eager = table.vacuum_pause_ms == Some(0.0);
    (name == HOT && !is_eager).then(|| {
        Finding::warning(
            "tables",
            format!("autovacuum pauses while it works on {name}"),
            "at full speed rows die there faster than they are removed, and claims slow down",
            format!("run: ALTER TABLE {name} SET (autovacuum_vacuum_cost_delay = 0);"),
        )
    })
}

fn dirty(table: &Table, limits: &Limits) -> Option<Finding> {
    let Table {
        name,
        live_rows,
        dead_rows,
        ..
    } = table;
    let vacuumed = table.vacuumed_seconds_ago.map_or_else(
        || "was never vacuumed since the statistics began".to_owned(),
        |seconds| format!("was vacuumed {} ago", lasting(seconds)),
    );
    let is_dirty = *dead_rows > limits.dead_rows && *dead_rows > live_rows / LIVE_TO_DEAD;
    is_dirty.then(|| {
        Finding::warning(
            "tables",
            format!("{name} has {dead_rows} dead rows beside {live_rows} live ones, and {vacuumed}"),
            "whatever reads it walks over them",
            format!(
                "end whoever holds an old snapshot, if one is named here, then run: VACUUM (VERBOSE) {name};"
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs(live_rows: i64, dead_rows: i64) -> Table {
        Table {
            name: HOT.to_owned(),
            live_rows,
            dead_rows,
            vacuumed_seconds_ago: Some(300.0),
            is_vacuumed: true,
            vacuum_pause_ms: Some(0.0),
        }
    }

    #[test]
    fn dead_rows_are_told_when_they_are_many_and_a_large_share() {
        for (live, dead, expected) in [
            (0, 100_000, false),
            (0, 100_001, true),
            (1_000_000, 150_000, false),
            (1_000_000, 250_000, true),
        ] {
            let found = dirty(&jobs(live, dead), &Limits::USUAL);

            assert_eq!(found.is_some(), expected, "{live} {dead}");
        }
    }

    #[test]
    fn only_the_hot_table_must_be_cleaned_without_a_pause() {
        let paused = |name: &str| Table {
            name: name.to_owned(),
            vacuum_pause_ms: None,
            ..jobs(0, 0)
        };

        assert!(throttled(&jobs(0, 0)).is_none());
        assert!(throttled(&paused(HOT)).is_some());
        assert!(throttled(&paused("millpond.audit")).is_none());
    }
}
