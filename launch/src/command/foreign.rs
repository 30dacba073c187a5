//! What variables of other launchers say, in this one's options.
//!
//! A variable whose meaning is evident is obeyed where no option says something else. One that asks
//! for something else is answered with a sentence. Those whose being ignored changes nothing that a
//! user would notice are not here.

use super::args::{Bind, JobRequest};
use std::ffi::OsString;
use std::path::Path;

/// Variables that place or bind ranks in ways that are not built.
const UNLIKE: &[(&str, &str)] = &[
    ("I_MPI_PIN_DOMAIN", "-bind-to core"),
    ("I_MPI_PIN_PROCESSOR_LIST", "-bind-to core"),
    ("I_MPI_PIN_PROCS", "-bind-to core"),
    ("OMPI_MCA_rmaps_base_mapping_policy", "-map-by or -ppn"),
    ("PRTE_MCA_rmaps_default_mapping_policy", "-map-by or -ppn"),
    ("OMPI_MCA_rmaps_rank_file_path", "-hosts HOST:RANKS,..."),
];

/// Variables that say what ranks are bound to.
const BINDING: &[&str] = &[
    "OMPI_MCA_hwloc_base_binding_policy",
    "PRTE_MCA_hwloc_default_binding_policy",
];

/// Variables that name the way to other hosts.
const LAUNCHERS: &[&str] = &["HYDRA_LAUNCHER", "HYDRA_BOOTSTRAP", "I_MPI_HYDRA_BOOTSTRAP"];

/// Variables that name a program in ssh's place.
const SHELLS: &[&str] = &[
    "HYDRA_LAUNCHER_EXEC",
    "HYDRA_BOOTSTRAP_EXEC",
    "I_MPI_HYDRA_BOOTSTRAP_EXEC",
    "OMPI_MCA_plm_rsh_agent",
    "PRTE_MCA_plm_ssh_agent",
];

/// Variables with arguments for ssh.
const SHELL_ARGUMENTS: &[&str] = &[
    "HYDRA_LAUNCHER_EXTRA_ARGS",
    "HYDRA_LAUNCH_EXTRA_ARGS",
    "I_MPI_HYDRA_BOOTSTRAP_EXEC_EXTRA_ARGS",
    "OMPI_MCA_plm_rsh_args",
    "PRTE_MCA_plm_ssh_args",
];

/// Variables with a time limit in seconds.
pub(crate) const TIMEOUTS: &[&str] = &["MPIEXEC_TIMEOUT", "I_MPI_JOB_TIMEOUT"];

/// Lets variables say what no option has said. `variable` looks up mpiexec's own environment.
pub(crate) fn read(job: &mut JobRequest, variable: impl Fn(&str) -> Option<OsString>) {
    let text = |name: &str| {
        let value = variable(name)?.to_string_lossy().trim().to_string();
        (!value.is_empty()).then_some(value)
    };
    let first = |names: &[&'static str]| names.iter().find_map(|name| Some((*name, text(name)?)));
    let mut told = Vec::new();
    let mut tell = |name: &str, value: &str, instead: &str| {
        told.push(format!(
            "warning: {name}={value} is another launcher's variable and has no effect here; see \
             {instead} in 'mpiexec --help'"
        ));
    };
    if let Some(value) = text("I_MPI_PERHOST").filter(|_| job.per_host.is_none()) {
        match value.parse() {
            Ok(count) if count > 0 => job.per_host = Some(count),
            _ => tell("I_MPI_PERHOST", &value, "-ppn"),
        }
    }
    if let Some((name, value)) = first(BINDING).filter(|_| job.bind.is_none()) {
        match value.as_str() {
            "core" => job.bind = Some(Bind::Core),
            "none" => {}
            _ => tell(name, &value, "-bind-to"),
        }
    }
    // What it is set to, if anything, is the form of the label.
    job.label |= text("MPIEXEC_PREFIX_DEFAULT").is_some();
    for (name, instead) in UNLIKE {
        let said = job.bind.is_some() || job.per_host.is_some();
        if let Some(value) = text(name).filter(|_| !said) {
            tell(name, &value, instead);
        }
    }
    if let Some((name, value)) = first(LAUNCHERS).filter(|(_, value)| value != "ssh")
        && value != "auto"
        && job.remote.launcher.is_none()
    {
        tell(name, &value, "-launcher-exec");
    }
    if job.remote.launcher.is_none() && text("FERRITE_SSH").is_none() {
        if let Some((name, value)) = first(SHELLS) {
            // Open MPI takes several, of which the first that there is counts.
            let program = value.split(" : ").next().unwrap_or(&value).trim();
            let is_ssh = Path::new(program).file_name().is_some_and(|n| n == "ssh");
            match is_ssh {
                true => job.remote.launcher = Some(program.into()),
                // It may be called otherwise than ssh.
                false => tell(name, &value, "-launcher-exec"),
            }
        }
        if let Some((name, value)) = first(SHELL_ARGUMENTS) {
            match shell_words::split(&value) {
                Ok(words) => job.remote.arguments = words.into_iter().map(Into::into).collect(),
                Err(_) => tell(name, &value, "FERRITE_SSH"),
            }
        }
    }
    job.warnings.append(&mut told);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)], mut job: JobRequest) -> JobRequest {
        super::read(&mut job, |name| {
            let found = set.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| value.into())
        });
        job
    }

    #[test]
    fn what_is_evident_is_obeyed() {
        let job = read(
            &[
                ("I_MPI_PERHOST", "3"),
                ("PRTE_MCA_hwloc_default_binding_policy", "core"),
                ("MPIEXEC_PREFIX_DEFAULT", "[%r]"),
                ("OMPI_MCA_plm_rsh_agent", "/usr/bin/ssh : rsh"),
                ("OMPI_MCA_plm_rsh_args", "-o ConnectionAttempts=10"),
                ("HYDRA_BOOTSTRAP", "ssh"),
            ],
            JobRequest::default(),
        );
        assert_eq!((job.per_host, job.bind), (Some(3), Some(Bind::Core)));
        assert!(job.label);
        assert_eq!(job.remote.launcher, Some("/usr/bin/ssh".into()));
        assert_eq!(job.remote.arguments, ["-o", "ConnectionAttempts=10"]);
        assert_eq!(job.warnings, [""; 0]);
    }

    #[test]
    fn an_option_comes_first() {
        let mut asked = JobRequest {
            per_host: Some(1),
            bind: Some(Bind::None),
            ..JobRequest::default()
        };
        asked.remote.launcher = Some("/my/shell".into());
        let job = read(
            &[
                ("I_MPI_PERHOST", "3"),
                ("OMPI_MCA_hwloc_base_binding_policy", "core"),
                ("I_MPI_PIN_DOMAIN", "omp"),
                ("HYDRA_LAUNCHER_EXEC", "/other/ssh"),
                ("HYDRA_LAUNCHER", "slurm"),
            ],
            asked,
        );
        assert_eq!((job.per_host, job.bind), (Some(1), Some(Bind::None)));
        assert_eq!(job.remote.launcher, Some("/my/shell".into()));
        assert_eq!(job.warnings, [""; 0]);
    }

    #[test]
    fn the_rest_is_answered() {
        for (name, value, instead) in [
            ("I_MPI_PIN_DOMAIN", "omp", "-bind-to core"),
            ("I_MPI_PERHOST", "all", "-ppn"),
            ("HYDRA_LAUNCHER", "slurm", "-launcher-exec"),
            (
                "OMPI_MCA_plm_rsh_agent",
                "/etc/mpi/kubexec.sh",
                "-launcher-exec",
            ),
            ("OMPI_MCA_plm_rsh_args", "'", "FERRITE_SSH"),
            ("OMPI_MCA_rmaps_base_mapping_policy", "socket", "-map-by"),
            ("OMPI_MCA_hwloc_base_binding_policy", "numa", "-bind-to"),
        ] {
            let job = read(&[(name, value)], JobRequest::default());
            assert_eq!(job.warnings.len(), 1, "{name}");
            let sentence = &job.warnings[0];
            assert!(sentence.contains(&format!("{name}={value}")), "{sentence}");
            assert!(sentence.contains(instead), "{sentence}");
        }
    }
}
