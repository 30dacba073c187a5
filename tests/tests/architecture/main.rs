//! ARCHITECTURE.md's invariants, as far as a machine can read them off the tree.

mod dependencies;
mod groups;
mod sizes;
mod source;

use source::{code, files, sources, without_tests, words};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use xtask::workspace_root;

/// What a library or a program of the whole is put together from.
const WHOLE: &[&str] = &[
    "ferrite-engine",
    "ferrite-client",
    "ferrite-ring",
    "ferrite-fabric",
    "ferrite-shm",
    "ferrite-tcp",
    "ferrite-transports",
];

/// What each crate may link of this workspace, directly or not. A crate that is not named here is
/// unknown to the architecture.
const MAY_LINK: [(&str, &[&str]); 21] = [
    ("ferrite-ring", &[]),
    ("ferrite-fabric", &[]),
    ("ferrite-fabric-testing", &["ferrite-fabric"]),
    ("ferrite-shm", &["ferrite-ring", "ferrite-fabric"]),
    ("ferrite-tcp", &["ferrite-fabric"]),
    ("ferrite-transports", &["ferrite-fabric", "ferrite-tcp"]),
    (
        "ferrite-engine",
        &["ferrite-ring", "ferrite-fabric", "ferrite-shm"],
    ),
    ("ferrite-client", &["ferrite-fabric"]),
    ("ferrite-abi", WHOLE),
    ("ferrite-mpich", WHOLE),
    ("ferrite-info", WHOLE),
    (
        "mpi_core",
        &[
            "mpi_core_derive",
            "ferrite-engine",
            "ferrite-client",
            "ferrite-ring",
            "ferrite-fabric",
            "ferrite-shm",
            "ferrite-tcp",
            "ferrite-transports",
        ],
    ),
    ("mpi_core_derive", &[]),
    ("ferrite-gen", &[]),
    ("ferrite-wrappers", &[]),
    ("ferrite-launch", &["ferrite-client", "ferrite-fabric"]),
    ("ferrite-bench-abi", &[]),
    ("ferrite-bench-limits", &[]),
    ("ferrite-osu", &[]),
    (
        "ferrite-bench",
        &["ferrite-bench-abi", "ferrite-bench-limits", "ferrite-osu"],
    ),
    ("xtask", &["ferrite-gen"]),
];

/// Where `unsafe` may stand: rings, transports, the engine's hot parts, system interfaces,
/// bindings.
const UNSAFE: &[&str] = &[
    "transports/ring/src/",
    "transports/fabric/src/buffer.rs",
    "transports/fabric/src/link.rs",
    "transports/testing/src/memory.rs",
    "transports/testing/src/place.rs",
    "transports/testing/src/registry.rs",
    "transports/testing/src/conformance/",
    "transports/testing/src/sim/",
    "transports/testing/src/completion/",
    "transports/shm/src/",
    "transports/tcp/src/",
    "mpi-core/engine/src/engine/",
    "mpi-core/engine/src/sys/",
    "mpi-core/engine/src/slab.rs",
    "mpi-core/engine/src/sync.rs",
    "mpi-core/engine/src/callback.rs",
    "mpi-core/engine/src/datatype/copy.rs",
    "mpi-core/engine/src/datatype/external.rs",
    "mpi-core/engine/src/datatype/type_map.rs",
    "mpi-core/engine/src/op.rs",
    "mpi-core/engine/src/op/",
    "mpi-core/engine/src/collective/boards/fused.rs",
    "mpi-core/engine/src/collective/boards/unequal.rs",
    "mpi-core/engine/src/collective/call.rs",
    "mpi-core/engine/src/collective/operation.rs",
    "mpi-core/engine/src/collective/run.rs",
    "mpi-core/api/src/",
    "mpi-core/derive/src/datatype.rs",
    "ffi/abi/src/",
    "launch/src/sys/",
    "launch/client/src/sys/",
    "ffi/info/src/sys/",
    "bench/abi/src/",
];

/// What `cargo metadata` says, of all dependencies unless the arguments say otherwise.
pub(crate) fn metadata(arguments: &[&str]) -> serde_json::Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1"])
        .args(arguments)
        .current_dir(workspace_root())
        .output()
        .expect("cargo can be started");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

/// The crates of the workspace and what each links of it directly. What only tests and build
/// scripts use is not linked.
fn links() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata(&["--no-deps"]);
    let packages = metadata["packages"].as_array().expect("packages");
    let name = |value: &serde_json::Value| value["name"].as_str().expect("a name").to_owned();
    packages
        .iter()
        .map(|package| {
            let linked = package["dependencies"]
                .as_array()
                .expect("dependencies")
                .iter();
            let linked = linked.filter(|dependency| {
                dependency["kind"].is_null() && dependency["path"].is_string()
            });
            (name(package), linked.map(name).collect())
        })
        .collect()
}

#[test]
fn dependencies_point_one_way() {
    let links = links();
    for (package, direct) in links
        .iter()
        .filter(|(package, _)| *package != "ferrite-tests")
    {
        let (_, allowed) = MAY_LINK
            .iter()
            .find(|(name, _)| name == package)
            .unwrap_or_else(|| {
                panic!(
                    "{package} has no place in the architecture: give it one \
                here and in ARCHITECTURE.md"
                )
            });
        let mut all = direct.clone();
        loop {
            let more: BTreeSet<String> = all.iter().flat_map(|name| links[name].clone()).collect();
            let before = all.len();
            all.extend(more);
            if all.len() == before {
                break;
            }
        }
        let wrong: Vec<&String> = all
            .iter()
            .filter(|name| !allowed.contains(&name.as_str()))
            .collect();
        assert!(wrong.is_empty(), "{package} links {wrong:?}");
    }
}

#[test]
fn the_engine_names_no_launcher() {
    for (path, text) in sources(&workspace_root()) {
        if path.starts_with("mpi-core/engine/") || path.starts_with("transports/") {
            let code = code(&text);
            let launcher = |word: &&str| {
                word.starts_with("ferrite_client") || word.starts_with("ferrite_launch")
            };
            let named: Vec<&str> = words(&code).filter(launcher).collect();
            assert!(named.is_empty(), "{path} names {named:?}");
        }
    }
}

/// Algorithms are pure: what a call needs of an engine and of a communicator they get as values.
#[test]
fn collectives_know_no_engine() {
    let folder = "mpi-core/engine/src/collective/";
    let mut seen = 0;
    for (path, text) in files(&workspace_root()) {
        if !path.starts_with(folder) {
            continue;
        }
        seen += 1;
        let code = code(&text);
        let named: Vec<&str> = words(&code)
            .filter(|word| matches!(*word, "Engine" | "CommData" | "Comm"))
            .collect();
        assert!(named.is_empty(), "{path} names {named:?}");
        assert!(!code.contains("crate::engine"), "{path} uses crate::engine");
    }
    assert!(seen > 30, "only {seen} files in {folder}: has it moved?");
}

#[test]
fn unsafe_stands_where_it_may() {
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for (path, text) in sources(&workspace_root()) {
        if words(&code(without_tests(&text))).any(|word| word == "unsafe") {
            match UNSAFE.iter().find(|allowed| path.starts_with(**allowed)) {
                Some(allowed) => {
                    used.insert(*allowed);
                }
                None => wrong.push(path),
            }
        }
    }
    assert!(wrong.is_empty(), "unsafe in {wrong:?}");
    let unused: Vec<&&str> = UNSAFE
        .iter()
        .filter(|allowed| !used.contains(**allowed))
        .collect();
    assert!(
        unused.is_empty(),
        "allowed but not used, take it off the list: {unused:?}"
    );
}

/// The types of C that `core::ffi` lacks are no system calls.
const C_TYPES: [&str; 1] = ["libc::wchar_t"];

#[test]
fn system_calls_stand_in_sys() {
    for (path, text) in sources(&workspace_root()) {
        let engine = path.starts_with("mpi-core/") || path.starts_with("transports/");
        if engine && !path.contains("/sys/") && !path.ends_with("/sys.rs") {
            let code = C_TYPES
                .iter()
                .fold(code(without_tests(&text)), |code, name| {
                    code.replace(name, "")
                });
            let named: Vec<&str> = words(&code)
                .filter(|word| matches!(*word, "libc" | "rustix"))
                .collect();
            assert!(named.is_empty(), "{path} names {named:?} outside sys/");
        }
    }
}

/// Links of pages to other files of the tree lead somewhere.
#[test]
fn pages_link_to_what_is_there() {
    let root = workspace_root();
    let mut dead = Vec::new();
    for (path, text) in files(&root) {
        if !path.ends_with(".md") {
            continue;
        }
        let folder = Path::new(&path).parent().expect("a file has a folder");
        for (at, _) in text.match_indices("](") {
            let target = &text[at + 2..];
            let target = &target[..target.find(')').unwrap_or(target.len())];
            let target = target.split('#').next().unwrap_or_default();
            let is_outside = target.contains("://") || target.is_empty();
            if !is_outside && !root.join(folder).join(target).exists() {
                dead.push(format!("{path}: {target}"));
            }
        }
    }
    assert!(dead.is_empty(), "these lead nowhere: {dead:#?}");
}

/// Nothing of the machine it was written on stands in the tree.
#[test]
fn the_tree_speaks_of_itself_only() {
    // Composed, or this file would find itself.
    let words = [
        ["/wo", "rk/"],
        ["../sh", "ared"],
        ["/ro", "ot/"],
        ["iss", "ue A"],
        ["iss", "ue B"],
        ["iss", "ue C"],
    ];
    for (path, text) in files(&workspace_root()) {
        for word in words.map(|parts| parts.concat()) {
            let line = text.lines().position(|line| line.contains(&word));
            assert!(
                line.is_none(),
                "{path}:{} says {word}",
                line.unwrap_or_default() + 1
            );
        }
    }
}

/// libtest would take the options of `cargo bench` from the one bench there is.
#[test]
fn only_the_bench_is_benched() {
    let metadata = metadata(&["--no-deps"]);
    for package in metadata["packages"].as_array().expect("packages") {
        let path = package["manifest_path"].as_str().expect("a path");
        let manifest: toml::Table = std::fs::read_to_string(path)
            .expect("a manifest")
            .parse()
            .expect("a manifest is TOML");
        for target in package["targets"].as_array().expect("targets") {
            let (name, kind) = (&target["name"], target["kind"][0].as_str().expect("a kind"));
            let off = |entry: &toml::Value| {
                entry.get("bench").and_then(toml::Value::as_bool) == Some(false)
            };
            let named = |entry: &&toml::Value| {
                entry.get("name").and_then(toml::Value::as_str) == name.as_str()
            };
            let right = match kind {
                "lib" | "cdylib" | "rlib" => manifest.get("lib").is_some_and(off),
                "bin" => {
                    let entries = manifest.get("bin").and_then(toml::Value::as_array);
                    entries.is_some_and(|entries| entries.iter().find(named).is_some_and(off))
                }
                "bench" => package["name"] == "ferrite-bench",
                _ => true,
            };
            assert!(right, "{path}: {kind} {name} needs `bench = false`");
        }
        let lints = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"));
        assert_eq!(
            lints.and_then(toml::Value::as_bool),
            Some(true),
            "{path} has the workspace's lints"
        );
    }
}
