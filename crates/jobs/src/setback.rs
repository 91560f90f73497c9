//! What becomes of a sync whose attempt failed: it stays open, so that the next attempt goes on with it, or it is given up
//! where none will come.

use marketing::sync::{Sync, SyncError, SyncFailure, SyncOutcome};
use providers::Error as ProviderError;
use queue::{ErrorClass, error_chain};

use crate::{App, error::Error};

/// Notes in the log of syncs how an attempt failed. That it cannot be noted changes nothing for the job.
pub(crate) async fn set_back(app: &App, sync: Sync, error: &Error) {
    if !is_of_the_sync(error) {
        return;
    }
    let (account, id) = (sync.account, sync.id);
    let failure = SyncFailure {
        class: error.class(),
        message: error_chain(error),
    };
    let noted = if is_final(failure.class) {
        let outcome = SyncOutcome::Failed(failure);
        app.syncs.finish(sync, &outcome).await
    } else {
        app.syncs.set_back(&sync, &failure).await
    };
    if let Err(error) = noted {
        tracing::warn!(account.id = %account, sync.id = %id, error = %error_chain(&error),
            "how a sync failed could not be noted");
    }
}

/// Whether it is a failure at all, and this attempt's to note.
fn is_of_the_sync(error: &Error) -> bool {
    !matches!(
        error,
        Error::Provider(ProviderError::Postponed { .. })
            | Error::Stopped
            | Error::Store(_)
            | Error::Sync(SyncError::Superseded)
    )
}

/// Whether no other attempt follows, unless jobs.toml says otherwise: that one begins a sync of its own then.
fn is_final(class: ErrorClass) -> bool {
    matches!(
        class,
        ErrorClass::Permission | ErrorClass::Invalid | ErrorClass::TooLarge
    )
}
