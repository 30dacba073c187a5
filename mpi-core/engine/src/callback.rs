//! Functions of the program that the library calls back.
//!
//! A [`Callback`] is the address of a function in whatever calling convention it has (C of one of
//! the ABIs, Fortran), and a trampoline from the same ABI that knows the convention and converts
//! handles, counts and codes. This library never calls the function itself and never looks behind
//! the address. No lock is held during a call, which debug builds assert.
//!
//! Values that a program hands over to get them back (extra state, attribute values) are addresses
//! or integers as large as one: `usize`, never followed.

use crate::attribute::Keyval;
use crate::handle::Datatype;
use crate::status::Status;
use crate::sync::assert_nothing_held;

/// A function of the program with the trampoline that calls it. `F` is one of the trampoline types
/// of this module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Callback<F> {
    function: usize,
    invoke: F,
}

impl<F: Copy> Callback<F> {
    /// A callback.
    ///
    /// # Safety
    /// `invoke` may be called with `function` at any time, from any thread that is in an MPI call,
    /// until the program frees the object that it gave the function to.
    pub const unsafe fn new(function: usize, invoke: F) -> Callback<F> {
        Callback { function, invoke }
    }
}

/// Calls an error handler: (function, the object's handle, error code).
pub type ErrorFunction = unsafe fn(usize, u32, i32);

/// Calls an attribute's copy function: (function, handle of the object being duplicated, keyval,
/// extra state, value). Answers the copy's value, `None` when there is to be no copy, or an error
/// code.
pub type CopyFunction = unsafe fn(usize, u32, Keyval, usize, usize) -> Result<Option<usize>, i32>;

/// Calls an attribute's delete function: (function, the object's handle, keyval, value, extra
/// state). Answers an error code, `MPI_SUCCESS` included.
pub type DeleteFunction = unsafe fn(usize, u32, Keyval, usize, usize) -> i32;

/// Calls a reduction: (function, input, input and output, elements, datatype). Splits a count that
/// the function's type of count cannot hold.
pub type ReduceFunction = unsafe fn(usize, *const u8, *mut u8, usize, Datatype);

/// Asks for the status of a generalized request: (function, extra state, status). Answers an error
/// code.
pub type QueryFunction = unsafe fn(usize, usize, &mut Status) -> i32;

/// Says that a generalized request goes: (function, extra state). Answers an error code.
pub type FreeFunction = unsafe fn(usize, usize) -> i32;

/// Asks for a generalized request to be cancelled: (function, extra state, whether it is complete).
/// Answers an error code.
pub type CancelFunction = unsafe fn(usize, usize, bool) -> i32;

/// Tells a tool of an event: (function, instance, registration, safety level, user data).
pub type EventFunction = unsafe fn(usize, u32, u32, i32, usize);

/// Tells a tool that a registration is gone: (function, registration, safety level, user data).
pub type EventFreeFunction = unsafe fn(usize, u32, i32, usize);

/// Tells a tool of events that it was not told of: (function, how many, registration, source,
/// safety level, user data).
pub type DroppedFunction = unsafe fn(usize, i64, u32, i32, i32, usize);

impl Callback<EventFunction> {
    /// Tells the tool.
    pub fn call(&self, instance: u32, registration: u32, safety: i32, user_data: usize) {
        assert_nothing_held();
        // SAFETY: promised to `new`.
        unsafe { (self.invoke)(self.function, instance, registration, safety, user_data) }
    }
}

impl Callback<EventFreeFunction> {
    /// Tells the tool.
    pub fn call(&self, registration: u32, safety: i32, user_data: usize) {
        assert_nothing_held();
        // SAFETY: promised to `new`.
        unsafe { (self.invoke)(self.function, registration, safety, user_data) }
    }
}

impl Callback<DroppedFunction> {
    /// Tells the tool.
    pub fn call(&self, count: i64, registration: u32, source: i32, safety: i32, user_data: usize) {
        assert_nothing_held();
        // SAFETY: promised to `new`.
        unsafe {
            (self.invoke)(
                self.function,
                count,
                registration,
                source,
                safety,
                user_data,
            )
        }
    }
}

impl Callback<QueryFunction> {
    /// Asks for the status.
    pub fn call(&self, extra_state: usize, status: &mut Status) -> i32 {
        assert_nothing_held();
        // SAFETY: promised to `new`.
        unsafe { (self.invoke)(self.function, extra_state, status) }
    }
}

impl Callback<FreeFunction> {
    /// Tells the program that the request goes.
    pub fn call(&self, extra_state: usize) -> i32 {
        assert_nothing_held();
        // SAFETY: promised to `new`.
        unsafe { (self.invoke)(self.function, extra_state) }
    }
}

impl Callback<CancelFunction> {
    /// Asks the program to cancel what it does.
    pub fn call(&self, extra_state: usize, is_complete: bool) -> i32 {
        assert_nothing_held();
        // SAFETY: promised to `new`.
        unsafe { (self.invoke)(self.function, extra_state, is_complete) }
    }
}

impl Callback<ErrorFunction> {
    /// Calls the error handler with the object that the error occurred on.
    pub fn call(&self, object: u32, code: i32) {
        assert_nothing_held();
        // SAFETY: promised to `new`.
        unsafe { (self.invoke)(self.function, object, code) }
    }
}

impl Callback<CopyFunction> {
    /// Asks for the copy of an attribute's value.
    pub fn call(
        &self,
        object: u32,
        keyval: Keyval,
        extra_state: usize,
        value: usize,
    ) -> Result<Option<usize>, i32> {
        assert_nothing_held();
        // SAFETY: promised to `new`.
        unsafe { (self.invoke)(self.function, object, keyval, extra_state, value) }
    }
}

impl Callback<DeleteFunction> {
    /// Tells the program that an attribute goes.
    pub fn call(&self, object: u32, keyval: Keyval, value: usize, extra_state: usize) -> i32 {
        assert_nothing_held();
        // SAFETY: promised to `new`.
        unsafe { (self.invoke)(self.function, object, keyval, value, extra_state) }
    }
}

impl Callback<ReduceFunction> {
    /// Has the program compute `inout = input OP inout`.
    ///
    /// # Safety
    /// `input` is readable and `inout` writable for `count` items of `datatype`.
    pub unsafe fn call(&self, input: *const u8, inout: *mut u8, count: usize, datatype: Datatype) {
        assert_nothing_held();
        // SAFETY: promised to `new`, and by the caller for the buffers.
        unsafe { (self.invoke)(self.function, input, inout, count, datatype) }
    }
}
