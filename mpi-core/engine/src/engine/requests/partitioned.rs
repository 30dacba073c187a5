//! What both sides of a partitioned message have more than other requests: see
//! [`crate::engine::point_to_point`].

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::parts::Parent;
use super::request::{Body, NO_PROCESS, RequestRef};
use crate::datatype::Argument;
use crate::status::PROC_NULL;
use crate::{Error, ErrorClass, Result};

/// One side of a partitioned message.
pub(crate) struct Partitioned {
    pub(in crate::engine) is_send: bool,
    pub(in crate::engine) at: *mut u8,
    pub(in crate::engine) partitions: usize,
    /// Items of a partition.
    pub(in crate::engine) count: i64,
    pub(in crate::engine) items: Argument,
    /// Bytes of a partition.
    pub(in crate::engine) bytes: usize,
    /// The other process; `NO_PROCESS` for `MPI_PROC_NULL`.
    pub(in crate::engine) process: u32,
    pub(in crate::engine) rank: i32,
    pub(in crate::engine) tag: i32,
    pub(in crate::engine) channel: OnceLock<Channel>,
    /// The receive of the announcement.
    pub(in crate::engine) announcement: Option<RequestRef>,
    /// Since the request was started.
    pub(in crate::engine) cycle: Mutex<Option<(Parent, Arc<Cycle>)>>,
}

// SAFETY: the address is the program's, which it has promised until the request is freed.
unsafe impl Send for Partitioned {}
// SAFETY: as above; what changes is synchronised by itself.
unsafe impl Sync for Partitioned {}

/// What sender and receiver have in common.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Channel {
    pub(in crate::engine) context: u64,
    /// The sender's partitions, and the bytes of each.
    pub(in crate::engine) pieces: usize,
    pub(in crate::engine) bytes: usize,
}

/// A message from its start to its end: which pieces are ready, or have arrived.
pub(crate) struct Cycle {
    pub(in crate::engine) pieces: Box<[AtomicBool]>,
}

impl Cycle {
    pub(in crate::engine) fn new(pieces: usize) -> Arc<Cycle> {
        let pieces = (0..pieces).map(|_| AtomicBool::new(false)).collect();
        Arc::new(Cycle { pieces })
    }

    /// A piece has arrived. Release pairs with the acquire in `has`.
    pub(in crate::engine) fn arrived(&self, piece: usize) {
        self.pieces[piece].store(true, Ordering::Release);
    }

    pub(in crate::engine) fn has(&self, piece: usize) -> bool {
        self.pieces[piece].load(Ordering::Acquire)
    }
}

impl Partitioned {
    /// A receive from nobody, or what a send of as many partitions has in common with it.
    pub(in crate::engine) fn new(
        at: *mut u8,
        partitions: i32,
        count: i64,
        items: Argument,
    ) -> Result<Partitioned> {
        let bytes = items.bytes(count)?;
        let Ok(partitions) = usize::try_from(partitions) else {
            return Err(Error::new(
                ErrorClass::ARG,
                format!("the number of partitions, {partitions}, is negative"),
            ));
        };
        let total = (count as u64).checked_mul(partitions as u64);
        let total = total.and_then(|total| i64::try_from(total).ok());
        items.bytes(total.unwrap_or(i64::MAX))?;
        Ok(Partitioned {
            is_send: false,
            at,
            partitions,
            count,
            items,
            bytes,
            process: NO_PROCESS,
            rank: PROC_NULL,
            tag: 0,
            channel: OnceLock::new(),
            announcement: None,
            cycle: Mutex::new(None),
        })
    }

    pub(in crate::engine) fn cycle(&self) -> Option<(Parent, Arc<Cycle>)> {
        let cycle = self.cycle.lock().unwrap_or_else(PoisonError::into_inner);
        cycle.clone()
    }

    pub(in crate::engine) fn set_cycle(&self, parent: Parent, cycle: Arc<Cycle>) {
        let mut current = self.cycle.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Some((parent, cycle));
    }

    /// The items from byte `first` of the message on, `bytes` of them, as a message of their own.
    pub(in crate::engine) fn piece(&self, body: &mut Body, first: usize, bytes: usize) {
        body.len = bytes;
        match &self.items {
            Argument::Plain(_) => body.buf = self.at.wrapping_add(first),
            Argument::Typed(items) => {
                body.buf = self.at;
                body.set_part(self.count * self.partitions as i64, items.clone(), first);
            }
        }
    }
}
