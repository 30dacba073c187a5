//! `#[derive(Datatype)]`: packs and unpacks field by field.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Index, Member, Result, Type};

pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let name = &input.ident;
    let fields = match &input.data {
        Data::Struct(data) => &data.fields,
        Data::Enum(_) => {
            return Err(Error::new_spanned(
                name,
                "an enum is no Datatype: what another rank sends need not be one of its variants. \
                 Send an integer and match it, or \
                 use send_value with serde",
            ));
        }
        Data::Union(_) => {
            return Err(Error::new_spanned(
                name,
                "a union is no Datatype: which of its fields is valid is not known",
            ));
        }
    };
    for attribute in &input.attrs {
        if attribute.path().is_ident("repr") {
            let mut packed = false;
            attribute.parse_nested_meta(|meta| {
                packed |= meta.path.is_ident("packed");
                if meta.input.peek(syn::token::Paren) {
                    let inner;
                    syn::parenthesized!(inner in meta.input);
                    inner.parse::<TokenStream>()?;
                }
                Ok(())
            })?;
            if packed {
                return Err(Error::new_spanned(
                    attribute,
                    "a packed struct is no Datatype: its fields are not aligned",
                ));
            }
        }
    }
    if let Some(lifetime) = input.generics.lifetimes().next() {
        return Err(Error::new_spanned(
            lifetime,
            "a Datatype borrows nothing: an address means nothing to another rank",
        ));
    }
    for field in fields {
        let wrong = match &field.ty {
            Type::Reference(_) => {
                "a reference is no Datatype: an address means nothing to another rank"
            }
            Type::Ptr(_) => "a pointer is no Datatype: an address means nothing to another rank",
            Type::FnPtr(_) => {
                "a function is no Datatype: its address means nothing to another rank"
            }
            _ => continue,
        };
        return Err(Error::new_spanned(&field.ty, wrong));
    }
    let members: Vec<Member> = fields
        .iter()
        .enumerate()
        .map(|(at, field)| match &field.ident {
            Some(ident) => Member::Named(ident.clone()),
            None => Member::Unnamed(Index::from(at)),
        })
        .collect();
    let types: Vec<&Type> = fields.iter().map(|field| &field.ty).collect();
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    let wheres = where_clause
        .map(|clause| clause.predicates.iter().collect::<Vec<_>>())
        .unwrap_or_default();
    Ok(quote! {
        #[automatically_derived]
        // SAFETY: all fields are packed and unpacked, and plain only if they are and leave no
        // padding.
        unsafe impl #impl_generics ::mpi_core::Datatype for #name #type_generics
        where
            #(#wheres,)*
            #(#types: ::mpi_core::Datatype,)*
            Self: ::core::marker::Copy + ::core::marker::Send + ::core::marker::Sync + 'static,
        {
            const PACKED: usize = 0 #(+ <#types as ::mpi_core::Datatype>::PACKED)*;
            const PLAIN: bool = true #(&& <#types as ::mpi_core::Datatype>::PLAIN)*
                && Self::PACKED == ::core::mem::size_of::<Self>();

            unsafe fn pack(from: *const Self, to: *mut u8) {
                let mut _at = 0;
                #(
                    // SAFETY: a field of the caller's value, and its place in the caller's bytes.
                    unsafe { <#types as ::mpi_core::Datatype>::pack(&raw const (*from).#members, to.add(_at)) };
                    _at += <#types as ::mpi_core::Datatype>::PACKED;
                )*
            }

            unsafe fn unpack(from: *const u8, to: *mut Self) {
                let mut _at = 0;
                #(
                    // SAFETY: a field of the caller's value, and its place in the caller's bytes.
                    unsafe { <#types as ::mpi_core::Datatype>::unpack(from.add(_at), &raw mut (*to).#members) };
                    _at += <#types as ::mpi_core::Datatype>::PACKED;
                )*
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(item: &str) -> String {
        let input = syn::parse_str(item).expect("an item");
        derive(&input).expect_err(item).to_string()
    }

    #[test]
    fn what_is_no_datatype_is_told_why() {
        for (item, why) in [
            ("enum State { On, Off }", "an enum is no Datatype"),
            ("union Either { a: u32, b: f32 }", "a union is no Datatype"),
            ("struct Name<'a> { text: &'a str }", "borrows nothing"),
            (
                "struct Name { text: &'static str }",
                "a reference is no Datatype",
            ),
            (
                "struct Node { next: *const u8 }",
                "a pointer is no Datatype",
            ),
            (
                "struct Call { call: fn(u8) -> u8 }",
                "a function is no Datatype",
            ),
            (
                "#[repr(C, packed(2))] struct Tight { a: u8, b: u32 }",
                "a packed struct is no Datatype",
            ),
        ] {
            let told = complaint(item);
            assert!(told.contains(why), "{item}: {told}");
        }
    }

    #[test]
    fn structs_of_all_forms_are_taken() {
        for item in [
            "struct Unit;",
            "struct Pair(u8, f64);",
            "#[repr(C, align(16))] struct Wide { a: u8 }",
            "struct Grid<T: Copy, const N: usize> where T: Send { cells: [[T; N]; 2] }",
        ] {
            let input = syn::parse_str(item).expect("an item");
            let code = derive(&input).unwrap_or_else(|why| panic!("{item}: {why}"));
            syn::parse2::<syn::ItemImpl>(code).unwrap_or_else(|why| panic!("{item}: {why}"));
        }
    }
}
