//! `googleAds:mutate`: updates of campaigns, ad groups, ads and budgets. With `partialFailure` each that is wrong is named in
//! `partialFailureError` and the others are made; without it all are refused.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Context,
    customer::Customer,
    error::{AdsError, request_id},
    quota,
    search::{enter, read},
};
use crate::{
    door::Incoming,
    world::{Change, EditRefusal, Key, Kind, Platform, Status},
};

/// Most operations of one request; chosen.
const MOST_OPERATIONS: usize = 10_000;

/// Budgets of campaigns have their campaign's number and this before it.
const BUDGET_PREFIX: &str = "7";

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct MutateRequest {
    #[serde(default)]
    mutate_operations: Vec<Map<String, Value>>,
    #[serde(default)]
    partial_failure: bool,
    #[serde(default)]
    validate_only: bool,
}

/// What is wrong with an operation: category, name, and in words.
type Fault = (&'static str, &'static str, String);

/// # Errors
/// [`AdsError`] for a call that may not be made, and without `partialFailure` for the first operation that is wrong.
pub(super) fn mutate(
    ctx: &Context<'_>,
    incoming: &Incoming,
    customer: &str,
    version: &str,
) -> Result<String, AdsError> {
    let customer = enter(ctx, incoming, customer)?;
    let request: MutateRequest = read(&incoming.body)?;
    if request.mutate_operations.len() > MOST_OPERATIONS {
        return Err(AdsError::request(
            "TOO_MANY_MUTATE_OPERATIONS",
            "Request contains too many mutate operations.",
        ));
    }
    let (mut responses, mut errors) = (Vec::new(), Vec::new());
    for (index, operation) in request.mutate_operations.iter().enumerate() {
        quota::count_operation(ctx)?;
        let done = update(ctx, &customer, operation, request.validate_only);
        match done {
            Ok((result, name)) => responses.push(json!({ result: { "resourceName": name } })),
            Err((category, name, message)) if !request.partial_failure => {
                return Err(AdsError::of(category, name, message));
            }
            Err((category, name, message)) => {
                responses.push(json!({}));
                errors.push(json!({
                    "errorCode": { category: name },
                    "message": message,
                    "location": { "fieldPathElements": [{ "fieldName": "mutate_operations", "index": index }] },
                }));
            }
        }
    }
    let mut answer = json!({ "mutateOperationResponses": responses });
    if !errors.is_empty() {
        answer["partialFailureError"] = json!({
            "code": 3,
            "message": "Multiple errors in ‘details’.",
            "details": [{
                "@type": format!("type.googleapis.com/google.ads.googleads.{version}.errors.GoogleAdsFailure"),
                "errors": errors,
                "requestId": request_id(),
            }],
        });
    }
    Ok(answer.to_string())
}

/// Makes an update; gives back by which member its result is told, and the resource's name.
fn update(
    ctx: &Context<'_>,
    customer: &Customer,
    operation: &Map<String, Value>,
    is_only_checked: bool,
) -> Result<(&'static str, String), Fault> {
    let required = |what: &str| ("fieldError", "REQUIRED", format!("{what} is required."));
    let (member, body) = operation
        .iter()
        .next()
        .ok_or_else(|| required("operation"))?;
    let (kind, collection, result) = match member.as_str() {
        "campaignOperation" => (Kind::Campaign, "campaigns", "campaignResult"),
        "campaignBudgetOperation" => (Kind::Campaign, "campaignBudgets", "campaignBudgetResult"),
        "adGroupOperation" => (Kind::AdSet, "adGroups", "adGroupResult"),
        "adGroupAdOperation" => (Kind::Ad, "adGroupAds", "adGroupAdResult"),
        _ => return Err(required("A known operation")),
    };
    let thing = body.get("update").ok_or_else(|| required("update"))?;
    let name = thing["resourceName"].as_str();
    let name = name.ok_or_else(|| required("resource_name"))?;
    let mask = body["updateMask"].as_str().unwrap_or_default();
    if mask.is_empty() {
        let message = "The field mask is missing.".to_owned();
        return Err(("fieldMaskError", "FIELD_MASK_MISSING", message));
    }
    let changes: Vec<Change> = mask
        .split(',')
        .map(|field| change(kind, collection, (field, thing)))
        .collect::<Result<_, _>>()?;
    let key = found(ctx, customer, name, (kind, collection));
    let account = customer.key.ok_or_else(unknown)?;
    if !is_only_checked {
        let edited = ctx.shared.world.edit(account, key, changes);
        edited.map_err(|refusal| match refusal {
            EditRefusal::Unknown => unknown(),
            EditRefusal::Gone => (
                "operationAccessDeniedError",
                "MUTATE_NOT_PERMITTED_FOR_REMOVED_RESOURCE",
                "The resource is removed.".to_owned(),
            ),
            EditRefusal::NoSuchBudget | EditRefusal::DoesNotFit => (
                "campaignBudgetError",
                "CANNOT_UPDATE_BUDGET_TO_IMPLICITLY_SHARED",
                refusal.to_string(),
            ),
        })?;
    }
    Ok((result, name.to_owned()))
}

fn unknown() -> Fault {
    let message = "Resource was not found.".to_owned();
    ("mutateError", "RESOURCE_NOT_FOUND", message)
}

/// What a resource's name leads to.
fn found(
    ctx: &Context<'_>,
    customer: &Customer,
    name: &str,
    (kind, collection): (Kind, &str),
) -> Option<Key> {
    let start = format!("customers/{}/{collection}/", customer.id);
    let id = name.strip_prefix(start.as_str())?;
    let id = match collection {
        "campaignBudgets" => id.strip_prefix(BUDGET_PREFIX)?,
        "adGroupAds" => id.split_once('~')?.1,
        _ => id,
    };
    let key = ctx.shared.world.find(Platform::GoogleAds, id)?;
    (key.kind == kind).then_some(key)
}

fn change(kind: Kind, collection: &str, (field, thing): (&str, &Value)) -> Result<Change, Fault> {
    let is_budget = collection == "campaignBudgets";
    let micros = |name: &str| {
        let text = thing[name].as_str().map(str::to_owned);
        let text = text.or_else(|| thing[name].as_i64().map(|number| number.to_string()));
        let micros = text.and_then(|text| text.parse::<i64>().ok());
        let refused = ("rangeError", "TOO_LOW", "Too low.".to_owned());
        micros.filter(|micros| *micros > 0).ok_or(refused)
    };
    match field {
        "amountMicros" | "amount_micros" if is_budget => {
            micros("amountMicros").map(Change::DailyBudget)
        }
        "totalAmountMicros" | "total_amount_micros" if is_budget => {
            micros("totalAmountMicros").map(Change::LifetimeBudget)
        }
        "status" if !is_budget => match thing["status"].as_str() {
            Some("ENABLED") => Ok(Change::Status(Status::Active)),
            Some("PAUSED") => Ok(Change::Status(Status::Paused)),
            Some("REMOVED") => Err((
                "enumError",
                "ENUM_VALUE_NOT_PERMITTED",
                "Use a remove operation.".to_owned(),
            )),
            _ => Err((
                "enumError",
                "ENUM_VALUE_NOT_PERMITTED",
                "The enum value is not permitted.".to_owned(),
            )),
        },
        "name" if kind != Kind::Ad && !is_budget => {
            let name = thing["name"].as_str().unwrap_or_default();
            Ok(Change::Name(name.to_owned()))
        }
        _ => Err((
            "fieldMaskError",
            "FIELD_NOT_FOUND",
            format!("The field mask contained an invalid field: {field}."),
        )),
    }
}
