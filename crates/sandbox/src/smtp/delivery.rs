//! DATA and what comes of it: the mail is kept and the final dot answered, each unless a fault says
//! otherwise.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time,
};

use super::{
    data::{self, Received},
    mailbox,
    session::{End, Envelope, MOST_MAIL_BYTES, Next, Session, reply_as_told},
    wire::{Wire, WireError},
};
use crate::{
    clock,
    faults::{SmtpFault, SmtpStep},
    ledger::Mail,
};

impl Session<'_> {
    /// Takes the mail that DATA announces.
    ///
    /// # Errors
    /// [`WireError`] when the connection ends before the mail does.
    pub(super) async fn receive_mail<S>(&mut self, wire: &mut Wire<S>) -> Result<Next, WireError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Some(envelope) = self.envelope.take_if(|envelope| !envelope.to.is_empty()) else {
            wire.reply(503, "5.5.1 say MAIL and RCPT first").await?;
            return Ok(Next::Go);
        };
        wire.reply(354, "end with a dot on a line of its own")
            .await?;
        match data::receive(wire, MOST_MAIL_BYTES).await? {
            Received::TooLarge => wire.reply(552, "5.3.4 the mail is too large").await?,
            Received::Malformed(why) => wire.reply(554, why).await?,
            Received::Mail(mail) => return self.settle(wire, envelope, &mail).await,
        }
        Ok(Next::Go)
    }

    /// Keeps the mail and answers the final dot, each unless a fault says otherwise.
    async fn settle<S>(
        &self,
        wire: &mut Wire<S>,
        envelope: Envelope,
        mail: &[u8],
    ) -> Result<Next, WireError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let fault = self.server.faults.take_smtp(SmtpStep::FinalDot);
        let is_kept = match &fault {
            Some(SmtpFault::Reply { code, .. }) => *code < 400,
            Some(SmtpFault::Drop { keep, .. }) => *keep,
            Some(SmtpFault::Hang { .. } | SmtpFault::StripStarttls) | None => true,
        };
        if is_kept && let Err(error) = self.keep(envelope, mail).await {
            tracing::warn!(%error, "cannot keep a mail");
            wire.reply(451, "4.3.0 cannot keep the mail").await?;
            return Ok(Next::Go);
        }
        match fault {
            Some(SmtpFault::Reply { code, text, .. }) => {
                return reply_as_told(wire, code, text).await;
            }
            Some(SmtpFault::Drop { .. }) => return Ok(Next::End(End::Closed)),
            Some(SmtpFault::Hang { wait_ms, .. }) => {
                time::sleep(Duration::from_millis(wait_ms)).await;
            }
            Some(SmtpFault::StripStarttls) | None => {}
        }
        wire.reply(250, "2.0.0 kept").await?;
        Ok(Next::Go)
    }

    async fn keep(&self, envelope: Envelope, mail: &[u8]) -> io::Result<()> {
        let file = self.server.mailbox.keep(mail).await?;
        self.server.ledger.add_mail(Mail {
            at: clock::now(),
            file,
            from: envelope.from,
            to: envelope.to,
            message_id: mailbox::message_id(mail),
            size_bytes: mail.len(),
            tls: self.is_tls,
            user: self.user.clone(),
        });
        Ok(())
    }
}
