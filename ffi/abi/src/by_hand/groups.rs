//! Groups: sets of ranks, and how they are combined (chapter 7).

use std::sync::Arc;

use ferrite_engine::group::{Comparison, Members};
use ferrite_engine::{Engine, Group, Result};

use super::{array, null, set, set_handle};
use crate::convert::narrow;
use crate::interface::{rank_in, rank_out};
use crate::types::{MPI_Group, c_int};

/// `MPI_IDENT`, `MPI_SIMILAR` and `MPI_UNEQUAL`
const IDENT: c_int = 201;
const SIMILAR: c_int = 203;
const UNEQUAL: c_int = 204;

fn find(engine: &Engine, group: MPI_Group) -> Result<Arc<Members>> {
    engine.group(Group(narrow(group)))
}

/// # Safety
/// `to` is null or points to a handle that may be written.
unsafe fn give(engine: &Engine, members: Members, to: *mut MPI_Group) -> Result<()> {
    if to.is_null() {
        return Err(null("newgroup"));
    }
    let made = engine.add_group(Arc::new(members))?;
    // SAFETY: the caller's promise.
    unsafe { set_handle(to, made.0, "newgroup") }
}

pub(crate) unsafe fn group_compare(
    engine: &Engine,
    one: MPI_Group,
    two: MPI_Group,
    result: *mut c_int,
) -> Result<()> {
    let comparison = match find(engine, one)?.compare(&*find(engine, two)?) {
        Comparison::Identical => IDENT,
        Comparison::Similar => SIMILAR,
        Comparison::Unequal => UNEQUAL,
    };
    // SAFETY: the program's pointer.
    unsafe { set(result, comparison, "result") }
}

pub(crate) unsafe fn group_translate_ranks(
    engine: &Engine,
    from: MPI_Group,
    n: c_int,
    ranks: *const c_int,
    to: MPI_Group,
    translated: *mut c_int,
) -> Result<()> {
    // SAFETY: the program's array.
    let ranks = unsafe { array(ranks, n, "ranks1")? };
    let ranks: Vec<c_int> = ranks.iter().map(|rank| rank_in(*rank)).collect();
    let mut answer = find(engine, from)?.translate_ranks(&ranks, &*find(engine, to)?)?;
    answer.iter_mut().for_each(|rank| *rank = rank_out(*rank));
    if translated.is_null() && !answer.is_empty() {
        return Err(null("ranks2"));
    }
    // SAFETY: the program's array has as many places as the other.
    unsafe { translated.copy_from(answer.as_ptr(), answer.len()) };
    Ok(())
}

pub(crate) unsafe fn group_incl(
    engine: &Engine,
    group: MPI_Group,
    n: c_int,
    ranks: *const c_int,
    made: *mut MPI_Group,
) -> Result<()> {
    // SAFETY: the program's array and pointer.
    unsafe {
        give(
            engine,
            find(engine, group)?.incl(array(ranks, n, "ranks")?)?,
            made,
        )
    }
}

pub(crate) unsafe fn group_excl(
    engine: &Engine,
    group: MPI_Group,
    n: c_int,
    ranks: *const c_int,
    made: *mut MPI_Group,
) -> Result<()> {
    // SAFETY: the program's array and pointer.
    unsafe {
        give(
            engine,
            find(engine, group)?.excl(array(ranks, n, "ranks")?)?,
            made,
        )
    }
}

pub(crate) unsafe fn group_range_incl(
    engine: &Engine,
    group: MPI_Group,
    n: c_int,
    ranges: *mut [c_int; 3],
    made: *mut MPI_Group,
) -> Result<()> {
    // SAFETY: the program's array and pointer.
    unsafe {
        give(
            engine,
            find(engine, group)?.range_incl(array(ranges, n, "ranges")?)?,
            made,
        )
    }
}

pub(crate) unsafe fn group_range_excl(
    engine: &Engine,
    group: MPI_Group,
    n: c_int,
    ranges: *mut [c_int; 3],
    made: *mut MPI_Group,
) -> Result<()> {
    // SAFETY: the program's array and pointer.
    unsafe {
        give(
            engine,
            find(engine, group)?.range_excl(array(ranges, n, "ranges")?)?,
            made,
        )
    }
}

pub(crate) unsafe fn group_union(
    engine: &Engine,
    one: MPI_Group,
    two: MPI_Group,
    made: *mut MPI_Group,
) -> Result<()> {
    let members = find(engine, one)?.union(&*find(engine, two)?);
    // SAFETY: the program's pointer.
    unsafe { give(engine, members, made) }
}

pub(crate) unsafe fn group_intersection(
    engine: &Engine,
    one: MPI_Group,
    two: MPI_Group,
    made: *mut MPI_Group,
) -> Result<()> {
    let members = find(engine, one)?.intersection(&*find(engine, two)?);
    // SAFETY: the program's pointer.
    unsafe { give(engine, members, made) }
}

pub(crate) unsafe fn group_difference(
    engine: &Engine,
    one: MPI_Group,
    two: MPI_Group,
    made: *mut MPI_Group,
) -> Result<()> {
    let members = find(engine, one)?.difference(&*find(engine, two)?);
    // SAFETY: the program's pointer.
    unsafe { give(engine, members, made) }
}
