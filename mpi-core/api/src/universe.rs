//! Beginning and end: this crate is where engine, transports and launcher's client meet (MPI 5.0,
//! chapter 11).
//!
//! What makes the rest of the crate sound: with [`Threading::Multiple`] the engine takes its locks,
//! so any thread may call. With [`Threading::Funneled`] it takes none, and [`enter`], which every
//! call goes through, turns all threads away but the one that initialised.

use core::cell::Cell;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

use ferrite_engine::{Comm, Engine, ThreadLevel};
use ferrite_transports::NETWORKS;

use crate::{Communicator, Error, ErrorClass, Result, owned, wake};

/// Whether only the thread that initialised may call.
static FUNNELED: AtomicBool = AtomicBool::new(false);

/// The engine, while any thread may call it.
static FOR_ALL: AtomicPtr<Engine> = AtomicPtr::new(core::ptr::null_mut());

/// Operations under way whose buffers are borrowed.
pub(crate) static BORROWING: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The engine, in the thread that initialised, until that finalises.
    static ENGINE_HERE: Cell<*const Engine> = const { Cell::new(core::ptr::null()) };
}

/// Which threads may communicate (MPI 5.0, section 11.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Threading {
    /// The thread that initialises and no other: calls of others are errors. A few nanoseconds
    /// faster.
    Funneled,
    /// Any thread at any time.
    #[default]
    Multiple,
}

/// Initialises MPI for use from any thread. Under a launcher, the process becomes a member of its
/// job; alone, it is a job of one.
///
/// ```
/// let universe = mpi_core::init()?;
/// let world = universe.world();
/// assert!(world.rank() < world.size());
/// # mpi_core::Result::Ok(())
/// ```
///
/// # Errors
/// When MPI was initialised before in this process, or when the job cannot be joined.
pub fn init() -> Result<Universe> {
    init_with_threading(Threading::Multiple)
}

/// Initialises MPI, as [`init`] does.
///
/// # Errors
/// As [`init`].
pub fn init_with_threading(threading: Threading) -> Result<Universe> {
    Builder::new().threading(threading).init()
}

/// How to initialise.
///
/// ```
/// use mpi_core::{Builder, Threading};
/// let universe = Builder::new().threading(Threading::Funneled).init()?;
/// # mpi_core::Result::Ok(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    threading: Threading,
}

impl Builder {
    /// The defaults: any thread may communicate.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Which threads may communicate.
    #[must_use]
    pub fn threading(mut self, threading: Threading) -> Builder {
        self.threading = threading;
        self
    }

    /// Initialises.
    ///
    /// # Errors
    /// As [`init`].
    pub fn init(self) -> Result<Universe> {
        let level = match self.threading {
            Threading::Funneled => ThreadLevel::Funneled,
            Threading::Multiple => ThreadLevel::Multiple,
        };
        let engine = Engine::init(level, NETWORKS, || match ferrite_client::discover() {
            Ok(found) => Ok((found.job, found.bootstrap)),
            Err(error) => Err(error.to_string()),
        })?;
        ENGINE_HERE.set(engine);
        // Relaxed: other threads come by a communicator from this one, later.
        FUNNELED.store(self.threading == Threading::Funneled, Ordering::Relaxed);
        if level == ThreadLevel::Multiple {
            // Release: pairs with the acquire in `enter`.
            FOR_ALL.store(core::ptr::from_ref(engine).cast_mut(), Ordering::Release);
        }
        Ok(Universe {
            world: Communicator::predefined(Comm::WORLD)?,
            itself: Communicator::predefined(Comm::SELF)?,
            here: PhantomData,
        })
    }
}

/// MPI, from initialisation to finalisation. Dropping it finalises: it waits for all ranks to come
/// so far. Keep it until the end of `main`. What is called on communicators afterwards is an error.
///
/// Other threads should have ended their calls by then. Those that wait to receive or probe, or
/// await a request, get an error; one that waits for its message to be received, or in a collective
/// operation, has lent the engine buffers that cannot be taken back: it waits for ever, which a
/// sentence on standard error says. A scope with operations under way ends the whole job with a
/// sentence, in whichever thread it is.
///
/// When it is dropped because its thread panics, the other ranks would wait forever: the whole job
/// is ended.
pub struct Universe {
    world: Communicator,
    itself: Communicator,
    /// Finalising is for the thread that initialised.
    here: PhantomData<*const ()>,
}

impl Universe {
    /// All processes of the job.
    pub fn world(&self) -> Communicator {
        self.world.clone()
    }

    /// This process alone.
    pub fn this_process(&self) -> Communicator {
        self.itself.clone()
    }

    /// Which threads may communicate.
    pub fn threading(&self) -> Threading {
        match FUNNELED.load(Ordering::Relaxed) {
            true => Threading::Funneled,
            false => Threading::Multiple,
        }
    }

    /// Finalises, as dropping does, and says how it went.
    ///
    /// # Errors
    /// When the engine cannot finalise. Of class [`ErrorClass::PENDING`], after all ranks have
    /// finalised, when an owned send of this one was dropped and its message was never received:
    /// the sentence says how many bytes went to whom with what tag. MPI is finalised then, too.
    /// When others take longer than 5 seconds to finalise, standard error says what this rank has
    /// sent so and nobody has received; it goes on waiting.
    pub fn finalize(self) -> Result<()> {
        let done = end();
        core::mem::forget(self);
        done
    }
}

impl Drop for Universe {
    fn drop(&mut self) {
        if let Err(error) = end() {
            eprintln!("mpi_core: at finalisation: {error}");
        }
    }
}

fn end() -> Result<()> {
    let Ok(engine) = ferrite_engine::engine() else {
        // The program's C part has finalised.
        return Ok(());
    };
    if std::thread::panicking() && engine.job_size() > 1 {
        engine.abort(101, "this rank panicked");
    }
    // Acquire: pairs with the release of whoever completed the last of them.
    let borrowing = BORROWING.load(Ordering::Acquire);
    if borrowing > 0 {
        // Their buffers would be written to after they are gone.
        engine.abort(
            101,
            &format!(
                "the Universe was dropped within a scope, with {borrowing} operations under \
                way: end the scope first"
            ),
        );
    }
    wake::stop();
    ENGINE_HERE.set(core::ptr::null());
    // Release: for symmetry; who reads null uses nothing of the engine.
    FOR_ALL.store(core::ptr::null_mut(), Ordering::Release);
    let mut lost = None;
    let late = owned::tell_if_late(engine);
    let done = engine.finalize_with(|| lost = owned::complete_abandoned(engine));
    drop(late);
    // Whoever still waits learns that nothing will come.
    if done.is_ok() {
        engine.release();
    }
    wake::wake_all();
    done?;
    match lost {
        None => Ok(()),
        Some(sentence) => Err(Error::new(ErrorClass::PENDING, sentence)),
    }
}

/// The engine, for a call of this thread.
#[inline(always)]
pub(crate) fn enter() -> Result<&'static Engine> {
    let engine = ENGINE_HERE.get();
    if !engine.is_null() {
        // SAFETY: an engine lives for ever once it was published.
        return Ok(unsafe { &*engine });
    }
    enter_from_elsewhere()
}

/// The same for other threads than the one that initialised, and for when no thread may call.
#[inline]
fn enter_from_elsewhere() -> Result<&'static Engine> {
    // Acquire: pairs with the release in `init`.
    let engine = FOR_ALL.load(Ordering::Acquire);
    if engine.is_null() {
        return Err(refuse());
    }
    // SAFETY: an engine lives for ever once it was published.
    Ok(unsafe { &*engine })
}

/// Whether other threads may call the engine.
pub(crate) fn has_threads() -> bool {
    !FUNNELED.load(Ordering::Relaxed)
}

#[cold]
fn refuse() -> Error {
    match ferrite_engine::engine() {
        Err(error) => error.into(),
        Ok(_) if has_threads() => Error::new(
            ErrorClass::OTHER,
            "called while another thread finalises MPI: let it wait for this one",
        ),
        Ok(_) => Error::new(
            ErrorClass::OTHER,
            "MPI was initialised with Threading::Funneled, so only the thread that did so may \
             communicate: initialise with \
             Threading::Multiple",
        ),
    }
}
