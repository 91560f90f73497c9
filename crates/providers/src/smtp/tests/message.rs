//! What a mail looks like on the wire, and which mails are refused before there is a wire.

use super::mail;
use crate::{
    error::Error,
    smtp::{Mail, message::compose},
};

fn formatted(mail: &Mail) -> String {
    let message = compose(mail).expect("the mail is right");
    String::from_utf8(message.formatted()).expect("mails are ASCII")
}

/// The member that a mail is refused for.
fn refused(mail: &Mail) -> String {
    let Err(Error::Rejected { detail }) = compose(mail) else {
        panic!("the mail is taken");
    };
    let (member, _) = detail.message.split_once(' ').expect("a member");
    member.to_owned()
}

#[test]
fn a_mail_has_its_headers_and_both_forms() {
    let text = formatted(&Mail {
        reply_to: Some("Team <team@example.com>".to_owned()),
        html: Some("<p>Hello</p>".to_owned()),
        auto_submitted: true,
        ..mail()
    });

    for line in [
        "From: Millpond <jobs@example.com>\r\n",
        "Reply-To: Team <team@example.com>\r\n",
        "To: ada@example.com\r\n",
        "Subject: Hello\r\n",
        "Message-ID: <0192f7c4@example.com>\r\n",
        "Auto-Submitted: auto-generated\r\n",
        "Content-Type: multipart/alternative;",
        "Content-Type: text/plain; charset=utf-8\r\n",
        "Content-Type: text/html; charset=utf-8\r\n",
        "Date: ",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

// Fails when a reader of mail finds no address to post to, or half of one.
#[test]
fn a_mail_that_one_can_end_says_where_in_one_piece() {
    let url = format!("https://jobs.example.com/unsubscribe/{}", "x".repeat(400));

    let text = formatted(&Mail {
        unsubscribe: Some(url.clone()),
        ..mail()
    });

    assert!(
        text.contains(&format!("\r\nList-Unsubscribe: <{url}>\r\n")),
        "{text}"
    );
    assert!(
        text.contains("\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"),
        "{text}"
    );
    assert!(!formatted(&mail()).contains("List-Unsubscribe"));
}

#[test]
fn a_subject_outside_ascii_is_encoded() {
    let text = formatted(&Mail {
        subject: "Grüße aus Köln".to_owned(),
        ..mail()
    });

    assert!(text.contains("Subject: =?utf-8?b?"), "{text}");
}

#[test]
fn a_domain_outside_ascii_goes_out_in_ascii() {
    let message = compose(&Mail {
        to: vec!["ada@bücher.example".to_owned()],
        ..mail()
    })
    .expect("the mail is right");

    assert_eq!(
        message.envelope().to()[0].to_string(),
        "ada@xn--bcher-kva.example"
    );
}

#[test]
fn control_characters_are_refused_by_the_member_they_are_in() {
    for forged in ["a\r\nBcc: eve@example.com", "a\nb", "a\rb", "a\0b"] {
        let address = format!("{forged} <ada@example.com>");

        assert_eq!(
            refused(&Mail {
                subject: forged.to_owned(),
                ..mail()
            }),
            "subject"
        );
        assert_eq!(
            refused(&Mail {
                from: address.clone(),
                ..mail()
            }),
            "from"
        );
        assert_eq!(
            refused(&Mail {
                reply_to: Some(address.clone()),
                ..mail()
            }),
            "reply_to"
        );
        assert_eq!(
            refused(&Mail {
                to: vec![address],
                ..mail()
            }),
            "to"
        );
        assert_eq!(
            refused(&Mail {
                unsubscribe: Some(format!("https://example.com/{forged}")),
                ..mail()
            }),
            "unsubscribe"
        );
        assert_eq!(
            refused(&Mail {
                message_id: format!("<{forged}@x>"),
                ..mail()
            }),
            "message_id"
        );
    }
}

#[test]
fn encoded_words_are_refused() {
    let forged = "=?utf-8?q?a=0D=0ABcc:_eve=40example.com?=";

    assert_eq!(
        refused(&Mail {
            subject: forged.to_owned(),
            ..mail()
        }),
        "subject"
    );
    assert_eq!(
        refused(&Mail {
            to: vec![format!("{forged} <ada@example.com>")],
            ..mail()
        }),
        "to"
    );
}

#[test]
fn an_address_is_one_address() {
    for odd in [
        "",
        "ada",
        "ada@",
        "@example.com",
        "ada@example.com, eve@example.com",
        "<ada@example.com> <eve@example.com>",
        "ada@example.com>\u{20}NOTIFY=NEVER",
        "\"a> RCPT TO:<eve\"@example.com",
        "ada@example..com",
    ] {
        assert_eq!(
            refused(&Mail {
                to: vec![odd.to_owned()],
                ..mail()
            }),
            "to",
            "{odd}"
        );
    }
}

#[test]
fn a_mail_has_one_to_a_hundred_recipients() {
    let many = vec!["ada@example.com".to_owned(); 101];

    assert_eq!(
        refused(&Mail {
            to: Vec::new(),
            ..mail()
        }),
        "to"
    );
    assert_eq!(refused(&Mail { to: many, ..mail() }), "to");
}
