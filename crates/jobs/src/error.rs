//! Why an attempt failed, and the one translation of that to the class that the engine's policy goes by.

use std::{sync::Arc, time::Duration};

use marketing::{
    StoreError, accounts::AccountsError, campaigns::CampaignsError, conversions::Refusal,
    email::EmailError, outbound::OutboundError, rules::RulesError, sync::SyncError,
};
use providers::Error as ProviderError;
use queue::{AdminError, BudgetError, EnqueueError, ErrorClass, JobError};

/// Most refused events that an error's text tells of.
const MOST_TOLD: usize = 5;

/// How long a job waits for whoever is refreshing the token that it needs.
const WHILE_REFRESHED: Duration = Duration::from_secs(10);

/// Why an attempt failed. Never quotes a payload, which may be about people.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A call to another company, or to an endpoint of the job's choice.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// An endpoint of a customer's did not take a message. Whatever it answered, it is tried again.
    #[error("the endpoint did not take the message")]
    NotTaken(#[source] ProviderError),
    /// Something about a customer's endpoint.
    #[error(transparent)]
    Outbound(OutboundError),
    /// The provider refuses the token that is ours, not an account's.
    #[error("set a new token in MILLPOND_META_ACCESS_TOKEN")]
    OwnToken(#[source] ProviderError),
    /// What `marketing` knows could not be read or stored; shared by the jobs of a batch.
    #[error("what is known of earlier attempts could not be read or stored")]
    Store(#[source] Arc<StoreError>),
    /// The mail's content.
    #[error(transparent)]
    Email(#[from] EmailError),
    /// A member of the payload that its schema cannot check.
    #[error("{pointer}: {problem}")]
    Payload {
        /// Which member.
        pointer: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// None of the job's events can be sent.
    #[error("no event can be sent: {}", told(.0))]
    Refused(Vec<Refusal>),
    /// All of the job's events are too old.
    #[error("expired before it could be sent: {}", told(.0))]
    Expired(Vec<Refusal>),
    /// Sending again might count an event twice.
    #[error(
        "an event may have been delivered more than 47 hours ago, beyond which a repeat may count twice; it is not sent again"
    )]
    InDoubt,
    /// Sending again might be a second mail where one was asked for. Its Message-ID names nobody.
    #[error(
        "an earlier attempt may have delivered the mail, which its business_key lets out once at most; it is not sent again: \
         look for Message-ID {0} in the mail server's log"
    )]
    MailInDoubt(String),
    /// Another job has the same event in its hands.
    #[error("another job is sending the same event")]
    Contended,
    /// Part of the set-up is missing; the text says what to set.
    #[error("{0}")]
    SetUp(&'static str),
    /// A secret that the payload or jobs.toml names is not configured.
    #[error("there is no secret named {0:?}")]
    NoSecret(String),
    /// What the job's calls are counted against gave nothing.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// Something about a connected account.
    #[error(transparent)]
    Accounts(Box<AccountsError>),
    /// Something about what is read of an account.
    #[error(transparent)]
    Sync(SyncError),
    /// Jobs that should follow could not be enqueued.
    #[error("the jobs that should follow were not taken")]
    Enqueue(#[from] EnqueueError),
    /// A platform gave up a report, or took too long for it.
    #[error("the report is not to be had: {0}")]
    Report(String),
    /// Nothing of an account could be read; the class is that of the first refusal.
    #[error("nothing could be read: {message}")]
    NothingRead {
        /// Of what sort the first refusal was.
        class: ErrorClass,
        /// The first refusal.
        message: String,
    },
    /// Rules and alerts could not be evaluated.
    #[error(transparent)]
    Rules(RulesError),
    /// Nothing of what a job was to change was changed.
    #[error("nothing was changed: {0}")]
    NothingChanged(String),
    /// The attempt was told to stop.
    #[error("stopped before it was done")]
    Stopped,
    /// `demo.work` was told to fail.
    #[error("failed as it was told to")]
    ToldToFail(ErrorClass),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

/// What a platform said is told as such, by whatever way it came.
impl From<AccountsError> for Error {
    fn from(error: AccountsError) -> Self {
        match error {
            AccountsError::Platform(said) => Self::Provider(said),
            AccountsError::Store(error) => error.into(),
            other => Self::Accounts(Box::new(other)),
        }
    }
}

impl From<OutboundError> for Error {
    fn from(error: OutboundError) -> Self {
        match error {
            OutboundError::Store(error) => error.into(),
            other => Self::Outbound(other),
        }
    }
}

impl From<SyncError> for Error {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::Store(error) => error.into(),
            SyncError::Disconnected => AccountsError::Disconnected.into(),
            other => Self::Sync(other),
        }
    }
}

impl From<CampaignsError> for Error {
    fn from(error: CampaignsError) -> Self {
        match error {
            CampaignsError::Store(error) => error.into(),
            CampaignsError::Engine(error) => Self::Rules(RulesError::Engine(error)),
        }
    }
}

impl From<RulesError> for Error {
    fn from(error: RulesError) -> Self {
        match error {
            RulesError::Store(error) => error.into(),
            RulesError::Engine(AdminError::NotEnqueued(error)) => error.into(),
            other => Self::Rules(other),
        }
    }
}

impl From<Error> for JobError {
    fn from(error: Error) -> Self {
        let (class, wait) = error.class_and_wait();
        let code = code_of(&error);
        let error = Self::new(class, error).retry_after(wait);
        match code {
            Some(code) => error.code(code),
            None => error,
        }
    }
}

impl Error {
    /// What sort of failure it is.
    pub(crate) fn class(&self) -> ErrorClass {
        self.class_and_wait().0
    }

    fn class_and_wait(&self) -> ClassAndWait {
        match self {
            Self::Provider(said) => class_of_provider(said),
            Self::Accounts(error) => class_of_accounts(error),
            Self::Sync(error) => (class_of_sync(error), None),
            Self::Enqueue(error) => class_of_enqueue(error),
            Self::Report(_) => (ErrorClass::Transient, None),
            Self::Rules(error) => (class_of_rules(error), None),
            Self::NothingChanged(_) => (ErrorClass::Invalid, None),
            Self::NothingRead { class, .. } => (*class, None),
            Self::NotTaken(said) => (ErrorClass::Transient, class_of_provider(said).1),
            Self::Outbound(error) => (class_of_outbound(error), None),
            Self::OwnToken(_) => (ErrorClass::Config, None),
            Self::Store(_) => (ErrorClass::Transient, None),
            Self::Email(EmailError::UnknownTemplate { .. }) => (ErrorClass::Invalid, None),
            Self::Email(EmailError::Data { .. }) => (ErrorClass::Invalid, None),
            // The operator mends it, and nobody else has anything to do with it.
            Self::Email(EmailError::Own(_)) => (ErrorClass::Config, None),
            Self::Email(EmailError::Render { .. }) => (ErrorClass::Internal, None),
            Self::Payload { .. } => (ErrorClass::Invalid, None),
            Self::Refused(_) => (ErrorClass::Invalid, None),
            Self::Expired(_) => (ErrorClass::Invalid, None),
            Self::InDoubt | Self::MailInDoubt(_) => (ErrorClass::Invalid, None),
            Self::Contended => (ErrorClass::Transient, None),
            Self::SetUp(_) => (ErrorClass::Config, None),
            Self::NoSecret(_) => (ErrorClass::Config, None),
            // Handlers snooze instead; none that does not must lose an attempt by it.
            Self::Budget(error) if error.wait().is_some() => {
                (ErrorClass::RateLimited, error.wait())
            }
            Self::Budget(_) => (ErrorClass::Config, None),
            // Whoever stopped it knows why: a cancelled job is cancelled, an interrupted one goes back.
            Self::Stopped => (ErrorClass::Transient, None),
            Self::ToldToFail(class) => (*class, None),
        }
    }
}

type ClassAndWait = (ErrorClass, Option<Duration>);

/// The class of what a platform said.
fn class_of_provider(error: &ProviderError) -> ClassAndWait {
    match error {
        ProviderError::RateLimited { retry_after, .. } => (ErrorClass::RateLimited, *retry_after),
        // Handlers ask to be called again instead; none that does not must lose an attempt by it.
        ProviderError::Postponed { wait, .. } => (ErrorClass::RateLimited, *wait),
        ProviderError::AuthExpired { .. } => (ErrorClass::AuthExpired, None),
        ProviderError::Permission { .. } => (ErrorClass::Permission, None),
        ProviderError::Rejected { .. } => (ErrorClass::Invalid, None),
        ProviderError::TooLarge { .. } => (ErrorClass::TooLarge, None),
        ProviderError::Config { .. } => (ErrorClass::Config, None),
        ProviderError::Unavailable { .. } => (ErrorClass::Transient, None),
        ProviderError::TimedOut { .. } => (ErrorClass::Transient, None),
    }
}

fn class_of_accounts(error: &AccountsError) -> ClassAndWait {
    match error {
        AccountsError::NotFound
        | AccountsError::Invalid { .. }
        | AccountsError::Disconnected
        | AccountsError::UnknownState
        | AccountsError::Refused
        | AccountsError::NotSigned => (ErrorClass::Invalid, None),
        AccountsError::NoKeys
        | AccountsError::Sealed { .. }
        | AccountsError::NotSetUp(_)
        | AccountsError::NoPlatform(_) => (ErrorClass::Config, None),
        // Nobody's fault, and over in a moment.
        AccountsError::RefreshUnderway => (ErrorClass::RateLimited, Some(WHILE_REFRESHED)),
        AccountsError::Platform(said) => class_of_provider(said),
        AccountsError::Store(_) | AccountsError::Engine(_) => (ErrorClass::Transient, None),
    }
}

fn class_of_outbound(error: &OutboundError) -> ErrorClass {
    match error {
        OutboundError::NotFound
        | OutboundError::Invalid { .. }
        | OutboundError::TooMany(_)
        | OutboundError::Disabled => ErrorClass::Invalid,
        OutboundError::NoKeys | OutboundError::Sealed { .. } | OutboundError::NoSecret => {
            ErrorClass::Config
        }
        OutboundError::Store(_) | OutboundError::Engine(_) => ErrorClass::Transient,
    }
}

fn class_of_sync(error: &SyncError) -> ErrorClass {
    match error {
        SyncError::NotFound | SyncError::Invalid { .. } | SyncError::Disconnected => {
            ErrorClass::Invalid
        }
        // Another attempt goes on with it, or it was ended: the next one begins where that left off.
        SyncError::Superseded => ErrorClass::Transient,
        SyncError::Store(_) | SyncError::Engine(_) => ErrorClass::Transient,
    }
}

fn class_of_rules(error: &RulesError) -> ErrorClass {
    match error {
        RulesError::NotFound | RulesError::Invalid { .. } | RulesError::State { .. } => {
            ErrorClass::Invalid
        }
        RulesError::Store(_) | RulesError::Engine(_) => ErrorClass::Transient,
    }
}

fn class_of_enqueue(error: &EnqueueError) -> ClassAndWait {
    match error {
        EnqueueError::QueueFull { retry_after, .. }
        | EnqueueError::Overloaded { retry_after }
        | EnqueueError::IdempotencyPending { retry_after } => {
            (ErrorClass::RateLimited, Some(*retry_after))
        }
        EnqueueError::Unavailable(_) => (ErrorClass::Transient, None),
        EnqueueError::NoKeys { .. } => (ErrorClass::Config, None),
        EnqueueError::UnknownKind { .. }
        | EnqueueError::Payload(_)
        | EnqueueError::PayloadSyntax(_)
        | EnqueueError::Field { .. }
        | EnqueueError::TooLarge { .. }
        | EnqueueError::Conflict { .. }
        | EnqueueError::IdempotencyMismatch
        | EnqueueError::NotKept => (ErrorClass::Internal, None),
    }
}

/// What failures of one cause share and others do not.
fn code_of(error: &Error) -> Option<String> {
    match error {
        Error::Provider(error) | Error::OwnToken(error) | Error::NotTaken(error) => {
            let detail = error.detail();
            let code = detail
                .code
                .clone()
                .or_else(|| Some(detail.status?.to_string()));
            code.map(|code| format!("{} {code}", detail.provider))
        }
        Error::Refused(refusals) => {
            let reason = refusals.first()?.reasons.first()?;
            Some(
                reason
                    .code
                    .clone()
                    .unwrap_or_else(|| reason.pointer.clone()),
            )
        }
        Error::Expired(_) => Some("expired".to_owned()),
        Error::InDoubt | Error::MailInDoubt(_) => Some("in_doubt".to_owned()),
        Error::Payload { pointer, .. } => Some((*pointer).to_owned()),
        Error::Accounts(_)
        | Error::Sync(_)
        | Error::Outbound(_)
        | Error::Enqueue(_)
        | Error::Report(_)
        | Error::NothingRead { .. }
        | Error::NothingChanged(_)
        | Error::Rules(_)
        | Error::Store(_)
        | Error::Email(_)
        | Error::Contended
        | Error::SetUp(_)
        | Error::NoSecret(_)
        | Error::Budget(_)
        | Error::Stopped
        | Error::ToldToFail(_) => None,
    }
}

/// The reasons of the first refusals.
fn told(refusals: &[Refusal]) -> String {
    let mut told: Vec<String> = refusals
        .iter()
        .flat_map(|refusal| &refusal.reasons)
        .take(MOST_TOLD)
        .map(|reason| match reason.pointer.as_str() {
            "" => reason.message.clone(),
            pointer => format!("{pointer} {}", reason.message),
        })
        .collect();
    let untold = refusals
        .iter()
        .map(|refusal| refusal.reasons.len())
        .sum::<usize>()
        - told.len();
    if untold > 0 {
        told.push(format!("and {untold} more"));
    }
    told.join("; ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use marketing::conversions::Reason;
    use providers::Detail;

    use super::*;

    fn refusal(pointer: &str, message: &str) -> Refusal {
        let reason = Reason {
            pointer: pointer.to_owned(),
            message: message.to_owned(),
            code: None,
        };
        Refusal {
            expired: false,
            reasons: vec![reason],
        }
    }

    #[test]
    fn each_failure_of_a_provider_has_its_class() {
        let detail = Detail::default;
        let cases = [
            (
                ProviderError::RateLimited {
                    retry_after: None,
                    detail: detail(),
                },
                ErrorClass::RateLimited,
            ),
            (
                ProviderError::Postponed {
                    wait: None,
                    detail: detail(),
                },
                ErrorClass::RateLimited,
            ),
            (
                ProviderError::AuthExpired { detail: detail() },
                ErrorClass::AuthExpired,
            ),
            (
                ProviderError::Permission { detail: detail() },
                ErrorClass::Permission,
            ),
            (
                ProviderError::Rejected { detail: detail() },
                ErrorClass::Invalid,
            ),
            (
                ProviderError::TooLarge { detail: detail() },
                ErrorClass::TooLarge,
            ),
            (
                ProviderError::Config { detail: detail() },
                ErrorClass::Config,
            ),
            (
                ProviderError::Unavailable {
                    detail: detail(),
                    maybe_received: true,
                    source: None,
                },
                ErrorClass::Transient,
            ),
            (
                ProviderError::TimedOut {
                    detail: detail(),
                    maybe_received: false,
                },
                ErrorClass::Transient,
            ),
        ];

        for (error, class) in cases {
            assert_eq!(JobError::from(Error::Provider(error)).class(), class);
        }
    }

    #[test]
    fn the_wait_that_the_other_side_asked_for_is_passed_on() {
        let wait = Duration::from_secs(120);
        let error = ProviderError::RateLimited {
            retry_after: Some(wait),
            detail: Detail::default(),
        };

        let error = JobError::from(Error::Provider(error));

        assert!(format!("{error:?}").contains("120"), "{error:?}");
    }

    #[test]
    fn an_expired_event_has_a_reason_of_its_own() {
        let error = Error::Expired(vec![refusal("/event_time", "is older than 7 days")]);

        assert_eq!(
            error.to_string(),
            "expired before it could be sent: /event_time is older than 7 days"
        );
        assert_eq!(JobError::from(error).class(), ErrorClass::Invalid);
    }

    #[test]
    fn a_long_list_of_refusals_is_cut() {
        let refusals = (0..8).map(|_| refusal("", "bad")).collect();

        let text = Error::Refused(refusals).to_string();

        assert_eq!(
            text,
            "no event can be sent: bad; bad; bad; bad; bad; and 3 more"
        );
    }
}
