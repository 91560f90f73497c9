//! Fields of customers and of what they hold.

use chrono::{DateTime, Utc};

use super::{Cell, Field, FieldType, Scene, words};
use crate::{
    google::{
        changes::{ChangeRow, of_last_change},
        customer::Customer,
        scene::{Campaign, Client},
    },
    world::{Effective, Entity, Status},
};

use FieldType::{Flag, Int, Name, Text, Time, Word};

/// Budgets of campaigns have their campaign's number and this before it.
const BUDGET_PREFIX: &str = "7";

pub(super) const CUSTOMER: &[Field] = &[
    Field::new("customer.resource_name", Name, |s| resource(s, "", "")),
    Field::new("customer.id", Int, |s| number(&s.customer.id)),
    Field::new("customer.descriptive_name", Text, |s| {
        text(&s.customer.name)
    }),
    Field::new("customer.currency_code", Text, |s| {
        text(s.customer.currency)
    }),
    Field::new("customer.time_zone", Text, |s| text(s.customer.zone.name())),
    Field::new("customer.manager", Flag, |s| {
        Cell::Flag(s.customer.is_manager())
    }),
    Field::new("customer.test_account", Flag, |_| Cell::Flag(false)),
    Field::new("customer.status", Word(words::CUSTOMER_STATUS), |s| {
        text(s.customer.status)
    }),
];

pub(super) const CUSTOMER_CLIENT: &[Field] = &[
    Field::new("customer_client.resource_name", Name, |s| {
        client(s, |client| {
            resource(s, "customerClients", &client.customer.id)
        })
    }),
    Field::new("customer_client.client_customer", Name, |s| {
        client(s, |client| {
            Cell::Text(format!("customers/{}", client.customer.id))
        })
    }),
    Field::new("customer_client.id", Int, |s| {
        client(s, |client| number(&client.customer.id))
    }),
    Field::new("customer_client.descriptive_name", Text, |s| {
        client(s, |client| text(&client.customer.name))
    }),
    Field::new("customer_client.level", Int, |s| {
        client(s, |client| Cell::Int(client.level))
    }),
    Field::new("customer_client.manager", Flag, |s| {
        client(s, |client| Cell::Flag(client.customer.is_manager()))
    }),
    Field::new("customer_client.currency_code", Text, |s| {
        client(s, |client| text(client.customer.currency))
    }),
    Field::new("customer_client.time_zone", Text, |s| {
        client(s, |client| text(client.customer.zone.name()))
    }),
    Field::new(
        "customer_client.status",
        Word(words::CUSTOMER_STATUS),
        |s| client(s, |client| text(client.customer.status)),
    ),
    Field::new("customer_client.hidden", Flag, |_| Cell::Flag(false)),
    Field::new("customer_client.test_account", Flag, |_| Cell::Flag(false)),
];

pub(super) const CAMPAIGN: &[Field] = &[
    Field::new("campaign.resource_name", Name, |s| {
        campaign(s, |one| resource(s, "campaigns", &one.entity.id))
    }),
    Field::new("campaign.id", Int, |s| {
        campaign(s, |one| number(&one.entity.id))
    }),
    Field::new("campaign.name", Text, |s| {
        campaign(s, |one| text(&one.entity.name))
    }),
    Field::new("campaign.status", Word(words::STATUS), |s| {
        campaign(s, |one| status(&one.entity))
    }),
    Field::new(
        "campaign.serving_status",
        Word(words::SERVING_STATUS),
        |s| campaign(s, |one| text(serving_status(one.entity.effective))),
    ),
    Field::new(
        "campaign.primary_status",
        Word(words::PRIMARY_STATUS),
        |s| campaign(s, |one| text(primary_status(one.entity.effective))),
    ),
    Field::new(
        "campaign.advertising_channel_type",
        Word(words::CHANNEL),
        |s| campaign(s, |one| text(one.channel.as_str())),
    ),
    Field::new(
        "campaign.bidding_strategy_type",
        Word(words::BIDDING),
        |s| campaign(s, |one| text(one.bidding())),
    ),
    Field::new("campaign.start_date_time", Time, |s| {
        campaign(s, |one| time(&s.customer, Some(one.entity.starts_at)))
    }),
    Field::new("campaign.end_date_time", Time, |s| {
        campaign(s, |one| time(&s.customer, one.entity.ends_at))
    }),
    Field::new("campaign.campaign_budget", Name, budget_name),
];

pub(super) const CAMPAIGN_BUDGET: &[Field] = &[
    Field::new("campaign_budget.resource_name", Name, budget_name),
    Field::new("campaign_budget.id", Int, |s| {
        campaign(s, |one| number(&budget_id(one)))
    }),
    Field::new("campaign_budget.name", Text, |s| {
        campaign(s, |one| text(&one.entity.name))
    }),
    Field::new("campaign_budget.amount_micros", Int, |s| {
        campaign(s, |one| one.daily_micros.map_or(Cell::Nothing, Cell::Int))
    }),
    Field::new("campaign_budget.total_amount_micros", Int, |s| {
        campaign(s, |one| one.total_micros.map_or(Cell::Nothing, Cell::Int))
    }),
    Field::new("campaign_budget.period", Word(words::BUDGET_PERIOD), |s| {
        campaign(s, |one| match one.total_micros {
            Some(_) => text("CUSTOM_PERIOD"),
            None => text("DAILY"),
        })
    }),
    Field::new("campaign_budget.status", Word(words::BUDGET_STATUS), |s| {
        campaign(s, |one| match one.entity.status {
            Status::Deleted => text("REMOVED"),
            _ => text("ENABLED"),
        })
    }),
    Field::new("campaign_budget.explicitly_shared", Flag, |_| {
        Cell::Flag(false)
    }),
];

pub(super) const AD_GROUP: &[Field] = &[
    Field::new("ad_group.resource_name", Name, |s| {
        ad_group(s, |one| resource(s, "adGroups", &one.id))
    }),
    Field::new("ad_group.id", Int, |s| ad_group(s, |one| number(&one.id))),
    Field::new("ad_group.name", Text, |s| {
        ad_group(s, |one| text(&one.name))
    }),
    Field::new("ad_group.status", Word(words::STATUS), |s| {
        ad_group(s, status)
    }),
    Field::new("ad_group.type", Word(words::AD_GROUP_TYPE), |s| {
        campaign(s, |one| text(one.channel.ad_group_type()))
    }),
    Field::new("ad_group.campaign", Name, campaign_name),
];

pub(super) const AD_GROUP_AD: &[Field] = &[
    Field::new("ad_group_ad.resource_name", Name, |s| {
        ad(s, |one| {
            ad_group(s, |group| {
                resource(s, "adGroupAds", &format!("{}~{}", group.id, one.id))
            })
        })
    }),
    Field::new("ad_group_ad.ad_group", Name, |s| {
        ad_group(s, |one| resource(s, "adGroups", &one.id))
    }),
    Field::new("ad_group_ad.status", Word(words::STATUS), |s| ad(s, status)),
    Field::new(
        "ad_group_ad.policy_summary.approval_status",
        Word(words::APPROVAL),
        |s| {
            ad(s, |one| match one.status {
                Status::Disapproved => text("DISAPPROVED"),
                Status::InReview => Cell::Nothing,
                _ => text("APPROVED"),
            })
        },
    ),
    Field::new(
        "ad_group_ad.policy_summary.review_status",
        Word(words::REVIEW),
        |s| {
            ad(s, |one| match one.status {
                Status::InReview => text("REVIEW_IN_PROGRESS"),
                _ => text("REVIEWED"),
            })
        },
    ),
    Field::new("ad_group_ad.ad.resource_name", Name, |s| {
        ad(s, |one| resource(s, "ads", &one.id))
    }),
    Field::new("ad_group_ad.ad.id", Int, |s| ad(s, |one| number(&one.id))),
    Field::new("ad_group_ad.ad.name", Text, |s| {
        ad(s, |one| text(&one.name))
    }),
    Field::new("ad_group_ad.ad.type", Word(words::AD_TYPE), |s| {
        campaign(s, |one| text(one.channel.ad_type()))
    }),
];

pub(super) const ASSET_GROUP: &[Field] = &[
    Field::new("asset_group.resource_name", Name, |s| {
        ad_group(s, |one| resource(s, "assetGroups", &one.id))
    }),
    Field::new("asset_group.id", Int, |s| {
        ad_group(s, |one| number(&one.id))
    }),
    Field::new("asset_group.name", Text, |s| {
        ad_group(s, |one| text(&one.name))
    }),
    Field::new("asset_group.status", Word(words::STATUS), |s| {
        ad_group(s, status)
    }),
    Field::new("asset_group.campaign", Name, campaign_name),
];

pub(super) const USER_LIST: &[Field] = &[
    Field::new("user_list.resource_name", Name, |s| {
        other(s, |one| resource(s, "userLists", &one.id))
    }),
    Field::new("user_list.id", Int, |s| other(s, |one| number(&one.id))),
    Field::new("user_list.name", Text, |s| other(s, |one| text(&one.name))),
    Field::new(
        "user_list.membership_status",
        Word(words::MEMBERSHIP),
        |s| {
            other(s, |one| match one.status {
                Status::Active => text("OPEN"),
                _ => text("CLOSED"),
            })
        },
    ),
    Field::new("user_list.type", Word(words::USER_LIST_TYPE), |_| {
        text("REMARKETING")
    }),
    Field::new("user_list.membership_life_span", Int, |_| Cell::Int(540)),
];

pub(super) const CONVERSION_ACTION: &[Field] = &[
    Field::new("conversion_action.resource_name", Name, |s| {
        other(s, |one| resource(s, "conversionActions", &one.id))
    }),
    Field::new("conversion_action.id", Int, |s| {
        other(s, |one| number(&one.id))
    }),
    Field::new("conversion_action.name", Text, |s| {
        other(s, |one| text(&one.name))
    }),
    Field::new(
        "conversion_action.status",
        Word(words::ACTION_STATUS),
        |s| {
            other(s, |one| match one.status {
                Status::Deleted => text("REMOVED"),
                Status::Active => text("ENABLED"),
                _ => text("HIDDEN"),
            })
        },
    ),
    Field::new("conversion_action.type", Word(words::ACTION_TYPE), |_| {
        text("WEBPAGE")
    }),
    Field::new(
        "conversion_action.category",
        Word(words::ACTION_CATEGORY),
        |_| text("DEFAULT"),
    ),
];

pub(super) const CHANGE_STATUS: &[Field] = &[
    Field::new("change_status.resource_name", Name, |s| {
        change(s, |one| resource(s, "changeStatus", &one.id))
    }),
    Field::new(
        "change_status.resource_type",
        Word(words::CHANGED_TYPE),
        |s| change(s, |one| text(one.resource_type())),
    ),
    Field::new(
        "change_status.resource_status",
        Word(words::CHANGED_STATUS),
        |s| change(s, |one| text(one.resource_status)),
    ),
    Field::new(super::CHANGED_AT, Time, |s| {
        change(s, |one| Cell::Text(of_last_change(&s.customer, one.at)))
    }),
    Field::new("change_status.campaign", Name, |s| {
        change(s, |one| named(s, "campaigns", one.campaign.as_deref()))
    }),
    Field::new("change_status.ad_group", Name, |s| {
        change(s, |one| named(s, "adGroups", one.ad_group.as_deref()))
    }),
    Field::new("change_status.ad_group_ad", Name, |s| {
        change(s, |one| named(s, "adGroupAds", one.ad.as_deref()))
    }),
];

fn client(scene: &Scene, read: impl FnOnce(&Client) -> Cell) -> Cell {
    scene.lineage.client.as_ref().map_or(Cell::Nothing, read)
}

fn campaign(scene: &Scene, read: impl FnOnce(&Campaign) -> Cell) -> Cell {
    scene.lineage.campaign.as_ref().map_or(Cell::Nothing, read)
}

fn ad_group(scene: &Scene, read: impl FnOnce(&Entity) -> Cell) -> Cell {
    scene.lineage.ad_group.as_ref().map_or(Cell::Nothing, read)
}

fn ad(scene: &Scene, read: impl FnOnce(&Entity) -> Cell) -> Cell {
    scene.lineage.ad.as_ref().map_or(Cell::Nothing, read)
}

fn other(scene: &Scene, read: impl FnOnce(&Entity) -> Cell) -> Cell {
    scene.lineage.other.as_ref().map_or(Cell::Nothing, read)
}

fn change(scene: &Scene, read: impl FnOnce(&ChangeRow) -> Cell) -> Cell {
    scene.lineage.change.as_ref().map_or(Cell::Nothing, read)
}

/// The name of one of the customer's resources; with no collection that of the customer itself.
fn resource(scene: &Scene, collection: &str, id: &str) -> Cell {
    let customer = &scene.customer.id;
    Cell::Text(match collection {
        "" => format!("customers/{customer}"),
        _ => format!("customers/{customer}/{collection}/{id}"),
    })
}

/// The same for what may have no id.
fn named(scene: &Scene, collection: &str, id: Option<&str>) -> Cell {
    id.map_or(Cell::Nothing, |id| resource(scene, collection, id))
}

fn campaign_name(scene: &Scene) -> Cell {
    campaign(scene, |one| resource(scene, "campaigns", &one.entity.id))
}

fn budget_name(scene: &Scene) -> Cell {
    campaign(scene, |one| {
        resource(scene, "campaignBudgets", &budget_id(one))
    })
}

fn budget_id(campaign: &Campaign) -> String {
    format!("{BUDGET_PREFIX}{}", campaign.entity.id)
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

fn number(id: &str) -> Cell {
    id.parse::<i64>().map_or(Cell::Nothing, Cell::Int)
}

fn time(customer: &Customer, at: Option<DateTime<Utc>>) -> Cell {
    at.map_or(Cell::Nothing, |at| {
        let local = at.with_timezone(&customer.zone);
        Cell::Text(local.format("%Y-%m-%d %H:%M:%S").to_string())
    })
}

/// What somebody set it to; Google knows nothing that is put away and not removed.
fn status(entity: &Entity) -> Cell {
    text(match entity.status {
        Status::Active | Status::Disapproved | Status::InReview | Status::WithIssues => "ENABLED",
        Status::Paused | Status::Archived => "PAUSED",
        Status::Deleted => "REMOVED",
    })
}

fn serving_status(effective: Effective) -> &'static str {
    match effective {
        Effective::Active => "SERVING",
        Effective::Ended => "ENDED",
        Effective::WithIssues => "SUSPENDED",
        _ => "NONE",
    }
}

fn primary_status(effective: Effective) -> &'static str {
    match effective {
        Effective::Active => "ELIGIBLE",
        Effective::Ended => "ENDED",
        Effective::WithIssues => "LIMITED",
        Effective::Deleted => "REMOVED",
        _ => "PAUSED",
    }
}
