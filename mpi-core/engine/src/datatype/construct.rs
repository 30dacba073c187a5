//! The constructors of derived types (MPI 5.0, sections 5.1.2 and 5.1.7), but for arrays: those are
//! in [`super::array`].
//!
//! All of them answer a new handle, not committed. `MPI_ERR_TYPE` for what is not a datatype,
//! `MPI_ERR_COUNT` for a negative count or block length and for a type of more bytes than 63 bits
//! count, `MPI_ERR_ARG` when it would reach further than that.

use super::Type;
use super::bounds::Cover;
use super::layout::Placed;
use super::object::{add, get};
use super::recipe::{Combiner, Form, Recipe};
use super::signature::Signature;
use crate::handle::Datatype;
use crate::{Error, ErrorClass, Result};

/// `count` items in a row (`MPI_Type_contiguous`).
pub fn contiguous(form: Form, count: i64, old: Datatype) -> Result<Datatype> {
    let old = get(old)?;
    let count_checked = check("count", count)?;
    let recipe = Recipe::new(Combiner::Contiguous, form, vec![old.clone()]);
    let recipe = recipe.with_counts(vec![count]);
    add(regular(1, count_checked, 0, &old, recipe)?)
}

/// `count` blocks of `length` items, `stride` items apart (`MPI_Type_vector`).
pub fn vector(form: Form, count: i64, length: i64, stride: i64, old: Datatype) -> Result<Datatype> {
    let old = get(old)?;
    let blocks = (check("count", count)?, check("blocklength", length)?);
    let recipe = Recipe::new(Combiner::Vector, form, vec![old.clone()]);
    let recipe = recipe.with_counts(vec![count, length, stride]);
    let bytes = in_bytes(stride, &old)?;
    add(regular(blocks.0, blocks.1, bytes, &old, recipe)?)
}

/// `count` blocks of `length` items, `stride` bytes apart (`MPI_Type_create_hvector`).
pub fn hvector(
    form: Form,
    count: i64,
    length: i64,
    stride: i64,
    old: Datatype,
) -> Result<Datatype> {
    let old = get(old)?;
    let blocks = (check("count", count)?, check("blocklength", length)?);
    let recipe = Recipe::new(Combiner::Hvector, form, vec![old.clone()]);
    let recipe = recipe.with_counts_and_bytes(vec![count, length], &[stride]);
    add(regular(blocks.0, blocks.1, stride, &old, recipe)?)
}

/// Blocks of any length, displacements in items (`MPI_Type_indexed`).
pub fn indexed(
    form: Form,
    lengths: &[i64],
    displacements: &[i64],
    old: Datatype,
) -> Result<Datatype> {
    let old = get(old)?;
    let counts = [&[lengths.len() as i64], lengths, displacements].concat();
    let recipe = Recipe::new(Combiner::Indexed, form, vec![old.clone()]).with_counts(counts);
    let bytes = all_in_bytes(displacements, &old)?;
    add(blocks(lengths.iter().copied().zip(bytes), &old, recipe)?)
}

/// Blocks of any length, displacements in bytes (`MPI_Type_create_hindexed`).
pub fn hindexed(
    form: Form,
    lengths: &[i64],
    displacements: &[i64],
    old: Datatype,
) -> Result<Datatype> {
    let old = get(old)?;
    let counts = [&[lengths.len() as i64], lengths].concat();
    let recipe = Recipe::new(Combiner::Hindexed, form, vec![old.clone()]);
    let recipe = recipe.with_counts_and_bytes(counts, displacements);
    let displacements = displacements.iter().copied();
    add(blocks(
        lengths.iter().copied().zip(displacements),
        &old,
        recipe,
    )?)
}

/// Blocks of one length, displacements in items (`MPI_Type_create_indexed_block`).
pub fn indexed_block(
    form: Form,
    length: i64,
    displacements: &[i64],
    old: Datatype,
) -> Result<Datatype> {
    let old = get(old)?;
    let counts = [&[displacements.len() as i64, length], displacements].concat();
    let recipe = Recipe::new(Combiner::IndexedBlock, form, vec![old.clone()]).with_counts(counts);
    let bytes = all_in_bytes(displacements, &old)?;
    add(blocks(
        bytes.into_iter().map(|at| (length, at)),
        &old,
        recipe,
    )?)
}

/// Blocks of one length, displacements in bytes (`MPI_Type_create_hindexed_block`).
pub fn hindexed_block(
    form: Form,
    length: i64,
    displacements: &[i64],
    old: Datatype,
) -> Result<Datatype> {
    let old = get(old)?;
    let recipe = Recipe::new(Combiner::HindexedBlock, form, vec![old.clone()]);
    let counts = vec![displacements.len() as i64, length];
    let recipe = recipe.with_counts_and_bytes(counts, displacements);
    let all = displacements.iter().map(|at| (length, *at));
    add(blocks(all, &old, recipe)?)
}

/// Blocks of any length, place in bytes and type (`MPI_Type_create_struct`). The three lists are
/// equally long.
pub fn structure(
    form: Form,
    lengths: &[i64],
    displacements: &[i64],
    types: &[Datatype],
) -> Result<Datatype> {
    let types = types
        .iter()
        .map(|old| get(*old))
        .collect::<Result<Vec<Type>>>()?;
    let counts = [&[lengths.len() as i64], lengths].concat();
    let recipe = Recipe::new(Combiner::Struct, form, types.clone());
    let recipe = recipe.with_counts_and_bytes(counts, displacements);
    let places = lengths.iter().copied().zip(displacements.iter().copied());
    add(assemble(places.zip(&types), recipe)?)
}

/// The same data between other bounds (`MPI_Type_create_resized`).
pub fn resized(form: Form, lb: i64, extent: i64, old: Datatype) -> Result<Datatype> {
    let old = get(old)?;
    let recipe = Recipe::new(Combiner::Resized, form, vec![old.clone()]);
    let recipe = recipe.with_counts_and_bytes(Vec::new(), &[lb, extent]);
    add(resize(&old, lb, extent, recipe)?)
}

/// `old` between other bounds.
pub(super) fn resize(old: &Type, lb: i64, extent: i64, recipe: Recipe) -> Result<Type> {
    let bounds = old.bounds().resized(lb, extent)?;
    let (layout, signature) = (old.layout().clone(), old.signature().clone());
    Ok(Type::new(bounds, layout, signature, recipe))
}

/// `count` blocks of `length` items, `stride` bytes apart.
pub(super) fn regular(
    count: u64,
    length: u64,
    stride: i64,
    old: &Type,
    recipe: Recipe,
) -> Result<Type> {
    let items = count.checked_mul(length).ok_or_else(too_big)?;
    check_size(items.checked_mul(old.size()))?;
    let mut cover = Cover::default();
    if count > 0 {
        let last = i128::from(count - 1) * i128::from(stride);
        cover.add(old.bounds(), 0, length, old.extent());
        cover.add(old.bounds(), last, length, old.extent());
    }
    let bounds = cover.finish()?;
    let block = old.layout().repeat(length, old.extent());
    let layout = block.repeat(count, stride);
    Ok(Type::new(
        bounds,
        layout,
        old.signature().repeat(items),
        recipe,
    ))
}

/// Blocks of one type, as (length in items, displacement in bytes).
fn blocks(all: impl Iterator<Item = (i64, i64)>, old: &Type, recipe: Recipe) -> Result<Type> {
    assemble(all.map(|place| (place, old)), recipe)
}

/// Blocks, as ((length in items, displacement in bytes), type).
pub(super) fn assemble<'a>(
    all: impl Iterator<Item = ((i64, i64), &'a Type)>,
    recipe: Recipe,
) -> Result<Type> {
    let (mut cover, mut size) = (Cover::default(), 0u64);
    let (mut parts, mut signatures) = (Vec::new(), Signatures::default());
    // Most lists have many blocks of one length: they share one layout.
    let mut last: Option<(i64, &Type, Placed)> = None;
    for ((length, at), old) in all {
        let items = check("blocklength", length)?;
        if items == 0 {
            continue;
        }
        cover.add(old.bounds(), at.into(), items, old.extent());
        let bytes = items.checked_mul(old.size());
        size = check_size(bytes.and_then(|bytes| size.checked_add(bytes)))?;
        let block = match &last {
            Some((known, of, block)) if *known == length && core::ptr::eq(*of, old) => {
                block.moved(at)
            }
            _ => {
                let block = old.layout().repeat(items, old.extent());
                let moved = block.moved(at);
                last = Some((length, old, block));
                moved
            }
        };
        parts.push(block);
        signatures.add(old, items);
    }
    let bounds = cover.finish()?;
    let layout = Placed::sequence(parts);
    Ok(Type::new(bounds, layout, signatures.finish(), recipe))
}

/// Collects signatures; blocks of one type in a row are one entry.
#[derive(Default)]
struct Signatures<'a>(Vec<(&'a Type, u64)>);

impl<'a> Signatures<'a> {
    fn add(&mut self, of: &'a Type, items: u64) {
        match self.0.last_mut() {
            Some((last, count)) if core::ptr::eq(*last, of) => *count += items,
            _ => self.0.push((of, items)),
        }
    }

    fn finish(self) -> Signature {
        let all = self.0.into_iter();
        Signature::list(
            all.map(|(of, items)| of.signature().repeat(items))
                .collect(),
        )
    }
}

fn check(what: &str, count: i64) -> Result<u64> {
    u64::try_from(count)
        .map_err(|_| Error::new(ErrorClass::COUNT, format!("the {what} {count} is negative")))
}

fn check_size(size: Option<u64>) -> Result<u64> {
    size.filter(|size| i64::try_from(*size).is_ok())
        .ok_or_else(too_big)
}

fn in_bytes(items: i64, old: &Type) -> Result<i64> {
    items.checked_mul(old.extent()).ok_or_else(|| {
        let extent = old.extent();
        Error::new(
            ErrorClass::ARG,
            format!("{items} times the extent of {extent} bytes is further than 2^63 bytes"),
        )
    })
}

fn all_in_bytes(items: &[i64], old: &Type) -> Result<Vec<i64>> {
    items.iter().map(|items| in_bytes(*items, old)).collect()
}

#[cold]
fn too_big() -> Error {
    Error::new(
        ErrorClass::COUNT,
        "the type would have more than 2^63 bytes of data",
    )
}
