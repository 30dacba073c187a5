//! Splitting a communicator by what its members share (MPI 5.0, section 7.4.2).
//!
//! Where a process is follows from what its launcher says of the job, not from the transport of its
//! messages: ranks of one node can share memory whatever they send by.
//!
//! Members may ask for nothing (`MPI_UNDEFINED`) where others ask for something, and do not know
//! what. So all make the same exchange, in which each tells all that any kind of split asks for.

use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::communicators::check_intra;
use crate::engine::communicators::{Pset, pset_named};
use crate::group::Members;
use crate::handle::{Comm, Info};
use crate::hardware::{RESOURCES, Resource};
use crate::status::UNDEFINED;
use crate::{Result, info};

/// The key of an info object that names a resource, and the name of a node.
pub const RESOURCE_KEY: &[u8] = b"mpi_hw_resource_type";
const NODE: &str = "mpi_shared_memory";

/// What members of a communicator can share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitType {
    /// The memory of a node.
    Node,
    /// The largest thing that not all of the communicator's members share. Its name is told in this
    /// info object, unless that is null.
    Part(Info),
    /// An instance of a resource of a node.
    Resource(Resource),
    /// The process itself.
    Process,
    /// The job.
    All,
    /// `MPI_UNDEFINED`, or a resource that is not known.
    Nothing,
}

impl SplitType {
    /// What the names of a resource or a process set say. What is not known splits into nothing, by
    /// the standard.
    pub fn guided(resource: Option<&[u8]>, pset: Option<&[u8]>) -> SplitType {
        let text = |bytes| core::str::from_utf8(bytes).ok();
        if let Some(name) = resource.and_then(text) {
            return match Resource::named(name) {
                _ if name == NODE => SplitType::Node,
                Some(resource) => SplitType::Resource(resource),
                None => SplitType::Nothing,
            };
        }
        match pset.and_then(text).and_then(pset_named) {
            Some(Pset::World) => SplitType::All,
            Some(Pset::Own) => SplitType::Process,
            None => SplitType::Nothing,
        }
    }

    /// A number of each kind of split: members that ask for different ones do not come together.
    fn kind(self) -> i32 {
        match self {
            SplitType::Nothing => 0,
            SplitType::Node => 1,
            SplitType::Part(_) => 2,
            SplitType::Process => 3,
            SplitType::All => 4,
            SplitType::Resource(resource) => {
                let known = RESOURCES.iter().position(|(_, other)| *other == resource);
                5 + known.expect("all resources are listed") as i32
            }
        }
    }
}

/// The node, and then the resources, from the largest to the smallest.
const LEVELS: usize = 1 + RESOURCES.len();

/// What every member tells the others.
#[derive(Clone, Copy)]
struct Ballot {
    kind: i32,
    key: i32,
    /// The context to use should it become rank 0.
    context: u64,
    /// Its colors at all levels.
    colors: [i32; LEVELS],
}

impl Ballot {
    const WORDS: usize = 4 + LEVELS;

    fn encode(&self) -> [[u8; 4]; Ballot::WORDS] {
        let mut words = [[0; 4]; Ballot::WORDS];
        words[0] = self.kind.to_le_bytes();
        words[1] = self.key.to_le_bytes();
        words[2] = (self.context as u32).to_le_bytes();
        words[3] = ((self.context >> 32) as u32).to_le_bytes();
        for (word, color) in words[4..].iter_mut().zip(self.colors) {
            *word = color.to_le_bytes();
        }
        words
    }

    fn decode(words: &[[u8; 4]]) -> Ballot {
        let half = |at: usize| u64::from(u32::from_le_bytes(words[at]));
        Ballot {
            kind: i32::from_le_bytes(words[0]),
            key: i32::from_le_bytes(words[1]),
            context: half(2) | half(3) << 32,
            colors: core::array::from_fn(|at| i32::from_le_bytes(words[4 + at])),
        }
    }
}

impl Engine {
    /// `MPI_Comm_split_type`: the members that share what `kind` names; [`Comm::NULL`] where that
    /// is nothing. Collective.
    pub fn comm_split_type(&self, comm: Comm, kind: SplitType, key: i32) -> Result<Comm> {
        let parent = self.comm(comm)?;
        if parent.is_inter() {
            return self.split_type_across(comm, kind, key);
        }
        let resources = RESOURCES.map(|(_, resource)| self.resource_color(resource));
        let mut colors = [self.node_color(); LEVELS];
        colors[1..].copy_from_slice(&resources);
        let mine = Ballot {
            kind: kind.kind(),
            key,
            context: self.comms.contexts().compose()?,
            colors,
        };
        let size = parent.size() as usize;
        let mut all = vec![0u8; size * Ballot::WORDS * 4];
        self.tell_each_other(parent, mine.encode().as_flattened(), &mut all)?;
        let words = all.as_chunks::<4>().0.chunks_exact(Ballot::WORDS);
        let ballots: Vec<Ballot> = words.map(Ballot::decode).collect();
        let level = match kind {
            SplitType::Nothing => return Ok(Comm::NULL),
            SplitType::Node => Some(0),
            SplitType::Part(told) => {
                let differs = |level: &usize| {
                    let first = ballots[0].colors[*level];
                    ballots.iter().any(|ballot| ballot.colors[*level] != first)
                };
                let Some(level) = (0..LEVELS).find(differs) else {
                    return Ok(Comm::NULL);
                };
                if colors[level] != UNDEFINED && told != Info::NULL {
                    let name = level.checked_sub(1).map_or(NODE, |at| RESOURCES[at].0);
                    info::set(told, RESOURCE_KEY, name.as_bytes())?;
                }
                Some(level)
            }
            SplitType::Resource(_) => Some((mine.kind - 4) as usize),
            SplitType::Process | SplitType::All => None,
        };
        // Of those that ask for the same.
        let color = |ballot: &Ballot, process: u32| match level {
            Some(level) => ballot.colors[level],
            None if kind == SplitType::All => 0,
            None => process as i32,
        };
        let own = color(&mine, self.job.rank);
        if own == UNDEFINED {
            return Ok(Comm::NULL);
        }
        let voters = parent.members();
        let mut members: Vec<(Ballot, u32)> = ballots.into_iter().zip(voters.iter()).collect();
        members
            .retain(|(ballot, process)| ballot.kind == mine.kind && color(ballot, *process) == own);
        // The sort is stable: equal keys keep the order of the parent's ranks.
        members.sort_by_key(|(ballot, _)| ballot.key);
        let context = members[0].0.context;
        let processes: Vec<u32> = members.into_iter().map(|(_, process)| process).collect();
        let members = Members::new(processes).by_session(voters.session().cloned());
        self.add_comm(context, Arc::new(members), parent)
    }

    /// The same for an intercommunicator, whose groups tell each other no more than colors.
    fn split_type_across(&self, comm: Comm, kind: SplitType, key: i32) -> Result<Comm> {
        let color = match kind {
            SplitType::Node => self.node_color(),
            SplitType::Part(_) => {
                return check_intra(self.comm(comm)?).map(|()| Comm::NULL);
            }
            SplitType::Resource(resource) => self.resource_color(resource),
            SplitType::Process => self.job.rank as i32,
            SplitType::All => 0,
            SplitType::Nothing => UNDEFINED,
        };
        self.comm_split(comm, color, key)
    }

    /// The color of the node that this process is on: its first rank, as the launcher places them.
    fn node_color(&self) -> i32 {
        self.job.first_of_node() as i32
    }

    /// The color of the instance of a resource that this process runs on, among those of all nodes.
    fn resource_color(&self, resource: Resource) -> i32 {
        /// More than a machine has processors, and few enough for 262,144 nodes.
        const INSTANCES: u32 = 8192;
        let instance = resource.instance().filter(|first| *first < INSTANCES);
        let color = instance.and_then(|first| {
            let color =
                u64::from(self.node_color() as u32) * u64::from(INSTANCES) + u64::from(first);
            i32::try_from(color).ok()
        });
        color.unwrap_or(UNDEFINED)
    }
}
