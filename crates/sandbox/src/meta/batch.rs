//! Many calls in one: each is answered as if it had come alone, with its own status, headers and
//! body, which is text.

use axum::http::{HeaderMap, Method};
use serde_json::{Value, json};

use super::{Context, call::Call, error::GraphError, reply::Reply, routes, usage::Meter};

/// Most calls of one batch.
const MOST: usize = 50;

/// Answers a batch.
pub(super) fn answer(call: &Call, ctx: &Context<'_>) -> Reply {
    let mut reply = Reply::from(entries(call, ctx));
    // What was used up stands in the entries.
    Meter::default().tell(&mut reply);
    reply
}

fn entries(call: &Call, ctx: &Context<'_>) -> Result<Value, GraphError> {
    let Some(Value::Array(operations)) = call.structure("batch") else {
        return Err(GraphError::bad_param("batch", "must be an array"));
    };
    if operations.len() > MOST {
        return Err(GraphError::batch_too_large(MOST));
    }
    if call.token().is_none() {
        return Err(GraphError::no_token());
    }
    let with_headers = call.text("include_headers") != Some("false");
    let entries = operations
        .iter()
        .map(|operation| entry(call, ctx, operation, with_headers));
    Ok(entries.collect())
}

fn entry(call: &Call, ctx: &Context<'_>, operation: &Value, with_headers: bool) -> Value {
    let text = |name| operation.get(name).and_then(Value::as_str);
    let method = text("method").and_then(|method| Method::from_bytes(method.as_bytes()).ok());
    let reply = match (method, text("relative_url")) {
        (Some(method), Some(relative_url)) => {
            let body = text("body").unwrap_or_default();
            let part = call.part(method, relative_url, body);
            routes::answer(&part, ctx)
        }
        _ => {
            let what = "must have a method and a relative_url in each element";
            GraphError::bad_param("batch", what).into()
        }
    };
    let mut entry = json!({
        "code": reply.status.as_u16(),
        "body": reply.body.to_string(),
    });
    if with_headers {
        entry["headers"] = headers(&reply.headers);
    }
    entry
}

/// Names are written as Meta writes them.
fn headers(headers: &HeaderMap) -> Value {
    let content_type = [json!({ "name": "Content-Type", "value": "application/json" })];
    let told = headers.iter().filter_map(|(name, value)| {
        let value = value.to_str().ok()?;
        Some(json!({ "name": spelled(name.as_str()), "value": value }))
    });
    content_type.into_iter().chain(told).collect()
}

fn spelled(name: &str) -> String {
    let words = name.split('-').map(|word| match word {
        "fb" => "FB".to_owned(),
        "www" => "WWW".to_owned(),
        word => {
            let (first, rest) = word.split_at(word.len().min(1));
            format!("{}{rest}", first.to_ascii_uppercase())
        }
    });
    words.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_spelled_as_meta_spells_them() {
        assert_eq!(
            spelled("x-business-use-case-usage"),
            "X-Business-Use-Case-Usage"
        );
        assert_eq!(
            spelled("x-fb-ads-insights-throttle"),
            "X-FB-Ads-Insights-Throttle"
        );
    }
}
