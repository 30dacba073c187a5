//! The socket to one rank. What its lines mean is [`crate::job::Dialogue`]'s business.

use super::spawn;
use ferrite_client::wire::MAX_LINE;
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
    /// A line, and who sent it as the kernel says (`None`: a process in a container that this one
    /// cannot see).
    Line(Vec<u8>, Option<Pid>),
    /// The rank's process could not execute its program, for this reason (errno).
    Unstarted(i32),
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

    /// Sends text, with a descriptor if there is one. A rank that does not take it is gone, or so
    /// broken that nothing can be told to it.
    pub(crate) fn send(&self, text: &str, descriptor: Option<BorrowedFd<'_>>) {
        let descriptors: Vec<BorrowedFd<'_>> = descriptor.into_iter().collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&descriptors));
        }
        let slices = [IoSlice::new(text.as_bytes())];
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
    let unstarted = std::str::from_utf8(line)
        .ok()
        .and_then(spawn::parse_unstarted);
    match unstarted {
        Some(errno) => Heard::Unstarted(errno),
        None => Heard::Line(line.to_vec(), sender),
    }
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
