//! Sending to one peer: at once if the connection is quiet, together with what follows if it is
//! not.
//!
//! The first frame after a poll of the port goes out in the calling thread. Frames that follow
//! before the next poll are [kept back](crate::queue), short ones copied: a system call costs ten
//! times as much as a short frame. They leave when there are enough of them, at the next poll or
//! wait, or when the keeper finds that the program computes.

use core::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ferrite_fabric::{Caps, Header, Limits, Link, RawBuf, RmaLimits, Sent, Token};

use crate::inflow::FRAME;
use crate::own_fault::end_if_bad_memory;
use crate::shared::{Connection, Sending, Shared, State, why_lost};
use crate::sys;

/// Bodies up to this length, in bytes, are copied if they cannot leave at once; longer ones stay
/// with their owner.
pub(crate) const COPY: usize = 16 << 10;

/// Copied bytes at which they leave without waiting for more.
const ENOUGH: usize = 16 << 10;

/// The same of lent ones. Messages of 64 KiB that leave four at a time pass twice as fast as one by
/// one: each end of a write is a short segment of its own.
const ENOUGH_LENT: usize = 256 << 10;

pub(crate) struct TcpLink {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
}

impl TcpLink {
    pub(crate) fn new(shared: Arc<Shared>, peer: u32) -> TcpLink {
        let connection = shared.connection(peer);
        TcpLink { shared, connection }
    }

    /// Puts a frame into the queue.
    ///
    /// # Safety
    /// As [`Link::try_send`].
    unsafe fn enqueue(
        &self,
        sending: &mut Sending,
        head: &[u8; Header::BYTES],
        body: RawBuf,
        token: Token,
    ) -> Sent {
        // SAFETY: a local array, and the caller's promise.
        unsafe {
            sending.queue.copy(RawBuf::of(head));
            if body.len <= COPY {
                sending.queue.copy(body);
                return Sent::Done;
            }
        }
        sending.queue.lend(body, token);
        Sent::Queued(token)
    }

    /// Writes a frame past the empty queue; what the socket does not take goes into the queue.
    ///
    /// # Safety
    /// As [`Link::try_send`].
    unsafe fn send_now(
        &self,
        sending: &mut Sending,
        head: &[u8; Header::BYTES],
        body: RawBuf,
        token: Token,
    ) -> Sent {
        /// A frame of up to this length is put together, which costs less than to hand over two
        /// pieces.
        const TOGETHER: usize = 1024;
        let State::Up(socket) = &sending.state else {
            unreachable!("called for a connection that is up");
        };
        let whole = Header::BYTES + body.len;
        // SAFETY: local arrays, of which only what is filled is sent, and the caller's promise.
        let sent = unsafe {
            if whole <= TOGETHER {
                let mut bytes = MaybeUninit::<[u8; TOGETHER]>::uninit();
                let ptr = bytes.as_mut_ptr().cast::<u8>();
                RawBuf::of(head).copy_to(ptr);
                body.copy_to(ptr.add(Header::BYTES));
                sys::send(socket, &[RawBuf { ptr, len: whole }])
            } else {
                sys::send(socket, &[RawBuf::of(head), body])
            }
        };
        let written = match sent {
            Ok(written) => written,
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => 0,
            Err(e) => {
                let (peer, reason) = (self.connection.peer, why_lost(&e));
                end_if_bad_memory(&e, &self.shared, &format!("a send to rank {peer}"));
                sending.end(&self.shared);
                self.shared.tell(|news| news.losses.push((peer, reason)));
                return Sent::Done;
            }
        };
        if written == whole {
            return Sent::Done;
        }
        // SAFETY: parts of the same buffers.
        let rest = unsafe {
            let head_left = Header::BYTES.saturating_sub(written);
            sending
                .queue
                .copy(RawBuf::of(&head[Header::BYTES - head_left..]));
            let gone = written.saturating_sub(Header::BYTES);
            let rest = body.part(gone, body.len - gone);
            if body.len <= COPY {
                sending.queue.copy(rest);
                Sent::Done
            } else {
                sending.queue.lend(rest, token);
                Sent::Queued(token)
            }
        };
        sending.block(&self.shared, self.connection.peer);
        rest
    }
}

impl Link for TcpLink {
    fn limits(&self) -> Limits {
        Limits {
            inline: COPY,
            frame: FRAME,
            caps: Caps::NONE,
            rma: RmaLimits::NONE,
            direct_from: usize::MAX,
        }
    }

    unsafe fn try_send(&mut self, header: &Header, body: RawBuf, token: Token) -> Sent {
        assert!(
            body.len <= FRAME,
            "a body of {} bytes, but at most {FRAME}",
            body.len
        );
        let head = Header {
            len: body.len as u32,
            seq: 0,
            ..*header
        }
        .to_bytes();
        let shared = &*self.shared;
        let mut sending = self.connection.sending();
        match sending.state {
            State::Up(_) => {}
            State::Down => return Sent::Done,
            State::Idle => {
                sending.state = State::Wanted;
                shared.order(self.connection.peer);
            }
            State::Wanted => {}
        }
        if sending.queue.is_full() {
            sending.flush(shared, &self.connection);
            if sending.queue.is_full() {
                return Sent::Full;
            }
        }
        // Relaxed: it only tells whether this thread has polled since.
        let epoch = shared.epoch.load(Ordering::Relaxed);
        let quiet = sending.queue.is_empty() && matches!(sending.state, State::Up(_));
        if quiet && sending.burst != epoch {
            sending.burst = epoch;
            // SAFETY: the caller's promise.
            return unsafe { self.send_now(&mut sending, &head, body, token) };
        }
        // SAFETY: the caller's promise.
        let sent = unsafe { self.enqueue(&mut sending, &head, body, token) };
        if sending.queue.copied() >= ENOUGH || sending.queue.lent() >= ENOUGH_LENT {
            sending.flush_unless_blocked(shared, &self.connection);
        } else {
            sending.keep_back(shared, &self.connection);
        }
        sent
    }

    fn flush(&mut self) {
        let mut sending = self.connection.sending();
        sending.flush_unless_blocked(&self.shared, &self.connection);
    }
}
