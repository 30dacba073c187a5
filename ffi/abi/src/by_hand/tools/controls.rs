//! Control variables (section 15.3.6).

use ferrite_engine::settings::Scope;
use ferrite_engine::tools::control::{self, TEXT, Value};
use ferrite_engine::{Datatype, Error, ErrorClass, Result};

use super::{NO_ENUM, NO_OBJECT, NUMBER, demand, given, invalid, name, shown, wish, wish_text};
use crate::convert::{self, narrow_pointer, put_text, widen};
use crate::types::{MPI_Datatype, MPI_T_cvar_handle, MPI_T_enum, c_char, c_int, c_void};

/// Type of texts: `MPI_CHAR`.
const CHARACTERS: Datatype = Datatype::CHAR;

pub(crate) unsafe fn t_cvar_get_num(number: *mut c_int) -> Result<()> {
    let count = control::count()?;
    // SAFETY: the tool's pointer.
    unsafe { demand(number, count, "num_cvar") }
}

pub(crate) unsafe fn t_cvar_get_index(wanted: *const c_char, index: *mut c_int) -> Result<()> {
    // SAFETY: the tool's pointers.
    unsafe {
        let found = control::index(name(wanted)?)?;
        demand(index, found, "cvar_index")
    }
}

#[allow(clippy::too_many_arguments)] // MPI's own list.
pub(crate) unsafe fn t_cvar_get_info(
    index: c_int,
    name: *mut c_char,
    name_len: *mut c_int,
    verbosity: *mut c_int,
    datatype: *mut MPI_Datatype,
    enumtype: *mut MPI_T_enum,
    desc: *mut c_char,
    desc_len: *mut c_int,
    bind: *mut c_int,
    scope: *mut c_int,
) -> Result<()> {
    let control = control::info(index)?;
    // SAFETY: the tool's pointers.
    unsafe {
        wish_text(name, name_len, control.name);
        wish(verbosity, control.verbosity as c_int);
        let of = match control.is_number {
            true => NUMBER,
            false => CHARACTERS,
        };
        wish(datatype, widen(of.0));
        wish(enumtype, NO_ENUM);
        wish_text(desc, desc_len, &control.description);
        wish(bind, NO_OBJECT);
        let value = match control.scope {
            // MPI_T_SCOPE_LOCAL, MPI_T_SCOPE_ALL_EQ
            Scope::Local => 3,
            Scope::AllEq => 7,
        };
        wish(scope, value);
    }
    Ok(())
}

pub(crate) unsafe fn t_cvar_handle_alloc(
    index: c_int,
    _object: *mut c_void,
    handle: *mut MPI_T_cvar_handle,
    count: *mut c_int,
) -> Result<()> {
    // SAFETY: the tool's pointers.
    unsafe {
        given(handle, "handle")?;
        let (opened, is_number) = control::open(index)?;
        wish(count, if is_number { 1 } else { TEXT as c_int });
        demand(handle, shown(opened), "handle")
    }
}

pub(crate) unsafe fn t_cvar_handle_free(handle: *mut MPI_T_cvar_handle) -> Result<()> {
    // SAFETY: the tool's pointer.
    unsafe {
        control::close(narrow_pointer(given(handle, "handle")?))?;
        demand(handle, 0, "handle")
    }
}

pub(crate) unsafe fn t_cvar_read(handle: MPI_T_cvar_handle, buf: *mut c_void) -> Result<()> {
    let value = control::read(narrow_pointer(handle))?;
    // SAFETY: the tool's buffer has room for what the variable's type and count say.
    unsafe {
        match value {
            Value::Number(number) => demand(buf.cast(), number, "buf"),
            Value::Text(text) => {
                demand(buf.cast::<c_char>(), 0, "buf")?;
                put_text(buf.cast(), TEXT, &text);
                Ok(())
            }
        }
    }
}

pub(crate) unsafe fn t_cvar_write(handle: MPI_T_cvar_handle, buf: *const c_void) -> Result<()> {
    let is_number = control::is_number(narrow_pointer(handle))?;
    // SAFETY: the tool's buffer holds what the variable's type and count say.
    let value = unsafe {
        match is_number {
            true => Value::Number(given(buf.cast(), "buf")?),
            false => Value::Text(text_at(buf.cast())?),
        }
    };
    control::write(narrow_pointer(handle), &value, ferrite_transports::NETWORKS)
}

/// A text of the tool, if the variable can have it.
///
/// # Safety
/// `from` is null or points to a string that ends with a zero byte.
unsafe fn text_at(from: *const c_char) -> Result<String> {
    // SAFETY: the caller's promise.
    let text = unsafe { convert::text(from, "buf") }.map_err(invalid)?;
    match text.len() < TEXT {
        true => Ok(text.to_owned()),
        false => Err(Error::new(ErrorClass::T_INVALID, "the text is too long")),
    }
}
