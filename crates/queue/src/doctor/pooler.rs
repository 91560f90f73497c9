//! Who stands between this machine and the database, and what does not work there.

use super::Finding;
use crate::{
    db::{Database, DatabaseError, Pooler, SESSION, within},
    store::doctor::server::{self, Unlimited},
};

pub(super) async fn look(db: &Database) -> Result<Vec<Finding>, DatabaseError> {
    let pooler = db.pooler().await?;
    let mut findings = vec![Finding::ok("pooler", described(pooler))];
    if !pooler.keeps_sessions() {
        let mut session = db.request().await?;
        let unlimited = within(server::unlimited(session.conn())).await;
        findings.extend(without_limits(&session.end(unlimited)?));
    }
    Ok(findings)
}

fn described(pooler: Pooler) -> String {
    let off = "hearing of other processes' jobs by LISTEN (they are found by polling, within 2 s), fixed plans, \
               time limits of our own, claims answered before the disk has them";
    match pooler {
        Pooler::None => "none between this machine and the database".to_owned(),
        Pooler::Session => "one in session mode: all works as without it".to_owned(),
        Pooler::Transaction => format!(
            "one in transaction mode that does not track prepared statements: each statement's text goes along with it; \
             switched off: {off}, TLS to the pooler"
        ),
        Pooler::TransactionPrepared => {
            format!("one in transaction mode that tracks prepared statements; switched off: {off}")
        }
    }
}

fn without_limits(unlimited: &[Unlimited]) -> Option<Finding> {
    let role = &unlimited.first()?.role;
    let names: Vec<&str> = unlimited.iter().map(|one| one.setting.as_str()).collect();
    let ours = SESSION.iter().filter(|(name, _)| names.contains(name));
    let commands: Vec<String> = ours
        .map(|(name, value)| format!("run: ALTER ROLE {role} SET {name} = '{value}';"))
        .collect();
    Some(Finding::warning(
        "pooler",
        format!("sessions of {role} have no {}", names.join(", ")),
        "behind a pooler in transaction mode a session has its time limits from its role alone; without them one stuck \
         statement or forgotten lock holds up all others",
        format!(
            "{} then RECONNECT; in the pooler's console",
            commands.join(" ")
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_without_limits_is_told_how_to_get_them() {
        let unlimited = ["lock_timeout", "statement_timeout"].map(|setting| Unlimited {
            role: "ada".to_owned(),
            setting: setting.to_owned(),
        });

        let finding = without_limits(&unlimited).expect("two are missing");

        assert_eq!(
            finding.remedy,
            "run: ALTER ROLE ada SET statement_timeout = '10s'; run: ALTER ROLE ada SET lock_timeout = '2s'; \
             then RECONNECT; in the pooler's console"
        );
        assert!(without_limits(&[]).is_none());
    }

    #[test]
    fn what_is_switched_off_is_said_of_transaction_mode_alone() {
        for (pooler, is_limited) in [
            (Pooler::None, false),
            (Pooler::Session, false),
            (Pooler::Transaction, true),
            (Pooler::TransactionPrepared, true),
        ] {
            let told = described(pooler);

            assert_eq!(told.contains("switched off: hearing"), is_limited, "{told}");
        }
    }
}
