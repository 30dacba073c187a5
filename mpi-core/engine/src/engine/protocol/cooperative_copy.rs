//! A long message copied by both sides: each takes pieces of it until none is left, the receiver by reading the sender's
//! memory, the sender by writing the receiver's.
//!
//! The pieces are counted in a *claim*, a few words of the node's segment that belong to the pair of processes. The receiver
//! sets it up and asks for help; a sender that is busy elsewhere helps less, or not at all, and nobody waits for it. Whoever finishes
//! the last piece tells the other. A claim carries the number of its use, so a sender that comes too late takes nothing.
//!
//! | frame | flags | context | tag | source | body |
//! |---|---|---|---|---|---|
//! | `Clear` | [`HELP`] | address in the receiver | sender's request | receiver's request | which claim, its use, bytes |
//! | `Finished` | [`ALL`] | | receiver's request | | |
//! | `Finished` | [`RETURNED`] | number of a piece that the sender cannot write | receiver's request | | |

use core::sync::atomic::Ordering;

use ferrite_fabric::{Header, Kind as FrameKind, RawBuf, RawBufMut, Region, Token, Transfer};
use ferrite_shm::Claim;

use super::queue::header;
use super::unexpected::Offer;
use crate::engine::Engine;
use crate::engine::matching::Envelope;
use crate::engine::requests::{Body, Kind, RequestRef, Share};
use crate::{Error, ErrorClass};

/// Flags of a `Clear` frame that asks the sender to help.
pub(in crate::engine) const HELP: u8 = 1;
/// Flags of a `Finished` frame to a receiver: the message is whole.
pub(in crate::engine) const ALL: u8 = 1;
/// Flags of a `Finished` frame to a receiver: one piece is left to it.
pub(in crate::engine) const RETURNED: u8 = 2;

/// Messages from this length on are shared, in bytes.
const FROM: usize = 512 << 10;
/// Bytes of a piece.
const PIECE: usize = 128 << 10;
/// Bytes of the body of a request for help.
const REQUEST: usize = 16;

/// A receiver that wants help with a message of ours.
pub(in crate::engine) struct Help {
    process: u32,
    send: u32,
    receive: u32,
    /// Of the receiver's buffer.
    address: u64,
    claim: u32,
    turn: u32,
    len: usize,
}

/// Where piece `number` of a message lies, and how long it is.
fn piece(number: u64, len: usize) -> (usize, usize) {
    let at = number as usize * PIECE;
    (at, PIECE.min(len - at))
}

fn pieces(len: usize) -> u64 {
    len.div_ceil(PIECE) as u64
}

/// Takes a piece of a claim in its `turn`-th use; `None` when there are none left, or the claim is used anew.
fn take_piece(claim: &Claim, turn: u32, pieces: u64) -> Option<u64> {
    let mut next = claim.next.load(Ordering::Acquire);
    loop {
        let number = next & 0xffff_ffff;
        if next >> 32 != u64::from(turn) || number >= pieces {
            return None;
        }
        // Acquire pairs with the release in `Engine::share`, which set the claim up.
        match claim
            .next
            .compare_exchange_weak(next, next + 1, Ordering::Acquire, Ordering::Acquire)
        {
            Ok(_) => return Some(number),
            Err(now) => next = now,
        }
    }
}

impl Engine {
    /// Receives a matched message together with its sender, if that is worth it and possible. `false`: nothing was done.
    pub(in crate::engine) fn share(
        &self,
        receive: RequestRef,
        process: u32,
        offer: &Offer,
        region: &Region,
        len: usize,
    ) -> bool {
        let shm = self.transports.memory();
        let Some(claims) = shm
            .filter(|_| len >= FROM)
            .and_then(|shm| shm.claims(process, self.job.rank))
        else {
            return false;
        };
        let peer = self.peer(process);
        let caps = peer.out.lock().caps();
        if !caps.read || !caps.write {
            return false;
        }
        let Some(number) = peer.take_claim() else {
            return false;
        };
        let claim = &claims[number as usize];
        // The first piece shows whether this process may read at all, before the sender is told anything.
        if self.read_piece(receive, process, region, 0, len) != Transfer::Done {
            peer.give_claim(number);
            return false;
        }
        // Relaxed: only this process writes it.
        let turn = claim.generation.load(Ordering::Relaxed) as u32;
        let turn = turn.wrapping_add(1);
        claim.generation.store(turn.into(), Ordering::Relaxed);
        claim.done.store(1, Ordering::Relaxed);
        // Release pairs with the acquire in `take_piece`.
        claim
            .next
            .store(u64::from(turn) << 32 | 1, Ordering::Release);
        // SAFETY: matched, so the receive is ours until the last piece is done.
        let body = unsafe { receive.body() };
        let sender = offer.request;
        body.extra().share = Some(Share {
            claim: number,
            region: *region,
            len,
            sender,
        });
        let mut request = [0u8; REQUEST];
        request[..4].copy_from_slice(&number.to_le_bytes());
        request[4..8].copy_from_slice(&turn.to_le_bytes());
        request[8..].copy_from_slice(&(len as u64).to_le_bytes());
        let envelope = Envelope {
            context: body.buf.expose_provenance() as u64,
            tag: sender as i32,
            source: receive.handle().0 as i32,
        };
        let head = Header {
            flags: HELP,
            ..header(FrameKind::Clear, envelope)
        };
        self.send_control(process, head, &request);
        while let Some(number) = take_piece(claim, turn, pieces(len)) {
            if self.read_piece(receive, process, region, number, len) != Transfer::Done {
                // SAFETY: as above; the sender only writes the buffer, by way of the system.
                let body = unsafe { receive.body() };
                body.error = Some(unreadable(body));
            }
            // Acquire and release: the last one to finish a piece speaks for all.
            if claim.done.fetch_add(1, Ordering::AcqRel) + 1 == pieces(len) {
                self.whole(receive, process);
                break;
            }
        }
        true
    }

    /// The receiver has the whole message, and finished it itself.
    fn whole(&self, receive: RequestRef, process: u32) {
        // First: once the receive is complete, the program may tell the sender so by another way, and its buffer has room then.
        if let Some(sender) = self.end_share(receive, process) {
            self.answer(FrameKind::Finished, process, sender, 0, 0);
        }
        self.complete(receive);
    }

    /// Gives the claim of a receive back. Returns the sender's request.
    fn end_share(&self, receive: RequestRef, process: u32) -> Option<u32> {
        // SAFETY: the last piece is done, so the receive is ours.
        let share = unsafe { receive.body() }.extra().share.take()?;
        self.peer(process).give_claim(share.claim);
        Some(share.sender)
    }

    fn read_piece(
        &self,
        receive: RequestRef,
        process: u32,
        region: &Region,
        number: u64,
        len: usize,
    ) -> Transfer {
        // SAFETY: the receive is matched and ours.
        let buf = unsafe { receive.body() }.buf;
        let (at, length) = piece(number, len);
        let into = RawBufMut { ptr: buf, len }.part(at, length);
        let token = Token(u64::from(receive.handle().0));
        let mut out = self.peer(process).out.lock();
        // SAFETY: the receive's buffer is writable until it is done.
        unsafe { out.read(into, region, at as u64, token) }
    }

    /// The receiver of our message asks for help. It gets it when there is nothing else to do: messages on their way to us
    /// come first, as nobody else can receive them.
    pub(in crate::engine) fn help_wanted(&self, process: u32, head: &Header, data: RawBuf) {
        let mut request = [0u8; REQUEST];
        if data.len != REQUEST {
            return;
        }
        // SAFETY: `data` is readable during `Sink::frame` and as long as the array.
        unsafe { data.copy_to(request.as_mut_ptr()) };
        let word = |at: usize| u32::from_le_bytes(request[at..at + 4].try_into().expect("4 bytes"));
        let len = u64::from_le_bytes(request[8..].try_into().expect("8 bytes"));
        let mut helps = self.peers.helps.lock();
        helps.push_back(Help {
            process,
            send: head.tag as u32,
            receive: head.source as u32,
            address: head.context,
            claim: word(0),
            turn: word(4),
            len: len as usize,
        });
        self.peers.has_helps.store(true, Ordering::Relaxed);
    }

    /// Helps a receiver with one piece. Returns whether there was one.
    #[cold]
    pub(in crate::engine) fn help(&self) -> bool {
        let mut helps = self.peers.helps.lock();
        let Some(help) = helps.pop_front() else {
            self.peers.has_helps.store(false, Ordering::Relaxed);
            return false;
        };
        drop(helps);
        let shm = self.transports.memory();
        let claims = shm.and_then(|shm| shm.claims(self.job.rank, help.process));
        let Some(claim) = claims.and_then(|claims| claims.get(help.claim as usize)) else {
            return true;
        };
        // Looked up before a piece is taken: a wrong name takes nothing. With the piece taken the send cannot end without us.
        let Some(send) = self.pending_to(help.send, Kind::Send, help.process) else {
            return true;
        };
        let Some(number) = take_piece(claim, help.turn, pieces(help.len)) else {
            return true;
        };
        // SAFETY: a send that is being shared belongs to whoever finishes its last piece, and ours is not finished.
        let body = unsafe { send.body() };
        let (at, length) = piece(number, help.len);
        let region = Region {
            addr: help.address,
            key_len: 0,
            key: [0; 64],
        };
        let written = match body.run() {
            Some(run) if help.len <= run.len => {
                let token = Token(u64::from(help.send));
                let mut out = self.peer(help.process).out.lock();
                // SAFETY: the user's buffer is readable until the send is done.
                unsafe { out.write(run.part(at, length), &region, at as u64, token) }
            }
            // Only a receiver that has gone wild asks for help with what it was not offered.
            _ => Transfer::Failed,
        };
        if written != Transfer::Done {
            self.tell_receiver(RETURNED, help.process, help.receive, number);
        } else if claim.done.fetch_add(1, Ordering::AcqRel) + 1 == pieces(help.len) {
            // Acquire and release: the last one to finish a piece speaks for all.
            self.complete(send);
            self.tell_receiver(ALL, help.process, help.receive, 0);
        } else {
            let mut helps = self.peers.helps.lock();
            helps.push_front(help);
            // Another thread may have found none meanwhile.
            self.peers.has_helps.store(true, Ordering::Relaxed);
        }
        true
    }

    fn tell_receiver(&self, flags: u8, process: u32, theirs: u32, context: u64) {
        let envelope = Envelope {
            context,
            tag: theirs as i32,
            source: 0,
        };
        let head = Header {
            flags,
            ..header(FrameKind::Finished, envelope)
        };
        self.send_control(process, head, &[]);
    }

    /// The sender has finished the message, or leaves a piece of it to us.
    pub(in crate::engine) fn helped(&self, process: u32, head: &Header) {
        let Some(receive) = self.pending_to(head.tag as u32, Kind::Recv, process) else {
            return;
        };
        // SAFETY: a receive that is shared belongs to the port, whose lock is held, once its own pieces are taken.
        let extra = unsafe { receive.body() }.extra.as_ref();
        let Some(share) = extra.and_then(|extra| extra.share.as_ref()) else {
            return;
        };
        if head.flags == ALL {
            self.end_share(receive, process);
            return self.complete(receive);
        }
        let (number, len, region) = (head.context, share.len, share.region);
        let shm = self.transports.memory();
        let claims = shm.and_then(|shm| shm.claims(process, self.job.rank));
        let Some(claim) = claims.and_then(|claims| claims.get(share.claim as usize)) else {
            return;
        };
        if number >= pieces(len) {
            return;
        }
        if self.read_piece(receive, process, &region, number, len) != Transfer::Done {
            // SAFETY: as above.
            let body = unsafe { receive.body() };
            body.error = Some(unreadable(body));
        }
        // Acquire and release: the last one to finish a piece speaks for all.
        if claim.done.fetch_add(1, Ordering::AcqRel) + 1 == pieces(len) {
            self.whole(receive, process);
        }
    }
}

/// Why a message could not be copied from its sender's memory to a receive's: one of the two is not there.
#[cold]
pub(in crate::engine) fn unreadable(receive: &Body) -> Error {
    let Body { buf, status, .. } = receive;
    let (source, tag, len) = (status.source, status.tag, status.bytes as usize);
    if ferrite_shm::is_own_memory(RawBufMut { ptr: *buf, len }) {
        Error::new(
            ErrorClass::OTHER,
            format!(
                "the send buffer of {len} bytes of rank {source}, tag {tag}, is not all memory of that rank: it is shorter than its count and \
                 datatype say, or was freed before the send was complete"
            ),
        )
    } else {
        Error::new(
            ErrorClass::BUFFER,
            format!(
                "the receive buffer for {len} bytes from rank {source}, tag {tag}, is not all memory of this rank: it is shorter than its count \
                 and datatype say, or was freed before the message came"
            ),
        )
    }
}
