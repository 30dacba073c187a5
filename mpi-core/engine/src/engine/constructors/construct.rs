//! Making communicators, and freeing them (MPI 5.0, sections 7.4.2 and 7.4.3).
//!
//! The context of a new communicator is composed by the process that will be its rank 0; the others
//! learn it with what they have to exchange anyway. So no context is ever agreed upon by trial, and
//! none is used twice.

use std::sync::Arc;

use ferrite_shm::{BoardId, Room};

use crate::engine::Engine;
use crate::engine::communicators::check_intra;
use crate::engine::communicators::{CommData, Inter};
use crate::errhandler::{Attached, Owner};
use crate::group::Members;
use crate::handle::{Comm, Errhandler, Group, Info, Request};
use crate::status::UNDEFINED;
use crate::{Error, ErrorClass, Result};

/// What every member tells the others in a split: color, key, and the context to use should it
/// become rank 0.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Vote {
    pub(super) color: i32,
    pub(in crate::engine) key: i32,
    pub(in crate::engine) context: u64,
}

pub(in crate::engine) const VOTE: usize = 16;

/// Who of those that have voted has a color, in the order of keys, and the context of the first.
pub(super) fn elected(votes: &[u8], color: i32, voters: &Members) -> (Arc<Members>, Option<u64>) {
    let votes = votes.as_chunks().0.iter().map(Vote::decode);
    let mut members: Vec<(Vote, u32)> = votes
        .zip(voters.iter())
        .filter(|(vote, _)| vote.color == color)
        .collect();
    // The sort is stable: equal keys keep the order of the parent's ranks.
    members.sort_by_key(|(vote, _)| vote.key);
    let context = members.first().map(|(vote, _)| vote.context);
    let processes: Vec<u32> = members.into_iter().map(|(_, process)| process).collect();
    let elected = Members::new(processes).by_session(voters.session().cloned());
    (Arc::new(elected), context)
}

impl Vote {
    pub(in crate::engine) fn encode(self) -> [u8; VOTE] {
        let mut bytes = [0; VOTE];
        bytes[..4].copy_from_slice(&self.color.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.key.to_le_bytes());
        bytes[8..].copy_from_slice(&self.context.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; VOTE]) -> Vote {
        let (color, rest) = bytes.split_first_chunk().expect("16 bytes");
        let (key, rest) = rest.split_first_chunk().expect("12 bytes");
        Vote {
            color: i32::from_le_bytes(*color),
            key: i32::from_le_bytes(*key),
            context: u64::from_le_bytes(rest.try_into().expect("8 bytes")),
        }
    }
}

impl Engine {
    /// `MPI_Comm_split`: one communicator for each color, ranks ordered by key. [`Comm::NULL`] for
    /// the color `MPI_UNDEFINED`. Collective.
    pub fn comm_split(&self, comm: Comm, color: i32, key: i32) -> Result<Comm> {
        let parent = self.comm(comm)?;
        if color < 0 && color != UNDEFINED {
            return Err(Error::new(
                ErrorClass::ARG,
                format!("color {color} is negative and not MPI_UNDEFINED"),
            ));
        }
        if parent.is_inter() {
            return self.split_across(comm, color, key);
        }
        let mine = Vote {
            color,
            key,
            context: self.comms.contexts().compose()?,
        }
        .encode();
        let mut all = vec![0u8; VOTE * parent.size() as usize];
        self.tell_each_other(parent, &mine, &mut all)?;
        if color == UNDEFINED {
            return Ok(Comm::NULL);
        }
        let (members, context) = elected(&all, color, parent.members());
        let context = context.expect("this process has the color");
        self.add_comm(context, members, parent)
    }

    /// `MPI_Comm_dup` but for the attributes, which the caller copies: same members, another
    /// context. Collective.
    pub fn comm_dup(&self, comm: Comm) -> Result<Comm> {
        let parent = self.comm(comm)?;
        if parent.is_inter() {
            let (made, mut request) = self.duplicate_later(comm, self.blank_duplicate(parent))?;
            return self.wait(&mut request).map(|_| made);
        }
        let mut context = if parent.rank() == 0 {
            self.comms.contexts().compose()?
        } else {
            0
        }
        .to_le_bytes();
        self.tell_all(parent, &mut context)?;
        let context = u64::from_le_bytes(context);
        let made = self.add_comm(context, parent.members().clone(), parent)?;
        if let Some(topology) = parent.topology() {
            self.comm(made)?.set_topology(topology.clone());
        }
        Ok(made)
    }

    /// `MPI_Comm_create`: the members of a group, who all give the same one; [`Comm::NULL`] for the
    /// others, whose groups have other members. Collective over `comm`.
    pub fn comm_create(&self, comm: Comm, group: Group) -> Result<Comm> {
        let members = self.group(group)?;
        let parent = self.comm(comm)?;
        check_members(parent, &members)?;
        if parent.is_inter() {
            let key = members.rank_of(self.job.rank);
            let color = if key.is_some() { 0 } else { UNDEFINED };
            return self.split_across(comm, color, key.unwrap_or(0) as i32);
        }
        // Taken by everybody, so that the next collective has the same everywhere.
        let tag = parent.next_sequence();
        if members.rank_of(self.job.rank).is_none() {
            return Ok(Comm::NULL);
        }
        self.create_among(parent, members, tag)
    }

    /// `MPI_Comm_create_group`: as [`Engine::comm_create`], but called by the members of the group
    /// only. `tag` tells apart what threads do at the same time.
    pub fn comm_create_group(&self, comm: Comm, group: Group, tag: i32) -> Result<Comm> {
        let members = self.group(group)?;
        let parent = self.comm(comm)?;
        check_intra(parent)?;
        check_members(parent, &members)?;
        check_tag(tag)?;
        if members.rank_of(self.job.rank).is_none() {
            return Ok(Comm::NULL);
        }
        self.create_among(parent, members, GROUP_TAGS | tag & !(GROUP_TAGS | 1 << 30))
    }

    pub(in crate::engine) fn create_among(
        &self,
        parent: &CommData,
        members: Arc<Members>,
        tag: i32,
    ) -> Result<Comm> {
        let is_first = members.process(0) == self.job.rank;
        let mut context = if is_first {
            self.comms.contexts().compose()?
        } else {
            0
        }
        .to_le_bytes();
        self.tell_some(parent, members.clone(), tag, &mut context)?;
        self.add_comm(u64::from_le_bytes(context), members, parent)
    }

    /// `MPI_Comm_idup`: the handle is valid once the request is done. Such a communicator has no
    /// board: agreeing on one would have to wait. Attributes are copied now. Collective.
    pub fn comm_idup(&self, comm: Comm, info: Info) -> Result<(Comm, Request)> {
        let parent = self.comm(comm)?;
        let made = self.blank_duplicate(parent);
        made.set_hints(info)?;
        parent.attributes.copy_to(comm.0, &made.attributes)?;
        self.duplicate_later(comm, made)
    }

    /// A duplicate without context and attributes.
    fn blank_duplicate(&self, parent: &CommData) -> CommData {
        let own = self.job.rank;
        let made = match parent.inter() {
            None => CommData::new(0, own, parent.members().clone(), ""),
            Some(Inter { local, is_low, .. }) => {
                let remote = parent.remote_members().clone();
                CommData::across(0, own, local.clone(), remote, *is_low)
            }
        };
        made.errhandler.set(parent.errhandler.get());
        if let Some(topology) = parent.topology() {
            made.set_topology(topology.clone());
        }
        made
    }

    /// Gives a communicator its context, and its place, when the one who composes it has told it.
    fn duplicate_later(&self, comm: Comm, mut made: CommData) -> Result<(Comm, Request)> {
        let parent = self.comm(comm)?;
        let own = match (parent.rank(), parent.inter()) {
            (0, None) => self.comms.contexts().compose()?,
            (0, Some(inter)) if inter.is_low => self.comms.contexts().compose_pair()?,
            _ => 0,
        };
        let handle = self.comms.table().reserve().ok_or_else(too_many)?;
        self.constructors.unborn.lock().push((Comm(handle), None));
        let started = self.start_telling_all(comm, own, move |engine, context| {
            made.set_context(context);
            made.set_handle(Comm(handle));
            let made = Arc::new(made);
            engine.comms.table().fill(handle, made.clone());
            // Not before: whoever sets an error handler looks into one place and then into the
            // other.
            if let Some(chosen) = engine.born(Comm(handle)) {
                made.errhandler.set(chosen);
            }
            engine.note_calls(&made);
        });
        let request = started.inspect_err(|_| {
            drop(self.born(Comm(handle)));
            self.comms.table().give_up(handle);
        })?;
        Ok((Comm(handle), request))
    }

    /// Strikes a communicator from the list of those that are still to be made. Returns the error
    /// handler that it shall have.
    fn born(&self, comm: Comm) -> Option<Attached> {
        let mut unborn = self.constructors.unborn.lock();
        let at = unborn.iter().position(|(other, _)| *other == comm)?;
        unborn.swap_remove(at).1
    }

    /// `MPI_Comm_set_errhandler`, also of a communicator that `MPI_Comm_idup` has named and is
    /// still to make.
    pub fn comm_set_errhandler(&self, comm: Comm, errhandler: Errhandler) -> Result<()> {
        let attached = Attached::new(errhandler, Owner::Comm)?;
        let mut unborn = self.constructors.unborn.lock();
        if let Some((_, chosen)) = unborn.iter_mut().find(|(other, _)| *other == comm) {
            let before = chosen.replace(attached);
            drop(unborn);
            drop(before);
            return Ok(());
        }
        drop(unborn);
        self.comm(comm)?.errhandler.set(attached);
        Ok(())
    }

    /// `MPI_Comm_dup_with_info` but for the attributes, as [`Engine::comm_dup`].
    pub fn comm_dup_with_info(&self, comm: Comm, info: Info) -> Result<Comm> {
        let mut made = self.comm_dup(comm)?;
        let set = self.comm(made)?.set_hints(info);
        set.inspect_err(|_| {
            // The first error is the one to tell.
            let _ = self.comm_free(&mut made);
        })?;
        Ok(made)
    }

    /// Gives the members of a new communicator that are on one node a board, if they are several
    /// and there is one, and room for it in the address space of each. Collective over the new
    /// communicator.
    pub(super) fn agree_on_board(&self, data: &CommData) -> Result<()> {
        let members = match data.nodes(&self.job.nodes) {
            Some(nodes) => {
                let around = nodes.around(data.rank() as u32).iter();
                let processes = around.map(|rank| data.process(*rank as i32));
                Arc::new(Members::new(processes.collect::<Vec<_>>()))
            }
            None => data.members().clone(),
        };
        let size = members.size();
        // Both in any case: members on other nodes may need the second, and the next call has the
        // same on all.
        let (tag, if_asked) = (data.next_sequence(), data.next_sequence());
        let processes = || (0..size).map(|rank| members.process(rank));
        let shm = self.transports.memory();
        let shm = shm.filter(|shm| processes().all(|process| shm.is_local(process)));
        // Where nodes make no difference, those who share memory with everybody talk of it: all
        // members or none.
        if size < 2 || shm.is_none() && size as i32 == data.size() {
            return Ok(());
        }
        const ASK: u32 = u32::MAX;
        let (first, own) = (members.process(0), self.job.rank);
        let told = match shm.filter(|_| first == own) {
            None => NO_BOARD,
            Some(shm) => {
                let mut taken = shm.take_kept(processes());
                if taken == Some(None) {
                    self.forget_freed();
                    taken = shm.take_kept(processes());
                }
                taken.map_or(ASK, |taken| taken.map_or(NO_BOARD, |id| id.0))
            }
        };
        let mut told = told.to_le_bytes();
        self.tell_some(data, members.clone(), tag, &mut told)?;
        let (id, opened) = match u32::from_le_bytes(told) {
            NO_BOARD => return Ok(()),
            ASK => {
                let mut room = shm.and_then(|shm| shm.room_for_board(size as usize));
                match self.ask_for_room(data, members.clone(), if_asked, &mut room)? {
                    NO_BOARD => return Ok(()),
                    id => (
                        id,
                        room.and_then(|room| room.open(BoardId(id), processes())),
                    ),
                }
            }
            id => (
                id,
                shm.and_then(|shm| shm.open_kept(BoardId(id), processes())),
            ),
        };
        // The others will use it: going on without would be to talk past them.
        let board = opened.ok_or_else(|| {
            Error::new(
                ErrorClass::INTERN,
                format!(
                    "the board {id} that rank {first} of the job took in shared memory cannot be \
                     opened"
                ),
            )
        })?;
        data.set_board(board);
        Ok(())
    }

    /// The board that the first of the members has taken in its room, if all have room for one.
    fn ask_for_room(
        &self,
        comm: &CommData,
        members: Arc<Members>,
        tag: i32,
        room: &mut Option<Room>,
    ) -> Result<u32> {
        const HAS_ROOM: u32 = 0;
        let mine = match room {
            None => NO_BOARD,
            Some(room) if members.process(0) == self.job.rank => {
                room.take().map_or(NO_BOARD, |id| id.0)
            }
            Some(_) => HAS_ROOM,
        };
        let mut all = vec![[0; 4]; members.size() as usize];
        self.tell_each_of_some(comm, members, tag, mine.to_le_bytes(), &mut all)?;
        let mut all = all.into_iter().map(u32::from_le_bytes);
        let id = all.clone().next().unwrap_or(NO_BOARD);
        Ok(match all.any(|told| told == NO_BOARD) {
            true => NO_BOARD,
            false => id,
        })
    }

    /// `MPI_Comm_free` but for the attributes, which the caller deletes first: the handle becomes
    /// stale at once; messages under way arrive all the same.
    pub fn comm_free(&self, comm: &mut Comm) -> Result<()> {
        if *comm == Comm::WORLD || *comm == Comm::SELF {
            return Err(Error::new(
                ErrorClass::COMM,
                "a predefined communicator cannot be freed; MPI_Comm_disconnect and MPI_Comm_free \
                 are for others",
            ));
        }
        self.buffer_flush_of(&self.comm(*comm)?.buffers.clone());
        if let Some(freed) = self.comms.table().remove(comm.0) {
            self.forget_calls(&freed);
            self.outlive_handle(freed);
        }
        *comm = Comm::NULL;
        Ok(())
    }

    /// Puts a new communicator in the slab; it inherits the parent's error handler. Collective over
    /// the new communicator.
    pub(super) fn add_comm(
        &self,
        context: u64,
        members: Arc<Members>,
        parent: &CommData,
    ) -> Result<Comm> {
        let data = CommData::new(context, self.job.rank, members, "");
        data.errhandler.set(parent.errhandler.get());
        let made = self.name_comm(data)?;
        let mut handle = made.handle();
        self.agree_on_board(&made).inspect_err(|_| {
            // The first error is the one to tell.
            let _ = self.comm_free(&mut handle);
        })?;
        Ok(handle)
    }

    /// Gives a communicator a handle.
    pub(super) fn name_comm(&self, made: CommData) -> Result<Arc<CommData>> {
        let made = Arc::new(made);
        let handle = self
            .comms
            .table()
            .insert(made.clone())
            .map_err(|_| too_many())?;
        made.set_handle(Comm(handle));
        self.note_calls(&made);
        Ok(made)
    }

    /// Others may ask from now on how far this process is with calls in a communicator.
    fn note_calls(&self, comm: &CommData) {
        self.progress.watchdog().add(comm.context(), comm.calls());
        if let Some(inter) = comm.inter() {
            self.progress
                .watchdog()
                .add(inter.within.context(), inter.within.calls());
        }
    }

    /// The communicator's handle is freed.
    fn forget_calls(&self, comm: &CommData) {
        self.progress.watchdog().remove(comm.context());
        if let Some(inter) = comm.inter() {
            self.progress.watchdog().remove(inter.within.context());
        }
    }
}

/// Told in the place of a board: there is none.
const NO_BOARD: u32 = u32::MAX - 1;

/// Set in the tags that members of a group, or leaders, use among themselves; no other tag is
/// negative.
pub(in crate::engine) const GROUP_TAGS: i32 = i32::MIN;

pub(super) fn check_tag(tag: i32) -> Result<()> {
    match tag >= 0 {
        true => Ok(()),
        false => Err(Error::new(
            ErrorClass::TAG,
            format!("tag {tag} is negative; it lies between 0 and MPI_TAG_UB"),
        )),
    }
}

#[cold]
pub(super) fn too_many() -> Error {
    Error::new(
        ErrorClass::NO_MEM,
        "4,194,047 communicators are alive, the most there can be: free some",
    )
}

fn check_members(parent: &CommData, members: &Members) -> Result<()> {
    match members
        .iter()
        .find(|process| parent.members().rank_of(*process).is_none())
    {
        None => Ok(()),
        Some(process) => Err(Error::new(
            ErrorClass::GROUP,
            format!("process {process} of the group is not in the communicator"),
        )),
    }
}
