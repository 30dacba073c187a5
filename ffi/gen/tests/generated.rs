//! What is checked in is what the generator writes, and the table is the whole of MPI 5.0.

use std::collections::BTreeSet;
use std::fs;

use ferrite_gen::table::{Body, Table};
use ferrite_gen::{HEADER, TABLE, generate, repository};

#[test]
fn generated_files_are_up_to_date() {
    let changed = generate(&repository(), true).unwrap();
    assert!(
        changed.is_empty(),
        "run `cargo xtask generate`: {changed:?} differ from ffi/table"
    );
}

/// A copy of the table in an otherwise empty repository.
fn copied() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let table = root.path().join(TABLE);
    fs::create_dir_all(&table).unwrap();
    for entry in fs::read_dir(repository().join(TABLE)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), table.join(entry.file_name())).unwrap();
    }
    root
}

#[test]
fn a_mistake_in_the_table_is_named() {
    let mistakes = [
        ("Foo(bar: NONESUCH)", "NONESUCH"),
        ("Foo(bar: COMM) wrongly", "wrongly"),
        ("Foo(bar COMM)", "bar COMM"),
        ("Foo(bar: COMM", "Foo(bar: COMM"),
        ("Foo() -> SECONDS", "must be built"),
        ("Foo(bar: COMM[*]) engine", "write the body by hand"),
        ("Foo(bar: out STRING) engine", "written by hand"),
    ];
    for (line, named) in mistakes {
        let root = copied();
        let file = root.path().join(TABLE).join("10_info.table");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{text}{line}\n")).unwrap();
        let why = generate(root.path(), false).unwrap_err();
        assert!(why.contains(named), "{line}: {why}");
        assert!(
            !root.path().join(HEADER).exists(),
            "{line}: nothing is written"
        );
    }
}

#[test]
fn a_changed_file_is_found_and_written_again() {
    let root = copied();
    assert!(!generate(root.path(), false).unwrap().is_empty());
    assert!(generate(root.path(), true).unwrap().is_empty());
    let header = root.path().join(HEADER);
    fs::write(&header, "").unwrap();
    assert_eq!(generate(root.path(), true).unwrap(), [header.as_path()]);
    assert_eq!(
        fs::read_to_string(&header).unwrap(),
        "",
        "a check writes nothing"
    );
    generate(root.path(), false).unwrap();
    assert!(generate(root.path(), true).unwrap().is_empty());
}

#[test]
fn the_table_is_the_whole_interface() {
    let table = Table::read(&repository().join(TABLE)).unwrap();
    let names: BTreeSet<String> = table
        .functions()
        .flat_map(|(_, f)| f.forms().map(|form| f.form_name(form)))
        .collect();
    let listed = table
        .functions()
        .map(|(_, f)| f.forms().count())
        .sum::<usize>();
    assert_eq!(
        (names.len(), listed),
        (664, 664),
        "each function stands once"
    );
    let large = table.functions().filter(|(_, f)| f.large).count();
    assert_eq!(large, 161);
    let tool = table.functions().filter(|(_, f)| f.is_tool()).count();
    assert_eq!(tool, 51);
}

#[test]
fn lengths_name_parameters() {
    let table = Table::read(&repository().join(TABLE)).unwrap();
    for (_, function) in table.functions() {
        for param in &function.params {
            let Some(length) = &param.array else { continue };
            let known = length == "*" || function.params.iter().any(|p| p.name == *length);
            assert!(
                known,
                "{}: {} has length {length}",
                function.name, param.name
            );
        }
    }
}

#[test]
fn functions_without_an_error_code_are_built() {
    let table = Table::read(&repository().join(TABLE)).unwrap();
    for (_, function) in table.functions().filter(|(_, f)| f.returns.is_some()) {
        assert_ne!(function.body, Body::Unbuilt, "{}", function.name);
    }
}
