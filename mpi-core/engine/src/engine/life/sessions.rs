//! Sessions: MPI without a world (MPI 5.0, sections 7.4.2, 7.6.2 and 11.3).
//!
//! A session finds processes in named sets, and makes communicators of groups of them. What the
//! members of such a group have to agree on goes over the context of all processes, by tags of
//! their own, which come from the program's string.

use std::hash::{DefaultHasher, Hash, Hasher};

use ferrite_fabric::Transport;

use super::lifetime::{Discovered, engine};
use crate::attribute::Keyval;
use crate::engine::Engine;
use crate::engine::communicators::{
    PSETS, Pset, SessionData, SharedBuffers, ThreadLevel, pset_named,
};
use crate::engine::constructors::GROUP_TAGS;
use crate::errhandler::{Attached, Owner, Slot};
use crate::group::Members;
use crate::handle::{Comm, Errhandler, Group, Info, Session};
use crate::sync::threaded;
use crate::{Error, ErrorClass, Result, info};

const LEVELS: [(&str, ThreadLevel); 4] = [
    ("MPI_THREAD_SINGLE", ThreadLevel::Single),
    ("MPI_THREAD_FUNNELED", ThreadLevel::Funneled),
    ("MPI_THREAD_SERIALIZED", ThreadLevel::Serialized),
    ("MPI_THREAD_MULTIPLE", ThreadLevel::Multiple),
];

/// The thread level that an info object asks for; the lowest where it asks for none.
/// `MPI_ERR_INFO_VALUE` for one that there is not.
fn wanted_level(hints: Info) -> Result<ThreadLevel> {
    if hints == Info::NULL {
        return Ok(ThreadLevel::Single);
    }
    let value = info::get(hints, b"thread_level")?;
    let named = |(name, _): &&(&str, _)| value.as_deref() == Some(name.as_bytes());
    match (LEVELS.iter().find(named), &value) {
        (Some((_, level)), _) => Ok(*level),
        (None, None) => Ok(ThreadLevel::Single),
        (None, Some(value)) => Err(Error::new(
            ErrorClass::INFO_VALUE,
            format!(
                "thread_level is {:?}; it is MPI_THREAD_SINGLE, _FUNNELED, _SERIALIZED or \
                 _MULTIPLE",
                String::from_utf8_lossy(value)
            ),
        )),
    }
}

impl Engine {
    /// `MPI_Session_init`: `transports` and `discover` as of [`Engine::init`].
    pub fn session_init(
        hints: Info,
        errhandler: Errhandler,
        transports: &[&dyn Transport],
        discover: impl FnOnce() -> Discovered,
    ) -> Result<Session> {
        let level = wanted_level(hints)?;
        let attached = Attached::new(errhandler, Owner::Session)?;
        let engine = Engine::session_begin(level, transports, discover)?;
        let errhandler = Slot::new(attached);
        // What the process has already, a session has, too.
        let level = match threaded() {
            true => ThreadLevel::Multiple,
            false => level,
        };
        let session = SessionData {
            level,
            errhandler,
            buffers: SharedBuffers::new(),
        };
        engine
            .comms
            .sessions()
            .insert(session)
            .map(Session)
            .map_err(|_| {
                engine.session_end();
                Error::new(
                    ErrorClass::NO_MEM,
                    "4,194,047 sessions are alive, the most there can be: finalise some",
                )
            })
    }

    /// `MPI_Session_finalize`: ends a session, once everything sent has left. MPI may be
    /// initialised again after the last one.
    pub fn session_finalize(&'static self, session: &mut Session) -> Result<()> {
        self.buffer_flush_of(&self.session(*session)?.buffers.clone());
        drop(self.comms.sessions().remove(session.0));
        *session = Session::NULL;
        self.session_end();
        Ok(())
    }

    /// `MPI_Session_get_info`: a new info object.
    pub fn session_get_info(&self, session: Session) -> Result<Info> {
        let level = self.session(session)?.level;
        let name = LEVELS.iter().find(|(_, of)| *of == level);
        let made = info::create()?;
        info::set(made, b"thread_level", name.map_or("", |of| of.0).as_bytes())?;
        Ok(made)
    }

    /// `MPI_Session_get_pset_info`: a new info object, with the number of processes (`mpi_size`).
    pub fn session_get_pset_info(&self, session: Session, pset: &str) -> Result<Info> {
        self.session(session)?;
        let size = self.members_of(pset)?.size();
        let made = info::create()?;
        info::set(made, b"mpi_size", size.to_string().as_bytes())?;
        Ok(made)
    }

    /// `MPI_Group_from_session_pset`: a new handle.
    pub fn group_from_session_pset(&self, session: Session, pset: &str) -> Result<Group> {
        let buffers = self.session(session)?.buffers.clone();
        let processes: Vec<u32> = self.members_of(pset)?.iter().collect();
        self.add_group(Members::new(processes).by_session(Some(buffers)).into())
    }

    fn members_of(&self, pset: &str) -> Result<crate::group::Group> {
        match pset_named(pset) {
            Some(Pset::World) => Ok(self.comms.world().members().clone()),
            Some(Pset::Own) => Ok(self.comms.itself().members().clone()),
            None => Err(Error::new(
                ErrorClass::ARG,
                format!(
                    "there is no process set {pset:?}; there are {}",
                    PSETS.join(" and ")
                ),
            )),
        }
    }

    /// `MPI_Comm_create_from_group`: a communicator of the members of a group, who all give the
    /// same one and the same string. [`Comm::NULL`] for the empty group. Collective over the group.
    pub fn comm_create_from_group(
        &self,
        group: Group,
        string: &str,
        hints: Info,
        errhandler: Errhandler,
    ) -> Result<Comm> {
        let members = self.group(group)?;
        let attached = Attached::new(errhandler, Owner::Comm)?;
        if members.size() == 0 {
            return Ok(Comm::NULL);
        }
        self.check_member(&members)?;
        let tag = GROUP_TAGS | number_of(string, [&*members]) & !(GROUP_TAGS | 1 << 30);
        let made = self.create_among(self.comms.world(), members, tag)?;
        self.furnish(made, hints, attached)
    }

    /// `MPI_Comm_get_attr`, as [`crate::attribute::Attributes::get`]. The predefined attributes
    /// belong to the world: a communicator that comes from a session has `MPI_TAG_UB` alone (MPI
    /// 5.0, section 9.1.2).
    pub fn comm_get_attr(&self, comm: Comm, keyval: Keyval) -> Result<Option<usize>> {
        let data = self.comm(comm)?;
        let of_world = keyval.is_predefined() && keyval != Keyval::TAG_UB;
        if of_world && data.members().session().is_some() {
            return Ok(None);
        }
        data.attributes.get(keyval)
    }

    /// Gives a communicator that was just made its hints and its error handler; it goes if the
    /// hints are not valid.
    fn furnish(&self, mut made: Comm, hints: Info, attached: Attached) -> Result<Comm> {
        let data = self.comm(made)?;
        if let Err(error) = data.set_hints(hints) {
            // The first error is the one to tell.
            let _ = self.comm_free(&mut made);
            return Err(error);
        }
        data.errhandler.set(attached);
        Ok(made)
    }

    /// `MPI_Intercomm_create_from_groups`: an intercommunicator of two groups without a common
    /// member. Each gives its own first, and all the same string. Collective over both groups.
    pub fn intercomm_create_from_groups(
        &self,
        (local, local_leader): (Group, i32),
        (remote, remote_leader): (Group, i32),
        string: &str,
        hints: Info,
        errhandler: Errhandler,
    ) -> Result<Comm> {
        let (ours, theirs) = (self.group(local)?, self.group(remote)?);
        if ours.size() == 0 && theirs.size() == 0 {
            return Ok(Comm::NULL);
        }
        self.check_member(&ours)?;
        if remote_leader < 0 || remote_leader >= theirs.size() as i32 {
            return Err(Error::new(
                ErrorClass::RANK,
                format!(
                    "remote leader {remote_leader} does not lie in the remote group of {}",
                    theirs.size()
                ),
            ));
        }
        let attached = Attached::new(errhandler, Owner::Comm)?;
        // A member of both groups would wait for itself.
        if let Some(both) = ours
            .iter()
            .find(|process| theirs.rank_of(*process).is_some())
        {
            return Err(Error::new(
                ErrorClass::GROUP,
                format!("process {both} is in both groups, which must have no member in common"),
            ));
        }
        let mut within =
            self.comm_create_from_group(local, string, Info::NULL, Errhandler::RETURN)?;
        let leader = theirs.process(remote_leader as u32) as i32;
        // The same number on both sides.
        let (low, high) = match ours.process(0) < theirs.process(0) {
            true => (&ours, &theirs),
            false => (&theirs, &ours),
        };
        let tag = number_of(string, [&**low, &**high]) & i32::MAX;
        let made = self.intercomm_create(within, local_leader, Comm::WORLD, leader, tag);
        self.comm_free(&mut within)?;
        self.furnish(made?, hints, attached)
    }

    fn check_member(&self, members: &Members) -> Result<()> {
        match members.rank_of(self.job.rank) {
            Some(_) => Ok(()),
            None => Err(Error::new(
                ErrorClass::GROUP,
                "this process is not in the group: only its members make the communicator",
            )),
        }
    }
}

/// A number for what the members of some groups agree on under a string: the same for all of them,
/// most likely another for other groups and strings.
fn number_of<const N: usize>(string: &str, groups: [&Members; N]) -> i32 {
    let mut hasher = DefaultHasher::new();
    string.hash(&mut hasher);
    for group in groups {
        group.size().hash(&mut hasher);
        group.iter().for_each(|process| process.hash(&mut hasher));
    }
    hasher.finish() as i32
}

/// What is done about an error of a session, or of its making, by handle; `None` without such a
/// session.
pub fn session_action(session: Session) -> Option<crate::errhandler::Action> {
    let engine = engine().ok()?;
    let session = engine.session(session).ok()?;
    Some(session.errhandler.get().action())
}
