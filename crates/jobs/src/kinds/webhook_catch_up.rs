//! `webhook.catch_up`: sees to it that Meta sends events of every Page, and fetches the leads that no event told of.

use chrono::{DateTime, TimeDelta, Utc};
use marketing::{
    accounts::{Account, AccountFilter, AccountKind, AccountsError},
    inbound::LeadSource,
};
use providers::{
    Error as ProviderError,
    meta::leads::KEPT_DAYS,
    platform::{Access, Caller, Cursor, Platform},
};
use queue::{Job, JobContext, NewJob, Outcome, PageRequest, Source};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{json, value::to_raw_value};
use tokio_util::sync::CancellationToken;

use super::webhook_process::lead::{keep, tell};
use crate::{
    App,
    account::{AccountRef, Attempt, Reached, settled},
    door::JobDoor,
    error::Error,
    page_access::page_access,
};

/// Accounts that are looked at together.
const PAGE: i64 = 500;
/// Leads of this long before the last look are looked at again: the platform may show one late, or to nobody for some hours.
const OVERLAP: TimeDelta = TimeDelta::days(1);

/// Looks after the events of a Page, or of every Page. Safe to repeat: a lead is kept in the place of itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookCatchUp {
    /// The Page; left out: every one, by a job each.
    #[serde(default)]
    account_id: Option<AccountRef>,
}

impl Job for WebhookCatchUp {
    const KIND: &'static str = "webhook.catch_up";
    type App = App;
    type Error = Error;

    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, Error> {
        let Some(account) = self.account_id else {
            return Box::pin(fan_out(&ctx.app, ctx.cancellation())).await;
        };
        let reached = match Reached::of(&ctx.app, &ctx.job, account).await {
            Ok(reached) => reached,
            Err(error) => return settled(Err(error)),
        };
        let door = JobDoor::new(ctx, reached.account.platform, Some(reached.account.id));
        let attempt = Attempt {
            app: &ctx.app,
            job: &ctx.job,
            account: &reached.account,
            client: &*reached.client,
            door: &door,
            stop: ctx.cancellation(),
            progress: &|told| ctx.progress(told),
        };
        door.settled(Box::pin(catch_up(&attempt)).await)
    }
}

/// A job for each Page that is synced.
async fn fan_out(app: &App, stop: &CancellationToken) -> Result<Outcome, Error> {
    let filter = AccountFilter {
        platform: Some(Platform::Meta),
        ..AccountFilter::default()
    };
    let (mut pages, mut cursor) = (0, None);
    loop {
        if stop.is_cancelled() {
            return Err(Error::Stopped);
        }
        let page = PageRequest::new(Some(PAGE), cursor).map_err(AccountsError::from)?;
        let listed = app.accounts.list(&filter, &page).await?;
        let wanted = listed.items.iter().filter(|account| is_wanted(account));
        let jobs: Vec<_> = wanted.map(|account| (order(account), None)).collect();
        pages += jobs.len();
        for answer in app.queue.enqueue_batch(jobs, false).await? {
            answer?;
        }
        cursor = listed.next;
        if cursor.is_none() {
            return Ok(Outcome::SucceededWith(json!({ "pages": pages })));
        }
    }
}

fn is_wanted(account: &Account) -> bool {
    account.kind == AccountKind::Page && account.is_synced()
}

fn order(account: &Account) -> NewJob {
    let payload = json!({ "account_id": account.id });
    let payload = to_raw_value(&payload).expect("a JSON value is written as JSON");
    NewJob {
        tenant: account.tenant.clone(),
        ..NewJob::new(WebhookCatchUp::KIND, payload, Source::Handler)
    }
}

/// What a grant may not do here is told and no failure: it would fail alike every day.
async fn catch_up(attempt: &Attempt<'_>) -> Result<Outcome, Error> {
    if attempt.account.kind != AccountKind::Page {
        return Ok(Outcome::Cancelled("the account is no page".to_owned()));
    }
    let access = match Box::pin(page_access(attempt)).await {
        Ok(access) => access,
        Err(Error::Provider(said @ ProviderError::Permission { .. })) => {
            return Ok(withheld(attempt, &said));
        }
        Err(error) => return Err(error),
    };
    let is_subscribed = may(attempt, Box::pin(subscribe(attempt, &access)).await)?.is_some();
    let leads = may(attempt, Box::pin(read_leads(attempt, &access)).await)?;
    Ok(Outcome::SucceededWith(json!({
        "subscribed": is_subscribed,
        "leads_readable": leads.is_some_and(|read| read.withheld_forms == 0),
        "leads": leads.map(|read| read.leads),
        "new_leads": leads.map(|read| read.new),
    })))
}

fn withheld(attempt: &Attempt<'_>, said: &ProviderError) -> Outcome {
    warn(attempt, said);
    Outcome::SucceededWith(json!({ "subscribed": false, "leads_readable": false }))
}

/// `None`: the grant has no right to it.
fn may<T>(attempt: &Attempt<'_>, done: Result<T, Error>) -> Result<Option<T>, Error> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(Error::Provider(said @ ProviderError::Permission { .. })) => {
            warn(attempt, &said);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn warn(attempt: &Attempt<'_>, said: &ProviderError) {
    tracing::warn!(account.id = %attempt.account.id, provider.name = "meta", error = %said,
        "a page's events or leads are withheld: its owner's grant lacks a right");
}

async fn subscribe(attempt: &Attempt<'_>, access: &Access) -> Result<(), Error> {
    let Attempt {
        app, account, door, ..
    } = *attempt;
    let caller = Caller { access, door };
    app.meta
        .keep_subscribed(caller, &account.external_id)
        .await?;
    app.accounts.inbound().subscribed(account.id).await?;
    Ok(())
}

/// How many leads were read.
#[derive(Clone, Copy, Default)]
struct Read {
    leads: usize,
    new: usize,
    /// Forms that the grant may not read.
    withheld_forms: usize,
}

/// Reads the leads of all forms of a Page since the last look. One that may not be read keeps no other from it, and is looked at
/// from there on again.
async fn read_leads(attempt: &Attempt<'_>, access: &Access) -> Result<Read, Error> {
    let Attempt {
        app, account, door, ..
    } = *attempt;
    let inbound = app.accounts.inbound();
    let began = Utc::now();
    let before = inbound.subscription(account.id).await?.leads_read_to;
    let since = before.map_or(began - TimeDelta::days(KEPT_DAYS), |read| read - OVERLAP);
    let caller = Caller { access, door };
    let mut read = Read::default();
    let mut after: Option<Cursor> = None;
    loop {
        attempt.go_on()?;
        let forms = app
            .meta
            .forms_of_page(caller, &account.external_id, after.as_ref())
            .await?;
        for form in &forms.items {
            let form = (form.as_str(), since);
            let done = Box::pin(read_form(attempt, access, (form, &mut read))).await;
            if may(attempt, done)?.is_none() {
                read.withheld_forms += 1;
            }
        }
        after = forms.next;
        if after.is_none() {
            break;
        }
    }
    if read.withheld_forms == 0 {
        inbound.leads_were_read(account.id, began).await?;
    }
    Ok(read)
}

async fn read_form(
    attempt: &Attempt<'_>,
    access: &Access,
    ((form, since), read): ((&str, DateTime<Utc>), &mut Read),
) -> Result<(), Error> {
    let Attempt {
        app, account, door, ..
    } = *attempt;
    let inbound = app.accounts.inbound();
    let caller = Caller { access, door };
    let mut after: Option<Cursor> = None;
    loop {
        attempt.go_on()?;
        let leads = app
            .meta
            .leads_of_form(caller, (form, since), after.as_ref())
            .await?;
        for lead in &leads.items {
            read.leads += 1;
            let standing = match inbound.standing(account.id, &lead.id).await? {
                Some(known) => known,
                None => {
                    if inbound.is_forgotten(account.id, &lead.id).await? {
                        continue;
                    }
                    read.new += 1;
                    keep(app, account, (lead, LeadSource::CatchUp)).await?
                }
            };
            tell(app, account, standing).await?;
        }
        after = leads.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use marketing::PgPool;
    use serde_json::Value;
    use wiremock::{
        Mock, MockServer, ResponseTemplate,
        matchers::{method, path},
    };

    use super::*;
    use crate::kinds::{
        scene::{Scene, mails},
        testing::schema_accepts,
    };

    async fn on(server: &MockServer, verb: &str, at: &str, answer: Value) {
        Mock::given(method(verb))
            .and(path(at))
            .respond_with(ResponseTemplate::new(200).set_body_json(answer))
            .mount(server)
            .await;
    }

    /// A platform with one Page, one form and two leads: one of a moment ago, and one from before the Page was connected.
    async fn platform() -> MockServer {
        let server = MockServer::start().await;
        let lead = |id: &str, at: DateTime<Utc>| {
            json!({"id": id, "created_time": at.to_rfc3339(), "form_id": "800",
                   "field_data": [{"name": "email", "values": ["fake@example.com"]}]})
        };
        let (new, old) = (
            Utc::now() + TimeDelta::minutes(1),
            Utc::now() - TimeDelta::days(9),
        );
        let pages = json!({"data": [{"id": "101", "name": "Page", "access_token": "EAApage"}]});
        on(&server, "GET", "/me/accounts", pages).await;
        on(&server, "GET", "/101/subscribed_apps", json!({"data": []})).await;
        on(
            &server,
            "POST",
            "/101/subscribed_apps",
            json!({"success": true}),
        )
        .await;
        on(
            &server,
            "GET",
            "/101/leadgen_forms",
            json!({"data": [{"id": "800"}]}),
        )
        .await;
        let leads = json!({"data": [lead("901", new), lead("902", old)]});
        on(&server, "GET", "/800/leads", leads).await;
        server
    }

    // Fails when a lead whose event was lost stays unknown, is told twice, or an old one is told as new.
    #[sqlx::test(migrations = "../../migrations")]
    async fn leads_that_no_event_told_of_are_found_and_told_once(db: PgPool) -> anyhow::Result<()> {
        let server = platform().await;
        let scene = Scene::with_meta_at(&db, &server.uri());
        let account = scene.connected().await?;
        sqlx::query("UPDATE marketing.accounts SET kind = 'page'")
            .execute(&db)
            .await?;
        let reached = scene.reached().await?;

        let first = catch_up(&scene.attempt(&reached)).await?;
        let second = catch_up(&scene.attempt(&reached)).await?;

        let Outcome::SucceededWith(first) = first else {
            anyhow::bail!("it has a result");
        };
        assert_eq!(
            (&first["subscribed"], &first["new_leads"]),
            (&json!(true), &json!(2))
        );
        let Outcome::SucceededWith(second) = second else {
            anyhow::bail!("it has a result");
        };
        assert_eq!(second["new_leads"], 0);
        let told: i64 =
            sqlx::query_scalar("SELECT count(*) FROM marketing.events WHERE kind = 'lead.created'")
                .fetch_one(&db)
                .await?;
        assert_eq!((told, mails(&db).await?.len()), (1, 1));
        let stands = scene.app.accounts.inbound().subscription(account).await?;
        assert!(stands.subscribed_at.is_some() && stands.leads_read_to.is_some());
        Ok(())
    }

    // Fails when a lead stays unknown that is shown some hours late, after a look.
    #[sqlx::test(migrations = "../../migrations")]
    async fn leads_of_the_day_before_the_last_look_are_looked_at_again(
        db: PgPool,
    ) -> anyhow::Result<()> {
        let server = platform().await;
        let scene = Scene::with_meta_at(&db, &server.uri());
        scene.connected().await?;
        sqlx::query("UPDATE marketing.accounts SET kind = 'page'")
            .execute(&db)
            .await?;
        let reached = scene.reached().await?;

        catch_up(&scene.attempt(&reached)).await?;
        catch_up(&scene.attempt(&reached)).await?;

        let asked = server.received_requests().await.unwrap_or_default();
        let of_form = asked
            .iter()
            .filter(|asked| asked.url.path() == "/800/leads");
        let since = of_form.filter_map(|asked| {
            let (_, filter) = asked
                .url
                .query_pairs()
                .find(|(name, _)| name == "filtering")?;
            let filter: Value = serde_json::from_str(&filter).ok()?;
            filter[0]["value"].as_i64()
        });
        let since: Vec<i64> = since.collect();
        let days_ago = |days| (Utc::now() - TimeDelta::days(days)).timestamp();
        assert_eq!(since.len(), 2);
        assert!(since[0] <= days_ago(KEPT_DAYS));
        assert!((days_ago(2)..=days_ago(1)).contains(&since[1]), "{since:?}");
        Ok(())
    }

    // Fails when one form that may not be read hides the leads of the others, or its own once it may be.
    #[sqlx::test(migrations = "../../migrations")]
    async fn a_form_that_is_withheld_keeps_no_other_from_being_read(
        db: PgPool,
    ) -> anyhow::Result<()> {
        let server = platform().await;
        let first = |at: &str, answer: ResponseTemplate| {
            let mock = Mock::given(method("GET")).and(path(at.to_owned()));
            mock.respond_with(answer).with_priority(1)
        };
        let forms = json!({"data": [{"id": "801"}, {"id": "800"}]});
        let forms = ResponseTemplate::new(200).set_body_json(forms);
        let refused = json!({"error": {"message": "no", "type": "OAuthException", "code": 200}});
        let refused = ResponseTemplate::new(403).set_body_json(refused);
        server.register(first("/101/leadgen_forms", forms)).await;
        server.register(first("/801/leads", refused)).await;
        let scene = Scene::with_meta_at(&db, &server.uri());
        let account = scene.connected().await?;
        sqlx::query("UPDATE marketing.accounts SET kind = 'page'")
            .execute(&db)
            .await?;
        let reached = scene.reached().await?;

        let done = catch_up(&scene.attempt(&reached)).await?;

        let Outcome::SucceededWith(done) = done else {
            anyhow::bail!("it has a result");
        };
        assert_eq!(
            (&done["leads_readable"], &done["new_leads"]),
            (&json!(false), &json!(2))
        );
        let stands = scene.app.accounts.inbound().subscription(account).await?;
        assert_eq!(stands.leads_read_to, None);
        Ok(())
    }

    #[test]
    fn one_page_or_every_page_is_asked_for() {
        assert!(schema_accepts::<WebhookCatchUp>(&json!({})));
        assert!(!schema_accepts::<WebhookCatchUp>(
            &json!({"account_id": "x"})
        ));
    }
}
