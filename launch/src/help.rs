//! What `--help` and `--version` print.

/// The help page.
pub(crate) fn text() -> String {
    format!("{}\n{PAGE}", version().trim_end())
}

/// One line.
pub(crate) fn version() -> String {
    format!("mpiexec (Ferrite MPI) {}\n", env!("CARGO_PKG_VERSION"))
}

const PAGE: &str = "\
Starts the ranks of an MPI job on this machine, and waits for them.

  mpiexec [OPTIONS] PROGRAM [ARGUMENTS] [: [OPTIONS] PROGRAM [ARGUMENTS]]...

Options may be spelled with one dash or two; a value may also follow after '='.

Of one program (give them again after each ':'):
  -n, -np N             ranks that run it (default 1; more ranks than processors is fine)
  -env NAME VALUE       set a variable (also NAME=VALUE)
  -x NAME[=VALUE]       set a variable; without a value, as it is set here
  -envall, -envnone, -envlist NAME,...
                        which of mpiexec's own variables it gets (default: all)
  -wdir, -wd DIR        working directory

Of all programs:
  -genv NAME VALUE, -genvall, -genvnone, -genvlist NAME,...
                        like -env..., weaker than a program's own
  -l, -prepend-rank     begin each line of output with its rank: '[3] '
  -s, -stdin RANK|none  which rank has mpiexec's standard input (default 0; the others read nothing)
  -bind-to core|none    bind each rank to a core, round robin (default none)
  -timeout SECONDS      end the job after this time (also: variable MPIEXEC_TIMEOUT)
  -help, -version

Accepted because they have no effect on one machine, which has no slots to count:
  -oversubscribe, -allow-run-as-root, -ppn N, -map-by slot|core|node

Output: lines are never mixed with those of other ranks (up to 64 KiB a line). A job of one rank without -l has
mpiexec's own standard output and error, so that debuggers and full-screen programs work: mpiexec -n 1 gdb PROGRAM

Signals: HUP, INT, QUIT, TERM, USR1 and USR2 sent to mpiexec go to every rank. Ctrl-C reaches all ranks; a second one
within 5 s kills them at once (but a job of one rank is left alone with its terminal).

Exit code: that of the first rank that failed, or 128 + the signal that killed it; 0 if none did. A rank fails when it exits
with another code than 0, dies of a signal, calls MPI_Abort, or exits between MPI_Init and MPI_Finalize; the other ranks then get
SIGTERM and, one second later, SIGKILL. After finalize a code other than 0 is kept but ends no other rank. Exiting with 0 without
MPI_Finalize is only warned of, and no failure, if within 2 s all other ranks exit with 0 too.
  2 wrong command line   124 time limit   126 program cannot be executed   127 program not found
";

#[cfg(test)]
mod tests {
    #[test]
    fn the_times_are_those_of_the_job() {
        let parting = format!("within {} s all other ranks", crate::job::PARTING.as_secs());
        assert!(super::PAGE.contains(&parting));
    }
}
