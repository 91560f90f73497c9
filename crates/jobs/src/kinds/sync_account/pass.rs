//! One attempt's way through what an account holds. What cannot be read of it is left out and told; the rest goes on.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use marketing::{
    accounts::{FoundAccount, SeenTokens},
    sync::{
        CacheKey, CacheOf, Cached, Sync, SyncCounts, SyncFailure, SyncMode, SyncOutcome, SyncWhat,
    },
};
use providers::{
    Detail, Error as ProviderError,
    platform::{Access, AdAccount, Caller, Cursor, Entity, EntityQuery, EntityType, Page},
};
use queue::{Job, Outcome, error_chain};
use serde_json::{Value, json};

use super::{
    SyncAccount,
    place::{LeftOut, Place, Stage},
};
use crate::{
    account::{Attempt, actor},
    error::Error,
    setback::set_back,
};

/// How long an attempt goes on before it lets others go first.
const LONGEST_TURN: Duration = Duration::from_secs(5 * 60);
/// How soon its next one comes then.
const NEXT_TURN: Duration = Duration::from_secs(1);
/// How much of the time before is asked for once more: platforms' clocks are not ours.
const OVERLAP: TimeDelta = TimeDelta::minutes(15);
/// Longest question, in bytes, whose answer is kept.
const LONGEST_KEY: usize = 1_000;

/// Reads what an account holds.
pub(super) async fn read(attempt: &Attempt<'_>, mode: SyncMode) -> Result<Outcome, Error> {
    if let Some(done) = attempt.done_before().await? {
        attempt.ask_for_history().await;
        return Ok(Outcome::SucceededWith(told(done, &[])));
    }
    let syncs = &attempt.app.syncs;
    let what = SyncWhat::Entities(mode);
    let sync = syncs
        .begin(attempt.account.id, &what, attempt.job.id)
        .await?;
    let mut pass = Pass {
        attempt,
        mode,
        sync,
        is_resumed: false,
    };
    match pass.go_on().await {
        Ok(Some(place)) => pass.finish(place).await,
        Ok(None) => Ok(Outcome::Snoozed(NEXT_TURN)),
        Err(error) => {
            set_back(attempt.app, pass.sync, &error).await;
            Err(error)
        }
    }
}

struct Pass<'a> {
    attempt: &'a Attempt<'a>,
    mode: SyncMode,
    sync: Sync,
    /// It goes on where another attempt was, and no page has come since.
    is_resumed: bool,
}

impl Pass<'_> {
    /// The place behind everything; `None`: the turn is over.
    async fn go_on(&mut self) -> Result<Option<Place>, Error> {
        let began = Instant::now();
        let stored = self.sync.cursor.as_ref().and_then(Place::stored);
        self.is_resumed = stored.is_some();
        let mut place = match stored {
            Some(place) => place,
            None => self.first().await?,
        };
        while let Some(kind) = place.kind {
            self.attempt.go_on()?;
            if began.elapsed() > LONGEST_TURN {
                return Ok(None);
            }
            place = self.step(kind, place).await?;
            let counts = self.sync.counts;
            (self.attempt.progress)(json!({
                "reading": kind,
                "pages": counts.pages,
                "entities": counts.entities,
            }));
        }
        Ok(Some(place))
    }

    /// The beginning: the account itself is read first.
    async fn first(&self) -> Result<Place, Error> {
        let found = FoundAccount::from(self.account().await?);
        let Attempt { app, account, .. } = *self.attempt;
        let actor = actor(SyncAccount::KIND);
        app.accounts
            .keep_found(account.connection, vec![found], None, &actor)
            .await?;
        let since = match self.mode {
            SyncMode::Full => None,
            SyncMode::Incremental => {
                let read_at = app.syncs.entities_read_at(&[account.id]).await?;
                read_at.get(&account.id).map(|since| *since - OVERLAP)
            }
        };
        Ok(Place::first(&self.kinds(since), since))
    }

    /// What is read, parents first. What cannot be asked for its changes is read with them where it changes what is
    /// delivered, and else when everything is.
    fn kinds(&self, since: Option<DateTime<Utc>>) -> Vec<EntityType> {
        let client = self.attempt.client;
        let is_read = |kind: &EntityType| {
            let delivers = matches!(
                kind,
                EntityType::Campaign | EntityType::AdSet | EntityType::Ad
            );
            since.is_none() || delivers || client.lists_changes(*kind)
        };
        client
            .entity_types()
            .iter()
            .copied()
            .filter(is_read)
            .collect()
    }

    async fn step(&mut self, kind: EntityType, place: Place) -> Result<Place, Error> {
        let syncs = &self.attempt.app.syncs;
        let Stage::Page(after) = &place.stage else {
            let next = place.clone().behind_kind(&self.kinds(place.since));
            syncs
                .finish_entities(&mut self.sync, kind, &next.document())
                .await?;
            return Ok(next);
        };
        match self.page(kind, &place, after.as_ref()).await {
            Ok(page) => {
                self.is_resumed = false;
                let next = place.behind(page.next);
                syncs
                    .store_entities(&mut self.sync, &page.items, &next.document())
                    .await?;
                Ok(next)
            }
            Err(Error::Provider(refusal)) => self.refused(kind, place, refusal).await,
            Err(error) => Err(error),
        }
    }

    async fn refused(
        &mut self,
        kind: EntityType,
        place: Place,
        refusal: ProviderError,
    ) -> Result<Place, Error> {
        let syncs = &self.attempt.app.syncs;
        let goes_on_behind = matches!(&place.stage, Stage::Page(Some(_)));
        let next = match &refusal {
            ProviderError::TooLarge { .. } => place.clone().with_smaller_pages(),
            // What is there has not vanished: so nothing of the kind is marked.
            ProviderError::Permission { .. } | ProviderError::Rejected { .. }
                if self.may_be_withheld(&place.stage) =>
            {
                Some(place.clone().behind_kind(&self.kinds(place.since)))
            }
            // Cursors do not live for ever.
            ProviderError::Rejected { .. } if self.is_resumed && goes_on_behind => {
                self.is_resumed = false;
                syncs.start_over(&mut self.sync).await?;
                Some(Place::first(&self.kinds(place.since), place.since))
            }
            ProviderError::Permission { .. } | ProviderError::Rejected { .. } => None,
            _ => return Err(refusal.into()),
        };
        let next = next.unwrap_or_else(|| {
            let refusal = Error::Provider(refusal);
            let left_out = LeftOut {
                kind,
                class: refusal.class(),
                message: refusal.to_string(),
            };
            let kinds = self.kinds(place.since);
            place.without(left_out, &kinds)
        });
        syncs.move_on(&mut self.sync, &next.document()).await?;
        Ok(next)
    }

    fn may_be_withheld(&self, stage: &Stage) -> bool {
        let client = self.attempt.client;
        matches!(stage, Stage::Page(Some(at)) if client.may_be_withheld(at))
    }

    async fn page(
        &self,
        kind: EntityType,
        place: &Place,
        after: Option<&Cursor>,
    ) -> Result<Page<Entity>, Error> {
        let Attempt {
            account, client, ..
        } = *self.attempt;
        let query = EntityQuery {
            account_id: account.external_id.clone(),
            currency: account.currency.clone(),
            kind,
            changed_since: place.since,
            page_size: place.page_size,
        };
        let page = if client.is_of_the_grant(kind) && query.changed_since.is_none() {
            self.page_of_the_grant(&query, after).await?
        } else {
            self.page_of_the_account(&query, after).await?
        };
        if page.next.is_some() && page.next.as_ref() == after {
            return Err(Error::Provider(goes_in_a_circle(account.platform.as_str())));
        }
        Ok(page)
    }

    async fn page_of_the_account(
        &self,
        query: &EntityQuery,
        after: Option<&Cursor>,
    ) -> Result<Page<Entity>, Error> {
        let Attempt {
            app,
            account,
            client,
            door,
            ..
        } = *self.attempt;
        let ask = |access: Access| async move {
            let caller = Caller {
                access: &access,
                door,
            };
            client.entities(caller, query, after).await
        };
        Ok(Box::pin(app.accounts.with_fresh_token(account.id, door, ask)).await?)
    }

    /// A page of what belongs to whoever gave access. The syncs of all accounts of a grant ask for the same: for half an hour
    /// one answer serves them all.
    async fn page_of_the_grant(
        &self,
        query: &EntityQuery,
        after: Option<&Cursor>,
    ) -> Result<Page<Entity>, Error> {
        let Attempt {
            app,
            account,
            client,
            door,
            ..
        } = *self.attempt;
        let held = Box::pin(app.accounts.token(account.id, door)).await?;
        let Some(key) = key_of_page(held.seen, query, after) else {
            return self.page_of_the_account(query, after).await;
        };
        let ask = async {
            let caller = Caller {
                access: &held.access,
                door,
            };
            let page = client.entities(caller, query, after).await?;
            Ok::<_, ProviderError>(json!(page))
        };
        match Box::pin(app.syncs.cached(&key, ask)).await {
            Ok(kept) => match serde_json::from_value(kept) {
                Ok(page) => Ok(page),
                // Another release kept it in its own form.
                Err(_) => self.page_of_the_account(query, after).await,
            },
            // Other tokens are looked for before anybody says that the grant is spent.
            Err(ProviderError::AuthExpired { .. }) => self.page_of_the_account(query, after).await,
            Err(refusal) => Err(Error::Provider(refusal)),
        }
    }

    async fn account(&self) -> Result<AdAccount, Error> {
        let Attempt {
            app,
            account,
            client,
            door,
            ..
        } = *self.attempt;
        let ask = |access: Access| async move {
            let caller = Caller {
                access: &access,
                door,
            };
            client.account(caller, &account.external_id).await
        };
        Ok(Box::pin(app.accounts.with_fresh_token(account.id, door, ask)).await?)
    }

    async fn finish(self, place: Place) -> Result<Outcome, Error> {
        let Attempt { app, account, .. } = *self.attempt;
        let told = told(self.sync.counts, &place.left_out);
        let failure = place.worst_left_out().map(|worst| SyncFailure {
            class: worst.class,
            message: format!("{}: {}", worst.kind, worst.message),
        });
        let Some(failure) = failure else {
            app.syncs.finish(self.sync, &SyncOutcome::Succeeded).await?;
            self.attempt.ask_for_history().await;
            return Ok(Outcome::SucceededWith(told));
        };
        if place.whole == 0 {
            let outcome = SyncOutcome::Failed(failure.clone());
            app.syncs.finish(self.sync, &outcome).await?;
            return Err(Error::NothingRead {
                class: failure.class,
                message: failure.message,
            });
        }
        tracing::info!(account.id = %account.id, "an account could be read in parts only");
        let outcome = SyncOutcome::Partial(failure);
        app.syncs.finish(self.sync, &outcome).await?;
        self.attempt.ask_for_history().await;
        Ok(Outcome::SucceededWith(told))
    }
}

impl Attempt<'_> {
    /// What is new has its history read. Where that cannot be asked for now, the next sync asks.
    async fn ask_for_history(&self) {
        let asked = self.app.accounts.ask_for_history(self.account).await;
        if let Err(error) = asked {
            tracing::warn!(account.id = %self.account.id, error = %error_chain(&error),
                "the history of an account could not be asked for; its next sync asks again");
        }
    }
}

fn told(counts: SyncCounts, left_out: &[LeftOut]) -> Value {
    json!({
        "pages": counts.pages,
        "entities": counts.entities,
        "created": counts.created,
        "changed": counts.changed,
        "vanished": counts.vanished,
        "left_out": left_out,
    })
}

/// By what the answer to a page's question is kept; `None` where the question is too long for that. Other tokens may reach
/// something else.
fn key_of_page(seen: SeenTokens, query: &EntityQuery, after: Option<&Cursor>) -> Option<CacheKey> {
    let place = json!([seen.version, query.kind, query.page_size, after]).to_string();
    (place.len() <= LONGEST_KEY).then_some(CacheKey {
        of: CacheOf::Grant(seen.connection),
        sort: Cached::UserData,
        name: place,
    })
}

/// A list whose next page is the same one would never end.
fn goes_in_a_circle(provider: &'static str) -> ProviderError {
    ProviderError::Unavailable {
        detail: Detail {
            provider,
            message: "the next page of the list is the same one".to_owned(),
            ..Detail::default()
        },
        maybe_received: true,
        source: None,
    }
}
