//! The receiver's ledger: a line when an effect begins, a line when it ends.

use std::collections::BTreeMap;

use anyhow::Context;
use serde_json::Value;

use super::conservation::Effect;

/// The effects that a ledger tells of, in the order in which they began. One that has no end yet ends when it began.
pub(super) fn read(ledger: &str) -> anyhow::Result<Vec<Effect>> {
    let mut effects = BTreeMap::new();
    for line in ledger.lines() {
        let line: Value = serde_json::from_str(line)?;
        let at = line["at"].as_f64().context("a time")?;
        if let Some(serial) = line["begin"].as_u64() {
            let effect = Effect {
                job: line["job"].as_str().context("a job")?.to_owned(),
                attempt: u32::try_from(line["attempt"].as_u64().context("an attempt")?)?,
                key: line["key"].as_str().context("a key")?.to_owned(),
                started: at,
                ended: at,
                status: None,
            };
            effects.insert(serial, effect);
            continue;
        }
        let serial = line["end"].as_u64().context("an end")?;
        let effect = effects.get_mut(&serial).context("its beginning")?;
        effect.ended = at;
        effect.status = line["status"].as_u64().map(u16::try_from).transpose()?;
    }
    Ok(effects.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_and_ends_are_put_together() -> anyhow::Result<()> {
        let ledger = r#"{"begin":0,"job":"a","attempt":1,"key":"a","at":1.5}
{"begin":1,"job":"b","attempt":2,"key":"b","at":2.0}
{"end":1,"status":null,"at":3.0}
{"end":0,"status":200,"at":4.0}
"#;

        let effects = read(ledger)?;

        let told: Vec<_> = effects
            .iter()
            .map(|e| (e.job.as_str(), e.attempt, e.started, e.ended, e.status))
            .collect();
        assert_eq!(
            told,
            [("a", 1, 1.5, 4.0, Some(200)), ("b", 2, 2.0, 3.0, None)]
        );
        Ok(())
    }

    #[test]
    fn an_end_without_a_beginning_is_refused() {
        assert!(read(r#"{"end":7,"status":200,"at":1.0}"#).is_err());
    }
}
