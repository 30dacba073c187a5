//! The hosts that a resource manager has given this job, for an mpiexec that is told none.
//!
//! Slurm, PBS, LSF and Grid Engine tell them by variables and files. The managers' own ways of
//! starting processes are not used: hosts are reached as others are. Nothing is looked up here but
//! these files.

use super::hosts;
use super::hosts::Entry;
use std::ffi::OsString;
use std::path::Path;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// No manager, or one that has started this process as one of several.
    Nothing,
    /// One host, with so many places: this machine, whatever it is called there.
    One(u32),
    /// Several.
    Hosts(Vec<Entry>),
    /// A list that names several hosts, or may, and cannot be used: a sentence.
    Unusable(String),
    /// A file that is not here, as in a container: a sentence.
    Absent(String),
}

/// Hosts with their places, from a variable's value and the other variables.
type Read = fn(&str, &dyn Fn(&str) -> Option<String>) -> Result<Vec<(String, u32)>, Trouble>;

/// One manager's list.
struct List {
    manager: &'static str,
    variable: &'static str,
    read: Read,
}

enum Trouble {
    Unreadable(std::io::Error),
    Odd(String),
}

/// In the order in which they are asked.
const LISTS: &[List] = &[
    List {
        manager: "Slurm",
        variable: "SLURM_JOB_NODELIST",
        read: slurm,
    },
    List {
        manager: "PBS",
        variable: "PBS_NODEFILE",
        read: |path, _| lines_of(path),
    },
    List {
        manager: "LSF",
        variable: "LSB_DJOB_HOSTFILE",
        read: |path, _| lines_of(path),
    },
    List {
        manager: "LSF",
        variable: "LSB_MCPU_HOSTS",
        read: |text, _| pairs(text.split_whitespace()),
    },
    List {
        manager: "Grid Engine",
        variable: "PE_HOSTFILE",
        read: |path, _| {
            // host slots queue processors
            let text = file(path)?;
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            pairs(lines.flat_map(|line| {
                let mut words = line.split_whitespace();
                [words.next().unwrap_or(""), words.next().unwrap_or("")]
            }))
        },
    },
];

/// Looks for an allocation. `variable` looks up mpiexec's own environment.
pub(crate) fn find(variable: impl Fn(&str) -> Option<OsString>) -> Found {
    let variable = |name: &str| {
        let value = variable(name)?.to_string_lossy().into_owned();
        (!value.trim().is_empty()).then_some(value)
    };
    let set = |list: &'static List| Some((list, variable(list.variable)?));
    let Some((list, value)) = LISTS.iter().find_map(set) else {
        return Found::Nothing;
    };
    let List {
        manager,
        variable: name,
        read,
    } = list;
    let is_one_of_several = |name| variable(name).is_some_and(|tasks| tasks.trim() != "1");
    if *manager == "Slurm" && is_one_of_several("SLURM_STEP_NUM_TASKS") {
        // srun has started several: each is a job of its own.
        return Found::Nothing;
    }
    let found = format!("{manager}'s allocation of this job ({name}={value})");
    match read(&value, &variable).and_then(entries) {
        Ok(entries) => match &entries[..] {
            [one] => Found::One(one.slots.unwrap_or(1)),
            _ => Found::Hosts(entries),
        },
        Err(Trouble::Unreadable(e)) => Found::Absent(format!(
            "warning: {found} cannot be read here ({e}): all ranks run on this machine, unless \
             -hosts names others"
        )),
        Err(Trouble::Odd(what)) => Found::Unusable(format!(
            "{found} is not understood: {what}. Name its hosts with -hosts HOST:RANKS,..., or say \
             -hosts localhost to use this machine alone"
        )),
    }
}

/// The hosts in the order of their first mention.
fn entries(named: Vec<(String, u32)>) -> Result<Vec<Entry>, Trouble> {
    let mut entries: Vec<Entry> = Vec::new();
    for (name, slots) in named {
        if slots == 0 {
            continue;
        }
        match entries.iter_mut().find(|entry| entry.name == name) {
            Some(entry) => entry.slots = Some(entry.slots.unwrap_or(0).saturating_add(slots)),
            None => {
                let mut read = hosts::parse_list(&name).map_err(Trouble::Odd)?;
                let Some(mut entry) = read.pop().filter(|_| read.is_empty()) else {
                    return Err(Trouble::Odd(format!("{name:?} is no name of a host")));
                };
                entry.slots = Some(slots);
                entries.push(entry);
            }
        }
    }
    match entries.is_empty() {
        true => Err(Trouble::Odd("it names no host".into())),
        false => Ok(entries),
    }
}

fn file(path: &str) -> Result<String, Trouble> {
    std::fs::read_to_string(Path::new(path.trim())).map_err(Trouble::Unreadable)
}

/// A host's name on each line, once for each place.
fn lines_of(path: &str) -> Result<Vec<(String, u32)>, Trouble> {
    let text = file(path)?;
    let names = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(names.map(|name| (name.to_string(), 1)).collect())
}

/// `host places host places ...`
fn pairs<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<Vec<(String, u32)>, Trouble> {
    let mut named = Vec::new();
    while let Some(host) = words.next() {
        let places = words.next().unwrap_or("");
        let Ok(places) = places.parse() else {
            return Err(Trouble::Odd(format!(
                "{places:?} after {host} is no number of places"
            )));
        };
        named.push((host.to_string(), places));
    }
    Ok(named)
}

/// Slurm's list of nodes, with its tasks, or else processors, on each.
fn slurm(
    nodes: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<(String, u32)>, Trouble> {
    let names = node_list(nodes).map_err(Trouble::Odd)?;
    let places = ["SLURM_TASKS_PER_NODE", "SLURM_JOB_CPUS_PER_NODE"];
    let places = places.iter().find_map(|name| Some((name, variable(name)?)));
    let each = match places {
        None => vec![1; names.len()],
        Some((name, text)) => repeated(&text)
            .filter(|each| each.len() == names.len())
            .ok_or_else(|| {
                let nodes = names.len();
                Trouble::Odd(format!(
                    "{name}={text} does not tell the tasks of {nodes} nodes"
                ))
            })?,
    };
    Ok(names.into_iter().zip(each).collect())
}

/// More hosts than any machine has.
const MOST_HOSTS: usize = 1 << 20;

/// `2(x3),1`: 2, 2, 2, 1.
fn repeated(text: &str) -> Option<Vec<u32>> {
    let mut all = Vec::new();
    for part in text.trim().split(',') {
        let (number, times) = match part.split_once("(x") {
            Some((number, times)) => (number, times.strip_suffix(')')?.parse().ok()?),
            None => (part, 1usize),
        };
        let number = number.parse().ok()?;
        if times > MOST_HOSTS - all.len() {
            return None;
        }
        all.resize(all.len() + times, number);
    }
    Some(all)
}

/// `n[01-03,7],gpu[1-2]-ib,login`: every name, in order. Where a name has several brackets, the
/// last one runs first.
fn node_list(text: &str) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        // Names of which `rest` is what follows them, up to a comma outside brackets.
        let mut begun = vec![String::new()];
        loop {
            let end = rest.find(['[', ',']).unwrap_or(rest.len());
            begun
                .iter_mut()
                .for_each(|name| name.push_str(&rest[..end]));
            let Some(inside) = rest[end..].strip_prefix('[') else {
                rest = rest[end..].strip_prefix(',').unwrap_or("");
                break;
            };
            let (inside, after) = inside
                .split_once(']')
                .ok_or_else(|| "a bracket is not closed".to_string())?;
            let numbers = numbers(inside, MOST_HOSTS / begun.len())?;
            begun = begun
                .iter()
                .flat_map(|name| numbers.iter().map(move |number| format!("{name}{number}")))
                .collect();
            rest = after;
        }
        if names.len() + begun.len() > MOST_HOSTS {
            return Err("it names too many hosts".into());
        }
        names.append(&mut begun);
    }
    Ok(names)
}

/// `01-03,7`: 01, 02, 03, 7.
fn numbers(text: &str, most: usize) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let range = match (first.parse::<u64>(), last.parse::<u64>()) {
            (Ok(from), Ok(to)) if is_number(first) && is_number(last) && from <= to => from..=to,
            _ => return Err(format!("{part:?} is no number or range of numbers")),
        };
        if range.end() - range.start() >= (most - all.len()) as u64 {
            return Err("it names too many hosts".into());
        }
        let width = first.len();
        all.extend(range.map(|number| format!("{number:0width$}")));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(variables: &[(&str, &str)]) -> Found {
        find(|name| {
            let set = variables.iter().find(|(n, _)| *n == name);
            set.map(|(_, value)| value.into())
        })
    }

    fn hosts(list: &str) -> Found {
        Found::Hosts(hosts::parse_list(list).unwrap())
    }

    fn unusable(variables: &[(&str, &str)]) -> String {
        match found(variables) {
            Found::Unusable(sentence) => sentence,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn slurm() {
        let nodes = ("SLURM_JOB_NODELIST", "n[01-03,7],gpu[9-10]-ib,login");
        let tasks = ("SLURM_TASKS_PER_NODE", "2(x3),1,4(x2),3");
        assert_eq!(
            found(&[nodes, tasks]),
            hosts("n01:2,n02:2,n03:2,n7:1,gpu9-ib:4,gpu10-ib:4,login:3")
        );
        let racks = ("SLURM_JOB_NODELIST", "r[1-2]n[08-10]");
        assert_eq!(
            found(&[racks, ("SLURM_JOB_CPUS_PER_NODE", "16(x6)")]),
            hosts("r1n08:16,r1n09:16,r1n10:16,r2n08:16,r2n09:16,r2n10:16")
        );
        assert_eq!(found(&[("SLURM_JOB_NODELIST", "a,b")]), hosts("a:1,b:1"));
        // One node runs as it did; of several tasks of srun, each is alone.
        let one = [("SLURM_JOB_NODELIST", "n5"), ("SLURM_TASKS_PER_NODE", "4")];
        assert_eq!(found(&one), Found::One(4));
        let step = |tasks| found(&[racks, ("SLURM_STEP_NUM_TASKS", tasks)]);
        assert_eq!(step("6"), Found::Nothing);
        assert!(matches!(step("1"), Found::Hosts(_)));
        assert_eq!(found(&[("HOME", "/")]), Found::Nothing);
        for (nodes, tasks, says) in [
            ("n[1-3", "1(x3)", "not closed"),
            ("n[3-1]", "1", "\"3-1\" is no number or range"),
            ("n[a]", "1", "\"a\" is no number"),
            ("n[+1-3]", "1", "is no number"),
            ("n[0-99999999]", "1", "too many"),
            ("n[1-4096][1-4096]", "1", "too many"),
            ("n[1-3]", "1(x2)", "does not tell the tasks of 3 nodes"),
            ("n[1-3]", "1(x9999999999)", "does not tell the tasks"),
            ("n[1-2],,b", "1(x4)", "name is missing"),
            ("-oProxyCommand=x,b", "1,1", "no name of a host"),
        ] {
            let slurm = [
                ("SLURM_JOB_NODELIST", nodes),
                ("SLURM_TASKS_PER_NODE", tasks),
            ];
            let sentence = unusable(&slurm);
            assert!(sentence.contains(says), "{nodes}: {sentence}");
            assert!(sentence.contains("-hosts localhost"), "{sentence}");
        }
    }

    #[test]
    fn files_and_pairs() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.into_os_string().into_string().unwrap()
        };
        let lines = write("lines", "b\nb\na.example\n\nb\n");
        for name in ["PBS_NODEFILE", "LSB_DJOB_HOSTFILE"] {
            assert_eq!(found(&[(name, &lines)]), hosts("b:3,a.example:1"));
        }
        let one = write("one", "b\nb\n");
        assert_eq!(found(&[("PBS_NODEFILE", &one)]), Found::One(2));
        let grid = write("grid", "n1 4 all.q@n1 UNDEFINED\nn2 2 all.q@n2 <NULL>\n");
        assert_eq!(found(&[("PE_HOSTFILE", &grid)]), hosts("n1:4,n2:2"));
        let mcpu = ("LSB_MCPU_HOSTS", "n1 4 n2 2");
        assert_eq!(found(&[mcpu]), hosts("n1:4,n2:2"));
        assert!(unusable(&[("LSB_MCPU_HOSTS", "n1 n2")]).contains("LSB_MCPU_HOSTS=n1 n2"));
        let empty = write("empty", "\n");
        assert!(unusable(&[("PBS_NODEFILE", &empty)]).contains("names no host"));
        match found(&[("PBS_NODEFILE", "/no/such")]) {
            Found::Absent(sentence) => assert!(sentence.contains("PBS_NODEFILE=/no/such")),
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        #[test]
        fn any_list_is_read_or_refused(text in "[a-c0-9\\[\\],-]{0,40}") {
            if let Ok(names) = node_list(&text) {
                prop_assert!(names.len() <= MOST_HOSTS);
            }
        }

        #[test]
        fn a_list_that_is_folded_unfolds(numbers in prop::collection::vec(0u32..200, 1..8), width in 1usize..4) {
            let words: Vec<String> = numbers.iter().map(|n| format!("{n:0width$}-{:0width$}", n + 2)).collect();
            let all: Vec<String> = numbers.iter().flat_map(|&n| (n..n + 3).map(|n| format!("x{n:0width$}.y"))).collect();
            prop_assert_eq!(node_list(&format!("x[{}].y", words.join(","))), Ok(all));
        }
    }
}
