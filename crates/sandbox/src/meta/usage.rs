//! How much of Meta's allowances is used, in per cent, and the headers that tell it. Three clocks
//! run: calls of an hour by business use case, told in minutes; the score of an ad account, told in
//! seconds; and the calls of the app. The amounts are those of Meta's full tier.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{Context, error::GraphError, reply::Reply};
use crate::{
    limits::{Allowance, Reading},
    world::{Key, Kind, Platform},
};

/// The ad account that the headers of a throttled answer are about.
const ACCOUNT_ID: &str = "1000000000001";
const TIER: &str = "standard_access";
/// The score of an account that is used up; reading costs 1.
const SCORE: Allowance = Allowance {
    calls: 9_000,
    per: TimeDelta::seconds(300),
};
/// 200 calls an hour for each of a thousand people a day.
const APP: Allowance = Allowance {
    calls: 200_000,
    per: TimeDelta::hours(1),
};
/// 4,800 calls a day for each of a hundred people who did something with the page.
const PAGE: Allowance = Allowance {
    calls: 480_000,
    per: TimeDelta::hours(24),
};

/// Which allowance of an hour a call is counted against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    AdsManagement,
    AdsInsights,
    Pages,
    Instagram,
    LeadGen,
}

impl Case {
    fn as_str(self) -> &'static str {
        match self {
            Self::AdsManagement => "ads_management",
            Self::AdsInsights => "ads_insights",
            Self::Pages => "pages",
            Self::Instagram => "instagram",
            Self::LeadGen => "leadgen",
        }
    }

    fn code(self) -> i64 {
        match self {
            Self::AdsInsights => 80_000,
            Self::Pages => 80_001,
            Self::Instagram => 80_002,
            Self::AdsManagement => 80_004,
            Self::LeadGen => 80_005,
        }
    }

    fn allowance(self, ctx: &Context<'_>, of: Key) -> Allowance {
        // About four ads a campaign: to count them would cost more than the call itself.
        let ads = || 4 * ctx.shared.world.keys(of, Kind::Campaign).len() as u64;
        let calls = match self {
            Self::AdsManagement => 100_000 + 40 * ads(),
            Self::AdsInsights => 190_000 + 400 * ads(),
            Self::Pages | Self::Instagram | Self::LeadGen => return PAGE,
        };
        Allowance {
            calls,
            per: TimeDelta::hours(1),
        }
    }
}

/// What the headers of one answer tell.
#[derive(Default)]
pub(super) struct Meter {
    app: Option<Reading>,
    case: Option<(String, Case, Reading)>,
    score: Option<Reading>,
}

impl Meter {
    /// Counts a call for the app.
    ///
    /// # Errors
    /// Code 4 when the app may not call any more.
    pub(super) fn count_app(&mut self, ctx: &Context<'_>) -> Result<(), GraphError> {
        let reading = ctx.shared.limits.count(Platform::Meta, "app", APP, ctx.now);
        self.app = Some(reading);
        if reading.is_over {
            return Err(GraphError::too_many_calls(4, None));
        }
        Ok(())
    }

    /// Counts a call for an ad account or a page.
    ///
    /// # Errors
    /// 17 when the account's score is used up, 80000 and its like for the use case.
    pub(super) fn count(
        &mut self,
        ctx: &Context<'_>,
        of: Key,
        case: Case,
    ) -> Result<(), GraphError> {
        let limits = &ctx.shared.limits;
        let id = ctx.shared.world.id(of);
        let scope = format!("{id}/{}", case.as_str());
        let reading = limits.count(Platform::Meta, &scope, case.allowance(ctx, of), ctx.now);
        self.case = Some((id.clone(), case, reading));
        if reading.is_over {
            return Err(GraphError::too_many_calls(case.code(), Some(2_446_079)));
        }
        if matches!(case, Case::AdsManagement | Case::AdsInsights) {
            let scope = format!("{id}/score");
            let reading = limits.count(Platform::Meta, &scope, SCORE, ctx.now);
            self.score = Some(reading);
            if reading.is_over {
                return Err(GraphError::too_many_calls(17, Some(2_446_079)));
            }
        }
        Ok(())
    }

    /// Puts what was counted into the headers.
    pub(super) fn tell(&self, reply: &mut Reply) {
        let app = self.app.as_ref().map_or(1, whole);
        let usage = json!({ "call_count": app, "total_time": app, "total_cputime": app });
        reply.tell("x-app-usage", &usage);
        if let Some((id, case, reading)) = &self.case {
            let wait = if reading.is_over { minutes(reading) } else { 0 };
            reply.tell(
                "x-business-use-case-usage",
                &business(id, case.as_str(), whole(reading), wait),
            );
            if *case == Case::AdsInsights {
                let usage = json!({
                    "app_id_util_pct": app,
                    "acc_id_util_pct": whole(reading),
                    "ads_api_access_tier": TIER,
                });
                reply.tell("x-fb-ads-insights-throttle", &usage);
            }
        }
        if let Some(score) = &self.score {
            let reset_s = if score.is_over {
                score.resets_in.num_seconds().max(1)
            } else {
                0
            };
            reply.tell("x-ad-account-usage", &account(score.percent(), reset_s));
        }
    }
}

/// Per cent without a fraction; at least 1 as soon as anything is used.
fn whole(reading: &Reading) -> u64 {
    let percent = reading.used * 100 / reading.calls.max(1);
    percent.max(u64::from(reading.used > 0))
}

fn minutes(reading: &Reading) -> i64 {
    (reading.resets_in.num_seconds().max(1) + 59) / 60
}

fn business(id: &str, case: &str, percent: u64, wait_min: i64) -> Value {
    json!({
        id: [{
            "type": case,
            "call_count": percent,
            "total_cputime": 25,
            "total_time": 25,
            // Minutes here, unlike the seconds of an ad account.
            "estimated_time_to_regain_access": wait_min,
            "ads_api_access_tier": TIER,
        }],
    })
}

fn account(percent: f64, reset_s: i64) -> Value {
    json!({
        "acc_id_util_pct": (percent * 100.0).round() / 100.0,
        "reset_time_duration": reset_s,
        "ads_api_access_tier": TIER,
    })
}

/// An answer that asks to come back in `wait_s` seconds, in the way that belongs to `code`: for
/// faults.
pub(super) fn throttled(status: StatusCode, code: i64, wait_s: u32) -> Response {
    let subcode = match code {
        17 => Some(2_446_079),
        613 => Some(1_487_742),
        _ => None,
    };
    let mut reply = Reply::from(GraphError::too_many_calls(code, subcode));
    reply.status = status;
    match code {
        4 => {
            let usage = json!({ "call_count": 100, "total_time": 25, "total_cputime": 25 });
            reply.tell("x-app-usage", &usage);
        }
        17 | 613 => reply.tell("x-ad-account-usage", &account(100.0, i64::from(wait_s))),
        80_000.. => {
            let wait_min = i64::from(wait_s.div_ceil(60));
            let usage = business(ACCOUNT_ID, "ads_management", 100, wait_min);
            reply.tell("x-business-use-case-usage", &usage);
        }
        _ => {}
    }
    reply.into_response()
}
