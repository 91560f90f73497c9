//! The routes: a file a resource. Each adds its operations to the table, with their documentation and scope; nothing
//! else has to be touched for a new one.

mod accounts;
mod alerts;
mod audit;
mod backfill;
mod budgets;
mod changes;
mod config;
mod config_plan;
mod dead_groups;
mod dead_letters;
mod docs;
mod enqueue;
mod entities;
mod health;
mod jobs;
mod keys;
mod kinds;
mod leads;
mod meta_people;
mod meta_webhooks;
mod metrics;
mod oauth;
mod queues;
mod recommendations;
mod replays;
mod schedules;
mod selection;
mod strategies;
mod syncs;
mod unsubscribe;
mod webhook_endpoints;
mod workers;

use axum::{Router, middleware::from_fn_with_state};

use crate::{error::ApiError, frame::frame, openapi::Operations, state::ApiState};

/// The whole API.
pub fn router(state: ApiState) -> Router {
    let operations = Operations::new(&state);
    let operations = enqueue::operations(operations);
    let operations = jobs::operations(operations);
    let operations = queues::operations(operations);
    let operations = schedules::operations(operations);
    let operations = kinds::operations(operations);
    let operations = workers::operations(operations);
    let operations = budgets::operations(operations);
    let operations = dead_letters::operations(operations);
    let operations = dead_groups::operations(operations);
    let operations = replays::operations(operations);
    let operations = config::operations(operations);
    let operations = config_plan::operations(operations);
    let operations = keys::operations(operations);
    let operations = accounts::operations(operations);
    let operations = backfill::operations(operations);
    let operations = syncs::operations(operations);
    let operations = entities::operations(operations);
    let operations = changes::operations(operations);
    let operations = metrics::operations(operations);
    let operations = strategies::operations(operations);
    let operations = recommendations::operations(operations);
    let operations = alerts::operations(operations);
    let operations = oauth::operations(operations);
    let operations = meta_people::operations(operations);
    let operations = meta_webhooks::operations(operations);
    let operations = leads::operations(operations);
    let operations = webhook_endpoints::operations(operations);
    let operations = unsubscribe::operations(operations);
    let operations = audit::operations(operations);
    let operations = health::operations(operations);
    let operations = docs::operations(operations);

    let (router, document) = operations.finish();
    state.keep_openapi(document);
    framed(router.merge(docs::pages()), state)
}

/// What a process without the API role serves: `/livez`, `/readyz` and `/metrics`.
pub fn probes(state: ApiState) -> Router {
    let (router, _) = health::operations(Operations::new(&state)).finish();
    framed(router, state)
}

fn framed(router: Router<ApiState>, state: ApiState) -> Router {
    router
        .fallback(|| async { ApiError::NotFound })
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .layer(from_fn_with_state(state.clone(), frame))
        .with_state(state)
}
