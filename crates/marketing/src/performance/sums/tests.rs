//! Sums and what is made of them.

use uuid::Uuid;

use super::*;

fn decimal(text: &str) -> Decimal {
    text.parse().expect("a number")
}

fn row(currency: &str, spend: &str, clicks: i64) -> SumRow {
    SumRow {
        bucket: "2026-11-01".parse().expect("a day"),
        hour: None,
        tenant: None,
        platform: None,
        account: Some(Uuid::nil()),
        entity_id: None,
        currency: currency.to_owned(),
        rows: 1,
        impressions: 1_000,
        clicks,
        link_clicks: 0,
        views: 0,
        likes: 3,
        comments: 1,
        shares: 1,
        spend: decimal(spend),
        conversions: Decimal::ZERO,
        revenue: decimal("30"),
        leads: decimal("4"),
        reach: Some(700),
        reporting_spend: None,
        reporting_revenue: None,
    }
}

fn sum(rows: &[SumRow]) -> Sums {
    let mut sums = Sums::default();
    for row in rows {
        sums.add(&row.into());
    }
    sums
}

fn form(reporting: Option<&str>) -> NormalForm {
    let kpis = [
        ("cost_per_lead", "spend / nullif(leads, 0)"),
        (
            "cost_per_conversion_of_ours",
            "spend / nullif(conversions, 0)",
        ),
    ];
    let kpis = kpis.map(|(name, text)| (name.to_owned(), text.to_owned()));
    NormalForm::new(&BTreeMap::from(kpis), reporting.map(str::to_owned))
}

// Fails when a ratio is the mean of ratios: that would be 5.5.
#[test]
fn ratios_come_from_sums() {
    let metrics = form(None).of(&sum(&[row("EUR", "10", 10), row("EUR", "10", 100)]));

    assert_eq!(metrics.ctr_pct, Some(decimal("5.5")));
    assert_eq!(metrics.cpc, Some(decimal("0.181818")));
    assert_eq!(metrics.cpm, Some(decimal("10")));
    assert_eq!(metrics.roas, Some(decimal("3")));
    assert_eq!(metrics.engagement_rate_pct, Some(decimal("0.5")));
    assert_eq!(metrics.kpis["cost_per_lead"], Some(decimal("2.5")));
    assert_eq!(metrics.currency.as_deref(), Some("EUR"));
}

// The same half as in the tests of what rules and alerts watch.
#[test]
fn a_half_is_rounded_away_from_zero() {
    let metrics = form(None).of(&sum(&[row("EUR", "5", 2_000_000)]));

    assert_eq!(metrics.cpc, Some(decimal("0.000003")));
}

#[test]
fn where_the_divisor_is_zero_there_is_no_ratio() {
    let metrics = form(None).of(&sum(&[row("EUR", "10", 0)]));

    assert_eq!(metrics.cpc, None);
    assert_eq!(metrics.cost_per_conversion, None);
    assert_eq!(metrics.conversion_rate_pct, None);
    assert_eq!(metrics.kpis["cost_per_conversion_of_ours"], None);
    assert_eq!(metrics.ctr_pct, Some(Decimal::ZERO));
}

#[test]
fn reach_is_told_of_one_row_and_of_no_more() {
    assert_eq!(form(None).of(&sum(&[row("EUR", "1", 1)])).reach, Some(700));

    let two = sum(&[row("EUR", "1", 1), row("EUR", "1", 1)]);

    assert_eq!(form(None).of(&two).reach, None);
}

// Fails when euros and dollars are added up as if they were one.
#[test]
fn money_of_several_currencies_is_told_in_the_reporting_currency_or_not_at_all() {
    let unknown = sum(&[row("EUR", "10", 1), row("USD", "20", 1)]);
    let rated = |currency: &str, spend: &str, reporting: &str| SumRow {
        reporting_spend: Some(decimal(reporting)),
        reporting_revenue: Some(decimal("1")),
        ..row(currency, spend, 1)
    };
    let known = sum(&[rated("EUR", "10", "11"), rated("USD", "20", "20")]);

    let untold = form(None).of(&unknown);
    let told = form(Some("USD")).of(&known);

    assert_eq!((untold.spend, untold.cpc, untold.roas), (None, None, None));
    assert_eq!(untold.ctr_pct, Some(decimal("0.1")));
    assert_eq!(told.currency.as_deref(), Some("USD"));
    assert_eq!(told.spend, Some(decimal("31")));
    assert_eq!(told.reporting_spend, Some(decimal("31")));
    assert_eq!(told.cpc, Some(decimal("15.5")));
}

#[test]
fn an_account_that_spent_nothing_does_not_spoil_the_currency_of_the_others() {
    let idle = SumRow {
        revenue: Decimal::ZERO,
        ..row("USD", "0", 1)
    };

    for rows in [
        [row("EUR", "10", 1), idle],
        [
            SumRow {
                revenue: Decimal::ZERO,
                ..row("USD", "0", 1)
            },
            row("EUR", "10", 1),
        ],
    ] {
        let metrics = form(None).of(&sum(&rows));

        assert_eq!(metrics.currency.as_deref(), Some("EUR"));
        assert_eq!(metrics.spend, Some(decimal("10")));
    }
}

#[test]
fn changes_are_told_per_cent_and_not_where_there_was_nothing() {
    let form = form(None);
    let before = form.of(&sum(&[row("EUR", "10", 0)]));
    let now = form.of(&sum(&[row("EUR", "15", 10)]));

    let change = now.change_since(&before);

    assert_eq!(change["spend"], Some(decimal("50")));
    assert_eq!(change["clicks"], None);
    assert_eq!(change["cost_per_lead"], Some(decimal("50")));
}
