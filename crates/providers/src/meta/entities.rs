//! Ad accounts and what they hold: campaigns, ad sets, ads, creatives, audiences and pixels, each by its own edge. What was
//! archived or deleted is asked for too: Meta leaves it out otherwise, and its figures would belong to nothing.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{
    Meta,
    call::{GraphCall, is_part},
    graph_batch::{Operated, Operation},
    money::budget,
    paging, refused, status, time, unreadable,
};
use crate::{
    error::Error,
    platform::{AdAccount, Caller, Cursor, Entity, EntityQuery, EntityType, Level, Page, members},
};

/// Everything that can be listed, parents first.
pub(super) const TYPES: [EntityType; 9] = [
    EntityType::Campaign,
    EntityType::AdSet,
    EntityType::Ad,
    EntityType::Creative,
    EntityType::Audience,
    EntityType::Pixel,
    EntityType::Page,
    EntityType::InstagramAccount,
    EntityType::LeadForm,
];

const ACCOUNT_FIELDS: &str = "id,account_id,name,account_status,currency,timezone_name,\
    timezone_offset_hours_utc,amount_spent,balance,spend_cap,disable_reason,business";

const ACCOUNTS_LIMIT: u32 = 100;

/// Every effective state of a campaign, of an ad set and of an ad.
const CAMPAIGN_STATES: &[&str] = &[
    "ACTIVE",
    "PAUSED",
    "ARCHIVED",
    "DELETED",
    "IN_PROCESS",
    "WITH_ISSUES",
];
const AD_SET_STATES: &[&str] = &[
    "ACTIVE",
    "PAUSED",
    "ARCHIVED",
    "DELETED",
    "IN_PROCESS",
    "WITH_ISSUES",
    "CAMPAIGN_PAUSED",
];
const AD_STATES: &[&str] = &[
    "ACTIVE",
    "PAUSED",
    "ARCHIVED",
    "DELETED",
    "IN_PROCESS",
    "WITH_ISSUES",
    "CAMPAIGN_PAUSED",
    "ADSET_PAUSED",
    "PENDING_REVIEW",
    "DISAPPROVED",
    "PREAPPROVED",
    "PENDING_BILLING_INFO",
];

/// An edge of an ad account.
struct Edge {
    name: &'static str,
    endpoint: &'static str,
    fields: &'static str,
    /// The usual number of entries: fewer where the fields are much work.
    limit: u32,
    /// Whose conditions can be asked for, where any can.
    level: Option<Level>,
}

const CAMPAIGNS: Edge = Edge {
    name: "campaigns",
    endpoint: "GET act_{id}/campaigns",
    fields: "id,name,objective,status,effective_status,configured_status,buying_type,bid_strategy,\
        daily_budget,lifetime_budget,budget_remaining,special_ad_categories,start_time,stop_time,\
        created_time,updated_time",
    limit: 100,
    level: Some(Level::Campaign),
};

const AD_SETS: Edge = Edge {
    name: "adsets",
    endpoint: "GET act_{id}/adsets",
    fields: "id,name,campaign_id,status,effective_status,daily_budget,lifetime_budget,bid_amount,\
        billing_event,optimization_goal,targeting,promoted_object,attribution_spec,start_time,\
        end_time,created_time,updated_time",
    limit: 50,
    level: Some(Level::AdSet),
};

const ADS: Edge = Edge {
    name: "ads",
    endpoint: "GET act_{id}/ads",
    fields: "id,name,adset_id,campaign_id,status,effective_status,creative{id,name,thumbnail_url},\
        created_time,updated_time",
    limit: 50,
    level: Some(Level::Ad),
};

const CREATIVES: Edge = Edge {
    name: "adcreatives",
    endpoint: "GET act_{id}/adcreatives",
    fields: "id,name,status,title,body,object_type,thumbnail_url",
    limit: 50,
    level: None,
};

const AUDIENCES: Edge = Edge {
    name: "customaudiences",
    endpoint: "GET act_{id}/customaudiences",
    fields: "id,name,subtype,description,approximate_count_lower_bound,\
        approximate_count_upper_bound,delivery_status,operation_status,time_created,time_updated",
    limit: 100,
    level: None,
};

const PIXELS: Edge = Edge {
    name: "adspixels",
    endpoint: "GET act_{id}/adspixels",
    fields: "id,name,is_unavailable,creation_time,last_fired_time",
    limit: 100,
    level: None,
};

impl Meta {
    /// A page of the ad accounts that a token reaches.
    pub(super) async fn list_accounts(
        &self,
        caller: Caller<'_>,
        after: Option<&Cursor>,
    ) -> Result<Page<AdAccount>, Error> {
        let call = GraphCall::get("GET me/adaccounts", &["me", "adaccounts"])
            .with("fields", ACCOUNT_FIELDS);
        let call = paging::at(call, None, ACCOUNTS_LIMIT, after);
        let body = self.graph(caller, call).await?;
        paging::read(&body, account)
    }

    /// One ad account.
    pub(super) async fn one_account(
        &self,
        caller: Caller<'_>,
        account_id: &str,
    ) -> Result<AdAccount, Error> {
        let call = GraphCall::get("GET act_{id}", &[&account_node(account_id)])
            .with("fields", ACCOUNT_FIELDS);
        let body = self.graph(caller, call).await?;
        account(&body).ok_or_else(|| unreadable("the answer is no ad account"))
    }

    /// A page of what an account holds.
    pub(super) async fn list_entities(
        &self,
        caller: Caller<'_>,
        query: &EntityQuery,
        after: Option<&Cursor>,
    ) -> Result<Page<Entity>, Error> {
        let edge = match query.kind {
            EntityType::Campaign => &CAMPAIGNS,
            EntityType::AdSet => &AD_SETS,
            EntityType::Ad => &ADS,
            EntityType::Creative => &CREATIVES,
            EntityType::Audience => &AUDIENCES,
            EntityType::Pixel => &PIXELS,
            EntityType::Page => return self.list_pages(caller, query, after).await,
            EntityType::InstagramAccount => {
                return self.list_instagram_accounts(caller, query, after).await;
            }
            EntityType::LeadForm => return self.list_lead_forms(caller, query, after).await,
        };
        let node = account_node(&query.account_id);
        let mut call =
            GraphCall::get(edge.endpoint, &[&node, edge.name]).with("fields", edge.fields);
        if let Some(level) = edge.level {
            call = call.with("filtering", conditions(level, query.changed_since, &[]));
        }
        let call = paging::at(call, query.page_size, edge.limit, after);
        let body = self.graph(caller, call).await?;
        paging::read(&body, |raw| entity(query, raw))
    }

    /// What campaigns, ad sets or ads are now, by their ids; those that Meta does not show are left out.
    pub(super) async fn list_present(
        &self,
        caller: Caller<'_>,
        query: &EntityQuery,
        ids: &[String],
    ) -> Result<Vec<Entity>, Error> {
        let edge = match query.kind {
            EntityType::Campaign => &CAMPAIGNS,
            EntityType::AdSet => &AD_SETS,
            EntityType::Ad => &ADS,
            _ => {
                return Err(refused(
                    "only campaigns, ad sets and ads are told one by one",
                ));
            }
        };
        let operations: Vec<Operation> = ids
            .iter()
            .filter(|id| is_part(id))
            .map(|id| Operation::get(id.clone()).with("fields", edge.fields))
            .collect();
        let mut found = Vec::with_capacity(operations.len());
        for operated in self.graph_batch(caller, &operations).await? {
            match operated {
                Operated::Done(raw) => found.extend(entity(query, &raw)),
                Operated::Failed(Error::Rejected { .. } | Error::Permission { .. }) => {}
                Operated::Failed(error) => return Err(error),
                Operated::Unfinished => return Err(unreadable("meta did not finish in time")),
            }
        }
        Ok(found)
    }
}

/// An account's id as addresses have it. Ids have no prefix anywhere else. No id stays none, which no address takes.
pub(super) fn account_node(account_id: &str) -> String {
    match bare(account_id) {
        "" => String::new(),
        id => format!("act_{id}"),
    }
}

fn bare(account_id: &str) -> &str {
    account_id.strip_prefix("act_").unwrap_or(account_id)
}

/// Meta's words for a level, and every state that something of it may have become.
pub(super) fn words(level: Level) -> (&'static str, &'static [&'static str]) {
    match level {
        Level::Account => ("account", &[]),
        Level::Campaign => ("campaign", CAMPAIGN_STATES),
        Level::AdSet => ("adset", AD_SET_STATES),
        Level::Ad => ("ad", AD_STATES),
    }
}

/// Conditions on what is listed: every state, only what changed since, only these ids where there are any.
pub(super) fn conditions(level: Level, since: Option<DateTime<Utc>>, ids: &[String]) -> String {
    let (prefix, states) = words(level);
    let mut conditions = vec![json!({
        "field": format!("{prefix}.effective_status"),
        "operator": "IN",
        "value": states,
    })];
    conditions.extend(since.map(|since| {
        json!({
            "field": format!("{prefix}.updated_time"),
            "operator": "GREATER_THAN",
            "value": since.timestamp(),
        })
    }));
    if !ids.is_empty() {
        conditions.push(json!({
            "field": format!("{prefix}.id"),
            "operator": "IN",
            "value": ids,
        }));
    }
    Value::Array(conditions).to_string()
}

fn account(raw: &Value) -> Option<AdAccount> {
    let id = ["account_id", "id"]
        .into_iter()
        .find_map(|name| raw.get(name).and_then(members::id))?;
    let (platform_status, status) = status::of_account(raw);
    Some(AdAccount {
        id: bare(&id).to_owned(),
        name: members::text(raw, "name").unwrap_or_default().to_owned(),
        status,
        platform_status,
        currency: members::text(raw, "currency").map(str::to_uppercase),
        time_zone: members::text(raw, "timezone_name").map(str::to_owned),
        manager: None,
        raw: raw.clone(),
    })
}

/// Something that was listed; `None` where it has no id.
pub(super) fn entity(query: &EntityQuery, raw: &Value) -> Option<Entity> {
    let id_in = |name: &str| raw.get(name).and_then(members::id);
    let time_in = |names: &[&str]| {
        let mut times = names.iter().filter_map(|name| raw.get(name));
        times.find_map(time::read)
    };
    let budget_in = |name: &str| budget(raw.get(name), query.currency.as_deref());
    let campaign_id = id_in("campaign_id");
    let (platform_status, status) = status::of_entity(query.kind, raw);
    Some(Entity {
        kind: query.kind,
        id: id_in("id")?,
        parent_id: id_in("adset_id").or_else(|| campaign_id.clone()),
        campaign_id,
        name: members::text(raw, "name").unwrap_or_default().to_owned(),
        status,
        platform_status,
        daily_budget: budget_in("daily_budget"),
        lifetime_budget: budget_in("lifetime_budget"),
        created_at: time_in(&["created_time", "time_created", "creation_time"]),
        updated_at: time_in(&["updated_time", "time_updated"]),
        raw: raw.clone(),
    })
}
