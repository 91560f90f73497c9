//! Who asks and what they may do: keys, scopes, tenants. Which request needs which scope stands with its route.

mod admission;
mod key;
pub(crate) mod limits;

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::request::Parts};
use queue::{Actor, AuthenticatedKey};

pub(crate) use admission::{Peer, admit};

use crate::error::ApiError;

/// What a key may be allowed to do. Scopes do not imply each other, but `admin` may do everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Enqueue jobs; `enqueue:email.*` and `enqueue:email.send` only those kinds.
    Enqueue,
    /// Look at everything but keys.
    Read,
    /// Cancel, run now, pause, replay, discard.
    Operate,
    /// Keys, and everything else.
    Admin,
}

impl Scope {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Enqueue => "enqueue",
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }

    /// Whether a scope that a key holds opens what needs this one.
    fn is_granted_by(self, held: &str) -> bool {
        held == Self::Admin.as_str()
            || held == self.as_str()
            || (self == Self::Enqueue && held.starts_with("enqueue:"))
    }
}

/// What an operation asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Access {
    /// The scope its key must hold.
    pub(crate) scope: Scope,
    /// Whether it reaches beyond one tenant, so that keys bound to a tenant may not use it.
    pub(crate) is_fleet_wide: bool,
}

/// The key that a request was admitted with.
#[derive(Debug, Clone)]
pub(crate) struct Caller(Arc<AuthenticatedKey>);

impl Caller {
    fn new(key: AuthenticatedKey) -> Self {
        Self(Arc::new(key))
    }

    fn require(&self, access: Access) -> Result<(), ApiError> {
        if !self
            .0
            .scopes
            .iter()
            .any(|held| access.scope.is_granted_by(held))
        {
            return Err(ApiError::MissingScope {
                scope: access.scope.as_str().to_owned(),
            });
        }
        if access.is_fleet_wide && self.tenant().is_some() {
            return Err(ApiError::BoundKey);
        }
        Ok(())
    }

    /// Whether the key may enqueue jobs of this kind.
    pub(crate) fn may_enqueue(&self, kind: &str) -> Result<(), ApiError> {
        if self.0.scopes.iter().any(|held| opens_kind(held, kind)) {
            return Ok(());
        }
        let kind: String = kind.chars().take(100).collect();
        Err(ApiError::MissingScope {
            scope: format!("enqueue:{kind}"),
        })
    }

    /// The tenant the key is bound to; `None`: all.
    pub(crate) fn tenant(&self) -> Option<&str> {
        self.0.tenant.as_deref()
    }

    /// The tenant that a request means: the one it names, else the one that the key is bound to.
    pub(crate) fn tenant_for(&self, named: Option<String>) -> Result<Option<String>, ApiError> {
        match (self.tenant(), named) {
            (None, named) => Ok(named),
            (Some(bound), None) => Ok(Some(bound.to_owned())),
            (Some(bound), Some(named)) if bound == named => Ok(Some(named)),
            (Some(_), Some(_)) => Err(ApiError::ForeignTenant),
        }
    }

    /// Keeps the idempotency keys of one API key apart from those of all others.
    pub(crate) fn client(&self) -> String {
        self.0.id.to_string()
    }

    /// The key as the audit names it.
    pub(crate) fn actor(&self) -> Actor {
        Actor {
            name: format!("key {}…", self.0.prefix),
            tenant: self.0.tenant.clone(),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or(ApiError::Wiring(
            "a handler without admission asked for its caller",
        ))
    }
}

fn opens_kind(held: &str, kind: &str) -> bool {
    if held == Scope::Admin.as_str() || held == Scope::Enqueue.as_str() {
        return true;
    }
    let Some(pattern) = held.strip_prefix("enqueue:") else {
        return false;
    };
    match pattern.strip_suffix(".*") {
        Some(family) => kind
            .strip_prefix(family)
            .is_some_and(|rest| rest.starts_with('.')),
        None => pattern == kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_of_kinds_ends_at_its_point() {
        assert!(opens_kind("enqueue:email.*", "email.send"));
        assert!(!opens_kind("enqueue:email.*", "emailx.send"));
        assert!(!opens_kind("enqueue:email.*", "email"));
        assert!(!opens_kind("enqueue:email.*", "sync.account"));
        assert!(opens_kind("enqueue:email.send", "email.send"));
        assert!(!opens_kind("enqueue:email.send", "email.send_all"));
    }

    #[test]
    fn admin_opens_everything_and_no_other_scope_opens_another() {
        for scope in [Scope::Enqueue, Scope::Read, Scope::Operate, Scope::Admin] {
            assert!(scope.is_granted_by("admin"));
            for held in ["enqueue", "read", "operate"] {
                assert_eq!(
                    scope.is_granted_by(held),
                    scope.as_str() == held,
                    "{held} for {scope:?}"
                );
            }
        }
        assert!(!opens_kind("read", "email.send"));
    }
}
