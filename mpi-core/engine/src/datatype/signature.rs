//! Which basic elements a type consists of, in order (MPI 5.0, section 5.1): what
//! `MPI_Get_elements` counts and what external32 converts.
//!
//! A pair type is two elements, a complex number is one. Like layouts, signatures stay loops of
//! loops.

use std::sync::Arc;

use super::predefined::{self, pair_of};
use crate::handle::Datatype;

/// A sequence of basic elements.
#[derive(Clone, Debug)]
pub(super) struct Signature {
    /// Bytes of data.
    pub(super) bytes: u64,
    /// Basic elements.
    pub(super) elements: u64,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Elements of one predefined type, which is not a pair.
    Basic(Datatype),
    /// The body again and again.
    Repeat(Arc<Signature>),
    /// One after the other.
    List(Arc<[Signature]>),
}

impl Signature {
    /// One item of a predefined type.
    pub(super) fn predefined(datatype: Datatype) -> Signature {
        match pair_of(datatype) {
            Some((value, index)) => {
                Signature::list(vec![Signature::basic(value), Signature::basic(index)])
            }
            None => Signature::basic(datatype),
        }
    }

    fn basic(datatype: Datatype) -> Signature {
        let size = predefined::size_of(datatype).expect("a predefined type");
        Signature {
            bytes: size.into(),
            elements: 1,
            kind: Kind::Basic(datatype),
        }
    }

    /// Nothing.
    pub(super) fn empty() -> Signature {
        Signature {
            bytes: 0,
            elements: 0,
            kind: Kind::Basic(Datatype::BYTE),
        }
    }

    /// `count` times. The caller has checked that the number of bytes does not overflow, and there
    /// are fewer elements.
    pub(super) fn repeat(&self, count: u64) -> Signature {
        let kind = match &self.kind {
            _ if count == 1 => self.kind.clone(),
            Kind::Basic(datatype) => Kind::Basic(*datatype),
            Kind::Repeat(body) => Kind::Repeat(body.clone()),
            Kind::List(_) => Kind::Repeat(Arc::new(self.clone())),
        };
        Signature {
            bytes: self.bytes * count,
            elements: self.elements * count,
            kind,
        }
    }

    /// One after the other.
    pub(super) fn list(parts: Vec<Signature>) -> Signature {
        let mut all: Vec<Signature> = Vec::new();
        for part in parts {
            match (all.last_mut(), &part.kind) {
                _ if part.bytes == 0 => {}
                (Some(last), Kind::Basic(new)) if matches!(last.kind, Kind::Basic(old) if old == *new) =>
                {
                    last.bytes += part.bytes;
                    last.elements += part.elements;
                }
                _ => all.push(part),
            }
        }
        if all.len() < 2 {
            return all.pop().unwrap_or_else(Signature::empty);
        }
        Signature {
            bytes: all.iter().map(|part| part.bytes).sum(),
            elements: all.iter().map(|part| part.elements).sum(),
            kind: Kind::List(all.into()),
        }
    }

    /// Elements in the first `bytes` bytes of items in a row; `None` when an element is not whole.
    pub(super) fn elements_in(&self, bytes: u64) -> Option<u64> {
        if self.bytes == 0 {
            return (bytes == 0).then_some(0);
        }
        let whole = (bytes / self.bytes).checked_mul(self.elements)?;
        let rest = match bytes % self.bytes {
            0 => 0,
            rest => match &self.kind {
                Kind::Basic(_) => {
                    let size = self.bytes / self.elements;
                    (rest % size == 0).then_some(rest / size)?
                }
                Kind::Repeat(body) => body.elements_in(rest)?,
                Kind::List(parts) => {
                    let (mut rest, mut elements) = (rest, 0);
                    for part in parts.iter() {
                        if rest < part.bytes {
                            elements += part.elements_in(rest)?;
                            break;
                        }
                        rest -= part.bytes;
                        elements += part.elements;
                    }
                    elements
                }
            },
        };
        whole.checked_add(rest)
    }

    /// Bytes of the first `elements` elements of items in a row; `None` when 64 bits do not hold
    /// them.
    pub(super) fn bytes_of(&self, elements: u64) -> Option<u64> {
        if self.elements == 0 {
            return (elements == 0).then_some(0);
        }
        let whole = (elements / self.elements).checked_mul(self.bytes)?;
        let rest = match elements % self.elements {
            0 => 0,
            rest => match &self.kind {
                Kind::Basic(_) => self.bytes / self.elements * rest,
                Kind::Repeat(body) => body.bytes_of(rest)?,
                Kind::List(parts) => {
                    let (mut rest, mut bytes) = (rest, 0);
                    for part in parts.iter() {
                        if rest < part.elements {
                            bytes += part.bytes_of(rest)?;
                            break;
                        }
                        rest -= part.elements;
                        bytes += part.bytes;
                    }
                    bytes
                }
            },
        };
        whole.checked_add(rest)
    }

    /// Hands out the elements in order: a predefined type and how many of it follow.
    pub(super) fn for_each(&self, take: &mut impl FnMut(Datatype, u64)) {
        match &self.kind {
            Kind::Basic(_) if self.elements == 0 => {}
            Kind::Basic(datatype) => take(*datatype, self.elements),
            Kind::Repeat(body) => {
                for _ in 0..self.bytes / body.bytes {
                    body.for_each(take);
                }
            }
            Kind::List(parts) => parts.iter().for_each(|part| part.for_each(take)),
        }
    }

    /// The sum of `of` over all elements; `None` when 64 bits do not hold it.
    pub(super) fn sum(&self, of: &impl Fn(Datatype) -> u64) -> Option<u64> {
        match &self.kind {
            Kind::Basic(datatype) => of(*datatype).checked_mul(self.elements),
            Kind::Repeat(body) => body.sum(of)?.checked_mul(self.bytes / body.bytes),
            Kind::List(parts) => parts
                .iter()
                .try_fold(0u64, |sum, part| sum.checked_add(part.sum(of)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int_double_int() -> Signature {
        let [int, double] = [Datatype::INT, Datatype::DOUBLE].map(Signature::predefined);
        Signature::list(vec![int.clone(), double.repeat(2), int])
    }

    #[test]
    fn elements_are_counted_where_they_are_whole() {
        let one = int_double_int();
        assert_eq!((one.bytes, one.elements), (24, 4));
        let many = one.repeat(10);
        for (bytes, elements) in [
            (0, 0),
            (4, 1),
            (12, 2),
            (20, 3),
            (24, 4),
            (28, 5),
            (244, 41),
        ] {
            assert_eq!(many.elements_in(bytes), Some(elements), "{bytes} bytes");
            assert_eq!(many.bytes_of(elements), Some(bytes), "{elements} elements");
        }
        for bytes in [1, 5, 11, 19, 25, 29] {
            assert_eq!(many.elements_in(bytes), None, "{bytes} bytes");
        }
    }

    #[test]
    fn a_pair_is_two_elements_and_a_complex_number_is_one() {
        let pair = Signature::predefined(Datatype::DOUBLE_INT);
        assert_eq!((pair.bytes, pair.elements), (12, 2));
        assert_eq!(pair.elements_in(8), Some(1));
        let complex = Signature::predefined(Datatype::C_DOUBLE_COMPLEX);
        assert_eq!((complex.bytes, complex.elements), (16, 1));
    }

    #[test]
    fn elements_come_in_order() {
        let mut seen = Vec::new();
        int_double_int()
            .repeat(2)
            .for_each(&mut |datatype, count| seen.push((datatype, count)));
        let once = [
            (Datatype::INT, 1),
            (Datatype::DOUBLE, 2),
            (Datatype::INT, 1),
        ];
        assert_eq!(seen, [once, once].concat());
        assert_eq!(int_double_int().repeat(3).sum(&|_| 2), Some(24));
    }
}
