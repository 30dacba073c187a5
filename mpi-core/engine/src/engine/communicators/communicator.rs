//! Communicators: what a communicator is, and the questions that can be asked of it (MPI 5.0,
//! sections 7.4 and 7.8).

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use super::bsend_buffers::SharedBuffers;
use super::call_log::Calls;
use super::collective_state::CollectiveState;
use crate::attribute::{Attributes, Owner};
use crate::engine::Engine;
use crate::errhandler::{Attached, Slot};
use crate::group::Members;
use crate::handle::{Comm, Group, Info};
use crate::status::ROOT;
use crate::sync::{Class, ClassLock};
use crate::topology::Topology;
use crate::{Error, ErrorClass, Result, info};

/// The longest name of an object, in bytes without the terminator of C: `MPI_MAX_OBJECT_NAME` - 1.
pub const MAX_NAME: usize = 127;

/// The lowest bit of a context: set for collective operations.
const COLLECTIVE: u64 = 1;
/// Set in contexts that a process composed; those of the predefined communicators are small.
const COMPOSED: u64 = 1 << 63;

/// How the messages of a communicator find their way.
pub(crate) struct Route {
    context: u64,
    rank: i32,
    /// The process of rank 0, when the others follow in order; otherwise `members` is asked.
    first: Option<u32>,
    /// Those to whom ranks refer: in an intercommunicator the remote group.
    members: Arc<Members>,
}

impl Route {
    fn new(context: u64, rank: i32, members: Arc<Members>) -> Route {
        Route {
            context,
            rank,
            first: members.first_if_consecutive(),
            members,
        }
    }

    /// The rank of a process that is known to be a member.
    pub(in crate::engine) fn rank_of(&self, process: u32) -> i32 {
        let rank = self.members.rank_of(process);
        rank.expect("groups are checked against the communicator") as i32
    }

    /// The context of the messages of collective operations.
    pub(crate) fn collective_context(&self) -> u64 {
        self.context | COLLECTIVE
    }

    /// This process's rank.
    #[inline]
    pub(crate) fn rank(&self) -> i32 {
        self.rank
    }

    /// The process of a rank that is known to lie within the communicator.
    #[inline]
    pub(crate) fn process(&self, rank: i32) -> u32 {
        match self.first {
            Some(first) => first + rank as u32,
            None => self.members.process(rank as u32),
        }
    }
}

/// A communicator. It outlives its handle: whatever is under way in it keeps it (see
/// [`Engine::comm_free`]).
pub struct CommData {
    route: Route,
    /// Its handle; the null one until it has one, and when it was freed. Relaxed: the program
    /// orders making, use and freeing.
    handle: AtomicU32,
    size: i32,
    /// How many ranks messages can go to: in an intercommunicator those of the remote group.
    peers: i32,
    inter: Option<Inter>,
    /// What its collective operations need.
    pub(super) collectives: CollectiveState,
    /// Buffered messages that go through a buffer of the communicator's own.
    pub(in crate::engine) buffers: SharedBuffers,
    /// Who is whose neighbour. Set before the maker gives the handle away.
    topology: OnceLock<Topology>,
    /// Hints that the program has given: what it promises not to do.
    hints: ClassLock<Vec<Hint>>,
    name: ClassLock<String>,
    /// Attributes cached on the communicator (MPI 5.0, section 7.7).
    pub attributes: Attributes,
    /// The error handler attached to it (MPI 5.0, section 9.3).
    pub errhandler: Slot,
}

/// What an intercommunicator has more than a communicator.
pub(in crate::engine) struct Inter {
    /// The group that this process is in.
    pub(in crate::engine) local: Arc<Members>,
    /// A communicator of that group, for what its members have to agree on. It has no handle.
    pub(in crate::engine) within: Arc<CommData>,
    /// Whether the local group is the one whose rank 0 composes contexts: the other side says the
    /// opposite.
    pub(in crate::engine) is_low: bool,
}

/// A hint: key and value.
type Hint = (&'static str, bool);

/// The hints of communicators (MPI 5.0, section 7.4.4). They are assertions, which nothing is made
/// of yet; all are false until they are set.
const HINTS: [&str; 4] = [
    "mpi_assert_no_any_tag",
    "mpi_assert_no_any_source",
    "mpi_assert_exact_length",
    "mpi_assert_allow_overtaking",
];

/// How two communicators compare: the values of `MPI_Comm_compare`.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The same object
    Ident = 201,
    /// Same members in the same order, other context
    Congruent = 202,
    /// Same members in another order
    Similar = 203,
    /// Other members
    Unequal = 204,
}

impl CommData {
    pub(in crate::engine) fn new(
        context: u64,
        own: u32,
        members: Arc<Members>,
        name: &str,
    ) -> CommData {
        let rank = members.rank_of(own).expect("this process is a member") as i32;
        CommData {
            size: members.size() as i32,
            peers: members.size() as i32,
            inter: None,
            collectives: CollectiveState::new(Calls::new(members.clone(), None)),
            route: Route::new(context, rank, members),
            handle: AtomicU32::new(Comm::NULL.0),
            buffers: SharedBuffers::new(),
            topology: OnceLock::new(),
            hints: ClassLock::new(Class::Leaf, Vec::new()),
            name: ClassLock::new(Class::Leaf, name.to_owned()),
            attributes: Attributes::new(Owner::Comm),
            errhandler: Slot::new(Attached::FATAL),
        }
    }

    /// An intercommunicator of these groups. Its local group's hidden communicator has the context
    /// after its own.
    pub(in crate::engine) fn across(
        context: u64,
        own: u32,
        local: Arc<Members>,
        remote: Arc<Members>,
        is_low: bool,
    ) -> CommData {
        let mut made = CommData::new(context, own, local.clone(), "");
        made.peers = remote.size() as i32;
        made.collectives = CollectiveState::new(Calls::new(local.clone(), Some(remote.clone())));
        made.route = Route::new(context, made.route.rank, remote);
        let within = CommData::new(Contexts::after(context), own, local.clone(), "");
        made.inter = Some(Inter {
            local,
            within: within.into(),
            is_low,
        });
        made
    }

    /// The context of point-to-point messages.
    #[inline]
    pub(crate) fn context(&self) -> u64 {
        self.route.context
    }

    /// Sets the context of a communicator that nobody has a handle of yet; in an intercommunicator
    /// also that of the hidden one.
    pub(in crate::engine) fn set_context(&mut self, context: u64) {
        self.route.context = context;
        if let Some(inter) = &mut self.inter {
            let within = Arc::get_mut(&mut inter.within);
            let within = within.expect("nobody has used it");
            within.set_context(Contexts::after(context));
        }
    }

    /// Its handle, or the null one when it was freed.
    pub fn handle(&self) -> Comm {
        Comm(self.handle.load(Ordering::Relaxed))
    }

    /// The same communicator with this handle; [`Comm::NULL`]: it is freed.
    pub(in crate::engine) fn set_handle(&self, handle: Comm) {
        self.handle.store(handle.0, Ordering::Relaxed);
    }

    /// How its messages find their way.
    pub(crate) fn route(&self) -> &Route {
        &self.route
    }

    /// This process's rank.
    #[inline]
    pub fn rank(&self) -> i32 {
        self.route.rank
    }

    /// Number of processes; of an intercommunicator in the local group.
    #[inline]
    pub fn size(&self) -> i32 {
        self.size
    }

    /// Number of processes that messages can go to: [`CommData::size`], but in an intercommunicator
    /// the size of the remote group.
    #[inline]
    pub fn peers(&self) -> i32 {
        self.peers
    }

    /// Whether there are two groups.
    #[inline]
    pub fn is_inter(&self) -> bool {
        self.inter.is_some()
    }

    /// Whether this process's group is the one whose rank 0 composes contexts, in an
    /// intercommunicator.
    pub(crate) fn as_origin(&self) -> Option<bool> {
        self.inter.as_ref().map(|inter| inter.is_low)
    }

    /// What makes it an intercommunicator, if it is one.
    pub(in crate::engine) fn inter(&self) -> Option<&Inter> {
        self.inter.as_ref()
    }

    /// The members, in the order of rank; of an intercommunicator those of the local group.
    pub fn members(&self) -> &Arc<Members> {
        match &self.inter {
            None => &self.route.members,
            Some(inter) => &inter.local,
        }
    }

    /// Those that messages can go to: the remote group of an intercommunicator.
    pub(in crate::engine) fn remote_members(&self) -> &Arc<Members> {
        &self.route.members
    }

    /// The process of a rank that is known to lie among those that messages can go to.
    #[inline]
    pub(crate) fn process(&self, rank: i32) -> u32 {
        self.route.process(rank)
    }

    /// The topology, where there is one.
    pub(crate) fn topology(&self) -> Option<&Topology> {
        self.topology.get()
    }

    /// Gives the communicator its topology.
    pub(in crate::engine) fn set_topology(&self, topology: Topology) {
        let set = self.topology.set(topology);
        debug_assert!(set.is_ok(), "a communicator gets one topology");
    }

    /// Takes over the hints that are known. `MPI_ERR_INFO_VALUE` for one that is neither true nor
    /// false.
    pub(in crate::engine) fn set_hints(&self, info: Info) -> Result<()> {
        if info == Info::NULL {
            return Ok(());
        }
        let mut given = Vec::new();
        for key in HINTS {
            match info::get(info, key.as_bytes())?.as_deref() {
                None => {}
                Some(b"true") => given.push((key, true)),
                Some(b"false") => given.push((key, false)),
                Some(other) => {
                    let other = String::from_utf8_lossy(other);
                    return Err(Error::new(
                        ErrorClass::INFO_VALUE,
                        format!("the hint {key} is {other:?}, not true or false"),
                    ));
                }
            }
        }
        let mut hints = self.hints.lock();
        hints.retain(|(key, _)| given.iter().all(|(new, _)| new != key));
        hints.extend(given);
        Ok(())
    }

    #[cold]
    pub(crate) fn bad_rank(&self, what: &str, rank: i32) -> Error {
        let (name, size) = (self.name.lock().clone(), self.peers);
        let name = match (name.is_empty(), self.is_inter()) {
            (false, false) => name,
            (false, true) => format!("the remote group of {name}"),
            (true, false) => "the communicator".to_owned(),
            (true, true) => "the remote group".to_owned(),
        };
        Error::new(
            ErrorClass::RANK,
            format!(
                "{what} rank {rank} is not in {name}, whose ranks are 0 to {}",
                size - 1
            ),
        )
    }
}

impl fmt::Debug for CommData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.lock();
        write!(f, "CommData({:#x}, {:?})", self.route.context, *name)
    }
}

/// Composes contexts. Two processes never compose the same one, nor does one process twice. Bit 62
/// is free in all of them.
pub(in crate::engine) struct Contexts {
    identity: u32,
    next: AtomicU32,
}

impl Contexts {
    pub(in crate::engine) const WORLD: u64 = 2;
    pub(in crate::engine) const OWN: u64 = 4;

    /// `job` is any number that all processes of a job share and two jobs hardly do.
    pub(in crate::engine) fn new(job: u32, rank: u32) -> Contexts {
        Contexts {
            identity: job.wrapping_add(rank) & 0x3fff_ffff,
            next: AtomicU32::new(1),
        }
    }

    pub(in crate::engine) fn compose(&self) -> Result<u64> {
        self.compose_some(1)
    }

    /// A context for an intercommunicator, which its groups' own communicators have the next one
    /// of: see [`Contexts::after`].
    pub(in crate::engine) fn compose_pair(&self) -> Result<u64> {
        self.compose_some(2)
    }

    /// The second of a pair of contexts.
    pub(in crate::engine) fn after(first: u64) -> u64 {
        first + (1 << 1)
    }

    fn compose_some(&self, some: u32) -> Result<u64> {
        let number = self.next.fetch_add(some, Ordering::Relaxed);
        if number >= (u32::MAX >> 1) - 1 {
            return Err(Error::new(
                ErrorClass::OTHER,
                "this process has led the making of 2,147,483,647 communicators, the most there \
                 can be",
            ));
        }
        Ok(COMPOSED | u64::from(self.identity) << 32 | u64::from(number) << 1)
    }
}

impl Engine {
    /// The communicator that a handle names.
    #[inline]
    pub fn comm(&self, comm: Comm) -> Result<&CommData> {
        self.shared_comm(comm).map(|shared| &**shared)
    }

    /// The same, for those who keep it.
    #[inline]
    pub(in crate::engine) fn shared_comm(&self, comm: Comm) -> Result<&Arc<CommData>> {
        if comm == Comm::WORLD {
            return Ok(&self.comms.world);
        }
        match self.comms.table.get(comm.0) {
            Some(data) => Ok(data),
            None => self.other_comm(comm),
        }
    }

    #[cold]
    fn other_comm(&self, comm: Comm) -> Result<&Arc<CommData>> {
        if comm == Comm::SELF {
            return Ok(&self.comms.itself);
        }
        let what = if comm == Comm::NULL {
            "the communicator is MPI_COMM_NULL".to_owned()
        } else {
            format!(
                "{:#x} is not a communicator; it may have been freed",
                comm.0
            )
        };
        Err(Error::new(ErrorClass::COMM, what))
    }

    /// `MPI_Comm_rank`
    #[inline]
    pub fn comm_rank(&self, comm: Comm) -> Result<i32> {
        Ok(self.comm(comm)?.rank())
    }

    /// `MPI_Comm_size`
    #[inline]
    pub fn comm_size(&self, comm: Comm) -> Result<i32> {
        Ok(self.comm(comm)?.size)
    }

    /// `MPI_Comm_test_inter`
    pub fn comm_test_inter(&self, comm: Comm) -> Result<bool> {
        Ok(self.comm(comm)?.is_inter())
    }

    /// How many ranks messages in a communicator can go to: as [`CommData::peers`].
    pub fn comm_peers(&self, comm: Comm) -> Result<i32> {
        Ok(self.comm(comm)?.peers())
    }

    /// Whether the arguments of a collective call that count at its root count in this process.
    pub fn is_root(&self, comm: Comm, root: i32) -> Result<bool> {
        let data = self.comm(comm)?;
        Ok(root == if data.is_inter() { ROOT } else { data.rank() })
    }

    /// `MPI_Comm_compare`
    pub fn comm_compare(&self, one: Comm, two: Comm) -> Result<Comparison> {
        let (a, b) = (self.comm(one)?, self.comm(two)?);
        if one == two {
            return Ok(Comparison::Ident);
        }
        if a.is_inter() != b.is_inter() {
            return Ok(Comparison::Unequal);
        }
        let compare = |a: &Members, b: &Members| match a.compare(b) {
            crate::group::Comparison::Identical => Comparison::Congruent,
            crate::group::Comparison::Similar => Comparison::Similar,
            crate::group::Comparison::Unequal => Comparison::Unequal,
        };
        let local = compare(a.members(), b.members());
        let remote = compare(a.remote_members(), b.remote_members());
        Ok(if local as i32 > remote as i32 {
            local
        } else {
            remote
        })
    }

    /// `MPI_Comm_get_name`; empty for a communicator that was not named.
    pub fn comm_get_name(&self, comm: Comm) -> Result<String> {
        Ok(self.comm(comm)?.name.lock().clone())
    }

    /// `MPI_Comm_set_name`; cut to [`MAX_NAME`] bytes at a character's end.
    pub fn comm_set_name(&self, comm: Comm, name: &str) -> Result<()> {
        let mut end = name.len().min(MAX_NAME);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name[..end].clone_into(&mut *self.comm(comm)?.name.lock());
        Ok(())
    }

    /// `MPI_Comm_set_info`: takes over the hints that are known, and leaves out the others.
    pub fn comm_set_info(&self, comm: Comm, info: Info) -> Result<()> {
        self.comm(comm)?.set_hints(info)
    }

    /// `MPI_Comm_get_info`: a new info object with the known hints as they are.
    pub fn comm_get_info(&self, comm: Comm) -> Result<Info> {
        let given = self.comm(comm)?.hints.lock().clone();
        let made = info::create()?;
        for key in HINTS {
            let is_set = given.contains(&(key, true));
            let value: &[u8] = if is_set { b"true" } else { b"false" };
            info::set(made, key.as_bytes(), value)?;
        }
        Ok(made)
    }

    /// `MPI_Comm_group`: a new handle of the communicator's group.
    pub fn comm_group(&self, comm: Comm) -> Result<Group> {
        let members = self.comm(comm)?.members().clone();
        self.add_group(members)
    }
}

/// For what is not defined between two groups.
pub(crate) fn check_intra(comm: &CommData) -> Result<()> {
    match comm.is_inter() {
        false => Ok(()),
        true => Err(Error::new(
            ErrorClass::COMM,
            "the communicator is an intercommunicator; this call is for one group: \
             MPI_Intercomm_merge makes one of two",
        )),
    }
}
