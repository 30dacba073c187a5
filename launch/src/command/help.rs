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
Starts the ranks of an MPI job, on this machine or on others through ssh, and waits for them.

  mpiexec [OPTIONS] PROGRAM [ARGUMENTS] [: [OPTIONS] PROGRAM [ARGUMENTS]]...
  mpiexec --doctor [HOST[,HOST]...]

Options may be spelled with one dash or two; a value may also follow after '='.

Of one program (give them again after each ':'):
  -n, -np N             ranks that run it; more ranks than processors is fine (default: as many as
                        its hosts have places that no program before it has taken, or -ppn times its
                        hosts; 1 where neither is said)
  -env NAME VALUE       set a variable (also NAME=VALUE)
  -x NAME[=VALUE]       set a variable; without a value, as it is set here
  -envall, -envnone, -envlist NAME,...
                        which of mpiexec's own variables it gets (default: all)
  -wdir, -wd DIR        working directory (default: the path of mpiexec's own, on every host)
  -hosts, -host, -H HOST[:N],...
                        hosts that it may use, and ranks on each; holds for the programs after it
                        that name none
  -f, -hostfile, -machinefile FILE
                        the same from a file: lines HOST, HOST:N, HOST slots=N max_slots=M; '#'
                        begins a comment (default: what HYDRA_HOST_FILE, I_MPI_HYDRA_HOST_FILE,
                        OMPI_MCA_hostfile, OMPI_MCA_orte_default_hostfile or
                        PRTE_MCA_prte_default_hostfile names; else the hosts of an allocation of
                        Slurm, PBS, LSF or Grid Engine; else this machine)

Of all programs:
  -genv NAME VALUE, -genvall, -genvnone, -genvlist NAME,...
                        like -env..., weaker than a program's own
  -l, -prepend-rank     begin each line of output with its rank: '[3] '
  -s, -stdin RANK|none  which rank has mpiexec's standard input (default 0; the others read nothing)
  -bind-to core|none    bind each rank to a core, round robin (default none)
  -timeout SECONDS      end the job after this time (also: variables MPIEXEC_TIMEOUT,
                        I_MPI_JOB_TIMEOUT)
  -ppn, -perhost N      ranks on each host before the next one gets some, whatever its number in the
                        list (also: I_MPI_PERHOST)
  -map-by slot|core|node|ppr:N:node
                        slot, core: as without it; node: as -ppn 1; ppr:N:node: as -ppn N
  -oversubscribe        say nothing of more ranks than the list has places
  -print-map, -display-map
                        say which rank runs on which host
  -launcher-exec PATH   a program that is called as ssh would be (also: variable FERRITE_SSH, a
                        command with arguments)
  -prefix DIR           mpiexec is DIR/bin/mpiexec on other hosts (also: FERRITE_PREFIX; default:
                        where this one is)
  -tree-width N         hosts that mpiexec, and each agent, reaches by itself (default 16)
  -doctor               look at the hosts, and at the connections between them, and say what is
                        wrong and how to mend it
  -help, -version

Accepted without effect: -allow-run-as-root, -launcher ssh

Hosts: a list is walked in order; a host gets as many ranks as its number says (1 without one), and
when the list is through it begins again, but no host gets more than its max_slots. localhost, this
machine's name and its addresses are this machine, which needs no ssh. Names are ssh's business: an
alias of its configuration will do. ssh has to work without a password. A host that does not answer
yet is tried again for 60 s (variable FERRITE_START_TIMEOUT, in seconds). What an agent is told, the
job's secret included, goes over ssh's standard input.

Allocations: without -hosts and -f, mpiexec uses the hosts, and their numbers of ranks, of
SLURM_JOB_NODELIST with SLURM_TASKS_PER_NODE, PBS_NODEFILE, LSB_DJOB_HOSTFILE, LSB_MCPU_HOSTS or
PE_HOSTFILE, and reaches them as any others. One host is taken for this machine. -hosts localhost
keeps all ranks here. Started by srun as one of several tasks, mpiexec starts a job of its own.

Other launchers' variables: the programs of HYDRA_LAUNCHER_EXEC, HYDRA_BOOTSTRAP_EXEC,
I_MPI_HYDRA_BOOTSTRAP_EXEC, OMPI_MCA_plm_rsh_agent and PRTE_MCA_plm_ssh_agent where they are an ssh,
the arguments for it in HYDRA_LAUNCHER_EXTRA_ARGS, I_MPI_HYDRA_BOOTSTRAP_EXEC_EXTRA_ARGS,
OMPI_MCA_plm_rsh_args and PRTE_MCA_plm_ssh_args, bindings to core or none, and
MPIEXEC_PREFIX_DEFAULT (as -l) are obeyed; others that would place or bind ranks are answered with a
warning.

Variables: all travel to other hosts but those that describe a host or a login: HOME, HOST,
HOSTNAME, USER, LOGNAME, SHELL, MAIL, DISPLAY, XAUTHORITY, WAYLAND_DISPLAY, SSH_ASKPASS,
SSH_AUTH_SOCK, SSH_CLIENT, SSH_CONNECTION, SSH_TTY, XDG_RUNTIME_DIR, XDG_SESSION_ID,
DBUS_SESSION_BUS_ADDRESS, GPG_AGENT_INFO, GPG_TTY, TMUX, TMUX_PANE, STY, WINDOW, WINDOWID,
INVOCATION_ID, JOURNAL_STREAM, LISTEN_FDS, LISTEN_PID, NOTIFY_SOCKET, SYSTEMD_EXEC_PID. Programs
have those of their own host. What -env, -genv, -x, -envlist or -genvlist name travels in any case.
PMI_* and PMIX_* of another launcher are not passed on.

Output: lines are never mixed with those of other ranks (up to 64 KiB a line). A job of one rank
without -l has mpiexec's own standard output and error, so that debuggers and full-screen programs
work: mpiexec -n 1 gdb PROGRAM

Signals: HUP, INT, QUIT, TERM, USR1 and USR2 sent to mpiexec go to every rank. Ctrl-C reaches all
ranks; a second one within 5 s kills them at once (but a job of one rank is left alone with its
terminal).

Ends: when a rank, a host, a connection, an agent or mpiexec itself dies, everything ends
everywhere, with the reason. A host of which nothing is heard for 12 s is lost; an agent that hears
nothing for so long ends all ranks of its host.

Exit code: that of the first rank that failed, or 128 + the signal that killed it; 0 if none did. A
rank fails when it exits with another code than 0, dies of a signal, calls MPI_Abort, or exits
between MPI_Init and MPI_Finalize; the other ranks then get SIGTERM and, one second later, SIGKILL.
After finalize a code other than 0 is kept but ends no other rank. Exiting with 0 without
MPI_Finalize is only warned of at the end, and no failure, unless another rank waits for the one
that has left. Ranks of other MPIs (they speak PMI) do not tell whether they wait: there it is a
failure if they do not all exit within 2 s.

Left behind: what ranks have started, daemons included, ends with the job: one second after the last
rank, with a sentence that names it. Start what shall live longer outside of mpiexec.

Codes:
  2 wrong command line   124 time limit   126 program cannot be executed   127 program not found
";

#[cfg(test)]
mod tests {
    #[test]
    fn the_times_are_those_of_the_code() {
        let parting = format!("all exit within {} s", crate::job::PARTING.as_secs());
        assert!(super::PAGE.contains(&parting));
        let silence = format!(
            "nothing is heard for {} s is lost",
            crate::protocol::SILENCE.as_secs()
        );
        assert!(super::PAGE.contains(&silence));
    }

    #[test]
    fn variables_that_do_not_travel_are_listed() {
        for name in crate::command::environment::OF_HOST {
            let stands = |word: &str| word.trim_end_matches(['.', ',']) == *name;
            assert!(super::PAGE.split_whitespace().any(stands), "{name}");
        }
    }
}
