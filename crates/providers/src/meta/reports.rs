//! Insights in the background: Meta makes a report, tells how far it is, and keeps its rows for 30 days.

use secrecy::SecretString;
use serde_json::Value;

use super::{
    Meta, PLATFORM, PROVIDER,
    actions::Counting,
    call::GraphCall,
    entities::account_node,
    insights::{self, LIMIT},
    paging, unreadable,
};
use crate::{
    error::{Detail, Error},
    platform::{Caller, Cursor, InsightQuery, InsightRow, Page, ReportRun, ReportState, members},
};

impl Meta {
    /// Starts a report. Its id is to be kept before anybody asks how far it is.
    pub(super) async fn start_report(
        &self,
        caller: Caller<'_>,
        query: &InsightQuery,
    ) -> Result<ReportRun, Error> {
        // What cannot be read in the end is not asked for.
        Counting::new(&query.conversion, &query.attribution)?;
        let node = account_node(&query.account_id);
        let call = GraphCall::post("POST act_{id}/insights", &[&node, "insights"]);
        let body = self.graph(caller, insights::asked(call, query)).await?;
        let id = body.get("report_run_id").and_then(members::id);
        Ok(ReportRun {
            platform: PLATFORM,
            account_id: query.account_id.clone(),
            id: id.ok_or_else(|| unreadable("the answer names no report"))?,
        })
    }

    /// How far a report is.
    pub(super) async fn report_state(
        &self,
        caller: Caller<'_>,
        run: &ReportRun,
    ) -> Result<ReportState, Error> {
        let call = GraphCall::get("GET {report}", &[&run.id]);
        let body = self.graph(caller, call).await?;
        self.state(&body, &caller.access.token)
            .ok_or_else(|| unreadable("the answer says not how far the report is"))
    }

    /// A page of the rows of a report that is ready.
    pub(super) async fn report_page(
        &self,
        caller: Caller<'_>,
        run: &ReportRun,
        query: &InsightQuery,
        after: Option<&Cursor>,
    ) -> Result<Page<InsightRow>, Error> {
        let counting = Counting::new(&query.conversion, &query.attribution)?;
        let call = GraphCall::get("GET {report}/insights", &[&run.id, "insights"]);
        let call = paging::at(call, query.page_size, LIMIT, after);
        let body = self.graph(caller, call).await?;
        paging::read(&body, |raw| insights::row(raw, query, &counting))
    }

    /// Only the word and the percentage together say that it is ready: 100 per cent are told of reports that run still.
    fn state(&self, body: &Value, token: &SecretString) -> Option<ReportState> {
        let percent = body.get("async_percent_completion");
        let percent = percent.and_then(members::integer);
        Some(match (members::text(body, "async_status")?, percent) {
            ("Job Completed", Some(100)) => ReportState::Ready { from: None },
            ("Job Failed", _) => ReportState::Failed(self.reason(body, token)),
            ("Job Skipped", _) => {
                ReportState::Failed("it has expired, or another one took its place".to_owned())
            }
            _ => ReportState::NotReady {
                percent: percent.and_then(|percent| u8::try_from(percent).ok()),
            },
        })
    }

    /// Why a report failed, as far as this version of the API says it.
    fn reason(&self, body: &Value, token: &SecretString) -> String {
        let code = |name| body.get(name).and_then(members::id);
        let message = ["error_user_msg", "error_message"]
            .into_iter()
            .find_map(|name| members::text(body, name))
            .unwrap_or("meta does not say why");
        let codes = match (code("error_code"), code("error_subcode")) {
            (Some(code), Some(subcode)) => format!(" ({code}/{subcode})"),
            (Some(code), None) => format!(" ({code})"),
            (None, _) => String::new(),
        };
        let secrets = self.secrets(token);
        Detail::new(PROVIDER, &format!("{message}{codes}"), &secrets).message
    }
}
