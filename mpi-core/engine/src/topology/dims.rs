//! Balanced grids (MPI 5.0, section 8.5.2).

use core::cmp::Reverse;

use crate::{Error, ErrorClass, Result};

/// Fills in the dimensions that are 0 (`MPI_Dims_create`), so that the grid has `nodes` places and
/// the new sizes are as close to each other as they can be: the difference of the largest and the
/// smallest is as small as possible, and of equals the smallest as large as possible.
/// `MPI_ERR_DIMS` when that cannot be.
pub fn dims_create(nodes: i32, dims: &mut [i32]) -> Result<()> {
    let wrong = |sentence| Err(Error::new(ErrorClass::DIMS, sentence));
    if nodes < 1 {
        return wrong(format!("a grid cannot have {nodes} places"));
    }
    if let Some(size) = dims.iter().find(|size| **size < 0) {
        return wrong(format!("a dimension cannot have the size {size}"));
    }
    let given = dims.iter().filter(|size| **size > 0);
    let places: i128 = given.map(|size| i128::from(*size)).product();
    let free = dims.iter().filter(|size| **size == 0).count();
    if i128::from(nodes) % places != 0 || free == 0 && places != i128::from(nodes) {
        return wrong(format!(
            "{nodes} places cannot be dealt out over a grid of {dims:?}"
        ));
    }
    let left = (i128::from(nodes) / places) as i32;
    let mut search = Search {
        divisors: divisors(left),
        chosen: Vec::new(),
        best: Vec::new(),
        difference: i32::MAX,
    };
    search.extend(left, free);
    let mut sizes = search.best.into_iter();
    for size in dims.iter_mut().filter(|size| **size == 0) {
        *size = sizes.next().expect("a size for every free dimension");
    }
    Ok(())
}

/// In ascending order.
fn divisors(of: i32) -> Vec<i32> {
    let small = (1..=of.isqrt()).filter(|divisor| of % divisor == 0);
    let mut all: Vec<i32> = small.flat_map(|divisor| [divisor, of / divisor]).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Goes through the ways to write a number as a product of factors in descending order.
struct Search {
    /// In ascending order.
    divisors: Vec<i32>,
    chosen: Vec<i32>,
    /// The best so far, and the difference of its first and last factor.
    best: Vec<i32>,
    difference: i32,
}

impl Search {
    /// Chooses the factors that are missing, whose product is `product`.
    fn extend(&mut self, product: i32, missing: usize) {
        let largest = self.chosen.first().copied();
        if missing == 0 {
            let last = self.chosen.last().copied();
            let difference = largest.zip(last).map_or(0, |(first, last)| first - last);
            // Of equals the one with the largest smallest factor, then with the least sum, then
            // with the largest factors first.
            let order = |all: &[i32]| {
                let sum: i64 = all.iter().map(|factor| i64::from(*factor)).sum();
                (all.first().copied(), Reverse(sum))
            };
            let (ours, best) = (order(&self.chosen), order(&self.best));
            let is_better = difference < self.difference
                || difference == self.difference && (ours, &self.chosen) > (best, &self.best);
            if product == 1 && (is_better || self.best.is_empty()) {
                self.best.clone_from(&self.chosen);
                self.difference = difference;
            }
            return;
        }
        // The next factor is at least the root of what is left, which rounding must not miss, and
        // the smallest is at most that.
        let root = f64::from(product).powf(1.0 / missing as f64);
        let limit = self.chosen.last().copied().unwrap_or(product).min(product);
        if largest.is_some_and(|largest| largest - root as i32 - 1 > self.difference) {
            return;
        }
        for at in 0..self.divisors.len() {
            let factor = self.divisors[at];
            if factor > limit || largest.is_none() && factor - root as i32 - 1 > self.difference {
                break;
            }
            if factor >= root as i32 - 1 && product % factor == 0 {
                self.chosen.push(factor);
                self.extend(product / factor, missing - 1);
                self.chosen.pop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(nodes: i32, dims: &[i32]) -> Vec<i32> {
        let mut dims = dims.to_vec();
        dims_create(nodes, &mut dims).unwrap();
        dims
    }

    #[test]
    fn grids_are_balanced() {
        assert_eq!(filled(6, &[0, 0]), [3, 2]);
        assert_eq!(filled(7, &[0, 0]), [7, 1]);
        assert_eq!(filled(6, &[0, 3, 0]), [2, 3, 1]);
        assert_eq!(filled(60, &[0, 0, 0]), [5, 4, 3]);
        assert_eq!(filled(34_425, &[0, 0, 0]), [51, 27, 25]);
        assert_eq!(
            filled(1_396_755_360, &[0; 6]).iter().product::<i32>(),
            1_396_755_360
        );
        assert_eq!(filled(8, &[0, 0, 0]), [2, 2, 2]);
        assert_eq!(filled(16, &[0, 0, 0]), [4, 2, 2]);
        assert_eq!(filled(12, &[12]), [12]);
        assert_eq!(filled(1, &[]), [0; 0]);
        assert_eq!(filled(1 << 30, &[0; 10]), [8; 10]);
        assert_eq!(filled(2_147_483_647, &[0, 0]), [2_147_483_647, 1]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (nodes, dims) in [
            (7, &[2, 0][..]),
            (6, &[2, 2]),
            (0, &[0]),
            (4, &[-1, 0]),
            (2, &[]),
        ] {
            let error = dims_create(nodes, &mut dims.to_vec()).unwrap_err();
            assert_eq!(error.class(), ErrorClass::DIMS, "{nodes} {dims:?}");
        }
    }
}
