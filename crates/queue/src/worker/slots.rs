//! The slots of a queue in this process: how many of its attempts may run at once. More of them are there at once; fewer
//! come about as attempts end, since none is stopped for it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The slots of one queue.
#[derive(Debug)]
pub(crate) struct Slots {
    free: Arc<Semaphore>,
    size: Mutex<Size>,
}

#[derive(Debug)]
struct Size {
    /// How many there are to be.
    wanted: usize,
    /// How many there are, free or in use.
    issued: usize,
}

impl Size {
    fn excess(&self) -> usize {
        self.issued.saturating_sub(self.wanted)
    }
}

impl Slots {
    pub(crate) fn new(wanted: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(wanted)),
            size: Mutex::new(Size {
                wanted,
                issued: wanted,
            }),
        }
    }

    /// How many there are to be.
    pub(crate) fn wanted(&self) -> usize {
        self.size().wanted
    }

    /// How many are in use: for a while more than are wanted, after these became fewer.
    pub(crate) fn used(&self) -> usize {
        let issued = self.size().issued;
        issued.saturating_sub(self.free.available_permits())
    }

    /// Has as many from now on; those in use beyond that go when their attempts end.
    pub(crate) fn resize(&self, wanted: usize) {
        let mut size = self.size();
        size.wanted = wanted;
        if size.issued < wanted {
            self.free.add_permits(wanted - size.issued);
            size.issued = wanted;
        } else {
            size.issued -= self.free.forget_permits(size.excess());
        }
    }

    /// Waits for a free slot. Cancel-safe.
    pub(crate) async fn take(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            let slot = Arc::clone(&self.free).acquire_owned().await.ok()?;
            if let Some(slot) = self.keep(slot) {
                return Some(slot);
            }
        }
    }

    /// A slot that is free now.
    pub(crate) fn try_take(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            let slot = Arc::clone(&self.free).try_acquire_owned().ok()?;
            if let Some(slot) = self.keep(slot) {
                return Some(slot);
            }
        }
    }

    /// How many could be taken now.
    pub(crate) fn free(&self) -> usize {
        let excess = self.size().excess();
        self.free.available_permits().saturating_sub(excess)
    }

    /// The slot, unless there is one too many: then it is gone.
    fn keep(&self, slot: OwnedSemaphorePermit) -> Option<OwnedSemaphorePermit> {
        let mut size = self.size();
        if size.excess() == 0 {
            return Some(slot);
        }
        size.issued -= 1;
        slot.forget();
        None
    }

    fn size(&self) -> MutexGuard<'_, Size> {
        self.size.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The slots of every queue that this process works on now, and of those it has left that attempts still hold.
#[derive(Debug, Default)]
pub(crate) struct Board {
    queues: Mutex<Queues>,
}

#[derive(Debug, Default)]
struct Queues {
    present: BTreeMap<Arc<str>, Arc<Slots>>,
    left: BTreeMap<Arc<str>, Arc<Slots>>,
}

impl Board {
    /// The slots of a queue that is to be worked on. One that comes back has those that its attempts still hold: no more
    /// than are wanted are ever in use, whoever began them.
    pub(crate) fn put(&self, queue: &Arc<str>, wanted: usize) -> Arc<Slots> {
        let mut queues = self.queues();
        let slots = match queues.left.remove(queue) {
            Some(slots) => {
                slots.resize(wanted);
                slots
            }
            None => Arc::new(Slots::new(wanted)),
        };
        queues.present.insert(Arc::clone(queue), Arc::clone(&slots));
        slots
    }

    /// Takes a queue out that is worked on no more. Its attempts go on.
    pub(crate) fn take_down(&self, queue: &str) {
        let mut queues = self.queues();
        queues.left.retain(|_, slots| slots.used() > 0);
        if let Some((queue, slots)) = queues.present.remove_entry(queue) {
            slots.resize(0);
            queues.left.insert(queue, slots);
        }
    }

    /// The queues that are worked on and their slots, by name.
    pub(crate) fn list(&self) -> Vec<(Arc<str>, Arc<Slots>)> {
        let queues = self.queues();
        queues
            .present
            .iter()
            .map(|(queue, slots)| (Arc::clone(queue), Arc::clone(slots)))
            .collect()
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn take(slots: &Slots, count: usize) -> Vec<OwnedSemaphorePermit> {
        let taken: Option<Vec<_>> = (0..count).map(|_| slots.try_take()).collect();
        taken.expect("so many are free")
    }

    #[test]
    fn more_slots_are_free_at_once() {
        let slots = Slots::new(2);
        let held = take(&slots, 2);
        let before = slots.take().now_or_never();

        slots.resize(5);

        assert!(before.is_none());
        assert_eq!(take(&slots, 3).len(), 3);
        assert_eq!((slots.wanted(), slots.used()), (5, 2));
        drop(held);
    }

    #[test]
    fn fewer_come_about_as_attempts_end_and_none_is_taken_away() {
        let slots = Slots::new(5);
        let mut held = take(&slots, 4);

        slots.resize(2);
        let (used, free) = (slots.used(), slots.free());
        held.truncate(2);
        let full = slots.try_take();
        held.truncate(1);

        assert_eq!((used, free), (4, 0));
        assert!(full.is_none());
        assert_eq!(take(&slots, 1).len(), 1);
        assert_eq!((slots.wanted(), slots.used()), (2, 1));
    }

    #[test]
    fn what_is_widened_again_before_it_shrank_has_no_slot_too_many() {
        let slots = Slots::new(4);
        let held = take(&slots, 4);

        slots.resize(1);
        slots.resize(3);
        drop(held);

        let again: Vec<_> = std::iter::from_fn(|| slots.try_take()).collect();
        assert_eq!(again.len(), 3);
    }

    // Fails when a queue that leaves the configuration and comes back begins with fresh slots.
    #[test]
    fn a_queue_that_comes_back_has_the_slots_that_its_attempts_still_hold() {
        let board = Board::default();
        let queue: Arc<str> = "extra".into();
        let mut held = take(&board.put(&queue, 2), 2);

        board.take_down(&queue);
        let gone = board.list().is_empty();
        let slots = board.put(&queue, 3);
        let one = take(&slots, 1);
        let full = slots.try_take().is_none();
        held.clear();

        assert!(gone && full);
        assert_eq!((slots.wanted(), slots.used(), slots.free()), (3, 1, 2));
        drop(one);
    }

    #[test]
    fn a_queue_that_left_gives_no_slot_and_is_forgotten_when_its_attempts_have_ended() {
        let board = Board::default();
        let (extra, other): (Arc<str>, Arc<str>) = ("extra".into(), "other".into());
        let slots = board.put(&extra, 2);
        let held = take(&slots, 1);

        board.take_down(&extra);
        let none = slots.try_take();
        drop(held);
        board.put(&other, 1);
        board.take_down(&other);

        assert!(none.is_none());
        assert_eq!(board.queues().left.len(), 1);
        assert_eq!(board.put(&extra, 2).free(), 2);
    }
}
