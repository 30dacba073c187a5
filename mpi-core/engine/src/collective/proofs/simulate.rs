//! Runs all ranks of a communicator in one process: messages in memory, delivered in a random
//! order, some of them only when the receiver is there, read from the sender's buffer as late as
//! possible. Whatever is not yet defined is garbage.

use core::cell::RefCell;
use core::slice;
use std::collections::{BTreeMap, VecDeque};

use ferrite_fabric::{RawBuf, RawBufMut};

use super::case::{Case, Choice, Kind, WIDTH};
use crate::callback::Callback;
use crate::collective::run::{Carrier, Operands, Running};
use crate::collective::scratch::Scratch;
use crate::collective::shape::Collective;
use crate::error::{Error, ErrorClass, Result};
use crate::handle::Datatype;
use crate::op::{self, Reduction};

/// A small generator of pseudo-random numbers (SplitMix64).
pub(in crate::collective) struct Random(u64);

impl Random {
    pub(in crate::collective) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(in crate::collective) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub(in crate::collective) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let words = (0..count.div_ceil(8)).flat_map(|_| self.next().to_le_bytes());
        words.take(count).collect()
    }
}

enum Body {
    Copied(Vec<u8>),
    Borrowed(RawBuf, usize),
}

#[derive(Default)]
struct Channel {
    sends: VecDeque<Body>,
    receives: VecDeque<(RawBufMut, usize)>,
}

struct Network {
    random: Random,
    /// By sender, receiver and tag.
    channels: BTreeMap<(i32, i32, i32), Channel>,
    /// Channels in which a message can be delivered.
    ready: Vec<(i32, i32, i32)>,
    /// By request: whose it is, and whether it has finished.
    requests: Vec<(i32, bool)>,
    /// Ranks for which something has happened, and for each rank whether it is one of them.
    awake: Vec<i32>,
    is_awake: Vec<bool>,
    withdrawn: usize,
    /// By members.
    boards: BTreeMap<Vec<u32>, Board>,
    /// Sends that may still succeed.
    sends_left: usize,
}

impl Network {
    fn new(size: usize, seed: u64) -> Network {
        Network {
            random: Random::new(seed),
            channels: BTreeMap::new(),
            ready: Vec::new(),
            requests: Vec::new(),
            awake: (0..size as i32).collect(),
            is_awake: vec![true; size],
            withdrawn: 0,
            boards: BTreeMap::new(),
            sends_left: usize::MAX,
        }
    }

    /// The board that a rank uses in a case.
    fn board(&mut self, case: &Case, rank: i32) -> (&mut Board, u32) {
        let (own, members) = case.around(rank as u32);
        let size = members.len();
        let board = self.boards.entry(members);
        (board.or_insert_with(|| Board::new(size)), own)
    }

    /// Something happened that every rank may wait for.
    fn wake_all(&mut self) {
        for rank in 0..self.is_awake.len() {
            if !core::mem::replace(&mut self.is_awake[rank], true) {
                self.awake.push(rank as i32);
            }
        }
    }

    fn request(&mut self, rank: i32) -> usize {
        self.requests.push((rank, false));
        self.requests.len() - 1
    }

    fn finish(&mut self, request: usize) {
        let (rank, finished) = &mut self.requests[request];
        *finished = true;
        if !core::mem::replace(&mut self.is_awake[*rank as usize], true) {
            self.awake.push(*rank);
        }
    }

    /// Adds one half of a message.
    fn post(&mut self, key: (i32, i32, i32), add: impl FnOnce(&mut Channel)) {
        let channel = self.channels.entry(key).or_default();
        let before = channel.sends.len().min(channel.receives.len());
        add(channel);
        if channel.sends.len().min(channel.receives.len()) > before {
            self.ready.push(key);
        }
    }

    /// Delivers the first message of the channel that stands at `index` of `ready`.
    fn deliver(&mut self, index: usize) {
        let key = self.ready.swap_remove(index);
        let channel = self
            .channels
            .get_mut(&key)
            .expect("a channel that is ready");
        let (body, (into, receive)) = channel
            .sends
            .pop_front()
            .zip(channel.receives.pop_front())
            .expect("a channel that is ready");
        let (from, send) = match &body {
            Body::Copied(bytes) => (RawBuf::of(bytes), None),
            Body::Borrowed(buffer, request) => (*buffer, Some(*request)),
        };
        assert_eq!(from.len, into.len, "lengths from {} to {}", key.0, key.1);
        // SAFETY: both sides promised their buffers until their requests finish, which they have
        // not yet.
        unsafe { from.copy_to(into.ptr) };
        self.finish(receive);
        if let Some(send) = send {
            self.finish(send);
        }
    }
}

const SLOTS: u64 = ferrite_shm::Board::SLOTS;
/// Bytes of a slot in these tests.
pub(in crate::collective) const PAYLOAD: usize = 72;

/// A board in this process's memory.
struct Board {
    /// By slot, then by member.
    slots: [Vec<Slot>; SLOTS as usize],
}

struct Slot {
    posted: (u64, u8),
    finished: u64,
    announced: u64,
    in_line: Vec<u8>,
    payload: Vec<u8>,
}

impl Board {
    fn new(size: usize) -> Board {
        let slot = || Slot {
            posted: (0, 0),
            finished: 0,
            announced: 0,
            in_line: vec![0xee; ferrite_shm::IN_LINE],
            payload: vec![0xee; PAYLOAD],
        };
        Board {
            slots: core::array::from_fn(|_| (0..size).map(|_| slot()).collect()),
        }
    }

    fn slot(&mut self, member: u32, turn: u64) -> &mut Slot {
        &mut self.slots[(turn % SLOTS) as usize][member as usize]
    }

    fn bytes(&mut self, member: u32, turn: u64, in_line: bool) -> *mut u8 {
        let slot = self.slot(member, turn);
        if in_line {
            slot.in_line.as_mut_ptr()
        } else {
            slot.payload.as_mut_ptr()
        }
    }

    fn is_free(&self, turn: u64) -> bool {
        let members = &self.slots[(turn % SLOTS) as usize];
        members.iter().all(|slot| slot.finished + SLOTS >= turn)
    }

    fn spoil(&mut self, turn: u64, random: &mut Random) {
        for slot in &mut self.slots[(turn % SLOTS) as usize] {
            slot.in_line
                .copy_from_slice(&random.bytes(ferrite_shm::IN_LINE));
            slot.payload.copy_from_slice(&random.bytes(PAYLOAD));
        }
    }
}

struct Rank<'a> {
    rank: i32,
    case: &'a Case,
    network: &'a RefCell<Network>,
}

impl Carrier for Rank<'_> {
    type Request = usize;

    unsafe fn send(&mut self, peer: i32, tag: i32, buffer: RawBuf) -> Result<Option<usize>> {
        let peer = self.case.peer(self.rank as u32, peer as u32) as i32;
        let network = &mut *self.network.borrow_mut();
        if network.sends_left == 0 {
            return Err(Error::new(ErrorClass::OTHER, "the link is down"));
        }
        network.sends_left -= 1;
        let copied = network.random.below(2) == 0;
        let request = (!copied).then(|| network.request(self.rank));
        let body = match request {
            Some(request) => Body::Borrowed(buffer, request),
            // SAFETY: the caller's promise.
            None => Body::Copied(unsafe { read(buffer) }),
        };
        network.post((self.rank, peer, tag), |channel| {
            channel.sends.push_back(body)
        });
        Ok(request)
    }

    unsafe fn recv(&mut self, peer: i32, tag: i32, buffer: RawBufMut) -> Result<Option<usize>> {
        let peer = self.case.peer(self.rank as u32, peer as u32) as i32;
        let network = &mut *self.network.borrow_mut();
        let garbage = network.random.bytes(buffer.len);
        // SAFETY: the caller's promise.
        unsafe { RawBuf::of(&garbage).copy_to(buffer.ptr) };
        let request = network.request(self.rank);
        let key = (peer, self.rank, tag);
        let before = network.ready.len();
        network.post(key, |channel| channel.receives.push_back((buffer, request)));
        let first = network.channels[&key].receives.len() == 1;
        if first && network.ready.len() > before && network.random.below(2) == 0 {
            network.deliver(before);
            return Ok(None);
        }
        Ok(Some(request))
    }

    fn poll(&mut self, request: &mut usize) -> Result<bool> {
        Ok(self.network.borrow().requests[*request].1)
    }

    fn slot(&self, member: u32, turn: u64, in_line: bool) -> *mut u8 {
        let network = &mut *self.network.borrow_mut();
        let (board, _) = network.board(self.case, self.rank);
        board.bytes(member, turn, in_line)
    }

    fn is_free(&self, turn: u64) -> bool {
        let network = &mut *self.network.borrow_mut();
        network.board(self.case, self.rank).0.is_free(turn)
    }

    fn announce(&mut self, turn: u64, bytes: u64) {
        let network = &mut *self.network.borrow_mut();
        let (board, own) = network.board(self.case, self.rank);
        board.slot(own, turn).announced = bytes;
    }

    fn announced(&self, member: u32, turn: u64) -> u64 {
        let network = &mut *self.network.borrow_mut();
        let (board, _) = network.board(self.case, self.rank);
        board.slot(member, turn).announced
    }

    fn post(&mut self, turn: u64, step: u8) {
        let network = &mut *self.network.borrow_mut();
        let (board, own) = network.board(self.case, self.rank);
        let slot = board.slot(own, turn);
        assert!(slot.posted < (turn, step), "steps in another order");
        slot.posted = (turn, step);
        network.wake_all();
    }

    fn has_posted(&self, member: u32, turn: u64, step: u8) -> bool {
        let network = &mut *self.network.borrow_mut();
        let (board, _) = network.board(self.case, self.rank);
        board.slot(member, turn).posted >= (turn, step)
    }

    fn finish_turn(&mut self, turn: u64) {
        let network = &mut *self.network.borrow_mut();
        let mut random = Random::new(network.random.next());
        let (board, own) = network.board(self.case, self.rank);
        let slot = board.slot(own, turn);
        assert!(slot.finished < turn, "a turn finished twice");
        slot.finished = turn;
        if board.is_free(turn + SLOTS) {
            // Whoever reads it now is late.
            board.spoil(turn, &mut random);
        }
        network.wake_all();
    }

    fn withdraw(&mut self, _: usize) {
        self.network.borrow_mut().withdrawn += 1;
    }
}

/// # Safety
/// The buffer is readable.
unsafe fn read(buffer: RawBuf) -> Vec<u8> {
    if buffer.len == 0 {
        return Vec::new();
    }
    // SAFETY: the caller's promise; the memory is this test's own.
    unsafe { slice::from_raw_parts(buffer.ptr, buffer.len) }.to_vec()
}

/// The operations of these tests as a program would make them.
fn reduction(commutes: bool) -> Reduction {
    unsafe fn compute(
        commutes: usize,
        input: *const u8,
        inout: *mut u8,
        count: usize,
        _: Datatype,
    ) {
        let bytes = count * WIDTH;
        // SAFETY: readable, and writable, for as many elements.
        unsafe {
            let left = read(RawBuf {
                ptr: input,
                len: bytes,
            });
            let right = read(RawBuf {
                ptr: inout,
                len: bytes,
            });
            RawBuf::of(&combine(&left, &right, commutes != 0)).copy_to(inout);
        }
    }
    // SAFETY: `compute` may be called with either number at any time.
    let op = op::create(
        unsafe { Callback::new(commutes as usize, compute) },
        commutes,
    )
    .unwrap();
    let reduction = Reduction::new(op, Datatype::UINT64_T).unwrap();
    op::free(op).unwrap();
    reduction
}

/// Elements are pairs {a, b}: sums of vectors, or the affine maps x -> ax + b, whose composition
/// does not commute.
pub(in crate::collective) fn combine(left: &[u8], right: &[u8], commutes: bool) -> Vec<u8> {
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let mut result = Vec::new();
    for at in (0..left.len()).step_by(WIDTH) {
        let [a, b, c, d] = [
            word(left, at),
            word(left, at + 4),
            word(right, at),
            word(right, at + 4),
        ];
        let (e, f) = if commutes {
            (a.wrapping_add(c), b.wrapping_add(d))
        } else {
            (a.wrapping_mul(c), a.wrapping_mul(d).wrapping_add(b))
        };
        result.extend(e.to_le_bytes());
        result.extend(f.to_le_bytes());
    }
    result
}

/// One rank in one collective.
struct Party<const WINDOW: usize> {
    rank: i32,
    call: usize,
    running: Option<Running<usize, WINDOW>>,
    input: Vec<u8>,
    output: Vec<u8>,
    _scratch: Scratch,
}

impl<const WINDOW: usize> Party<WINDOW> {
    fn new(
        case: &Case,
        call: usize,
        turn: u64,
        rank: u32,
        contribution: &[u8],
        random: &mut Random,
    ) -> Self {
        let schedule = case.schedule(rank);
        let (input, output) = case.lengths(rank);
        let mut output = random.bytes(output);
        let place = case.contribution_in_output(rank);
        output[place.clone()].copy_from_slice(&contribution[..place.len()]);
        let mut input = contribution[..input].to_vec();
        let mut scratch = Scratch::default();
        let memory = scratch.reserve(schedule.scratch_bytes());
        // SAFETY: reserved just now.
        unsafe { RawBuf::of(&random.bytes(memory.len)).copy_to(memory.ptr) };
        let operands = Operands {
            input: if case.is_one_buffer(rank) {
                RawBufMut::of(&mut output).as_buf()
            } else {
                RawBufMut::of(&mut input).as_buf()
            },
            output: RawBufMut::of(&mut output),
            scratch: memory,
            reduction: Some(reduction(case.commutative)),
            tag: call as i32,
            turn,
        };
        // SAFETY: the buffers are as long as the case says, and stay in the party, untouched until
        // the end.
        let running = unsafe { Running::new(&schedule, operands) };
        Party {
            rank: rank as i32,
            call,
            running: Some(running),
            input,
            output,
            _scratch: scratch,
        }
    }
}

/// Runs these calls at the same time, and compares with the oracle. Panics with the case and the
/// seed.
pub(in crate::collective) fn simulate<const WINDOW: usize>(cases: &[Case], seed: u64) {
    let size = cases[0].size;
    let mut random = Random::new(seed);
    let mut parties = Vec::<Party<WINDOW>>::new();
    let mut contributions = Vec::new();
    // By board and rank.
    let mut turns: BTreeMap<(Vec<u32>, u32), u64> = BTreeMap::new();
    for (call, case) in cases.iter().enumerate() {
        contributions.push(
            (0..size)
                .map(|rank| random.bytes(case.contribution(rank)))
                .collect::<Vec<_>>(),
        );
        for (rank, contribution) in (0..).zip(&contributions[call]) {
            let turn = turns
                .entry((case.around(rank).1, rank))
                .or_insert(ferrite_shm::Board::FIRST_TURN);
            parties.push(Party::new(
                case,
                call,
                *turn,
                rank,
                contribution,
                &mut random,
            ));
            *turn += case.schedule(rank).turns();
        }
    }
    let network = RefCell::new(Network::new(size as usize, seed));
    loop {
        let (ready, awake) = (network.borrow().ready.len(), network.borrow().awake.len());
        if ready + awake == 0 {
            break;
        }
        let pick = random.below(ready + awake);
        if pick < ready {
            network.borrow_mut().deliver(pick);
            continue;
        }
        let rank = network.borrow_mut().awake.swap_remove(pick - ready);
        network.borrow_mut().is_awake[rank as usize] = false;
        for party in parties
            .iter_mut()
            .skip(rank as usize)
            .step_by(size as usize)
        {
            if let Some(running) = &mut party.running {
                let mut carrier = Rank {
                    rank,
                    case: &cases[party.call],
                    network: &network,
                };
                if running.step(&mut carrier).expect("no link goes down") {
                    party.running = None;
                }
            }
        }
    }
    let expected: Vec<_> = cases
        .iter()
        .zip(&contributions)
        .map(|(case, given)| case.oracle(given))
        .collect();
    for party in &parties {
        let case = &cases[party.call];
        let rank = party.rank as u32;
        let say = |what: &str| {
            format!(
                "{what}, rank {rank}, seed {seed:#x}, window {WINDOW}, {case:?}\n{}",
                case.schedule(rank)
            )
        };
        assert!(party.running.is_none(), "{}", say("deadlock"));
        if let Some(expected) = &expected[party.call][rank as usize] {
            let whole = &expected[..party.output.len().min(expected.len())];
            assert!(party.output == whole, "{}", say("wrong result"));
        }
        let contribution = &contributions[party.call][rank as usize];
        assert!(
            party.input == contribution[..party.input.len()],
            "{}",
            say("the input was changed")
        );
    }
    let left = network
        .borrow()
        .channels
        .values()
        .map(|c| c.sends.len() + c.receives.len())
        .sum::<usize>();
    assert_eq!(left, 0, "messages left over, seed {seed:#x}, {cases:?}");
}

#[test]
fn after_an_error_nothing_is_under_way() {
    let case = Case {
        kind: Kind::Bcast,
        choice: Choice::Messages(Collective::Bcast),
        size: 64,
        root: 0,
        count: 100,
        commutative: true,
        in_place: false,
    };
    let network = RefCell::new(Network::new(64, 1));
    network.borrow_mut().sends_left = 5;
    let mut party = Party::<16>::new(&case, 0, 1, 0, &[7; 100], &mut Random::new(2));
    let running = party.running.as_mut().expect("new");
    let mut carrier = Rank {
        rank: 0,
        case: &case,
        network: &network,
    };
    assert_eq!(
        running.step(&mut carrier).unwrap_err().class(),
        ErrorClass::OTHER
    );
    assert!(
        running.step(&mut carrier).is_err(),
        "it goes on after an error"
    );
    let network = network.borrow();
    let pending = network
        .requests
        .iter()
        .filter(|(_, finished)| !finished)
        .count();
    assert!(pending > 0, "none of five sends waits for its receiver");
    assert_eq!(network.withdrawn, pending);
}
