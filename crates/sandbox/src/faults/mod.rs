//! Faults on demand: what is armed, for whom, and how many more times. Each server asks before it
//! answers; what a fault then does stands beside the wire it disturbs.

mod body;
mod http;
mod play;
mod retry_after;
mod smtp;

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

pub use http::HttpFault;
pub use retry_after::RetryAfter;
pub use smtp::{SmtpFault, SmtpStep};

pub(crate) use play::{Failure, Throttling, Voice, play};

use crate::world::Platform;

/// Most faults armed at once.
const MOST_ARMED: usize = 1_000;

/// A fault and the server it is for.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// For calls to a platform whose path contains `path`; `None` for every call.
    Platform {
        /// Which platform.
        platform: Platform,
        /// What happens.
        fault: HttpFault,
        /// A part of the path, `/events` for one.
        path: Option<String>,
    },
    /// For calls to one receiver; they are written down before the fault strikes.
    Receiver {
        /// The receiver's name.
        name: String,
        /// What happens.
        fault: HttpFault,
    },
    /// For the mail server.
    Smtp(SmtpFault),
}

/// Why a fault cannot be armed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// There are enough armed already.
    #[error("at most {MOST_ARMED} faults can be armed at once")]
    TooMany,
    /// It would never happen.
    #[error("times must be at least 1, or null for always")]
    NeverHappens,
    /// A number in it is outside its bounds.
    #[error("{member} must be {bounds}")]
    OutOfBounds {
        /// The member's name.
        member: &'static str,
        /// What it may be, in words.
        bounds: &'static str,
    },
}

/// The faults that are armed, in the order in which they were.
#[derive(Default)]
pub struct Faults {
    armed: Mutex<VecDeque<Armed>>,
}

struct Armed {
    fault: Fault,
    /// How many more times it happens; `None` until it is cleared.
    times_left: Option<u32>,
}

impl Faults {
    /// Arms a fault for the next `times` occasions, or with `None` until [`Faults::clear`]. Of
    /// several that fit an occasion the one armed first happens.
    ///
    /// # Errors
    /// [`FaultError`] when a number in it is out of bounds, or when too many are armed.
    pub fn add(&self, fault: Fault, times: Option<u32>) -> Result<(), FaultError> {
        if times == Some(0) {
            return Err(FaultError::NeverHappens);
        }
        match &fault {
            Fault::Platform { fault, .. } | Fault::Receiver { fault, .. } => fault.check()?,
            Fault::Smtp(fault) => fault.check()?,
        }
        let mut armed = self.armed();
        if armed.len() >= MOST_ARMED {
            return Err(FaultError::TooMany);
        }
        armed.push_back(Armed {
            fault,
            times_left: times,
        });
        Ok(())
    }

    /// Disarms all of them; one that is happening goes on.
    pub fn clear(&self) {
        self.armed().clear();
    }

    /// The fault that a call to a platform meets.
    pub(crate) fn take_platform(&self, called: Platform, at: &str) -> Option<HttpFault> {
        self.take(|fault| match fault {
            Fault::Platform {
                platform,
                fault,
                path,
            } => {
                let fits = *platform == called
                    && path.as_ref().is_none_or(|part| at.contains(part.as_str()));
                fits.then(|| fault.clone())
            }
            Fault::Receiver { .. } | Fault::Smtp(_) => None,
        })
    }

    /// The fault that a call to the receiver `called` meets.
    pub(crate) fn take_receiver(&self, called: &str) -> Option<HttpFault> {
        self.take(|fault| match fault {
            Fault::Receiver { name, fault } => (name == called).then(|| fault.clone()),
            Fault::Platform { .. } | Fault::Smtp(_) => None,
        })
    }

    /// The fault that a mail meets at this step.
    pub(crate) fn take_smtp(&self, step: SmtpStep) -> Option<SmtpFault> {
        self.take(|fault| match fault {
            Fault::Smtp(fault) => (fault.step() == step).then(|| fault.clone()),
            Fault::Platform { .. } | Fault::Receiver { .. } => None,
        })
    }

    /// Takes one occasion off the first armed fault that `pick` knows what to do with.
    fn take<T>(&self, pick: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        let mut armed = self.armed();
        let (index, picked) = armed
            .iter()
            .enumerate()
            .find_map(|(index, armed)| Some((index, pick(&armed.fault)?)))?;
        if let Some(times_left) = armed
            .get_mut(index)
            .and_then(|armed| armed.times_left.as_mut())
        {
            *times_left -= 1;
            if *times_left == 0 {
                armed.remove(index);
            }
        }
        Some(picked)
    }

    fn armed(&self) -> MutexGuard<'_, VecDeque<Armed>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
