//! The one place that lists the transports of Ferrite's libraries and programs.
//!
//! A new network is one line in [`NETWORKS`]. Shared memory is not among them: the engine knows it
//! by type, because a small send is inlined down to its ring.
#![forbid(unsafe_code)]

use ferrite_fabric::Transport;

/// What joins ranks that share no memory, the best first: a pair uses the first that both have.
pub const NETWORKS: &[&dyn Transport] = &[&ferrite_tcp::Tcp];
