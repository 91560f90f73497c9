//! `email.send` over real SMTP to a server that keeps what it gets.

use anyhow::Context;
use serde_json::{Value, json};

use crate::harness::{World, eventually};

fn welcome() -> Value {
    json!({"kind": "email.send", "payload": {"template": "welcome", "to": "ada@example.com", "data": {"name": "Ada <b>"}}})
}

#[tokio::test]
async fn a_welcome_mail_arrives_as_text_and_html() -> anyhow::Result<()> {
    let world = World::new().await?;
    let (_program, client) = world.serve().await?;

    let id = client.enqueue(&welcome()).await?;
    client.in_state(&id, "succeeded").await?;

    let mails = world.mails()?;
    let mail = mails.first().context("a mail")?;
    assert_eq!(mails.len(), 1);
    for part in [
        "From: Millpond <jobs@example.com>",
        "To: ada@example.com",
        "multipart/alternative",
        "text/plain",
        "text/html",
    ] {
        assert!(mail.contains(part), "{part} in {mail}");
    }
    assert!(
        !mail.contains("Ada <b></"),
        "markup in the data is escaped in the HTML part"
    );
    Ok(())
}

#[tokio::test]
async fn a_passing_refusal_is_tried_again_under_the_same_message_id_and_a_final_one_is_dead()
-> anyhow::Result<()> {
    let world = World::new().await?;
    let (_program, client) = world.serve().await?;
    let later = json!({"target": "smtp", "fault": {"kind": "reply", "at": "rcpt", "code": 451, "text": "4.7.1 later"}, "times": 1});
    world.fault(&later).await?;

    let id = client.enqueue(&welcome()).await?;
    let done = client.in_state(&id, "succeeded").await?;
    let never = json!({"target": "smtp", "fault": {"kind": "reply", "at": "rcpt", "code": 550, "text": "5.1.1 unknown"}, "times": null});
    world.fault(&never).await?;
    let refused = client.enqueue(&welcome()).await?;
    let dead = client.in_state(&refused, "dead").await?;

    assert_eq!(done["attempts"][0]["error_class"], "transient");
    assert_eq!(
        (
            &dead["error_class"],
            dead["attempts"].as_array().map(Vec::len)
        ),
        (&json!("invalid"), Some(1))
    );
    let mails = world.mails()?;
    let mail = mails.first().context("a mail")?;
    assert!(
        mail.contains(&id.replace('-', "")) || mail.contains(&id),
        "the Message-ID is made of the job's id: {mail}"
    );
    Ok(())
}

#[tokio::test]
async fn a_mail_whose_receipt_was_lost_keeps_its_message_id() -> anyhow::Result<()> {
    let world = World::new().await?;
    let (_program, client) = world.serve().await?;
    world.fault(&json!({"target": "smtp", "fault": {"kind": "drop", "at": "final_dot", "keep": true}, "times": 1})).await?;

    let id = client.enqueue(&welcome()).await?;
    client.in_state(&id, "succeeded").await?;
    let mails = eventually("both copies are there", || async {
        let mails = world.mails()?;
        Ok((mails.len() == 2).then_some(mails))
    })
    .await?;

    let message_ids: Vec<_> = mails
        .iter()
        .filter_map(|mail| mail.lines().find(|line| line.starts_with("Message-ID:")))
        .collect();
    assert_eq!(message_ids.len(), 2);
    assert_eq!(message_ids[0], message_ids[1]);
    Ok(())
}

// Fails when a key that lets one mail out lets out a second, because the server's answer to the first was lost.
#[tokio::test]
async fn a_mail_with_a_business_key_goes_out_once_though_its_answer_was_lost() -> anyhow::Result<()>
{
    let world = World::new().await?;
    let (_program, client) = world.serve().await?;
    world.fault(&json!({"target": "smtp", "fault": {"kind": "drop", "at": "final_dot", "keep": true}, "times": 1})).await?;
    let mut job = welcome();
    job["payload"]["business_key"] = json!("welcome-42");

    let first = client.enqueue(&job).await?;
    let dead = client.in_state(&first, "dead").await?;
    let second = client.enqueue(&job).await?;
    client.in_state(&second, "dead").await?;
    let mails = eventually("the mail is there", || async {
        let mails = world.mails()?;
        Ok((!mails.is_empty()).then_some(mails))
    })
    .await?;

    assert_eq!(mails.len(), 1);
    assert_eq!(dead["error_class"], "invalid");
    assert_eq!(dead["attempts"][0]["error_class"], "transient");
    let told = dead["error"].as_str().context("an error")?;
    let message_id = told.split_whitespace().find(|word| word.starts_with('<'));
    assert!(message_id.is_some_and(|id| mails[0].contains(id)), "{told}");
    Ok(())
}

#[tokio::test]
async fn a_header_in_a_name_or_an_address_reaches_nobody() -> anyhow::Result<()> {
    let world = World::new().await?;
    let (_program, client) = world.serve().await?;
    let injected = json!({"kind": "email.send", "payload": {"to": "a@example.com\r\nBcc: b@example.com", "subject": "x", "text": "y"}});

    let answer = client.post("/v1/jobs", &injected).await?;
    if let Some(id) = answer.body["id"].as_str() {
        client.in_state(id, "dead").await?;
    }

    assert!(world.mails()?.is_empty());
    Ok(())
}
