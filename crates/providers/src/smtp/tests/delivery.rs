//! The mailer against a mail server with odd answers.

use std::time::Duration;

use tokio::net::TcpListener;

use super::{Answer, Server, mail};
use crate::{
    error::Error,
    mail::MailTransport as _,
    smtp::{Mailer, SmtpConfig},
};

/// The failure of a mail when one step is odd.
async fn failure_at(odd: &'static [(&'static str, Answer)]) -> Error {
    let server = Server::start(odd).await;
    let mailer = server.mailer_within(Duration::from_millis(500));
    mailer.send(&mail()).await.expect_err("a failure")
}

#[tokio::test]
async fn a_mail_arrives_with_its_dots_and_its_one_recipient() {
    let mut server = Server::start(&[]).await;

    let sent = server.mailer().send(&mail()).await.expect("it is sent");

    assert_eq!(sent.response, "250 2.0.0 queued as 42");
    let heard = server.heard();
    let count = |text: &str| heard.iter().filter(|line| line.as_str() == text).count();
    assert_eq!(count("MAIL FROM:<jobs@example.com>"), 1);
    assert_eq!(
        heard
            .iter()
            .filter(|line| line.starts_with("RCPT TO:"))
            .count(),
        1
    );
    assert_eq!(count("Message-ID: <0192f7c4@example.com>"), 1);
    // The lone dot of the text was doubled, so its next line is text and no command.
    assert_eq!(count(".."), 1);
    assert_eq!(count("."), 1);
    assert_eq!(count("RSET"), 1);
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_mail() {
    let mut server = Server::start(&[]).await;
    let mailer = server.mailer();

    mailer.send(&mail()).await.expect("it is sent");
    mailer.send(&mail()).await.expect("it is sent");

    let heard = server.heard();
    assert_eq!(
        heard.iter().filter(|line| line.starts_with("EHLO")).count(),
        1
    );
    assert_eq!(
        heard.iter().filter(|line| line.starts_with("MAIL")).count(),
        2
    );
}

#[tokio::test]
async fn refusals_for_now_are_passing_trouble() {
    for odd in [
        &[("CONNECT", Answer::Reply("421 later"))],
        &[("MAIL", Answer::Reply("450 later"))],
        &[("RCPT", Answer::Reply("451 greylisted"))],
        &[("DATA", Answer::Reply("452 no room"))],
        &[(".", Answer::Reply("451 later"))],
    ] {
        let error = failure_at(odd).await;

        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
        assert!(!error.maybe_received(), "{error}");
    }
}

#[tokio::test]
async fn refusals_for_good_keep_their_code_and_no_address() {
    for (odd, code) in [
        (&[("MAIL", Answer::Reply("550 no"))], "550"),
        (
            &[("RCPT", Answer::Reply("550 <ada@example.com> is unknown"))],
            "550",
        ),
        (&[(".", Answer::Reply("552 too large"))], "552"),
    ] {
        let error = failure_at(odd).await;

        assert!(matches!(error, Error::Rejected { .. }), "{error}");
        assert_eq!(error.detail().code.as_deref(), Some(code));
        assert!(!format!("{error:?}").contains("ada@"), "{error:?}");
    }
}

// Fails when a mail is given up for what the server has against all of them.
#[tokio::test]
async fn a_refusal_for_good_before_any_mail_is_passing_trouble() {
    for odd in [
        &[("CONNECT", Answer::Reply("554 not from there"))],
        &[("EHLO", Answer::Reply("550 not you"))],
    ] {
        let error = failure_at(odd).await;

        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
        assert!(!error.maybe_received(), "{error}");
    }
}

#[tokio::test]
async fn a_wrong_login_is_our_own_set_up() {
    for (odd, code) in [
        (&[("AUTH", Answer::Reply("535 who are you"))], "535"),
        (&[("AUTH", Answer::Reply("550 no more of you"))], "550"),
    ] {
        let mut server = Server::start(odd).await;
        server.url = server.url.replace("smtp://", "smtp://user:wrong@");

        let error = server.mailer().send(&mail()).await.expect_err("a failure");

        assert!(matches!(error, Error::Config { .. }), "{error}");
        assert_eq!(error.detail().code.as_deref(), Some(code));
    }
}

#[tokio::test]
async fn without_tls_nothing_is_said_about_the_mail() {
    let mut server = Server::start(&[]).await;
    server.url = server
        .url
        .replace("?tls=none", "")
        .replace("smtp://", "smtp://user:password@");

    let error = server.mailer().send(&mail()).await.expect_err("a failure");

    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    let heard = server.heard();
    assert!(
        heard.iter().all(|line| line.starts_with("EHLO")),
        "{heard:?}"
    );
}

#[tokio::test]
async fn silence_before_the_mail_leaves_no_doubt_and_silence_after_it_does() {
    for odd in [
        &[("CONNECT", Answer::Silence)],
        &[("EHLO", Answer::Silence)],
        &[("MAIL", Answer::Silence)],
        &[("RCPT", Answer::Silence)],
        &[("DATA", Answer::Silence)],
    ] {
        let error = failure_at(odd).await;

        assert!(matches!(error, Error::TimedOut { .. }), "{error}");
        assert!(!error.maybe_received(), "{error}");
    }
    let error = failure_at(&[(".", Answer::Silence)]).await;
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    assert!(error.maybe_received());
}

#[tokio::test]
async fn a_server_that_hangs_up_after_the_mail_leaves_doubt() {
    let before = failure_at(&[("RCPT", Answer::HangUp)]).await;
    let after = failure_at(&[(".", Answer::HangUp)]).await;

    assert!(matches!(before, Error::Unavailable { .. }), "{before}");
    assert!(!before.maybe_received());
    assert!(matches!(after, Error::Unavailable { .. }), "{after}");
    assert!(after.maybe_received());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_passing_trouble() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let mailer = Mailer::new(SmtpConfig {
        url: format!("smtp://127.0.0.1:{port}?tls=none").into(),
        extra_root_pem: None,
        timeout: Duration::from_secs(10),
    })
    .expect("a mailer");

    let error = mailer.send(&mail()).await.expect_err("a failure");

    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(!error.maybe_received());
}
