//! One structured log on standard error, as text on a terminal and as JSON otherwise, and the recorder of the metrics.

mod json;
mod text;

use std::io::{self, IsTerminal};

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{
    EnvFilter, filter::ParseError, layer::SubscriberExt, util::SubscriberInitExt,
    util::TryInitError,
};

use crate::settings::{LogFormat, LogSettings};

/// Why the program cannot tell what it does.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TelemetryError {
    /// The filter cannot be read.
    #[error("MILLPOND_LOG is not a log filter such as \"info\" or \"info,queue=debug\"")]
    Filter(#[from] ParseError),
    /// A log was set up before.
    #[error("cannot set up the log")]
    Log(#[from] TryInitError),
    /// Metrics were set up before.
    #[error("cannot set up the metrics")]
    Metrics(#[from] BuildError),
}

/// Starts the log. `quiet` shows warnings alone where the environment names no filter, for commands that answer and end.
pub(crate) fn start_log(settings: &LogSettings, quiet: bool) -> Result<(), TelemetryError> {
    // Notices of the migrations' own statements tell an operator nothing.
    let default = if quiet {
        "warn"
    } else {
        "info,sqlx::postgres::notice=warn"
    };
    let filter = EnvFilter::try_new(settings.filter.as_deref().unwrap_or(default))?;
    let registry = tracing_subscriber::registry().with(filter);
    let is_terminal = io::stderr().is_terminal();
    let format = settings.format.unwrap_or(if is_terminal {
        LogFormat::Text
    } else {
        LogFormat::Json
    });
    // Errors of the log itself are not printed: with standard error closed, that would panic.
    match format {
        LogFormat::Text => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .with_writer(io::stderr)
                    .with_ansi(is_terminal && !settings.is_plain)
                    .log_internal_errors(false)
                    .fmt_fields(text::fields()),
            )
            .try_init()?,
        LogFormat::Json => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_span_list(false)
                    .with_writer(json::writer)
                    .log_internal_errors(false),
            )
            .try_init()?,
    }
    Ok(())
}

/// Installs the recorder; whatever is counted before it is lost, so it comes before everything else.
pub(crate) fn start_metrics() -> Result<PrometheusHandle, TelemetryError> {
    Ok(PrometheusBuilder::new()
        .set_buckets(queue::metrics::BUCKETS)?
        .install_recorder()?)
}
