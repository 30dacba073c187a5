//! Communicators: who may talk to whom, apart from all others (MPI 5.0, chapter 7).

use core::fmt;
use std::sync::Arc;

use ferrite_engine::Comm;
use ferrite_engine::status::UNDEFINED;

use crate::universe::enter;
use crate::{Destination, Error, ErrorClass, Result};

/// A group of processes with message traffic of its own. Cloning gives another name of the same
/// communicator, which is freed with its last name; [`Communicator::dup`] makes another
/// communicator. Any thread may use it (see [`Threading`](crate::Threading)).
#[derive(Clone)]
pub struct Communicator(Arc<Inner>);

struct Inner {
    comm: Comm,
    /// Whether this crate made it, and frees it.
    ours: bool,
    rank: usize,
    size: usize,
}

impl Communicator {
    pub(crate) fn predefined(comm: Comm) -> Result<Communicator> {
        Communicator::new(comm, false)
    }

    fn new(comm: Comm, ours: bool) -> Result<Communicator> {
        let engine = enter()?;
        Ok(Communicator(Arc::new(Inner {
            comm,
            ours,
            rank: engine.comm_rank(comm)? as usize,
            size: engine.comm_size(comm)? as usize,
        })))
    }

    #[inline(always)]
    pub(crate) fn comm(&self) -> Comm {
        self.0.comm
    }

    /// What the engine calls whom a message goes to.
    #[inline(always)]
    pub(crate) fn destination(&self, dest: impl Into<Destination>) -> Result<i32> {
        dest.into().raw_among(self.size())
    }

    /// This process's rank: its number among the members.
    #[inline]
    pub fn rank(&self) -> usize {
        self.0.rank
    }

    /// How many processes are members.
    #[inline]
    pub fn size(&self) -> usize {
        self.0.size
    }

    /// The same members, apart from the traffic of this communicator. Collective.
    ///
    /// # Errors
    /// When there are too many communicators.
    pub fn dup(&self) -> Result<Communicator> {
        Communicator::new(enter()?.comm_dup(self.comm())?, true)
    }

    /// One new communicator for all members that give the same colour, in the order of their keys,
    /// and of their ranks where keys are equal. `None` for who gives no colour. Collective.
    ///
    /// ```
    /// # let universe = mpi_core::init()?;
    /// let world = universe.world();
    /// let half = world.split(Some((world.rank() % 2) as i32), 0)?.expect("a colour was given");
    /// assert_eq!(half.size(), world.size().div_ceil(2));
    /// # mpi_core::Result::Ok(())
    /// ```
    ///
    /// # Errors
    /// When a colour is negative.
    pub fn split(&self, colour: Option<i32>, key: i32) -> Result<Option<Communicator>> {
        if let Some(colour) = colour
            && colour < 0
        {
            let sentence = format!("colour {colour} is negative; for no new communicator say None");
            return Err(Error::new(ErrorClass::ARG, sentence));
        }
        let made = enter()?.comm_split(self.comm(), colour.unwrap_or(UNDEFINED), key)?;
        match made {
            Comm::NULL => Ok(None),
            made => Communicator::new(made, true).map(Some),
        }
    }

    /// Its name, empty if it has none.
    ///
    /// # Errors
    /// When MPI is finalised.
    pub fn name(&self) -> Result<String> {
        Ok(enter()?.comm_get_name(self.comm())?)
    }

    /// Names it, for messages and tools.
    ///
    /// # Errors
    /// When the name is longer than 127 bytes.
    pub fn set_name(&self, name: &str) -> Result<()> {
        Ok(enter()?.comm_set_name(self.comm(), name)?)
    }

    /// Ends the whole job with an exit code and a sentence that says why.
    pub fn abort(&self, code: i32, why: &str) -> ! {
        match ferrite_engine::engine() {
            Ok(engine) => engine.abort(code, why),
            Err(_) => {
                eprintln!("mpi_core: aborted after finalisation: {why}");
                std::process::exit(code)
            }
        }
    }

    /// The handle: an `MPI_Comm` of the standard ABI, of the engine of this crate.
    ///
    /// It means nothing to an MPI library: that has an engine of its own, even when it is Ferrite's
    /// `libmpi_abi.so.1`. It is for code that calls the very engine that this crate is linked with.
    pub fn as_raw(&self) -> usize {
        self.comm().0 as usize
    }

    /// A communicator that others have made. It is not freed with this name of it.
    ///
    /// # Errors
    /// When the handle names no communicator.
    ///
    /// # Safety
    /// The handle came from the engine that this crate is linked with, and the communicator is
    /// freed only after the last clone of the returned name is gone, and with no operation under
    /// way in another thread.
    pub unsafe fn from_raw(raw: usize) -> Result<Communicator> {
        let handle = u32::try_from(raw).map_err(|_| {
            let sentence = format!("{raw:#x} is no handle of a communicator");
            Error::new(ErrorClass::COMM, sentence)
        })?;
        Communicator::new(Comm(handle), false)
    }
}

impl fmt::Debug for Communicator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name().unwrap_or_default();
        write!(
            f,
            "Communicator({name:?}, rank {} of {})",
            self.rank(),
            self.size()
        )
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // After finalisation, or in a thread that may not communicate, it is left to the engine. No
        // call uses it: a call holds a name, and this was the last.
        if self.ours
            && let Ok(engine) = enter()
        {
            let mut comm = self.comm;
            let _ = engine.comm_free(&mut comm);
        }
    }
}
