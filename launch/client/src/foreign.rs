//! What other launchers put into the environment, and whether it says that this process is one of
//! several.
//!
//! This is asked when nothing has offered a way to join: no channel of Ferrite's mpiexec, no socket
//! of a PMI-1 launcher. A process that is counted among several all the same must not believe that
//! it is alone: N silent jobs of one give N wrong results. So it ends, and says which variable made
//! it and what would let it join.

use crate::DiscoverError;

/// How one launcher tells a process its place.
struct Launcher {
    name: &'static str,
    /// Set for started tasks only. Empty: the size alone tells.
    rank: &'static str,
    /// Another variable without which `rank` does not mean a started task. Empty: none.
    also: &'static str,
    /// Number of tasks, the best source first. Empty list: this launcher does not tell.
    size: &'static [&'static str],
    /// How its jobs can be joined after all; empty: not at all.
    remedy: &'static str,
}

/// A launcher that gives its processes a PMI-1 socket, which this one lacks.
const SOCKET_LOST: &str = "PMI_FD, the socket to it, is missing: a script or a container between \
    the launcher and the program \
                           must pass this variable and the open descriptor on. ";

const LAUNCHERS: &[Launcher] = &[
    // SLURM_NTASKS and SLURM_PROCID=0 are also set in batch scripts and in the shell of an
    // allocation, where a program is legitimately alone; the id of a step is set by srun only.
    Launcher {
        name: "srun",
        rank: "SLURM_PROCID",
        also: "SLURM_STEP_ID",
        size: &["SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"],
        remedy: "Start it with srun --mpi=pmi2, which Ferrite can join. ",
    },
    Launcher {
        name: "a PMI launcher",
        rank: "",
        also: "",
        size: &["PMI_SIZE"],
        remedy: SOCKET_LOST,
    },
    Launcher {
        name: "Open MPI",
        rank: "",
        also: "",
        size: &["OMPI_COMM_WORLD_SIZE"],
        remedy: "",
    },
    Launcher {
        name: "a PMIx launcher",
        rank: "PMIX_RANK",
        also: "PMIX_NAMESPACE",
        size: &["OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "PMI_SIZE"],
        remedy: "",
    },
    Launcher {
        name: "MVAPICH",
        rank: "",
        also: "",
        size: &["MV2_COMM_WORLD_SIZE"],
        remedy: "",
    },
    Launcher {
        name: "Flux",
        rank: "FLUX_TASK_RANK",
        also: "",
        size: &["FLUX_JOB_SIZE"],
        remedy: "Start it with flux run -o pmi=simple, which Ferrite can join. ",
    },
    Launcher {
        name: "jsrun",
        rank: "",
        also: "",
        size: &["JSM_NAMESPACE_SIZE"],
        remedy: "",
    },
    Launcher {
        name: "PALS",
        rank: "PALS_RANKID",
        also: "",
        size: &["PALS_SIZE", "PMI_SIZE"],
        remedy: "",
    },
    Launcher {
        name: "ALPS",
        rank: "ALPS_APP_PE",
        also: "",
        size: &["PMI_SIZE"],
        remedy: "",
    },
    Launcher {
        name: "a hydra-like launcher",
        rank: "",
        also: "",
        size: &["MPI_LOCALNRANKS"],
        remedy: SOCKET_LOST,
    },
];

/// Fails if the environment counts this process among several.
pub(crate) fn check(environment: impl Fn(&str) -> Option<String>) -> Result<(), DiscoverError> {
    for launcher in LAUNCHERS {
        if let Some((variable, value)) = claim(launcher, &environment) {
            return Err(DiscoverError::new(format!(
                "{variable}={value} says that {} started this process as one of several, but it \
                 offers no way to join them \
                 that Ferrite knows, and Ferrite will not run as a job of one in their place. {} \
                 the program with \
                 Ferrite's mpiexec, or, to run it alone: env -u {variable} PROGRAM",
                launcher.name,
                match launcher.remedy {
                    "" => "Start".into(),
                    remedy => format!("{remedy}Or start"),
                }
            )));
        }
    }
    Ok(())
}

/// The variable, with its value, that makes this process one of several.
fn claim(
    launcher: &Launcher,
    environment: &impl Fn(&str) -> Option<String>,
) -> Option<(&'static str, String)> {
    if !launcher.also.is_empty() && environment(launcher.also).is_none() {
        return None;
    }
    let rank = match launcher.rank {
        "" => None,
        variable => Some((variable, environment(variable)?)),
    };
    let size = launcher
        .size
        .iter()
        .find_map(|&name| Some((name, environment(name)?)));
    match (rank, size) {
        // A size that is no number is as suspicious as one above 1.
        (_, Some((variable, value))) if value.trim() != "1" => Some((variable, value)),
        // A rank other than 0 is one of several whatever the size says, and rank 0 is if nothing
        // says otherwise.
        (Some((variable, rank)), size) if rank.trim() != "0" || size.is_none() => {
            Some((variable, rank))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(variables: &[(&str, &str)]) -> Result<(), String> {
        check(|name| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| value.to_string())
        })
        .map_err(|e| e.sentence().to_string())
    }

    #[test]
    fn a_process_that_nobody_counts_is_alone() {
        for alone in [
            &[][..],
            // A batch script, and the shell of salloc.
            &[
                ("SLURM_NTASKS", "8"),
                ("SLURM_PROCID", "0"),
                ("SLURM_JOB_ID", "17"),
            ],
            &[("SLURM_NTASKS", "8"), ("SLURM_JOB_ID", "17")],
            // One task under each launcher.
            &[
                ("SLURM_NTASKS", "8"),
                ("SLURM_PROCID", "0"),
                ("SLURM_STEP_ID", "0"),
                ("SLURM_STEP_NUM_TASKS", "1"),
            ],
            &[
                ("PMI_SIZE", "1"),
                ("PMI_RANK", "0"),
                ("MPI_LOCALNRANKS", "1"),
            ],
            &[
                ("OMPI_COMM_WORLD_SIZE", "1"),
                ("PMIX_RANK", "0"),
                ("PMIX_NAMESPACE", "x"),
            ],
            &[("FLUX_JOB_SIZE", "1"), ("FLUX_TASK_RANK", "0")],
            // The size of a Flux job whose script runs this program.
            &[("FLUX_JOB_SIZE", "4")],
        ] {
            assert_eq!(verdict(alone), Ok(()), "{alone:?}");
        }
    }

    #[test]
    fn a_process_that_is_counted_among_several_is_told_which_variable_says_so() {
        for (variables, named) in [
            (
                &[
                    ("SLURM_NTASKS", "8"),
                    ("SLURM_PROCID", "0"),
                    ("SLURM_STEP_ID", "0"),
                    ("SLURM_STEP_NUM_TASKS", "4"),
                ][..],
                "SLURM_STEP_NUM_TASKS=4",
            ),
            (
                &[
                    ("SLURM_NTASKS", "8"),
                    ("SLURM_PROCID", "0"),
                    ("SLURM_STEP_ID", "0"),
                ],
                "SLURM_NTASKS=8",
            ),
            (&[("PMI_SIZE", "2"), ("PMI_RANK", "0")], "PMI_SIZE=2"),
            (&[("OMPI_COMM_WORLD_SIZE", "3")], "OMPI_COMM_WORLD_SIZE=3"),
            (
                &[("PMIX_RANK", "0"), ("PMIX_NAMESPACE", "x")],
                "PMIX_RANK=0",
            ),
            (
                &[("PMIX_RANK", "2"), ("PMIX_NAMESPACE", "x")],
                "PMIX_RANK=2",
            ),
            (
                &[("FLUX_JOB_SIZE", "4"), ("FLUX_TASK_RANK", "0")],
                "FLUX_JOB_SIZE=4",
            ),
            (&[("MPI_LOCALNRANKS", "2")], "MPI_LOCALNRANKS=2"),
            (&[("PMI_SIZE", "two")], "PMI_SIZE=two"),
            (&[("PALS_RANKID", "1")], "PALS_RANKID=1"),
            (&[("ALPS_APP_PE", "0")], "ALPS_APP_PE=0"),
            (&[("JSM_NAMESPACE_SIZE", "2")], "JSM_NAMESPACE_SIZE=2"),
            (&[("MV2_COMM_WORLD_SIZE", "2")], "MV2_COMM_WORLD_SIZE=2"),
        ] {
            let sentence = verdict(variables).unwrap_err();
            assert!(sentence.starts_with(named), "{variables:?}: {sentence}");
            assert!(
                sentence.contains("tart the program with Ferrite's mpiexec"),
                "{sentence}"
            );
        }
    }

    #[test]
    fn where_the_launcher_can_be_joined_it_is_said_how() {
        let srun = [
            ("SLURM_PROCID", "1"),
            ("SLURM_STEP_ID", "0"),
            ("SLURM_NTASKS", "2"),
        ];
        assert!(
            verdict(&srun)
                .unwrap_err()
                .contains("srun --mpi=pmi2, which")
        );
        let lost = [("PMI_SIZE", "2"), ("PMI_RANK", "0")];
        assert!(
            verdict(&lost)
                .unwrap_err()
                .contains("PMI_FD, the socket to it, is missing")
        );
        let jsrun = [("JSM_NAMESPACE_SIZE", "2")];
        assert!(
            verdict(&jsrun)
                .unwrap_err()
                .contains("place. Start the program")
        );
    }
}
