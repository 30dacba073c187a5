//! Random traffic among processes that run at the same time.

use core::time::Duration;

use super::process::Process;
use super::rma::Cells;
use super::{Coverage, Endpoint, Random};
use ferrite_fabric::Header;

/// One process's part in random traffic: sends `frames` frames to random peers, receives as many as
/// they say they sent it, and sleeps whenever nothing is to be done. In between it reads and writes
/// the memory of its peers, as far as its links can. Returns when all its peers have said goodbye
/// and it has to all of them.
pub fn storm(end: Endpoint, seed: u64, frames: usize) -> Coverage {
    const GREETING: u8 = 254;
    const GOODBYE: u8 = 255;
    let (rank, n) = (end.rank, end.links.len());
    let mut random = Random(seed ^ u64::from(rank) << 32);
    let limits = end.links[0].limits();
    let mut process = Process::new(end, seed);
    // Bodies are a function of seed, sender, receiver and number, so that the receiver can tell.
    let body = |from: u32, to: u32, number: u64, len: usize| {
        Random(seed ^ u64::from(from) << 48 ^ u64::from(to) << 32 ^ number).bytes(len)
    };
    let (mut sent, mut received) = (vec![0u64; n], vec![0u64; n]);
    let peers: Vec<usize> = (0..n).filter(|peer| process.reaches(*peer)).collect();
    let n = peers.len();
    let (mut left, mut goodbyes, mut parted, mut greeted) = (frames, 0, 0, 0);
    let mut cells = Cells::new(&mut process, frames);
    let mut pending: Option<(u32, Header, Vec<u8>)> = None;
    while goodbyes < n || parted < n || !process.lent.is_empty() {
        let parts = left == 0 && parted < n && cells.are_quiet();
        if parts {
            // Who says goodbye touches its peers' memory no more.
            cells.close();
        }
        if pending.is_none() && (left > 0 || greeted < n || parts) {
            let (kind, peer) = if greeted < n {
                (GREETING, peers[greeted])
            } else if left > 0 {
                (1, random.choose(&peers))
            } else {
                (GOODBYE, peers[parted])
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
            let bytes = match kind {
                GREETING => cells.greeting(),
                GOODBYE => Vec::new(),
                _ => {
                    let len = random.len(limits.inline, limits.frame.min(20_000));
                    body(rank, peer as u32, context, len)
                }
            };
            pending = Some((peer as u32, header, bytes));
        }
        let mut idle = true;
        if let Some((peer, header, bytes)) = pending.take() {
            if process.try_send(peer, &header, &bytes) {
                idle = false;
                sent[peer as usize] += 1;
                match header.kind {
                    GREETING => greeted += 1,
                    GOODBYE => parted += 1,
                    _ => left -= 1,
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
            if header.kind == GREETING {
                // It may have landed where there was no room for all of it.
                if bytes.len() == header.len as usize {
                    cells.greeted(peer, &bytes);
                }
            } else {
                let whole = body(peer, rank, *number, header.len as usize);
                assert!(whole.starts_with(&bytes), "body {number} of {peer}");
            }
            *number += 1;
            goodbyes += usize::from(header.kind == GOODBYE);
        }
        cells.step(&mut process, &mut random);
        let says_goodbye = left == 0 && parted < n && cells.are_quiet();
        idle &= cells.wait() && process.ended.is_empty() && !says_goodbye;
        // A full link has no event of its own: its peer frees room without telling. So no sleep
        // with a frame pending.
        if idle && pending.is_none() && process.end.port.prepare_sleep() {
            (process.end.sleep)(Duration::from_secs(3600));
            process.end.port.awake();
        } else if idle {
            std::thread::yield_now();
        }
    }
    (process.end.close)();
    process.coverage()
}
