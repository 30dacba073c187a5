//! The groups of modules that a large crate is made of, and that none of them uses one which stands
//! above it.

use crate::source::{code, sources, without_tests, words};
use std::collections::{BTreeMap, BTreeSet};
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
    /// The type whose methods stand in all groups, if there is one: they call those of the groups
    /// below them, too.
    shared: Option<Shared>,
}

/// A type that every group adds methods to.
struct Shared {
    name: &'static str,
    /// What its values are called where its methods are called.
    values: &'static [&'static str],
    /// Methods that groups below call all the same, and why.
    upward: &'static [(&'static str, &'static str)],
}

const CRATES: [Floors; 2] = [
    Floors {
        folder: "launch/src/",
        root: "crate",
        groups: &[
            "sys", "process", "command", "plan", "protocol", "host", "node", "job", "console",
            "agents",
        ],
        roof: &["lib", "launcher", "doctor", "fuzzing", "bin"],
        shared: None,
    },
    Floors {
        folder: "mpi-core/engine/src/engine/",
        root: "crate::engine",
        groups: &[
            "matching",
            "events",
            "communicators",
            "requests",
            "protocol",
            "progress",
            "completion",
            "point_to_point",
            "collectives",
            "persistent",
            "constructors",
            "life",
            "tuning",
        ],
        roof: &["mod", "tests"],
        shared: Some(Shared {
            name: "Engine",
            values: &["self", "engine"],
            upward: &[
                (
                    "connection_ended",
                    "a frame's port tells of it, the launcher is asked later",
                ),
                ("stage_told", "a frame of the watchdog has come"),
                ("advance_all", "progress drives collective operations"),
                ("finish_flushes", "progress does it when no lock is held"),
                ("start_announced", "progress does it when no lock is held"),
                (
                    "forget_announcement",
                    "the end of a request that has another one",
                ),
            ],
        }),
    },
];

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

/// The methods that a file adds to a type.
fn methods_of(code: &str, name: &str) -> Vec<String> {
    let start = format!("impl {name} {{");
    let mut found = Vec::new();
    for (at, _) in code.match_indices(&start) {
        let block = &code[at..];
        let block = &block[..block.find("\n}").unwrap_or(block.len())];
        for (at, _) in block.match_indices("fn ") {
            found.extend(words(&block[at + 3..]).next().map(str::to_owned));
        }
    }
    found
}

/// The methods that a file calls of values of these names.
fn calls_of(code: &str, values: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for value in values {
        for (at, _) in code.match_indices(value) {
            let before = code[..at].chars().next_back();
            // `receiver.engine.method()` counts, too.
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let Some(call) = code[at + value.len()..].trim_start().strip_prefix('.') else {
                continue;
            };
            let called = words(call.trim_start()).next().unwrap_or_default();
            if call.trim_start()[called.len()..].starts_with('(') {
                found.insert(called.to_owned());
            }
        }
    }
    found
}

#[test]
fn groups_use_those_below_them() {
    for floors in CRATES {
        let mut seen = BTreeSet::new();
        let mut files = Vec::new();
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
            let code = code(without_tests(&text));
            let wrong: Vec<String> = uses(&code, floors.root)
                .into_iter()
                .filter(|used| {
                    let other = floors.groups.iter().position(|group| group == used);
                    // Where groups share a type, the root offers that alone: its other names hide
                    // the groups that they are of.
                    let is_hidden = floors
                        .shared
                        .as_ref()
                        .is_some_and(|shared| other.is_none() && used != shared.name);
                    is_hidden
                        || other.is_some_and(|other| other > floor)
                        || floors.roof.contains(&used.as_str())
                })
                .collect();
            assert!(
                wrong.is_empty(),
                "{path} uses {wrong:?}, which stand above it, or of no group"
            );
            files.push((path, floor, code));
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
        if let Some(shared) = &floors.shared {
            methods_call_those_below_them(&files, shared);
        }
    }
}

/// `files`: path, number of the group, code.
fn methods_call_those_below_them(files: &[(String, usize, String)], shared: &Shared) {
    let mut floor_of = BTreeMap::new();
    for (_, floor, code) in files {
        for method in methods_of(code, shared.name) {
            // Of a name that several groups use for functions, the lowest counts.
            let lowest = floor_of.entry(method).or_insert(*floor);
            *lowest = (*lowest).min(*floor);
        }
    }
    let mut needed = BTreeSet::new();
    for (path, floor, code) in files {
        for called in calls_of(code, shared.values) {
            if floor_of.get(&called).is_some_and(|other| other > floor) {
                let is_known = shared.upward.iter().any(|(method, _)| *method == called);
                assert!(
                    is_known,
                    "{path} calls {called}, which stands in a group above it"
                );
                needed.insert(called);
            }
        }
    }
    for (method, why) in shared.upward {
        assert!(
            needed.contains(*method),
            "nobody below calls {method} any more ({why}): take it off the list"
        );
    }
}

#[test]
fn methods_and_calls_are_seen() {
    let code = "impl Engine {\n    fn one(&self) {\n        self.two(1);\n    }\n}\nimpl Other \
        {\n    fn not(&self) {}\n}\nself\n    .three();\nmyself.no();\nself.field.no();\n";
    assert_eq!(methods_of(code, "Engine"), ["one"]);
    let expected = ["three", "two"].map(str::to_owned);
    assert_eq!(calls_of(code, &["self"]), BTreeSet::from(expected));
}

#[test]
fn what_a_file_uses_is_seen() {
    let code = "use crate::plan::{Remote, Spec};\nuse \
        crate::{job, node::Node, sys::{self, Mask}};\nlet x = \
        crate::host::clock();\nother_crate::not()";
    let expected = ["host", "job", "node", "plan", "sys"].map(str::to_owned);
    assert_eq!(uses(code, "crate"), BTreeSet::from(expected));
}
