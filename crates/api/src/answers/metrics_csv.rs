//! Figures as rows of a table.

use marketing::performance::{Item, Metrics, NormalForm};
use queue::config::METRIC_COLUMNS;
use rust_decimal::Decimal;

use crate::csv::line;

/// The items as comma-separated values, behind a header.
pub(crate) fn metrics_csv(form: &NormalForm, items: &[Item]) -> String {
    let columns = METRIC_COLUMNS.into_iter().chain(form.kpis());
    let mut csv = line(columns);
    for item in items {
        let metrics = form.of(&item.sums);
        csv.push_str(&line(cells(item, &metrics).iter().map(String::as_str)));
    }
    csv
}

fn cells(item: &Item, metrics: &Metrics) -> Vec<String> {
    let name = |name: &Option<String>| name.clone().unwrap_or_default();
    let number = |number: Option<Decimal>| number.map(|it| it.to_string()).unwrap_or_default();
    let count = |count: Option<i64>| count.map(|it| it.to_string()).unwrap_or_default();
    let account = item.group.account.map(|it| it.to_string());
    let mut cells = vec![
        item.start.to_string(),
        name(&item.group.tenant),
        name(&item.group.platform),
        account.unwrap_or_default(),
        name(&item.account_name),
        name(&item.group.entity_id),
        name(&item.entity_name),
        name(&metrics.currency),
    ];
    cells.extend(
        [
            Some(metrics.impressions),
            metrics.reach,
            Some(metrics.clicks),
            Some(metrics.link_clicks),
            Some(metrics.views),
            Some(metrics.likes),
            Some(metrics.comments),
            Some(metrics.shares),
        ]
        .map(count),
    );
    cells.extend(
        [
            Some(metrics.conversions),
            Some(metrics.leads),
            metrics.spend,
            metrics.revenue,
            metrics.reporting_spend,
            metrics.reporting_revenue,
            metrics.ctr_pct,
            metrics.cpc,
            metrics.cpm,
            metrics.roas,
            metrics.conversion_rate_pct,
            metrics.cost_per_conversion,
            metrics.engagement_rate_pct,
        ]
        .map(number),
    );
    cells.extend(metrics.kpis.values().copied().map(number));
    cells
}
