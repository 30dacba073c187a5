//! A long message copied by both sides: each takes pieces of it until none is left, the receiver by
//! reading the sender's memory, the sender by writing the receiver's.
//!
//! The pieces are counted in a *claim*, a few words of the node's segment that belong to the pair
//! of processes. The receiver sets it up and asks for help; a sender that is busy elsewhere helps
//! less, or not at all, and nobody waits for it. Whoever finishes the last piece tells the other. A
//! claim carries the number of its use, so a sender that comes too late takes nothing.

use core::sync::atomic::Ordering;

use ferrite_fabric::{Failure, RawBufMut, Region, Token, Transfer};
use ferrite_shm::Claim;

use super::frames::{Frame, Help, Offer};
use crate::engine::Engine;
use crate::engine::requests::{
    Body, CooperativeCopy, ReceiversRequest, RequestRef, SendersRequest,
};
use crate::{Error, ErrorClass};

/// Messages from this length on are shared, in bytes.
const FROM: usize = 512 << 10;
/// Bytes of a piece.
const COPY_PIECE: usize = 128 << 10;

/// A receiver that wants help with a message of ours.
pub(in crate::engine) struct Helping {
    process: u32,
    with: Help,
}

/// Where piece `number` of a message lies, and how long it is.
fn piece(number: u64, len: usize) -> (usize, usize) {
    let at = number as usize * COPY_PIECE;
    (at, COPY_PIECE.min(len - at))
}

fn pieces(len: usize) -> u64 {
    len.div_ceil(COPY_PIECE) as u64
}

/// Takes a piece of a claim in its `turn`-th use; `None` when there are none left, or the claim is
/// used anew.
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
    /// Receives a matched message together with its sender, if that is worth it and possible.
    /// `false`: nothing was done.
    pub(super) fn copy_together(
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
        let (caps, _) = peer.out.lock().rma();
        if !caps.read || !caps.write {
            return false;
        }
        let Some(number) = peer.take_claim() else {
            return false;
        };
        let claim = &claims[number as usize];
        // The first piece shows whether this process may read at all, before the sender is told
        // anything.
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
        body.extra().cooperative = Some(CooperativeCopy {
            claim: number,
            region: *region,
            len,
            sender,
        });
        let help = Help {
            send: sender,
            receive: receive.as_receiver(),
            address: body.buf.expose_provenance() as u64,
            claim: number,
            turn,
            len: len as u64,
        };
        self.send_control(process, Frame::Help(help));
        while let Some(number) = take_piece(claim, turn, pieces(len)) {
            if self.read_piece(receive, process, region, number, len) != Transfer::Done {
                // SAFETY: as above; the sender only writes the buffer, by way of the system.
                let body = unsafe { receive.body() };
                body.error = Some(unreadable(body));
            }
            // Acquire and release: the last one to finish a piece speaks for all.
            if claim.done.fetch_add(1, Ordering::AcqRel) + 1 == pieces(len) {
                self.finish_cooperative_copy(receive, process);
                break;
            }
        }
        true
    }

    /// The receiver has the whole message, and finished it itself.
    fn finish_cooperative_copy(&self, receive: RequestRef, process: u32) {
        // First: once the receive is complete, the program may tell the sender so by another way,
        // and its buffer has room then.
        if let Some(send) = self.end_cooperative_copy(receive, process) {
            self.send_control(process, Frame::Finished { send });
        }
        self.complete(receive);
    }

    /// Gives the claim of a receive back. Returns the sender's request.
    fn end_cooperative_copy(&self, receive: RequestRef, process: u32) -> Option<SendersRequest> {
        // SAFETY: the last piece is done, so the receive is ours.
        let copy = unsafe { receive.body() }.extra().cooperative.take()?;
        self.peer(process).give_claim(copy.claim);
        Some(copy.sender)
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

    /// The receiver of our message asks for help. It gets it when there is nothing else to do:
    /// messages on their way to us come first, as nobody else can receive them.
    pub(super) fn help_wanted(&self, process: u32, with: Help) {
        let mut helps = self.peers.helps.lock();
        helps.push_back(Helping { process, with });
        self.peers.has_helps.store(true, Ordering::Relaxed);
    }

    /// Helps a receiver with one piece. Returns whether there was one.
    #[cold]
    pub(in crate::engine) fn help(&self) -> bool {
        let mut helps = self.peers.helps.lock();
        let Some(helping) = helps.pop_front() else {
            self.peers.has_helps.store(false, Ordering::Relaxed);
            return false;
        };
        drop(helps);
        let Helping {
            process,
            with: help,
        } = helping;
        let Ok(len) = usize::try_from(help.len) else {
            return true;
        };
        let shm = self.transports.memory();
        let claims = shm.and_then(|shm| shm.claims(self.job.rank, process));
        let Some(claim) = claims.and_then(|claims| claims.get(help.claim as usize)) else {
            return true;
        };
        // Looked up before a piece is taken: a wrong name takes nothing. With the piece taken the
        // send cannot end without us.
        let Some(send) = self.pending_send(help.send, process) else {
            return true;
        };
        let Some(number) = take_piece(claim, help.turn, pieces(len)) else {
            return true;
        };
        // SAFETY: a send that is being shared belongs to whoever finishes its last piece, and ours
        // is not finished.
        let body = unsafe { send.body() };
        let (at, length) = piece(number, len);
        // What the receiver would have got for its buffer, had it registered it: both know how long
        // it is.
        let region = ferrite_shm::region_of(help.address, len);
        let written = match body.run() {
            Some(run) if len <= run.len => {
                let token = Token(u64::from(help.send.0));
                let mut out = self.peer(process).out.lock();
                // SAFETY: the user's buffer is readable until the send is done.
                unsafe { out.write(run.part(at, length), &region, at as u64, token) }
            }
            // Only a receiver that has gone wild asks for help with what it was not offered.
            _ => Transfer::Failed(Failure::Denied),
        };
        if written != Transfer::Done {
            let receive = help.receive;
            let piece = number;
            self.send_control(process, Frame::Returned { receive, piece });
        } else if claim.done.fetch_add(1, Ordering::AcqRel) + 1 == pieces(len) {
            // Acquire and release: the last one to finish a piece speaks for all.
            self.delivered(send);
            let receive = help.receive;
            self.send_control(process, Frame::Helped { receive });
        } else {
            let mut helps = self.peers.helps.lock();
            helps.push_front(helping);
            // Another thread may have found none meanwhile.
            self.peers.has_helps.store(true, Ordering::Relaxed);
        }
        true
    }

    /// The sender has finished the message.
    pub(super) fn helped(&self, process: u32, receive: ReceiversRequest) {
        if let Some((receive, _)) = self.cooperative_receive(process, receive) {
            self.end_cooperative_copy(receive, process);
            self.complete(receive);
        }
    }

    /// The sender leaves a piece of the message to us.
    pub(super) fn piece_returned(&self, process: u32, receive: ReceiversRequest, number: u64) {
        let Some((receive, copy)) = self.cooperative_receive(process, receive) else {
            return;
        };
        let (len, region) = (copy.len, copy.region);
        let shm = self.transports.memory();
        let claims = shm.and_then(|shm| shm.claims(process, self.job.rank));
        let Some(claim) = claims.and_then(|claims| claims.get(copy.claim as usize)) else {
            return;
        };
        if number >= pieces(len) {
            return;
        }
        if self.read_piece(receive, process, &region, number, len) != Transfer::Done {
            // SAFETY: see `cooperative_receive`.
            let body = unsafe { receive.body() };
            body.error = Some(unreadable(body));
        }
        // Acquire and release: the last one to finish a piece speaks for all.
        if claim.done.fetch_add(1, Ordering::AcqRel) + 1 == pieces(len) {
            self.finish_cooperative_copy(receive, process);
        }
    }

    /// A receive that both sides copy.
    fn cooperative_receive(
        &self,
        process: u32,
        receive: ReceiversRequest,
    ) -> Option<(RequestRef, &CooperativeCopy)> {
        let receive = self.pending_receive(receive, process)?;
        // SAFETY: a receive that is shared belongs to the port, whose lock is held, once its own
        // pieces are taken.
        let extra = unsafe { receive.body() }.extra.as_ref()?;
        extra.cooperative.as_ref().map(|copy| (receive, copy))
    }
}

/// Why a message could not be copied from its sender's memory to a receive's: one of the two is not
/// there.
#[cold]
pub(super) fn unreadable(receive: &Body) -> Error {
    let Body { buf, status, .. } = receive;
    let (source, tag, len) = (status.source, status.tag, status.bytes as usize);
    if ferrite_shm::is_own_memory(RawBufMut { ptr: *buf, len }) {
        Error::new(
            ErrorClass::OTHER,
            format!(
                "the send buffer of {len} bytes of rank {source}, tag {tag}, is not all memory of \
                 that rank: it is shorter than its count and \
                 datatype say, or was freed before the send was complete"
            ),
        )
    } else {
        Error::new(
            ErrorClass::BUFFER,
            format!(
                "the receive buffer for {len} bytes from rank {source}, tag {tag}, is not all \
                 memory of this rank: it is shorter than its count \
                 and datatype say, or was freed before the message came"
            ),
        )
    }
}
