//! What the engine asks of a network besides links and ports: how to join it, and how to sleep
//! while it is in use.

use std::sync::Arc;
use std::time::Duration;

use crate::{Bootstrap, Job, Link, MAX_CARD, Port};

/// A kind of network. Whoever composes a library of the engine and transports offers it some.
pub trait Transport: Sync {
    /// The name by which people choose it.
    fn name(&self) -> &'static str;

    /// What the transport uses of the system, for people who look at a machine ([`Feature`]).
    fn features(&self, options: &Options) -> Vec<Feature> {
        let _ = options;
        Vec::new()
    }

    /// Joins the network. `bootstrap` tells the addresses of others, after [`Network::card`] has
    /// been published there. The error is a sentence that says what is missing and how to mend it.
    fn open(
        &self,
        job: &Job,
        bootstrap: Arc<dyn Bootstrap>,
        options: &Options,
    ) -> Result<Box<dyn Network>, String>;
}

/// Something of the system that a transport uses.
#[derive(Clone, Debug)]
pub struct Feature {
    /// One or two words.
    pub name: &'static str,
    /// What it is; or why it is not there, and what to do.
    pub found: Result<String, String>,
}

/// What a person can choose about networks.
#[derive(Clone, Debug)]
pub struct Options {
    /// Interfaces that may be used, by name or as `address/bits`, separated by commas; empty: all
    /// that are up.
    pub interfaces: String,
    /// First and last port to listen on; `None`: any.
    pub ports: Option<(u16, u16)>,
    /// Whether there are more ranks on this node than processors.
    pub crowded: bool,
    /// The longest that [`Network::card`] may be, in bytes.
    pub card: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            interfaces: String::new(),
            ports: None,
            crowded: false,
            card: MAX_CARD,
        }
    }
}

/// This process's place in a network.
pub trait Network: Send + Sync {
    /// How others reach this process: see [`Bootstrap::publish`].
    fn card(&self) -> String;

    /// The receiving side. Once.
    fn port(&self) -> Box<dyn Port>;

    /// The link to a process. Once for each. Does not wait: a connection is made when there is
    /// something to send.
    fn link(&self, peer: u32) -> Box<dyn Link>;

    /// Whether some link keeps frames back. Cheap.
    fn keeps_back(&self) -> bool;

    /// [`Link::flush`] of all links that keep frames back.
    fn flush(&self);

    /// What to call when something arrives after [`Port::prepare_sleep`] returned `true`, for a
    /// process that sleeps elsewhere; before that, [`Network::sleep`] is the place to sleep.
    fn ring(&self, bell: Arc<dyn Fn() + Send + Sync>);

    /// Sleeps after [`Port::prepare_sleep`] returned `true`, until something arrives,
    /// [`Network::wake`] is called, a signal arrives or `timeout` is over. May return for no
    /// reason.
    fn sleep(&self, timeout: Option<Duration>);

    /// Ends a sleep that a `prepare_sleep` began, now or in future.
    fn wake(&self);

    /// How many threads of its own this network has in the process. They do nothing for the
    /// program.
    fn threads(&self) -> u32 {
        0
    }

    /// Nothing will be sent any more: lets what was sent arrive, and takes leave of all peers, who
    /// do the same. From now on a peer that leaves is no news. Waits for them, within reason.
    fn close(&self);
}
