//! A send and a receive in one call (MPI 5.0, section 3.10).
//!
//! The request of a nonblocking exchange has two parts, requests that nobody else knows of. Each
//! tells it when it is done; with the last it is done itself, and has the status of the receive.
//! Partitioned messages are made of such parts, too.

use super::receive::checked_receive_body;
use super::send::outbound;
use super::send::send_body;
use crate::Result;
use crate::datatype::Argument;
use crate::engine::Engine;
use crate::engine::communicators::CommData;
use crate::engine::requests::{Body, Kind, Parent, idle_body};
use crate::handle::{Comm, Datatype, Request};
use crate::status::Status;

impl Engine {
    /// `MPI_Sendrecv`: both at once.
    ///
    /// # Safety
    /// As [`Engine::send`] and [`Engine::recv`]; the buffers do not overlap.
    #[allow(clippy::too_many_arguments)] // MPI's own list.
    pub unsafe fn sendrecv(
        &self,
        sendbuf: *const u8,
        sendcount: i64,
        sendtype: Datatype,
        dest: i32,
        sendtag: i32,
        recvbuf: *mut u8,
        recvcount: i64,
        recvtype: Datatype,
        source: i32,
        recvtag: i32,
        comm: Comm,
    ) -> Result<Status> {
        // SAFETY: the caller's promise.
        let mut receive =
            unsafe { self.irecv(recvbuf, recvcount, recvtype, source, recvtag, comm)? };
        // SAFETY: the caller's promise.
        let sent = unsafe { self.isend(sendbuf, sendcount, sendtype, dest, sendtag, comm) };
        let mut send = match sent {
            Ok(send) => send,
            Err(error) => {
                // Nothing may write to the caller's buffer after an error.
                self.cancel(receive)?;
                self.wait(&mut receive)?;
                return Err(error);
            }
        };
        let status = self.wait(&mut receive);
        self.wait(&mut send)?;
        status
    }

    /// `MPI_Sendrecv_replace`: the message received takes the place of the one sent.
    ///
    /// # Safety
    /// `buf` is readable and writable for `count` items of `dt`.
    #[allow(clippy::too_many_arguments)] // MPI's own list.
    pub unsafe fn sendrecv_replace(
        &self,
        buf: *mut u8,
        count: i64,
        dt: Datatype,
        dest: i32,
        sendtag: i32,
        source: i32,
        recvtag: i32,
        comm: Comm,
    ) -> Result<Status> {
        // SAFETY: the caller's promise.
        let mut request = unsafe {
            self.isendrecv_replace(buf, count, dt, dest, sendtag, source, recvtag, comm)?
        };
        self.wait(&mut request)
    }

    /// `MPI_Isendrecv`: starts both; one request for the two.
    ///
    /// # Safety
    /// As [`Engine::isend`] and [`Engine::irecv`]; the buffers do not overlap.
    #[allow(clippy::too_many_arguments)] // MPI's own list.
    pub unsafe fn isendrecv(
        &self,
        sendbuf: *const u8,
        sendcount: i64,
        sendtype: Datatype,
        dest: i32,
        sendtag: i32,
        recvbuf: *mut u8,
        recvcount: i64,
        recvtype: Datatype,
        source: i32,
        recvtag: i32,
        comm: Comm,
    ) -> Result<Request> {
        let comm = self.comm(comm)?;
        let receive = checked_receive_body(
            recvbuf,
            recvcount,
            Argument::of(recvtype, recvcount)?,
            source,
            recvtag,
            comm,
        )?;
        // SAFETY: the caller's promise.
        let send = unsafe { outbound(sendbuf, sendcount, sendtype, dest, sendtag, comm)? };
        self.start_sendrecv(send.map(send_body), receive, comm)
    }

    /// `MPI_Isendrecv_replace`: the message received takes the place of the one sent, a copy of
    /// which goes out.
    ///
    /// # Safety
    /// As [`Engine::sendrecv_replace`], until the request is done.
    #[allow(clippy::too_many_arguments)] // MPI's own list.
    pub unsafe fn isendrecv_replace(
        &self,
        buf: *mut u8,
        count: i64,
        dt: Datatype,
        dest: i32,
        sendtag: i32,
        source: i32,
        recvtag: i32,
        comm: Comm,
    ) -> Result<Request> {
        let comm = self.comm(comm)?;
        let receive =
            checked_receive_body(buf, count, Argument::of(dt, count)?, source, recvtag, comm)?;
        // SAFETY: the caller's promise.
        let send = unsafe { outbound(buf, count, dt, dest, sendtag, comm)? };
        let mut send = send.map(send_body);
        if let Some(send) = &mut send {
            // SAFETY: the caller's promise.
            unsafe { send.keep_copy() };
        }
        self.start_sendrecv(send, receive, comm)
    }

    /// Starts both parts of an exchange. Without a send there is nothing to send.
    fn start_sendrecv(
        &self,
        send: Option<Body>,
        receive: Body,
        comm: &CommData,
    ) -> Result<Request> {
        let parent = self.add_request(comm, || idle_body(Kind::Sendrecv, receive.envelope))?;
        let handle = parent.handle();
        let parts = 1 + u32::from(send.is_some());
        let parent = Parent::new(parent, parts);
        let receive = self.add_part(receive, &parent)?;
        self.post(receive);
        if let Some(send) = send {
            let send = self.add_part(send, &parent)?;
            self.dispatch(send, false);
        }
        Ok(handle)
    }
}
