//! Placement: which rank runs on which host.
//!
//! A list of hosts is walked in order, each entry filled with its slots; once the list is through, it begins again, for there is no
//! such thing as too many ranks. Programs that share a list continue where the former one has stopped. A host is one node however often
//! it is named; all names of this machine are one node.

use crate::hosts::Entry;
use ferrite_client::wire::format_ranks;

/// Where every rank runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Placement {
    /// The nodes that have ranks, by name, in the order in which the ranks name them.
    pub(crate) nodes: Vec<String>,
    /// Number of the node that is this machine.
    pub(crate) here: Option<u32>,
    /// For each rank, the number of its node.
    pub(crate) node_of: Vec<u32>,
    /// Nodes that have more ranks than the slots that a list names for them.
    pub(crate) crowded: Vec<u32>,
}

/// A program's share of the job.
pub(crate) struct Share<'a> {
    /// Its ranks.
    pub(crate) count: u32,
    /// The hosts that it may use; empty: this machine.
    pub(crate) hosts: &'a [Entry],
}

/// Places the programs of a job. `per_host`: ranks for each host, instead of its slots. `is_here`: whether a name is this machine's.
pub(crate) fn place(
    shares: &[Share<'_>],
    per_host: Option<u32>,
    is_here: impl Fn(&str) -> bool,
) -> Placement {
    let mut placement = Placement::default();
    let mut slots: Vec<Option<u32>> = Vec::new();
    let local = [Entry {
        name: "localhost".into(),
        slots: None,
    }];
    let mut walk: Option<(&[Entry], Walk)> = None;
    for share in shares {
        let hosts = match share.hosts {
            [] => &local[..],
            hosts => hosts,
        };
        let (_, walk) = match &mut walk {
            Some((list, walk)) if *list == hosts => (*list, walk),
            other => {
                let walk = Walk::new(hosts, per_host, &is_here, &mut placement, &mut slots);
                let (list, walk) = other.insert((hosts, walk));
                (*list, walk)
            }
        };
        for _ in 0..share.count {
            placement.node_of.push(walk.next());
        }
    }
    placement.drop_idle(slots);
    placement
}

/// A place in a list.
struct Walk {
    /// Node and ranks, for each entry.
    entries: Vec<(u32, u32)>,
    at: usize,
    taken: u32,
}

impl Walk {
    fn new(
        hosts: &[Entry],
        per_host: Option<u32>,
        is_here: impl Fn(&str) -> bool,
        placement: &mut Placement,
        slots: &mut Vec<Option<u32>>,
    ) -> Walk {
        let mut entries: Vec<(u32, u32)> = Vec::new();
        let mut seen = vec![None; slots.len()];
        for host in hosts {
            let node = placement.node(host, &is_here);
            seen.resize(placement.nodes.len().max(seen.len()), None);
            slots.resize(placement.nodes.len(), None);
            let of_node: &mut Option<u32> = &mut seen[node as usize];
            match per_host {
                // Once for each host, however often it is named.
                Some(count) if !entries.iter().any(|&(n, _)| n == node) => {
                    entries.push((node, count));
                }
                Some(_) => {}
                None => entries.push((node, host.slots.unwrap_or(1))),
            }
            if let Some(count) = host.slots {
                *of_node = Some(of_node.unwrap_or(0) + count);
            }
        }
        for (all, of_list) in slots.iter_mut().zip(seen) {
            *all = (*all).max(of_list);
        }
        Walk {
            entries,
            at: 0,
            taken: 0,
        }
    }

    fn next(&mut self) -> u32 {
        if self.taken == self.entries[self.at].1 {
            self.at = (self.at + 1) % self.entries.len();
            self.taken = 0;
        }
        self.taken += 1;
        self.entries[self.at].0
    }
}

impl Placement {
    fn node(&mut self, host: &Entry, is_here: impl Fn(&str) -> bool) -> u32 {
        let here = is_here(&host.name);
        let known = match here {
            true => self.here,
            false => {
                let same = |name: &String| name.eq_ignore_ascii_case(&host.name);
                self.nodes.iter().position(same).map(|at| at as u32)
            }
        };
        known.unwrap_or_else(|| {
            self.nodes.push(host.name.clone());
            let node = self.nodes.len() as u32 - 1;
            if here {
                self.here = Some(node);
            }
            node
        })
    }

    /// Forgets nodes without ranks, and numbers the others by their first rank.
    fn drop_idle(&mut self, slots: Vec<Option<u32>>) {
        let mut number = vec![None; self.nodes.len()];
        let mut nodes = Vec::new();
        let mut ranks: Vec<u32> = Vec::new();
        let mut named: Vec<Option<u32>> = Vec::new();
        for node in &mut self.node_of {
            let old = *node as usize;
            *node = *number[old].get_or_insert_with(|| {
                nodes.push(std::mem::take(&mut self.nodes[old]));
                ranks.push(0);
                named.push(slots[old]);
                nodes.len() as u32 - 1
            });
            ranks[*node as usize] += 1;
        }
        self.here = self.here.and_then(|here| number[here as usize]);
        self.nodes = nodes;
        self.crowded = (0..self.nodes.len())
            .filter(|&node| named[node].is_some_and(|slots| slots < ranks[node]))
            .map(|node| node as u32)
            .collect();
    }

    /// The ranks of a node, ascending.
    pub(crate) fn ranks_of(&self, node: u32) -> Vec<u32> {
        ranks_of(&self.node_of, node)
    }

    /// For people: `h1: ranks 0-3`.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        (0..).zip(&self.nodes).map(|(node, name)| {
            let ranks = self.ranks_of(node);
            let plural = if ranks.len() == 1 { "" } else { "s" };
            format!("{name}: rank{plural} {}", format_ranks(&ranks))
        })
    }
}

/// The ranks of a node, ascending.
pub(crate) fn ranks_of(node_of: &[u32], node: u32) -> Vec<u32> {
    let ranks = (0..).zip(node_of);
    ranks
        .filter(|(_, of)| **of == node)
        .map(|(rank, _)| rank)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::parse_list;
    use proptest::prelude::*;

    fn placed(hosts: &str, count: u32, per_host: Option<u32>) -> Placement {
        let hosts = match hosts {
            "" => Vec::new(),
            _ => parse_list(hosts).unwrap(),
        };
        let share = Share {
            count,
            hosts: &hosts,
        };
        place(&[share], per_host, |name| {
            name == "here" || name == "localhost"
        })
    }

    #[test]
    fn slots_are_filled_in_order_and_then_again() {
        let node_of = |hosts, count, per_host| placed(hosts, count, per_host).node_of;
        assert_eq!(node_of("a:2,b:2", 4, None), [0, 0, 1, 1]);
        assert_eq!(node_of("a,b", 4, None), [0, 1, 0, 1]);
        assert_eq!(node_of("a:2,b", 7, None), [0, 0, 1, 0, 0, 1, 0]);
        assert_eq!(node_of("a,b,a", 4, None), [0, 1, 0, 0]);
        assert_eq!(node_of("a:8,b:8", 5, Some(2)), [0, 0, 1, 1, 0]);
        assert_eq!(node_of("a,b,a", 3, Some(1)), [0, 1, 0]);
    }

    #[test]
    fn all_names_of_this_machine_are_one_node() {
        let placement = placed("here,a,localhost,A", 4, None);
        assert_eq!(placement.node_of, [0, 1, 0, 1]);
        assert_eq!((placement.nodes.len(), placement.here), (2, Some(0)));
        assert_eq!(placed("", 3, Some(1)).here, Some(0));
        assert_eq!(placed("a,b", 2, None).here, None);
    }

    #[test]
    fn nodes_without_ranks_are_forgotten() {
        let placement = placed("a:4,here:4", 3, None);
        assert_eq!((placement.nodes, placement.here), (vec!["a".into()], None));
    }

    #[test]
    fn more_ranks_than_named_slots_are_noticed() {
        assert_eq!(placed("a:2,b:2", 5, None).crowded, [0]);
        assert_eq!(placed("a:2,b:2", 4, None).crowded, [0; 0]);
        assert_eq!(placed("a,b", 4, None).crowded, [0; 0]);
        assert_eq!(placed("a:1,b:2,a:1", 4, None).crowded, [0; 0]);
        assert_eq!(placed("a:2,b:2", 6, Some(3)).crowded, [0, 1]);
    }

    #[test]
    fn programs_continue_where_the_former_has_stopped() {
        let (ab, c) = (parse_list("a:2,b:2").unwrap(), parse_list("c").unwrap());
        let share = |count, hosts| Share { count, hosts };
        let here = |_: &str| false;
        let placement = place(&[share(1, &ab), share(2, &ab)], None, here);
        assert_eq!(placement.node_of, [0, 0, 1]);
        let placement = place(&[share(1, &ab), share(2, &c)], None, here);
        assert_eq!(placement.node_of, [0, 1, 1]);
        assert_eq!(
            placement.lines().collect::<Vec<_>>(),
            ["a: rank 0", "c: ranks 1-2"]
        );
    }

    proptest! {
        #[test]
        fn every_rank_has_a_node_and_every_node_a_rank(
            hosts in prop::collection::vec(("[ab]|here", prop::option::of(1u32..4)), 0..5),
            counts in prop::collection::vec(1u32..9, 1..4),
            per_host in prop::option::of(1u32..4),
        ) {
            let hosts: Vec<Entry> = hosts.into_iter().map(|(name, slots)| Entry { name, slots }).collect();
            let shares: Vec<Share<'_>> = counts.iter().map(|&count| Share { count, hosts: &hosts }).collect();
            let placement = place(&shares, per_host, |name| name == "here" || name == "localhost");
            prop_assert_eq!(placement.node_of.len() as u32, counts.iter().sum::<u32>());
            let mut all: Vec<u32> = (0..placement.nodes.len() as u32).flat_map(|node| {
                let ranks = placement.ranks_of(node);
                assert!(!ranks.is_empty());
                ranks
            }).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..placement.node_of.len() as u32).collect::<Vec<_>>());
        }
    }
}
