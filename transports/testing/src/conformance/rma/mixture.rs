//! A random mixture of everything, compared with what memory must hold.
//!
//! Each process owns memory, in which every other one has cells of its own, and integers that all
//! of them add to. A cell is left alone while something is under way there, so whatever the order
//! it is known what it holds.

use crate::conformance::operations::{Begun, Place, memory, now};
use crate::conformance::process::All;
use crate::conformance::{Coverage, Endpoint, Random};
use ferrite_fabric::{Atomic, OwnedBuf, Registration, Uses, Width};

const STEPS: usize = 3000;
/// Cells of one process in another's memory, and their bytes.
const CELLS: usize = 6;
const CELL: usize = 96;
/// Integers that all add to.
const SUMS: usize = 2;

/// One process's memory.
struct Owned {
    // Before the memory, as it is dropped.
    registration: Registration,
    memory: OwnedBuf,
    /// Where the integers begin, and the cells behind them.
    start: usize,
    sums: [u64; SUMS],
}

/// One process's cell in the memory of another.
struct Cell {
    by: usize,
    owner: usize,
    at: usize,
    holds: Vec<u8>,
    doing: Doing,
    /// Writes that were begun.
    writes: u64,
}

enum Doing {
    Nothing,
    Reading(Begun),
    Writing(Begun, Vec<u8>),
    /// Written, and not known to be there.
    Unflushed(Vec<u8>),
}

/// A flush under way: whose, and the writes that it is for, by cell and number.
type Flushing = (usize, Begun, Vec<(usize, u64)>);

struct Mixture {
    all: All,
    random: Random,
    owned: Vec<Owned>,
    cells: Vec<Cell>,
    uses: Uses,
    /// Adding operations under way: whose.
    adding: Vec<(usize, Begun)>,
    flushing: Vec<Flushing>,
}

pub(super) fn all_at_once(seed: u64, ends: Vec<Endpoint>) -> Coverage {
    let mut all = All::acquainted(ends, seed);
    let caps = all.0[0].limits(1).caps;
    if !caps.reaches_memory() {
        return all.coverage();
    }
    let uses = Uses {
        local: true,
        read: caps.read,
        write: caps.write,
        atomic: caps.atomics.any(),
    };
    let mut random = Random(seed ^ 0x313);
    let mut owned = Vec::new();
    let mut cells = Vec::new();
    for owner in 0..3 {
        let memory = memory(random.bytes(8 + 8 * SUMS + 3 * CELLS * CELL));
        let start = memory.buf().ptr.align_offset(8);
        let registration = all.register(owner, &memory, uses).expect("promised");
        let sum = |at: usize| integer(&now(&memory, start + 8 * at, 8));
        let sums = [sum(0), sum(1)];
        for (number, by) in (0..3 * CELLS).map(|number| (number, number / CELLS)) {
            let at = start + 8 * SUMS + number * CELL;
            if by != owner {
                let holds = now(&memory, at, CELL);
                let doing = Doing::Nothing;
                cells.push(Cell {
                    by,
                    owner,
                    at,
                    holds,
                    doing,
                    writes: 0,
                });
            }
        }
        owned.push(Owned {
            memory,
            start,
            registration,
            sums,
        });
    }
    let mut mixture = Mixture {
        all,
        random,
        owned,
        cells,
        uses,
        adding: Vec::new(),
        flushing: Vec::new(),
    };
    for _ in 0..STEPS {
        mixture.step();
    }
    mixture.end()
}

fn integer(bytes: &[u8]) -> u64 {
    u64::from_ne_bytes(bytes.try_into().expect("8 bytes"))
}

/// What was begun, unless that was nothing.
fn begun(one: Begun) -> Option<Begun> {
    (!matches!(one, Begun::Full | Begun::Unavailable)).then_some(one)
}

impl Mixture {
    fn step(&mut self) {
        let process = self.random.below(3);
        let peer = (process + 1 + self.random.below(2)) % 3;
        match self.random.below(8) {
            0..=3 => self.touch_a_cell(),
            4 => self.add(process, peer),
            5 => self.flush(process, peer),
            6 => {
                let (header, len) = (self.random.header(), self.random.below(60));
                let body = self.random.bytes(len);
                self.all.0[process].try_send(peer as u32, &header, &body);
            }
            _ => {
                self.all.0[process].poll();
                self.all.0[process].log.frames.clear();
                self.hear();
            }
        }
        if self.random.once_in(200) {
            self.register_anew(process);
        }
    }

    fn touch_a_cell(&mut self) {
        let number = self.random.below(self.cells.len());
        let cell = &mut self.cells[number];
        if !matches!(cell.doing, Doing::Nothing) {
            return;
        }
        let process = &mut self.all.0[cell.by];
        let limits = process.limits(cell.owner);
        let most = limits.rma.transfer.min(CELL);
        let place = Place {
            region: self.owned[cell.owner].registration.region(),
            offset: cell.at as u64,
        };
        if self.random.once_in(2) && limits.caps.read {
            if let Some(one) = begun(process.read(cell.owner, place, most)) {
                cell.doing = Doing::Reading(one);
            }
        } else if limits.caps.write {
            let bytes = self.random.bytes(1 + self.random.clone().below(most));
            if let Some(one) = begun(process.write(cell.owner, place, &bytes)) {
                cell.doing = Doing::Writing(one, bytes);
                cell.writes += 1;
            }
        }
        self.hear();
    }

    fn add(&mut self, process: usize, owner: usize) {
        let (number, by) = (self.random.below(SUMS), self.random.bits());
        let atomics = self.all.0[process].limits(owner).caps.atomics.of_64;
        let operation = match atomics {
            _ if atomics.add && self.random.once_in(2) => Atomic::Add(by),
            _ if atomics.fetch_add => Atomic::FetchAdd(by),
            _ => return,
        };
        let owned = &mut self.owned[owner];
        let place = Place {
            region: owned.registration.region(),
            offset: (owned.start + 8 * number) as u64,
        };
        let one = self.all.0[process].atomic(owner, place, operation, Width::W64);
        if let Some(one) = begun(one) {
            owned.sums[number] = owned.sums[number].wrapping_add(by);
            self.adding.push((process, one));
        }
    }

    fn flush(&mut self, process: usize, owner: usize) {
        let Some(one) = begun(self.all.0[process].flush_writes(owner)) else {
            return;
        };
        self.all.0[process].coverage.flushed += 1;
        let is_meant = |cell: &Cell| {
            let is_written = matches!(cell.doing, Doing::Unflushed(_));
            cell.by == process && cell.owner == owner && is_written
        };
        let meant = self
            .cells
            .iter()
            .enumerate()
            .filter(|(_, cell)| is_meant(cell));
        let meant = meant.map(|(number, cell)| (number, cell.writes)).collect();
        self.flushing.push((process, one, meant));
        self.hear();
    }

    /// What has ended has ended as it should.
    fn hear(&mut self) {
        let all = &mut self.all;
        self.adding.retain(|(by, one)| {
            let ended = all.0[*by].ended(one);
            let is_over = ended.is_some();
            ended.map(|ended| ended.expect("it is allowed"));
            if is_over {
                all.0[*by].coverage.atomics += 1;
            }
            !is_over
        });
        for cell in &mut self.cells {
            let doing = std::mem::replace(&mut cell.doing, Doing::Nothing);
            cell.doing = match doing {
                Doing::Reading(one) => match all.0[cell.by].ended(&one) {
                    None => Doing::Reading(one),
                    Some(ended) => {
                        let read = ended.expect("it is allowed");
                        assert!(cell.holds.starts_with(&read), "what {} reads", cell.by);
                        Doing::Nothing
                    }
                },
                Doing::Writing(one, bytes) => match all.0[cell.by].ended(&one) {
                    None => Doing::Writing(one, bytes),
                    Some(ended) => {
                        ended.expect("it is allowed");
                        Doing::Unflushed(bytes)
                    }
                },
                other => other,
            };
            let is_visible = all.0[cell.by].limits(cell.owner).caps.visible_writes;
            if is_visible && matches!(cell.doing, Doing::Unflushed(_)) {
                cell.arrived(&self.owned[cell.owner].memory);
            }
        }
        let mut flushed = Vec::new();
        self.flushing.retain(|(by, one, writes)| {
            let ended = all.0[*by].ended(one);
            let is_over = ended.is_some();
            ended.map(|ended| ended.expect("all writes are allowed"));
            if is_over {
                flushed.extend(writes.iter().copied());
            }
            !is_over
        });
        for (number, write) in flushed {
            let cell = &mut self.cells[number];
            // Another flush may have told it before.
            if cell.writes == write {
                cell.arrived(&self.owned[cell.owner].memory);
            }
        }
    }

    /// The owner revokes its registration, once nothing is under way there, and makes a new one.
    fn register_anew(&mut self, owner: usize) {
        self.quiet();
        let old = *self.owned[owner].registration.region();
        let region = self.owned[owner].memory.buf().len;
        let room = self.all.0[owner].limits((owner + 1) % 3).rma;
        if room.registrations < 2 || room.registered < 2 * region {
            return;
        }
        let memory = &self.owned[owner].memory;
        let new = self
            .all
            .register(owner, memory, self.uses)
            .expect("promised");
        let caps = self.all.0[owner].limits((owner + 1) % 3).caps;
        assert!(
            !caps.checks_keys || *new.region() != old,
            "two keys for two registrations"
        );
        self.owned[owner].registration = new;
    }

    /// Waits until all is over, and compares all memory.
    fn quiet(&mut self) {
        for process in 0..3 {
            for peer in (0..3).filter(|peer| *peer != process) {
                let all = &mut self.all;
                all.until(process, "operations end", |all| {
                    all.0[process].under_way.is_empty()
                });
                self.hear();
                let flushed = self.all.flush(process, peer);
                assert!(matches!(flushed, None | Some(Ok(()))), "{flushed:?}");
            }
        }
        for cell in &mut self.cells {
            cell.arrived(&self.owned[cell.owner].memory);
        }
        for owned in &self.owned {
            for (number, sum) in owned.sums.iter().enumerate() {
                let is = integer(&now(&owned.memory, owned.start + 8 * number, 8));
                assert_eq!(is, *sum, "what was added");
            }
        }
        for process in &mut self.all.0 {
            process.log.frames.clear();
        }
    }

    fn end(mut self) -> Coverage {
        self.quiet();
        self.all.settle();
        self.all.coverage()
    }
}

impl Cell {
    /// What was written is there.
    fn arrived(&mut self, memory: &OwnedBuf) {
        if let Doing::Unflushed(bytes) = &self.doing {
            self.holds[..bytes.len()].copy_from_slice(bytes);
            self.doing = Doing::Nothing;
        }
        if let Doing::Nothing = self.doing {
            assert!(
                now(memory, self.at, CELL) == self.holds,
                "the cell of {}",
                self.by
            );
        }
    }
}
