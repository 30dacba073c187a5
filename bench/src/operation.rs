//! One collective operation: its buffers, its call, and whether its data are right.

use ferrite_bench_abi::{Buffer, Comm, Datatype, InFlight, Op, Payload, Result};
use ferrite_osu::{Element, Options, Pattern, Program};

use crate::job::{Job, datatype};

/// Whoever has the data of a broadcast, and gets those of a reduction.
const ROOT: i32 = 0;

/// The operation of a program between the processes of a job.
pub(crate) struct Operation {
    program: Program,
    rank: i32,
    processes: i32,
    send: Buffer,
    recv: Buffer,
}

/// What an iteration transfers.
#[derive(Clone, Copy)]
pub(crate) struct Given {
    pub(crate) bytes: usize,
    pub(crate) element: Element,
    pub(crate) iteration: usize,
}

impl Operation {
    /// With touched buffers for messages of up to `options.largest` bytes.
    pub(crate) fn new(program: Program, job: &Job<'_>, options: &Options) -> Operation {
        let blocks = if program.has_blocks() {
            job.processes as usize
        } else {
            1
        };
        let make = |blocks: usize, value| {
            let bytes = options.largest * blocks;
            let mut buffer = Buffer::new(bytes);
            buffer.fill(bytes, value);
            buffer
        };
        Operation {
            program,
            rank: job.rank,
            processes: job.processes,
            send: make(
                if program == Program::Allgather {
                    1
                } else {
                    blocks
                },
                b'a',
            ),
            recv: make(blocks, b'b'),
        }
    }

    fn blocks(&self) -> usize {
        match self.program.has_blocks() {
            true => self.processes as usize,
            false => 1,
        }
    }

    fn payloads(&self, bytes: usize, datatype: Datatype) -> (Payload<'_>, Payload<'_>) {
        // Whole elements in each block.
        let block = bytes / datatype.size() * datatype.size();
        let sent = match self.program {
            Program::Allgather => block,
            _ => block * self.blocks(),
        };
        let received = block * self.blocks();
        (
            self.send.payload(sent, datatype),
            self.recv.payload(received, datatype),
        )
    }

    /// Runs it to its end.
    #[inline]
    pub(crate) fn run(&self, comm: &Comm<'_>, bytes: usize, element: Element) -> Result<()> {
        let (send, recv) = self.payloads(bytes, datatype(element));
        match self.program {
            Program::Barrier => comm.barrier(),
            Program::Bcast => comm.bcast_payload(recv, ROOT),
            Program::Reduce => comm.reduce_payload(send, recv, Op::Sum, ROOT),
            Program::Allreduce => comm.allreduce_payload(send, recv, Op::Sum),
            Program::Allgather => comm.allgather_payload(send, recv, self.processes),
            Program::Alltoall => comm.alltoall_payload(send, recv, self.processes),
            other => unreachable!("{} has no blocking operation", other.name()),
        }
    }

    /// Starts its nonblocking form.
    #[inline]
    pub(crate) fn start<'buf>(
        &'buf self,
        window: &mut InFlight<'_, 'buf>,
        bytes: usize,
        element: Element,
    ) -> Result<()> {
        let (send, recv) = self.payloads(bytes, datatype(element));
        match self.program {
            Program::Ibcast => window.ibcast(recv, ROOT),
            Program::Iallreduce => window.iallreduce(send, recv, Op::Sum),
            other => unreachable!("{} has no nonblocking operation", other.name()),
        }
    }

    /// Writes what an iteration sends, and clears what it receives.
    pub(crate) fn prepare(&mut self, given: Given) {
        let Operation {
            program,
            rank,
            processes,
            send,
            recv,
        } = self;
        let bytes = given.bytes;
        let blocks = if program.has_blocks() {
            *processes as usize
        } else {
            1
        };
        recv.fill(bytes * blocks, 0);
        match program {
            Program::Barrier => {}
            Program::Bcast | Program::Ibcast => {
                if *rank == ROOT {
                    recv.write(bytes, |place| block(given, ROOT, 0).byte(place));
                }
            }
            Program::Allgather => send.write(bytes, |place| block(given, *rank, 0).byte(place)),
            Program::Alltoall => send.write(bytes * blocks, |place| {
                block(given, *rank, (place / bytes) as i32).byte(place % bytes)
            }),
            Program::Reduce | Program::Allreduce | Program::Iallreduce => {
                send.write(bytes, |place| {
                    byte_of(given, place, |index| summand(given, *rank, index))
                });
            }
            other => unreachable!("{} is no collective operation", other.name()),
        }
    }

    /// 1 if what was received is not what an iteration sends, else 0.
    pub(crate) fn wrong(&mut self, given: Given) -> i32 {
        let Operation {
            program,
            rank,
            processes,
            recv,
            ..
        } = self;
        let (bytes, number) = (given.bytes, *processes);
        let right = match program {
            Program::Barrier => true,
            Program::Bcast | Program::Ibcast => {
                recv.matches(bytes, |place| block(given, ROOT, 0).byte(place))
            }
            Program::Allgather => recv.matches(bytes * number as usize, |place| {
                block(given, (place / bytes) as i32, 0).byte(place % bytes)
            }),
            Program::Alltoall => recv.matches(bytes * number as usize, |place| {
                block(given, (place / bytes) as i32, *rank).byte(place % bytes)
            }),
            Program::Reduce if *rank != ROOT => true,
            Program::Reduce | Program::Allreduce | Program::Iallreduce => {
                let sum = |index| (0..number).map(|rank| summand(given, rank, index)).sum();
                recv.matches(bytes, |place| byte_of(given, place, sum))
            }
            other => unreachable!("{} is no collective operation", other.name()),
        };
        i32::from(!right)
    }
}

/// What one process has for another.
fn block(given: Given, from: i32, to: i32) -> Pattern {
    Pattern::new(
        given.bytes,
        given.iteration + 7 * from as usize + 13 * to as usize,
    )
}

/// Element `index` of the operand of a process. Sums stay small: `float` is exact, and `char` wraps
/// with hundreds of processes only.
fn summand(given: Given, rank: i32, index: usize) -> i32 {
    let mixed = index.wrapping_mul(7) + given.iteration * 101 + rank as usize * 31;
    let most = if given.element == Element::Char {
        3
    } else {
        97
    };
    (mixed % most) as i32 + i32::from(rank == ROOT)
}

/// A byte of a vector of numbers.
fn byte_of(given: Given, place: usize, number: impl Fn(usize) -> i32) -> u8 {
    let size = given.element.size();
    let number = number(place / size);
    match given.element {
        Element::Char => number as u8,
        Element::Int => number.to_ne_bytes()[place % size],
        Element::Float => (number as f32).to_ne_bytes()[place % size],
    }
}
