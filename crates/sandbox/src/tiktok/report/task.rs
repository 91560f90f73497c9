//! Reports in the background: begun by POST, asked after, and fetched as a file. How far one is
//! follows from the clock.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{csv, query::ReportQuery, row::Teller};
use crate::{
    reports::{Fate, Report},
    tiktok::{Call, Context, Reply, access, error::TikTokError, params::Params, quota},
    world::{Account, Platform},
};

/// Most advertisers of one report.
const MOST_ADVERTISERS: usize = 5;
/// When a report is begun and when it is done: seconds after it was asked for.
const BEGUN_S: i64 = 2;
const DONE_S: i64 = 10;

/// How far a report is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Queuing,
    Processing,
    Success,
    Failed,
    Canceled,
}

/// `POST report/task/create/`.
///
/// # Errors
/// As for a report at once, and 40011 for too many advertisers.
pub(in crate::tiktok) fn create(ctx: &Context<'_>, call: &Call<'_>) -> Result<Value, TikTokError> {
    let holder = access::holder(ctx, call)?;
    access::check_permission(&holder, access::REPORTING)?;
    let ids = advertiser_ids(&call.params)?;
    let accounts = ids
        .iter()
        .map(|id| access::reached(ctx, &holder, id))
        .collect::<Result<Vec<_>, _>>()?;
    let first = accounts
        .first()
        .ok_or_else(|| TikTokError::missing("advertiser_id"))?;
    quota::count(ctx, call.name, Some(&first.id))?;
    ReportQuery::read(&call.params)?;
    let format = call.params.text("output_format")?.unwrap_or("CSV_DOWNLOAD");
    if !["CSV_DOWNLOAD", "CSV_STRING"].contains(&format) {
        return Err(TikTokError::parameter(format!(
            "output_format: {format} is not supported."
        )));
    }
    let asked = json!({ "advertiser_ids": ids, "params": call.params.members() });
    let id = ctx.shared.reports.start(first.key, asked, ctx.now);
    Ok(json!({ "task_id": id.to_string() }))
}

/// `GET report/task/check/`.
///
/// # Errors
/// Those of [`access::advertiser`], 40200 for a task that there is not.
pub(in crate::tiktok) fn check(ctx: &Context<'_>, call: &Call<'_>) -> Result<Value, TikTokError> {
    let report = find(ctx, call)?;
    let progress = progress(&report, ctx.now);
    let message = match progress {
        Progress::Failed => "The report could not be made.",
        Progress::Canceled => "The task was canceled.",
        Progress::Queuing | Progress::Processing | Progress::Success => "",
    };
    Ok(json!({
        "task_id": report.id.to_string(),
        "status": progress.as_str(),
        "message": message,
    }))
}

/// `GET report/task/download/`: a file, without any envelope.
///
/// # Errors
/// As [`check`], and 40201 until it is done.
pub(in crate::tiktok) fn download(
    ctx: &Context<'_>,
    call: &Call<'_>,
) -> Result<Reply, TikTokError> {
    let report = find(ctx, call)?;
    match progress(&report, ctx.now) {
        Progress::Success => file(ctx, &report).map(Reply::Csv),
        Progress::Queuing | Progress::Processing => Err(TikTokError::not_ready()),
        Progress::Failed | Progress::Canceled => Err(TikTokError::task("The task has failed.")),
    }
}

impl Progress {
    fn as_str(self) -> &'static str {
        match self {
            Self::Queuing => "QUEUING",
            Self::Processing => "PROCESSING",
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
            Self::Canceled => "CANCELED",
        }
    }
}

fn progress(report: &Report, now: DateTime<Utc>) -> Progress {
    match ((now - report.started_at).num_seconds(), report.fate) {
        (..BEGUN_S, _) => Progress::Queuing,
        (..DONE_S, _) | (_, Fate::Stalls) => Progress::Processing,
        (_, Fate::Done) => Progress::Success,
        (_, Fate::Fails) => Progress::Failed,
        (_, Fate::Skipped) => Progress::Canceled,
    }
}

/// The advertisers that a report is asked for: several of them, or the one.
fn advertiser_ids(params: &Params) -> Result<Vec<String>, TikTokError> {
    let ids = match params.words("advertiser_ids")? {
        Some(ids) => ids,
        None => vec![params.required("advertiser_id")?.to_owned()],
    };
    if ids.len() > MOST_ADVERTISERS {
        return Err(TikTokError::too_many("advertiser_ids", MOST_ADVERTISERS));
    }
    Ok(ids)
}

/// The report that a call names, which has to be the advertiser's.
fn find(ctx: &Context<'_>, call: &Call<'_>) -> Result<Report, TikTokError> {
    let account = access::advertiser(ctx, call)?;
    let id = call.params.required("task_id")?.parse().ok();
    let report = id.and_then(|id| ctx.shared.reports.get(Platform::TikTok, id));
    report
        .filter(|report| accounts(ctx, report).any(|of| of.key == account.key))
        .ok_or_else(|| TikTokError::task("The task does not exist."))
}

fn accounts(ctx: &Context<'_>, report: &Report) -> impl Iterator<Item = Account> {
    let ids = report.params["advertiser_ids"].as_array();
    ids.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .filter_map(move |id| ctx.shared.world.account(Platform::TikTok, id))
}

/// The whole of a report, as the figures were when it was done.
fn file(ctx: &Context<'_>, report: &Report) -> Result<String, TikTokError> {
    let members = report.params["params"].as_object().cloned();
    let query = ReportQuery::read(&Params::of(members.unwrap_or_default()))?;
    let seen = report.started_at + TimeDelta::seconds(DONE_S);
    let dimensions = query.dimensions.iter().map(|dimension| dimension.as_str());
    let metrics = query.metrics.iter().map(|metric| metric.as_str());
    let mut text = csv::line(dimensions.chain(metrics));
    for account in accounts(ctx, report) {
        let teller = Teller {
            world: &ctx.shared.world,
            account: &account,
            query: &query,
        };
        for row in query.rows(&ctx.shared.world, &account, seen) {
            for part in teller.parts(&row) {
                let fields = teller.fields(&row, &part);
                text.push_str(&csv::line(fields.iter().map(String::as_str)));
            }
        }
    }
    Ok(text)
}
