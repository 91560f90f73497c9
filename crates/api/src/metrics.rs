//! The metrics of the API. Label values are bounded: methods and statuses by HTTP, routes by the router.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{Unit, describe_gauge, describe_histogram, gauge, histogram};

/// From the head of a request to its answer.
const HTTP_REQUEST_SECONDS: &str = "millpond_http_request_seconds";
/// Always 1; says what runs.
const BUILD_INFO: &str = "millpond_build_info";

/// Gives the exporter units and help texts; call once, before it answers.
pub fn describe() {
    describe_histogram!(
        HTTP_REQUEST_SECONDS,
        Unit::Seconds,
        "Time from a request's head to its answer."
    );
    describe_gauge!(BUILD_INFO, "Always 1; the version and commit that run.");
}

/// Says what runs.
pub(crate) fn build_info(version: &'static str, commit: &'static str) {
    gauge!(BUILD_INFO, "version" => version, "commit" => commit).set(1.0);
}

/// Records an answered request; `route` is the path as it was registered.
pub(crate) fn answered(method: &'static str, route: String, status: StatusCode, took: Duration) {
    histogram!(HTTP_REQUEST_SECONDS,
        "method" => method, "route" => route, "status" => status.as_str().to_owned())
    .record(took);
}

/// A method as a label: those that HTTP names, or `OTHER`.
pub(crate) fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}
