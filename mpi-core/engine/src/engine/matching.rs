//! Matching: which receive takes which message (MPI 5.0, section 3.5).
//!
//! A [`Matcher`] holds the posted receives and the unexpected messages of some contexts. Receives
//! that name source and tag, and all messages, hang in buckets by (context, source, tag); receives
//! with a wildcard hang in one list of their own. A message is matched with the older of the first
//! fitting exact receive and the first fitting wildcard receive, so the order that the standard
//! demands holds without walking receives that cannot fit.
//!
//! Pure data: no locks, no requests, no transport. The payloads `P` (receive) and `U` (message)
//! mean nothing here.

use crate::status::{ANY_SOURCE, ANY_TAG, PROC_NULL};

const NONE: u32 = u32::MAX;
const FIRST_BUCKETS: usize = 64;

/// Messages that have arrived, by whether their receive was there first.
#[derive(Clone, Copy, Default)]
pub(crate) struct Arrivals {
    pub(crate) expected: u64,
    pub(crate) unexpected: u64,
}

/// Context, source rank and tag. In a receive, source and tag may be wildcards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) context: u64,
    pub(crate) source: i32,
    pub(crate) tag: i32,
}

impl Envelope {
    /// Of a request that is matched with nothing.
    pub(crate) const NOWHERE: Envelope = Envelope {
        context: 0,
        source: PROC_NULL,
        tag: 0,
    };

    #[inline]
    fn is_wild(self) -> bool {
        self.source == ANY_SOURCE || self.tag == ANY_TAG
    }

    /// Whether this receive takes `message`.
    #[inline]
    fn takes(self, message: Envelope) -> bool {
        self.context == message.context
            && (self.source == message.source || self.source == ANY_SOURCE)
            && (self.tag == message.tag || self.tag == ANY_TAG)
    }

    #[inline]
    fn hash(self) -> u64 {
        let pair = (self.source as u32 as u64) << 32 | self.tag as u32 as u64;
        (self.context ^ pair.rotate_left(17)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
    }
}

/// Names a posted receive or an unexpected message until it is taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry(u32);

impl Entry {
    /// Names nothing.
    pub(crate) const NONE: Entry = Entry(NONE);
}

#[derive(Clone, Copy)]
struct List {
    head: u32,
    tail: u32,
}

const EMPTY: List = List {
    head: NONE,
    tail: NONE,
};

#[derive(Clone, Copy)]
struct Hook {
    next: u32,
    prev: u32,
}

const UNHOOKED: Hook = Hook {
    next: NONE,
    prev: NONE,
};
/// Which hook of a node: in its bucket (or in the list of wildcards), or in the order of arrival.
const BUCKET: usize = 0;
const ORDER: usize = 1;

struct Node<T> {
    envelope: Envelope,
    /// Of a receive: how many were posted before it. Of a message: how many had arrived with it.
    age: u64,
    /// Where it hangs, unless it hangs among the wildcards. Kept up to date by
    /// `Arena::hang_in_bucket`.
    bucket: u32,
    hooks: [Hook; 2],
    payload: Option<T>,
}

/// Nodes in an arena, hung in lists by index.
struct Arena<T> {
    nodes: Vec<Node<T>>,
    free: u32,
    live: usize,
    buckets: Vec<List>,
}

impl<T> Arena<T> {
    fn new() -> Arena<T> {
        Arena {
            nodes: Vec::new(),
            free: NONE,
            live: 0,
            buckets: vec![EMPTY; FIRST_BUCKETS],
        }
    }

    /// The list of a bucket, as `bucket_of` names it.
    #[inline(always)]
    fn list(&mut self, bucket: usize) -> &mut List {
        debug_assert!(bucket < self.buckets.len());
        // SAFETY: `bucket_of` answers below the number of buckets, and `grow` hangs every node
        // anew.
        unsafe { self.buckets.get_unchecked_mut(bucket) }
    }

    /// A node by its index.
    #[inline(always)]
    fn node(&self, index: u32) -> &Node<T> {
        debug_assert!((index as usize) < self.nodes.len());
        // SAFETY: indices come from `add`, stand in lists and entries while the node is used, and
        // nodes are never removed.
        unsafe { self.nodes.get_unchecked(index as usize) }
    }

    /// A node by its index, to change.
    #[inline(always)]
    fn node_mut(&mut self, index: u32) -> &mut Node<T> {
        debug_assert!((index as usize) < self.nodes.len());
        // SAFETY: as in `node`.
        unsafe { self.nodes.get_unchecked_mut(index as usize) }
    }

    #[inline]
    fn bucket_of(&self, envelope: Envelope) -> usize {
        envelope.hash() as usize & (self.buckets.len() - 1)
    }

    #[inline]
    fn add(&mut self, envelope: Envelope, age: u64, payload: T) -> u32 {
        self.live += 1;
        let node = Node {
            envelope,
            age,
            bucket: 0,
            hooks: [UNHOOKED; 2],
            payload: Some(payload),
        };
        if self.free == NONE {
            self.nodes.push(node);
            self.nodes.len() as u32 - 1
        } else {
            let index = self.free;
            self.free = self.node(index).hooks[BUCKET].next;
            *self.node_mut(index) = node;
            index
        }
    }

    #[inline]
    fn take(&mut self, index: u32) -> T {
        self.live -= 1;
        let free = core::mem::replace(&mut self.free, index);
        let node = self.node_mut(index);
        node.hooks[BUCKET].next = free;
        node.payload.take().expect("a hooked node has a payload")
    }

    #[inline]
    fn hang(&mut self, list: &mut List, which: usize, index: u32) {
        self.node_mut(index).hooks[which] = Hook {
            next: NONE,
            prev: list.tail,
        };
        if list.tail == NONE {
            list.head = index;
        } else {
            self.node_mut(list.tail).hooks[which].next = index;
        }
        list.tail = index;
    }

    #[inline]
    fn unhang(&mut self, list: &mut List, which: usize, index: u32) {
        let Hook { next, prev } = self.node(index).hooks[which];
        if prev == NONE {
            list.head = next;
        } else {
            self.node_mut(prev).hooks[which].next = next;
        }
        if next == NONE {
            list.tail = prev;
        } else {
            self.node_mut(next).hooks[which].prev = prev;
        }
    }

    /// Hangs a node before the first that is younger.
    fn hang_by_age(&mut self, list: &mut List, which: usize, index: u32) {
        let age = self.node(index).age;
        let next = self.find(list.head, which, |node| node.age > age);
        if next == NONE {
            return self.hang(list, which, index);
        }
        let prev = self.node(next).hooks[which].prev;
        self.node_mut(index).hooks[which] = Hook { next, prev };
        self.node_mut(next).hooks[which].prev = index;
        if prev == NONE {
            list.head = index;
        } else {
            self.node_mut(prev).hooks[which].next = index;
        }
    }

    #[inline]
    fn hang_in_bucket(&mut self, index: u32) {
        let bucket = self.bucket_of(self.node(index).envelope);
        self.node_mut(index).bucket = bucket as u32;
        let mut list = *self.list(bucket);
        self.hang(&mut list, BUCKET, index);
        *self.list(bucket) = list;
    }

    #[inline]
    fn unhang_from_bucket(&mut self, index: u32) {
        let bucket = self.node(index).bucket as usize;
        let mut list = *self.list(bucket);
        self.unhang(&mut list, BUCKET, index);
        *self.list(bucket) = list;
    }

    /// The first node from `head` on that `fits`.
    #[inline]
    fn find(&self, head: u32, which: usize, fits: impl Fn(&Node<T>) -> bool) -> u32 {
        let mut at = head;
        while at != NONE {
            let node = self.node(at);
            if fits(node) {
                return at;
            }
            at = node.hooks[which].next;
        }
        NONE
    }

    /// Doubles the buckets and hangs what is in them anew, in the order of age within each bucket.
    #[cold]
    fn grow(&mut self) {
        let old = std::mem::take(&mut self.buckets);
        self.buckets = vec![EMPTY; old.len() * 2];
        for list in old {
            let mut at = list.head;
            while at != NONE {
                let next = self.node(at).hooks[BUCKET].next;
                self.hang_in_bucket(at);
                at = next;
            }
        }
    }

    #[inline]
    fn is_crowded(&self) -> bool {
        self.live > 2 * self.buckets.len()
    }
}

/// Posted receives and unexpected messages of some contexts.
pub(crate) struct Matcher<P, U> {
    posted: Arena<P>,
    wild: List,
    unexpected: Arena<U>,
    arrival: List,
    age: u64,
    pub(crate) arrivals: Arrivals,
}

impl<P, U> Matcher<P, U> {
    pub(crate) fn new() -> Matcher<P, U> {
        Matcher {
            posted: Arena::new(),
            wild: EMPTY,
            unexpected: Arena::new(),
            arrival: EMPTY,
            age: 0,
            arrivals: Arrivals::default(),
        }
    }

    /// Posts a receive behind all others.
    #[inline]
    pub(crate) fn post(&mut self, receive: Envelope, payload: P) -> Entry {
        if self.posted.is_crowded() {
            self.posted.grow();
        }
        self.age += 1;
        let index = self.posted.add(receive, self.age, payload);
        if receive.is_wild() {
            let mut wild = self.wild;
            self.posted.hang(&mut wild, BUCKET, index);
            self.wild = wild;
        } else {
            self.posted.hang_in_bucket(index);
        }
        Entry(index)
    }

    /// Takes out the receive that `message` matches.
    #[inline]
    pub(crate) fn match_posted(&mut self, message: Envelope) -> Option<P> {
        let bucket = self.posted.bucket_of(message);
        let bucket = self.posted.list(bucket).head;
        let exact = self
            .posted
            .find(bucket, BUCKET, |node| node.envelope == message);
        let wild = self
            .posted
            .find(self.wild.head, BUCKET, |node| node.envelope.takes(message));
        let first = match (exact, wild) {
            (NONE, NONE) => return None,
            (exact, NONE) => exact,
            (NONE, wild) => wild,
            (exact, wild) => {
                let [exact_age, wild_age] = [exact, wild].map(|index| self.posted.node(index).age);
                if exact_age < wild_age { exact } else { wild }
            }
        };
        self.arrivals.expected += 1;
        Some(self.remove_posted(first))
    }

    /// The receives that wait for a message, in no order.
    pub(crate) fn posted(&self) -> impl Iterator<Item = (Envelope, &P)> {
        let nodes = self.posted.nodes.iter();
        nodes.filter_map(|node| Some((node.envelope, node.payload.as_ref()?)))
    }

    /// Takes a receive back that has not been matched. `same` guards against an entry that was
    /// matched and given to another receive meanwhile.
    pub(crate) fn withdraw(&mut self, entry: Entry, same: impl Fn(&P) -> bool) -> Option<P> {
        let node = self.posted.nodes.get(entry.0 as usize)?;
        if !node.payload.as_ref().is_some_and(same) {
            return None;
        }
        Some(self.remove_posted(entry.0))
    }

    #[inline]
    fn remove_posted(&mut self, index: u32) -> P {
        if self.posted.node(index).envelope.is_wild() {
            let mut wild = self.wild;
            self.posted.unhang(&mut wild, BUCKET, index);
            self.wild = wild;
        } else {
            self.posted.unhang_from_bucket(index);
        }
        self.posted.take(index)
    }

    /// Keeps a message that no receive was posted for.
    #[inline]
    pub(crate) fn store(&mut self, message: Envelope, payload: U) {
        if self.unexpected.is_crowded() {
            self.unexpected.grow();
        }
        self.arrivals.unexpected += 1;
        let index = self.unexpected.add(message, self.arrived(), payload);
        self.unexpected.hang_in_bucket(index);
        let mut arrival = self.arrival;
        self.unexpected.hang(&mut arrival, ORDER, index);
        self.arrival = arrival;
    }

    /// How many messages have arrived.
    pub(crate) fn arrived(&self) -> u64 {
        self.arrivals.expected + self.arrivals.unexpected
    }

    /// Keeps a message that had been matched, in the place where it would be had it not: `arrived`
    /// messages had arrived with it.
    pub(crate) fn store_again(&mut self, message: Envelope, arrived: u64, payload: U) {
        if self.unexpected.is_crowded() {
            self.unexpected.grow();
        }
        let index = self.unexpected.add(message, arrived, payload);
        let bucket = self.unexpected.bucket_of(message);
        self.unexpected.node_mut(index).bucket = bucket as u32;
        let mut list = *self.unexpected.list(bucket);
        self.unexpected.hang_by_age(&mut list, BUCKET, index);
        *self.unexpected.list(bucket) = list;
        let mut arrival = self.arrival;
        self.unexpected.hang_by_age(&mut arrival, ORDER, index);
        self.arrival = arrival;
    }

    /// How many messages had arrived with this one.
    pub(crate) fn arrival_of(&self, entry: Entry) -> u64 {
        self.unexpected.node(entry.0).age
    }

    /// The oldest kept message that `receive` takes.
    #[inline]
    pub(crate) fn find_unexpected(&self, receive: Envelope) -> Option<(Entry, Envelope, &U)> {
        if self.arrival.head == NONE {
            return None;
        }
        let index = if receive.is_wild() {
            self.unexpected.find(self.arrival.head, ORDER, |node| {
                receive.takes(node.envelope)
            })
        } else {
            let bucket = self.unexpected.buckets[self.unexpected.bucket_of(receive)].head;
            self.unexpected
                .find(bucket, BUCKET, |node| node.envelope == receive)
        };
        let node = self.unexpected.nodes.get(index as usize)?;
        Some((Entry(index), node.envelope, node.payload.as_ref()?))
    }

    /// The oldest kept message for which `wanted` holds. Walks all.
    pub(crate) fn find_unexpected_by(&self, wanted: impl Fn(&U) -> bool) -> Option<Entry> {
        let index = self.unexpected.find(self.arrival.head, ORDER, |node| {
            node.payload.as_ref().is_some_and(&wanted)
        });
        (index != NONE).then_some(Entry(index))
    }

    /// Takes out a kept message found by this lock's holder.
    #[inline]
    pub(crate) fn take_unexpected(&mut self, entry: Entry) -> U {
        self.unexpected.unhang_from_bucket(entry.0);
        let mut arrival = self.arrival;
        self.unexpected.unhang(&mut arrival, ORDER, entry.0);
        self.arrival = arrival;
        self.unexpected.take(entry.0)
    }

    /// Posted receives and kept messages.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.posted.live, self.unexpected.live)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % limit
        }
    }

    /// The standard's rule, word for word: walk the receives in posting order, the messages in
    /// order of arrival.
    #[derive(Default)]
    struct Oracle {
        posted: VecDeque<(Envelope, u32)>,
        kept: VecDeque<(Envelope, u32)>,
    }

    impl Oracle {
        /// Messages are numbered as they arrive, so that one that comes again finds its place.
        fn arrive(&mut self, message: Envelope, id: u32) -> Option<u32> {
            match self
                .posted
                .iter()
                .position(|(receive, _)| receive.takes(message))
            {
                Some(at) => self.posted.remove(at).map(|(_, id)| id),
                None => {
                    let at = self.kept.partition_point(|(_, before)| *before < id);
                    self.kept.insert(at, (message, id));
                    None
                }
            }
        }

        fn receive(&mut self, receive: Envelope, id: u32) -> Option<(Envelope, u32)> {
            match self
                .kept
                .iter()
                .position(|(message, _)| receive.takes(*message))
            {
                Some(at) => self.kept.remove(at),
                None => {
                    self.posted.push_back((receive, id));
                    None
                }
            }
        }
    }

    #[test]
    fn agrees_with_the_standards_rule() {
        for seed in 1..200u64 {
            let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let mut matcher = Matcher::<u32, u32>::new();
            let mut oracle = Oracle::default();
            let mut entries = Vec::new();
            // Messages that were matched, and how many had arrived with each.
            let mut taken: Vec<(Envelope, u32, u64)> = Vec::new();
            let spread = 1 + random.below(6);
            for id in 0..2000 {
                let mut envelope = Envelope {
                    context: random.below(2),
                    source: random.below(spread) as i32,
                    tag: random.below(spread) as i32,
                };
                match random.below(10) {
                    0..4 => {
                        let found = matcher.match_posted(envelope);
                        match found {
                            Some(_) => taken.push((envelope, id, matcher.arrived())),
                            None => matcher.store(envelope, id),
                        }
                        assert_eq!(found, oracle.arrive(envelope, id), "seed {seed}");
                    }
                    // A message comes back from its receive.
                    8 if !taken.is_empty() => {
                        let at = random.below(taken.len() as u64) as usize;
                        let (envelope, id, arrived) = taken.swap_remove(at);
                        let found = matcher.match_posted(envelope);
                        match found {
                            Some(_) => taken.push((envelope, id, arrived)),
                            None => matcher.store_again(envelope, arrived, id),
                        }
                        assert_eq!(found, oracle.arrive(envelope, id), "seed {seed}");
                    }
                    4..8 => {
                        if random.below(4) == 0 {
                            envelope.source = ANY_SOURCE;
                        }
                        if random.below(4) == 0 {
                            envelope.tag = ANY_TAG;
                        }
                        let found = matcher.find_unexpected(envelope);
                        let found = found.map(|(entry, message, _)| (entry, message));
                        let found = found.map(|(entry, message)| {
                            let arrived = matcher.arrival_of(entry);
                            let id = matcher.take_unexpected(entry);
                            taken.push((message, id, arrived));
                            (message, id)
                        });
                        if found.is_none() {
                            entries.push((matcher.post(envelope, id), id));
                        }
                        assert_eq!(found, oracle.receive(envelope, id), "seed {seed}");
                    }
                    _ if !entries.is_empty() => {
                        let at = random.below(entries.len() as u64) as usize;
                        let (entry, id) = entries.swap_remove(at);
                        let gone = matcher.withdraw(entry, |held| *held == id);
                        let position = oracle.posted.iter().position(|(_, held)| *held == id);
                        assert_eq!(gone.is_some(), position.is_some(), "seed {seed}");
                        if let Some(at) = position {
                            oracle.posted.remove(at);
                        }
                    }
                    _ => {}
                }
            }
            assert_eq!(
                matcher.counts(),
                (oracle.posted.len(), oracle.kept.len()),
                "seed {seed}"
            );
        }
    }
}
