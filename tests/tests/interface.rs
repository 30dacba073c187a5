//! Every function of the interface table, called through the C interface: those that are not built say so, and the others
//! answer nonsense with an error code.

use ferrite_gen::kind::Class;
use ferrite_gen::table::{Body, Direction, Function, Param, Table};
use ferrite_tests::{Job, cc, needs, prefix};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::process::Command;

fn table() -> Table {
    Table::read(&ferrite_gen::repository().join(ferrite_gen::TABLE)).expect("the table")
}

/// Builds and runs a program alone, and returns what it printed.
fn printed(name: &str, text: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join(format!("{name}.c"));
    std::fs::write(&source, text).expect("written");
    let program = cc(&source, &["-std=c11", "-w"]);
    Job::alone(program).succeeds().stdout
}

const TOP: &str = r#"
#include <mpi.h>
#include <stdio.h>
#include <string.h>
typedef int (*any)();
static long long memory[65536];
static void nothing(void) {}
static void unsupported(const char *name, int tool, int code) {
    char text[MPI_MAX_ERROR_STRING]; int length;
    if (code != MPI_ERR_UNSUPPORTED_OPERATION) { printf("%s returned %d\n", name, code); return; }
    if (tool) return;
    MPI_Error_string(code, text, &length);
    if (!strstr(text, name)) printf("%s: %s\n", name, text);
}
static void begin(void) {
    MPI_Init(0, 0);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
}
"#;

#[test]
fn functions_that_are_not_built_name_themselves() {
    let table = table();
    let mut text = format!("{TOP}int main(void) {{\nbegin();\n");
    let mut number = 0;
    for (_, function) in table.functions().filter(|(_, f)| f.body == Body::Unbuilt) {
        for form in function.forms() {
            let arguments: Vec<&str> = function
                .form_params(form)
                .map(
                    |param| match param.kind.is("COMM") && param.direction == Direction::In {
                        true => "MPI_COMM_SELF",
                        false => "(void *)0",
                    },
                )
                .collect();
            let (name, tool) = (function.form_name(form), i32::from(function.is_tool()));
            let arguments = arguments.join(", ");
            for prefix in ["MPI_", "PMPI_"] {
                writeln!(
                    text,
                    "unsupported(\"MPI_{name}\", {tool}, ((any){prefix}{name})({arguments}));"
                )
                .unwrap();
            }
            number += 1;
        }
    }
    text += "return MPI_Finalize();\n}\n";
    assert!(number > 0, "everything is built: drop this test");
    assert_eq!(printed("unbuilt", &text), "");
}

/// Ends the process, or the use of MPI.
const ENDS: [&str; 2] = ["Finalize", "Abort"];

/// An argument that makes no sense.
fn nonsense(param: &Param, nulls: bool) -> &'static str {
    let scalar = param.direction == Direction::In && param.array.is_none();
    match param.kind.class() {
        _ if nulls => "(void *)0",
        Class::Number | Class::Count | Class::Logical if scalar => "(void *)-1",
        Class::Handle(_) if scalar => "(void *)0x7edcba9876543210",
        _ if param.callback.is_some() => "(void *)nothing",
        _ => "memory",
    }
}

#[test]
fn nonsense_is_answered() {
    let table = table();
    let built = |f: &&Function| f.body != Body::Unbuilt && f.returns.is_none();
    let callable = |f: &&Function| built(f) && !ENDS.contains(&f.name.as_str());
    let mut text = format!("{TOP}int main(void) {{\nbegin();\n");
    let mut number = 0;
    for nulls in [true, false] {
        for function in table.functions().map(|(_, f)| f).filter(callable) {
            for form in function.forms() {
                let arguments: Vec<&str> = function
                    .form_params(form)
                    .map(|param| nonsense(param, nulls))
                    .collect();
                writeln!(
                    text,
                    "memset(memory, 0, sizeof memory); ((any)MPI_{})({});",
                    function.form_name(form),
                    arguments.join(", ")
                )
                .unwrap();
                number += 1;
            }
        }
    }
    text += "puts(\"still here\");\nreturn MPI_Finalize();\n}\n";
    assert!(number > 200, "only {number} calls");
    assert_eq!(printed("nonsense", &text), "still here\n");
}

#[test]
fn exported_names_are_those_of_the_table() {
    if !needs("nm") || !needs("readelf") {
        return;
    }
    let library = prefix().path().join("lib/libmpi_abi.so.1");
    let of = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).arg(&library).output();
        let output = output.expect("the program is there");
        assert!(output.status.success(), "{program}");
        String::from_utf8(output.stdout).expect("plain text")
    };
    let exported: BTreeSet<String> = of("nm", &["--dynamic", "--defined-only", "--format=posix"])
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect();
    let named: BTreeSet<String> = table()
        .functions()
        .flat_map(|(_, f)| f.forms().map(|form| f.form_name(form)))
        .flat_map(|name| [format!("MPI_{name}"), format!("PMPI_{name}")])
        .collect();
    let differ: Vec<_> = exported.symmetric_difference(&named).collect();
    assert!(differ.is_empty(), "{differ:?}");
    // A call of an exported name would go through a relocation that names it.
    let relocations = of("readelf", &["--relocs", "--wide"]);
    let inside: Vec<&str> = relocations.lines().filter(|l| l.contains("MPI_")).collect();
    assert!(inside.is_empty(), "{inside:?}");
}
