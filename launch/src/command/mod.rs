//! What is asked for: the command line, hostfiles, variables, managers' allocations.

mod allocation;
mod args;
mod environment;
mod foreign;
mod help;
mod hosts;
mod options;

pub(crate) use args::{
    Bind, Command, JobRequest, ProgramRequest, RemoteChoice, Stdin, Usage, parse,
};
pub(crate) use environment::{Environment, here, value};
pub(crate) use help::{text, version};
pub(crate) use hosts::{Entry, parse_file, parse_list};
