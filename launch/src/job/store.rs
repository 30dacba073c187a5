//! What the processes of a job leave for each other: keys with values, and a barrier.
//!
//! Both dialogues, Ferrite's own and PMI-1, are served from it.

use std::collections::HashMap;

/// The job's key-value space.
#[derive(Debug, Default)]
pub(crate) struct Store {
    values: HashMap<String, String>,
    /// For each rank, whether it waits in the barrier.
    waiting: Vec<bool>,
    count: usize,
}

/// A process has entered a barrier in which it waits already.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Twice;

impl Store {
    /// Of a job of so many ranks.
    pub(crate) fn new(size: u32) -> Store {
        Store {
            values: HashMap::new(),
            waiting: vec![false; size as usize],
            count: 0,
        }
    }

    /// Keeps a value; one that was there before is replaced.
    pub(crate) fn put(&mut self, key: &str, value: &str) {
        self.values.insert(key.into(), value.into());
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// Forgets a key. Returns whether there was a value.
    pub(crate) fn remove(&mut self, key: &str) -> bool {
        self.values.remove(key).is_some()
    }

    /// Keeps how a rank is reached.
    pub(crate) fn put_card(&mut self, rank: u32, card: &str) {
        self.put(&card_key(rank), card);
    }

    /// How a rank is reached.
    pub(crate) fn card(&self, rank: u32) -> Option<&str> {
        self.get(&card_key(rank))
    }

    /// A rank enters the barrier. `true`: it was the last one, and all leave.
    pub(crate) fn enter(&mut self, rank: u32) -> Result<bool, Twice> {
        let waiting = &mut self.waiting[rank as usize];
        if std::mem::replace(waiting, true) {
            return Err(Twice);
        }
        self.count += 1;
        let all = self.count == self.waiting.len();
        if all {
            self.waiting.fill(false);
            self.count = 0;
        }
        Ok(all)
    }
}

fn card_key(rank: u32) -> String {
    format!("ferrite-card-{rank}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_opens_the_barrier_and_it_serves_again() {
        let mut store = Store::new(3);
        for _ in 0..2 {
            assert_eq!(store.enter(2), Ok(false));
            assert_eq!(store.enter(2), Err(Twice));
            assert_eq!(store.enter(0), Ok(false));
            assert_eq!(store.enter(1), Ok(true));
        }
    }

    #[test]
    fn cards_are_keys_like_others() {
        let mut store = Store::new(2);
        assert_eq!(store.card(1), None);
        store.put_card(1, "tcp:x");
        assert_eq!(store.get("ferrite-card-1"), Some("tcp:x"));
        assert_eq!((store.card(0), store.card(1)), (None, Some("tcp:x")));
        assert!(store.remove("ferrite-card-1") && !store.remove("ferrite-card-1"));
    }
}
