//! Every metric of this crate. Labels have few values known beforehand: never an id, an address or an error's text.

use std::time::Duration;

use metrics::{Unit, describe_histogram, histogram};

use crate::error::Error;

/// Wall time of calls to providers.
const REQUEST_SECONDS: &str = "millpond_provider_request_seconds";

/// Gives the exporter units and help texts; call once, before it answers.
pub fn describe() {
    describe_histogram!(
        REQUEST_SECONDS,
        Unit::Seconds,
        "Wall time of calls to providers, by what came of them."
    );
}

/// Records a finished call; the outcome is `ok` or the error's class.
pub(crate) fn call_finished<T>(provider: &'static str, took: Duration, result: &Result<T, Error>) {
    let outcome = result.as_ref().err().map_or("ok", Error::class);
    histogram!(REQUEST_SECONDS, "provider" => provider, "outcome" => outcome).record(took);
}
