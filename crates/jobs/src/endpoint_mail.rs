//! The mail to the owner of an endpoint that was switched off: plain words, sent at most once for each time by its business key.

use marketing::outbound::{DisabledBy, DisabledEndpoint};
use queue::{EnqueueError, NewJob, Source};
use serde_json::{json, value::to_raw_value};

use crate::{App, error::Error};

const KIND: &str = "email.send";
/// Most characters of an address in a mail.
const LONGEST_URL: usize = 200;

/// Tells the owner of an endpoint that it was switched off; tells whether it was done. The mail is on its way before that is
/// remembered: whoever comes after a crash in between sends it again, and its business key keeps it from being sent twice.
pub(crate) async fn tell_of_endpoint(
    app: &App,
    endpoint: &DisabledEndpoint,
) -> Result<bool, Error> {
    let is_told = match app.queue.enqueue(mail(endpoint), None).await {
        Ok(_) => true,
        // An address that no mail can be sent to: nothing that another attempt would mend.
        Err(error @ EnqueueError::Payload(_)) => {
            tracing::warn!(endpoint.id = %endpoint.id, %error, "an owner cannot be told: the address is not usable");
            false
        }
        Err(error) => return Err(error.into()),
    };
    app.outbound.owner_was_told(endpoint).await?;
    Ok(is_told)
}

fn mail(endpoint: &DisabledEndpoint) -> NewJob {
    let url = shown(&endpoint.url);
    let why = match endpoint.by {
        DisabledBy::Gone => "It answered that it is gone (status 410).",
        DisabledBy::Request | DisabledBy::Failures => {
            "A message was tried until it was given up, and no other got through meanwhile."
        }
    };
    let at = endpoint.at.format("%-d %B %Y at %H:%M UTC");
    let payload = json!({
        "to": endpoint.owner_email,
        "subject": "A webhook endpoint of yours was switched off",
        "text": format!(
            "Hello,\n\n\
             on {at} the endpoint {url} was switched off. {why}\n\n\
             What happens from now on is noted and not sent. Once the endpoint works again, switch it on and have what it missed \
             sent again. Its log of deliveries tells what it answered.\n"
        ),
        "business_key": format!("endpoint-off:{}:{}", endpoint.id, endpoint.at.timestamp()),
    });
    let payload = to_raw_value(&payload).expect("a JSON value is written as JSON");
    NewJob {
        tenant: endpoint.tenant.clone(),
        ..NewJob::new(KIND, payload, Source::Handler)
    }
}

/// An address without its query, which can hold a token.
fn shown(url: &str) -> String {
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    plain.chars().take(LONGEST_URL).collect()
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};
    use marketing::outbound::EndpointId;
    use serde_json::Value;

    use super::*;

    fn switched_off() -> DisabledEndpoint {
        DisabledEndpoint {
            id: EndpointId(
                "0192f7c4-0000-7000-8000-000000000001"
                    .parse()
                    .expect("an id"),
            ),
            tenant: Some("acme".to_owned()),
            url: "https://hooks.example.com/in?token=secret".to_owned(),
            owner_email: "ada@example.com".to_owned(),
            at: DateTime::from_timestamp(1_763_640_000, 0).expect("a time"),
            by: DisabledBy::Failures,
        }
    }

    fn payload(endpoint: &DisabledEndpoint) -> Value {
        serde_json::from_str(mail(endpoint).payload.get()).expect("JSON")
    }

    #[test]
    fn the_mail_says_which_endpoint_and_when_and_no_token() {
        let payload = payload(&switched_off());

        let text = payload["text"].as_str().expect("a text");
        assert!(
            text.contains(
                "on 20 November 2025 at 12:00 UTC the endpoint https://hooks.example.com/in was"
            ),
            "{text}"
        );
        assert!(!text.contains("secret"));
    }

    #[test]
    fn each_time_that_it_is_switched_off_is_a_mail() {
        let (first, mut later) = (switched_off(), switched_off());
        later.at += TimeDelta::days(1);

        let keys = [&first, &first, &later].map(|it| payload(it)["business_key"].clone());

        assert_eq!(keys[0], keys[1]);
        assert_ne!(keys[0], keys[2]);
    }
}
