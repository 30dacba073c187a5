//! Direct access to exposed memory.

use super::flight::{Access, Pending};
use super::state::{Registered, State};
use ferrite_fabric::{Caps, RawBuf, Region, Token, Transfer};

impl State {
    pub(super) fn expose(&mut self, owner: usize, memory: RawBuf) -> Option<Region> {
        let Caps { read, write } = self.config.caps;
        if !read && !write {
            return None;
        }
        self.ids += 1;
        let mut key = [0; 64];
        key[..self.config.key].copy_from_slice(&self.random.bytes(self.config.key));
        let region = Region {
            // No real address, so that frames which carry it are the same in every run.
            addr: self.ids << 32,
            key_len: self.config.key as u8,
            key,
        };
        let registered = Registered {
            owner,
            region,
            memory,
        };
        self.regions.insert(self.ids, registered);
        Some(region)
    }

    /// # Safety
    /// As [`ferrite_fabric::Link::read`] and [`ferrite_fabric::Link::write`].
    pub(super) unsafe fn transfer(
        &mut self,
        rank: usize,
        peer: usize,
        region: &Region,
        access: Access,
        token: Token,
    ) -> Transfer {
        let is_unavailable = self.once_in(self.config.unavailable_once_in);
        let caps = &mut self.pair(rank, peer).caps;
        let cap = if access.writes {
            &mut caps.write
        } else {
            &mut caps.read
        };
        if !*cap || is_unavailable {
            *cap = false;
            return Transfer::Unavailable;
        }
        if self.pair(rank, peer).cut {
            return Transfer::Failed;
        }
        self.in_vain = 0;
        let now = self.now;
        let (offset, len) = (access.offset, access.own.len as u64);
        let numbers = [peer as u64, access.writes.into(), region.addr, offset, len];
        self.trace.note(now, "accesses", rank, &numbers);
        let known = self.regions.get(&access.region);
        let known = known.filter(|known| known.owner == peer);
        let same = known.is_some_and(|known| {
            (known.region.addr, known.region.key_len, known.region.key)
                == (region.addr, region.key_len, region.key)
        });
        assert!(
            same,
            "process {rank} reaches for a region that {peer} has not exposed"
        );
        if self.once_in(self.config.direct_once_in) {
            // SAFETY: the caller's promise.
            return match unsafe { self.access(&access) } {
                true => Transfer::Done,
                false => Transfer::Failed,
            };
        }
        let due = now + self.random.below(4 * self.config.latency + 1) as u64;
        self.ranks[rank].pending.push(Pending {
            due,
            peer,
            token,
            ok: true,
            flight: None,
            access: Some(access),
        });
        Transfer::Queued(token)
    }

    /// Moves bytes between two processes. Returns whether the memory is there.
    ///
    /// # Safety
    /// This process's memory is lent to the network.
    pub(super) unsafe fn access(&mut self, access: &Access) -> bool {
        let Some(exposed) = self.regions.get(&access.region) else {
            return false;
        };
        let (offset, len) = (access.offset as usize, access.own.len);
        let there = exposed.memory.part(offset, len);
        // SAFETY: this process's memory by the caller's promise; the region by that of the peer's `expose`, which lasts until the
        // peer is answered or lost. To write to what is exposed is what the peer has exposed it for.
        unsafe {
            if access.writes {
                access.own.as_buf().copy_to(there.ptr.cast_mut());
            } else {
                there.copy_to(access.own.ptr);
            }
        }
        true
    }
}
