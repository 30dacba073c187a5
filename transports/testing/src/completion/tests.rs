use super::adapter::{Key, Payload, Work};
use super::*;
use crate::conformance::{self, Coverage, Endpoint};
use crate::sim::Seeds;
use ferrite_fabric::{Header, LinkDown, RawBuf, RawBufMut, Region, Sent, Sink, Token, Transfer};

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
    // A body has landed before it is seen, and nothing is done before it is completed.
    assert_eq!((covered.placed, covered.direct), (0, 0));
}

#[test]
fn conforms_with_a_single_credit() {
    let config = Config {
        credits: 1,
        depth: 1,
        frame: CONTROL,
        caps: Caps::default(),
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
    completed: Vec<(Token, bool)>,
}

impl Sink for Heard {
    fn frame(&mut self, peer: u32, _: &Header, _: RawBuf) {
        self.frames.push(peer);
    }
    fn completed(&mut self, _: u32, token: Token, ok: bool) {
        self.completed.push((token, ok));
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

type Change = fn(&mut Region);

#[test]
fn only_the_right_key_opens_memory() {
    let networks = connect(2, PLAIN);
    let memory = vec![7u8; 1000];
    // SAFETY: `memory` outlives every transfer.
    let region = unsafe { networks[1].link(0).expose(RawBuf::of(&memory)) }.expect("a region");
    assert_eq!(region.key_len, 64);
    let mut link = networks[0].link(1);
    let mut port = networks[0].port();
    let mut read = |region: &Region, offset: u64, len: usize| {
        let mut into = vec![0u8; len];
        let mut heard = Heard::default();
        // SAFETY: `into` outlives the transfer, which is waited for.
        let answer = unsafe { link.read(RawBufMut::of(&mut into), region, offset, Token(5)) };
        assert_eq!(answer, Transfer::Queued(Token(5)));
        while heard.completed.is_empty() {
            port.poll(&mut heard);
        }
        let ok = heard.completed == [(Token(5), true)];
        assert_eq!(into == vec![7; len], ok, "nothing is read with a wrong key");
        ok
    };
    assert!(read(&region, 0, 1000));
    assert!(read(&region, 999, 1));
    let wrong: [Change; 4] = [
        |region| region.key[63] ^= 1,
        |region| region.key[0] ^= 1,
        |region| region.key_len = 63,
        |region| region.addr -= 1,
    ];
    for change in wrong {
        let mut other = region;
        change(&mut other);
        assert!(!read(&other, 0, 1000), "{other:?}");
    }
    assert!(!read(&region, 1, 1000), "beyond the end");
    assert!(!read(&region, u64::MAX, 1));
}

#[test]
fn memory_that_is_not_registered_is_not_sent() {
    let mut adapters = Adapters::new(2, 1, 16);
    adapters.post_receive(1, vec![0; 100].into());
    let mut memory = vec![1u8; 10];
    let buffer = RawBufMut::of(&mut memory);
    let send = |adapters: &mut Adapters, key: &Key| {
        let work = Work::Send {
            header: HEADER,
            payload: Payload::Registered(key.clone(), buffer.as_buf()),
            immediate: 0,
        };
        let id = adapters.post(0, 1, work);
        adapters.work(usize::MAX);
        loop {
            if let Some((done, peer, ok)) = adapters.done(0) {
                assert_eq!((done, peer), (id, 1));
                return ok;
            }
        }
    };
    let key = adapters.register(0, buffer, false);
    let theirs = adapters.register(1, buffer, false);
    assert!(!send(&mut adapters, &theirs), "another process's key");
    assert!(send(&mut adapters, &key));
    adapters.deregister(&key);
    assert!(!send(&mut adapters, &key), "registered no more");
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
