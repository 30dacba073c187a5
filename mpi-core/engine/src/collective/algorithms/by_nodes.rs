//! Collectives of communicators that span nodes: within each node, between one rank of each, the
//! leaders, and within each node again. The network carries once what flat algorithms would send
//! between many pairs.
//!
//! A stage is any algorithm of this module's siblings, among some of the ranks; it begins when the
//! one before has ended on this rank. Within a node it may use a board.

use std::sync::Arc;

use super::{Algorithm, Generator, Nothing};
use crate::collective::nodes::Nodes;
use crate::collective::operation::{Buffer, Place, Round};
use crate::collective::schedule::Schedule;
use crate::collective::scratch::LINE;
use crate::collective::select;
use crate::collective::shape::{Collective, Shape};
use crate::collective::thresholds::Thresholds;

/// A call on its way through its stages.
#[derive(Clone, Debug)]
pub(in crate::collective) struct ByNodes(Box<Stages>);

/// The stages, and how far the call is. Apart from [`ByNodes`], which would make every schedule as
/// large.
#[derive(Clone, Debug)]
struct Stages {
    stages: Arc<[Stage]>,
    at: usize,
    /// The current stage's algorithm, in the state in which it is.
    algorithm: Algorithm,
    /// Turns of the board that earlier stages have taken.
    turns: u32,
    /// The end of the current stage is waited for.
    ended: bool,
}

/// An algorithm among some ranks.
#[derive(Debug)]
struct Stage {
    schedule: Schedule,
    /// Those whom the algorithm takes for 0, 1 and so on.
    ranks: Arc<[u32]>,
    /// What it takes for its buffers.
    input: Place,
    output: Place,
    /// Where its scratch memory begins.
    scratch: usize,
}

impl Stage {
    fn begun(&self) -> Algorithm {
        self.schedule.algorithm().clone()
    }
}

impl ByNodes {
    fn schedule(shape: &Shape, stages: Vec<Stage>) -> Schedule {
        let algorithm = match stages.first() {
            Some(first) => Algorithm::ByNodes(ByNodes(Box::new(Stages {
                algorithm: first.begun(),
                stages: stages.into(),
                at: 0,
                turns: 0,
                ended: false,
            }))),
            None => Algorithm::Nothing(Nothing),
        };
        Schedule::new(algorithm, *shape)
    }

    /// What the stage that is under way is for.
    pub(in crate::collective) fn shape(&self) -> &Shape {
        let Stages { stages, at, .. } = &*self.0;
        stages[*at].schedule.shape()
    }
}

impl Generator for ByNodes {
    fn generate(&mut self, _: &Shape, out: &mut Round) -> bool {
        self.0.generate(out)
    }

    fn scratch_bytes(&self, _: &Shape) -> usize {
        let stages = self.0.stages.iter();
        let ends = stages.map(|stage| stage.scratch + stage.schedule.scratch_bytes());
        ends.max().unwrap_or(0)
    }

    fn turns(&self, _: &Shape) -> u64 {
        let stages = self.0.stages.iter();
        stages.map(|stage| stage.schedule.turns()).sum()
    }
}

impl Stages {
    fn generate(&mut self, out: &mut Round) -> bool {
        if self.ended {
            let Some(next) = self.stages.get(self.at + 1) else {
                return false;
            };
            self.turns += self.stages[self.at].schedule.turns() as u32;
            self.algorithm = next.begun();
            self.at += 1;
            self.ended = false;
        }
        let stage = &self.stages[self.at];
        if self.algorithm.generate(stage.schedule.shape(), out) {
            out.relocate(
                |rank| stage.ranks[rank as usize],
                |buffer| match buffer {
                    Buffer::Input => Some(stage.input),
                    Buffer::Output => Some(stage.output),
                    Buffer::Scratch => Some(Place::scratch(stage.scratch)),
                    Buffer::Slot { .. } => None,
                },
                self.turns,
            );
        } else {
            self.ended = true;
            if self.at + 1 < self.stages.len() {
                out.join();
            }
        }
        true
    }
}

/// The nodes, and the bytes of each slot of this node's board, where it has one that the call may
/// use.
pub(in crate::collective) type Where<'a> = (&'a Nodes, Option<usize>);

/// Puts the stages of a call together.
struct Plan<'a> {
    shape: &'a Shape,
    nodes: &'a Nodes,
    board: Option<usize>,
    limits: &'a Thresholds,
    /// By node: the rank that speaks for it.
    leaders: Arc<[u32]>,
    stages: Vec<Stage>,
}

impl<'a> Plan<'a> {
    fn new(
        shape: &'a Shape,
        (nodes, board): Where<'a>,
        limits: &'a Thresholds,
        rooted: bool,
    ) -> Plan<'a> {
        let mut leaders: Vec<u32> = nodes.members.iter().map(|members| members[0]).collect();
        if rooted {
            leaders[nodes.node(shape.root)] = shape.root;
        }
        Plan {
            shape,
            nodes,
            board,
            limits,
            leaders: leaders.into(),
            stages: Vec::new(),
        }
    }

    fn own_node(&self) -> usize {
        self.nodes.node(self.shape.rank)
    }

    fn leader(&self) -> u32 {
        self.leaders[self.own_node()]
    }

    fn leads(&self) -> bool {
        self.leader() == self.shape.rank
    }

    fn is_alone(&self) -> bool {
        self.nodes.members[self.own_node()].len() == 1
    }

    /// The shape of the call among the ranks of this node, with the leader for root.
    fn within(&self) -> Shape {
        let members = &self.nodes.members[self.own_node()];
        let index = |rank: u32| {
            let found = members.binary_search(&rank);
            found.expect("a node's ranks are those of the communicator that are on it") as u32
        };
        Shape {
            rank: index(self.shape.rank),
            size: members.len() as u32,
            root: index(self.leader()),
            board: self.board,
            in_place: false,
            ..*self.shape
        }
    }

    /// The shape of the call among the leaders, with this node for root.
    fn between(&self, root: usize) -> Shape {
        Shape {
            rank: self.own_node() as u32,
            size: self.leaders.len() as u32,
            root: root as u32,
            board: None,
            in_place: false,
            ..*self.shape
        }
    }

    fn stage(
        &mut self,
        schedule: Schedule,
        ranks: Arc<[u32]>,
        input: Place,
        output: Place,
        scratch: usize,
    ) {
        self.stages.push(Stage {
            schedule,
            ranks,
            input,
            output,
            scratch,
        });
    }

    /// Among the ranks of this node, if there are others.
    fn add_within(&mut self, schedule: Schedule, input: Place, output: Place, scratch: usize) {
        if !self.is_alone() {
            let members = self.nodes.members[self.own_node()].clone();
            self.stage(schedule, members, input, output, scratch);
        }
    }

    /// Among the leaders, if this rank is one.
    fn add_between(&mut self, schedule: Schedule, input: Place, output: Place, scratch: usize) {
        if self.leads() {
            let leaders = self.leaders.clone();
            self.stage(schedule, leaders, input, output, scratch);
        }
    }

    /// The leader's output for all of its node.
    fn spread(&mut self, count: usize) {
        let shape = Shape {
            count,
            ..self.within()
        };
        let schedule = select::flat(Collective::Bcast, shape, self.limits);
        self.add_within(schedule, OUTPUT, OUTPUT, 0);
    }

    fn schedule(self) -> Schedule {
        ByNodes::schedule(self.shape, self.stages)
    }
}

const INPUT: Place = Place::input(0);
const OUTPUT: Place = Place::output(0);

/// The call by nodes, where that is how it is done: the order of operands must be kept where it
/// matters, and the blocks of a node follow one another where they are gathered.
pub(in crate::collective) fn by_nodes(
    collective: Collective,
    shape: &Shape,
    place: Where<'_>,
    limits: &Thresholds,
) -> Option<Schedule> {
    let in_order = shape.commutative || place.0.consecutive;
    let bytes = match collective {
        Collective::Allgather => shape.bytes().saturating_mul(shape.size as usize),
        _ => shape.bytes(),
    };
    let is_empty = bytes == 0 && collective != Collective::Barrier;
    if bytes > limits.by_nodes || is_empty {
        return None;
    }
    match collective {
        Collective::Barrier => Some(barrier(shape, place, limits)),
        Collective::Bcast => Some(bcast(shape, place, limits)),
        Collective::Reduce if in_order => Some(reduce(shape, place, limits)),
        Collective::Allreduce if in_order => Some(allreduce(shape, place, limits)),
        Collective::Allgather if place.0.consecutive => Some(allgather(shape, place, limits)),
        _ => None,
    }
}

fn barrier(shape: &Shape, place: Where<'_>, limits: &Thresholds) -> Schedule {
    let mut plan = Plan::new(shape, place, limits, false);
    let (within, between) = (plan.within(), plan.between(0));
    plan.add_within(
        select::flat(Collective::Barrier, within, limits),
        INPUT,
        OUTPUT,
        0,
    );
    plan.add_between(
        select::flat(Collective::Barrier, between, limits),
        INPUT,
        OUTPUT,
        0,
    );
    plan.add_within(
        select::flat(Collective::Barrier, within, limits),
        INPUT,
        OUTPUT,
        0,
    );
    plan.schedule()
}

fn bcast(shape: &Shape, place: Where<'_>, limits: &Thresholds) -> Schedule {
    let mut plan = Plan::new(shape, place, limits, true);
    let between = plan.between(place.0.node(shape.root));
    plan.add_between(
        select::flat(Collective::Bcast, between, limits),
        OUTPUT,
        OUTPUT,
        0,
    );
    plan.spread(shape.count);
    plan.schedule()
}

fn reduce(shape: &Shape, place: Where<'_>, limits: &Thresholds) -> Schedule {
    let mut plan = Plan::new(shape, place, limits, true);
    let is_root = shape.rank == shape.root;
    // Only the root has an output: the other leaders' partial results lie in scratch memory.
    let (partial, scratch) = match plan.leads() && !is_root {
        true => (Place::scratch(0), shape.bytes().next_multiple_of(LINE)),
        false => (OUTPUT, 0),
    };
    let within = Shape {
        in_place: shape.in_place && is_root,
        ..plan.within()
    };
    plan.add_within(
        select::flat(Collective::Reduce, within, limits),
        INPUT,
        partial,
        scratch,
    );
    let alone = plan.is_alone();
    let between = Shape {
        in_place: is_root && (shape.in_place || !alone),
        ..plan.between(place.0.node(shape.root))
    };
    let from = if alone { INPUT } else { partial };
    plan.add_between(
        select::flat(Collective::Reduce, between, limits),
        from,
        OUTPUT,
        scratch,
    );
    plan.schedule()
}

fn allreduce(shape: &Shape, place: Where<'_>, limits: &Thresholds) -> Schedule {
    let mut plan = Plan::new(shape, place, limits, false);
    let within = Shape {
        in_place: shape.in_place && plan.leads(),
        ..plan.within()
    };
    plan.add_within(
        select::flat(Collective::Reduce, within, limits),
        INPUT,
        OUTPUT,
        0,
    );
    let alone = plan.is_alone();
    let between = Shape {
        in_place: shape.in_place || !alone,
        ..plan.between(0)
    };
    let from = if alone { INPUT } else { OUTPUT };
    plan.add_between(
        select::flat(Collective::Allreduce, between, limits),
        from,
        OUTPUT,
        0,
    );
    plan.spread(shape.count);
    plan.schedule()
}

fn allgather(shape: &Shape, place: Where<'_>, limits: &Thresholds) -> Schedule {
    let mut plan = Plan::new(shape, place, limits, false);
    let (nodes, bytes, own) = (place.0, shape.bytes(), plan.own_node());
    let (first, length) = nodes.block(own, bytes);
    let (leads, alone) = (plan.leads(), plan.is_alone());
    let within = Shape {
        in_place: shape.in_place && leads,
        ..plan.within()
    };
    let from = match shape.in_place {
        true if !leads => Place::output(shape.rank as usize * bytes),
        true => Place::output(first),
        false => INPUT,
    };
    plan.add_within(
        select::flat(Collective::Gather, within, limits),
        from,
        Place::output(first),
        0,
    );
    let between = Shape {
        count: length,
        width: 1,
        in_place: shape.in_place || !alone,
        ..plan.between(0)
    };
    let from = if between.in_place { OUTPUT } else { INPUT };
    let equal = nodes
        .members
        .iter()
        .all(|members| members.len() == nodes.members[own].len());
    let schedule = if equal {
        select::flat(Collective::Allgather, between, limits)
    } else {
        let blocks = (0..nodes.members.len()).map(|node| nodes.block(node, bytes));
        select::allgatherv_ring(between, blocks.collect())
    };
    plan.add_between(schedule, from, OUTPUT, 0);
    plan.spread(shape.size as usize * shape.count);
    plan.schedule()
}
