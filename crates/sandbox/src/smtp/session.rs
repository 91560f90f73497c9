//! One dialogue: what was said so far, what may be said next, and what a fault makes of it.

use std::time::Duration;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time,
};

use super::{
    MailServer,
    auth::{self, SignIn},
    command::Command,
    wire::{Line, Wire, WireError},
};
use crate::faults::{SmtpFault, SmtpStep};

/// What the server calls itself.
const NAME: &str = "sandbox.millpond.test";
/// Longest command line, the parameters of our extensions included.
const MOST_COMMAND_BYTES: usize = 12_288;
/// Largest mail: 25 MiB.
pub(super) const MOST_MAIL_BYTES: usize = 25 << 20;
/// Most recipients of one mail.
const MOST_RECIPIENTS: usize = 100;
/// Wrong passwords after which the server hangs up.
const MOST_WRONG_PASSWORDS: u8 = 3;

/// How a dialogue ended.
pub(super) enum End {
    Closed,
    /// The client was told to begin a TLS handshake.
    StartTls,
}

/// What follows a command.
pub(super) enum Next {
    Go,
    End(End),
}

/// A dialogue, on one side of a TLS handshake.
pub(super) struct Session<'s> {
    pub(super) server: &'s MailServer,
    pub(super) is_tls: bool,
    is_greeted: bool,
    /// A fault has cut STARTTLS out.
    is_stripped: bool,
    pub(super) user: Option<String>,
    wrong_passwords: u8,
    pub(super) envelope: Option<Envelope>,
}

/// What was said of a mail before it is sent.
pub(super) struct Envelope {
    pub(super) from: String,
    pub(super) to: Vec<String>,
}

impl<'s> Session<'s> {
    pub(super) fn new(server: &'s MailServer, is_tls: bool) -> Self {
        Self {
            server,
            is_tls,
            is_greeted: false,
            is_stripped: false,
            user: None,
            wrong_passwords: 0,
            envelope: None,
        }
    }

    /// Greets a new connection and serves it.
    ///
    /// # Errors
    /// [`WireError`] when the connection ends without QUIT.
    pub(super) async fn greet_and_run<S>(&mut self, wire: &mut Wire<S>) -> Result<End, WireError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        // Whatever a fault says instead of the greeting, nothing can follow it.
        if self.strike(wire, SmtpStep::Connect).await?.is_some() {
            return Ok(End::Closed);
        }
        wire.reply(220, &format!("{NAME} ESMTP Millpond sandbox"))
            .await?;
        self.run(wire).await
    }

    /// Serves a connection that has been greeted.
    ///
    /// # Errors
    /// [`WireError`] when the connection ends without QUIT.
    pub(super) async fn run<S>(&mut self, wire: &mut Wire<S>) -> Result<End, WireError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            let line = match wire.read_line(MOST_COMMAND_BYTES).await? {
                Line::Whole { bytes, .. } => bytes,
                Line::TooLong => {
                    wire.reply(500, "5.5.2 line too long").await?;
                    continue;
                }
            };
            let next = match Command::parse(&line) {
                Ok(command) => self.obey(wire, command).await?,
                Err((code, text)) => {
                    wire.reply(code, text).await?;
                    Next::Go
                }
            };
            if let Next::End(end) = next {
                return Ok(end);
            }
        }
    }

    async fn obey<S>(&mut self, wire: &mut Wire<S>, command: Command) -> Result<Next, WireError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if let Some(step) = command.step()
            && let Some(next) = self.strike(wire, step).await?
        {
            return Ok(next);
        }
        match command {
            Command::Hello { extended } => self.hello(wire, extended).await?,
            Command::StartTls => return self.start_tls(wire).await,
            Command::Auth { mechanism, initial } => {
                return self.sign_in(wire, &mechanism, initial).await;
            }
            Command::Mail { from, size_bytes } => {
                let (code, text) = self.begin_mail(from, size_bytes);
                wire.reply(code, text).await?;
            }
            Command::Rcpt { to } => {
                let (code, text) = self.add_recipient(to);
                wire.reply(code, text).await?;
            }
            Command::Data => return self.receive_mail(wire).await,
            Command::Reset => {
                self.envelope = None;
                wire.reply(250, "2.0.0 ok").await?;
            }
            Command::Noop => wire.reply(250, "2.0.0 ok").await?,
            Command::Verify => wire.reply(252, "2.1.5 send and see").await?,
            Command::Quit => {
                wire.reply(221, "2.0.0 bye").await?;
                return Ok(Next::End(End::Closed));
            }
        }
        Ok(Next::Go)
    }

    /// Lets a fault strike that is armed for this step; `None` when the step is to be taken as
    /// ever.
    async fn strike<S>(
        &mut self,
        wire: &mut Wire<S>,
        step: SmtpStep,
    ) -> Result<Option<Next>, WireError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match self.server.faults.take_smtp(step) {
            None => Ok(None),
            Some(SmtpFault::Reply { code, text, .. }) => {
                reply_as_told(wire, code, text).await.map(Some)
            }
            Some(SmtpFault::Hang { wait_ms, .. }) => {
                time::sleep(Duration::from_millis(wait_ms)).await;
                Ok(None)
            }
            Some(SmtpFault::Drop { .. }) => Ok(Some(Next::End(End::Closed))),
            Some(SmtpFault::StripStarttls) => {
                self.is_stripped = true;
                Ok(None)
            }
        }
    }

    async fn hello<S>(&mut self, wire: &mut Wire<S>, extended: bool) -> Result<(), WireError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.is_greeted = true;
        self.envelope = None;
        if !extended {
            return wire.reply(250, NAME).await;
        }
        let size = format!("SIZE {MOST_MAIL_BYTES}");
        let mut lines = vec![
            NAME,
            "PIPELINING",
            "8BITMIME",
            "ENHANCEDSTATUSCODES",
            size.as_str(),
        ];
        if self.offers_tls() {
            lines.push("STARTTLS");
        }
        if self.server.credentials.is_some() {
            lines.push("AUTH PLAIN LOGIN");
        }
        wire.reply_lines(250, &lines).await
    }

    fn offers_tls(&self) -> bool {
        !self.is_tls && !self.is_stripped
    }

    async fn start_tls<S>(&mut self, wire: &mut Wire<S>) -> Result<Next, WireError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if !self.offers_tls() {
            wire.reply(502, "5.5.1 STARTTLS is not offered").await?;
            return Ok(Next::Go);
        }
        wire.reply(220, "2.0.0 go ahead").await?;
        Ok(Next::End(End::StartTls))
    }

    async fn sign_in<S>(
        &mut self,
        wire: &mut Wire<S>,
        mechanism: &str,
        initial: Option<String>,
    ) -> Result<Next, WireError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let server = self.server;
        let Some(credentials) = &server.credentials else {
            wire.reply(502, "5.5.1 AUTH is not offered").await?;
            return Ok(Next::Go);
        };
        if !self.is_greeted || self.user.is_some() || self.envelope.is_some() {
            wire.reply(503, "5.5.1 not now").await?;
            return Ok(Next::Go);
        }
        let (code, text) = match auth::sign_in(wire, mechanism, initial, credentials).await? {
            SignIn::Accepted(user) => {
                self.user = Some(user);
                (235, "2.7.0 welcome")
            }
            SignIn::Wrong => {
                self.wrong_passwords += 1;
                (535, "5.7.8 wrong user or password")
            }
            SignIn::Malformed => (501, "5.5.2 not what the mechanism expects"),
            SignIn::Cancelled => (501, "5.7.0 cancelled"),
            SignIn::UnknownMechanism => (504, "5.5.4 unknown mechanism"),
        };
        wire.reply(code, text).await?;
        if self.wrong_passwords < MOST_WRONG_PASSWORDS {
            return Ok(Next::Go);
        }
        wire.reply(421, "4.7.0 too many wrong passwords").await?;
        Ok(Next::End(End::Closed))
    }

    fn begin_mail(&mut self, from: String, size_bytes: Option<u64>) -> (u16, &'static str) {
        if !self.is_greeted {
            return (503, "5.5.1 say EHLO first");
        }
        if self.server.credentials.is_some() && self.user.is_none() {
            return (530, "5.7.0 sign in first");
        }
        if self.envelope.is_some() {
            return (503, "5.5.1 one mail at a time");
        }
        if size_bytes.is_some_and(|size| size > MOST_MAIL_BYTES as u64) {
            return (552, "5.3.4 the mail is too large");
        }
        self.envelope = Some(Envelope {
            from,
            to: Vec::new(),
        });
        (250, "2.1.0 ok")
    }

    fn add_recipient(&mut self, to: String) -> (u16, &'static str) {
        match &mut self.envelope {
            None => (503, "5.5.1 say MAIL first"),
            Some(envelope) if envelope.to.len() == MOST_RECIPIENTS => {
                (452, "4.5.3 too many recipients")
            }
            Some(envelope) => {
                envelope.to.push(to);
                (250, "2.1.5 ok")
            }
        }
    }
}

/// A reply that a fault asks for; after 421 the server hangs up, as it says with it.
pub(super) async fn reply_as_told<S>(
    wire: &mut Wire<S>,
    code: u16,
    text: Option<String>,
) -> Result<Next, WireError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let text = text.unwrap_or_else(|| "as a fault asked for".to_owned());
    // A text of several lines would be several replies.
    let text = text.replace(['\r', '\n'], " ");
    wire.reply(code, &text).await?;
    Ok(if code == 421 {
        Next::End(End::Closed)
    } else {
        Next::Go
    })
}
