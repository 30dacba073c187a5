//! Point-to-point communication and communicators, on several ranks.

use mpi_core::{
    Communicator, Datatype, Destination, ErrorClass, Result, Source, Tag, block_on, scope,
};

/// Items from zero-length messages to those that leave in pieces.
const LENGTHS: [usize; 5] = [0, 1, 7, 5_000, 300_000];

fn ring(world: &Communicator) -> (usize, usize) {
    let (rank, size) = (world.rank(), world.size());
    ((rank + 1) % size, (rank + size - 1) % size)
}

#[mpi_core::test(ranks = 3)]
fn slices_and_values_go_round(world: Communicator) -> Result<()> {
    let (next, previous) = ring(&world);
    for length in LENGTHS {
        let sent = vec![world.rank() as u32; length];
        let mut received = vec![99; length + 1];
        let status = world.sendrecv(&sent, next, 1, &mut received, previous, 1)?;
        assert_eq!(
            (status.count::<u32>(), status.source()),
            (Some(length), Some(previous))
        );
        assert_eq!(received[..length], vec![previous as u32; length]);
        assert_eq!(received[length], 99);
    }
    world.send(&1.5, next, 2)?;
    assert_eq!(world.recv::<f64>(previous, 2)?.0, 1.5);
    // An array is a value.
    world.send(&[1u8, 2, 3], next, 3)?;
    assert_eq!(world.recv::<[u8; 3]>(Source::Any, Tag::Any)?.0, [1, 2, 3]);
    if world.rank() == 0 {
        world.ssend("text".as_bytes(), 1, 4)?;
    } else if world.rank() == 1 {
        let status = world.probe(Source::Any, Tag::Any)?;
        assert_eq!(
            (status.source(), status.tag(), status.bytes()),
            (Some(0), Some(4), 4)
        );
        assert_eq!(world.recv_vec::<u8>(0, 4)?.0, b"text");
        assert_eq!(world.try_probe(Source::Any, Tag::Any)?, None);
    }
    Ok(())
}

#[mpi_core::test(ranks = 2)]
fn nobody_is_a_peer(world: Communicator) -> Result<()> {
    let nobody = world.rank().checked_sub(2);
    world.send(&1, nobody, 0)?;
    world.send(&1, Destination::Null, 0)?;
    let mut kept = 5;
    assert_eq!(world.recv_into(&mut kept, nobody, 0)?.source(), None);
    assert_eq!(kept, 5);
    assert_eq!(world.recv_vec::<u8>(Source::Null, 0)?.0, []);
    assert!(world.recv::<u8>(Source::Null, 0).is_err());
    Ok(())
}

#[mpi_core::test(ranks = 2)]
fn errors_say_what_is_wrong(world: Communicator) -> Result<()> {
    let error = world.send(&1, 2, 0).expect_err("there is no rank 2");
    assert_eq!(error.class(), ErrorClass::RANK, "{error}");
    assert!(error.sentence().contains('2'), "{error}");
    assert_eq!(
        world.send(&1, -1, 0).expect_err("no rank").class(),
        ErrorClass::RANK
    );
    assert_eq!(
        world.send(&1, 0, -5).expect_err("no tag").class(),
        ErrorClass::TAG
    );
    assert_eq!(
        world.recv_vec::<u8>(0, -2).expect_err("no tag").class(),
        ErrorClass::TAG
    );
    assert_eq!(
        world.broadcast(&mut 1, 2).expect_err("no root").class(),
        ErrorClass::ROOT
    );
    assert!(mpi_core::init().is_err(), "a second initialisation");
    if world.rank() == 0 {
        world.send(&[1u8; 10][..], 1, 0)?;
        world.send(&[1u8; 10][..], 1, 1)?;
        world.send(&[1u8; 10][..], 1, 2)?;
    } else {
        let error = world
            .recv_into(&mut [0u8; 4][..], 0, 0)
            .expect_err("too long");
        assert_eq!(error.class(), ErrorClass::TRUNCATE, "{error}");
        assert_eq!(error.status().and_then(|status| status.source()), Some(0));
        assert_eq!(
            world.recv_vec::<u32>(0, 1).expect_err("2.5 items").class(),
            ErrorClass::TYPE
        );
        assert!(world.recv::<u64>(0, 2).is_err());
    }
    world.barrier()
}

#[derive(Clone, Copy, Debug, PartialEq, Datatype)]
struct Padded<T> {
    flag: bool,
    value: T,
    small: (u8, u32),
    row: [Inner; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Datatype)]
struct Inner(u16, i8);

#[derive(Clone, Copy, Debug, PartialEq, Datatype)]
#[repr(C)]
struct Plain {
    position: [f64; 3],
    mass: f64,
}

#[mpi_core::test(ranks = 2)]
fn structs_travel_with_and_without_padding(world: Communicator) -> Result<()> {
    const {
        assert!(Plain::PLAIN && Plain::PACKED == 32);
        assert!(!Padded::<f64>::PLAIN && Padded::<f64>::PACKED == 1 + 8 + 5 + 6);
    }
    let other = 1 - world.rank();
    let padded = |number: usize| Padded {
        flag: number.is_multiple_of(2),
        value: number as f64,
        small: (number as u8, !(number as u32)),
        row: [Inner(number as u16, -1), Inner(7, number as i8)],
    };
    for length in [0, 1, 3, 20_000] {
        let sent: Vec<_> = (0..length).map(padded).collect();
        let plain: Vec<_> = (0..length)
            .map(|n| Plain {
                position: [n as f64; 3],
                mass: 1.0,
            })
            .collect();
        let mut blocking = vec![padded(9); length + 1];
        world.sendrecv(&sent, other, 0, &mut blocking, other, 0)?;
        assert_eq!(
            (&blocking[..length], blocking[length]),
            (&sent[..], padded(9))
        );
        let mut nonblocking = vec![padded(9); length];
        scope(|s| {
            let receive = world.irecv(s, &mut nonblocking, other, 1)?;
            world.isend(s, &sent, other, 1)?;
            assert_eq!(receive.wait()?.count::<Padded<f64>>(), Some(length));
            Ok(())
        })?;
        assert_eq!(nonblocking, sent);
        let receive = world.irecv_owned(vec![padded(1); length + 5], other, 2)?;
        let (back, _) = world.isend_owned(sent.clone(), other, 2)?.wait()?;
        assert_eq!(back, sent);
        assert_eq!(receive.wait()?.0, sent);
        let receive = world.irecv_owned(
            vec![
                plain.first().copied().unwrap_or(Plain {
                    position: [0.0; 3],
                    mass: 0.0
                });
                length
            ],
            other,
            3,
        )?;
        world.send(&plain, other, 3)?;
        assert_eq!(receive.wait()?.0, plain);
        world.send(&sent, 1 - other, 4)?;
        assert_eq!(world.recv_vec::<Padded<f64>>(1 - other, 4)?.0, sent);
    }
    Ok(())
}

#[mpi_core::test(ranks = 2)]
fn scopes_complete_what_they_start(world: Communicator) -> Result<()> {
    let other = 1 - world.rank();
    for length in LENGTHS {
        let sent = vec![length as u64; length];
        let (mut first, mut second) = (vec![0; length], vec![0; length]);
        scope(|s| {
            // Nobody waits for these.
            let _ = world.irecv(s, &mut first, other, 1)?;
            let _ = world.isend(s, &sent, other, 1)?;
            world.irecv(s, &mut second, other, 2)?;
            world.issend(s, &sent, other, 2)?;
            s.wait_all()
        })?;
        assert_eq!((&first, &second), (&sent, &sent));
    }
    // A request can be asked.
    let mut value = 0;
    scope(|s| {
        let mut request = world.irecv(s, &mut value, other, 3)?;
        world.send(&7, other, 3)?;
        loop {
            request = match request.test()? {
                Ok(status) => break assert_eq!(status.source(), Some(other)),
                Err(again) => again,
            };
        }
        Ok(())
    })?;
    assert_eq!(value, 7);
    // A failed operation is told, even if nobody waits for it.
    let mut short = [0u8; 2];
    let told = scope(|s| {
        world.irecv(s, &mut short, other, 4)?;
        world.send(&[1u8; 3], other, 4)
    });
    assert_eq!(told.expect_err("truncated").class(), ErrorClass::TRUNCATE);
    Ok(())
}

/// The receive that nothing matches would be waited for forever, and one that is matched later
/// would write to the stack.
#[mpi_core::test(ranks = 2)]
fn a_panic_in_a_scope_takes_its_operations_back(world: Communicator) -> Result<()> {
    let other = 1 - world.rank();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let (mut buffer, large) = ([0u8; 100], vec![1u8; 1 << 20]);
        scope(|s| -> Result<()> {
            world.irecv(s, &mut buffer, other, 77)?;
            world.isend(s, &large, other, 78)?;
            panic!("in a scope");
        })
    }));
    assert!(panicked.is_err());
    world.barrier()?;
    world.send(&5u8, other, 77)?;
    assert_eq!(world.recv::<u8>(other, 77)?.0, 5);
    world.barrier()
}

#[mpi_core::test(ranks = 2)]
fn owned_buffers_come_back(world: Communicator) -> Result<()> {
    let other = 1 - world.rank();
    for length in LENGTHS {
        let boxed: Box<[u16]> = vec![3; length + 2].into();
        let receive = world.irecv_owned(boxed, other, 0)?;
        let send = world.isend_owned(vec![9u16; length], other, 0)?;
        let (received, status) = receive.wait()?;
        assert_eq!(
            (&received[..], status.count::<u16>()),
            (&vec![9; length][..], Some(length))
        );
        assert_eq!(send.wait()?.0.len(), length);
        // Dropped ones: the receive is cancelled, the send arrives.
        drop(world.irecv_owned(vec![0u16; 4], other, 1)?);
        drop(world.isend_owned(vec![4u16; length], other, 2)?);
        core::mem::forget(world.isend_owned(vec![5u16; length], other, 3)?);
        assert_eq!(world.recv_vec::<u16>(other, 2)?.0, vec![4; length]);
        assert_eq!(world.recv_vec::<u16>(other, 3)?.0, vec![5; length]);
    }
    Ok(())
}

#[mpi_core::test(ranks = 2)]
fn requests_are_futures(world: Communicator) -> Result<()> {
    let other = 1 - world.rank();
    for round in 0..50u32 {
        let length = LENGTHS[round as usize % LENGTHS.len()];
        let received = block_on(async {
            let receive = world.irecv_owned(vec![0u32; length], other, 5)?;
            if world.rank() == 0 && round % 10 == 0 {
                // The other one has to sleep.
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            let send = world.isend_owned(vec![round; length], other, 5)?;
            let (received, _) = receive.await?;
            send.await?;
            Result::Ok(received)
        })?;
        assert_eq!(received, vec![round; length]);
    }
    Ok(())
}

#[mpi_core::test(ranks = 2)]
fn many_threads_await(world: Communicator) -> Result<()> {
    let other = 1 - world.rank();
    std::thread::scope(|threads| {
        for tag in 0..4 {
            let world = world.clone();
            threads.spawn(move || {
                for round in 0..50u32 {
                    let receive = world
                        .irecv_owned(vec![0u32; 100], other, tag)
                        .expect("posted");
                    world
                        .send(&[round, tag as u32][..], other, tag)
                        .expect("sent");
                    let (received, _) = block_on(receive).expect("received");
                    assert_eq!(received, [round, tag as u32]);
                }
            });
        }
    });
    Ok(())
}

#[mpi_core::test(ranks = 4)]
fn communicators_are_apart(world: Communicator) -> Result<()> {
    let (next, previous) = ring(&world);
    let copy = world.dup()?;
    copy.set_name("copy")?;
    assert_eq!(
        (copy.name()?, copy.rank(), copy.size()),
        ("copy".into(), world.rank(), 4)
    );
    world.send(&1, next, 0)?;
    copy.send(&2, next, 0)?;
    assert_eq!(copy.recv::<i32>(previous, 0)?.0, 2);
    assert_eq!(world.recv::<i32>(previous, 0)?.0, 1);
    let colour = (world.rank() != 3).then_some(0);
    let part = world.split(colour, -(world.rank() as i32))?;
    assert_eq!(
        part.as_ref().map(|part| (part.rank(), part.size())),
        colour.map(|_| (2 - world.rank(), 3))
    );
    assert_eq!(
        world.split(Some(-3), 0).expect_err("negative").class(),
        ErrorClass::ARG
    );
    // SAFETY: made by this crate, whose engine it is; `world` lives longer.
    let again = unsafe { Communicator::from_raw(world.as_raw())? };
    assert_eq!(again.size(), 4);
    // SAFETY: nothing is done with what is no communicator.
    assert!(unsafe { Communicator::from_raw(0x7777_7777) }.is_err());
    drop(copy);
    world.barrier()
}
