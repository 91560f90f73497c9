//! What describes the API: `openapi.json`, the pages under `/docs` from files inside the binary, and what `/` says.

use std::{borrow::Cow, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use bytes::Bytes;
use serde_json::{Value, json};
use utoipa_swagger_ui::Config;

use crate::{
    error::ApiError, openapi::Operations, problem::ProblemKind, query::Segment, state::ApiState,
};

const OPENAPI: &str = "/openapi.json";
/// The files that the page needs. Others of the bundle, such as its source maps, are not served.
const FILES: [&str; 8] = [
    "index.html",
    "index.css",
    "swagger-ui.css",
    "swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js",
    "swagger-initializer.js",
    "favicon-16x16.png",
    "favicon-32x32.png",
];
/// What the pages may load and do: only what comes from here, nothing inline, no frames around them.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("docs")
        .public(__path_get_openapi, get_openapi)
}

/// The pages, which are for people and stand in no document.
pub(super) fn pages() -> Router<ApiState> {
    Router::new()
        .route("/", get(welcome))
        .route("/docs", get(|| async { Redirect::permanent("/docs/") }))
        .route("/docs/", get(|| async { page("index.html") }))
        .route("/docs/problems", get(problems))
        .route(
            "/docs/{file}",
            get(|Segment(file): Segment<String>| async move { page(&file) }),
        )
}

/// Describes the API.
#[utoipa::path(
    get,
    path = "/openapi.json",
    responses((status = 200, description = "An OpenAPI 3.1 document", body = Value)),
)]
async fn get_openapi(State(state): State<ApiState>) -> ([(HeaderName, &'static str); 1], Bytes) {
    (
        [(header::CONTENT_TYPE, "application/json")],
        state.openapi(),
    )
}

async fn welcome(State(state): State<ApiState>) -> Json<Value> {
    Json(json!({
        "name": "millpond",
        "version": state.settings().version,
        "commit": state.settings().commit,
        "docs": "/docs/",
        "openapi": OPENAPI,
    }))
}

/// One of the files of the page.
fn page(name: &str) -> Result<Response, ApiError> {
    if !FILES.contains(&name) {
        return Err(ApiError::NotFound);
    }
    // The standalone layout brings an inline style, which the policy forbids, and a validator on a host of others.
    let config = Config::from(OPENAPI).use_base_layout();
    let file = utoipa_swagger_ui::serve(name, Arc::new(config))
        .map_err(|_| ApiError::Wiring("the page's set-up cannot be written as JSON"))?
        .ok_or(ApiError::NotFound)?;
    let content_type = HeaderValue::from_str(&file.content_type)
        .map_err(|_| ApiError::Wiring("the page's files have a media type that is no header"))?;
    Ok(shown(content_type, file.bytes.into_owned()))
}

/// Explains each problem: their `type` leads here.
async fn problems() -> Response {
    let entries: String = ProblemKind::ALL.iter().map(|kind| entry(*kind)).collect();
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Problems · Millpond</title>\
         <link rel=\"icon\" href=\"/docs/favicon-32x32.png\"></head>\n\
         <body><h1>Problems</h1>\n<p>Every refusal is a problem document (RFC 9457). Its <code>type</code> leads here.</p>\n\
         {entries}</body></html>\n"
    );
    shown(
        HeaderValue::from_static("text/html; charset=utf-8"),
        html.into_bytes(),
    )
}

fn entry(kind: ProblemKind) -> String {
    format!(
        "<h2 id=\"{slug}\">{title}</h2>\n<p><code>{slug}</code> · {status}</p>\n<p>{remedy}</p>\n",
        slug = kind.slug(),
        title = kind.title(),
        status = kind.status(),
        remedy = as_code(kind.remedy()),
    )
}

/// What stands between backticks, as HTML has it.
fn as_code(text: &str) -> String {
    let pieces = text
        .split('`')
        .enumerate()
        .map(|(index, piece)| match index % 2 {
            0 => Cow::Borrowed(piece),
            _ => Cow::Owned(format!("<code>{piece}</code>")),
        });
    pieces.collect()
}

fn shown(content_type: HeaderValue, content: Vec<u8>) -> Response {
    let mut response = content.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    );
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=3600"),
    );
    response
}
