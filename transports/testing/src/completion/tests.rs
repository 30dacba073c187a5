use super::adapter::{Payload, Work};
use super::*;
use crate::conformance::{self, Coverage, Endpoint};
use crate::place::Access;
use crate::registry::What;
use crate::sim::Seeds;
use ferrite_fabric::{
    AtomicOps, Atomics, Failure, Header, Link, LinkDown, Outcome, OwnedBuf, Port, RawBuf, Region,
    Sent, Sink, Token, Transfer, Uses,
};

const PLAIN: Config = Config {
    direct_from: 0,
    seed: 1,
    inline: CONTROL,
    frame: 4096,
    credits: 8,
    depth: 16,
    key: 64,
    caps: Caps {
        read: true,
        write: true,
        atomics: Atomics {
            of_32: AtomicOps::ALL,
            of_64: AtomicOps::ALL,
            with_processors: false,
        },
        visible_writes: false,
        checks_keys: true,
        order: moods::CONNECTED,
    },
    rma: RmaLimits {
        inline: 64,
        transfer: 1 << 20,
        outstanding: 12,
        registrations: 5,
        registered: 1 << 20,
    },
};

fn endpoints(processes: u32, config: Config) -> Vec<Endpoint> {
    let networks = connect(processes, config).into_iter().zip(0..);
    networks
        .map(|(network, rank)| Endpoint {
            reflexive: true,
            ..Endpoint::of(network, rank, processes)
        })
        .collect()
}

fn conforms(seed: u64, config: Config) -> Coverage {
    conformance::run(seed, |processes| endpoints(processes, config))
}

#[test]
fn conforms_with_keys_of_64_bytes() {
    let covered = conforms(1, PLAIN);
    assert!(covered.lent > 0 && covered.direct_later > 0, "{covered:?}");
    // A body has landed before it is seen.
    assert_eq!(covered.placed, 0);
    let Coverage {
        direct,
        registered,
        refused,
        full,
        denied,
        flushed,
        atomics,
        ordered,
        ..
    } = covered;
    let all = [
        direct, registered, refused, full, denied, flushed, atomics, ordered,
    ];
    assert!(all.iter().all(|count| *count > 0), "{covered:?}");
}

#[test]
fn conforms_with_a_single_credit() {
    let config = Config {
        credits: 1,
        depth: 1,
        frame: CONTROL,
        caps: Caps::NONE,
        rma: RmaLimits::NONE,
        ..PLAIN
    };
    assert_eq!(conforms(2, config), Coverage::default());
}

#[test]
fn conforms_whatever_the_seed() {
    for seed in Seeds::new("completion::conforms_whatever_the_seed", 5) {
        conforms(seed, Config::of(seed));
    }
}

#[test]
fn the_loss_of_a_process_is_reported() {
    for seed in Seeds::new("completion::the_loss_of_a_process_is_reported", 5) {
        let make = |processes| endpoints(processes, Config::of(seed));
        conformance::loss(seed, make, drop);
    }
}

/// What one process hears: peers of frames, and completions.
#[derive(Default)]
struct Heard {
    frames: Vec<u32>,
    completed: Vec<(Token, Outcome)>,
}

impl Sink for Heard {
    fn frame(&mut self, peer: u32, _: &Header, _: RawBuf) {
        self.frames.push(peer);
    }
    fn completed(&mut self, _: u32, token: Token, outcome: Outcome) {
        self.completed.push((token, outcome));
    }
    fn down(&mut self, peer: u32, why: LinkDown) {
        panic!("peer {peer} is gone: {}", why.reason);
    }
}

const HEADER: Header = Header {
    kind: 1,
    flags: 0,
    seq: 0,
    len: 0,
    context: 0,
    tag: 0,
    source: 0,
};

/// Reads 100 bytes of process 1, into a part of `own`.
fn read_into(link: &mut dyn Link, port: &mut dyn Port, own: &OwnedBuf, from: &Region) -> Outcome {
    let mut heard = Heard::default();
    let into = own.buf_mut().part(7, 100);
    // SAFETY: `own` outlives the transfer, which is waited for.
    let answer = unsafe { link.read(into, from, 0, Token(5)) };
    assert_eq!(answer, Transfer::Queued(Token(5)));
    while heard.completed.is_empty() {
        port.poll(&mut heard);
    }
    heard.completed[0].1
}

#[test]
fn an_adapter_knows_what_was_registered_for_it() {
    let memory = OwnedBuf::zeroed(1000);
    let mut plain = Shared {
        adapters: Adapters::new(2, &PLAIN),
        sides: (0..2).map(|_| transport::Side::new(2, 1)).collect(),
    };
    let theirs = OwnedBuf::zeroed(1000);
    let local = Uses {
        local: true,
        ..Uses::default()
    };
    let registry = &mut plain.adapters.registry;
    let region = registry
        .register(1, theirs.buf_mut(), Uses::READ)
        .expect("room");
    let begin = |plain: &mut Shared, at, len| {
        let access = Access {
            what: What::Read(memory.buf_mut().part(at, len)),
            region: &region,
            offset: 0,
        };
        // SAFETY: the memory outlives the network.
        let begun = unsafe { plain.access(&PLAIN, (0, 1), access, Token(1)) };
        assert_eq!(begun, Transfer::Queued(Token(1)));
        plain.adapters.registered()
    };
    assert_eq!(
        begin(&mut plain, 0, 1000),
        1,
        "registered for the time of the read"
    );
    let registry = &mut plain.adapters.registry;
    let known = memory.buf_mut().part(100, 200);
    let own = registry.register(0, known, local).expect("room");
    assert_eq!(begin(&mut plain, 100, 200), 1, "known already");
    assert_eq!(begin(&mut plain, 200, 101), 2, "more than is known");
    plain.adapters.registry.unregister(&own);
    assert_eq!(begin(&mut plain, 100, 200), 3, "not known any more");
}

#[test]
fn a_revoked_key_opens_nothing() {
    for seed in 0..20 {
        let networks = connect(2, Config { seed, ..PLAIN });
        let bytes: Box<[u8]> = vec![7; 100].into();
        let (memory, own) = (OwnedBuf::from(bytes), OwnedBuf::zeroed(200));
        let (mut owner, mut link) = (networks[1].link(0), networks[0].link(1));
        let mut port = networks[0].port();
        // SAFETY: `memory` outlives the registration.
        let registration = unsafe { owner.register(memory.buf_mut(), Uses::READ) }.expect("room");
        let region = *registration.region();
        assert_eq!(region.key_len, 64);
        let read = read_into(&mut *link, &mut *port, &own, &region);
        assert_eq!(read, Ok(()));
        drop(registration);
        drop(memory);
        let read = read_into(&mut *link, &mut *port, &own, &region);
        assert_eq!(read, Err(Failure::Denied));
    }
}

#[test]
fn memory_that_is_not_registered_is_not_sent() {
    let mut adapters = Adapters::new(2, &PLAIN);
    adapters.post_receive(1, vec![0; 100].into());
    let memory = OwnedBuf::zeroed(10);
    let send = |adapters: &mut Adapters, key| {
        let work = Work::Send {
            header: HEADER,
            payload: Payload::Registered(key, memory.buf()),
            immediate: 0,
        };
        let id = adapters.post(0, 1, work);
        adapters.work(usize::MAX);
        loop {
            if let Some((done, peer, outcome)) = adapters.done(0) {
                assert_eq!((done, peer), (id, 1));
                return outcome.is_ok();
            }
        }
    };
    let key = adapters.register(0, memory.buf());
    let theirs = adapters.register(1, memory.buf());
    assert!(!send(&mut adapters, theirs), "another process's key");
    assert!(send(&mut adapters, key));
    adapters.deregister(key);
    assert!(!send(&mut adapters, key), "registered no more");
    assert_eq!(adapters.received(1).expect("one message").len, 10);
}

#[test]
fn who_has_no_credit_waits_for_the_receiver() {
    let networks = connect(2, PLAIN);
    let (mut link, mut port) = (networks[0].link(1), networks[0].port());
    let mut receiver = networks[1].port();
    let mut heard = Heard::default();
    let mut send = || {
        // SAFETY: an empty body.
        unsafe { link.try_send(&HEADER, RawBuf::EMPTY, Token(0)) }
    };
    for _ in 0..PLAIN.credits {
        assert_eq!(send(), Sent::Done);
        port.poll(&mut heard);
    }
    assert_eq!(send(), Sent::Full, "however often the sender polls");
    while heard.frames.len() < PLAIN.credits as usize {
        receiver.poll(&mut heard);
    }
    port.poll(&mut heard);
    assert_eq!(send(), Sent::Done, "credits came alone");
}

#[test]
fn completions_are_out_of_step() {
    let mut orders = std::collections::HashSet::new();
    for seed in 0..20 {
        let networks = connect(4, Config { seed, ..PLAIN });
        let body = vec![1u8; 1000];
        let mut port = networks[0].port();
        let mut heard = Heard::default();
        for peer in 1..4 {
            let mut link = networks[0].link(peer);
            // SAFETY: `body` outlives the network.
            let sent = unsafe { link.try_send(&HEADER, RawBuf::of(&body), Token(peer.into())) };
            assert_eq!(sent, Sent::Queued(Token(peer.into())));
        }
        while heard.completed.len() < 3 {
            port.poll(&mut heard);
        }
        orders.insert(heard.completed);
    }
    assert!(orders.len() > 2, "{orders:?}");
}
