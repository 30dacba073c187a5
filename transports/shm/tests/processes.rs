//! Ranks that are real processes: this program starts itself once for every rank, with the segment
//! as an inherited descriptor. `cargo test -p ferrite-shm --test processes -- frames=1000000` makes
//! the traffic last longer.

mod common;

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Child, Command, Stdio, exit};
use std::time::Duration;

use common::{endpoint, job, segment};
use ferrite_fabric::{
    Failure, Header, Link, LinkDown, Outcome, Port, RawBuf, RawBufMut, Sent, Sink, Token, Transfer,
    Uses,
};
use ferrite_fabric_testing::conformance;
use ferrite_shm::{Attachment, Shape, ShmConfig, ShmLink, ShmPort, attach, region_of};
use rustix::process::{Signal, WaitOptions, set_parent_process_death_signal};

const SEED: u64 = 0x5eed_1000;

/// The parts that ranks play, by name.
type Part = fn(rank: u32, size: u32, segment: OwnedFd);
const PARTS: [(&str, u32, Part); 6] = [
    ("random traffic among 8 sleepy processes", 8, storm),
    (
        "random traffic through rings of 4 slots",
        3,
        storm_through_small_rings,
    ),
    (
        "random traffic without asymmetric fences",
        3,
        storm_without_fences,
    ),
    ("cross-memory attach between processes", 2, cross_memory),
    ("a dead peer's memory", 2, dead_peer),
    ("a system that forbids cross-memory attach", 2, forbidden),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [marker, part, rank, fd, ..] = &arguments[..]
        && marker == "--rank"
    {
        let number = |text: &String| text.parse::<u32>().expect("a number");
        let (_, size, part) = PARTS[number(part) as usize];
        // A rank ends with its parent, and a lost wake-up ends the test.
        set_parent_process_death_signal(Some(Signal::KILL)).expect("a death signal");
        // SAFETY: no handler is involved.
        unsafe { libc::alarm(300) };
        // SAFETY: the parent left this descriptor open for us, and nothing else here owns it.
        let segment = unsafe { OwnedFd::from_raw_fd(number(fd) as i32) };
        part(number(rank), size, segment);
        return;
    }
    // The options of cargo's harness: a filter, and --list, which has nothing to say here.
    if arguments.iter().any(|argument| argument == "--list") {
        return;
    }
    let filter = arguments
        .iter()
        .find(|argument| !argument.starts_with("--"));
    for (index, (name, size, _)) in PARTS.iter().enumerate() {
        if filter.is_none_or(|filter| name.contains(filter)) {
            run(index, *size);
            println!("test {name} ... ok");
        }
    }
}

fn run(part: usize, size: u32) {
    let segment = segment();
    let fd = segment.as_raw_fd();
    rustix::io::fcntl_setfd(&segment, rustix::io::FdFlags::empty())
        .expect("an inheritable descriptor");
    let start = |rank: u32| {
        Command::new(std::env::current_exe().expect("this program"))
            .args([
                "--rank",
                &part.to_string(),
                &rank.to_string(),
                &fd.to_string(),
            ])
            .args(std::env::args().filter(|argument| argument.contains('=')))
            .stdin(Stdio::null())
            .spawn()
            .expect("a process")
    };
    let mut ranks: Vec<(u32, Child)> = (0..size).map(|rank| (rank, start(rank))).collect();
    let expected = |rank: u32| PARTS[part].0.contains("dead") && rank == 1;
    for _ in 0..size {
        let (pid, status) = rustix::process::wait(WaitOptions::empty())
            .expect("children")
            .expect("one has ended");
        let place = ranks
            .iter()
            .position(|(_, child)| child.id() == pid.as_raw_nonzero().get() as u32);
        let (rank, _) = ranks.remove(place.expect("a rank"));
        if status.exit_status() != Some(0) && !expected(rank) {
            println!(
                "test {} ... FAILED: rank {rank}: {status:?}; seed {SEED:#x}",
                PARTS[part].0
            );
            for (_, child) in &mut ranks {
                child.kill().expect("killed");
            }
            exit(1);
        }
    }
}

/// Frames that a process sends: as asked for, or `default`.
fn frames(default: usize) -> usize {
    let asked =
        std::env::args().find_map(|argument| argument.strip_prefix("frames=")?.parse().ok());
    asked.unwrap_or(default)
}

fn storm(rank: u32, size: u32, segment: OwnedFd) {
    let attachment = attach(&job(rank, size, segment), &ShmConfig::default()).expect("attached");
    conformance::storm(endpoint(rank, size, &attachment), SEED, frames(5_000));
}

fn storm_through_small_rings(rank: u32, size: u32, segment: OwnedFd) {
    let config = ShmConfig {
        shape: Some(Shape {
            slots: 4,
            body: 1024,
        }),
        ..ShmConfig::default()
    };
    let attachment = attach(&job(rank, size, segment), &config).expect("attached");
    conformance::storm(endpoint(rank, size, &attachment), SEED, frames(10_000));
}

/// Only rank 1 can do asymmetric fences.
fn storm_without_fences(rank: u32, size: u32, segment: OwnedFd) {
    if rank != 1 {
        forbid(libc::SYS_membarrier);
    }
    let attachment = attach(&job(rank, size, segment), &ShmConfig::default()).expect("attached");
    conformance::storm(endpoint(rank, size, &attachment), SEED, frames(2_000));
}

/// Keeps the header of the last frame.
#[derive(Default)]
struct Told(Option<Header>);

impl Sink for Told {
    fn frame(&mut self, _peer: u32, header: &Header, _body: RawBuf) {
        self.0 = Some(*header);
    }

    fn completed(&mut self, _: u32, _: Token, _: Outcome) {
        panic!("nothing was queued");
    }

    fn down(&mut self, _: u32, why: LinkDown) {
        panic!("{}", why.reason);
    }
}

struct Rank {
    attachment: Attachment,
    link: ShmLink,
    port: ShmPort,
}

impl Rank {
    fn new(rank: u32, segment: OwnedFd) -> Rank {
        let attachment = attach(&job(rank, 2, segment), &ShmConfig::default()).expect("attached");
        let link = attachment.link(1 - rank).expect("mapped").expect("local");
        Rank {
            link,
            port: attachment.port(),
            attachment,
        }
    }

    /// Sends an address and this process's id.
    fn tell(&mut self, address: u64) {
        let source = std::process::id() as i32;
        let header = Header {
            kind: 1,
            flags: 0,
            seq: 0,
            len: 0,
            context: address,
            tag: 0,
            source,
        };
        // SAFETY: an empty body.
        let sent = unsafe { self.link.try_send_inline(&header, RawBuf::EMPTY) };
        assert_eq!(sent, Sent::Done);
    }

    fn listen(&mut self) -> Header {
        let mut told = Told::default();
        loop {
            self.port.poll_into(&mut told);
            if let Some(header) = told.0 {
                return header;
            }
            if self.port.prepare_sleep() {
                self.attachment.sleeper().wait(None);
                self.port.awake();
            }
        }
    }
}

const BYTES: usize = 3 << 20;

/// Rank 0 reads and writes the memory of rank 1.
fn cross_memory(rank: u32, _size: u32, segment: OwnedFd) {
    let mut own = Rank::new(rank, segment);
    let pattern = conformance::Random(SEED).bytes(BYTES);
    if rank == 1 {
        let mut memory = pattern.clone();
        // SAFETY: `memory` lives until the peer has said that it is done.
        let region = unsafe { own.link.register(RawBufMut::of(&mut memory), Uses::PEERS) }
            .expect("registered");
        own.tell(region.region().addr);
        own.listen();
        let seen = std::hint::black_box(&mut memory);
        assert!(
            seen.iter().eq(pattern.iter().rev()),
            "what the peer has written"
        );
        return;
    }
    let region = region_of(own.listen().context, BYTES);
    let mut into = vec![0; BYTES];
    for (at, len) in [
        (0, BYTES),
        (1, 1),
        (4095, 2),
        (BYTES - 7, 7),
        (100, 0),
        (77_777, 1_000_001),
    ] {
        into.fill(0);
        // SAFETY: `into` is writable.
        let read = unsafe {
            own.link.read(
                RawBufMut::of(&mut into[..len]),
                &region,
                at as u64,
                Token(0),
            )
        };
        assert_eq!(read, Transfer::Done);
        assert!(into[..len] == pattern[at..at + len]);
    }
    let mut reversed = pattern;
    reversed.reverse();
    for (at, piece) in reversed.chunks(1_000_003).enumerate() {
        // SAFETY: `piece` is readable.
        let wrote = unsafe {
            own.link.write(
                RawBuf::of(piece),
                &region,
                (at * 1_000_003) as u64,
                Token(0),
            )
        };
        assert_eq!(wrote, Transfer::Done);
    }
    own.tell(0);
}

/// Rank 0 kills rank 1 while it reads its memory.
fn dead_peer(rank: u32, _size: u32, segment: OwnedFd) {
    let mut own = Rank::new(rank, segment);
    let mut memory = [7u8; 64];
    if rank == 1 {
        own.tell(memory.as_ptr().expose_provenance() as u64);
        loop {
            std::thread::sleep(Duration::from_secs(3600));
        }
    }
    let peer = own.listen();
    let region = region_of(peer.context, memory.len());
    let mut read = || {
        // SAFETY: `memory` is writable.
        unsafe {
            own.link
                .read(RawBufMut::of(&mut memory), &region, 0, Token(0))
        }
    };
    assert_eq!(read(), Transfer::Done);
    // SAFETY: a process that this program started, which is in `dead_peer` too.
    assert_eq!(unsafe { libc::kill(peer.source, libc::SIGKILL) }, 0);
    let last = loop {
        match read() {
            Transfer::Done => std::thread::yield_now(),
            other => break other,
        }
    };
    assert_eq!(last, Transfer::Failed(Failure::Unreachable));
}

/// Rank 0 loses first the right to write, then the right to read rank 1's memory.
fn forbidden(rank: u32, _size: u32, segment: OwnedFd) {
    let mut own = Rank::new(rank, segment);
    let mut memory = [7u8; 64];
    if rank == 1 {
        own.tell(memory.as_ptr().expose_provenance() as u64);
        own.listen();
        return;
    }
    let region = region_of(own.listen().context, memory.len());
    forbid(libc::SYS_process_vm_writev);
    // SAFETY: `memory` is readable and writable.
    unsafe {
        assert_eq!(
            own.link
                .read(RawBufMut::of(&mut memory), &region, 0, Token(0)),
            Transfer::Done
        );
        assert_eq!(
            own.link.write(RawBuf::of(&memory), &region, 0, Token(0)),
            Transfer::Unavailable
        );
    }
    let caps = own.link.limits().caps;
    assert!(caps.read && !caps.write, "{caps:?}");
    forbid(libc::SYS_process_vm_readv);
    for _ in 0..2 {
        // SAFETY: `memory` is writable.
        let read = unsafe {
            own.link
                .read(RawBufMut::of(&mut memory), &region, 0, Token(0))
        };
        assert_eq!(read, Transfer::Unavailable);
    }
    assert!(!own.link.limits().caps.read);
    own.tell(0);
}

/// Makes a system call fail with EPERM in this process, as a container's filter does.
fn forbid(call: libc::c_long) {
    let op = |code: u32, jt, jf, k| libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let mut program = [
        // The number of the call is the first word of what the filter sees.
        op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        op(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            0,
            1,
            call as u32,
        ),
        op(
            libc::BPF_RET | libc::BPF_K,
            0,
            0,
            libc::SECCOMP_RET_ERRNO | libc::EPERM as u32,
        ),
        op(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the filter is valid during the call and concerns this process only.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(
            libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const filter
            ),
            0
        );
    }
}
