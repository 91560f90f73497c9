//! The ids of rules and alerts, and which of them are due.

use std::{fmt, str::FromStr, time::Duration};

use serde::Serialize;
use uuid::Uuid;

use super::{Rules, RulesError};
use crate::store::{Session, alerts, strategies, within_deadline};

macro_rules! id {
    ($(#[$about:meta])* $name:ident) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::try_parse(text).map(Self)
            }
        }
    };
}

id! {
    /// A rule.
    StrategyId
}

id! {
    /// An alert.
    AlertId
}

impl Rules {
    /// Active rules that were not evaluated for so long, the longest waiting first.
    ///
    /// # Errors
    /// [`RulesError::Store`].
    pub async fn due_strategies(
        &self,
        every: Duration,
        most: u32,
    ) -> Result<Vec<StrategyId>, RulesError> {
        let db = self.db();
        let ids = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let every_s = every.as_secs_f64();
            let ids = strategies::due(session.connection(), every_s, i64::from(most)).await?;
            session.done();
            Ok(ids)
        });
        Ok(ids.await?.into_iter().map(StrategyId).collect())
    }

    /// Active alerts that were not looked at for so long, the longest waiting first.
    ///
    /// # Errors
    /// [`RulesError::Store`].
    pub async fn due_alerts(&self, every: Duration, most: u32) -> Result<Vec<AlertId>, RulesError> {
        let db = self.db();
        let ids = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let every_s = every.as_secs_f64();
            let ids = alerts::due(session.connection(), every_s, i64::from(most)).await?;
            session.done();
            Ok(ids)
        });
        Ok(ids.await?.into_iter().map(AlertId).collect())
    }
}
