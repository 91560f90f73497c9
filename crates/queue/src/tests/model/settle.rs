//! Several attempts end in one transaction, as the settler stores them: each statement once, with all its rows.

use std::collections::BTreeSet;

use sqlx::{Connection, PgPool};
use uuid::Uuid;

use super::{
    expected::Expected,
    operations::{End, Ending},
    play::{LATER, QUEUE, same},
};
use crate::store::settle::{self, Again, Ended};

/// An attempt's end as it is stored: job, token, outcome.
type Stated = (Uuid, Uuid, End);

pub(super) async fn play(
    db: &PgPool,
    endings: &[Ending],
    expected: &mut Expected,
) -> anyhow::Result<()> {
    let mut endings: Vec<Stated> = endings
        .iter()
        .filter_map(|ending| {
            let id = expected.at(ending.place)?;
            Some((id, expected.token(id, ending.token), ending.end))
        })
        .collect();
    // An attempt ends once; the rows of a statement come in the order of ids.
    endings.sort_unstable();
    endings.dedup_by_key(|(id, token, _)| (*id, *token));

    let stored = store(db, &endings).await?;

    let foreseen = endings
        .into_iter()
        .filter(|(id, token, end)| expected.settled(*id, *token, *end))
        .map(|(id, ..)| id)
        .collect();
    same(stored, foreseen)
}

async fn store(db: &PgPool, endings: &[Stated]) -> anyhow::Result<BTreeSet<Uuid>> {
    let of = |wanted: &[End]| -> Vec<Stated> {
        let mut some = endings.to_vec();
        some.retain(|(.., end)| wanted.contains(end));
        some
    };
    let (forgotten, dead) = (of(&[End::Forgotten]), of(&[End::Dead]));
    let finished = of(&[End::Succeeded, End::Cancelled]);
    let put_back = of(&[
        End::Failed,
        End::Snoozed,
        End::RateLimited,
        End::Interrupted,
        End::Lost,
    ]);
    let mut conn = db.acquire().await?;
    let mut tx = conn.begin().await?;
    let mut stored = settle::delete(&mut *tx, QUEUE, &ended(&forgotten)).await?;
    let results = vec![None; finished.len()];
    stored.extend(settle::finish(&mut *tx, QUEUE, &ended(&finished), &results).await?);
    let fingerprints = vec!["told".to_owned(); dead.len()];
    stored.extend(settle::bury(&mut *tx, QUEUE, &ended(&dead), &fingerprints).await?);
    stored.extend(settle::put_back(&mut *tx, QUEUE, &ended(&put_back), &again(&put_back)).await?);
    tx.commit().await?;
    Ok(stored.into_iter().collect())
}

fn ended(endings: &[Stated]) -> Ended {
    let mut ended = Ended::default();
    for (id, token, end) in endings {
        ended.ids.push(*id);
        ended.tokens.push(*token);
        ended.outcomes.push(word(*end).to_owned());
        // A success has nothing to tell.
        let is_success = matches!(end, End::Forgotten | End::Succeeded);
        let told = |text: &str| (!is_success).then(|| text.to_owned());
        ended.classes.push(told("internal"));
        ended.errors.push(told("told to"));
        ended.progress.push(None);
    }
    ended
}

fn again(endings: &[Stated]) -> Again {
    let mut again = Again::default();
    for (.., end) in endings {
        let (state, is_used) = match end {
            End::Failed => ("retrying", true),
            End::Snoozed | End::RateLimited => ("scheduled", false),
            End::Interrupted => ("ready", false),
            End::Lost => ("ready", true),
            End::Forgotten | End::Succeeded | End::Cancelled | End::Dead => continue,
        };
        again.states.push(state.to_owned());
        again.delays.push(if state == "ready" {
            0.0
        } else {
            LATER.as_secs_f64()
        });
        again.used.push(is_used);
    }
    again
}

fn word(end: End) -> &'static str {
    match end {
        End::Forgotten | End::Succeeded => "succeeded",
        End::Cancelled => "cancelled",
        End::Dead => "dead",
        End::Failed => "failed",
        End::Snoozed => "snoozed",
        End::RateLimited => "rate_limited",
        End::Interrupted => "interrupted",
        End::Lost => "lost",
    }
}
