//! Which members of a communicator share a node.

use std::sync::Arc;

/// Where the members of a communicator are. The same on all of them.
#[derive(Debug)]
pub(crate) struct Nodes {
    /// By rank: its node. Nodes are counted in the order of their first ranks.
    of: Box<[u32]>,
    /// By node: its ranks, ascending.
    pub(super) members: Box<[Arc<[u32]>]>,
    /// The ranks of each node follow one another.
    pub(super) consecutive: bool,
}

impl Nodes {
    /// `places`: for each rank any number that is its node's alone. `None` unless there are several
    /// nodes, one of them with several ranks.
    pub(crate) fn new(places: impl Iterator<Item = u32>) -> Option<Nodes> {
        let mut members: Vec<Vec<u32>> = Vec::new();
        let mut numbers = std::collections::HashMap::new();
        let of: Box<[u32]> = (0..)
            .zip(places)
            .map(|(rank, place)| {
                let next = members.len() as u32;
                let node = *numbers.entry(place).or_insert(next);
                if node == next {
                    members.push(Vec::new());
                }
                members[node as usize].push(rank);
                node
            })
            .collect();
        if members.len() < 2 || members.len() == of.len() {
            return None;
        }
        Some(Nodes {
            consecutive: of.is_sorted(),
            of,
            members: members.into_iter().map(Arc::from).collect(),
        })
    }

    /// The ranks on a rank's node, ascending.
    pub(crate) fn around(&self, rank: u32) -> &Arc<[u32]> {
        &self.members[self.node(rank)]
    }

    pub(super) fn node(&self, rank: u32) -> usize {
        self.of[rank as usize] as usize
    }

    /// Bytes of a node's blocks of an allgather, and where they begin.
    pub(super) fn block(&self, node: usize, bytes: usize) -> (usize, usize) {
        let members = &self.members[node];
        (members[0] as usize * bytes, members.len() * bytes)
    }
}
