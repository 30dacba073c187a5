//! The TCP transport.
//!
//! A process listens on every interface that may be used and publishes the addresses as its card
//! (`card`). A connection to a peer is made when there is something to send: all its addresses are
//! tried in a race, and both ends prove that they know the job's secret (`handshake`) before
//! anything else is read. One connection carries the frames of a pair in both directions.
//!
//! Two threads share the work. The program's own thread, in calls of the engine, sends and receives
//! on connections that are up (`link`, `port`). One thread of ours, the `keeper`, does what must go
//! on while the program computes: it accepts, connects and shakes hands, sends what was kept back
//! (`queue`), notices peers that have fallen silent, and rings when something arrives for a process
//! that sleeps. It never calls the engine.
//!
//! The crate knows frames and headers, not what they mean.

mod card;
mod connect;
mod doorman;
pub mod fuzzing;
mod handshake;
mod inflow;
mod interfaces;
mod keeper;
mod link;
mod network;
mod own_fault;
mod port;
mod queue;
mod refusal;
mod shared;
mod sys;

use std::sync::Arc;

use ferrite_fabric::{Bootstrap, Feature, Job, Network, Options, Transport};

/// The transport, for whoever composes a library.
#[derive(Debug)]
pub struct Tcp;

impl Transport for Tcp {
    fn name(&self) -> &'static str {
        "tcp"
    }

    /// The interfaces that would be used: names with addresses.
    fn features(&self, options: &Options) -> Vec<Feature> {
        let up = sys::interfaces()
            .map_err(|e| format!("the kernel does not tell this host's interfaces: {e}"));
        let chosen = up.and_then(|up| interfaces::choose(up, &options.interfaces));
        let found = chosen.and_then(|chosen| match chosen.is_empty() {
            true => Err("none is up".into()),
            false => {
                let shown = chosen
                    .iter()
                    .map(|interface| format!("{} ({})", interface.name, interface.address));
                Ok(shown.collect::<Vec<_>>().join(", "))
            }
        });
        vec![Feature {
            name: "interfaces",
            found,
        }]
    }

    fn open(
        &self,
        job: &Job,
        bootstrap: Arc<dyn Bootstrap>,
        options: &Options,
    ) -> Result<Box<dyn Network>, String> {
        Ok(Box::new(network::TcpNetwork::open(
            job, bootstrap, options,
        )?))
    }
}
