//! The fleet's gauges about accounts.

use std::collections::HashMap;

use futures::future::BoxFuture;
use providers::platform::Platform;
use queue::FleetGauges;
use sqlx::PgConnection;

use super::AccountStatus;
use crate::{metrics, store::accounts};

/// How many accounts of each platform stand how.
#[derive(Debug, Clone, Copy, Default)]
pub struct AccountGauges;

impl FleetGauges for AccountGauges {
    fn names(&self) -> &'static [&'static str] {
        &[metrics::ACCOUNTS]
    }

    fn show<'a>(&'a self, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), sqlx::Error>> {
        Box::pin(async move {
            let counted = accounts::counts(conn).await?.into_iter();
            let counted: HashMap<(String, String), i64> = counted
                .map(|row| ((row.platform, row.status), row.count))
                .collect();
            for platform in Platform::ALL.map(Platform::as_str) {
                for status in AccountStatus::ALL.iter().map(|status| status.as_str()) {
                    let series = (platform.to_owned(), status.to_owned());
                    let count = counted.get(&series).copied().unwrap_or(0);
                    metrics::accounts(platform, status, count);
                }
            }
            Ok(())
        })
    }
}
