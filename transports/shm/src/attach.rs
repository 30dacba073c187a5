//! Attaching to the segment of a job.

use core::fmt;
use core::hash::{BuildHasher, Hasher};
use core::num::NonZeroU64;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::hash::RandomState;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};

use ferrite_fabric::Job;
use ferrite_ring::{Bell, Shape, fence};

use crate::decision::{Decision, SPARE, Shortage, decide};
use crate::layout::{CLAIMS, Card, Claim, Layout, PAGE, Preamble};
use crate::link::ShmLink;
use crate::port::{ShmPort, Sleeper};
use crate::segment::Segment;
use crate::sys::{self, File, Mapping};

/// What can be chosen. All ranks of a node must choose the same shape.
#[derive(Clone, Copy, Debug)]
pub struct ShmConfig {
    /// Whether to reach peers' memory directly (cross-memory attach).
    pub cma: bool,
    /// Messages of at least this many bytes are better read directly than sent in frames.
    pub direct_from: usize,
    /// Slots and body bytes of each ring; `None`: by the number of ranks, see [`default_shape`].
    pub shape: Option<Shape>,
}

impl Default for ShmConfig {
    fn default() -> ShmConfig {
        ShmConfig {
            cma: true,
            direct_from: 0,
            shape: None,
        }
    }
}

/// The shape of rings on a node with `ranks` ranks. A stream of frames runs twice as fast through
/// 512 KiB as through 128 KiB, where producer and consumer get into each other's caches; 256 slots
/// do for any rate. With many ranks the rings get smaller, so that all of them, once used, occupy
/// some 2 GiB, and not less than 32 KiB each.
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
    /// May be changed at any time. Relaxed everywhere: advice.
    pub(crate) direct_from: AtomicUsize,
    /// What there was too little of for the segment that speed wants.
    shortage: Option<Shortage>,
    /// Room for boards that this rank may be asked to open, see `Card::rooms`.
    pub(crate) spare: Mutex<Vec<Mapping>>,
    /// Read by peers from this process's memory, at the address that the card tells.
    _nonce: Box<u64>,
    port_taken: AtomicBool,
    link_taken: Box<[AtomicBool]>,
}

/// Attaches to the segment of `job`, if its ranks on this node can have one.
pub fn attach(job: &Job, config: &ShmConfig) -> Result<Attachment, AttachError> {
    let local = &job.local[..];
    if !local.is_sorted_by(|a, b| a < b) {
        return Err(AttachError::Job("the list of local ranks is not ascending"));
    }
    let own = local
        .binary_search(&job.rank)
        .map_err(|_| AttachError::Job("this rank is not in the list of local ranks"))?;
    if local.len() > Bell::SENDERS as usize {
        return Err(AttachError::TooManyRanks(local.len()));
    }
    if config.shape.is_some_and(|shape| !shape.valid()) {
        return Err(AttachError::Job("the shape of rings must be powers of two"));
    }
    let file = job.segment.as_ref();
    let file = file.ok_or(AttachError::Job("there is no memory file"))?;
    let failed = |bytes| move |error| AttachError::System { bytes, error };
    let file = File::new(file.as_fd()).map_err(AttachError::File)?;
    let decision = agree(&file, job, config)?;
    let ranks = local.len();
    let Some(layout) = decision.layout(ranks) else {
        let shortage = decision.shortage.unwrap_or(Shortage::Refused);
        return Err(AttachError::Without { shortage, ranks });
    };
    file.fix_length();
    let bytes = layout.mapped_bytes();
    let segment = Segment::map(file, layout, own).map_err(failed(bytes))?;

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
        direct_from: config.direct_from.into(),
        shortage: decision.shortage,
        spare: Mutex::new(Vec::new()),
        _nonce: nonce,
        port_taken: AtomicBool::new(false),
        link_taken: local.iter().map(|_| AtomicBool::new(false)).collect(),
    };
    node.keep_rooms();
    Ok(Attachment {
        node: Arc::new(node),
    })
}

/// Writes what nobody has written yet, and compares what somebody has; decides how large the
/// segment is, unless somebody has.
fn agree(file: &File, job: &Job, config: &ShmConfig) -> Result<Decision, AttachError> {
    let ranks = job.local.len();
    let failed = |error| AttachError::System { bytes: PAGE, error };
    if let Err(short) = file.extend(PAGE) {
        // Nobody can write a word for the others: that the file stays empty has to do.
        file.fix_length();
        if file.bytes().map_err(failed)? < PAGE as u64 {
            return Ok(Decision::without(short.into()));
        }
    }
    let page = Mapping::reserve(PAGE).map_err(failed)?;
    page.show(0, file, 0, PAGE).map_err(failed)?;
    // SAFETY: the mapping has a page, lives to the end of this function, and any content is a
    // preamble.
    let preamble: &Preamble = unsafe { page.start().cast().as_ref() };
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
        ranks as u64,
    )?;

    // Acquire and release pair with each other: the file is as long as was decided.
    let mut word = preamble.decision.load(Ordering::Acquire);
    if word == 0 {
        let decision = decide(ranks, config.shape, sys::longest_file(), |layout| {
            try_out(file, layout)
        });
        let ours = decision.encode().get();
        word = preamble
            .decision
            .compare_exchange(0, ours, Ordering::AcqRel, Ordering::Acquire)
            .map_or_else(|theirs| theirs, |_| ours);
    }
    let decision = NonZeroU64::new(word).map(Decision::decode);
    let decision = decision.expect("a word that is not 0 stays");
    let Some(layout) = decision.layout(ranks) else {
        return Ok(decision);
    };
    let differs = |what, ours: u64, theirs: u64| match ours == theirs {
        true => Ok(()),
        false => Err(AttachError::Disagree { what, ours, theirs }),
    };
    if let Some(chosen) = config.shape {
        let (ours, theirs) = (chosen, layout.shape);
        differs("slots of a ring", ours.slots.into(), theirs.slots.into())?;
        differs("body bytes of a ring", ours.body.into(), theirs.body.into())?;
    }
    let (ours, size) = (layout.bytes() as u64, file.bytes().map_err(failed)?);
    if size < ours {
        differs("size in bytes", ours, size)?;
    }
    Ok(decision)
}

/// Whether this process can have such a segment, and has address space left then. The file is made
/// long enough for it.
fn try_out(file: &File, layout: Layout) -> Result<(), Shortage> {
    let space = Mapping::reserve(layout.mapped_bytes() + SPARE);
    drop(space.map_err(|_| Shortage::AddressSpace)?);
    Ok(file.extend(layout.bytes())?)
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

    /// The link to a rank of the job, or `None` when that rank is not on this node. Panics when
    /// called twice for the same rank. An error: the system has refused to map the ring.
    pub fn link(&self, rank: u32) -> Result<Option<ShmLink>, AttachError> {
        let Some(peer) = self.node.index(rank) else {
            return Ok(None);
        };
        let taken = self.node.link_taken[peer].swap(true, Ordering::Relaxed);
        assert!(!taken, "rank {rank} has its link already");
        let bytes = self.node.segment.layout().pair_bytes();
        let link = ShmLink::new(self.node.clone(), peer);
        link.map(Some)
            .map_err(|error| AttachError::System { bytes, error })
    }

    /// Why the segment is smaller than speed wants, if it is, and what to do about it.
    pub fn shortage(&self) -> Option<String> {
        let layout = self.node.segment.layout();
        let shortage = self.node.shortage?;
        let what = match layout.units {
            0 => "is small, and collective operations use messages",
            _ => "is small",
        };
        Some(format!(
            "the memory that the {} ranks of this node share {what}: {}",
            layout.ranks,
            shortage.sentence(layout.ranks)
        ))
    }

    /// From now on messages of at least this many bytes are better read directly than sent in
    /// frames.
    pub fn set_direct_from(&self, bytes: usize) {
        self.node.direct_from.store(bytes, Ordering::Relaxed);
    }

    /// Whether a rank of the job is on this node.
    pub fn is_local(&self, rank: u32) -> bool {
        self.node.index(rank).is_some()
    }

    /// Sleeps and wakes this process.
    pub fn sleeper(&self) -> Sleeper {
        Sleeper::new(self.node.clone())
    }

    /// The claims of messages from rank `sender` to rank `receiver`, one of which is this rank;
    /// `None` unless both are on this node.
    pub fn claims(&self, sender: u32, receiver: u32) -> Option<&[Claim; CLAIMS]> {
        let (node, receiver) = (&self.node, self.node.index(receiver)?);
        let sender = node.index(sender)?;
        assert!(receiver == node.own || sender == node.own);
        if receiver == node.own {
            return Some(node.segment.claims_from(sender));
        }
        // An area that cannot be mapped is no place for claims; the link, which needs it more, has
        // told.
        node.segment.claims_to(receiver).ok()
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
    /// The ranks of this node have agreed to go without shared memory.
    Without {
        /// What there is too little of.
        shortage: Shortage,
        /// How many they are.
        ranks: usize,
    },
    /// The memory file cannot be kept open.
    File(io::Error),
    /// The system refused to map a part of the segment.
    System {
        /// Its size.
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
                "shared memory: the ranks of this node do not agree: {what} is {ours:#x} here and \
                 {theirs:#x} in the segment; \
                 all ranks must run the same version of the library with the same settings"
            ),
            AttachError::Without { shortage, ranks } => write!(
                f,
                "the {ranks} ranks of this node share no memory and use a network: {}",
                shortage.sentence(*ranks)
            ),
            AttachError::File(error) => write!(
                f,
                "shared memory: the node's memory file cannot be kept open: {error}; has this \
                 process all the descriptors open that it may \
                 have (ulimit -n)?"
            ),
            AttachError::System { bytes, error } => write!(
                f,
                "shared memory: cannot map {bytes} bytes of the node's segment: {error}; has this \
                 process a lower limit of address space \
                 (ulimit -v) or of locked memory (ulimit -l) than the other ranks of this node?"
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
