//! Bounds and alignment of a type (MPI 5.0, section 5.1.6).
//!
//! A lower or upper bound that `MPI_Type_create_resized` set is a mark: it sticks to every type
//! that is made from the resized one, whose bounds are then those of the marks alone. Without a
//! mark a type ends where the last of its items does, rounded up so that the extent is a multiple
//! of the strictest alignment in it. The standard rounds the end of the data alone; items that were
//! rounded up themselves would reach over that where they do not lie at multiples of their
//! alignment, which programs that reckon with extents (mpi4py's conversion to NumPy's types is one)
//! do not expect.

use crate::{Error, ErrorClass, Result};

/// Bounds of one item, in bytes from its address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Where data begin and end; both 0 when there are none.
    pub(super) true_lb: i64,
    pub(super) true_ub: i64,
    pub(super) lb: i64,
    pub(super) ub: i64,
    lb_is_marked: bool,
    ub_is_marked: bool,
    align: u32,
    is_empty: bool,
}

impl Bounds {
    /// Of a predefined type: data up to `end`, the next item `extent` further on.
    pub(super) fn predefined(end: i64, extent: i64, align: u32) -> Bounds {
        Bounds {
            true_lb: 0,
            true_ub: end,
            lb: 0,
            ub: extent,
            lb_is_marked: false,
            ub_is_marked: false,
            align,
            is_empty: false,
        }
    }

    pub(super) fn extent(&self) -> i64 {
        self.ub.wrapping_sub(self.lb)
    }

    /// The same data with other bounds. `MPI_ERR_ARG` when the upper bound is more than 64 bits
    /// hold.
    pub(super) fn resized(&self, lb: i64, extent: i64) -> Result<Bounds> {
        let ub = lb.checked_add(extent).ok_or_else(too_far)?;
        Ok(Bounds {
            lb,
            ub,
            lb_is_marked: true,
            ub_is_marked: true,
            ..*self
        })
    }
}

/// Finds the bounds of a type made of others. In 128 bits, which no sum of products of 64-bit
/// arguments leaves.
#[derive(Default)]
pub(super) struct Cover {
    data: Option<(i128, i128)>,
    /// The end of the items without marks.
    end: Option<i128>,
    lb_mark: Option<i128>,
    ub_mark: Option<i128>,
    align: u32,
}

impl Cover {
    /// Adds `count` items, `stride` bytes apart, the first at `at`.
    pub(super) fn add(&mut self, item: &Bounds, at: i128, count: u64, stride: i64) {
        if count == 0 {
            return;
        }
        let last = at + i128::from(count - 1) * i128::from(stride);
        let (low, high) = (at.min(last), at.max(last));
        if !item.is_empty {
            let begin = low + i128::from(item.true_lb);
            let end = high + i128::from(item.true_ub);
            let (lb, ub) = self.data.unwrap_or((begin, end));
            self.data = Some((lb.min(begin), ub.max(end)));
            self.align = self.align.max(item.align);
            let end = end.max(high + i128::from(item.ub));
            if !item.ub_is_marked {
                self.end = Some(self.end.map_or(end, |other| other.max(end)));
            }
        }
        if item.lb_is_marked {
            let mark = low + i128::from(item.lb);
            self.lb_mark = Some(self.lb_mark.map_or(mark, |other| other.min(mark)));
        }
        if item.ub_is_marked {
            let mark = high + i128::from(item.ub);
            self.ub_mark = Some(self.ub_mark.map_or(mark, |other| other.max(mark)));
        }
    }

    /// The bounds. `MPI_ERR_ARG` when they are more than 64 bits hold.
    pub(super) fn finish(self) -> Result<Bounds> {
        let (true_lb, true_ub) = self.data.unwrap_or((0, 0));
        let lb = self.lb_mark.unwrap_or(true_lb);
        let align = i128::from(self.align.max(1));
        let end = self.end.unwrap_or(true_ub);
        let padded = || lb + (end - lb + align - 1).div_euclid(align) * align;
        let ub = self.ub_mark.unwrap_or_else(padded);
        let fit = |bound: i128| i64::try_from(bound).map_err(|_| too_far());
        // The distances have to fit, too: they are what items and parts lie apart.
        fit(ub - lb)?;
        fit(true_ub - true_lb)?;
        Ok(Bounds {
            true_lb: fit(true_lb)?,
            true_ub: fit(true_ub)?,
            lb: fit(lb)?,
            ub: fit(ub)?,
            lb_is_marked: self.lb_mark.is_some(),
            ub_is_marked: self.ub_mark.is_some(),
            align: self.align.max(1),
            is_empty: self.data.is_none(),
        })
    }
}

#[cold]
fn too_far() -> Error {
    Error::new(
        ErrorClass::ARG,
        "the type would reach over more than 2^63 bytes: check counts and displacements",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const INT: fn() -> Bounds = || Bounds::predefined(4, 4, 4);
    const DOUBLE: fn() -> Bounds = || Bounds::predefined(8, 8, 8);

    fn of(parts: &[(Bounds, i64)]) -> Bounds {
        let mut cover = Cover::default();
        for (part, at) in parts {
            cover.add(part, i128::from(*at), 1, part.extent());
        }
        cover.finish().unwrap()
    }

    #[test]
    fn the_extent_is_rounded_up_to_the_alignment() {
        let both = of(&[(DOUBLE(), 0), (INT(), 8)]);
        assert_eq!((both.lb, both.extent(), both.true_ub), (0, 16, 12));
        let negative = of(&[(DOUBLE(), -8), (INT(), 0)]);
        assert_eq!((negative.lb, negative.extent()), (-8, 16));
    }

    #[test]
    fn items_that_were_rounded_up_are_not_cut() {
        let inner = of(&[(INT(), 0), (INT(), 5)]);
        assert_eq!((inner.extent(), inner.true_ub), (12, 9));
        let outer = of(&[(inner, 0), (inner, 13)]);
        assert_eq!((outer.extent(), outer.true_ub), (28, 22));
    }

    #[test]
    fn marks_stick_and_count_alone() {
        let wide = INT().resized(-3, 9).unwrap();
        let both = of(&[(wide, 10), (DOUBLE(), 100)]);
        assert_eq!((both.lb, both.ub), (7, 16));
        assert_eq!((both.true_lb, both.true_ub), (10, 108));
    }

    #[test]
    fn what_64_bits_do_not_hold_is_an_error() {
        let mut cover = Cover::default();
        cover.add(&DOUBLE(), 0, u64::MAX >> 1, i64::MAX);
        assert_eq!(cover.finish().unwrap_err().class(), ErrorClass::ARG);
        assert!(DOUBLE().resized(i64::MAX, 1).is_err());
    }

    #[test]
    fn nothing_has_no_extent() {
        let nothing = of(&[]);
        assert_eq!((nothing.lb, nothing.ub, nothing.true_ub), (0, 0, 0));
    }
}
