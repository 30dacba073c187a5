//! What one process says for two groups.

use super::Generator;
use crate::collective::operation::{Id, Place, Round};
use crate::collective::shape::Shape;

/// The output of one group's rank 0 for all members of both: it tells the other group, whose rank 0
/// tells this one's.
#[derive(Clone, Copy, Debug)]
pub(in crate::collective) struct IntergroupBcast {
    /// This rank's group has the one who tells.
    is_origin: bool,
    /// Ranks of the other group.
    others: u32,
    /// The next to be told.
    next: u32,
    got: Id,
    began: bool,
}

impl IntergroupBcast {
    pub(in crate::collective) fn new(is_origin: bool, others: u32) -> IntergroupBcast {
        IntergroupBcast {
            is_origin,
            others,
            // The origin knows.
            next: u32::from(!is_origin),
            got: Id::NONE,
            began: false,
        }
    }
}

impl Generator for IntergroupBcast {
    fn generate(&mut self, shape: &Shape, out: &mut Round) -> bool {
        let (place, bytes, is_first) = (Place::output(0), shape.bytes(), shape.rank == 0);
        if !self.began {
            self.began = true;
            if !(self.is_origin && is_first) {
                self.got = out.recv(0, place, bytes, &[]);
            }
            return true;
        }
        if !is_first || self.next >= self.others {
            return false;
        }
        out.send(self.next, place, bytes, &[self.got]);
        self.next += 1;
        true
    }
}
