//! The measurements of one message size.

/// Timed iterations: their sum, and each of them where the output needs it.
#[derive(Debug)]
pub struct Samples {
    seconds: f64,
    count: usize,
    each: Vec<f64>,
    keep: bool,
}

impl Samples {
    /// Room for `iterations` values; they are kept one by one if `keep`.
    pub fn new(iterations: usize, keep: bool) -> Self {
        Self {
            seconds: 0.0,
            count: 0,
            // Room for all would be more than a machine has where somebody asks for a run that he
            // means to end by hand.
            each: Vec::with_capacity(if keep { iterations.min(1 << 20) } else { 0 }),
            keep,
        }
    }

    /// Adds an iteration that took `seconds`.
    #[inline]
    pub fn add(&mut self, seconds: f64) {
        self.seconds += seconds;
        self.count += 1;
        if self.keep {
            self.each.push(seconds);
        }
    }

    /// The sum of all iterations.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// The number of iterations.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The kept iterations as `value(seconds)`, in ascending order.
    pub fn sorted(&self, value: impl Fn(f64) -> f64) -> Vec<f64> {
        let mut values: Vec<f64> = self.each.iter().map(|&seconds| value(seconds)).collect();
        values.sort_by(f64::total_cmp);
        values
    }
}

/// The value that `percent` percent of the ascending `values` do not exceed, counted as OSU counts
/// it.
pub(crate) fn percentile(values: &[f64], percent: usize) -> f64 {
    let rank = (values.len() * percent / 100).max(1);
    values.get(rank - 1).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_count_from_below() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(percentile(&values, 50), 100.0);
        assert_eq!(percentile(&values, 99), 198.0);
        assert_eq!(percentile(&values, 100), 200.0);
        assert_eq!(percentile(&values[..10], 1), 1.0);
        assert!(percentile(&[], 50).is_nan());
    }

    #[test]
    fn single_iterations_are_kept_on_demand() {
        let mut samples = Samples::new(2, true);
        samples.add(4.0);
        samples.add(2.0);
        assert_eq!((samples.seconds(), samples.count()), (6.0, 2));
        assert_eq!(samples.sorted(|s| 8.0 / s), [2.0, 4.0]);
        let mut sum = Samples::new(2, false);
        sum.add(1.0);
        assert!(sum.sorted(|s| s).is_empty());
    }
}
