//! Objectives for freshness, `[slo.NAME]`: for which share of the accounts what is stored is as young as they ask for.
//! Accounts that nothing can be read of now do not count: switched off, vanished, or without a grant that works.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use futures::future::BoxFuture;
use queue::{
    FleetGauges, Queue,
    config::{Measured, Slo},
};
use sqlx::PgConnection;

use crate::{
    metrics,
    store::freshness::{self, Asked, Met},
};

/// For which share of the accounts each objective is met. Asks for the objectives whenever it shows them.
pub struct ObjectiveGauges {
    queue: Queue,
    /// What it has shown, to take away what there is no share of any more.
    shown: Mutex<BTreeSet<String>>,
}

impl ObjectiveGauges {
    /// For the objectives by which the queue goes.
    #[must_use]
    pub fn new(queue: Queue) -> Self {
        Self {
            queue,
            shown: Mutex::default(),
        }
    }
}

impl FleetGauges for ObjectiveGauges {
    fn names(&self) -> &'static [&'static str] {
        &[metrics::SLO_GOOD_RATIO]
    }

    fn show<'a>(&'a self, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), sqlx::Error>> {
        Box::pin(async move {
            let config = self.queue.config();
            let ratios = good_ratios(conn, &config.slos).await?;
            let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            for gone in shown.iter().filter(|slo| !ratios.contains_key(*slo)) {
                metrics::slo_good_ratio(gone, f64::NAN);
            }
            for (slo, ratio) in ratios {
                metrics::slo_good_ratio(&slo, ratio);
                shown.insert(slo);
            }
            Ok(())
        })
    }
}

/// For which share of the accounts each objective is met; one without any account has none.
pub(super) async fn good_ratios(
    conn: &mut PgConnection,
    slos: &BTreeMap<String, Slo>,
) -> Result<BTreeMap<String, f64>, sqlx::Error> {
    let (mut of_entities, mut of_figures) = (Asked::default(), Asked::default());
    for (name, slo) in slos {
        let asked = match slo.kind {
            Measured::SyncAccount => &mut of_entities,
            Measured::SyncInsights => &mut of_figures,
        };
        asked.names.push(name.clone());
        // A provider's budget has the platform's name.
        asked.platforms.push(slo.budget.clone());
        asked.within_s.push(slo.within.as_secs_f64());
    }
    let mut met = Vec::new();
    if !of_entities.names.is_empty() {
        met.extend(freshness::entities_met(&mut *conn, &of_entities).await?);
    }
    if !of_figures.names.is_empty() {
        met.extend(freshness::figures_met(conn, &of_figures).await?);
    }
    Ok(met.into_iter().map(share).collect())
}

fn share(met: Met) -> (String, f64) {
    (met.name, met.good as f64 / met.accounts as f64)
}
