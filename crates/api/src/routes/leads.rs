//! Leads: lists, single ones, and exports that are written while they are read.

use std::str::FromStr;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::stream;
use marketing::{
    accounts::{AccountId, AccountsError},
    inbound::{Inbound, LeadFilter, LeadId},
};
use queue::PageRequest;

use crate::{
    answers::{LEAD_COLUMNS, Lead, Page},
    auth::{Caller, Scope},
    csv,
    error::ApiError,
    openapi::Operations,
    query::{QueryString, Segment},
    state::ApiState,
};

/// Leads that an export reads together.
const PORTION: i64 = 500;

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("leads")
        .key(Scope::Read, __path_list_leads, list_leads)
        .key(Scope::Read, __path_export_leads, export_leads)
        .key(Scope::Read, __path_get_lead, get_lead)
}

/// How an export is written.
#[derive(Clone, Copy)]
enum Format {
    Csv,
    Lines,
}

/// There is no such format.
#[derive(Debug, thiserror::Error)]
#[error("must be csv or ndjson")]
struct UnknownFormat;

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        match text {
            "csv" => Ok(Self::Csv),
            "ndjson" => Ok(Self::Lines),
            _ => Err(UnknownFormat),
        }
    }
}

/// Lists leads with what people answered, those first that became known last; with `format`, all of them as a file.
#[utoipa::path(
    get,
    path = "/v1/leads",
    params(
        ("account" = Option<Uuid>, Query, description = "Only this Page's, by its account"),
        ("form" = Option<String>, Query, description = "Only this form's, by the platform's id"),
        ("since" = Option<String>, Query, description = "Only those made then or later (RFC 3339)"),
        ("until" = Option<String>, Query, description = "Only those made before (RFC 3339)"),
        ("tenant" = Option<String>, Query, description = "Only this tenant's"),
        ("limit" = Option<i64>, Query, description = "Items on a page: 1 to 500, 50 unless said"),
        ("cursor" = Option<String>, Query, description = "`next` of this list's page before"),
        ("format" = Option<String>, Query, description = "`csv` or `ndjson`: as `/v1/leads/export` writes them"),
    ),
    responses(
        (status = 200, description = "A page", content(
            (Page<Lead> = "application/json"),
            (String = "text/csv"),
            (String = "application/x-ndjson"),
        )),
        (status = 409, description = "This process has no keys to open them with"),
    ),
)]
async fn list_leads(
    State(state): State<ApiState>,
    caller: Caller,
    mut query: QueryString,
) -> Result<Response, ApiError> {
    let filter = filter(&caller, &mut query)?;
    if let Some(format) = query.word::<Format>("format") {
        query.finish()?;
        return export(&state, filter, format).await;
    }
    let page = query.page()?;
    let leads = state.accounts().inbound().leads(&filter, &page).await?;
    Ok(Json(Page::<Lead>::from(leads)).into_response())
}

/// Shows a lead.
#[utoipa::path(
    get,
    path = "/v1/leads/{id}",
    params(("id" = Uuid, Path, description = "Our id of it, as in `lead.created`")),
    responses(
        (status = 200, description = "The lead", body = Lead),
        (status = 409, description = "This process has no keys to open it with"),
    ),
)]
async fn get_lead(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<LeadId>,
) -> Result<Json<Lead>, ApiError> {
    let lead = state.accounts().inbound().lead(id, caller.tenant()).await?;
    Ok(Json(lead.into()))
}

/// Writes all leads that the filter takes, as a table or as a JSON document a line.
///
/// A body that breaks off is not whole: the connection ends in the middle then.
#[utoipa::path(
    get,
    path = "/v1/leads/export",
    params(
        ("format" = Option<String>, Query, description = "`csv` or `ndjson`; `csv` unless said"),
        ("account" = Option<Uuid>, Query, description = "Only this Page's, by its account"),
        ("form" = Option<String>, Query, description = "Only this form's, by the platform's id"),
        ("since" = Option<String>, Query, description = "Only those made then or later (RFC 3339)"),
        ("until" = Option<String>, Query, description = "Only those made before (RFC 3339)"),
        ("tenant" = Option<String>, Query, description = "Only this tenant's"),
    ),
    responses(
        (status = 200, description = "The leads", body = String, content_type = "text/csv"),
        (status = 409, description = "This process has no keys to open them with"),
    ),
)]
async fn export_leads(
    State(state): State<ApiState>,
    caller: Caller,
    mut query: QueryString,
) -> Result<Response, ApiError> {
    let filter = filter(&caller, &mut query)?;
    let format = query.word::<Format>("format").unwrap_or(Format::Csv);
    query.finish()?;
    export(&state, filter, format).await
}

async fn export(
    state: &ApiState,
    filter: LeadFilter,
    format: Format,
) -> Result<Response, ApiError> {
    let export = Export {
        inbound: state.accounts().inbound(),
        filter,
        format,
        place: Place::Beginning,
    };
    // What cannot be read at all is a problem document, and not a file that breaks off.
    let first = export.portion().await?;
    let (media, name) = match format {
        Format::Csv => ("text/csv; charset=utf-8", "leads.csv"),
        Format::Lines => ("application/x-ndjson", "leads.ndjson"),
    };
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [
        (header::CONTENT_TYPE, media.to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    let rest = stream::try_unfold(Some(first), |portion| async move {
        let Some((text, export)) = portion else {
            return Ok::<_, AccountsError>(None);
        };
        let next = match export {
            Some(export) => Some(export.portion().await?),
            None => None,
        };
        Ok(Some((text, next)))
    });
    Ok((headers, Body::from_stream(rest)).into_response())
}

fn filter(caller: &Caller, query: &mut QueryString) -> Result<LeadFilter, ApiError> {
    Ok(LeadFilter {
        account: query.word::<AccountId>("account"),
        form: query.text("form"),
        since: query.time("since"),
        until: query.time("until"),
        tenant: caller.tenant_for(query.text("tenant"))?,
    })
}

/// Where an export stands.
enum Place {
    Beginning,
    /// Behind the portion with this cursor.
    Behind(String),
}

/// What of an export is still to be written.
struct Export {
    inbound: Inbound,
    filter: LeadFilter,
    format: Format,
    place: Place,
}

impl Export {
    /// The next portion, and what is to be written after it; `None`: nothing.
    async fn portion(self) -> Result<(Bytes, Option<Self>), AccountsError> {
        let Self {
            inbound,
            filter,
            format,
            place,
        } = self;
        let (cursor, mut text) = match place {
            Place::Behind(cursor) => (Some(cursor), String::new()),
            Place::Beginning => (None, head(format)),
        };
        let page = PageRequest::new(Some(PORTION), cursor)?;
        let leads = inbound.leads(&filter, &page).await?;
        for lead in leads.items {
            text.push_str(&written(format, &lead.into()));
        }
        let rest = leads.next.map(|cursor| Self {
            inbound,
            filter,
            format,
            place: Place::Behind(cursor),
        });
        Ok((Bytes::from(text), rest))
    }
}

fn head(format: Format) -> String {
    match format {
        Format::Csv => csv::line(LEAD_COLUMNS),
        Format::Lines => String::new(),
    }
}

fn written(format: Format, lead: &Lead) -> String {
    match format {
        Format::Csv => csv::line(lead.row().iter().map(String::as_str)),
        Format::Lines => {
            let mut line = serde_json::to_string(lead)
                .expect("texts, times and JSON values can be written as JSON");
            line.push('\n');
            line
        }
    }
}
