//! Mails to the owners of grants, from templates: each is sent at most once for its end, day or week, by its business key.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use marketing::{
    accounts::{ConnectionId, End, EndOf, EndingGrant, Owner, SpentGrant},
    email::{Failing, MailOwner, Topic, WeekOf},
};
use providers::platform::Platform;
use queue::{EnqueueError, NewJob, Source};
use serde_json::{Value, json, value::to_raw_value};

use crate::{App, error::Error, one_line::one_line};

const KIND: &str = "email.send";
/// Most currencies of a digest.
const MOST_TOTALS: usize = 5;
/// Longest business key, in characters.
const LONGEST_KEY: usize = 255;

/// A mail to an owner.
struct Mail<'a> {
    to: &'a str,
    tenant: Option<&'a str>,
    template: &'static str,
    data: Value,
    topic: Topic,
    business_key: String,
}

/// Tells an owner of an end that only the owner can put off, unless that was done; tells whether it was done now.
pub(crate) async fn tell_of_end(app: &App, grant: &EndingGrant, end: End) -> Result<bool, Error> {
    let Some(owner) = grant.owner.as_ref().filter(|_| !grant.was_told_of(end)) else {
        return Ok(false);
    };
    let mail = ending(grant, owner, end, connect_url(app, grant.tenant.as_deref()));
    let connection = grant.seen.connection;
    send_for(app, &mail, (connection, end.at)).await
}

/// Tells an owner that a grant is spent.
pub(crate) async fn tell_of_spent(app: &App, grant: &SpentGrant) -> Result<bool, Error> {
    let mail = spent(grant, connect_url(app, grant.tenant.as_deref()));
    send_for(app, &mail, (grant.connection, grant.since)).await
}

/// Tells an owner of accounts that could not be read, once a day: a platform that is down mails nobody twice.
pub(crate) async fn tell_of_failing(
    app: &App,
    failing: &Failing,
    today: NaiveDate,
) -> Result<bool, Error> {
    send(app, &unread(failing, today)).await
}

/// Sends an owner the figures of a week.
pub(crate) async fn send_digest(
    app: &App,
    owner: &MailOwner,
    week: &WeekOf,
) -> Result<bool, Error> {
    send(app, &digest(owner, week)).await
}

/// The mail is on its way before that is remembered: whoever comes after a crash in between sends it again, and its business
/// key keeps it from being sent twice.
async fn send_for(
    app: &App,
    mail: &Mail<'_>,
    (connection, end): (ConnectionId, DateTime<Utc>),
) -> Result<bool, Error> {
    if !send(app, mail).await? {
        return Ok(false);
    }
    app.accounts.owner_was_told(connection, end).await?;
    Ok(true)
}

/// Has the mail sent; tells whether it can be.
async fn send(app: &App, mail: &Mail<'_>) -> Result<bool, Error> {
    match app.queue.enqueue(mail.job(), None).await {
        Ok(_) => Ok(true),
        // An address that no mail can be sent to: nothing that another attempt would mend.
        Err(error @ EnqueueError::Payload(_)) => {
            tracing::warn!(mail.topic = %mail.topic, %error, "an owner cannot be told: the address is not usable");
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

impl Mail<'_> {
    fn job(&self) -> NewJob {
        let payload = json!({
            "to": self.to,
            "template": self.template,
            "data": self.data,
            "topic": self.topic.as_str(),
            "business_key": self.business_key,
        });
        let payload = to_raw_value(&payload).expect("a JSON value is written as JSON");
        NewJob {
            tenant: self.tenant.map(str::to_owned),
            ..NewJob::new(KIND, payload, Source::Handler)
        }
    }
}

/// Where owners of this tenant connect their accounts again.
fn connect_url(app: &App, tenant: Option<&str>) -> Option<String> {
    app.email.settings(tenant).connect_url
}

fn ending<'a>(
    grant: &'a EndingGrant,
    owner: &'a Owner,
    end: End,
    connect_url: Option<String>,
) -> Mail<'a> {
    let what = match end.of {
        EndOf::Token => "token",
        EndOf::DataAccess => "data_access",
    };
    let (accounts, more) = accounts(owner);
    let connection = grant.seen.connection;
    Mail {
        to: &owner.email,
        tenant: grant.tenant.as_deref(),
        template: "token_expiring",
        data: json!({
            "platform": name(grant.platform),
            "what": what,
            "ends_at": moment(end.at),
            "accounts": accounts,
            "more": more,
            "connect_url": connect_url,
        }),
        topic: Topic::TokenExpiry,
        business_key: format!("token-ends:{connection}:{}", end.at.timestamp()),
    }
}

fn spent(grant: &SpentGrant, connect_url: Option<String>) -> Mail<'_> {
    let (accounts, more) = accounts(&grant.owner);
    let connection = grant.connection;
    Mail {
        to: &grant.owner.email,
        tenant: grant.tenant.as_deref(),
        template: "needs_reauth",
        data: json!({
            "platform": name(grant.platform),
            "since": moment(grant.since),
            "accounts": accounts,
            "more": more,
            "connect_url": connect_url,
        }),
        topic: Topic::TokenExpiry,
        business_key: format!("token-spent:{connection}:{}", grant.since.timestamp()),
    }
}

fn unread(failing: &Failing, today: NaiveDate) -> Mail<'_> {
    let accounts = failing.accounts.iter().map(|account| {
        json!({
            "name": plain(&account.name),
            "platform": name(account.platform),
            "since": moment(account.since),
            "reason": reason(&account.class),
        })
    });
    let owner = &failing.owner;
    Mail {
        to: &owner.email,
        tenant: owner.tenant.as_deref(),
        template: "sync_failed",
        data: json!({ "accounts": accounts.collect::<Vec<_>>(), "more": failing.more }),
        topic: Topic::SyncErrors,
        business_key: key("sync-errors", &owner.email, today),
    }
}

fn digest<'a>(owner: &'a MailOwner, week: &WeekOf) -> Mail<'a> {
    let totals = week.totals.iter().map(|total| {
        let days = total
            .days
            .iter()
            .map(|(day, spend)| json!({ "day": day, "spend": spend.to_string() }));
        json!({
            "currency": total.currency,
            "spend": total.spend.to_string(),
            "spend_before": total.spend_before.map(|spend| spend.to_string()),
            "impressions": total.impressions,
            "clicks": total.clicks,
            "conversions": total.conversions.to_string(),
            "days": days.collect::<Vec<_>>(),
        })
    });
    let accounts = week.accounts.iter().map(|account| {
        json!({
            "name": plain(&account.name),
            "platform": name(account.platform),
            "currency": account.currency,
            "spend": account.spend.to_string(),
            "clicks": account.clicks,
            "conversions": account.conversions.to_string(),
        })
    });
    Mail {
        to: &owner.email,
        tenant: owner.tenant.as_deref(),
        template: "digest",
        data: json!({
            "first_day": week.first_day,
            "last_day": week.last_day,
            "totals": totals.take(MOST_TOTALS).collect::<Vec<_>>(),
            "accounts": accounts.collect::<Vec<_>>(),
            "more": week.more,
        }),
        topic: Topic::Digest,
        business_key: key("digest", &owner.email, week.first_day),
    }
}

/// One mail for this owner and day, however the address is written. Keys are kept as hashes alone.
fn key(what: &str, address: &str, day: NaiveDate) -> String {
    let address = address.trim().to_ascii_lowercase();
    let key = format!("{what}:{day}:{address}");
    key.chars().take(LONGEST_KEY).collect()
}

/// What a class of failures means to somebody who can do nothing about it but one thing.
fn reason(class: &str) -> &'static str {
    match class {
        "permission" => {
            "The access that you gave lacks a right: connect it again and allow all that is asked for."
        }
        "transient" | "timeout" | "rate_limited" => {
            "The platform has trouble of its own, or asks us to wait."
        }
        _ => "The platform's answer could not be used; whoever runs this service sees that too.",
    }
}

/// What people call a platform.
fn name(platform: Platform) -> &'static str {
    match platform {
        Platform::Meta => "Meta",
        Platform::GoogleAds => "Google Ads",
        Platform::LinkedIn => "LinkedIn",
        Platform::TikTok => "TikTok",
        Platform::X => "X",
    }
}

fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The names of a few accounts, and how many more there are.
fn accounts(owner: &Owner) -> (Vec<String>, u64) {
    let names: Vec<String> = owner.accounts.iter().map(|name| plain(name)).collect();
    let told = u64::try_from(names.len()).unwrap_or(u64::MAX);
    (names, owner.count.saturating_sub(told))
}

/// An account's name, or what stands for it.
fn plain(name: &str) -> String {
    let line = one_line(name);
    if line.is_empty() {
        "an account without a name".to_owned()
    } else {
        line
    }
}

#[cfg(test)]
mod tests {
    use marketing::email::{FailingAccount, Look, RenderedMail, Templates};

    use super::*;

    fn owner(names: &[&str], count: u64) -> Owner {
        Owner {
            email: "ada@example.com".to_owned(),
            accounts: names.iter().map(|name| (*name).to_owned()).collect(),
            count,
        }
    }

    fn spent_grant() -> SpentGrant {
        SpentGrant {
            connection: "01920000-0000-7000-8000-00000000abcd"
                .parse()
                .expect("an id"),
            platform: Platform::GoogleAds,
            tenant: Some("acme".to_owned()),
            since: DateTime::from_timestamp(1_763_640_000, 0).expect("a time"),
            owner: owner(&["Shop\r\nBcc: eve@example.com"], 1),
        }
    }

    fn rendered(mail: &Mail<'_>) -> RenderedMail {
        let rendered = Templates::default().render(mail.template, &mail.data, &Look::default());
        rendered.expect("the data suits its template")
    }

    #[test]
    fn a_mail_names_a_few_accounts_and_counts_the_rest() {
        assert_eq!(accounts(&owner(&["A"], 7)), (vec!["A".to_owned()], 6));
        assert_eq!(accounts(&owner(&[], 0)), (Vec::new(), 0));
        assert_eq!(
            accounts(&owner(&[" \n"], 1)).0,
            ["an account without a name"]
        );
    }

    #[test]
    fn what_somebody_typed_as_a_name_stays_on_its_line() {
        let grant = spent_grant();

        let mail = rendered(&spent(&grant, None));

        assert_eq!(
            mail.subject,
            "Your connection to Google Ads must be renewed"
        );
        assert!(
            mail.text.contains("\"Shop  Bcc: eve@example.com\""),
            "{}",
            mail.text
        );
        assert!(
            mail.text.contains("since 20 November 2025 at 12:00 UTC"),
            "{}",
            mail.text
        );
    }

    #[test]
    fn a_mail_about_an_end_has_one_key_and_another_end_another_one() {
        let (first, mut later) = (spent_grant(), spent_grant());
        later.since += chrono::TimeDelta::days(60);

        let keys = [&first, &first, &later].map(|grant| spent(grant, None).business_key);

        assert_eq!(keys[0], keys[1]);
        assert_ne!(keys[0], keys[2]);
    }

    #[test]
    fn one_mail_a_day_tells_of_all_accounts_that_could_not_be_read() {
        let day = NaiveDate::from_ymd_opt(2026, 11, 20).expect("a day");
        let failing = Failing {
            owner: MailOwner {
                tenant: None,
                email: "Ada@example.com".to_owned(),
            },
            accounts: vec![FailingAccount {
                name: "Shop".to_owned(),
                platform: Platform::Meta,
                class: "permission".to_owned(),
                since: DateTime::from_timestamp(1_763_640_000, 0).expect("a time"),
            }],
            more: 1,
        };

        let mail = unread(&failing, day);

        assert_eq!(mail.business_key, "sync-errors:2026-11-20:ada@example.com");
        let rendered = rendered(&mail);
        assert_eq!(rendered.subject, "2 accounts could not be read");
        assert!(rendered.text.contains("lacks a right"), "{}", rendered.text);
    }

    #[test]
    fn a_week_keeps_its_amounts_to_the_cent() {
        let monday = NaiveDate::from_ymd_opt(2026, 11, 9).expect("a day");
        let spend: rust_decimal::Decimal = "1234567.89".parse().expect("a number");
        let week = WeekOf {
            first_day: monday,
            last_day: monday + chrono::Days::new(6),
            totals: vec![marketing::email::WeekTotal {
                currency: Some("EUR".to_owned()),
                spend,
                spend_before: None,
                impressions: 10,
                clicks: 1,
                conversions: rust_decimal::Decimal::ONE,
                days: vec![(monday, spend)],
            }],
            accounts: Vec::new(),
            more: 0,
        };
        let owner = MailOwner {
            tenant: None,
            email: "ada@example.com".to_owned(),
        };

        let mail = rendered(&digest(&owner, &week));

        assert!(
            mail.text.contains("Spend: 1,234,567.89 EUR"),
            "{}",
            mail.text
        );
        assert!(mail.text.contains("Mon 9 Nov"), "{}", mail.text);
    }
}
