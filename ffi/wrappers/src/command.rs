//! The flags that a prefix adds, and the line that runs.

use crate::Prefix;
use crate::options::{Request, Stages};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Where the header and the library of a prefix stand.
#[derive(Debug)]
pub struct Flags {
    /// The folder of `mpi.h`.
    pub include: PathBuf,
    /// The folder of `libmpi_abi.so`.
    pub library: PathBuf,
}

impl Flags {
    /// The library's name, as after `-l`.
    pub const LIBRARY: &str = "mpi_abi";

    /// The flags of a prefix.
    pub fn of(prefix: &Prefix) -> Flags {
        Flags {
            include: prefix.0.join("include"),
            library: prefix.0.join("lib"),
        }
    }

    /// What compiling adds.
    pub fn compile(&self) -> Vec<OsString> {
        vec![joined("-I", &self.include)]
    }

    /// What linking adds. The run path is a RUNPATH, which `LD_LIBRARY_PATH` overrides, so that a program can be run on another
    /// library of the same ABI.
    pub fn link(&self) -> Vec<OsString> {
        vec![
            joined("-L", &self.library),
            joined("-Wl,-rpath,", &self.library),
            "-Wl,--enable-new-dtags".into(),
            format!("-l{}", Flags::LIBRARY).into(),
        ]
    }
}

/// The compiler's command line. The user's arguments come first: their include folders win, and the library follows the
/// objects and archives that need it.
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
            &Flags::of(&Prefix("/p".into())),
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
