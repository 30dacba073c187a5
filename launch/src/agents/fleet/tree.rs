//! The tree of agents: which nodes hang below which.

/// Nodes in at most `width` groups of nearly equal size, in order.
pub(super) fn branches(nodes: &[u32], width: u32) -> impl Iterator<Item = &[u32]> {
    let count = nodes.len().min(width.max(1) as usize);
    let start = move |group: usize| group * nodes.len() / count.max(1);
    (0..count).map(move |group| &nodes[start(group)..start(group + 1)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_holds_every_node_once() {
        for nodes in 0..70u32 {
            for width in [1, 2, 16] {
                let all: Vec<u32> = (0..nodes).collect();
                let groups: Vec<&[u32]> = branches(&all, width).collect();
                assert!(groups.len() <= width as usize);
                assert!(groups.iter().all(|group| !group.is_empty()));
                assert_eq!(groups.concat(), all);
            }
        }
    }
}
