//! Options of the programs, in the manner of `getopt_long`.
//!
//! Names, meanings and defaults are OSU 7.4's. What differs is on the strict side: a number that is
//! not one, an option that the program would have to ignore, and a word that is left over are
//! errors.

mod help;
mod parse;

pub use parse::parse;

/// The programs that measure something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `osu_latency`
    Latency,
    /// `osu_bw`
    Bandwidth,
    /// `osu_bibw`
    BidirectionalBandwidth,
    /// `osu_mbw_mr`
    MessageRate,
    /// `osu_barrier`
    Barrier,
    /// `osu_bcast`
    Bcast,
    /// `osu_reduce`
    Reduce,
    /// `osu_allreduce`
    Allreduce,
    /// `osu_allgather`
    Allgather,
    /// `osu_alltoall`
    Alltoall,
    /// `osu_ibcast`
    Ibcast,
    /// `osu_iallreduce`
    Iallreduce,
}

/// What a program measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Messages between pairs of processes.
    Messages,
    /// A blocking collective operation.
    Collective,
    /// A nonblocking one beside computation.
    Overlap,
}

impl Program {
    /// The name of the executable.
    pub fn name(self) -> &'static str {
        match self {
            Self::Latency => "osu_latency",
            Self::Bandwidth => "osu_bw",
            Self::BidirectionalBandwidth => "osu_bibw",
            Self::MessageRate => "osu_mbw_mr",
            Self::Barrier => "osu_barrier",
            Self::Bcast => "osu_bcast",
            Self::Reduce => "osu_reduce",
            Self::Allreduce => "osu_allreduce",
            Self::Allgather => "osu_allgather",
            Self::Alltoall => "osu_alltoall",
            Self::Ibcast => "osu_ibcast",
            Self::Iallreduce => "osu_iallreduce",
        }
    }

    /// The first line of the output, and the answer to `--version`.
    pub fn title(self) -> &'static str {
        match self {
            Self::Latency => "# OSU MPI Latency Test v7.4",
            Self::Bandwidth => "# OSU MPI Bandwidth Test v7.4",
            Self::BidirectionalBandwidth => "# OSU MPI Bi-Directional Bandwidth Test v7.4",
            Self::MessageRate => "# OSU MPI Multiple Bandwidth / Message Rate Test v7.4",
            Self::Barrier => "# OSU MPI Barrier Latency Test v7.4",
            Self::Bcast => "# OSU MPI Broadcast Latency Test v7.4",
            Self::Reduce => "# OSU MPI Reduce Latency Test v7.4",
            Self::Allreduce => "# OSU MPI Allreduce Latency Test v7.4",
            Self::Allgather => "# OSU MPI Allgather Latency Test v7.4",
            Self::Alltoall => "# OSU MPI All-to-All Personalized Exchange Latency Test v7.4",
            Self::Ibcast => "# OSU MPI Non-Blocking Broadcast Latency Test v7.4",
            Self::Iallreduce => "# OSU MPI Non-blocking Allreduce Latency Test v7.4",
        }
    }

    /// What it measures.
    pub fn kind(self) -> Kind {
        match self {
            Self::Latency | Self::Bandwidth | Self::BidirectionalBandwidth | Self::MessageRate => {
                Kind::Messages
            }
            Self::Ibcast | Self::Iallreduce => Kind::Overlap,
            _ => Kind::Collective,
        }
    }

    /// Whether each process has a block for every other one.
    pub fn has_blocks(self) -> bool {
        matches!(self, Self::Allgather | Self::Alltoall)
    }

    /// The answer to `--help`.
    pub fn help(self) -> String {
        help::text(self)
    }

    /// The short options in the order that the help lists them.
    fn letters(self) -> &'static str {
        match self {
            Self::Latency => "hvmxibcuTzf",
            Self::Bandwidth | Self::BidirectionalBandwidth => "hvmxiWbcuTzf",
            Self::MessageRate => "pWRximVhvbcuTzf",
            Self::Barrier => "hvfixz",
            Self::Allgather | Self::Alltoall => "hvfmixMcuTz",
            _ if self.kind() == Kind::Overlap => "hvfmixtcuTz",
            _ => "hvfmixcuTz",
        }
    }

    fn smallest_default(self) -> usize {
        // OSU's osu_latency starts at 0, and then skips 0 because no element fits: its first row is
        // 1 as well.
        1
    }

    fn largest_default(self) -> usize {
        match self.kind() {
            Kind::Messages => 1 << 22,
            _ => 1 << 20,
        }
    }

    fn small_messages(self) -> Plan {
        match self {
            Self::Latency => Plan {
                iterations: 10_000,
                warmup: 100,
            },
            _ if self.kind() != Kind::Messages => Plan {
                iterations: 1_000,
                warmup: 100,
            },
            _ => Plan {
                iterations: 100,
                warmup: 10,
            },
        }
    }

    fn large_messages(self) -> Plan {
        match self {
            Self::Latency => Plan {
                iterations: 1_000,
                warmup: 10,
            },
            _ if self.kind() != Kind::Messages => Plan {
                iterations: 100,
                warmup: 10,
            },
            _ => Plan {
                iterations: 20,
                warmup: 2,
            },
        }
    }
}

/// How often a message size is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Timed iterations, at least 1.
    pub iterations: usize,
    /// Iterations before them that are not timed.
    pub warmup: usize,
}

/// Whether the messages of a window share one buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffers {
    /// All messages use one buffer.
    Single,
    /// Each message of a window has its own.
    Multiple,
}

/// The element types of `-T`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// `MPI_CHAR`
    Char,
    /// `MPI_INT`
    Int,
    /// `MPI_FLOAT`
    Float,
}

impl Element {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::Char => 1,
            Self::Int | Self::Float => 4,
        }
    }
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// `--help`
    Help,
    /// `--version`
    Version,
    /// A measurement.
    Run(Options),
}

/// The settings of a measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The smallest message in bytes.
    pub smallest: usize,
    /// The largest message in bytes.
    pub largest: usize,
    /// The plan of messages up to [`Options::LARGE`] bytes.
    pub small_messages: Plan,
    /// The plan of larger ones.
    pub large_messages: Plan,
    /// Messages in flight.
    pub window: usize,
    /// Measure a range of windows.
    pub vary_window: bool,
    /// Whether the messages of a window share a buffer.
    pub buffers: Buffers,
    /// Check the data that arrive; each timed exchange follows this many that are not timed.
    pub validation: Option<usize>,
    /// The element types to measure, one table each.
    pub elements: Vec<Element>,
    /// Print minimum, maximum and number of iterations.
    pub full: bool,
    /// Percentiles to print, each from 1 to 100.
    pub percentiles: Vec<usize>,
    /// Pairs of processes; all when not given.
    pub pairs: Option<usize>,
    /// Print messages per second.
    pub rate: bool,
    /// Bytes that a process may have for a buffer of blocks.
    pub memory: usize,
    /// Calls of `MPI_Test` during the computation.
    pub tests: usize,
}

impl Options {
    /// Messages of more bytes are large: they are measured less often.
    pub const LARGE: usize = 8192;

    /// The windows of `-V`.
    pub const WINDOWS: [usize; 8] = [1, 2, 4, 8, 16, 32, 64, 128];

    /// What `program` does when nothing is asked for.
    pub fn new(program: Program) -> Self {
        Self {
            smallest: program.smallest_default(),
            largest: program.largest_default(),
            small_messages: program.small_messages(),
            large_messages: program.large_messages(),
            window: 64,
            vary_window: false,
            buffers: Buffers::Single,
            validation: None,
            elements: vec![Element::Char],
            full: false,
            percentiles: Vec::new(),
            pairs: None,
            rate: true,
            memory: 512 << 20,
            tests: 0,
        }
    }

    /// The message sizes in bytes for elements of type `element`: powers of two times the smallest.
    /// A size that is not zero but holds no element is left out.
    pub fn sizes(&self, element: Element) -> impl Iterator<Item = usize> + use<> {
        let largest = self.largest;
        std::iter::successors(Some(self.smallest), |&size| {
            Some(if size == 0 { 1 } else { size * 2 })
        })
        .take_while(move |&size| size <= largest)
        .filter(move |&size| size == 0 || size >= element.size())
    }

    /// The plan for messages of `bytes` bytes.
    pub fn plan(&self, bytes: usize) -> Plan {
        if bytes > Self::LARGE {
            self.large_messages
        } else {
            self.small_messages
        }
    }

    /// Whether the time of each iteration is needed, not only their sum.
    pub fn keeps_samples(&self) -> bool {
        self.full || !self.percentiles.is_empty()
    }
}
