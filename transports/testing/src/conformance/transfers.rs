//! Direct access to a peer's memory: one at a time and several at once.

use super::process::{All, Lent, Process};
use super::{Coverage, Endpoint, Random};
use ferrite_fabric::{RawBuf, RawBufMut, Region, Token, Transfer};

/// Bytes of the exposed memory.
const MEMORY: usize = 300_000;
/// Transfers under way at once, each in a part of the memory of its own.
const PARTS: usize = 10;

pub(super) fn exposed_memory_can_be_reached(seed: u64, ends: Vec<Endpoint>) -> Coverage {
    let mut random = Random(seed);
    let mut all = All::acquainted(ends, seed);
    let caps = all.0[0].end.links[1].limits().caps;
    let mut memory = random.bytes(MEMORY);
    // SAFETY: `memory` lives to the end and is touched through the region or between transfers only.
    let region = unsafe { all.0[1].end.links[0].expose(RawBuf::of(&memory)) };
    assert!(
        region.is_some() || !(caps.read || caps.write),
        "an exposed region is what caps promise"
    );
    let Some(region) = region else {
        return all.coverage();
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
        one_after_the_other(&mut all, &mut random, &region, &mut memory, at, len);
    }
    for _ in 0..20 {
        all_at_once(&mut all, &mut random, &region, &mut memory);
    }
    all.coverage()
}

fn one_after_the_other(
    all: &mut All,
    random: &mut Random,
    region: &Region,
    memory: &mut Vec<u8>,
    at: usize,
    len: usize,
) {
    if all.0[0].end.links[1].limits().caps.read {
        let mut into = vec![0; len];
        let buffer = RawBufMut::of(&mut into);
        let answer = start(&mut all.0[0], |process, token| {
            // SAFETY: `into` lives until the transfer is done.
            unsafe { process.end.links[1].read(buffer, region, at as u64, token) }
        });
        let ok = wait(all, answer);
        assert!(!ok || into == memory[at..at + len]);
        assert_eq!(
            ok,
            all.0[0].end.links[1].limits().caps.read,
            "caps lose what is unavailable"
        );
    }
    if all.0[0].end.links[1].limits().caps.write {
        let from = random.bytes(len);
        let answer = start(&mut all.0[0], |process, token| {
            // SAFETY: `from` lives until the transfer is done.
            unsafe { process.end.links[1].write(RawBuf::of(&from), region, at as u64, token) }
        });
        let ok = wait(all, answer);
        assert_eq!(
            ok,
            all.0[0].end.links[1].limits().caps.write,
            "caps lose what is unavailable"
        );
        let written = core::hint::black_box(memory);
        assert!(!ok || written[at..at + len] == from);
    }
}

/// Reads and writes in parts that do not overlap, while frames go the same way.
fn all_at_once(all: &mut All, random: &mut Random, region: &Region, memory: &mut Vec<u8>) {
    const PART: usize = MEMORY / PARTS;
    let before = memory.clone();
    let mut buffers: Vec<Vec<u8>> = (0..PARTS).map(|_| random.bytes(PART)).collect();
    let written = buffers.clone();
    let mut moved = Vec::new();
    let mut sent = 0;
    for (part, buffer) in buffers.iter_mut().enumerate() {
        let (buffer, offset) = (RawBufMut::of(buffer), (part * PART) as u64);
        let answer = start(&mut all.0[0], |process, token| {
            let link = &mut process.end.links[1];
            // SAFETY: the buffers live until all transfers are done.
            unsafe {
                if part % 2 == 0 {
                    link.read(buffer, region, offset, token)
                } else {
                    link.write(buffer.as_buf(), region, offset, token)
                }
            }
        });
        moved.push(answer);
        sent += usize::from(all.0[0].try_send(1, &random.header(), &[part as u8]));
    }
    let moved: Vec<bool> = moved.into_iter().map(|answer| wait(all, answer)).collect();
    for _ in 0..sent {
        all.next(1);
    }
    let now = core::hint::black_box(memory);
    for (part, _) in moved.into_iter().enumerate().filter(|(_, ok)| *ok) {
        let place = part * PART..(part + 1) * PART;
        if part % 2 == 0 {
            assert!(buffers[part] == before[place], "part {part} is read");
        } else {
            assert!(now[place] == written[part], "part {part} is written");
        }
    }
}

fn start(
    process: &mut Process,
    begin: impl FnOnce(&mut Process, Token) -> Transfer,
) -> Result<Token, bool> {
    let token = process.token();
    match begin(process, token) {
        Transfer::Done => {
            process.coverage.direct += 1;
            Err(true)
        }
        Transfer::Unavailable => Err(false),
        Transfer::Failed => panic!("a transfer within the region failed"),
        Transfer::Queued(named) => {
            assert_eq!(named, token);
            process.coverage.direct_later += 1;
            let body = Vec::new();
            process.lent.insert(token, Lent { peer: 1, body });
            Ok(token)
        }
    }
}

/// Returns `false` when the transfer is unavailable.
fn wait(all: &mut All, started: Result<Token, bool>) -> bool {
    match started {
        Err(done) => done,
        Ok(token) => {
            all.until(0, "a transfer is completed", |all| {
                !all.0[0].lent.contains_key(&token)
            });
            true
        }
    }
}
