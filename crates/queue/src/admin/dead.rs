//! Dead letters: lists, groups, discard and restore.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Actor, AdminError, DeadLetterDetail, DeadLetterSummary, Page, PageRequest, audit};
use crate::{
    Queue,
    db::{DatabaseError, within},
    job::{ErrorClass, JobId},
    metrics,
    store::{
        self,
        dead::{self, DeadGroup, DeadQuery},
    },
};

/// Dead letters changed in one transaction.
const PORTION: i64 = 1_000;
/// Most ids in one request.
const MOST_IDS: usize = 10_000;
/// Begin the cursors of these lists.
const LETTERS: &str = "dead";
const GROUPS: &str = "group";

/// What was decided about a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// It was run again.
    Replayed,
    /// It was given up.
    Discarded,
}

impl Resolution {
    /// The word as it stands in tables and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replayed => "replayed",
            Self::Discarded => "discarded",
        }
    }
}

/// How people stand to a group of dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupState {
    /// Nobody has looked at it.
    Open,
    /// Somebody looks after it.
    Acknowledged,
    /// Its cause is mended; a new dead letter opens it again.
    Resolved,
}

impl GroupState {
    /// The word as it stands in tables and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }
}

/// What to change of a group; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct GroupChange {
    /// The new state.
    pub state: Option<GroupState>,
    /// The new note, at most 2,000 characters; an empty one takes the old one away.
    pub note: Option<String>,
}

/// Which dead letters are meant; without a resolution those that are open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadFilter {
    /// Only this kind.
    pub kind: Option<String>,
    /// Only this queue.
    pub queue: Option<String>,
    /// Only this class.
    pub class: Option<ErrorClass>,
    /// Only this group.
    pub fingerprint: Option<String>,
    /// Only this tenant.
    pub tenant: Option<String>,
    /// Only those that died at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Only those that died before this time.
    pub until: Option<DateTime<Utc>>,
    /// Only those resolved in this way; for lists alone, since each action knows what it is for.
    pub resolution: Option<Resolution>,
}

impl DeadFilter {
    pub(super) fn query(&self) -> DeadQuery {
        DeadQuery {
            kind: self.kind.clone(),
            queue: self.queue.clone(),
            class: self.class.map(|class| class.as_str().to_owned()),
            fingerprint: self.fingerprint.clone(),
            tenant: self.tenant.clone(),
            since: self.since,
            until: self.until,
            resolution: self
                .resolution
                .map(|resolution| resolution.as_str().to_owned()),
        }
    }

    /// The same, for this actor: one that is bound to a tenant means its own dead letters alone.
    pub(super) fn within_tenant(&self, actor: &Actor) -> Self {
        match &actor.tenant {
            Some(tenant) => Self {
                tenant: Some(tenant.clone()),
                ..self.clone()
            },
            None => self.clone(),
        }
    }
}

/// The dead letters that an action is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// These, at most 10,000.
    Ids(Vec<JobId>),
    /// All that a filter means; one without a condition is refused, and so is one with a resolution.
    Filter(DeadFilter),
}

impl Selection {
    pub(super) fn check(&self) -> Result<(), AdminError> {
        match self {
            Self::Ids(ids) if ids.is_empty() => Err(AdminError::invalid("/ids", "is empty")),
            Self::Ids(ids) if ids.len() > MOST_IDS => {
                Err(AdminError::invalid("/ids", "holds more than 10,000 ids"))
            }
            Self::Filter(filter) if *filter == DeadFilter::default() => Err(AdminError::invalid(
                "/filter",
                "is empty, which would mean every dead letter: name at least one condition",
            )),
            Self::Filter(DeadFilter {
                resolution: Some(_),
                ..
            }) => Err(AdminError::invalid(
                "/filter/resolution",
                "is for lists alone: what is open is replayed and discarded, what was discarded is restored",
            )),
            Self::Ids(_) | Self::Filter(_) => Ok(()),
        }
    }
}

/// What a person does with dead letters beside replaying them.
#[derive(Debug, Clone, Copy)]
enum Action {
    Discard,
    Restore,
}

impl Action {
    /// The word as it stands in the audit and in metrics.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Discard => "dead_letter.discard",
            Self::Restore => "dead_letter.restore",
        }
    }

    /// The word for a dead letter after it, as it stands in metrics.
    const fn done(self) -> &'static str {
        match self {
            Self::Discard => "discarded",
            Self::Restore => "restored",
        }
    }

    /// How the dead letters stand that it is for.
    const fn resolution_before(self) -> Option<Resolution> {
        match self {
            Self::Discard => None,
            Self::Restore => Some(Resolution::Discarded),
        }
    }
}

impl Queue {
    /// A page of dead letters, the newest first.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for a cursor of another list.
    pub async fn dead_letters(
        &self,
        filter: &DeadFilter,
        page: &PageRequest,
    ) -> Result<Page<DeadLetterSummary>, AdminError> {
        let before = page.id(LETTERS)?;
        let mut session = self.shared.db.request().await?;
        let rows = within(dead::list(
            session.conn(),
            &filter.query(),
            before,
            page.rows(),
        ))
        .await;
        let config = self.shared.config();
        let items = session
            .end(rows)?
            .into_iter()
            .map(|(job, death)| DeadLetterSummary::from_rows(job, death, &config))
            .collect();
        Ok(Page::cut(
            items,
            page,
            LETTERS,
            |letter: &DeadLetterSummary| letter.job.id.to_string(),
        ))
    }

    /// A dead letter with all its attempts.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], also for a job that is not dead and for another tenant's.
    pub async fn dead_letter(
        &self,
        id: JobId,
        tenant: Option<&str>,
    ) -> Result<DeadLetterDetail, AdminError> {
        let mut session = self.shared.db.request().await?;
        let death = within(dead::death(session.conn(), id.0)).await;
        let death = session.end(death)?.ok_or(AdminError::NotFound)?;
        let job = self.job(id, tenant).await?;
        Ok(DeadLetterDetail::new(job, death))
    }

    /// A page of groups with open dead letters, by fingerprint.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for a cursor of another list.
    pub async fn dead_groups(
        &self,
        filter: &DeadFilter,
        page: &PageRequest,
    ) -> Result<Page<DeadGroup>, AdminError> {
        let after = page.text(GROUPS)?;
        let mut session = self.shared.db.request().await?;
        let groups = within(dead::groups(
            session.conn(),
            &filter.query(),
            after.as_deref(),
            page.rows(),
        ))
        .await;
        Ok(Page::cut(
            session.end(groups)?,
            page,
            GROUPS,
            |group: &DeadGroup| group.fingerprint.clone(),
        ))
    }

    /// Changes the state or the note of a group.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] for a group without open dead letters.
    pub async fn update_dead_group(
        &self,
        fingerprint: &str,
        change: GroupChange,
        actor: &Actor,
    ) -> Result<DeadGroup, AdminError> {
        if change
            .note
            .as_ref()
            .is_some_and(|note| note.chars().count() > 2_000 || note.contains('\0'))
        {
            return Err(AdminError::invalid(
                "/note",
                "must have at most 2,000 characters and no U+0000",
            ));
        }
        let tenant = actor.tenant.as_deref();
        let state = change.state.map(GroupState::as_str);
        let mut session = self.shared.db.request().await?;
        let updated = within(async {
            let mut tx = sqlx::Connection::begin(session.conn()).await?;
            let updated =
                dead::update_group(&mut *tx, fingerprint, tenant, state, change.note.as_deref())
                    .await?;
            if updated {
                store::audit::note(
                    &mut *tx,
                    &audit(actor, "dead_group.update", Some(fingerprint)),
                )
                .await?;
            }
            tx.commit().await?;
            Ok(updated)
        })
        .await;
        if !session.end(updated)? {
            return Err(AdminError::NotFound);
        }
        metrics::admin_action("dead_group.update");
        let filter = DeadFilter {
            fingerprint: Some(fingerprint.to_owned()),
            ..DeadFilter::default()
        };
        let page = self
            .dead_groups(
                &filter.within_tenant(actor),
                &PageRequest::new(Some(1), None)?,
            )
            .await?;
        page.items.into_iter().next().ok_or(AdminError::NotFound)
    }

    /// Gives dead letters up; tells how many. They stay until retention takes them, and can be restored.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] without a reason, for an empty selection, or for a filter with a resolution.
    pub async fn discard(
        &self,
        selection: Selection,
        reason: &str,
        actor: &Actor,
    ) -> Result<u64, AdminError> {
        self.resolve(selection, reason, actor, Action::Discard)
            .await
    }

    /// Opens discarded dead letters again; tells how many.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] without a reason, for an empty selection, or for a filter with a resolution.
    pub async fn restore(
        &self,
        selection: Selection,
        reason: &str,
        actor: &Actor,
    ) -> Result<u64, AdminError> {
        self.resolve(selection, reason, actor, Action::Restore)
            .await
    }

    async fn resolve(
        &self,
        selection: Selection,
        reason: &str,
        actor: &Actor,
        action: Action,
    ) -> Result<u64, AdminError> {
        selection.check()?;
        if reason.trim().is_empty() || reason.chars().count() > 500 || reason.contains('\0') {
            return Err(AdminError::invalid(
                "/reason",
                "is required: 1 to 500 characters",
            ));
        }
        let mut total = 0;
        match selection {
            Selection::Ids(ids) => {
                let ids: Vec<Uuid> = ids.into_iter().map(|id| id.0).collect();
                total = self.resolve_some(&ids, reason, actor, action).await?;
            }
            Selection::Filter(filter) => {
                let query = DeadFilter {
                    resolution: action.resolution_before(),
                    ..filter.within_tenant(actor)
                }
                .query();
                let mut after = None;
                loop {
                    let ids = self.matching(&query, after, PORTION).await?;
                    let Some(last) = ids.last().copied() else {
                        break;
                    };
                    after = Some(last);
                    total += self.resolve_some(&ids, reason, actor, action).await?;
                }
            }
        }
        metrics::admin_action(action.as_str());
        Ok(total)
    }

    pub(super) async fn matching(
        &self,
        query: &DeadQuery,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<Uuid>, DatabaseError> {
        let mut session = self.shared.db.request().await?;
        let ids = within(dead::matching(session.conn(), query, after, limit)).await;
        session.end(ids)
    }

    async fn resolve_some(
        &self,
        ids: &[Uuid],
        reason: &str,
        actor: &Actor,
        action: Action,
    ) -> Result<u64, DatabaseError> {
        let tenant = actor.tenant.as_deref();
        let mut session = self.shared.db.request().await?;
        let kinds = within(async {
            let mut tx = sqlx::Connection::begin(session.conn()).await?;
            let kinds = match action {
                Action::Discard => {
                    dead::discard(&mut *tx, ids, tenant, &actor.name, reason).await?
                }
                Action::Restore => dead::restore(&mut *tx, ids, tenant).await?,
            };
            let mut row = audit(actor, action.as_str(), None);
            row.reason = Some(reason);
            row.count = i64::try_from(kinds.len()).unwrap_or(i64::MAX);
            store::audit::note(&mut *tx, &row).await?;
            tx.commit().await?;
            Ok(kinds)
        })
        .await;
        let kinds = session.end(kinds)?;
        for kind in &kinds {
            metrics::dead_letter_resolved(kind, action.done());
        }
        Ok(kinds.len() as u64)
    }
}
