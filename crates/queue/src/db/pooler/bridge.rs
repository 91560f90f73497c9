//! A bridge to a pooler that does not keep what was prepared: a port of this machine, behind which a [`Carrier`] stands
//! between the driver and the pooler. It has a thread and a runtime of its own, since leases are renewed over it.

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream, UnixStream},
    task::{AbortHandle, JoinSet, yield_now},
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use super::{
    address::invalid,
    carrier::{Carrier, text},
};
use crate::db::DatabaseError;

/// The startup parameter by which the bridge knows its own side: a port of loopback is open to the whole machine.
const PASSWORD: &str = "millpond.bridge";
/// Startup parameters that a server understands and a pooler refuses.
const OPTIONS: &[u8] = b"options";
const DIGITS: &[u8] = b"extra_float_digits";
/// Version 3.0 of the protocol.
const PROTOCOL: [u8; 4] = [0, 3, 0, 0];
/// The longest startup message, in bytes: as PostgreSQL has it.
const LONGEST_STARTUP: u32 = 10_000;
/// The longest message, in bytes: as PostgreSQL has it.
const LONGEST_MESSAGE: u32 = 0x3fff_ffff;
/// Longest wait for a startup message: the driver sends it as soon as it is connected.
const HELLO: Duration = Duration::from_secs(3);
/// Most who have not said yet who they are. They have places of their own, so that strangers take none of ours, and few
/// enough to leave the process its files.
const KNOCKING: usize = 100;
/// Longest wait for the pooler to take a connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most connections at a time, many times what the pools of a process hold.
const MOST: usize = 1_000;
/// What is collected before it is passed on, and kept for the next message, in bytes.
const BUFFER: usize = 64 * 1024;
/// Wait after a connection that could not be accepted: there are too many open files.
const CROWDED: Duration = Duration::from_millis(100);

/// Ends with its last user, and with it all connections over it.
#[derive(Debug)]
pub(super) struct Bridge {
    port: u16,
    password: SecretString,
    _until_dropped: DropGuard,
}

/// Where the pooler listens.
#[derive(Debug)]
enum Pier {
    Socket(PathBuf),
    Port(String, u16),
}

impl Pier {
    /// Whether nothing leaves this machine on the way there.
    fn is_on_this_machine(&self) -> bool {
        match self {
            Self::Socket(_) => true,
            Self::Port(host, _) => {
                host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            }
        }
    }
}

impl Bridge {
    /// # Errors
    /// [`DatabaseError::InvalidUrl`] when the connection is to be encrypted, which only the driver can do; and
    /// [`DatabaseError::Unavailable`] when this machine has no port or no thread left.
    pub(super) fn start(pooler: &PgConnectOptions) -> Result<Self, DatabaseError> {
        let pier = pier(pooler);
        let may_be_plain = match pooler.get_ssl_mode() {
            PgSslMode::Disable | PgSslMode::Allow => true,
            // What the address leaves open is not given up where others may listen.
            PgSslMode::Prefer => pier.is_on_this_machine(),
            PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull => false,
        };
        if !may_be_plain {
            return Err(invalid(
                "TLS needs a pooler that tracks prepared statements (PgBouncer from 1.21 with max_prepared_statements); \
                 where the way to it is safe without, say sslmode=disable",
            ));
        }
        Self::listen(pier).map_err(|error| DatabaseError::Unavailable(sqlx::Error::Io(error)))
    }

    fn listen(pier: Pier) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let password = Uuid::new_v4().simple().to_string();
        let gate = Arc::new(Gate {
            pier,
            proof: format!("-c {PASSWORD}={password}").into_bytes(),
        });
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        std::thread::Builder::new()
            .name("pooler-bridge".to_owned())
            .spawn(move || {
                if let Err(error) = run(listener, &gate, &stopped) {
                    tracing::error!(%error, "the bridge to the pooler is down; only a new start brings it back");
                }
            })?;
        Ok(Self {
            port,
            password: password.into(),
            _until_dropped: stop.drop_guard(),
        })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// What a connection has to say in order to be let through.
    pub(super) fn password(&self) -> (&'static str, &str) {
        (PASSWORD, self.password.expose_secret())
    }
}

fn pier(pooler: &PgConnectOptions) -> Pier {
    let (host, port) = (pooler.get_host(), pooler.get_port());
    let folder = pooler
        .get_socket()
        .cloned()
        .or_else(|| host.starts_with('/').then(|| PathBuf::from(host)));
    match folder {
        Some(folder) => Pier::Socket(folder.join(format!(".s.PGSQL.{port}"))),
        // An address of version 6 stands in brackets in a URL.
        None => Pier::Port(host.trim_matches(['[', ']']).to_owned(), port),
    }
}

/// Who is let through, and where to.
struct Gate {
    pier: Pier,
    proof: Vec<u8>,
}

fn run(
    listener: std::net::TcpListener,
    gate: &Arc<Gate>,
    stop: &CancellationToken,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(listener, gate, stop))
}

async fn serve(
    listener: std::net::TcpListener,
    gate: &Arc<Gate>,
    stop: &CancellationToken,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut door = Door::default();
    let mut connections = JoinSet::new();
    loop {
        // All are cancel-safe.
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((driver, _)) => {
                    door.answer(driver, Arc::clone(gate));
                    // What came along with the connection is read before many more can push it out.
                    yield_now().await;
                }
                Err(error) => {
                    tracing::warn!(%error, "the bridge to the pooler cannot take a connection; trying again");
                    tokio::time::sleep(CROWDED).await;
                }
            },
            Some(knocked) = door.knocking.join_next() => match knocked {
                Ok(Ok((driver, startup))) if connections.len() < MOST => {
                    connections.spawn(connect(driver, startup, Arc::clone(gate)));
                }
                Ok(Ok(_)) => tracing::warn!("the bridge to the pooler has no place left for a connection"),
                Ok(Err(error)) => tracing::debug!(%error, "somebody was not let over the bridge to the pooler"),
                Err(_) => tracing::debug!("somebody at the bridge to the pooler was silent for too long"),
            },
            Some(ended) = connections.join_next() => {
                if let Ok(Err(error)) = ended {
                    tracing::debug!(%error, "a connection over the bridge to the pooler ended");
                }
            }
            () = stop.cancelled() => return Ok(()),
        }
    }
}

/// One of ours, with its startup message as the pooler takes it.
type Admitted = (TcpStream, Vec<u8>);

/// Those who have not said yet who they are.
#[derive(Default)]
struct Door {
    knocking: JoinSet<io::Result<Admitted>>,
    oldest_first: VecDeque<AbortHandle>,
}

impl Door {
    /// Asks somebody who they are. Where there are too many, whoever has been silent for longest makes room.
    fn answer(&mut self, driver: TcpStream, gate: Arc<Gate>) {
        self.oldest_first.retain(|knock| !knock.is_finished());
        if self.oldest_first.len() >= KNOCKING
            && let Some(silent) = self.oldest_first.pop_front()
        {
            silent.abort();
        }
        let knock = self.knocking.spawn(knock(driver, gate));
        self.oldest_first.push_back(knock);
    }
}

async fn knock(mut driver: TcpStream, gate: Arc<Gate>) -> io::Result<Admitted> {
    let startup = timeout(HELLO, startup(&mut driver, &gate.proof)).await??;
    Ok((driver, startup))
}

async fn connect(driver: TcpStream, startup: Vec<u8>, gate: Arc<Gate>) -> io::Result<()> {
    driver.set_nodelay(true)?;
    match &gate.pier {
        Pier::Socket(path) => {
            let pooler = timeout(PATIENCE, UnixStream::connect(path)).await??;
            carry(driver, pooler, &startup).await
        }
        Pier::Port(host, port) => {
            let pooler = timeout(PATIENCE, TcpStream::connect((host.as_str(), *port))).await??;
            pooler.set_nodelay(true)?;
            carry(driver, pooler, &startup).await
        }
    }
}

/// Reads the startup message, and gives it as the pooler takes it.
async fn startup(driver: &mut TcpStream, proof: &[u8]) -> io::Result<Vec<u8>> {
    let length = driver.read_u32().await?;
    if !(8..=LONGEST_STARTUP).contains(&length) {
        return Err(stranger());
    }
    let mut body = vec![0; length as usize - 4];
    driver.read_exact(&mut body).await?;
    admitted(&body, proof).ok_or_else(stranger)
}

fn stranger() -> io::Error {
    io::Error::new(
        io::ErrorKind::PermissionDenied,
        "somebody else knocked at the bridge to the pooler",
    )
}

/// The startup message without what only a server understands; `None` for a stranger's.
fn admitted(body: &[u8], proof: &[u8]) -> Option<Vec<u8>> {
    let (protocol, mut rest) = body.split_at_checked(PROTOCOL.len())?;
    if protocol != PROTOCOL {
        return None;
    }
    let mut kept = PROTOCOL.to_vec();
    let mut is_ours = false;
    loop {
        let (name, after) = text(rest)?;
        if name.is_empty() {
            break;
        }
        let (value, after) = text(after)?;
        rest = after;
        match name {
            OPTIONS => is_ours = value.windows(proof.len()).any(|part| part == proof),
            DIGITS => {}
            _ => {
                for part in [name, &[0], value, &[0]] {
                    kept.extend_from_slice(part);
                }
            }
        }
    }
    kept.push(0);
    let length = u32::try_from(kept.len() + 4).ok()?;
    is_ours.then(|| [&length.to_be_bytes()[..], &kept].concat())
}

async fn carry<P: AsyncRead + AsyncWrite>(
    driver: TcpStream,
    pooler: P,
    startup: &[u8],
) -> io::Result<()> {
    let (mut from_pooler, mut to_pooler) = tokio::io::split(pooler);
    let (from_driver, mut to_driver) = driver.into_split();
    to_pooler.write_all(startup).await?;
    // Whichever ends takes the other with it: a connection is whole or gone.
    tokio::select! {
        ended = ask(from_driver, &mut to_pooler) => ended,
        ended = tokio::io::copy(&mut from_pooler, &mut to_driver) => ended.map(drop),
    }
}

async fn ask(
    driver: impl AsyncRead + Unpin,
    pooler: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut driver = BufReader::with_capacity(BUFFER, driver);
    let mut carrier = Carrier::default();
    let (mut body, mut out) = (Vec::new(), Vec::new());
    loop {
        let kind = match driver.read_u8().await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            kind => kind?,
        };
        let length = driver.read_u32().await?;
        if !(4..=LONGEST_MESSAGE).contains(&length) {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        body.resize(length as usize - 4, 0);
        driver.read_exact(&mut body).await?;
        carrier.pass(kind, &body, &mut out);
        // More of the same round is there already: it goes in one piece.
        if driver.buffer().is_empty() || out.len() >= BUFFER {
            pooler.write_all(&out).await?;
            for buffer in [&mut body, &mut out] {
                buffer.clear();
                buffer.shrink_to(BUFFER);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn startup_message(options: &str) -> Vec<u8> {
        let parameters = format!("user\0ada\0options\0{options}\0extra_float_digits\x002\0\0");
        [&PROTOCOL[..], parameters.as_bytes()].concat()
    }

    #[test]
    fn the_pooler_is_not_told_what_it_would_refuse() {
        let proof = b"-c millpond.bridge=1234";

        let passed = admitted(
            &startup_message("-c geqo=off -c millpond.bridge=1234"),
            proof,
        );

        let length: &[u8] = &[0, 0, 0, 18];
        let expected = [length, &PROTOCOL, b"user\0ada\0\0"].concat();
        assert_eq!(passed, Some(expected));
    }

    // Fails when the way to the pooler, which may trust our user, is open to every user of the machine.
    #[tokio::test]
    async fn a_stranger_is_not_let_through() {
        let pooler = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = pooler.local_addr().expect("it is bound").port();
        let address = PgConnectOptions::new().host("127.0.0.1").port(port);
        let bridge = Bridge::start(&address).expect("there is a port");
        let mut stranger = TcpStream::connect(("127.0.0.1", bridge.port()))
            .await
            .expect("it listens");

        let message = startup_message("-c millpond.bridge=guessed");
        let length = u32::try_from(message.len() + 4).expect("it is short");
        stranger.write_u32(length).await.expect("it is taken");
        stranger.write_all(&message).await.expect("it is taken");
        let answer = timeout(PATIENCE * 2, stranger.read_u8()).await;

        assert!(matches!(answer, Ok(Err(_))), "{answer:?}");
        let dialled = timeout(Duration::ZERO, pooler.accept()).await;
        assert!(dialled.is_err());
    }

    // Fails when those who connect and say nothing keep us out for as long as they like.
    #[tokio::test]
    async fn whoever_is_silent_for_longest_makes_room_and_ours_are_let_through() {
        let pooler = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = pooler.local_addr().expect("it is bound").port();
        let address = PgConnectOptions::new().host("127.0.0.1").port(port);
        let bridge = Bridge::start(&address).expect("there is a port");
        let mut silent = Vec::new();
        for _ in 0..=KNOCKING {
            let stranger = TcpStream::connect(("127.0.0.1", bridge.port())).await;
            silent.push(stranger.expect("it listens"));
        }

        let first = timeout(HELLO / 2, silent[0].read_u8()).await;
        let mut ours = TcpStream::connect(("127.0.0.1", bridge.port()))
            .await
            .expect("it listens");
        let (name, password) = bridge.password();
        let message = startup_message(&format!("-c {name}={password}"));
        let length = u32::try_from(message.len() + 4).expect("it is short");
        ours.write_u32(length).await.expect("it is taken");
        ours.write_all(&message).await.expect("it is taken");
        let dialled = timeout(HELLO, pooler.accept()).await;

        assert!(matches!(first, Ok(Err(_))), "{first:?}");
        assert!(matches!(dialled, Ok(Ok(_))), "{dialled:?}");
    }

    #[test]
    fn a_request_of_another_protocol_is_a_strangers() {
        let http = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
        let no_end = [&PROTOCOL[..], b"user\0ada"].concat();

        assert_eq!(admitted(http, b""), None);
        assert_eq!(admitted(&no_end, b""), None);
        assert_eq!(admitted(&[], b""), None);
    }

    #[test]
    fn what_must_be_encrypted_is_not_sent_in_the_clear() {
        let address = PgConnectOptions::new()
            .host("db.example.com")
            .ssl_mode(PgSslMode::VerifyFull);

        let refused = Bridge::start(&address).map(|_| ());

        let told = crate::error_chain(&refused.expect_err("it needs TLS"));
        assert!(told.contains("max_prepared_statements"), "{told}");
    }
}
