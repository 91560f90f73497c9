//! Figures that X makes in the background: jobs of 20 entities and one placement each, whose results are files. The jobs of a
//! query are one run here; its id names all of theirs, those whose figures are to be added up together.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use reqwest::Method;
use url::Url;

use super::{
    ANSWER_LIMIT, PLATFORM, PROVIDER, X,
    figures::Sums,
    insights::{asks, check, chunks, params, span, unreadable},
    refused,
    request::{Question, checked},
    wire::{Begun, Job, Jobs, Stats},
};
use crate::{
    error::{Detail, Error},
    http::{self, Answer},
    platform::{
        Caller, Cursor, InsightQuery, InsightRow, Insights, Page, ReportRun, ReportState,
        call::{Call, Reading},
    },
};

/// Most jobs of one query: half of what X makes at a time for an account.
const MOST_JOBS: usize = 50;

/// Bytes of a file that are read once it is unpacked.
const FILE_LIMIT: usize = 32 << 20;

/// What a gzip file begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// How far a job is.
enum Stage<'a> {
    Underway,
    /// Its file is here.
    Done(&'a str),
    /// It will never be done.
    Failed,
}

impl X {
    /// Begins the jobs of a query; `None`: they would be too many.
    pub(super) async fn begin(
        &self,
        caller: Caller<'_>,
        query: &InsightQuery,
    ) -> Result<Option<Insights>, Error> {
        let span = span(query);
        let activity = self.activity(caller, query, span).await?;
        let groups: Vec<_> = chunks(&activity)
            .iter()
            .map(|chunk| asks(query, chunk))
            .collect();
        match groups.iter().map(Vec::len).sum::<usize>() {
            0 => {
                return Ok(Some(Insights::Rows(Page {
                    items: Vec::new(),
                    next: None,
                })));
            }
            1..=MOST_JOBS => {}
            _ => return Ok(None),
        }

        let mut run: Vec<String> = Vec::with_capacity(groups.len());
        for group in &groups {
            let mut ids = Vec::with_capacity(group.len());
            for ask in group {
                let begun: Begun = self
                    .ask(
                        caller,
                        &Question {
                            method: Method::POST,
                            endpoint: "POST stats/jobs/accounts/{id}",
                            path: &["stats", "jobs", "accounts", &query.account_id],
                            params: &params(query, span, ask),
                        },
                    )
                    .await?;
                ids.push(begun.data.id().ok_or_else(no_id)?);
            }
            run.push(ids.join(","));
        }
        Ok(Some(Insights::Started(ReportRun {
            platform: PLATFORM,
            account_id: query.account_id.clone(),
            id: run.join(";"),
        })))
    }

    pub(super) async fn state(
        &self,
        caller: Caller<'_>,
        run: &ReportRun,
    ) -> Result<ReportState, Error> {
        let ids: Vec<&str> = run.id.split([';', ',']).collect();
        let jobs = self.jobs(caller, run, &ids).await?;
        let mut done = 0;
        for id in &ids {
            match stage(&jobs, id) {
                Stage::Underway => {}
                Stage::Done(_) => done += 1,
                Stage::Failed => {
                    return Ok(ReportState::Failed(
                        "x has given up a job of the report, or has forgotten it".to_owned(),
                    ));
                }
            }
        }
        if done == ids.len() {
            return Ok(ReportState::Ready { from: None });
        }
        Ok(ReportState::NotReady {
            percent: u8::try_from(done * 100 / ids.len()).ok(),
        })
    }

    /// The rows of the jobs that belong together; the cursor is the number of the next ones.
    pub(super) async fn rows(
        &self,
        caller: Caller<'_>,
        run: &ReportRun,
        query: &InsightQuery,
        after: Option<&Cursor>,
    ) -> Result<Page<InsightRow>, Error> {
        check(query)?;
        let groups: Vec<&str> = run.id.split(';').collect();
        let number: usize = match after {
            None => 0,
            Some(Cursor(text)) => text.parse().unwrap_or(usize::MAX),
        };
        let group = groups
            .get(number)
            .ok_or_else(|| refused("the cursor is of another report"))?;
        let ids: Vec<&str> = group.split(',').collect();
        // The files' addresses end sooner than their jobs: they are asked for anew.
        let jobs = self.jobs(caller, run, &ids).await?;

        let mut sums = Sums::new(query, span(query).steps(query.granularity));
        for id in ids {
            let Stage::Done(address) = stage(&jobs, id) else {
                return Err(passing("a job of the report is not there any more"));
            };
            let stats = self.file(caller, address).await?;
            sums.add(stats).map_err(unreadable)?;
        }
        let next = number + 1;
        Ok(Page {
            items: sums.rows(),
            next: (next < groups.len()).then(|| Cursor(next.to_string())),
        })
    }

    async fn jobs(
        &self,
        caller: Caller<'_>,
        run: &ReportRun,
        ids: &[&str],
    ) -> Result<Vec<Job>, Error> {
        for id in ids {
            checked(id)?;
        }
        let question = Question {
            method: Method::GET,
            endpoint: "GET stats/jobs/accounts/{id}",
            path: &["stats", "jobs", "accounts", checked(&run.account_id)?],
            params: &[("job_ids", ids.join(","))],
        };
        let jobs: Jobs = self.ask(caller, &question).await?;
        Ok(jobs.data)
    }

    /// The figures in a file. It lies elsewhere: nothing that says who we are goes there.
    async fn file(&self, caller: Caller<'_>, address: &str) -> Result<Stats, Error> {
        let url = Url::parse(address)
            .ok()
            .filter(|url| http::require_safe_base(PROVIDER, url).is_ok())
            .ok_or_else(|| refused("a report's file is at an address that is not safe"))?;
        let call = Call {
            platform: PLATFORM,
            endpoint: "GET a job's file",
            weight: 1,
            door: caller.door,
        };
        let request = self.http.request(Method::GET, url);
        call.send(&self.http, request, |answer| Reading::of(unpacked(answer)))
            .await
    }
}

fn stage<'a>(jobs: &'a [Job], id: &str) -> Stage<'a> {
    let Some(job) = jobs.iter().find(|job| job.id().as_deref() == Some(id)) else {
        return Stage::Failed;
    };
    match (job.status.as_str(), &job.url) {
        ("SUCCESS", Some(url)) => Stage::Done(url),
        ("SUCCESS", None) | ("FAILED" | "CANCELLED", _) => Stage::Failed,
        _ => Stage::Underway,
    }
}

fn unpacked(answer: &Answer) -> Result<Stats, Error> {
    if !answer.status.is_success() {
        return Err(passing("a report's file is not there"));
    }
    let packed = answer.body.as_slice();
    let mut text = Vec::new();
    let most = FILE_LIMIT as u64 + 1;
    let read = if packed.starts_with(&GZIP) {
        MultiGzDecoder::new(packed)
            .take(most)
            .read_to_end(&mut text)
    } else {
        packed.take(most).read_to_end(&mut text)
    };
    if packed.len() >= ANSWER_LIMIT || text.len() > FILE_LIMIT {
        return Err(Error::TooLarge {
            detail: Detail::new(PROVIDER, "a report's file is longer than what is read", &[]),
        });
    }
    read.ok()
        .and_then(|_| serde_json::from_slice(&text).ok())
        .ok_or_else(|| passing("a report's file cannot be read"))
}

fn no_id() -> Error {
    passing("a job has no id")
}

/// What may be better the next time.
fn passing(what: &str) -> Error {
    Error::Unavailable {
        detail: Detail::new(PROVIDER, what, &[]),
        maybe_received: true,
        source: None,
    }
}
