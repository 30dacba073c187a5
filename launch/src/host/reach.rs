//! Whether hosts reach each other over TCP: one listens, the others connect.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::fmt;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use crate::protocol::Target;
use crate::sys::{self, Interface};

/// How long all attempts to connect may take together. An agent is silent meanwhile.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// Addresses that one host listens at, at most.
const MOST_ADDRESSES: usize = 8;

/// Listens while it lives.
#[derive(Debug)]
pub(crate) struct Listener {
    sockets: Vec<TcpListener>,
}

impl Listener {
    /// At each usable address, on a port of this range. The error is a sentence.
    pub(crate) fn open(ports: Option<(u16, u16)>) -> Result<Listener, String> {
        let interfaces = sys::interfaces()
            .map_err(|e| format!("the kernel does not tell this host's interfaces: {e}"))?;
        let usable = interfaces.iter().filter(|i| is_usable(i));
        let addresses: Vec<IpAddr> = usable.map(|i| i.address).take(MOST_ADDRESSES).collect();
        if addresses.is_empty() {
            return Err(
                "there is no interface but loopback that is up: other hosts cannot reach this one"
                    .into(),
            );
        }
        let (first, last) = ports.unwrap_or((0, 0));
        let mut sockets = Vec::new();
        for address in addresses {
            let mut failure = None;
            let socket = (first..=last).find_map(|port| {
                match TcpListener::bind(SocketAddr::new(address, port)) {
                    Ok(socket) => Some(socket),
                    Err(e) => {
                        failure = Some(e);
                        None
                    }
                }
            });
            match (socket, failure) {
                (Some(socket), _) => sockets.push(socket),
                (None, failure) => {
                    let why = failure.map_or("no port".into(), |e| e.to_string());
                    return Err(format!(
                        "no port of {first}-{last} is free at {address} ({why}): choose another \
                         FERRITE_PORT_RANGE"
                    ));
                }
            }
        }
        Ok(Listener { sockets })
    }

    /// Where others reach it.
    pub(crate) fn target(&self) -> Target {
        let addresses = self
            .sockets
            .iter()
            .filter_map(|socket| socket.local_addr().ok());
        Target {
            addresses: addresses.collect(),
        }
    }
}

/// Whether another host may reach this one there.
pub(super) fn is_usable(interface: &Interface) -> bool {
    let link_local = match interface.address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    interface.up && !interface.loopback && !link_local
}

/// Reads `FIRST-LAST`. The error is a sentence.
pub(crate) fn parse_ports(text: &str) -> Result<(u16, u16), String> {
    let parsed = text.split_once('-').and_then(|(first, last)| {
        let port = |text: &str| text.trim().parse::<u16>().ok().filter(|&port| port > 0);
        Some((port(first)?, port(last)?))
    });
    parsed.filter(|(first, last)| first <= last).ok_or_else(|| {
        format!("FERRITE_PORT_RANGE={text}: expected FIRST-LAST, two ports from 1 to 65535")
    })
}

/// Tries to connect to each of the targets at all of its addresses at once. Tells the address that
/// answered first; the error is a sentence.
pub(crate) fn dial(targets: &[Target]) -> Vec<Result<String, String>> {
    let until = Instant::now() + CONNECT_WITHIN;
    let mut attempts: Vec<Attempt> = Vec::new();
    for (number, target) in targets.iter().enumerate() {
        for &address in &target.addresses {
            attempts.push(Attempt::new(number, address));
        }
    }
    let mut reached: Vec<Option<SocketAddr>> = vec![None; targets.len()];
    loop {
        // Who is reached needs no other address.
        let open = |attempt: &Attempt, reached: &[Option<SocketAddr>]| {
            attempt.failure.is_none() && reached[attempt.target].is_none()
        };
        let waiting: Vec<usize> = (0..attempts.len())
            .filter(|&at| open(&attempts[at], &reached))
            .collect();
        let left = until.saturating_duration_since(Instant::now());
        if waiting.is_empty() || left.is_zero() {
            break;
        }
        let ready: Vec<usize> = {
            let sockets = waiting.iter().map(|&at| attempts[at].socket.as_ref());
            let mut fds: Vec<PollFd<'_>> = sockets
                .flatten()
                .map(|socket| PollFd::new(socket, PollFlags::OUT))
                .collect();
            let left = Timespec {
                tv_sec: left.as_secs() as _,
                tv_nsec: left.subsec_nanos() as _,
            };
            if let Err(e) = poll(&mut fds, Some(&left))
                && e != Errno::INTR
            {
                break;
            }
            let ready = waiting
                .iter()
                .zip(&fds)
                .filter(|(_, fd)| !fd.revents().is_empty());
            ready.map(|(&at, _)| at).collect()
        };
        for at in ready {
            let attempt = &mut attempts[at];
            match attempt.finish() {
                Ok(()) => reached[attempt.target] = Some(attempt.address),
                Err(e) => attempt.failure = Some(e),
            }
        }
    }
    let verdict = |(number, reached): (usize, Option<SocketAddr>)| match reached {
        Some(address) => Ok(address.to_string()),
        None => {
            let tried = attempts.iter().filter(|attempt| attempt.target == number);
            let tried: Vec<String> = tried.map(Attempt::to_string).collect();
            Err(tried.join("; "))
        }
    };
    reached.into_iter().enumerate().map(verdict).collect()
}

/// An attempt to connect.
struct Attempt {
    target: usize,
    address: SocketAddr,
    /// Connecting, unless that has failed.
    socket: Option<OwnedFd>,
    failure: Option<Errno>,
}

impl Attempt {
    fn new(target: usize, address: SocketAddr) -> Attempt {
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None);
        let connected = socket.and_then(|socket| match rustix::net::connect(&socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
            Err(e) => Err(e),
        });
        let (socket, failure) = match connected {
            Ok(socket) => (Some(socket), None),
            Err(e) => (None, Some(e)),
        };
        Attempt {
            target,
            address,
            socket,
            failure,
        }
    }

    /// What became of it.
    fn finish(&self) -> Result<(), Errno> {
        match &self.socket {
            Some(socket) => rustix::net::sockopt::socket_error(socket)?,
            None => Err(Errno::NOTCONN),
        }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.failure {
            Some(e) => write!(f, "{}: {}", self.address, std::io::Error::from(e)),
            None => write!(
                f,
                "{}: no answer within {} s",
                self.address,
                CONNECT_WITHIN.as_secs()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(parse_ports("5000-5010"), Ok((5000, 5010)));
        assert_eq!(parse_ports("7 - 7"), Ok((7, 7)));
        for wrong in ["", "5000", "0-5", "9-8", "1-70000", "a-b"] {
            assert!(parse_ports(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn who_listens_is_reached_and_who_does_not_is_told() {
        let listens = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listens.local_addr().unwrap();
        let closed = {
            let gone = TcpListener::bind("127.0.0.1:0").unwrap();
            gone.local_addr().unwrap()
        };
        let target = |addresses: &[SocketAddr]| Target {
            addresses: addresses.to_vec(),
        };
        let reached = dial(&[target(&[closed, here]), target(&[closed])]);
        assert_eq!(reached[0], Ok(here.to_string()));
        let why = reached[1].as_ref().unwrap_err();
        assert!(
            why.contains(&closed.to_string()) && why.contains("refused"),
            "{why}"
        );
    }
}
