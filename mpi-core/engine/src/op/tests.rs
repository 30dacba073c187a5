//! Every predefined operation on every predefined type, against an oracle that computes with wide
//! integers.

use rustc_apfloat::Float;
use rustc_apfloat::ieee::{Half, Quad, X87DoubleExtended};

use super::*;
use crate::datatype::{Scalar, TypeInfo, predefined};

/// Small pseudo-random numbers (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> i128 {
        i128::from(self.next() % bound)
    }
}

fn is_float(scalar: Scalar) -> bool {
    use Scalar::{F16, F32, F64, F80, F128};
    matches!(scalar, F16 | F32 | F64 | F80 | F128)
}

fn is_signed(scalar: Scalar) -> bool {
    use Scalar::{I8, I16, I32, I64, I128};
    matches!(scalar, I8 | I16 | I32 | I64 | I128)
}

/// The bytes of an integer that every floating-point format represents exactly, or of a wrapped
/// integer.
fn encode(scalar: Scalar, value: i128) -> Vec<u8> {
    let mut bytes = match scalar {
        Scalar::F16 => Half::from_i128(value)
            .value
            .to_bits()
            .to_le_bytes()
            .to_vec(),
        Scalar::F32 => (value as f32).to_le_bytes().to_vec(),
        Scalar::F64 => (value as f64).to_le_bytes().to_vec(),
        Scalar::F80 => X87DoubleExtended::from_i128(value)
            .value
            .to_bits()
            .to_le_bytes()
            .to_vec(),
        Scalar::F128 => Quad::from_i128(value)
            .value
            .to_bits()
            .to_le_bytes()
            .to_vec(),
        _ => value.to_le_bytes().to_vec(),
    };
    bytes.truncate(scalar.size() as usize);
    bytes
}

fn decode(scalar: Scalar, bytes: &[u8]) -> i128 {
    let mut wide = [0; 16];
    let used = if scalar == Scalar::F80 {
        10
    } else {
        scalar.size() as usize
    };
    wide[..used].copy_from_slice(&bytes[..used]);
    let bits = u128::from_le_bytes(wide);
    match scalar {
        Scalar::F16 => Half::from_bits(bits).to_i128(64).value,
        Scalar::F32 => f32::from_bits(bits as u32) as i128,
        Scalar::F64 => f64::from_bits(bits as u64) as i128,
        Scalar::F80 => X87DoubleExtended::from_bits(bits).to_i128(64).value,
        Scalar::F128 => Quad::from_bits(bits).to_i128(64).value,
        _ if is_signed(scalar) => {
            let unused = 128 - 8 * scalar.size();
            (bits as i128) << unused >> unused
        }
        _ => bits as i128,
    }
}

/// The table of MPI 5.0, section 6.9.2, by the names of the types.
fn is_legal(op: Op, name: &str) -> bool {
    const C_INTEGER: &[&str] = &[
        "INT",
        "LONG",
        "SHORT",
        "UNSIGNED_SHORT",
        "UNSIGNED",
        "UNSIGNED_LONG",
        "LONG_LONG_INT",
        "UNSIGNED_LONG_LONG",
        "CHAR",
        "SIGNED_CHAR",
        "UNSIGNED_CHAR",
        "INT8_T",
        "INT16_T",
        "INT32_T",
        "INT64_T",
        "UINT8_T",
        "UINT16_T",
        "UINT32_T",
        "UINT64_T",
    ];
    const FORTRAN_INTEGER: &[&str] = &[
        "INTEGER",
        "INTEGER1",
        "INTEGER2",
        "INTEGER4",
        "INTEGER8",
        "INTEGER16",
    ];
    const FLOATING: &[&str] = &[
        "FLOAT",
        "DOUBLE",
        "REAL",
        "DOUBLE_PRECISION",
        "LONG_DOUBLE",
        "C_FLOAT16",
        "REAL2",
        "REAL4",
        "REAL8",
        "REAL16",
    ];
    const LOGICAL: &[&str] = &[
        "LOGICAL",
        "C_BOOL",
        "CXX_BOOL",
        "LOGICAL1",
        "LOGICAL2",
        "LOGICAL4",
        "LOGICAL8",
        "LOGICAL16",
    ];
    const COMPLEX: &[&str] = &[
        "COMPLEX",
        "C_COMPLEX",
        "C_DOUBLE_COMPLEX",
        "C_LONG_DOUBLE_COMPLEX",
        "CXX_FLOAT_COMPLEX",
        "CXX_DOUBLE_COMPLEX",
        "CXX_LONG_DOUBLE_COMPLEX",
        "DOUBLE_COMPLEX",
        "COMPLEX4",
        "COMPLEX8",
        "COMPLEX16",
        "COMPLEX32",
    ];
    const BYTE: &[&str] = &["BYTE"];
    const MULTI_LANGUAGE: &[&str] = &["AINT", "OFFSET", "COUNT"];
    const PAIR: &[&str] = &[
        "FLOAT_INT",
        "DOUBLE_INT",
        "LONG_INT",
        "2INT",
        "SHORT_INT",
        "LONG_DOUBLE_INT",
        "2REAL",
        "2DOUBLE_PRECISION",
        "2INTEGER",
    ];
    let groups: &[&[&str]] = match op {
        Op::MAX | Op::MIN => &[C_INTEGER, FORTRAN_INTEGER, FLOATING, MULTI_LANGUAGE],
        Op::SUM | Op::PROD => &[
            C_INTEGER,
            FORTRAN_INTEGER,
            FLOATING,
            COMPLEX,
            MULTI_LANGUAGE,
        ],
        // Multi-language types are not on the standard's list; all other implementations take them.
        Op::LAND | Op::LOR | Op::LXOR => &[C_INTEGER, LOGICAL, MULTI_LANGUAGE],
        Op::BAND | Op::BOR | Op::BXOR => &[C_INTEGER, FORTRAN_INTEGER, BYTE, MULTI_LANGUAGE],
        Op::MINLOC | Op::MAXLOC => &[PAIR],
        _ => &[],
    };
    let (_, name) = name.split_once('_').unwrap();
    groups.iter().any(|group| group.contains(&name))
}

/// The numbers of an element, each with its offset.
fn fields(element: Element) -> Vec<(Scalar, usize)> {
    match element {
        Element::Integer(s)
        | Element::FortranInteger(s)
        | Element::MultiLanguage(s)
        | Element::Floating(s)
        | Element::Logical(s)
        | Element::Text(s) => vec![(s, 0)],
        Element::Complex(s) => vec![(s, 0), (s, s.size() as usize)],
        Element::Pair(v, i) => vec![
            (v, 0),
            (i, (v.size() as usize).next_multiple_of(i.size() as usize)),
        ],
        Element::Byte | Element::Packed => vec![(Scalar::U8, 0)],
    }
}

/// What `a OP b` is, number by number.
fn oracle(op: Op, element: Element, a: &[i128], b: &[i128]) -> Vec<i128> {
    if let Element::Complex(_) = element {
        return match op {
            Op::SUM => vec![a[0] + b[0], a[1] + b[1]],
            _ => vec![a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]],
        };
    }
    if let Element::Pair(..) = element {
        let first = match op {
            Op::MINLOC => (a[0], a[1]) < (b[0], b[1]),
            _ => (-a[0], a[1]) < (-b[0], b[1]),
        };
        return if first { a.to_vec() } else { b.to_vec() };
    }
    let (a, b) = (a[0], b[0]);
    vec![match op {
        Op::SUM => a.wrapping_add(b),
        Op::PROD => a.wrapping_mul(b),
        Op::MIN => a.min(b),
        Op::MAX => a.max(b),
        Op::BAND => a & b,
        Op::BOR => a | b,
        Op::BXOR => a ^ b,
        Op::LAND => i128::from(a != 0 && b != 0),
        Op::LOR => i128::from(a != 0 || b != 0),
        Op::LXOR => i128::from((a != 0) != (b != 0)),
        _ => unreachable!("no such operation"),
    }]
}

/// A number that the operation's result can represent exactly: floating-point formats get small
/// ones.
fn draw(random: &mut Random, op: Op, element: Element, scalar: Scalar) -> i128 {
    match (op, element) {
        (Op::LAND | Op::LOR | Op::LXOR, _) => random.below(3),
        // Equal values are frequent, so that the indices decide.
        (Op::MINLOC | Op::MAXLOC, _) => random.below(7) - 3,
        _ if is_float(scalar) => random.below(40) - 20,
        _ => {
            let wide = (i128::from(random.next()) << 64) ^ i128::from(random.next());
            decode(scalar, &encode(scalar, wide))
        }
    }
}

fn check(op: Op, datatype: Datatype, info: &TypeInfo, count: usize, random: &mut Random) {
    const GAP: u8 = 0xa5;
    let (element, extent) = (info.element, info.extent as usize);
    let fields = fields(element);
    // An odd address and a byte behind the last item that must stay.
    let mut input = vec![GAP; count * extent + 2];
    let mut inout = input.clone();
    let mut expected = input.clone();
    for item in 0..count {
        let at = |offset: usize, scalar: Scalar| {
            let from = 1 + item * extent + offset;
            from..from + scalar.size() as usize
        };
        let mut numbers = [Vec::new(), Vec::new()];
        for &(scalar, offset) in &fields {
            for (numbers, buffer) in numbers.iter_mut().zip([&mut input, &mut inout]) {
                let number = draw(random, op, element, scalar);
                buffer[at(offset, scalar)].copy_from_slice(&encode(scalar, number));
                numbers.push(number);
            }
        }
        let result = oracle(op, element, &numbers[0], &numbers[1]);
        for (&(scalar, offset), number) in fields.iter().zip(result) {
            expected[at(offset, scalar)].copy_from_slice(&encode(scalar, number));
        }
    }
    // SAFETY: both buffers hold `count` extents behind their first byte.
    unsafe {
        reduce(
            op,
            datatype,
            input.as_ptr().add(1),
            inout.as_mut_ptr().add(1),
            count,
        )
    }
    .unwrap();
    // Zeros of either sign are equal.
    for (scalar, offset) in fields.into_iter().filter(|field| is_float(field.0)) {
        for item in 0..count {
            let from = 1 + item * extent + offset;
            let bytes = &mut inout[from..from + scalar.size() as usize];
            let number = decode(scalar, bytes);
            bytes.copy_from_slice(&encode(scalar, number));
        }
    }
    assert_eq!(
        inout,
        expected,
        "{:?} on {count} of {}",
        name(op),
        info.name
    );
}

#[test]
fn every_operation_on_every_type_is_right_or_refused() {
    let mut random = Random(0x5eed_0001);
    for &(op, op_name, _) in PREDEFINED {
        for (datatype, info) in predefined() {
            if is_legal(op, info.name) {
                for count in [0, 1, 2, 3, 7, 8, 33, 64, 257] {
                    check(op, datatype, info, count, &mut random);
                }
            } else {
                let error = Reduction::new(op, datatype)
                    .err()
                    .expect("an illegal pair is refused");
                assert_eq!(error.class(), ErrorClass::OP);
                let sentence = error.sentence();
                assert!(
                    sentence.contains(op_name) && sentence.contains(info.name),
                    "{sentence}"
                );
            }
        }
    }
}

#[test]
fn long_double_and_software_formats_round_as_they_should() {
    let mut random = Random(0x5eed_0002);
    for _ in 0..2000 {
        // Exponents near each other, so that sums carry and cancel.
        let mut draw = || {
            let exponent = 0x3fff + (random.next() % 20) as u128;
            let sign = u128::from(random.next() & 1) << 79;
            sign | exponent << 64 | u128::from(random.next() | 1 << 63)
        };
        let (a, b) = (draw(), draw());
        let (x, y) = (
            X87DoubleExtended::from_bits(a),
            X87DoubleExtended::from_bits(b),
        );
        for (op, expected) in [(Op::SUM, (x + y).value), (Op::PROD, (x * y).value)] {
            let mut bits = b.to_le_bytes();
            // SAFETY: one item of 16 bytes in both buffers.
            let done = unsafe {
                reduce(
                    op,
                    Datatype::LONG_DOUBLE,
                    a.to_le_bytes().as_ptr(),
                    bits.as_mut_ptr(),
                    1,
                )
            };
            if info_of(Datatype::LONG_DOUBLE) == Element::Floating(Scalar::F80) {
                done.unwrap();
                assert_eq!(bits[..10], expected.to_bits().to_le_bytes()[..10]);
            }
        }
    }
    // 1.5 + 2^-11 in binary16 rounds to even.
    let mut half = 0x3e00u16.to_le_bytes();
    // SAFETY: one item of 2 bytes in both buffers.
    unsafe {
        reduce(
            Op::SUM,
            Datatype::REAL2,
            0x1000u16.to_le_bytes().as_ptr(),
            half.as_mut_ptr(),
            1,
        )
    }
    .unwrap();
    assert_eq!(u16::from_le_bytes(half), 0x3e00);
}

fn info_of(datatype: Datatype) -> Element {
    datatype::info(datatype).unwrap().element
}

#[test]
fn a_number_that_is_none_is_not_less() {
    for op in [Op::MIN, Op::MAX] {
        let mut inout = [f32::NAN, 1.0];
        // SAFETY: two items of 4 bytes in both buffers.
        unsafe {
            reduce(
                op,
                Datatype::FLOAT,
                [2.0f32, f32::NAN].as_ptr().cast(),
                inout.as_mut_ptr().cast(),
                2,
            )
        }
        .unwrap();
        assert!(inout[0].is_nan() && inout[1] == 1.0);
    }
}

unsafe fn twice_input_plus(
    function: usize,
    input: *const u8,
    inout: *mut u8,
    count: usize,
    datatype: Datatype,
) {
    assert_eq!((function, datatype), (17, Datatype::INT));
    for i in 0..count {
        // SAFETY: `count` items of 4 bytes, as the caller of `apply` promised.
        unsafe {
            let (input, inout) = (input.cast::<i32>().add(i), inout.cast::<i32>().add(i));
            *inout += 2 * *input;
        }
    }
}

#[test]
fn operations_of_the_program() {
    // SAFETY: `twice_input_plus` accepts the number 17.
    let function = unsafe { Callback::new(17, twice_input_plus as ReduceFunction) };
    let op = create(function, false).unwrap();
    assert!(!is_commutative(op).unwrap());
    let reduction = Reduction::new(op, Datatype::INT).unwrap();
    assert!(Reduction::of_accumulate(op, Datatype::INT).is_err());
    free(op).unwrap();
    for error in [free(op).unwrap_err(), is_commutative(op).unwrap_err()] {
        assert_eq!(error.class(), ErrorClass::OP);
    }
    assert_eq!(
        Reduction::new(op, Datatype::INT).err().unwrap().class(),
        ErrorClass::OP
    );
    // A collective that began before goes on.
    let mut inout = [10, 20];
    // SAFETY: two items of 4 bytes in both buffers.
    unsafe { reduction.apply([1, 2].as_ptr().cast(), inout.as_mut_ptr().cast(), 2) };
    assert_eq!(inout, [12, 24]);
}

#[test]
fn accumulate_may_replace_or_do_nothing() {
    for (op, expected) in [
        (Op::REPLACE, [1u8, 2, 3]),
        (Op::NO_OP, [7, 8, 9]),
        (Op::BXOR, [6, 10, 10]),
    ] {
        let reduction = Reduction::of_accumulate(op, Datatype::BYTE).unwrap();
        let mut inout = [7u8, 8, 9];
        // SAFETY: three bytes in both buffers.
        unsafe { reduction.apply([1, 2, 3].as_ptr(), inout.as_mut_ptr(), 3) };
        assert_eq!(inout, expected);
    }
    assert!(!is_commutative(Op::REPLACE).unwrap() && is_commutative(Op::SUM).unwrap());
}

#[test]
fn what_is_not_an_operation_or_a_type_is_refused() {
    for op in [Op::NULL, Op(0), Op(0x25), Op(0x2000_0000), Op(u32::MAX)] {
        assert_eq!(
            Reduction::new(op, Datatype::INT).err().unwrap().class(),
            ErrorClass::OP
        );
        assert_eq!(free(op).unwrap_err().class(), ErrorClass::OP);
    }
    assert_eq!(
        Reduction::new(Op::SUM, Datatype::NULL)
            .err()
            .unwrap()
            .class(),
        ErrorClass::TYPE
    );
    assert!(free(Op::SUM).unwrap_err().sentence().contains("MPI_SUM"));
}
