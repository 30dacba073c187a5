//! Jobs of threads, each with a launcher's end of a socket served by another thread.

use super::join::join;
use super::launcher::{Identity, Launcher};
use super::line::{Cut, Line, Lines};
use super::offer::{WAYS, Way};
use super::place::Place;
use super::*;
use ferrite_fabric::{Job, Secret};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Instant;

/// How a launcher words its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Hydra,
    Intel,
    /// Short values and keys, no number of programs.
    Terse,
}

/// A launcher for jobs of one size.
struct Server {
    size: usize,
    manner: Manner,
    mapping: Option<String>,
    state: Mutex<State>,
    all_in: Condvar,
}

#[derive(Default)]
struct State {
    /// What is put, and what others see of it.
    put: BTreeMap<String, String>,
    seen: BTreeMap<String, String>,
    waiting: usize,
    barriers: usize,
    finalized: usize,
    aborts: Vec<String>,
    longest: usize,
    gets: usize,
}

impl Server {
    fn new(size: usize, manner: Manner, mapping: Option<&str>) -> Arc<Server> {
        Arc::new(Server {
            size,
            manner,
            mapping: mapping.map(str::to_owned),
            state: Mutex::default(),
            all_in: Condvar::new(),
        })
    }

    /// A process's end of a new connection.
    fn connect(self: &Arc<Server>) -> OwnedFd {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let server = self.clone();
        thread::spawn(move || server.serve(ours));
        theirs.into()
    }

    fn serve(&self, mut socket: UnixStream) {
        let mut lines = Lines::new(4096);
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = socket.read(&mut bytes) {
            lines.feed(&bytes[..count]);
            while let Some(cut) = lines.cut() {
                let Cut::Line(line) = cut else {
                    panic!("{cut:?}")
                };
                let mut state = self.state.lock().unwrap();
                state.longest = state.longest.max(line.len() + 1);
                drop(state);
                let line = Line::parse(&line).expect("a request");
                if let Some(answer) = self.answer(line) {
                    // The process may be gone by now.
                    let _ = writeln!(socket, "{answer}");
                }
            }
        }
    }

    fn answer(&self, line: Line<'_>) -> Option<String> {
        let rc = match self.manner {
            Manner::Intel => "",
            _ => " rc=0",
        };
        let (max_key, max_value) = match self.manner {
            Manner::Hydra => (64, 1024),
            Manner::Intel => (64, 4096),
            Manner::Terse => (32, 80),
        };
        let mut state = self.state.lock().unwrap();
        Some(match line.command() {
            "init" => "cmd=response_to_init rc=0 pmi_version=1 pmi_subversion=2".into(),
            "get_maxes" => {
                format!("cmd=maxes{rc} kvsname_max=256 keylen_max={max_key} vallen_max={max_value}")
            }
            "get_appnum" => match self.manner {
                Manner::Terse => "cmd=appnum rc=0 appnum=-1".into(),
                _ => format!("cmd=appnum{rc} appnum=2"),
            },
            "get_my_kvsname" => format!("cmd=my_kvsname{rc} kvsname=kvs_1"),
            "put" => {
                let (key, value) = (line.get("key").unwrap(), line.rest("value").unwrap());
                assert_eq!(line.get("kvsname"), Some("kvs_1"));
                assert!(
                    key.len() < max_key && value.len() < max_value,
                    "{key}={value}"
                );
                assert!(!value.contains([' ', ';']), "{value}");
                state.put.insert(key.into(), value.into());
                "cmd=put_result rc=0".into()
            }
            "get" => {
                state.gets += 1;
                let key = line.get("key").unwrap();
                let value = match key {
                    "PMI_process_mapping" => self.mapping.as_ref(),
                    _ => state.seen.get(key),
                };
                match (value, self.manner) {
                    (Some(value), Manner::Intel) => {
                        format!("cmd=get_result rc=0 msg=success value={value}")
                    }
                    (Some(value), _) => format!("cmd=get_result rc=0 value={value}"),
                    (None, Manner::Intel) => {
                        "cmd=get_result rc=-1 msg=key_not_found value=unknown".into()
                    }
                    (None, _) => "cmd=get_result rc=1".into(),
                }
            }
            "barrier_in" => {
                state.waiting += 1;
                if state.waiting == self.size {
                    state.waiting = 0;
                    state.barriers += 1;
                    state.seen = state.put.clone();
                    self.all_in.notify_all();
                } else {
                    let now = state.barriers;
                    let waited = self.all_in.wait_while(state, |state| state.barriers == now);
                    drop(waited.unwrap());
                }
                "cmd=barrier_out tag=0".into()
            }
            "finalize" => {
                state.finalized += 1;
                format!("cmd=finalize_ack{rc}")
            }
            "abort" => {
                state.aborts.push(line.get("exitcode").unwrap().into());
                return None;
            }
            exotic => panic!("{exotic} is not for every launcher"),
        })
    }

    /// Starts a job; each rank runs where `place` says and takes the ways of `ways`.
    fn run(
        self: &Arc<Server>,
        place: impl Fn(u32) -> Place,
        ways: impl Fn(u32) -> Vec<Way>,
    ) -> Vec<(Job, Member)> {
        let ranks: Vec<_> = (0..self.size as u32)
            .map(|rank| {
                let (socket, place, ways) = (self.connect(), place(rank), ways(rank));
                let size = self.size as u32;
                thread::spawn(move || {
                    let identity = Identity::Rank { rank, size };
                    let launcher = Launcher::greet(socket, &identity, PATIENCE).unwrap();
                    let job = join(&launcher, &place, &ways).unwrap();
                    (job, Member::new(launcher))
                })
            })
            .collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
    }
}

fn inode(job: &Job) -> u64 {
    let file = std::fs::File::from(job.segment.as_ref().unwrap().try_clone().unwrap());
    let metadata = file.metadata().unwrap();
    assert_eq!(metadata.len(), 0);
    metadata.ino()
}

/// All of `ranks` share one file and no other rank has it.
fn share(jobs: &[(Job, Member)], ranks: &[u32]) {
    let first = inode(&jobs[ranks[0] as usize].0);
    for (job, _) in jobs {
        if ranks.contains(&job.rank) {
            assert_eq!(job.local, ranks, "rank {}", job.rank);
            assert_eq!(inode(job), first);
        } else if job.segment.is_some() {
            assert_ne!(inode(job), first);
        }
    }
}

fn alone(jobs: &[(Job, Member)], ranks: &[u32]) {
    for &rank in ranks {
        let job = &jobs[rank as usize].0;
        assert_eq!(job.local, [rank]);
        assert!(job.segment.is_none());
    }
}

/// As where only sockets in folders lead from rank to rank.
fn elsewhere(rank: u32) -> Place {
    let mut place = Place::own();
    place.network = 1000 + u64::from(rank);
    place.pids = place.network;
    place
}

/// Waits until no socket is left: other tests may have theirs.
fn no_leftovers() {
    let begun = Instant::now();
    while let Some(path) = leftovers().pop() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{path} is left");
        thread::sleep(Duration::from_millis(10));
    }
}

fn leftovers() -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["/dev/shm", "/tmp"] {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("ferrite-") && name.ends_with(".socket") {
                found.push(name);
            }
        }
    }
    found
}

#[test]
fn a_job_on_one_node() {
    for manner in [Manner::Hydra, Manner::Intel, Manner::Terse] {
        let server = Server::new(4, manner, Some("(vector,(0,1,4))"));
        let jobs = server.run(|_| Place::own(), |_| WAYS.into());
        share(&jobs, &[0, 1, 2, 3]);
        let first = &jobs[0].0;
        for (rank, (job, _)) in (0..).zip(&jobs) {
            assert_eq!((job.rank, job.size, job.neighbours), (rank, 4, 3));
            assert_eq!((job.id, job.secret), (first.id, first.secret));
            assert_eq!(job.appnum, if manner == Manner::Terse { 0 } else { 2 });
            assert!(job.cpus > 0);
            assert_eq!(job.launcher, std::os::unix::process::parent_id());
        }
        assert!(first.id != [0; 16] && first.secret != Secret([0; 32]));
        let state = server.state.lock().unwrap();
        assert_eq!(state.barriers, 2);
        assert!(state.longest <= 1024, "{}", state.longest);
    }
}

#[test]
fn every_way_leads_to_the_file() {
    for ways in [
        vec![Way::Abstract],
        vec![Way::Process],
        vec![Way::Folder],
        WAYS.into(),
    ] {
        let server = Server::new(3, Manner::Hydra, Some("(vector,(0,1,3))"));
        let place = |rank| match ways[..] {
            [Way::Folder] => elsewhere(rank),
            // The leader would wait for a knock.
            [Way::Process] => Place {
                network: 1000 + u64::from(rank),
                ..Place::own()
            },
            _ => Place::own(),
        };
        let jobs = server.run(place, |_| ways.clone());
        share(&jobs, &[0, 1, 2]);
    }
    no_leftovers();
}

#[test]
fn who_finds_no_way_is_alone_and_all_know_it() {
    let server = Server::new(4, Manner::Hydra, Some("(vector,(0,1,4))"));
    let ways = |rank| if rank == 2 { vec![] } else { WAYS.into() };
    let place = |rank| {
        if rank == 2 {
            elsewhere(2)
        } else {
            Place::own()
        }
    };
    let jobs = server.run(place, ways);
    share(&jobs, &[0, 1, 3]);
    alone(&jobs, &[2]);
    assert_eq!(jobs[2].0.neighbours, 3);
    // Another kernel behind the same name of a node.
    let place = |rank| {
        let mut place = Place::own();
        place.kernel += u128::from(rank == 1);
        place
    };
    let server = Server::new(3, Manner::Intel, Some("(vector,(0,1,3))"));
    let jobs = server.run(place, |_| WAYS.into());
    share(&jobs, &[0, 2]);
    alone(&jobs, &[1]);
    // A leader from which no way leads to anybody.
    let server = Server::new(2, Manner::Hydra, Some("(vector,(0,1,2))"));
    let jobs = server.run(elsewhere, |_| vec![]);
    alone(&jobs, &[0, 1]);
}

#[test]
fn nodes_have_a_file_each() {
    let server = Server::new(5, Manner::Hydra, Some("(vector,(0,2,1))"));
    let jobs = server.run(|_| Place::own(), |_| WAYS.into());
    share(&jobs, &[0, 2, 4]);
    share(&jobs, &[1, 3]);
    assert_eq!(jobs[3].0.neighbours, 1);
    // One rank on each: nothing to share, nothing to wait for.
    let server = Server::new(3, Manner::Hydra, Some("(vector,(0,3,1))"));
    let jobs = server.run(|_| Place::own(), |_| WAYS.into());
    alone(&jobs, &[0, 1, 2]);
    assert_eq!(server.state.lock().unwrap().barriers, 1);
}

#[test]
fn without_a_mapping_the_kernel_is_the_node() {
    for mapping in [None, Some("(vector,(broken"), Some("unknown")] {
        let server = Server::new(4, Manner::Intel, mapping);
        let place = |rank: u32| {
            let mut place = Place::own();
            place.kernel += u128::from(rank % 2);
            place
        };
        let jobs = server.run(place, |_| WAYS.into());
        share(&jobs, &[0, 2]);
        share(&jobs, &[1, 3]);
        assert_eq!(server.state.lock().unwrap().barriers, 3);
    }
}

#[test]
fn a_job_of_one_needs_nobody() {
    let server = Server::new(1, Manner::Hydra, None);
    let jobs = server.run(|_| Place::own(), |_| WAYS.into());
    let (job, member) = &jobs[0];
    assert_eq!((job.size, &job.local[..], job.neighbours), (1, &[0][..], 0));
    member.publish("a").unwrap();
    member.finalized();
    let state = server.state.lock().unwrap();
    assert_eq!((state.barriers, state.gets, state.finalized), (0, 0, 1));
    assert!(state.put.is_empty());
}

#[test]
fn cards_of_any_length_pass_through_any_launcher() {
    for manner in [Manner::Hydra, Manner::Intel, Manner::Terse] {
        let server = Server::new(2, manner, Some("(vector,(0,2,1))"));
        let jobs = server.run(|_| Place::own(), |_| WAYS.into());
        for length in [0, 1, 70, 79, 80, 500, MAX_CARD] {
            let card = |rank: u32| format!("{rank}").repeat(length);
            thread::scope(|scope| {
                for (job, member) in &jobs {
                    let card = card(job.rank);
                    scope.spawn(move || {
                        member.published.store(false, Ordering::Release);
                        assert_eq!(member.fetch(0), Ok(None));
                        member.publish(&card).unwrap();
                    });
                }
            });
            for (_, member) in &jobs {
                assert_eq!(member.fetch(0), Ok(Some(card(0))));
                assert_eq!(member.fetch(1), Ok(Some(card(1))));
                assert!(member.fetch(2).unwrap_err().contains("no rank 2"));
            }
        }
        for bad in ["a b", "a;b", "a=b", "\u{fc}", &"x".repeat(MAX_CARD + 1)] {
            assert!(jobs[0].1.publish(bad).is_err(), "{bad}");
        }
        assert!(server.state.lock().unwrap().longest <= 1024);
    }
}

/// A socket whose other end says `script` and then holds still, or hangs up.
fn hostile(script: &[u8], hang_up: bool) -> OwnedFd {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    ours.write_all(script).unwrap();
    if hang_up {
        ours.shutdown(std::net::Shutdown::Write).unwrap();
    }
    // Kept open until the process is done with it.
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(1..) = ours.read(&mut bytes) {}
    });
    theirs.into()
}

fn greet(script: &[u8], hang_up: bool) -> Result<Launcher, String> {
    let identity = Identity::Rank { rank: 0, size: 2 };
    Launcher::greet(
        hostile(script, hang_up),
        &identity,
        Duration::from_millis(200),
    )
}

#[test]
fn a_broken_launcher_is_an_error_in_time() {
    let init = "cmd=response_to_init rc=0 pmi_version=1 pmi_subversion=1\n";
    let endless = vec![b'x'; 20_000];
    for (script, hang_up, says) in [
        (&b""[..], false, "has not sent response_to_init for 0.2 s"),
        (b"", true, "it has closed the connection"),
        (b"cmd=response_to", true, "it has closed the connection"),
        (b"cmd=response_to", false, "has not sent response_to_init"),
        (b"HTTP/1.1 400 Bad Request\n", true, "PMI-1"),
        (b"\xff\xfe\n", true, "PMI-1"),
        (b"\n", true, "PMI-1"),
        (b"mcmd=response_to_init\n", true, "PMI-1"),
        (&endless, false, "PMI-1"),
        (b"cmd=maxes rc=0\n", true, "no response_to_init"),
        (
            b"cmd=response_to_init rc=-1 pmi_version=2 pmi_subversion=0\n",
            false,
            "does not speak PMI-1",
        ),
        (init.as_bytes(), true, "it has closed the connection"),
        (init.as_bytes(), false, "has not sent maxes"),
    ] {
        let begun = Instant::now();
        let error = greet(script, hang_up).unwrap_err();
        assert!(error.contains(says), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
    let rest = "cmd=maxes\ncmd=appnum appnum=0\ncmd=my_kvsname kvsname=\n";
    let error = greet(format!("{init}{rest}").as_bytes(), true).unwrap_err();
    assert!(error.contains("names no key-value space"), "{error}");
    let rest = "cmd=maxes vallen_max=3\ncmd=appnum\ncmd=my_kvsname kvsname=k\n";
    let launcher = greet(format!("{init}{rest}").as_bytes(), true).unwrap();
    let error = launcher.put("key", "value").unwrap_err();
    assert!(error.contains("values of 2"), "{error}");
    assert!(launcher.barrier().unwrap_err().contains("closed"));
}

#[test]
fn values_that_others_have_put_are_not_believed() {
    let begin = "cmd=response_to_init rc=0 pmi_version=1\ncmd=maxes\ncmd=appnum\ncmd=my_kvsname \
        kvsname=k\n";
    for value in [
        "",
        "x",
        "0:",
        "257:",
        ":",
        "-1:",
        "2:a",
        "9999999999999999999999:",
    ] {
        let script = format!("{begin}cmd=get_result rc=0 value={value}\ncmd=get_result rc=1\n");
        let launcher = greet(script.as_bytes(), true).unwrap();
        assert!(
            launcher.get("key").unwrap_err().contains("damaged"),
            "{value}"
        );
    }
    let script = format!("{begin}cmd=get_result rc=0 value=2:ab\ncmd=get_result rc=0 value=cd\n");
    let launcher = greet(script.as_bytes(), true).unwrap();
    assert_eq!(launcher.get("key"), Ok(Some("abcd".into())));
}

#[test]
fn ranks_of_other_libraries_are_named() {
    let server = Server::new(2, Manner::Hydra, Some("(vector,(0,1,2))"));
    let stranger = {
        let (socket, identity) = (server.connect(), Identity::Rank { rank: 0, size: 2 });
        thread::spawn(move || {
            let launcher = Launcher::greet(socket, &identity, PATIENCE).unwrap();
            launcher.barrier().unwrap();
        })
    };
    let identity = Identity::Rank { rank: 1, size: 2 };
    let launcher = Launcher::greet(server.connect(), &identity, PATIENCE).unwrap();
    let error = join(&launcher, &Place::own(), &WAYS).unwrap_err();
    assert!(
        error.contains("rank 0") && error.contains("another MPI library"),
        "{error}"
    );
    stranger.join().unwrap();
}

#[test]
fn an_abort_does_not_wait_behind_a_question() {
    let begin = "cmd=response_to_init rc=0 pmi_version=1\ncmd=maxes\ncmd=appnum\ncmd=my_kvsname \
        kvsname=k\n";
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    ours.write_all(begin.as_bytes()).unwrap();
    let identity = Identity::Rank { rank: 0, size: 2 };
    let launcher = Launcher::greet(theirs.into(), &identity, PATIENCE).unwrap();
    thread::scope(|scope| {
        let asking = scope.spawn(|| launcher.get("key"));
        let mut heard = Vec::new();
        let mut hear = |until: &str| {
            while !String::from_utf8_lossy(&heard).contains(until) {
                let mut bytes = [0; 1024];
                let count = ours.read(&mut bytes).unwrap();
                assert!(count > 0);
                heard.extend_from_slice(&bytes[..count]);
            }
        };
        hear("key=key\n");
        let aborting = scope.spawn(|| launcher.abort(7, PATIENCE));
        hear("cmd=abort exitcode=7\n");
        ours.shutdown(std::net::Shutdown::Both).unwrap();
        assert!(asking.join().unwrap().unwrap_err().contains("closed"));
        aborting.join().unwrap();
    });
}

#[test]
fn a_launcher_that_listens_tells_rank_and_size() {
    let begin = "cmd=initack rc=0 rank=9 size=9\ncmd=set size=3\ncmd=set rank=1\ncmd=set debug=0\n\
                 cmd=response_to_init rc=0 pmi_version=1\ncmd=maxes\ncmd=appnum\ncmd=my_kvsname \
                 kvsname=k\n";
    let id = Identity::Id("1".into());
    let patience = Duration::from_millis(200);
    let launcher = Launcher::greet(hostile(begin.as_bytes(), true), &id, patience).unwrap();
    assert_eq!((launcher.rank, launcher.size), (1, 3));
    for (script, says) in [
        ("cmd=initack rc=-1\n", "does not know PMI_ID=1"),
        (
            "cmd=initack rc=0\ncmd=set debug=0\n",
            "neither rank nor size",
        ),
        (
            "cmd=initack rc=0\ncmd=set size=2\ncmd=set rank=2\ncmd=set debug=0\n",
            "rank 2 of a job of 2",
        ),
        ("cmd=initack rc=0\n", "closed"),
    ] {
        let error = Launcher::greet(hostile(script.as_bytes(), true), &id, patience).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn what_the_environment_says_wrongly() {
    let discover = |variables: &[(&str, &str)]| {
        let find = |name: &str| {
            let found = variables.iter().find(|(n, _)| *n == name)?;
            Some(found.1.to_owned())
        };
        super::discover(find).map(|found| found.map(drop).map_err(|e| e.to_string()))
    };
    assert_eq!(discover(&[]), None);
    assert_eq!(discover(&[("PMI_SIZE", "2"), ("PMI_RANK", "0")]), None);
    assert_eq!(discover(&[("PMI_PORT", "localhost:1")]), None);
    let full = |fd, rank, size| [("PMI_FD", fd), ("PMI_RANK", rank), ("PMI_SIZE", size)];
    for (variables, says) in [
        (
            &full("9999", "0", "2")[..],
            "PMI_FD=9999 names a descriptor that is not open",
        ),
        (&full("x", "0", "2"), "PMI_FD=x does not name a descriptor"),
        (
            &full("-1", "0", "2"),
            "PMI_FD=-1 does not name a descriptor",
        ),
        (&full("3", "first", "2"), "PMI_RANK=first"),
        (&[("PMI_FD", "3")], "PMI_RANK is not"),
        (
            &[("PMI_PORT", "nowhere"), ("PMI_ID", "0")],
            "PMI_PORT=nowhere",
        ),
        (
            &[("PMI_PORT", "127.0.0.1:1"), ("PMI_ID", "0")],
            "127.0.0.1:1: ",
        ),
    ] {
        let error = discover(variables).unwrap().unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}
