//! The calls that this process may have in flight: places that it holds by a lease of the database's.

use std::time::{Duration, Instant};

/// What nobody needed for so long goes back.
const UNUSED: Duration = Duration::from_secs(1);

/// Places for calls.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Those that may be used, in use or free.
    held: u32,
    /// Free ones may be used until then.
    until: Option<Instant>,
    in_use: u32,
    /// What the database says is held; more than `held` where some are to go back.
    in_database: u32,
    /// The fewest that were free since then.
    least_free: u32,
    since: Option<Instant>,
    /// The most to be held while others wait.
    fair_share: Option<u32>,
}

/// What the database says that is held.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hold {
    pub(super) places: u32,
    /// Until when it surely is.
    pub(super) until: Instant,
    pub(super) fair_share: Option<u32>,
}

impl Places {
    pub(super) fn in_use(&self) -> u32 {
        self.in_use
    }

    pub(super) fn free(&self) -> u32 {
        self.held.saturating_sub(self.in_use)
    }

    /// Whether a call may begin.
    pub(super) fn has_free(&self, now: Instant) -> bool {
        self.free() > 0 && self.until.is_some_and(|until| now < until)
    }

    /// A call begins.
    pub(super) fn enter(&mut self) {
        self.in_use = self.in_use.saturating_add(1);
        self.least_free = self.least_free.min(self.free());
    }

    /// A call has ended. Tells whether its place is to go to others, who wait for one.
    pub(super) fn leave(&mut self) -> bool {
        self.in_use = self.in_use.saturating_sub(1);
        let is_too_many = self.fair_share.is_some_and(|share| self.held > share);
        if is_too_many {
            self.held = self.held.saturating_sub(1).max(self.in_use);
        }
        is_too_many
    }

    /// Free places that nobody needed for some time.
    pub(super) fn surplus(&self, now: Instant) -> u32 {
        let is_settled = self
            .since
            .is_some_and(|since| now.saturating_duration_since(since) >= UNUSED);
        if is_settled {
            self.least_free.min(self.free())
        } else {
            0
        }
    }

    /// Whether the database says that more are held than may be used.
    pub(super) fn has_given_up(&self) -> bool {
        self.held < self.in_database
    }

    /// From here on no free place may be used: the database may give it to others.
    pub(super) fn freeze(&mut self) {
        self.held = self.in_use;
    }

    /// What is held from here on.
    pub(super) fn hold(&mut self, hold: Hold, now: Instant) {
        self.held = hold.places;
        self.in_database = hold.places;
        self.until = Some(hold.until);
        self.fair_share = hold.fair_share;
        self.least_free = self.free();
        self.since = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(60);

    fn holding(places: u32, fair_share: Option<u32>, now: Instant) -> Places {
        let mut held = Places::default();
        let hold = Hold {
            places,
            until: now + TTL,
            fair_share,
        };
        held.hold(hold, now);
        held
    }

    #[test]
    fn what_nobody_needed_for_a_second_is_surplus() {
        let now = Instant::now();
        let mut places = holding(5, None, now);
        places.enter();
        places.enter();
        places.leave();

        let early = places.surplus(now + UNUSED / 2);
        let late = places.surplus(now + UNUSED);

        assert_eq!((early, late), (0, 3));
    }

    #[test]
    fn a_place_beyond_the_fair_share_goes_to_others_when_its_call_ends() {
        let mut places = holding(2, Some(1), Instant::now());
        places.enter();
        places.enter();

        let first = places.leave();
        let free = places.free();
        let second = places.leave();

        assert_eq!((first, free, second), (true, 0, false));
        assert!(places.has_given_up());
    }

    // Fails when a free place is used while the database may be giving it to somebody else.
    #[test]
    fn no_free_place_is_used_during_an_exchange() {
        let now = Instant::now();
        let mut places = holding(3, None, now);
        places.enter();

        places.freeze();

        assert_eq!((places.has_free(now), places.in_use()), (false, 1));
        assert!(places.has_given_up());
    }

    // Fails when a process that was cut off uses places that others hold by now.
    #[test]
    fn no_place_is_used_once_its_lease_may_have_ended() {
        let now = Instant::now();
        let places = holding(3, None, now);

        assert!(places.has_free(now + TTL / 2));
        assert!(!places.has_free(now + TTL));
    }
}
