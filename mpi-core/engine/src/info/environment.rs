//! `MPI_INFO_ENV` and `MPI_Info_create_env`: how this process was started (MPI 5.0, sections 10.5
//! and 11.2.1).

use std::ffi::OsString;
use std::sync::PoisonError;
use std::sync::RwLock;

use super::{MAX_VALUE, Pairs, insert};
use crate::error::Result;
use crate::handle::Info;

/// What the engine knows about how this process was started.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The processes that were to be started with this process's program (`mpiexec -n 2 a : -n 3
    /// b`: 2 for a); 0: not known.
    pub maxprocs: u32,
    /// Name of the host.
    pub host: String,
    /// The thread level that was asked for, by its name in C, for example `MPI_THREAD_SINGLE`.
    pub thread_level: &'static str,
}

/// The content of `MPI_INFO_ENV`; empty until the engine is initialised.
static ENV: RwLock<Pairs> = RwLock::new(Pairs::new());

/// Fills `MPI_INFO_ENV` when the engine is initialised.
pub fn publish(environment: &Environment) {
    let maxprocs = match environment.maxprocs {
        0 => String::new(),
        count => count.to_string(),
    };
    let mut pairs = of_process(std::env::args_os());
    add(&mut pairs, "maxprocs", maxprocs.as_bytes());
    add(&mut pairs, "soft", maxprocs.as_bytes());
    add(&mut pairs, "host", environment.host.as_bytes());
    add(
        &mut pairs,
        "thread_level",
        environment.thread_level.as_bytes(),
    );
    *ENV.write().unwrap_or_else(PoisonError::into_inner) = pairs;
}

/// Makes an info object with what a process knows by itself of what `MPI_INFO_ENV` holds
/// (`MPI_Info_create_env`): the same whether it is made before initialisation, after it, or after
/// finalisation. `arguments` are the program and its arguments; without any, those that the process
/// was started with.
pub fn create_env(arguments: impl IntoIterator<Item = OsString>) -> Result<Info> {
    let mut arguments = arguments.into_iter().peekable();
    insert(match arguments.peek() {
        Some(_) => of_process(arguments),
        None => of_process(std::env::args_os()),
    })
}

pub(super) fn with_env<T>(read: impl FnOnce(&Pairs) -> Result<T>) -> Result<T> {
    read(&ENV.read().unwrap_or_else(PoisonError::into_inner))
}

/// What a process knows by itself.
fn of_process(arguments: impl IntoIterator<Item = OsString>) -> Pairs {
    let mut pairs = Pairs::new();
    let mut arguments = arguments.into_iter();
    if let Some(command) = arguments.next() {
        add(&mut pairs, "command", command.as_encoded_bytes());
    }
    let arguments: Vec<OsString> = arguments.collect();
    let arguments: Vec<&[u8]> = arguments
        .iter()
        .map(|argument| argument.as_encoded_bytes())
        .collect();
    add(&mut pairs, "argv", &arguments.join(&b' '));
    add(&mut pairs, "arch", std::env::consts::ARCH.as_bytes());
    if let Ok(directory) = std::env::current_dir() {
        add(&mut pairs, "wdir", directory.as_os_str().as_encoded_bytes());
    }
    pairs
}

/// Adds a key unless there is nothing to say, or more than a value can hold: half a path would be a
/// wrong one.
fn add(pairs: &mut Pairs, key: &str, value: &[u8]) {
    if !value.is_empty() && value.len() <= MAX_VALUE {
        pairs.push((key.as_bytes().into(), value.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{delete, dup, free, get, set};
    use super::*;
    use crate::error::ErrorClass;

    #[test]
    fn the_environment_is_published_and_cannot_be_changed() {
        let early = create_env(["prog", "-n", "7"].map(OsString::from)).unwrap();
        assert_eq!(
            get(early, b"command").unwrap().as_deref(),
            Some(&b"prog"[..])
        );
        assert_eq!(get(early, b"argv").unwrap().as_deref(), Some(&b"-n 7"[..]));
        assert!(get(early, b"wdir").unwrap().is_some());

        publish(&Environment {
            maxprocs: 4,
            host: String::from("node1"),
            thread_level: "MPI_THREAD_MULTIPLE",
        });
        for (key, value) in [
            ("maxprocs", "4"),
            ("host", "node1"),
            ("thread_level", "MPI_THREAD_MULTIPLE"),
        ] {
            let found = get(Info::ENV, key.as_bytes()).unwrap();
            assert_eq!(found.as_deref(), Some(value.as_bytes()), "{key}");
        }
        assert_eq!(
            set(Info::ENV, b"host", b"other").unwrap_err().class(),
            ErrorClass::INFO
        );
        assert_eq!(
            delete(Info::ENV, b"host").unwrap_err().class(),
            ErrorClass::INFO
        );
        assert_eq!(free(Info::ENV).unwrap_err().class(), ErrorClass::INFO);

        let copy = dup(Info::ENV).unwrap();
        set(copy, b"host", b"other").unwrap();
        let late = create_env(["prog", "-n", "7"].map(OsString::from)).unwrap();
        for key in ["command", "argv", "arch", "wdir", "maxprocs", "host"] {
            let (before, after) = (get(early, key.as_bytes()), get(late, key.as_bytes()));
            assert_eq!(before.unwrap(), after.unwrap(), "{key}");
        }
        for info in [early, copy, late] {
            free(info).unwrap();
        }
    }

    #[test]
    fn a_value_that_does_not_fit_is_left_out() {
        let long = OsString::from("x".repeat(MAX_VALUE + 1));
        let info = create_env([OsString::from("prog"), long]).unwrap();
        assert_eq!(get(info, b"argv").unwrap(), None);
        free(info).unwrap();
    }
}
