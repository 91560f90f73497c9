//! What can happen to the store, as values that proptest makes and shrinks. Jobs are named by their place among those
//! that there are, so that a shorter sequence still means something.

use proptest::{
    bool as coin, collection, option, prop_oneof,
    sample::select,
    strategy::{Just, Strategy},
};

use crate::OnConflict;

/// A job: its place among all that there are, modulo their number.
pub(super) type Place = usize;

/// One thing that happens.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    Enqueue(Request),
    Claim {
        worker: usize,
        take: Take,
    },
    Renew(Vec<(Place, Token)>),
    /// The lease runs out.
    Expire(Place),
    Rescue,
    /// Several attempts end in one transaction.
    Settle(Vec<Ending>),
    /// Claimed jobs go back unstarted, as at a drain.
    HandBack(Vec<(Place, Token)>),
    Cancel(Place),
    RunNow(Place),
    /// The time of a scheduled or retrying job has come.
    ComeDue(Place),
    Promote,
    /// One dead letter is replayed, or all that are open.
    Replay(Option<Place>),
}

/// What is asked for at an enqueue.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) priority: i16,
    pub(super) is_delayed: bool,
    pub(super) max_attempts: Option<u32>,
    pub(super) unique: Option<Unique>,
    pub(super) idempotency: Option<Idempotency>,
}

/// One of few keys, so that they meet.
#[derive(Debug, Clone)]
pub(super) struct Unique {
    pub(super) key: u8,
    /// Whether the key is kept while the job runs.
    pub(super) while_running: bool,
    pub(super) on_conflict: OnConflict,
}

/// A key, and what the request under it says.
#[derive(Debug, Clone)]
pub(super) struct Idempotency {
    pub(super) key: u8,
    pub(super) body: u8,
}

/// How a claim asks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Take {
    /// Any jobs; fewer where that saves a statement.
    Next(usize),
    /// Jobs of one kind and key, for a batch.
    Mates(i64),
}

/// The token that somebody holds for a job.
#[derive(Debug, Clone, Copy)]
pub(super) enum Token {
    /// The one of its lease; of its last one where it has none.
    Current,
    /// The one of an earlier lease.
    Old,
    /// The one of another job's lease.
    Foreign,
}

/// How an attempt ends for whoever holds the token.
#[derive(Debug, Clone)]
pub(super) struct Ending {
    pub(super) place: Place,
    pub(super) token: Token,
    pub(super) end: End,
}

/// The ends that the store tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    /// Succeeded, and nothing is kept of it.
    Forgotten,
    Succeeded,
    Cancelled,
    Dead,
    Failed,
    Snoozed,
    RateLimited,
    Interrupted,
    Lost,
}

const ENDS: [End; 9] = [
    End::Forgotten,
    End::Succeeded,
    End::Cancelled,
    End::Dead,
    End::Failed,
    End::Snoozed,
    End::RateLimited,
    End::Interrupted,
    End::Lost,
];

/// Any of them, the frequent ones often.
pub(super) fn operation() -> impl Strategy<Value = Operation> {
    let place = || 0..12_usize;
    let held = || collection::vec((place(), token()), 1..4);
    prop_oneof![
        8 => request().prop_map(Operation::Enqueue),
        8 => (0..3_usize, take()).prop_map(|(worker, take)| Operation::Claim { worker, take }),
        8 => collection::vec(ending(), 1..5).prop_map(Operation::Settle),
        3 => held().prop_map(Operation::Renew),
        3 => place().prop_map(Operation::Expire),
        3 => Just(Operation::Rescue),
        2 => held().prop_map(Operation::HandBack),
        2 => place().prop_map(Operation::Cancel),
        2 => place().prop_map(Operation::RunNow),
        3 => place().prop_map(Operation::ComeDue),
        2 => Just(Operation::Promote),
        2 => option::of(place()).prop_map(Operation::Replay),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let unique =
        (0..2_u8, coin::ANY, on_conflict()).prop_map(|(key, while_running, on_conflict)| Unique {
            key,
            while_running,
            on_conflict,
        });
    let idempotency = (0..2_u8, 0..2_u8).prop_map(|(key, body)| Idempotency { key, body });
    (
        0..3_i16,
        coin::weighted(0.25),
        option::of(1..4_u32),
        option::weighted(0.5, unique),
        option::weighted(0.2, idempotency),
    )
        .prop_map(
            |(priority, is_delayed, max_attempts, unique, idempotency)| Request {
                priority,
                is_delayed,
                max_attempts,
                unique,
                idempotency,
            },
        )
}

fn on_conflict() -> impl Strategy<Value = OnConflict> {
    select(vec![
        OnConflict::Keep,
        OnConflict::Replace,
        OnConflict::Reject,
        OnConflict::OneBehind,
    ])
}

fn take() -> impl Strategy<Value = Take> {
    prop_oneof![
        4 => select(vec![1_usize, 5, 10, 100, 500]).prop_map(Take::Next),
        1 => (1..4_i64).prop_map(Take::Mates),
    ]
}

fn token() -> impl Strategy<Value = Token> {
    prop_oneof![
        6 => Just(Token::Current),
        2 => Just(Token::Old),
        1 => Just(Token::Foreign),
    ]
}

fn ending() -> impl Strategy<Value = Ending> {
    (0..12_usize, token(), select(ENDS.to_vec())).prop_map(|(place, token, end)| Ending {
        place,
        token,
        end,
    })
}
