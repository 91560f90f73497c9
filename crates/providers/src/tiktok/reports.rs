//! Reports in the background, for accounts whose figures are too many to be told at once: made as a task, looked at, and
//! fetched as one file, from which pages are cut.

use rust_decimal::Decimal;
use serde_json::json;

use super::{
    PLATFORM, TikTok,
    csv::Records,
    entities::page_number,
    errors,
    insights::{self, Subject},
    request::{Envelope, Question},
};
use crate::{
    error::Error,
    platform::{
        Caller, Cursor, InsightQuery, InsightRow, Page, ReportRun, ReportState,
        members::{self, NotANumber},
    },
    scrub::scrub,
};

/// Rows of a page. The file is fetched again for each, so that most reports are one page.
const ROWS_ON_PAGE: u32 = 20_000;

/// Longest reason that is kept, in characters.
const REASON_LIMIT: usize = 200;

/// Where in a file's records the columns of a query stand.
struct Columns {
    names: Vec<String>,
    entity_id: usize,
    time: usize,
    groups: Vec<usize>,
}

impl TikTok {
    pub(super) async fn start_report(
        &self,
        caller: Caller<'_>,
        query: &InsightQuery,
    ) -> Result<ReportRun, Error> {
        insights::check(query)?;
        let mut wanted = self.wanted(query);
        let id = loop {
            let ended = self.task(caller, query, &wanted.names()).await;
            match ended {
                Err(error)
                    if insights::is_of_parameters(&error) && wanted.shrink(error.detail()) => {}
                ended => break ended?,
            }
        };
        self.bury(query, &wanted);
        Ok(ReportRun {
            platform: PLATFORM,
            account_id: query.account_id.clone(),
            id,
        })
    }

    async fn task(
        &self,
        caller: Caller<'_>,
        query: &InsightQuery,
        metrics: &[&str],
    ) -> Result<String, Error> {
        let mut parameters = insights::parameters(query, metrics);
        parameters.insert("output_format".to_owned(), json!("CSV_STRING"));
        // The columns then have the names that were asked for, which do not change.
        parameters.insert("enable_report_title_translation".to_owned(), json!(false));
        let question = Question {
            endpoint: "POST report/task/create/",
            parameters,
            token: Some(&caller.access.token),
            accepts: &[],
        };
        self.ask(caller.door, &question, |envelope| {
            members::id(envelope.data.get("task_id")?)
        })
        .await
    }

    pub(super) async fn report_state(
        &self,
        caller: Caller<'_>,
        run: &ReportRun,
    ) -> Result<ReportState, Error> {
        let question = Question {
            accepts: &[errors::NOT_READY, errors::TASK_FAILED],
            ..about(caller, run, "GET report/task/check/")
        };
        self.ask(caller.door, &question, state).await
    }

    pub(super) async fn rows_of_report(
        &self,
        caller: Caller<'_>,
        run: &ReportRun,
        query: &InsightQuery,
        after: Option<&Cursor>,
    ) -> Result<Page<InsightRow>, Error> {
        let page = match after {
            Some(Cursor(page)) => page_number(page)?,
            None => 1,
        };
        let question = about(caller, run, "GET report/task/download/");
        self.download(caller.door, &question, |file| cut(file, query, page))
            .await
    }
}

/// A question about a task.
fn about<'a>(caller: Caller<'a>, run: &ReportRun, endpoint: &'static str) -> Question<'a> {
    let parameters = [("advertiser_id", &run.account_id), ("task_id", &run.id)];
    Question {
        endpoint,
        parameters: parameters
            .into_iter()
            .map(|(name, id)| (name.to_owned(), json!(id)))
            .collect(),
        token: Some(&caller.access.token),
        accepts: &[],
    }
}

fn state(envelope: Envelope) -> Option<ReportState> {
    match envelope.code {
        errors::NOT_READY => return Some(ReportState::NotReady { percent: None }),
        errors::TASK_FAILED => return Some(failed(&envelope.message)),
        _ => {}
    }
    Some(match members::text(&envelope.data, "status")? {
        "SUCCESS" => ReportState::Ready { from: None },
        "FAILED" => failed("tiktok could not make the report"),
        "CANCELED" => failed("the report was cancelled"),
        // Queued, being made, or a word that came later.
        _ => ReportState::NotReady { percent: None },
    })
}

fn failed(reason: &str) -> ReportState {
    ReportState::Failed(scrub(reason, &[], REASON_LIMIT))
}

/// A page of a file, from 1 on; `None` where the file is none of the query's.
fn cut(file: &str, query: &InsightQuery, page: u32) -> Option<Page<InsightRow>> {
    let mut records =
        Records::of(file).filter(|record| record.iter().any(|field| !field.is_empty()));
    let columns = Columns::find(records.next()?, query)?;
    let size = usize::try_from(ROWS_ON_PAGE).ok()?;
    let passed = usize::try_from(page.saturating_sub(1)).ok()?;
    let mut records = records.skip(passed.saturating_mul(size));
    let items = records
        .by_ref()
        .take(size)
        .map(|record| columns.row(&record, query))
        .collect::<Option<Vec<_>>>()?;
    let next = records
        .next()
        .map(|_| Cursor(page.saturating_add(1).to_string()));
    Some(Page { items, next })
}

impl Columns {
    fn find(names: Vec<String>, query: &InsightQuery) -> Option<Self> {
        let place = |wanted: &str| names.iter().position(|name| name.trim() == wanted);
        let entity_id = place(insights::id_dimension(query.level))?;
        let time = place(insights::time_dimension(query.granularity))?;
        let groups = query.breakdowns.iter().map(|name| place(name));
        let groups = groups.collect::<Option<Vec<_>>>()?;
        // A file without spend is no report of ours, whatever else it has.
        place("spend")?;
        Some(Self {
            names,
            entity_id,
            time,
            groups,
        })
    }

    fn row(&self, record: &[String], query: &InsightQuery) -> Option<InsightRow> {
        let subject = Subject {
            entity_id: record.get(self.entity_id)?.clone(),
            time: record.get(self.time)?.clone(),
            groups: self
                .groups
                .iter()
                .map(|place| record.get(*place).cloned())
                .collect::<Option<_>>()?,
        };
        insights::row(query, subject, &|name: &str| self.number(record, name))
    }

    fn number(&self, record: &[String], name: &str) -> Result<Option<Decimal>, NotANumber> {
        let place = self.names.iter().position(|other| other.trim() == name);
        match place.and_then(|place| record.get(place)) {
            Some(text) => members::parse(text),
            None => Ok(None),
        }
    }
}
