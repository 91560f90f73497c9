//! Insights in reports: asked for by POST, made in the background, read page by page. How far one
//! is follows from the clock.

use axum::http::Method;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{
    Context, access, call::Call, error::GraphError, fields::Fields, insights, usage::Meter,
};
use crate::{
    reports::{Fate, Report},
    world::{Key, Platform},
};

/// When a report is begun, is under way, shows 100 per cent, and is done: seconds after it was
/// asked for. In between the last two it is running still, whatever the percentage says.
const BEGUN_S: i64 = 2;
const UNDER_WAY_S: i64 = 5;
const FULL_S: i64 = 12;
const DONE_S: i64 = 15;
/// How long its rows can be read.
const KEPT: TimeDelta = TimeDelta::days(30);
/// What a call for rows may say: who asks, and for which page.
const OF_THE_PAGE: [&str; 4] = ["access_token", "appsecret_proof", "limit", "after"];
/// What is told where nobody says what.
const USUAL: [&str; 8] = [
    "id",
    "account_id",
    "time_ref",
    "time_completed",
    "async_status",
    "async_percent_completion",
    "date_start",
    "date_stop",
];

/// How far a report is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    NotStarted,
    Started,
    /// With its percentage.
    Running(i64),
    Done,
    Failed,
    Skipped,
}

/// The report of that id.
pub(super) fn find(ctx: &Context<'_>, id: &str) -> Option<Report> {
    ctx.shared.reports.get(Platform::Meta, id.parse().ok()?)
}

/// `POST /{id}/insights`.
///
/// # Errors
/// [`GraphError`] for what cannot be asked, and for whoever may not see it.
pub(super) fn start(
    call: &Call,
    ctx: &Context<'_>,
    object: &str,
    meter: &mut Meter,
) -> Result<Value, GraphError> {
    let key = access::find(ctx, &call.method, object)?;
    insights::admit(call, ctx, key, meter)?;
    insights::check(call, ctx, key)?;
    let params = json!({ "object": object, "question": call.question() });
    let id = ctx.shared.reports.start(key.its_account(), params, ctx.now);
    Ok(json!({ "report_run_id": id.to_string() }))
}

/// `GET /{report}`.
///
/// # Errors
/// [`GraphError`] for whoever may not see it.
pub(super) fn show(call: &Call, ctx: &Context<'_>, report: &Report) -> Result<Value, GraphError> {
    let caller = access::check(call, ctx)?;
    caller.require_account(ctx, report.account)?;
    let progress = progress(report, ctx);
    let (status, percent) = match progress {
        Progress::NotStarted => ("Job Not Started", 0),
        Progress::Started => ("Job Started", 0),
        Progress::Running(percent) => ("Job Running", percent),
        Progress::Done => ("Job Completed", 100),
        Progress::Failed => ("Job Failed", 60),
        Progress::Skipped => ("Job Skipped", 0),
    };
    let started = report.started_at.timestamp();
    let failed = progress == Progress::Failed;
    let (asked, key) = question(call, ctx, report, &[])?;
    let (from, to) = insights::days(&asked, &as_of_then(ctx, report), key)?;
    let shown = json!({
        "id": report.id.to_string(),
        "account_id": ctx.shared.world.id(report.account),
        "time_ref": started,
        "time_completed": (progress == Progress::Done).then_some(started + DONE_S),
        "async_status": status,
        "async_percent_completion": percent,
        "date_start": from,
        "date_stop": to,
        "error_code": failed.then_some(2),
        "error_subcode": failed.then_some(1_504_044),
        "error_message": failed.then_some("An unknown error occurred"),
        "error_user_title": failed.then_some("Report failed"),
        "error_user_msg": failed.then_some("The report could not be made. Please try again."),
    });
    let mut usual = USUAL.to_vec();
    if failed {
        usual.extend(["error_code", "error_subcode", "error_message"]);
    }
    match &shown {
        Value::Object(members) => Fields::of(call, &usual)?.select("AdReportRun", members),
        _ => Ok(shown),
    }
}

/// `GET /{report}/insights`: as the figures were when it was done.
///
/// # Errors
/// [`GraphError`] before it is done, and for whoever may not see it.
pub(super) fn rows(
    call: &Call,
    ctx: &Context<'_>,
    report: &Report,
    meter: &mut Meter,
) -> Result<Value, GraphError> {
    insights::admit(call, ctx, report.account, meter)?;
    if progress(report, ctx) != Progress::Done {
        return Err(GraphError::report_not_done());
    }
    let (asked, key) = question(call, ctx, report, &OF_THE_PAGE)?;
    insights::page_of(&asked, &as_of_then(ctx, report), key)
}

fn progress(report: &Report, ctx: &Context<'_>) -> Progress {
    let age = ctx.now - report.started_at;
    let age_s = age.num_seconds();
    match report.fate {
        _ if age > KEPT => Progress::Skipped,
        _ if age_s < BEGUN_S => Progress::NotStarted,
        _ if age_s < UNDER_WAY_S => Progress::Started,
        Fate::Skipped => Progress::Skipped,
        Fate::Stalls => Progress::Running(50),
        _ if age_s < FULL_S => {
            Progress::Running((age_s - UNDER_WAY_S) * 100 / (FULL_S - UNDER_WAY_S))
        }
        Fate::Fails => Progress::Failed,
        Fate::Done if age_s < DONE_S => Progress::Running(100),
        Fate::Done => Progress::Done,
    }
}

/// What was asked for, with these parameters of the present call, and of what.
fn question(
    call: &Call,
    ctx: &Context<'_>,
    report: &Report,
    own: &[&str],
) -> Result<(Call, Key), GraphError> {
    let object = report.params["object"].as_str().unwrap_or_default();
    let key = access::find(ctx, &Method::GET, object)?;
    Ok((call.asking(&report.params["question"], own), key))
}

/// The context of the moment at which the report was done.
fn as_of_then<'s>(ctx: &Context<'s>, report: &Report) -> Context<'s> {
    Context {
        shared: ctx.shared,
        config: ctx.config,
        now: report.started_at + TimeDelta::seconds(DONE_S),
        number: ctx.number,
    }
}
