//! What payloads become mails, and what a mail leaves behind.

use anyhow::{Context as _, Result, ensure};
use marketing::{PgPool, email::Templates};
use providers::{
    mail::is_header_text,
    smtp::{Mailer, SmtpConfig},
};
use queue::JobError;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufStream},
    net::TcpListener,
};

use super::*;
use crate::{
    app::EmailSource,
    kinds::testing::{app, job_info, no_database, schema_accepts},
};

fn settings() -> EmailSettings {
    EmailSettings::new(
        Some("Millpond <jobs@example.com>".to_owned()),
        Some("team@example.com".to_owned()),
    )
}

fn decoded(payload: Value) -> EmailSend {
    serde_json::from_value(payload).expect("it decodes")
}

fn mail(payload: Value) -> Result<Mail, Error> {
    let stationery = Stationery {
        settings: &settings(),
        templates: &Templates::default(),
        look: &Look::default(),
    };
    decoded(payload).into_mail(&stationery, "<id@example.com>".to_owned())
}

fn refusal(payload: Value) -> String {
    match mail(payload) {
        Ok(_) => panic!("it must be refused"),
        Err(error) => error.to_string(),
    }
}

fn app_with_mail(db: PgPool, url: &str) -> Result<App> {
    let smtp = SmtpConfig {
        url: url.into(),
        extra_root_pem: None,
        timeout: Duration::from_secs(5),
    };
    let mailer = Mailer::new(smtp)?;
    Ok(App {
        mailer: Some(Box::new(mailer)),
        email: EmailSource::new(|_| settings()),
        ..app(db, "http://127.0.0.1:9")
    })
}

/// A mail server for one mail, which it gives back.
async fn take_one_mail(listener: TcpListener) -> Result<String> {
    let (stream, _) = listener.accept().await?;
    let mut stream = BufStream::new(stream);
    stream.write_all(b"220 test\r\n").await?;
    stream.flush().await?;
    let mut mail: Option<String> = None;
    loop {
        let mut line = String::new();
        ensure!(stream.read_line(&mut line).await? > 0, "the client hung up");
        let reply = match &mut mail {
            Some(mail) if line == ".\r\n" => {
                stream.write_all(b"250 queued as FAKE1\r\n").await?;
                stream.flush().await?;
                return Ok(std::mem::take(mail));
            }
            Some(mail) => {
                mail.push_str(&line);
                continue;
            }
            None if line.starts_with("DATA") => {
                mail = Some(String::new());
                "354 go on\r\n"
            }
            None => "250 fine\r\n",
        };
        stream.write_all(reply.as_bytes()).await?;
        stream.flush().await?;
    }
}

#[test]
fn the_schema_takes_a_template_or_a_written_mail() {
    let accepts = |payload: Value| schema_accepts::<EmailSend>(&payload);
    let to = "a@example.com";

    assert!(accepts(
        json!({ "to": to, "template": "welcome", "data": { "name": "Ada" } })
    ));
    assert!(accepts(
        json!({ "to": [to, "Bob <b@example.com>"], "subject": "Hi", "text": "x" })
    ));
    assert!(accepts(
        json!({ "to": to, "subject": "Hi", "text": "x", "template": null })
    ));
    assert!(!accepts(json!({ "to": to })));
    assert!(!accepts(json!({ "to": to, "subject": "Hi" })));
    assert!(!accepts(
        json!({ "to": to, "template": "welcome", "subject": "Hi" })
    ));
    assert!(!accepts(
        json!({ "to": to, "template": "welcome", "dta": {} })
    ));
    assert!(!accepts(json!({ "to": [], "template": "welcome" })));
    assert!(!accepts(json!({ "template": "welcome" })));
}

#[test]
fn the_schema_knows_every_template_and_what_suits_it() {
    let accepts = |template: &str, data: Value| {
        let payload = json!({ "to": "a@example.com", "template": template, "data": data });
        schema_accepts::<EmailSend>(&payload)
    };
    let without_data = json!({ "to": "a@example.com", "template": "welcome" });

    for name in template_names() {
        let data = Templates::default().sample(name).expect("a known template");
        assert!(accepts(name, data), "{name}");
    }
    assert!(accepts(
        "welcome",
        json!({ "name": "Ada", "product": null })
    ));
    assert!(accepts(
        "plain",
        json!({ "subject": "Hi", "text": "One\n\n\ttwo" })
    ));
    assert!(accepts("own/spring-sale", json!({ "city": "Ulm" })));
    assert!(!accepts("own/../welcome", json!({})));
    assert!(!accepts("wellcome", json!({ "name": "Ada" })));
    assert!(!accepts("", json!({})));
    assert!(!accepts("welcome", json!({})));
    assert!(!accepts("welcome", json!({ "name": "Ada", "nmae": "Eve" })));
    assert!(!accepts("welcome", json!({ "name": " " })));
    assert!(!accepts("welcome", json!({ "name": "x".repeat(201) })));
    assert!(!accepts(
        "plain",
        json!({ "subject": "Hi\r\nX: y", "text": "x" })
    ));
    assert!(!accepts(
        "plain",
        json!({ "subject": "Hi", "text": "x\u{0}" })
    ));
    assert!(!schema_accepts::<EmailSend>(&without_data));
}

#[test]
fn the_schema_refuses_what_could_become_another_header_or_recipient() {
    let accepts = |payload: Value| schema_accepts::<EmailSend>(&payload);
    let injected = "a@example.com\r\nBcc: eve@example.com";

    assert!(!accepts(json!({ "to": injected, "template": "welcome" })));
    assert!(!accepts(
        json!({ "to": "a@example.com, b@example.com", "template": "welcome" })
    ));
    assert!(!accepts(
        json!({ "to": "a@example.com", "template": "welcome", "reply_to": injected })
    ));
    assert!(!accepts(
        json!({ "to": "a@example.com", "subject": "Hi\r\nX: y", "text": "x" })
    ));
    assert!(!accepts(
        json!({ "to": "a@example.com\u{0}", "template": "welcome" })
    ));
}

// Fails when a job is taken whose mail is refused for what stands in its headers.
#[test]
fn the_schema_takes_what_may_stand_in_a_header_and_nothing_else() {
    let with = |text: &str| {
        let data = json!({ "name": text });
        [
            json!({ "to": "a@example.com", "subject": text, "text": "x" }),
            json!({ "to": format!("{text} <a@example.com>"), "subject": "Hi", "text": "x" }),
            json!({ "to": "a@example.com", "template": "welcome", "data": data }),
        ]
    };
    let all = |text: &str, taken: bool| {
        for payload in with(text) {
            assert_eq!(schema_accepts::<EmailSend>(&payload), taken, "{payload}");
        }
        assert_eq!(is_header_text(text), taken, "{text}");
    };

    for text in ["Größe = 3? Yes", "a=?b", "?=a=?", "=?=", "متجر"] {
        all(text, true);
    }
    for text in [
        "=?utf-8?q?a=0D=0ABcc:_eve=40example.com?=",
        "a\u{85}b",
        "a\u{2028}b",
        "a\u{202e}b",
    ] {
        all(text, false);
    }
}

#[test]
fn a_template_becomes_a_mail_in_both_forms() {
    let payload =
        json!({ "to": "a@example.com", "template": "welcome", "data": { "name": "Ada" } });

    let mail = mail(payload).expect("sound");

    assert_eq!(mail.from, "Millpond <jobs@example.com>");
    assert_eq!(mail.reply_to.as_deref(), Some("team@example.com"));
    assert_eq!(mail.to, ["a@example.com"]);
    assert_eq!(mail.subject, "Welcome");
    assert!(mail.text.starts_with("Hello Ada,"));
    assert!(mail.html.is_some_and(|html| html.contains("Hello Ada")));
}

#[test]
fn a_written_mail_is_sent_as_it_is() {
    let payload = json!({ "to": ["a@example.com", "b@example.com"], "subject": "Hi", "text": "x",
        "reply_to": "me@example.com", "from": "Ada <JOBS@example.com>" });

    let mail = mail(payload).expect("sound");

    assert_eq!(mail.from, "Ada <JOBS@example.com>");
    assert_eq!(mail.reply_to.as_deref(), Some("me@example.com"));
    assert_eq!(mail.to, ["a@example.com", "b@example.com"]);
    assert_eq!(
        (mail.subject.as_str(), mail.text.as_str(), mail.html),
        ("Hi", "x", None)
    );
}

#[test]
fn what_came_by_sql_is_checked_too() {
    let to = "a@example.com";

    assert_eq!(
        refusal(json!({ "to": to, "subject": "Hi" })),
        "/text: is required where there is no template"
    );
    assert_eq!(
        refusal(json!({ "to": to, "template": "welcome", "text": "x" })),
        "/text: must not stand beside template"
    );
    assert_eq!(
        refusal(json!({ "to": [], "subject": "Hi", "text": "x" })),
        "/to: must be 1 to 50 addresses"
    );
    assert_eq!(
        refusal(json!({ "to": to, "template": "wellcome" })),
        "there is no template \"wellcome\"; known are alert, digest, needs_reauth, plain, sync_failed, token_expiring, \
         welcome"
    );
}

#[test]
fn nobody_sends_under_an_address_that_is_not_configured() {
    let told = refusal(json!({ "to": "a@example.com", "subject": "Hi", "text": "x",
        "from": "Millpond <ceo@example.com>" }));

    assert_eq!(
        told,
        "/from: must have the address that is configured as the sender's"
    );
}

#[test]
fn attempts_and_replays_share_an_identity_and_so_do_jobs_with_a_business_key() {
    let job = job_info(EmailSend::KIND, 1);
    let replay = JobInfo {
        replay_of: Some(job.id),
        ..job_info(EmailSend::KIND, 1)
    };
    let plain = decoded(json!({ "to": "a@example.com" }));
    let keyed = decoded(json!({ "to": "a@example.com", "business_key": "welcome-42" }));
    let identity = |email: &EmailSend, job: &JobInfo| email.identity(job).expect("sound");

    assert_eq!(identity(&plain, &job), identity(&plain, &replay));
    assert_eq!(
        identity(&keyed, &job),
        identity(&keyed, &job_info(EmailSend::KIND, 1))
    );
    assert_ne!(identity(&plain, &job), identity(&keyed, &job));
}

#[tokio::test]
async fn without_a_mail_server_the_set_up_is_to_blame() {
    let app = app(no_database(), "http://127.0.0.1:9");
    let email =
        decoded(json!({ "to": "a@example.com", "template": "welcome", "data": { "name": "Ada" } }));

    let failed = send(&app, &job_info(EmailSend::KIND, 1), email).await;

    let error = JobError::from(failed.expect_err("there is no server"));
    assert_eq!(error.class(), queue::ErrorClass::Config);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_mail_goes_out_and_leaves_a_receipt(db: PgPool) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("smtp://{}?tls=none", listener.local_addr()?);
    let app = app_with_mail(db.clone(), &url)?;
    let job = job_info(EmailSend::KIND, 1);
    let email = decoded(json!({ "to": "a@example.com", "subject": "Hi", "text": "x" }));

    let (mail, outcome) = tokio::join!(take_one_mail(listener), send(&app, &job, email));

    let message_id = MailIdentity::of_job(job.id).message_id("example.com");
    assert!(
        mail.context("the server got it")?
            .contains(&format!("Message-ID: {message_id}"))
    );
    let Ok(Outcome::SucceededWith(result)) = outcome else {
        panic!("the job is done: {outcome:?}");
    };
    assert_eq!(result["message_id"], message_id.as_str());
    assert_eq!(result["response"], "250 queued as FAKE1");
    assert_eq!(result["in_doubt"], false);
    let again = begin_send(
        &db,
        &MailIdentity::of_job(job.id),
        job.id,
        &message_id,
        None,
    )
    .await?;
    assert!(matches!(again, Begun::AlreadySent { .. }), "{again:?}");
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_mail_that_has_a_receipt_is_not_sent_again(db: PgPool) -> Result<()> {
    let job = job_info(EmailSend::KIND, 2);
    let identity = MailIdentity::of_job(job.id);
    begin_send(&db, &identity, job.id, "<first@example.com>", None).await?;
    record_sent(&db, &identity).await?;
    let app = app_with_mail(db.clone(), "smtp://127.0.0.1:9?tls=none")?;
    let email = decoded(json!({ "to": "a@example.com", "subject": "Hi", "text": "x" }));

    let outcome = send(&app, &job, email).await;

    let Ok(Outcome::SucceededWith(result)) = outcome else {
        panic!("the job is done: {outcome:?}");
    };
    assert_eq!(result["message_id"], "<first@example.com>");
    assert_eq!(result["already_sent"], true);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_server_that_cannot_be_reached_leaves_no_doubt(db: PgPool) -> Result<()> {
    let job = job_info(EmailSend::KIND, 1);
    let identity = MailIdentity::of_job(job.id);
    let app = app_with_mail(db.clone(), "smtp://127.0.0.1:9?tls=none")?;
    let email = decoded(json!({ "to": "a@example.com", "subject": "Hi", "text": "x" }));

    let failed = send(&app, &job, email).await;
    let again = begin_send(&db, &identity, job.id, "<other@example.com>", None).await?;

    let class = JobError::from(failed.expect_err("nobody listens")).class();
    assert_eq!(class, queue::ErrorClass::Transient);
    assert!(
        matches!(
            again,
            Begun::Send {
                in_doubt: false,
                ..
            }
        ),
        "{again:?}"
    );
    Ok(())
}

// Fails when a business key lets a second mail out after a crash between the server's answer and the receipt.
#[sqlx::test(migrations = "../../migrations")]
async fn a_mail_of_a_business_key_whose_receipt_was_lost_is_not_sent_again(
    db: PgPool,
) -> Result<()> {
    let job = job_info(EmailSend::KIND, 2);
    let identity = MailIdentity::of_business_key(job.tenant.as_deref(), "welcome-42");
    begin_send(&db, &identity, job.id, "<first@example.com>", None).await?;
    let app = app_with_mail(db, "smtp://127.0.0.1:9?tls=none")?;
    let email = decoded(
        json!({ "to": "a@example.com", "subject": "Hi", "text": "x", "business_key": "welcome-42" }),
    );

    let outcome = send(&app, &job, email).await;

    // A server that is asked cannot be reached here, which is no refusal.
    let error = JobError::from(outcome.expect_err("nobody knows whether it was sent"));
    assert_eq!(error.class(), queue::ErrorClass::Invalid);
    Ok(())
}

fn digest_for(address: &str) -> EmailSend {
    decoded(json!({ "to": address, "subject": "Hi", "text": "x", "topic": "digest" }))
}

// Fails when somebody who said no gets the next mail all the same, or no other sort any more.
#[sqlx::test(migrations = "../../migrations")]
async fn whoever_ended_a_sort_of_mail_gets_no_more_of_it(db: PgPool) -> Result<()> {
    let app = app_with_mail(db.clone(), "smtp://127.0.0.1:9?tls=none")?;
    let job = job_info(EmailSend::KIND, 1);
    unsubscribe(&app, "Ada@example.com", Topic::Digest).await?;

    let ended = send(&app, &job, digest_for("Ada <ada@EXAMPLE.com>")).await;
    let other = app.accounts.wants(None, "ada@example.com", Topic::Alerts);

    let Ok(Outcome::SucceededWith(result)) = ended else {
        panic!("the job is done: {ended:?}");
    };
    assert_eq!(result, json!({ "not_sent": "unsubscribed" }));
    assert!(other.await?);
    let sends: i64 = sqlx::query_scalar("SELECT count(*) FROM marketing.email_sends")
        .fetch_one(&db)
        .await?;
    assert_eq!(sends, 0);
    Ok(())
}

/// Ends a sort of mail as the person would, by the address in a mail.
async fn unsubscribe(app: &App, address: &str, topic: Topic) -> Result<()> {
    let url = app.accounts.unsubscribe_url(None, address, topic);
    let url = url.context("mails can be ended")?;
    let token = url.rsplit('/').next().context("it ends with a token")?;
    let subscription = app.accounts.subscription(token)?;
    app.accounts.unsubscribe(&subscription).await?;
    Ok(())
}

#[test]
fn a_mail_that_one_may_end_has_one_recipient() {
    let payload = json!({ "to": ["a@example.com", "b@example.com"], "subject": "Hi", "text": "x", "topic": "digest" });

    let refused = decoded(payload)
        .one_of()
        .err()
        .map(|error| error.to_string());

    assert_eq!(refused.as_deref(), Some("/topic: needs one address in to"));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_mail_of_a_sort_says_where_it_is_ended(db: PgPool) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("smtp://{}?tls=none", listener.local_addr()?);
    let app = app_with_mail(db, &url)?;
    let job = job_info(EmailSend::KIND, 1);

    let (mail, outcome) = tokio::join!(
        take_one_mail(listener),
        send(&app, &job, digest_for("ada@example.com"))
    );

    let mail = mail.context("the server got it")?;
    assert!(
        matches!(outcome, Ok(Outcome::SucceededWith(_))),
        "{outcome:?}"
    );
    assert!(
        mail.contains("\r\nList-Unsubscribe: <https://jobs.example.com/unsubscribe/"),
        "{mail}"
    );
    assert!(
        mail.contains("\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"),
        "{mail}"
    );
    Ok(())
}
