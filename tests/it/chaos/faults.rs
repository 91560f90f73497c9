//! The catalogue: which faults the suite knows, what each takes hold of, and which it cannot try.

use std::time::Duration;

use self::Part::{Clients, Database, Network, Process, Receiver};

/// What a fault takes hold of; two that hold the same thing are never planned together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Process,
    Network,
    Database,
    Clients,
    Receiver,
}

/// A fault; the numbers are those of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Killed,
    KilledUnanswered,
    KilledSettling,
    Terminated,
    Restarted,
    Crashed,
    CrashedLong,
    DatabaseKilled,
    SessionsCut,
    BlackHole,
    HalfOpen,
    Reset,
    Refused,
    SlowNetwork,
    Zombie,
    Pause,
    RudeClients,
    Storm,
    TableLock,
    StatementsCancelled,
    OldSnapshot,
}

/// What is known of a fault.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) fault: Fault,
    pub(super) id: &'static str,
    pub(super) what: &'static str,
    pub(super) holds: &'static [Part],
    /// How long it lasts at least, in milliseconds.
    lasts_ms: u64,
}

impl Entry {
    pub(super) fn lasts(&self) -> Duration {
        Duration::from_millis(self.lasts_ms)
    }
}

const fn entry(
    fault: Fault,
    id: &'static str,
    holds: &'static [Part],
    lasts_ms: u64,
    what: &'static str,
) -> Entry {
    Entry {
        fault,
        id,
        what,
        holds,
        lasts_ms,
    }
}

/// Everything that can be tried with processes, a proxy and SQL alone.
pub(super) static CATALOGUE: [Entry; 21] = [
    entry(Fault::Killed, "F01", &[Process], 300, "SIGKILL"),
    entry(
        Fault::KilledUnanswered,
        "F02",
        &[Process, Network],
        500,
        "SIGKILL between a commit and its answer",
    ),
    entry(
        Fault::KilledSettling,
        "F02",
        &[Process, Database],
        1_000,
        "SIGKILL while a settlement waits for a row",
    ),
    entry(Fault::Terminated, "F03", &[Process], 300, "SIGTERM"),
    entry(
        Fault::Restarted,
        "F04",
        &[Database],
        200,
        "orderly restart of the database",
    ),
    entry(
        Fault::Crashed,
        "F05",
        &[Database],
        200,
        "immediate stop of the database, back at once",
    ),
    entry(
        Fault::CrashedLong,
        "F05",
        &[Database],
        5_000,
        "immediate stop of the database, back after a while",
    ),
    entry(
        Fault::DatabaseKilled,
        "F06",
        &[Database],
        100,
        "SIGKILL to the database",
    ),
    entry(
        Fault::SessionsCut,
        "F07",
        &[Database],
        3_000,
        "a session terminated every 200 ms",
    ),
    entry(
        Fault::BlackHole,
        "F09",
        &[Network],
        5_000,
        "black hole, by proxy",
    ),
    entry(
        Fault::HalfOpen,
        "F10",
        &[Network],
        4_000,
        "half-open connections",
    ),
    entry(
        Fault::Reset,
        "F11",
        &[Network],
        2_000,
        "all connections reset every 400 ms, by proxy",
    ),
    entry(
        Fault::Refused,
        "F11",
        &[Network],
        2_000,
        "connections refused, by proxy",
    ),
    entry(
        Fault::SlowNetwork,
        "F12",
        &[Network],
        3_000,
        "slow network, by proxy",
    ),
    entry(
        Fault::Zombie,
        "F17",
        &[Process],
        5_000,
        "SIGSTOP beyond the lease",
    ),
    entry(
        Fault::Pause,
        "F18",
        &[Process],
        600,
        "SIGSTOP within the lease",
    ),
    entry(
        Fault::RudeClients,
        "F20",
        &[Clients],
        1_000,
        "50 equal requests at once, halves, cut connections",
    ),
    entry(
        Fault::Storm,
        "F24",
        &[Receiver],
        3_000,
        "receiver fails, limits, hangs, cuts",
    ),
    entry(
        Fault::TableLock,
        "F30",
        &[Database],
        3_000,
        "the table of jobs locked",
    ),
    entry(
        Fault::StatementsCancelled,
        "F31",
        &[Database],
        2_000,
        "statements cancelled as by their time-out",
    ),
    entry(
        Fault::OldSnapshot,
        "F33",
        &[Database],
        5_000,
        "an old snapshot held open",
    ),
];

/// What the machine would have to offer, or another suite does: never counted as passed here.
pub(super) const NOT_TRIED: [(&str, &str); 20] = [
    (
        "F02",
        "the other failpoints (enqueue, claim, dead-letter move, tick, rotation, history drop) need failpoints in the program",
    ),
    ("F08", "F05 and F06 undo unflushed claims by chance alone"),
    ("F09, F11", "with nft instead of the proxy"),
    ("F12", "packet loss needs tc"),
    ("F13", "slow disk needs strace"),
    ("F14", "full disk needs a tmpfs"),
    (
        "F15",
        "full log disk and fsync errors need a tmpfs and strace",
    ),
    ("F19", "wrong clocks need faketime"),
    ("F21", "the race of schedules is tests/it/schedules.rs"),
    ("F22", "bad handlers are the engine's tests"),
    ("F23", "poison rows are the engine's tests"),
    (
        "F24",
        "the storm's other forms (endless bodies, gzip bombs, huge headers) are the providers' tests",
    ),
    ("F25", "key rotation has no place in this load"),
    ("F26", "mail servers are the mail suite's"),
    ("F27", "configuration saves are tests/it/config.rs"),
    ("F28", "two releases need a last release"),
    ("F29", "rescue against settle is the engine's tests"),
    ("F31", "deadlocks by opposite orders are the engine's tests"),
    ("F35", "out of memory and files needs a control group"),
    (
        "F37, F38",
        "fail-over needs a second cluster; a leader whose term has passed is the engine's tests",
    ),
];
