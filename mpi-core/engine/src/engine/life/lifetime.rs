//! From the first initialisation to the last finalisation (MPI 5.0, sections 11.2 and 11.3).
//!
//! What belongs to the process (its place in the job, memory shared with others, connections) is
//! made with the first instance of MPI, be it the world or a session, and kept, so that sessions
//! may come and go. Connections are closed, and the launcher is told, by an `MPI_Finalize` that
//! leaves no session: whatever happens to the process later disturbs nobody. A program of sessions
//! alone may always make another one, so for it that happens when it exits.

use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ferrite_fabric::{Bootstrap, Job, Transport};

use crate::engine::Engine;
use crate::engine::communicators::ThreadLevel;
use crate::sync::set_threaded;
use crate::{Error, ErrorClass, Result, attribute, info, sys, tools};

/// The engine while there is an instance of MPI.
static ENGINE: AtomicPtr<Engine> = AtomicPtr::new(core::ptr::null_mut());
/// Of the world.
static PHASE: AtomicU8 = AtomicU8::new(BEFORE);

const BEFORE: u8 = 0;
const RUNNING: u8 = 1;
const AFTER: u8 = 2;

static LIFE: Mutex<Life> = Mutex::new(Life {
    engine: None,
    has_world: false,
    sessions: 0,
    is_closed: false,
});

/// What this process has of MPI.
struct Life {
    /// Made once.
    engine: Option<&'static Engine>,
    /// Between `MPI_Init` and `MPI_Finalize`.
    has_world: bool,
    /// Sessions alive.
    sessions: u32,
    /// Connections are closed for good.
    is_closed: bool,
}

fn life() -> MutexGuard<'static, Life> {
    LIFE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The engine of this process, while MPI is initialised.
#[inline]
pub fn engine() -> Result<&'static Engine> {
    // Pairs with the release in `Life::begin`.
    let engine = ENGINE.load(Ordering::Acquire);
    if engine.is_null() {
        return Err(no_engine());
    }
    // SAFETY: an engine is never freed once it was published.
    Ok(unsafe { &*engine })
}

/// The file that the engine was loaded from: a library, or a program.
pub fn loaded_from() -> Option<String> {
    sys::own_file()
}

/// The engine of this process, if it was ever initialised.
pub(crate) fn made_engine() -> Option<&'static Engine> {
    life().engine
}

#[cold]
fn no_engine() -> Error {
    Error::new(
        ErrorClass::OTHER,
        if is_finalized() {
            "called after MPI_Finalize; no MPI communication is possible any more"
        } else {
            "called before MPI_Init or MPI_Init_thread"
        },
    )
}

/// `MPI_Initialized`
pub fn is_initialized() -> bool {
    PHASE.load(Ordering::Acquire) != BEFORE
}

/// `MPI_Finalized`
pub fn is_finalized() -> bool {
    PHASE.load(Ordering::Acquire) == AFTER
}

/// What `Engine::init` and `Engine::session_begin` join a job with.
pub type Discovered = core::result::Result<(Job, Arc<dyn Bootstrap>), String>;

impl Life {
    fn has_instances(&self) -> bool {
        self.has_world || self.sessions > 0
    }

    /// Makes the engine, or takes the one there is, for one more instance.
    fn begin(
        &mut self,
        level: ThreadLevel,
        transports: &[&dyn Transport],
        discover: impl FnOnce() -> Discovered,
    ) -> Result<&'static Engine> {
        if self.is_closed {
            return Err(Error::new(
                ErrorClass::OTHER,
                "MPI_Finalize has closed this process's connections: initialise a session before \
                 it, and finalise it later",
            ));
        }
        let (engine, is_new) = match self.engine {
            Some(engine) => (engine, false),
            None => {
                let own = sys::own_file().unwrap_or_default();
                refuse_a_second(&own)?;
                let made = Engine::join(level, transports, discover)?;
                sys::mark_process(&own);
                (&*Box::leak(Box::new(made)), true)
            }
        };
        let threaded = level == ThreadLevel::Multiple
            || engine.settings.progress_thread
            || tools::any_thread();
        if threaded || !self.has_instances() {
            // SAFETY: without an instance no other thread may call MPI before this call returns;
            // with one, none does yet unless the library is threaded already.
            unsafe { set_threaded(threaded) };
        }
        if is_new {
            engine.publish(level);
            engine.start_progress_thread()?;
        }
        self.engine = Some(engine);
        // Pairs with the acquire in `engine`.
        ENGINE.store(core::ptr::from_ref(engine).cast_mut(), Ordering::Release);
        Ok(engine)
    }

    /// Takes note that an instance has ended.
    fn end(&mut self, engine: &'static Engine, for_good: bool) {
        if self.has_instances() {
            return;
        }
        if for_good {
            self.close(engine);
        }
        ENGINE.store(core::ptr::null_mut(), Ordering::Release);
        // SAFETY: a program calls nothing that needs the engine without an instance; what remains
        // legal uses static state, which any thread may use at any time.
        unsafe { set_threaded(true) };
        if for_good {
            engine.bootstrap.finalized();
        }
    }

    fn close(&mut self, engine: &'static Engine) {
        engine.stop_progress_thread();
        // A thread that waits nevertheless is not to take the peers' leave for their loss.
        engine.shut_ports();
        engine.transports.networks().for_each(|net| net.close());
        self.is_closed = true;
    }
}

/// Two libraries of ours, or a library and a program of the Rust API, may be in one process. Only
/// one of them can be a member of the job; without a launcher each would be a job of its own, and
/// nobody would notice.
fn refuse_a_second(own: &str) -> Result<()> {
    let Some(other) = sys::marked_by() else {
        return Ok(());
    };
    let sentence = format!(
        "{other} has initialised MPI in this process, and {own} is a second engine, with ranks, \
         messages and handles of its own: see that the \
         program, what it is linked with and what it loads use the same one"
    );
    Err(Error::new(ErrorClass::OTHER, sentence))
}

/// Takes leave of the job when the process exits, if it has ended all its sessions.
extern "C" fn at_exit() {
    // Taken where a process exits in the middle of joining a job: then there is nothing to take
    // leave of.
    let Ok(mut life) = LIFE.try_lock() else {
        return;
    };
    if let Some(engine) = life.engine
        && !life.is_closed
        && !life.has_instances()
    {
        life.close(engine);
        engine.bootstrap.finalized();
    }
}

impl Engine {
    /// `MPI_Init_thread`: makes this process a member of the job that `discover` found. Ranks that
    /// share no memory reach each other over the first of `transports` that is allowed and works.
    pub fn init(
        level: ThreadLevel,
        transports: &[&dyn Transport],
        discover: impl FnOnce() -> Discovered,
    ) -> Result<&'static Engine> {
        if PHASE
            .compare_exchange(BEFORE, RUNNING, Ordering::AcqRel, Ordering::Acquire)
            .is_err()
        {
            return Err(Error::new(
                ErrorClass::OTHER,
                if is_finalized() {
                    "MPI was finalized; it cannot be initialised again"
                } else {
                    "MPI is initialised already; MPI_Init may be called once"
                },
            ));
        }
        let mut life = life();
        let engine = life.begin(level, transports, discover);
        let engine = engine.inspect_err(|_| PHASE.store(BEFORE, Ordering::Release))?;
        life.has_world = true;
        *engine.threading.level.lock() = level;
        engine.publish(level);
        Ok(engine)
    }

    /// One more session.
    pub(super) fn session_begin(
        level: ThreadLevel,
        transports: &[&dyn Transport],
        discover: impl FnOnce() -> Discovered,
    ) -> Result<&'static Engine> {
        static REGISTERED: AtomicBool = AtomicBool::new(false);
        let mut life = life();
        let engine = life.begin(level, transports, discover)?;
        life.sessions += 1;
        // Relaxed: under the lock of `life`.
        if !REGISTERED.swap(true, Ordering::Relaxed) {
            sys::at_exit(at_exit);
        }
        Ok(engine)
    }

    /// Fills in what the predefined attributes and `MPI_INFO_ENV` say of the job.
    fn publish(&self, level: ThreadLevel) {
        attribute::publish(&attribute::Predefined {
            // Ranks of one node share its monotonic clock.
            wtime_is_global: self.job.is_on_one_node(),
            appnum: Some(self.job.appnum),
            universe_size: Some(self.job.size),
        });
        info::publish(&info::Environment {
            maxprocs: self.job.part,
            host: sys::host_name(),
            thread_level: match level {
                ThreadLevel::Single => "MPI_THREAD_SINGLE",
                ThreadLevel::Funneled => "MPI_THREAD_FUNNELED",
                ThreadLevel::Serialized => "MPI_THREAD_SERIALIZED",
                ThreadLevel::Multiple => "MPI_THREAD_MULTIPLE",
            },
        });
    }

    /// `MPI_Finalize`: waits until all have come here and everything sent has left, then ends the
    /// world. Collective. Processes that have ended without calling it are not waited for.
    pub fn finalize(&'static self) -> Result<()> {
        self.finalize_with(|| ())
    }

    /// [`Engine::finalize`], with something to do when all have come and communication is still
    /// possible: nobody starts any more, so what is pending then, but for what is on its way, stays
    /// so.
    pub fn finalize_with(&'static self, last: impl FnOnce()) -> Result<()> {
        if PHASE.load(Ordering::Acquire) != RUNNING {
            return Err(Error::new(
                ErrorClass::OTHER,
                "MPI was not initialised by MPI_Init, or was finalized already; \
                 MPI_Session_finalize ends a session",
            ));
        }
        self.flush_predefined_buffers();
        self.progress.departed().finalizing();
        self.drain();
        self.meet(self.comms.world())?;
        last();
        // The barrier's own last messages.
        self.drain();
        let mut life = life();
        life.has_world = false;
        PHASE.store(AFTER, Ordering::Release);
        life.end(self, true);
        Ok(())
    }

    /// After finalisation: threads of this process that still wait to receive or to probe get an
    /// error. For any others a sentence says that they wait for ever. An ABI whose threads may not
    /// be told, as a program's end is near, does not call this.
    pub fn release(&self) {
        self.progress.waiting().release();
    }

    /// The end of a session.
    pub(super) fn session_end(&'static self) {
        self.drain();
        let mut life = life();
        life.sessions -= 1;
        life.end(self, false);
    }

    /// Waits until everything sent has left.
    fn drain(&self) {
        self.wait_until(|| !self.peers.has_backlog() || self.progress.departed().all_are_there());
        self.flush();
    }
}
