//! Attribute keys: the program's copy and delete functions (chapters 7 and 16).

use ferrite_engine::attribute::{self, Copy, Delete, Keyval, Owner};
use ferrite_engine::callback::Callback;
use ferrite_engine::{Engine, Result};

use super::{read, set};
use crate::convert::widen;
use crate::interface::{error_in, keyval_in, keyval_out, stands_for_dup};
use crate::types::{Handle, SUCCESS, c_int, c_void};

/// The C type of a copy function; the same for all kinds of objects.
type CopyFunction =
    unsafe extern "C" fn(Handle, c_int, *mut c_void, *mut c_void, *mut c_void, *mut c_int) -> c_int;
/// The C type of a delete function.
type DeleteFunction = unsafe extern "C" fn(Handle, c_int, *mut c_void, *mut c_void) -> c_int;

/// The address that stands for `MPI_COMM_NULL_COPY_FN`, `MPI_COMM_NULL_DELETE_FN` and their
/// siblings.
const NULL_FN: usize = 0;

/// # Safety
/// `function` is the address of a [`CopyFunction`].
unsafe fn call_copy(
    function: usize,
    object: u32,
    keyval: Keyval,
    extra_state: usize,
    value: usize,
) -> core::result::Result<Option<usize>, i32> {
    // SAFETY: the caller's promise.
    let function: CopyFunction = unsafe { core::mem::transmute(function) };
    let (mut copy, mut flag) = (0usize, 0);
    // SAFETY: a copy function of the program, called as the standard says.
    let code = unsafe {
        function(
            widen(object),
            keyval_out(keyval.0),
            extra_state as *mut c_void,
            value as *mut c_void,
            (&raw mut copy).cast(),
            &mut flag,
        )
    };
    match (code, flag) {
        (SUCCESS, 0) => Ok(None),
        (SUCCESS, _) => Ok(Some(copy)),
        (code, _) => Err(error_in(code)),
    }
}

/// # Safety
/// `function` is the address of a [`DeleteFunction`].
unsafe fn call_delete(
    function: usize,
    object: u32,
    keyval: Keyval,
    value: usize,
    extra_state: usize,
) -> i32 {
    // SAFETY: the caller's promise.
    let function: DeleteFunction = unsafe { core::mem::transmute(function) };
    // SAFETY: a delete function of the program, called as the standard says.
    let code = unsafe {
        function(
            widen(object),
            keyval_out(keyval.0),
            value as *mut c_void,
            extra_state as *mut c_void,
        )
    };
    error_in(code)
}

/// # Safety
/// The functions are of the types [`CopyFunction`] and [`DeleteFunction`], or one of the addresses
/// with a meaning.
unsafe fn create(
    owner: Owner,
    copy: *const c_void,
    delete: *const c_void,
    keyval: *mut c_int,
    extra_state: *mut c_void,
) -> Result<()> {
    let copy = match copy as usize {
        NULL_FN => Copy::Nothing,
        function if stands_for_dup(function) => Copy::Same,
        // SAFETY: `call_copy` may be called with the program's copy function.
        function => Copy::Call(unsafe { Callback::new(function, call_copy) }),
    };
    let delete = match delete as usize {
        NULL_FN => Delete::Nothing,
        // SAFETY: `call_delete` may be called with the program's delete function.
        function => Delete::Call(unsafe { Callback::new(function, call_delete) }),
    };
    let made = attribute::create_keyval(owner, copy, delete, extra_state as usize)?;
    // SAFETY: the program's pointer.
    unsafe { set(keyval, made.0, "keyval") }
}

/// # Safety
/// `keyval` is null or points to a key that may be written.
unsafe fn free(owner: Owner, keyval: *mut c_int) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        attribute::free_keyval(owner, Keyval(keyval_in(read(keyval, "keyval")?)))?;
        set(keyval, keyval_out(Keyval::INVALID.0), "keyval")
    }
}

/// The functions of one kind of object.
macro_rules! keyvals {
    ($($create:ident, $free:ident: $owner:ident;)*) => {$(
        pub(crate) unsafe fn $create(
            _engine: &Engine,
            copy: *const c_void,
            delete: *const c_void,
            keyval: *mut c_int,
            extra_state: *mut c_void,
        ) -> Result<()> {
            // SAFETY: the program's functions and pointers.
            unsafe { create(Owner::$owner, copy, delete, keyval, extra_state) }
        }

        pub(crate) unsafe fn $free(_engine: &Engine, keyval: *mut c_int) -> Result<()> {
            // SAFETY: the program's pointer.
            unsafe { free(Owner::$owner, keyval) }
        }
    )*};
}

keyvals! {
    comm_create_keyval, comm_free_keyval: Comm;
    type_create_keyval, type_free_keyval: Type;
    win_create_keyval, win_free_keyval: Win;
    keyval_create, keyval_free: Comm;
}
