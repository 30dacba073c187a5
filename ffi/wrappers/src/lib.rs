//! The compiler wrappers `mpicc` and `mpicxx`.
//!
//! A wrapper runs a compiler with the flags that find `mpi.h` and the library of a binary interface
//! in the prefix the wrapper itself stands in. It keeps no configuration: the prefix is two levels
//! above the wrapper's real path, so a prefix that was moved goes on working. It knows the query
//! options of MPICH's wrappers (`-show`, `-compile-info`, `-link-info`) and of Open MPI's
//! (`--showme`), because build systems ask either. It does not know what the library contains.
#![forbid(unsafe_code)]

mod command;
mod compiler;
mod options;
mod prefix;

use std::ffi::OsString;
use std::process::ExitCode;

pub use command::{Flags, quoted};
pub use options::{Abi, Query, Request};
pub use prefix::Prefix;

/// What differs between the wrappers.
pub struct Language {
    /// The wrapper's name.
    pub wrapper: &'static str,
    /// The option that names the compiler, with its `=`.
    pub option: &'static str,
    /// Environment variables that name the compiler, the first one that is set wins.
    pub variables: &'static [&'static str],
    /// Compilers to look for in `PATH` when nothing names one.
    pub compilers: &'static [&'static str],
}

/// The C language.
pub const C: Language = Language {
    wrapper: "mpicc",
    option: "-cc=",
    variables: &["FERRITE_CC", "MPICH_CC", "OMPI_CC"],
    compilers: &["gcc", "cc", "clang"],
};

/// The C++ language.
pub const CXX: Language = Language {
    wrapper: "mpicxx",
    option: "-cxx=",
    variables: &["FERRITE_CXX", "MPICH_CXX", "OMPI_CXX"],
    compilers: &["g++", "c++", "clang++"],
};

/// Runs a wrapper with the arguments and the environment of this process.
pub fn main(language: &Language) -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match wrap(language, &arguments) {
        Ok(status) => status,
        Err(sentence) => {
            eprintln!("{}: {sentence}", language.wrapper);
            ExitCode::FAILURE
        }
    }
}

fn wrap(language: &Language, arguments: &[OsString]) -> Result<ExitCode, String> {
    let request = options::parse(language, arguments)?;
    let prefix = || Prefix::of_this_program();
    let abi = abi(&request)?;
    let compiler = || compiler::choose(language, request.compiler.as_deref());
    let text = match &request.query {
        Some(Query::Help) => help(language),
        Some(Query::Version) => version(language),
        Some(Query::Command) => quoted(&compiler()?),
        Some(query) => {
            let flags = Flags::of(&prefix()?, abi);
            match query {
                Query::CompileFlags => quoted(&flags.compile()),
                Query::LinkFlags => quoted(&flags.link()),
                Query::IncludeDirectories => flags.include.display().to_string(),
                Query::LibraryDirectories => flags.library.display().to_string(),
                Query::Libraries => flags.name.to_owned(),
                Query::CompileCommand => quoted(&[compiler()?, flags.compile()].concat()),
                Query::LinkCommand => quoted(&[compiler()?, flags.link()].concat()),
                _ => quoted(&command::line(compiler()?, &request, &flags)),
            }
        }
        None => {
            if request.compiler_arguments.is_empty() {
                return Err(format!(
                    "no input files; `{} -help` lists the options",
                    language.wrapper
                ));
            }
            if request.verbose && request.stages == options::Stages::None {
                eprintln!("{}", version(language));
            }
            let line = if request.stages == options::Stages::None {
                // Nothing to compile or link: a question to the compiler itself, such as --version.
                [compiler()?, request.compiler_arguments].concat()
            } else {
                command::line(compiler()?, &request, &Flags::of(&prefix()?, abi))
            };
            return Err(compiler::run(&line));
        }
    };
    println!("{text}");
    Ok(ExitCode::SUCCESS)
}

/// The binary interface: as the command line says, or else the environment, for builds that cannot
/// pass an option.
fn abi(request: &Request) -> Result<Abi, String> {
    match (request.abi, std::env::var("FERRITE_ABI")) {
        (Some(named), _) => Ok(named),
        (None, Ok(name)) if !name.is_empty() => Abi::named(&name)
            .ok_or_else(|| format!("FERRITE_ABI={name} is not known; standard or mpich")),
        _ => Ok(Abi::Standard),
    }
}

fn version(language: &Language) -> String {
    format!(
        "{} for Ferrite MPI {}",
        language.wrapper,
        env!("CARGO_PKG_VERSION")
    )
}

fn help(language: &Language) -> String {
    let Language {
        wrapper,
        option,
        variables,
        compilers,
    } = language;
    format!(
        "{version}
Usage: {wrapper} [option] [compiler arguments]

Runs a compiler with what an MPI program needs to compile and to link.

  {option}COMPILER        use this compiler; it may carry arguments of its own
  -abi=standard         the binary interface of MPI 5.0, unless said otherwise
  -abi=mpich            MPICH's and Intel MPI's, for libmpi.so.12 (also FERRITE_ABI=mpich)
  -show                 print the command line and do not run it (also --showme)
  -compile-info         print the command that compiles
  -link-info            print the command that links
  --showme:command      print the compiler
  --showme:compile      print the flags that compiling adds
  --showme:link         print the flags that linking adds
  --showme:incdirs      print the folder of mpi.h
  --showme:libdirs      print the folder of the library
  --showme:libs         print the library's name
  --showme:version      print the version
  --showme:help, -help  print this text

Environment: {variables} name the compiler, the first that is set wins.
Without any, the first of {compilers} found in PATH.",
        version = version(language),
        variables = variables.join(", "),
        compilers = compilers.join(", "),
    )
}
