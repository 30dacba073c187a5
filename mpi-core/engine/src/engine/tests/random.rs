//! Random programs: everybody sends anything to everybody in any mode, receives it in any way, and
//! knows what must come.
//!
//! Checked: every byte; that messages of one sender with one tag are matched in the order in which
//! they were sent; that a buffer that was given back can be used again.

use std::collections::HashMap;

use ferrite_fabric_testing::conformance::Random;

use super::over::Over;
use super::point_to_point::{BYTE, WORLD, irecv, isend, pattern};
use crate::engine::Engine;
use crate::engine::requests::Mode;
use crate::handle::Request;
use crate::status::{ANY_SOURCE, ANY_TAG, Status};

const RANKS: u32 = 3;
const TAGS: i32 = 3;
/// A tag that nobody uses.
const NEVER: i32 = 77;

/// A message as everybody knows that it will be sent.
#[derive(Clone, Copy)]
struct Message {
    dest: u32,
    tag: i32,
    len: usize,
    mode: Mode,
    /// How many of this sender to this receiver with this tag came before.
    number: usize,
}

/// How all receives of a rank select in one phase. If they did it in different ways, one could take
/// what another needs.
#[derive(Clone, Copy)]
enum Select {
    Exactly,
    AnySource,
    AnyTag,
    Anything,
    /// By matched probes.
    Probing,
}

pub(super) fn random_programs_receive_what_was_sent(over: &Over) {
    for (number, way) in over.ways().into_iter().enumerate() {
        over.job(RANKS, way, |e| {
            // SAFETY: detached below.
            e.buffer_attach(std::ptr::dangling_mut(), 64 << 20).unwrap();
            for phase in 0..2 {
                let seed = over.seed() ^ (number as u64) << 8 ^ phase << 16;
                let freed = Program::new(e, over, seed).run();
                // Only now it is known that they have left.
                e.meet(e.comms.world()).unwrap();
                drop(freed);
            }
            e.buffer_detach().unwrap();
        });
    }
}

/// What a rank sends.
fn plan(over: &Over, seed: u64, rank: u32) -> Vec<Message> {
    let mut random = Random(seed ^ u64::from(rank) << 32);
    let sizes = over.sizes();
    let mut numbers: HashMap<(u32, i32), usize> = HashMap::new();
    (0..over.many(150))
        .map(|_| {
            let (dest, tag) = (
                random.below(RANKS as usize) as u32,
                random.below(TAGS as usize),
            );
            let tag = tag as i32;
            let number = numbers.entry((dest, tag)).or_default();
            *number += 1;
            let len = match random.below(4) {
                0 => over.len(random.choose(&sizes)).min(100_000),
                1 => random.below(over.len(5000)),
                _ => random.below(100),
            };
            let modes = [
                Mode::Standard,
                Mode::Standard,
                Mode::Synchronous,
                Mode::Buffered,
            ];
            Message {
                dest,
                tag,
                len,
                mode: random.choose(&modes),
                number: *number - 1,
            }
        })
        .collect()
}

/// What a message contains.
fn content(from: u32, message: &Message) -> Vec<u8> {
    let seed = from as usize * 1000 + message.dest as usize * 100 + message.tag as usize * 10;
    pattern(message.len, seed + message.number * 7)
}

/// A receive, in the order of posting.
struct Posted {
    request: Request,
    room: Vec<u8>,
    status: Option<Status>,
}

struct Program<'a> {
    e: &'a Engine,
    random: Random,
    select: Select,
    /// What will come, by sender and tag.
    coming: HashMap<(u32, i32), Vec<Message>>,
    to_send: std::vec::IntoIter<Message>,
    /// Selectors of receives that are not posted yet.
    to_receive: Vec<(i32, i32)>,
    longest: usize,
    sent: Vec<(Request, Vec<u8>)>,
    /// Of sends whose request was freed: kept until their receivers have them.
    freed: Vec<Vec<u8>>,
    posted: Vec<Posted>,
}

impl<'a> Program<'a> {
    fn new(e: &'a Engine, over: &Over, seed: u64) -> Program<'a> {
        let me = e.job_rank();
        let mut random = Random(seed ^ u64::from(me) << 48 ^ 0x77);
        let mut coming: HashMap<(u32, i32), Vec<Message>> = HashMap::new();
        for source in 0..RANKS {
            for message in plan(over, seed, source) {
                if message.dest == me {
                    let all = coming.entry((source, message.tag)).or_default();
                    all.push(message);
                }
            }
        }
        let select = random.choose(&[
            Select::Exactly,
            Select::AnySource,
            Select::AnyTag,
            Select::Anything,
            Select::Probing,
        ]);
        // Sorted, as the order of a hash map is not the seed's.
        let mut to_receive: Vec<(i32, i32)> = coming
            .iter()
            .flat_map(|((source, tag), all)| all.iter().map(|_| (*source as i32, *tag)))
            .collect();
        to_receive.sort_unstable();
        for at in (1..to_receive.len()).rev() {
            to_receive.swap(at, random.below(at + 1));
        }
        for (source, tag) in &mut to_receive {
            match select {
                Select::Exactly => {}
                Select::AnySource => *source = ANY_SOURCE,
                Select::AnyTag => *tag = ANY_TAG,
                Select::Anything | Select::Probing => (*source, *tag) = (ANY_SOURCE, ANY_TAG),
            }
        }
        let longest = coming.values().flatten().map(|message| message.len).max();
        Program {
            e,
            random,
            select,
            coming,
            to_send: plan(over, seed, me).into_iter(),
            to_receive,
            longest: longest.unwrap_or(0),
            sent: Vec::new(),
            freed: Vec::new(),
            posted: Vec::new(),
        }
    }

    /// Returns what may still be on its way.
    fn run(mut self) -> Vec<Vec<u8>> {
        while self.to_send.len() > 0 || !self.to_receive.is_empty() {
            match self.random.below(6) {
                0 | 1 => self.send(),
                2 | 3 => self.receive(),
                4 => self.test(),
                _ => self.receive_nothing(),
            }
        }
        while let Some(mut posted) = self.sent.pop() {
            self.e.wait(&mut posted.0).unwrap();
            spoil(&mut posted.1);
        }
        for posted in &mut self.posted {
            if posted.status.is_none() {
                posted.status = Some(self.e.wait(&mut posted.request).unwrap());
            }
        }
        self.check();
        self.freed
    }

    fn send(&mut self) {
        let Some(message) = self.to_send.next() else {
            return;
        };
        let data = content(self.e.job_rank(), &message);
        let dest = message.dest as i32;
        let mut request = isend(self.e, message.mode, &data, dest, message.tag);
        if message.mode == Mode::Standard && self.random.once_in(5) {
            self.e.request_free(&mut request).unwrap();
            self.freed.push(data);
        } else {
            self.sent.push((request, data));
        }
    }

    fn receive(&mut self) {
        let Some(&(source, tag)) = self.to_receive.last() else {
            return;
        };
        // All have room for the longest, and some more than that.
        let mut room = vec![0xee; self.longest + self.random.below(2)];
        if let Select::Probing = self.select {
            let Some((mut message, status)) = self.e.improbe(source, tag, WORLD).unwrap() else {
                return;
            };
            self.to_receive.pop();
            let len = status.bytes;
            // SAFETY: `room` has at least as many bytes.
            let received =
                unsafe { self.e.mrecv(room.as_mut_ptr(), len, BYTE, &mut message) }.unwrap();
            assert_eq!((received.source, received.tag), (status.source, status.tag));
            self.posted.push(Posted {
                request: Request::NULL,
                room,
                status: Some(received),
            });
            return;
        }
        self.to_receive.pop();
        let request = irecv(self.e, &mut room, source, tag);
        self.posted.push(Posted {
            request,
            room,
            status: None,
        });
    }

    /// Looks whether something is done.
    fn test(&mut self) {
        if !self.sent.is_empty() {
            let at = self.random.below(self.sent.len());
            if self.e.test(&mut self.sent[at].0).unwrap().is_some() {
                // The buffer is ours again.
                let (_, mut data) = self.sent.swap_remove(at);
                spoil(&mut data);
            }
        }
        if !self.posted.is_empty() {
            let at = self.random.below(self.posted.len());
            let posted = &mut self.posted[at];
            if posted.status.is_none() {
                posted.status = self.e.test(&mut posted.request).unwrap();
            }
        }
    }

    /// A receive that nothing matches, taken back.
    fn receive_nothing(&mut self) {
        if self.random.once_in(4) {
            let mut room = [0xee; 8];
            let mut request = irecv(self.e, &mut room, 0, NEVER);
            self.e.cancel(request).unwrap();
            assert!(self.e.wait(&mut request).unwrap().cancelled);
            assert_eq!(room, [0xee; 8]);
        }
    }

    fn check(&self) {
        let mut next: HashMap<(u32, i32), usize> = HashMap::new();
        for posted in &self.posted {
            let status = posted.status.expect("waited for");
            let key = (status.source as u32, status.tag);
            let number = next.entry(key).or_default();
            let message = self.coming.get(&key).and_then(|all| all.get(*number));
            let message = message.unwrap_or_else(|| panic!("{key:?} has not sent {number}"));
            assert_eq!(status.bytes as usize, message.len, "{number} of {key:?}");
            let (data, rest) = posted.room.split_at(message.len);
            assert!(data == content(key.0, message), "{number} of {key:?}");
            assert!(rest.iter().all(|byte| *byte == 0xee), "{number} of {key:?}");
            *number += 1;
        }
        for (key, all) in &self.coming {
            assert_eq!(next.get(key), Some(&all.len()), "all of {key:?}");
        }
    }
}

/// Makes a buffer that is ours again worthless to whoever still reads it.
fn spoil(data: &mut [u8]) {
    for byte in data.iter_mut() {
        *byte = std::hint::black_box(!*byte);
    }
}
