//! Template `digest`: a week of an owner's accounts. Data: `first_day`, `last_day`, `totals` (one a currency, since amounts of
//! two are never added up), `accounts`, `more`.
//!
//! Its charts are bars made of table cells with a background colour: Gmail strips inline SVG, Outlook draws neither SVG nor
//! CSS backgrounds of anything but cells, and images are not shown before somebody allows them.

use askama::Template as _;
use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde_json::{Value, json};

use super::{
    EmailError, Look, RenderedMail, Template,
    data::{
        Members, count_schema, day_schema, decimal_schema, line_schema, list_schema,
        optional_line_schema,
    },
    words,
};

const NAME: &str = "digest";
/// Characters of the longest bar in the text.
const LONGEST_BAR: usize = 20;

pub(super) const TEMPLATE: Template = Template {
    name: NAME,
    render,
    schema,
    sample,
};

/// What was spent in one currency, and what came of it.
struct Total {
    figures: Vec<Figure>,
    /// What the chart shows.
    chart: String,
    days: Vec<Day>,
    spend: String,
}

struct Figure {
    label: &'static str,
    value: String,
    change: Option<String>,
}

struct Day {
    label: String,
    /// The label, as wide as the others of its chart.
    padded: String,
    /// Per cent of the day with the most.
    width: u8,
    bar: String,
    value: String,
}

struct Account<'a> {
    name: &'a str,
    platform: &'a str,
    spend: String,
    results: String,
}

#[derive(askama::Template)]
#[template(path = "email/digest.html")]
struct Html<'a> {
    look: &'a Look,
    subject: &'a str,
    preview: &'a str,
    span: &'a str,
    totals: &'a [Total],
    accounts: &'a [Account<'a>],
    more: u64,
}

#[derive(askama::Template)]
#[template(path = "email/digest.txt")]
struct Text<'a> {
    look: &'a Look,
    subject: &'a str,
    span: &'a str,
    totals: &'a [Total],
    accounts: &'a [Account<'a>],
    more: u64,
}

fn render(data: &Value, look: &Look) -> Result<RenderedMail, EmailError> {
    let mut members = Members::of(NAME, data)?;
    let (first, last) = (members.day("first_day")?, members.day("last_day")?);
    let mut totals = Vec::new();
    for total in members.objects("totals")? {
        totals.push(read_total(total)?);
    }
    let mut accounts = Vec::new();
    for account in members.objects("accounts")? {
        accounts.push(read_account(account)?);
    }
    let more = members.count("more")?;
    members.finish()?;

    let subject = format!("Your week up to {}", words::day(last));
    let span = format!("{} to {}", words::day(first), words::day(last));
    let spent: Vec<&str> = totals.iter().map(|total| &*total.spend).collect();
    let preview = match spent.as_slice() {
        [] => "Nothing was delivered in this week.".to_owned(),
        spent => format!("{} spent.", spent.join(", ")),
    };
    let failed = |source| EmailError::Render {
        template: NAME,
        source,
    };
    Ok(RenderedMail {
        text: Text {
            look,
            subject: &subject,
            span: &span,
            totals: &totals,
            accounts: &accounts,
            more,
        }
        .render()
        .map_err(failed)?,
        html: Html {
            look,
            subject: &subject,
            preview: &preview,
            span: &span,
            totals: &totals,
            accounts: &accounts,
            more,
        }
        .render()
        .map_err(failed)?,
        subject,
    })
}

fn read_total(mut total: Members<'_>) -> Result<Total, EmailError> {
    let currency = total.optional_line("currency")?;
    let spend = total.decimal("spend")?;
    let spend_before = total.optional_decimal("spend_before")?;
    let clicks = total.count("clicks")?;
    let impressions = total.count("impressions")?;
    let conversions = total.decimal("conversions")?;
    let mut days = Vec::new();
    for mut day in total.objects("days")? {
        days.push((day.day("day")?, day.decimal("spend")?));
        day.finish()?;
    }
    total.finish()?;

    let most = days.iter().map(|(_, spend)| *spend).max();
    let days = days.into_iter().map(|(day, spend)| {
        let label = words::short_day(day);
        let width = share(spend, most);
        Day {
            padded: format!("{label:<10}"),
            bar: bar(width),
            value: words::amount(spend, None),
            width,
            label,
        }
    });
    let spent = words::amount(spend, currency);
    let plain = |label, value| Figure {
        label,
        value,
        change: None,
    };
    Ok(Total {
        figures: vec![
            Figure {
                label: "Spend",
                value: spent.clone(),
                change: spend_before.and_then(|before| change(spend, before)),
            },
            plain("Impressions", words::count(impressions)),
            plain("Clicks", words::count(clicks)),
            plain("Conversions", words::number(conversions)),
        ],
        chart: match currency {
            Some(currency) => format!("Spend a day, in {currency}"),
            None => "Spend a day".to_owned(),
        },
        days: days.collect(),
        spend: spent,
    })
}

fn read_account<'a>(mut account: Members<'a>) -> Result<Account<'a>, EmailError> {
    let name = account.line("name")?;
    let platform = account.line("platform")?;
    let currency = account.optional_line("currency")?;
    let spend = words::amount(account.decimal("spend")?, currency);
    let clicks = words::count(account.count("clicks")?);
    let conversions = words::number(account.decimal("conversions")?);
    account.finish()?;
    Ok(Account {
        name,
        platform,
        spend,
        results: format!("{clicks} clicks, {conversions} conversions"),
    })
}

/// How much more or less it is than in the week before; `None` where there was nothing.
fn change(now: Decimal, before: Decimal) -> Option<String> {
    let share = now.checked_sub(before)?.checked_div(before)?;
    let per_cent = share.checked_mul(Decimal::ONE_HUNDRED)?.round();
    let sign = if per_cent.is_sign_negative() { "" } else { "+" };
    Some(format!(
        "{sign}{} % on the week before",
        words::number(per_cent)
    ))
}

/// Per cent of the most, 0 to 100; what is little is seen.
fn share(value: Decimal, most: Option<Decimal>) -> u8 {
    let share = most
        .filter(|most| *most > Decimal::ZERO && value > Decimal::ZERO)
        .and_then(|most| value.checked_mul(Decimal::ONE_HUNDRED)?.checked_div(most))
        .and_then(|share| share.round().to_u8());
    share.map_or(0, |share| share.clamp(1, 100))
}

fn bar(width: u8) -> String {
    let length = (usize::from(width) * LONGEST_BAR).div_ceil(100);
    let bar = "#".repeat(length);
    format!("{bar:<LONGEST_BAR$}")
}

fn schema() -> Value {
    let decimal = decimal_schema(&["string"]);
    let total = json!({
        "type": "object",
        "properties": {
            "currency": optional_line_schema(),
            "spend": decimal,
            "spend_before": decimal_schema(&["string", "null"]),
            "impressions": count_schema(),
            "clicks": count_schema(),
            "conversions": decimal,
            "days": list_schema(&json!({
                "type": "object",
                "properties": { "day": day_schema(), "spend": decimal },
                "required": ["day", "spend"],
                "additionalProperties": false,
            })),
        },
        "required": ["spend", "conversions"],
        "additionalProperties": false,
    });
    let account = json!({
        "type": "object",
        "properties": {
            "name": line_schema(),
            "platform": line_schema(),
            "currency": optional_line_schema(),
            "spend": decimal,
            "clicks": count_schema(),
            "conversions": decimal,
        },
        "required": ["name", "platform", "spend", "conversions"],
        "additionalProperties": false,
    });
    json!({
        "type": "object",
        "properties": {
            "first_day": day_schema(),
            "last_day": day_schema(),
            "totals": list_schema(&total),
            "accounts": list_schema(&account),
            "more": count_schema(),
        },
        "required": ["first_day", "last_day"],
        "additionalProperties": false,
    })
}

fn sample() -> Value {
    let spends = [
        ("2026-11-09", "120.00"),
        ("2026-11-10", "98.40"),
        ("2026-11-11", "143.15"),
        ("2026-11-12", "151.00"),
        ("2026-11-13", "0"),
        ("2026-11-14", "64.20"),
        ("2026-11-15", "1.10"),
    ];
    let days = spends.map(|(day, spend)| json!({ "day": day, "spend": spend }));
    json!({
        "first_day": "2026-11-09",
        "last_day": "2026-11-15",
        "totals": [{
            "currency": "EUR",
            "spend": "577.85",
            "spend_before": "512.30",
            "impressions": 184_220,
            "clicks": 2_411,
            "conversions": "61.5",
            "days": days,
        }],
        "accounts": [
            { "name": "Analytical Engines", "platform": "Meta", "currency": "EUR",
              "spend": "402.10", "clicks": 1_890, "conversions": "48" },
            { "name": "Looms & Co", "platform": "Google Ads", "currency": "EUR",
              "spend": "175.75", "clicks": 521, "conversions": "13.5" },
        ],
        "more": 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().expect("a number")
    }

    #[test]
    fn a_bar_is_its_share_of_the_most_and_little_is_seen() {
        let most = Some(decimal("200"));

        assert_eq!(share(decimal("200"), most), 100);
        assert_eq!(share(decimal("50"), most), 25);
        assert_eq!(share(decimal("0.01"), most), 1);
        assert_eq!(share(Decimal::ZERO, most), 0);
        assert_eq!(share(decimal("-5"), most), 0);
        assert_eq!(share(Decimal::ZERO, Some(Decimal::ZERO)), 0);
        assert_eq!(bar(100).trim_end().len(), LONGEST_BAR);
        assert_eq!(bar(1).trim_end(), "#");
        assert_eq!(bar(0).trim_end(), "");
    }

    #[test]
    fn a_week_is_compared_with_the_one_before_where_there_was_one() {
        let told = |now: &str, before: &str| change(decimal(now), decimal(before));

        assert_eq!(
            told("150", "100").as_deref(),
            Some("+50 % on the week before")
        );
        assert_eq!(
            told("75", "100").as_deref(),
            Some("-25 % on the week before")
        );
        assert_eq!(told("75", "0"), None);
    }
}
