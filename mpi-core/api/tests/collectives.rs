//! Collective operations against what they are defined to give, on several ranks.

use mpi_core::{Communicator, Datatype, ErrorClass, Result, op};

/// Items from nothing to what is sent in pieces.
const LENGTHS: [usize; 4] = [0, 1, 13, 40_000];

/// A matrix product does not commute.
type Matrix = [u64; 4];

fn matrix(rank: usize) -> Matrix {
    [rank as u64 + 1, 2, 3, rank as u64 + 5]
}

fn times(a: Matrix, b: Matrix) -> Matrix {
    let dot = |i: usize, j: usize| {
        a[2 * i]
            .wrapping_mul(b[j])
            .wrapping_add(a[2 * i + 1].wrapping_mul(b[2 + j]))
    };
    [dot(0, 0), dot(0, 1), dot(1, 0), dot(1, 1)]
}

fn all(world: &Communicator) -> Result<()> {
    let (rank, size) = (world.rank(), world.size());
    world.barrier()?;
    for length in LENGTHS {
        let item = |rank: usize, at: usize| (at * 7 + rank * 3) as i64;
        let of = |rank: usize| -> Vec<i64> { (0..length).map(|at| item(rank, at)).collect() };
        let own = of(rank);
        let everybody: Vec<i64> = (0..size).flat_map(of).collect();
        for root in 0..size {
            let mut buffer = if rank == root {
                own.clone()
            } else {
                vec![-1; length]
            };
            world.broadcast(&mut buffer, root)?;
            assert_eq!(buffer, of(root));
            let mut buffer = if rank == root {
                own.clone()
            } else {
                Vec::new()
            };
            world.broadcast_vec(&mut buffer, root)?;
            assert_eq!(buffer, of(root));
            assert_eq!(
                world.gather(&own, root)?,
                (rank == root).then(|| everybody.clone())
            );
            let sums: Vec<i64> = (0..length)
                .map(|at| (0..size).map(|rank| item(rank, at)).sum())
                .collect();
            assert_eq!(
                world.reduce(&own, op::sum(), root)?,
                (rank == root).then_some(sums)
            );
            let all = (rank == root).then_some(&everybody[..]);
            assert_eq!(world.scatter(all, root)?, own);
            // Rank r has r items more.
            let longer = |rank: usize| vec![rank as u8; length + rank];
            let parts: Vec<_> = (0..size).map(longer).collect();
            assert_eq!(
                world.scatter_v((rank == root).then_some(&parts[..]), root)?,
                longer(rank)
            );
            assert_eq!(
                world.gather_v(&longer(rank), root)?,
                (rank == root).then_some(parts)
            );
        }
        assert_eq!(world.all_gather(&own)?, everybody);
        let longer = |rank: usize| vec![rank as u16; length + rank];
        assert_eq!(
            world.all_gather_v(&longer(rank))?,
            (0..size).map(longer).collect::<Vec<_>>()
        );
        let block = |from: usize, to: usize| vec![(from * 100 + to) as u32; length];
        let sent: Vec<u32> = (0..size).flat_map(|to| block(rank, to)).collect();
        let expected: Vec<u32> = (0..size).flat_map(|from| block(from, rank)).collect();
        assert_eq!(world.all_to_all(&sent)?, expected);
        let block =
            |from: usize, to: usize| vec![(from * 100 + to) as u32; (length + from + 2 * to) % 9];
        let sent: Vec<_> = (0..size).map(|to| block(rank, to)).collect();
        let expected: Vec<_> = (0..size).map(|from| block(from, rank)).collect();
        assert_eq!(world.all_to_all_v(&sent)?, expected);
        let greatest: Vec<i64> = of(size - 1);
        assert_eq!(world.all_reduce(&own, op::max())?, greatest);
        let offset = 0;
        assert_eq!(
            world.all_reduce(&own, op::commutative(|a: i64, b| a.max(b) + offset))?,
            greatest
        );
        let up_to = |end: usize| -> Vec<i64> {
            (0..length)
                .map(|at| (0..end).map(|r| item(r, at)).sum())
                .collect()
        };
        assert_eq!(world.scan(&own, op::sum())?, up_to(rank + 1));
        assert_eq!(
            world.exscan(&own, op::sum())?,
            (rank > 0).then(|| up_to(rank))
        );
        let sums: Vec<i64> = (0..length)
            .map(|at| (0..size).map(|from| item(from, at) + rank as i64).sum())
            .collect();
        let sent: Vec<i64> = (0..size)
            .flat_map(|to| own.iter().map(move |item| item + to as i64))
            .collect();
        assert_eq!(world.reduce_scatter(&sent, op::sum())?, sums);
    }
    // Nothing, of a type whose empty vectors begin at address 1.
    let (mut nothing, mut pairs) = (Vec::<u8>::new(), Vec::<(u8, u16)>::new());
    world.broadcast(&mut nothing, 0)?;
    world.broadcast(&mut pairs, 0)?;
    assert_eq!(world.gather(&pairs, 0)?, (rank == 0).then(Vec::new));
    assert_eq!(world.all_gather(&nothing)?, nothing);
    assert_eq!(world.all_gather_v(&nothing)?, vec![nothing.clone(); size]);
    assert_eq!(world.all_reduce(&nothing, op::sum())?, nothing);
    assert_eq!(world.scan(&nothing, op::max())?, nothing);
    assert_eq!(world.scatter((rank == 0).then_some(&pairs[..]), 0)?, pairs);
    // Order is kept, in every form.
    let product = |ranks: std::ops::Range<usize>| ranks.map(matrix).reduce(times);
    let own = matrix(rank);
    assert_eq!(
        Some(world.all_reduce(&own, op::function(times))?),
        product(0..size)
    );
    assert_eq!(
        world.reduce(&own, op::function(times), size - 1)?,
        product(0..size).filter(|_| rank == size - 1)
    );
    assert_eq!(
        Some(world.scan(&own, op::function(times))?),
        product(0..rank + 1)
    );
    assert_eq!(world.exscan(&own, op::function(times))?, product(0..rank));
    // A closure on items of the engine's own types, which does not commute: the left one.
    assert_eq!(
        world.all_reduce(&(rank as u32), op::function(|left, _| left))?,
        0
    );
    assert_eq!(
        world.reduce(&(rank as u32), op::function(|_, right| right), 0)?,
        (rank == 0).then_some(size as u32 - 1)
    );
    // Arrays are combined item by item; truths are combined as such.
    assert_eq!(
        world.all_reduce(&[1.0, 2.0], op::sum())?,
        [size as f64, 2.0 * size as f64]
    );
    assert!(world.all_reduce(&(rank == 0), op::any())?);
    assert_eq!(
        world.all_reduce(&[true, rank == 0][..], op::all())?,
        [true, size == 1]
    );
    assert_eq!(
        world.all_reduce(&(1u8 << rank), op::bit_or())?,
        ((1u32 << size) - 1) as u8
    );
    assert_eq!(
        world.all_reduce(&2u32, op::product())?,
        2u32.pow(size as u32)
    );
    assert_eq!(world.all_reduce(&(rank as f32), op::min())?, 0.0);
    Ok(())
}

#[mpi_core::test(ranks = 1)]
fn all_on_one(world: Communicator) -> Result<()> {
    all(&world)
}

#[mpi_core::test(ranks = 2)]
fn all_on_two(world: Communicator) -> Result<()> {
    all(&world)
}

#[mpi_core::test(ranks = 3)]
fn all_on_three(world: Communicator) -> Result<()> {
    all(&world)
}

#[mpi_core::test(ranks = 7)]
fn all_on_seven(world: Communicator) -> Result<()> {
    all(&world)
}

#[derive(Clone, Copy, Debug, PartialEq, Datatype)]
struct Best {
    error: f64,
    rank: u8,
}

#[mpi_core::test(ranks = 3)]
fn structs_are_collected_and_reduced(world: Communicator) -> Result<()> {
    let own = Best {
        error: (world.rank() as f64 - 1.0).abs(),
        rank: world.rank() as u8,
    };
    let best = world.all_reduce(
        &own,
        op::function(|a: Best, b: Best| if a.error <= b.error { a } else { b }),
    )?;
    assert_eq!(
        best,
        Best {
            error: 0.0,
            rank: 1
        }
    );
    assert_eq!(
        world.gather(&own, 2)?.map(|all| all[1]),
        (world.rank() == 2).then_some(best)
    );
    let mut told = own;
    world.broadcast(&mut told, 1)?;
    assert_eq!(told, best);
    assert_eq!(world.all_gather(&[own, own][..])?[2..4], [best, best]);
    assert_eq!(world.all_to_all(&vec![own; 3])?[1], best);
    let mut several = if world.rank() == 1 {
        vec![own; 5]
    } else {
        Vec::new()
    };
    world.broadcast_vec(&mut several, 1)?;
    assert_eq!(several, [best; 5]);
    Ok(())
}

#[mpi_core::test(ranks = 2)]
fn a_panic_in_an_operation_comes_after_it(world: Communicator) -> Result<()> {
    let first = world.rank() == 0;
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        world.all_reduce(
            &1u32,
            op::function(|a, _| if first { panic!("in an operation") } else { a }),
        )
    }));
    assert_eq!(caught.is_err(), first);
    assert_eq!(world.all_reduce(&1u32, op::sum())?, 2);
    Ok(())
}

#[mpi_core::test(ranks = 3)]
fn what_does_not_fit_is_told_to_all(world: Communicator) -> Result<()> {
    let items = [1, 2, 3, 4];
    let error = world
        .scatter((world.rank() == 0).then_some(&items[..]), 0)
        .expect_err("4 among 3");
    assert_eq!(error.class(), ErrorClass::COUNT, "{error}");
    assert!(world.scatter::<u8>(None, 1).is_err());
    assert!(
        world
            .scatter_v((world.rank() == 0).then_some(&[vec![1]][..]), 0)
            .is_err()
    );
    assert!(world.all_to_all(&items[..]).is_err());
    assert!(world.all_to_all_v(&[vec![1]]).is_err());
    world.barrier()
}

#[cfg(feature = "serde")]
#[mpi_core::test(ranks = 3)]
fn values_of_serde(world: Communicator) -> Result<()> {
    use std::collections::BTreeMap;
    let own: BTreeMap<String, Vec<usize>> =
        [("ranks".to_owned(), vec![world.rank(); world.rank()])].into();
    let of = |rank: usize| -> BTreeMap<String, Vec<usize>> {
        [("ranks".to_owned(), vec![rank; rank])].into()
    };
    let every: Vec<_> = (0..3).map(of).collect();
    assert_eq!(
        world.broadcast_value((world.rank() == 1).then_some(own.clone()), 1)?,
        of(1)
    );
    assert_eq!(
        world.gather_values(&own, 2)?,
        (world.rank() == 2).then(|| every.clone())
    );
    assert_eq!(world.all_gather_values(&own)?, every);
    assert!(world.broadcast_value::<u8>(None, 1).is_err());
    let (next, previous) = ((world.rank() + 1) % 3, (world.rank() + 2) % 3);
    world.send_value(&own, next, 0)?;
    assert_eq!(
        world
            .recv_value::<BTreeMap<String, Vec<usize>>>(previous, 0)?
            .0,
        of(previous)
    );
    world.send(&[255u8; 3], next, 1)?;
    assert_eq!(
        world
            .recv_value::<String>(previous, 1)
            .expect_err("no string")
            .class(),
        ErrorClass::TYPE
    );
    Ok(())
}

/// Items without a size lie nowhere: at an address that must not be taken for what MPI says by an
/// address.
fn nothing<T: Datatype + PartialEq + std::fmt::Debug>(world: &Communicator, item: T) -> Result<()> {
    const { assert!(T::PACKED == 0) }
    let (rank, size) = (world.rank(), world.size());
    for length in [0, 1, 3] {
        let (own, all) = (vec![item; length], vec![item; length * size]);
        let (parts, at_root) = (vec![own.clone(); size], rank == 0);
        let mut buffer = own.clone();
        world.broadcast(&mut buffer, 0)?;
        world.broadcast_vec(&mut buffer, 0)?;
        assert_eq!(buffer, own);
        assert_eq!(world.gather(&own, 0)?, at_root.then(|| all.clone()));
        assert_eq!(world.gather_v(&own, 0)?, at_root.then(|| parts.clone()));
        assert_eq!(world.all_gather(&own)?, all);
        assert_eq!(world.all_gather_v(&own)?, parts);
        assert_eq!(world.scatter(at_root.then_some(&all[..]), 0)?, own);
        assert_eq!(world.scatter_v(at_root.then_some(&parts[..]), 0)?, own);
        assert_eq!(world.all_to_all(&all)?, all);
        assert_eq!(world.all_to_all_v(&parts)?, parts);
        let first = || op::function(|a: T, _| a);
        assert_eq!(world.all_reduce(&own, first())?, own);
        assert_eq!(
            world.reduce(&own, first(), 0)?,
            at_root.then(|| own.clone())
        );
        assert_eq!(world.scan(&own, first())?, own);
        assert_eq!(
            world.exscan(&own, first())?,
            (rank > 0).then(|| own.clone())
        );
        assert_eq!(world.reduce_scatter(&all, first())?, own);
        let (mut gathered, mut dealt, mut reduced) = (all.clone(), all.clone(), own.clone());
        let mut at_root = own.clone();
        mpi_core::scope(|s| {
            world.ibroadcast(s, &mut buffer, 0)?;
            world.iall_gather(s, &own, &mut gathered)?;
            world.iall_to_all(s, &all, &mut dealt)?;
            world.iall_reduce(s, &own, &mut reduced, first())?;
            world.ireduce(s, &own, Some(&mut at_root), first(), 0)?;
            Ok(())
        })?;
        let (next, previous) = ((rank + 1) % size, (rank + size - 1) % size);
        world.sendrecv(&own, next, 1, &mut buffer, previous, 1)?;
        world.send(&own, next, 2)?;
        world.recv_into(&mut buffer, previous, 2)?;
        let receive = world.irecv_owned(own.clone(), previous, 3)?;
        world.isend_owned(own.clone(), next, 3)?.wait()?;
        receive.wait()?;
        world.send(&own, next, 4)?;
        world.recv_vec::<T>(previous, 4)?;
    }
    world.all_gather(&item).map(drop)
}

#[mpi_core::test(ranks = 3)]
fn items_without_a_size(world: Communicator) -> Result<()> {
    #[derive(Clone, Copy, Debug, PartialEq, Datatype)]
    struct Nothing;
    #[derive(Clone, Copy, Debug, PartialEq, Datatype)]
    #[repr(align(1024))]
    struct Aligned;
    nothing(&world, core::marker::PhantomData::<u8>)?;
    nothing(&world, [0u8; 0])?;
    nothing(&world, [0u64; 0])?;
    nothing(&world, [false; 0])?;
    nothing(&world, Nothing)?;
    nothing(&world, Aligned)
}

fn nonblocking(world: &Communicator) -> Result<()> {
    let (rank, size) = (world.rank(), world.size());
    for length in [0, 1, 1000, 40_000] {
        let of = |rank: usize| -> Vec<(u8, i64)> {
            (0..length)
                .map(|at| (rank as u8, (at * rank) as i64))
                .collect()
        };
        let numbers =
            |rank: usize| -> Vec<u32> { (0..length).map(|at| (at + rank) as u32).collect() };
        let everybody: Vec<(u8, i64)> = (0..size).flat_map(of).collect();
        let (pairs, own) = (of(rank), numbers(rank));
        let mut told = if rank == size - 1 {
            pairs.clone()
        } else {
            of(size)
        };
        let mut gathered = everybody.clone();
        gathered.fill((0, 0));
        let parts: Vec<u32> = (0..size)
            .flat_map(|to| vec![(rank * size + to) as u32; length])
            .collect();
        let mut dealt = vec![0; parts.len()];
        let (mut sums, mut last, mut at_root) = (vec![0; length], pairs.clone(), vec![0; length]);
        let offset = 3;
        mpi_core::scope(|s| {
            // All under way at once.
            let barrier = world.ibarrier(s)?;
            world.ibroadcast(s, &mut told, size - 1)?;
            world.iall_gather(s, &pairs, &mut gathered)?;
            world.iall_to_all(s, &parts, &mut dealt)?;
            world.iall_reduce(s, &own, &mut sums, op::sum())?;
            // Pairs, of which the engine has no type, and a closure that borrows.
            world.iall_reduce(
                s,
                &pairs,
                &mut last,
                op::function(|a: (u8, i64), b: (u8, i64)| (b.0, a.1 + b.1 + offset)),
            )?;
            world.ireduce(s, &own, (rank == 0).then_some(&mut at_root), op::max(), 0)?;
            barrier.wait()?;
            Ok(())
        })?;
        assert_eq!(told, of(size - 1));
        assert_eq!(gathered, everybody);
        let expected: Vec<u32> = (0..size)
            .flat_map(|from| vec![(from * size + rank) as u32; length])
            .collect();
        assert_eq!(dealt, expected);
        let all = |at: usize| (0..size).map(move |rank| (at + rank) as u32);
        assert_eq!(
            sums,
            (0..length).map(|at| all(at).sum()).collect::<Vec<u32>>()
        );
        let sum = |at: usize| {
            (0..size).map(|rank| (at * rank) as i64).sum::<i64>() + offset * (size as i64 - 1)
        };
        let expected: Vec<_> = (0..length).map(|at| (size as u8 - 1, sum(at))).collect();
        assert_eq!(last, expected);
        if rank == 0 {
            assert_eq!(
                at_root,
                (0..length)
                    .map(|at| (at + size - 1) as u32)
                    .collect::<Vec<_>>()
            );
        }
    }
    Ok(())
}

#[mpi_core::test(ranks = 1)]
fn nonblocking_on_one(world: Communicator) {
    nonblocking(&world).unwrap();
}

#[mpi_core::test(ranks = 4)]
fn nonblocking_on_four(world: Communicator) {
    nonblocking(&world).unwrap();
}

#[mpi_core::test(ranks = 2)]
fn a_nonblocking_operation_that_panics_ends_all_of_its_scope(world: Communicator) {
    let (own, mut sum, mut all) = (world.rank(), 0, vec![9; 2]);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        mpi_core::scope(|s| {
            world.iall_gather(s, &own, &mut all)?;
            world.iall_reduce(
                s,
                &own,
                &mut sum,
                op::function(|_: usize, _| panic!("as asked")),
            )?;
            Ok(())
        })
    }));
    let payload = panicked.expect_err("the closure panicked");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"as asked"));
    assert_eq!(all, [0, 1]);
    let room = mpi_core::scope(|s| world.iall_gather(s, &own, &mut sum).map(|_| ()));
    assert_eq!(room.unwrap_err().class(), ErrorClass::COUNT);
    world.barrier().unwrap();
}
