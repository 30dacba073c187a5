//! Collective calls on which the members of a job disagree, at random: in the call, its root, its
//! type, or how many items there are.

use mpi_core::{Communicator, Result, block_on, op, op::Number, scope};

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// What a member calls.
#[derive(Clone, Copy, Debug)]
struct Call {
    kind: usize,
    root: usize,
    of: usize,
    length: usize,
}

const KINDS: usize = 21;
const TYPES: usize = 4;
const LENGTHS: [usize; 7] = [0, 1, 5, 300, 5_000, 70_000, 300_000];

impl Call {
    fn draw(random: &mut Random, size: usize) -> Call {
        Call {
            kind: random.below(KINDS),
            root: random.below(size),
            of: random.below(TYPES),
            length: LENGTHS[random.below(LENGTHS.len())],
        }
    }

    /// Another call in one respect.
    fn deviate(self, random: &mut Random, size: usize) -> Call {
        let other = Call::draw(random, size);
        match random.below(8) {
            0 => Call {
                kind: other.kind,
                ..self
            },
            1 | 2 => Call {
                root: other.root,
                ..self
            },
            3 => Call {
                of: other.of,
                ..self
            },
            4 => Call {
                length: self.length + 1,
                ..self
            },
            _ => Call {
                length: other.length,
                ..self
            },
        }
    }
}

/// All members draw the same, so each knows what it is to call.
fn make_calls(world: &Communicator, seed: u64) -> Result<()> {
    let mut random = Random(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let size = world.size();
    let deviates = random.below(3);
    for step in 0..3 {
        let call = Call::draw(&mut random, size);
        let mut own = call;
        let always = random.below(size);
        for member in 0..size {
            let other = call.deviate(&mut random, size);
            let is_other = random.below(3) == 0 || member == always;
            if step == deviates && is_other && member == world.rank() {
                own = other;
            }
        }
        let done = match own.of {
            0 => own.make(world, 1u8),
            1 => own.make(world, 2u32),
            2 => own.make(world, 3.0f64),
            _ => own.make(world, [4u16; 3]),
        };
        if let Err(error) = done {
            eprintln!("rank {} in {own:?}: {error}", world.rank());
            return Err(error);
        }
    }
    Ok(())
}

/// Makes the calls; of every other job, each member has a thread beside that awaits a message until
/// they have ended.
pub fn run(world: &Communicator, seed: u64) -> Result<()> {
    if seed % 2 == 0 {
        return make_calls(world, seed);
    }
    std::thread::scope(|threads| {
        let receive = world.irecv_owned(vec![0u8], world.rank(), 0)?;
        threads.spawn(|| block_on(receive).expect("a message of its own"));
        let made = make_calls(world, seed);
        world.send(&1u8, world.rank(), 0)?;
        made
    })
}

impl Call {
    fn make<T: Number>(self, world: &Communicator, item: T) -> Result<()> {
        let Call {
            kind, root, length, ..
        } = self;
        let (rank, size) = (world.rank(), world.size());
        let mut items = vec![item; length];
        let many = vec![item; length * size];
        let parts = vec![items.clone(); size];
        let (mut all, mut out) = (many.clone(), items.clone());
        match kind {
            0 => world.barrier(),
            1 => world.broadcast(&mut items, root),
            2 => world.broadcast_vec(&mut items, root),
            3 => world.gather(&items, root).map(drop),
            4 => world.gather_v(&items, root).map(drop),
            5 => world.all_gather(&items).map(drop),
            6 => world.all_gather_v(&items).map(drop),
            7 => world
                .scatter((rank == root).then_some(&many[..]), root)
                .map(drop),
            8 => world
                .scatter_v((rank == root).then_some(&parts[..]), root)
                .map(drop),
            9 => world.all_to_all(&many).map(drop),
            10 => world.all_to_all_v(&parts).map(drop),
            11 => world.all_reduce(&items, op::sum()).map(drop),
            12 => world.reduce(&items, op::max(), root).map(drop),
            13 => world.scan(&items, op::sum()).map(drop),
            14 => world.exscan(&items, op::min()).map(drop),
            15 => world.reduce_scatter(&many, op::sum()).map(drop),
            16 => scope(|s| world.ibroadcast(s, &mut items, root)?.wait()).map(drop),
            17 => scope(|s| world.iall_gather(s, &items, &mut all)?.wait()).map(drop),
            18 => scope(|s| {
                world
                    .iall_reduce(s, &items, &mut out, op::function(|a, _| a))?
                    .wait()
            })
            .map(drop),
            19 => scope(|s| {
                world
                    .ireduce(s, &items, Some(&mut out), op::sum(), root)?
                    .wait()
            })
            .map(drop),
            _ => scope(|s| world.iall_to_all(s, &many, &mut all)?.wait()).map(drop),
        }
    }
}
