//! What other implementations' variables say in Ferrite's words.
//!
//! Only those are here whose being ignored a user would notice: over what messages go, over which
//! interfaces and ports. A variable that has no equivalent is answered with a sentence. `FERRITE_`
//! variables come before all of these.

use super::{REGISTRY, Setting};

/// What a foreign variable means.
enum Meaning {
    /// The same as Ferrite's own variable with this value.
    Is(String),
    /// Nothing that Ferrite does not do anyway.
    Anyway,
    /// Something that Ferrite cannot do, or does not understand.
    Unknown,
}

use Meaning::{Anyway, Is, Unknown};

/// A foreign variable, the setting that it is about, and what its values mean.
type Foreign = (&'static str, &'static str, fn(&str) -> Meaning);

/// Foreign variables, the setting they are about, and how their values are read; of those about one
/// setting, the first that is set counts.
const VARIABLES: &[Foreign] = &[
    ("I_MPI_FABRICS", "FERRITE_TRANSPORT", intel_fabrics),
    ("I_MPI_DEVICE", "FERRITE_TRANSPORT", intel_device),
    ("MPIR_CVAR_NOLOCAL", "FERRITE_TRANSPORT", no_local),
    ("MPICH_NOLOCAL", "FERRITE_TRANSPORT", no_local),
    ("MPICH_NO_LOCAL", "FERRITE_TRANSPORT", no_local),
    ("OMPI_MCA_btl", "FERRITE_TRANSPORT", open_mpi_btl),
    ("UCX_TLS", "FERRITE_TRANSPORT", ucx),
    ("MPICH_NETMASK", "FERRITE_NETWORK", same),
    ("OMPI_MCA_btl_tcp_if_include", "FERRITE_NETWORK", same),
    ("OMPI_MCA_btl_tcp_if_exclude", "FERRITE_NETWORK", |_| {
        Unknown
    }),
    ("FI_TCP_IFACE", "FERRITE_NETWORK", same),
    ("MPIR_CVAR_CH3_PORT_RANGE", "FERRITE_PORT_RANGE", ports),
    ("MPICH_PORT_RANGE", "FERRITE_PORT_RANGE", ports),
    ("MPIEXEC_PORT_RANGE", "FERRITE_PORT_RANGE", ports),
    ("I_MPI_PORT_RANGE", "FERRITE_PORT_RANGE", ports),
];

/// Whether a variable may mean something here.
pub(super) fn is_known(name: &str) -> bool {
    VARIABLES.iter().any(|(known, ..)| *known == name)
}

/// What foreign variables say about the settings that are left at their default: the number of a
/// setting and its value, and a sentence about each variable that cannot be obeyed.
pub(super) fn read(
    variables: &[(String, String)],
    is_free: impl Fn(usize) -> bool,
    accepts: impl Fn(&'static Setting, &str) -> bool,
) -> (Vec<(usize, String)>, Vec<String>) {
    let (mut values, mut told): (Vec<(usize, String)>, _) = (Vec::new(), Vec::new());
    for (name, setting, meaning) in VARIABLES {
        let set = variables.iter().find(|(set, _)| set == name);
        let Some((_, value)) = set.filter(|(_, value)| !value.trim().is_empty()) else {
            continue;
        };
        let at = REGISTRY.iter().position(|known| known.name == *setting);
        let at = at.expect("a setting of the registry");
        if !is_free(at) || values.iter().any(|(other, _)| *other == at) {
            continue;
        }
        match meaning(value.trim()) {
            Is(own) if accepts(&REGISTRY[at], &own) => values.push((at, own)),
            Anyway => {}
            Is(_) | Unknown => told.push(format!(
                "{name}={value} is another MPI's variable and has no effect here; say it with \
                 {setting} ({})",
                REGISTRY[at].accepts()
            )),
        }
    }
    (values, told)
}

fn same(value: &str) -> Meaning {
    Is(value.into())
}

/// `shm:ofi` is what is done anyway; a single fabric is the only one.
fn intel_fabrics(value: &str) -> Meaning {
    let value = value.to_ascii_lowercase();
    match value.split_once(':').unwrap_or((&value, "")) {
        ("shm", "") => Is("shm,self".into()),
        // The one network that there is.
        ("tcp" | "ofi", "") => Is("tcp,self".into()),
        ("shm", "tcp" | "ofi") => Anyway,
        _ => Unknown,
    }
}

fn intel_device(value: &str) -> Meaning {
    match value.split(':').next().unwrap_or("") {
        "sock" => Is("tcp,self".into()),
        "shm" => Is("shm,self".into()),
        "ssm" => Anyway,
        _ => Unknown,
    }
}

fn no_local(value: &str) -> Meaning {
    match value.to_ascii_lowercase().as_str() {
        "1" | "y" | "yes" | "t" | "true" | "on" => Is("tcp,self".into()),
        _ => Anyway,
    }
}

/// A list of what may be used, or, after `^`, of what may not.
fn open_mpi_btl(value: &str) -> Meaning {
    let (list, excludes) = match value.strip_prefix('^') {
        Some(list) => (list, true),
        None => (value, false),
    };
    let names: Vec<&str> = list.split(',').map(str::trim).collect();
    let names_shm = names.iter().any(|name| matches!(*name, "sm" | "vader"));
    let names_tcp = names.contains(&"tcp");
    let others = names
        .iter()
        .any(|name| !matches!(*name, "sm" | "vader" | "tcp" | "self"));
    match (excludes, names_shm, names_tcp) {
        (true, false, false) => Anyway,
        (true, true, true) | (false, false, false) => Unknown,
        (true, true, false) => Is("tcp,self".into()),
        (true, false, true) => Is("shm,self".into()),
        // A network that this build does not have: TCP has its place.
        (false, ..) if others => Unknown,
        (false, true, true) => Anyway,
        (false, true, false) => Is("shm,self".into()),
        (false, false, true) => Is("tcp,self".into()),
    }
}

/// Ferrite does not use UCX, so only a list that cannot mean anything else is taken for a wish
/// about MPI.
fn ucx(value: &str) -> Meaning {
    const SHM: &[&str] = &["sm", "shm", "mm", "posix", "sysv", "cma", "knem", "xpmem"];
    let names: Vec<&str> = value.split(',').map(str::trim).collect();
    let all_are = |of: &[&str]| {
        names
            .iter()
            .all(|name| *name == "self" || of.contains(name))
    };
    match names.iter().all(|name| *name == "self") {
        true => Anyway,
        false if all_are(&["tcp"]) => Is("tcp,self".into()),
        false if all_are(SHM) => Is("shm,self".into()),
        false => Anyway,
    }
}

/// `first:last`.
fn ports(value: &str) -> Meaning {
    Is(value.replacen(':', "-", 1))
}
