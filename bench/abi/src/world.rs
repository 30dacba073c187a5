//! MPI's lifetime in this process.

use std::marker::PhantomData;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::comm::Comm;
use crate::error::{Result, check};
use crate::raw;

/// MPI, initialised. It is alive from [`World::init`] to [`World::finalize`].
///
/// It stays on the thread that made it, because the programs ask for no thread support.
#[must_use = "a process that leaves without finalize() is a failed process to the launcher"]
pub struct World {
    thread_bound: PhantomData<*mut ()>,
}

/// MPI can be initialised once in a process's life (MPI 5.0, section 11.2.1).
static TAKEN: AtomicBool = AtomicBool::new(false);

impl World {
    /// Initialises MPI.
    ///
    /// # Panics
    /// At the second call.
    pub fn init() -> Result<Self> {
        // Relaxed: nothing is published by it; only the swap's atomicity counts.
        assert!(
            !TAKEN.swap(true, Ordering::Relaxed),
            "World::init is called once"
        );
        // SAFETY: null arguments are legal (MPI 5.0, section 11.2.1); TAKEN excludes a second call.
        let code = unsafe { raw::MPI_Init(std::ptr::null_mut(), std::ptr::null_mut()) };
        check("MPI_Init", code)?;
        Ok(Self {
            thread_bound: PhantomData,
        })
    }

    /// The communicator of all processes of the job.
    pub fn comm(&self) -> Comm<'_> {
        Comm::world()
    }

    /// Seconds since some time in the past.
    #[inline]
    pub fn wtime(&self) -> f64 {
        // SAFETY: MPI is initialised while `self` lives.
        unsafe { raw::MPI_Wtime() }
    }

    /// Ends MPI in this process. The borrow of every [`Comm`] has ended, so none is used later.
    pub fn finalize(self) -> Result<()> {
        // SAFETY: called once, by value, on the thread of `init`.
        check("MPI_Finalize", unsafe { raw::MPI_Finalize() })
    }

    /// Ends every process of the job.
    pub fn abort(&self, code: i32) -> ! {
        abort(code)
    }
}

/// Ends every process of the job. Must only be called while a world lives.
pub(crate) fn abort(code: i32) -> ! {
    // SAFETY: MPI is initialised while a world lives; the library never touches the process's
    // buffers after this.
    unsafe { raw::MPI_Abort(raw::COMM_WORLD, code) };
    process::exit(code)
}
