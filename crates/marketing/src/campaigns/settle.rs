//! How changes ended, told by the attempt that is at them. What was made is shown at once, so that the next sync finds nothing
//! new in it.

use queue::{ErrorClass, Page, PageRequest};
use sqlx::Connection as _;

use super::{
    Campaigns, CampaignsError, MadeChange,
    claim::{Claimed, Order},
    decide::{Action, Wanted},
    view::made,
};
use crate::{
    accounts::AccountId,
    store::{
        Session,
        campaign_changes::{self, End},
        within_deadline,
    },
};

/// Begins the cursors of this list.
const LIST: &str = "update";

/// Longest error that is kept, in characters.
const LONGEST_ERROR: usize = 500;

/// How long changes are kept.
const KEPT_S: f64 = 400.0 * 86_400.0;

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The platform made it.
    Done,
    /// It failed in passing and is tried again.
    Again(ErrorClass, String),
    /// The platform refuses it.
    Refused(ErrorClass, String),
}

impl Campaigns {
    /// Tells how changes ended that this attempt is at. Those that another attempt has taken over are left to it.
    ///
    /// # Errors
    /// [`CampaignsError::Store`].
    pub async fn settle(
        &self,
        order: Order,
        claimed: &Claimed,
        fates: &[(usize, &Wanted, Fate)],
    ) -> Result<(), CampaignsError> {
        let db = self.db();
        within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            for (place, wanted, fate) in fates {
                let stored = i32::try_from(*place).unwrap_or(i32::MAX);
                let which = (order.job.0, stored, claimed.run);
                let (state, class, error) = words(fate);
                let error =
                    error.map(|error| error.chars().take(LONGEST_ERROR).collect::<String>());
                let sent = claimed.to_send.iter().find(|sent| sent.place == *place);
                let sight = sent.and_then(|sent| sent.sight.as_ref());
                let end = End {
                    state,
                    before: sight.and_then(|sight| sight.before.as_deref()),
                    error_class: class,
                    error: error.as_deref(),
                };
                let is_ours = campaign_changes::end(&mut *tx, which, &end).await?;
                if is_ours && *fate == Fate::Done {
                    show(&mut tx, order.account, wanted).await?;
                }
            }
            tx.commit().await?;
            session.done();
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// A page of what was changed of an account, the newest first.
    ///
    /// # Errors
    /// [`CampaignsError::Engine`] for a cursor of another list.
    pub async fn list(
        &self,
        account: AccountId,
        page: &PageRequest,
    ) -> Result<Page<MadeChange>, CampaignsError> {
        let before = page.number(LIST)?;
        let db = self.db();
        let changes = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let rows = campaign_changes::list(session.connection(), account.0, before, page.rows())
                .await?;
            session.done();
            rows.into_iter().map(made).collect::<Result<Vec<_>, _>>()
        })
        .await?;
        Ok(Page::cut(changes, page, LIST, |change: &MadeChange| {
            change.id.to_string()
        }))
    }

    /// Deletes up to 5,000 changes that are older than 400 days; tells how many.
    ///
    /// # Errors
    /// [`CampaignsError::Store`].
    pub async fn prune(&self) -> Result<u64, CampaignsError> {
        let db = self.db();
        let pruned = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let pruned = campaign_changes::prune(session.connection(), KEPT_S).await?;
            session.done();
            Ok(pruned)
        });
        Ok(pruned.await?)
    }
}

fn words(fate: &Fate) -> (&'static str, Option<&'static str>, Option<&str>) {
    match fate {
        Fate::Done => ("done", None, None),
        Fate::Again(class, error) => ("waiting", Some(class.as_str()), Some(error)),
        Fate::Refused(class, error) => ("refused", Some(class.as_str()), Some(error)),
    }
}

async fn show(
    tx: &mut sqlx::PgConnection,
    account: AccountId,
    wanted: &Wanted,
) -> Result<(), sqlx::Error> {
    let whose = (account.0, wanted.kind.as_str(), wanted.id.as_str());
    let status = wanted.action.status().map(|status| status.as_str());
    let budgets = match &wanted.action {
        Action::DailyBudget(amount) => (Some(*amount), None),
        Action::LifetimeBudget(amount) => (None, Some(*amount)),
        Action::Pause | Action::Resume | Action::Archive => (None, None),
    };
    campaign_changes::set_entity(tx, whose, status, budgets).await
}
