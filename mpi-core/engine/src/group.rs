//! Groups: which processes, in which order (MPI 5.0, section 7.3).
//!
//! A group maps a rank to a process by the cheapest form that fits: most groups (the world, its
//! halves, every other process) need a few bytes, whatever their size. Groups never change, are
//! shared by [`Group`], and need neither a lock nor the engine: a process is an index into the
//! process table, and this module does not know what it stands for.

use std::sync::{Arc, OnceLock};

use crate::engine::SharedBuffers;
use crate::error::{Error, ErrorClass, Result};
use crate::status::{PROC_NULL, UNDEFINED};

mod subset;

/// A group as objects share it.
pub type Group = Arc<Members>;

/// The processes of a group. Every process occurs once.
#[derive(Debug)]
pub struct Members {
    size: u32,
    form: Form,
    /// The buffers of the session that the group comes from.
    session: Option<SharedBuffers>,
}

/// How ranks map to processes. A group has the first of these that fits.
#[derive(Debug)]
enum Form {
    /// Process = rank.
    Identity,
    /// Process = first + rank.
    Offset(u32),
    /// Process = first + rank * step; the step is neither 0 nor 1.
    Stride { first: u32, step: i32 },
    /// Any processes.
    List(List),
}

#[derive(Debug)]
struct List {
    processes: Box<[u32]>,
    /// (process, rank) in ascending order of the processes; made when first asked for.
    index: OnceLock<Box<[(u32, u32)]>>,
}

/// The outcome of comparing two groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Same processes, same order (`MPI_IDENT`).
    Identical,
    /// Same processes, different order (`MPI_SIMILAR`).
    Similar,
    /// Different processes (`MPI_UNEQUAL`).
    Unequal,
}

impl Members {
    /// No processes.
    pub const fn empty() -> Members {
        Members::first(0)
    }

    /// The processes 0..size in their order.
    pub const fn first(size: u32) -> Members {
        Members {
            size,
            form: Form::Identity,
            session: None,
        }
    }

    /// These processes in this order, in the cheapest form. Every process occurs once.
    pub fn new(processes: impl Into<Vec<u32>>) -> Members {
        let processes = processes.into();
        let size = u32::try_from(processes.len()).expect("a process is numbered by 32 bits");
        let form = regular(&processes).unwrap_or_else(|| {
            Form::List(List {
                processes: processes.into(),
                index: OnceLock::new(),
            })
        });
        Members {
            size,
            form,
            session: None,
        }
    }

    /// The same, from a session with these buffers.
    pub(crate) fn by_session(self, session: Option<SharedBuffers>) -> Members {
        Members { session, ..self }
    }

    /// The buffers of the session that the group comes from, and whatever was made of it.
    pub(crate) fn session(&self) -> Option<&SharedBuffers> {
        self.session.as_ref()
    }

    /// The number of processes (`MPI_Group_size`).
    #[inline]
    pub fn size(&self) -> u32 {
        self.size
    }

    /// The process with this rank. Panics, or answers nonsense, when `rank` is not below the size.
    #[inline]
    pub fn process(&self, rank: u32) -> u32 {
        debug_assert!(rank < self.size);
        match &self.form {
            Form::Identity => rank,
            Form::Offset(first) => first.wrapping_add(rank),
            Form::Stride { first, step } => first.wrapping_add(rank.wrapping_mul(*step as u32)),
            Form::List(list) => list.processes[rank as usize],
        }
    }

    /// The rank of a process (`MPI_Group_rank` for this process itself); `None` when it is not a
    /// member.
    #[inline]
    pub fn rank_of(&self, process: u32) -> Option<u32> {
        let rank = match &self.form {
            Form::Identity => process,
            Form::Offset(first) => process.checked_sub(*first)?,
            Form::Stride { first, step } => {
                let (distance, step) = (i64::from(process) - i64::from(*first), i64::from(*step));
                if distance % step != 0 {
                    return None;
                }
                u32::try_from(distance / step).ok()?
            }
            Form::List(list) => return list.rank_of(process),
        };
        (rank < self.size).then_some(rank)
    }

    /// The process of rank 0, when the processes of the others follow one by one.
    pub fn first_if_consecutive(&self) -> Option<u32> {
        match self.form {
            Form::Identity => Some(0),
            Form::Offset(first) => Some(first),
            _ => None,
        }
    }

    /// The processes in the order of their ranks.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = u32> {
        (0..self.size).map(|rank| self.process(rank))
    }

    /// The rank in `other` of each of `ranks` (`MPI_Group_translate_ranks`): `MPI_UNDEFINED` for a
    /// process that is not in `other`, `MPI_PROC_NULL` for itself. `MPI_ERR_RANK` when one of
    /// `ranks` is not a rank of this group.
    pub fn translate_ranks(&self, ranks: &[i32], other: &Members) -> Result<Vec<i32>> {
        let translate = |&rank: &i32| {
            if rank == PROC_NULL {
                return Ok(PROC_NULL);
            }
            let process = self.process(self.check(rank)?);
            Ok(other.rank_of(process).map_or(UNDEFINED, |rank| rank as i32))
        };
        ranks.iter().map(translate).collect()
    }

    /// Compares processes and their order (`MPI_Group_compare`).
    pub fn compare(&self, other: &Members) -> Comparison {
        if self.size != other.size {
            Comparison::Unequal
        } else if self.iter().eq(other.iter()) {
            Comparison::Identical
        } else if self.iter().all(|process| other.rank_of(process).is_some()) {
            Comparison::Similar
        } else {
            Comparison::Unequal
        }
    }

    /// `rank` as a rank of this group.
    fn check(&self, rank: i32) -> Result<u32> {
        match u32::try_from(rank) {
            Ok(valid) if valid < self.size => Ok(valid),
            _ => Err(Error::new(
                ErrorClass::RANK,
                match self.size {
                    0 => format!("rank {rank} is not in the group, which is empty"),
                    size => format!(
                        "rank {rank} is not in the group, whose ranks are 0 to {}",
                        size - 1
                    ),
                },
            )),
        }
    }
}

impl List {
    fn rank_of(&self, process: u32) -> Option<u32> {
        let index = self.index.get_or_init(|| {
            let mut index: Box<[(u32, u32)]> = self.processes.iter().copied().zip(0..).collect();
            index.sort_unstable();
            index
        });
        let at = index.binary_search_by_key(&process, |entry| entry.0).ok()?;
        Some(index[at].1)
    }
}

/// The form without a list, if one fits.
fn regular(processes: &[u32]) -> Option<Form> {
    let (first, step) = match processes {
        [] => (0, 1),
        [first] => (*first, 1),
        [first, second, ..] => (*first, second.wrapping_sub(*first) as i32),
    };
    let differs = |pair: &[u32]| i64::from(pair[1]) - i64::from(pair[0]) != i64::from(step);
    if processes.windows(2).any(differs) {
        return None;
    }
    Some(match (first, step) {
        (0, 1) => Form::Identity,
        (first, 1) => Form::Offset(first),
        (first, step) => Form::Stride { first, step },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(members: &Members) -> &'static str {
        match members.form {
            Form::Identity => "identity",
            Form::Offset(_) => "offset",
            Form::Stride { .. } => "stride",
            Form::List(_) => "list",
        }
    }

    #[test]
    fn a_group_takes_the_cheapest_form_and_all_forms_answer_alike() {
        let cases: &[(&str, &[u32])] = &[
            ("identity", &[]),
            ("identity", &[0]),
            ("identity", &[0, 1, 2, 3]),
            ("offset", &[7]),
            ("offset", &[5, 6, 7]),
            ("stride", &[0, 2, 4, 6]),
            ("stride", &[9, 6, 3, 0]),
            ("stride", &[1, 0]),
            ("stride", &[3, 2_000_000_000]),
            ("list", &[0, 1, 3]),
            ("list", &[3, 0, 1]),
            ("list", &[0, u32::MAX, 1]),
        ];
        for &(expected, processes) in cases {
            let members = Members::new(processes);
            assert_eq!(members.size() as usize, processes.len());
            assert!(
                members.iter().eq(processes.iter().copied()),
                "{processes:?}"
            );
            for probe in (0..12).chain([1_999_999_999, 2_000_000_000, u32::MAX]) {
                let rank = processes.iter().position(|&process| process == probe);
                assert_eq!(
                    members.rank_of(probe),
                    rank.map(|rank| rank as u32),
                    "{probe} in {processes:?}"
                );
            }
            assert_eq!(form(&members), expected, "{processes:?}");
        }
    }

    #[test]
    fn ranks_are_translated() {
        let (evens, world) = (Members::new([0, 2, 4]), Members::first(6));
        assert_eq!(
            evens.translate_ranks(&[2, 0, PROC_NULL], &world).unwrap(),
            [4, 0, PROC_NULL]
        );
        assert_eq!(
            world.translate_ranks(&[1, 4], &evens).unwrap(),
            [UNDEFINED, 2]
        );
        assert!(world.translate_ranks(&[], &evens).unwrap().is_empty());
        for bad in [-1, 6, UNDEFINED] {
            let error = world.translate_ranks(&[bad], &evens).unwrap_err();
            assert_eq!(error.class(), ErrorClass::RANK, "{error}");
        }
        assert!(
            Members::empty()
                .translate_ranks(&[0], &world)
                .unwrap_err()
                .sentence()
                .contains("empty")
        );
    }

    #[test]
    fn groups_are_compared() {
        let world = Members::first(3);
        assert_eq!(
            world.compare(&Members::new([0, 1, 2])),
            Comparison::Identical
        );
        assert_eq!(world.compare(&Members::new([2, 1, 0])), Comparison::Similar);
        assert_eq!(world.compare(&Members::new([1, 2, 3])), Comparison::Unequal);
        assert_eq!(world.compare(&Members::first(2)), Comparison::Unequal);
        assert_eq!(
            Members::empty().compare(&Members::new([])),
            Comparison::Identical
        );
    }
}
