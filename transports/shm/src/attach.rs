//! Attaching to the segment of a job.

use core::fmt;
use core::hash::{BuildHasher, Hasher};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::hash::RandomState;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use ferrite_fabric::Job;
use ferrite_ring::{Bell, Shape, fence};

use crate::layout::{CLAIMS, Card, Claim, Layout, Preamble};
use crate::link::ShmLink;
use crate::port::{ShmPort, Sleeper};
use crate::segment::Segment;
use crate::sys;

/// What can be chosen. All ranks of a node must choose the same shape.
#[derive(Clone, Copy, Debug)]
pub struct ShmConfig {
    /// Whether to reach peers' memory directly (cross-memory attach).
    pub cma: bool,
    /// Slots and body bytes of each ring; `None`: by the number of ranks, see [`default_shape`].
    pub shape: Option<Shape>,
}

impl Default for ShmConfig {
    fn default() -> ShmConfig {
        ShmConfig {
            cma: true,
            shape: None,
        }
    }
}

/// The shape of rings on a node with `ranks` ranks. A stream of frames runs twice as fast through 512 KiB as through 128 KiB,
/// where producer and consumer get into each other's caches; 256 slots do for any rate. With many ranks the rings get smaller,
/// so that all of them, once used, occupy some 2 GiB, and not less than 32 KiB each.
pub fn default_shape(ranks: usize) -> Shape {
    const ALL: usize = 2 << 30;
    let each = ALL / (ranks * ranks).max(1);
    let body = (1 << each.max(1).ilog2()).clamp(32 << 10, 512 << 10);
    Shape {
        slots: if ranks > 64 { 64 } else { 256 },
        body,
    }
}

/// This process's part in the segment of its node.
#[derive(Debug)]
pub struct Attachment {
    pub(crate) node: Arc<Node>,
}

/// What the attachment, its port and its links share.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) segment: Segment,
    /// Ranks of this node, ascending: world rank by local index.
    pub(crate) local: Box<[u32]>,
    /// This process's local index.
    pub(crate) own: usize,
    /// Whether this process takes part in asymmetric fences.
    pub(crate) fenced: bool,
    pub(crate) cma: bool,
    /// Read by peers from this process's memory, at the address that the card tells.
    _nonce: Box<u64>,
    port_taken: AtomicBool,
    link_taken: Box<[AtomicBool]>,
}

/// Attaches to the segment of `job`. A job without a segment, or with one rank on this node, gets memory of its own.
pub fn attach(job: &Job, config: &ShmConfig) -> Result<Attachment, AttachError> {
    let alone = [job.rank];
    let local = if job.segment.is_some() {
        &job.local[..]
    } else {
        &alone
    };
    if !local.is_sorted_by(|a, b| a < b) {
        return Err(AttachError::Job("the list of local ranks is not ascending"));
    }
    let own = local
        .binary_search(&job.rank)
        .map_err(|_| AttachError::Job("this rank is not in the list of local ranks"))?;
    if local.len() > Bell::SENDERS as usize {
        return Err(AttachError::TooManyRanks(local.len()));
    }
    let shape = config.shape.unwrap_or_else(|| default_shape(local.len()));
    if !shape.valid() {
        return Err(AttachError::Job("the shape of rings must be powers of two"));
    }
    let layout = Layout {
        ranks: local.len(),
        shape,
    };
    let segment = map(job, layout)?;
    agree(segment.preamble(), job, layout)?;

    let fenced = fence::register();
    if config.cma && job.launcher != 0 {
        sys::permit_access_to_descendants_of(job.launcher);
    }
    let nonce = Box::new(RandomState::new().build_hasher().finish());
    let card = segment.card(own);
    card.barrier
        .store(if fenced { 0 } else { Card::NO_BARRIER }, Ordering::Relaxed);
    card.nonce.store(*nonce, Ordering::Relaxed);
    card.nonce_at.store(
        core::ptr::from_ref(&*nonce).addr() as u64,
        Ordering::Relaxed,
    );
    // Pairs with the acquire load in `PeerMemory::identify`.
    card.pid.store(std::process::id(), Ordering::Release);

    let node = Node {
        segment,
        local: local.into(),
        own,
        fenced,
        cma: config.cma,
        _nonce: nonce,
        port_taken: AtomicBool::new(false),
        link_taken: local.iter().map(|_| AtomicBool::new(false)).collect(),
    };
    Ok(Attachment {
        node: Arc::new(node),
    })
}

fn map(job: &Job, layout: Layout) -> Result<Segment, AttachError> {
    let bytes = layout.bytes();
    let failed = |error| AttachError::System { bytes, error };
    let memory = match &job.segment {
        None => sys::map_private(bytes).map_err(failed)?,
        Some(fd) => {
            let size = sys::size_file(fd.as_fd(), bytes).map_err(failed)?;
            if size != bytes {
                return Err(AttachError::Disagree {
                    what: "size in bytes",
                    ours: bytes as u64,
                    theirs: size as u64,
                });
            }
            sys::map_file(fd.as_fd(), bytes).map_err(failed)?
        }
    };
    // SAFETY: just mapped with this length; its content is checked next, and any content is memory-safe.
    Ok(unsafe { Segment::new(memory, layout) })
}

/// Writes what nobody has written yet, and compares what somebody has.
fn agree(preamble: &Preamble, job: &Job, layout: Layout) -> Result<(), AttachError> {
    let field = |field: &AtomicU64, what, ours| {
        // Acquire and release pair with each other; but no field says anything about other memory.
        match field.compare_exchange(0, ours, Ordering::AcqRel, Ordering::Acquire) {
            Err(theirs) if theirs != ours => Err(AttachError::Disagree { what, ours, theirs }),
            _ => Ok(()),
        }
    };
    let id = u128::from_le_bytes(job.id);
    field(&preamble.magic, "magic number", Preamble::MAGIC)?;
    field(
        &preamble.version,
        "version of the layout",
        Preamble::VERSION,
    )?;
    field(&preamble.job[0], "job id (low half)", id as u64)?;
    field(&preamble.job[1], "job id (high half)", (id >> 64) as u64)?;
    field(
        &preamble.ranks,
        "number of ranks on this node",
        layout.ranks as u64,
    )?;
    field(
        &preamble.slots,
        "slots of a ring",
        layout.shape.slots.into(),
    )?;
    field(
        &preamble.body,
        "body bytes of a ring",
        layout.shape.body.into(),
    )
}

impl Attachment {
    /// The receiving side. Panics when called twice.
    pub fn port(&self) -> ShmPort {
        assert!(
            !self.node.port_taken.swap(true, Ordering::Relaxed),
            "an attachment has one port"
        );
        ShmPort::new(self.node.clone())
    }

    /// The link to a rank of the job, or `None` when that rank is not on this node. Panics when called twice for the same rank.
    pub fn link(&self, rank: u32) -> Option<ShmLink> {
        let peer = self.node.index(rank)?;
        let taken = self.node.link_taken[peer].swap(true, Ordering::Relaxed);
        assert!(!taken, "rank {rank} has its link already");
        Some(ShmLink::new(self.node.clone(), peer))
    }

    /// Whether a rank of the job is on this node.
    pub fn is_local(&self, rank: u32) -> bool {
        self.node.index(rank).is_some()
    }

    /// Sleeps and wakes this process.
    pub fn sleeper(&self) -> Sleeper {
        Sleeper::new(self.node.clone())
    }

    /// The claims of messages from rank `sender` to rank `receiver`, or `None` unless both are on this node.
    pub fn claims(&self, sender: u32, receiver: u32) -> Option<&[Claim; CLAIMS]> {
        Some(
            self.node
                .segment
                .claims(self.node.index(receiver)?, self.node.index(sender)?),
        )
    }
}

impl Node {
    pub(crate) fn index(&self, rank: u32) -> Option<usize> {
        self.local.binary_search(&rank).ok()
    }
}

/// Why this process cannot use shared memory.
#[derive(Debug)]
pub enum AttachError {
    /// The job's description contradicts itself.
    Job(&'static str),
    /// More ranks on one node than a segment has room for.
    TooManyRanks(usize),
    /// A rank of this node sees the segment differently.
    Disagree {
        /// What about it.
        what: &'static str,
        /// This process's value.
        ours: u64,
        /// The value in the segment.
        theirs: u64,
    },
    /// The system refused to size or map the segment.
    System {
        /// Size of the segment.
        bytes: usize,
        /// What it said.
        error: io::Error,
    },
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttachError::Job(why) => {
                write!(f, "shared memory: {why}; this is an error of the launcher")
            }
            AttachError::TooManyRanks(ranks) => {
                write!(
                    f,
                    "shared memory: {ranks} ranks on one node, but at most {}",
                    Bell::SENDERS
                )
            }
            AttachError::Disagree { what, ours, theirs } => write!(
                f,
                "shared memory: the ranks of this node do not agree: {what} is {ours:#x} here and {theirs:#x} in the segment; \
                 all ranks must run the same version of the library with the same settings"
            ),
            AttachError::System { bytes, error } => write!(
                f,
                "shared memory: cannot map a segment of {bytes} bytes of address space: {error}; \
                 is the address space limited (ulimit -v)?"
            ),
        }
    }
}

impl std::error::Error for AttachError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            AttachError::System { error, .. } => Some(error),
            _ => None,
        }
    }
}
