//! A query that has been understood: its fields exist and go together, its conditions are read, its days are known.

use chrono::{DateTime, Months, NaiveDate, Utc};

use super::{
    changes,
    customer::Customer,
    error::AdsError,
    fields::{CHANGED_AT, DATE, Field, Shown},
    filter::{self, Filter},
    gaql::{Order, Query},
    resource::Resource,
};
use crate::world::{Grain, day_of};

/// How long days and hours are told apart, in months.
const MONTHS_OF_DAYS: u32 = 37;
/// The parameter that leaves out the names of resources that were not asked for.
const WITHOUT_NAMES: &str = "omit_unselected_resource_names";
/// What is told of ads when they are told apart by conversions: these cannot be.
const NOT_BY_CONVERSION: [&str; 10] = [
    "metrics.impressions",
    "metrics.clicks",
    "metrics.interactions",
    "metrics.cost_micros",
    "metrics.video_trueview_views",
    "metrics.engagements",
    "metrics.ctr",
    "metrics.average_cpc",
    "metrics.average_cost",
    "metrics.average_cpm",
];

/// What a query wants.
pub(super) struct Plan {
    pub(super) resource: Resource,
    /// What a row shows: what was asked for, and the names of the resources that it is of.
    pub(super) shown: Shown,
    /// What was asked for.
    pub(super) mask: String,
    /// Conditions on things.
    pub(super) things: Vec<Filter>,
    /// Conditions on figures, and on what they are told apart by.
    pub(super) figures: Vec<Filter>,
    /// By what rows are sorted, and whether downwards.
    pub(super) order: Vec<(&'static Field, bool)>,
    pub(super) limit: Option<usize>,
    /// `None` where no figures are asked for.
    pub(super) span: Option<Span>,
}

/// The time that figures are of.
pub(super) struct Span {
    pub(super) from: NaiveDate,
    pub(super) to: NaiveDate,
    /// `None`: a row for everything, also for what did nothing. Else only where something happened.
    pub(super) grain: Option<Grain>,
    /// Only conversions, which is where something happened then.
    pub(super) is_by_conversion: bool,
}

impl Plan {
    /// # Errors
    /// `queryError` and its relatives, as Google Ads says what is wrong.
    pub(super) fn new(
        query: &Query,
        customer: &Customer,
        now: DateTime<Utc>,
    ) -> Result<Self, AdsError> {
        let resource = Resource::named(&query.resource).ok_or_else(|| {
            let message = format!("Error in FROM clause: '{}' is not valid.", query.resource);
            AdsError::query("BAD_RESOURCE_TYPE_IN_FROM_CLAUSE", message)
        })?;
        let fields = query
            .fields
            .iter()
            .map(|name| known(resource, name, Clause::Select))
            .collect::<Result<Vec<_>, _>>()?;
        let today = day_of(customer.zone, now);
        let conditions = Conditions::read(query, resource, today)?;
        let order = query
            .order
            .iter()
            .map(|order| sorted_by(resource, query, order))
            .collect::<Result<Vec<_>, _>>()?;
        if resource == Resource::ChangeStatus {
            let between = filter::ends(&conditions.changed_at);
            changes::check(between, query.limit, customer, now)?;
        }
        let span = conditions.span(&fields, customer, today)?;
        let Conditions {
            mut things,
            changed_at,
            figures,
            ..
        } = conditions;
        things.extend(changed_at);
        Ok(Self {
            resource,
            mask: Shown::new(fields.iter().copied()).mask(),
            shown: Shown::new(with_names(query, resource, fields)),
            things,
            figures,
            order,
            limit: query.limit,
            span,
        })
    }
}

/// A query's conditions, by what they are on.
struct Conditions {
    days: Vec<Filter>,
    changed_at: Vec<Filter>,
    things: Vec<Filter>,
    figures: Vec<Filter>,
}

impl Conditions {
    fn read(query: &Query, resource: Resource, today: NaiveDate) -> Result<Self, AdsError> {
        let mut conditions = Self {
            days: Vec::new(),
            changed_at: Vec::new(),
            things: Vec::new(),
            figures: Vec::new(),
        };
        for condition in &query.conditions {
            let field = known(resource, &condition.field, Clause::Where)?;
            let filter = Filter::new(field, condition, today)?;
            if field.name == DATE {
                conditions.days.push(filter);
            } else if field.name == CHANGED_AT {
                conditions.changed_at.push(filter);
            } else if field.is_segment() && !query.fields.contains(&condition.field) {
                return Err(not_selected(field.name));
            } else if field.is_segment() || field.is_metric() {
                conditions.figures.push(filter);
            } else {
                conditions.things.push(filter);
            }
        }
        Ok(conditions)
    }

    /// The time that figures are asked for, if any are.
    fn span(
        &self,
        fields: &[&'static Field],
        customer: &Customer,
        today: NaiveDate,
    ) -> Result<Option<Span>, AdsError> {
        let filtered = self.figures.iter().map(|filter| filter.field);
        let told: Vec<_> = fields.iter().copied().chain(filtered).collect();
        if customer.is_manager() && told.iter().any(|field| field.is_metric()) {
            return Err(AdsError::query(
                "REQUESTED_METRICS_FOR_MANAGER",
                "Metrics cannot be requested for a manager account. To retrieve metrics, issue separate requests against \
                 each client account under the manager account.",
            ));
        }
        if !told
            .iter()
            .any(|field| field.is_metric() || field.is_segment())
        {
            return Ok(None);
        }
        let is_by_conversion = is_by_conversion(&told)?;
        let grain = grain(fields, is_by_conversion)?;
        let asked = filter::days(&self.days);
        check_days(asked, grain, today)?;
        let first = day_of(customer.zone, customer.created_at);
        let (from, to) = asked;
        Ok(Some(Span {
            from: from.map_or(first, |from| from.max(first)),
            to: to.map_or(today, |to| to.min(today)),
            grain,
            is_by_conversion,
        }))
    }
}

#[derive(Clone, Copy)]
enum Clause {
    Select,
    Where,
}

/// The field of that name, if it goes with the resource.
fn known(resource: Resource, name: &str, clause: Clause) -> Result<&'static Field, AdsError> {
    let field = Field::named(name).ok_or_else(|| {
        let message = format!("Unrecognized field in the query: '{name}'.");
        AdsError::query("UNRECOGNIZED_FIELD", message)
    })?;
    let of_figures = field.is_metric() || field.is_segment();
    let goes_with = if of_figures {
        resource.has_figures()
    } else {
        resource.roots().contains(&field.root())
    };
    if goes_with {
        return Ok(field);
    }
    let problem = match clause {
        _ if field.is_metric() => "PROHIBITED_METRIC_IN_SELECT_OR_WHERE_CLAUSE",
        _ if field.is_segment() => "PROHIBITED_SEGMENT_IN_SELECT_OR_WHERE_CLAUSE",
        Clause::Select => "PROHIBITED_RESOURCE_TYPE_IN_SELECT_CLAUSE",
        Clause::Where => "PROHIBITED_RESOURCE_TYPE_IN_WHERE_CLAUSE",
    };
    let resource = resource.name();
    let message = format!("Cannot use the field '{name}' with the resource '{resource}'.");
    Err(AdsError::query(problem, message))
}

/// What rows are sorted by, and whether downwards. Figures have to be shown for that.
fn sorted_by(
    resource: Resource,
    query: &Query,
    order: &Order,
) -> Result<(&'static Field, bool), AdsError> {
    let field = known(resource, &order.field, Clause::Select)?;
    let is_of_figures = field.is_metric() || field.is_segment();
    if is_of_figures && !query.fields.contains(&order.field) {
        return Err(not_selected(field.name));
    }
    Ok((field, order.is_descending))
}

fn not_selected(name: &str) -> AdsError {
    let message = format!("The field '{name}' must be present in the select clause.");
    AdsError::query("EXPECTED_REFERENCED_FIELD_IN_SELECT_CLAUSE", message)
}

fn is_by_conversion(told: &[&'static Field]) -> Result<bool, AdsError> {
    let is_asked_for = told
        .iter()
        .any(|field| field.name == "segments.conversion_action");
    let other = told
        .iter()
        .find(|field| NOT_BY_CONVERSION.contains(&field.name));
    match other {
        Some(other) if is_asked_for => {
            let message = format!(
                "Cannot select or filter on the segment 'segments.conversion_action' with the metric '{}'.",
                other.name,
            );
            let name = "PROHIBITED_SEGMENT_WITH_METRIC_IN_SELECT_OR_WHERE_CLAUSE";
            Err(AdsError::query(name, message))
        }
        _ => Ok(is_asked_for),
    }
}

/// What time the rows are of.
fn grain(fields: &[&'static Field], is_by_conversion: bool) -> Result<Option<Grain>, AdsError> {
    let asks = |name: &str| fields.iter().find(|field| field.name == name);
    match (asks("segments.hour"), asks(DATE), asks("segments.month")) {
        (Some(_), Some(_), _) => Ok(Some(Grain::Hour)),
        // Hours of many days added up are not told here.
        (Some(_), None, _) => Err(not_selected(DATE)),
        (None, Some(_), _) => Ok(Some(Grain::Day)),
        (None, None, Some(_)) => Ok(Some(Grain::Month)),
        (None, None, None) => Ok(is_by_conversion.then_some(Grain::Whole)),
    }
}

fn check_days(
    asked: (Option<NaiveDate>, Option<NaiveDate>),
    grain: Option<Grain>,
    today: NaiveDate,
) -> Result<(), AdsError> {
    if let (Some(from), Some(to)) = asked
        && from > to
    {
        let message = "The start date is after the end date.";
        return Err(AdsError::date_range("START_DATE_AFTER_END_DATE", message));
    }
    if !matches!(grain, Some(Grain::Hour | Grain::Day | Grain::Month)) {
        return Ok(());
    }
    let (Some(from), Some(_)) = asked else {
        let message = "A finite date range is required when a segment of a date is selected.";
        return Err(AdsError::query("EXPECTED_FILTERS_ON_DATE_RANGE", message));
    };
    let earliest = today.checked_sub_months(Months::new(MONTHS_OF_DAYS));
    if grain != Some(Grain::Month) && earliest.is_some_and(|earliest| from < earliest) {
        return Err(AdsError::date_range(
            "REQUESTED_DATE_GRANULARITY_NOT_SUPPORTED",
            "The requested granularity is not available that far back: 37 months of days and hours are.",
        ));
    }
    Ok(())
}

/// The fields, and the names of the resources that they are of.
fn with_names(
    query: &Query,
    resource: Resource,
    mut fields: Vec<&'static Field>,
) -> Vec<&'static Field> {
    let is_unwanted = query
        .parameters
        .iter()
        .any(|(name, value)| name == WITHOUT_NAMES && value.eq_ignore_ascii_case("true"));
    if is_unwanted {
        return fields;
    }
    let mut names = vec![format!("{}.resource_name", resource.name())];
    for field in &fields {
        names.push(format!("{}.resource_name", field.root()));
        if field.name.starts_with("ad_group_ad.ad.") {
            names.push("ad_group_ad.ad.resource_name".to_owned());
        }
    }
    fields.extend(names.iter().filter_map(|name| Field::named(name)));
    fields
}
