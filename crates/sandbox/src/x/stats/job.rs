//! Statistics in the background: begun by POST, asked after by their ids, and fetched as files that
//! are packed with gzip and that are not there for ever. How far one is follows from the clock.

use std::io::{self, Write};

use axum::{
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, TimeDelta, Utc};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use super::{
    query::{Reach, StatsQuery},
    scene::Scene,
    told,
};
use crate::{
    limits::Allowance,
    reports::{Fate, Report},
    world::Platform,
    x::{
        Context, MOUNT, access, ads::Ask, entities::time, error::XError, params::Params,
        quota::Family,
    },
};

/// When a job is begun and when it is done: seconds after it was asked for.
const BEGUN_S: i64 = 2;
const DONE_S: i64 = 8;
/// How long a file is there.
const FILE_LASTS: TimeDelta = TimeDelta::days(2);
/// Most jobs that one call asks after.
const MOST_ASKED: usize = 200;
/// Most jobs of an account that are under way at a time.
const MOST_AT_A_TIME: u64 = 100;
/// What is added to the number of a report: ids of jobs are too large for a floating-point number.
const FIRST_ID: u64 = 1_900_000_000_000_000_000;
/// What names of files end with.
const ENDING: &str = ".json.gz";
/// Parameters that are told of a job.
const TOLD: [&str; 4] = ["entity", "granularity", "placement", "segmentation_type"];
/// Those that are told as lists, though they were sent with commas.
const TOLD_AS_LISTS: [&str; 2] = ["entity_ids", "metric_groups"];

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Queued,
    Processing,
    Success,
    Failed,
    Cancelled,
}

/// `POST stats/jobs/accounts/{id}`.
///
/// # Errors
/// As for statistics at once, and TOO_MANY_JOBS.
pub(in crate::x) fn begin(ask: &mut Ask<'_>, id: &str) -> Result<Value, XError> {
    let account = access::account(ask.ctx, &ask.caller, id)?;
    ask.meter
        .count(ask.ctx, Family::Writes, &ask.caller, Some(&account))?;
    let Context { shared, now } = ask.ctx;
    StatsQuery::read(&shared.world, &account, &ask.params, Reach::InBackground)?;
    // Each is under way for so long: as many may be begun within that time.
    let allowance = Allowance {
        calls: MOST_AT_A_TIME,
        per: TimeDelta::seconds(DONE_S),
    };
    let scope = format!("{}/jobs", account.id);
    if shared
        .limits
        .count(Platform::X, &scope, allowance, *now)
        .is_over
    {
        return Err(XError::too_many_jobs(MOST_AT_A_TIME));
    }
    let echo = ask.params.echo(Some(&account.id));
    let number = shared.reports.start(account.key, echo.clone(), *now);
    let job = shared
        .reports
        .get(Platform::X, number)
        .map(|report| shown(&report, &account.id, (*now, ask.host)));
    Ok(json!({ "request": { "params": echo }, "data": job }))
}

/// `GET stats/jobs/accounts/{id}`. Jobs that there are not are left out.
///
/// # Errors
/// ACCOUNT_NOT_FOUND, MISSING_PARAMETER, INVALID_PARAMETER, TOO_MANY_REQUESTS.
pub(in crate::x) fn list(ask: &mut Ask<'_>, id: &str) -> Result<Value, XError> {
    let account = access::account(ask.ctx, &ask.caller, id)?;
    ask.meter
        .count(ask.ctx, Family::Reads, &ask.caller, Some(&account))?;
    ask.params.required("job_ids")?;
    let ids = ask.params.ids("job_ids", MOST_ASKED)?.unwrap_or_default();
    let Context { shared, now } = ask.ctx;
    let jobs: Vec<_> = ids
        .into_iter()
        .filter_map(report_number)
        .filter_map(|number| shared.reports.get(Platform::X, number))
        .filter(|report| report.account == account.key)
        .map(|report| shown(&report, &account.id, (*now, ask.host)))
        .collect();
    Ok(json!({
        "request": { "params": ask.params.echo(Some(&account.id)) },
        "next_cursor": null,
        "data": jobs,
    }))
}

/// `GET files/{name}`: anybody who knows the address gets it.
pub(in crate::x) fn file(ctx: &Context<'_>, name: &str) -> Response {
    let id = name.strip_suffix(ENDING);
    let report = id
        .and_then(report_number)
        .and_then(|number| ctx.shared.reports.get(Platform::X, number))
        .filter(|report| progress(report, ctx.now) == Progress::Success)
        .filter(|report| ctx.now < expires_at(report));
    let packed = report.and_then(|report| packed(ctx, &report));
    match packed {
        Some(bytes) => ([(CONTENT_TYPE, "application/gzip")], bytes).into_response(),
        None => XError::no_route().into_response(),
    }
}

impl Progress {
    fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Processing => "PROCESSING",
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

fn progress(report: &Report, now: DateTime<Utc>) -> Progress {
    match ((now - report.started_at).num_seconds(), report.fate) {
        (..BEGUN_S, _) => Progress::Queued,
        (..DONE_S, _) | (_, Fate::Stalls) => Progress::Processing,
        (_, Fate::Done) => Progress::Success,
        (_, Fate::Fails) => Progress::Failed,
        (_, Fate::Skipped) => Progress::Cancelled,
    }
}

fn done_at(report: &Report) -> DateTime<Utc> {
    report.started_at + TimeDelta::seconds(DONE_S)
}

fn expires_at(report: &Report) -> DateTime<Utc> {
    done_at(report) + FILE_LASTS
}

/// The number of the report that a job's id is of.
fn report_number(id: &str) -> Option<u64> {
    id.parse::<u64>().ok()?.checked_sub(FIRST_ID)
}

/// A job as it is told. `id` is a number that many read wrong: `id_str` is for them.
fn shown(report: &Report, account_id: &str, (now, host): (DateTime<Utc>, &str)) -> Value {
    let id = FIRST_ID + report.id;
    let progress = progress(report, now);
    let is_done = progress == Progress::Success;
    let url = format!("http://{host}{MOUNT}/files/{id}{ENDING}");
    let mut shown = json!({
        "id": id,
        "id_str": id.to_string(),
        "account_id": account_id,
        "status": progress.as_str(),
        "url": is_done.then_some(url),
        "expires_at": is_done.then(|| time(expires_at(report))),
        "start_time": report.params["start_time"],
        "end_time": report.params["end_time"],
        "created_at": time(report.started_at),
        "updated_at": time(if is_done { done_at(report) } else { report.started_at }),
    });
    for name in TOLD {
        shown[name] = report.params[name].clone();
    }
    for name in TOLD_AS_LISTS {
        let words = report.params[name].as_str().unwrap_or_default();
        shown[name] = words.split(',').collect();
    }
    shown
}

/// The file of a job, as the figures were when it was done.
fn packed(ctx: &Context<'_>, report: &Report) -> Option<Vec<u8>> {
    let world = &ctx.shared.world;
    let account = world.account_of(report.account);
    let params = Params::of(report.params.as_object()?);
    let query = StatsQuery::read(world, &account, &params, Reach::InBackground).ok()?;
    let scene = Scene {
        world,
        account: &account,
        span: query.span,
        seen: done_at(report),
    };
    gzip(&told(&scene, &query, report.params.clone())).ok()
}

fn gzip(json: &Value) -> io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(json.to_string().as_bytes())?;
    packer.finish()
}
