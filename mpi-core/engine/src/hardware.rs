//! What processes of a node can share beyond its memory: packages, caches, cores (MPI 5.0, sections
//! 7.4.2 and 9.1.2).
//!
//! A process has an instance of a resource if all processors that it may run on belong to that one.
//! An instance goes by the number of its first processor, which tells it from the others of its
//! kind on the node.

use crate::sys;

/// A kind of resource, the larger before the smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A socket.
    Package,
    /// Processors that are as near to some memory.
    NumaNode,
    /// Processors behind one cache of this level.
    Cache(u8),
    /// Threads of hardware that are one core.
    Core,
    /// One of those.
    Processor,
}

/// All kinds, with the names that programs call them by.
pub const RESOURCES: [(&str, Resource); 7] = [
    ("hwloc://Package", Resource::Package),
    ("hwloc://NUMANode", Resource::NumaNode),
    ("hwloc://L3Cache", Resource::Cache(3)),
    ("hwloc://L2Cache", Resource::Cache(2)),
    ("hwloc://L1Cache", Resource::Cache(1)),
    ("hwloc://Core", Resource::Core),
    ("hwloc://PU", Resource::Processor),
];

impl Resource {
    /// The kind of this name, with or without its scheme, in letters of any case.
    pub fn named(name: &str) -> Option<Resource> {
        let is = |known: &str| {
            let short = known.trim_start_matches("hwloc://");
            known.eq_ignore_ascii_case(name) || short.eq_ignore_ascii_case(name)
        };
        let found = RESOURCES.iter().find(|(known, _)| is(known));
        found.map(|(_, resource)| *resource)
    }

    /// The first processor of the one instance that this process runs on. `None` where it may run
    /// on several, or nothing is known.
    pub fn instance(self) -> Option<u32> {
        common(&sys::allowed_processors(), |processor| {
            sys::first_beside(processor, self)
        })
    }
}

/// What all of these have in common.
fn common(processors: &[u32], of: impl Fn(u32) -> Option<u32>) -> Option<u32> {
    let (first, rest) = processors.split_first()?;
    let instance = of(*first)?;
    let same = |processor: &u32| of(*processor) == Some(instance);
    rest.iter().all(same).then_some(instance)
}

/// The first number of a list such as `2-3,8`.
pub(crate) fn first_of(list: &str) -> Option<u32> {
    let end = list.find(|c: char| !c.is_ascii_digit());
    list[..end.unwrap_or(list.len())].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_schemes_or_not() {
        assert_eq!(Resource::named("hwloc://L3Cache"), Some(Resource::Cache(3)));
        assert_eq!(Resource::named("package"), Some(Resource::Package));
        assert_eq!(Resource::named("hwloc://Moon"), None);
        for (name, resource) in RESOURCES {
            assert_eq!(Resource::named(name), Some(resource));
        }
    }

    #[test]
    fn lists_begin_with_a_number() {
        assert_eq!(first_of("2-3,8\n"), Some(2));
        assert_eq!(first_of("11"), Some(11));
        assert_eq!(first_of("\n"), None);
    }

    #[test]
    fn several_processors_have_what_they_share() {
        let core = |processor| Some(processor / 2 * 2);
        assert_eq!(common(&[4, 5], core), Some(4));
        assert_eq!(common(&[4, 6], core), None);
        assert_eq!(common(&[], core), None);
        assert_eq!(common(&[1], |_| None), None);
    }

    /// Whatever machine this is: a processor is an instance of its own, and lies in the larger ones
    /// that are known.
    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_has_processors() {
        let allowed = sys::allowed_processors();
        assert!(!allowed.is_empty());
        for processor in allowed {
            assert_eq!(
                sys::first_beside(processor, Resource::Processor),
                Some(processor)
            );
            for (_, resource) in RESOURCES {
                assert!(
                    sys::first_beside(processor, resource).is_none_or(|first| first <= processor)
                );
            }
        }
    }
}
