//! Groups by handle (MPI 5.0, section 7.3). What a group is and how groups are combined:
//! [`crate::group`].

use std::sync::Arc;

use crate::engine::Engine;
use crate::group::{self, Members};
use crate::handle::Group;
use crate::status::UNDEFINED;
use crate::{Error, ErrorClass, Result};

impl Engine {
    /// The group that a handle names.
    pub fn group(&self, group: Group) -> Result<group::Group> {
        if group == Group::EMPTY {
            return Ok(Arc::new(Members::empty()));
        }
        self.comms.groups.get(group.0).cloned().ok_or_else(|| {
            let what = if group == Group::NULL {
                "the group is MPI_GROUP_NULL".to_owned()
            } else {
                format!("{:#x} is not a group; it may have been freed", group.0)
            };
            Error::new(ErrorClass::GROUP, what)
        })
    }

    /// A handle for a group; the empty one has its own.
    pub fn add_group(&self, members: group::Group) -> Result<Group> {
        if members.size() == 0 {
            return Ok(Group::EMPTY);
        }
        match self.comms.groups.insert(members) {
            Ok(handle) => Ok(Group(handle)),
            Err(_) => Err(Error::new(
                ErrorClass::NO_MEM,
                "4,194,047 groups are alive, the most there can be: free some",
            )),
        }
    }

    /// `MPI_Group_size`
    pub fn group_size(&self, group: Group) -> Result<i32> {
        Ok(self.group(group)?.size() as i32)
    }

    /// `MPI_Group_rank`: this process's rank, `MPI_UNDEFINED` when it is not a member.
    pub fn group_rank(&self, group: Group) -> Result<i32> {
        Ok(self
            .group(group)?
            .rank_of(self.job.rank)
            .map_or(UNDEFINED, |rank| rank as i32))
    }

    /// `MPI_Group_free`
    pub fn group_free(&self, group: &mut Group) -> Result<()> {
        // A handle to the empty group may be freed like any other; the constant stays valid.
        if *group != Group::EMPTY {
            self.group(*group)?;
            drop(self.comms.groups.remove(group.0));
        }
        *group = Group::NULL;
        Ok(())
    }
}
