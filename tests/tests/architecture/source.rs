//! The source files of the tree, and Rust code apart from its comments, strings and tests.

use std::path::{Path, PathBuf};

/// Every file of the tree, by its path from the root, with its text. Build folders, hidden folders
/// and files that are no text are left out.
pub(crate) fn files(root: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let entries =
            std::fs::read_dir(root.join(&folder)).expect("a folder of the tree can be listed");
        for entry in entries {
            let entry = entry.expect("a folder of the tree can be listed");
            let name = entry.file_name().to_string_lossy().into_owned();
            // In a linked worktree it is a file, which says where the repository is.
            if name == ".git" {
                continue;
            }
            let path = folder.join(&name);
            let kind = entry.file_type().expect("a file of the tree has a type");
            if kind.is_dir() {
                let ours = !name.starts_with("target")
                    && (!name.starts_with('.') || name == ".ci" || name == ".cargo");
                if ours {
                    folders.push(path);
                }
            } else if let Ok(text) = std::fs::read_to_string(root.join(&path)) {
                found.push((path.to_string_lossy().into_owned(), text));
            }
        }
    }
    found.sort();
    found
}

/// A source file of the product: not a test, a bench or an example, nor a module that only tests
/// have.
pub(crate) fn sources(root: &Path) -> Vec<(String, String)> {
    let all = files(root);
    let of_tests: Vec<String> = all
        .iter()
        .flat_map(|(path, text)| modules_of_tests(path, text))
        .collect();
    let folders = ["/tests/", "/benches/", "/examples/"];
    let is_product = |path: &str| {
        let module = path
            .strip_suffix(".rs")
            .map(|module| module.strip_suffix("/mod").unwrap_or(module));
        module.is_some_and(|module| {
            !of_tests
                .iter()
                .any(|test| module == test || module.starts_with(&format!("{test}/")))
        }) && !path.starts_with("tests/")
            && !folders.iter().any(|folder| path.contains(folder))
    };
    all.into_iter()
        .filter(|(path, _)| is_product(path))
        .collect()
}

/// The modules that a file declares for tests only (`#[cfg(test)] mod name;`), as paths without
/// `.rs`.
fn modules_of_tests(path: &str, text: &str) -> Vec<String> {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let folder = match file.strip_suffix(".rs") {
        Some("mod" | "lib" | "main") | None => folder.to_owned(),
        Some(name) => format!("{folder}/{name}"),
    };
    let lines: Vec<&str> = text.lines().collect();
    let pairs = lines
        .windows(2)
        .filter(|pair| pair[0].starts_with("#[cfg(") && words(pair[0]).any(|word| word == "test"));
    pairs
        .filter_map(|pair| pair[1].strip_suffix(';')?.split_once("mod "))
        .map(|(_, name)| format!("{folder}/{name}"))
        .collect()
}

/// A file's lines before its tests.
pub(crate) fn without_tests(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod tests {")
        .map_or(text, |at| &text[..at])
}

/// Rust code with comments and the contents of strings and characters taken out.
pub(crate) fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skipped = comment(rest)
            .or_else(|| string(rest))
            .or_else(|| character(rest));
        match skipped {
            Some(length) => {
                code.push(' ');
                rest = &rest[length..];
            }
            None => {
                code.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
    }
    code
}

/// The words of code.
pub(crate) fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
}

fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if !text.starts_with("/*") {
        return None;
    }
    let (mut depth, mut at) = (0, 0);
    loop {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 || at >= text.len() {
            return Some(at.min(text.len()));
        }
    }
}

fn string(text: &str) -> Option<usize> {
    let raw = text
        .strip_prefix('r')
        .map(|after| after.trim_start_matches('#'));
    if let Some(after) = raw
        && after.starts_with('"')
    {
        let hashes = text.len() - 1 - after.len();
        let end = format!("\"{}", "#".repeat(hashes));
        let start = 2 + hashes;
        return Some(
            text[start..]
                .find(&end)
                .map_or(text.len(), |at| start + at + end.len()),
        );
    }
    if !text.starts_with('"') {
        return None;
    }
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    Some(text.len())
}

/// A character such as `'"'` or `'\''`; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('\'')?;
    let mut characters = inside.char_indices();
    let (_, first) = characters.next()?;
    if first == '\\' {
        return inside[2..].find('\'').map(|at| at + 4);
    }
    match characters.next() {
        Some((at, '\'')) => Some(at + 2),
        _ => None,
    }
}

#[test]
fn comments_strings_and_characters_are_not_code() {
    let text = r####"a // b
/* c /* d */ e */ f "g \" h" i r#"j " k"# '"' l '\'' m<'n> 'o' p"####;
    let code = code(text);
    let found: Vec<&str> = words(&code).filter(|word| !word.is_empty()).collect();
    assert_eq!(found, ["a", "f", "i", "l", "m", "n", "p"]);
}

#[test]
fn modules_of_tests_are_found_where_they_stand() {
    let text = "#[cfg(test)]\nmod a;\n\n#[cfg(all(test, not(loom)))]\npub(crate) mod b;\nmod c;\n";
    assert_eq!(
        modules_of_tests("x/src/lib.rs", text),
        ["x/src/a", "x/src/b"]
    );
    assert_eq!(
        modules_of_tests("x/src/y.rs", text),
        ["x/src/y/a", "x/src/y/b"]
    );
}
