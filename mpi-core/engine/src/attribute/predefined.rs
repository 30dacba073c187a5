//! The predefined attributes of communicators (MPI 5.0, sections 9.1.2, 9.5 and 11.10.1).

use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use super::Keyval;
use crate::error_code::last_used_code;
use crate::status::{ANY_SOURCE, PROC_NULL, TAG_UB};

impl Keyval {
    /// `MPI_KEYVAL_INVALID`
    pub const INVALID: Keyval = Keyval(0);
    /// `MPI_TAG_UB`
    pub const TAG_UB: Keyval = Keyval(501);
    /// `MPI_IO`
    pub const IO: Keyval = Keyval(502);
    /// `MPI_HOST`
    pub const HOST: Keyval = Keyval(503);
    /// `MPI_WTIME_IS_GLOBAL`
    pub const WTIME_IS_GLOBAL: Keyval = Keyval(504);
    /// `MPI_APPNUM`
    pub const APPNUM: Keyval = Keyval(505);
    /// `MPI_LASTUSEDCODE`
    pub const LASTUSEDCODE: Keyval = Keyval(506);
    /// `MPI_UNIVERSE_SIZE`
    pub const UNIVERSE_SIZE: Keyval = Keyval(507);
    /// `MPI_WIN_BASE`
    pub const WIN_BASE: Keyval = Keyval(601);
    /// `MPI_WIN_DISP_UNIT`
    pub const WIN_DISP_UNIT: Keyval = Keyval(602);
    /// `MPI_WIN_SIZE`
    pub const WIN_SIZE: Keyval = Keyval(603);
    /// `MPI_WIN_CREATE_FLAVOR`
    pub const WIN_CREATE_FLAVOR: Keyval = Keyval(604);
    /// `MPI_WIN_MODEL`
    pub const WIN_MODEL: Keyval = Keyval(605);

    /// Whether the standard defines this key.
    pub fn is_predefined(self) -> bool {
        matches!(self.0, 501..=507 | 601..=605)
    }
}

/// What the predefined attributes say about a job.
#[derive(Clone, Copy, Debug)]
pub struct Predefined {
    /// Whether `MPI_Wtime` is the same clock in all processes.
    pub wtime_is_global: bool,
    /// Which of the programs that the job consists of this process runs, if the launcher said so.
    pub appnum: Option<u32>,
    /// How many processes can usefully run, if the launcher said so.
    pub universe_size: Option<u32>,
}

/// An attribute of which a launcher may say nothing.
struct Optional {
    set: AtomicBool,
    value: AtomicI32,
}

impl Optional {
    const fn new() -> Optional {
        Optional {
            set: AtomicBool::new(false),
            value: AtomicI32::new(0),
        }
    }

    fn publish(&self, value: Option<u32>) {
        let value = value.and_then(|value| i32::try_from(value).ok());
        self.value.store(value.unwrap_or(0), Ordering::Relaxed);
        // Pairs with the acquire load in `get`.
        self.set.store(value.is_some(), Ordering::Release);
    }

    fn get(&self) -> Option<&AtomicI32> {
        // Pairs with the release store in `publish`.
        self.set.load(Ordering::Acquire).then_some(&self.value)
    }
}

// Atomics because their addresses are handed to programs, which read (and could write) them
// whenever they like.
static TAG_UB_VALUE: AtomicI32 = AtomicI32::new(TAG_UB);
static IO_VALUE: AtomicI32 = AtomicI32::new(ANY_SOURCE);
static HOST_VALUE: AtomicI32 = AtomicI32::new(PROC_NULL);
static WTIME_IS_GLOBAL: AtomicI32 = AtomicI32::new(0);
static APPNUM: Optional = Optional::new();
static UNIVERSE_SIZE: Optional = Optional::new();

/// Tells what is true of the job, when the engine is initialised.
pub fn publish(job: &Predefined) {
    WTIME_IS_GLOBAL.store(i32::from(job.wtime_is_global), Ordering::Relaxed);
    APPNUM.publish(job.appnum);
    UNIVERSE_SIZE.publish(job.universe_size);
}

/// The value of a predefined attribute of communicators, at a place that never moves; `None` for
/// other keys, and when the launcher did not say.
pub fn predefined(keyval: Keyval) -> Option<&'static AtomicI32> {
    match keyval {
        Keyval::TAG_UB => Some(&TAG_UB_VALUE),
        Keyval::IO => Some(&IO_VALUE),
        Keyval::HOST => Some(&HOST_VALUE),
        Keyval::WTIME_IS_GLOBAL => Some(&WTIME_IS_GLOBAL),
        Keyval::APPNUM => APPNUM.get(),
        Keyval::LASTUSEDCODE => Some(last_used_code()),
        Keyval::UNIVERSE_SIZE => UNIVERSE_SIZE.get(),
        _ => None,
    }
}
