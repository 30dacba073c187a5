//! Categories (section 15.3.9).

use ferrite_engine::tools::category::{self, Members};
use ferrite_engine::{Result, tools};

use super::{demand, name, put_numbers, wish, wish_text};
use crate::types::{c_char, c_int};

pub(crate) unsafe fn t_category_get_num(number: *mut c_int) -> Result<()> {
    let count = category::count()?;
    // SAFETY: the tool's pointer.
    unsafe { demand(number, count, "num_cat") }
}

pub(crate) unsafe fn t_category_get_index(wanted: *const c_char, index: *mut c_int) -> Result<()> {
    // SAFETY: the tool's pointers.
    unsafe {
        let found = category::index(name(wanted)?)?;
        demand(index, found, "cat_index")
    }
}

pub(crate) unsafe fn t_category_changed(stamp: *mut c_int) -> Result<()> {
    tools::check()?;
    // SAFETY: the tool's pointer.
    unsafe { demand(stamp, 0, "stamp") }
}

fn count(index: c_int, of: Members) -> Result<c_int> {
    Ok(category::members(index, of)?.len() as c_int)
}

#[allow(clippy::too_many_arguments)] // MPI's own list.
pub(crate) unsafe fn t_category_get_info(
    index: c_int,
    name: *mut c_char,
    name_len: *mut c_int,
    desc: *mut c_char,
    desc_len: *mut c_int,
    num_cvars: *mut c_int,
    num_pvars: *mut c_int,
    num_categories: *mut c_int,
) -> Result<()> {
    let category = category::info(index)?;
    // SAFETY: the tool's pointers.
    unsafe {
        wish_text(name, name_len, category.name);
        wish_text(desc, desc_len, category.description);
        wish(num_cvars, count(index, Members::Controls)?);
        wish(num_pvars, count(index, Members::Variables)?);
        wish(num_categories, count(index, Members::Categories)?);
    }
    Ok(())
}

pub(crate) unsafe fn t_category_get_num_events(index: c_int, number: *mut c_int) -> Result<()> {
    let events = count(index, Members::Events)?;
    // SAFETY: the tool's pointer.
    unsafe { demand(number, events, "num_events") }
}

/// Stores the numbers of what is in a category.
///
/// # Safety
/// As of [`put_numbers`].
unsafe fn give(index: c_int, of: Members, len: c_int, indices: *mut c_int) -> Result<()> {
    let members = category::members(index, of)?;
    // SAFETY: the caller's promise.
    unsafe { put_numbers(indices, len, &members) }
}

pub(crate) unsafe fn t_category_get_categories(
    index: c_int,
    len: c_int,
    indices: *mut c_int,
) -> Result<()> {
    // SAFETY: the tool's array.
    unsafe { give(index, Members::Categories, len, indices) }
}

pub(crate) unsafe fn t_category_get_cvars(
    index: c_int,
    len: c_int,
    indices: *mut c_int,
) -> Result<()> {
    // SAFETY: the tool's array.
    unsafe { give(index, Members::Controls, len, indices) }
}

pub(crate) unsafe fn t_category_get_pvars(
    index: c_int,
    len: c_int,
    indices: *mut c_int,
) -> Result<()> {
    // SAFETY: the tool's array.
    unsafe { give(index, Members::Variables, len, indices) }
}

pub(crate) unsafe fn t_category_get_events(
    index: c_int,
    len: c_int,
    indices: *mut c_int,
) -> Result<()> {
    // SAFETY: the tool's array.
    unsafe { give(index, Members::Events, len, indices) }
}
