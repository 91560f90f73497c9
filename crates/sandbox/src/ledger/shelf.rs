//! A list that keeps the newest entries, bounded in number and in memory, and numbers all it ever
//! had.

use std::collections::VecDeque;

/// Most entries kept of one sort.
const MOST_ENTRIES: usize = 100_000;
/// Most memory for one sort, as its entries' sizes are told: 128 MiB.
const MOST_BYTES: usize = 128 << 20;

/// The newest entries of one sort.
pub(super) struct Shelf<T> {
    entries: VecDeque<(T, usize)>,
    /// The number of the oldest entry kept.
    first: u64,
    size_bytes: usize,
    most_entries: usize,
}

/// What putting an entry on a shelf led to.
pub(super) struct Pushed<T> {
    /// The entry's number, from 0.
    pub(super) number: u64,
    /// The entries that had to go for it.
    pub(super) dropped: Vec<T>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            first: 0,
            size_bytes: 0,
            most_entries: MOST_ENTRIES,
        }
    }
}

impl<T> Shelf<T> {
    pub(super) fn push(&mut self, entry: T, size_bytes: usize) -> Pushed<T> {
        let number = self.total();
        self.entries.push_back((entry, size_bytes));
        self.size_bytes += size_bytes;

        let mut dropped = Vec::new();
        // The newest entry stays even if it alone is too large: its own bounds stand where it was
        // read.
        while self.entries.len() > 1
            && (self.entries.len() > self.most_entries || self.size_bytes > MOST_BYTES)
            && let Some((oldest, size_bytes)) = self.entries.pop_front()
        {
            self.first += 1;
            self.size_bytes -= size_bytes;
            dropped.push(oldest);
        }
        Pushed { number, dropped }
    }

    /// The entry of that number, while it is kept.
    pub(super) fn entry_mut(&mut self, number: u64) -> Option<&mut T> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.entries.get_mut(index).map(|(entry, _)| entry)
    }

    /// How many entries there ever were.
    pub(super) fn total(&self) -> u64 {
        self.first + self.entries.len() as u64
    }
}

impl<T: Clone> Shelf<T> {
    /// Copies of the newest `most` entries, oldest first.
    pub(super) fn newest(&self, most: usize) -> Vec<T> {
        let skipped = self.entries.len().saturating_sub(most);
        self.entries
            .iter()
            .skip(skipped)
            .map(|(entry, _)| entry.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_shelf_forgets_its_oldest_entries_and_counts_on() {
        let mut shelf = Shelf {
            most_entries: 2,
            ..Shelf::default()
        };

        for entry in ["a", "b", "c"] {
            shelf.push(entry, 1);
        }

        assert_eq!(shelf.newest(usize::MAX), ["b", "c"]);
        assert_eq!(shelf.newest(1), ["c"]);
        assert_eq!(shelf.total(), 3);
        assert_eq!(shelf.entry_mut(0), None);
        assert_eq!(shelf.entry_mut(2), Some(&mut "c"));
    }

    #[test]
    fn entries_that_take_too_much_memory_push_others_out() {
        let mut shelf = Shelf::default();

        shelf.push("a", MOST_BYTES / 2);
        let pushed = shelf.push("b", MOST_BYTES);

        assert_eq!(pushed.number, 1);
        assert_eq!(pushed.dropped, ["a"]);
        assert_eq!(shelf.newest(usize::MAX), ["b"]);
    }
}
