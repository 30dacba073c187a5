//! What becomes of messages, wakers and values of the program when requests are dropped before they
//! are complete.

use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Wake;
use std::time::Duration;

use mpi_core::{Communicator, ErrorClass, OwnedRequest, Result, Source, Tag, block_on, op, scope};

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// Of a message: inline, eager, long.
const LENGTHS: [usize; 4] = [1, 20, 3_000, 120_000];
const MESSAGES: u32 = 50;
const TAGS: usize = 3;

/// Polls a future some times, and drops it if it is not ready by then: what a `select` does to whom
/// it does not choose.
fn a_few_polls<F: Future + Unpin>(mut future: F, polls: usize) -> Option<F::Output> {
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..polls {
        if let Poll::Ready(output) = Pin::new(&mut future).poll(&mut context) {
            return Some(output);
        }
        std::thread::yield_now();
    }
    None
}

fn sends(world: &Communicator, random: &mut Random) -> Result<()> {
    let mut under_way = Vec::new();
    for number in 0..MESSAGES {
        let length = LENGTHS[random.below(LENGTHS.len())];
        let tag = random.below(TAGS) as i32;
        under_way.push(world.isend_owned(vec![number; length], 1, tag)?);
        if random.below(4) == 0 {
            std::thread::sleep(Duration::from_micros(random.below(300) as u64));
        }
    }
    for send in under_way {
        send.wait()?;
    }
    Ok(())
}

/// All messages come, those of a tag in order, and so do all to whom takes any tag; however many
/// receives are dropped.
fn receives(world: &Communicator, random: &mut Random, seed: u64) -> Result<()> {
    let longest = LENGTHS[LENGTHS.len() - 1];
    let mut last = [None; TAGS];
    let mut seen = vec![false; MESSAGES as usize];
    let mut missing = MESSAGES;
    while missing > 0 {
        let tag = match random.below(2 * TAGS) {
            tag if tag < TAGS => Tag::Is(tag as i32),
            _ => Tag::Any,
        };
        let source = [Source::Rank(0), Source::Any][random.below(2)];
        let receive = world.irecv_owned(vec![0u32; longest], source, tag)?;
        let Some(done) = a_few_polls(receive, random.below(4)) else {
            continue;
        };
        let (items, status) = done?;
        let number = items[0];
        assert!(items.iter().all(|item| *item == number), "seed {seed}");
        assert!(!seen[number as usize], "seed {seed}: {number} came twice");
        seen[number as usize] = true;
        let before = last[status.tag().expect("a message has a tag") as usize].replace(number);
        assert!(
            before < Some(number),
            "seed {seed}: {before:?} before {number}"
        );
        if tag == Tag::Any {
            // Nothing that was sent earlier is left.
            let earlier = seen[..number as usize].iter().all(|seen| *seen);
            assert!(earlier, "seed {seed}: {number} overtook another");
        }
        missing -= 1;
    }
    assert_eq!(world.try_probe(Source::Any, Tag::Any)?, None, "seed {seed}");
    Ok(())
}

#[mpi_core::test(ranks = 2)]
fn dropped_receives_lose_no_message(world: Communicator) -> Result<()> {
    for seed in 1..=20u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        match world.rank() {
            0 => sends(&world, &mut random)?,
            _ => receives(&world, &mut random, seed)?,
        }
        world.barrier()?;
    }
    Ok(())
}

/// The message goes to a receive that has been waiting for it, also one of another thread, and to
/// oneself.
#[mpi_core::test(ranks = 2)]
fn a_message_goes_from_a_dropped_receive_to_the_next(world: Communicator) -> Result<()> {
    let other = 1 - world.rank();
    for to in [other, world.rank()] {
        let first = world.irecv_owned(vec![0u8; 8], to, 5)?;
        let second = world.irecv_owned(vec![0u8; 8], to, Tag::Any)?;
        world.send(&[1u8, 2, 3], to, 5)?;
        // Arrived at both, and no other message is sent before it is given back.
        world.barrier()?;
        drop(first);
        let (items, status) = block_on(second)?;
        assert_eq!((&items[..], status.tag()), (&[1, 2, 3][..], Some(5)));
        world.barrier()?;
    }
    std::thread::scope(|threads| {
        let first = world.irecv_owned(vec![0u8; 8], other, 6)?;
        let waits = threads.spawn(|| world.recv::<u8>(other, 6));
        world.send(&7u8, other, 6)?;
        std::thread::sleep(Duration::from_millis(20));
        drop(first);
        assert_eq!(waits.join().expect("no panic")?.0, 7);
        Result::Ok(())
    })?;
    // One that was too long is gone with its error, as is said.
    let short = world.irecv_owned(vec![0u8; 1], other, 7)?;
    world.send(&[1u8; 2], other, 7)?;
    // It has arrived when a later one has, but not when a barrier is over.
    world.send(&0u8, other, 8)?;
    world.recv::<u8>(other, 8)?;
    drop(short);
    world.barrier()?;
    assert_eq!(world.try_probe(other, 7)?, None);
    Ok(())
}

/// A task whose future awaits a receive, and which the receive's waker keeps alive.
struct Task {
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    woken: AtomicBool,
    gone: Arc<AtomicUsize>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.gone.fetch_add(1, Ordering::Release);
    }
}

/// A task that waits for this request, polled once; only its waker owns it.
fn forget_task(receive: OwnedRequest<Vec<u8>>, gone: &Arc<AtomicUsize>) {
    let task = Arc::new(Task {
        future: Mutex::new(Some(Box::pin(async move {
            let _ = receive.await;
        }))),
        woken: AtomicBool::new(false),
        gone: Arc::clone(gone),
    });
    let waker = Waker::from(Arc::clone(&task));
    let mut future = task.future.lock().expect("no panic");
    let polled = pin!(future.as_mut().expect("put there"))
        .as_mut()
        .poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
}

/// Dropping a waker drops its task, whose request takes itself out of the list that the waker was
/// in.
#[mpi_core::test(ranks = 2)]
fn wakers_that_own_their_tasks(world: Communicator) -> Result<()> {
    let other = 1 - world.rank();
    let gone = Arc::new(AtomicUsize::new(0));
    // One that is completed, and two that are when MPI is finalised, which this test's end is: its
    // deadline tells.
    forget_task(world.irecv_owned(vec![0], other, 1)?, &gone);
    world.barrier()?;
    world.send(&1u8, other, 1)?;
    while gone.load(Ordering::Acquire) == 0 {
        std::thread::yield_now();
    }
    forget_task(world.irecv_owned(vec![0], other, 2)?, &gone);
    forget_task(world.irecv_owned(vec![0], other, 3)?, &gone);
    world.barrier()
}

/// A waker that panics when it is woken keeps nobody else from being woken.
#[mpi_core::test(ranks = 1)]
fn a_waker_that_panics(world: Communicator) -> Result<()> {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker panics");
        }
    }
    let waker = Waker::from(Arc::new(Panics));
    let mut first = world.irecv_owned(vec![0u8], 0, 1)?;
    let polled = Pin::new(&mut first).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    world.send(&1u8, 0, 1)?;
    let second = world.irecv_owned(vec![0u8], 0, 2)?;
    std::thread::scope(|threads| {
        let waits = threads.spawn(|| block_on(second));
        std::thread::sleep(Duration::from_millis(20));
        world.send(&2u8, 0, 2)?;
        assert_eq!(waits.join().expect("no panic")?.0, [2]);
        assert_eq!(first.wait()?.0, [1]);
        Ok(())
    })
}

/// What a closure of the program holds, and what it panics with, may panic when it is dropped, with
/// other operations under way.
#[mpi_core::test(ranks = 2)]
fn values_that_panic_when_they_are_dropped(world: Communicator) -> Result<()> {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("a bomb");
            }
        }
    }
    let other = 1 - world.rank();
    let (own, mut sum, mut product, mut late) = (world.rank() + 2, 0, 0, [0u8; 100]);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let bomb = Bomb;
        scope(|s| {
            let function = op::function(move |a: usize, b| {
                let _held = &bomb;
                a + b
            });
            world.iall_reduce(s, &own, &mut sum, function)?;
            world.iall_reduce(s, &own, &mut product, op::product())?;
            world.irecv(s, &mut late, other, 0)?;
            world.send(&[own as u8; 100], other, 0)
        })
    }));
    assert!(panicked.is_err());
    assert_eq!((sum, product, late), (5, 6, [other as u8 + 2; 100]));
    world.barrier()
}

/// A collective that all have started is completed, though the program panics.
#[mpi_core::test(ranks = 3)]
fn a_panic_beside_a_collective(world: Communicator) -> Result<()> {
    let (own, mut sum) = (world.rank(), 0);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        scope(|s| -> Result<()> {
            world.iall_reduce(s, &own, &mut sum, op::sum())?;
            panic!("in a scope");
        })
    }));
    let payload = panicked.expect_err("the scope panicked");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"in a scope"));
    assert_eq!(sum, 3);
    world.barrier()
}

/// A closure of a reduction that drops requests, while a look at those that were dropped before
/// calls it.
#[mpi_core::test(ranks = 2)]
fn a_closure_that_drops_requests(world: Communicator) -> Result<()> {
    let other = 1 - world.rank();
    let (own, mut sum) = (vec![1u32; 20_000], vec![0; 20_000]);
    for _ in 0..5 {
        let send = world.isend_owned(vec![1u8; 100_000], other, 9)?;
        let receive = world.irecv_owned(vec![1u8; 100_000], other, 10)?;
        let (send, receive) = (Mutex::new(Some(send)), Mutex::new(Some(receive)));
        scope(|s| {
            let function = op::function(|a: u32, b| {
                drop(send.lock().expect("no panic").take());
                drop(receive.lock().expect("no panic").take());
                a + b
            });
            world.iall_reduce(s, &own, &mut sum, function)?;
            for _ in 0..20 {
                drop(world.isend_owned(vec![0u8; 100_000], other, 8)?);
                world.recv_vec::<u8>(other, 8)?;
            }
            Ok(())
        })?;
        assert_eq!(sum, [2; 20_000]);
        assert_eq!(world.recv_vec::<u8>(other, 9)?.0, [1; 100_000]);
    }
    world.barrier()
}

/// A send that is dropped and never received does not keep finalisation, which names it.
#[mpi_core::test(ranks = 2)]
fn a_send_that_nobody_receives_can_be_waited_for(world: Communicator) -> Result<()> {
    // What the end says of it is for a whole job to see: here it is received at last.
    if world.rank() == 0 {
        drop(world.isend_owned(vec![1u8; 1 << 20], 1, 4)?);
        world.barrier()?;
    } else {
        world.barrier()?;
        assert_eq!(world.recv_vec::<u8>(0, 4)?.0, [1; 1 << 20]);
    }
    let error = world.recv_vec::<u8>(7, 0).expect_err("no rank 7");
    assert_eq!(error.class(), ErrorClass::RANK);
    Ok(())
}
