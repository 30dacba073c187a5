//! Virtual topologies (chapter 8). Whether ranks may be reordered does not matter: they keep their
//! order.

use ferrite_engine::topology::{self, Adjacent, Topology};
use ferrite_engine::{Comm, Edge, Engine, Error, ErrorClass, Result};

use super::collectives::comm_of;
use super::{array, null, set, set_handle};
use crate::convert::UNDEFINED;
use crate::types::{MPI_Comm, MPI_Info, c_int};

/// `MPI_CART`, `MPI_GRAPH` and `MPI_DIST_GRAPH`
const CART: c_int = 211;
const GRAPH: c_int = 212;
const DIST_GRAPH: c_int = 213;
/// The addresses of `MPI_UNWEIGHTED` and `MPI_WEIGHTS_EMPTY`
const UNWEIGHTED: usize = 10;
const WEIGHTS_EMPTY: usize = 11;

/// Gives the program a new communicator. The place is checked first, so that no communicator is
/// lost.
///
/// # Safety
/// `to` is null or points to a handle that may be written.
unsafe fn give(to: *mut MPI_Comm, make: impl FnOnce() -> Result<Comm>) -> Result<()> {
    if to.is_null() {
        return Err(null("the new communicator"));
    }
    // SAFETY: the caller's promise.
    unsafe { set_handle(to, make()?.0, "the new communicator") }
}

/// Fills an array of the program as far as it has room.
///
/// # Safety
/// `to` is null or points to `room` values that may be written.
unsafe fn fill(
    all: impl IntoIterator<Item = c_int>,
    to: *mut c_int,
    room: c_int,
    name: &str,
) -> Result<()> {
    for (at, value) in (0..room).zip(all) {
        if to.is_null() {
            return Err(null(name));
        }
        // SAFETY: below `room`, and the caller's promise.
        unsafe { to.add(at as usize).write(value) };
    }
    Ok(())
}

fn flags(all: &[c_int]) -> Vec<bool> {
    all.iter().map(|flag| *flag != 0).collect()
}

pub(crate) unsafe fn topo_test(engine: &Engine, comm: MPI_Comm, status: *mut c_int) -> Result<()> {
    let kind = match engine.topology(comm_of(comm))? {
        Some(Topology::Cart(_)) => CART,
        Some(Topology::Graph(_)) => GRAPH,
        Some(Topology::Adjacent(_)) => DIST_GRAPH,
        None => UNDEFINED,
    };
    // SAFETY: the program's pointer.
    unsafe { set(status, kind, "status") }
}

pub(crate) unsafe fn dims_create(
    _engine: &Engine,
    nodes: c_int,
    ndims: c_int,
    dims: *mut c_int,
) -> Result<()> {
    // SAFETY: the program's array.
    let mut sizes = unsafe { array(dims, ndims, "dims")? }.to_vec();
    topology::dims_create(nodes, &mut sizes)?;
    // SAFETY: the program's array.
    unsafe { fill(sizes, dims, ndims, "dims") }
}

#[allow(clippy::too_many_arguments)] // MPI's own list.
pub(crate) unsafe fn cart_create(
    engine: &Engine,
    comm: MPI_Comm,
    ndims: c_int,
    dims: *const c_int,
    periods: *const c_int,
    _reorder: c_int,
    made: *mut MPI_Comm,
) -> Result<()> {
    // SAFETY: the program's arrays and pointer.
    unsafe {
        let sizes = array(dims, ndims, "dims")?;
        let periods = flags(array(periods, ndims, "periods")?);
        give(made, || engine.cart_create(comm_of(comm), sizes, &periods))
    }
}

pub(crate) unsafe fn cart_map(
    engine: &Engine,
    comm: MPI_Comm,
    ndims: c_int,
    dims: *const c_int,
    periods: *const c_int,
    rank: *mut c_int,
) -> Result<()> {
    let comm = comm_of(comm);
    // SAFETY: the program's arrays and pointer.
    unsafe {
        let sizes = array(dims, ndims, "dims")?;
        let periods = flags(array(periods, ndims, "periods")?);
        let cart = topology::Cart::new(sizes, &periods, engine.comm_size(comm)?)?;
        let own = engine.comm_rank(comm)?;
        set(
            rank,
            if own < cart.size() { own } else { UNDEFINED },
            "newrank",
        )
    }
}

pub(crate) unsafe fn cartdim_get(engine: &Engine, comm: MPI_Comm, ndims: *mut c_int) -> Result<()> {
    let number = engine.cart(comm_of(comm))?.dimensions().len();
    // SAFETY: the program's pointer.
    unsafe { set(ndims, number as c_int, "ndims") }
}

pub(crate) unsafe fn cart_get(
    engine: &Engine,
    comm: MPI_Comm,
    room: c_int,
    dims: *mut c_int,
    periods: *mut c_int,
    coords: *mut c_int,
) -> Result<()> {
    let comm = comm_of(comm);
    let cart = engine.cart(comm)?;
    let all = || cart.dimensions().iter();
    // SAFETY: the program's arrays.
    unsafe {
        fill(all().map(|(size, _)| *size), dims, room, "dims")?;
        fill(
            all().map(|(_, ring)| (*ring).into()),
            periods,
            room,
            "periods",
        )?;
        fill(
            cart.coordinates(engine.comm_rank(comm)?),
            coords,
            room,
            "coords",
        )
    }
}

pub(crate) unsafe fn cart_rank(
    engine: &Engine,
    comm: MPI_Comm,
    coords: *const c_int,
    rank: *mut c_int,
) -> Result<()> {
    let cart = engine.cart(comm_of(comm))?;
    // SAFETY: the program's array and pointer.
    unsafe {
        let coordinates = array(coords, cart.dimensions().len() as c_int, "coords")?;
        set(rank, cart.rank(coordinates)?, "rank")
    }
}

pub(crate) unsafe fn cart_coords(
    engine: &Engine,
    comm: MPI_Comm,
    rank: c_int,
    room: c_int,
    coords: *mut c_int,
) -> Result<()> {
    let comm = comm_of(comm);
    let cart = engine.cart(comm)?;
    engine.check_rank(comm, rank)?;
    // SAFETY: the program's array.
    unsafe { fill(cart.coordinates(rank), coords, room, "coords") }
}

pub(crate) unsafe fn cart_shift(
    engine: &Engine,
    comm: MPI_Comm,
    direction: c_int,
    by: c_int,
    source: *mut c_int,
    destination: *mut c_int,
) -> Result<()> {
    let comm = comm_of(comm);
    let cart = engine.cart(comm)?;
    let (from, to) = cart.shift(engine.comm_rank(comm)?, direction, by)?;
    // SAFETY: the program's pointers.
    unsafe {
        set(source, from, "rank_source")?;
        set(destination, to, "rank_dest")
    }
}

pub(crate) unsafe fn cart_sub(
    engine: &Engine,
    comm: MPI_Comm,
    remain: *const c_int,
    made: *mut MPI_Comm,
) -> Result<()> {
    let comm = comm_of(comm);
    let number = engine.cart(comm)?.dimensions().len();
    // SAFETY: the program's array and pointer.
    unsafe {
        let remain = flags(array(remain, number as c_int, "remain_dims")?);
        give(made, || engine.cart_sub(comm, &remain))
    }
}

/// The arrays of a graph.
///
/// # Safety
/// As of [`array`]; the last entry of the index is the number of edges.
unsafe fn graph_arrays<'a>(
    nodes: c_int,
    index: *const c_int,
    edges: *const c_int,
) -> Result<(&'a [c_int], &'a [c_int])> {
    // SAFETY: the caller's promise.
    unsafe {
        let index = array(index, nodes, "index")?;
        let number = index.last().copied().unwrap_or(0);
        Ok((index, array(edges, number, "edges")?))
    }
}

#[allow(clippy::too_many_arguments)] // MPI's own list.
pub(crate) unsafe fn graph_create(
    engine: &Engine,
    comm: MPI_Comm,
    nodes: c_int,
    index: *const c_int,
    edges: *const c_int,
    _reorder: c_int,
    made: *mut MPI_Comm,
) -> Result<()> {
    // SAFETY: the program's arrays and pointer.
    unsafe {
        let (index, edges) = graph_arrays(nodes, index, edges)?;
        give(made, || engine.graph_create(comm_of(comm), index, edges))
    }
}

pub(crate) unsafe fn graph_map(
    engine: &Engine,
    comm: MPI_Comm,
    nodes: c_int,
    index: *const c_int,
    edges: *const c_int,
    rank: *mut c_int,
) -> Result<()> {
    let comm = comm_of(comm);
    // SAFETY: the program's arrays and pointer.
    unsafe {
        let (index, edges) = graph_arrays(nodes, index, edges)?;
        topology::Graph::new(index, edges, engine.comm_size(comm)?)?;
        let own = engine.comm_rank(comm)?;
        set(rank, if own < nodes { own } else { UNDEFINED }, "newrank")
    }
}

pub(crate) unsafe fn graphdims_get(
    engine: &Engine,
    comm: MPI_Comm,
    nodes: *mut c_int,
    edges: *mut c_int,
) -> Result<()> {
    let graph = engine.graph(comm_of(comm))?;
    // SAFETY: the program's pointers.
    unsafe {
        set(nodes, graph.index.len() as c_int, "nnodes")?;
        set(edges, graph.edges.len() as c_int, "nedges")
    }
}

pub(crate) unsafe fn graph_get(
    engine: &Engine,
    comm: MPI_Comm,
    max_index: c_int,
    max_edges: c_int,
    index: *mut c_int,
    edges: *mut c_int,
) -> Result<()> {
    let graph = engine.graph(comm_of(comm))?;
    // SAFETY: the program's arrays.
    unsafe {
        fill(graph.index.iter().copied(), index, max_index, "index")?;
        fill(graph.edges.iter().copied(), edges, max_edges, "edges")
    }
}

pub(crate) unsafe fn graph_neighbors_count(
    engine: &Engine,
    comm: MPI_Comm,
    rank: c_int,
    number: *mut c_int,
) -> Result<()> {
    let comm = comm_of(comm);
    let graph = engine.graph(comm)?;
    engine.check_rank(comm, rank)?;
    // SAFETY: the program's pointer.
    unsafe { set(number, graph.neighbours(rank).len() as c_int, "nneighbors") }
}

pub(crate) unsafe fn graph_neighbors(
    engine: &Engine,
    comm: MPI_Comm,
    rank: c_int,
    room: c_int,
    neighbors: *mut c_int,
) -> Result<()> {
    let comm = comm_of(comm);
    let graph = engine.graph(comm)?;
    engine.check_rank(comm, rank)?;
    // SAFETY: the program's array.
    unsafe {
        fill(
            graph.neighbours(rank).iter().copied(),
            neighbors,
            room,
            "neighbors",
        )
    }
}

/// Weights of the program; `None` for `MPI_UNWEIGHTED`.
///
/// # Safety
/// As of [`array`], but for the addresses that have a meaning.
unsafe fn weights<'a>(
    from: *const c_int,
    length: c_int,
    name: &str,
) -> Result<Option<&'a [c_int]>> {
    match from.addr() {
        UNWEIGHTED => Ok(None),
        WEIGHTS_EMPTY if length == 0 => Ok(Some(&[])),
        WEIGHTS_EMPTY => Err(Error::new(
            ErrorClass::ARG,
            format!("{name} is MPI_WEIGHTS_EMPTY, but there are {length} edges"),
        )),
        // SAFETY: the caller's promise.
        _ => unsafe { array(from, length, name).map(Some) },
    }
}

#[allow(clippy::too_many_arguments)] // MPI's own list.
pub(crate) unsafe fn dist_graph_create_adjacent(
    engine: &Engine,
    comm: MPI_Comm,
    indegree: c_int,
    sources: *const c_int,
    source_weights: *const c_int,
    outdegree: c_int,
    destinations: *const c_int,
    weights_out: *const c_int,
    _info: MPI_Info,
    _reorder: c_int,
    made: *mut MPI_Comm,
) -> Result<()> {
    // SAFETY: the program's arrays and pointer.
    unsafe {
        let both = (
            weights(source_weights, indegree, "sourceweights")?,
            weights(weights_out, outdegree, "destweights")?,
        );
        let weights = match both {
            (None, None) => None,
            (Some(of_sources), Some(of_destinations)) => {
                Some((of_sources.into(), of_destinations.into()))
            }
            _ => {
                return Err(Error::new(
                    ErrorClass::ARG,
                    "one of sourceweights and destweights is MPI_UNWEIGHTED: both are, or none",
                ));
            }
        };
        let own = Adjacent {
            sources: array(sources, indegree, "sources")?.into(),
            destinations: array(destinations, outdegree, "destinations")?.into(),
            weights,
        };
        give(made, || {
            engine.dist_graph_create_adjacent(comm_of(comm), own)
        })
    }
}

#[allow(clippy::too_many_arguments)] // MPI's own list.
pub(crate) unsafe fn dist_graph_create(
    engine: &Engine,
    comm: MPI_Comm,
    n: c_int,
    sources: *const c_int,
    degrees: *const c_int,
    destinations: *const c_int,
    weights_of: *const c_int,
    _info: MPI_Info,
    _reorder: c_int,
    made: *mut MPI_Comm,
) -> Result<()> {
    // SAFETY: the program's arrays and pointer.
    unsafe {
        let sources = array(sources, n, "sources")?;
        let degrees = array(degrees, n, "degrees")?;
        if let Some(degree) = degrees.iter().find(|degree| **degree < 0) {
            return Err(Error::new(
                ErrorClass::ARG,
                format!("a node cannot have {degree} edges"),
            ));
        }
        let total: i64 = degrees.iter().map(|degree| i64::from(*degree)).sum();
        let total = c_int::try_from(total).map_err(|_| {
            Error::new(
                ErrorClass::ARG,
                format!("{total} edges are more than an int counts"),
            )
        })?;
        let destinations = array(destinations, total, "destinations")?;
        let weights = weights(weights_of, total, "weights")?;
        let from = sources.iter().zip(degrees);
        let from = from.flat_map(|(source, degree)| (0..*degree).map(|_| *source));
        let edges = from.zip(destinations).enumerate();
        let edges: Vec<Edge> = edges
            .map(|(at, (from, to))| (from, *to, weights.map_or(1, |weights| weights[at])))
            .collect();
        let is_weighted = weights.is_some();
        give(made, || {
            engine.dist_graph_create(comm_of(comm), &edges, is_weighted)
        })
    }
}

pub(crate) unsafe fn dist_graph_neighbors_count(
    engine: &Engine,
    comm: MPI_Comm,
    indegree: *mut c_int,
    outdegree: *mut c_int,
    weighted: *mut c_int,
) -> Result<()> {
    let own = engine.adjacent(comm_of(comm))?;
    // SAFETY: the program's pointers.
    unsafe {
        set(indegree, own.sources.len() as c_int, "indegree")?;
        set(outdegree, own.destinations.len() as c_int, "outdegree")?;
        set(weighted, own.weights.is_some().into(), "weighted")
    }
}

#[allow(clippy::too_many_arguments)] // MPI's own list.
pub(crate) unsafe fn dist_graph_neighbors(
    engine: &Engine,
    comm: MPI_Comm,
    max_in: c_int,
    sources: *mut c_int,
    source_weights: *mut c_int,
    max_out: c_int,
    destinations: *mut c_int,
    destination_weights: *mut c_int,
) -> Result<()> {
    let own = engine.adjacent(comm_of(comm))?;
    let wants = |to: *mut c_int| !matches!(to.addr(), UNWEIGHTED | WEIGHTS_EMPTY);
    // SAFETY: the program's arrays.
    unsafe {
        fill(own.sources.iter().copied(), sources, max_in, "sources")?;
        fill(
            own.destinations.iter().copied(),
            destinations,
            max_out,
            "destinations",
        )?;
        if let Some((of_sources, of_destinations)) = &own.weights {
            if wants(source_weights) {
                fill(
                    of_sources.iter().copied(),
                    source_weights,
                    max_in,
                    "sourceweights",
                )?;
            }
            if wants(destination_weights) {
                let all = of_destinations.iter().copied();
                fill(all, destination_weights, max_out, "destweights")?;
            }
        }
        Ok(())
    }
}
