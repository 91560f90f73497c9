//! One attempt's way through the figures of some days. A window's rows wait until its last page is there and then replace
//! what is stored of its days; a window that is too much is cut.

use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use marketing::sync::{InsightScope, KeptReport, Sync, SyncCounts, SyncOutcome, SyncWhat};
use providers::{
    Detail, Error as ProviderError,
    platform::{
        Access, Caller, ConversionChoice, Cursor, Granularity, InsightQuery, InsightRow, Insights,
        Page, ReportState,
    },
};
use queue::Outcome;
use serde_json::{Value, json};

use super::place::Place;
use crate::{account::Attempt, error::Error, setback::set_back};

/// How soon a report is asked for again.
const POLL: Duration = Duration::from_secs(30);
/// Longest time that a report is waited for.
const LONGEST_REPORT: TimeDelta = TimeDelta::hours(1);
/// How soon the next turn comes.
const NEXT_TURN: Duration = Duration::from_secs(1);

/// How an attempt goes about it.
#[derive(Debug, Clone, Copy)]
pub(in crate::kinds) struct Pace {
    /// How long it goes on before it lets others go first.
    longest_turn: Duration,
    /// Whether it may wait for reports.
    waits: bool,
}

impl Pace {
    /// As a job of its own does.
    pub(super) fn of_a_job() -> Self {
        Self {
            longest_turn: Duration::from_secs(5 * 60),
            waits: true,
        }
    }

    /// While somebody is looking: what is not there at once is left to the next look.
    pub(in crate::kinds) fn of_a_look() -> Self {
        Self {
            longest_turn: Duration::from_secs(25),
            waits: false,
        }
    }
}

/// Reads figures of an ad account.
pub(in crate::kinds) async fn read(
    attempt: &Attempt<'_>,
    scope: InsightScope,
    pace: Pace,
) -> Result<Outcome, Error> {
    // The job of looks makes syncs of the same days again and again.
    if pace.waits
        && let Some(done) = attempt.done_before().await?
    {
        return Ok(Outcome::SucceededWith(told(done)));
    }
    let syncs = &attempt.app.syncs;
    let what = SyncWhat::Insights(scope.clone());
    let mut sync = syncs
        .begin(attempt.account.id, &what, attempt.job.id)
        .await?;
    let stored = sync.cursor.as_ref().and_then(Place::stored);
    if stored.is_none() && sync.cursor.is_some() {
        // Another release wrote it: what waits belongs to a window that this one does not know.
        syncs.start_over(&mut sync).await?;
    }
    let mut reading = Reading {
        is_resumed: stored.is_some(),
        place: stored.unwrap_or_else(|| first(attempt, &scope, pace)),
        attempt,
        scope,
        sync,
        ready: None,
    };
    match reading.go_on(pace).await {
        Ok(None) => reading.finish().await,
        Ok(Some(wait)) => Ok(Outcome::Snoozed(wait)),
        Err(error) => {
            set_back(attempt.app, reading.sync, &error).await;
            Err(error)
        }
    }
}

fn first(attempt: &Attempt<'_>, scope: &InsightScope, pace: Pace) -> Place {
    let longest = attempt.client.longest_window(scope.granularity);
    let days = (scope.to - scope.from).num_days() + 1;
    let report_from = attempt.client.report_from_days(scope.level);
    let is_long = report_from.is_some_and(|from| days >= i64::from(from));
    let by_day = scope.granularity == Granularity::Day;
    let in_background = pace.waits && by_day && is_long;
    Place::first(scope, longest, in_background)
}

struct Reading<'a> {
    attempt: &'a Attempt<'a>,
    scope: InsightScope,
    sync: Sync,
    place: Place,
    /// It goes on where another attempt was, and no page has come since.
    is_resumed: bool,
    /// The report of the window, once it is ready, and where its rows begin.
    ready: Option<(KeptReport, Option<Cursor>)>,
}

/// What a step has given.
enum Step {
    Page(Page<InsightRow>),
    /// Nothing yet: to be asked for again in a while.
    NotYet(Option<u8>),
}

impl Reading<'_> {
    /// Reads to the last day; tells how long to wait where that takes another turn.
    async fn go_on(&mut self, pace: Pace) -> Result<Option<Duration>, Error> {
        let began = Instant::now();
        while self.place.from <= self.scope.to {
            self.attempt.go_on()?;
            if began.elapsed() > pace.longest_turn {
                return Ok(Some(NEXT_TURN));
            }
            match self.step().await {
                Ok(Step::Page(page)) => self.store(page).await?,
                Ok(Step::NotYet(percent)) => {
                    self.tell(percent);
                    return Ok(Some(POLL));
                }
                Err(Error::Provider(refusal)) => self.refused(refusal).await?,
                Err(error) => return Err(error),
            }
            self.tell(None);
        }
        Ok(None)
    }

    async fn step(&mut self) -> Result<Step, Error> {
        match self.of_report().await? {
            // The platform does not know it any more.
            Some(Err(Error::Provider(ProviderError::Rejected { detail }))) => {
                self.give_report_up(detail.to_string()).await
            }
            Some(step) => step,
            None => self.begin().await,
        }
    }

    /// What the report of the window gives; `None`: there is none.
    async fn of_report(&mut self) -> Result<Option<Result<Step, Error>>, Error> {
        if self.ready.is_some() {
            return Ok(Some(self.report_page().await.map(Step::Page)));
        }
        if !self.place.in_background {
            return Ok(None);
        }
        let days = self.place.days();
        let kept = self.attempt.app.syncs.report(&self.sync, days).await?;
        Ok(match kept {
            Some(kept) => Some(self.look_at(kept).await),
            None => None,
        })
    }

    async fn begin(&self) -> Result<Step, Error> {
        match self.ask().await? {
            Insights::Rows(page) => Ok(Step::Page(page)),
            Insights::Started(run) => {
                // Before anybody asks how far it is: a second one would cost quota.
                let days = self.place.days();
                let syncs = &self.attempt.app.syncs;
                syncs.keep_report(&self.sync, days, &run).await?;
                Ok(Step::NotYet(None))
            }
        }
    }

    async fn ask(&self) -> Result<Insights, Error> {
        let Attempt {
            app,
            account,
            client,
            door,
            ..
        } = *self.attempt;
        let query = &self.query();
        let after = self.place.after.as_ref();
        let ask = |access: Access| async move {
            let caller = Caller {
                access: &access,
                door,
            };
            client.insights(caller, query, after).await
        };
        Ok(Box::pin(app.accounts.with_fresh_token(account.id, door, ask)).await?)
    }

    /// How far a report is that was begun.
    async fn look_at(&mut self, kept: KeptReport) -> Result<Step, Error> {
        let Attempt {
            app,
            account,
            client,
            door,
            ..
        } = *self.attempt;
        let run = &kept.run;
        let ask = |access: Access| async move {
            let caller = Caller {
                access: &access,
                door,
            };
            client.report(caller, run).await
        };
        let state = Box::pin(app.accounts.with_fresh_token(account.id, door, ask)).await?;
        match state {
            ReportState::Ready { from } => {
                self.ready = Some((kept, from));
                self.report_page().await.map(Step::Page)
            }
            ReportState::NotReady { percent } if Utc::now() - kept.started_at < LONGEST_REPORT => {
                Ok(Step::NotYet(percent))
            }
            ReportState::NotReady { .. } => {
                let why = "it was not ready within an hour".to_owned();
                self.give_report_up(why).await
            }
            ReportState::Failed(why) => self.give_report_up(why).await,
        }
    }

    /// A report of fewer days may do what this one did not. One of a single day is begun anew by the next attempt, and read
    /// from its first row: another report has other pages.
    async fn give_report_up(&mut self, why: String) -> Result<Step, Error> {
        let days = self.place.days();
        if days.from < days.to {
            return Err(Error::Provider(ProviderError::TooLarge {
                detail: Detail {
                    provider: self.attempt.account.platform.as_str(),
                    message: why,
                    ..Detail::default()
                },
            }));
        }
        self.begin_window_again(self.place.clone().again()).await?;
        Err(Error::Report(why))
    }

    /// At the beginning of a window, with nothing of it, nor of any report.
    async fn begin_window_again(&mut self, place: Place) -> Result<(), Error> {
        let syncs = &self.attempt.app.syncs;
        syncs
            .discard_staged(&mut self.sync, &place.document())
            .await?;
        self.place = place;
        self.is_resumed = false;
        self.ready = None;
        Ok(())
    }

    async fn report_page(&self) -> Result<Page<InsightRow>, Error> {
        let Some((kept, from)) = &self.ready else {
            return Err(Error::Report("it is not there any more".to_owned()));
        };
        let Attempt {
            app,
            account,
            client,
            door,
            ..
        } = *self.attempt;
        let (run, query) = (&kept.run, &self.query());
        let after = self.place.after.as_ref().or(from.as_ref());
        let ask = |access: Access| async move {
            let caller = Caller {
                access: &access,
                door,
            };
            client.report_rows(caller, run, query, after).await
        };
        Ok(Box::pin(app.accounts.with_fresh_token(account.id, door, ask)).await?)
    }

    async fn store(&mut self, page: Page<InsightRow>) -> Result<(), Error> {
        let syncs = &self.attempt.app.syncs;
        let days = self.place.days();
        self.is_resumed = false;
        if page.next.is_some() && page.next == self.place.after {
            let why = "the next page of the figures is the same one";
            return Err(Error::Report(why.to_owned()));
        }
        let place = self.place.clone();
        if let Some(cursor) = page.next {
            let next = place.behind(cursor);
            syncs
                .stage_insights(&mut self.sync, days, &page.items, &next.document())
                .await?;
            self.place = next;
            return Ok(());
        }
        let next = place.behind_window(&self.scope);
        syncs
            .replace_insights(&mut self.sync, days, &page.items, &next.document())
            .await?;
        self.place = next;
        self.ready = None;
        Ok(())
    }

    async fn refused(&mut self, refusal: ProviderError) -> Result<(), Error> {
        let place = self.place.clone();
        let next = match &refusal {
            ProviderError::TooLarge { .. } => place.with_less(&self.scope),
            // Cursors do not live for ever.
            ProviderError::Rejected { .. } if self.is_resumed && place.after.is_some() => {
                Some(place.again())
            }
            _ => None,
        };
        let Some(next) = next else {
            return Err(refusal.into());
        };
        self.begin_window_again(next).await
    }

    fn query(&self) -> InsightQuery {
        let account = self.attempt.account;
        InsightQuery {
            account_id: account.external_id.clone(),
            level: self.scope.level,
            granularity: self.scope.granularity,
            from: self.place.from,
            to: self.place.to,
            time_zone: account.zone(),
            currency: account.currency.clone(),
            attribution: Vec::new(),
            breakdowns: self.scope.breakdowns.clone(),
            entities: Vec::new(),
            conversion: ConversionChoice::default(),
            page_size: self.place.page_size,
            in_background: self.place.in_background,
        }
    }

    fn tell(&self, percent: Option<u8>) {
        let mut told = json!({
            "from": self.scope.from,
            "to": self.scope.to,
            "reading_from": self.place.from,
            "rows": self.sync.counts.rows,
        });
        if let Some(percent) = percent {
            told["report_percent"] = json!(percent);
        }
        (self.attempt.progress)(told);
    }

    async fn finish(self) -> Result<Outcome, Error> {
        let told = told(self.sync.counts);
        let syncs = &self.attempt.app.syncs;
        syncs.finish(self.sync, &SyncOutcome::Succeeded).await?;
        Ok(Outcome::SucceededWith(told))
    }
}

fn told(counts: SyncCounts) -> Value {
    json!({
        "pages": counts.pages,
        "rows": counts.rows,
        "written": counts.written,
        "removed": counts.removed,
    })
}
