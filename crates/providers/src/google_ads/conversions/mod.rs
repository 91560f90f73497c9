//! Conversion events for Google Ads: by the Data Manager API, or by the older offline uploads where an account may still use
//! those. Google documents that events are at most as old as the look-back of the conversion action, never above 90 days.

mod data_manager;
mod event;
mod outcome;
mod upload;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;

use super::GoogleAds;
use crate::{
    error::Error,
    meta::conversions::{Event, Refused},
    platform::{
        Caller, ConversionAnswer as Answer, ConversionApi, ConversionTarget, Outgoing,
        RequestOutcome, Via,
    },
};

/// Events of one request to Data Manager. Google takes 2,000, and tells later how many of a request failed and never which:
/// small requests are soon told apart.
const MOST_INGESTED: usize = 100;
/// Most events of one upload.
const MOST_UPLOADED: usize = 2_000;
/// For how long the id of a transaction makes repeats count once: Google names no end. This is as long as events are sent.
const DEDUPES_HOURS: u32 = 91 * 24;

impl ConversionApi for GoogleAds {
    fn most(&self, via: Via) -> usize {
        match via {
            Via::Standard => MOST_INGESTED,
            Via::Upload => MOST_UPLOADED,
        }
    }

    fn has_test_mode(&self) -> bool {
        true
    }

    fn dedupes_hours(&self) -> u32 {
        DEDUPES_HOURS
    }

    fn prepare(
        &self,
        event: &Event,
        target: &ConversionTarget<'_>,
        now: DateTime<Utc>,
    ) -> Result<Outgoing, Refused> {
        event::prepare(event, target, now)
    }

    fn send<'a>(
        &'a self,
        caller: Caller<'a>,
        target: &'a ConversionTarget<'a>,
        events: &'a [&'a Outgoing],
    ) -> BoxFuture<'a, Result<Answer, Error>> {
        match target.via {
            Via::Standard => Box::pin(self.ingest(caller, target, events)),
            Via::Upload => Box::pin(self.upload(caller, target, events)),
        }
    }

    fn outcome<'a>(
        &'a self,
        caller: Caller<'a>,
        request_id: &'a str,
        events: usize,
    ) -> BoxFuture<'a, Result<RequestOutcome, Error>> {
        Box::pin(self.request_outcome(caller, request_id, events))
    }
}
