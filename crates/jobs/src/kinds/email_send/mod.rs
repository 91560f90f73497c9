//! `email.send`: one mail, from a template or written out.

mod content;
#[cfg(test)]
mod tests;

use std::time::Duration;

use marketing::email::{
    Begun, Look, MailIdentity, Topic, Unsent, begin_send, data_schemas, record_sent, record_unsent,
    template_names,
};
use providers::mail::{Mail, Sent};
use queue::{Job, JobContext, JobInfo, Outcome};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use self::content::Stationery;
use crate::{App, EmailSettings, app::address_of, effect::effect_key, error::Error};

/// How long to wait for another job that is sending the mail of the same business key.
const WAIT_FOR_OTHER: Duration = Duration::from_secs(30);
/// One address, with or without a name before it; no list, no line break, nothing that a reader of mail would decode or turn
/// round.
const MAILBOX: &str = concat!(
    r"^(?!.*=\?.*\?=)",
    r"[^\x00-\x1f\x7f-\x9f\u2028-\u202e,;]+@[^\x00-\x1f\x7f-\x9f\u2028-\u202e,;@]+$"
);
/// A line that reads as it is written.
const LINE: &str = r"^(?!.*=\?.*\?=)[^\x00-\x1f\x7f-\x9f\u2028-\u202e]+$";

/// A mail. Sent at least once: a later attempt sends only where no earlier one has a receipt, and under the same
/// Message-ID. With a `business_key`, jobs that share it send one mail at most: where an earlier attempt may have delivered it,
/// a later one sends it only to a vendor that still knows the mail by its key.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "if" = { "required": ["template"], "properties": { "template": { "type": "string" } } },
    "then" = { "properties": {
        "subject": { "type": "null" }, "text": { "type": "null" }, "html": { "type": "null" },
    } },
    "else" = { "required": ["subject", "text"], "properties": {
        "subject": { "type": "string" }, "text": { "type": "string" }, "data": { "type": "null" },
    } },
    "allOf" = data_of_templates(),
))]
pub(super) struct EmailSend {
    /// Who gets it: one address or up to 50, who see each other's.
    to: Recipients,
    /// The template that says what is in it; instead of `subject`, `text` and `html`.
    #[schemars(extend("anyOf" = templates_or_none()))]
    template: Option<String>,
    /// What the template is filled with.
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    data: Option<Value>,
    /// The subject, where there is no template: one line.
    #[schemars(length(min = 1, max = 200), regex(pattern = LINE))]
    subject: Option<String>,
    /// The mail as text, where there is no template.
    #[schemars(length(min = 1))]
    text: Option<String>,
    /// The same as HTML.
    #[schemars(length(min = 1))]
    html: Option<String>,
    /// Where answers go instead of the configured address.
    #[schemars(regex(pattern = MAILBOX))]
    reply_to: Option<String>,
    /// The sender under another name; the address must be the configured one.
    #[schemars(regex(pattern = MAILBOX))]
    from: Option<String>,
    /// Jobs of a tenant that share it send one mail at most.
    #[schemars(length(min = 1, max = 255))]
    business_key: Option<String>,
    /// What it is one of, of which its one recipient may end all by a click: not sent to whoever has, and with a
    /// `List-Unsubscribe` of RFC 8058 otherwise.
    #[schemars(extend("enum" = topics_or_none()))]
    topic: Option<String>,
}

/// One address or several.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Recipients {
    One(#[schemars(regex(pattern = MAILBOX))] String),
    Many(#[schemars(length(min = 1, max = 50), inner(regex(pattern = MAILBOX)))] Vec<String>),
}

/// Those that are built in, and whatever the operator has beside them: a misspelt one of the former is refused at once.
fn templates_or_none() -> Vec<Value> {
    let built_in: Vec<Option<&str>> = template_names().map(Some).chain([None]).collect();
    vec![
        json!({ "enum": built_in }),
        json!({ "type": "string", "pattern": "^own/[a-z0-9_-]{1,60}$" }),
    ]
}

fn topics_or_none() -> Vec<Option<&'static str>> {
    let topics = Topic::ALL.iter().map(|topic| Some(topic.as_str()));
    topics.chain([None]).collect()
}

/// For each template that its data suits it, so that what could not be rendered is never taken.
fn data_of_templates() -> Vec<Value> {
    data_schemas()
        .map(|(name, schema)| {
            json!({
                "if": { "required": ["template"], "properties": { "template": { "const": name } } },
                "then": { "required": ["data"], "properties": { "data": schema } },
            })
        })
        .collect()
}

impl Job for EmailSend {
    const KIND: &'static str = "email.send";
    type App = App;
    type Error = Error;

    /// Does not listen for cancellation: a mail on its way cannot be called back, and to hang up on the server would only
    /// leave it in doubt. The mail client's own timeout bounds the call.
    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, Error> {
        send(&ctx.app, &ctx.job, self).await
    }
}

async fn send(app: &App, job: &JobInfo, email: EmailSend) -> Result<Outcome, Error> {
    let mailer = app.mailer.as_deref().ok_or(Error::SetUp(
        "mail is off: set MILLPOND_SMTP_URL or MILLPOND_RESEND_API_KEY",
    ))?;
    let identity = email.identity(job)?;
    let settings = app.email.settings(job.tenant.as_deref());
    let Some(look) = look_of(app, job, &email, &settings).await? else {
        return Ok(Outcome::SucceededWith(
            json!({ "not_sent": "unsubscribed" }),
        ));
    };
    let message_id = identity.message_id(&settings.domain);
    let stationery = Stationery {
        settings: &settings,
        templates: &app.templates,
        look: &look,
    };
    let is_once = email.business_key.is_some();
    let again_within = is_once.then(|| mailer.knows_again_for());
    let mut mail = email.into_mail(&stationery, message_id)?;

    let pool = app.db.pool();
    let begun = begin_send(&pool, &identity, job.id, &mail.message_id, again_within).await?;
    let in_doubt = match begun {
        Begun::Send {
            message_id,
            in_doubt,
        } => {
            mail.message_id = message_id;
            in_doubt
        }
        Begun::AlreadySent {
            message_id,
            sent_at,
        } => {
            let told =
                json!({ "message_id": message_id, "already_sent": true, "sent_at": sent_at });
            return Ok(Outcome::SucceededWith(told));
        }
        Begun::Underway => return Ok(Outcome::Snoozed(WAIT_FOR_OTHER)),
        Begun::InDoubt { message_id } => return Err(Error::MailInDoubt(message_id)),
    };

    match mailer.send(&mail).await {
        Ok(sent) => {
            // The mail is out: to fail now would only send it once more.
            if let Err(error) = record_sent(&app.db.pool(), &identity).await {
                warn_of_missing_receipt(job, &error);
            }
            Ok(Outcome::SucceededWith(told(&mail, &sent, in_doubt)))
        }
        Err(error) => {
            let how = if error.maybe_received() {
                Unsent::Unknown
            } else {
                Unsent::Refused
            };
            if let Err(error) = record_unsent(&app.db.pool(), &identity, job.id, how).await {
                warn_of_missing_receipt(job, &error);
            }
            Err(Error::Provider(error))
        }
    }
}

/// How the mail looks; `None` where its recipient wants none of its sort.
async fn look_of(
    app: &App,
    job: &JobInfo,
    email: &EmailSend,
    settings: &EmailSettings,
) -> Result<Option<Look>, Error> {
    let brand = settings.brand.clone();
    let Some((address, topic)) = email.one_of()? else {
        return Ok(Some(Look {
            brand,
            unsubscribe_url: None,
        }));
    };
    let tenant = job.tenant.as_deref();
    let is_wanted = app.accounts.wants(tenant, address, topic).await?;
    Ok(is_wanted.then(|| Look {
        brand,
        unsubscribe_url: app.accounts.unsubscribe_url(tenant, address, topic),
    }))
}

fn told(mail: &Mail, sent: &Sent, in_doubt: bool) -> Value {
    json!({
        "message_id": mail.message_id,
        "recipients": mail.to.len(),
        "response": sent.response,
        "in_doubt": in_doubt,
    })
}

fn warn_of_missing_receipt(job: &JobInfo, error: &marketing::StoreError) {
    tracing::warn!(
        job.id = %job.id,
        job.kind = %job.kind,
        job.attempt = job.attempt,
        error = error as &(dyn std::error::Error + 'static),
        "what became of a mail could not be stored; a later attempt takes it for one in doubt"
    );
}

impl EmailSend {
    /// What it is one of, with the address of whom that is for.
    fn one_of(&self) -> Result<Option<(&str, Topic)>, Error> {
        let Some(topic) = self.topic.as_deref() else {
            return Ok(None);
        };
        let topic = topic.parse::<Topic>().map_err(|_| Error::Payload {
            pointer: "/topic",
            problem: "must be token_expiry, sync_errors, alerts or digest",
        })?;
        let to = match &self.to {
            Recipients::One(to) => Some(to),
            Recipients::Many(to) => to.first().filter(|_| to.len() == 1),
        };
        // Whoever ends it would end it for all who are in it.
        let to = to.ok_or(Error::Payload {
            pointer: "/topic",
            problem: "needs one address in to",
        })?;
        Ok(Some((address_of(to), topic)))
    }

    fn identity(&self, job: &JobInfo) -> Result<MailIdentity, Error> {
        match self.business_key.as_deref() {
            None => Ok(MailIdentity::of_job(effect_key(job))),
            Some(key) if key.trim().is_empty() => Err(Error::Payload {
                pointer: "/business_key",
                problem: "must not be blank",
            }),
            Some(key) => Ok(MailIdentity::of_business_key(job.tenant.as_deref(), key)),
        }
    }
}
