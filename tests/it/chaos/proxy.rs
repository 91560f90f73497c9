//! The network between Millpond and its database: a proxy in this process that delays, withholds, refuses and cuts.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::JoinSet,
};

use super::passes;

/// Bytes that are carried together.
const CHUNK: usize = 16 * 1_024;
/// How long a connection stays silent before it is reset, as by keep-alives: longer than any deadline of Millpond's.
const SILENCE: Duration = Duration::from_secs(30);

/// What the network does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Carries everything.
    Pass,
    /// Carries nothing in either direction, new connections included, and closes nothing. What was sent arrives when it
    /// is over, as packets do that are sent again.
    BlackHole,
    /// Connections that were there when it began stay open and silent, also when it is over; new ones are carried.
    HalfOpen,
    /// Cuts all connections and listens no more.
    Refuse,
    /// Delays every chunk.
    Slow(Duration),
    /// Carries what is asked and swallows what is answered; all connections are cut when it is over.
    SwallowAnswers,
}

/// What all connections go by; they are numbered as they come.
#[derive(Debug, Clone, Copy)]
struct State {
    mode: Mode,
    /// Connections below this number are cut.
    cut_below: u64,
    /// Connections below this number are silent.
    silent_below: u64,
}

/// Where bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    There,
    Back,
}

/// What becomes of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Carried,
    Late(Duration),
    Withheld,
    Swallowed,
}

impl State {
    fn fate(&self, number: u64, way: Way) -> Fate {
        match self.mode {
            _ if number < self.silent_below => Fate::Withheld,
            Mode::BlackHole => Fate::Withheld,
            Mode::Slow(delay) => Fate::Late(delay),
            Mode::SwallowAnswers if way == Way::Back => Fate::Swallowed,
            Mode::Pass | Mode::HalfOpen | Mode::Refuse | Mode::SwallowAnswers => Fate::Carried,
        }
    }
}

/// The proxy; its connections end with it.
pub(super) struct Proxy {
    port: u16,
    state: watch::Sender<State>,
    next: Arc<AtomicU64>,
    _accepting: JoinSet<()>,
}

impl Proxy {
    /// Listens on this port of loopback and carries to that one.
    pub(super) fn start(port: u16, database: u16) -> Self {
        let first = State {
            mode: Mode::Pass,
            cut_below: 0,
            silent_below: 0,
        };
        let (state, seen) = watch::channel(first);
        let next = Arc::new(AtomicU64::new(0));
        let mut accepting = JoinSet::new();
        let addresses = [port, database].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        accepting.spawn(accept(addresses, Arc::clone(&next), seen));
        Self {
            port,
            state,
            next,
            _accepting: accepting,
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Changes what the network does, from now on and for every connection that it concerns.
    pub(super) fn set(&self, mode: Mode) {
        let next = self.next.load(Ordering::SeqCst);
        self.state.send_modify(|state| {
            if state.mode == Mode::SwallowAnswers || mode == Mode::Refuse {
                state.cut_below = next;
            }
            if mode == Mode::HalfOpen {
                state.silent_below = next;
            }
            state.mode = mode;
        });
    }

    /// Resets every connection.
    pub(super) fn cut(&self) {
        let next = self.next.load(Ordering::SeqCst);
        self.state.send_modify(|state| state.cut_below = next);
    }
}

async fn accept(
    [address, database]: [SocketAddr; 2],
    next: Arc<AtomicU64>,
    mut state: watch::Receiver<State>,
) {
    let mut connections = JoinSet::new();
    loop {
        // Without a listener the kernel refuses by itself.
        if state
            .wait_for(|state| state.mode != Mode::Refuse)
            .await
            .is_err()
        {
            return;
        }
        let Ok(listener) = TcpListener::bind(address).await else {
            passes(Duration::from_millis(20)).await;
            continue;
        };
        let mut refusal = state.clone();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                refused = refusal.wait_for(|state| state.mode == Mode::Refuse) => match refused {
                    Ok(_) => break,
                    Err(_) => return,
                },
            };
            while connections.try_join_next().is_some() {}
            if let Ok((client, _)) = accepted {
                let number = next.fetch_add(1, Ordering::SeqCst);
                connections.spawn(connect(client, database, number, state.clone()));
            }
        }
    }
}

/// Carries one connection until either side closes it or it is cut.
async fn connect(
    mut client: TcpStream,
    database: SocketAddr,
    number: u64,
    mut state: watch::Receiver<State>,
) {
    let (mut cuts, mut silences) = (state.clone(), state.clone());
    let is_cut = {
        let carried = async {
            if state
                .wait_for(|state| state.fate(number, Way::There) != Fate::Withheld)
                .await
                .is_err()
            {
                return Ok(());
            }
            let mut server = TcpStream::connect(database).await?;
            server.set_nodelay(true)?;
            client.set_nodelay(true)?;
            let (asked, answer) = client.split();
            let (answered, ask) = server.split();
            tokio::select! {
                ended = carry(asked, ask, (number, Way::There), state.clone()) => ended,
                ended = carry(answered, answer, (number, Way::Back), state.clone()) => ended,
            }
        };
        let silent = async {
            let began = silences.wait_for(|state| number < state.silent_below);
            let _ = began.await.map(drop);
            passes(SILENCE).await;
        };
        tokio::select! {
            // The database may be away: its side is closed then, and so is ours.
            _ = carried => false,
            _ = cuts.wait_for(|state| number < state.cut_below) => true,
            () = silent => true,
        }
    };
    if is_cut {
        // Closed with a reset instead of an orderly end.
        let _ = client.set_zero_linger();
    }
}

async fn carry(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    (number, way): (u64, Way),
    mut state: watch::Receiver<State>,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = from.read(&mut chunk).await?;
        if length == 0 {
            return Ok(());
        }
        let held = state
            .wait_for(|state| state.fate(number, way) != Fate::Withheld)
            .await
            .map(|state| state.fate(number, way));
        match held {
            Ok(Fate::Late(delay)) => passes(delay).await,
            Ok(Fate::Swallowed) => continue,
            Ok(Fate::Carried | Fate::Withheld) => {}
            Err(_) => return Ok(()),
        }
        to.write_all(&chunk[..length]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fate(mode: Mode, number: u64, way: Way) -> Fate {
        let state = State {
            mode,
            cut_below: 0,
            silent_below: 3,
        };
        state.fate(number, way)
    }

    #[test]
    fn silent_connections_stay_silent_whatever_comes_after() {
        for mode in [Mode::HalfOpen, Mode::Pass, Mode::SwallowAnswers] {
            assert_eq!(fate(mode, 2, Way::Back), Fate::Withheld, "{mode:?}");
        }
        assert_eq!(fate(Mode::HalfOpen, 3, Way::Back), Fate::Carried);
    }

    #[test]
    fn swallowed_are_answers_and_not_what_is_asked() {
        assert_eq!(fate(Mode::SwallowAnswers, 5, Way::Back), Fate::Swallowed);
        assert_eq!(fate(Mode::SwallowAnswers, 5, Way::There), Fate::Carried);
    }
}
