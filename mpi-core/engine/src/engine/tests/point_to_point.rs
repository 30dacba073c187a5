//! MPI's point-to-point chapter, whatever it runs over.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::over::Over;
use crate::engine::requests::Mode;
use crate::engine::{Any, Comparison, Engine};
use crate::handle::{Comm, Datatype, Request};
use crate::status::{ANY_SOURCE, ANY_TAG, PROC_NULL, Status};
use crate::{ErrorClass, Result};

pub(super) const BYTE: Datatype = Datatype::BYTE;
pub(super) const WORLD: Comm = Comm::WORLD;

pub(super) fn pattern(len: usize, seed: usize) -> Vec<u8> {
    (0..len)
        .map(|i| (i.wrapping_mul(131) ^ (i >> 8) ^ seed.wrapping_mul(89)) as u8)
        .collect()
}

fn send(e: &Engine, mode: Mode, data: &[u8], dest: i32, tag: i32) -> Result<()> {
    // SAFETY: the slice is readable.
    unsafe {
        e.send_mode(
            mode,
            data.as_ptr(),
            data.len() as i64,
            BYTE,
            dest,
            tag,
            WORLD,
        )
    }
}

pub(super) fn isend(e: &Engine, mode: Mode, data: &[u8], dest: i32, tag: i32) -> Request {
    let len = data.len() as i64;
    // SAFETY: the tests keep `data` until the request is done.
    unsafe {
        match mode {
            Mode::Standard => e.isend(data.as_ptr(), len, BYTE, dest, tag, WORLD),
            _ => e.isend_mode(mode, data.as_ptr(), len, BYTE, dest, tag, WORLD),
        }
    }
    .unwrap()
}

fn recv(e: &Engine, room: usize, source: i32, tag: i32) -> Result<(Vec<u8>, Status)> {
    let mut data = vec![0xee; room];
    // SAFETY: `data` has `room` bytes.
    let status = unsafe { e.recv(data.as_mut_ptr(), room as i64, BYTE, source, tag, WORLD) }?;
    data.truncate(status.bytes as usize);
    Ok((data, status))
}

pub(super) fn irecv(e: &Engine, data: &mut [u8], source: i32, tag: i32) -> Request {
    // SAFETY: the tests keep `data` until the request is done.
    unsafe {
        e.irecv(
            data.as_mut_ptr(),
            data.len() as i64,
            BYTE,
            source,
            tag,
            WORLD,
        )
    }
    .unwrap()
}

pub(super) fn every_size_arrives_in_every_mode_and_protocol(over: &Over) {
    for way in over.ways() {
        over.job(2, way, |e| {
            // SAFETY: detached below.
            e.buffer_attach(std::ptr::dangling_mut(), 8 << 20).unwrap();
            for (number, &len) in over.sizes().iter().enumerate() {
                let data = pattern(len, number);
                for mode in [Mode::Standard, Mode::Synchronous, Mode::Buffered] {
                    if e.job_rank() == 0 {
                        send(e, mode, &data, 1, 5).unwrap();
                        let (back, status) = recv(e, len, 1, ANY_TAG).unwrap();
                        assert!(back == data, "{len} bytes, {mode:?}, {way:?}");
                        assert_eq!((status.source, status.tag), (1, 6));
                    } else {
                        let (there, status) = recv(e, len + 3, ANY_SOURCE, 5).unwrap();
                        assert!(there == data, "{len} bytes, {mode:?}, {way:?}");
                        assert_eq!((status.source, status.tag), (0, 5));
                        send(e, mode, &there, 0, 6).unwrap();
                    }
                }
            }
            assert_eq!(e.buffer_detach().unwrap().1, 8 << 20);
        });
    }
}

pub(super) fn many_at_once_keep_their_order(over: &Over) {
    let many = over.many(3000);
    for way in over.ways() {
        over.job(3, way, |e| {
            let me = e.job_rank() as i32;
            if me == 0 {
                let mut next = [0u32; 3];
                for _ in 0..2 * many {
                    let (data, status) = recv(e, 4096, ANY_SOURCE, ANY_TAG).unwrap();
                    let number = u32::from_le_bytes(data[..4].try_into().unwrap());
                    let source = status.source as usize;
                    assert_eq!(number, next[source], "from {source}, {way:?}");
                    assert!(data[4..] == pattern(data.len() - 4, number as usize)[..]);
                    next[source] += 1;
                }
            } else {
                let messages: Vec<Vec<u8>> = (0..many)
                    .map(|i| {
                        let mut data = (i as u32).to_le_bytes().to_vec();
                        data.extend(pattern([0, 4, 30, 100, 3000][i % 5], i));
                        data
                    })
                    .collect();
                let mut requests: Vec<Request> = messages
                    .iter()
                    .enumerate()
                    .map(|(i, data)| {
                        let modes = [Mode::Standard, Mode::Synchronous, Mode::Ready];
                        isend(e, modes[i % 3], data, 0, (i % 7) as i32)
                    })
                    .collect();
                e.waitall(&mut requests[..], |_, _| {}).unwrap();
                assert!(requests.iter().all(|request| *request == Request::NULL));
            }
        });
    }
}

pub(super) fn many_long_messages_cross(over: &Over) {
    let (many, len) = (over.many(20), over.len(700_001));
    over.job(2, &[], |e| {
        let (me, other) = (e.job_rank() as usize, 1 - e.job_rank() as i32);
        let data: Vec<Vec<u8>> = (0..many).map(|i| pattern(len, i + me)).collect();
        let mut rooms = vec![vec![0u8; len]; many];
        let mut requests: Vec<Request> = data
            .iter()
            .zip(0..)
            .map(|(data, tag)| isend(e, Mode::Standard, data, other, tag))
            .collect();
        if me == 0 {
            // This rank asks for all at once, the other one by one and the last first.
            let receives = rooms.iter_mut().zip(0..);
            requests.extend(receives.map(|(room, tag)| irecv(e, room, other, tag)));
            e.waitall(&mut requests[..], |_, _| {}).unwrap();
        } else {
            for (room, tag) in rooms.iter_mut().zip(0..many as i32).rev() {
                let mut receive = irecv(e, room, other, tag);
                e.wait(&mut receive).unwrap();
            }
            e.waitall(&mut requests[..], |_, _| {}).unwrap();
        }
        for (i, room) in rooms.iter().enumerate() {
            assert!(*room == pattern(len, i + other as usize), "message {i}");
        }
    });
}

pub(super) fn an_unwilling_receiver_keeps_little(over: &Over) {
    let many = over.unwilling() as i32;
    over.job(2, &[("FERRITE_EAGER_BUDGET", "64k")], |e| {
        if e.job_rank() == 0 {
            let data = pattern(1024, 1);
            for i in 0..many {
                let mut request = isend(e, Mode::Standard, &data, 1, i);
                if i % 2 == 0 {
                    e.request_free(&mut request).unwrap();
                } else if request != Request::NULL {
                    // Let the receiver's answer in now and then.
                    e.progress();
                    e.request_free(&mut request).unwrap();
                }
            }
            send(e, Mode::Standard, &[], 1, many).unwrap();
            recv(e, 0, 1, 0).unwrap();
        } else {
            recv(e, 0, 0, many).unwrap();
            let kept = e.peer(0).unexpected_bytes.load(Ordering::Relaxed);
            // The budget, and what was on its way when the sender was told.
            assert!(kept < (1 << 20) + over.under_way(), "{kept} bytes are kept");
            for i in (0..many).rev() {
                assert_eq!(recv(e, 1024, 0, i).unwrap().0, pattern(1024, 1));
            }
            assert_eq!(e.peer(0).unexpected_bytes.load(Ordering::Relaxed), 0);
            send(e, Mode::Standard, &[], 0, 0).unwrap();
        }
    });
}

pub(super) fn truncation_is_an_error_with_the_first_bytes(over: &Over) {
    for way in over.ways() {
        over.job(2, way, |e| {
            for len in [8usize, 33, 100, over.len(70_000)] {
                if e.job_rank() == 0 {
                    send(e, Mode::Standard, &pattern(len, 3), 1, 1).unwrap();
                } else {
                    let mut data = vec![0xee; len];
                    // SAFETY: `data` has more room than is named.
                    let answer =
                        unsafe { e.recv(data.as_mut_ptr(), len as i64 - 5, BYTE, 0, 1, WORLD) };
                    let error = answer.unwrap_err();
                    // With the sentence, by which a link that dies is told from a mistake.
                    assert_eq!(error.class(), ErrorClass::TRUNCATE, "{error}");
                    assert_eq!(error.status().unwrap().bytes, len as i64 - 5);
                    assert!(data[..len - 5] == pattern(len, 3)[..len - 5]);
                    assert_eq!(data[len - 5..], [0xee; 5], "{len} bytes, {way:?}");
                }
            }
        });
    }
}

pub(super) fn probes_and_matched_messages(over: &Over) {
    over.job(2, &[], |e| {
        for (round, len) in (0..).zip([0usize, 10, 5000, 200_000].map(|len| over.len(len))) {
            let (first, second) = (2 * round, 2 * round + 1);
            if e.job_rank() == 0 {
                let data = [pattern(len, 1), pattern(len, 2)];
                let mut sent = isend(e, Mode::Standard, &data[0], 1, first);
                send(e, Mode::Standard, &data[1], 1, second).unwrap();
                e.wait(&mut sent).unwrap();
            } else {
                let status = e.probe(0, second, WORLD).unwrap();
                assert_eq!(
                    (status.source, status.tag, status.bytes),
                    (0, second, len as i64)
                );
                let (mut message, status) = e.mprobe(ANY_SOURCE, ANY_TAG, WORLD).unwrap();
                assert_eq!((status.tag, status.bytes), (first, len as i64));
                assert_eq!(e.iprobe(0, first, WORLD).unwrap(), None);
                assert_eq!(recv(e, len, 0, ANY_TAG).unwrap().0, pattern(len, 2));
                let mut data = vec![0; len];
                // SAFETY: `data` has `len` bytes.
                let status =
                    unsafe { e.mrecv(data.as_mut_ptr(), len as i64, BYTE, &mut message) }.unwrap();
                assert_eq!(status.tag, first);
                assert!(data == pattern(len, 1));
                // SAFETY: nothing is received by a message that is gone.
                let again = unsafe { e.mrecv(data.as_mut_ptr(), 0, BYTE, &mut message) };
                assert_eq!(again.unwrap_err().class(), ErrorClass::REQUEST);
            }
        }
        assert_eq!(e.probe(PROC_NULL, 0, WORLD).unwrap(), Status::PROC_NULL);
    });
}

pub(super) fn operations_are_cancelled_or_completed(over: &Over) {
    for way in over.ways() {
        over.job(2, way, |e| {
            // A tag for each round: rank 0 may be in the next one already.
            for (tag, len) in (1..).zip([4usize, 100, over.len(100_000)]) {
                if e.job_rank() == 0 {
                    let data = pattern(len, 0);
                    let mut send = isend(e, Mode::Synchronous, &data, 1, tag);
                    e.cancel(send).unwrap();
                    let status = e.wait(&mut send).unwrap();
                    assert!(status.cancelled, "{len} bytes, {way:?}");
                    let mut data = [0; 8];
                    let mut receive = irecv(e, &mut data, 1, 99);
                    e.cancel(receive).unwrap();
                    assert!(e.wait(&mut receive).unwrap().cancelled);
                    self::send(e, Mode::Standard, &[1], 1, 0).unwrap();
                } else {
                    recv(e, 1, 0, 0).unwrap();
                    assert_eq!(e.iprobe(0, tag, WORLD).unwrap(), None);
                }
            }
        });
    }
}

pub(super) fn completion_in_every_form(over: &Over) {
    let len = over.len(50_000);
    over.job(2, over.ways()[0], |e| {
        let other = 1 - e.job_rank() as i32;
        let data = pattern(len, 0);
        let mut rooms: Vec<Vec<u8>> = (0..8).map(|_| vec![0; len]).collect();
        let mut receives: Vec<Request> = rooms
            .iter_mut()
            .zip(0..)
            .map(|(room, tag)| irecv(e, room, other, tag))
            .collect();
        receives.insert(3, Request::NULL);
        assert!(matches!(
            e.testany(&mut [Request::NULL][..]).unwrap(),
            Any::Inactive
        ));
        let mut sends: Vec<Request> = (0..8)
            .rev()
            .map(|tag| isend(e, Mode::Standard, &data, other, tag))
            .collect();
        let Any::Done(at, status) = e.waitany(&mut receives[..]).unwrap() else {
            panic!("one must be done");
        };
        assert_eq!(receives[at], Request::NULL);
        assert_eq!(status.unwrap().bytes, len as i64);
        let mut seen = 1;
        seen += e
            .waitsome(&mut receives[..], |_, _, _| {})
            .unwrap()
            .unwrap();
        while seen < 7 {
            seen += e
                .testsome(&mut receives[..], |_, _, _| {})
                .unwrap()
                .unwrap();
        }
        while !e.testall(&mut receives[..], |_, _| {}).unwrap() {}
        assert_eq!(e.waitsome(&mut receives[..], |_, _, _| {}).unwrap(), None);
        assert!(matches!(
            e.waitany(&mut receives[..]).unwrap(),
            Any::Inactive
        ));
        for send in &mut sends {
            while e.test(send).unwrap().is_none() {}
        }
        assert!(rooms.iter().all(|room| *room == data));
        let stale = Request((5 << 27) | 77);
        assert_eq!(
            e.wait(&mut { stale }).unwrap_err().class(),
            ErrorClass::REQUEST
        );
    });
}

pub(super) fn persistent_operations_run_again_and_again(over: &Over) {
    for way in over.ways() {
        over.job(2, way, |e| {
            let other = 1 - e.job_rank() as i32;
            let mut data = vec![0u8; 3000];
            let mut room = vec![0u8; 3000];
            // SAFETY: both buffers outlive the requests.
            let (mut send, mut receive) = unsafe {
                let mode = Mode::Standard;
                (
                    e.send_init(mode, data.as_ptr(), 3000, BYTE, other, 1, WORLD)
                        .unwrap(),
                    e.recv_init(room.as_mut_ptr(), 3000, BYTE, other, 1, WORLD)
                        .unwrap(),
                )
            };
            assert_eq!(e.wait(&mut send).unwrap(), Status::EMPTY);
            for round in 0..20 {
                data.copy_from_slice(&pattern(3000, round));
                // SAFETY: as above.
                unsafe {
                    e.start(receive).unwrap();
                    e.start(send).unwrap();
                    assert_eq!(e.start(send).unwrap_err().class(), ErrorClass::REQUEST);
                }
                assert_eq!(e.wait(&mut receive).unwrap().bytes, 3000);
                e.wait(&mut send).unwrap();
                assert!(room == pattern(3000, round), "round {round}");
            }
            e.request_free(&mut send).unwrap();
            e.request_free(&mut receive).unwrap();
            assert_eq!(send, Request::NULL);
        });
    }
}

pub(super) fn exchanges_are_done_when_both_parts_are(over: &Over) {
    for way in over.ways() {
        over.job(3, way, |e| {
            let (me, size) = (e.job_rank() as i32, 3);
            let (next, last) = ((me + 1) % size, (me + size - 1) % size);
            for (round, &len) in over.sizes().iter().enumerate() {
                let data = pattern(len, round + me as usize);
                let theirs = pattern(len, round + last as usize);
                let mut room = vec![0u8; len];
                let n = len as i64;
                // SAFETY: the buffers have `len` bytes and outlive the requests.
                unsafe {
                    let (from, to) = (data.as_ptr(), room.as_mut_ptr());
                    let mut request = e
                        .isendrecv(from, n, BYTE, next, 1, to, n, BYTE, last, 1, WORLD)
                        .unwrap();
                    let status = e.wait(&mut request).unwrap();
                    assert_eq!((status.source, status.bytes), (last, n));
                    assert!(room == theirs, "{len} bytes, {way:?}");
                    room.copy_from_slice(&data);
                    let to = room.as_mut_ptr();
                    e.sendrecv_replace(to, n, BYTE, next, 2, last, 2, WORLD)
                        .unwrap();
                    assert!(room == theirs, "{len} bytes, {way:?}");
                    let status = e.sendrecv_replace(to, n, BYTE, PROC_NULL, 2, PROC_NULL, 2, WORLD);
                    assert_eq!(status.unwrap(), Status::PROC_NULL);
                }
            }
            assert_eq!(e.requests.handles(), []);
        });
    }
}

pub(super) fn messages_to_oneself(over: &Over) {
    over.job(1, &[], |e| {
        for len in over.sizes() {
            let data = pattern(len, 9);
            let mut room = vec![0; len];
            let mut receive = irecv(e, &mut room, 0, 1);
            send(e, Mode::Synchronous, &data, 0, 1).unwrap();
            e.wait(&mut receive).unwrap();
            assert!(room == data);
            let mut sent = isend(e, Mode::Synchronous, &data, 0, 2);
            assert_eq!(e.test(&mut sent).unwrap(), None);
            assert!(recv(e, len, 0, 2).unwrap().0 == data);
            e.wait(&mut sent).unwrap();
            send(e, Mode::Standard, &data, 0, 3).unwrap();
            assert!(recv(e, len, ANY_SOURCE, 3).unwrap().0 == data);
        }
    });
}

pub(super) fn splitting_and_freeing(over: &Over) {
    over.job(6, &[], |e| {
        let me = e.job_rank() as i32;
        let mut half = e.comm_split(WORLD, me % 2, -me).unwrap();
        assert_eq!(e.comm_size(half).unwrap(), 3);
        assert_eq!(e.comm_rank(half).unwrap(), 2 - me / 2);
        let mut twin = e.comm_dup(half).unwrap();
        assert_eq!(e.comm_compare(half, twin).unwrap(), Comparison::Congruent);
        let stale = half;
        e.comm_free(&mut half).unwrap();
        assert_eq!(e.comm_rank(stale).unwrap_err().class(), ErrorClass::COMM);
        e.meet(e.comm(twin).unwrap()).unwrap();
        e.comm_free(&mut twin).unwrap();
        let none = e.comm_split(WORLD, if me == 0 { 0 } else { crate::status::UNDEFINED }, 0);
        assert_eq!(none.unwrap() == Comm::NULL, me != 0);
    });
}

/// A pending operation keeps its communicator, and the next that is freed lets go of it.
pub(super) fn freed_communicators(over: &Over) {
    over.job(3, &[], |e| {
        let me = e.job_rank() as i32;
        let mut twin = e.comm_dup(WORLD).unwrap();
        let mut other = e.comm_dup(WORLD).unwrap();
        let (data, mut room) = ([7u8; 8], [0u8; 4]);
        let to = room.as_mut_ptr();
        // SAFETY: both buffers outlive the requests.
        let (mut receive, mut send) = unsafe {
            (
                e.irecv(to, 4, BYTE, (me + 1) % 3, 5, twin).unwrap(),
                e.isend(data.as_ptr(), 8, BYTE, (me + 2) % 3, 5, twin)
                    .unwrap(),
            )
        };
        e.comm_free(&mut twin).unwrap();
        e.wait(&mut send).unwrap();
        let error = e.wait(&mut receive).unwrap_err();
        assert_eq!(error.class(), ErrorClass::TRUNCATE);
        // On its way to the program, the error has the communicator still.
        e.forget_freed();
        assert_eq!(e.freed_count(), 1);
        let comm = error.comm().unwrap();
        assert_eq!(comm.handle(), Comm::NULL);
        let rank = e.with_handle(comm, |lent| e.comm_rank(lent).unwrap());
        assert_eq!((rank, room), (me, [7; 4]));
        drop(error);
        e.forget_freed();
        assert_eq!(e.freed_count(), 0);

        // A matched message has it, and then the receive.
        // SAFETY: both buffers outlive the requests.
        let mut send = unsafe { e.isend(data.as_ptr(), 8, BYTE, (me + 2) % 3, 5, other) }.unwrap();
        let (mut message, _) = e.mprobe((me + 1) % 3, 5, other).unwrap();
        e.comm_free(&mut other).unwrap();
        e.forget_freed();
        // SAFETY: as above.
        let mut receive = unsafe { e.imrecv(to, 4, BYTE, &mut message) }.unwrap();
        for _ in 0..40 {
            let mut another = e.comm_dup(WORLD).unwrap();
            e.comm_free(&mut another).unwrap();
        }
        assert_eq!(e.freed_count(), 1);
        let error = e.wait(&mut receive).unwrap_err();
        assert_eq!(error.comm().unwrap().handle(), Comm::NULL);
        e.wait(&mut send).unwrap();
        drop(error);
        e.forget_freed();
        assert_eq!(e.freed_count(), 0);
    });
}

pub(super) fn threads_of_one_rank_do_not_disturb_each_other(over: &Over) {
    let rounds = over.rounds(200);
    for way in over.ways() {
        over.job(2, way, |e| {
            let other = 1 - e.job_rank() as i32;
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    scope.spawn(move || {
                        for round in 0..rounds {
                            let data = pattern([3, 50, 2000, 40_000][round % 4], round);
                            let mut room = vec![0; data.len()];
                            let mut receive = irecv(e, &mut room, other, thread);
                            send(e, Mode::Standard, &data, other, thread).unwrap();
                            e.wait(&mut receive).unwrap();
                            assert!(room == data, "thread {thread} round {round}");
                        }
                    });
                }
            });
        });
    }
}

/// Whoever has sent something and waited for it may compute from then on: what it sent arrives all
/// the same.
pub(super) fn what_was_sent_needs_its_sender_no_more(over: &Over) {
    for way in over.ways() {
        let received = AtomicUsize::new(0);
        over.job(2, way, |e| {
            for round in 0..20usize {
                let data = pattern([0, 8, 40, 64][round % 4], round);
                if e.job_rank() == 1 {
                    assert!(recv(e, data.len(), 0, 1).unwrap().0 == data);
                    received.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                let start = || isend(e, Mode::Standard, &data, 1, 1);
                match round % 5 {
                    0 => send(e, Mode::Standard, &data, 1, 1).unwrap(),
                    1 => e.wait(&mut start()).map(drop).unwrap(),
                    2 => e.waitall(&mut [start()][..], |_, _| {}).unwrap(),
                    3 => match e.waitany(&mut [start()][..]).unwrap() {
                        Any::Done(0, status) => status.map(drop).unwrap(),
                        other => panic!("{other:?}"),
                    },
                    _ => {
                        let mut request = start();
                        while e.test(&mut request).unwrap().is_none() {}
                    }
                }
                while received.load(Ordering::Relaxed) <= round {
                    over.compute(e);
                }
            }
        });
    }
}
