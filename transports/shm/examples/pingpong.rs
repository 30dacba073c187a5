//! Measures the transport alone between two processes: `cargo run --release -p ferrite-shm
//! --example pingpong`.
//!
//! Options: `slots=N body=N` (shape of the rings), `repeats=N`, `only=NAME` (a part of a figure's
//! name). Every figure is the best and the median of the repeats.

use std::hint::{black_box, spin_loop};
use std::os::fd::OwnedFd;
use std::time::Instant;

use ferrite_fabric::{
    Header, Job, Link, LinkDown, Outcome, RawBuf, RawBufMut, Sent, Sink, Token, Transfer, Uses,
};
use ferrite_shm::{Attachment, ShmConfig, ShmLink, ShmPort, attach};

const HEADER: Header = Header {
    kind: 1,
    flags: 0,
    seq: 0,
    len: 0,
    context: 7,
    tag: 3,
    source: 0,
};

/// Copies what arrives into `into`, as a matched receive does.
struct Land {
    frames: usize,
    into: Vec<u8>,
    region: u64,
}

impl Sink for Land {
    #[inline]
    fn frame(&mut self, _peer: u32, header: &Header, body: RawBuf) {
        self.frames += 1;
        if header.context != HEADER.context {
            self.region = header.context;
        }
        // SAFETY: a body is readable during the call, and `into` holds the longest frame.
        unsafe { body.copy_to(self.into.as_mut_ptr()) }
    }

    fn completed(&mut self, _peer: u32, _token: Token, _outcome: Outcome) {}

    fn down(&mut self, peer: u32, why: LinkDown) {
        panic!("{peer}: {}", why.reason);
    }
}

struct Side {
    first: bool,
    link: ShmLink,
    port: ShmPort,
    land: Land,
    _attachment: Attachment,
}

impl Side {
    fn send(&mut self, header: &Header, body: RawBuf) {
        loop {
            // SAFETY: `body` is readable.
            let sent = unsafe {
                if body.len <= ferrite_shm::INLINE {
                    self.link.try_send_inline(header, body)
                } else {
                    self.link.try_send(header, body, Token(0))
                }
            };
            if sent == Sent::Done {
                return;
            }
            self.port.poll_into(&mut self.land);
        }
    }

    fn receive(&mut self, frames: usize) {
        while self.land.frames < frames {
            if self.port.poll_into(&mut self.land) == 0 {
                spin_loop();
            }
        }
        self.land.frames -= frames;
    }

    /// Both sides get here before either goes on.
    fn meet(&mut self) {
        self.send(&HEADER, RawBuf::EMPTY);
        self.receive(1);
    }

    /// Seconds one way.
    fn latency(&mut self, body: RawBuf, rounds: usize) -> f64 {
        self.meet();
        let start = Instant::now();
        for _ in 0..rounds {
            if self.first {
                self.send(&HEADER, body);
                self.receive(1);
            } else {
                self.receive(1);
                self.send(&HEADER, body);
            }
        }
        start.elapsed().as_secs_f64() / rounds as f64 / 2.0
    }

    /// Seconds per frame, in windows of 64 with an answer after each.
    fn stream(&mut self, body: RawBuf, windows: usize) -> f64 {
        self.meet();
        let start = Instant::now();
        for _ in 0..windows {
            if self.first {
                (0..64).for_each(|_| self.send(&HEADER, body));
                self.receive(1);
            } else {
                self.receive(64);
                self.send(&HEADER, RawBuf::EMPTY);
            }
        }
        start.elapsed().as_secs_f64() / windows as f64 / 64.0
    }

    /// Seconds per cross-memory read of `len` bytes, done by the second side.
    fn read(&mut self, len: usize, rounds: usize) -> Option<f64> {
        let mut memory = vec![1u8; len];
        // SAFETY: `memory` lives until the other side has answered.
        let registered = unsafe { self.link.register(RawBufMut::of(&mut memory), Uses::READ) };
        let registration = registered.ok()?;
        let region = *registration.region();
        self.send(
            &Header {
                context: region.addr,
                ..HEADER
            },
            RawBuf::EMPTY,
        );
        self.receive(1);
        let from = ferrite_fabric::Region {
            addr: self.land.region,
            ..region
        };
        let start = Instant::now();
        let mut seconds = None;
        if !self.first {
            for _ in 0..rounds {
                // SAFETY: `memory` is writable.
                if unsafe {
                    self.link
                        .read(RawBufMut::of(&mut memory), &from, 0, Token(0))
                } != Transfer::Done
                {
                    break;
                }
            }
            seconds = Some(start.elapsed().as_secs_f64() / rounds as f64);
        }
        let bytes = seconds.unwrap_or_default().to_le_bytes();
        self.send(&HEADER, RawBuf::of(&bytes));
        self.receive(1);
        black_box(&memory);
        seconds.or_else(|| {
            Some(f64::from_le_bytes(
                self.land.into[..8].try_into().expect("8 bytes"),
            ))
        })
    }
}

fn option(name: &str) -> Option<String> {
    std::env::args().find_map(|a| a.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
}

fn number(name: &str, default: usize) -> usize {
    option(name).map_or(default, |value| value.parse().expect("a number"))
}

fn main() {
    let mut shape = ferrite_shm::default_shape(2);
    shape.slots = number("slots", shape.slots as usize) as u32;
    shape.body = number("body", shape.body as usize) as u32;
    let config = ShmConfig {
        shape: Some(shape),
        ..ShmConfig::default()
    };
    let repeats = number("repeats", 15);
    let only = option("only").unwrap_or_default();
    let segment: OwnedFd =
        rustix::fs::memfd_create("pingpong", rustix::fs::MemfdFlags::ALLOW_SEALING)
            .expect("a memory file");
    // SAFETY: this process has one thread.
    let child = unsafe { libc::fork() };
    let rank = u32::from(child == 0);
    pin(rank as usize);
    let job = Job {
        id: [1; 16],
        secret: ferrite_fabric::Secret([0; 32]),
        rank,
        size: 2,
        local: vec![0, 1],
        neighbours: 1,
        nodes: Vec::new(),
        cpus: 2,
        appnum: 0,
        part: 0,
        launcher: 0,
        segment: Some(segment),
    };
    let attachment = attach(&job, &config).expect("attached");
    let mut side = Side {
        first: rank == 0,
        link: attachment
            .link(1 - rank)
            .expect("mapped")
            .expect("a local peer"),
        port: attachment.port(),
        land: Land {
            frames: 0,
            into: vec![0; 1 << 20],
            region: 0,
        },
        _attachment: attachment,
    };

    type Measure<'a> = &'a mut dyn FnMut(&mut Side) -> f64;
    let data = vec![1u8; 1 << 20];
    let body = |len| RawBuf {
        ptr: data.as_ptr(),
        len,
    };
    let report =
        |name: &str, side: &mut Side, show: &dyn Fn(f64) -> String, measure: Measure<'_>| {
            if !name.contains(&only) {
                return;
            }
            let mut all: Vec<f64> = (0..repeats).map(|_| measure(side)).collect();
            all.sort_by(f64::total_cmp);
            if side.first {
                println!(
                    "{name:28} best {:>12}  median {:>12}",
                    show(all[0]),
                    show(all[repeats / 2])
                );
            }
        };
    let ns = |s: f64| format!("{:.1} ns", s * 1e9);
    let rate = |s: f64| format!("{:.2} M/s", 1e-6 / s);
    for len in [0, 1, 8, 40, 64, 256, 1024, 8192] {
        report(&format!("latency {len} B"), &mut side, &ns, &mut |s| {
            s.latency(body(len), 20_000)
        });
    }
    for len in [1, 8, 64, 256] {
        report(&format!("rate {len} B"), &mut side, &rate, &mut |s| {
            s.stream(body(len), 3_000)
        });
    }
    let longest = side.link.limits().frame;
    for len in [1024, 4096, 8192, 16384, 32768, 65536] {
        if len <= longest {
            let gb = move |s: f64| format!("{:.2} GB/s", len as f64 / s * 1e-9);
            report(&format!("stream {len} B"), &mut side, &gb, &mut |s| {
                s.stream(body(len), 200)
            });
        }
    }
    for len in [16 << 10, 64 << 10, 1 << 20] {
        let gb = move |s: f64| format!("{:.2} GB/s", len as f64 / s * 1e-9);
        report(&format!("read {len} B"), &mut side, &gb, &mut |s| {
            s.read(len, 200).expect("reads")
        });
    }
    if side.first {
        // SAFETY: waits for the child forked above.
        unsafe { libc::waitpid(child, core::ptr::null_mut(), 0) };
    }
}

fn pin(cpu: usize) {
    // SAFETY: a zeroed set is empty; the set is a local variable.
    unsafe {
        let mut set: libc::cpu_set_t = core::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}
