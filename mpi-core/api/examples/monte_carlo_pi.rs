//! Pi by throwing darts: rank 0 gives out work as values of serde and collects reports, in whatever
//! order they come.

use mpi_core::{Communicator, Result, Source, Tag};
use serde::{Deserialize, Serialize};

const CHUNKS: u64 = 40;
const DARTS: u64 = 20_000;

#[derive(Serialize, Deserialize)]
enum Order {
    Throw { chunk: u64, darts: u64 },
    Stop,
}

#[derive(Serialize, Deserialize)]
struct Report {
    chunk: u64,
    inside: u64,
    by: Option<String>,
}

/// Darts of a chunk that hit the circle: the same whoever throws them.
fn throw(chunk: u64, darts: u64) -> u64 {
    let mut state = chunk.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut coordinate = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let inside = |_: &u64| {
        let (x, y) = (coordinate(), coordinate());
        x * x + y * y <= 1.0
    };
    (0..darts).filter(inside).count() as u64
}

fn direct(world: &Communicator) -> Result<Vec<Option<u64>>> {
    let mut results = vec![None; CHUNKS as usize];
    let mut chunks = 0..CHUNKS;
    if world.size() == 1 {
        return Ok(chunks.map(|chunk| Some(throw(chunk, DARTS))).collect());
    }
    let order = |chunk: Option<u64>| match chunk {
        Some(chunk) => Order::Throw {
            chunk,
            darts: DARTS,
        },
        None => Order::Stop,
    };
    let mut working = world.size() - 1;
    for worker in 1..world.size() {
        let chunk = chunks.next();
        working -= usize::from(chunk.is_none());
        world.send_value(&order(chunk), worker, 0)?;
    }
    while working > 0 {
        let (report, status) = world.recv_value::<Report>(Source::Any, Tag::Any)?;
        results[report.chunk as usize] = Some(report.inside);
        let worker = status.source().expect("a report has a sender");
        assert_eq!(report.by, Some(format!("rank {worker}")));
        let chunk = chunks.next();
        working -= usize::from(chunk.is_none());
        world.send_value(&order(chunk), worker, 0)?;
    }
    Ok(results)
}

fn work(world: &Communicator) -> Result<()> {
    while let (Order::Throw { chunk, darts }, _) = world.recv_value(0, 0)? {
        let by = Some(format!("rank {}", world.rank()));
        world.send_value(
            &Report {
                chunk,
                inside: throw(chunk, darts),
                by,
            },
            0,
            1,
        )?;
    }
    Ok(())
}

fn main() -> Result<()> {
    let universe = mpi_core::init()?;
    let world = universe.world();
    if world.rank() != 0 {
        return work(&world);
    }
    let results = direct(&world)?;
    let inside: u64 = results
        .into_iter()
        .map(|inside| inside.expect("every chunk is reported"))
        .sum();
    assert_eq!(inside, (0..CHUNKS).map(|chunk| throw(chunk, DARTS)).sum());
    let pi = 4.0 * inside as f64 / (CHUNKS * DARTS) as f64;
    assert!((pi - std::f64::consts::PI).abs() < 0.02, "{pi}");
    println!("pi is about {pi:.4}");
    println!("passed");
    Ok(())
}
