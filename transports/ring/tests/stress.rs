//! Threads that send while a receiver polls and sleeps. Meant for ThreadSanitizer as well, hence
//! without libtest, whose own threads it would complain about (the standard library is not
//! instrumented): `RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer --cfg
//! full_fences" cargo +nightly test -p ferrite-ring --target x86_64-unknown-linux-gnu --test
//! stress`.

use core::ptr::NonNull;
use std::sync::Arc;
use std::thread;

use ferrite_ring::{Bell, HeapRing, Inbox, Producer, Pushed, Receive, Shape, fence};

const FRAMES: u64 = 20_000;

fn len_of(i: u64) -> usize {
    (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize % [8, 41, 257][(i % 3) as usize]
}

struct Check(Vec<u64>);

impl Receive for Check {
    fn frame(&mut self, from: u32, head: [u64; 3], body: *const u8, len: usize) {
        let i = &mut self.0[from as usize];
        assert_eq!((head[1], len), (*i, len_of(*i)), "sender {from}");
        // SAFETY: readable during the call, and the sender does not touch it.
        let body = unsafe { core::slice::from_raw_parts(body, len) };
        assert!(
            body.iter().all(|&byte| byte == *i as u8),
            "sender {from}, frame {i}"
        );
        *i += 1;
    }

    fn broken(&mut self, from: u32) {
        panic!("ring {from} broken");
    }
}

fn many_senders(senders: usize, shape: Shape, fenced: bool) {
    let bell = Arc::new(Bell::new());
    let memories: Vec<_> = (0..senders)
        .map(|_| Arc::new(HeapRing::new(shape)))
        .collect();
    let threads: Vec<_> = memories
        .iter()
        .enumerate()
        .map(|(index, memory)| {
            let (bell, memory) = (bell.clone(), memory.clone());
            thread::spawn(move || {
                // SAFETY: the thread keeps `memory`; one producer each.
                let mut producer = unsafe { Producer::new(memory.ring()) };
                if !fenced {
                    producer.always_cold();
                }
                for i in 0..FRAMES {
                    let body = vec![i as u8; len_of(i)];
                    loop {
                        // SAFETY: `body` is readable.
                        match unsafe { producer.push([0, i, 0], body.as_ptr(), body.len()) } {
                            Pushed::Hot => break,
                            Pushed::Cold => break bell.raise(index as u32),
                            Pushed::Full => thread::yield_now(),
                        }
                    }
                    if i % 1024 == 0 {
                        thread::yield_now();
                    }
                }
            })
        })
        .collect();
    let rings = memories.iter().map(|memory| Some(memory.ring()));
    // SAFETY: `bell` and `memories` live to the end; one inbox.
    let mut inbox = unsafe { Inbox::new(NonNull::from(&*bell), rings, fenced) };
    let mut check = Check(vec![0; senders]);
    while check.0.iter().any(|&n| n < FRAMES) {
        if inbox.poll(&mut check) == 0 && inbox.prepare_sleep() {
            bell.wait((!fenced).then_some(core::time::Duration::from_millis(1)));
            inbox.awake();
        }
    }
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    assert_eq!(inbox.poll(&mut check), 0);
}

fn main() {
    // Cargo's options for libtest mean nothing here, but a list is asked for by tools.
    if cfg!(loom) || std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let fenced = fence::register();
    many_senders(
        1,
        Shape {
            slots: 64,
            body: 4096,
        },
        fenced,
    );
    println!("test one sender ... ok");
    many_senders(
        3,
        Shape {
            slots: 4,
            body: 1024,
        },
        fenced,
    );
    println!("test three senders through small rings ... ok");
    many_senders(
        2,
        Shape {
            slots: 16,
            body: 1024,
        },
        false,
    );
    println!("test without asymmetric fences ... ok");
}
