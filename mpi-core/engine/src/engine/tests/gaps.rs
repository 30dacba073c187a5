//! Messages of types with gaps, whatever they run over.

use super::over::Over;
use super::point_to_point::{BYTE, WORLD, pattern};
use crate::datatype::{self, Form};
use crate::engine::Engine;
use crate::engine::requests::Mode;
use crate::handle::{Datatype, Request};
use crate::{ErrorClass, Result};

/// Bytes of data of an item, and from one item to the next.
const SIZE: usize = 6;
const EXTENT: usize = 11;
/// Where an item's data are.
const PLACES: [usize; SIZE] = [1, 2, 3, 6, 7, 8];

/// What stands in gaps, and where nothing was received.
const NOTHING: u8 = 0xee;

/// Two blocks of three bytes, one byte before them, two between them and two behind.
fn with_gaps() -> Datatype {
    let make = || -> Result<Datatype> {
        let mut blocks = datatype::vector(Form::Int, 2, 3, 5, BYTE)?;
        let mut moved = datatype::hindexed_block(Form::Int, 1, &[1], blocks)?;
        let items = datatype::resized(Form::Int, 0, EXTENT as i64, moved)?;
        datatype::commit(items)?;
        datatype::free(&mut blocks)?;
        datatype::free(&mut moved)?;
        Ok(items)
    };
    make().unwrap()
}

/// Data as one side has them in memory.
struct Side {
    memory: Vec<u8>,
    count: i64,
    items: Datatype,
    gaps: bool,
}

impl Side {
    /// Room for `count` items, as many bytes in a row, or with gaps.
    fn room(count: usize, gaps: bool, items: Datatype) -> Side {
        let each = if gaps { EXTENT } else { SIZE };
        Side {
            memory: vec![NOTHING; count * each],
            count: if gaps { count } else { count * SIZE } as i64,
            items: if gaps { items } else { BYTE },
            gaps,
        }
    }

    fn of(data: &[u8], gaps: bool, items: Datatype) -> Side {
        let mut side = Side::room(data.len().div_ceil(SIZE), gaps, items);
        for (at, &byte) in data.iter().enumerate() {
            let place = side.place(at);
            side.memory[place] = byte;
        }
        side
    }

    fn place(&self, at: usize) -> usize {
        if self.gaps {
            at / SIZE * EXTENT + PLACES[at % SIZE]
        } else {
            at
        }
    }

    fn isend(&self, e: &Engine, mode: Mode, dest: i32) -> Request {
        let (buf, count) = (self.memory.as_ptr(), self.count);
        // SAFETY: the memory has `count` items, and is there until the request is done.
        unsafe { e.isend_mode(mode, buf, count, self.items, dest, 0, WORLD) }.unwrap()
    }

    fn irecv(&mut self, e: &Engine, source: i32) -> Request {
        let (buf, count) = (self.memory.as_mut_ptr(), self.count);
        // SAFETY: the memory has `count` items, and is there until the request is done.
        unsafe { e.irecv(buf, count, self.items, source, 0, WORLD) }.unwrap()
    }
}

/// Every length, every mode, before and after its receive; one that is longer than the room for it
/// too.
pub(super) fn gaps_on_either_side_or_on_both(over: &Over) {
    for way in over.ways() {
        over.job(2, way, |e| {
            let mut items = with_gaps();
            // SAFETY: detached below.
            e.buffer_attach(std::ptr::dangling_mut(), 8 << 20).unwrap();
            for (number, len) in over.sizes().into_iter().enumerate() {
                let count = len.div_ceil(SIZE);
                let data = pattern(count * SIZE, number);
                let modes = [Mode::Standard, Mode::Synchronous, Mode::Buffered];
                for (case, (sends, receives)) in [(true, true), (true, false), (false, true)]
                    .into_iter()
                    .enumerate()
                {
                    let mode = modes[(number + case) % 3];
                    // The receive is there before the message or not, as the word that it is there
                    // arrives before or after.
                    let early = (number + case) % 2 == 0;
                    let room = if number % 4 == 3 {
                        count - count / 3
                    } else {
                        count
                    };
                    if e.job_rank() == 0 {
                        if early {
                            e.meet(e.comms.world()).unwrap();
                        }
                        let side = Side::of(&data, sends, items);
                        let mut request = side.isend(e, mode, 1);
                        if !early {
                            e.meet(e.comms.world()).unwrap();
                        }
                        e.wait(&mut request).unwrap();
                    } else {
                        let mut side = Side::room(room, receives, items);
                        if !early {
                            e.meet(e.comms.world()).unwrap();
                        }
                        let mut request = side.irecv(e, 0);
                        if early {
                            e.meet(e.comms.world()).unwrap();
                        }
                        let status = e.wait(&mut request);
                        let expected = &data[..room * SIZE];
                        let what =
                            format!("{len} bytes, {mode:?}, {way:?}, gaps {sends} {receives}");
                        if room < count {
                            assert_eq!(status.unwrap_err().class(), ErrorClass::TRUNCATE, "{what}");
                        } else {
                            assert_eq!(status.unwrap().bytes as usize, data.len(), "{what}");
                        }
                        assert!(
                            side.memory == Side::of(expected, receives, items).memory,
                            "{what}"
                        );
                    }
                }
            }
            e.buffer_detach().unwrap();
            datatype::free(&mut items).unwrap();
        });
    }
}

pub(super) fn gaps_in_messages_to_oneself_and_in_replaced_ones(over: &Over) {
    over.job(2, &[], |e| {
        let mut items = with_gaps();
        let me = e.job_rank() as i32;
        for (number, len) in over.sizes().into_iter().enumerate() {
            let data = pattern(len.div_ceil(SIZE) * SIZE, number);
            for (sends, receives) in [(true, true), (true, false), (false, true)] {
                let from = Side::of(&data, sends, items);
                for early in [true, false] {
                    let mut to = Side::room(data.len() / SIZE, receives, items);
                    let mut requests = if early {
                        let receive = to.irecv(e, me);
                        [receive, from.isend(e, Mode::Standard, me)]
                    } else {
                        let send = from.isend(e, Mode::Standard, me);
                        [to.irecv(e, me), send]
                    };
                    e.waitall(&mut requests[..], |_, _| {}).unwrap();
                    assert!(to.memory == Side::of(&data, receives, items).memory);
                }
            }
            let of = |rank: i32| pattern(data.len(), number + rank as usize);
            let mut side = Side::of(&of(me), true, items);
            let (buf, count) = (side.memory.as_mut_ptr(), side.count);
            // SAFETY: the memory has `count` items.
            let status =
                unsafe { e.sendrecv_replace(buf, count, items, 1 - me, 0, 1 - me, 0, WORLD) };
            assert_eq!(status.unwrap().bytes as usize, data.len());
            assert!(side.memory == Side::of(&of(1 - me), true, items).memory);
        }
        datatype::free(&mut items).unwrap();
    });
}
