//! Recording what is said on a network, as somebody does who sits on the wire.

use rustix::fd::OwnedFd;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, eth, recv, socket_with};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::process::Command;
use std::time::{Duration, Instant};

/// Sees every packet from its beginning on.
pub(crate) struct Capture {
    socket: OwnedFd,
    ports: RangeInclusive<u16>,
}

/// One direction of a connection: the ports of sender and receiver.
type Flow = (u16, u16);

/// A piece of a TCP stream, over IPv4 in an Ethernet frame (which is what a loopback interface
/// pretends to carry).
struct Piece<'a> {
    flow: Flow,
    sequence: u32,
    begins: bool,
    content: &'a [u8],
}

impl Capture {
    /// Moves this thread, and what it starts, to a network of its own, where nobody else's packets
    /// are, and begins to record connections to these ports there. Needs root.
    pub(crate) fn begin(ports: RangeInclusive<u16>) -> Capture {
        // SAFETY: descriptors and memory stay shared with the other threads; only new sockets are
        // of the new network.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.expect("root may make a network");
        let up = Command::new("ip")
            .args(["link", "set", "lo", "up"])
            .status();
        assert!(up.is_ok_and(|status| status.success()), "ip link set lo up");
        let socket = socket_with(
            AddressFamily::PACKET,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(eth::ALL),
        )
        .expect("root may look at packets");
        set_socket_timeout(&socket, Timeout::Recv, Some(Duration::from_millis(100)))
            .expect("a socket");
        Capture { socket, ports }
    }

    /// What the caller of a connection to one of the ports said in the beginning: its first
    /// message, the second one, and more if it said more.
    pub(crate) fn first_words(&self, patience: Duration) -> Vec<u8> {
        let deadline = Instant::now() + patience;
        let mut first: BTreeMap<Flow, u32> = BTreeMap::new();
        let mut pieces: BTreeMap<Flow, BTreeMap<u32, Vec<u8>>> = BTreeMap::new();
        let mut packet = vec![0; 1 << 17];
        while Instant::now() < deadline {
            let Ok((length, _)) = recv(&self.socket, &mut packet[..], RecvFlags::empty()) else {
                continue;
            };
            let Some(piece) = read(&packet[..length]) else {
                continue;
            };
            if !self.ports.contains(&piece.flow.1) || self.ports.contains(&piece.flow.0) {
                continue;
            }
            if piece.begins {
                first.insert(piece.flow, piece.sequence.wrapping_add(1));
            }
            let Some(first) = first.get(&piece.flow) else {
                continue;
            };
            let stream = pieces.entry(piece.flow).or_default();
            if !piece.content.is_empty() {
                let at = piece.sequence.wrapping_sub(*first);
                stream.insert(at, piece.content.to_vec());
            }
            let words = joined(stream);
            // Hello, proof, and something of a frame.
            if words.len() > 64 + 32 {
                return words;
            }
        }
        panic!("nobody connected to a port of {:?}", self.ports);
    }
}

/// The pieces from the beginning to the first gap.
fn joined(pieces: &BTreeMap<u32, Vec<u8>>) -> Vec<u8> {
    let mut stream = Vec::new();
    for (at, content) in pieces {
        if *at as usize == stream.len() {
            stream.extend_from_slice(content);
        }
    }
    stream
}

fn read(packet: &[u8]) -> Option<Piece<'_>> {
    const ETHERNET: usize = 14;
    if packet.get(12..14)? != [0x08, 0x00] {
        return None;
    }
    let ip = &packet[ETHERNET..];
    let (head, total) = (
        usize::from(ip.first()? & 15) * 4,
        usize::from(u16_at(ip, 2)?),
    );
    if *ip.get(9)? != 6 {
        return None;
    }
    // A packet longer than 64 KiB says 0.
    let end = if total == 0 {
        ip.len()
    } else {
        total.min(ip.len())
    };
    let tcp = ip.get(head..end)?;
    let offset = usize::from(tcp.get(12)? >> 4) * 4;
    Some(Piece {
        flow: (u16_at(tcp, 0)?, u16_at(tcp, 2)?),
        sequence: u32::from(u16_at(tcp, 4)?) << 16 | u32::from(u16_at(tcp, 6)?),
        begins: tcp.get(13)? & 2 != 0,
        content: tcp.get(offset..)?,
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}
