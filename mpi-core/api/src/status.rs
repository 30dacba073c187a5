//! Whom to talk to, and what a finished operation tells.

use crate::{Datatype, Error, ErrorClass, Result};
use ferrite_engine::status::{ANY_SOURCE, ANY_TAG, PROC_NULL};

/// Where a message goes. Made of a rank, or of an `Option` of one: nothing is sent to `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The process of this rank.
    Rank(i64),
    /// Nobody (`MPI_PROC_NULL`): the call succeeds and does nothing.
    Null,
}

/// Where a message comes from. Made of a rank, or of an `Option` of one: nothing comes from `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The process of this rank.
    Rank(i64),
    /// Any process.
    Any,
    /// Nobody (`MPI_PROC_NULL`): the call succeeds, and nothing is received.
    Null,
}

/// Which messages a receive takes. Made of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// Those sent with this tag, which is not negative.
    Is(i32),
    /// All.
    Any,
}

#[inline(always)]
fn rank(rank: i64) -> Result<i32> {
    if rank < 0 || rank > i64::from(i32::MAX) {
        return Err(no_rank(rank));
    }
    Ok(rank as i32)
}

#[cold]
fn no_rank(rank: i64) -> Error {
    let sentence = format!(
        "{rank} is no rank; for any process say Source::Any, for none Source::Null or \
         Destination::Null"
    );
    Error::new(ErrorClass::RANK, sentence)
}

#[cold]
fn no_tag(tag: i32) -> Error {
    let sentence = format!("tag {tag} is negative; for any tag say Tag::Any");
    Error::new(ErrorClass::TAG, sentence)
}

impl Destination {
    /// What the engine calls it; `size` is that of the communicator.
    #[inline(always)]
    pub(crate) fn raw_among(self, size: usize) -> Result<i32> {
        match self {
            Destination::Rank(rank) if (rank as u64) < size as u64 => Ok(rank as i32),
            _ => self.raw(),
        }
    }

    /// The same for what is no rank there: nobody, or a number that the engine or this will refuse.
    #[cold]
    fn raw(self) -> Result<i32> {
        match self {
            Destination::Rank(value) => rank(value),
            Destination::Null => Ok(PROC_NULL),
        }
    }
}

impl Source {
    #[inline(always)]
    pub(crate) fn raw(self) -> Result<i32> {
        match self {
            Source::Rank(value) => rank(value),
            Source::Any => Ok(ANY_SOURCE),
            Source::Null => Ok(PROC_NULL),
        }
    }
}

impl Tag {
    #[inline(always)]
    pub(crate) fn raw(self) -> Result<i32> {
        match self {
            Tag::Is(tag) if tag < 0 => Err(no_tag(tag)),
            Tag::Is(tag) => Ok(tag),
            Tag::Any => Ok(ANY_TAG),
        }
    }
}

macro_rules! from_ranks {
    ($($what:ident),*) => {$(
        impl From<usize> for $what {
            #[inline(always)]
            fn from(rank: usize) -> $what {
                $what::Rank(rank as i64)
            }
        }
        impl From<i32> for $what {
            #[inline(always)]
            fn from(rank: i32) -> $what {
                $what::Rank(i64::from(rank))
            }
        }
        impl From<Option<usize>> for $what {
            #[inline(always)]
            fn from(rank: Option<usize>) -> $what {
                rank.map_or($what::Null, $what::from)
            }
        }
    )*};
}
from_ranks!(Destination, Source);

impl From<i32> for Tag {
    #[inline(always)]
    fn from(tag: i32) -> Tag {
        Tag::Is(tag)
    }
}

/// What is known of a message (MPI 5.0, section 3.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub(crate) ferrite_engine::Status);

impl Status {
    /// The sender's rank; `None` when there was no sender.
    pub fn source(&self) -> Option<usize> {
        usize::try_from(self.0.source).ok()
    }

    /// The message's tag; `None` when there was no message.
    pub fn tag(&self) -> Option<i32> {
        Some(self.0.tag).filter(|&tag| tag >= 0)
    }

    /// Length in bytes of the packed form (see [`Datatype`]).
    pub fn bytes(&self) -> usize {
        usize::try_from(self.0.bytes).unwrap_or(0)
    }

    /// Length in items; `None` when it is no whole number of them.
    pub fn count<T: Datatype>(&self) -> Option<usize> {
        match T::PACKED {
            0 => Some(0),
            size => self
                .bytes()
                .is_multiple_of(size)
                .then_some(self.bytes() / size),
        }
    }

    /// Whether the operation was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled
    }
}
