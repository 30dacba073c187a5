//! The flags that a prefix adds, and the line that runs.

use crate::Prefix;
use crate::options::{Abi, Request, Stages};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Where the header and the library of a prefix stand.
#[derive(Debug)]
pub struct Flags {
    /// The folder of `mpi.h`.
    pub include: PathBuf,
    /// The folder of the library that the linker takes.
    pub library: PathBuf,
    /// The library's name, as after `-l`.
    pub name: &'static str,
    /// The folder of the library that programs load.
    run_path: PathBuf,
}

impl Flags {
    /// The flags of a prefix for programs of a binary interface.
    pub fn of(prefix: &Prefix, abi: Abi) -> Flags {
        let (include, library) = (prefix.0.join("include"), prefix.0.join("lib"));
        let run_path = library.clone();
        match abi {
            Abi::Standard => Flags {
                include,
                library,
                name: "mpi_abi",
                run_path,
            },
            Abi::Mpich => Flags {
                include: include.join("mpich"),
                library: library.join("mpich"),
                name: "mpi",
                run_path,
            },
        }
    }

    /// What compiling adds.
    pub fn compile(&self) -> Vec<OsString> {
        vec![joined("-I", &self.include)]
    }

    /// What linking adds. The run path is a RUNPATH, which `LD_LIBRARY_PATH` overrides, so that a
    /// program can be run on another library of the same ABI.
    pub fn link(&self) -> Vec<OsString> {
        vec![
            joined("-L", &self.library),
            joined("-Wl,-rpath,", &self.run_path),
            "-Wl,--enable-new-dtags".into(),
            format!("-l{}", self.name).into(),
        ]
    }
}

/// The compiler's command line. The user's arguments come first: their include folders win, and the
/// library follows the objects and archives that need it.
pub(crate) fn line(compiler: Vec<OsString>, request: &Request, flags: &Flags) -> Vec<OsString> {
    let mut line = compiler;
    line.extend(request.compiler_arguments.iter().cloned());
    line.extend(flags.compile());
    if request.stages != Stages::Compile {
        line.extend(flags.link());
    }
    line
}

/// Words as one line that a shell reads back as the same words.
pub fn quoted(words: &[OsString]) -> String {
    words
        .iter()
        .map(|word| quote(word))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quote(word: &OsStr) -> String {
    let text = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+,./:@%^".contains(c) || !c.is_ascii();
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

fn joined(flag: &str, path: &Path) -> OsString {
    let mut word = OsString::from(flag);
    word.push(path);
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::parse;

    fn composed(line: &[&str]) -> String {
        let arguments: Vec<OsString> = line.iter().map(OsString::from).collect();
        let request = parse(&crate::C, &arguments).expect("a line without mistakes");
        quoted(&super::line(
            vec!["gcc".into()],
            &request,
            &Flags::of(&Prefix("/p".into()), request.abi.unwrap_or(Abi::Standard)),
        ))
    }

    #[test]
    fn linking_follows_the_users_arguments() {
        assert_eq!(
            composed(&["a.c", "-o", "a"]),
            "gcc a.c -o a -I/p/include -L/p/lib -Wl,-rpath,/p/lib -Wl,--enable-new-dtags -lmpi_abi"
        );
    }

    #[test]
    fn another_binary_interface_has_folders_of_its_own() {
        assert_eq!(
            composed(&["-abi=mpich", "a.c"]),
            "gcc a.c -I/p/include/mpich -L/p/lib/mpich -Wl,-rpath,/p/lib -Wl,--enable-new-dtags \
             -lmpi"
        );
        assert_eq!(
            composed(&["-abi=standard", "-c", "a.c"]),
            "gcc -c a.c -I/p/include"
        );
    }

    #[test]
    fn compiling_only_adds_no_library() {
        assert_eq!(composed(&["-c", "a.c"]), "gcc -c a.c -I/p/include");
    }

    #[test]
    fn odd_words_are_quoted() {
        assert_eq!(
            composed(&["-c", "a b.c", "-DX=\"it's\""]),
            r#"gcc -c 'a b.c' '-DX="it'\''s"' -I/p/include"#
        );
    }
}
