//! Part of a storm: each process has a cell in the memory of every other one, and reads and writes
//! it while frames go to and fro.

use crate::conformance::Random;
use crate::conformance::operations::{Begun, Place};
use crate::conformance::process::Process;
use ferrite_fabric::{OwnedBuf, Region, Registration, Uses};

/// Bytes of a cell.
const CELL: usize = 500;

/// What a process does with the cells of its own, and its memory with those of the others.
pub(in crate::conformance) struct Cells {
    // Before the memory, as it is dropped.
    registration: Option<Registration>,
    _memory: OwnedBuf,
    /// By peer.
    cells: Vec<Option<Cell>>,
    /// Reads and writes to come.
    left: usize,
}

struct Cell {
    region: Region,
    holds: Vec<u8>,
    doing: Doing,
    /// It was read after the last write.
    is_compared: bool,
}

enum Doing {
    Nothing,
    Reading(Begun),
    Writing(Begun, Vec<u8>),
    Unflushed(Vec<u8>),
    Flushing(Begun, Vec<u8>),
}

impl Cells {
    /// Registers memory for the peers of a process, if its links have a use for it.
    pub(in crate::conformance) fn new(process: &mut Process, left: usize) -> Cells {
        let size = process.end.links.len();
        let memory = OwnedBuf::zeroed(size * CELL);
        let link = (process.end.rank as usize + 1) % size;
        let caps = process.limits(link).caps;
        let uses = Uses {
            read: caps.read,
            write: caps.write,
            ..Uses::default()
        };
        // Without room there is none: a storm does not insist.
        let registration = (caps.read || caps.write).then(|| {
            // SAFETY: kept beside its registration, until all peers have said goodbye.
            unsafe { process.end.links[link].register(memory.buf_mut(), uses) }.ok()
        });
        Cells {
            registration: registration.flatten(),
            _memory: memory,
            cells: (0..size).map(|_| None).collect(),
            left,
        }
    }

    /// What a process tells each peer first: where its memory is; nothing where it has none.
    pub(in crate::conformance) fn greeting(&self) -> Vec<u8> {
        let Some(registration) = &self.registration else {
            return Vec::new();
        };
        let region = registration.region();
        [&region.addr.to_le_bytes()[..], region.key()].concat()
    }

    pub(in crate::conformance) fn greeted(&mut self, peer: u32, greeting: &[u8]) {
        let Some((addr, key)) = greeting.split_first_chunk() else {
            return assert!(greeting.is_empty());
        };
        self.cells[peer as usize] = Some(Cell {
            region: Region::new(u64::from_le_bytes(*addr), key).expect("a key"),
            holds: vec![0; CELL],
            doing: Doing::Nothing,
            is_compared: true,
        });
    }

    /// Nothing new is begun.
    pub(in crate::conformance) fn close(&mut self) {
        self.left = 0;
    }

    /// Whether nothing is to be done any more.
    pub(in crate::conformance) fn are_quiet(&self) -> bool {
        let quiet = |cell: &Cell| cell.is_compared && matches!(cell.doing, Doing::Nothing);
        self.cells.iter().flatten().all(quiet)
    }

    /// Whether all that is to be done is under way.
    pub(in crate::conformance) fn wait(&self) -> bool {
        let waits = |cell: &Cell| match &cell.doing {
            Doing::Nothing => cell.is_compared,
            Doing::Reading(begun) | Doing::Writing(begun, _) | Doing::Flushing(begun, _) => {
                matches!(begun, Begun::UnderWay(_))
            }
            Doing::Unflushed(_) => false,
        };
        self.cells.iter().flatten().all(waits)
    }

    /// Hears of what has ended, and begins something with a cell, or nothing.
    pub(in crate::conformance) fn step(&mut self, process: &mut Process, random: &mut Random) {
        let peer = random.below(self.cells.len());
        let at = u64::from(process.end.rank) * CELL as u64;
        let Some(cell) = &mut self.cells[peer] else {
            return;
        };
        let limits = process.limits(peer);
        let most = limits.rma.transfer.min(CELL);
        let place = Place {
            region: &cell.region,
            offset: at,
        };
        let doing = std::mem::replace(&mut cell.doing, Doing::Nothing);
        cell.doing = match doing {
            Doing::Nothing => {
                let is_over = self.left == 0;
                self.left = self.left.saturating_sub(1);
                if is_over && cell.is_compared {
                    Doing::Nothing
                } else if limits.caps.read && (is_over || random.once_in(2)) {
                    doing_or_not(process.read(peer, place, most), Doing::Reading)
                } else if limits.caps.write && !is_over {
                    let bytes = random.bytes(1 + random.clone().below(most));
                    let begun = process.write(peer, place, &bytes);
                    doing_or_not(begun, |begun| Doing::Writing(begun, bytes))
                } else {
                    // It cannot read what it has written.
                    cell.is_compared |= !limits.caps.read;
                    Doing::Nothing
                }
            }
            Doing::Reading(begun) => match process.ended(&begun) {
                None => Doing::Reading(begun),
                Some(read) => {
                    let read = read.expect("it is allowed");
                    assert!(
                        cell.holds.starts_with(&read),
                        "the cell in the memory of {peer}"
                    );
                    cell.is_compared = true;
                    Doing::Nothing
                }
            },
            Doing::Writing(begun, bytes) => match process.ended(&begun) {
                None => Doing::Writing(begun, bytes),
                Some(written) => {
                    written.expect("it is allowed");
                    Doing::Unflushed(bytes)
                }
            },
            Doing::Unflushed(bytes) if limits.caps.visible_writes => cell.holds_now(&bytes),
            Doing::Unflushed(bytes) => match process.flush_writes(peer) {
                Begun::Full => Doing::Unflushed(bytes),
                Begun::Unavailable => panic!("what was accepted cannot be flushed"),
                begun => Doing::Flushing(begun, bytes),
            },
            Doing::Flushing(begun, bytes) => match process.ended(&begun) {
                None => Doing::Flushing(begun, bytes),
                Some(flushed) => {
                    flushed.expect("all writes are allowed");
                    cell.holds_now(&bytes)
                }
            },
        };
    }
}

impl Cell {
    fn holds_now(&mut self, bytes: &[u8]) -> Doing {
        self.holds[..bytes.len()].copy_from_slice(bytes);
        self.is_compared = false;
        Doing::Nothing
    }
}

fn doing_or_not(begun: Begun, doing: impl FnOnce(Begun) -> Doing) -> Doing {
    match begun {
        Begun::Full | Begun::Unavailable => Doing::Nothing,
        begun => doing(begun),
    }
}
