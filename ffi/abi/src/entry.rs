//! How an entry point is made, and what its body may use.
//!
//! What makes the generated bodies sound: a program calls the functions of `mpi.h` as the standard
//! says, so a pointer that is not null points to what the parameter's kind says, for as long as the
//! standard says. Bodies check for null what they write to; handles are numbers and never followed;
//! buffers are passed on as raw pointers to the engine, whose methods promise no more than the
//! standard asks of the program.

pub(crate) use crate::by_hand;
pub(crate) use crate::convert::{count_as_int, put_back, put_status, text};
pub(crate) use crate::error::{
    Call, Scope, Shown, failed, failed_with_status, not_running, null_argument, peek, unbuilt,
};
pub(crate) use crate::interface::*;
pub(crate) use crate::types::*;
pub(crate) use ferrite_engine::*;

/// Makes the private body of a function and the two exported names that jump to it.
///
/// The body is a function of its own, never inlined: if each name carried a copy, the linker's or
/// the compiler's merging of equal functions could turn one exported name into a call of the other,
/// which a preloaded tool would intercept. A jump and nothing else is too small to be merged.
macro_rules! entry {
    ($mpi:ident, $pmpi:ident = $body:ident($($name:ident: $type:ty),* $(,)?) -> $returns:ty $block:block) => {
        #[inline(never)]
        unsafe extern "C" fn $body($($name: $type),*) -> $returns $block

        #[unsafe(no_mangle)]
        #[allow(non_snake_case)]
        unsafe extern "C" fn $mpi($($name: $type),*) -> $returns {
            // SAFETY: the same arguments under the same promises of the caller.
            unsafe { $body($($name),*) }
        }

        #[unsafe(no_mangle)]
        #[allow(non_snake_case)]
        unsafe extern "C" fn $pmpi($($name: $type),*) -> $returns {
            // SAFETY: the same arguments under the same promises of the caller.
            unsafe { $body($($name),*) }
        }
    };
}
pub(crate) use entry;
