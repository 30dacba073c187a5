//! Placement: which rank runs on which host.
//!
//! A list of hosts is walked in order, each entry filled with its slots; once the list is through,
//! it begins again, for there is no such thing as too many ranks, unless the list bounds them.
//! Programs that share a list continue where the former one has stopped. A host is one node however
//! often it is named; all names of this machine are one node.

use crate::command::Entry;
use ferrite_client::wire::format_ranks;
use std::collections::HashMap;

/// Where every rank runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Placement {
    /// The nodes that have ranks, by name, in the order in which the ranks name them.
    pub(crate) nodes: Vec<String>,
    /// Number of the node that is this machine.
    pub(crate) here: Option<u32>,
    /// For each rank, the number of its node.
    pub(crate) node_of: Vec<u32>,
    /// For each program, its ranks.
    pub(crate) counts: Vec<u32>,
    /// Nodes that have more ranks than the slots that a list names for them.
    pub(crate) crowded: Vec<u32>,
}

/// A program's share of the job.
pub(crate) struct Share<'a> {
    /// Its ranks; `None`: as many as its hosts have room for and no program before it has taken.
    pub(crate) count: Option<u32>,
    /// The hosts that it may use; empty: this machine.
    pub(crate) hosts: &'a [Entry],
}

/// More processes than any job has had.
pub(crate) const MAX_RANKS: u32 = 1 << 20;

/// Places the programs of a job. `per_host`: ranks for each host, instead of its slots. `is_here`:
/// whether a name is this machine's. The error is a sentence.
pub(crate) fn place(
    shares: &[Share<'_>],
    per_host: Option<u32>,
    is_here: impl Fn(&str) -> bool,
) -> Result<Placement, String> {
    let mut placement = Placement::default();
    let mut slots: Vec<Option<u32>> = Vec::new();
    let mut room = Room::default();
    let local = [Entry {
        name: "localhost".into(),
        slots: None,
        most: None,
    }];
    let mut walk: Option<(&[Entry], Walk)> = None;
    for (number, share) in (1..).zip(shares) {
        let hosts = match share.hosts {
            [] => &local[..],
            hosts => hosts,
        };
        let (_, walk) = match &mut walk {
            Some((list, walk)) if *list == hosts => (*list, walk),
            other => {
                let walk = Walk::new(hosts, per_host, &is_here, &mut placement, &mut slots);
                room.bound(hosts, &walk.nodes);
                let (list, walk) = other.insert((hosts, walk));
                (*list, walk)
            }
        };
        let count = match share.count {
            Some(count) => count,
            // Nothing tells more than one.
            None if share.hosts.is_empty() && per_host.is_none() => 1,
            None => walk.left().ok_or_else(|| {
                format!(
                    "program {number} of this job has no number of ranks, and those before it \
                    have taken every slot of its hosts: say -n RANKS"
                )
            })?,
        };
        let ranks = placement.node_of.len() as u64 + u64::from(count);
        if ranks > u64::from(MAX_RANKS) {
            return Err(format!(
                "{ranks} ranks are more than the {MAX_RANKS} that a job can have"
            ));
        }
        for _ in 0..count {
            match walk.next(&mut room) {
                Some(node) => placement.node_of.push(node),
                None => return Err(room.full(&placement, &walk.nodes)),
            }
        }
        placement.counts.push(count);
    }
    placement.drop_idle(slots);
    Ok(placement)
}

/// What lists say of how many ranks a node may have at most, and how many it has.
#[derive(Default)]
struct Room {
    most: HashMap<u32, u32>,
    taken: HashMap<u32, u32>,
}

impl Room {
    /// Takes note of the bounds in a list, whose hosts are these nodes. Where a host has two, the
    /// lower one holds.
    fn bound(&mut self, hosts: &[Entry], nodes: &[u32]) {
        for (host, &node) in hosts.iter().zip(nodes) {
            if let Some(most) = host.most {
                let bound = self.most.entry(node).or_insert(most);
                *bound = most.min(*bound);
            }
        }
    }

    /// Takes a place on a node, if it has one.
    fn take(&mut self, node: u32) -> bool {
        let taken = self.taken.entry(node).or_default();
        let free = self.most.get(&node).is_none_or(|most| *taken < *most);
        *taken += u32::from(free);
        free
    }

    /// Why there is no place on any of these nodes.
    fn full(&self, placement: &Placement, nodes: &[u32]) -> String {
        let mut bounds: Vec<(u32, u32)> = self.most.iter().map(|(&n, &most)| (n, most)).collect();
        bounds.retain(|(node, _)| nodes.contains(node));
        bounds.sort_unstable();
        let bounds: Vec<String> = bounds
            .iter()
            .map(|&(node, most)| format!("{} {most}", placement.nodes[node as usize]))
            .collect();
        format!(
            "the job has more ranks than max_slots lets its hosts have ({}): start fewer, name \
             more hosts, or raise max_slots",
            bounds.join(", ")
        )
    }
}

/// A place in a list.
struct Walk {
    /// The node of each host of the list.
    nodes: Vec<u32>,
    /// Node and ranks, for each entry.
    entries: Vec<(u32, u32)>,
    at: usize,
    taken: u32,
    /// Ranks placed in all.
    placed: u64,
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
        let mut nodes = Vec::new();
        // What the list gives each node, and whether it says so.
        let mut given = vec![(0, false); slots.len()];
        for host in hosts {
            let node = placement.node(host, &is_here) as usize;
            given.resize(placement.nodes.len(), (0, false));
            slots.resize(placement.nodes.len(), None);
            // A resource manager may say any number, and name a host again.
            given[node].0 = u32::saturating_add(given[node].0, host.slots.unwrap_or(1));
            given[node].1 |= host.slots.is_some();
            let node = node as u32;
            nodes.push(node);
            match per_host {
                // Once for each host, however often it is named.
                Some(count) if !entries.iter().any(|&(n, _)| n == node) => {
                    entries.push((node, count));
                }
                Some(_) => {}
                None => entries.push((node, host.slots.unwrap_or(1))),
            }
        }
        for (all, (of_list, said)) in slots.iter_mut().zip(given) {
            *all = (*all).max(said.then_some(of_list));
        }
        Walk {
            nodes,
            entries,
            at: 0,
            taken: 0,
            placed: 0,
        }
    }

    /// The node of the next rank; `None`: no host of the list has room.
    fn next(&mut self, room: &mut Room) -> Option<u32> {
        // The entry where it stands may be full already: one more than there are.
        for _ in 0..=self.entries.len() {
            let (node, ranks) = self.entries[self.at];
            if self.taken < ranks && room.take(node) {
                self.taken += 1;
                self.placed += 1;
                return Some(node);
            }
            self.at = (self.at + 1) % self.entries.len();
            self.taken = 0;
        }
        None
    }

    /// Ranks until the list is through for the first time; `None`: it is.
    fn left(&self) -> Option<u32> {
        let all: u64 = self
            .entries
            .iter()
            .map(|&(_, ranks)| u64::from(ranks))
            .sum();
        let left = all.saturating_sub(self.placed);
        (left > 0).then(|| u32::try_from(left).unwrap_or(u32::MAX))
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
    use crate::command::parse_list;
    use proptest::prelude::*;

    fn placed(
        hosts: &str,
        count: impl Into<Option<u32>>,
        per_host: Option<u32>,
    ) -> Result<Placement, String> {
        let hosts = match hosts {
            "" => Vec::new(),
            _ => parse_list(hosts).unwrap(),
        };
        let share = Share {
            count: count.into(),
            hosts: &hosts,
        };
        place(&[share], per_host, |name| {
            name == "here" || name == "localhost"
        })
    }

    #[test]
    fn slots_are_filled_in_order_and_then_again() {
        let node_of =
            |hosts, count, per_host| placed(hosts, Some(count), per_host).unwrap().node_of;
        assert_eq!(node_of("a:2,b:2", 4, None), [0, 0, 1, 1]);
        assert_eq!(node_of("a,b", 4, None), [0, 1, 0, 1]);
        assert_eq!(node_of("a:2,b", 7, None), [0, 0, 1, 0, 0, 1, 0]);
        assert_eq!(node_of("a,b,a", 4, None), [0, 1, 0, 0]);
        assert_eq!(node_of("a:8,b:8", 5, Some(2)), [0, 0, 1, 1, 0]);
        assert_eq!(node_of("a,b,a", 3, Some(1)), [0, 1, 0]);
    }

    #[test]
    fn all_names_of_this_machine_are_one_node() {
        let placement = placed("here,a,localhost,A", 4, None).unwrap();
        assert_eq!(placement.node_of, [0, 1, 0, 1]);
        assert_eq!((placement.nodes.len(), placement.here), (2, Some(0)));
        assert_eq!(placed("", 3, Some(1)).unwrap().here, Some(0));
        assert_eq!(placed("a,b", 2, None).unwrap().here, None);
    }

    #[test]
    fn nodes_without_ranks_are_forgotten() {
        let placement = placed("a:4,here:4", 3, None).unwrap();
        assert_eq!((placement.nodes, placement.here), (vec!["a".into()], None));
    }

    #[test]
    fn more_ranks_than_named_slots_are_noticed() {
        let crowded = |hosts, count, per_host| placed(hosts, count, per_host).unwrap().crowded;
        assert_eq!(crowded("a:2,b:2", 5, None), [0]);
        assert_eq!(crowded("a:2,b:2", 4, None), [0; 0]);
        assert_eq!(crowded("a,b", 4, None), [0; 0]);
        assert_eq!(crowded("a:1,b:2,a:1", 4, None), [0; 0]);
        assert_eq!(crowded("a:2,b:2", 6, Some(3)), [0, 1]);
        assert_eq!(crowded("a,a,a:2", 4, None), [0; 0]);
        let many = |name: &str| Entry {
            name: name.into(),
            slots: Some(u32::MAX),
            most: None,
        };
        let share = Share {
            count: Some(2),
            hosts: &[many("here"), many("localhost")],
        };
        let placement = place(&[share], None, |_| true).unwrap();
        assert_eq!((placement.node_of, placement.crowded), (vec![0, 0], vec![]));
    }

    #[test]
    fn without_a_number_of_ranks_the_hosts_are_filled() {
        let ranks = |hosts, per_host| placed(hosts, None, per_host).unwrap().node_of;
        assert_eq!(ranks("a,b:3", None), [0, 1, 1, 1]);
        assert_eq!(ranks("a,b:3,a", Some(2)), [0, 0, 1, 1]);
        assert_eq!(ranks("", None), [0]);
        let one = || Share {
            count: None,
            hosts: &[],
        };
        assert_eq!(
            place(&[one(), one()], None, |_| false).unwrap().counts,
            [1, 1]
        );
        assert_eq!(ranks("", Some(3)), [0, 0, 0]);
        assert_eq!(ranks("here,localhost", Some(2)), [0, 0]);
        let sentence = placed("a:1048576,b", None, None).unwrap_err();
        assert!(sentence.contains("1048577 ranks"), "{sentence}");

        let ab = parse_list("a:2,b:2").unwrap();
        let share = |count| Share { count, hosts: &ab };
        let rest = place(&[share(Some(1)), share(None)], None, |_| false).unwrap();
        assert_eq!((rest.counts, rest.node_of), (vec![1, 3], vec![0, 0, 1, 1]));
        let sentence = place(&[share(None), share(None)], None, |_| false).unwrap_err();
        assert!(sentence.starts_with("program 2 ") && sentence.contains("say -n RANKS"));
    }

    #[test]
    fn no_host_gets_more_than_its_bound() {
        let hosts = |text| crate::command::parse_file(text).unwrap();
        let two = hosts("a slots=1 max_slots=2\nb slots=1");
        let place = |count, hosts: &[Entry], per_host| {
            let shares = [Share { count, hosts }];
            super::place(&shares, per_host, |_| false)
        };
        assert_eq!(
            place(Some(6), &two, None).unwrap().node_of,
            [0, 1, 0, 1, 1, 1]
        );
        assert_eq!(
            place(Some(5), &two, Some(4)).unwrap().node_of,
            [0, 0, 1, 1, 1]
        );
        let one = hosts("a max_slots=2\na slots=4 max_slots=3");
        assert_eq!(place(Some(2), &one, None).unwrap().node_of, [0, 0]);
        for (count, per_host) in [(Some(3), None), (None, None), (None, Some(3))] {
            let sentence = place(count, &one, per_host).unwrap_err();
            assert!(
                sentence.contains("max_slots") && sentence.contains("(a 2)"),
                "{sentence}"
            );
        }
        // The bound is the host's, whichever program's ranks they are.
        let shares = [
            Share {
                count: Some(2),
                hosts: &one,
            },
            Share {
                count: Some(1),
                hosts: &one[..1],
            },
        ];
        assert!(super::place(&shares, None, |_| false).is_err());
    }

    #[test]
    fn programs_continue_where_the_former_has_stopped() {
        let (ab, c) = (parse_list("a:2,b:2").unwrap(), parse_list("c").unwrap());
        let share = |count, hosts| Share {
            count: Some(count),
            hosts,
        };
        let here = |_: &str| false;
        let placement = place(&[share(1, &ab), share(2, &ab)], None, here).unwrap();
        assert_eq!(placement.node_of, [0, 0, 1]);
        let placement = place(&[share(1, &ab), share(2, &c)], None, here).unwrap();
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
            let hosts: Vec<Entry> = hosts.into_iter().map(|(name, slots)| Entry { name, slots, most: None }).collect();
            let shares: Vec<Share<'_>> = counts.iter().map(|&count| Share { count: Some(count), hosts: &hosts }).collect();
            let placement = place(&shares, per_host, |name| name == "here" || name == "localhost").unwrap();
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
