//! Communicators with a topology (MPI 5.0, sections 8.5 and 8.6). What a topology is:
//! [`crate::topology`].

use crate::engine::Engine;
use crate::engine::collectives::{Types, Vectors, Waits};
use crate::engine::communicators::CommData;
use crate::engine::communicators::check_intra;
use crate::handle::{Comm, Datatype};
use crate::status::UNDEFINED;
use crate::topology::{Adjacent, Cart, Graph, Topology};
use crate::{Error, ErrorClass, Result};

/// An edge of a distributed graph: from, to, weight.
pub type Edge = (i32, i32, i32);

impl Engine {
    /// A communicator of the first `size` members with a topology; [`Comm::NULL`] for the others.
    /// Collective.
    fn with_topology(&self, comm: Comm, size: i32, topology: Topology) -> Result<Comm> {
        let rank = self.comm(comm)?.rank();
        let color = if rank < size { 0 } else { UNDEFINED };
        let made = self.comm_split(comm, color, rank)?;
        if made != Comm::NULL {
            self.comm(made)?.set_topology(topology);
        }
        Ok(made)
    }

    /// `MPI_Cart_create`: a grid of the first members in row-major order. Ranks keep their order.
    /// Collective.
    pub fn cart_create(&self, comm: Comm, sizes: &[i32], periods: &[bool]) -> Result<Comm> {
        let c = self.comm(comm)?;
        check_intra(c)?;
        let cart = Cart::new(sizes, periods, c.size())?;
        self.with_topology(comm, cart.size(), Topology::Cart(cart))
    }

    /// `MPI_Graph_create`: a graph of the first members, known to all. Ranks keep their order.
    /// Collective.
    pub fn graph_create(&self, comm: Comm, index: &[i32], edges: &[i32]) -> Result<Comm> {
        let c = self.comm(comm)?;
        check_intra(c)?;
        let graph = Graph::new(index, edges, c.size())?;
        self.with_topology(comm, index.len() as i32, Topology::Graph(graph))
    }

    /// `MPI_Cart_sub`: for each part of a grid in which the dimensions vary that `remain`, a
    /// communicator. Collective.
    pub fn cart_sub(&self, comm: Comm, remain: &[bool]) -> Result<Comm> {
        let rank = self.comm(comm)?.rank();
        let (part, which, place) = self.cart(comm)?.part(rank, remain);
        let made = self.comm_split(comm, which, place)?;
        self.comm(made)?.set_topology(Topology::Cart(part));
        Ok(made)
    }

    /// `MPI_Dist_graph_create_adjacent`: every member gives its own edges. Ranks keep their order.
    /// Collective.
    pub fn dist_graph_create_adjacent(&self, comm: Comm, own: Adjacent) -> Result<Comm> {
        let c = self.comm(comm)?;
        check_intra(c)?;
        let all = own.sources.iter().chain(&own.destinations);
        all.copied().try_for_each(|rank| check_node(c, rank))?;
        self.with_topology(comm, c.size(), Topology::Adjacent(own))
    }

    /// `MPI_Dist_graph_create`: every member gives any edges, with weights if all are. Ranks keep
    /// their order. Collective.
    pub fn dist_graph_create(&self, comm: Comm, given: &[Edge], weighted: bool) -> Result<Comm> {
        let c = self.comm(comm)?;
        check_intra(c)?;
        for (from, to, _) in given {
            check_node(c, *from)?;
            check_node(c, *to)?;
        }
        // Each edge is told to both its ends.
        let sources = self.deal_out(comm, given, |edge| edge.1)?;
        let destinations = self.deal_out(comm, given, |edge| edge.0)?;
        let weights = |edges: &[Edge]| edges.iter().map(|edge| edge.2).collect();
        let own = Adjacent {
            weights: weighted.then(|| (weights(&sources), weights(&destinations))),
            sources: sources.iter().map(|edge| edge.0).collect(),
            destinations: destinations.iter().map(|edge| edge.1).collect(),
        };
        self.with_topology(comm, c.size(), Topology::Adjacent(own))
    }

    /// Sends edges to the members that `to` names, and returns those that came, in the order of
    /// their givers. Collective.
    fn deal_out(&self, comm: Comm, edges: &[Edge], to: fn(&Edge) -> i32) -> Result<Vec<Edge>> {
        const WORDS: usize = 3;
        let size = self.comm(comm)?.size() as usize;
        let mut sorted = edges.to_vec();
        sorted.sort_by_key(to);
        let mut counts = vec![0i32; size];
        for edge in edges {
            counts[to(edge) as usize] += WORDS as i32;
        }
        let mut coming = vec![0i32; size];
        let words: Vec<i32> = sorted.iter().flat_map(|(a, b, c)| [*a, *b, *c]).collect();
        let (from, into) = (counts.as_ptr().cast(), coming.as_mut_ptr().cast());
        // SAFETY: both have an item for each member.
        unsafe { self.alltoall(from, 1, Datatype::INT32_T, into, 1, Datatype::INT32_T, comm)? };
        let wide = |counts: &[i32]| counts.iter().map(|count| i64::from(*count)).collect();
        let (sent, received): (Vec<i64>, Vec<i64>) = (wide(&counts), wide(&coming));
        let (from, into) = (starts(&sent), starts(&received));
        let mut came = vec![0i32; received.iter().sum::<i64>() as usize];
        let types = Types::One(Datatype::INT32_T);
        let sent = Vectors {
            buf: words.as_ptr().cast_mut().cast(),
            counts: &sent,
            displacements: &from,
            types,
        };
        let received = Vectors {
            buf: came.as_mut_ptr().cast(),
            counts: &received,
            displacements: &into,
            types,
        };
        let call = self.plan_alltoallv(Waits::Here, Some(sent), received, comm)?;
        // SAFETY: the buffers are as long as the counts say.
        unsafe { self.run_to_end(comm, call)? };
        let edges = came
            .chunks_exact(WORDS)
            .map(|edge| (edge[0], edge[1], edge[2]));
        Ok(edges.collect())
    }

    /// The topology of a communicator, if it has one (`MPI_Topo_test`).
    pub fn topology(&self, comm: Comm) -> Result<Option<&Topology>> {
        Ok(self.comm(comm)?.topology())
    }

    /// The grid of a communicator. `MPI_ERR_TOPOLOGY` when it has none.
    pub fn cart(&self, comm: Comm) -> Result<&Cart> {
        match self.topology(comm)? {
            Some(Topology::Cart(cart)) => Ok(cart),
            _ => Err(no_topology("Cartesian", "MPI_Cart_create")),
        }
    }

    /// The graph of a communicator. `MPI_ERR_TOPOLOGY` when it has none.
    pub fn graph(&self, comm: Comm) -> Result<&Graph> {
        match self.topology(comm)? {
            Some(Topology::Graph(graph)) => Ok(graph),
            _ => Err(no_topology("graph", "MPI_Graph_create")),
        }
    }

    /// This member's edges in the distributed graph of a communicator. `MPI_ERR_TOPOLOGY` when it
    /// has none.
    pub fn adjacent(&self, comm: Comm) -> Result<&Adjacent> {
        match self.topology(comm)? {
            Some(Topology::Adjacent(own)) => Ok(own),
            _ => Err(no_topology("distributed graph", "MPI_Dist_graph_create")),
        }
    }

    /// A rank of a communicator. `MPI_ERR_RANK` for what is none.
    pub fn check_rank(&self, comm: Comm, rank: i32) -> Result<()> {
        check_node(self.comm(comm)?, rank)
    }
}

fn starts(counts: &[i64]) -> Vec<i64> {
    let mut end = 0;
    let starts = counts.iter().map(|count| {
        end += count;
        end - count
    });
    starts.collect()
}

fn check_node(comm: &CommData, rank: i32) -> Result<()> {
    match (0..comm.size()).contains(&rank) {
        true => Ok(()),
        false => Err(comm.bad_rank("node", rank)),
    }
}

#[cold]
fn no_topology(kind: &str, maker: &str) -> Error {
    Error::new(
        ErrorClass::TOPOLOGY,
        format!("the communicator has no {kind} topology: make one with {maker}"),
    )
}
