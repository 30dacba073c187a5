//! Datatypes: addresses, sizes and names (chapter 5).

use ferrite_engine::datatype::{self, Element, TypeInfo};
use ferrite_engine::{Datatype, Engine, Error, ErrorClass, Result};

use super::{Count, MAX_OBJECT_NAME, read, set, set_handle, set_text};
use crate::convert::narrow;
use crate::types::{MPI_Aint, MPI_Datatype, c_char, c_int, c_void};

/// Facts about a datatype.
pub(super) fn info(handle: Datatype) -> Result<&'static TypeInfo> {
    datatype::info(handle).ok_or_else(|| {
        let sentence = match handle {
            Datatype::NULL => String::from("the datatype is MPI_DATATYPE_NULL"),
            _ => format!("{:#x} is not a datatype", handle.0),
        };
        Error::new(ErrorClass::TYPE, sentence)
    })
}

pub(crate) unsafe fn get_address(
    _engine: &Engine,
    location: *const c_void,
    address: *mut MPI_Aint,
) -> Result<()> {
    // SAFETY: the program's pointer.
    unsafe { set(address, location as MPI_Aint, "address") }
}

pub(crate) unsafe fn type_size<C: Count>(
    _engine: &Engine,
    handle: MPI_Datatype,
    size: *mut C,
) -> Result<()> {
    let bytes = info(Datatype(narrow(handle)))?.size as i64;
    // SAFETY: the program's pointer.
    unsafe { set(size, C::from_wide(bytes), "size") }
}

pub(crate) unsafe fn type_size_x(
    engine: &Engine,
    handle: MPI_Datatype,
    size: *mut i64,
) -> Result<()> {
    // SAFETY: as this function's.
    unsafe { type_size(engine, handle, size) }
}

pub(crate) unsafe fn type_get_extent<C: Count>(
    _engine: &Engine,
    handle: MPI_Datatype,
    lb: *mut C,
    extent: *mut C,
) -> Result<()> {
    let info = info(Datatype(narrow(handle)))?;
    // SAFETY: the program's pointers.
    unsafe {
        set(lb, C::from_wide(info.lb), "lb")?;
        set(extent, C::from_wide(info.extent), "extent")
    }
}

pub(crate) unsafe fn type_get_extent_x(
    engine: &Engine,
    handle: MPI_Datatype,
    lb: *mut i64,
    extent: *mut i64,
) -> Result<()> {
    // SAFETY: as this function's.
    unsafe { type_get_extent(engine, handle, lb, extent) }
}

pub(crate) unsafe fn type_get_true_extent<C: Count>(
    _engine: &Engine,
    handle: MPI_Datatype,
    lb: *mut C,
    extent: *mut C,
) -> Result<()> {
    let info = info(Datatype(narrow(handle)))?;
    // Without the gap behind the index of a pair; nothing but pairs has gaps.
    let occupied = match info.element {
        Element::Pair(value, index) => value.size().next_multiple_of(index.size()) + index.size(),
        element => element.extent(),
    };
    // SAFETY: the program's pointers.
    unsafe {
        set(lb, C::from_wide(info.lb), "true_lb")?;
        set(extent, C::from_wide(i64::from(occupied)), "true_extent")
    }
}

pub(crate) unsafe fn type_get_true_extent_x(
    engine: &Engine,
    handle: MPI_Datatype,
    lb: *mut i64,
    extent: *mut i64,
) -> Result<()> {
    // SAFETY: as this function's.
    unsafe { type_get_true_extent(engine, handle, lb, extent) }
}

/// Predefined types are committed from the start.
pub(crate) unsafe fn type_commit(_engine: &Engine, handle: *mut MPI_Datatype) -> Result<()> {
    // SAFETY: the program's pointer.
    let handle = unsafe { read(handle, "datatype")? };
    info(Datatype(narrow(handle))).map(drop)
}

pub(crate) unsafe fn type_get_name(
    _engine: &Engine,
    handle: MPI_Datatype,
    name: *mut c_char,
    length: *mut c_int,
) -> Result<()> {
    let text = match Datatype(narrow(handle)) {
        Datatype::NULL => "MPI_DATATYPE_NULL",
        handle => info(handle)?.name,
    };
    // SAFETY: the program's pointers; the standard gives the room.
    unsafe { set_text(name, MAX_OBJECT_NAME, text, length, "type_name") }
}

pub(crate) unsafe fn type_get_value_index(
    _engine: &Engine,
    value: MPI_Datatype,
    index: MPI_Datatype,
    pair: *mut MPI_Datatype,
) -> Result<()> {
    let (value, index) = (Datatype(narrow(value)), Datatype(narrow(index)));
    info(value)?;
    info(index)?;
    let found = datatype::value_index(value, index).unwrap_or(Datatype::NULL);
    // SAFETY: the program's pointer.
    unsafe { set_handle(pair, found.0, "pair_type") }
}
