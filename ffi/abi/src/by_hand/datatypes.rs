//! Datatypes as objects: sizes and bounds, committing and freeing, names, attributes, and how they
//! were made (chapters 5, 7 and 19).

use ferrite_engine::attribute::Keyval;
use ferrite_engine::datatype::{self, Class, Form, Recipe, Type};
use ferrite_engine::{Datatype, Engine, Error, ErrorClass, Result};

use super::{Count, MAX_OBJECT_NAME, null, read, set, set_handle, set_text};
use crate::convert::{narrow, text};
use crate::interface::{DEFAULT_ARGUMENT, distribution_out, order_out};
use crate::types::{MPI_Aint, MPI_Count, MPI_Datatype, c_char, c_int, c_void};

/// The engine's handle.
pub(super) fn handle(datatype: MPI_Datatype) -> Datatype {
    Datatype(narrow(datatype))
}

/// The type that a handle names, borrowed from the handle: what only asks need not share it.
pub(super) fn find(datatype: MPI_Datatype) -> Result<&'static Type> {
    datatype::object(handle(datatype)).map(datatype::Object::type_map)
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
    datatype: MPI_Datatype,
    size: *mut C,
) -> Result<()> {
    let bytes = find(datatype)?.size() as i64;
    // SAFETY: the program's pointer.
    unsafe { set(size, C::from_wide(bytes), "size") }
}

pub(crate) unsafe fn type_size_x(
    engine: &Engine,
    datatype: MPI_Datatype,
    size: *mut i64,
) -> Result<()> {
    // SAFETY: as this function's.
    unsafe { type_size(engine, datatype, size) }
}

pub(crate) unsafe fn type_get_extent<C: Count>(
    _engine: &Engine,
    datatype: MPI_Datatype,
    lb: *mut C,
    extent: *mut C,
) -> Result<()> {
    let found = find(datatype)?;
    // SAFETY: the program's pointers.
    unsafe {
        set(lb, C::from_wide(found.lb()), "lb")?;
        set(extent, C::from_wide(found.extent()), "extent")
    }
}

pub(crate) unsafe fn type_get_extent_x(
    engine: &Engine,
    datatype: MPI_Datatype,
    lb: *mut i64,
    extent: *mut i64,
) -> Result<()> {
    // SAFETY: as this function's.
    unsafe { type_get_extent(engine, datatype, lb, extent) }
}

pub(crate) unsafe fn type_get_true_extent<C: Count>(
    _engine: &Engine,
    datatype: MPI_Datatype,
    lb: *mut C,
    extent: *mut C,
) -> Result<()> {
    let found = find(datatype)?;
    // SAFETY: the program's pointers.
    unsafe {
        set(lb, C::from_wide(found.true_lb()), "true_lb")?;
        set(extent, C::from_wide(found.true_extent()), "true_extent")
    }
}

pub(crate) unsafe fn type_get_true_extent_x(
    engine: &Engine,
    datatype: MPI_Datatype,
    lb: *mut i64,
    extent: *mut i64,
) -> Result<()> {
    // SAFETY: as this function's.
    unsafe { type_get_true_extent(engine, datatype, lb, extent) }
}

pub(crate) unsafe fn type_commit(_engine: &Engine, datatype: *mut MPI_Datatype) -> Result<()> {
    // SAFETY: the program's pointer.
    datatype::commit(handle(unsafe { read(datatype, "datatype")? }))
}

pub(crate) unsafe fn type_free(_engine: &Engine, datatype: *mut MPI_Datatype) -> Result<()> {
    // SAFETY: the program's pointer.
    unsafe {
        let mut freed = handle(read(datatype, "datatype")?);
        datatype::free(&mut freed)?;
        set_handle(datatype, freed.0, "datatype")
    }
}

pub(crate) unsafe fn type_dup(
    _engine: &Engine,
    old: MPI_Datatype,
    new: *mut MPI_Datatype,
) -> Result<()> {
    if new.is_null() {
        return Err(null("newtype"));
    }
    let made = datatype::dup(handle(old))?;
    // SAFETY: the program's pointer.
    unsafe { set_handle(new, made.0, "newtype") }
}

pub(crate) unsafe fn type_get_name(
    _engine: &Engine,
    datatype: MPI_Datatype,
    name: *mut c_char,
    length: *mut c_int,
) -> Result<()> {
    let found = match handle(datatype) {
        Datatype::NULL => String::from("MPI_DATATYPE_NULL"),
        datatype => datatype::object(datatype)?.name(),
    };
    // SAFETY: the program's pointers; the standard gives the room.
    unsafe { set_text(name, MAX_OBJECT_NAME, &found, length, "type_name") }
}

pub(crate) unsafe fn type_set_name(
    _engine: &Engine,
    datatype: MPI_Datatype,
    name: *const c_char,
) -> Result<()> {
    // SAFETY: the program's string.
    let name = unsafe { text(name, "type_name")? };
    datatype::object(handle(datatype))?.set_name(name);
    Ok(())
}

pub(crate) unsafe fn type_set_attr(
    _engine: &Engine,
    datatype: MPI_Datatype,
    keyval: c_int,
    value: *mut c_void,
) -> Result<()> {
    let datatype = handle(datatype);
    let attributes = &datatype::object(datatype)?.attributes;
    attributes.set(datatype.0, Keyval(keyval), value as usize)
}

pub(crate) unsafe fn type_get_attr(
    _engine: &Engine,
    datatype: MPI_Datatype,
    keyval: c_int,
    value: *mut c_void,
    flag: *mut c_int,
) -> Result<()> {
    let attributes = &datatype::object(handle(datatype))?.attributes;
    let found = attributes.get(Keyval(keyval))?;
    // SAFETY: the program's pointers; the value's is declared `void *`, but is the address of a
    // pointer.
    unsafe {
        if let Some(found) = found {
            set(value.cast::<usize>(), found, "attribute_val")?;
        }
        set(flag, c_int::from(found.is_some()), "flag")
    }
}

pub(crate) unsafe fn type_delete_attr(
    _engine: &Engine,
    datatype: MPI_Datatype,
    keyval: c_int,
) -> Result<()> {
    let datatype = handle(datatype);
    let attributes = &datatype::object(datatype)?.attributes;
    attributes.delete(datatype.0, Keyval(keyval))
}

pub(crate) unsafe fn type_get_value_index(
    _engine: &Engine,
    value: MPI_Datatype,
    index: MPI_Datatype,
    pair: *mut MPI_Datatype,
) -> Result<()> {
    find(value)?;
    find(index)?;
    let found = datatype::value_index(handle(value), handle(index)).unwrap_or(Datatype::NULL);
    // SAFETY: the program's pointer.
    unsafe { set_handle(pair, found.0, "pair_type") }
}

/// A type of a large-count constructor has no answer in the other form (MPI 5.0, section 5.1.13).
fn check_form(recipe: &Recipe) -> Result<()> {
    match recipe.form {
        Form::Int => Ok(()),
        Form::Large => Err(Error::new(
            ErrorClass::TYPE,
            "the type was made by a large-count constructor: ask with MPI_Type_get_envelope_c and \
             MPI_Type_get_contents_c",
        )),
    }
}

pub(crate) unsafe fn type_get_envelope(
    _engine: &Engine,
    datatype: MPI_Datatype,
    integers: *mut c_int,
    addresses: *mut c_int,
    datatypes: *mut c_int,
    combiner: *mut c_int,
) -> Result<()> {
    let found = find(datatype)?;
    let recipe = found.recipe();
    check_form(recipe)?;
    // SAFETY: the program's pointers.
    unsafe {
        set(
            integers,
            c_int::from_wide(recipe.integers.len() as i64),
            "num_integers",
        )?;
        set(
            addresses,
            c_int::from_wide(recipe.addresses.len() as i64),
            "num_addresses",
        )?;
        set(
            datatypes,
            c_int::from_wide(recipe.types.len() as i64),
            "num_datatypes",
        )?;
        set(combiner, recipe.combiner as c_int, "combiner")
    }
}

pub(crate) unsafe fn type_get_envelope_c(
    _engine: &Engine,
    datatype: MPI_Datatype,
    integers: *mut MPI_Count,
    addresses: *mut MPI_Count,
    counts: *mut MPI_Count,
    datatypes: *mut MPI_Count,
    combiner: *mut c_int,
) -> Result<()> {
    let found = find(datatype)?;
    let recipe = found.recipe();
    // SAFETY: the program's pointers.
    unsafe {
        set(integers, recipe.integers.len() as MPI_Count, "num_integers")?;
        set(
            addresses,
            recipe.addresses.len() as MPI_Count,
            "num_addresses",
        )?;
        set(counts, recipe.counts.len() as MPI_Count, "num_large_counts")?;
        set(datatypes, recipe.types.len() as MPI_Count, "num_datatypes")?;
        set(combiner, recipe.combiner as c_int, "combiner")
    }
}

/// Fills an array of the program with the arguments of one kind.
///
/// # Safety
/// `to` is null or points to `room` values that may be written.
unsafe fn put<T>(
    all: impl ExactSizeIterator<Item = T>,
    to: *mut T,
    room: i64,
    what: &str,
) -> Result<()> {
    let number = all.len();
    if (room as u64) < number as u64 || room < 0 {
        return Err(Error::new(
            ErrorClass::ARG,
            format!(
                "the type has {number} {what}, but there is room for {room}: ask \
                 MPI_Type_get_envelope for the numbers"
            ),
        ));
    }
    if to.is_null() && number > 0 {
        return Err(null(&format!("array_of_{}", what.replace(' ', "_"))));
    }
    for (at, value) in all.enumerate() {
        // SAFETY: fewer than `room`, by the caller's promise.
        unsafe { to.add(at).write(value) };
    }
    Ok(())
}

#[allow(clippy::too_many_arguments)] // MPI's own list.
pub(crate) unsafe fn type_get_contents(
    engine: &Engine,
    datatype: MPI_Datatype,
    max_integers: c_int,
    max_addresses: c_int,
    max_datatypes: c_int,
    integers: *mut c_int,
    addresses: *mut MPI_Aint,
    datatypes: *mut MPI_Datatype,
) -> Result<()> {
    check_form(find(datatype)?.recipe())?;
    // SAFETY: as this function's; a type of this form has no large counts.
    unsafe {
        type_get_contents_c(
            engine,
            datatype,
            max_integers.into(),
            max_addresses.into(),
            0,
            max_datatypes.into(),
            integers,
            addresses,
            core::ptr::null_mut(),
            datatypes,
        )
    }
}

/// The integers that a type was made of: counts, and where the constructor takes them,
/// distributions, their arguments and an order.
fn integers_of(recipe: &Recipe) -> Vec<c_int> {
    let argument = |value: &i64| match *value {
        datatype::DEFAULT_ARGUMENT => DEFAULT_ARGUMENT,
        value => value as c_int,
    };
    let mut all: Vec<c_int> = recipe.integers.iter().map(argument).collect();
    let is_darray = recipe.combiner == datatype::Combiner::Darray;
    if (is_darray || recipe.combiner == datatype::Combiner::Subarray)
        && let Some(order) = all.last_mut()
    {
        *order = order_out(*order);
    }
    if is_darray {
        // Distributions, arguments, grid and the order stand last, the number of dimensions third.
        let dimensions = all[2] as usize;
        let first = all.len() - 1 - 3 * dimensions;
        for way in &mut all[first..first + dimensions] {
            *way = distribution_out(*way);
        }
    }
    all
}

#[allow(clippy::too_many_arguments)] // MPI's own list.
pub(crate) unsafe fn type_get_contents_c(
    _engine: &Engine,
    datatype: MPI_Datatype,
    max_integers: MPI_Count,
    max_addresses: MPI_Count,
    max_counts: MPI_Count,
    max_datatypes: MPI_Count,
    integers: *mut c_int,
    addresses: *mut MPI_Aint,
    counts: *mut MPI_Count,
    datatypes: *mut MPI_Datatype,
) -> Result<()> {
    let found = find(datatype)?;
    let recipe = found.recipe();
    if recipe.combiner == datatype::Combiner::Named {
        return Err(Error::new(
            ErrorClass::TYPE,
            "a predefined type has no contents: MPI_Type_get_envelope answers MPI_COMBINER_NAMED",
        ));
    }
    // SAFETY: the program's arrays.
    unsafe {
        let all = integers_of(recipe);
        put(all.into_iter(), integers, max_integers, "integers")?;
        let all = recipe.addresses.iter().map(|value| *value as MPI_Aint);
        put(all, addresses, max_addresses, "addresses")?;
        put(
            recipe.counts.iter().copied(),
            counts,
            max_counts,
            "large counts",
        )?;
        let mut handles = Vec::new();
        if recipe.types.len() as u64 <= max_datatypes as u64 {
            for part in &recipe.types {
                handles.push(crate::convert::widen(datatype::handle_of(part)?.0));
            }
            put(handles.into_iter(), datatypes, max_datatypes, "datatypes")
        } else {
            // Only to say so: no handles are made.
            let all = recipe.types.iter().map(|_| 0 as MPI_Datatype);
            put(all, datatypes, max_datatypes, "datatypes")
        }
    }
}

/// `MPI_TYPECLASS_INTEGER` and its siblings
const CLASSES: [(c_int, Class); 3] = [
    (192, Class::Integer),
    (193, Class::Real),
    (194, Class::Complex),
];

pub(crate) unsafe fn type_match_size(
    _engine: &Engine,
    class: c_int,
    size: c_int,
    datatype: *mut MPI_Datatype,
) -> Result<()> {
    let Some((_, class)) = CLASSES.iter().find(|(value, _)| *value == class) else {
        return Err(Error::new(
            ErrorClass::ARG,
            format!("{class} is no class of types: use MPI_TYPECLASS_INTEGER, _REAL or _COMPLEX"),
        ));
    };
    let found = datatype::match_size(*class, size)?;
    // SAFETY: the program's pointer.
    unsafe { set_handle(datatype, found.0, "datatype") }
}
