//! How many calls one endpoint gets at a time, so that one that hangs holds up its own calls and not everybody's.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use url::Url;

/// How long a call waits for a place at an endpoint that answers: the next is free soon.
const PATIENCE: Duration = Duration::from_secs(1);

/// Host and port.
type Name = (String, u16);

/// The endpoints that are being called. One that nobody calls or waits for is forgotten, so there are never more than
/// calls under way.
pub(super) struct Endpoints {
    most: usize,
    visited: Mutex<HashMap<Name, Visited>>,
}

struct Visited {
    endpoint: Arc<Endpoint>,
    visitors: usize,
}

struct Endpoint {
    places: Arc<Semaphore>,
    /// The last call that ended got no answer.
    is_silent: AtomicBool,
}

/// A place at an endpoint, or a wait for one. It ends when it is dropped.
pub(super) struct Visit<'a> {
    endpoints: &'a Endpoints,
    name: Name,
    endpoint: Arc<Endpoint>,
    place: Option<OwnedSemaphorePermit>,
}

impl Endpoints {
    /// Each endpoint has so many places, and at least one.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            visited: Mutex::default(),
        }
    }

    /// A place at the URL's endpoint. `None` when all are taken: at once where the endpoint was silent lately, else after
    /// a moment.
    pub(super) async fn enter(&self, url: &Url) -> Option<Visit<'_>> {
        let mut visit = self.visit(url);
        let places = Arc::clone(&visit.endpoint.places);
        let place = match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => place,
            Err(_taken) if visit.endpoint.is_silent.load(Ordering::Relaxed) => return None,
            Err(_taken) => timeout(PATIENCE, places.acquire_owned()).await.ok()?.ok()?,
        };
        visit.place = Some(place);
        Some(visit)
    }

    fn visit(&self, url: &Url) -> Visit<'_> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let name = (host, url.port_or_known_default().unwrap_or_default());
        let mut visited = self.lock();
        let entry = visited.entry(name.clone()).or_insert_with(|| Visited {
            endpoint: Arc::new(Endpoint {
                places: Arc::new(Semaphore::new(self.most)),
                is_silent: AtomicBool::new(false),
            }),
            visitors: 0,
        });
        entry.visitors += 1;
        Visit {
            endpoints: self,
            name,
            endpoint: Arc::clone(&entry.endpoint),
            place: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Visited>> {
        self.visited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visit<'_> {
    /// The call ended, without any answer where `was_silent`.
    pub(super) fn end(self, was_silent: bool) {
        self.endpoint.is_silent.store(was_silent, Ordering::Relaxed);
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        // Before the endpoint is forgotten: a newcomer to a fresh one must not be one too many.
        self.place.take();
        let mut visited = self.endpoints.lock();
        let Some(entry) = visited.get_mut(&self.name) else {
            return;
        };
        entry.visitors -= 1;
        if entry.visitors == 0 {
            visited.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().expect("a URL")
    }

    #[tokio::test]
    async fn a_silent_endpoint_takes_its_places_and_no_others() {
        let endpoints = Endpoints::new(2);
        let dead = url("https://dead.example/hook");
        let first = endpoints.enter(&dead).await.expect("a place");
        let second = endpoints.enter(&dead).await.expect("a place");
        let third = endpoints.visit(&dead);
        third.end(true);

        let refused = endpoints
            .enter(&url("https://dead.example:443/other"))
            .await;
        let elsewhere = endpoints.enter(&url("https://dead.example:8443/")).await;

        assert!(refused.is_none());
        assert!(elsewhere.is_some());
        drop((first, second));
        assert!(endpoints.enter(&dead).await.is_some());
    }

    #[tokio::test]
    async fn a_place_at_an_endpoint_that_answers_is_waited_for() {
        let endpoints = Endpoints::new(1);
        let url = url("https://busy.example/");
        let first = endpoints.enter(&url).await.expect("a place");

        let (waited, ()) = tokio::join!(endpoints.enter(&url), async move { first.end(false) });

        assert!(waited.is_some());
    }

    #[tokio::test]
    async fn endpoints_that_nobody_calls_are_forgotten() {
        let endpoints = Endpoints::new(1);
        for port in 1..100 {
            let url = url(&format!("https://a.example:{port}/"));
            let visit = endpoints.enter(&url).await.expect("a place");
            visit.end(true);
        }

        assert!(endpoints.lock().is_empty());
    }
}
