//! One suite that every transport must pass.
//!
//! [`run`] puts a transport through all of it within one process. [`storm`] alone is one process's part in random traffic among any
//! number of them, for transports that can be tested between real processes too. Both take a seed; a failure prints it.

use core::time::Duration;
use std::collections::{HashMap, VecDeque};

use crate::{Header, Link, LinkDown, Port, RawBuf, RawBufMut, Sent, Sink, Token, Transfer};

/// One process's end of a transport.
pub struct Endpoint {
    /// The process's index, which frames that it sends carry as `peer`.
    pub rank: u32,
    /// Its receiving side.
    pub port: Box<dyn Port>,
    /// Its links by peer, one to itself included.
    pub links: Vec<Box<dyn Link>>,
    /// Sleeps after a `prepare_sleep` that returned `true`; at most this long.
    pub sleep: Box<dyn Fn(Duration) + Send>,
}

/// Runs the suite. `make(n)` makes a fresh network of `n` processes.
pub fn run(seed: u64, make: impl Fn(u32) -> Vec<Endpoint>) {
    println!("seed {seed:#x}");
    every_length_arrives(seed, make(2));
    full_means_nothing_was_sent(seed, make(2));
    order_holds_between_interleaved_peers(seed, make(4));
    one_sender_cannot_starve_another(make(3));
    exposed_memory_can_be_reached(seed, make(2));
    a_frame_ends_sleep(make(2));
    let threads: Vec<_> = make(3)
        .into_iter()
        .map(|endpoint| std::thread::spawn(move || storm(endpoint, seed, 2_000)))
        .collect();
    for thread in threads {
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

/// Random numbers from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number less than `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// Random bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.bits().to_le_bytes()[..chunk.len()]);
        }
        bytes
    }

    /// A header; `len` and `seq` are left to the link.
    fn header(&mut self) -> Header {
        let [a, b] = [self.bits(), self.bits()];
        let (kind, flags) = (a as u8, (a >> 8) as u8);
        let (tag, source) = ((a >> 32) as i32, b as i32);
        Header {
            kind,
            flags,
            seq: 0,
            len: 0,
            context: self.bits(),
            tag,
            source,
        }
    }

    /// A length that is more interesting than others.
    fn len(&mut self, inline: usize, frame: usize) -> usize {
        match self.below(4) {
            0 => self.below(inline + 2).min(frame),
            1 => self.below(frame.min(256) + 1),
            2 => self.below(frame + 1),
            _ => frame - self.below(3).min(frame),
        }
    }
}

/// Collects what a port delivers.
#[derive(Default)]
struct Log {
    frames: VecDeque<(u32, Header, Vec<u8>)>,
    completed: Vec<Token>,
}

impl Sink for Log {
    fn frame(&mut self, peer: u32, header: &Header, body: RawBuf) {
        assert_eq!(
            header.len as usize, body.len,
            "the header's length is the body's"
        );
        let mut copy = vec![0; body.len];
        // SAFETY: readable during the call.
        unsafe { body.copy_to(copy.as_mut_ptr()) };
        self.frames.push_back((peer, *header, copy));
    }

    fn completed(&mut self, _peer: u32, token: Token, ok: bool) {
        assert!(ok, "{token:?} failed");
        self.completed.push(token);
    }

    fn down(&mut self, peer: u32, why: LinkDown) {
        panic!("peer {peer} is gone: {}", why.reason);
    }
}

/// An endpoint with its log, and the bodies that queued frames still need.
struct Process {
    end: Endpoint,
    log: Log,
    lent: HashMap<Token, Vec<u8>>,
    tokens: u64,
}

impl Process {
    fn all(ends: Vec<Endpoint>) -> Vec<Process> {
        ends.into_iter().map(Process::new).collect()
    }

    fn new(end: Endpoint) -> Process {
        Process {
            end,
            log: Log::default(),
            lent: HashMap::new(),
            tokens: 0,
        }
    }

    /// Sends unless the link is full.
    fn try_send(&mut self, peer: u32, header: &Header, body: &[u8]) -> bool {
        let body = body.to_vec();
        self.tokens += 1;
        let token = Token(self.tokens);
        // SAFETY: the body is kept in `lent` until it is completed.
        match unsafe { self.end.links[peer as usize].try_send(header, RawBuf::of(&body), token) } {
            Sent::Done => true,
            Sent::Queued(named) => {
                assert_eq!(named, token);
                self.lent.insert(token, body);
                true
            }
            Sent::Full => false,
        }
    }

    fn poll(&mut self) -> usize {
        let events = self.end.port.poll(&mut self.log);
        for token in self.log.completed.drain(..) {
            assert!(
                self.lent.remove(&token).is_some(),
                "{token:?} was not queued, or completed twice"
            );
        }
        events
    }

    /// The next frame, for which it polls until there is one.
    fn next(&mut self) -> (u32, Header, Vec<u8>) {
        loop {
            if let Some(frame) = self.log.frames.pop_front() {
                return frame;
            }
            self.poll();
        }
    }
}

fn expect((from, got, body): (u32, Header, Vec<u8>), peer: u32, sent: &Header, expected: &[u8]) {
    let header = Header {
        len: expected.len() as u32,
        seq: 0,
        ..*sent
    };
    assert_eq!((from, Header { seq: 0, ..got }), (peer, header));
    assert!(
        body == expected,
        "a body of {} bytes has changed",
        expected.len()
    );
}

fn every_length_arrives(seed: u64, ends: Vec<Endpoint>) {
    let mut random = Random(seed);
    let mut all = Process::all(ends);
    let limits = all[0].end.links[1].limits();
    assert!(limits.inline <= limits.frame);
    let near = |middle: usize| middle.saturating_sub(2)..=middle + 2;
    let mut lens: Vec<usize> = (0..=300)
        .chain(near(limits.inline))
        .chain(near(limits.frame))
        .collect();
    lens.extend((8..usize::BITS - 1).flat_map(|bit| near(1 << bit)));
    lens.retain(|&len| len <= limits.frame);
    for len in lens {
        let (header, body) = (random.header(), random.bytes(len));
        assert!(
            all[0].try_send(1, &header, &body),
            "an empty link takes a frame of {len} bytes"
        );
        expect(all[1].next(), 0, &header, &body);
        all[0].poll();
    }
}

fn full_means_nothing_was_sent(seed: u64, ends: Vec<Endpoint>) {
    let mut random = Random(seed);
    let mut all = Process::all(ends);
    let limits = all[0].end.links[1].limits();
    for len in [
        0,
        limits.inline,
        limits.inline + 1,
        limits.frame / 3,
        limits.frame,
    ] {
        let len = len.min(limits.frame);
        for _ in 0..3 {
            let mut sent = VecDeque::new();
            let refused = loop {
                assert!(sent.len() < 1 << 20, "a link must be full at some time");
                let (header, body) = (random.header(), random.bytes(len));
                if !all[0].try_send(1, &header, &body) {
                    break (header, body);
                }
                sent.push_back((header, body));
            };
            assert!(!all[0].try_send(1, &refused.0, &refused.1), "still full");
            for (header, body) in &sent {
                expect(all[1].next(), 0, header, body);
            }
            assert_eq!(all[1].poll(), 0, "what was refused must not arrive");
            all[0].poll();
            assert!(all[0].try_send(1, &refused.0, &refused.1), "drained");
            expect(all[1].next(), 0, &refused.0, &refused.1);
        }
    }
}

/// What was sent and has not arrived, by sender and receiver.
type Expected = HashMap<(usize, usize), VecDeque<(Header, Vec<u8>)>>;

fn order_holds_between_interleaved_peers(seed: u64, ends: Vec<Endpoint>) {
    let mut random = Random(seed);
    let mut all = Process::all(ends);
    let n = all.len();
    let limits = all[0].end.links[1].limits();
    let mut expected = Expected::new();
    for _ in 0..5_000 {
        let process = random.below(n);
        if random.below(2) == 0 {
            let peer = random.below(n);
            let (header, len) = (random.header(), random.len(limits.inline, limits.frame));
            let body = random.bytes(len);
            if all[process].try_send(peer as u32, &header, &body) {
                expected
                    .entry((process, peer))
                    .or_default()
                    .push_back((header, body));
            }
        } else {
            all[process].poll();
            deliver(&mut all[process], process, &mut expected);
        }
    }
    for (process, state) in all.iter_mut().enumerate() {
        while expected
            .iter()
            .any(|((_, to), left)| *to == process && !left.is_empty())
        {
            state.poll();
            deliver(state, process, &mut expected);
        }
        assert_eq!(state.log.frames.len(), 0);
    }
    for state in &mut all {
        state.poll();
        assert!(
            state.lent.is_empty(),
            "every queued frame was received, so it is completed"
        );
    }
}

fn deliver(state: &mut Process, process: usize, expected: &mut Expected) {
    for frame in state.log.frames.drain(..) {
        let from = frame.0;
        let queue = expected.get_mut(&(from as usize, process));
        let (header, body) = queue
            .and_then(VecDeque::pop_front)
            .expect("a frame that nobody sent");
        expect(frame, from, &header, &body);
    }
}

fn one_sender_cannot_starve_another(ends: Vec<Endpoint>) {
    let mut all = Process::all(ends);
    let header = Random(1).header();
    let flood = |all: &mut Vec<Process>| while all[0].try_send(2, &header, &[]) {};
    flood(&mut all);
    all[2].poll();
    flood(&mut all);
    assert!(all[1].try_send(2, &header, b"me too"));
    for polls in 0.. {
        assert!(polls < 10, "the other sender's frame has not arrived");
        all[2].poll();
        flood(&mut all);
        if all[2].log.frames.drain(..).any(|(peer, ..)| peer == 1) {
            break;
        }
    }
}

fn exposed_memory_can_be_reached(seed: u64, ends: Vec<Endpoint>) {
    let mut random = Random(seed);
    let mut all = Process::all(ends);
    let mut memory = random.bytes(300_000);
    let caps = all[0].end.links[1].limits().caps;
    // SAFETY: `memory` lives to the end and is touched through the region or between transfers only.
    let region = unsafe { all[1].end.links[0].expose(RawBuf::of(&memory)) };
    assert!(
        region.is_some() || !(caps.read || caps.write),
        "an exposed region is what caps promise"
    );
    let Some(region) = region else {
        return;
    };
    assert!(
        region
            .key
            .iter()
            .skip(region.key_len.into())
            .all(|&byte| byte == 0)
    );
    for _ in 0..100 {
        let at = random.below(memory.len());
        let len = random.below(memory.len() - at + 1);
        if all[0].end.links[1].limits().caps.read {
            let mut into = vec![0; len];
            // SAFETY: `into` lives until the transfer is done.
            let ok = move_and_wait(&mut all[0], |link, token| unsafe {
                link.read(RawBufMut::of(&mut into), &region, at as u64, token)
            });
            assert!(!ok || into == memory[at..at + len]);
            assert_eq!(
                ok,
                all[0].end.links[1].limits().caps.read,
                "caps lose what is unavailable"
            );
        }
        if all[0].end.links[1].limits().caps.write {
            let from = random.bytes(len);
            // SAFETY: `from` lives until the transfer is done.
            let ok = move_and_wait(&mut all[0], |link, token| unsafe {
                link.write(RawBuf::of(&from), &region, at as u64, token)
            });
            assert_eq!(
                ok,
                all[0].end.links[1].limits().caps.write,
                "caps lose what is unavailable"
            );
            let written = core::hint::black_box(&mut memory);
            assert!(!ok || written[at..at + len] == from);
        }
    }
}

/// Returns `false` when the transfer is unavailable.
fn move_and_wait(
    process: &mut Process,
    start: impl FnOnce(&mut dyn Link, Token) -> Transfer,
) -> bool {
    process.tokens += 1;
    let token = Token(process.tokens);
    match start(&mut *process.end.links[1], token) {
        Transfer::Done => true,
        Transfer::Unavailable => false,
        Transfer::Failed => panic!("a transfer within the region failed"),
        Transfer::Queued(named) => {
            process.lent.insert(named, Vec::new());
            while process.lent.contains_key(&token) {
                process.poll();
            }
            true
        }
    }
}

/// `prepare_sleep` refuses exactly while something is there, and what comes later ends the sleep.
fn a_frame_ends_sleep(ends: Vec<Endpoint>) {
    let mut all = Process::all(ends);
    let header = Random(2).header();
    for round in 0..20 {
        assert!(all[1].end.port.prepare_sleep(), "nothing is there");
        if round % 2 == 0 {
            // What arrives in sleep ends it at once, however long it was to be.
            assert!(all[0].try_send(1, &header, b"wake up"));
            (all[1].end.sleep)(Duration::from_secs(3600));
        }
        all[1].end.port.awake();
        if round % 2 == 1 {
            assert!(all[0].try_send(1, &header, b"hello"));
            assert!(!all[1].end.port.prepare_sleep(), "a frame is there");
        }
        all[1].next();
        all[0].poll();
        for _ in 0..round {
            assert!(all[0].try_send(1, &header, &[]));
            all[1].next();
        }
    }
}

/// One process's part in random traffic: sends `frames` frames to random peers, receives as many as they say they sent it, and sleeps
/// whenever nothing is to be done. Returns when all its peers have said goodbye and it has to all of them.
pub fn storm(end: Endpoint, seed: u64, frames: usize) {
    const GOODBYE: u8 = 255;
    let (rank, n) = (end.rank, end.links.len());
    let mut random = Random(seed ^ u64::from(rank) << 32);
    let limits = end.links[0].limits();
    let mut process = Process::new(end);
    // Bodies are a function of seed, sender, receiver and number, so that the receiver can tell.
    let body = |from: u32, to: u32, number: u64, len: usize| {
        Random(seed ^ u64::from(from) << 48 ^ u64::from(to) << 32 ^ number).bytes(len)
    };
    let (mut sent, mut received) = (vec![0u64; n], vec![0u64; n]);
    let (mut left, mut goodbyes, mut parted) = (frames, 0, 0);
    let mut pending: Option<(u32, Header, Vec<u8>)> = None;
    while goodbyes < n || parted < n || !process.lent.is_empty() {
        if pending.is_none() && (left > 0 || parted < n) {
            let (kind, peer) = if left > 0 {
                (1, random.below(n))
            } else {
                (GOODBYE, parted)
            };
            let len = if kind == GOODBYE {
                0
            } else {
                random.len(limits.inline, limits.frame.min(20_000))
            };
            let context = sent[peer];
            let header = Header {
                kind,
                flags: 0,
                seq: 0,
                len: 0,
                context,
                tag: -1,
                source: rank as i32,
            };
            pending = Some((peer as u32, header, body(rank, peer as u32, context, len)));
        }
        let mut idle = true;
        if let Some((peer, header, bytes)) = pending.take() {
            if process.try_send(peer, &header, &bytes) {
                idle = false;
                sent[peer as usize] += 1;
                if header.kind == GOODBYE {
                    parted += 1
                } else {
                    left -= 1
                }
            } else {
                pending = Some((peer, header, bytes));
            }
        }
        // Let queues build up at times.
        if idle || random.below(8) == 0 {
            idle &= process.poll() == 0;
        }
        for (peer, header, bytes) in process.log.frames.drain(..) {
            let number = &mut received[peer as usize];
            assert_eq!(
                (header.context, header.source),
                (*number, peer as i32),
                "order of {peer}"
            );
            assert!(
                bytes == body(peer, rank, *number, bytes.len()),
                "body {number} of {peer}"
            );
            *number += 1;
            goodbyes += usize::from(header.kind == GOODBYE);
        }
        // A full link has no event of its own: its peer frees room without telling. So no sleep with a frame pending.
        if idle && pending.is_none() && process.end.port.prepare_sleep() {
            (process.end.sleep)(Duration::from_secs(3600));
            process.end.port.awake();
        } else if idle {
            std::thread::yield_now();
        }
    }
}
