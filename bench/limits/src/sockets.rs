//! Plain TCP sockets between two processes over loopback: what a library that uses TCP can at best
//! come close to.
//!
//! One process measures, the other is its partner. Each measurement has a connection of its own,
//! over which both do what one [`Plan`] says. Where there is a choice (bytes a call, sizes of the
//! system's buffers, spinning or blocking), a short run of each finds the best one, and a longer
//! run of that one is the figure.

mod plan;
mod work;

use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::sys::{self, Cores};
pub use plan::Waiting;
use plan::{Kind, Plan};

/// The word that makes a program a partner: `main` passes the words after it to [`serve`].
const WORD: &str = "--socket-partner";
/// A partner that does not connect within this time hangs.
const DEADLINE: Duration = Duration::from_secs(20);

const KIB: usize = 1 << 10;
/// Bytes a call where messages are longer than the first.
const CALLS: [usize; 3] = [64 * KIB, 256 * KIB, KIB * KIB];
/// Sizes of the system's buffers; nothing: as the system tunes them.
const BUFFERS: [Option<usize>; 2] = [None, Some(4 * KIB * KIB)];
/// What a run moves to find the best choice, and to measure it.
const SHORT: Amount = Amount {
    bytes: 64 << 20,
    messages: 20_000,
};
const LONG: Amount = Amount {
    bytes: 512 << 20,
    messages: 100_000,
};

/// A run ends with whichever is reached first.
struct Amount {
    bytes: usize,
    messages: usize,
}

impl Amount {
    fn rounds(&self, bytes: usize) -> usize {
        (self.bytes / bytes).clamp(10, self.messages)
    }
}

/// Two processes, this one and a partner, each on a core of its own where there are two.
pub struct Sockets {
    partner: Child,
    listener: TcpListener,
    cores: Cores,
}

impl Sockets {
    /// Starts this program again; its `main` must call [`crate::serve`] first of all.
    ///
    /// # Errors
    /// When there is no loopback, or the program cannot be started.
    pub fn start(cores: Cores) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let core = cores.second().unwrap_or(cores.first());
        let shared = cores.second().is_none();
        let partner = Command::new(std::env::current_exe()?)
            .args([WORD, &core.to_string(), &shared.to_string()])
            .arg(listener.local_addr()?.port().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self {
            partner,
            listener,
            cores,
        })
    }

    /// The mean time of one way of a message of `bytes` bytes that goes back and forth.
    ///
    /// # Errors
    /// When the system or the partner fails.
    pub fn latency(&mut self, bytes: usize, waiting: Waiting) -> io::Result<Duration> {
        let choices = choices(Kind::PingPong, bytes, &[waiting]);
        let (seconds, rounds) = self.best(bytes, choices, 4)?;
        Ok(Duration::from_secs_f64(seconds / (2 * rounds) as f64))
    }

    /// Bytes per second of messages of `bytes` bytes, one after another, from here to there. Each
    /// is sent with a call of its own (or more); what has arrived is taken with as few calls as
    /// possible.
    ///
    /// # Errors
    /// When the system or the partner fails.
    pub fn bandwidth(&mut self, bytes: usize) -> io::Result<f64> {
        let choices = choices(Kind::Stream, bytes, &[Waiting::Spin, Waiting::Block]);
        let (seconds, rounds) = self.best(bytes, choices, 1)?;
        Ok((bytes * rounds) as f64 / seconds)
    }

    /// Bytes per second, both directions together, of messages of `bytes` bytes that both processes
    /// send at once.
    ///
    /// # Errors
    /// When the system or the partner fails.
    pub fn both_ways(&mut self, bytes: usize) -> io::Result<f64> {
        let choices = choices(Kind::BothWays, bytes, &[Waiting::Spin]);
        let (seconds, rounds) = self.best(bytes, choices, 2)?;
        Ok((2 * bytes * rounds) as f64 / seconds)
    }

    /// Time in seconds and rounds of the best choice. A round moves `cost` times as much as a
    /// message one way.
    fn best(
        &mut self,
        bytes: usize,
        mut choices: Vec<Plan>,
        cost: usize,
    ) -> io::Result<(f64, usize)> {
        assert!(bytes > 0, "a stream has no empty messages");
        let mut best = choices[0];
        if choices.len() > 1 {
            let mut least = f64::INFINITY;
            for plan in &mut choices {
                plan.rounds = SHORT.rounds(bytes * cost);
                let seconds = self.run(*plan)?;
                if seconds < least {
                    (least, best) = (seconds, *plan);
                }
            }
        }
        best.rounds = LONG.rounds(bytes * cost);
        Ok((self.run(best)?, best.rounds))
    }

    /// Both processes do what the plan says. The time is that of the timed rounds, in seconds.
    fn run(&mut self, plan: Plan) -> io::Result<f64> {
        let order = self.partner.stdin.as_mut().expect("stdin is piped");
        order.write_all(format!("{plan}\n").as_bytes())?;
        order.flush()?;
        let stream = self.accept()?;
        prepare(&stream, &plan)?;
        let (core, shared) = (self.cores.first(), self.cores.second().is_none());
        // On a thread of its own, so that the caller's stays where it may run.
        let done = thread::scope(|threads| {
            threads
                .spawn(|| {
                    Cores::pin(core);
                    work::lead(&stream, &plan, shared)
                })
                .join()
        });
        done.expect("a measurement does not panic")
            .map(|time| time.as_secs_f64())
    }

    fn accept(&mut self) -> io::Result<TcpStream> {
        let start = Instant::now();
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => return Ok(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if let Some(status) = self.partner.try_wait()? {
                return Err(io::Error::other(format!("the partner ended: {status}")));
            }
            if start.elapsed() > DEADLINE {
                return Err(io::Error::other(format!(
                    "the partner did not connect within {} s",
                    DEADLINE.as_secs()
                )));
            }
            thread::sleep(Duration::from_micros(200));
        }
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        // Its standard input ends, and with that the process, unless it waits for us.
        drop(self.partner.stdin.take());
        let _ = self.partner.wait();
    }
}

/// The ways to do it, rounds not yet set.
fn choices(kind: Kind, bytes: usize, waitings: &[Waiting]) -> Vec<Plan> {
    let small = bytes < CALLS[0];
    let mut choices = Vec::new();
    for &waiting in waitings {
        for call in CALLS {
            for buffer in BUFFERS {
                let plan = Plan {
                    kind,
                    waiting,
                    bytes,
                    rounds: 0,
                    call,
                    buffer,
                };
                // What takes one call anyway is measured once, and small messages do not fill a
                // buffer.
                let alike = kind != Kind::Stream && call > bytes.next_multiple_of(CALLS[0]);
                if !(alike || small && (call > CALLS[0] || buffer.is_some())) {
                    choices.push(plan);
                }
            }
        }
    }
    choices
}

/// Settings of both ends.
fn prepare(stream: &TcpStream, plan: &Plan) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_nonblocking(plan.waiting == Waiting::Spin)?;
    if let Some(bytes) = plan.buffer {
        sys::set_buffers(stream, bytes)?;
    }
    Ok(())
}

/// Does a partner's work, and returns true when it is over, if `words` are those with which
/// [`Sockets::start`] starts a program.
pub(crate) fn serve(words: &[String]) -> bool {
    let [_, word, core, shared, port] = words else {
        return false;
    };
    let (true, Ok(core), Ok(shared), Ok(port)) =
        (word == WORD, core.parse(), shared.parse(), port.parse())
    else {
        return false;
    };
    Cores::pin(core);
    for line in io::stdin().lines() {
        let done = line.and_then(|line| {
            let plan: Plan = line.parse().map_err(io::Error::other)?;
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            prepare(&stream, &plan)?;
            work::follow(&stream, &plan, shared)
        });
        if let Err(error) = done {
            // The other process sees the connection close and says so too.
            eprintln!("the partner of the socket probe: {error}");
            break;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alike_is_measured_once() {
        let spin = [Waiting::Spin];
        assert_eq!(choices(Kind::PingPong, 8, &spin).len(), 1);
        assert_eq!(choices(Kind::PingPong, 64 << 10, &spin).len(), 2);
        assert_eq!(choices(Kind::BothWays, 1 << 20, &spin).len(), 6);
        let both = [Waiting::Spin, Waiting::Block];
        assert_eq!(choices(Kind::Stream, 1, &both).len(), 2);
        assert_eq!(choices(Kind::Stream, 64 << 10, &both).len(), 12);
    }

    #[test]
    fn runs_are_neither_endless_nor_empty() {
        assert_eq!(SHORT.rounds(1), 20_000);
        assert_eq!(SHORT.rounds(1 << 20), 64);
        assert_eq!(SHORT.rounds(1 << 40), 10);
    }

    #[test]
    fn other_words_are_not_for_a_partner() {
        let words = |line: &str| -> Vec<String> { line.split(' ').map(str::to_owned).collect() };
        assert!(!serve(&words("program --bench")));
        assert!(!serve(&words("program --socket-partner x false 80")));
    }
}
