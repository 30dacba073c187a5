//! Memory that peers reach without the help of the process that owns it.
//!
//! Its owner *registers* it ([`crate::Link::register`]) and sends the [`Region`] that it gets for
//! it to whoever may reach it, in a message. The region is good until the [`Registration`] is
//! dropped.

use core::fmt;

/// What memory is registered for. An access of another kind is [`crate::Failure::Denied`] where the
/// transport checks keys ([`crate::Caps::checks_keys`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// This process's own operations read it and write to it. A transport whose device must know
    /// such memory then finds it known; other memory it registers for the time of an operation.
    pub local: bool,
    /// Peers read it.
    pub read: bool,
    /// Peers write to it.
    pub write: bool,
    /// Peers change it by atomic operations.
    pub atomic: bool,
}

impl Uses {
    /// Peers read it.
    pub const READ: Uses = Uses {
        local: false,
        read: true,
        write: false,
        atomic: false,
    };

    /// Peers read it and write to it.
    pub const PEERS: Uses = Uses {
        local: false,
        read: true,
        write: true,
        atomic: false,
    };

    /// Everything that there is.
    pub const ALL: Uses = Uses {
        local: true,
        read: true,
        write: true,
        atomic: true,
    };
}

/// Registered memory, as its owner's peers know it: an address and an opaque key. It travels in
/// messages, so what a process receives may be anything: a link answers for it with a failed
/// operation, wherever it can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Address of the first byte; in whose terms is the transport's business.
    pub addr: u64,
    /// Length of the key in bytes; the rest of `key` is 0.
    pub key_len: u8,
    /// What the transport needs to reach the memory.
    pub key: [u8; Region::KEY],
}

impl Region {
    /// The longest key, in bytes.
    pub const KEY: usize = 64;

    /// Memory at `addr` that is reached with `key`; `None`: the key is longer than [`Region::KEY`].
    pub fn new(addr: u64, key: &[u8]) -> Option<Region> {
        let mut bytes = [0; Region::KEY];
        bytes.get_mut(..key.len())?.copy_from_slice(key);
        Some(Region {
            addr,
            key_len: key.len() as u8,
            key: bytes,
        })
    }

    /// The key without what fills it up.
    pub fn key(&self) -> &[u8] {
        &self.key[..usize::from(self.key_len).min(Region::KEY)]
    }
}

/// Memory of this process that is registered; dropped, it is no more. Where the transport checks
/// keys, no access touches the memory once the drop has returned. Where it does not, the owner must
/// know from its peers that they are through.
#[must_use]
pub struct Registration {
    region: Region,
    /// Unregisters when it is dropped.
    held: Option<Box<dyn Send + Sync>>,
}

impl Registration {
    /// For transports: memory whose registration ends when `held` is dropped; `None`: there is
    /// nothing to undo.
    pub fn new(region: Region, held: Option<Box<dyn Send + Sync>>) -> Registration {
        Registration { region, held }
    }

    /// What peers are told. All peers of the network can use it, not only the one of the link.
    pub fn region(&self) -> &Region {
        &self.region
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("region", &self.region)
            .field("held", &self.held.is_some())
            .finish()
    }
}

/// Why memory was not registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The transport has no use for such registrations. Final, and no fault.
    Unavailable,
    /// There is no room: a limit of the transport ([`crate::RmaLimits`]) or of the system is
    /// reached. A sentence that names the limit and what to do about it. Dropping another
    /// registration may make room.
    NoRoom(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Unavailable => f.write_str("this transport does not register memory"),
            Refused::NoRoom(reason) => f.write_str(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_bounded() {
        let region = Region::new(7, &[9; 64]).expect("64 bytes");
        assert_eq!((region.key(), region.key_len), (&[9; 64][..], 64));
        let region = Region::new(7, &[9; 3]).expect("3 bytes");
        assert_eq!(
            (region.key(), &region.key[3..]),
            (&[9; 3][..], &[0; 61][..])
        );
        assert_eq!(Region::new(7, &[9; 65]), None);
        // Whatever a message says.
        let wild = Region {
            key_len: 255,
            ..region
        };
        assert_eq!(wild.key().len(), 64);
    }

    #[test]
    fn a_registration_ends_when_it_is_dropped() {
        struct Told(std::sync::mpsc::Sender<()>);
        impl Drop for Told {
            fn drop(&mut self) {
                self.0.send(()).expect("heard");
            }
        }
        let (tell, told) = std::sync::mpsc::channel();
        // A mutex makes the sender `Sync`, as the contract wants it.
        let held = std::sync::Mutex::new(Told(tell));
        let region = Region::new(0, &[]).expect("no key");
        let registration = Registration::new(region, Some(Box::new(held)));
        assert!(told.try_recv().is_err());
        drop(registration);
        assert!(told.try_recv().is_ok());
    }
}
