//! What the user asked of a wrapper: its own options apart from the compiler's, and which stages
//! the compiler will run.

use crate::Language;
use std::ffi::{OsStr, OsString};

/// A question that is answered without running the compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// The whole line that would run.
    Line,
    /// The compiler and the flags for compiling.
    CompileCommand,
    /// The compiler and the flags for linking.
    LinkCommand,
    /// The compiler.
    Command,
    /// Flags for compiling.
    CompileFlags,
    /// Flags for linking.
    LinkFlags,
    /// Where `mpi.h` stands.
    IncludeDirectories,
    /// Where the library stands.
    LibraryDirectories,
    /// The library's name, as after `-l`.
    Libraries,
    /// The wrapper's version.
    Version,
    /// The wrapper's options.
    Help,
}

/// Which stages the compiler will run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stages {
    /// None: there is no input file.
    None,
    /// Up to an object file at most.
    Compile,
    /// Up to a program or a library.
    Link,
}

/// Which binary interface a program gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abi {
    /// That of the MPI 5.0 standard.
    Standard,
    /// MPICH's.
    Mpich,
}

impl Abi {
    /// The interface of this name.
    pub(crate) fn named(name: &str) -> Option<Abi> {
        match name {
            "standard" => Some(Abi::Standard),
            "mpich" => Some(Abi::Mpich),
            _ => None,
        }
    }
}

/// A command line of a wrapper, understood.
#[derive(Debug)]
pub struct Request {
    /// The binary interface, if one is named.
    pub abi: Option<Abi>,
    /// The question, if there is one.
    pub query: Option<Query>,
    /// The compiler named on the command line.
    pub compiler: Option<String>,
    /// What goes to the compiler as it stands.
    pub compiler_arguments: Vec<OsString>,
    /// Which stages these arguments ask for.
    pub stages: Stages,
    /// Whether the compiler was asked to be verbose.
    pub verbose: bool,
}

/// Options of gcc and clang whose value is the next argument; anything else that does not start
/// with `-` is an input.
const WITH_VALUE: &[&str] = &[
    "-o",
    "-I",
    "-L",
    "-D",
    "-U",
    "-x",
    "-A",
    "-B",
    "-F",
    "-G",
    "-T",
    "-u",
    "-z",
    "-e",
    "-MF",
    "-MT",
    "-MQ",
    "-MJ",
    "-include",
    "-imacros",
    "-isystem",
    "-iquote",
    "-idirafter",
    "-isysroot",
    "-iprefix",
    "-iwithprefix",
    "-iwithprefixbefore",
    "-imultilib",
    "-Xlinker",
    "-Xassembler",
    "-Xpreprocessor",
    "-Xclang",
    "-aux-info",
    "-arch",
    "-target",
    "-framework",
    "-wrapper",
    "-dumpbase",
    "-dumpdir",
    "-dumpbase-ext",
    "--param",
    "--sysroot",
    "-mllvm",
];

/// Options that end the compiler's work before the linker.
const NO_LINK: &[&str] = &["-c", "-S", "-E", "-M", "-MM", "-fsyntax-only"];

/// Separates the wrapper's options from the compiler's.
///
/// # Errors
/// A sentence when an option of the wrapper is malformed.
pub(crate) fn parse(language: &Language, arguments: &[OsString]) -> Result<Request, String> {
    let mut request = Request {
        abi: None,
        query: None,
        compiler: None,
        compiler_arguments: Vec::with_capacity(arguments.len()),
        stages: Stages::None,
        verbose: false,
    };
    let mut inputs = false;
    let mut links = true;
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let text = argument.to_string_lossy();
        if let Some(compiler) = text.strip_prefix(language.option) {
            if compiler.trim().is_empty() {
                return Err(format!(
                    "{}COMPILER: the compiler is missing",
                    language.option
                ));
            }
            request.compiler = Some(compiler.to_owned());
            continue;
        }
        if let Some(abi) = text.strip_prefix("-abi=") {
            let named = Abi::named(abi);
            let named = named.ok_or(format!("{text} is not known; -abi=standard or -abi=mpich"))?;
            request.abi = Some(named);
            continue;
        }
        if let Some(query) = query(&text)? {
            if request.query.is_some_and(|earlier| earlier != query) {
                return Err(format!("{text} asks a second question; ask one at a time"));
            }
            request.query = Some(query);
            continue;
        }
        request.compiler_arguments.push(argument.clone());
        if NO_LINK.contains(&&*text) {
            links = false;
        } else if WITH_VALUE.contains(&&*text) {
            request.compiler_arguments.extend(rest.next().cloned());
        } else if is_input(argument) {
            inputs = true;
        }
        request.verbose |= text == "-v";
    }
    request.stages = match (inputs, links) {
        (false, _) => Stages::None,
        (true, false) => Stages::Compile,
        (true, true) => Stages::Link,
    };
    Ok(request)
}

/// Whether an argument that is no option's value is a file, standard input, a file of arguments or
/// a library.
fn is_input(argument: &OsStr) -> bool {
    let text = argument.to_string_lossy();
    !text.starts_with('-') || text == "-" || text.starts_with("-l")
}

fn query(argument: &str) -> Result<Option<Query>, String> {
    if let Some(word) = argument
        .strip_prefix("--showme")
        .or_else(|| argument.strip_prefix("-showme"))
    {
        return match word {
            "" => Ok(Some(Query::Line)),
            ":command" => Ok(Some(Query::Command)),
            ":compile" => Ok(Some(Query::CompileFlags)),
            ":link" => Ok(Some(Query::LinkFlags)),
            ":incdirs" => Ok(Some(Query::IncludeDirectories)),
            ":libdirs" => Ok(Some(Query::LibraryDirectories)),
            ":libs" => Ok(Some(Query::Libraries)),
            ":version" => Ok(Some(Query::Version)),
            ":help" => Ok(Some(Query::Help)),
            _ => Err(format!(
                "{argument} is not known; --showme alone or with :command, :compile, :link, \
                 :incdirs, :libdirs, :libs, \
                 :version or :help"
            )),
        };
    }
    Ok(match argument {
        "-show" => Some(Query::Line),
        "-compile-info" | "-compile_info" => Some(Query::CompileCommand),
        "-link-info" | "-link_info" => Some(Query::LinkCommand),
        "-help" | "--help" => Some(Query::Help),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Request {
        let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        parse(&crate::C, &arguments).expect("a line without mistakes")
    }

    #[test]
    fn stages_follow_the_compilers_options() {
        for (line, stages) in [
            ("a.c -o a", Stages::Link),
            ("-c a.c", Stages::Compile),
            ("-E a.c", Stages::Compile),
            ("-MM a.c", Stages::Compile),
            ("-MD -MF a.d a.c", Stages::Link),
            ("-MD -MF a.d", Stages::None),
            ("-x c -", Stages::Link),
            ("-o a -lm", Stages::Link),
            ("-o a", Stages::None),
            ("-I dir", Stages::None),
            ("@arguments", Stages::Link),
            ("--version", Stages::None),
            ("-v", Stages::None),
        ] {
            assert_eq!(parsed(line).stages, stages, "{line}");
        }
    }

    #[test]
    fn a_value_is_never_a_question() {
        let request = parsed("-o -show a.c");
        assert_eq!(request.query, None);
        assert_eq!(request.compiler_arguments, ["-o", "-show", "a.c"]);
    }

    #[test]
    fn questions_do_not_reach_the_compiler() {
        let request = parsed("-cc=clang -show -O2 a.c");
        assert_eq!(request.query, Some(Query::Line));
        assert_eq!(request.compiler.as_deref(), Some("clang"));
        assert_eq!(request.compiler_arguments, ["-O2", "a.c"]);
    }

    #[test]
    fn mistakes_are_named() {
        for line in ["-cc=", "--showme:lonk", "-show --showme:libs", "-abi=lam"] {
            let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            assert!(parse(&crate::C, &arguments).is_err(), "{line}");
        }
    }
}
