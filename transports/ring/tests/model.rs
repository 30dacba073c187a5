//! A ring against an oracle: random pushes and pops in one thread, compared with a plain queue.
#![cfg(not(loom))]

use core::ptr::NonNull;
use std::collections::VecDeque;

use ferrite_ring::{
    Bell, Consumer, HeapRing, INLINE, Inbox, Popped, Producer, Pushed, Receive, Shape,
};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

fn run(shape: Shape, seed: u64) {
    println!("seed {seed:#x}, {shape:?}");
    let mut random = Random(seed);
    let memory = HeapRing::new(shape);
    // SAFETY: `memory` outlives both, each made once.
    let (mut producer, mut consumer) =
        unsafe { (Producer::new(memory.ring()), Consumer::new(memory.ring())) };
    let mut oracle: VecDeque<([u64; 3], Vec<u8>)> = VecDeque::new();
    let mut fulls = 0;
    for step in 0..20_000 {
        // Phases in which one side is faster, so that the ring is full and empty often.
        if random.below(100) < if step / 500 % 2 == 0 { 60 } else { 40 } {
            let len = match random.below(3) {
                0 => random.below(INLINE as u64 + 2),
                1 => random.below(shape.longest() as u64 + 1),
                _ => shape.longest() as u64,
            } as usize;
            let body: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
            let head = [random.next(), random.next(), random.next()];
            // SAFETY: `body` is readable.
            match unsafe { producer.push(head, body.as_ptr(), len) } {
                Pushed::Hot => panic!("nobody made this ring hot"),
                Pushed::Cold => oracle.push_back((
                    [head[0] & 0xffff | (len as u64) << 32, head[1], head[2]],
                    body,
                )),
                Pushed::Full => {
                    assert!(!oracle.is_empty(), "an empty ring must take any frame");
                    fulls += 1;
                }
            }
            assert!(oracle.len() <= shape.slots as usize);
        } else {
            assert_eq!(consumer.ready(), !oracle.is_empty());
            let popped = consumer.pop(|head, body, len| {
                let (expected_head, expected) = oracle.pop_front().expect("a frame from nowhere");
                // SAFETY: readable during the call.
                let got = unsafe { core::slice::from_raw_parts(body, len) };
                assert_eq!((head, got), (expected_head, &expected[..]));
            });
            assert!(popped == Popped::Frame || popped == Popped::Empty && oracle.is_empty());
        }
    }
    assert!(fulls > 100, "the ring was full {fulls} times only");
}

#[test]
fn behaves_like_a_queue() {
    for (i, (slots, body)) in [
        (1, 256),
        (2, 256),
        (4, 1024),
        (8, 4096),
        (64, 512),
        (256, 1 << 14),
    ]
    .into_iter()
    .enumerate()
    {
        for round in 0..4 {
            run(Shape { slots, body }, 0xfe44_17e0 + 16 * i as u64 + round);
        }
    }
}

#[test]
fn a_hot_ring_says_so() {
    let memory = HeapRing::new(Shape {
        slots: 4,
        body: 256,
    });
    // SAFETY: `memory` outlives both, each made once.
    let (mut producer, consumer) =
        unsafe { (Producer::new(memory.ring()), Consumer::new(memory.ring())) };
    // SAFETY: empty bodies.
    let mut push = || unsafe { producer.push_inline([0; 3], core::ptr::null(), 0) };
    assert_eq!(push(), Pushed::Cold);
    consumer.set_hot(true);
    assert_eq!(push(), Pushed::Hot);
    consumer.set_hot(false);
    assert_eq!(push(), Pushed::Cold);
}

#[derive(Default)]
struct Count(Vec<u32>);

impl Receive for Count {
    fn frame(&mut self, from: u32, _head: [u64; 3], _body: *const u8, _len: usize) {
        self.0.push(from);
    }

    fn broken(&mut self, from: u32) {
        panic!("ring {from} broken");
    }
}

#[test]
fn a_ring_that_is_silent_for_long_becomes_cold() {
    let bell = Bell::new();
    let memories = [(); 3].map(|()| {
        HeapRing::new(Shape {
            slots: 4,
            body: 256,
        })
    });
    let rings = memories.iter().map(|memory| Some(memory.ring()));
    // SAFETY: `bell` and `memories` outlive all ends, each made once.
    let mut inbox =
        unsafe { Inbox::new(NonNull::from(&bell), rings, ferrite_ring::fence::register()) };
    // SAFETY: as above.
    let mut producers = [0, 1, 2].map(|i| unsafe { Producer::new(HeapRing::ring(&memories[i])) });
    // SAFETY: empty bodies.
    let mut push = |i: usize| unsafe { producers[i].push_inline([0; 3], core::ptr::null(), 0) };
    let mut count = Count::default();
    for i in 0..3 {
        assert_eq!(push(i), Pushed::Cold);
        bell.raise(i as u32);
        assert_eq!(inbox.poll(&mut count), 1);
    }
    assert_eq!(inbox.poll(&mut count), 0);
    // Ring 0 is silent from now on, ring 2 is not. Two sweeps take some 350,000 polls of three
    // rings each.
    for i in 0..1_000_000 {
        if i % 1000 == 0 {
            assert_eq!(push(2), Pushed::Hot, "an active ring stays hot");
        }
        inbox.poll(&mut count);
    }
    assert_eq!(push(0), Pushed::Cold, "a silent ring is cold");
    assert_eq!(inbox.poll(&mut count), 0, "nobody looks at a cold ring");
    bell.raise(0);
    assert_eq!(inbox.poll(&mut count), 1);
    assert_eq!(count.0.last(), Some(&0));
    assert_eq!(push(0), Pushed::Hot, "it is hot again");
}

/// A peer gone wild cannot make the consumer read outside its ring, nor the producer write outside.
#[test]
fn nonsense_in_shared_memory_is_found_out() {
    let shape = Shape {
        slots: 8,
        body: 1024,
    };
    let layout = std::alloc::Layout::from_size_align(shape.bytes(), 128).unwrap();
    // SAFETY: a layout of non-zero size.
    let memory = unsafe { std::alloc::alloc_zeroed(layout) };
    // SAFETY: `memory` is zeroed, large enough and aligned; it outlives both ends.
    unsafe {
        let ring = ferrite_ring::Ring::at(memory, shape);
        let (mut producer, mut consumer) = (Producer::new(ring), Consumer::new(ring));
        let slot = |i: usize| memory.add(128 + 64 * i).cast::<u64>();
        let body = [7u8; 100];

        // Lengths and positions that do not lie within the ring of bytes.
        for (len, at) in [
            (shape.longest() as u64 + 1, 0),
            (u64::from(u32::MAX), 0),
            (100, 960),
            (256, 1023),
        ] {
            slot(0).write(1 << 16 | len << 32);
            slot(0).add(3).write(at);
            assert_eq!(consumer.pop(|_, _, _| panic!("delivered")), Popped::Broken);
        }
        slot(0).write(0);

        // A consumer that claims to have released what was never sent.
        memory.add(8).cast::<u64>().write(1 << 40);
        assert_eq!(producer.push([0; 3], body.as_ptr(), 100), Pushed::Full);
        memory.add(8).cast::<u64>().write(0);
        for _ in 0..8 {
            assert_eq!(producer.push([0; 3], body.as_ptr(), 100), Pushed::Cold);
        }
        memory.add(8).cast::<u64>().write(8);
        memory.add(16).cast::<u64>().write(u64::MAX / 2);
        assert_eq!(producer.push([0; 3], body.as_ptr(), 100), Pushed::Full);
        std::alloc::dealloc(memory, layout);
    }
}
