//! Every function of the interface table, called through the C interface: those that are not built
//! say so, and the others answer nonsense with an error code.

use ferrite_gen::kind::Class;
use ferrite_gen::table::{Body, Direction, Function, Param, Table};
use ferrite_tests::{Job, Outcome, cc, needs, prefix};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::process::Command;

fn table() -> Table {
    Table::read(&ferrite_gen::repository().join(ferrite_gen::TABLE)).expect("the table")
}

/// Builds a program for a binary interface, runs it alone, and returns what it printed.
fn outcome(name: &str, abi: &str, text: &str) -> Outcome {
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join(format!("{name}.c"));
    std::fs::write(&source, text).expect("written");
    let program = cc(&source, &[abi, "-std=c11", "-w"]);
    Job::alone(program).succeeds()
}

/// What a program of the standard ABI printed.
fn printed(name: &str, text: &str) -> String {
    outcome(name, "-abi=standard", text).stdout
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
    let mut names = Vec::new();
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
            names.push(format!("MPI_{name}"));
        }
    }
    text += "return MPI_Finalize();\n}\n";
    assert!(!names.is_empty(), "everything is built: drop this test");
    let outcome = outcome("unbuilt", "-abi=standard", &text);
    assert_eq!(outcome.stdout, "");
    // Each was called twice, and told once, as the error handler returns.
    let told = |line: &str| {
        let rest = line.strip_prefix("ferrite: [rank 0] ")?;
        Some(rest.split_once(':')?.0.to_owned())
    };
    let told: Vec<Option<String>> = outcome.stderr.lines().map(told).collect();
    let names: Vec<Option<String>> = names.into_iter().map(Some).collect();
    assert_eq!(told, names);
}

/// What a handle is in another header than the library's: of a kind, in MPICH's and in that of the
/// standard ABI.
const FOREIGN: [(&str, u32, u32); 11] = [
    ("COMM", 0x4400_0000, 0x101),
    ("GROUP", 0x4800_0000, 0x109),
    ("DATATYPE", 0x4c00_0405, 0x209),
    ("OP", 0x5800_0003, 0x021),
    ("REQUEST", 0x2c00_0000, 0x180),
    ("MESSAGE", 0x6c00_0000, 0x129),
    ("INFO", 0x5c00_0001, 0x131),
    ("ERRHANDLER", 0x5400_0001, 0x143),
    ("SESSION", 0x3800_0000, 0x120),
    ("WIN", 0x2000_0000, 0x110),
    ("FILE", 0, 0x118),
];

/// Functions that succeed with such handles, each with the reason.
const NOT_WRONG: [(&str, &str); 1] = [("Alloc_mem:", "nothing in its info object is looked at")];

/// A program that was built with another header has its handles in every call: whichever the call
/// looks at first, the error names the header.
#[test]
fn handles_of_another_header_are_recognised() {
    let table = table();
    for (abi, header) in [
        ("-abi=standard", "MPICH's mpi.h"),
        ("-abi=mpich", "the mpi.h of the standard ABI"),
    ] {
        let of = |param: &Param| {
            let found = FOREIGN.iter().find(|(kind, _, _)| param.kind.is(kind));
            found.map(|&(_, mpich, standard)| match abi {
                "-abi=standard" => mpich,
                _ => standard,
            })
        };
        let takes_one = |param: &Param| param.direction != Direction::Out && of(param).is_some();
        let built = |f: &&Function| f.body != Body::Unbuilt && f.returns.is_none();
        let wanted = |f: &&Function| {
            let is_tried = built(f) && !f.is_tool() && !ENDS.contains(&f.name.as_str());
            is_tried && f.params.iter().any(takes_one)
        };
        let mut text = format!(
            "{TOP}
            static void foreign(const char *name, int code) {{
                char text[MPI_MAX_ERROR_STRING] = \"success\"; int length;
                if (code) MPI_Error_string(code, text, &length);
                if (!strstr(text, \"{header}\")) printf(\"%s: %s\\n\", name, text);
            }}
            int main(void) {{\nbegin();\n"
        );
        let mut number = 0;
        for function in table.functions().map(|(_, f)| f).filter(wanted) {
            for form in function.forms() {
                let name = function.form_name(form);
                let mut before = String::new();
                let arguments: Vec<String> = function
                    .form_params(form)
                    .enumerate()
                    .map(|(index, param)| {
                        let scalar = param.direction == Direction::In && param.array.is_none();
                        match (of(param), param.kind.class()) {
                            (Some(handle), _) if scalar => format!("(void *){handle:#x}"),
                            // Two in a row, as the other header has them: four bytes each, or
                            // eight.
                            (Some(handle), _) if param.direction != Direction::Out => {
                                let high = if abi == "-abi=standard" { handle } else { 0 };
                                let value = u64::from(high) << 32 | u64::from(handle);
                                let one = format!("one_{index}");
                                before += &format!("long long {one}[] = {{{value}, {value}}};");
                                one
                            }
                            (_, Class::Number | Class::Count | Class::Logical) if scalar => {
                                "(void *)1".into()
                            }
                            (_, Class::String) if scalar => "\"text\"".into(),
                            _ if param.callback.is_some() => "(void *)nothing".into(),
                            _ => "memory".into(),
                        }
                    })
                    .collect();
                writeln!(
                    text,
                    "{{ memset(memory, 0, sizeof memory); {before} foreign(\"{name}\", \
                     ((any)MPI_{name})({})); }}",
                    arguments.join(", ")
                )
                .unwrap();
                number += 1;
            }
        }
        text += "return MPI_Finalize();\n}\n";
        assert!(number > 200, "only {number} calls");
        let printed = outcome("foreign", abi, &text).stdout;
        let wrong: Vec<&str> = printed
            .lines()
            .filter(|line| !NOT_WRONG.iter().any(|(name, _)| line.starts_with(name)))
            .collect();
        assert!(wrong.is_empty(), "{abi}: {wrong:#?}");
    }
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
