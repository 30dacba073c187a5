//! The options: their spellings, how many values they take, and what other launchers' options mean
//! here.

/// An option that is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opt {
    /// Ranks of this program.
    Count,
    /// A variable and its value for this program.
    Env,
    /// The same for all programs.
    GlobalEnv,
    /// Which variables of mpiexec's own this program gets.
    EnvList,
    EnvAll,
    EnvNone,
    /// The same for all programs.
    GlobalEnvList,
    GlobalEnvAll,
    GlobalEnvNone,
    /// `NAME` or `NAME=VALUE`, for this program.
    Export,
    Directory,
    Label,
    Bind,
    Timeout,
    Stdin,
    Help,
    Version,
    /// Hosts in a list, for this program and those after it.
    Hosts,
    /// The same from a file.
    HostFile,
    /// Ranks for each host.
    PerHost,
    /// The same in Open MPI's words.
    MapBy,
    /// More ranks than slots are no news.
    Oversubscribe,
    /// Tell which rank runs where.
    PrintMap,
    /// How agents are started: by which kind of program, by which program, where it finds mpiexec,
    /// and how many by one process.
    Launcher,
    LauncherExec,
    Prefix,
    TreeWidth,
    /// Look at hosts instead of running a job.
    Doctor,
    /// Means nothing here.
    Nothing,
}

/// Where the values of an option end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    None,
    One,
    /// `NAME VALUE` or `NAME=VALUE`.
    Variable,
}

/// Every option, by spellings without their dashes.
const OPTIONS: &[(&[&str], Values, Opt)] = &[
    (&["n", "np", "c"], Values::One, Opt::Count),
    (&["env"], Values::Variable, Opt::Env),
    (&["genv"], Values::Variable, Opt::GlobalEnv),
    (&["envlist"], Values::One, Opt::EnvList),
    (&["envall"], Values::None, Opt::EnvAll),
    (&["envnone"], Values::None, Opt::EnvNone),
    (&["genvlist"], Values::One, Opt::GlobalEnvList),
    (&["genvall"], Values::None, Opt::GlobalEnvAll),
    (&["genvnone"], Values::None, Opt::GlobalEnvNone),
    (&["x"], Values::One, Opt::Export),
    (&["wdir", "wd"], Values::One, Opt::Directory),
    (&["l", "prepend-rank"], Values::None, Opt::Label),
    (&["bind-to"], Values::One, Opt::Bind),
    (&["timeout"], Values::One, Opt::Timeout),
    (&["s", "stdin"], Values::One, Opt::Stdin),
    (&["help", "h", "?"], Values::None, Opt::Help),
    (&["version", "V"], Values::None, Opt::Version),
    (&["hosts", "host", "H"], Values::One, Opt::Hosts),
    (
        &[
            "f",
            "hostfile",
            "machinefile",
            "machine",
            "default-hostfile",
        ],
        Values::One,
        Opt::HostFile,
    ),
    (&["ppn", "perhost", "npernode"], Values::One, Opt::PerHost),
    (&["map-by"], Values::One, Opt::MapBy),
    (&["oversubscribe"], Values::None, Opt::Oversubscribe),
    (
        &["print-map", "display-map", "print-rank-map"],
        Values::None,
        Opt::PrintMap,
    ),
    (&["launcher", "bootstrap"], Values::One, Opt::Launcher),
    (&["launcher-exec"], Values::One, Opt::LauncherExec),
    (&["prefix"], Values::One, Opt::Prefix),
    (&["tree-width"], Values::One, Opt::TreeWidth),
    (&["doctor"], Values::None, Opt::Doctor),
    (&["allow-run-as-root"], Values::None, Opt::Nothing),
];

/// Options of other launchers that ask for something that is not there.
const REFUSED: &[(&[&str], &str)] = &[
    (
        &["mca", "gmca", "prtemca", "pmixmca"],
        "this is an option of Open MPI's; settings of Ferrite are environment variables FERRITE_*, \
         listed by ferrite-info",
    ),
    (
        &["configfile", "app"],
        "reading the job from a file is not built; separate several programs by ':'",
    ),
    (
        &["rsh", "rmk"],
        "ranks of other hosts are started through ssh, or what -launcher-exec names; there is no \
         resource manager",
    ),
    (
        &["iface"],
        "networks are chosen by the ranks themselves; settings of Ferrite are environment \
         variables, listed by ferrite-info",
    ),
    (
        &["rankfile", "rank-by"],
        "placing single ranks is not built; see -bind-to in 'mpiexec --help'",
    ),
];

/// What an option's spelling, without its dashes, stands for.
pub(crate) fn find(name: &str) -> Result<(Values, Opt), String> {
    if let Some((_, values, option)) = OPTIONS.iter().find(|(names, ..)| names.contains(&name)) {
        return Ok((*values, *option));
    }
    if let Some((_, why)) = REFUSED.iter().find(|(names, _)| names.contains(&name)) {
        return Err(format!("option -{name}: {why}"));
    }
    let near = nearest(name).map_or(String::new(), |near| format!("; did you mean -{near}?"));
    Err(format!(
        "unknown option -{name}{near} (all options: mpiexec --help)"
    ))
}

/// The known spelling that differs least, unless all are far.
fn nearest(name: &str) -> Option<&'static str> {
    let known = OPTIONS.iter().flat_map(|(names, ..)| names.iter().copied());
    let (distance, near) = known
        .filter(|known| known.len() > 1)
        .map(|known| (distance(name, known), known))
        .min()?;
    // One letter in three may be wrong: short names resemble too many others.
    (distance <= (name.len() / 3).min(3)).then_some(near)
}

/// Insertions, deletions, replacements and swaps of neighbours that make `b` of `a`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_option_names_the_nearest_known_one() {
        for (wrong, near) in [
            ("bindto", "-bind-to"),
            ("nnp", "-np"),
            ("genvv", "-genv"),
            ("wdri", "-wdir"),
            ("time-out", "-timeout"),
            ("prependrank", "-prepend-rank"),
        ] {
            let sentence = find(wrong).unwrap_err();
            assert!(
                sentence.contains(&format!("did you mean {near}?")),
                "{sentence}"
            );
        }
        for strange in ["completely-different", "d", "g", "nx", "fo", "verbose"] {
            let sentence = find(strange).unwrap_err();
            assert!(!sentence.contains("did you mean"), "{sentence}");
        }
    }

    #[test]
    fn options_of_other_launchers_are_refused_with_their_reason() {
        assert!(find("rmk").unwrap_err().contains("no resource manager"));
        assert!(find("mca").unwrap_err().contains("FERRITE_"));
    }

    #[test]
    fn no_spelling_stands_twice() {
        let mut names: Vec<&str> = OPTIONS
            .iter()
            .flat_map(|o| o.0)
            .chain(REFUSED.iter().flat_map(|r| r.0))
            .copied()
            .collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
