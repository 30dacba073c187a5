//! A rank for the launcher's tests: carries out its arguments one after the other.
//!
//! `hello` joins the job, `info` prints what it learnt, `finalize`, `abort=CODE`, `exit=CODE`,
//! `signal=NUMBER` (to itself), `wait` (for ever), `say=TEXT` (a line), `write=TEXT` (no newline),
//! `lines=COUNT`, `pid`, `cpus` (that it is bound to), `ignore=NUMBER`, `catch=NUMBER` (waits for
//! that signal, says so), `copy` (standard input to output), `run-again` (this program, with
//! `hello`), `fork-finalize`, `fork-abort` (a forked child does it), `publish=CARD`, `fetch=RANK`
//! (waits for it, prints it), `lost=RANK`, `need=RANK` (waits for that rank until it has left, and
//! tells that it needs it), `any` (waits for anybody), `end` (waits in finalize until that is
//! over), `secret`. `R:COMMAND` is for rank R only. Exits with 0 at the end, and with 3 if it
//! cannot join.

use ferrite_client::{Discovered, Wait};
use std::io::Write;
use std::os::fd::AsFd;

fn main() {
    let mut joined: Option<Discovered> = None;
    for argument in std::env::args().skip(1) {
        let command = match argument.split_once(':') {
            Some((rank, command)) => {
                if std::env::var("PMI_RANK").as_deref() != Ok(rank) {
                    continue;
                }
                command.to_string()
            }
            None => argument,
        };
        let (command, value) = command.split_once('=').unwrap_or((&command, ""));
        let number = || value.parse::<i32>().expect("a number");
        match command {
            "hello" => match ferrite_client::discover() {
                Ok(discovered) => joined = Some(discovered),
                Err(e) => {
                    eprintln!("{e}");
                    std::process::exit(3);
                }
            },
            "info" => info(joined.as_ref().expect("hello comes first")),
            "finalize" => joined
                .as_ref()
                .expect("hello comes first")
                .bootstrap
                .finalized(),
            "abort" => joined
                .as_ref()
                .expect("hello comes first")
                .bootstrap
                .abort(number(), "it is over"),
            "publish" => joined
                .as_ref()
                .expect("hello comes first")
                .bootstrap
                .publish(value)
                .expect("a card"),
            "fetch" => fetch(joined.as_ref().expect("hello comes first"), value),
            "lost" => joined
                .as_ref()
                .expect("hello comes first")
                .bootstrap
                .lost(value.parse().expect("a rank"), "no answer"),
            "need" => {
                let rank = value.parse().expect("a rank");
                tell_waits(&joined, |wait, left| {
                    wait.needs = left.contains(&rank).then_some(rank);
                });
            }
            "any" => tell_waits(&joined, |_, _| ()),
            "end" => tell_waits(&joined, |wait, _| wait.finalizing = true),
            "secret" => {
                let secret = joined.as_ref().expect("hello comes first").job.secret.0;
                let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
                say(&format!("secret={hex}\n"));
            }
            "exit" => std::process::exit(number()),
            "signal" => signal_self(number()),
            "wait" => loop {
                std::thread::park();
            },
            "say" => say(&format!("{value}\n")),
            "write" => say(value),
            "lines" => lines(number()),
            "pid" => say(&format!("pid={}\n", std::process::id())),
            "cpus" => say(&format!("cpus={:?}\n", cpus())),
            "ignore" => ignore(number()),
            "catch" => catch(number()),
            "copy" => {
                std::io::copy(&mut std::io::stdin(), &mut std::io::stdout()).expect("a copy");
            }
            "fork-finalize" => in_child(|| {
                joined
                    .as_ref()
                    .expect("hello comes first")
                    .bootstrap
                    .finalized()
            }),
            "fork-abort" => in_child(|| {
                joined
                    .as_ref()
                    .expect("hello comes first")
                    .bootstrap
                    .abort(9, "child")
            }),
            "run-again" => {
                let program = std::env::current_exe().expect("this program");
                let status = std::process::Command::new(program).arg("hello").status();
                std::process::exit(status.expect("this program again").code().unwrap_or(1));
            }
            other => panic!("unknown command {other}"),
        }
    }
}

/// Tells of a wait again and again, as the engine does, with what `change` makes of it for those
/// who have left.
fn tell_waits(joined: &Option<Discovered>, change: impl Fn(&mut Wait, &[u32])) {
    let bootstrap = &joined.as_ref().expect("hello comes first").bootstrap;
    let (since, mut left) = (std::time::Instant::now(), Vec::new());
    loop {
        let mut wait = Wait {
            quiet: since.elapsed().as_secs() as u32,
            known: left.len() as u32,
            ..Wait::default()
        };
        change(&mut wait, &left);
        let told = bootstrap.waiting(&wait).expect("an answer");
        if told.all_finalize {
            return;
        }
        left = told.ranks;
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .expect("standard output");
}

fn info(joined: &Discovered) {
    let job = &joined.job;
    let segment = job.segment.as_ref().map(|segment| {
        let stat = rustix::fs::fstat(segment).expect("a memory file");
        (stat.st_ino, stat.st_size)
    });
    let inherited = job.segment.as_ref().map(|segment| {
        rustix::io::fcntl_getfd(segment.as_fd())
            .expect("a descriptor")
            .is_empty()
    });
    let id: String = job.id.iter().map(|byte| format!("{byte:02x}")).collect();
    say(&format!(
        "job={id} rank={} size={} local={:?} cpus={} appnum={} launcher={} segment={segment:?} \
         inherited={inherited:?}\n",
        job.rank, job.size, job.local, job.cpus, job.appnum, job.launcher
    ));
}

fn fetch(joined: &Discovered, rank: &str) {
    loop {
        match joined.bootstrap.fetch(rank.parse().expect("a rank")) {
            Ok(Some(card)) => return say(&format!("card={card}\n")),
            Ok(None) => std::thread::sleep(std::time::Duration::from_millis(10)),
            Err(sentence) => return say(&format!("error: {sentence}\n")),
        }
    }
}

/// Lines that are written in many pieces.
fn lines(count: i32) {
    let rank = std::env::var("MPI_LOCALRANKID").unwrap_or_default();
    let mut text = Vec::new();
    for line in 0..count {
        writeln!(text, "rank {rank} line {line} {}", rank.repeat(60)).expect("memory");
    }
    let mut out = std::fs::File::from(
        std::io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .expect("a descriptor"),
    );
    for piece in text.chunks(37) {
        out.write_all(piece).expect("standard output");
    }
}

fn cpus() -> Vec<usize> {
    let set = rustix::thread::sched_getaffinity(None).expect("affinity");
    (0..rustix::thread::CpuSet::MAX_CPU)
        .filter(|&cpu| set.is_set(cpu))
        .collect()
}

fn signal_self(signal: i32) {
    // SAFETY: the default action is no handler. Rust has one for memory faults, which expects a
    // real fault.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    let signal = rustix::process::Signal::from_named_raw(signal).expect("a signal");
    rustix::process::kill_process(rustix::process::getpid(), signal).expect("a signal to itself");
}

fn ignore(signal: i32) {
    // SAFETY: ignoring a signal installs no handler.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

fn catch(signal: i32) {
    let mut set = std::mem::MaybeUninit::uninit();
    let mut caught = 0;
    // SAFETY: sigemptyset initialises the set; this program has one thread.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
        say("ready\n");
        libc::sigwait(set.as_ptr(), &mut caught);
    }
    say(&format!("caught {caught}\n"));
}

fn in_child(work: impl FnOnce()) {
    // SAFETY: this program has one thread, so the child may run any code.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        work();
        std::process::exit(0);
    }
    let pid = rustix::process::Pid::from_raw(pid);
    rustix::process::waitpid(pid, rustix::process::WaitOptions::empty()).expect("the child");
}
