//! What accounts have achieved, over HTTP.

use axum::http::StatusCode;
use serde_json::json;
use sqlx::PgPool;

use super::Api;

/// Two tenants with an account each, and two days of figures.
async fn figures(pool: &PgPool) {
    let stored = sqlx::raw_sql(
        "INSERT INTO marketing.connections (id, platform, tenant, access_token)
         VALUES ('00000000-0000-0000-0000-000000000001', 'meta', 'acme', 'sealed'),
                ('00000000-0000-0000-0000-000000000002', 'x', 'bolt', 'sealed');
         INSERT INTO marketing.accounts (id, connection, platform, tenant, external_id, kind, name, currency, time_zone)
         VALUES ('00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-000000000001', 'meta', 'acme', '101',
                 'ad_account', '=First', 'EUR', 'Europe/Berlin'),
                ('00000000-0000-0000-0000-00000000000b', '00000000-0000-0000-0000-000000000002', 'x', 'bolt', '102',
                 'ad_account', 'Second', 'EUR', 'UTC');
         SELECT marketing.make_insight_months('insights_daily', '2026-09-01', '2026-10-31');
         INSERT INTO marketing.insights_daily
                (account, level, date, entity_id, impressions, clicks, link_clicks, views, likes, comments, shares, spend,
                 conversions, revenue, leads, reach, currency)
         SELECT a.id, 'account', day, a.external_id, 1000, 10, 0, 0, 1, 1, 1, 12.34, 0, 61.70, 0, 700, 'EUR'
           FROM marketing.accounts a, unnest(ARRAY['2026-10-01', '2026-10-02']::date[]) AS day;
         INSERT INTO marketing.insight_days (account, level, granularity, breakdowns, date, read_at)
         SELECT a.id, 'account', 'day', '', day, now()
           FROM marketing.accounts a, unnest(ARRAY['2026-10-01', '2026-10-02']::date[]) AS day",
    );
    stored.execute(pool).await.expect("figures");
}

#[sqlx::test(migrations = "../../migrations")]
async fn figures_are_told_in_one_form_with_totals(pool: PgPool) {
    let api = Api::new(pool.clone()).await;
    let reader = api.key(&["read"]).await;
    figures(&pool).await;

    let path =
        "/v1/metrics?from=2026-10-01&to=2026-10-02&group_by=platform&compare=previous_period";
    let told = api.get(path, &reader).await;

    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    let told = told.json();
    assert_eq!(told["items"].as_array().map(Vec::len), Some(4));
    let item = &told["items"][0];
    assert_eq!(
        (&item["period"], &item["platform"]),
        (&json!("2026-10-01"), &json!("meta"))
    );
    assert_eq!(
        (&item["spend"], &item["reach"]),
        (&json!("12.34"), &json!(700))
    );
    let totals = &told["totals"];
    assert_eq!(
        (&totals["spend"], &totals["impressions"]),
        (&json!("49.36"), &json!(4_000))
    );
    assert_eq!(
        (&totals["ctr_pct"], &totals["roas"]),
        (&json!(1), &json!(5))
    );
    assert_eq!(
        (&totals["reach"], &totals["cost_per_conversion"]),
        (&json!(null), &json!(null))
    );
    assert_eq!(
        (&totals["cpc"], &totals["currency"]),
        (&json!("1.234"), &json!("EUR"))
    );
    assert_eq!(told["previous"]["totals"]["impressions"], json!(0));
    assert_eq!(told["previous"]["change_pct"]["spend"], json!(null));
}

// Fails when a day between two midnights is told with the one behind it.
#[sqlx::test(migrations = "../../migrations")]
async fn days_may_be_given_as_times(pool: PgPool) {
    let api = Api::new(pool.clone()).await;
    let reader = api.key(&["read"]).await;
    figures(&pool).await;

    let path = "/v1/metrics?from=2026-10-01T00:00:00Z&to=2026-10-02T00:00:00.000Z";
    let told = api.get(path, &reader).await;

    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    let told = told.json();
    assert_eq!(
        (&told["from"], &told["to"]),
        (&json!("2026-10-01"), &json!("2026-10-01"))
    );
    assert_eq!(told["totals"]["impressions"], json!(2_000));
}

// Fails when money that is null for want of a rate does not say of which currency, or money that needs none is said to.
#[sqlx::test(migrations = "../../migrations")]
async fn a_currency_without_a_rate_is_named(pool: PgPool) {
    let api = Api::new(pool.clone()).await;
    let reader = api.key(&["read"]).await;
    figures(&pool).await;
    let path = "/v1/metrics?from=2026-10-01&to=2026-10-02&granularity=total";

    let untold = api.get(path, &reader).await.json();
    sqlx::raw_sql(
        "INSERT INTO marketing.reporting (currency) VALUES ('EUR');
         INSERT INTO marketing.rates (currency, day, rate) VALUES ('JPY', '2026-10-02', 0.0061);
         UPDATE marketing.insights_daily SET currency = 'JPY'
          WHERE account = '00000000-0000-0000-0000-00000000000b'",
    )
    .execute(&pool)
    .await
    .expect("rates");
    let lacking = api.get(path, &reader).await.json();
    let later = "/v1/metrics?from=2026-10-02&to=2026-10-02&granularity=total";
    let known = api.get(later, &reader).await.json();

    assert_eq!(untold["rates_missing"], json!([]));
    assert_eq!(lacking["rates_missing"], json!(["JPY"]));
    assert_eq!(
        (&lacking["totals"]["spend"], &lacking["totals"]["clicks"]),
        (&json!(null), &json!(40))
    );
    assert_eq!(known["rates_missing"], json!([]));
    assert_eq!(known["totals"]["spend"], json!("12.415274"));
}

// Fails when a tenant's key sees what is another's.
#[sqlx::test(migrations = "../../migrations")]
async fn figures_come_as_csv_and_only_the_tenants_own(pool: PgPool) {
    let api = Api::new(pool.clone()).await;
    let reader = api.key(&["read"]).await;
    figures(&pool).await;

    let path = "/v1/metrics?from=2026-10-01&to=2026-10-02&granularity=total&group_by=account&tenant=acme&format=csv";
    let told = api.get(path, &reader).await;

    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    assert_eq!(told.header("content-type"), "text/csv; charset=utf-8");
    let lines: Vec<&str> = told.text.lines().collect();
    assert_eq!(lines.len(), 2, "{}", told.text);
    assert!(lines[0].starts_with("period,tenant,platform,account_id,account_name,"));
    assert!(lines[1].starts_with(
        "2026-10-01,acme,meta,00000000-0000-0000-0000-00000000000a,'=First,,,EUR,2000,,20,"
    ));
}

#[sqlx::test(migrations = "../../migrations")]
async fn questions_that_make_no_sense_are_refused(pool: PgPool) {
    let api = Api::new(pool.clone()).await;
    let reader = api.key(&["read"]).await;

    for (query, pointer) in [
        ("from=2026-10-02&to=2026-10-01", "?to"),
        ("from=yesterday", "?from"),
        ("from=2999-01-01", "?from"),
        ("from=-5000-01-01&to=2026-10-01", "?from"),
        ("from=2026-10-01T08:00:00", "?from"),
        ("from=2026-10-01T00:00:00Z&to=2026-10-01T00:00:00Z", "?to"),
        ("to=2026-10-01", "?from"),
        ("range=last_7d&from=2026-10-01", "?range"),
        ("range=fortnight", "?range"),
        ("granularity=minute", "?granularity"),
        ("granularity=hour&range=last_90d", "?from"),
        ("level=ad&group_by=campaign", "?group_by"),
        ("group_by=colour", "?group_by"),
        ("compare=yesteryear", "?compare"),
        ("compare=previous_period&format=csv", "?compare"),
        ("platfrom=meta", "?platfrom"),
    ] {
        let refused = api.get(&format!("/v1/metrics?{query}"), &reader).await;

        assert_eq!(
            refused.status,
            StatusCode::BAD_REQUEST,
            "{query}: {}",
            refused.text
        );
        assert_eq!(
            refused.json()["errors"][0]["pointer"],
            json!(pointer),
            "{query}"
        );
    }
    for query in [
        "",
        "?range=today",
        "?range=last_7d&granularity=hour&group_by=ad",
    ] {
        let told = api.get(&format!("/v1/metrics{query}"), &reader).await;

        assert_eq!(told.status, StatusCode::OK, "{query}: {}", told.text);
        assert_eq!(told.json()["items"], json!([]));
    }
}
