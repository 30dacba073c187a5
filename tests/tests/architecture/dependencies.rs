//! Dependencies are what `deny.toml` allows: licences, sources, versions.

use crate::metadata;
use toml::Table;
use xtask::workspace_root;

/// The texts of a list in `deny.toml`.
fn list(deny: &Table, section: &str, name: &str) -> Vec<String> {
    let texts = deny[section][name].as_array().expect("a list");
    let texts = texts.iter().map(|text| text.as_str().expect("a text"));
    texts.map(str::to_owned).collect()
}

/// Whether an SPDX expression can be met by some of these licences.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    // An older form of OR.
    let spaced = expression.replace('/', " OR ");
    let spaced = spaced.replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = &words[..];
    let is_met = any(&mut rest, allowed);
    is_met && rest.is_empty()
}

fn any(words: &mut &[&str], allowed: &[String]) -> bool {
    let mut is_met = all(words, allowed);
    while let ["OR", rest @ ..] = *words {
        *words = rest;
        is_met |= all(words, allowed);
    }
    is_met
}

fn all(words: &mut &[&str], allowed: &[String]) -> bool {
    let mut is_met = one(words, allowed);
    while let ["AND", rest @ ..] = *words {
        *words = rest;
        is_met &= one(words, allowed);
    }
    is_met
}

fn one(words: &mut &[&str], allowed: &[String]) -> bool {
    match *words {
        ["(", rest @ ..] => {
            *words = rest;
            let is_met = any(words, allowed);
            if let [")", rest @ ..] = *words {
                *words = rest;
            }
            is_met
        }
        [name, "WITH", exception, rest @ ..] => {
            *words = rest;
            allowed.contains(&format!("{name} WITH {exception}"))
        }
        [name, rest @ ..] => {
            *words = rest;
            allowed.iter().any(|other| other == name)
        }
        [] => false,
    }
}

#[test]
fn dependencies_are_allowed() {
    let text = std::fs::read_to_string(workspace_root().join("deny.toml")).expect("deny.toml");
    let deny: Table = text.parse().expect("deny.toml is TOML");
    let licences = list(&deny, "licenses", "allow");
    let registries = list(&deny, "sources", "allow-registry");
    // Those that are linked here: what other platforms need may not be on this machine.
    let metadata = metadata(&["--filter-platform=x86_64-unknown-linux-gnu"]);
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        let licence = package["license"].as_str().unwrap_or_default();
        if !is_allowed(licence, &licences) {
            wrong.push(format!("{name}: licence {licence:?}"));
        }
        let Some(source) = package["source"].as_str() else {
            // One of the workspace.
            let dependencies = package["dependencies"].as_array().expect("dependencies");
            let wild = dependencies
                .iter()
                .filter(|dependency| dependency["req"] == "*" && dependency["path"].is_null());
            wrong.extend(wild.map(|dependency| format!("{name}: any version of {dependency}")));
            continue;
        };
        let registry = source.split_once('+').map_or(source, |(_, place)| place);
        if !registries.iter().any(|allowed| allowed == registry) {
            wrong.push(format!("{name}: from {source}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "deny.toml does not allow these; it lists what is allowed: {wrong:#?}"
    );
}

#[test]
fn licences_are_read_as_expressions() {
    let allowed = ["MIT", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
    for (expression, is_met) in [
        ("MIT", true),
        ("MIT OR GPL-3.0", true),
        ("GPL-3.0/MIT", true),
        ("MIT AND GPL-3.0", false),
        ("(GPL-3.0 OR MIT) AND Unicode-3.0", true),
        ("(GPL-3.0 OR MIT) AND ISC", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("Apache-2.0", false),
        ("", false),
    ] {
        assert_eq!(is_allowed(expression, &allowed), is_met, "{expression}");
    }
}
