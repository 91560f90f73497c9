//! `googleAds:search`, page by page, and `googleAds:searchStream`, all at once in batches.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Context, access,
    customer::Customer,
    error::{AdsError, request_id},
    gaql,
    page_token::PageToken,
    plan::Plan,
    quota,
    scene::Scene,
    walk::Walk,
};
use crate::{door::Incoming, reports::Fate, world::Position};

/// Rows of a page, and of a batch of a stream. Nobody can ask for fewer.
const PAGE_ROWS: usize = 10_000;
/// Largest answer.
const MOST_BYTES: usize = 64 << 20;

/// The body of a call for a page.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct PageRequest {
    query: Option<String>,
    #[serde(alias = "page_token")]
    page_token: Option<String>,
    #[serde(alias = "page_size")]
    page_size: Option<Value>,
    #[serde(alias = "validate_only")]
    validate_only: bool,
    #[serde(alias = "search_settings")]
    search_settings: SearchSettings,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct SearchSettings {
    omit_results: bool,
    return_total_results_count: bool,
}

/// The body of a call for a stream.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct StreamRequest {
    query: Option<String>,
}

/// A page of what a query asks for.
///
/// # Errors
/// [`AdsError`]; PAGE_SIZE_NOT_SUPPORTED where a size is asked for.
pub(super) fn page(
    ctx: &Context<'_>,
    incoming: &Incoming,
    customer: &str,
) -> Result<String, AdsError> {
    let customer = enter(ctx, incoming, customer)?;
    let request: PageRequest = read(&incoming.body)?;
    if request.page_size.is_some() {
        return Err(AdsError::request(
            "PAGE_SIZE_NOT_SUPPORTED",
            "Setting the page size is not supported. Search response will have fixed page size of '10000' rows.",
        ));
    }
    let query = request.query.ok_or_else(AdsError::missing_query)?;
    let token = match request.page_token.as_deref() {
        None | Some("") => None,
        Some(text) => {
            let question = (customer.id.as_str(), query.as_str());
            Some(PageToken::read(text, question, ctx.now)?)
        }
    };
    if token.is_none() {
        quota::count_operation(ctx)?;
    }
    let seen = token.as_ref().map_or(ctx.now, |token| token.seen);
    let plan = Plan::new(&gaql::parse(&query)?, &customer, seen)?;
    if request.validate_only {
        return Ok(json!({}).to_string());
    }

    let mut rest = json!({ "fieldMask": plan.mask, "queryResourceConsumption": "1" });
    if request.search_settings.return_total_results_count {
        let all = Walk::new(
            &ctx.shared.world,
            &plan,
            customer.clone(),
            Position::default(),
            seen,
        )?;
        let count = all.take(plan.limit.unwrap_or(usize::MAX)).count();
        rest["totalResultsCount"] = json!(count.to_string());
    }
    let (rows, next) = rows_from(ctx, &plan, (&customer, query.as_str()), token, seen)?;
    if let Some(next) = next {
        rest["nextPageToken"] = json!(next.text());
    }
    let shown: &[String] = if request.search_settings.omit_results {
        &[]
    } else {
        &rows
    };
    Ok(with_results(shown, &rest))
}

/// The rows of a page, and where the next one begins.
fn rows_from(
    ctx: &Context<'_>,
    plan: &Plan,
    (customer, query): (&Customer, &str),
    token: Option<PageToken>,
    seen: DateTime<Utc>,
) -> Result<(Vec<String>, Option<PageToken>), AdsError> {
    let start = token.as_ref().map(PageToken::position).unwrap_or_default();
    let before = token.map_or(0, |token| token.rows);
    let most = plan.limit.unwrap_or(usize::MAX).saturating_sub(before);
    let mut walk = Walk::new(&ctx.shared.world, plan, customer.clone(), start, seen)?;
    let mut page = Texts::default();
    while page.rows.len() < most {
        let position = walk.position();
        let Some(scene) = walk.next() else { break };
        if page.rows.len() == PAGE_ROWS {
            let question = (customer.id.as_str(), query);
            let next = PageToken::new(question, position, before + PAGE_ROWS, (seen, ctx.now));
            return Ok((page.rows, Some(next)));
        }
        page.push(row(plan, &scene))?;
    }
    Ok((page.rows, None))
}

/// Everything that a query asks for, in batches. The control can let it break off after the first one, as it may at Google.
///
/// # Errors
/// [`AdsError`] where there is nothing good to begin with.
pub(super) fn stream(
    ctx: &Context<'_>,
    incoming: &Incoming,
    customer: &str,
    version: &str,
) -> Result<String, AdsError> {
    let customer = enter(ctx, incoming, customer)?;
    let request: StreamRequest = read(&incoming.body)?;
    let query = request.query.ok_or_else(AdsError::missing_query)?;
    quota::count_operation(ctx)?;
    let plan = Plan::new(&gaql::parse(&query)?, &customer, ctx.now)?;
    let fate = fate(ctx, &customer);
    let walk = Walk::new(
        &ctx.shared.world,
        &plan,
        customer,
        Position::default(),
        ctx.now,
    )?;

    let mut all = Texts::default();
    for scene in walk.take(plan.limit.unwrap_or(usize::MAX)) {
        all.push(row(&plan, &scene))?;
    }
    let count = all.rows.len();
    let batch = |rows: &[String]| {
        let rest = json!({
            "fieldMask": plan.mask,
            "requestId": request_id(),
            "queryResourceConsumption": count.to_string(),
        });
        with_results(rows, &rest)
    };
    let mut batches: Vec<_> = all.rows.chunks(PAGE_ROWS).map(batch).collect();
    if batches.is_empty() {
        batches.push(batch(&[]));
    }
    if fate != Fate::Done {
        batches.truncate(1);
        batches.push(AdsError::internal().body(version).to_string());
    }
    Ok(format!("[{}]", batches.join(",\n")))
}

/// What becomes of a stream: the control decides over it as over the reports of other platforms.
fn fate(ctx: &Context<'_>, customer: &Customer) -> Fate {
    let Some(account) = customer.key else {
        return Fate::Done;
    };
    let reports = &ctx.shared.reports;
    let id = reports.start(account, Value::Null, ctx.now);
    let report = reports.get(account.platform, id);
    report.map_or(Fate::Done, |report| report.fate)
}

/// Lets a call for a customer in and counts it.
pub(super) fn enter(
    ctx: &Context<'_>,
    incoming: &Incoming,
    id: &str,
) -> Result<Customer, AdsError> {
    let holder = access::holder(ctx, incoming)?;
    let customer = access::customer(ctx, &holder, id, incoming.header("login-customer-id"))?;
    quota::count_request(ctx, Some(&customer.id))?;
    Ok(customer)
}

pub(super) fn read<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, AdsError> {
    serde_json::from_slice(body).map_err(|error| AdsError::bad_payload(&error))
}

/// Rows as JSON texts: they are kept as such, since an answer of 64 MiB is a multiple of that as values.
#[derive(Default)]
struct Texts {
    rows: Vec<String>,
    bytes: usize,
}

impl Texts {
    /// # Errors
    /// RESOURCE_EXHAUSTED once the answer is too large.
    fn push(&mut self, row: String) -> Result<(), AdsError> {
        self.bytes += row.len() + 1;
        if self.bytes > MOST_BYTES {
            return Err(AdsError::too_large(MOST_BYTES));
        }
        self.rows.push(row);
        Ok(())
    }
}

fn row(plan: &Plan, scene: &Scene) -> String {
    plan.shown.row(scene).to_string()
}

/// An object with these rows as its results, none of which is no member at all, and the members of `rest`.
fn with_results(rows: &[String], rest: &Value) -> String {
    let rest = rest.to_string();
    if rows.is_empty() {
        return rest;
    }
    let members = rest.trim_start_matches('{');
    format!("{{\"results\":[{}],{members}", rows.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_beside_the_other_members_and_none_are_no_member() {
        let rest = json!({ "fieldMask": "campaign.id" });
        let rows = ["{}".to_owned(), "{\"a\":1}".to_owned()];

        let some = with_results(&rows, &rest);
        let none = with_results(&[], &rest);

        let read = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
        assert_eq!(
            read(&some),
            json!({ "results": [{}, { "a": 1 }], "fieldMask": "campaign.id" }),
        );
        assert_eq!(read(&none), rest);
    }

    #[test]
    fn an_answer_that_gets_too_large_is_exhaustion_that_no_wait_helps_against() {
        let mut texts = Texts::default();
        let half = || " ".repeat(MOST_BYTES / 2 - 1);
        texts.push(half()).expect("room");
        texts.push(half()).expect("room");

        let error = texts.push(half()).expect_err("no room").body("v26");

        assert_eq!(error["error"]["status"], "RESOURCE_EXHAUSTED");
        assert!(error.to_string().contains("size") && error["error"].get("details").is_none());
    }
}
