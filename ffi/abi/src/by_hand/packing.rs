//! Packing and unpacking by the program, in the native and in the external representation (chapter
//! 5).

use ferrite_engine::datatype::{self, Type};
use ferrite_engine::{Comm, Engine, Error, ErrorClass, Result};

use super::datatypes::handle;
use super::{Count, null, read, set};
use crate::convert::{narrow, text};
use crate::types::{MPI_Comm, MPI_Datatype, c_char, c_void};

/// What of a packed buffer lies behind the position, and the position.
fn behind(position: i64, size: i64, name: &str) -> Result<(usize, usize)> {
    let places = usize::try_from(position)
        .ok()
        .zip(usize::try_from(size).ok());
    places
        .and_then(|(at, size)| Some((at, size.checked_sub(at)?)))
        .ok_or_else(|| {
            Error::new(
                ErrorClass::ARG,
                format!("the position {position} does not lie in the {size} bytes of {name}"),
            )
        })
}

fn check_buffer(buffer: *const c_void, items: &Type, bytes: usize, name: &str) -> Result<()> {
    let begin = buffer.wrapping_byte_offset(items.true_lb() as isize);
    match begin.is_null() && bytes > 0 {
        true => Err(Error::new(
            ErrorClass::BUFFER,
            format!("the data of {name} begin at a null pointer"),
        )),
        false => Ok(()),
    }
}

fn does_not_fit(bytes: usize, room: usize, name: &str) -> Error {
    Error::new(
        ErrorClass::TRUNCATE,
        format!("{bytes} bytes are asked for, but {name} has {room} from the position on"),
    )
}

#[allow(clippy::too_many_arguments)] // MPI's own list.
pub(crate) unsafe fn pack<C: Count>(
    engine: &Engine,
    from: *const c_void,
    count: C,
    datatype: MPI_Datatype,
    to: *mut c_void,
    size: C,
    position: *mut C,
    comm: MPI_Comm,
) -> Result<()> {
    engine.comm(Comm(narrow(comm)))?;
    let items = datatype::committed(handle(datatype))?;
    let bytes = items.bytes(count.wide())?;
    // SAFETY: the program's pointers; the lengths are checked.
    unsafe {
        let (at, room) = behind(read(position, "position")?.wide(), size.wide(), "outbuf")?;
        if bytes > room {
            return Err(does_not_fit(bytes, room, "outbuf"));
        }
        check_buffer(from, &items, bytes, "inbuf")?;
        if to.is_null() && bytes > 0 {
            return Err(null("outbuf"));
        }
        let to = to.cast::<u8>().wrapping_add(at);
        items.pack(count.wide() as usize, from.cast(), 0..bytes, to);
        set(position, C::from_wide((at + bytes) as i64), "position")
    }
}

#[allow(clippy::too_many_arguments)] // MPI's own list.
pub(crate) unsafe fn unpack<C: Count>(
    engine: &Engine,
    from: *const c_void,
    size: C,
    position: *mut C,
    to: *mut c_void,
    count: C,
    datatype: MPI_Datatype,
    comm: MPI_Comm,
) -> Result<()> {
    engine.comm(Comm(narrow(comm)))?;
    let items = datatype::committed(handle(datatype))?;
    let bytes = items.bytes(count.wide())?;
    // SAFETY: the program's pointers; the lengths are checked.
    unsafe {
        let (at, room) = behind(read(position, "position")?.wide(), size.wide(), "inbuf")?;
        if bytes > room {
            return Err(does_not_fit(bytes, room, "inbuf"));
        }
        check_buffer(to, &items, bytes, "outbuf")?;
        if from.is_null() && bytes > 0 {
            return Err(null("inbuf"));
        }
        let from = from.cast::<u8>().wrapping_add(at);
        items.unpack(count.wide() as usize, to.cast(), 0..bytes, from);
        set(position, C::from_wide((at + bytes) as i64), "position")
    }
}

pub(crate) unsafe fn pack_size<C: Count>(
    engine: &Engine,
    count: C,
    datatype: MPI_Datatype,
    comm: MPI_Comm,
    size: *mut C,
) -> Result<()> {
    engine.comm(Comm(narrow(comm)))?;
    let bytes = datatype::committed(handle(datatype))?.bytes(count.wide())?;
    // SAFETY: the program's pointer.
    unsafe { set(size, C::from_wide(bytes as i64), "size") }
}

/// # Safety
/// `name` is null or the program's string.
unsafe fn check_representation(name: *const c_char) -> Result<()> {
    // SAFETY: the caller's promise.
    match unsafe { text(name, "datarep")? } {
        "external32" => Ok(()),
        other => Err(Error::new(
            ErrorClass::ARG,
            format!("{other:?} is not a representation to pack to: \"external32\" is the only one"),
        )),
    }
}

#[allow(clippy::too_many_arguments)] // MPI's own list.
pub(crate) unsafe fn pack_external<C: Count, B: Count>(
    _engine: &Engine,
    datarep: *const c_char,
    from: *const c_void,
    count: C,
    datatype: MPI_Datatype,
    to: *mut c_void,
    size: B,
    position: *mut B,
) -> Result<()> {
    let items = datatype::committed(handle(datatype))?;
    // SAFETY: the program's pointers; the lengths are checked.
    unsafe {
        check_representation(datarep)?;
        let (at, room) = behind(read(position, "position")?.wide(), size.wide(), "outbuf")?;
        check_buffer(from, &items, items.bytes(count.wide())?, "inbuf")?;
        if to.is_null() && room > 0 {
            return Err(null("outbuf"));
        }
        let out = match room {
            0 => &mut [],
            _ => core::slice::from_raw_parts_mut(to.cast::<u8>().add(at), room),
        };
        let bytes = datatype::pack_external(&items, count.wide(), from.cast(), out)?;
        set(position, B::from_wide((at + bytes) as i64), "position")
    }
}

#[allow(clippy::too_many_arguments)] // MPI's own list.
pub(crate) unsafe fn unpack_external<C: Count, B: Count>(
    _engine: &Engine,
    datarep: *const c_char,
    from: *const c_void,
    size: B,
    position: *mut B,
    to: *mut c_void,
    count: C,
    datatype: MPI_Datatype,
) -> Result<()> {
    let items = datatype::committed(handle(datatype))?;
    // SAFETY: the program's pointers; the lengths are checked.
    unsafe {
        check_representation(datarep)?;
        let (at, room) = behind(read(position, "position")?.wide(), size.wide(), "inbuf")?;
        check_buffer(to, &items, items.bytes(count.wide())?, "outbuf")?;
        if from.is_null() && room > 0 {
            return Err(null("inbuf"));
        }
        let packed = match room {
            0 => &[],
            _ => core::slice::from_raw_parts(from.cast::<u8>().add(at), room),
        };
        let bytes = datatype::unpack_external(&items, count.wide(), to.cast(), packed)?;
        set(position, B::from_wide((at + bytes) as i64), "position")
    }
}

pub(crate) unsafe fn pack_external_size<C: Count, B: Count>(
    _engine: &Engine,
    datarep: *const c_char,
    count: C,
    datatype: MPI_Datatype,
    size: *mut B,
) -> Result<()> {
    let items = datatype::committed(handle(datatype))?;
    // SAFETY: the program's string and pointer.
    unsafe {
        check_representation(datarep)?;
        let bytes = datatype::external_size(&items, count.wide())?;
        set(size, B::from_wide(bytes as i64), "size")
    }
}
