//! What is told of a gate that jobs of a queue were found behind: the first groups of them that it still keeps, each with
//! who holds it and until when.

use std::collections::BTreeSet;

use sqlx::PgConnection;

use super::{
    COUNTED, Gate, GateAnswer, View,
    answers::{counted, counted_with_verb},
    holders::{Holder, Places, moment},
};
use crate::{
    gates::{decide::Starting, facts::LAST_PRIORITY, note::Note, survey::GROUPS},
    store::gates::{fleet, rows},
};

/// Most groups that are told of one gate.
const TOLD: usize = 3;

impl View {
    /// A gate that so many jobs were found behind. Which of them it still keeps is asked of what it stands for.
    pub(super) async fn noted(
        &mut self,
        conn: &mut PgConnection,
        gate: Gate,
        found: i64,
    ) -> Result<GateAnswer, sqlx::Error> {
        if found == 0 {
            return Ok(GateAnswer::open(gate, "no job was found behind it"));
        }
        let notes = notes(&mut *conn, &self.queue, gate).await?;
        self.learn(&mut *conn, &notes).await?;
        let groups = self.kept(conn, &notes).await?;
        if groups.is_empty() {
            let detail = format!(
                "{} found behind it",
                counted_with_verb(found, ["was", "were"])
            );
            return Ok(if notes.len() < GROUPS {
                GateAnswer::open(gate, format!("{detail}; it has opened since"))
            } else {
                GateAnswer::closed(gate, detail)
            });
        }
        let mut detail: Vec<String> = groups.iter().map(Group::told).collect();
        if groups.len() < notes.len() {
            let told = groups.iter().map(|group| group.jobs);
            detail.push(others(found, told.sum()));
        }
        let ends = groups.iter().filter_map(|group| group.holder.until);
        Ok(GateAnswer {
            until: ends.min(),
            ..GateAnswer::closed(gate, detail.join("; "))
        })
    }

    /// Learns what these notes stand for, also where no live worker knows the kind.
    async fn learn(&mut self, conn: &mut PgConnection, notes: &[Note]) -> Result<(), sqlx::Error> {
        let kinds: BTreeSet<&str> = notes.iter().filter_map(Note::kind).collect();
        let kinds: Vec<String> = kinds.into_iter().map(str::to_owned).collect();
        let facts = &mut self.survey.facts;
        facts.learn_rules(&mut *conn, &kinds).await?;
        facts.learn_of_notes(conn, notes).await
    }

    /// The first groups that their gate still keeps.
    async fn kept<'n>(
        &self,
        conn: &mut PgConnection,
        notes: &'n [Note],
    ) -> Result<Vec<Group<'n>>, sqlx::Error> {
        let mut starting = Starting::default();
        for candidate in self.starts() {
            starting.add(candidate);
        }
        let mut groups = Vec::new();
        for note in notes {
            if groups.len() == TOLD {
                break;
            }
            let Some(holder) = self.holder(&mut *conn, note, &starting).await? else {
                continue;
            };
            let what = note.what();
            let noted = (note.gate().as_str(), what.as_str());
            let jobs = fleet::kept_for(&mut *conn, &self.queue, noted, COUNTED).await?;
            groups.push(Group { note, holder, jobs });
        }
        Ok(groups)
    }

    /// Who keeps jobs with this note, be they the least urgent; `None`: nobody does any more.
    async fn holder(
        &self,
        conn: &mut PgConnection,
        note: &Note,
        starting: &Starting<'_>,
    ) -> Result<Option<Holder>, sqlx::Error> {
        let facts = &self.survey.facts;
        match note {
            Note::KeyLimit { kind, key } => {
                let Some(most) = facts.rule_of(kind).and_then(|rule| rule.places) else {
                    return Ok(None);
                };
                let places = Places::of(self, (kind.as_str(), key.as_str()), most, starting);
                if !places.are_taken() {
                    return Ok(None);
                }
                places.holder(conn, self, None).await.map(Some)
            }
            Note::Budget {
                kind,
                budget,
                account,
            } => {
                let account = account.as_deref();
                if facts.budget_of(kind, account) != Some(budget.as_str()) {
                    return Ok(None);
                }
                Ok(self.dry(budget, account, LAST_PRIORITY))
            }
            Note::AccountHeld { account } => Ok(self.held(account)),
        }
    }
}

/// What is noted on jobs of a queue that a gate has kept, up to 200 different notes.
async fn notes(conn: &mut PgConnection, queue: &str, gate: Gate) -> Result<Vec<Note>, sqlx::Error> {
    let groups = rows::groups(conn, queue, (gate.as_str(), "")).await?;
    let of_gate = groups.iter().filter(|group| group.gate == gate.as_str());
    Ok(of_gate
        .filter_map(|group| Note::read(&group.gate, &group.what))
        .collect())
}

/// Jobs that a gate keeps for the same thing.
#[derive(Debug)]
struct Group<'n> {
    note: &'n Note,
    holder: Holder,
    /// How many they are, counted up to 10,000.
    jobs: i64,
}

impl Group<'_> {
    fn told(&self) -> String {
        let (jobs, why) = (counted(self.jobs), &self.holder.detail);
        let until = self
            .holder
            .until
            .map(|at| format!("; until {}", moment(at)));
        let until = until.unwrap_or_default();
        match self.note {
            // Each of its leases is told with its end.
            Note::KeyLimit { kind, key } => format!("{jobs} with key {key} of {kind} ({why})"),
            Note::Budget {
                kind,
                account: Some(account),
                ..
            } => format!("{jobs} of {kind} for account {account} ({why}{until})"),
            Note::Budget { kind, .. } => format!("{jobs} of {kind} ({why}{until})"),
            Note::AccountHeld { account } => format!("{jobs} for account {account} ({why})"),
        }
    }
}

/// Those that were found behind a gate beside the ones that are told of, in words.
fn others(found: i64, told: i64) -> String {
    match found - told {
        _ if found >= COUNTED => "other jobs were found behind it".to_owned(),
        1 => "1 other job was found behind it".to_owned(),
        more => format!("{more} other jobs were found behind it"),
    }
}
