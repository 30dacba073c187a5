//! Types against the standard's definition of them (`naive`), and what constructors refuse.

mod naive;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::{Datatype, ErrorClass};
use naive::plan;

const INT: Form = Form::Int;

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
