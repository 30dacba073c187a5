//! Virtual topologies: who is whose neighbour (MPI 5.0, chapter 8).
//!
//! A topology belongs to a communicator and never changes. Ranks are never reordered: the order of
//! a communicator is that of the processes on their nodes already. Nothing here knows processes or
//! messages.

use crate::status::PROC_NULL;
use crate::{Error, ErrorClass, Result};

mod dims;

pub use dims::dims_create;

/// What a communicator's members are to each other.
#[derive(Clone, Debug)]
pub enum Topology {
    /// A grid.
    Cart(Cart),
    /// A graph that every member knows.
    Graph(Graph),
    /// A graph of which every member knows its own edges.
    Adjacent(Adjacent),
}

/// A grid, in row-major order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cart {
    /// Members in each dimension, and whether it is a ring.
    dimensions: Box<[(i32, bool)]>,
}

/// A graph by the standard's index and edge arrays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    /// The end of each node's neighbours in `edges`.
    pub index: Box<[i32]>,
    /// Neighbours of node 0, of node 1, ...
    pub edges: Box<[i32]>,
}

/// Weights of the edges that lead to a member, and of those that lead away.
pub type Weights = (Box<[i32]>, Box<[i32]>);

/// The edges of one member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adjacent {
    /// Whose edges lead here.
    pub sources: Box<[i32]>,
    /// Where edges lead to.
    pub destinations: Box<[i32]>,
    /// The weights of both, unless there are none.
    pub weights: Option<Weights>,
}

/// The neighbours of one member in the order of its blocks in neighbourhood collectives;
/// `MPI_PROC_NULL` where there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Neighbours {
    pub(crate) sources: Vec<i32>,
    pub(crate) destinations: Vec<i32>,
    /// Blocks come in pairs, down and up a dimension: what goes down one arrives from above, also
    /// where both are one member.
    pub(crate) paired: bool,
}

#[cold]
fn wrong(class: ErrorClass, sentence: String) -> Error {
    Error::new(class, sentence)
}

impl Cart {
    /// A grid of these sizes. `MPI_ERR_DIMS` for a size below 1, or when there are more than
    /// `members` places.
    pub fn new(sizes: &[i32], periods: &[bool], members: i32) -> Result<Cart> {
        if let Some(size) = sizes.iter().find(|size| **size < 1) {
            let sentence = format!("a dimension cannot have the size {size}");
            return Err(wrong(ErrorClass::DIMS, sentence));
        }
        let cart = Cart {
            dimensions: sizes.iter().copied().zip(periods.iter().copied()).collect(),
        };
        match cart.places() {
            Some(places) if places <= members => Ok(cart),
            _ => Err(wrong(
                ErrorClass::DIMS,
                format!(
                    "a grid of {sizes:?} has more places than the communicator's {members} members"
                ),
            )),
        }
    }

    /// How many members it has; `None` when they are more than 31 bits count.
    fn places(&self) -> Option<i32> {
        let mut sizes = self.dimensions.iter().map(|(size, _)| *size);
        sizes.try_fold(1i32, |places, size| places.checked_mul(size))
    }

    /// How many members it has.
    pub fn size(&self) -> i32 {
        self.places().expect("checked when it was made")
    }

    /// Size of each dimension, and whether it is a ring.
    pub fn dimensions(&self) -> &[(i32, bool)] {
        &self.dimensions
    }

    /// The member at these coordinates, which in a ring may be any. `MPI_ERR_ARG` when one lies
    /// outside.
    pub fn rank(&self, coordinates: &[i32]) -> Result<i32> {
        let mut rank = 0;
        for (at, ((size, ring), place)) in self.dimensions.iter().zip(coordinates).enumerate() {
            let place = match ring {
                true => place.rem_euclid(*size),
                false if (0..*size).contains(place) => *place,
                false => {
                    return Err(wrong(
                        ErrorClass::ARG,
                        format!(
                            "coordinate {place} of dimension {at} is not below {size}, and the \
                             dimension is no ring"
                        ),
                    ));
                }
            };
            rank = rank * size + place;
        }
        Ok(rank)
    }

    /// Where a member stands. The rank is one of the grid's.
    pub fn coordinates(&self, rank: i32) -> Vec<i32> {
        let mut left = rank;
        let mut coordinates = vec![0; self.dimensions.len()];
        for (place, (size, _)) in coordinates.iter_mut().zip(&*self.dimensions).rev() {
            *place = left % size;
            left /= size;
        }
        coordinates
    }

    /// The member `by` places up a dimension, `MPI_PROC_NULL` beyond the end.
    fn shifted(&self, rank: i32, dimension: usize, by: i32) -> i32 {
        let mut coordinates = self.coordinates(rank);
        let (size, ring) = self.dimensions[dimension];
        let place = i64::from(coordinates[dimension]) + i64::from(by);
        let place = match ring {
            true => place.rem_euclid(size.into()),
            false if (0..i64::from(size)).contains(&place) => place,
            false => return PROC_NULL,
        };
        coordinates[dimension] = place as i32;
        self.rank(&coordinates).expect("within the grid")
    }

    /// From whom and to whom data go that all members shift `by` places up a dimension
    /// (`MPI_Cart_shift`). `MPI_ERR_ARG` for a dimension that there is not.
    pub fn shift(&self, rank: i32, dimension: i32, by: i32) -> Result<(i32, i32)> {
        let number = self.dimensions.len();
        let Some(dimension) = usize::try_from(dimension).ok().filter(|at| *at < number) else {
            return Err(wrong(
                ErrorClass::ARG,
                format!("dimension {dimension} is not one of the grid's {number}"),
            ));
        };
        let from = self.shifted(rank, dimension, by.wrapping_neg());
        Ok((from, self.shifted(rank, dimension, by)))
    }

    /// The grid of the dimensions that `remain`, and for a member which of these grids it is in and
    /// where (`MPI_Cart_sub`).
    pub fn part(&self, rank: i32, remain: &[bool]) -> (Cart, i32, i32) {
        let (mut which, mut place) = (0, 0);
        let all = self.dimensions.iter().zip(self.coordinates(rank));
        for ((dimension, at), stays) in all.zip(remain) {
            let counts = if *stays { &mut place } else { &mut which };
            *counts = *counts * dimension.0 + at;
        }
        let kept = self
            .dimensions
            .iter()
            .zip(remain)
            .filter(|(_, stays)| **stays);
        let dimensions = kept.map(|(dimension, _)| *dimension).collect();
        (Cart { dimensions }, which, place)
    }
}

impl Graph {
    /// A graph by its arrays. `MPI_ERR_TOPOLOGY` when they are no graph, or it has more nodes than
    /// `members`.
    pub fn new(index: &[i32], edges: &[i32], members: i32) -> Result<Graph> {
        let nodes = index.len() as i32;
        let bad = |sentence| Err(wrong(ErrorClass::TOPOLOGY, sentence));
        if nodes > members {
            return bad(format!(
                "a graph of {nodes} nodes has more than the communicator's {members} members"
            ));
        }
        let mut before = 0;
        for (node, end) in index.iter().enumerate() {
            if *end < before {
                return bad(format!(
                    "the index of node {node}, {end}, is below the one before it"
                ));
            }
            before = *end;
        }
        if let Some(edge) = edges.iter().find(|edge| !(0..nodes).contains(*edge)) {
            return bad(format!(
                "an edge leads to {edge}, which is not one of {nodes} nodes"
            ));
        }
        Ok(Graph {
            index: index.into(),
            edges: edges.into(),
        })
    }

    /// The neighbours of a node, which is one of the graph's.
    pub fn neighbours(&self, node: i32) -> &[i32] {
        let node = node as usize;
        let begin = if node == 0 { 0 } else { self.index[node - 1] };
        &self.edges[begin as usize..self.index[node] as usize]
    }
}

impl Topology {
    pub(crate) fn neighbours(&self, rank: i32) -> Neighbours {
        match self {
            Topology::Cart(cart) => {
                let dimensions = 0..cart.dimensions.len();
                let both = dimensions.flat_map(|at| [-1, 1].map(|by| cart.shifted(rank, at, by)));
                let sources: Vec<i32> = both.collect();
                Neighbours {
                    destinations: sources.clone(),
                    sources,
                    paired: true,
                }
            }
            Topology::Graph(graph) => Neighbours {
                sources: graph.neighbours(rank).to_vec(),
                destinations: graph.neighbours(rank).to_vec(),
                paired: false,
            },
            Topology::Adjacent(own) => Neighbours {
                sources: own.sources.to_vec(),
                destinations: own.destinations.to_vec(),
                paired: false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_is_in_row_major_order() {
        let cart = Cart::new(&[2, 3], &[false, true], 6).unwrap();
        for rank in 0..6 {
            assert_eq!(cart.coordinates(rank), [rank / 3, rank % 3]);
            assert_eq!(cart.rank(&cart.coordinates(rank)).unwrap(), rank);
        }
        assert_eq!(cart.rank(&[1, -1]).unwrap(), 5);
        assert_eq!(cart.rank(&[2, 0]).unwrap_err().class(), ErrorClass::ARG);
        assert_eq!(cart.shift(0, 0, 1).unwrap(), (PROC_NULL, 3));
        assert_eq!(cart.shift(0, 1, 1).unwrap(), (2, 1));
        assert_eq!(
            cart.shift(0, 1, i32::MIN).unwrap().1,
            cart.rank(&[0, i32::MIN]).unwrap()
        );
        assert!(cart.shift(0, 2, 1).is_err());
        let neighbours = Topology::Cart(cart).neighbours(4);
        assert_eq!(neighbours.sources, [1, PROC_NULL, 3, 5]);
    }

    #[test]
    fn a_part_of_a_grid_is_a_grid() {
        let cart = Cart::new(&[2, 3, 4], &[false, true, false], 24).unwrap();
        let (part, which, place) = cart.part(cart.rank(&[1, 2, 3]).unwrap(), &[true, false, true]);
        assert_eq!(part.dimensions(), [(2, false), (4, false)]);
        assert_eq!((which, place), (2, 7));
    }

    #[test]
    fn what_is_no_topology_is_refused() {
        assert_eq!(
            Cart::new(&[2, 0], &[false; 2], 4).unwrap_err().class(),
            ErrorClass::DIMS
        );
        assert_eq!(
            Cart::new(&[1 << 20; 2], &[false; 2], 4)
                .unwrap_err()
                .class(),
            ErrorClass::DIMS
        );
        for (index, edges) in [(&[1, 0][..], &[0][..]), (&[1, 2], &[0, 2]), (&[0; 5], &[])] {
            let error = Graph::new(index, edges, 4).unwrap_err();
            assert_eq!(error.class(), ErrorClass::TOPOLOGY);
        }
    }
}
