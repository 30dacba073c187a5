//! The suite that every transport must pass, over loopback.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use ferrite_fabric::conformance::{self, Coverage, Endpoint};
use ferrite_fabric::{
    Bootstrap, Caps, Header, Job, Limits, Link, Network, Options, Port, RawBuf, RawBufMut, Region,
    Secret, Sent, Sink, Token, Transfer, Transport,
};

/// Passes addresses on; nothing else is asked of it.
#[derive(Default)]
struct Addresses {
    rank: u32,
    cards: Arc<Mutex<HashMap<u32, String>>>,
}

impl Bootstrap for Addresses {
    fn publish(&self, card: &str) -> Result<(), String> {
        self.cards.lock().unwrap().insert(self.rank, card.into());
        Ok(())
    }
    fn fetch(&self, rank: u32) -> Result<Option<String>, String> {
        Ok(self.cards.lock().unwrap().get(&rank).cloned())
    }
    fn finalized(&self) {}
    fn abort(&self, code: i32, message: &str) -> ! {
        panic!("abort({code}): {message}")
    }
    fn lost(&self, rank: u32, reason: &str) -> ! {
        panic!("rank {rank} is lost: {reason}")
    }
}

/// Frames of a process to itself, which the suite sends and TCP does not carry: they go past it.
type Own = Arc<Mutex<VecDeque<(Header, Vec<u8>)>>>;

struct OwnLink {
    own: Own,
    limits: Limits,
}

impl Link for OwnLink {
    fn limits(&self) -> Limits {
        self.limits
    }
    unsafe fn try_send(&mut self, header: &Header, body: RawBuf, _: Token) -> Sent {
        let mut copy = vec![0; body.len];
        // SAFETY: the caller's promise.
        unsafe { body.copy_to(copy.as_mut_ptr()) };
        let header = Header {
            len: body.len as u32,
            ..*header
        };
        self.own.lock().unwrap().push_back((header, copy));
        Sent::Done
    }
    unsafe fn expose(&mut self, _: RawBuf) -> Option<Region> {
        None
    }
    unsafe fn read(&mut self, _: RawBufMut, _: &Region, _: u64, _: Token) -> Transfer {
        Transfer::Unavailable
    }
    unsafe fn write(&mut self, _: RawBuf, _: &Region, _: u64, _: Token) -> Transfer {
        Transfer::Unavailable
    }
}

struct OwnPort {
    rank: u32,
    own: Own,
    others: Box<dyn Port>,
}

impl Port for OwnPort {
    fn poll(&mut self, sink: &mut dyn Sink) -> usize {
        let own = std::mem::take(&mut *self.own.lock().unwrap());
        for (header, body) in &own {
            sink.frame(self.rank, header, RawBuf::of(body));
        }
        own.len() + self.others.poll(sink)
    }
    fn prepare_sleep(&mut self) -> bool {
        self.own.lock().unwrap().is_empty() && self.others.prepare_sleep()
    }
    fn awake(&mut self) {
        self.others.awake();
    }
}

fn connect(size: u32) -> Vec<Endpoint> {
    let cards = Arc::new(Mutex::new(HashMap::new()));
    let open = |rank| {
        let job = Job {
            id: [3; 16],
            secret: Secret([4; 32]),
            rank,
            size,
            local: vec![rank],
            neighbours: size - 1,
            cpus: 1,
            appnum: 0,
            launcher: 0,
            segment: None,
        };
        let cards = cards.clone();
        let bootstrap = Arc::new(Addresses { rank, cards });
        let options = Options {
            interfaces: "lo".into(),
            ..Options::default()
        };
        let opened = ferrite_tcp::Tcp.open(&job, bootstrap.clone(), &options);
        let network: Arc<dyn Network> = opened.unwrap().into();
        bootstrap.publish(&network.card()).unwrap();
        let own = Own::default();
        let mut end = Endpoint {
            port: Box::new(OwnPort {
                rank,
                own: own.clone(),
                others: network.port(),
            }),
            rank,
            links: Vec::new(),
            sleep: {
                let network = network.clone();
                Box::new(move |timeout| network.sleep(Some(timeout)))
            },
            close: {
                let network = network.clone();
                Box::new(move || network.close())
            },
        };
        for peer in 0..size {
            let link = network.link(peer);
            let limits = Limits {
                caps: Caps::default(),
                ..link.limits()
            };
            end.links.push(if peer == rank {
                Box::new(OwnLink {
                    own: own.clone(),
                    limits,
                })
            } else {
                link
            });
        }
        end
    };
    (0..size).map(open).collect()
}

#[test]
fn conforms() {
    let covered = conformance::run(0x7463, connect);
    assert!(covered.lent > 0 && covered.placed > 0, "{covered:?}");
    let none = Coverage {
        lent: covered.lent,
        placed: covered.placed,
        ..Coverage::default()
    };
    assert_eq!(covered, none, "TCP reaches no memory");
}

#[test]
fn a_peer_that_dies_is_told_of() {
    conformance::loss(0x7464, connect, drop);
}
