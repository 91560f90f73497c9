//! Mails to the owners of grants: plain words, sent at most once for each end by their business keys.

use chrono::{DateTime, Utc};
use marketing::accounts::{ConnectionId, End, EndOf, EndingGrant, Owner, SpentGrant};
use providers::platform::Platform;
use queue::{EnqueueError, NewJob, Source};
use serde_json::{json, value::to_raw_value};

use crate::{App, error::Error};

const KIND: &str = "email.send";
/// Most characters of an account's name in a mail.
const LONGEST_NAME: usize = 80;

/// A mail to an owner.
struct Mail<'a> {
    owner: &'a Owner,
    tenant: Option<&'a str>,
    subject: String,
    text: String,
    business_key: String,
}

/// Tells an owner of an end that only the owner can put off, unless that was done; tells whether it was done now.
pub(crate) async fn tell_of_end(app: &App, grant: &EndingGrant, end: End) -> Result<bool, Error> {
    let Some(owner) = grant.owner.as_ref().filter(|_| !grant.was_told_of(end)) else {
        return Ok(false);
    };
    let mail = ending(grant, owner, end);
    let connection = grant.seen.connection;
    send_once(app, &mail, (connection, end.at)).await
}

/// Tells an owner that a grant is spent.
pub(crate) async fn tell_of_spent(app: &App, grant: &SpentGrant) -> Result<bool, Error> {
    let mail = spent(grant);
    send_once(app, &mail, (grant.connection, grant.since)).await
}

/// The mail is on its way before that is remembered: whoever comes after a crash in between sends it again, and its business
/// key keeps it from being sent twice.
async fn send_once(
    app: &App,
    mail: &Mail<'_>,
    (connection, end): (ConnectionId, DateTime<Utc>),
) -> Result<bool, Error> {
    match app.queue.enqueue(mail.job(), None).await {
        Ok(_) => {}
        // An address that no mail can be sent to: nothing that another attempt would mend.
        Err(error @ EnqueueError::Payload(_)) => {
            tracing::warn!(connection.id = %connection, %error, "an owner cannot be told: the address is not usable");
            return Ok(false);
        }
        Err(error) => return Err(error.into()),
    }
    app.accounts.owner_was_told(connection, end).await?;
    Ok(true)
}

impl Mail<'_> {
    fn job(&self) -> NewJob {
        let payload = json!({
            "to": self.owner.email,
            "subject": self.subject,
            "text": self.text,
            "business_key": self.business_key,
        });
        let payload = to_raw_value(&payload).expect("a JSON value is written as JSON");
        NewJob {
            tenant: self.tenant.map(str::to_owned),
            ..NewJob::new(KIND, payload, Source::Handler)
        }
    }
}

fn ending<'a>(grant: &'a EndingGrant, owner: &'a Owner, end: End) -> Mail<'a> {
    let platform = name(grant.platform);
    let (day, moment) = (day(end.at), moment(end.at));
    let what = match end.of {
        EndOf::Token => format!("The access to {platform} that you gave"),
        EndOf::DataAccess => format!("The access to your data at {platform} that you gave"),
    };
    let accounts = accounts(owner);
    let connection = grant.seen.connection;
    Mail {
        owner,
        tenant: grant.tenant.as_deref(),
        subject: format!("Your connection to {platform} ends on {day}"),
        text: format!(
            "Hello,\n\n\
             {what} ends on {moment}. It is used for {accounts}.\n\n\
             Until then everything goes on. After that nothing is read from there any more, until you connect it again. \
             Connect it again before that day, and nothing is interrupted.\n"
        ),
        business_key: format!("token-ends:{connection}:{}", end.at.timestamp()),
    }
}

fn spent(grant: &SpentGrant) -> Mail<'_> {
    let platform = name(grant.platform);
    let since = moment(grant.since);
    let accounts = accounts(&grant.owner);
    let connection = grant.connection;
    Mail {
        owner: &grant.owner,
        tenant: grant.tenant.as_deref(),
        subject: format!("Your connection to {platform} must be renewed"),
        text: format!(
            "Hello,\n\n\
             since {since} the access to {platform} that you gave does not work any more. It was used for {accounts}.\n\n\
             Nothing is read from there until you connect it again. What waits for it goes on by itself then.\n"
        ),
        business_key: format!("token-spent:{connection}:{}", grant.since.timestamp()),
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

fn day(at: DateTime<Utc>) -> String {
    at.format("%-d %B %Y").to_string()
}

fn moment(at: DateTime<Utc>) -> String {
    at.format("%-d %B %Y at %H:%M UTC").to_string()
}

/// The names of a few accounts, and how many more there are. Names are whatever somebody typed at the platform.
fn accounts(owner: &Owner) -> String {
    let names = owner.accounts.iter().map(|name| {
        let plain = name.chars().map(|c| if c.is_control() { ' ' } else { c });
        let plain: String = plain.take(LONGEST_NAME).collect();
        format!("\"{}\"", plain.trim())
    });
    let names: Vec<String> = names.collect();
    let told = names.len();
    let more = usize::try_from(owner.count)
        .unwrap_or(usize::MAX)
        .saturating_sub(told);
    match (names.as_slice(), more) {
        ([], _) => "your accounts there".to_owned(),
        (names, 0) => names.join(", "),
        (names, more) => format!("{} and {more} more", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_mail_names_a_few_accounts_and_counts_the_rest() {
        assert_eq!(accounts(&owner(&["A", "B"], 2)), "\"A\", \"B\"");
        assert_eq!(accounts(&owner(&["A"], 7)), "\"A\" and 6 more");
        assert_eq!(accounts(&owner(&[], 0)), "your accounts there");
    }

    #[test]
    fn what_somebody_typed_as_a_name_stays_on_its_line() {
        let grant = spent_grant();

        let mail = spent(&grant);

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

        let keys = [&first, &first, &later].map(|grant| spent(grant).business_key);

        assert_eq!(keys[0], keys[1]);
        assert_ne!(keys[0], keys[2]);
    }
}
