//! Groups made from groups (MPI 5.0, section 7.3.2).

use super::Members;
use crate::error::{Error, ErrorClass, Result};

impl Members {
    /// The members of this group, then those of `other` that are not in it (`MPI_Group_union`).
    pub fn union(&self, other: &Members) -> Members {
        let added = other
            .iter()
            .filter(|&process| self.rank_of(process).is_none());
        self.alike(self.iter().chain(added).collect())
    }

    /// The members of this group that are in `other` (`MPI_Group_intersection`).
    pub fn intersection(&self, other: &Members) -> Members {
        self.filtered(|process| other.rank_of(process).is_some())
    }

    /// The members of this group that are not in `other` (`MPI_Group_difference`).
    pub fn difference(&self, other: &Members) -> Members {
        self.filtered(|process| other.rank_of(process).is_none())
    }

    /// The members with these ranks, in this order (`MPI_Group_incl`). `MPI_ERR_RANK` when one is
    /// not a rank of the group or is named twice.
    pub fn incl(&self, ranks: &[i32]) -> Result<Members> {
        self.check_distinct(ranks)?;
        let included = ranks.iter().map(|&rank| self.process(rank as u32));
        Ok(self.alike(included.collect()))
    }

    /// The members without those with these ranks (`MPI_Group_excl`). Errors as of
    /// [`Members::incl`].
    pub fn excl(&self, ranks: &[i32]) -> Result<Members> {
        let leaves = self.check_distinct(ranks)?;
        let stays = |rank: &u32| leaves.binary_search(&(*rank as i32)).is_err();
        let stayers = (0..self.size())
            .filter(stays)
            .map(|rank| self.process(rank));
        Ok(self.alike(stayers.collect()))
    }

    /// The members whose ranks the ranges (first, last, stride) name, in their order
    /// (`MPI_Group_range_incl`). `MPI_ERR_ARG` for a stride of 0 or one that leads away from the
    /// last rank; otherwise as [`Members::incl`].
    pub fn range_incl(&self, ranges: &[[i32; 3]]) -> Result<Members> {
        self.incl(&self.expand(ranges)?)
    }

    /// The members without those whose ranks the ranges name (`MPI_Group_range_excl`). Errors as of
    /// [`Members::range_incl`].
    pub fn range_excl(&self, ranges: &[[i32; 3]]) -> Result<Members> {
        self.excl(&self.expand(ranges)?)
    }

    fn filtered(&self, stays: impl Fn(u32) -> bool) -> Members {
        self.alike(self.iter().filter(|&process| stays(process)).collect())
    }

    /// A group of these processes, from the session that this one comes from.
    fn alike(&self, processes: Vec<u32>) -> Members {
        Members::new(processes).by_session(self.session().cloned())
    }

    /// The ranks in ascending order, after a check that they are ranks of the group and none is
    /// named twice.
    fn check_distinct(&self, ranks: &[i32]) -> Result<Vec<i32>> {
        for &rank in ranks {
            self.check(rank)?;
        }
        let mut sorted = ranks.to_vec();
        sorted.sort_unstable();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(Error::new(
                ErrorClass::RANK,
                format!("rank {} is named twice", pair[0]),
            )),
            None => Ok(sorted),
        }
    }

    /// The ranks that ranges name. Refuses a range before it could name more ranks than the group
    /// has.
    fn expand(&self, ranges: &[[i32; 3]]) -> Result<Vec<i32>> {
        let mut ranks = Vec::new();
        for &[first, last, stride] in ranges {
            let refuse = |why: &str| {
                let sentence =
                    format!("the range (first {first}, last {last}, stride {stride}) {why}");
                Err(Error::new(ErrorClass::ARG, sentence))
            };
            if stride == 0 {
                return refuse("has a stride of 0");
            }
            let (distance, stride) = (i64::from(last) - i64::from(first), i64::from(stride));
            if distance != 0 && (distance < 0) != (stride < 0) {
                return refuse("leads away from its last rank");
            }
            self.check(first)?;
            // The range ends at the last rank that it really reaches, which may lie before `last`.
            let steps = distance / stride;
            let reached = i64::from(first) + steps * stride;
            self.check(reached as i32)?;
            ranks.extend((0..=steps).map(|step| (i64::from(first) + step * stride) as i32));
        }
        Ok(ranks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(members: &Members) -> Vec<u32> {
        members.iter().collect()
    }

    fn class<T>(result: Result<T>) -> ErrorClass {
        result.err().expect("an error").class()
    }

    #[test]
    fn sets_keep_the_order_of_the_first_group() {
        let (a, b) = (Members::new([4, 1, 3]), Members::new([0, 3, 4, 7]));
        assert_eq!(of(&a.union(&b)), [4, 1, 3, 0, 7]);
        assert_eq!(of(&a.intersection(&b)), [4, 3]);
        assert_eq!(of(&a.difference(&b)), [1]);
        assert_eq!(a.difference(&a).size(), 0);
        assert_eq!(of(&Members::empty().union(&b)), of(&b));
    }

    #[test]
    fn incl_and_excl() {
        let group = Members::new([10, 20, 25, 30]);
        assert_eq!(of(&group.incl(&[3, 0]).unwrap()), [30, 10]);
        assert_eq!(of(&group.excl(&[3, 0]).unwrap()), [20, 25]);
        assert_eq!(group.incl(&[]).unwrap().size(), 0);
        assert_eq!(of(&group.excl(&[]).unwrap()), of(&group));
        for bad in [&[4][..], &[-1], &[0, 1, 0]] {
            assert_eq!(class(group.incl(bad)), ErrorClass::RANK);
            assert_eq!(class(group.excl(bad)), ErrorClass::RANK);
        }
    }

    #[test]
    fn ranges() {
        let group = Members::first(10);
        assert_eq!(of(&group.range_incl(&[[0, 8, 3]]).unwrap()), [0, 3, 6]);
        assert_eq!(
            of(&group.range_incl(&[[9, 5, -2], [0, 0, 7]]).unwrap()),
            [9, 7, 5, 0]
        );
        assert_eq!(
            of(&group.range_excl(&[[0, 9, 2], [1, 3, 2]]).unwrap()),
            [5, 7, 9]
        );
        // The last rank counts only as far as the stride reaches it.
        assert_eq!(of(&group.range_incl(&[[0, 11, 4]]).unwrap()), [0, 4, 8]);
        assert_eq!(group.range_incl(&[]).unwrap().size(), 0);
        assert_eq!(class(group.range_incl(&[[0, 3, 0]])), ErrorClass::ARG);
        assert_eq!(class(group.range_incl(&[[0, 3, -1]])), ErrorClass::ARG);
        assert_eq!(class(group.range_incl(&[[3, 0, 1]])), ErrorClass::ARG);
        assert_eq!(
            class(group.range_incl(&[[0, i32::MAX, 1]])),
            ErrorClass::RANK
        );
        assert_eq!(
            class(group.range_incl(&[[i32::MIN, 0, 1]])),
            ErrorClass::RANK
        );
        assert_eq!(
            class(group.range_incl(&[[0, 4, 2], [4, 5, 1]])),
            ErrorClass::RANK
        );
        assert_eq!(class(group.range_excl(&[[2, 12, 5]])), ErrorClass::RANK);
    }
}
