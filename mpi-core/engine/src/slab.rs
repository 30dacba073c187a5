//! Chunked slabs: where MPI objects live.
//!
//! An object keeps its address for as long as it lives, because chunks never move and are never
//! returned. A handle is checked by its index (within what was ever allocated) and its generation
//! (stepped at every removal), so a stale or invented handle is found out instead of followed.
//!
//! Whatever adds or takes out holds the slab's leaf lock. `get` reads without it, which is sound
//! because chunk pointers are published with release and a slot's stamp says whether its value is
//! alive. Using a handle in one thread while another frees it is an error in the program, found on
//! a best effort.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use crate::handle::{GENERATION_BITS, HandleKind, INDEX_BITS, compose};
use crate::sync::{Class, ClassLock};

/// The first chunk has 2^8 slots, every further one twice as many as the one before.
const CHUNK_BITS: u32 = 8;
const CHUNKS: usize = (INDEX_BITS - CHUNK_BITS) as usize;
/// An index that no object ever has: it lies behind the last chunk.
pub(crate) const NEVER: u32 = (1 << INDEX_BITS) - 1;
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;
const GENERATION_MASK: u32 = ((1 << GENERATION_BITS) - 1) << INDEX_BITS;
/// Flipped in the stamp of a slot without a value. It is a bit of the index, so that no handle
/// leads to this slot and is equal to its stamp.
const FREE: u32 = 1;

struct Slot<T> {
    /// The handle of the value; while there is none, the handle of the next one with [`FREE`]
    /// flipped.
    stamp: AtomicU32,
    /// While this slot is free and not the last: the slot that was freed after it.
    next_free: UnsafeCell<*const Slot<T>>,
    value: UnsafeCell<MaybeUninit<T>>,
}

impl<T> Slot<T> {
    /// Whether the slot of this index has a value. For those who have locked the slab.
    fn is_live(&self, index: u32) -> bool {
        (self.stamp.load(Ordering::Relaxed) ^ index) & FREE == 0
    }
}

/// The free slots, as a queue: the one that was freed first is used first, so that its generation
/// comes back as late as possible. The last one stays where it is, so that freeing a slot need not
/// ask whether there are any. Both ends are null until the slab grows.
struct Free<T> {
    head: *const Slot<T>,
    tail: *const Slot<T>,
    /// Slots that were ever free.
    allocated: u32,
}

/// Objects of one kind.
pub(crate) struct Slab<T> {
    kind: HandleKind,
    free: ClassLock<Free<T>>,
    chunks: [AtomicPtr<Slot<T>>; CHUNKS],
}

// SAFETY: values are reached by shared reference from any thread, hence `T: Sync`, and dropped by
// any, hence `T: Send`.
unsafe impl<T: Send + Sync> Sync for Slab<T> {}
// SAFETY: the slab owns its values.
unsafe impl<T: Send> Send for Slab<T> {}

/// Number of slots in a chunk.
const fn chunk_len(chunk: usize) -> usize {
    1 << (CHUNK_BITS as usize + chunk)
}

/// The chunk that an index lies in, and the slot within it.
#[inline]
fn place(index: u32) -> (usize, usize) {
    let shifted = index + (1 << CHUNK_BITS);
    let top = shifted.ilog2();
    ((top - CHUNK_BITS) as usize, (shifted ^ 1 << top) as usize)
}

impl<T> Slab<T> {
    /// An empty slab.
    pub(crate) const fn new(kind: HandleKind) -> Slab<T> {
        Slab {
            kind,
            free: ClassLock::new(
                Class::Leaf,
                Free {
                    head: null(),
                    tail: null(),
                    allocated: 0,
                },
            ),
            chunks: [const { AtomicPtr::new(null_mut()) }; CHUNKS],
        }
    }

    /// The slot of an index, if it was ever allocated.
    #[inline]
    fn slot(&self, index: u32) -> Option<&Slot<T>> {
        let (chunk, at) = place(index);
        // Pairs with the release store in `grow`.
        let chunk = self.chunks.get(chunk)?.load(Ordering::Acquire);
        if chunk.is_null() {
            return None;
        }
        // SAFETY: `at` is below the number of slots of this chunk, which lives as long as the slab.
        Some(unsafe { &*chunk.add(at) })
    }

    /// The object that `handle` names, if it is alive.
    #[inline]
    pub(crate) fn get(&self, handle: u32) -> Option<&T> {
        let slot = self.live(handle)?;
        // SAFETY: a live stamp is stored after the value was written, and taken away before it is
        // dropped.
        Some(unsafe { (*slot.value.get()).assume_init_ref() })
    }

    /// The slot of the object that `handle` names, if it is alive.
    #[inline]
    fn live(&self, handle: u32) -> Option<&Slot<T>> {
        let slot = self.slot(handle & INDEX_MASK)?;
        // Pairs with the release store in `insert_with` and `fill`.
        (slot.stamp.load(Ordering::Acquire) == handle).then_some(slot)
    }

    /// Stores an object and returns its handle, or gives the object back when the slab is full
    /// (4,194,047 objects).
    pub(crate) fn insert(&self, value: T) -> Result<u32, T> {
        let mut value = Some(value);
        let mut named = 0;
        // When there is no room the value is still here.
        let _ = self.insert_with(|handle| {
            named = handle;
            value.take().expect("made once")
        });
        match value {
            None => Ok(named),
            Some(value) => Err(value),
        }
    }

    /// Makes an object that knows its handle, in its place, or gives `make` back when the slab is
    /// full.
    #[inline(always)]
    pub(crate) fn insert_with<F: FnOnce(u32) -> T>(&self, make: F) -> Result<&T, F> {
        let mut free = self.free.lock();
        let Some((slot, handle)) = self.take_free(&mut free) else {
            return Err(make);
        };
        // SAFETY: the slot is neither free nor live, so nobody else touches `value`.
        unsafe { (*slot.value.get()).write(make(handle)) };
        // Pairs with the acquire load in `live`.
        slot.stamp.store(handle, Ordering::Release);
        // SAFETY: written just now.
        Ok(unsafe { (*slot.value.get()).assume_init_ref() })
    }

    /// A handle for an object that comes later, by [`Slab::fill`]; until then it is stale. `None`
    /// when the slab is full.
    pub(crate) fn reserve(&self) -> Option<u32> {
        let mut free = self.free.lock();
        self.take_free(&mut free).map(|(_, handle)| handle)
    }

    /// The slot that was freed first, which is not free any more, and the handle that its object is
    /// to have.
    #[inline(always)]
    fn take_free(&self, free: &mut Free<T>) -> Option<(&Slot<T>, u32)> {
        if free.head == free.tail && !self.grow(free) {
            return None;
        }
        // SAFETY: two slots are free at least, and chunks live as long as the slab.
        let slot = unsafe { &*free.head };
        // SAFETY: the slot is free and not the last, so it has a successor, and `free` is locked.
        free.head = unsafe { *slot.next_free.get() };
        Some((slot, slot.stamp.load(Ordering::Relaxed) ^ FREE))
    }

    /// Stores the object that a handle was reserved for. Once a handle.
    pub(crate) fn fill(&self, reserved: u32, value: T) {
        let _free = self.free.lock();
        let slot = self.reserved(reserved);
        // SAFETY: the slot is neither free nor live, so it is the caller's.
        unsafe { (*slot.value.get()).write(value) };
        // Pairs with the acquire load in `live`.
        slot.stamp.store(reserved, Ordering::Release);
    }

    /// Gives up a handle that was reserved. Once a handle.
    pub(crate) fn give_up(&self, reserved: u32) {
        let mut free = self.free.lock();
        let slot = self.reserved(reserved);
        set_free(&mut free, slot, reserved);
    }

    fn reserved(&self, handle: u32) -> &Slot<T> {
        let slot = self.slot(handle & INDEX_MASK);
        let slot = slot.expect("a reserved slot lies in a chunk");
        assert!(
            slot.stamp.load(Ordering::Relaxed) == handle ^ FREE,
            "a handle that is not reserved"
        );
        slot
    }

    /// Drops an object in its place, if it is alive; its handle and every copy of it are stale from
    /// now on.
    #[inline]
    pub(crate) fn discard(&self, handle: u32) {
        let mut free = self.free.lock();
        let Some(slot) = self.live(handle) else {
            return;
        };
        // SAFETY: the slot is live until it is free, and `free` is locked; whoever frees an object
        // is the last to use it.
        unsafe { (*slot.value.get()).assume_init_drop() };
        set_free(&mut free, slot, handle);
    }

    /// Takes an object out; its handle and every copy of it are stale from now on.
    #[inline]
    pub(crate) fn remove(&self, handle: u32) -> Option<T> {
        let mut free = self.free.lock();
        let slot = self.live(handle)?;
        // SAFETY: as in `discard`: the slot is live, and nobody reads its value again once it is
        // free.
        let value = unsafe { (*slot.value.get()).assume_init_read() };
        set_free(&mut free, slot, handle);
        Some(value)
    }

    /// Shows every object that is alive. None is added or taken out meanwhile, and `look` locks
    /// nothing.
    pub(crate) fn for_each(&self, mut look: impl FnMut(&T)) {
        let free = self.free.lock();
        for index in 0..free.allocated {
            if let Some(slot) = self.slot(index).filter(|slot| slot.is_live(index)) {
                // SAFETY: the slot is live, and stays so while `free` is locked.
                look(unsafe { (*slot.value.get()).assume_init_ref() });
            }
        }
    }

    /// Handles of all objects alive now.
    pub(crate) fn handles(&self) -> Vec<u32> {
        let free = self.free.lock();
        (0..free.allocated)
            .filter_map(|index| {
                let slot = self.slot(index).filter(|slot| slot.is_live(index))?;
                Some(slot.stamp.load(Ordering::Relaxed))
            })
            .collect()
    }

    /// Makes more slots free. Only called when one is at most.
    #[cold]
    fn grow(&self, free: &mut Free<T>) -> bool {
        let first = free.allocated;
        let (number, at) = place(first);
        let Some(chunk) = self.chunks.get(number) else {
            return false;
        };
        let slots = chunk_len(number);
        if at == 0 {
            let made: Box<[Slot<T>]> = (first..first + slots as u32)
                .map(|index| Slot {
                    stamp: AtomicU32::new(compose(self.kind, 0, index) ^ FREE),
                    next_free: UnsafeCell::new(null()),
                    value: UnsafeCell::new(MaybeUninit::uninit()),
                })
                .collect();
            // Pairs with the acquire load in `slot`.
            chunk.store(Box::into_raw(made).cast(), Ordering::Release);
        }
        let end = first + self.batch().min(slots - at) as u32;
        for index in first..end {
            let slot = self.slot(index).expect("it lies in the chunk");
            if free.tail.is_null() {
                (free.head, free.tail) = (slot, slot);
            } else {
                append(free, slot);
            }
        }
        free.allocated = end;
        true
    }

    /// How many slots become free when none is. Requests come and go with every message: few of
    /// them take turns, so that they stay in the cache.
    fn batch(&self) -> usize {
        match self.kind {
            HandleKind::Request => 32,
            _ => usize::MAX,
        }
    }
}

/// Steps the generation of a slot that is not free, and puts it behind the free ones. Its value is
/// dropped, or never was.
#[inline(always)]
fn set_free<T>(free: &mut Free<T>, slot: &Slot<T>, handle: u32) {
    let stepped = handle.wrapping_add(1 << INDEX_BITS) & GENERATION_MASK;
    let next = handle & !GENERATION_MASK | stepped;
    slot.stamp.store(next ^ FREE, Ordering::Relaxed);
    append(free, slot);
}

/// Puts a slot behind the free ones, of which there is one at least.
#[inline(always)]
fn append<T>(free: &mut Free<T>, slot: &Slot<T>) {
    // SAFETY: the slab is locked and the last slot is free, so nobody else touches its `next_free`;
    // chunks never move.
    unsafe { *(*free.tail).next_free.get() = slot };
    free.tail = slot;
}

impl<T> Drop for Slab<T> {
    fn drop(&mut self) {
        for handle in self.handles() {
            drop(self.remove(handle));
        }
        for (number, place) in self.chunks.iter_mut().enumerate() {
            let chunk = *place.get_mut();
            if !chunk.is_null() {
                let slots = core::ptr::slice_from_raw_parts_mut(chunk, chunk_len(number));
                // SAFETY: made by `Box::into_raw` of a boxed slice of this length in `grow`.
                drop(unsafe { Box::from_raw(slots) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_handle_is_stale_and_its_slot_is_used_again() {
        let slab = Slab::new(HandleKind::Info);
        let first = slab.insert("first").unwrap();
        assert_eq!(slab.get(first), Some(&"first"));
        assert_eq!(slab.remove(first), Some("first"));
        let second = slab.insert("second").unwrap();
        assert_ne!(first, second);
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get(second), Some(&"second"));
    }

    #[test]
    fn a_reserved_handle_is_stale_until_its_object_comes() {
        let slab = Slab::new(HandleKind::Info);
        let later = slab.reserve().unwrap();
        let other = slab.insert("other").unwrap();
        assert_eq!((slab.get(later), slab.get(other)), (None, Some(&"other")));
        assert_eq!(slab.handles(), [other]);
        slab.fill(later, "later");
        assert_eq!(slab.remove(later), Some("later"));
        assert_eq!(slab.get(later), None);
    }

    #[test]
    fn a_reserved_handle_may_be_given_up() {
        let slab = Slab::<i32>::new(HandleKind::Info);
        let reserved = slab.reserve().unwrap();
        slab.give_up(reserved);
        // One slot of the first chunk stays free.
        let handles: Vec<u32> = (0..255).map(|i| slab.insert(i).unwrap()).collect();
        assert!(!handles.contains(&reserved));
        assert_eq!(slab.free.lock().allocated, 256);
    }

    #[test]
    fn the_slot_that_was_freed_first_is_used_first() {
        let slab = Slab::new(HandleKind::Info);
        let first = slab.insert(0).unwrap();
        slab.remove(first);
        // If the slot that was freed last were used first, 32 turns would bring the handle back.
        for turn in 0..256 * 31 {
            let other = slab.insert(turn).unwrap();
            assert_ne!(other, first, "after {turn} others");
            slab.discard(other);
        }
        let mut seen = 0;
        slab.for_each(|_| seen += 1);
        assert_eq!(seen, 0);
        let handles: Vec<u32> = (0..300).map(|i| slab.insert(i).unwrap()).collect();
        handles
            .iter()
            .rev()
            .for_each(|handle| slab.discard(*handle));
        let again: Vec<u32> = (0..2).map(|i| slab.insert(i).unwrap()).collect();
        let index = |handle: u32| handle & ((1 << INDEX_BITS) - 1);
        // Chunk two has 512 slots: those of it that were never used come before those that were
        // freed.
        assert!(again.iter().all(|handle| index(*handle) >= 300));
    }

    #[test]
    fn requests_take_turns_in_few_slots() {
        let slab = Slab::new(HandleKind::Request);
        for _ in 0..1000 {
            slab.discard(slab.insert(1).unwrap());
        }
        assert_eq!(slab.free.lock().allocated, 32);
        let handles: Vec<u32> = (0..1000).map(|i| slab.insert(i).unwrap()).collect();
        assert!((0..1000).all(|i| slab.get(handles[i]) == Some(&i)));
        assert_eq!(slab.handles().len(), 1000);
    }

    #[test]
    fn invented_handles_are_refused() {
        let slab = Slab::new(HandleKind::Info);
        let real = slab.insert(1).unwrap();
        for invented in [0, 0x101, real + 1, real ^ 1 << 27, 0x7fff_ffff, u32::MAX] {
            assert_eq!(slab.get(invented), None, "{invented:#x}");
        }
        // No slot has a value in the other 255 places, whatever their stamps are.
        for index in 0..256 {
            let stamp = slab.slot(index).unwrap().stamp.load(Ordering::Relaxed);
            assert_eq!(slab.get(stamp).is_some(), stamp == real, "{stamp:#x}");
        }
    }

    #[test]
    fn every_index_has_one_place() {
        let mut expected = (0, 0);
        for index in 0..100_000 {
            assert_eq!(place(index), expected);
            expected.1 += 1;
            if expected.1 == chunk_len(expected.0) {
                expected = (expected.0 + 1, 0);
            }
        }
        assert_eq!(place(NEVER).0, CHUNKS);
    }

    #[test]
    fn addresses_stay_while_the_slab_grows() {
        let slab = Slab::new(HandleKind::Info);
        let first = slab.insert(7usize).unwrap();
        let address: *const usize = slab.get(first).unwrap();
        for i in 0..10_000 {
            slab.insert(i).unwrap();
        }
        assert!(core::ptr::eq(address, slab.get(first).unwrap()));
        assert_eq!(slab.handles().len(), 10_001);
    }
}
