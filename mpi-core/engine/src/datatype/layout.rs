//! Where the data of a type lie: a tree of loops and lists over runs of bytes.
//!
//! A [`Node`] says which bytes, counted from some address, are the data of one item, in the order
//! in which a message has them. Every shape that a constructor can describe comes down to four
//! kinds of node; neighbours that touch are merged while the tree is made, so that a column of a
//! matrix is one loop over runs and a struct without gaps is one run. A vector of vectors stays a
//! loop of a loop, whatever its counts: memory grows with the description, not with the data.
//!
//! Nothing here knows datatypes or bounds; [`super::copy`] moves the bytes.

use std::sync::Arc;

/// Which bytes are data, counted from an address that the user of the node adds.
#[derive(Debug)]
pub(super) struct Node {
    /// Bytes of data.
    pub(super) size: u64,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// `size` bytes in a row.
    Run,
    /// The body `count` times, `stride` bytes apart.
    Loop {
        count: u64,
        stride: i64,
        body: Arc<Node>,
    },
    /// Runs of one length.
    Equal { length: u64, offsets: Box<[i64]> },
    /// Runs of any length; `ends[i]` is the number of bytes in the runs up to and with `i`.
    Runs {
        offsets: Box<[i64]>,
        ends: Box<[u64]>,
    },
    /// Anything; `end` as above.
    List(Box<[Part]>),
}

/// A part of a list.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) offset: i64,
    pub(super) end: u64,
    pub(super) node: Arc<Node>,
}

/// A node and where it begins.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) offset: i64,
    pub(super) node: Arc<Node>,
}

/// A list of at most this many runs is taken apart when it becomes part of another, so that
/// touching runs can merge.
const TAKEN_APART: usize = 16;

impl Placed {
    /// `size` bytes in a row.
    pub(super) fn run(offset: i64, size: u64) -> Placed {
        let kind = Kind::Run;
        Placed::new(offset, size, kind)
    }

    fn new(offset: i64, size: u64, kind: Kind) -> Placed {
        Placed {
            offset,
            node: Arc::new(Node { size, kind }),
        }
    }

    pub(super) fn is_run(&self) -> bool {
        matches!(self.node.kind, Kind::Run)
    }

    /// The same bytes, `by` bytes further on.
    pub(super) fn moved(&self, by: i64) -> Placed {
        Placed {
            offset: self.offset.wrapping_add(by),
            node: self.node.clone(),
        }
    }

    /// `count` of them, `stride` bytes apart. The caller has checked that the size does not
    /// overflow.
    pub(super) fn repeat(&self, count: u64, stride: i64) -> Placed {
        let node = &self.node;
        let size = node.size * count;
        if size == 0 {
            return Placed::run(0, 0);
        }
        if count == 1 {
            return self.clone();
        }
        match &node.kind {
            Kind::Run if i64::try_from(node.size) == Ok(stride) => Placed::run(self.offset, size),
            // Rows that follow each other at the distance of their own elements are one long row.
            Kind::Loop {
                count: inner,
                stride: step,
                body,
            } if i64::try_from(*inner)
                .ok()
                .and_then(|n| n.checked_mul(*step))
                == Some(stride) =>
            {
                let kind = Kind::Loop {
                    count: count * inner,
                    stride: *step,
                    body: body.clone(),
                };
                Placed::new(self.offset, size, kind)
            }
            _ => {
                let kind = Kind::Loop {
                    count,
                    stride,
                    body: node.clone(),
                };
                Placed::new(self.offset, size, kind)
            }
        }
    }

    /// One after the other.
    pub(super) fn sequence(parts: impl IntoIterator<Item = Placed>) -> Placed {
        let mut all = Vec::new();
        for part in parts {
            append(&mut all, &part);
        }
        if all.len() < 2 {
            return all.pop().unwrap_or_else(|| Placed::run(0, 0));
        }
        let size = all.iter().map(|part| part.node.size).sum();
        if let Some(regular) = as_loop(&all) {
            return regular;
        }
        // Offsets count from the first part, so that equal lists at different places are alike.
        let base = all[0].offset;
        let offsets = all.iter().map(|part| part.offset - base);
        let kind = if !all.iter().all(Placed::is_run) {
            let mut end = 0;
            let parts = all.iter().map(|part| {
                end += part.node.size;
                Part {
                    offset: part.offset - base,
                    end,
                    node: part.node.clone(),
                }
            });
            Kind::List(parts.collect())
        } else if all.iter().all(|part| part.node.size == all[0].node.size) {
            Kind::Equal {
                length: all[0].node.size,
                offsets: offsets.collect(),
            }
        } else {
            let mut end = 0;
            let ends = all.iter().map(|part| {
                end += part.node.size;
                end
            });
            Kind::Runs {
                ends: ends.collect(),
                offsets: offsets.collect(),
            }
        };
        Placed::new(base, size, kind)
    }
}

/// Puts a part at the end of a list: merged with the last run if they touch, taken apart if it is a
/// short list of runs.
fn append(all: &mut Vec<Placed>, part: &Placed) {
    match &part.node.kind {
        _ if part.node.size == 0 => {}
        Kind::Run => append_run(all, part.offset, part.node.size, Some(part)),
        Kind::Equal { length, offsets } if offsets.len() <= TAKEN_APART => {
            for offset in offsets {
                append_run(all, part.offset + offset, *length, None);
            }
        }
        Kind::Runs { offsets, ends } if offsets.len() <= TAKEN_APART => {
            let mut start = 0;
            for (offset, end) in offsets.iter().zip(ends) {
                append_run(all, part.offset + offset, end - start, None);
                start = *end;
            }
        }
        _ => all.push(part.clone()),
    }
}

/// `same`: the run as it is there already, to be shared.
fn append_run(all: &mut Vec<Placed>, offset: i64, size: u64, same: Option<&Placed>) {
    if let Some(last) = all.last_mut()
        && last.is_run()
        && last.offset.checked_add_unsigned(last.node.size) == Some(offset)
    {
        *last = Placed::run(last.offset, last.node.size + size);
        return;
    }
    // A neighbour of the same length shares its node: a list of a million blocks does not allocate
    // as many.
    let node = match (all.last(), same) {
        (_, Some(same)) => same.node.clone(),
        (Some(last), None) if last.is_run() && last.node.size == size => last.node.clone(),
        _ => Placed::run(0, size).node,
    };
    all.push(Placed { offset, node });
}

/// A list of like parts at one distance is a loop.
fn as_loop(all: &[Placed]) -> Option<Placed> {
    let (first, second) = (&all[0], &all[1]);
    let stride = second.offset.checked_sub(first.offset)?;
    let is_like = |part: &Placed| {
        Arc::ptr_eq(&part.node, &first.node)
            || part.is_run() && first.is_run() && part.node.size == first.node.size
    };
    let is_regular = all.iter().all(is_like)
        && all
            .windows(2)
            .all(|pair| pair[1].offset.checked_sub(pair[0].offset) == Some(stride));
    is_regular.then(|| first.repeat(all.len() as u64, stride))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(all: &[(i64, u64)]) -> Placed {
        Placed::sequence(all.iter().map(|&(offset, size)| Placed::run(offset, size)))
    }

    #[test]
    fn touching_runs_are_one() {
        let merged = runs(&[(8, 4), (12, 4), (16, 8)]);
        assert!(merged.is_run());
        assert_eq!((merged.offset, merged.node.size), (8, 16));
        assert!(Placed::run(0, 8).repeat(1000, 8).is_run());
    }

    #[test]
    fn equal_distances_are_a_loop() {
        let regular = runs(&[(0, 4), (12, 4), (24, 4)]);
        assert!(matches!(
            regular.node.kind,
            Kind::Loop {
                count: 3,
                stride: 12,
                ..
            }
        ));
        let longer = regular.repeat(5, 36);
        assert!(matches!(longer.node.kind, Kind::Loop { count: 15, .. }));
        let nested = regular.repeat(5, 100);
        assert!(matches!(nested.node.kind, Kind::Loop { count: 5, .. }));
    }

    #[test]
    fn lists_of_runs_merge_across_their_borders() {
        let one = runs(&[(0, 4), (8, 2)]);
        let two = Placed::sequence([one.clone(), one.moved(10)]);
        let Kind::Runs { offsets, ends } = &two.node.kind else {
            panic!("{two:?}");
        };
        assert_eq!(
            (&offsets[..], &ends[..]),
            (&[0, 8, 18][..], &[4, 10, 12][..])
        );
    }

    #[test]
    fn nothing_is_a_run_of_nothing() {
        for empty in [
            runs(&[]),
            runs(&[(7, 0)]),
            Placed::run(3, 0).repeat(9, 1),
            Placed::run(3, 4).repeat(0, 1),
        ] {
            assert!(empty.is_run());
            assert_eq!(empty.node.size, 0);
        }
    }
}
