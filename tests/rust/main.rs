//! A crate outside this workspace: what it does is named by its first argument.

mod disagree;
mod waiting;

use mpi_core::{Builder, Datatype, ErrorClass, Result, Threading, op, scope};

#[derive(Clone, Copy, Datatype)]
struct Cell {
    alive: bool,
    age: u32,
}

fn main() -> Result<()> {
    let what = std::env::args().nth(1).unwrap_or_default();
    let threading = if what == "funneled" {
        Threading::Funneled
    } else {
        Threading::Multiple
    };
    let universe = Builder::new().threading(threading).init()?;
    let world = universe.world();
    match &*what {
        "panic" if world.rank() == 1 => panic!("on purpose"),
        "panic" => world.barrier()?,
        "funneled" => {
            let other = world.clone();
            let told = std::thread::spawn(move || other.send(&1, 0, 0))
                .join()
                .expect("no panic");
            assert!(
                told.expect_err("another thread")
                    .sentence()
                    .contains("Threading::Multiple")
            );
            let received = mpi_core::block_on(async {
                let receive = world.irecv_owned(vec![0u8; 3], 0, 0)?;
                world.send(&[1u8, 2, 3], 0, 0)?;
                Result::Ok(receive.await?.0)
            })?;
            assert_eq!(received, [1, 2, 3]);
        }
        "finalized" => {
            universe.finalize()?;
            let error = world.send(&1, 0, 0).expect_err("finalised");
            assert_eq!(error.class(), ErrorClass::OTHER);
            assert!(world.dup().is_err() && world.barrier().is_err());
            assert!(mpi_core::init().is_err());
            println!("passed");
            return Ok(());
        }
        "panic-in-scope" if world.rank() == 1 => {
            // The others never come.
            let (own, mut sum) = (1, 0);
            scope(|s| -> Result<()> {
                world.iall_reduce(s, &own, &mut sum, op::sum())?;
                panic!("on purpose")
            })?;
        }
        "panic-in-scope" => drop(world.recv::<u8>(1, 0)?),
        "threads-wait" => return waiting::threads(universe),
        "late" => return waiting::late(universe),
        "never-received" => return waiting::sends(universe),
        "disagree" => {
            let seed = std::env::args().nth(2).and_then(|seed| seed.parse().ok());
            return disagree::run(&world, seed.expect("a seed"));
        }
        "within-scope" => {
            let mut never = 0;
            scope(|s| {
                world.irecv(s, &mut never, 0, 0)?;
                drop(universe);
                Ok(())
            })?;
            return Ok(());
        }
        _ => {
            let own = Cell {
                alive: true,
                age: world.rank() as u32,
            };
            let oldest = world.all_reduce(
                &own,
                op::function(|a: Cell, b: Cell| if a.age > b.age { a } else { b }),
            )?;
            assert!(oldest.alive && oldest.age as usize == world.size() - 1);
        }
    }
    world.barrier()?;
    if world.rank() == 0 {
        println!("passed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use mpi_core::{Communicator, Result};

    #[mpi_core::test(ranks = 4)]
    fn all_are_there(world: Communicator) -> Result<()> {
        assert_eq!(world.size(), 4);
        world.barrier()
    }

    #[mpi_core::test(ranks = 3)]
    #[ignore = "fails"]
    fn one_fails(world: Communicator) {
        println!("rank {} says this", world.rank());
        assert!(world.rank() != 1, "rank 1 is wrong");
        world.barrier().expect("never");
    }

    #[mpi_core::test(ranks = 2)]
    #[ignore = "fails"]
    fn one_returns_an_error(world: Communicator) -> Result<()> {
        world.send(&1, 5, 0)
    }

    #[mpi_core::test(ranks = 2, deadline = 100)]
    #[ignore = "hangs"]
    fn both_hang(world: Communicator) {
        let folder = std::env::var("BEGUN").expect("set by whoever runs this");
        std::fs::write(format!("{folder}/{}", world.rank()), "").expect("written");
        world.recv::<u8>(1 - world.rank(), 0).expect("never");
    }

    #[mpi_core::test(ranks = 2, deadline = 1)]
    #[ignore = "fails"]
    fn one_hangs(world: Communicator) {
        if world.rank() == 0 {
            world.recv::<u8>(1, 0).expect("never");
        }
    }
}
