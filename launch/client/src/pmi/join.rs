//! How a process and its job find each other through a PMI-1 launcher.
//!
//! ```text
//! every rank     puts its place                      (ferrite-place-RANK)
//! rank 0         puts the job's id and secret        (ferrite-job)
//! each leader    puts its offer                      (ferrite-offer-RANK)
//!                (a leader is the lowest rank of a node)
//!                barrier
//! the others     take the leader's file; put whether they have it   (ferrite-has-RANK)
//! each leader    serves them; puts the node's verdict               (ferrite-node-RANK)
//!                barrier, during which the leader goes on serving
//! every rank     reads the verdict, and what the ranks that it does not name have put themselves
//! ```
//!
//! So all ranks of a node come to the same list. Which ranks are on one node is told by
//! `PMI_process_mapping`; a launcher without it costs one barrier more, after which the ranks of
//! one kernel are a node. A rank that cannot take the file, or whose leader has none, is alone, and
//! everybody reaches it over a network.

use super::launcher::Launcher;
use super::mapping;
use super::offer::{Door, Offer, Way, hex, unhex};
use super::place::{Place, VERSION, common_ancestor, shared_processors};
use crate::sys;
use crate::wire::{format_ranks, parse_ranks};
use ferrite_fabric::{Job, Secret};
use std::os::fd::OwnedFd;

/// The largest job in which every rank reads the places of all, where the launcher does not tell
/// who is on which node.
const MAX_UNMAPPED: u32 = 512;

/// The ranks of this process's node.
struct Node {
    /// Ascending; the first one leads.
    ranks: Vec<u32>,
    /// The node of each rank of the job, where there are several and the launcher tells.
    of_all: Vec<u32>,
}

/// What the leader has found out.
struct Verdict {
    /// Ranks that hold its file for certain.
    served: Vec<u32>,
    /// Processors that the node's ranks share.
    cpus: u32,
    /// A common ancestor; 0: unknown.
    launcher: u32,
}

/// This process's job.
pub(super) fn join(launcher: &Launcher, own: &Place, ways: &[Way]) -> Result<Job, String> {
    let rank = launcher.rank;
    let random = || "the kernel gives no random bits for the job's id and secret".to_owned();
    if launcher.size == 1 {
        return Ok(Job {
            id: sys::random().map_err(|_| random())?,
            secret: Secret(sys::random().map_err(|_| random())?),
            rank,
            size: 1,
            local: vec![rank],
            neighbours: 0,
            nodes: Vec::new(),
            cpus: shared_processors([own].into_iter()),
            appnum: launcher.appnum,
            part: 1,
            launcher: 0,
            segment: None,
        });
    }
    if rank == 0 {
        let id: [u8; 16] = sys::random().map_err(|_| random())?;
        let secret: [u8; 32] = sys::random().map_err(|_| random())?;
        let text = format!("{VERSION}/{}/{}", hex(&id), hex(&secret));
        launcher.put("ferrite-job", &text)?;
    }
    launcher.put(&key("place", rank), &own.format())?;
    let (node, several) = nodes(launcher)?;
    let leads = node.ranks[0] == rank;
    let mut door = None;
    if leads && node.ranks.len() > 1 {
        // Where it cannot be made, nobody finds an offer, and every rank of the node is alone.
        door = Door::open(node.ranks.len()).ok();
        if let Some(door) = &door {
            launcher.put(&key("offer", rank), &door.offer().format())?;
        }
    }
    launcher.barrier()?;
    let (id, secret) = id_and_secret(launcher)?;
    let mut file = None;
    if node.ranks.len() > 1 && !leads {
        file = take(launcher, &node, own, ways)?;
        let has = if file.is_some() { "1" } else { "0" };
        launcher.put(&key("has", rank), has)?;
    } else if node.ranks.len() > 1 {
        let verdict = lead(launcher, &node, own, door.as_mut())?;
        launcher.put(&key("node", rank), &verdict.format())?;
    }
    if several {
        match &mut door {
            Some(door) => {
                launcher.barrier_while(|socket, until| door.serve_until_readable(socket, until))?
            }
            None => launcher.barrier()?,
        }
    }
    let file = door.map(Door::close).or(file);
    let mut job = Job {
        id,
        secret,
        rank,
        size: launcher.size,
        local: vec![rank],
        neighbours: node.ranks.len() as u32 - 1,
        nodes: node.of_all.clone(),
        cpus: shared_processors([own].into_iter()),
        appnum: launcher.appnum,
        // PMI does not tell.
        part: 0,
        launcher: 0,
        segment: None,
    };
    if node.ranks.len() > 1 {
        settle(launcher, &node, file, own, &mut job)?;
    }
    Ok(job)
}

fn key(what: &str, rank: u32) -> String {
    format!("ferrite-{what}-{rank}")
}

/// What every rank must have put before a barrier.
fn required(launcher: &Launcher, what: &str, rank: u32) -> Result<String, String> {
    launcher.get(&key(what, rank))?.ok_or_else(|| {
        format!(
            "rank {rank} has not published where it runs: is its program linked with another MPI \
             library?"
        )
    })
}

fn place_of(launcher: &Launcher, rank: u32) -> Result<Place, String> {
    let text = required(launcher, "place", rank)?;
    Place::parse(&text).ok_or_else(|| {
        format!("rank {rank} uses another version of this library: it has published {text:?}")
    })
}

fn id_and_secret(launcher: &Launcher) -> Result<([u8; 16], Secret), String> {
    let text = launcher.get("ferrite-job")?.ok_or(
        "rank 0 has published no id of the job: is its program linked with another MPI library?",
    )?;
    let mut fields = text.split('/');
    let mut next = || fields.next().unwrap_or("");
    let (version, id, secret) = (next(), next(), next());
    match (version.parse() == Ok(VERSION), unhex(id), unhex(secret)) {
        (true, Some(id), Some(secret)) => Ok((id, Secret(secret))),
        _ => Err("rank 0 uses another version of this library".into()),
    }
}

/// This process's node, and whether any node of the job has several ranks: all ranks come to the
/// same answer.
fn nodes(launcher: &Launcher) -> Result<(Node, bool), String> {
    let size = launcher.size as usize;
    let alone = || Node {
        ranks: vec![launcher.rank],
        of_all: Vec::new(),
    };
    let told = launcher.get_plain("PMI_process_mapping")?;
    if let Some(nodes) = told.and_then(|text| mapping::parse(&text, size)) {
        let mut sorted = nodes.clone();
        sorted.sort_unstable();
        let several = sorted.windows(2).any(|pair| pair[0] == pair[1]);
        let mine = nodes[launcher.rank as usize];
        let ranks = (0..).zip(&nodes).filter(|&(_, &node)| node == mine);
        let ranks = ranks.map(|(rank, _)| rank).collect();
        let of_all = match sorted.first() == sorted.last() {
            true => Vec::new(),
            false => nodes,
        };
        return Ok((Node { ranks, of_all }, several));
    }
    if launcher.size > MAX_UNMAPPED {
        return Ok((alone(), false));
    }
    launcher.barrier()?;
    // Each node is called by the first of its ranks.
    let mut first: Vec<(Place, u32)> = Vec::new();
    let mut of_all = Vec::new();
    for rank in 0..launcher.size {
        let place = place_of(launcher, rank)?;
        let known = first.iter().find(|(other, _)| other.same_kernel(&place));
        let node = known.map_or(rank, |(_, node)| *node);
        if node == rank {
            first.push((place, rank));
        }
        of_all.push(node);
    }
    let mine = of_all[launcher.rank as usize];
    let ranks = (0..).zip(&of_all).filter(|&(_, &node)| node == mine);
    let ranks = ranks.map(|(rank, _)| rank).collect();
    if first.len() == 1 {
        of_all.clear();
    }
    Ok((Node { ranks, of_all }, true))
}

/// Takes the leader's file, if it has one and a way leads there.
fn take(
    launcher: &Launcher,
    node: &Node,
    own: &Place,
    ways: &[Way],
) -> Result<Option<OwnedFd>, String> {
    let leader = node.ranks[0];
    let theirs = place_of(launcher, leader)?;
    if !own.same_kernel(&theirs) {
        return Ok(None);
    }
    let offer = launcher.get(&key("offer", leader))?;
    let offer = offer.and_then(|text| Offer::parse(&text));
    Ok(offer.and_then(|offer| offer.take(ways, launcher.rank, own, &theirs)))
}

/// Serves the ranks of the node.
fn lead(
    launcher: &Launcher,
    node: &Node,
    own: &Place,
    door: Option<&mut Door>,
) -> Result<Verdict, String> {
    let mut places = vec![own.clone()];
    for &rank in &node.ranks[1..] {
        places.push(place_of(launcher, rank)?);
    }
    // Those elsewhere share nothing with this kernel's processes, whatever the launcher says.
    let here = places.iter().filter(|place| place.same_kernel(own));
    let mut verdict = Verdict {
        served: Vec::new(),
        cpus: shared_processors(here.clone()),
        launcher: common_ancestor(here.clone()),
    };
    if let Some(door) = door {
        for place in here.filter(|place| !place.same_network(own)) {
            if let Some(folder) = place.common_folder(own) {
                // A folder that takes no socket: those ranks give up in time.
                let _ = door.open_in(&folder, node.ranks.len());
            }
        }
        let near = node.ranks[1..].iter().zip(&places[1..]);
        let near = near.filter(|(_, place)| place.same_network(own));
        let near: Vec<u32> = near.map(|(&rank, _)| rank).collect();
        door.serve_ranks(&near);
        verdict.served = door.served();
    }
    Ok(verdict)
}

/// Fills in what the ranks of the node have agreed on.
fn settle(
    launcher: &Launcher,
    node: &Node,
    file: Option<OwnedFd>,
    own: &Place,
    job: &mut Job,
) -> Result<(), String> {
    let leader = node.ranks[0];
    let text = required(launcher, "node", leader)?;
    let verdict = Verdict::parse(&text)
        .ok_or_else(|| format!("rank {leader} uses another version of this library"))?;
    let mut local = vec![leader];
    for &rank in &node.ranks[1..] {
        let holds = verdict.served.contains(&rank)
            || launcher.get(&key("has", rank))?.as_deref() == Some("1");
        if holds {
            local.push(rank);
        }
    }
    if leader == launcher.rank || place_of(launcher, leader)?.same_kernel(own) {
        job.cpus = verdict.cpus;
    }
    if local.len() < 2 || !local.contains(&launcher.rank) {
        return Ok(());
    }
    if file.is_none() {
        return Err(format!(
            "rank {leader} believes that rank {} shares its memory file, which is not so",
            launcher.rank
        ));
    }
    job.local = local;
    job.segment = file;
    // A number that means something to a process that sees itself among those that the leader
    // counted.
    if own.ancestors.contains(&verdict.launcher) {
        job.launcher = verdict.launcher;
    }
    Ok(())
}

impl Verdict {
    fn format(&self) -> String {
        format!(
            "{}/{}/{}",
            self.cpus,
            self.launcher,
            format_ranks(&self.served)
        )
    }

    fn parse(text: &str) -> Option<Verdict> {
        let mut fields = text.split('/');
        let mut next = || fields.next();
        Some(Verdict {
            cpus: next()?.parse().ok()?,
            launcher: next()?.parse().ok()?,
            served: match next()? {
                "" => Vec::new(),
                some => parse_ranks(some)?,
            },
        })
    }
}
