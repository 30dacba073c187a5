//! mpiexec's end of the dialogue with one rank. What the messages mean for the job is [`crate::job`]'s business.

use crate::spawn;
use ferrite_client::wire::{MAX_LINE, Reply, Request};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use rustix::process::Pid;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;

/// The socket to one rank.
pub(crate) struct Channel {
    socket: OwnedFd,
    /// The beginning of a line whose end has not arrived.
    partial: Vec<u8>,
}

/// What arrived.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A message, and who sent it as the kernel says (`None`: a process in a container that this one cannot see).
    Request(Request, Option<Pid>),
    /// The rank's process could not execute its program, for this reason (errno).
    Unstarted(i32),
    /// Something that is no message.
    Garbled(String),
    /// Every process that held the other end has closed it.
    Closed,
}

impl Channel {
    /// Of a socket that does not block and passes credentials.
    pub(crate) fn new(socket: OwnedFd) -> Channel {
        Channel {
            socket,
            partial: Vec::new(),
        }
    }

    /// Everything that has arrived.
    pub(crate) fn receive(&mut self) -> Vec<Heard> {
        let mut heard = Vec::new();
        loop {
            let mut bytes = [0; 4096];
            let (count, sender) = match receive(&self.socket, &mut bytes) {
                Ok((0, _)) => {
                    heard.push(Heard::Closed);
                    return heard;
                }
                Ok(received) => received,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return heard,
                Err(_) => {
                    heard.push(Heard::Closed);
                    return heard;
                }
            };
            self.partial.extend_from_slice(&bytes[..count]);
            while let Some(end) = self.partial.iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = self.partial.drain(..=end).collect();
                heard.push(read(&line[..end], sender));
            }
            if self.partial.len() > MAX_LINE {
                heard.push(read(&self.partial, sender));
                self.partial.clear();
            }
        }
    }

    /// Answers, with a descriptor if there is one. A rank that does not take its answer is gone, or so broken that nothing
    /// can be told to it.
    pub(crate) fn answer(&self, reply: &Reply, descriptor: Option<BorrowedFd<'_>>) {
        let line = reply.to_string();
        let descriptors: Vec<BorrowedFd<'_>> = descriptor.into_iter().collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&descriptors));
        }
        let slices = [IoSlice::new(line.as_bytes())];
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let _ = rustix::net::sendmsg(&self.socket, &slices, &mut control, flags);
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn read(line: &[u8], sender: Option<Pid>) -> Heard {
    let text = String::from_utf8_lossy(line);
    if let Some(request) = Request::parse(&text) {
        return Heard::Request(request, sender);
    }
    if let Some(errno) = spawn::parse_unstarted(&text) {
        return Heard::Unstarted(errno);
    }
    const SHOWN: usize = 60;
    let shown: String = text.chars().take(SHOWN).collect();
    Heard::Garbled(format!("{shown:?}"))
}

fn receive(socket: &OwnedFd, into: &mut [u8]) -> Result<(usize, Option<Pid>), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1), ScmCredentials(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(into)];
    let received =
        rustix::net::recvmsg(socket, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    debug_assert!(
        !received.flags.contains(ReturnFlags::TRUNC),
        "streams are not truncated"
    );
    // Descriptors that a rank sends are closed as they are dropped here.
    let sender = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmCredentials(credentials) => Some(credentials.pid),
        _ => None,
    });
    Ok((received.bytes, sender))
}
