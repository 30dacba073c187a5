//! Parts of arrays: subarrays, and the share of a process in a distributed array (MPI 5.0, sections
//! 5.1.3 and 5.1.4).

use super::Type;
use super::construct::{assemble, regular, resize};
use super::object::{add, get};
use super::recipe::{Combiner, Form, Recipe};
use crate::handle::Datatype;
use crate::{Error, ErrorClass, Result};

/// Which index runs fastest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `MPI_ORDER_C`: the last
    C = 0xc,
    /// `MPI_ORDER_FORTRAN`: the first
    Fortran = 0xf,
}

impl Order {
    fn new(order: i32) -> Result<Order> {
        match order {
            0xc => Ok(Order::C),
            0xf => Ok(Order::Fortran),
            _ => Err(wrong(format!(
                "the order {order} is neither MPI_ORDER_C nor MPI_ORDER_FORTRAN"
            ))),
        }
    }

    /// Dimensions, the fastest first.
    fn dimensions(self, number: usize) -> Vec<usize> {
        match self {
            Order::C => (0..number).rev().collect(),
            Order::Fortran => (0..number).collect(),
        }
    }
}

/// How a dimension is dealt out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// `MPI_DISTRIBUTE_NONE`
    None = 16,
    /// `MPI_DISTRIBUTE_BLOCK`
    Block = 17,
    /// `MPI_DISTRIBUTE_CYCLIC`
    Cyclic = 18,
}

/// What stands in a [`Recipe`] for an argument that was left to its default
/// (`MPI_DISTRIBUTE_DFLT_DARG`): no argument is so small.
pub const DEFAULT_ARGUMENT: i64 = i64::MIN;

/// A part of an array, in the place that it has in the array (`MPI_Type_create_subarray`): sizes
/// and starts in items of `old`, one entry a dimension in all three lists. `MPI_ERR_ARG` when the
/// part does not lie within the array.
pub fn subarray(
    form: Form,
    sizes: &[i64],
    subsizes: &[i64],
    starts: &[i64],
    order: i32,
    old: Datatype,
) -> Result<Datatype> {
    let old = get(old)?;
    let dimensions = Order::new(order)?.dimensions(check_dimensions(sizes)?);
    for (dimension, ((size, subsize), start)) in sizes.iter().zip(subsizes).zip(starts).enumerate()
    {
        if *size < 1 || *subsize < 1 || subsize > size || *start < 0 || *start > size - subsize {
            return Err(wrong(format!(
                "dimension {dimension}: {subsize} items from {start} on are not a part of {size}"
            )));
        }
    }
    let mut part = old.clone();
    let mut row = old.extent();
    for dimension in dimensions {
        let (start, items) = (starts[dimension], subsizes[dimension]);
        part = rows(&part, row, &[(start, items as u64)])?;
        row = checked(row, sizes[dimension])?;
    }
    let recipe = Recipe::new(Combiner::Subarray, form, vec![old]);
    let number = sizes.len() as i64;
    let lists = [sizes, subsizes, starts].concat();
    let recipe = match form {
        Form::Int => recipe.with_integers([&[number], &lists[..], &[i64::from(order)]].concat()),
        Form::Large => recipe
            .with_counts(lists)
            .with_integers(vec![number, order.into()]),
    };
    add(resize(&part, 0, row, recipe)?)
}

/// The share of process `rank` of `processes` in an array that is dealt out over a grid of
/// processes (`MPI_Type_create_darray`), one entry a dimension in the four lists; an argument that
/// is `None` is the default. `MPI_ERR_ARG` for a grid that does not have `processes` places and for
/// blocks that do not cover the array.
#[allow(clippy::too_many_arguments)] // MPI's own list.
pub fn darray(
    form: Form,
    processes: i32,
    rank: i32,
    sizes: &[i64],
    distributions: &[i32],
    arguments: &[Option<i32>],
    grid: &[i32],
    order: i32,
    old: Datatype,
) -> Result<Datatype> {
    let old = get(old)?;
    let number = check_dimensions(sizes)?;
    let dimensions = Order::new(order)?.dimensions(number);
    if let Some(place) = grid.iter().find(|place| **place < 1) {
        return Err(wrong(format!("a process grid cannot be {place} wide")));
    }
    let places: i128 = grid.iter().map(|place| i128::from(*place)).product();
    if places != i128::from(processes) {
        return Err(wrong(format!(
            "the process grid has {places} places for {processes} processes"
        )));
    }
    if rank < 0 || rank >= processes {
        return Err(wrong(format!(
            "rank {rank} is not one of {processes} processes"
        )));
    }
    // The grid is in row-major order whatever the array's order is.
    let mut coordinates = vec![0; number];
    let mut left = rank;
    for dimension in (0..number).rev() {
        coordinates[dimension] = left % grid[dimension];
        left /= grid[dimension];
    }
    let mut part = old.clone();
    let mut row = old.extent();
    for dimension in dimensions {
        let dealt = Dealt {
            dimension,
            size: sizes[dimension],
            distribution: distributions[dimension],
            argument: arguments[dimension],
            places: grid[dimension].into(),
            place: coordinates[dimension].into(),
        };
        part = dealt.share(&part, row)?;
        row = checked(row, sizes[dimension])?;
    }
    let recipe = Recipe::new(Combiner::Darray, form, vec![old]);
    let head = [processes.into(), rank.into(), number as i64];
    let stored = |argument: &Option<i32>| argument.map_or(DEFAULT_ARGUMENT, i64::from);
    let wide = |list: &[i32]| {
        list.iter()
            .map(|value| i64::from(*value))
            .collect::<Vec<_>>()
    };
    let tail = [
        wide(distributions),
        arguments.iter().map(stored).collect(),
        wide(grid),
        vec![order.into()],
    ]
    .concat();
    let recipe = match form {
        Form::Int => recipe.with_integers([&head, sizes, &tail].concat()),
        Form::Large => recipe
            .with_counts(sizes.to_vec())
            .with_integers([&head[..], &tail].concat()),
    };
    add(resize(&part, 0, row, recipe)?)
}

/// One dimension of a distributed array.
struct Dealt {
    dimension: usize,
    size: i64,
    distribution: i32,
    argument: Option<i32>,
    places: i64,
    place: i64,
}

impl Dealt {
    /// What this place gets of rows that are `row` bytes apart.
    fn share(&self, of: &Type, row: i64) -> Result<Type> {
        let (dimension, size) = (self.dimension, self.size);
        if size < 1 {
            return Err(wrong(format!("dimension {dimension} has the size {size}")));
        }
        if let Some(argument) = self.argument
            && argument < 1
        {
            return Err(wrong(format!(
                "dimension {dimension}: the distribution argument {argument} is not positive"
            )));
        }
        let argument = self.argument.map(i64::from);
        match self.distribution {
            kind if kind == Distribution::None as i32 => {
                if self.places != 1 {
                    return Err(wrong(format!(
                        "dimension {dimension} is not distributed, but the process grid is {} wide \
                         there",
                        self.places
                    )));
                }
                rows(of, row, &[(0, size as u64)])
            }
            kind if kind == Distribution::Block as i32 => {
                let fair = (size + self.places - 1) / self.places;
                let block = argument.unwrap_or(fair);
                if block < fair {
                    return Err(wrong(format!(
                        "dimension {dimension}: {} blocks of {block} do not cover {size}",
                        self.places
                    )));
                }
                let start = self.place.saturating_mul(block).min(size);
                rows(of, row, &[(start, block.min(size - start) as u64)])
            }
            kind if kind == Distribution::Cyclic as i32 => {
                let block = argument.unwrap_or(1);
                let round = checked(block, self.places)?;
                let first = checked(block, self.place)?.min(size);
                // Rounds in which this place gets a whole block, and what is left for it after
                // them.
                let whole = (size - first + round - block) / round;
                let whole = whole.max(0);
                let next = (first + whole * round).min(size);
                let rest = block.min(size - next);
                let blocks = regular(1, block as u64, 0, &spread(of, row)?, part())?;
                let blocks = regular(whole as u64, 1, checked(round, row)?, &blocks, part())?;
                let rest = regular(1, rest as u64, 0, &spread(of, row)?, part())?;
                let places = [(1, checked(first, row)?), (1, checked(next, row)?)];
                assemble(places.into_iter().zip([&blocks, &rest]), part())
            }
            other => Err(wrong(format!(
                "dimension {dimension}: {other} is no distribution: use MPI_DISTRIBUTE_BLOCK, \
                 _CYCLIC or _NONE"
            ))),
        }
    }
}

/// Some rows: (first, number) of items that are `row` bytes apart.
fn rows(of: &Type, row: i64, which: &[(i64, u64)]) -> Result<Type> {
    let of = spread(of, row)?;
    let mut places = Vec::new();
    for (first, number) in which {
        places.push((*number as i64, checked(*first, row)?));
    }
    assemble(places.into_iter().map(|place| (place, &of)), part())
}

/// `of`, to be repeated every `row` bytes.
fn spread(of: &Type, row: i64) -> Result<Type> {
    resize(of, 0, row, part())
}

/// Parts of the type under construction have no recipe that anybody asks for.
fn part() -> Recipe {
    Recipe::new(Combiner::Resized, Form::Int, Vec::new())
}

fn check_dimensions(sizes: &[i64]) -> Result<usize> {
    match sizes.len() {
        0 => Err(wrong(String::from("an array has at least one dimension"))),
        number => Ok(number),
    }
}

fn checked(a: i64, b: i64) -> Result<i64> {
    a.checked_mul(b)
        .ok_or_else(|| wrong(String::from("the array has more than 2^63 bytes")))
}

#[cold]
fn wrong(sentence: String) -> Error {
    Error::new(ErrorClass::ARG, sentence)
}
