//! The clients of the ad platforms that a process has: who uses them goes by the platform's word and never by a client's
//! type.

use std::{collections::BTreeMap, sync::Arc};

use providers::platform::{AdPlatform, Platform};

/// Clients by platform; cheap to clone.
#[derive(Clone, Default)]
pub struct Platforms(Arc<BTreeMap<Platform, Arc<dyn AdPlatform>>>);

impl Platforms {
    /// The client of a platform; `None` where this process has none.
    #[must_use]
    pub fn of(&self, platform: Platform) -> Option<&Arc<dyn AdPlatform>> {
        self.0.get(&platform)
    }
}

impl FromIterator<Arc<dyn AdPlatform>> for Platforms {
    fn from_iter<T: IntoIterator<Item = Arc<dyn AdPlatform>>>(clients: T) -> Self {
        let clients = clients.into_iter();
        Self(Arc::new(
            clients.map(|client| (client.platform(), client)).collect(),
        ))
    }
}
