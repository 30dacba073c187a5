//! Types of every kind, drawn at random and made twice: by the constructors, and by the standard's
//! definition, a list of (offset, basic type) with marks for bounds (MPI 5.0, section 5.1).

use proptest::collection::vec;
use proptest::prelude::*;

use super::INT;
use crate::Datatype;
use crate::datatype::*;

/// A type as the standard defines it.
#[derive(Clone, Debug, Default)]
pub(super) struct Naive {
    /// (offset, bytes, alignment)
    pub(super) data: Vec<(i64, i64, i64)>,
    /// Where items without marks end.
    ends: Vec<i64>,
    lb_marks: Vec<i64>,
    ub_marks: Vec<i64>,
}

impl Naive {
    fn basic(datatype: Datatype) -> Naive {
        let size = |element: Element| i64::from(element.size());
        let data = match info(datatype).unwrap().element {
            Element::Pair(value, index) => {
                let (value, index) = (i64::from(value.size()), i64::from(index.size()));
                let second = (value + index - 1) / index * index;
                vec![(0, value, value), (second, index, index)]
            }
            element @ Element::Complex(part) => vec![(0, size(element), part.size().into())],
            element => vec![(0, size(element), size(element))],
        };
        Naive {
            data,
            ..Naive::default()
        }
    }

    fn put(&mut self, other: &Naive, at: i64) {
        let moved = other
            .data
            .iter()
            .map(|(offset, size, align)| (offset + at, *size, *align));
        self.data.extend(moved);
        if other.ub_marks.is_empty() && !other.data.is_empty() {
            self.ends.push(at + other.lb() + other.extent());
        }
        self.lb_marks
            .extend(other.lb_marks.iter().map(|mark| mark + at));
        self.ub_marks
            .extend(other.ub_marks.iter().map(|mark| mark + at));
    }

    fn blocks(blocks: impl IntoIterator<Item = (i64, i64)>, old: &Naive) -> Naive {
        let mut new = Naive::default();
        for (length, at) in blocks {
            for i in 0..length {
                new.put(old, at + i * old.extent());
            }
        }
        new
    }

    fn resized(mut self, lb: i64, extent: i64) -> Naive {
        self.lb_marks = vec![lb];
        self.ub_marks = vec![lb + extent];
        self
    }

    pub(super) fn size(&self) -> i64 {
        self.data.iter().map(|(_, size, _)| size).sum()
    }

    pub(super) fn true_bounds(&self) -> (i64, i64) {
        let begin = self.data.iter().map(|(offset, ..)| *offset).min();
        let end = self
            .data
            .iter()
            .map(|(offset, size, _)| offset + size)
            .max();
        (begin.unwrap_or(0), end.unwrap_or(0))
    }

    pub(super) fn lb(&self) -> i64 {
        let marked = self.lb_marks.iter().min().copied();
        marked.unwrap_or(self.true_bounds().0)
    }

    pub(super) fn extent(&self) -> i64 {
        if let Some(ub) = self.ub_marks.iter().max() {
            return ub - self.lb();
        }
        let align = self
            .data
            .iter()
            .map(|(.., align)| *align)
            .max()
            .unwrap_or(1);
        let end = self.true_bounds().1;
        let extent = self.ends.iter().fold(end, |end, other| end.max(*other)) - self.lb();
        (0..align)
            .map(|pad| extent + pad)
            .find(|extent| extent % align == 0)
            .unwrap()
    }

    /// Where each byte of the packed data of `count` items lies.
    pub(super) fn bytes(&self, count: i64) -> Vec<i64> {
        let mut all = Naive::default();
        for i in 0..count {
            all.put(self, i * self.extent());
        }
        let bytes = all
            .data
            .iter()
            .flat_map(|(offset, size, _)| *offset..offset + size);
        bytes.collect()
    }
}

/// How to make a type.
#[derive(Clone, Debug)]
pub(super) enum Plan {
    Basic(Datatype),
    Dup(Box<Plan>),
    Contiguous(i64, Box<Plan>),
    Vector(i64, i64, i64, Box<Plan>),
    Hvector(i64, i64, i64, Box<Plan>),
    Indexed(Vec<(i64, i64)>, Box<Plan>),
    Hindexed(Vec<(i64, i64)>, Box<Plan>),
    IndexedBlock(i64, Vec<i64>, Box<Plan>),
    HindexedBlock(i64, Vec<i64>, Box<Plan>),
    Struct(Vec<(i64, i64, Plan)>),
    Resized(i64, i64, Box<Plan>),
    /// (size, subsize, start) a dimension
    Subarray(Vec<(i64, i64, i64)>, Order, Box<Plan>),
    /// (size, distribution, argument, places) a dimension, and which of the processes
    Darray(
        Vec<(i64, Distribution, Option<i32>, i32)>,
        i32,
        Order,
        Box<Plan>,
    ),
}

impl Plan {
    /// The type, and what it should be.
    pub(super) fn make(&self) -> (Datatype, Naive) {
        let split =
            |blocks: &[(i64, i64)]| -> (Vec<i64>, Vec<i64>) { blocks.iter().copied().unzip() };
        match self {
            Plan::Basic(datatype) => (*datatype, Naive::basic(*datatype)),
            Plan::Dup(old) => {
                let (old, naive) = old.make();
                (dup(old).unwrap(), naive)
            }
            Plan::Contiguous(count, old) => {
                let (old, naive) = old.make();
                let made = contiguous(INT, *count, old).unwrap();
                (made, Naive::blocks([(*count, 0)], &naive))
            }
            Plan::Vector(count, length, stride, old) => {
                let (old, naive) = old.make();
                let made = vector(INT, *count, *length, *stride, old).unwrap();
                let places = (0..*count).map(|i| (*length, i * stride * naive.extent()));
                (made, Naive::blocks(places, &naive))
            }
            Plan::Hvector(count, length, stride, old) => {
                let (old, naive) = old.make();
                let made = hvector(INT, *count, *length, *stride, old).unwrap();
                let places = (0..*count).map(|i| (*length, i * stride));
                (made, Naive::blocks(places, &naive))
            }
            Plan::Indexed(blocks, old) => {
                let (old, naive) = old.make();
                let (lengths, places) = split(blocks);
                let made = indexed(INT, &lengths, &places, old).unwrap();
                let places = blocks
                    .iter()
                    .map(|(length, at)| (*length, at * naive.extent()));
                (made, Naive::blocks(places, &naive))
            }
            Plan::Hindexed(blocks, old) => {
                let (old, naive) = old.make();
                let (lengths, places) = split(blocks);
                let made = hindexed(INT, &lengths, &places, old).unwrap();
                (made, Naive::blocks(blocks.iter().copied(), &naive))
            }
            Plan::IndexedBlock(length, places, old) => {
                let (old, naive) = old.make();
                let made = indexed_block(INT, *length, places, old).unwrap();
                let places = places.iter().map(|at| (*length, at * naive.extent()));
                (made, Naive::blocks(places, &naive))
            }
            Plan::HindexedBlock(length, places, old) => {
                let (old, naive) = old.make();
                let made = hindexed_block(INT, *length, places, old).unwrap();
                let places = places.iter().map(|at| (*length, *at));
                (made, Naive::blocks(places, &naive))
            }
            Plan::Struct(parts) => {
                let mut naive = Naive::default();
                let (mut lengths, mut places, mut types) = (Vec::new(), Vec::new(), Vec::new());
                for (length, at, part) in parts {
                    let (datatype, part) = part.make();
                    let block = Naive::blocks([(*length, *at)], &part);
                    naive.put(&block, 0);
                    lengths.push(*length);
                    places.push(*at);
                    types.push(datatype);
                }
                (structure(INT, &lengths, &places, &types).unwrap(), naive)
            }
            Plan::Resized(lb, extent, old) => {
                let (old, naive) = old.make();
                let made = resized(INT, *lb, *extent, old).unwrap();
                (made, naive.resized(*lb, *extent))
            }
            Plan::Subarray(dimensions, order, old) => {
                let (old, naive) = old.make();
                let of = |part: fn(&(i64, i64, i64)) -> i64| -> Vec<i64> {
                    dimensions.iter().map(part).collect()
                };
                let (sizes, subsizes, starts) = (of(|d| d.0), of(|d| d.1), of(|d| d.2));
                let made = subarray(INT, &sizes, &subsizes, &starts, *order as i32, old).unwrap();
                let owned = dimensions
                    .iter()
                    .map(|(size, subsize, start)| (*size, (*start..start + subsize).collect()));
                (made, part_of_array(owned.collect(), *order, &naive))
            }
            Plan::Darray(dimensions, which, order, old) => {
                let (old, naive) = old.make();
                let sizes: Vec<i64> = dimensions.iter().map(|d| d.0).collect();
                let distributions: Vec<i32> = dimensions.iter().map(|d| d.1 as i32).collect();
                let arguments: Vec<Option<i32>> = dimensions.iter().map(|d| d.2).collect();
                let grid: Vec<i32> = dimensions.iter().map(|d| d.3).collect();
                let processes: i32 = grid.iter().product();
                let rank = which % processes;
                let made = darray(
                    INT,
                    processes,
                    rank,
                    &sizes,
                    &distributions,
                    &arguments,
                    &grid,
                    *order as i32,
                    old,
                );
                // Row-major coordinates.
                let mut left = rank;
                let mut owned = Vec::new();
                for (size, distribution, argument, places) in dimensions.iter().rev() {
                    let place = i64::from(left % places);
                    left /= places;
                    let places = i64::from(*places);
                    let block = match (distribution, argument) {
                        (Distribution::None, _) => *size,
                        (Distribution::Block, None) => (size + places - 1) / places,
                        (Distribution::Cyclic, None) => 1,
                        (_, argument) => i64::from(argument.expect("one that is not the default")),
                    };
                    let mine = (0..*size).filter(|index| index / block % places == place);
                    owned.push((*size, mine.collect()));
                }
                owned.reverse();
                (made.unwrap(), part_of_array(owned, *order, &naive))
            }
        }
    }
}

/// The items of an array whose index is listed in every dimension, as (size, indices) a dimension.
fn part_of_array(dimensions: Vec<(i64, Vec<i64>)>, order: Order, old: &Naive) -> Naive {
    let extent = old.extent();
    // Linear indices, the slowest dimension first.
    let slowest_first: Vec<_> = match order {
        Order::C => dimensions,
        Order::Fortran => dimensions.into_iter().rev().collect(),
    };
    let (mut linear, mut total) = (vec![0], 1);
    for (size, indices) in slowest_first {
        linear = linear
            .iter()
            .flat_map(|before| indices.iter().map(move |index| before * size + index))
            .collect();
        total *= size;
    }
    Naive::blocks(linear.into_iter().map(|index| (1, index * extent)), old)
        .resized(0, total * extent)
}

fn basic() -> impl Strategy<Value = Plan> {
    let all: Vec<Datatype> = predefined().map(|(datatype, _)| datatype).collect();
    prop::sample::select(all).prop_map(Plan::Basic)
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::C), Just(Order::Fortran)]
}

fn dealt() -> impl Strategy<Value = (i64, Distribution, Option<i32>, i32)> {
    let default = None;
    prop_oneof![
        (1..6i64).prop_map(move |size| (size, Distribution::None, default, 1)),
        (1..6i64, 1..4i32).prop_map(move |(size, places)| (
            size,
            Distribution::Block,
            default,
            places
        )),
        (1..6i64, 1..4i32, 0..2i32).prop_map(|(size, places, more)| {
            let fair = (size as i32 + places - 1) / places;
            (size, Distribution::Block, Some(fair + more), places)
        }),
        (1..9i64, 1..4i32, 1..4i32).prop_map(|(size, places, block)| (
            size,
            Distribution::Cyclic,
            Some(block),
            places
        )),
        (1..9i64, 1..4i32).prop_map(move |(size, places)| (
            size,
            Distribution::Cyclic,
            default,
            places
        )),
    ]
}

pub(super) fn plan() -> impl Strategy<Value = Plan> {
    basic().prop_recursive(3, 12, 3, |old| {
        let old = old.prop_map(Box::new);
        let at = -40..40i64;
        let part = (1..5i64, 0..3i64, 0..3i64)
            .prop_map(|(subsize, start, rest)| (start + subsize + rest, subsize, start));
        prop_oneof![
            old.clone().prop_map(Plan::Dup),
            (0..4i64, old.clone()).prop_map(|(count, old)| Plan::Contiguous(count, old)),
            (0..4i64, 0..3i64, -4..5i64, old.clone())
                .prop_map(|(c, l, s, old)| Plan::Vector(c, l, s, old)),
            (0..4i64, 0..3i64, at.clone(), old.clone())
                .prop_map(|(c, l, s, old)| Plan::Hvector(c, l, s, old)),
            (vec((0..3i64, -5..6i64), 0..4), old.clone())
                .prop_map(|(b, old)| Plan::Indexed(b, old)),
            (vec((0..3i64, at.clone()), 0..4), old.clone())
                .prop_map(|(b, old)| Plan::Hindexed(b, old)),
            (0..3i64, vec(-5..6i64, 0..4), old.clone())
                .prop_map(|(l, p, old)| Plan::IndexedBlock(l, p, old)),
            (0..3i64, vec(at.clone(), 0..4), old.clone())
                .prop_map(|(l, p, old)| Plan::HindexedBlock(l, p, old)),
            vec(
                (0..3i64, at.clone(), old.clone().prop_map(|plan| *plan)),
                0..4
            )
            .prop_map(Plan::Struct),
            (at, 0..60i64, old.clone())
                .prop_map(|(lb, extent, old)| Plan::Resized(lb, extent, old)),
            (vec(part, 1..4), order(), old.clone())
                .prop_map(|(d, o, old)| Plan::Subarray(d, o, old)),
            (vec(dealt(), 1..4), 0..64i32, order(), old)
                .prop_map(|(d, w, o, old)| Plan::Darray(d, w, o, old)),
        ]
    })
}
