//! The groups of modules that a large crate is made of, and that none of them uses one which stands above it.

use crate::source::{code, sources, without_tests, words};
use std::collections::BTreeSet;
use xtask::workspace_root;

/// A crate's groups, from below: each may use those before it.
struct Floors {
    /// The folder in which each group is a folder or a file.
    folder: &'static str,
    /// The path of that folder's module in code.
    root: &'static str,
    groups: &'static [&'static str],
    /// May use all groups, and none of them uses these.
    roof: &'static [&'static str],
}

const CRATES: [Floors; 1] = [Floors {
    folder: "launch/src/",
    root: "crate",
    groups: &[
        "sys", "process", "command", "plan", "protocol", "host", "node", "job", "console", "agents",
    ],
    roof: &["lib", "launcher", "doctor", "fuzzing", "bin"],
}];

/// What a file uses of a crate: the word after each `root::`, or the words of the list after it.
fn uses(code: &str, root: &str) -> BTreeSet<String> {
    let start = format!("{root}::");
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices(&start) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &code[at + start.len()..];
        let named = match rest.strip_prefix('{') {
            // A list of paths: only their first words count.
            Some(list) => heads(list),
            None => words(rest).take(1).map(str::to_owned).collect(),
        };
        found.extend(named);
    }
    found
}

/// The first word of each path in a list that ends with its closing brace.
fn heads(list: &str) -> Vec<String> {
    let (mut depth, mut item, mut items) = (0, String::new(), Vec::new());
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => items.push(std::mem::take(&mut item)),
            _ => {}
        }
        if depth == 0 && c != ',' {
            item.push(c);
        }
    }
    items.push(item);
    let head = |item: &String| words(item.trim()).next().map(str::to_owned);
    items.iter().filter_map(head).collect()
}

#[test]
fn groups_use_those_below_them() {
    for floors in CRATES {
        let mut seen = BTreeSet::new();
        for (path, text) in sources(&workspace_root()) {
            let Some(inside) = path.strip_prefix(floors.folder) else {
                continue;
            };
            let name = inside.split(['/', '.']).next().unwrap_or(inside);
            if floors.roof.contains(&name) {
                continue;
            }
            let floor = floors.groups.iter().position(|group| *group == name);
            let floor = floor.unwrap_or_else(|| {
                panic!(
                    "{path} belongs to no group: give {name} its place here and in ARCHITECTURE.md"
                )
            });
            seen.insert(name.to_owned());
            let wrong: Vec<String> = uses(&code(without_tests(&text)), floors.root)
                .into_iter()
                .filter(|used| {
                    let other = floors.groups.iter().position(|group| group == used);
                    other.is_some_and(|other| other > floor) || floors.roof.contains(&used.as_str())
                })
                .collect();
            assert!(
                wrong.is_empty(),
                "{path} uses {wrong:?}, which stand above it"
            );
        }
        let absent: Vec<_> = floors
            .groups
            .iter()
            .filter(|group| !seen.contains(**group))
            .collect();
        assert!(
            absent.is_empty(),
            "no longer there, take them off the list: {absent:?}"
        );
    }
}

#[test]
fn what_a_file_uses_is_seen() {
    let code = "use crate::plan::{Remote, Spec};\nuse crate::{job, node::Node, sys::{self, Mask}};\nlet x = crate::host::clock();\nother_crate::not()";
    let expected = ["host", "job", "node", "plan", "sys"].map(str::to_owned);
    assert_eq!(uses(code, "crate"), BTreeSet::from(expected));
}
