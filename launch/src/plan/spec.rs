//! The job as every host is told it: what can be sent, and holds everywhere.

use super::placement::Placement;
use super::remote::Remote;
use crate::command::{Bind, Environment, JobRequest, Stdin};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;

/// A job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spec {
    /// Names of the nodes.
    pub(crate) nodes: Vec<String>,
    /// For each rank, the number of its node.
    pub(crate) node_of: Vec<u32>,
    /// Its programs; their ranks follow one another.
    pub(crate) programs: Vec<Program>,
    /// mpiexec's working directory.
    pub(crate) folder: OsString,
    pub(crate) bind: Bind,
    pub(crate) stdin: Option<u32>,
    /// How agents on other nodes are started.
    pub(crate) remote: Remote,
}

/// One of the programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Program {
    /// Ranks.
    pub(crate) count: u32,
    /// The program as typed, and its arguments.
    pub(crate) words: Vec<OsString>,
    /// Variables that it has on every host.
    pub(crate) variables: Vec<(OsString, OsString)>,
    /// Whether it has the variables that describe its host as well.
    pub(crate) of_host: bool,
    /// As typed; may be relative to the working directory.
    pub(crate) directory: Option<OsString>,
}

impl Spec {
    /// The job that was asked for, placed. The error is a sentence.
    pub(crate) fn new(
        job: &JobRequest,
        placement: &Placement,
        remote: Remote,
    ) -> Result<Spec, String> {
        // Where it cannot be told, it is inherited; agents need it.
        let folder = match std::env::current_dir() {
            Ok(folder) => folder.into_os_string(),
            Err(_) if placement.nodes.len() == 1 && placement.here.is_some() => OsString::new(),
            Err(e) => {
                return Err(format!(
                    "the working directory of mpiexec cannot be told to other hosts: {e}"
                ));
            }
        };
        let program = |(request, &count): (&crate::command::ProgramRequest, &u32)| {
            let (variables, of_host) =
                Environment::resolve(&request.environment, &job.environment, std::env::vars_os());
            Program {
                count,
                words: request.words.clone(),
                variables,
                of_host,
                directory: request.directory.clone().map(Into::into),
            }
        };
        let ranks = placement.node_of.len();
        let stdin = match job.stdin {
            Stdin::None => None,
            Stdin::Rank(rank) if rank as usize >= ranks => {
                return Err(format!(
                    "-stdin {rank}: the job has ranks 0 to {} only",
                    ranks - 1
                ));
            }
            Stdin::Rank(rank) => Some(rank),
        };
        Ok(Spec {
            nodes: placement.nodes.clone(),
            node_of: placement.node_of.clone(),
            programs: job
                .programs
                .iter()
                .zip(&placement.counts)
                .map(program)
                .collect(),
            folder,
            bind: job.bind.unwrap_or_default(),
            stdin,
            remote,
        })
    }

    /// Ranks of the job.
    pub(crate) fn size(&self) -> u32 {
        self.node_of.len() as u32
    }

    /// For each rank, its application number.
    pub(crate) fn appnums(&self) -> impl Iterator<Item = u32> {
        (0..)
            .zip(&self.programs)
            .flat_map(|(number, program)| (0..program.count).map(move |_| number))
    }

    /// The node of a rank; `None`: there is no such rank.
    pub(crate) fn node(&self, rank: u32) -> Option<u32> {
        self.node_of.get(rank as usize).copied()
    }

    /// The name of a node.
    pub(crate) fn name(&self, node: u32) -> &str {
        &self.nodes[node as usize]
    }

    /// Whether this came over a wire in one piece.
    pub(crate) fn is_sound(&self) -> bool {
        let ranks: u64 = self.programs.iter().map(|p| u64::from(p.count)).sum();
        ranks == self.node_of.len() as u64
            && self.programs.iter().all(|p| !p.words.is_empty())
            && self
                .node_of
                .iter()
                .all(|&node| (node as usize) < self.nodes.len())
    }
}
