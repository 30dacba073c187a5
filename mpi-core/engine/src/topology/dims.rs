//! Balanced grids (MPI 5.0, section 8.5.2).

use crate::{Error, ErrorClass, Result};

/// Fills in the dimensions that are 0 (`MPI_Dims_create`), so that the grid has `nodes` places and the new sizes are as close to each other as
/// they can be: the largest is as small as possible, then the next, in descending order. `MPI_ERR_DIMS` when that cannot be.
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
    let sizes = balanced(left, free, left, &divisors(left));
    let mut sizes = sizes.expect("one large dimension always fits").into_iter();
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

/// `product` as as many factors, none above `limit`, in descending order and the largest as small as possible. `divisors` are those of a
/// multiple of the product.
fn balanced(product: i32, factors: usize, limit: i32, divisors: &[i32]) -> Option<Vec<i32>> {
    match factors {
        0 => return (product == 1).then(Vec::new),
        1 => return (product <= limit).then(|| vec![product]),
        _ => {}
    }
    // The largest factor is at least the root, which rounding must not miss.
    let root = f64::from(product).powf(1.0 / factors as f64).floor() as i32 - 1;
    let from_root = divisors.iter().skip_while(|divisor| **divisor < root);
    let candidates = from_root.take_while(|divisor| **divisor <= limit.min(product));
    for first in candidates.filter(|first| product % **first == 0) {
        if let Some(mut rest) = balanced(product / first, factors - 1, *first, divisors) {
            rest.insert(0, *first);
            return Some(rest);
        }
    }
    None
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
