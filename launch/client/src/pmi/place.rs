//! Where a process runs, as far as others need to know to share memory with it.
//!
//! Process ids, names of sockets and paths mean something within one namespace only. So every
//! process tells which ones it is in, and who wants to use a name of another process first looks
//! whether it means the same to both.

use crate::sys;
use crate::wire::{format_ranks, parse_ranks};
use std::path::{Path, PathBuf};

/// The version of this text and of everything else that processes tell each other through a
/// launcher's store.
pub(super) const VERSION: u32 = 1;

/// The folders in which processes meet that share no network namespace.
const FOLDERS: [&str; 2] = ["/dev/shm", "/tmp"];

/// Ancestors told, beginning with the parent.
const MAX_ANCESTORS: usize = 16;

/// Where a process runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The running kernel, by the random name that it has chosen at boot; 0: not known.
    pub(super) kernel: u128,
    /// The network namespace (inode number); 0: not known.
    pub(super) network: u64,
    /// The namespace of process ids; 0: not known.
    pub(super) pids: u64,
    /// Device and inode number of each of [`FOLDERS`], zeros where it does not exist.
    pub(super) folders: [(u64, u64); 2],
    /// The process, then its parent, and so on.
    pub(super) ancestors: Vec<u32>,
    /// Processors that it is bound to, ascending.
    pub(super) bound_to: Vec<u32>,
    /// How many processors it could use if it were not bound: those of its cpuset, limited by its
    /// cgroup's quota.
    pub(super) processors: u32,
}

impl Place {
    /// This process's.
    pub(super) fn own() -> Place {
        Place {
            kernel: sys::boot_id(),
            network: sys::namespace("net"),
            pids: sys::namespace("pid"),
            folders: FOLDERS.map(|folder| sys::file_identity(Path::new(folder))),
            ancestors: sys::ancestors(MAX_ANCESTORS),
            bound_to: sys::bound_to(),
            processors: sys::processors_when_unbound(),
        }
    }

    /// Whether both run on the same kernel.
    pub(super) fn same_kernel(&self, other: &Place) -> bool {
        self.kernel != 0 && self.kernel == other.kernel
    }

    /// Whether an abstract socket of one is there for the other.
    pub(super) fn same_network(&self, other: &Place) -> bool {
        self.same_kernel(other) && self.network != 0 && self.network == other.network
    }

    /// Whether a process id means the same to both.
    pub(super) fn same_pids(&self, other: &Place) -> bool {
        self.same_kernel(other) && self.pids != 0 && self.pids == other.pids
    }

    /// A folder that is the same one for both.
    pub(super) fn common_folder(&self, other: &Place) -> Option<PathBuf> {
        let common = (0..FOLDERS.len()).find(|&number| {
            self.folders[number] != (0, 0) && self.folders[number] == other.folders[number]
        });
        common
            .filter(|_| self.same_kernel(other))
            .map(|number| FOLDERS[number].into())
    }

    /// As text without spaces, `;` and `=`.
    pub(super) fn format(&self) -> String {
        let folders = self
            .folders
            .map(|(device, inode)| format!("{device}-{inode}"));
        let ancestors: Vec<String> = self.ancestors.iter().map(u32::to_string).collect();
        format!(
            "{VERSION}/{:x}/{}/{}/{}/{}/{}/{}",
            self.kernel,
            self.network,
            self.pids,
            folders.join(","),
            ancestors.join(","),
            format_ranks(&self.bound_to),
            self.processors
        )
    }

    /// The inverse of [`Place::format`].
    pub(super) fn parse(text: &str) -> Option<Place> {
        let fields: Vec<&str> = text.split('/').collect();
        let [
            version,
            kernel,
            network,
            pids,
            folders,
            ancestors,
            bound_to,
            processors,
        ] = fields[..]
        else {
            return None;
        };
        if version.parse() != Ok(VERSION) {
            return None;
        }
        let folder = |text: &str| {
            let (device, inode) = text.split_once('-')?;
            Some((device.parse().ok()?, inode.parse().ok()?))
        };
        let (first, second) = folders.split_once(',')?;
        let ancestors: Result<_, _> = list(ancestors).map(str::parse).collect();
        Some(Place {
            kernel: u128::from_str_radix(kernel, 16).ok()?,
            network: network.parse().ok()?,
            pids: pids.parse().ok()?,
            folders: [folder(first)?, folder(second)?],
            ancestors: ancestors.ok()?,
            bound_to: match bound_to {
                "" => Vec::new(),
                some => parse_ranks(some)?,
            },
            processors: processors.parse().ok()?,
        })
    }
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|item| !item.is_empty())
}

/// The nearest process that all of them descend from; 0: there is none but init, or they do not all
/// count processes alike.
pub(super) fn common_ancestor<'a>(places: impl Iterator<Item = &'a Place> + Clone) -> u32 {
    let Some(first) = places.clone().next() else {
        return 0;
    };
    let all = |ancestor: &u32| {
        places
            .clone()
            .all(|place| place.same_pids(first) && place.ancestors.contains(ancestor))
    };
    // Everything descends from process 1: it would admit strangers.
    let above = first.ancestors.iter().skip(1);
    above
        .copied()
        .filter(|&ancestor| ancestor > 1)
        .find(all)
        .unwrap_or(0)
}

/// Processors that processes share, at least 1.
pub(super) fn shared_processors<'a>(places: impl Iterator<Item = &'a Place> + Clone) -> u32 {
    let mut union: Vec<u32> = places
        .clone()
        .flat_map(|place| place.bound_to.iter().copied())
        .collect();
    union.sort_unstable();
    union.dedup();
    let limit = places.map(|place| place.processors).min().unwrap_or(1);
    // Where the kernel tells nothing of binding, the limit is all that is known.
    let bound = match union.len() {
        0 => u32::MAX,
        some => some as u32,
    };
    bound.min(limit).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(ancestors: &[u32], bound_to: &[u32], processors: u32) -> Place {
        Place {
            kernel: 7,
            network: 3,
            pids: 4,
            folders: [(1, 2), (3, 4)],
            ancestors: ancestors.into(),
            bound_to: bound_to.into(),
            processors,
        }
    }

    #[test]
    fn text_and_back() {
        let own = Place::own();
        assert_eq!(Place::parse(&own.format()), Some(own.clone()));
        assert_eq!(own.ancestors[0], std::process::id());
        assert!(own.ancestors.len() > 1);
        assert!(own.same_kernel(&own) && own.same_network(&own) && own.same_pids(&own));
        assert!(own.common_folder(&own).is_some());
        assert!(!own.bound_to.is_empty() && own.processors > 0);
        let nothing = place(&[], &[], 0);
        assert_eq!(Place::parse(&nothing.format()), Some(nothing));
        let text = own.format();
        for bad in [
            "",
            "1",
            &text[1..],
            &format!("9{text}"),
            &format!("{text}/1"),
        ] {
            assert_eq!(Place::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_the_same() {
        let mut other = place(&[5], &[0], 1);
        (other.network, other.pids, other.folders) = (0, 0, [(0, 0); 2]);
        assert!(other.same_kernel(&other));
        assert!(!other.same_network(&other) && !other.same_pids(&other));
        assert_eq!(other.common_folder(&other), None);
        let known = place(&[5], &[0], 1);
        let mut elsewhere = known.clone();
        elsewhere.kernel = 8;
        assert!(!known.same_network(&elsewhere) && !known.same_pids(&elsewhere));
        assert_eq!(known.common_folder(&elsewhere), None);
        let mut without_shm = known.clone();
        without_shm.folders[0] = (9, 9);
        assert_eq!(known.common_folder(&without_shm), Some("/tmp".into()));
        assert_eq!(known.common_folder(&known), Some("/dev/shm".into()));
    }

    #[test]
    fn the_nearest_common_ancestor() {
        let ancestor = |places: &[Place]| common_ancestor(places.iter());
        let direct = [place(&[10, 5, 1], &[], 1), place(&[11, 5, 1], &[], 1)];
        assert_eq!(ancestor(&direct), 5);
        let wrapped = [
            place(&[10, 5, 4, 1], &[], 1),
            place(&[12, 11, 5, 4, 1], &[], 1),
        ];
        assert_eq!(ancestor(&wrapped), 5);
        // A rank is no ancestor of itself, even where another rank descends from it.
        let strange = [place(&[10, 5, 1], &[], 1), place(&[12, 10, 5, 1], &[], 1)];
        assert_eq!(ancestor(&strange), 5);
        let strangers = [place(&[10, 1], &[], 1), place(&[11, 1], &[], 1)];
        assert_eq!(ancestor(&strangers), 0);
        let mut elsewhere = direct.clone();
        elsewhere[1].pids = 9;
        assert_eq!(ancestor(&elsewhere), 0);
        assert_eq!(ancestor(&[]), 0);
    }

    #[test]
    fn processors_are_shared_by_those_bound_to_them() {
        let shared = |places: &[Place]| shared_processors(places.iter());
        // A core each.
        assert_eq!(shared(&[place(&[], &[0], 8), place(&[], &[1], 8)]), 2);
        // All anywhere.
        let everywhere = place(&[], &[0, 1, 2, 3], 4);
        assert_eq!(shared(&[everywhere.clone(), everywhere.clone()]), 4);
        // A quota of two on eight processors.
        assert_eq!(shared(&[place(&[], &[0, 1], 2), place(&[], &[2, 3], 2)]), 2);
        assert_eq!(shared(&[place(&[], &[], 3)]), 3);
        assert_eq!(shared(&[place(&[], &[], 0)]), 1);
    }
}
