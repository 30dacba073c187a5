//! Every interleaving of small cases: `RUSTFLAGS="--cfg loom" cargo test -p ferrite-ring --release
//! --test loom`.
#![cfg(loom)]

use core::ptr::NonNull;

use ferrite_ring::{Bell, Consumer, HeapRing, Inbox, Popped, Producer, Pushed, Receive, Shape};
use loom::sync::Arc;
use loom::thread;

fn pair(shape: Shape) -> (Arc<HeapRing>, Producer, Consumer) {
    let memory = Arc::new(HeapRing::new(shape));
    // SAFETY: every test keeps `memory` until both ends are gone, and makes the ends once.
    let (producer, consumer) =
        unsafe { (Producer::new(memory.ring()), Consumer::new(memory.ring())) };
    (memory, producer, consumer)
}

fn model(preemptions: usize, test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(test);
}

/// Bytes that tell frame `i` of length `len` from every other.
fn body(i: u64, len: usize) -> Vec<u8> {
    (0..len).map(|at| (i as usize * 31 + at) as u8).collect()
}

fn stream(shape: Shape, lens: &'static [usize]) {
    model(3, move || {
        let (memory, mut producer, mut consumer) = pair(shape);
        let sender = thread::spawn(move || {
            for (i, &len) in (1..).zip(lens) {
                let body = body(i, len);
                // SAFETY: `body` is readable for its length.
                while unsafe { producer.push([i & 0xffff, i, !i], body.as_ptr(), len) }
                    == Pushed::Full
                {
                    thread::yield_now();
                }
            }
        });
        for (i, &len) in (1..).zip(lens) {
            loop {
                let popped = consumer.pop(|head, bytes, got| {
                    assert_eq!(head, [i & 0xffff | (len as u64) << 32, i, !i]);
                    assert_eq!(got, len);
                    // SAFETY: readable during the call.
                    assert_eq!(
                        unsafe { core::slice::from_raw_parts(bytes, got) },
                        body(i, len)
                    );
                });
                match popped {
                    Popped::Frame => break,
                    Popped::Empty => thread::yield_now(),
                    Popped::Broken => panic!("broken"),
                }
            }
        }
        sender.join().unwrap();
        drop(memory);
    });
}

#[test]
fn slots_wrap_and_fill() {
    stream(
        Shape {
            slots: 2,
            body: 256,
        },
        &[0, 1, 8, 40, 3],
    );
}

#[test]
fn one_slot_is_a_ring() {
    stream(
        Shape {
            slots: 1,
            body: 256,
        },
        &[2, 0, 9],
    );
}

#[test]
fn bodies_wrap_and_fill() {
    stream(
        Shape {
            slots: 8,
            body: 256,
        },
        &[64, 41, 64, 50, 64, 60],
    );
}

struct Count(Vec<u64>);

impl Receive for Count {
    fn frame(&mut self, from: u32, head: [u64; 3], _body: *const u8, _len: usize) {
        assert_eq!(head[1], self.0[from as usize], "order of sender {from}");
        self.0[from as usize] += 1;
    }

    fn broken(&mut self, from: u32) {
        panic!("ring {from} broken");
    }
}

/// Senders send, the receiver sleeps whenever it finds nothing. A lost wake-up would leave it
/// yielding for ever.
fn hand_over(senders: usize, frames: u64, preemptions: usize) {
    model(preemptions, move || {
        let bell = Arc::new(Bell::new());
        let mut memories = Vec::new();
        let mut threads = Vec::new();
        for index in 0..senders {
            let memory = Arc::new(HeapRing::new(Shape {
                slots: 4,
                body: 256,
            }));
            // SAFETY: `memories` lives to the end; one producer each.
            let mut producer = unsafe { Producer::new(memory.ring()) };
            memories.push(memory);
            let bell = bell.clone();
            threads.push(thread::spawn(move || {
                for i in 0..frames {
                    // SAFETY: an empty body.
                    match unsafe { producer.push_inline([0, i, 0], core::ptr::null(), 0) } {
                        Pushed::Hot => {}
                        Pushed::Cold => bell.raise(index as u32),
                        Pushed::Full => panic!("full"),
                    }
                }
            }));
        }
        let rings = memories.iter().map(|memory| Some(memory.ring()));
        // SAFETY: `bell` and `memories` live to the end; one inbox.
        let mut inbox = unsafe { Inbox::new(NonNull::from(&*bell), rings, true) };
        let mut count = Count(vec![0; senders]);
        while count.0.iter().any(|&n| n < frames) {
            if inbox.poll(&mut count) == 0 && inbox.prepare_sleep() {
                bell.wait(None);
                inbox.awake();
            }
        }
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn no_wake_up_is_lost_with_one_sender() {
    hand_over(1, 3, 3);
}

#[test]
fn no_wake_up_is_lost_with_two_senders() {
    hand_over(2, 1, 2);
}

/// Under loom an inbox sweeps for silent rings at every other poll. Whenever the frame comes, it is
/// found.
#[test]
fn a_ring_that_goes_cold_is_not_forgotten() {
    model(3, || {
        let bell = Arc::new(Bell::new());
        let memories = [(); 2].map(|()| {
            HeapRing::new(Shape {
                slots: 4,
                body: 256,
            })
        });
        // SAFETY: `memories` lives to the end; one producer each.
        let mut producers = [0, 1].map(|i| unsafe { Producer::new(HeapRing::ring(&memories[i])) });
        let rings = memories.iter().map(|memory| Some(memory.ring()));
        // SAFETY: `bell` and `memories` live to the end; one inbox.
        let mut inbox = unsafe { Inbox::new(NonNull::from(&*bell), rings, true) };
        let send = |producer: &mut Producer, i, bell: &Bell, index| {
            // SAFETY: an empty body.
            let pushed = unsafe { producer.push_inline([0, i, 0], core::ptr::null(), 0) };
            if pushed == Pushed::Cold {
                bell.raise(index);
            }
        };
        let mut count = Count(vec![0; 2]);
        for (index, producer) in (0..).zip(&mut producers) {
            send(producer, 0, &bell, index);
        }
        assert_eq!(inbox.poll(&mut count), 2);
        let [mut first, _second] = producers;
        let sender = thread::spawn({
            let bell = bell.clone();
            move || send(&mut first, 1, &bell, 0)
        });
        for _ in 0..5 {
            inbox.poll(&mut count);
        }
        sender.join().unwrap();
        inbox.poll(&mut count);
        assert_eq!(count.0, [2, 1]);
    });
}
