//! The mail server's dialogue, over real sockets, in the clear and encrypted.

use std::{fs, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpStream,
    time,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

use crate::{
    Fault, SmtpFault, SmtpStep,
    testing::{DEADLINE, Site},
};

const MAIL: &str = "Message-ID: <1@example.com>\r\nSubject: x\r\n\r\nhello\r\n..dots\r\n.\r\n";

/// A client that says one thing at a time.
struct Client<S> {
    stream: BufReader<S>,
}

impl Client<TcpStream> {
    async fn connect(site: &Site) -> Self {
        let stream = TcpStream::connect(site.sandbox.smtp_addr())
            .await
            .expect("a connection");
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// A connection that has been greeted and has said EHLO.
    async fn ready(site: &Site) -> Self {
        let mut client = Self::connect(site).await;
        client.hears().await;
        client.says("EHLO client.example.com").await;
        client
    }

    async fn start_tls(self, site: &Site) -> Client<TlsStream<TcpStream>> {
        encrypt(site, self.stream.into_inner()).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Says a line and hears the reply, all lines of it.
    async fn says(&mut self, line: &str) -> String {
        self.sends(&format!("{line}\r\n")).await;
        self.hears().await
    }

    async fn sends(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.expect("sent");
        self.stream.flush().await.expect("sent");
    }

    /// A whole reply; empty when the server hung up.
    async fn hears(&mut self) -> String {
        let mut reply = String::new();
        let heard = async {
            loop {
                let start = reply.len();
                let length = self.stream.read_line(&mut reply).await.unwrap_or(0);
                if length == 0 || reply.as_bytes().get(start + 3) != Some(&b'-') {
                    return;
                }
            }
        };
        time::timeout(DEADLINE, heard)
            .await
            .expect("a reply in time");
        reply
    }

    /// A mail from beginning to end; the reply to its final dot.
    async fn mails(&mut self) -> String {
        assert!(
            self.says("MAIL FROM:<a@example.com>")
                .await
                .starts_with("250")
        );
        assert!(
            self.says("RCPT TO:<b@example.com>")
                .await
                .starts_with("250")
        );
        assert!(self.says("DATA").await.starts_with("354"));
        self.sends(MAIL).await;
        self.hears().await
    }
}

async fn encrypt(site: &Site, stream: TcpStream) -> Client<TlsStream<TcpStream>> {
    let certificate = CertificateDer::from_pem_slice(site.sandbox.ca_certificate_pem().as_bytes());
    let mut roots = RootCertStore::empty();
    roots
        .add(certificate.expect("a certificate"))
        .expect("an authority");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await;
    Client {
        stream: BufReader::new(stream.expect("a handshake")),
    }
}

fn arm(site: &Site, fault: SmtpFault) {
    site.sandbox
        .faults()
        .add(Fault::Smtp(fault), Some(1))
        .expect("armed");
}

fn reply(at: SmtpStep, code: u16) -> SmtpFault {
    SmtpFault::Reply {
        at,
        code,
        text: None,
    }
}

#[tokio::test]
async fn a_mail_is_kept_as_it_was_written_with_its_envelope() {
    let site = Site::start().await;
    let mut client = Client::ready(&site).await;

    let reply = client.mails().await;
    let bye = client.says("QUIT").await;

    assert!(reply.starts_with("250"), "{reply}");
    assert!(bye.starts_with("221"), "{bye}");
    let mails = site.sandbox.ledger().mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].from, "a@example.com");
    assert_eq!(mails[0].to, ["b@example.com"]);
    assert_eq!(mails[0].message_id.as_deref(), Some("<1@example.com>"));
    assert!(!mails[0].tls);
    let text = fs::read_to_string(&mails[0].file).expect("a file");
    assert_eq!(
        text,
        "Message-ID: <1@example.com>\r\nSubject: x\r\n\r\nhello\r\n.dots\r\n"
    );
    assert_eq!(
        mails[0].file.extension().and_then(|end| end.to_str()),
        Some("eml")
    );
    assert_eq!(fs::read_dir(&site.mail_dir).expect("a folder").count(), 1);
    site.stop().await;
}

#[tokio::test]
async fn mails_sort_by_name_as_they_came() {
    let site = Site::start().await;
    let mut client = Client::ready(&site).await;

    for _ in 0..3 {
        client.mails().await;
    }

    let files: Vec<_> = site
        .sandbox
        .ledger()
        .mails()
        .into_iter()
        .map(|mail| mail.file)
        .collect();
    assert_eq!(files.len(), 3);
    assert!(files.is_sorted());
    site.stop().await;
}

#[tokio::test]
async fn commands_may_come_all_at_once() {
    let site = Site::start().await;
    let mut client = Client::ready(&site).await;
    let commands = "MAIL FROM:<>\r\nRCPT TO:<b@example.com>\r\nRCPT TO:<c@example.com>\r\nDATA\r\n";

    client.sends(commands).await;
    let mut codes = Vec::new();
    for _ in 0..4 {
        codes.push(client.hears().await[..3].to_owned());
    }
    client.sends(&format!("{MAIL}NOOP\r\nQUIT\r\n")).await;
    for _ in 0..3 {
        codes.push(client.hears().await[..3].to_owned());
    }

    assert_eq!(codes, ["250", "250", "250", "354", "250", "250", "221"]);
    assert_eq!(site.sandbox.ledger().mails()[0].to.len(), 2);
    site.stop().await;
}

#[tokio::test]
async fn commands_out_of_order_are_refused() {
    let site = Site::start().await;
    let mut client = Client::connect(&site).await;
    client.hears().await;

    let before_hello = client.says("MAIL FROM:<a@example.com>").await;
    let hello = client.says("HELO client").await;
    let no_mail = client.says("RCPT TO:<b@example.com>").await;
    client.says("MAIL FROM:<a@example.com>").await;
    let second = client.says("MAIL FROM:<a@example.com>").await;
    let no_recipient = client.says("DATA").await;
    let reset = client.says("RSET").await;
    let after_reset = client.says("RCPT TO:<b@example.com>").await;
    let unknown = client.says("BDAT 5").await;

    let replies = [
        before_hello,
        hello,
        no_mail,
        second,
        no_recipient,
        reset,
        after_reset,
        unknown,
    ];
    let codes: Vec<_> = replies.iter().map(|reply| &reply[..3]).collect();
    assert_eq!(
        codes,
        ["503", "250", "503", "503", "503", "250", "503", "500"]
    );
    site.stop().await;
}

#[tokio::test]
async fn a_bare_line_feed_ends_neither_a_mail_nor_a_line_of_it() {
    let site = Site::start().await;
    let mut client = Client::ready(&site).await;
    client.says("MAIL FROM:<a@example.com>").await;
    client.says("RCPT TO:<b@example.com>").await;
    client.says("DATA").await;

    client
        .sends("one\n.\nMAIL FROM:<evil@example.com>\r\n.\r\n")
        .await;
    let reply = client.hears().await;

    assert!(reply.starts_with("554"), "{reply}");
    assert!(site.sandbox.ledger().mails().is_empty());
    site.stop().await;
}

#[tokio::test]
async fn lines_and_sizes_are_bounded() {
    let site = Site::start().await;
    let mut client = Client::ready(&site).await;

    let long_command = client.says(&"x".repeat(20_000)).await;
    let large = client.says("MAIL FROM:<a@example.com> SIZE=30000000").await;
    client.says("MAIL FROM:<a@example.com>").await;
    client.says("RCPT TO:<b@example.com>").await;
    client.says("DATA").await;
    let long_line = client.says(&format!("{}\r\n.", "x".repeat(1_000))).await;

    assert!(long_command.starts_with("500"), "{long_command}");
    assert!(large.starts_with("552"), "{large}");
    assert!(long_line.starts_with("554"), "{long_line}");
    site.stop().await;
}

#[tokio::test]
async fn a_server_with_credentials_takes_mail_only_from_who_signed_in() {
    let site = Site::start_with(|config| {
        config.smtp_auth = Some(("user".to_owned(), "word".to_owned()));
    })
    .await;
    let mut client = Client::ready(&site).await;
    let wrong = STANDARD.encode("\0user\0other");
    let right = STANDARD.encode("\0user\0word");

    let stranger = client.says("MAIL FROM:<a@example.com>").await;
    let refused = client.says(&format!("AUTH PLAIN {wrong}")).await;
    let malformed = client.says("AUTH PLAIN ?").await;
    let welcome = client.says(&format!("AUTH PLAIN {right}")).await;
    let kept = client.mails().await;

    assert!(stranger.starts_with("530"), "{stranger}");
    assert!(refused.starts_with("535"), "{refused}");
    assert!(malformed.starts_with("501"), "{malformed}");
    assert!(welcome.starts_with("235"), "{welcome}");
    assert!(kept.starts_with("250"), "{kept}");
    assert_eq!(
        site.sandbox.ledger().mails()[0].user.as_deref(),
        Some("user")
    );
    site.stop().await;
}

#[tokio::test]
async fn signing_in_can_be_done_step_by_step() {
    let site = Site::start_with(|config| {
        config.smtp_auth = Some(("user".to_owned(), "word".to_owned()));
    })
    .await;
    let mut client = Client::ready(&site).await;

    let user = client.says("AUTH LOGIN").await;
    let password = client.says(&STANDARD.encode("user")).await;
    let welcome = client.says(&STANDARD.encode("word")).await;

    assert_eq!(user, "334 VXNlcm5hbWU6\r\n");
    assert_eq!(password, "334 UGFzc3dvcmQ6\r\n");
    assert!(welcome.starts_with("235"), "{welcome}");
    site.stop().await;
}

#[tokio::test]
async fn starttls_encrypts_and_forgets_what_was_said() {
    let site = Site::start().await;
    let mut client = Client::connect(&site).await;
    client.hears().await;
    let offer = client.says("EHLO client").await;
    let go = client.says("STARTTLS").await;

    let mut client = client.start_tls(&site).await;
    let forgotten = client.says("MAIL FROM:<a@example.com>").await;
    let hello = client.says("EHLO client").await;
    let kept = client.mails().await;

    assert!(
        offer.contains("250-STARTTLS") || offer.contains("250 STARTTLS"),
        "{offer}"
    );
    assert!(go.starts_with("220"), "{go}");
    assert!(forgotten.starts_with("503"), "{forgotten}");
    assert!(!hello.contains("STARTTLS"), "{hello}");
    assert!(kept.starts_with("250"), "{kept}");
    assert!(site.sandbox.ledger().mails()[0].tls);
    site.stop().await;
}

#[tokio::test]
async fn the_other_port_speaks_tls_from_the_first_byte() {
    let site = Site::start().await;
    let addr = site.sandbox.smtps_addr().expect("an address");
    let stream = TcpStream::connect(addr).await.expect("a connection");

    let mut client = encrypt(&site, stream).await;
    let greeting = client.hears().await;
    client.says("EHLO client").await;
    let kept = client.mails().await;

    assert!(greeting.starts_with("220"), "{greeting}");
    assert!(kept.starts_with("250"), "{kept}");
    site.stop().await;
}

#[tokio::test]
async fn a_fault_can_reply_at_any_step() {
    let site = Site::start().await;
    arm(&site, reply(SmtpStep::Connect, 421));
    let mut refused = Client::connect(&site).await;
    assert!(refused.hears().await.starts_with("421"));
    assert_eq!(refused.hears().await, "");

    let mut client = Client::ready(&site).await;
    arm(&site, reply(SmtpStep::Mail, 451));
    arm(&site, reply(SmtpStep::Rcpt, 550));
    arm(&site, reply(SmtpStep::Data, 452));
    arm(&site, reply(SmtpStep::FinalDot, 552));
    let mail = client.says("MAIL FROM:<a@example.com>").await;
    client.says("MAIL FROM:<a@example.com>").await;
    let rcpt = client.says("RCPT TO:<b@example.com>").await;
    client.says("RCPT TO:<b@example.com>").await;
    let data = client.says("DATA").await;
    client.says("DATA").await;
    client.sends(MAIL).await;
    let dot = client.hears().await;

    let replies = [mail, rcpt, data, dot];
    let codes: Vec<_> = replies.iter().map(|reply| &reply[..3]).collect();
    assert_eq!(codes, ["451", "550", "452", "552"]);
    assert!(site.sandbox.ledger().mails().is_empty());
    site.stop().await;
}

#[tokio::test]
async fn a_connection_dropped_after_the_final_dot_leaves_the_mail_kept_or_not() {
    let site = Site::start().await;

    arm(
        &site,
        SmtpFault::Drop {
            at: SmtpStep::FinalDot,
            keep: true,
        },
    );
    let kept = Client::ready(&site).await.mails().await;
    let after_keeping = site.sandbox.ledger().mails().len();
    arm(
        &site,
        SmtpFault::Drop {
            at: SmtpStep::FinalDot,
            keep: false,
        },
    );
    let lost = Client::ready(&site).await.mails().await;
    let after_losing = site.sandbox.ledger().mails().len();

    assert_eq!((kept.as_str(), lost.as_str()), ("", ""));
    assert_eq!((after_keeping, after_losing), (1, 1));
    site.stop().await;
}

#[tokio::test]
async fn starttls_can_be_stripped() {
    let site = Site::start().await;
    arm(&site, SmtpFault::StripStarttls);
    let mut client = Client::connect(&site).await;
    client.hears().await;

    let offer = client.says("EHLO client").await;
    let refused = client.says("STARTTLS").await;

    assert!(!offer.contains("STARTTLS"), "{offer}");
    assert!(refused.starts_with("502"), "{refused}");
    site.stop().await;
}

#[tokio::test]
async fn a_server_that_hangs_says_nothing_until_it_is_stopped() {
    let site = Site::start().await;
    arm(
        &site,
        SmtpFault::Hang {
            at: SmtpStep::Connect,
            wait_ms: 3_600_000,
        },
    );
    let mut client = Client::connect(&site).await;
    // Once a second connection is served, the first has met its fault.
    Client::ready(&site).await;

    site.stop().await;

    assert_eq!(client.hears().await, "");
}
