//! Programs that were built with another header than this library's: an error names the header by
//! the handles that it has.
//!
//! Such a program comes about where a folder of headers and a folder of libraries belong to two
//! MPIs. Its handles are constants, or addresses of objects, which this library cannot take for
//! anything; all that it can do is say so.

use core::ffi::CStr;

use ferrite_engine::{Error, ErrorClass};

use crate::error::{Call, Shown};
use crate::interface::{LIBRARY, OTHER_HEADER, OTHER_LIBRARY, name_in_other_header};
use crate::sys;

/// An object that every program of Open MPI's header refers to.
const OMPI_OBJECT: &CStr = c"ompi_mpi_comm_world";

/// How the names of Open MPI's objects begin.
const OMPI: &str = "ompi_";

/// The same error, with a sentence about the header if an argument that may have caused it is a
/// handle of another one.
#[cold]
pub(crate) fn explained(error: Error, call: &Call, values: &[u64]) -> Error {
    // Of several requests each has its own error.
    let is_why = |class: ErrorClass| {
        class == error.class()
            || class == ErrorClass::REQUEST && error.class() == ErrorClass::IN_STATUS
    };
    let arguments = call.arguments.iter().zip(values);
    let handles = arguments.filter_map(|((_, shown), &value)| match *shown {
        Shown::Handle(class) if is_why(class) => Some((class, value)),
        // What the program passes may be no address at all where the call ignores it.
        Shown::HandleAt(class) if is_why(class) => Some((class, sys::word_at(value as usize)?)),
        _ => None,
    });
    for (class, handle) in handles {
        let number = handle as u32;
        if let Some(name) = name_in_other_header(class, number) {
            return error.with_advice(format_args!(
                "{number:#x} is {name} in {OTHER_HEADER}: if the program was compiled with that, \
                 link it with {OTHER_LIBRARY} instead of \
                 {LIBRARY}, or compile it with the mpi.h of {LIBRARY} (our mpicc does). {}",
                loaded()
            ));
        }
        if let Some(object) = of_open_mpi(handle) {
            return error.with_advice(format_args!(
                "The handle is the address of Open MPI's {object}: the program was compiled with \
                 Open MPI's mpi.h, but runs on {LIBRARY}; \
                 compile it with our mpicc. {}",
                loaded()
            ));
        }
    }
    error
}

/// Which file this library was loaded from.
fn loaded() -> String {
    let file = ferrite_engine::loaded_from();
    file.map_or(String::new(), |file| format!("Loaded from {file}"))
}

/// The name of Open MPI's object that a handle is the address of. Handles of 32 bits are the lower
/// half of one.
fn of_open_mpi(handle: u64) -> Option<String> {
    let known = sys::address_of(OMPI_OBJECT)? as u64;
    let low = |value: u64| value & u64::from(u32::MAX);
    let address = (known - low(known)) | low(handle);
    let name = sys::symbol_at(address as usize)?;
    name.starts_with(OMPI).then_some(name)
}
