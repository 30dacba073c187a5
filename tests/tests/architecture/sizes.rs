//! How long files, functions and structs may be.

use crate::source::{code, files, sources, without_tests, words};
use xtask::workspace_root;

/// The longest source file, in lines, without its tests.
const FILE: usize = 600;

/// The longest function, in lines.
const FUNCTION: usize = 120;

/// The most fields of a struct of the engine.
const FIELDS: usize = 15;

/// The widest line of prose, in columns. Code is rustfmt's business.
const COLUMNS: usize = 100;

/// What a program has written, beside `ffi/COVERAGE.md` and `bench/RESULTS.md`.
const GENERATED: &str = "ffi/abi/src/generated/";

/// An item that takes several lines: what it is (`fn`, `struct`), its name, and the lines between
/// its braces.
struct Item<'a> {
    kind: &'static str,
    name: &'a str,
    lines: Vec<&'a str>,
}

/// The functions and structs of code that `cargo fmt` has laid out: each ends with a brace under
/// its beginning.
fn items(code: &str) -> Vec<Item<'_>> {
    let lines: Vec<&str> = code.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let begins = |line: &'_ str| {
        let mut all = words(line.trim_start()).skip_while(|word| {
            [
                "pub", "crate", "super", "in", "engine", "const", "unsafe", "async", "extern", "",
            ]
            .contains(word)
        });
        match all.next() {
            Some("fn") => Some("fn"),
            Some("struct") => Some("struct"),
            _ => None,
        }
    };
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(kind) = begins(line) else { continue };
        let name = words(line).skip_while(|word| *word != kind).nth(1);
        let rest = &lines[at + 1..];
        let is_end = |other: &&str| !other.trim().is_empty() && indent(other) <= indent(line);
        let end = rest.iter().position(is_end).unwrap_or(rest.len());
        // The lines of a signature may end at the same depth: `) -> Result<()> {`.
        let end = match rest.get(end) {
            Some(other) if other.trim_end().ends_with('{') => {
                let body = &rest[end + 1..];
                end + 1 + body.iter().position(is_end).unwrap_or(body.len())
            }
            _ => end,
        };
        found.push(Item {
            kind,
            name: name.unwrap_or_default(),
            lines: rest[..end].to_vec(),
        });
    }
    found
}

#[test]
fn files_are_short() {
    let long: Vec<String> = sources(&workspace_root())
        .into_iter()
        .filter(|(path, _)| !path.starts_with(GENERATED))
        .map(|(path, text)| (path, without_tests(&text).lines().count()))
        .filter(|(_, lines)| *lines > FILE)
        .map(|(path, lines)| format!("{path}: {lines} lines"))
        .collect();
    assert!(
        long.is_empty(),
        "split these by idea, so that each has {FILE} lines at most: {long:#?}"
    );
}

#[test]
fn functions_and_structs_are_short() {
    let mut long = Vec::new();
    for (path, text) in sources(&workspace_root()) {
        if path.starts_with(GENERATED) {
            continue;
        }
        for Item { kind, name, lines } in items(&code(without_tests(&text))) {
            let fields = lines.iter().filter(|line| line.contains(':')).count();
            if kind == "fn" && lines.len() + 2 > FUNCTION {
                long.push(format!("{path}: fn {name}, {} lines", lines.len() + 2));
            }
            if kind == "struct" && path.starts_with("mpi-core/engine/") && fields > FIELDS {
                long.push(format!("{path}: struct {name}, {fields} fields"));
            }
        }
    }
    assert!(
        long.is_empty(),
        "a function has {FUNCTION} lines at most, a struct of the engine {FIELDS} fields: {long:#?}"
    );
}

#[test]
fn lines_of_prose_are_short() {
    let mut long = Vec::new();
    for (path, text) in files(&workspace_root()) {
        let is_written = ["ffi/COVERAGE.md", "bench/RESULTS.md"].contains(&path.as_str());
        let is_page = path.ends_with(".md") && !is_written;
        let is_code = path.ends_with(".rs") && !path.starts_with(GENERATED);
        let is_prose = |line: &str| {
            let line = line.trim_start();
            // Rows of tables are as long as they are.
            let words = line.trim_start_matches(['/', '!']).trim_start();
            !words.starts_with('|') && (is_page || is_code && line.starts_with("//"))
        };
        for (number, line) in (1..).zip(text.lines()) {
            if line.chars().count() > COLUMNS && is_prose(line) {
                long.push(format!("{path}:{number}"));
            }
        }
    }
    assert!(long.is_empty(), "prose has {COLUMNS} columns: {long:#?}");
}

#[test]
fn items_are_measured() {
    let code = "pub(crate) struct One {\n    a: u8,\n    b: u8,\n}\n\nimpl One \
        {\n    fn two(\n        &self,\n    ) -> u8 {\n        1\n    }\n}\n";
    let found: Vec<(&str, &str, usize)> = items(code)
        .iter()
        .map(|item| (item.kind, item.name, item.lines.len()))
        .collect();
    assert_eq!(found, [("struct", "One", 2), ("fn", "two", 3)]);
}
