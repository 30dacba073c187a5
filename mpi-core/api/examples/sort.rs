//! Sample sort of records: every rank sorts its part, splitters are agreed on, records move to the
//! rank of their range.

use mpi_core::{Communicator, Datatype, Result};

const RECORDS: usize = 5_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Datatype)]
struct Record {
    key: u32,
    origin: (u16, u8),
}

/// A rank's unsorted records.
fn records(rank: usize) -> Vec<Record> {
    let mut state = rank as u32 + 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    // Ranks have different numbers of them.
    (0..RECORDS + 100 * rank)
        .map(|at| Record {
            key: next(),
            origin: (rank as u16, at as u8),
        })
        .collect()
}

/// This rank's range of all records in order.
fn sort(world: &Communicator, mut own: Vec<Record>) -> Result<Vec<Record>> {
    let size = world.size();
    own.sort_unstable();
    let samples: Vec<Record> = (0..size).map(|part| own[part * own.len() / size]).collect();
    let mut samples = world.all_gather(&samples)?;
    samples.sort_unstable();
    let splitters: Vec<Record> = (1..size).map(|part| samples[part * size]).collect();
    let mut parts = vec![Vec::new(); size];
    for record in own {
        parts[splitters.partition_point(|splitter| *splitter <= record)].push(record);
    }
    let mut range = world.all_to_all_v(&parts)?.concat();
    range.sort_unstable();
    Ok(range)
}

fn main() -> Result<()> {
    let universe = mpi_core::init()?;
    let world = universe.world();
    let range = sort(&world, records(world.rank()))?;
    let before = world
        .exscan(&range.len(), mpi_core::op::sum())?
        .unwrap_or(0);
    if let Some(ranges) = world.gather_v(&range, 0)? {
        let mut serial: Vec<Record> = (0..world.size()).flat_map(records).collect();
        serial.sort_unstable();
        assert_eq!(ranges.concat(), serial);
        assert_eq!(before, 0);
        let lengths: Vec<usize> = ranges.iter().map(Vec::len).collect();
        println!("{} records sorted, {lengths:?} on the ranks", serial.len());
        println!("passed");
    }
    Ok(())
}
