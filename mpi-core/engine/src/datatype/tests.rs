//! Types of every kind against the standard's definition: a list of (offset, basic type), with
//! marks for bounds (MPI 5.0, section 5.1).

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::{Datatype, ErrorClass};

/// A type as the standard defines it.
#[derive(Clone, Debug, Default)]
struct Naive {
    /// (offset, bytes, alignment)
    data: Vec<(i64, i64, i64)>,
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

    fn size(&self) -> i64 {
        self.data.iter().map(|(_, size, _)| size).sum()
    }

    fn true_bounds(&self) -> (i64, i64) {
        let begin = self.data.iter().map(|(offset, ..)| *offset).min();
        let end = self
            .data
            .iter()
            .map(|(offset, size, _)| offset + size)
            .max();
        (begin.unwrap_or(0), end.unwrap_or(0))
    }

    fn lb(&self) -> i64 {
        let marked = self.lb_marks.iter().min().copied();
        marked.unwrap_or(self.true_bounds().0)
    }

    fn extent(&self) -> i64 {
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
    fn bytes(&self, count: i64) -> Vec<i64> {
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
enum Plan {
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

const INT: Form = Form::Int;

impl Plan {
    /// The type, and what it should be.
    fn make(&self) -> (Datatype, Naive) {
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

fn plan() -> impl Strategy<Value = Plan> {
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

/// Where to cut packed data of `len` bytes.
fn cuts(len: usize, seeds: &[prop::sample::Index]) -> Vec<usize> {
    let mut cuts: Vec<usize> = seeds.iter().map(|cut| cut.index(len + 1)).collect();
    cuts.extend([0, len]);
    cuts.sort_unstable();
    cuts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, max_global_rejects: 100_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_type_is_what_the_standard_says(
        plan in plan(),
        count in 0..4i64,
        seeds in vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let (datatype, naive) = plan.make();
        prop_assume!(naive.data.len() < 2000);
        let made = get(datatype).unwrap();
        let (begin, end) = naive.true_bounds();
        prop_assert_eq!(made.size() as i64, naive.size());
        prop_assert_eq!((made.lb(), made.extent()), (naive.lb(), naive.extent()));
        prop_assert_eq!((made.true_lb(), made.true_extent()), (begin, end - begin));

        // Packing, in pieces.
        let places = naive.bytes(count);
        let origin = -places.iter().min().copied().unwrap_or(0);
        let room = places.iter().max().map_or(0, |last| last + origin + 1) as usize;
        let user: Vec<u8> = (0..room).map(|i| (i * 7 + i / 256) as u8).collect();
        let at = |place: &i64| (place + origin) as usize;
        let expected: Vec<u8> = places.iter().map(|place| user[at(place)]).collect();
        let mut packed = vec![0; expected.len()];
        let base = user.as_ptr().wrapping_offset(origin as isize);
        let cuts = cuts(expected.len(), &seeds);
        for piece in cuts.windows(2) {
            // SAFETY: `user` holds every byte of data of the items; `packed` has room for the
            // piece.
            unsafe { made.pack(count as usize, base, piece[0]..piece[1], packed[piece[0]..].as_mut_ptr()) };
        }
        prop_assert_eq!(&packed, &expected);
        if let Some(offset) = made.as_run(count as u64) {
            let run: Vec<i64> = (0..expected.len() as i64).map(|i| offset + i).collect();
            prop_assert_eq!(run, places.clone());
        }

        // Unpacking, in pieces; gaps stay.
        let fresh: Vec<u8> = (0..expected.len()).map(|i| (i * 11 + 3) as u8).collect();
        let mut wanted = vec![0xee; room];
        for (place, byte) in places.iter().zip(&fresh) {
            wanted[at(place)] = *byte;
        }
        let mut target = vec![0xee; room];
        let base = target.as_mut_ptr().wrapping_offset(origin as isize);
        for piece in cuts.windows(2) {
            // SAFETY: as above, with reading and writing exchanged.
            unsafe { made.unpack(count as usize, base, piece[0]..piece[1], fresh[piece[0]..].as_ptr()) };
        }
        prop_assert_eq!(target, wanted);

        // Elements, whole and not.
        let mut elements = 0;
        let mut ends = vec![0];
        for (_, size, _) in &naive.data {
            ends.push(ends.last().unwrap() + size);
        }
        for bytes in 0..=naive.size() as u64 {
            let whole = ends.iter().position(|end| *end as u64 == bytes);
            prop_assert_eq!(made.elements_in(bytes), whole.map(|n| n as u64), "{} bytes", bytes);
            if let Some(n) = whole {
                elements = n as u64;
                prop_assert_eq!(made.bytes_of(n as u64), Some(bytes));
            }
        }
        prop_assert_eq!(elements as usize, naive.data.len());
    }

    #[test]
    fn external32_gives_back_what_it_got(plan in plan(), count in 0..3i64, byte in any::<u8>()) {
        let (datatype, naive) = plan.make();
        prop_assume!(naive.data.len() < 500);
        let made = get(datatype).unwrap();
        let places = naive.bytes(count);
        let origin = -places.iter().min().copied().unwrap_or(0);
        let room = places.iter().max().map_or(0, |last| last + origin + 1) as usize;
        let distinct: std::collections::HashSet<_> = places.iter().collect();
        prop_assume!(distinct.len() == places.len());
        // Small numbers: all formats hold them.
        let mut user = vec![0u8; room];
        for i in 0..count {
            for (offset, ..) in &naive.data {
                user[(i * naive.extent() + offset + origin) as usize] = byte & 0x3f;
            }
        }
        // Few bit patterns are x87 numbers; those have a test of their own.
        let mut has_x87 = false;
        made.signature().for_each(&mut |datatype, _| {
            has_x87 |= matches!(
                info(datatype).unwrap().element,
                Element::Floating(Scalar::F80) | Element::Complex(Scalar::F80)
            );
        });
        prop_assume!(!has_x87);
        let mut out = vec![0; external_size(&made, count).unwrap()];
        let mut back = user.clone();
        // SAFETY: the buffers hold the data of the items.
        unsafe {
            let base = user.as_ptr().wrapping_offset(origin as isize);
            prop_assert_eq!(pack_external(&made, count, base, &mut out).unwrap(), out.len());
            let base = back.as_mut_ptr().wrapping_offset(origin as isize);
            prop_assert_eq!(unpack_external(&made, count, base, &out).unwrap(), out.len());
        }
        prop_assert_eq!(back, user);
    }
}

fn to_external(datatype: Datatype, native: &[u8]) -> Vec<u8> {
    let made = get(datatype).unwrap();
    let mut out = vec![0; external_size(&made, 1).unwrap()];
    // SAFETY: `native` is one item.
    unsafe { pack_external(&made, 1, native.as_ptr(), &mut out).unwrap() };
    let mut back = vec![0; native.len()];
    // SAFETY: as above.
    unsafe { unpack_external(&made, 1, back.as_mut_ptr(), &out).unwrap() };
    assert_eq!(back, native, "{datatype:?}");
    out
}

#[test]
fn external32_is_big_endian_with_the_sizes_of_the_standard() {
    assert_eq!(
        to_external(Datatype::INT, &0x01020304i32.to_le_bytes()),
        [1, 2, 3, 4]
    );
    assert_eq!(
        to_external(Datatype::LONG, &(-2i64).to_le_bytes()),
        [0xff, 0xff, 0xff, 0xfe]
    );
    assert_eq!(
        to_external(Datatype::UNSIGNED_LONG, &0xfffffffeu64.to_le_bytes()),
        [0xff, 0xff, 0xff, 0xfe]
    );
    assert_eq!(
        to_external(Datatype::DOUBLE, &1.0f64.to_le_bytes()),
        1.0f64.to_be_bytes()
    );
    assert_eq!(
        to_external(Datatype::WCHAR, &0x20acu32.to_le_bytes()),
        [0x20, 0xac]
    );
    let complex = [1.0f32.to_le_bytes(), 2.0f32.to_le_bytes()].concat();
    let expected = [1.0f32.to_be_bytes(), 2.0f32.to_be_bytes()].concat();
    assert_eq!(to_external(Datatype::C_FLOAT_COMPLEX, &complex), expected);
    // 1.5 as the x87 has it, and as binary128.
    let mut x87 = [0; 16];
    x87[..10].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0x3f]);
    let mut wide = [0; 16];
    wide[..3].copy_from_slice(&[0x3f, 0xff, 0x80]);
    assert_eq!(to_external(Datatype::LONG_DOUBLE, &x87), wide);
}

#[test]
fn a_matrix_of_matrices_stays_small_and_a_big_type_has_a_size() {
    let column = vector(Form::Large, 1 << 30, 1, 1 << 10, Datatype::DOUBLE).unwrap();
    let matrix = hvector(Form::Large, 1 << 10, 1, 8, column).unwrap();
    assert_eq!(get(matrix).unwrap().size(), 1 << 43);
    let error = contiguous(Form::Large, 1 << 30, matrix).unwrap_err();
    assert_eq!(error.class(), ErrorClass::COUNT);
}

#[test]
fn a_handle_is_committed_freed_and_stale() {
    let mut made = contiguous(INT, 3, Datatype::INT).unwrap();
    assert_eq!(committed(made).unwrap_err().class(), ErrorClass::TYPE);
    commit(made).unwrap();
    let held = committed(made).unwrap();
    let double = contiguous(INT, 2, made).unwrap();
    let stale = made;
    free(&mut made).unwrap();
    assert_eq!(made, Datatype::NULL);
    assert_eq!(get(stale).unwrap_err().class(), ErrorClass::TYPE);
    assert_eq!((held.size(), get(double).unwrap().size()), (12, 24));
    assert_eq!(
        free(&mut Datatype::INT.clone()).unwrap_err().class(),
        ErrorClass::TYPE
    );
    assert!(get(Datatype::NULL).is_err());
}

#[test]
fn fortran_types_by_range_are_always_the_same() {
    let real = f90_real(12, crate::status::UNDEFINED).unwrap();
    assert_eq!(f90_real(12, crate::status::UNDEFINED).unwrap(), real);
    assert_eq!(committed(real).unwrap().size(), 8);
    assert!(free(&mut real.clone()).is_err());
    assert_eq!(get(f90_integer(9).unwrap()).unwrap().size(), 4);
    assert_eq!(get(f90_complex(6, 37).unwrap()).unwrap().size(), 8);
    for error in [f90_real(40, 1), f90_integer(40)] {
        assert_eq!(error.unwrap_err().class(), ErrorClass::ARG);
    }
    assert_eq!(match_size(Class::Real, 8).unwrap(), Datatype::REAL8);
    assert!(match_size(Class::Integer, 3).is_err());
}

#[test]
fn wrong_arguments_are_told_apart() {
    let int = Datatype::INT;
    assert_eq!(
        contiguous(INT, -1, int).unwrap_err().class(),
        ErrorClass::COUNT
    );
    assert_eq!(
        vector(INT, 1, -1, 1, int).unwrap_err().class(),
        ErrorClass::COUNT
    );
    assert_eq!(
        contiguous(INT, 1, Datatype::NULL).unwrap_err().class(),
        ErrorClass::TYPE
    );
    let wrong = [
        subarray(INT, &[4], &[5], &[0], 0xc, int),
        subarray(INT, &[4], &[2], &[3], 0xc, int),
        subarray(INT, &[4], &[2], &[0], 0xd, int),
        subarray(INT, &[], &[], &[], 0xc, int),
        darray(INT, 4, 0, &[8], &[17], &[None], &[3], 0xc, int),
        darray(INT, 3, 3, &[8], &[17], &[None], &[3], 0xc, int),
        darray(INT, 3, 0, &[8], &[17], &[Some(2)], &[3], 0xc, int),
        darray(INT, 3, 0, &[8], &[16], &[None], &[3], 0xc, int),
        darray(INT, 3, 0, &[8], &[20], &[None], &[3], 0xc, int),
        vector(INT, 2, 1, i64::MAX, int),
        resized(INT, i64::MAX, 1, int),
    ];
    for (at, error) in wrong.into_iter().enumerate() {
        assert_eq!(error.unwrap_err().class(), ErrorClass::ARG, "case {at}");
    }
}
