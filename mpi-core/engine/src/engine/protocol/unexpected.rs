//! Messages that arrived before their receive.

use ferrite_fabric::RawBuf;

use super::frames::{Offer, ShortData};
use crate::engine::requests::{RequestRef, SendersRequest};

/// A message that arrived before its receive.
pub(crate) struct Unexpected {
    pub(in crate::engine) process: u32,
    pub(in crate::engine) data: UnexpectedData,
}

pub(in crate::engine) enum UnexpectedData {
    /// Short: kept in place.
    Short {
        bytes: [u8; ferrite_shm::INLINE],
        len: u8,
    },
    /// Longer, and whole.
    Long(Box<[u8]>),
    /// Short; its sender waits for the match.
    Synchronous {
        data: ShortData,
        request: SendersRequest,
    },
    /// Only the envelope is here.
    Offered(Offer),
    /// A send of this process.
    Loopback(RequestRef),
}

impl Unexpected {
    pub(super) fn loopback(process: u32, request: RequestRef) -> Unexpected {
        Unexpected {
            process,
            data: UnexpectedData::Loopback(request),
        }
    }

    /// A copy of a whole message.
    ///
    /// # Safety
    /// `data` is readable.
    pub(in crate::engine) unsafe fn copy_of(process: u32, data: RawBuf) -> Unexpected {
        // SAFETY: the caller's promise; the place has room for all bytes, which are written.
        unsafe { Unexpected::filled(process, data.len, |to| data.copy_to(to)) }
    }

    /// A message of `len` bytes, which `fill` writes.
    ///
    /// # Safety
    /// `fill` writes them all.
    pub(in crate::engine) unsafe fn filled(
        process: u32,
        len: usize,
        fill: impl FnOnce(*mut u8),
    ) -> Unexpected {
        let data = if len <= ferrite_shm::INLINE {
            let mut bytes = [0u8; ferrite_shm::INLINE];
            fill(bytes.as_mut_ptr());
            UnexpectedData::Short {
                bytes,
                len: len as u8,
            }
        } else {
            let mut bytes = Box::<[u8]>::new_uninit_slice(len);
            fill(bytes.as_mut_ptr().cast());
            // SAFETY: written by `fill`.
            UnexpectedData::Long(unsafe { bytes.assume_init() })
        };
        Unexpected { process, data }
    }

    /// Whether this is that send of this process.
    pub(in crate::engine) fn is_loopback(&self, request: RequestRef) -> bool {
        matches!(self.data, UnexpectedData::Loopback(own) if own == request)
    }

    /// Bytes of the message, for a probe.
    pub(in crate::engine) fn message_len(&self) -> usize {
        match &self.data {
            UnexpectedData::Short { len, .. } => usize::from(*len),
            UnexpectedData::Synchronous { data, .. } => data.as_slice().len(),
            UnexpectedData::Long(bytes) => bytes.len(),
            UnexpectedData::Offered(offer) => offer.len,
            // SAFETY: a kept send's length does not change while it is kept.
            UnexpectedData::Loopback(request) => unsafe { request.body() }.len,
        }
    }

    /// What keeping it costs against the sender's budget. Envelopes are free: they bound
    /// themselves, as every one has a sender that waits.
    pub(in crate::engine) fn cost(&self) -> usize {
        match &self.data {
            UnexpectedData::Short { .. } => 128,
            UnexpectedData::Long(bytes) => 128 + bytes.len(),
            _ => 0,
        }
    }
}
