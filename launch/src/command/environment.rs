//! The environment of a program: which of mpiexec's own variables it gets, and what is set on top.

use std::ffi::{OsStr, OsString};

/// Which variables of mpiexec's own a program gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Inherit {
    /// Every one.
    #[default]
    All,
    /// None.
    Nothing,
    /// These.
    List(Vec<OsString>),
}

/// One level, of all programs or of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Environment {
    /// `None`: not said at this level.
    pub(crate) inherit: Option<Inherit>,
    /// Variables that are set, in the order of the command line; a later one wins.
    pub(crate) set: Vec<(OsString, OsString)>,
}

/// Variables that describe the host, the login or the terminal where they are set. A program on
/// another host has those of that host.
pub(crate) const OF_HOST: &[&str] = &[
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "GPG_AGENT_INFO",
    "GPG_TTY",
    "HOME",
    "HOST",
    "HOSTNAME",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LOGNAME",
    "MAIL",
    "NOTIFY_SOCKET",
    "SHELL",
    "SSH_ASKPASS",
    "SSH_AUTH_SOCK",
    "SSH_CLIENT",
    "SSH_CONNECTION",
    "SSH_TTY",
    "STY",
    "SYSTEMD_EXEC_PID",
    "TMUX",
    "TMUX_PANE",
    "USER",
    "WAYLAND_DISPLAY",
    "WINDOW",
    "WINDOWID",
    "XAUTHORITY",
    "XDG_RUNTIME_DIR",
    "XDG_SESSION_ID",
];

/// Variables of a launcher that started mpiexec itself: its ranks are not that launcher's.
const OF_LAUNCHER: &[&str] = &[
    "PMI_FD",
    "PMI_ID",
    "PMI_PORT",
    "PMI_RANK",
    "PMI_SIZE",
    "PMI_SPAWNED",
    "PMIX_NAMESPACE",
    "PMIX_RANK",
];

/// Whether a variable describes the host where it is set.
pub(crate) fn is_of_host(name: &OsStr) -> bool {
    OF_HOST.iter().any(|&n| n == name)
}

impl Environment {
    /// The environment of a program by its own level over that of all programs: variables that it
    /// has on every host, and whether those that describe its host come to that.
    pub(crate) fn resolve(
        &self,
        of_all: &Environment,
        inherited: impl Iterator<Item = (OsString, OsString)>,
    ) -> (Vec<(OsString, OsString)>, bool) {
        let all = Inherit::All;
        let inherit = self
            .inherit
            .as_ref()
            .or(of_all.inherit.as_ref())
            .unwrap_or(&all);
        let inherited = inherited.filter(|(name, _)| !OF_LAUNCHER.iter().any(|n| n == name));
        let mut variables: Vec<(OsString, OsString)> = match inherit {
            Inherit::All => inherited.filter(|(name, _)| !is_of_host(name)).collect(),
            Inherit::Nothing => Vec::new(),
            Inherit::List(names) => inherited.filter(|(name, _)| names.contains(name)).collect(),
        };
        for (name, value) in of_all.set.iter().chain(&self.set) {
            variables.retain(|(n, _)| n != name);
            variables.push((name.clone(), value.clone()));
        }
        (variables, *inherit == Inherit::All)
    }
}

/// The whole environment of a program on this host.
pub(crate) fn here(
    everywhere: &[(OsString, OsString)],
    of_host: bool,
) -> Vec<(OsString, OsString)> {
    let mut variables: Vec<(OsString, OsString)> = std::env::vars_os()
        .filter(|(name, _)| of_host && is_of_host(name))
        .collect();
    variables.retain(|(name, _)| value(everywhere, name).is_none());
    variables.extend_from_slice(everywhere);
    variables
}

/// A variable of an environment.
pub(crate) fn value(variables: &[(OsString, OsString)], name: impl AsRef<OsStr>) -> Option<&OsStr> {
    variables
        .iter()
        .find(|(n, _)| n == name.as_ref())
        .map(|(_, value)| value.as_os_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        list.iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    #[test]
    fn a_program_s_own_level_stands_over_that_of_all() {
        let inherited = pairs(&[("A", "1"), ("B", "2")]);
        let of_all = Environment {
            inherit: Some(Inherit::Nothing),
            set: pairs(&[("X", "all"), ("Y", "all")]),
        };
        let own = Environment {
            inherit: Some(Inherit::List(vec!["B".into()])),
            set: pairs(&[("X", "own")]),
        };
        let resolve = |own: &Environment, of_all: &Environment| {
            own.resolve(of_all, inherited.clone().into_iter())
        };
        assert_eq!(
            resolve(&own, &of_all),
            (pairs(&[("B", "2"), ("Y", "all"), ("X", "own")]), false)
        );
        assert_eq!(
            resolve(&Environment::default(), &of_all),
            (pairs(&[("X", "all"), ("Y", "all")]), false)
        );
        assert_eq!(
            resolve(&Environment::default(), &Environment::default()),
            (inherited.clone(), true)
        );
    }

    #[test]
    fn what_describes_a_host_does_not_travel_unless_it_is_named() {
        let inherited = pairs(&[("HOSTNAME", "h1"), ("A", "1"), ("PMI_PORT", "h0:7")]);
        let resolve =
            |own: &Environment| own.resolve(&Environment::default(), inherited.clone().into_iter());
        let mut own = Environment::default();
        assert_eq!(resolve(&own), (pairs(&[("A", "1")]), true));
        own.set = pairs(&[("HOSTNAME", "set")]);
        let set = pairs(&[("A", "1"), ("HOSTNAME", "set")]);
        assert_eq!(resolve(&own), (set.clone(), true));
        assert_eq!(value(&here(&set, true), "HOSTNAME"), Some("set".as_ref()));
        own = Environment {
            inherit: Some(Inherit::List(vec!["HOSTNAME".into()])),
            set: Vec::new(),
        };
        assert_eq!(resolve(&own), (pairs(&[("HOSTNAME", "h1")]), false));
    }
}
