//! A mail server that says what it is told to, for the tests in the files beside.

mod delivery;
mod message;

use std::{future::pending, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::{Mail, Mailer, SmtpConfig};

fn mail() -> Mail {
    Mail {
        from: "Millpond <jobs@example.com>".to_owned(),
        reply_to: None,
        to: vec!["ada@example.com".to_owned()],
        subject: "Hello".to_owned(),
        text: "Hello Ada,\n.\nRSET\n".to_owned(),
        html: None,
        message_id: "<0192f7c4@example.com>".to_owned(),
        auto_submitted: false,
        unsubscribe: None,
    }
}

/// What the server does when a step comes: a command's verb, `CONNECT`, or `.` for the end of the mail.
#[derive(Clone, Copy)]
enum Answer {
    Reply(&'static str),
    Silence,
    HangUp,
}

/// A mail server on a loopback port.
struct Server {
    url: String,
    /// Every line that clients sent.
    lines: mpsc::Receiver<String>,
}

impl Server {
    /// A server that is content with everything but what `odd` names.
    async fn start(odd: &'static [(&'static str, Answer)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (sender, lines) = mpsc::channel(1_000);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                converse(socket, odd, &sender).await;
            }
        });
        Self {
            url: format!("smtp://127.0.0.1:{port}?tls=none"),
            lines,
        }
    }

    fn mailer(&self) -> Mailer {
        self.mailer_within(Duration::from_secs(10))
    }

    fn mailer_within(&self, timeout: Duration) -> Mailer {
        Mailer::new(SmtpConfig {
            url: self.url.as_str().into(),
            extra_root_pem: None,
            timeout,
        })
        .expect("a mailer")
    }

    fn heard(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.lines.try_recv().ok()).collect()
    }
}

/// One connection, until either side hangs up.
async fn converse(
    socket: TcpStream,
    odd: &'static [(&'static str, Answer)],
    heard: &mpsc::Sender<String>,
) {
    let mut socket = BufReader::new(socket);
    let mut step = "CONNECT".to_owned();
    let mut is_body = false;
    loop {
        if !is_body || step == "." {
            let odd = odd.iter().find(|(name, _)| *name == step);
            let answer = odd.map_or(Answer::Reply(usual(&step)), |(_, answer)| *answer);
            match answer {
                Answer::Reply(text) => {
                    let reply = format!("{text}\r\n");
                    if socket.write_all(reply.as_bytes()).await.is_err() {
                        return;
                    }
                    is_body = step == "DATA" && text.starts_with('3');
                }
                Answer::Silence => pending::<()>().await,
                Answer::HangUp => return,
            }
        }
        let mut line = String::new();
        match socket.read_line(&mut line).await {
            Ok(read) if read > 0 => {}
            _ => return,
        }
        let line = line.trim_end().to_owned();
        step = if is_body { line.clone() } else { verb(&line) };
        if heard.send(line).await.is_err() {
            return;
        }
    }
}

fn verb(line: &str) -> String {
    line.chars().take(4).collect::<String>().to_uppercase()
}

fn usual(step: &str) -> &'static str {
    match step {
        "CONNECT" => "220 ready",
        "EHLO" => "250-mail.example\r\n250 AUTH PLAIN LOGIN",
        "AUTH" => "235 welcome",
        "DATA" => "354 go on",
        "QUIT" => "221 bye",
        "." => "250 2.0.0 queued as 42",
        _ => "250 ok",
    }
}
