//! Datatypes (MPI 5.0, chapter 5).
//!
//! A [`Type`] is what the standard calls a type map, made once by its constructor and never
//! changed: bounds, a layout (a tree of loops and lists over runs of bytes, from which any part of
//! a message can be packed or unpacked), the sequence of basic elements, and the arguments it was
//! made with. A handle names an [`Object`]: a type with a name, attributes and the word whether it
//! is committed. The layout is complete when the constructor returns, so committing has nothing to
//! compile.
//!
//! What a small message needs to know about a predefined type is one byte of one table,
//! [`contiguous_size`].

mod array;
mod bounds;
mod construct;
mod copy;
mod external;
mod fortran;
mod layout;
mod object;
mod predefined;
mod recipe;
mod signature;
#[cfg(test)]
mod tests;
mod type_map;

pub use array::{DEFAULT_ARGUMENT, Distribution, Order, darray, subarray};
pub use construct::{
    contiguous, hindexed, hindexed_block, hvector, indexed, indexed_block, resized, structure,
    vector,
};
pub use external::{external_size, pack_external, unpack_external};
pub use fortran::{Class, f90_complex, f90_integer, f90_real, match_size};
pub(crate) use object::{Argument, Held};
pub use object::{Object, commit, committed, dup, free, get, handle_of, object};
pub use predefined::{
    Element, Scalar, TypeInfo, contiguous_size, info, predefined, size_of, value_index,
};
pub use recipe::{Combiner, Form, Recipe};
pub use type_map::Type;
