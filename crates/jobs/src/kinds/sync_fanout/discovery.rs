//! What grants reach by now: asked again about once a day, a few grants at each turn, so that it never holds up what follows.

use std::time::{Duration, Instant};

use marketing::accounts::{AccountKind, FoundAccount, UnlistedGrant};
use providers::platform::{Access, Caller, Cursor, Door, Platform};
use queue::{Job, NewJob, Source, error_chain};
use serde_json::{json, value::to_raw_value};
use tokio_util::sync::CancellationToken;

use super::{Doors, SyncFanout};
use crate::{App, account::actor, error::Error, kinds::webhook_catch_up::WebhookCatchUp};

/// For how long what a grant reaches is taken for known.
const KNOWN_FOR: Duration = Duration::from_secs(20 * 3_600);
/// Most grants of a turn, and longest time for them.
const MOST: u32 = 50;
const LONGEST_TURN: Duration = Duration::from_secs(3 * 60);
/// Most pages of the list of a person's Pages.
const MOST_PAGES: usize = 50;

/// Looks what grants reach that were not looked at for a day; tells how many accounts are new. One that cannot be looked at
/// keeps no other one from it.
pub(super) async fn discover(
    app: &App,
    doors: Doors<'_>,
    stop: &CancellationToken,
) -> Result<usize, Error> {
    let began = Instant::now();
    let mut new = 0;
    for grant in app.accounts.not_listed_for(KNOWN_FOR, MOST).await? {
        if stop.is_cancelled() {
            return Err(Error::Stopped);
        }
        if began.elapsed() > LONGEST_TURN {
            break;
        }
        let door = doors(grant.platform, grant.account);
        match Box::pin(look_at(app, grant, &*door)).await {
            Ok(found) => new += found,
            Err(error) => {
                tracing::warn!(connection.id = %grant.connection, provider.name = grant.platform.as_str(),
                    error = %error_chain(&error), "what a grant reaches could not be listed; it is looked at again");
            }
        }
    }
    if new > 0 {
        listen(app).await;
    }
    Ok(new)
}

/// Has events of new Pages sent at once. What cannot be asked for now, the schedule asks for.
async fn listen(app: &App) {
    let payload = to_raw_value(&json!({})).expect("a JSON value is written as JSON");
    let job = NewJob::new(WebhookCatchUp::KIND, payload, Source::Handler);
    if let Err(error) = app.queue.enqueue(job, None).await {
        tracing::warn!(error = %error_chain(&error), "events of new pages are not asked for at once, but the next day");
    }
}

async fn look_at(app: &App, grant: UnlistedGrant, door: &dyn Door) -> Result<usize, Error> {
    let actor = actor(SyncFanout::KIND);
    let connection = grant.connection;
    let mut new = app.accounts.discover(connection, door, &actor).await?;
    let pages = match grant.platform {
        Platform::Meta => pages(app, grant, door).await?,
        Platform::GoogleAds | Platform::LinkedIn | Platform::TikTok | Platform::X => None,
    };
    let Some(found) = pages else { return Ok(new) };
    for (kind, found) in [
        (AccountKind::Page, found.pages),
        (AccountKind::InstagramAccount, found.instagram_accounts),
    ] {
        new += app
            .accounts
            .keep_found(connection, found, Some(kind), &actor)
            .await?;
    }
    Ok(new)
}

/// The Pages of a person, and their Instagram accounts.
#[derive(Default)]
struct FoundPages {
    pages: Vec<FoundAccount>,
    instagram_accounts: Vec<FoundAccount>,
}

/// `None` where the grant may not list Pages, or has too many of them to know all.
async fn pages(
    app: &App,
    grant: UnlistedGrant,
    door: &dyn Door,
) -> Result<Option<FoundPages>, Error> {
    let mut found = FoundPages::default();
    let mut after: Option<Cursor> = None;
    for _ in 0..MOST_PAGES {
        let place = after.as_ref();
        let ask = |access: Access| async move {
            let caller = Caller {
                access: &access,
                door,
            };
            app.meta.managed_pages(caller, place).await
        };
        let listed = Box::pin(
            app.accounts
                .with_fresh_token_of(grant.connection, door, ask),
        )
        .await;
        let page = match listed.map_err(Error::from) {
            Ok(page) => page,
            Err(Error::Provider(
                providers::Error::Permission { .. } | providers::Error::Rejected { .. },
            )) => return Ok(None),
            Err(error) => return Err(error),
        };
        for page in page.items {
            if let Some(id) = page.instagram_account_id {
                let name = page.name.clone();
                let account = account(AccountKind::InstagramAccount, id, name);
                found.instagram_accounts.push(account);
            }
            found
                .pages
                .push(account(AccountKind::Page, page.id, page.name));
        }
        after = page.next;
        if after.is_none() {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn account(kind: AccountKind, external_id: String, name: String) -> FoundAccount {
    FoundAccount {
        kind,
        external_id,
        name,
        currency: None,
        time_zone: None,
        manager: None,
        platform_status: None,
    }
}
