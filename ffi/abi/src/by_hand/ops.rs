//! Reduction operations of the program (chapter 6).

use ferrite_engine::callback::{Callback, ReduceFunction};
use ferrite_engine::check_reduce_local;
use ferrite_engine::{Datatype, Engine, Op, Result, op};

use super::{Count, null, read, set_handle};
use crate::convert::{narrow, widen};
use crate::types::{MPI_Count, MPI_Datatype, MPI_Op, c_int, c_void};

/// The C type of a reduction: input, input and output, number of elements, datatype.
type UserFunction<C> = unsafe extern "C" fn(*mut c_void, *mut c_void, *mut C, *mut MPI_Datatype);

/// Bytes from one element to the next. A reduction gets types that exist.
fn stride(datatype: Datatype) -> isize {
    ferrite_engine::datatype::get(datatype).map_or(0, |found| found.extent() as isize)
}

/// # Safety
/// `function` is the address of a [`UserFunction`] of `int`; the buffers are as its contract says.
unsafe fn call_small(
    function: usize,
    input: *const u8,
    inout: *mut u8,
    count: usize,
    datatype: Datatype,
) {
    // SAFETY: the caller's promise.
    let function: UserFunction<c_int> = unsafe { core::mem::transmute(function) };
    let stride = stride(datatype);
    let mut handle = widen(datatype.0);
    let mut done = 0;
    while done < count {
        let mut now = c_int::try_from(count - done).unwrap_or(c_int::MAX);
        let at = done as isize * stride;
        done += now as usize;
        // SAFETY: `at` lies within the buffers of `count` elements.
        unsafe {
            function(
                input.offset(at).cast_mut().cast(),
                inout.offset(at).cast(),
                &mut now,
                &mut handle,
            );
        }
    }
}

/// # Safety
/// `function` is the address of a [`UserFunction`] of `MPI_Count`; the buffers are as its contract
/// says.
unsafe fn call_large(
    function: usize,
    input: *const u8,
    inout: *mut u8,
    count: usize,
    datatype: Datatype,
) {
    // SAFETY: the caller's promise.
    let function: UserFunction<MPI_Count> = unsafe { core::mem::transmute(function) };
    let (mut count, mut handle) = (count as MPI_Count, widen(datatype.0));
    // SAFETY: the caller's promise.
    unsafe {
        function(
            input.cast_mut().cast(),
            inout.cast(),
            &mut count,
            &mut handle,
        );
    }
}

/// # Safety
/// `invoke` may be called with `function`; `to` is null or points to a handle that may be written.
unsafe fn create(
    function: *const c_void,
    invoke: ReduceFunction,
    commute: c_int,
    to: *mut MPI_Op,
) -> Result<()> {
    if function.is_null() {
        return Err(null("user_fn"));
    }
    // SAFETY: the caller's promise.
    let function = unsafe { Callback::new(function as usize, invoke) };
    let made = op::create(function, commute != 0)?;
    // SAFETY: the caller's promise.
    unsafe { set_handle(to, made.0, "op") }
}

pub(crate) unsafe fn op_create(
    _engine: &Engine,
    function: *const c_void,
    commute: c_int,
    to: *mut MPI_Op,
) -> Result<()> {
    // SAFETY: the program's function and pointer.
    unsafe { create(function, call_small, commute, to) }
}

pub(crate) unsafe fn op_create_c(
    _engine: &Engine,
    function: *const c_void,
    commute: c_int,
    to: *mut MPI_Op,
) -> Result<()> {
    // SAFETY: the program's function and pointer.
    unsafe { create(function, call_large, commute, to) }
}

pub(crate) unsafe fn op_free(_engine: &Engine, handle: *mut MPI_Op) -> Result<()> {
    // SAFETY: the program's pointer.
    unsafe {
        op::free(Op(narrow(read(handle, "op")?)))?;
        set_handle(handle, Op::NULL.0, "op")
    }
}

pub(crate) unsafe fn reduce_local<C: Count>(
    _engine: &Engine,
    input: *const c_void,
    inout: *mut c_void,
    count: C,
    datatype: MPI_Datatype,
    op: MPI_Op,
) -> Result<()> {
    let (op, datatype) = (Op(narrow(op)), Datatype(narrow(datatype)));
    let (input, inout) = (input.cast(), inout.cast());
    let elements = check_reduce_local(input, inout, count.wide(), datatype)?;
    // SAFETY: the program's buffers hold `elements` items.
    unsafe { op::reduce(op, datatype, input, inout, elements) }
}
