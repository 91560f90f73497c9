//! Which of the fleet's revisions this process goes by: the newest one that it can run with.

use chrono::Utc;

use super::{
    Judge, Rejected,
    fleet::{self, Fleet},
};
use crate::{
    config::Layered,
    db::{Database, DatabaseError},
    store::config::RevisionText,
};

/// Most revisions before the newest that are looked at.
pub(super) const MOST_BACK: usize = 50;

/// What this process makes of the fleet's revisions.
pub(super) struct Choice {
    /// The one to go by; `None`: there is none, or none that this process can run with.
    pub(super) chosen: Option<Chosen>,
    /// The newest one, where this process cannot run with it.
    pub(super) rejected: Option<Rejected>,
}

/// A revision, read as this process reads it.
pub(super) struct Chosen {
    pub(super) revision: RevisionText,
    pub(super) layered: Layered,
}

/// Chooses among the newest revision and so many before it.
pub(super) async fn choose(
    db: &Database,
    judge: &Judge,
    fleet: &Fleet,
    most_back: usize,
) -> Result<Choice, DatabaseError> {
    let mut choice = Choice {
        chosen: None,
        rejected: None,
    };
    let settings = fleet::settings(&fleet.overrides);
    let mut next = fleet.newest.clone();
    let mut looks_left = most_back;
    while let Some(revision) = next {
        let name = format!("revision {}", revision.revision);
        match judge.admit(&name, &revision.text, &settings) {
            Ok(layered) => {
                choice.chosen = Some(Chosen { revision, layered });
                break;
            }
            Err(problems) if choice.rejected.is_none() => {
                choice.rejected = Some(Rejected {
                    at: Utc::now(),
                    source: name,
                    problems,
                });
            }
            Err(_) => {}
        }
        if looks_left == 0 {
            break;
        }
        looks_left -= 1;
        next = fleet::before(db, revision.revision).await?;
    }
    Ok(choice)
}
