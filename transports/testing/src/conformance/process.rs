//! A process of the suite: an endpoint, what it has received, and what it has lent to the
//! transport.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::operations::UnderWay;
use super::{Coverage, Endpoint, Random};
use ferrite_fabric::{
    CONTROL, Failure, Header, Landing, LinkDown, Outcome, OwnedBuf, RawBuf, RawBufMut, Sent, Sink,
    Token,
};

/// A frame as it was received: from whom, and of its body as much as there was a place for.
pub(super) type Frame = (u32, Header, Vec<u8>);

/// What was sent and has not arrived, by sender and receiver.
pub(super) type Expected = HashMap<(usize, usize), VecDeque<(Header, Vec<u8>)>>;

/// Longer than anything takes, on the slowest of machines.
const HANG: Duration = Duration::from_secs(60);

/// Bytes behind a place to land, which no transport may touch.
const GUARD: usize = 16;
const UNTOUCHED: u8 = 0xee;

/// Collects what a port delivers, and finds it places to land.
pub(super) struct Log {
    pub(super) frames: VecDeque<Frame>,
    pub(super) completed: Vec<(u32, Token, Outcome)>,
    /// Peers whose loss is expected.
    pub(super) mortal: HashSet<u32>,
    pub(super) gone: HashSet<u32>,
    /// By peer: the frame that is landing, its room and the memory.
    landing: HashMap<u32, (Header, usize, Vec<u8>)>,
    /// What was landing when its peer was lost.
    wreckage: Vec<(Vec<u8>, Vec<u8>)>,
    random: Random,
    placed: usize,
}

impl Log {
    fn alive(&self, peer: u32) {
        assert!(
            !self.gone.contains(&peer),
            "peer {peer} was reported gone, but something came of it"
        );
    }
}

impl Sink for Log {
    fn frame(&mut self, peer: u32, header: &Header, body: RawBuf) {
        self.alive(peer);
        assert_eq!(
            header.len as usize, body.len,
            "the header's length is the body's"
        );
        assert!(
            !self.landing.contains_key(&peer),
            "a frame of peer {peer} overtakes one that is landing"
        );
        let mut copy = vec![0; body.len];
        // SAFETY: readable during the call.
        unsafe { body.copy_to(copy.as_mut_ptr()) };
        self.frames.push_back((peer, *header, copy));
    }

    fn arriving(&mut self, peer: u32, header: &Header) -> Landing {
        self.alive(peer);
        assert!(
            !self.landing.contains_key(&peer),
            "two frames of peer {peer} are arriving at once"
        );
        let len = header.len as usize;
        let room = match self.random.below(4) {
            0 => return Landing::Anywhere,
            1 => self.random.below(len + 1),
            _ => len,
        };
        let mut place = vec![UNTOUCHED; room + GUARD];
        let buffer = RawBufMut {
            ptr: place.as_mut_ptr(),
            len: room,
        };
        self.landing.insert(peer, (*header, room, place));
        Landing::At(buffer)
    }

    fn landed(&mut self, peer: u32, header: &Header) {
        self.alive(peer);
        let landing = self.landing.remove(&peer);
        let (announced, room, mut place) =
            landing.expect("what has landed was arriving, and lands once");
        assert_eq!(announced, *header, "the frame that was arriving");
        assert_eq!(place[room..], [UNTOUCHED; GUARD], "there was no more room");
        place.truncate(room);
        self.placed += 1;
        self.frames.push_back((peer, *header, place));
    }

    fn completed(&mut self, peer: u32, token: Token, outcome: Outcome) {
        self.alive(peer);
        self.completed.push((peer, token, outcome));
    }

    fn down(&mut self, peer: u32, why: LinkDown) {
        assert!(
            self.mortal.contains(&peer),
            "peer {peer} is gone: {}",
            why.reason
        );
        assert!(!why.reason.is_empty(), "a loss has a reason");
        assert!(self.gone.insert(peer), "peer {peer} is lost once only");
        // Its place is not written any more.
        if let Some((_, _, place)) = self.landing.remove(&peer) {
            self.wreckage.push((place.clone(), place));
        }
    }
}

/// What is lent to the transport until a token is completed: to whom, the header of a frame, and
/// the bytes.
pub(super) struct Lent {
    pub(super) peer: u32,
    pub(super) body: Vec<u8>,
}

pub(super) struct Process {
    pub(super) end: Endpoint,
    pub(super) log: Log,
    pub(super) lent: HashMap<Token, Lent>,
    /// Operations on peers' memory that are under way.
    pub(super) under_way: HashMap<Token, UnderWay>,
    /// How they ended, and what they brought.
    pub(super) ended: HashMap<Token, Result<Vec<u8>, Failure>>,
    /// Buffers of those that were lost with their peer, and what was in them then.
    pub(super) lost: Vec<(OwnedBuf, Vec<u8>)>,
    tokens: u64,
    pub(super) coverage: Coverage,
}

impl Process {
    pub(super) fn new(end: Endpoint, seed: u64) -> Process {
        let log = Log {
            frames: VecDeque::new(),
            completed: Vec::new(),
            mortal: HashSet::new(),
            gone: HashSet::new(),
            landing: HashMap::new(),
            wreckage: Vec::new(),
            random: Random(seed ^ u64::from(end.rank) << 40),
            placed: 0,
        };
        Process {
            end,
            log,
            lent: HashMap::new(),
            under_way: HashMap::new(),
            ended: HashMap::new(),
            lost: Vec::new(),
            tokens: 0,
            coverage: Coverage::default(),
        }
    }

    /// Whether it has a way to a process: all but itself, and maybe that.
    pub(super) fn reaches(&self, peer: usize) -> bool {
        self.end.reflexive || self.end.rank as usize != peer
    }

    /// A token that no other operation of this process has.
    pub(super) fn token(&mut self) -> Token {
        self.tokens += 1;
        Token(self.tokens)
    }

    /// Sends unless the link is full.
    pub(super) fn try_send(&mut self, peer: u32, header: &Header, body: &[u8]) -> bool {
        let mut body = body.to_vec();
        let token = self.token();
        let link = &mut self.end.links[peer as usize];
        let inline = link.limits().inline;
        // SAFETY: the body is kept in `lent` until it is completed.
        match unsafe { link.try_send(header, RawBuf::of(&body), token) } {
            Sent::Done => {
                // It is ours again.
                spoil(&mut body);
                true
            }
            Sent::Queued(named) => {
                assert_eq!(named, token);
                assert!(
                    body.len() > CONTROL.max(inline),
                    "a body of {} bytes is to be copied",
                    body.len()
                );
                self.coverage.lent += 1;
                self.lent.insert(token, Lent { peer, body });
                true
            }
            Sent::Full => false,
        }
    }

    pub(super) fn poll(&mut self) -> usize {
        let events = self.end.port.poll(&mut self.log);
        for (peer, token, outcome) in std::mem::take(&mut self.log.completed) {
            let mortal = self.log.mortal.contains(&peer);
            assert!(
                mortal || outcome != Err(Failure::Unreachable),
                "{token:?} does not reach {peer}"
            );
            if self.under_way.contains_key(&token) {
                self.operation_ended(peer, token, outcome);
                continue;
            }
            let lent = self.lent.remove(&token);
            let mut lent =
                lent.unwrap_or_else(|| panic!("{token:?} was not queued, or completed twice"));
            assert_eq!(lent.peer, peer, "the peer of {token:?}");
            assert!(mortal || outcome.is_ok(), "{token:?} failed: {outcome:?}");
            spoil(&mut lent.body);
        }
        self.lose_operations();
        for peer in &self.log.gone {
            self.lent.retain(|_, lent| lent.peer != *peer);
        }
        for (place, then) in &self.log.wreckage {
            assert!(place == then, "a place to land was written after its loss");
        }
        events
    }

    /// What this process has seen of the contract.
    pub(super) fn coverage(&self) -> Coverage {
        Coverage {
            placed: self.log.placed,
            ..self.coverage
        }
    }
}

/// Makes a body worthless to whoever still reads it.
pub(super) fn spoil(body: &mut [u8]) {
    for byte in body.iter_mut() {
        *byte = core::hint::black_box(!*byte);
    }
}

/// The processes of a network, driven by one thread.
pub(super) struct All(pub(super) Vec<Process>);

impl All {
    pub(super) fn new(ends: Vec<Endpoint>, seed: u64) -> All {
        All(ends
            .into_iter()
            .map(|end| Process::new(end, seed))
            .collect())
    }

    /// A network whose processes know each other: each has heard of each.
    pub(super) fn acquainted(ends: Vec<Endpoint>, seed: u64) -> All {
        let mut all = All::new(ends, seed);
        let n = all.0.len();
        let header = Random(seed).header();
        for (from, to) in (0..n * n).map(|pair| (pair / n, pair % n)) {
            if !all.0[from].reaches(to) {
                continue;
            }
            all.send(from, to, &header, b"hello");
            expect(all.next(to), from as u32, &header, b"hello");
        }
        all.settle();
        all
    }

    /// Polls everybody, process `first` before the others.
    pub(super) fn poll(&mut self, first: usize) {
        self.0[first].poll();
        for process in (0..self.0.len()).filter(|process| *process != first) {
            self.0[process].poll();
        }
    }

    /// Drives everybody until `done` says so.
    pub(super) fn until(
        &mut self,
        first: usize,
        what: &str,
        mut done: impl FnMut(&mut All) -> bool,
    ) {
        let begun = Instant::now();
        while !done(self) {
            assert!(begun.elapsed() < HANG, "in vain: {what}");
            self.poll(first);
        }
    }

    /// Sends a frame that finds room at some time.
    pub(super) fn send(&mut self, from: usize, to: usize, header: &Header, body: &[u8]) {
        let what = format!("room for a frame of {} bytes on an idle link", body.len());
        self.until(from, &what, |all| {
            all.0[from].try_send(to as u32, header, body)
        });
    }

    /// The next frame that a process receives.
    pub(super) fn next(&mut self, at: usize) -> Frame {
        self.until(at, "a frame that was sent arrives", |all| {
            !all.0[at].log.frames.is_empty()
        });
        self.0[at].log.frames.pop_front().expect("there is one")
    }

    /// Waits until everything lent is returned.
    pub(super) fn settle(&mut self) {
        self.until(0, "what was lent is completed", |all| {
            let idle = |process: &Process| process.lent.is_empty() && process.under_way.is_empty();
            all.0.iter().all(idle)
        });
    }

    pub(super) fn coverage(&self) -> Coverage {
        let mut sum = Coverage::default();
        for process in &self.0 {
            sum += process.coverage();
        }
        sum
    }
}

/// Checks a frame; of its body, as much as there was room for.
pub(super) fn expect((from, got, body): Frame, peer: u32, sent: &Header, expected: &[u8]) {
    let header = Header {
        len: expected.len() as u32,
        seq: 0,
        ..*sent
    };
    assert_eq!((from, Header { seq: 0, ..got }), (peer, header));
    assert!(
        expected.starts_with(&body),
        "a body of {} bytes has changed",
        expected.len()
    );
}
