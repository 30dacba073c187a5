//! The conformance suite over TCP on loopback.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use ferrite_fabric::{Bootstrap, Job, Network, Options, Secret, Transport};
use ferrite_fabric_testing::conformance::{self, Coverage, Endpoint};
use ferrite_tcp::Tcp;

/// The cards of a job whose processes are all here.
#[derive(Default)]
struct Cards(Mutex<HashMap<u32, String>>);

/// One process's way to the cards.
struct Launcher(Arc<Cards>, u32);

impl Bootstrap for Launcher {
    fn publish(&self, card: &str) -> Result<(), String> {
        let mut cards = self.0.0.lock().expect("nobody panics with it");
        cards.insert(self.1, card.to_owned());
        Ok(())
    }
    fn fetch(&self, rank: u32) -> Result<Option<String>, String> {
        let cards = self.0.0.lock().expect("nobody panics with it");
        Ok(cards.get(&rank).cloned())
    }
    fn finalized(&self) {}
    fn abort(&self, code: i32, message: &str) -> ! {
        panic!("abort({code}): {message}")
    }
    fn lost(&self, rank: u32, reason: &str) -> ! {
        panic!("rank {rank} is lost: {reason}")
    }
}

fn endpoints(size: u32) -> Vec<Endpoint> {
    let cards = Arc::new(Cards::default());
    (0..size)
        .map(|rank| {
            let job = Job {
                id: [3; 16],
                secret: Secret([9; 32]),
                rank,
                size,
                local: vec![rank],
                neighbours: size - 1,
                nodes: Vec::new(),
                cpus: 1,
                appnum: 0,
                part: 0,
                launcher: 0,
                segment: None,
            };
            let options = Options {
                interfaces: "lo".into(),
                ..Options::default()
            };
            let launcher = Arc::new(Launcher(cards.clone(), rank));
            let network = Tcp
                .open(&job, launcher.clone(), &options)
                .expect("a network");
            launcher.publish(&network.card()).expect("kept");
            Endpoint::of(Arc::from(network) as Arc<dyn Network>, rank, size)
        })
        .collect()
}

#[test]
fn conforms() {
    let covered = conformance::run(0x7463, endpoints);
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
    conformance::loss(0x7464, endpoints, drop);
}
