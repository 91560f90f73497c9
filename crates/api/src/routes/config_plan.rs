//! What a text would change for the work that is there, asked before it is put in force.

use axum::{Json, extract::State};
use queue::ConfigText;
use utoipa::ToSchema;

use crate::{
    answers::ConfigPlan, auth::Scope, body::RequestBody, error::ApiError, openapi::Operations,
    state::ApiState,
};

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("config")
        .fleet_key(Scope::Read, __path_plan_config, plan_config)
}

/// A text to be weighed: one of both.
#[derive(ToSchema)]
struct PlanRequest {
    /// A whole jobs.toml.
    #[schema(example = "version = 1\n\n[queues.sync]\nconcurrency = 4\n")]
    text: Option<String>,
    /// An earlier revision, to see what a roll-back would do.
    #[schema(example = 7)]
    revision: Option<i64>,
}

impl PlanRequest {
    fn read(body: &RequestBody) -> Result<ConfigText, ApiError> {
        let mut object = body.object()?;
        let request = Self {
            text: object.text("text"),
            revision: object.integer("revision", 1..=i64::MAX),
        };
        if request.text.is_some() == request.revision.is_some() {
            object.problem("text", "must be given, or revision: one of both");
        }
        object.finish()?;
        Ok(match (request.text, request.revision) {
            (Some(text), _) => ConfigText::New(text),
            (None, revision) => ConfigText::Of(revision.unwrap_or_default()),
        })
    }
}

/// Says what would follow if a text were put in force: which keys change, how soon queues are empty before and after,
/// what becomes a dead letter, is deleted, is claimed by nobody, ticks no more. Nothing is stored.
#[utoipa::path(
    post,
    path = "/v1/config/plan",
    request_body = PlanRequest,
    responses((status = 200, description = "What would follow", body = ConfigPlan)),
)]
async fn plan_config(
    State(state): State<ApiState>,
    body: RequestBody,
) -> Result<Json<ConfigPlan>, ApiError> {
    let text = PlanRequest::read(&body)?;
    Ok(Json(state.queue().plan_config(text).await?.into()))
}
