//! Intercommunicators: two groups, the members of each of which talk to those of the other (MPI
//! 5.0, section 7.6).
//!
//! Ranks that messages name are the remote group's, the rank of this process is its place in the
//! local one. Both groups use one context, as no process is in both. What the members of a group
//! have to agree on among themselves goes over a hidden communicator of their own; what the groups
//! have to agree on, their ranks 0 tell each other.

use std::sync::Arc;

use ferrite_fabric::{RawBuf, RawBufMut};

use super::construct::{GROUP_TAGS, VOTE, Vote, check_tag, elected};
use crate::collective::{Block, Place, Shape, select};
use crate::engine::Engine;
use crate::engine::collectives::CommCarrier;
use crate::engine::communicators::check_intra;
use crate::engine::communicators::{CommData, Inter};
use crate::group::Members;
use crate::handle::{Comm, Group};
use crate::status::UNDEFINED;
use crate::{Error, ErrorClass, Result};

/// What the leader of the other group has told.
struct Found {
    context: u64,
    is_low: bool,
    remote: Vec<u32>,
}

/// What a leader tells the other members of its group: a number of 8 bytes each for context,
/// lowness and size; size 0 says that there will be no intercommunicator.
const HEAD: usize = 24;

/// Apart from the tags of `MPI_Comm_create_group`.
const LEADER_TAGS: i32 = GROUP_TAGS | 1 << 30;

impl Engine {
    /// `MPI_Intercomm_create`: an intercommunicator of the members of `local_comm` and of those of
    /// the communicator that the process with rank `remote_leader` in `peer_comm` leads. The last
    /// three arguments count at the local leader only. Collective over both groups.
    pub fn intercomm_create(
        &self,
        local_comm: Comm,
        local_leader: i32,
        peer_comm: Comm,
        remote_leader: i32,
        tag: i32,
    ) -> Result<Comm> {
        let local = self.comm(local_comm)?;
        check_intra(local)?;
        if local_leader < 0 || local_leader >= local.size() {
            return Err(local.bad_rank("local leader", local_leader));
        }
        let found = (local.rank() == local_leader)
            .then(|| self.meet_leader(local, peer_comm, remote_leader, tag));
        let mut head = [0; HEAD];
        if let Some(Ok(found)) = &found {
            let words = [
                found.context,
                found.is_low.into(),
                found.remote.len() as u64,
            ];
            head = words.map(u64::to_le_bytes).concat().try_into().expect("24");
        }
        self.tell_all_from(local, local_leader, &mut head)?;
        let [context, is_low, size] = words(&head);
        // The leader knows why.
        let found = found.transpose()?;
        if size == 0 {
            return Err(Error::new(
                ErrorClass::OTHER,
                format!(
                    "rank {local_leader}, the leader of this group, could not agree with the \
                     leader of the other"
                ),
            ));
        }
        let remote = found.map_or(vec![0; size as usize], |found| found.remote);
        let mut bytes: Vec<u8> = remote.iter().flat_map(|rank| rank.to_le_bytes()).collect();
        self.tell_all_from(local, local_leader, &mut bytes)?;
        let remote: Vec<u32> = bytes
            .as_chunks()
            .0
            .iter()
            .map(|b| u32::from_le_bytes(*b))
            .collect();
        if let Some(both) = remote
            .iter()
            .find(|process| local.members().rank_of(**process).is_some())
        {
            return Err(Error::new(
                ErrorClass::COMM,
                format!("process {both} is in both groups, which must have no member in common"),
            ));
        }
        let remote = Arc::new(Members::new(remote));
        self.add_intercomm(context, local.members().clone(), remote, is_low != 0, local)
    }

    /// Exchanges groups and contexts with the other leader.
    fn meet_leader(
        &self,
        local: &CommData,
        peer_comm: Comm,
        remote_leader: i32,
        tag: i32,
    ) -> Result<Found> {
        let peers = self.comm(peer_comm)?;
        check_tag(tag)?;
        if remote_leader < 0 || remote_leader >= peers.peers() {
            return Err(peers.bad_rank("remote leader", remote_leader));
        }
        let (own, other) = (self.job.rank, peers.process(remote_leader));
        if own == other {
            return Err(Error::new(
                ErrorClass::RANK,
                format!("remote leader {remote_leader} is this process, the local leader"),
            ));
        }
        let is_low = own < other;
        let tag = LEADER_TAGS | tag & !LEADER_TAGS;
        let mine = [self.comms.contexts().compose_pair()?, local.size() as u64];
        let mut theirs = [0; 16];
        self.swap(
            peers,
            remote_leader,
            tag,
            mine.map(u64::to_le_bytes).as_flattened(),
            &mut theirs,
        )?;
        let [context, size] = words(&theirs);
        let group: Vec<u8> = local.members().iter().flat_map(u32::to_le_bytes).collect();
        let mut remote = vec![0; 4 * size as usize];
        self.swap(peers, remote_leader, tag, &group, &mut remote)?;
        Ok(Found {
            context: if is_low { mine[0] } else { context },
            is_low,
            remote: remote
                .as_chunks()
                .0
                .iter()
                .map(|b| u32::from_le_bytes(*b))
                .collect(),
        })
    }

    /// Bytes to and from a peer that does the same.
    fn swap(
        &self,
        comm: &CommData,
        peer: i32,
        tag: i32,
        mine: &[u8],
        theirs: &mut [u8],
    ) -> Result<()> {
        let shape = Shape {
            rank: comm.rank() as u32,
            size: comm.size().max(comm.peers()) as u32,
            root: 0,
            count: 0,
            width: 1,
            commutative: true,
            in_place: false,
            board: None,
        };
        let block = |place, bytes| {
            vec![Block {
                peer: peer as u32,
                place,
                bytes,
            }]
        };
        let sends = block(Place::input(0), mine.len());
        let receives = block(Place::output(0), theirs.len());
        let schedule = select::intergroup_exchange(shape, sends, receives);
        let carrier = CommCarrier {
            engine: self,
            comm,
            some: None,
            board: None,
        };
        let buffers = (RawBuf::of(mine), RawBufMut::of(theirs));
        // SAFETY: the buffers are as long as the blocks.
        unsafe { self.run_on(None, carrier, &schedule, buffers, None, (tag, 0)) }
    }

    /// What the rank 0 of each group says, for all members of both: the local one's first.
    fn swap_leaders(
        &self,
        comm: &CommData,
        mine: &[u8],
        theirs: usize,
    ) -> Result<(Vec<u8>, Vec<u8>)> {
        let inter = expect_inter(comm)?;
        // Taken by everybody, so that the next collective has the same everywhere.
        let tag = comm.next_sequence();
        let mut all = mine.to_vec();
        all.resize(mine.len() + theirs, 0);
        if comm.rank() == 0 {
            self.swap(comm, 0, tag, mine, &mut all[mine.len()..])?;
        }
        self.tell_all(&inter.within, &mut all)?;
        let theirs = all.split_off(mine.len());
        Ok((all, theirs))
    }

    /// `MPI_Comm_split` of an intercommunicator: one for each color that both groups have.
    pub(super) fn split_across(&self, comm: Comm, color: i32, key: i32) -> Result<Comm> {
        let parent = self.comm(comm)?;
        let inter = expect_inter(parent)?;
        let context = self.comms.contexts().compose_pair()?;
        let mine = Vote {
            color,
            key,
            context,
        }
        .encode();
        let mut ours = vec![0; VOTE * parent.size() as usize];
        self.tell_each_other(&inter.within, &mine, &mut ours)?;
        let (ours, theirs) = self.swap_leaders(parent, &ours, VOTE * parent.peers() as usize)?;
        if color == UNDEFINED {
            return Ok(Comm::NULL);
        }
        let (local, low) = elected(&ours, color, &inter.local);
        let (remote, high) = elected(&theirs, color, parent.remote_members());
        let (Some(low), Some(high)) = (low, high) else {
            return Ok(Comm::NULL);
        };
        let context = if inter.is_low { low } else { high };
        self.add_intercomm(context, local, remote, inter.is_low, parent)
    }

    /// `MPI_Intercomm_merge`: a communicator of all members of both groups. The group whose members
    /// say `high` comes behind the other. Collective over both groups.
    pub fn intercomm_merge(&self, comm: Comm, high: bool) -> Result<Comm> {
        let parent = self.comm(comm)?;
        let inter = expect_inter(parent)?;
        let mine = [self.comms.contexts().compose()?, high.into()].map(u64::to_le_bytes);
        let (ours, theirs) = self.swap_leaders(parent, mine.as_flattened(), 16)?;
        let [(our_context, our_high), (their_context, their_high)] =
            [&ours, &theirs].map(|bytes| {
                let [context, high] = words(bytes);
                (context, high)
            });
        let is_first = match our_high == their_high {
            true => inter.is_low,
            false => our_high == 0,
        };
        let (first, second, context) = match is_first {
            true => (&inter.local, parent.remote_members(), our_context),
            false => (parent.remote_members(), &inter.local, their_context),
        };
        let members: Vec<u32> = first.iter().chain(second.iter()).collect();
        let members = Members::new(members).by_session(inter.local.session().cloned());
        self.add_comm(context, Arc::new(members), parent)
    }

    /// Puts a new intercommunicator in the slab; it inherits the parent's error handler.
    fn add_intercomm(
        &self,
        context: u64,
        local: Arc<Members>,
        remote: Arc<Members>,
        is_low: bool,
        parent: &CommData,
    ) -> Result<Comm> {
        let own = self.job.rank;
        let made = CommData::across(context, own, local, remote, is_low);
        made.errhandler.set(parent.errhandler.get());
        self.name_comm(made).map(|shared| shared.handle())
    }

    /// `MPI_Comm_remote_size`
    pub fn comm_remote_size(&self, comm: Comm) -> Result<i32> {
        let data = self.comm(comm)?;
        expect_inter(data).map(|_| data.peers())
    }

    /// `MPI_Comm_remote_group`: a new handle.
    pub fn comm_remote_group(&self, comm: Comm) -> Result<Group> {
        let data = self.comm(comm)?;
        expect_inter(data)?;
        self.add_group(data.remote_members().clone())
    }
}

/// Numbers of 8 bytes.
fn words<const N: usize>(bytes: &[u8]) -> [u64; N] {
    let (words, _) = bytes.as_chunks();
    core::array::from_fn(|at| u64::from_le_bytes(words[at]))
}

fn expect_inter(comm: &CommData) -> Result<&Inter> {
    comm.inter().ok_or_else(|| {
        Error::new(
            ErrorClass::COMM,
            "the communicator is no intercommunicator: it has no remote group",
        )
    })
}
