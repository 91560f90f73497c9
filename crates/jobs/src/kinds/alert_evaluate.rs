//! `alert.evaluate`: looks at the alerts that are due, or at one of them. What is raised is told by an event at once, and by mail
//! once, outside of the alert's quiet hours.

use std::time::Duration;

use chrono::{DateTime, Utc};
use marketing::{
    email::Topic,
    rules::{Alert, AlertId, AlertsFound, Comparison, DueMail, Rules, RulesError},
};
use queue::{EnqueueError, Job, JobContext, NewJob, Outcome, Source};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json, value::to_raw_value};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    App,
    account::PATTERN,
    error::Error,
    one_line::one_line,
    round::{AT_ONCE, NEXT_TURN, round},
};

/// How long an alert is left alone: less than the time between two schedules' ticks.
const EVERY: Duration = Duration::from_secs(10 * 60);
/// Most characters of a mail's title.
const LONGEST_TITLE: usize = 200;
/// Longest business key, in characters.
const LONGEST_KEY: usize = 255;
/// What mails are.
const MAIL: &str = "email.send";

/// Looks at alerts. Idempotent: what is raised is not raised again, and no mail is sent twice.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertEvaluate {
    /// The alert; all that are due without.
    #[serde(default)]
    #[schemars(with = "Option<String>", regex(pattern = PATTERN))]
    alert_id: Option<String>,
}

impl Job for AlertEvaluate {
    const KIND: &'static str = "alert.evaluate";
    type App = App;
    type Error = Error;

    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, Error> {
        let Some(id) = &self.alert_id else {
            return Box::pin(all(&ctx.app, ctx.cancellation())).await;
        };
        let id = id.parse::<AlertId>().map_err(|_| Error::Payload {
            pointer: "/alert_id",
            problem: "is no id",
        })?;
        let tenant = ctx.job.tenant.as_deref();
        Ok(match Box::pin(of_tenant(&ctx.app, id, tenant)).await? {
            Some((found, mails)) => {
                Outcome::SucceededWith(json!({ "found": found, "mails": mails }))
            }
            None => Outcome::Cancelled("there is no such active alert".to_owned()),
        })
    }
}

async fn all(app: &App, stop: &CancellationToken) -> Result<Outcome, Error> {
    let rules = Rules::new(app.queue.clone());
    let round = round(stop, || due(&rules), |id| counted(app, id)).await?;
    let Some([alerts, fired, cleared, mails, without_accounts]) = round else {
        return Ok(Outcome::Snoozed(NEXT_TURN));
    };
    Ok(Outcome::SucceededWith(json!({
        "alerts": alerts,
        "fired": fired,
        "cleared": cleared,
        "mails": mails,
        "without_accounts": without_accounts,
    })))
}

async fn due(rules: &Rules) -> Result<Vec<AlertId>, Error> {
    Ok(rules.due_alerts(EVERY, AT_ONCE).await?)
}

/// Looks at an alert; tells that it was one, for how many it was raised and is over, the mails of it, and whether there is no
/// account of it.
async fn counted(app: &App, id: AlertId) -> Result<[u64; 5], Error> {
    let looked = one(app, id, Utc::now()).await?;
    Ok(looked.map_or([1, 0, 0, 0, 0], |(found, mails)| {
        let has_none = u64::from(found.accounts == 0);
        [1, found.fired, found.cleared, mails, has_none]
    }))
}

/// Looks at an alert, which must belong to the job's tenant where it has one.
async fn of_tenant(
    app: &App,
    id: AlertId,
    tenant: Option<&str>,
) -> Result<Option<(AlertsFound, u64)>, Error> {
    match Rules::new(app.queue.clone()).alert(id, tenant).await {
        Err(RulesError::NotFound) => Ok(None),
        there => {
            there?;
            one(app, id, Utc::now()).await
        }
    }
}

/// Looks at an alert and sends the mails that are due of it; `None`: it is not active.
async fn one(
    app: &App,
    id: AlertId,
    now: DateTime<Utc>,
) -> Result<Option<(AlertsFound, u64)>, Error> {
    let rules = Rules::new(app.queue.clone());
    let Some((alert, found)) = rules.look_at_alert(id, now).await? else {
        return Ok(None);
    };
    let mut sent = 0;
    for due in rules.due_mails(id, &alert.rule, now).await? {
        // On their way before that is noted: whoever comes after a crash sends them again, and their keys keep them from being
        // sent twice.
        let mails = send(app, &alert, &due).await?;
        rules.mailed(due.entry, mails > 0).await?;
        sent += mails;
    }
    Ok(Some((found, sent)))
}

/// Puts a mail to each on its way, who ends them for nobody else; tells how many.
async fn send(app: &App, alert: &Alert, due: &DueMail) -> Result<u64, Error> {
    let data = data(alert, due);
    let mut sent = 0;
    for to in &due.to {
        let payload = to_raw_value(&payload(due.entry, to, &data));
        let job = NewJob {
            tenant: alert.tenant.clone(),
            ..NewJob::new(
                MAIL,
                payload.expect("a JSON value is written as JSON"),
                Source::Handler,
            )
        };
        match app.queue.enqueue(job, None).await {
            Ok(_) => sent += 1,
            // An address that no mail can be sent to: nothing that another attempt would mend.
            Err(error @ EnqueueError::Payload(_)) => {
                tracing::warn!(alert.id = %alert.id, %error, "an alert cannot be mailed: an address is not usable");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(sent)
}

fn payload(entry: Uuid, to: &str, data: &Value) -> Value {
    let key = format!("alert:{entry}:{}", to.trim().to_ascii_lowercase());
    json!({
        "to": to,
        "template": "alert",
        "data": data,
        "topic": Topic::Alerts.as_str(),
        "business_key": key.chars().take(LONGEST_KEY).collect::<String>(),
    })
}

fn data(alert: &Alert, due: &DueMail) -> Value {
    let rule = &alert.rule;
    let metric = due.metric.replace('_', " ");
    let entity = one_line(&due.entity_name);
    let what = match rule.comparison {
        Comparison::Above => format!("is above {}", due.threshold),
        Comparison::Below => format!("is below {}", due.threshold),
        Comparison::RisesPct => format!("rose by more than {} %", due.threshold),
        Comparison::FallsPct => format!("fell by more than {} %", due.threshold),
    };
    let days = match rule.window_days {
        1 => "one day".to_owned(),
        days => format!("{days} days"),
    };
    let mut facts = vec![
        fact(
            "Account",
            &format!("{} ({})", one_line(&due.account_name), due.platform),
        ),
        fact(&metric, &due.value.to_string()),
    ];
    if let Some(baseline) = due.baseline {
        facts.push(fact("The time before", &baseline.to_string()));
    }
    if let Some(currency) = &due.currency {
        facts.push(fact("Currency", currency));
    }
    let title = format!("{}: {metric} of \"{entity}\" {what}", one_line(&alert.name));
    json!({
        "title": title.chars().take(LONGEST_TITLE).collect::<String>(),
        "text": format!("It was {} over {days}. You asked to be told when it {what}.", due.value),
        "facts": facts,
        "raised_at": due.fired_at,
    })
}

fn fact(label: &str, value: &str) -> Value {
    json!({ "label": label, "value": value })
}

#[cfg(test)]
mod tests {
    use marketing::{
        email::{Look, Templates},
        rules::AlertStatus,
    };

    use super::*;

    fn alert(name: &str) -> Alert {
        let rule = json!({
            "scope": {"level": "campaign"}, "comparison": "falls_pct", "threshold": "12.123456789012345678901234",
        });
        Alert {
            id: AlertId(Uuid::from_u128(1)),
            tenant: None,
            name: name.to_owned(),
            status: AlertStatus::Active,
            rule: serde_json::from_value(rule).expect("a rule"),
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
            evaluated_at: None,
        }
    }

    fn due(metric: &str) -> DueMail {
        DueMail {
            entry: Uuid::from_u128(2),
            to: Vec::new(),
            account_name: "Shop\r\nBcc: eve@example.com".to_owned(),
            platform: "meta".to_owned(),
            currency: None,
            entity_name: "Ü".repeat(300),
            metric: metric.to_owned(),
            value: "12.123456789012345678901234".parse().expect("a number"),
            threshold: "12.123456789012345678901234".parse().expect("a number"),
            baseline: None,
            fired_at: DateTime::UNIX_EPOCH,
        }
    }

    // Fails when names that are long, or odd, make a mail that its template does not take.
    #[test]
    fn whatever_names_are_a_mail_can_be_made_of_them() {
        let mail = data(&alert(&"N".repeat(200)), &due(&"k".repeat(60)));

        let rendered = Templates::default().render("alert", &mail, &Look::default());
        let rendered = rendered.expect("the data suits its template");

        assert_eq!(rendered.subject.chars().count(), LONGEST_TITLE);
        assert!(!rendered.text.contains("\nBcc:"), "{}", rendered.text);
    }

    #[test]
    fn each_recipient_has_a_mail_of_their_own_that_they_may_end() {
        let entry = Uuid::from_u128(2);
        let [ada, again, bob] = ["ada@example.com", "ADA@example.com", "bob@example.com"]
            .map(|to| payload(entry, to, &json!({})));

        assert_eq!(
            (&ada["to"], &ada["topic"]),
            (&json!("ada@example.com"), &json!("alerts"))
        );
        assert_eq!(ada["business_key"], again["business_key"]);
        assert_ne!(ada["business_key"], bob["business_key"]);
    }
}
