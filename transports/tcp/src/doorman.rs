//! Callers at the door: accepted sockets until they have proved that they are of the job, or have
//! not.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::handshake::{self, Callee, HELLO, Identity, PROOF, Refusal};
use crate::own_fault::shortage;
use crate::refusal::Refusals;
use crate::sys::{self, Interest, Poller};

/// How long a caller may take to prove itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// Callers that may be at the door at the same time; with one more, the one that has stood there
/// longest is sent away.
const CROWD: usize = 256;

/// Where no descriptor is left, more callers than these are taken for what holds them; with fewer,
/// this process has too few.
const HANDFUL: usize = 8;

/// An accepted socket.
struct Guest {
    socket: TcpStream,
    from: SocketAddr,
    since: Instant,
    /// What has arrived of the message that is due.
    heard: Vec<u8>,
    stage: Stage,
}

enum Stage {
    Hello,
    Proof(Callee),
}

/// A caller that has proved itself.
pub(crate) struct Member {
    pub(crate) rank: u32,
    pub(crate) socket: TcpStream,
}

#[derive(Default)]
pub(crate) struct Doorman {
    /// By key, which grows: the first has stood there longest.
    guests: BTreeMap<u64, Guest>,
}

impl Doorman {
    /// Accepts whoever calls. `key` makes keys.
    ///
    /// # Errors
    /// A sentence when this process lacks what a connection takes, and callers that have proved
    /// nothing do not hold it.
    pub(crate) fn open(
        &mut self,
        listener: &TcpListener,
        gate: &Poller,
        own: &Identity,
        refusals: &Refusals,
        mut key: impl FnMut() -> u64,
    ) -> Result<(), String> {
        loop {
            let (socket, from) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => {
                    let Some(sentence) = shortage(&e, "accept a connection", own) else {
                        // The caller is gone already.
                        return Ok(());
                    };
                    if self.guests.len() <= HANDFUL {
                        return Err(sentence);
                    }
                    self.send_longest_away(gate, own, refusals);
                    return Ok(());
                }
            };
            if self.guests.len() >= CROWD {
                self.send_longest_away(gate, own, refusals);
            }
            let key = key();
            let ready = socket
                .set_nonblocking(true)
                .and_then(|()| gate.add(&socket, key, Interest::Read));
            if let Err(e) = ready {
                if let Some(sentence) = shortage(&e, "wait for a caller", own) {
                    return Err(sentence);
                }
                continue;
            }
            let guest = Guest {
                socket,
                from,
                since: Instant::now(),
                heard: Vec::new(),
                stage: Stage::Hello,
            };
            self.guests.insert(key, guest);
        }
    }

    fn send_longest_away(&mut self, gate: &Poller, own: &Identity, refusals: &Refusals) {
        if let Some((_, guest)) = self.guests.pop_first() {
            gate.remove(&guest.socket);
            refusals.note(own.rank, guest.from, Refusal::Crowd);
        }
    }

    /// Hears a guest of whom something has arrived. Returns it when it has proved itself. `None`
    /// also for keys of others.
    pub(crate) fn hear(
        &mut self,
        key: u64,
        gate: &Poller,
        own: &Identity,
        refusals: &Refusals,
    ) -> Option<Member> {
        let guest = self.guests.get_mut(&key)?;
        match guest.hear(own) {
            Ok(None) => None,
            Ok(Some(rank)) => {
                let guest = self.guests.remove(&key)?;
                gate.remove(&guest.socket);
                let socket = guest.socket;
                Some(Member { rank, socket })
            }
            Err(why) => {
                let guest = self.guests.remove(&key)?;
                gate.remove(&guest.socket);
                // A member that has reached this process by another address, or has been reached by
                // it, hangs up.
                let has_hung_up = why == Refusal::Silent && matches!(guest.stage, Stage::Proof(_));
                if !has_hung_up {
                    refusals.note(own.rank, guest.from, why);
                }
                None
            }
        }
    }

    /// Sends those away who take too long. Returns when the next one will have.
    pub(crate) fn tick(
        &mut self,
        now: Instant,
        gate: &Poller,
        own: &Identity,
        refusals: &Refusals,
    ) -> Option<Instant> {
        while let Some(first) = self.guests.first_entry() {
            let until = first.get().since + PATIENCE;
            if until > now {
                return Some(until);
            }
            let guest = first.remove();
            gate.remove(&guest.socket);
            refusals.note(own.rank, guest.from, Refusal::Silent);
        }
        None
    }
}

impl Guest {
    /// Goes on as far as what has arrived allows. Returns the rank of a member.
    fn hear(&mut self, own: &Identity) -> Result<Option<u32>, Refusal> {
        loop {
            let need = match self.stage {
                Stage::Hello => HELLO,
                Stage::Proof(_) => PROOF,
            };
            if !fill(&mut self.socket, &mut self.heard, need)? {
                return Ok(None);
            }
            match &self.stage {
                Stage::Hello => {
                    let hello = self.heard[..].try_into().expect("as many as needed");
                    let nonce = sys::random().map_err(|_| Refusal::Crowd)?;
                    let callee = Callee::hear(own, hello, nonce)?;
                    // A fresh socket takes so little at once.
                    match self.socket.write(&callee.challenge()) {
                        Ok(handshake::CHALLENGE) => {}
                        Ok(_) => return Err(Refusal::Silent),
                        Err(_) => return Err(Refusal::Withdrawn),
                    }
                    self.stage = Stage::Proof(callee);
                    self.heard.clear();
                }
                Stage::Proof(callee) => {
                    let proof = self.heard[..].try_into().expect("as many as needed");
                    callee.judge(proof)?;
                    return Ok(Some(callee.caller()));
                }
            }
        }
    }
}

/// Receives until `heard` holds `need` bytes, not one more: what follows is not the handshake's.
/// `false`: not all is there yet.
pub(crate) fn fill(
    socket: &mut TcpStream,
    heard: &mut Vec<u8>,
    need: usize,
) -> Result<bool, Refusal> {
    while heard.len() < need {
        let have = heard.len();
        heard.resize(need, 0);
        let got = socket.read(&mut heard[have..]);
        heard.truncate(have + *got.as_ref().unwrap_or(&0));
        match got {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) if heard.is_empty() => return Err(Refusal::Withdrawn),
            Ok(0) | Err(_) => return Err(Refusal::Silent),
            Ok(_) => {}
        }
    }
    Ok(true)
}
