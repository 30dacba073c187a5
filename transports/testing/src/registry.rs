//! The registered memory of all processes of a network within one program, and what accesses do to
//! it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::conformance::Random;
use ferrite_fabric::{
    Act, Atomic, Failure, Outcome, RawBuf, RawBufMut, Refused, Region, RmaLimits, Uses, Width,
};

/// An operation on a peer's memory, with this process's own buffers.
#[derive(Clone, Copy)]
pub(crate) enum What {
    Read(RawBufMut),
    Write(RawBuf),
    Atomic {
        operation: Atomic,
        width: Width,
        result: RawBufMut,
    },
}

impl What {
    pub(crate) fn act(&self) -> Act {
        match self {
            What::Read(_) => Act::Read,
            What::Write(_) => Act::Write,
            What::Atomic { .. } => Act::Atomic,
        }
    }

    /// Bytes of the peer's memory.
    pub(crate) fn len(&self) -> usize {
        match self {
            What::Read(into) => into.len,
            What::Write(from) => from.len,
            What::Atomic { width, .. } => width.bytes(),
        }
    }

    /// Whether it brings something back, for which it lasts until it has taken effect.
    pub(crate) fn has_result(&self) -> bool {
        match self {
            What::Read(_) => true,
            What::Write(_) => false,
            What::Atomic { operation, .. } => operation.has_result(),
        }
    }

    fn is_among(&self, uses: Uses) -> bool {
        match self {
            What::Read(_) => uses.read,
            What::Write(_) => uses.write,
            What::Atomic { .. } => uses.atomic,
        }
    }

    /// Does it to memory that was found to be there.
    ///
    /// # Safety
    /// `there` is the peer's registered memory, as long as [`What::len`]; this process's buffers
    /// are lent to the network.
    unsafe fn perform(&self, there: RawBufMut) -> Outcome {
        match *self {
            // SAFETY: the caller's promise.
            What::Read(into) => unsafe { there.as_buf().copy_to(into.ptr) },
            // SAFETY: the caller's promise.
            What::Write(from) => unsafe { from.copy_to(there.ptr) },
            What::Atomic {
                operation,
                width,
                result,
            } => {
                if !there.ptr.addr().is_multiple_of(width.bytes()) {
                    return Err(Failure::Misaligned);
                }
                // SAFETY: aligned, and there by the caller's promise.
                let before = unsafe { change(operation, width, there.ptr) };
                if operation.has_result() {
                    let bytes = before.to_ne_bytes();
                    let at = if cfg!(target_endian = "big") {
                        8 - width.bytes()
                    } else {
                        0
                    };
                    // SAFETY: as wide as the integer, by the caller's promise.
                    unsafe { RawBuf::of(&bytes[at..at + width.bytes()]).copy_to(result.ptr) };
                }
            }
        }
        Ok(())
    }
}

/// Changes an integer by one atomic instruction. Returns the value before.
///
/// # Safety
/// `at` is aligned and may be written.
unsafe fn change(operation: Atomic, width: Width, at: *mut u8) -> u64 {
    const ORDER: Ordering = Ordering::SeqCst;
    match width {
        Width::W64 => {
            // SAFETY: the caller's promise.
            let at = unsafe { AtomicU64::from_ptr(at.cast()) };
            match operation {
                Atomic::Add(by) | Atomic::FetchAdd(by) => at.fetch_add(by, ORDER),
                Atomic::Swap(new) => at.swap(new, ORDER),
                Atomic::CompareSwap { expected, new } => at
                    .compare_exchange(expected, new, ORDER, ORDER)
                    .unwrap_or_else(|before| before),
            }
        }
        Width::W32 => {
            // SAFETY: the caller's promise.
            let at = unsafe { AtomicU32::from_ptr(at.cast()) };
            let before = match operation {
                Atomic::Add(by) | Atomic::FetchAdd(by) => at.fetch_add(by as u32, ORDER),
                Atomic::Swap(new) => at.swap(new as u32, ORDER),
                Atomic::CompareSwap { expected, new } => at
                    .compare_exchange(expected as u32, new as u32, ORDER, ORDER)
                    .unwrap_or_else(|before| before),
            };
            before.into()
        }
    }
}

struct Registered {
    owner: usize,
    region: Region,
    memory: RawBufMut,
    uses: Uses,
}

/// All registered memory.
pub(crate) struct Registry {
    random: Random,
    /// Length of keys in bytes.
    key: usize,
    limits: RmaLimits,
    /// Registrations so far.
    numbers: u64,
    entries: HashMap<u64, Registered>,
}

impl Registry {
    pub(crate) fn new(seed: u64, key: usize, limits: RmaLimits) -> Registry {
        assert!(key <= Region::KEY);
        Registry {
            random: Random(seed),
            key,
            limits,
            numbers: 0,
            entries: HashMap::new(),
        }
    }

    pub(crate) fn register(
        &mut self,
        owner: usize,
        memory: RawBufMut,
        uses: Uses,
    ) -> Result<Region, Refused> {
        let RmaLimits {
            registrations,
            registered,
            ..
        } = self.limits;
        let theirs = self.entries.values().filter(|entry| entry.owner == owner);
        let (count, bytes) = theirs.fold((0, 0usize), |(count, bytes), entry| {
            (count + 1, bytes + entry.memory.len)
        });
        if count >= registrations || registered.saturating_sub(bytes) < memory.len {
            return Err(Refused::NoRoom(format!(
                "process {owner} cannot register {} bytes more beside {bytes} in {count} parts: \
                 the \
                 network takes {registered} bytes in {registrations} parts; unregister some",
                memory.len
            )));
        }
        self.numbers += 1;
        // No real address, so that frames which carry it are the same in every run.
        let region = Region::new(self.numbers << 32, &self.random.bytes(self.key));
        let region = region.expect("checked when this was made");
        let registered = Registered {
            owner,
            region,
            memory,
            uses,
        };
        self.entries.insert(self.numbers, registered);
        Ok(region)
    }

    /// Its memory is not touched any more. Nothing happens when it is gone with its owner.
    pub(crate) fn unregister(&mut self, region: &Region) {
        self.entries.remove(&(region.addr >> 32));
    }

    /// A process is no more.
    pub(crate) fn forget(&mut self, owner: usize) {
        self.entries.retain(|_, entry| entry.owner != owner);
    }

    /// Whether a process has registered memory for its own operations that this buffer is part of.
    pub(crate) fn is_local(&self, owner: usize, buffer: RawBuf) -> bool {
        let (start, len) = (buffer.ptr.addr(), buffer.len);
        self.entries.values().any(|entry| {
            let at = start.checked_sub(entry.memory.ptr.addr());
            let fits = |at: usize| at <= entry.memory.len && len <= entry.memory.len - at;
            entry.owner == owner && entry.uses.local && at.is_some_and(fits)
        })
    }

    /// Does an operation to memory of a process, if the region allows it.
    ///
    /// # Safety
    /// The buffers of `what` are lent to the network. (Registered memory is there by the promise of
    /// its owner.)
    pub(crate) unsafe fn access(
        &self,
        owner: usize,
        region: &Region,
        offset: u64,
        what: &What,
    ) -> Outcome {
        let there = self
            .find(owner, region, offset, what)
            .ok_or(Failure::Denied)?;
        // SAFETY: found to be as long; the buffers by the caller's promise.
        unsafe { what.perform(there) }
    }

    fn find(&self, owner: usize, region: &Region, offset: u64, what: &What) -> Option<RawBufMut> {
        let entry = self.entries.get(&(region.addr >> 32))?;
        let is_right = entry.owner == owner && entry.region == *region;
        let at = usize::try_from(offset).ok()?;
        let fits = at <= entry.memory.len && what.len() <= entry.memory.len - at;
        let is_allowed = is_right && fits && what.is_among(entry.uses);
        is_allowed.then(|| entry.memory.part(at, what.len()))
    }
}
