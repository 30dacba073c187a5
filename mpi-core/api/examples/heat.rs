//! The heat equation on a rod: each rank has a piece of it and exchanges the cells at its ends with
//! its neighbours, while it computes the cells within.

use mpi_core::{Communicator, Result, scope};

const CELLS: usize = 240;
const STEPS: usize = 500;
const RATE: f64 = 0.2;

fn initial(cell: usize) -> f64 {
    if (60..100).contains(&cell) {
        100.0
    } else {
        (cell % 7) as f64
    }
}

fn step(left: f64, here: f64, right: f64) -> f64 {
    here + RATE * (left - 2.0 * here + right)
}

/// The whole rod at once. Its ends are insulated.
fn serial() -> Vec<f64> {
    let mut rod: Vec<f64> = (0..CELLS).map(initial).collect();
    for _ in 0..STEPS {
        let at = |cell: usize| rod[cell];
        rod = (0..CELLS)
            .map(|cell| {
                step(
                    at(cell.saturating_sub(1)),
                    at(cell),
                    at((cell + 1).min(CELLS - 1)),
                )
            })
            .collect();
    }
    rod
}

/// This rank's piece of the rod.
fn piece(world: &Communicator) -> Result<Vec<f64>> {
    let (rank, size) = (world.rank(), world.size());
    let (first, end) = (rank * CELLS / size, (rank + 1) * CELLS / size);
    // At the ends of the rod the neighbour is nobody: nothing is sent, and nothing received.
    let left = rank.checked_sub(1);
    let right = Some(rank + 1).filter(|&right| right < size);
    let mut cells: Vec<f64> = (first..end).map(initial).collect();
    let last = cells.len() - 1;
    for _ in 0..STEPS {
        // What an insulated end sees of itself, until a neighbour's cell comes.
        let (mut before, mut after) = (cells[0], cells[last]);
        let mut next = cells.clone();
        scope(|s| {
            world.irecv(s, &mut before, left, 1)?;
            world.irecv(s, &mut after, right, 2)?;
            world.isend(s, &cells[0], left, 2)?;
            world.isend(s, &cells[last], right, 1)?;
            for at in 1..last {
                next[at] = step(cells[at - 1], cells[at], cells[at + 1]);
            }
            Ok(())
        })?;
        let inner = |at: usize| if at < last { cells[at + 1] } else { after };
        next[0] = step(before, cells[0], inner(0));
        if last > 0 {
            next[last] = step(cells[last - 1], cells[last], after);
        }
        cells = next;
    }
    Ok(cells)
}

fn main() -> Result<()> {
    let universe = mpi_core::init()?;
    let world = universe.world();
    if world.size() > CELLS {
        world.abort(2, &format!("at most {CELLS} ranks, one cell each"));
    }
    let gathered = world.gather_v(&piece(&world)?, 0)?;
    if let Some(pieces) = gathered {
        let rod = pieces.concat();
        assert_eq!(rod, serial());
        println!(
            "{CELLS} cells after {STEPS} steps: {:.3} in the middle",
            rod[CELLS / 2]
        );
        println!("passed");
    }
    Ok(())
}
