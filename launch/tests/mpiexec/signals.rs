//! Signals, terminals, and what is left behind when mpiexec itself dies.

use crate::{DEADLINE, MPIEXEC, RANK, Running, command, field, ready, stoppable, wait_for_death};
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

/// A job of two ranks that say their process ids and wait.
fn waiting(program: &[&str]) -> (Running, Vec<i32>) {
    let mut job = Running::start(&mut command(&[&["-n", "2"], program].concat()));
    let pids = (0..2).map(|_| field(&job.line(), "pid")).collect();
    (job, pids)
}

#[test]
fn signals_reach_every_rank() {
    for (signal, number) in [
        (Signal::USR1, 10),
        (Signal::USR2, 12),
        (Signal::HUP, 1),
        (Signal::TERM, 15),
        (Signal::INT, 2),
    ] {
        let catch = format!("catch={number}");
        let mut job = Running::start(&mut command(&["-n", "3", RANK, &catch]));
        for _ in 0..3 {
            assert_eq!(job.line(), "ready");
        }
        job.signal(signal);
        let caught = format!("caught {number}");
        for _ in 0..3 {
            assert_eq!(job.line(), caught);
        }
        job.finish().expect_success();
    }
}

#[test]
fn an_interrupt_ends_ranks_that_do_not_catch_it() {
    let (job, pids) = waiting(&[RANK, "hello", "pid", "wait"]);
    job.signal(Signal::INT);
    let job = job.finish();
    job.expect(130, "ended by SIGINT (ctrl-C)")
        .expect_one_message();
    // A shell's loop around mpiexec stops only if mpiexec died of it.
    assert_eq!(job.status.signal(), Some(2));
    pids.into_iter().for_each(wait_for_death);
}

#[test]
fn asked_to_end_the_job_ends() {
    let (job, pids) = waiting(&[RANK, "hello", "pid", "wait"]);
    job.signal(Signal::TERM);
    job.finish()
        .expect(143, "ended by SIGTERM")
        .expect_one_message();
    pids.into_iter().for_each(wait_for_death);
}

#[test]
fn a_stopped_job_goes_on() {
    let mut job = Running::start(&mut stoppable(&["-n", "2", RANK, "catch=10"]));
    assert_eq!((job.line(), job.line()), ("ready".into(), "ready".into()));
    job.signal(Signal::TSTP);
    let stopped = rustix::process::waitpid(Some(job.pid()), rustix::process::WaitOptions::UNTRACED);
    assert!(stopped.unwrap().unwrap().1.stopped());
    job.signal(Signal::CONT);
    job.signal(Signal::USR1);
    let job = job.finish();
    assert_eq!(job.expect_success().out.matches("caught 10").count(), 2);
}

#[test]
fn nothing_is_left_when_mpiexec_is_killed() {
    // Direct children; behind a shell that waits; in a session of its own.
    let shell = format!("sh -c '{RANK} hello pid wait; true'; true");
    let session = format!("setsid -w {RANK} hello pid wait; true");
    for program in [
        &[RANK, "hello", "pid", "wait"][..],
        &["sh", "-c", &shell],
        &["sh", "-c", &session],
    ] {
        let (job, pids) = waiting(program);
        job.signal(Signal::KILL);
        pids.into_iter().for_each(wait_for_death);
    }
}

#[test]
fn nothing_is_left_when_the_launching_process_is_killed() {
    let shell = format!("sh -c '{RANK} hello info pid wait; true'; true");
    let mut job = Running::start(&mut command(&["-n", "2", "sh", "-c", &shell]));
    let mut launcher = 0;
    let mut pids = Vec::new();
    for _ in 0..4 {
        let line = job.line();
        match line.starts_with("pid=") {
            true => pids.push(field(&line, "pid")),
            false => launcher = field(&line, "launcher"),
        }
    }
    rustix::process::kill_process(Pid::from_raw(launcher).unwrap(), Signal::KILL).unwrap();
    job.finish()
        .expect(137, "its launching process died of SIGKILL")
        .expect_one_message();
    pids.into_iter().for_each(wait_for_death);
}

/// mpiexec in the foreground of a terminal of its own.
struct Terminal {
    setsid: std::process::Child,
    screen: BufReader<std::fs::File>,
    keys: std::fs::File,
}

impl Terminal {
    fn start(arguments: &[&str]) -> Terminal {
        Terminal::of(&[&[MPIEXEC], arguments].concat())
    }

    fn of(program: &[&str]) -> Terminal {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(&name, flags, rustix::fs::Mode::empty()).unwrap();
        let end = || Stdio::from(slave.try_clone().unwrap());
        let mut command = Command::new("setsid");
        command
            .args(["--ctty", "--wait"])
            .args(program)
            .env("PS1", "")
            .env("TERM", "dumb");
        let setsid = command
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let keys = std::fs::File::from(master);
        Terminal {
            setsid,
            screen: BufReader::new(keys.try_clone().unwrap()),
            keys,
        }
    }

    fn line(&mut self) -> String {
        if self.screen.buffer().is_empty() {
            assert!(
                ready(self.screen.get_ref(), DEADLINE),
                "the screen stays empty"
            );
        }
        let mut line = String::new();
        self.screen.read_line(&mut line).unwrap();
        line.trim_end().to_string()
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Exit code and what else stands on the screen.
    fn finish(mut self) -> (i32, String) {
        let pidfd: OwnedFd = rustix::process::pidfd_open(
            Pid::from_child(&self.setsid),
            rustix::process::PidfdFlags::empty(),
        )
        .unwrap();
        if !ready(&pidfd, DEADLINE) {
            self.setsid.kill().unwrap();
            panic!("mpiexec hangs");
        }
        let status = self.setsid.wait().unwrap();
        let mut rest = Vec::new();
        // A terminal that nobody holds open any more gives an error instead of an end.
        let _ = self.screen.read_to_end(&mut rest);
        let code = status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap());
        (code, String::from_utf8_lossy(&rest).into_owned())
    }
}

#[test]
fn ctrl_c_ends_the_job_with_one_message() {
    let mut terminal = Terminal::start(&["-n", "3", RANK, "hello", "say=ready", "wait"]);
    for _ in 0..3 {
        assert_eq!(terminal.line(), "ready");
    }
    terminal.press("\x03");
    let (code, screen) = terminal.finish();
    assert_eq!(code, 130, "{screen}");
    assert_eq!(screen.matches("mpiexec:").count(), 1, "{screen}");
    assert!(screen.contains("ended by SIGINT (ctrl-C)"), "{screen}");
}

#[test]
fn a_second_ctrl_c_kills() {
    let mut terminal = Terminal::start(&[
        "-n",
        "2",
        RANK,
        "ignore=2",
        "ignore=15",
        "say=ready",
        "catch=10",
    ]);
    for _ in 0..4 {
        assert_eq!(terminal.line(), "ready");
    }
    // As impatient people do: until it is over. Two in the same moment count as one.
    let mut keys = terminal.keys.try_clone().unwrap();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let presses = std::thread::spawn(move || {
        while stopped
            .recv_timeout(std::time::Duration::from_millis(150))
            .is_err()
        {
            keys.write_all(b"\x03").unwrap();
        }
    });
    let (code, screen) = terminal.finish();
    stop.send(()).unwrap();
    presses.join().unwrap();
    assert_eq!(code, 130, "{screen}");
    assert!(
        screen.contains("SIGINT again: the ranks are killed"),
        "{screen}"
    );
}

#[test]
fn rank_0_talks_to_the_terminal() {
    let script = "if [ $MPI_LOCALRANKID = 0 ]; then read x; echo got $x; fi";
    let mut terminal = Terminal::start(&["-n", "2", "sh", "-c", script]);
    terminal.press("word\n");
    let (code, screen) = terminal.finish();
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("got word"), "{screen}");
    // One rank alone has the terminal for its output, too, as a debugger needs.
    let alone = Terminal::start(&[
        "-n",
        "1",
        "sh",
        "-c",
        "test -t 0 && test -t 1 && test -t 2 && echo three",
    ]);
    let (code, screen) = alone.finish();
    assert_eq!((code, screen.trim_end()), (0, "three"));
}

#[test]
fn a_shell_can_stop_and_continue_the_job() {
    let mut terminal = Terminal::of(&["bash", "--norc", "--noediting", "-i"]);
    let wait_for = |terminal: &mut Terminal, text: &str| {
        loop {
            let line = terminal.line();
            if line.contains(text) {
                return line;
            }
        }
    };
    // The command is echoed, and does not hold what it prints.
    terminal.press(&format!("{MPIEXEC} -n 2 {RANK} 0:pid copy say=done\n"));
    let rank_0 = field(&wait_for(&mut terminal, "pid="), "pid");
    terminal.press("\x1a");
    wait_for(&mut terminal, "Stopped");
    // The shell waits for mpiexec; what is typed before the rank has stopped, too, is the rank's.
    while !std::fs::read_to_string(format!("/proc/{rank_0}/stat"))
        .unwrap()
        .contains(") T ")
    {
        std::thread::yield_now();
    }
    terminal.press("fg\n");
    terminal.press("typed after fg\n");
    wait_for(&mut terminal, "typed after fg");
    terminal.press("\x04");
    terminal.press("exit 9\n");
    let (code, screen) = terminal.finish();
    assert_eq!(code, 9, "{screen}");
    assert!(!screen.contains("mpiexec: "), "{screen}");
}

#[test]
fn without_a_shell_to_continue_it_the_job_is_not_stopped() {
    let mut terminal = Terminal::start(&["-n", "2", RANK, "0:say=ready", "copy", "say=done"]);
    // Rank 1 has nothing to copy.
    let mut both = [terminal.line(), terminal.line()];
    both.sort();
    assert_eq!(both, ["done", "ready"]);
    terminal.press("\x1a");
    terminal.press("\x04");
    let (code, screen) = terminal.finish();
    assert_eq!((code, screen.matches("done").count()), (0, 1), "{screen}");
}
