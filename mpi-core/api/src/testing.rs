//! Tests on several ranks: what [`#[mpi_core::test]`](macro@crate::test) expands to.
//!
//! The test starts its own executable once for each rank, for this one test, and serves the ranks
//! as a PMI-1 launcher on the loopback interface: neither a launcher nor anything else must be
//! installed. A rank ends when its standard input does, so none outlives the test, however that
//! ends.

use std::collections::HashMap;
use std::fmt::{Debug, Write as _};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ferrite_client::pmi::line::{Cut, Line, Lines};

use crate::Communicator;

/// Names the test whose rank a process is.
const TEST: &str = "MPI_CORE_TEST";

/// Longer than any test runs.
const ENDLESS: Duration = Duration::from_secs(1 << 30);

/// How long the other ranks may go on after one has failed: they tell more of what happened.
const AFTERMATH: Duration = Duration::from_millis(500);

/// What a test function returns: nothing, or a result.
pub trait Verdict {
    /// What a test that has passed returns.
    fn passed() -> Self;
    /// Why it failed.
    fn failure(self) -> Option<String>;
}

impl Verdict for () {
    fn passed() {}
    fn failure(self) -> Option<String> {
        None
    }
}

impl<E: Debug> Verdict for Result<(), E> {
    fn passed() -> Self {
        Ok(())
    }
    fn failure(self) -> Option<String> {
        self.err().map(|error| format!("{error:?}"))
    }
}

/// Runs a test on several ranks; in a rank, runs its part. `path` is the test's, with the crate in
/// front; `deadline` is in seconds.
///
/// # Panics
/// When a rank fails or the deadline passes, with the output of all ranks.
pub fn run<R: Verdict>(
    path: &str,
    ranks: usize,
    deadline: u64,
    part: impl FnOnce(Communicator) -> R,
) -> R {
    let name = path.split_once("::").map_or(path, |(_, name)| name);
    if std::env::var_os(TEST).is_some_and(|test| test == name) {
        end_with_input();
        let universe = crate::init().unwrap_or_else(|error| panic!("{error}"));
        if let Some(why) = part(universe.world()).failure() {
            panic!("{why}");
        }
        if let Err(error) = universe.finalize() {
            panic!("finalisation failed: {error}");
        }
        return R::passed();
    }
    let job = Job::start(name, ranks)
        .unwrap_or_else(|error| panic!("{ranks} ranks of {name} cannot be started: {error}"));
    if let Err(report) = job.finish(Duration::from_secs(deadline)) {
        panic!("{report}");
    }
    R::passed()
}

/// Ends this process when its standard input ends, which is when the test that started it does.
fn end_with_input() {
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(1);
    });
}

/// The ranks of one test. Dropping it ends them.
struct Job {
    ranks: Vec<Rank>,
    store: Arc<Store>,
}

struct Rank {
    child: Child,
    output: JoinHandle<String>,
    errors: JoinHandle<String>,
}

impl Drop for Job {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Job {
    fn start(name: &str, ranks: usize) -> io::Result<Job> {
        let program = std::env::current_exe()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?.to_string();
        // Who does not know it is no rank of this job.
        let token = format!("{:016x}", RandomState::new().build_hasher().finish());
        let store = Arc::new(Store::new(ranks, token.clone()));
        let serving = Arc::clone(&store);
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let store = Arc::clone(&serving);
                if store.state().ended {
                    return;
                }
                thread::spawn(move || store.serve(socket));
            }
        });
        let mut job = Job {
            ranks: Vec::new(),
            store: Arc::clone(&store),
        };
        job.store.state().address = address.clone();
        for rank in 0..ranks {
            let mut command = Command::new(&program);
            command
                .args([
                    name,
                    "--exact",
                    "--nocapture",
                    "--include-ignored",
                    "--test-threads=1",
                ])
                .env(TEST, name)
                .env("PMI_PORT", &address)
                .env("PMI_ID", format!("{token}.{rank}"))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            // What another launcher has told this process is not for its ranks.
            for variable in ["FERRITE_CHANNEL", "PMI_FD", "PMI_RANK", "PMI_SIZE"] {
                command.env_remove(variable);
            }
            let mut child = command.spawn()?;
            let (output, errors) = (child.stdout.take(), child.stderr.take());
            job.ranks.push(Rank {
                child,
                output: collect(output),
                errors: collect(errors),
            });
        }
        Ok(job)
    }

    /// Waits for all ranks. The report is of all of them.
    fn finish(mut self, deadline: Duration) -> Result<(), String> {
        let now = Instant::now();
        // One that the clock cannot tell is as good as none.
        let mut until = now.checked_add(deadline).unwrap_or(now + ENDLESS);
        let mut first: Option<String> = None;
        let mut ended: Vec<Option<ExitStatus>> = vec![None; self.ranks.len()];
        loop {
            for (number, rank) in self.ranks.iter_mut().enumerate() {
                if ended[number].is_some() {
                    continue;
                }
                ended[number] = rank.child.try_wait().map_err(|error| error.to_string())?;
                if let Some(status) = ended[number]
                    && !status.success()
                    && first.is_none()
                {
                    first = Some(format!("rank {number} failed first ({status})"));
                    until = until.min(Instant::now() + AFTERMATH);
                }
            }
            if ended.iter().all(Option::is_some) {
                break;
            }
            if Instant::now() >= until {
                first.get_or_insert(format!("not all ranks have ended within {deadline:?}"));
                break;
            }
            thread::sleep(Duration::from_millis(2));
        }
        self.kill();
        let Some(first) = first else {
            return Ok(());
        };
        let mut report = format!("{first}; the output of all ranks:\n");
        for (number, rank) in self.ranks.drain(..).enumerate() {
            let status = match ended[number] {
                Some(status) => status.to_string(),
                None => String::from("was ended by the test"),
            };
            let output = rank.output.join().unwrap_or_default();
            let errors = rank.errors.join().unwrap_or_default();
            let _ = writeln!(
                report,
                "--- rank {number}: {status}\n{}{errors}",
                without_harness(&output)
            );
        }
        Err(report)
    }

    fn kill(&mut self) {
        for rank in &mut self.ranks {
            let _ = rank.child.kill();
            let _ = rank.child.wait();
        }
        let address = {
            let mut state = self.store.state();
            state.ended = true;
            self.store.changed.notify_all();
            core::mem::take(&mut state.address)
        };
        // The listening thread looks whether it is to end.
        if !address.is_empty() {
            let _ = TcpStream::connect(address);
        }
    }
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// A rank's output without what the test harness says.
fn without_harness(output: &str) -> String {
    let noise = |line: &&str| {
        !(line.is_empty() || line.starts_with("running 1 test") || line.starts_with("test result:"))
    };
    output
        .lines()
        .filter(noise)
        .fold(String::new(), |text, line| text + line + "\n")
}

/// A PMI-1 launcher's key-value space.
struct Store {
    size: usize,
    token: String,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    values: HashMap<String, String>,
    waiting: usize,
    barriers: usize,
    address: String,
    ended: bool,
}

impl Store {
    fn new(size: usize, token: String) -> Store {
        Store {
            size,
            token,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut socket: TcpStream) {
        let _ = socket.set_nodelay(true);
        let mut lines = Lines::new(4096);
        let mut bytes = [0; 4096];
        let mut known = false;
        while let Ok(count @ 1..) = socket.read(&mut bytes) {
            lines.feed(&bytes[..count]);
            while let Some(cut) = lines.cut() {
                let Cut::Line(line) = cut else { return };
                let Some(answer) =
                    Line::parse(&line).and_then(|line| self.answer(line, &mut known))
                else {
                    return;
                };
                if socket.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
        }
    }

    /// The answer, with its newline. `None`: the connection ends.
    fn answer(&self, line: Line<'_>, known: &mut bool) -> Option<String> {
        if line.command() == "initack" {
            let (token, rank) = line.get("pmiid")?.split_once('.')?;
            *known =
                token == self.token && rank.parse::<usize>().is_ok_and(|rank| rank < self.size);
            return known.then(|| {
                format!(
                    "cmd=initack rc=0\ncmd=set size={}\ncmd=set rank={rank}\ncmd=set debug=0\n",
                    self.size
                )
            });
        }
        if !*known {
            return None;
        }
        let answer = match line.command() {
            "init" => "cmd=response_to_init rc=0 pmi_version=1 pmi_subversion=1".into(),
            "get_maxes" => "cmd=maxes rc=0 kvsname_max=256 keylen_max=64 vallen_max=1024".into(),
            "get_appnum" => "cmd=appnum rc=0 appnum=0".into(),
            "get_my_kvsname" => "cmd=my_kvsname rc=0 kvsname=test".into(),
            "put" => {
                let (key, value) = (line.get("key")?, line.rest("value")?);
                self.state().values.insert(key.into(), value.into());
                "cmd=put_result rc=0".into()
            }
            "get" => match line.get("key")? {
                "PMI_process_mapping" => {
                    format!("cmd=get_result rc=0 value=(vector,(0,1,{}))", self.size)
                }
                key => match self.state().values.get(key) {
                    Some(value) => format!("cmd=get_result rc=0 value={value}"),
                    None => "cmd=get_result rc=1".into(),
                },
            },
            "barrier_in" => {
                self.barrier()?;
                "cmd=barrier_out rc=0".into()
            }
            "finalize" => "cmd=finalize_ack rc=0".into(),
            // The rank that says it ends with an error, which ends the others.
            _ => return None,
        };
        Some(answer + "\n")
    }

    /// Waits for all ranks. `None`: the test ended.
    fn barrier(&self) -> Option<()> {
        let mut state = self.state();
        state.waiting += 1;
        if state.waiting == self.size {
            state.waiting = 0;
            state.barriers += 1;
            self.changed.notify_all();
            return Some(());
        }
        let before = state.barriers;
        let goes_on = |state: &mut State| state.barriers == before && !state.ended;
        let state = self
            .changed
            .wait_while(state, goes_on)
            .unwrap_or_else(PoisonError::into_inner);
        (!state.ended).then_some(())
    }
}
