//! `PMI_process_mapping`: which ranks share a node, as PMI launchers write it.
//!
//! `(vector,(first,nodes,ranks),...)`: a block lays `ranks` ranks on each of `nodes` nodes, from
//! node `first` on; when all blocks are used up before the ranks are, they begin anew.
//! `(vector,(0,2,4))` is eight ranks, four on each of two nodes; for ranks dealt out in turn it is
//! `(vector,(0,2,1))`.

use core::fmt::Write;

/// The longest text that is written out in full. Values of 1024 bytes are the most that every
/// client takes.
const IN_FULL: usize = 1000;

/// The mapping of a job whose rank `i` runs on node `nodes[i]`. In full unless that is too long:
/// Intel MPI does not know that blocks begin anew.
pub fn format(nodes: &[u32]) -> String {
    match text(nodes) {
        full if full.len() <= IN_FULL => full,
        _ => text(&nodes[..period(nodes)]),
    }
}

fn text(nodes: &[u32]) -> String {
    let mut text = String::from("(vector");
    for (first, count, ranks) in blocks(nodes) {
        write!(text, ",({first},{count},{ranks})").expect("a string takes everything");
    }
    text.push(')');
    text
}

/// The inverse of [`format()`]: the node of each of `size` ranks. `None` unless the text is a
/// mapping that has a place for them all.
pub fn parse(text: &str, size: usize) -> Option<Vec<u32>> {
    let mut blocks = Vec::new();
    let mut rest = text
        .trim()
        .strip_prefix("(vector")?
        .strip_suffix(')')?
        .trim();
    while !rest.is_empty() {
        let block;
        (block, rest) = rest
            .strip_prefix(',')?
            .trim_start()
            .strip_prefix('(')?
            .split_once(')')?;
        rest = rest.trim_start();
        let mut numbers = block.split(',').map(|number| number.trim().parse().ok());
        let mut next = || numbers.next().flatten();
        let (first, nodes, ranks): (u32, u32, u32) = (next()?, next()?, next()?);
        if numbers.next().is_some() || first.checked_add(nodes).is_none() {
            return None;
        }
        // An empty block is not worth a look each time round: there could be very many.
        if nodes > 0 && ranks > 0 {
            blocks.push((first, nodes, ranks));
        }
    }
    if blocks.is_empty() && size > 0 {
        return None;
    }
    let places = blocks.iter().cycle().flat_map(|&(first, nodes, ranks)| {
        (first..first + nodes).flat_map(move |node| std::iter::repeat_n(node, ranks as usize))
    });
    Some(places.take(size).collect())
}

/// The shortest beginning that the sequence repeats, of those that do not end amid the ranks of one
/// node.
fn period(nodes: &[u32]) -> usize {
    // For each beginning, how long its longest proper beginning is that it also ends with (Knuth,
    // Morris, Pratt).
    let mut border = vec![0; nodes.len()];
    for end in 1..nodes.len() {
        let mut length = border[end - 1];
        while length > 0 && nodes[length] != nodes[end] {
            length = border[length - 1];
        }
        border[end] = length + usize::from(nodes[length] == nodes[end]);
    }
    let mut length = border.last().copied().unwrap_or(0);
    while length > 0 {
        let period = nodes.len() - length;
        if nodes[period - 1] != nodes[0] {
            return period;
        }
        length = border[length - 1];
    }
    nodes.len()
}

/// First node, number of nodes, ranks on each.
fn blocks(nodes: &[u32]) -> Vec<(u32, u32, u32)> {
    let mut blocks: Vec<(u32, u32, u32)> = Vec::new();
    for run in nodes.chunk_by(|a, b| a == b) {
        let (node, ranks) = (run[0], run.len() as u32);
        match blocks.last_mut() {
            Some((first, count, each))
                if *each == ranks && first.checked_add(*count) == Some(node) =>
            {
                *count += 1;
            }
            _ => blocks.push((node, 1, ranks)),
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_forms_that_launchers_write() {
        for (nodes, text) in [
            (&[0, 0][..], "(vector,(0,1,2))"),
            (&[0, 1], "(vector,(0,2,1))"),
            (&[0], "(vector,(0,1,1))"),
            (&[0, 0, 0, 0, 1, 1, 1, 1], "(vector,(0,2,4))"),
            (
                &[0, 1, 2, 0, 1, 2, 0, 1],
                "(vector,(0,3,1),(0,3,1),(0,2,1))",
            ),
            (&[0, 0, 1, 1, 0, 0, 1], "(vector,(0,2,2),(0,1,2),(1,1,1))"),
            (&[0, 0, 0, 1], "(vector,(0,1,3),(1,1,1))"),
            (&[3, 3, 0, 1, 1], "(vector,(3,1,2),(0,1,1),(1,1,2))"),
            (&[], "(vector)"),
        ] {
            assert_eq!(format(nodes), text);
            assert_eq!(parse(text, nodes.len()).as_deref(), Some(nodes));
        }
        assert_eq!(
            parse(" (vector, (0, 1, 2) ,(1,1,1)) ", 4),
            Some(vec![0, 0, 1, 0])
        );
        let dealt_out: Vec<u32> = (0..1000).map(|rank| rank % 3).collect();
        assert_eq!(format(&dealt_out), "(vector,(0,3,1))");
        assert_eq!(parse("(vector,(0,3,1))", 1000), Some(dealt_out));
        // More places than ranks.
        assert_eq!(parse("(vector,(0,4000000000,7))", 1), Some(vec![0]));
    }

    #[test]
    fn what_is_no_mapping() {
        for bad in [
            "",
            "(vector",
            "(vector)",
            "(vector,)",
            "(vector,())",
            "(vector,(0,1))",
            "(vector,(0,1,1,1))",
            "(vector,(0,1,-1))",
            "(vector,(0,0,1),(5,1,0))",
            "(vector,(4294967295,2,1))",
            "(vector(0,1,1))",
            "(vector,(0,1,1)(1,1,1))",
            "(vector,(0,1,1)",
            "(matrix,(0,1,1))",
            "vector,(0,1,1)",
        ] {
            assert_eq!(parse(bad, 2), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(nodes in proptest::collection::vec(0u32..4, 0..40)) {
            prop_assert_eq!(parse(&format(&nodes), nodes.len()), Some(nodes));
        }

        #[test]
        fn whatever_the_node_numbers(nodes in proptest::collection::vec(prop_oneof![any::<u32>(), u32::MAX - 3..u32::MAX], 0..10)) {
            // The number after the last one is not representable, so it may not end a block.
            let nodes: Vec<u32> = nodes.into_iter().map(|node| node.min(u32::MAX - 1)).collect();
            prop_assert_eq!(parse(&format(&nodes), nodes.len()), Some(nodes));
        }

        #[test]
        fn regular_placements_take_one_block(nodes in 1u32..20, each in 1u32..20, rounds in 1u32..20, cut in 0u32..3) {
            let round = (0..nodes).flat_map(|node| std::iter::repeat_n(node, each as usize));
            let mut all: Vec<u32> = (0..rounds).flat_map(|_| round.clone()).collect();
            if rounds > 1 && nodes > 1 {
                all.truncate(all.len() - cut as usize % all.len().min(each as usize));
            }
            let ranks = if nodes == 1 { all.len() as u32 } else { each };
            prop_assert_eq!(text(&all[..period(&all)]), format!("(vector,(0,{nodes},{ranks}))"));
            prop_assert_eq!(parse(&format(&all), all.len()), Some(all));
        }

        #[test]
        fn anything_is_read_or_refused(text in "[(),vector0-9 ]{0,30}", size in 0usize..100) {
            for text in [text.clone(), format!("(vector{text}")] {
                if let Some(nodes) = parse(&text, size) {
                    prop_assert_eq!(nodes.len(), size);
                }
            }
        }
    }
}
