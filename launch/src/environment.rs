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

impl Environment {
    /// The environment of a program by its own level over that of all programs.
    pub(crate) fn resolve(
        &self,
        of_all: &Environment,
        inherited: impl Iterator<Item = (OsString, OsString)>,
    ) -> Vec<(OsString, OsString)> {
        let all = Inherit::All;
        let inherit = self
            .inherit
            .as_ref()
            .or(of_all.inherit.as_ref())
            .unwrap_or(&all);
        let mut variables: Vec<(OsString, OsString)> = match inherit {
            Inherit::All => inherited.collect(),
            Inherit::Nothing => Vec::new(),
            Inherit::List(names) => inherited.filter(|(name, _)| names.contains(name)).collect(),
        };
        for (name, value) in of_all.set.iter().chain(&self.set) {
            variables.retain(|(n, _)| n != name);
            variables.push((name.clone(), value.clone()));
        }
        variables
    }
}

/// A variable of an environment.
pub(crate) fn value<'a>(variables: &'a [(OsString, OsString)], name: &str) -> Option<&'a OsStr> {
    variables
        .iter()
        .find(|(n, _)| n == name)
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
            pairs(&[("B", "2"), ("Y", "all"), ("X", "own")])
        );
        assert_eq!(
            resolve(&Environment::default(), &of_all),
            pairs(&[("X", "all"), ("Y", "all")])
        );
        assert_eq!(
            resolve(&Environment::default(), &Environment::default()),
            inherited
        );
    }
}
