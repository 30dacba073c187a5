//! The macros of `mpi_core`.

mod datatype;
mod test;

use proc_macro::TokenStream;

/// Implements `mpi_core::Datatype` for a struct, field by field.
#[proc_macro_derive(Datatype)]
pub fn derive_datatype(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    datatype::derive(&input)
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}

/// Runs a test on several ranks: `#[mpi_core::test(ranks = 4)] fn name(world:
/// mpi_core::Communicator) { ... }`.
///
/// The test executable is started again once for each rank, for this test alone. The test fails
/// with the output of every rank when one of them fails, and after `deadline` seconds (60, if
/// nothing is said).
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = syn::parse_macro_input!(item as syn::ItemFn);
    test::expand(arguments.into(), &function)
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}
