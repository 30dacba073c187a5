//! One attempt to reach a peer: its addresses in a race, until one of them leads to a process that
//! knows the secret.
//!
//! A new address is tried every [`STAGGER`], or at once when one has failed. The first that passes
//! the handshake wins, the others are closed. When all have failed, everything begins anew after a
//! pause, until [`DEADLINE`].

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::card::Card;
use crate::doorman::fill;
use crate::handshake::{CHALLENGE, Caller, DUPLICATE, HELLO, Identity, PROOF, WELCOME};
use crate::own_fault::shortage;
use crate::sys::{self, Interest, Poller};

/// Between the beginnings of two tries.
const STAGGER: Duration = Duration::from_millis(50);

/// How long one try may take to reach the host.
const CONNECT: Duration = Duration::from_secs(12);

/// How long it may take to complete the handshake: a stopped process answers when it goes on.
const ANSWER: Duration = Duration::from_secs(60);

/// How long a peer is sought when no try comes as far as the handshake.
const DEADLINE: Duration = Duration::from_secs(30);

/// Pauses between two rounds through all addresses.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

pub(crate) struct Call {
    pub(crate) peer: u32,
    since: Instant,
    card: Option<Card>,
    /// Addresses not tried in this round, the next one last.
    next: Vec<SocketAddr>,
    /// When to try the next one, or to ask for the card again.
    due: Instant,
    pause: Duration,
    tries: BTreeMap<u64, Try>,
    /// Why each address failed last.
    failures: BTreeMap<SocketAddr, String>,
}

struct Try {
    address: SocketAddr,
    socket: TcpStream,
    until: Instant,
    heard: Vec<u8>,
    stage: Stage,
}

enum Stage {
    Connecting,
    Challenge(Caller),
    /// The proof is sent; there is one try in this stage.
    Verdict,
}

/// How a call stands.
pub(crate) enum Progress {
    /// Not decided. Look again at this time, or when a socket is ready.
    Until(Instant),
    /// The peer has answered and uses this connection.
    Up(TcpStream),
    /// It uses another one, which it has made, or is about to.
    Elsewhere,
    /// It cannot be reached, for this reason.
    Lost(String),
    /// This process lacks something: a sentence.
    Short(String),
}

impl Call {
    pub(crate) fn new(peer: u32, now: Instant) -> Call {
        Call {
            peer,
            since: now,
            card: None,
            next: Vec::new(),
            due: now,
            pause: PAUSES[0],
            tries: BTreeMap::new(),
            failures: BTreeMap::new(),
        }
    }

    /// Whether a socket of this key is of this call.
    pub(crate) fn has(&self, key: u64) -> bool {
        self.tries.contains_key(&key)
    }

    /// Gives up all tries.
    pub(crate) fn cancel(&mut self, gate: &Poller) {
        for (_, attempt) in std::mem::take(&mut self.tries) {
            gate.remove(&attempt.socket);
        }
    }

    /// Does what is due. `fetch` asks for the peer's card, `key` makes keys for sockets.
    pub(crate) fn tick(
        &mut self,
        now: Instant,
        stack: &str,
        gate: &Poller,
        own: &Identity,
        fetch: impl Fn(u32) -> Result<Option<String>, String>,
        mut key: impl FnMut() -> u64,
    ) -> Progress {
        let card = match &self.card {
            Some(card) => card.clone(),
            None if self.due > now => return Progress::Until(self.due),
            None => match fetch(self.peer) {
                Ok(Some(text)) => match Card::decode(&text) {
                    Ok(card) => self.card.insert(card).clone(),
                    Err(why) => return Progress::Lost(format!("it {why}")),
                },
                Ok(None) => {
                    // It has not begun. How long that may take is the launcher's business.
                    self.since = now;
                    return self.again(now);
                }
                Err(sentence) => {
                    return Progress::Lost(format!("its address is unknown: {sentence}"));
                }
            },
        };
        let late: Vec<u64> = self
            .tries
            .iter()
            .filter(|(_, attempt)| attempt.until <= now)
            .map(|(key, _)| *key)
            .collect();
        for key in late {
            self.fail(key, gate, "no answer");
        }
        while self.due <= now || self.tries.is_empty() {
            let Some(address) = self.next.pop() else {
                if !self.tries.is_empty() {
                    break;
                }
                if self.due > now {
                    return Progress::Until(self.due);
                }
                if now - self.since > DEADLINE {
                    return Progress::Lost(self.obituary(&card));
                }
                self.next = card.reachable_from(stack);
                self.next.reverse();
                if self.next.is_empty() {
                    return Progress::Lost(format!(
                        "it runs on {}, and is reachable there by loopback only",
                        card.host
                    ));
                }
                continue;
            };
            match sys::connect(address) {
                Ok(socket) => {
                    let key = key();
                    if let Err(e) = gate.add(&socket, key, Interest::Write) {
                        if let Some(sentence) = self.shortage(&e, own) {
                            return Progress::Short(sentence);
                        }
                        self.failures.insert(address, e.to_string());
                        continue;
                    }
                    let attempt = Try {
                        address,
                        socket,
                        until: now + CONNECT,
                        heard: Vec::new(),
                        stage: Stage::Connecting,
                    };
                    self.tries.insert(key, attempt);
                    self.due = now + STAGGER;
                }
                Err(e) => {
                    if let Some(sentence) = self.shortage(&e, own) {
                        return Progress::Short(sentence);
                    }
                    self.failures.insert(address, e.to_string());
                    if self.next.is_empty() {
                        return self.again(now);
                    }
                }
            }
        }
        let until = self.tries.values().map(|attempt| attempt.until).min();
        let due = (!self.next.is_empty()).then_some(self.due);
        let next = until.into_iter().chain(due).min();
        Progress::Until(next.unwrap_or(now + STAGGER))
    }

    fn shortage(&self, e: &std::io::Error, own: &Identity) -> Option<String> {
        shortage(e, &format!("connect to rank {}", self.peer), own)
    }

    /// After a pause.
    fn again(&mut self, now: Instant) -> Progress {
        self.due = now + self.pause;
        self.pause = (self.pause * 2).min(PAUSES[1]);
        Progress::Until(self.due)
    }

    /// A socket of this call is ready.
    pub(crate) fn hear(
        &mut self,
        key: u64,
        now: Instant,
        own: &Identity,
        gate: &Poller,
    ) -> Progress {
        let Some(attempt) = self.tries.get_mut(&key) else {
            return Progress::Until(now);
        };
        match attempt.hear(self.peer, key, now, own, gate) {
            Ok(Heard::Nothing) => {}
            Ok(Heard::Member) => {
                // The race is decided: the peer may use one of them only.
                let winner = self.tries.remove(&key).expect("looked up above");
                self.cancel(gate);
                self.next.clear();
                self.tries.insert(key, winner);
            }
            Ok(Heard::Welcome) => {
                let winner = self.tries.remove(&key).expect("looked up above");
                gate.remove(&winner.socket);
                return Progress::Up(winner.socket);
            }
            Ok(Heard::Duplicate) => {
                self.cancel(gate);
                return Progress::Elsewhere;
            }
            Err(why) => {
                self.fail(key, gate, &why);
                if self.tries.is_empty() && self.next.is_empty() {
                    return self.again(now);
                }
                // The next address at once.
                self.due = now;
            }
        }
        Progress::Until(now)
    }

    fn fail(&mut self, key: u64, gate: &Poller, why: &str) {
        if let Some(attempt) = self.tries.remove(&key) {
            gate.remove(&attempt.socket);
            self.failures.insert(attempt.address, why.into());
        }
    }

    /// Why the peer cannot be reached.
    fn obituary(&self, card: &Card) -> String {
        let tried: Vec<String> = self
            .failures
            .iter()
            .map(|(address, why)| format!("{address}: {why}"))
            .collect();
        format!(
            "no connection to it on {} within {} s ({}); is there a firewall between the hosts? \
             FERRITE_PORT_RANGE chooses the ports \
             to be opened in it, FERRITE_NETWORK the interfaces",
            card.host,
            DEADLINE.as_secs(),
            tried.join("; ")
        )
    }
}

enum Heard {
    Nothing,
    /// The peer knows the secret; the proof that this process does, too, is sent.
    Member,
    Welcome,
    Duplicate,
}

impl Try {
    fn hear(
        &mut self,
        peer: u32,
        key: u64,
        now: Instant,
        own: &Identity,
        gate: &Poller,
    ) -> Result<Heard, String> {
        let closed = |_| String::from("it closed the connection");
        match &self.stage {
            Stage::Connecting => {
                if let Some(e) = self.socket.take_error().map_err(|e| e.to_string())? {
                    return Err(e.to_string());
                }
                let nonce = sys::random().map_err(|e| e.to_string())?;
                let caller = Caller::new(own, peer, nonce);
                self.say(caller.hello(), HELLO)?;
                let waits = gate.change(&self.socket, key, Interest::Read);
                waits.map_err(|e| e.to_string())?;
                self.until = now + ANSWER;
                self.stage = Stage::Challenge(caller);
                Ok(Heard::Nothing)
            }
            Stage::Challenge(caller) => {
                if !fill(&mut self.socket, &mut self.heard, CHALLENGE).map_err(closed)? {
                    return Ok(Heard::Nothing);
                }
                let challenge = self.heard[..].try_into().expect("as many as needed");
                let Some(proof) = caller.answer(challenge) else {
                    return Err("what listens there is not of this job".into());
                };
                self.say(&proof, PROOF)?;
                self.heard.clear();
                self.stage = Stage::Verdict;
                Ok(Heard::Member)
            }
            Stage::Verdict => {
                if !fill(&mut self.socket, &mut self.heard, 1).map_err(closed)? {
                    return Ok(Heard::Nothing);
                }
                match self.heard[0] {
                    WELCOME => Ok(Heard::Welcome),
                    DUPLICATE => Ok(Heard::Duplicate),
                    _ => Err("it answered with nonsense".into()),
                }
            }
        }
    }

    /// Sends a message of the handshake, for which a fresh socket has room.
    fn say(&mut self, bytes: &[u8], len: usize) -> Result<(), String> {
        match self.socket.write(bytes) {
            Ok(written) if written == len => Ok(()),
            Ok(_) => Err("the socket takes no bytes".into()),
            Err(e) => Err(e.to_string()),
        }
    }
}
