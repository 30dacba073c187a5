//! Messages that arrived before their receive, and the offer of one whose data stay with the sender.

use ferrite_fabric::{RawBuf, Region};

use super::peer::CONTROL;
use crate::engine::requests::RequestRef;

/// The body of a `Rendezvous` frame.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Offer {
    /// Bytes of the message.
    pub(in crate::engine) len: usize,
    /// The sender's request.
    pub(in crate::engine) request: u32,
    /// The message's memory, if the receiver may reach it.
    pub(in crate::engine) region: Option<Region>,
}

/// In the place of a key's length: no region.
const NO_REGION: u32 = u32::MAX;

impl Offer {
    pub(in crate::engine) fn encode(&self) -> ([u8; CONTROL], usize) {
        let mut bytes = [0u8; CONTROL];
        bytes[..8].copy_from_slice(&(self.len as u64).to_le_bytes());
        bytes[8..12].copy_from_slice(&self.request.to_le_bytes());
        let Some(region) = &self.region else {
            bytes[12..16].copy_from_slice(&NO_REGION.to_le_bytes());
            return (bytes, 16);
        };
        let key = usize::from(region.key_len);
        bytes[12..16].copy_from_slice(&u32::from(region.key_len).to_le_bytes());
        bytes[16..24].copy_from_slice(&region.addr.to_le_bytes());
        bytes[24..24 + key].copy_from_slice(&region.key[..key]);
        (bytes, 24 + key)
    }

    /// `None`: the bytes are not an offer.
    pub(in crate::engine) fn decode(bytes: &[u8]) -> Option<Offer> {
        let len = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
        let request = u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?);
        let key_len = u32::from_le_bytes(bytes.get(12..16)?.try_into().ok()?);
        let region = if key_len == NO_REGION {
            None
        } else {
            let addr = u64::from_le_bytes(bytes.get(16..24)?.try_into().ok()?);
            let key = bytes.get(24..24 + key_len as usize)?;
            let mut region = Region {
                addr,
                key_len: key_len as u8,
                key: [0; 64],
            };
            region.key.get_mut(..key.len())?.copy_from_slice(key);
            Some(region)
        };
        Some(Offer {
            len: usize::try_from(len).ok()?,
            request,
            region,
        })
    }
}

/// A message that arrived before its receive.
pub(crate) struct Kept {
    pub(in crate::engine) process: u32,
    pub(in crate::engine) data: KeptData,
}

pub(in crate::engine) enum KeptData {
    /// Short: kept in place.
    Small {
        bytes: [u8; ferrite_shm::INLINE],
        len: u8,
    },
    /// Longer, and whole.
    Whole(Box<[u8]>),
    /// Short; its sender waits for the match.
    Sync {
        bytes: [u8; ferrite_shm::INLINE],
        len: u8,
        request: u32,
    },
    /// Only the envelope is here.
    Offered(Offer),
    /// A send of this process.
    Own(RequestRef),
}

impl Kept {
    pub(in crate::engine) fn own(process: u32, request: RequestRef) -> Kept {
        Kept {
            process,
            data: KeptData::Own(request),
        }
    }

    /// A copy of a whole message.
    ///
    /// # Safety
    /// `data` is readable.
    pub(in crate::engine) unsafe fn copy_of(process: u32, data: RawBuf) -> Kept {
        // SAFETY: the caller's promise; the place has room for all bytes, which are written.
        unsafe { Kept::filled(process, data.len, |to| data.copy_to(to)) }
    }

    /// A message of `len` bytes, which `fill` writes.
    ///
    /// # Safety
    /// `fill` writes them all.
    pub(in crate::engine) unsafe fn filled(
        process: u32,
        len: usize,
        fill: impl FnOnce(*mut u8),
    ) -> Kept {
        let data = if len <= ferrite_shm::INLINE {
            let mut bytes = [0u8; ferrite_shm::INLINE];
            fill(bytes.as_mut_ptr());
            KeptData::Small {
                bytes,
                len: len as u8,
            }
        } else {
            let mut bytes = Box::<[u8]>::new_uninit_slice(len);
            fill(bytes.as_mut_ptr().cast());
            // SAFETY: written by `fill`.
            KeptData::Whole(unsafe { bytes.assume_init() })
        };
        Kept { process, data }
    }

    /// Whether this is that send of this process.
    pub(in crate::engine) fn is_own(&self, request: RequestRef) -> bool {
        matches!(self.data, KeptData::Own(own) if own == request)
    }

    /// Bytes of the message, for a probe.
    pub(in crate::engine) fn message_len(&self) -> usize {
        match &self.data {
            KeptData::Small { len, .. } | KeptData::Sync { len, .. } => usize::from(*len),
            KeptData::Whole(bytes) => bytes.len(),
            KeptData::Offered(offer) => offer.len,
            // SAFETY: a kept send's length does not change while it is kept.
            KeptData::Own(request) => unsafe { request.body() }.len,
        }
    }

    /// What keeping it costs against the sender's budget. Envelopes are free: they bound themselves, as every one has a
    /// sender that waits.
    pub(in crate::engine) fn cost(&self) -> usize {
        match &self.data {
            KeptData::Small { .. } => 128,
            KeptData::Whole(bytes) => 128 + bytes.len(),
            _ => 0,
        }
    }
}
