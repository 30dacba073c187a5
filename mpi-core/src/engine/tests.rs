//! The engine, several ranks in one process: each rank is a thread with an engine of its own over one segment.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ferrite_fabric::{Bootstrap, Job, Secret};

use ferrite_shm::ShmConfig;

use super::request::Mode;
use super::{Any, Engine, ThreadLevel};
use crate::handle::{Comm, Datatype, Request};
use crate::settings::{Cma, Settings};
use crate::status::{ANY_SOURCE, ANY_TAG, PROC_NULL, Status};
use crate::{ErrorClass, Result};

const BYTE: Datatype = Datatype::BYTE;
const WORLD: Comm = Comm::WORLD;

struct Nobody;

impl Bootstrap for Nobody {
    fn publish(&self, _card: &str) -> core::result::Result<(), String> {
        Ok(())
    }
    fn fetch(&self, rank: u32) -> core::result::Result<Option<String>, String> {
        panic!("who asks for rank {rank}?")
    }
    fn lost(&self, rank: u32, reason: &str) -> ! {
        panic!("rank {rank} is lost: {reason}")
    }
    fn finalized(&self) {}
    fn abort(&self, code: i32, message: &str) -> ! {
        panic!("abort({code}): {message}")
    }
}

fn settings(variables: &[(&str, &str)]) -> Settings {
    let variables = variables
        .iter()
        .map(|(name, value)| (OsString::from(name), value.into()));
    Settings::parse(variables).unwrap().0
}

/// Runs `rank` on every rank of a job of `size`, and then the job's last barrier.
fn job(size: u32, variables: &[(&str, &str)], rank: impl Fn(&Engine) + Sync) {
    let segment = rustix::fs::memfd_create("job", rustix::fs::MemfdFlags::ALLOW_SEALING).unwrap();
    let failed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for number in 0..size {
            let segment: OwnedFd = segment.try_clone().unwrap();
            let (rank, failed) = (&rank, &failed);
            scope.spawn(move || {
                let job = Job {
                    id: [7; 16],
                    secret: Secret([0; 32]),
                    rank: number,
                    size,
                    local: (0..size).collect(),
                    neighbours: size - 1,
                    cpus: 1,
                    appnum: 0,
                    launcher: 0,
                    segment: Some(segment),
                };
                let run = std::panic::AssertUnwindSafe(|| {
                    let level = ThreadLevel::Multiple;
                    let settings = settings(variables);
                    let config = ShmConfig {
                        cma: settings.cma == Cma::Auto,
                        ..ShmConfig::default()
                    };
                    let shm = ferrite_shm::attach(&job, &config).unwrap();
                    let nobody = Arc::new(Nobody);
                    let engine =
                        Engine::make(level, settings, job, nobody, Some(shm), None).unwrap();
                    rank(&engine);
                    engine.buffer_flush().unwrap();
                    engine.wait_until(|| !engine.has_backlog() || failed.load(Ordering::Relaxed));
                    engine.meet(WORLD).unwrap();
                    engine.wait_until(|| !engine.has_backlog());
                });
                if std::panic::catch_unwind(run).is_err() {
                    // The other ranks may wait for this one for ever.
                    eprintln!("rank {number} failed");
                    std::process::abort();
                }
            });
        }
    });
}

/// Settings that make every protocol's turn come.
const WAYS: &[&[(&str, &str)]] = &[
    &[],
    &[("FERRITE_CMA", "never")],
    &[("FERRITE_EAGER_LIMIT", "64"), ("FERRITE_CMA_LIMIT", "64")],
    &[
        ("FERRITE_EAGER_LIMIT", "64"),
        ("FERRITE_CMA", "never"),
        ("FERRITE_EAGER_BUDGET", "1k"),
    ],
];

const SIZES: &[usize] = &[
    0, 1, 8, 32, 33, 40, 41, 64, 65, 1000, 8192, 16384, 65536, 300_000, 524_288, 1_500_001,
];

fn pattern(len: usize, seed: usize) -> Vec<u8> {
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

fn isend(e: &Engine, mode: Mode, data: &[u8], dest: i32, tag: i32) -> Request {
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

fn irecv(e: &Engine, data: &mut [u8], source: i32, tag: i32) -> Request {
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

#[test]
fn every_size_arrives_in_every_mode_and_protocol() {
    for way in WAYS {
        job(2, way, |e| {
            // SAFETY: detached below.
            e.buffer_attach(std::ptr::dangling_mut(), 8 << 20).unwrap();
            for (number, &len) in SIZES.iter().enumerate() {
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

#[test]
fn many_at_once_keep_their_order() {
    const MANY: usize = 3000;
    for way in WAYS {
        job(3, way, |e| {
            let me = e.job_rank() as i32;
            if me == 0 {
                let mut next = [0u32; 3];
                for _ in 0..2 * MANY {
                    let (data, status) = recv(e, 4096, ANY_SOURCE, ANY_TAG).unwrap();
                    let number = u32::from_le_bytes(data[..4].try_into().unwrap());
                    let source = status.source as usize;
                    assert_eq!(number, next[source], "from {source}, {way:?}");
                    assert!(data[4..] == pattern(data.len() - 4, number as usize)[..]);
                    next[source] += 1;
                }
            } else {
                let messages: Vec<Vec<u8>> = (0..MANY)
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

#[test]
fn many_long_messages_cross() {
    const MANY: usize = 20;
    const LEN: usize = 700_001;
    job(2, &[], |e| {
        let (me, other) = (e.job_rank() as usize, 1 - e.job_rank() as i32);
        let data: Vec<Vec<u8>> = (0..MANY).map(|i| pattern(LEN, i + me)).collect();
        let mut rooms = vec![vec![0u8; LEN]; MANY];
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
            for (room, tag) in rooms.iter_mut().zip(0..MANY as i32).rev() {
                let mut receive = irecv(e, room, other, tag);
                e.wait(&mut receive).unwrap();
            }
            e.waitall(&mut requests[..], |_, _| {}).unwrap();
        }
        for (i, room) in rooms.iter().enumerate() {
            assert!(*room == pattern(LEN, i + other as usize), "message {i}");
        }
    });
}

#[test]
fn an_unwilling_receiver_keeps_little() {
    const MANY: i32 = 2000;
    job(2, &[("FERRITE_EAGER_BUDGET", "64k")], |e| {
        if e.job_rank() == 0 {
            let data = pattern(1024, 1);
            for i in 0..MANY {
                let mut request = isend(e, Mode::Standard, &data, 1, i);
                if i % 2 == 0 {
                    e.request_free(&mut request).unwrap();
                } else if request != Request::NULL {
                    // Let the receiver's answer in now and then.
                    e.progress();
                    e.request_free(&mut request).unwrap();
                }
            }
            send(e, Mode::Standard, &[], 1, MANY).unwrap();
            recv(e, 0, 1, 0).unwrap();
        } else {
            recv(e, 0, 0, MANY).unwrap();
            let kept = e.peer(0).kept.load(Ordering::Relaxed);
            // The budget, and what was on its way when the sender was told.
            assert!(kept < 1 << 20, "{kept} bytes are kept");
            for i in (0..MANY).rev() {
                assert_eq!(recv(e, 1024, 0, i).unwrap().0, pattern(1024, 1));
            }
            assert_eq!(e.peer(0).kept.load(Ordering::Relaxed), 0);
            send(e, Mode::Standard, &[], 0, 0).unwrap();
        }
    });
}

#[test]
fn truncation_is_an_error_with_the_first_bytes() {
    for way in WAYS {
        job(2, way, |e| {
            for len in [8usize, 33, 100, 70_000] {
                if e.job_rank() == 0 {
                    send(e, Mode::Standard, &pattern(len, 3), 1, 1).unwrap();
                } else {
                    let mut data = vec![0xee; len];
                    // SAFETY: `data` has more room than is named.
                    let answer =
                        unsafe { e.recv(data.as_mut_ptr(), len as i64 - 5, BYTE, 0, 1, WORLD) };
                    let error = answer.unwrap_err();
                    assert_eq!(error.class(), ErrorClass::TRUNCATE);
                    assert_eq!(error.status().unwrap().bytes, len as i64 - 5);
                    assert!(data[..len - 5] == pattern(len, 3)[..len - 5]);
                    assert_eq!(data[len - 5..], [0xee; 5], "{len} bytes, {way:?}");
                }
            }
        });
    }
}

#[test]
fn probes_and_matched_messages() {
    job(2, &[], |e| {
        for (round, len) in (0..).zip([0usize, 10, 5000, 200_000]) {
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

#[test]
fn operations_are_cancelled_or_completed() {
    for way in WAYS {
        job(2, way, |e| {
            for len in [4usize, 100, 100_000] {
                if e.job_rank() == 0 {
                    let data = pattern(len, 0);
                    let mut send = isend(e, Mode::Synchronous, &data, 1, 1);
                    e.cancel(send).unwrap();
                    let status = e.wait(&mut send).unwrap();
                    assert!(status.cancelled, "{len} bytes, {way:?}");
                    let mut data = [0; 8];
                    let mut receive = irecv(e, &mut data, 1, 99);
                    e.cancel(receive).unwrap();
                    assert!(e.wait(&mut receive).unwrap().cancelled);
                    self::send(e, Mode::Standard, &[1], 1, 2).unwrap();
                } else {
                    recv(e, 1, 0, 2).unwrap();
                    assert_eq!(e.iprobe(0, 1, WORLD).unwrap(), None);
                }
            }
        });
    }
}

#[test]
fn completion_in_every_form() {
    job(2, &[], |e| {
        let other = 1 - e.job_rank() as i32;
        let data = pattern(50_000, 0);
        let mut rooms: Vec<Vec<u8>> = (0..8).map(|_| vec![0; 50_000]).collect();
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
        assert_eq!(status.unwrap().bytes, 50_000);
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

#[test]
fn persistent_operations_run_again_and_again() {
    for way in WAYS {
        job(2, way, |e| {
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

#[test]
fn exchanges_are_done_when_both_parts_are() {
    for way in WAYS {
        job(3, way, |e| {
            let (me, size) = (e.job_rank() as i32, 3);
            let (next, last) = ((me + 1) % size, (me + size - 1) % size);
            for (round, &len) in SIZES.iter().enumerate() {
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

#[test]
fn messages_to_oneself() {
    job(1, &[], |e| {
        for &len in SIZES {
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

#[test]
fn types_with_gaps_travel_packed() {
    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct DoubleInt(f64, i32);
    job(2, &[], |e| {
        let data: Vec<DoubleInt> = (0..1000).map(|i| DoubleInt(f64::from(i), -i)).collect();
        if e.job_rank() == 0 {
            // SAFETY: `data` has 1000 items.
            unsafe {
                e.send(
                    data.as_ptr().cast(),
                    1000,
                    Datatype::DOUBLE_INT,
                    1,
                    0,
                    WORLD,
                )
                .unwrap();
            }
        } else {
            let mut room = vec![DoubleInt(0.0, 0); 1001];
            // SAFETY: `room` has 1001 items.
            let status = unsafe {
                e.recv(
                    room.as_mut_ptr().cast(),
                    1001,
                    Datatype::DOUBLE_INT,
                    0,
                    0,
                    WORLD,
                )
                .unwrap()
            };
            assert_eq!(status.bytes, 12_000);
            assert_eq!(room[..1000], data);
        }
    });
}

#[test]
fn splitting_and_freeing() {
    job(6, &[], |e| {
        let me = e.job_rank() as i32;
        let mut half = e.comm_split(WORLD, me % 2, -me).unwrap();
        assert_eq!(e.comm_size(half).unwrap(), 3);
        assert_eq!(e.comm_rank(half).unwrap(), 2 - me / 2);
        let mut twin = e.comm_dup(half).unwrap();
        assert_eq!(
            e.comm_compare(half, twin).unwrap(),
            super::Comparison::Congruent
        );
        let stale = half;
        e.comm_free(&mut half).unwrap();
        assert_eq!(e.comm_rank(stale).unwrap_err().class(), ErrorClass::COMM);
        e.meet(twin).unwrap();
        e.comm_free(&mut twin).unwrap();
        let none = e.comm_split(WORLD, if me == 0 { 0 } else { crate::status::UNDEFINED }, 0);
        assert_eq!(none.unwrap() == Comm::NULL, me != 0);
    });
}

#[test]
fn threads_of_one_rank_do_not_disturb_each_other() {
    for way in WAYS {
        job(2, way, |e| {
            let other = 1 - e.job_rank() as i32;
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    scope.spawn(move || {
                        for round in 0..200usize {
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
