//! Strangers at the ports of a running job: whatever they send, they are refused, the user is told
//! of each kind once by each rank, and the job goes on to its right end.

mod capture;

use capture::Capture;
use ferrite_tests::{Job, Running, c, descriptors, listening, needs, resident, seed};
use rustix::process::{Pid, Resource, Rlimit};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const RANKS: u32 = 4;

/// A job under attack: its ranks wait until they are told to go on, and then talk to everybody.
struct Target {
    job: Running,
    ranks: Vec<Pid>,
    doors: Vec<SocketAddr>,
    folder: TempDir,
}

impl Target {
    fn new(settings: &[(&str, &str)]) -> Target {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut job = Job::new(c("late"))
            .ranks(RANKS)
            .args([folder.path()])
            // One address for each rank, and none that the rest of the machine's network reaches.
            .envs(&[
                ("FERRITE_TRANSPORT", "tcp"),
                ("FERRITE_NETWORK", "127.0.0.0/8"),
            ])
            .envs(settings)
            .start();
        let ranks: Vec<Pid> = (0..RANKS)
            .map(|rank| {
                let line = job.wait_for_line(&format!("ready {rank} "));
                let pid = line.rsplit(' ').next().and_then(|pid| pid.parse().ok());
                pid.and_then(Pid::from_raw).expect("a process id")
            })
            .collect();
        let doors: Vec<SocketAddr> = ranks.iter().flat_map(|rank| listening(*rank)).collect();
        assert_eq!(doors.len(), RANKS as usize, "{doors:?}");
        Target {
            job,
            ranks,
            doors,
            folder,
        }
    }

    /// Lets the job go on, sees it end well, and returns what it said of refusals.
    fn finish(self) -> Vec<String> {
        std::fs::write(self.folder.path().join("go"), "").expect("written");
        let outcome = self.job.finish();
        assert!(outcome.status.success(), "{outcome}");
        assert!(
            outcome.stdout.lines().any(|line| line == "passed"),
            "{outcome}"
        );
        let (refusals, others): (Vec<&str>, Vec<&str>) = outcome
            .stderr
            .lines()
            .partition(|line| line.contains("refused"));
        assert!(others.is_empty(), "{outcome}");
        refusals.into_iter().map(str::to_owned).collect()
    }

    /// As [`Target::finish`]; every rank has told of one kind of stranger, once.
    fn finish_after_one_kind(self) {
        let refusals = self.finish();
        assert_eq!(refusals.len(), RANKS as usize, "{refusals:#?}");
        for rank in 0..RANKS {
            let of_rank = |line: &&String| line.contains(&format!("rank {rank} "));
            assert_eq!(refusals.iter().filter(of_rank).count(), 1, "{refusals:#?}");
        }
    }

    /// Many strangers, one after the other, at every door.
    fn visit(&self, visit: impl Fn(&mut TcpStream)) {
        for door in &self.doors {
            for _ in 0..20 {
                let mut stranger = call(*door);
                visit(&mut stranger);
            }
        }
    }
}

fn call(door: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&door, Duration::from_secs(20)).expect("a door");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a socket");
    stream
}

/// What a stranger says; it may be cut short, when the other side has heard enough.
fn say(stranger: &mut TcpStream, words: &[u8]) {
    let _ = stranger.write_all(words);
}

/// The other side closes, at the latest when a stranger counts as silent; what it said before.
fn is_turned_away(stranger: &mut TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match stranger.read(&mut chunk) {
            Ok(0) => return heard,
            Ok(read) => heard.extend_from_slice(&chunk[..read]),
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return heard,
            Err(e) => panic!("a stranger is still there: {e}"),
        }
        assert!(heard.len() < 100_000, "a stranger is told much");
    }
}

/// Bytes that follow from a seed.
fn noise(mut seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        seed = seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        bytes.push((seed >> 56) as u8);
    }
    bytes
}

#[test]
fn nobody_comes() {
    assert!(Target::new(&[]).finish().is_empty());
}

#[test]
fn garbage() {
    let seed = seed();
    eprintln!("FERRITE_TEST_SEED={seed}");
    let target = Target::new(&[]);
    for (number, length) in [96, 1000, 100_000].into_iter().enumerate() {
        target.visit(|stranger| {
            say(stranger, &noise(seed + number as u64, length));
            is_turned_away(stranger);
        });
    }
    target.visit(|stranger| {
        say(
            stranger,
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: a scanner of \
            ports\r\nAccept: */*\r\n\r\n",
        );
        is_turned_away(stranger);
    });
    target.finish_after_one_kind();
}

#[test]
fn resets() {
    let target = Target::new(&[]);
    target.visit(|stranger| {
        rustix::net::sockopt::set_socket_linger(&*stranger, Some(Duration::ZERO))
            .expect("a socket");
    });
    // One at a time is not what it takes to be reset before it is accepted; many are.
    for door in &target.doors {
        let crowd: Vec<TcpStream> = (0..100).map(|_| call(*door)).collect();
        for stranger in &crowd {
            rustix::net::sockopt::set_socket_linger(stranger, Some(Duration::ZERO))
                .expect("a socket");
        }
    }
    let refusals = target.finish();
    assert!(refusals.len() <= RANKS as usize, "{refusals:#?}");
}

/// They say nothing. Those that wait are sent away in time.
#[test]
fn silence() {
    let target = Target::new(&[]);
    let mut waiting: Vec<TcpStream> = target.doors.iter().map(|door| call(*door)).collect();
    for stranger in &mut waiting {
        assert!(
            is_turned_away(stranger).is_empty(),
            "who says nothing is told nothing"
        );
    }
    target.finish_after_one_kind();
}

/// A thousand at once. The job needs new connections meanwhile and gets them.
#[test]
fn a_crowd() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    rustix::process::setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    )
    .expect("raised");
    let target = Target::new(&[]);
    let victim = target.ranks[0];
    let door = listening(victim).into_iter().next().expect("a door");
    let before = (descriptors(victim).len(), resident(victim));
    let crowd = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..125 {
                    let stranger = call(door);
                    crowd.lock().expect("no panic").push(stranger);
                }
            });
        }
    });
    assert_eq!(crowd.lock().expect("no panic").len(), 1000);
    let during = (descriptors(victim).len(), resident(victim));
    eprintln!("descriptors and kB before and during: {before:?}, {during:?}");
    assert!(
        during.0 - before.0 < 500,
        "descriptors: {before:?}, {during:?}"
    );
    assert!(
        during.1.saturating_sub(before.1) < 16384,
        "kB: {before:?}, {during:?}"
    );
    let refusals = target.finish();
    // The crowd, and those that closed or were silent in the end.
    assert!((1..=2).contains(&refusals.len()), "{refusals:#?}");
}

/// What a member of the job has said when it connected, recorded from the network.
struct Recorded {
    target: Target,
    hello: Vec<u8>,
}

/// The ranks' ports, by which a recording knows who called whom.
const PORTS: &str = "42000-42007";

/// A job, and what one of its ranks said when it connected to another one. From now on this test is
/// in a network of its own.
fn recorded() -> Option<Recorded> {
    if !needs("root") || !needs("namespaces") || !needs("ip") {
        return None;
    }
    let capture = Capture::begin(42000..=42007);
    let target = Target::new(&[("FERRITE_PORT_RANGE", PORTS)]);
    let hello = capture.first_words(Duration::from_secs(20));
    assert!(hello.len() >= 64, "{hello:?}");
    Some(Recorded { target, hello })
}

#[test]
fn a_recorded_dialogue_is_replayed() {
    let Some(Recorded { target, hello }) = recorded() else {
        return;
    };
    target.visit(|stranger| {
        say(stranger, &hello);
        is_turned_away(stranger);
    });
    // At the door of the rank that it was for, the proof is wrong; other ranks say that it is not
    // theirs.
    let refusals = target.finish();
    assert_eq!(refusals.len(), RANKS as usize, "{refusals:#?}");
    let proof = refusals
        .iter()
        .filter(|line| line.contains("secret"))
        .count();
    assert_eq!(proof, 1, "{refusals:#?}");
}

/// Step by step, waiting for each answer as a member does; then with the answer sent back as it
/// came, and with a bit changed.
#[test]
fn a_recorded_dialogue_is_replayed_step_by_step() {
    let Some(Recorded { target, hello }) = recorded() else {
        return;
    };
    let changed: Vec<u8> = hello.iter().map(|byte| byte ^ 1).collect();
    let mut answered = 0;
    for door in &target.doors {
        for round in 0..3 {
            let mut stranger = call(*door);
            say(&mut stranger, &hello[..64]);
            let mut answer = [0; 64];
            if stranger.read_exact(&mut answer).is_err() {
                continue;
            }
            answered += 1;
            match round {
                0 => say(&mut stranger, &hello[64..]),
                1 => say(&mut stranger, &answer),
                _ => say(&mut stranger, &changed[64..]),
            }
            is_turned_away(&mut stranger);
        }
    }
    assert!(
        answered >= 3,
        "the rank that the recording was for answers a hello"
    );
    let refusals = target.finish();
    assert!(
        refusals.iter().any(|line| line.contains("secret")),
        "{refusals:#?}"
    );
}

#[test]
fn half_a_dialogue() {
    let Some(Recorded { target, hello }) = recorded() else {
        return;
    };
    for length in [1, 8, 24, 63, 64, 65, 80, 95] {
        target.visit(|stranger| {
            say(stranger, &hello[..length.min(hello.len())]);
            // It says no more, and closes.
            let _ = stranger.shutdown(std::net::Shutdown::Write);
            is_turned_away(stranger);
        });
    }
    let refusals = target.finish();
    assert!(refusals.len() >= RANKS as usize, "{refusals:#?}");
    assert!(
        refusals.len() <= 2 * RANKS as usize,
        "two kinds at most: {refusals:#?}"
    );
}

#[test]
fn a_dialogue_of_another_job() {
    let Some(Recorded { target, hello }) = recorded() else {
        return;
    };
    assert!(target.finish().is_empty());
    let other = Target::new(&[("FERRITE_PORT_RANGE", PORTS)]);
    other.visit(|stranger| {
        say(stranger, &hello);
        is_turned_away(stranger);
    });
    other.finish_after_one_kind();
}

/// The secret is nowhere where others could read it: not in arguments, not in the environment.
#[test]
fn the_secret_is_in_no_environment_and_no_argument() {
    let target = Target::new(&[]);
    for pid in target.job.processes() {
        for name in ["cmdline", "environ"] {
            let path = format!("/proc/{}/{name}", pid.as_raw_nonzero());
            let text = std::fs::read(Path::new(&path)).unwrap_or_default();
            for word in text.split(|byte| *byte == 0) {
                let is_long_hex = word
                    .split(|byte| !byte.is_ascii_hexdigit())
                    .any(|digits| digits.len() >= 64);
                let word = String::from_utf8_lossy(word);
                assert!(
                    !is_long_hex && !word.to_lowercase().contains("secret="),
                    "{path}: {word}"
                );
            }
        }
    }
    assert!(target.finish().is_empty());
}

/// Strangers come in all ways, for some seconds, while all pairs of ranks exchange messages whose
/// every byte is checked.
#[test]
fn everything_at_once() {
    let seed = seed();
    eprintln!("FERRITE_TEST_SEED={seed}");
    let mut job = Job::new(c("net_soak"))
        .ranks(RANKS)
        .args(["5".to_owned(), seed.to_string()])
        .envs(&[
            ("FERRITE_TRANSPORT", "tcp"),
            ("FERRITE_NETWORK", "127.0.0.0/8"),
        ])
        .start();
    let ranks: Vec<Pid> = (0..RANKS)
        .map(|rank| {
            let line = job.wait_for_line(&format!("ready {rank} "));
            let pid = line.rsplit(' ').next().and_then(|pid| pid.parse().ok());
            pid.and_then(Pid::from_raw).expect("a process id")
        })
        .collect();
    let doors: Vec<SocketAddr> = ranks.iter().flat_map(|rank| listening(*rank)).collect();
    let until = Instant::now() + Duration::from_secs(4);
    let mut kept = Vec::new();
    let mut turn = seed;
    while Instant::now() < until {
        for door in &doors {
            turn = turn.wrapping_add(1);
            // The job may be over on a fast machine.
            let Ok(mut stranger) = TcpStream::connect_timeout(door, Duration::from_secs(5)) else {
                continue;
            };
            let words = noise(turn, (turn % 300) as usize);
            say(&mut stranger, &words);
            if turn.is_multiple_of(5) {
                kept.push(stranger);
            }
        }
        kept.truncate(300);
        std::thread::sleep(Duration::from_millis(2));
    }
    let outcome = job.finish();
    assert!(outcome.status.success(), "{outcome}");
    assert!(
        outcome.stdout.lines().any(|line| line == "passed"),
        "{outcome}"
    );
    let refusals = outcome.stderr.lines().count();
    assert!(
        (RANKS as usize..=4 * RANKS as usize).contains(&refusals),
        "{outcome}"
    );
}
