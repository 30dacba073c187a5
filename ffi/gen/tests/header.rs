//! `mpi.h` as a C compiler sees it, alone and beside another implementation's header of the same
//! binary interface.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use ferrite_gen::{HEADER, MPICH_HEADER, repository};

/// What the reference lacks.
const ABSENT: [&str; 2] = ["MPI_Psend_init_c", "MPI_Precv_init_c"];

/// Functions for which the reference has the prototype of MPI 4.0 still, with a large count in the
/// small form.
const OLD_PROTOTYPE: [&str; 2] = ["MPI_Psend_init", "MPI_Precv_init"];

#[test]
fn compiles_without_warnings_in_every_dialect() {
    let folder = tempfile::tempdir().unwrap();
    let program = "#include <mpi.h>\n\
        int uses(MPI_Fint f, MPI_Comm c, const MPI_Status *s, MPI_Fint *fs, MPI_F08_status *f08);\n\
        int uses(MPI_Fint f, MPI_Comm c, const MPI_Status *s, MPI_Fint *fs, MPI_F08_status *f08) \
        {\n\
        return MPI_Comm_f2c(f) == c && PMPI_Comm_c2f(c) == f && MPI_Type_c2f(MPI_INT) && \
        MPI_Status_c2f(s, fs)\n\
        && MPI_Status_c2f08(s, f08) && MPI_Status_f082f(f08, fs) && MPI_Status_f2f08(fs, f08) && \
        MPI_KEYVAL_INVALID; }\n";
    let languages = [
        ("cc", "CC", "c", &["c89", "c99", "c11", "c17"][..]),
        ("c++", "CXX", "cc", &["c++11", "c++20"][..]),
    ];
    for (compiler, variable, suffix, dialects) in languages {
        let compiler = std::env::var(variable).unwrap_or(compiler.into());
        let source = folder.path().join(format!("a.{suffix}"));
        fs::write(&source, program).unwrap();
        for dialect in dialects {
            let mut command = Command::new(&compiler);
            command.arg(format!("-std={dialect}"));
            command.args([
                "-Wall",
                "-Wextra",
                "-Wpedantic",
                "-Werror",
                "-fsyntax-only",
                "-I",
            ]);
            command.arg(include()).arg(&source);
            run(&mut command);
        }
    }
}

#[test]
fn values_and_sizes_agree_with_the_reference() {
    let Some(reference) = reference() else { return };
    let (ours, theirs) = (constants(&header()), constants(&reference));
    let names = |of: &BTreeSet<String>, not: &BTreeSet<String>| {
        let only: Vec<String> = of.difference(not).cloned().collect();
        only
    };
    assert_eq!(
        names(&ours, &theirs),
        [""; 0],
        "constants that the reference lacks"
    );
    let missing = names(&theirs, &ours);
    let standard: Vec<&String> = missing.iter().filter(|n| !n.starts_with("MPIX_")).collect();
    assert!(
        standard.is_empty(),
        "constants that mpi.h lacks: {standard:?}"
    );
    assert!(
        ours.len() > 350,
        "only {} constants were compared",
        ours.len()
    );

    let folder = tempfile::tempdir().unwrap();
    let printed = |header: &Path| -> BTreeMap<String, String> {
        let mut text = format!(
            "#include <stdio.h>\n#include <stddef.h>\n#include \"{}\"\nint main(void) {{\n",
            header.display()
        );
        for name in &ours {
            text += &format!(
                "printf(\"{name} %lld, %zu bytes\\n\", (long long)({name}), sizeof({name}));\n"
            );
        }
        for name in types(header) {
            text += &format!(
                "printf(\"{name} size %zu, alignment %zu\\n\", sizeof({name}), _Alignof({name}));\n"
            );
        }
        for field in ["MPI_SOURCE", "MPI_TAG", "MPI_ERROR", "MPI_internal"] {
            text += &format!("printf(\"status.{field} %zu\\n\", offsetof(MPI_Status, {field}));\n");
        }
        text += "return 0; }\n";
        let source = folder.path().join("print.c");
        let program = folder.path().join("print");
        fs::write(&source, text).unwrap();
        run(cc()
            .args(["-std=c11", "-w", "-o"])
            .arg(&program)
            .arg(&source));
        run(&mut Command::new(&program))
            .lines()
            .map(|line| line.split_once(' ').unwrap())
            .map(|(name, rest)| (name.into(), rest.into()))
            .collect()
    };
    let (ours, theirs) = (printed(&header()), printed(&reference));
    let differ: Vec<_> = ours
        .iter()
        .filter_map(|(name, value)| {
            let their = theirs.get(name).map(String::as_str);
            let own_type = ["MPI_Fint", "MPI_F08_status"].contains(&name.as_str());
            (their != Some(value) && !own_type).then_some((name, value, their))
        })
        .collect();
    assert!(differ.is_empty(), "{differ:#?}");
}

/// The reference's declarations are compiled after `mpi.h`: a function or a callback's type that is
/// declared twice with different types is an error.
#[test]
fn prototypes_agree_with_the_reference() {
    let Some(reference) = reference() else { return };
    let theirs = declarations(&reference);
    let ours = declarations(&header());
    let conversions = |name: &str| {
        ["_c2f", "_f2c", "_c2f08", "_f082c", "_f082f", "_f2f08"]
            .iter()
            .any(|s| name.ends_with(s))
    };
    let expected: BTreeSet<String> = theirs
        .keys()
        .filter(|name| !name.contains("MPIX_"))
        .cloned()
        .chain(
            ABSENT
                .iter()
                .flat_map(|name| [name.to_string(), format!("P{name}")]),
        )
        .collect();
    let declared: BTreeSet<String> = ours
        .keys()
        .filter(|name| !conversions(name))
        .cloned()
        .collect();
    let differ: Vec<_> = expected.symmetric_difference(&declared).collect();
    assert!(differ.is_empty(), "declared by one header only: {differ:?}");

    let functions = ours
        .iter()
        .filter(|(_, text)| !text.starts_with("typedef") && !text.contains('{'));
    assert_eq!(functions.count(), 2 * 664);

    let mut text = String::from("#include <mpi.h>\n");
    for (name, declaration) in &theirs {
        let plain = name.trim_start_matches('P');
        if OLD_PROTOTYPE.contains(&plain) {
            assert!(
                declaration.contains("MPI_Count count"),
                "the reference has the prototype of MPI 5.0 now: drop {name} from the exceptions"
            );
        } else if !name.contains("MPIX_") {
            text += &format!("{declaration};\n");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("twice.c");
    fs::write(&source, text).unwrap();
    let mut command = cc();
    command
        .args(["-std=c11", "-Werror", "-fsyntax-only", "-I"])
        .arg(include())
        .arg(&source);
    run(&mut command);
}

/// What our header for MPICH's binary interface has more than MPICH's: MPICH has these functions in
/// one form.
const NOT_THEIRS: [&str; 2] = ["MPI_Precv_init_c", "MPI_Psend_init_c"];

/// Our prototypes for MPICH's binary interface are compiled after MPICH's own header, as above.
#[test]
fn prototypes_agree_with_mpichs_header() {
    let Some(theirs_at) = mpichs_header() else {
        return;
    };
    let ours_at = repository().join(MPICH_HEADER).canonicalize().unwrap();
    let (ours, theirs) = (declarations(&ours_at), declarations(&theirs_at));
    // Extensions, and an interface for tools of MPICH's own.
    let is_mpi = |name: &&String| !name.contains("MPIX_") && !name.starts_with("QMPI_");
    let only = |of: &BTreeMap<String, String>, not: &BTreeMap<String, String>| {
        let only = of.keys().filter(|name| !not.contains_key(*name));
        let only: Vec<String> = only.filter(is_mpi).cloned().collect();
        only
    };
    assert_eq!(only(&theirs, &ours), [""; 0], "that our header lacks");
    let missing: Vec<String> = only(&ours, &theirs)
        .into_iter()
        .filter(|name| !name.starts_with('P'))
        .collect();
    assert_eq!(missing, NOT_THEIRS, "that MPICH's header lacks");

    let mut text = format!("#include \"{}\"\n", theirs_at.display());
    let common = ours.iter().filter(|(name, _)| theirs.contains_key(*name));
    let mut count = 0;
    for (name, declaration) in common {
        // MPICH has some of them as macros, too.
        text += &format!("#undef {name}\n{declaration};\n");
        count += 1;
    }
    assert!(count > 1300, "only {count} were compared");
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("twice.c");
    fs::write(&source, text).unwrap();
    run(cc()
        .args(["-std=c11", "-Werror", "-fsyntax-only", "-I"])
        .arg(theirs_at.parent().unwrap())
        .arg(&source));
}

fn include() -> PathBuf {
    header().parent().unwrap().to_path_buf()
}

fn header() -> PathBuf {
    repository().join(HEADER).canonicalize().unwrap()
}

/// MPICH's own header, in PyPI's `mpich`.
fn mpichs_header() -> Option<PathBuf> {
    let peers = std::env::var_os("FERRITE_PEERS").map(PathBuf::from);
    let header = peers.map(|peers| peers.join("mpich/include/mpi.h"));
    header
        .filter(|header| header.is_file())
        .or_else(|| missing("mpi.h of PyPI's mpich, in a folder named by FERRITE_PEERS"))
}

/// The header to compare with: PyPI's `mpich` has it as `include/mpi_abi.h`.
fn reference() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("FERRITE_MPICH_ABI_H") {
        return Some(PathBuf::from(path));
    }
    missing("mpi_abi.h of PyPI's mpich, named by FERRITE_MPICH_ABI_H")
}

/// Says that a test is skipped, or fails where none may be.
fn missing(needs: &str) -> Option<PathBuf> {
    let required = std::env::var("FERRITE_TEST_REQUIRE").is_ok_and(|what| what == "all");
    assert!(
        !required,
        "this machine has no {needs}, and FERRITE_TEST_REQUIRE=all"
    );
    // Straight to the stream: the test framework would swallow what eprintln! writes.
    let _ = writeln!(std::io::stderr(), "skipped: needs {needs}");
    None
}

fn cc() -> Command {
    Command::new(std::env::var("CC").unwrap_or("cc".into()))
}

/// Runs a command that must succeed, and returns what it printed.
fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed:\n{errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn preprocessed(header: &Path) -> String {
    let beside = header.parent().unwrap();
    run(cc()
        .args(["-E", "-P", "-std=c11", "-I"])
        .arg(beside)
        .arg(header))
}

/// Names of macros with a value and of enumerators.
fn constants(header: &Path) -> BTreeSet<String> {
    let macros = run(cc().args(["-E", "-dM", "-std=c11"]).arg(header));
    let mut names: BTreeSet<String> = macros
        .lines()
        .filter_map(|line| line.strip_prefix("#define ")?.split_once(' '))
        .filter(|(name, value)| name.starts_with("MPI") && !name.contains('(') && !value.is_empty())
        .map(|(name, _)| name.to_string())
        .collect();
    for part in preprocessed(header).split("enum").skip(1) {
        let body = part
            .split_once('{')
            .and_then(|(_, rest)| rest.split_once('}'));
        let Some((body, _)) = body else { continue };
        let members = body.split(',').filter_map(|member| member.split_once('='));
        names.extend(members.map(|(name, _)| name.trim().to_string()));
    }
    names
}

/// Names of types that are not functions.
fn types(header: &Path) -> BTreeSet<String> {
    statements(header)
        .iter()
        .filter(|text| text.starts_with("typedef") && !text.contains('('))
        .filter_map(|text| text.rsplit(|c: char| !is_name(c)).next())
        .filter(|name| {
            name.starts_with("MPI_") && !name.contains("function") && !name.ends_with("_fn")
        })
        .map(str::to_string)
        .collect()
}

/// Declarations of functions and of functions' types, by name.
fn declarations(header: &Path) -> BTreeMap<String, String> {
    statements(header)
        .into_iter()
        .filter(|text| text.contains('('))
        .filter_map(|text| {
            let name = text
                .split(|c: char| !is_name(c))
                .find(|word| {
                    let at = text
                        .find(&format!("{word}("))
                        .or(text.find(&format!("({word})")));
                    word.contains("MPI") && at.is_some()
                })?
                .to_string();
            Some((name, text))
        })
        .collect()
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The declarations of a header, each in one line, without those of the headers that it includes.
/// The body of an inline function ends a declaration and belongs to it.
fn statements(header: &Path) -> Vec<String> {
    let mut statements = Vec::new();
    let (mut text, mut depth) = (String::new(), 0);
    for c in preprocessed(header).chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        let ends_function = c == '}' && depth == 0 && text.contains("inline");
        if depth == 0 && (c == ';' || ends_function) {
            if c == '}' {
                text.push(c);
            }
            let statement = text.split_whitespace().collect::<Vec<_>>().join(" ");
            if statement.contains("MPI") {
                statements.push(statement);
            }
            text.clear();
        } else {
            text.push(c);
        }
    }
    statements
}
