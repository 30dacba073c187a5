//! `#[mpi_core::test(ranks = N)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::Parser;
use syn::{Error, ItemFn, LitInt, Result};

pub(crate) fn expand(arguments: TokenStream, function: &ItemFn) -> Result<TokenStream> {
    let (mut ranks, mut deadline) = (None, 60u64);
    syn::meta::parser(|meta| {
        let number: LitInt = meta.value()?.parse()?;
        if meta.path.is_ident("ranks") {
            let count: usize = number.base10_parse()?;
            if count == 0 {
                return Err(Error::new_spanned(number, "a test has at least one rank"));
            }
            ranks = Some(count);
            Ok(())
        } else if meta.path.is_ident("deadline") {
            deadline = number.base10_parse()?;
            Ok(())
        } else {
            Err(meta.error("a test takes `ranks` and `deadline` (in seconds)"))
        }
    })
    .parse2(arguments)?;
    let Some(ranks) = ranks else {
        return Err(Error::new_spanned(
            &function.sig,
            "say on how many ranks: #[mpi_core::test(ranks = 4)]",
        ));
    };
    if function.sig.inputs.len() != 1 || function.sig.asyncness.is_some() {
        return Err(Error::new_spanned(
            &function.sig,
            "such a test is a function of one argument, the world: fn name(world: \
             mpi_core::Communicator)",
        ));
    }
    let (name, output) = (&function.sig.ident, &function.sig.output);
    let attributes = &function.attrs;
    let inner = ItemFn {
        attrs: Vec::new(),
        ..function.clone()
    };
    Ok(quote! {
        #[::core::prelude::v1::test]
        #(#attributes)*
        fn #name() #output {
            #inner
            ::mpi_core::testing::run(
                ::core::concat!(::core::module_path!(), "::", ::core::stringify!(#name)),
                #ranks,
                #deadline,
                #name,
            )
        }
    })
}
