//! How a process joins its job, and what it is then.

use std::sync::Arc;

use ferrite_fabric::{Bootstrap, Job, Options, Transport};
use ferrite_shm::{AttachError, Attachment, ShmConfig};

use super::Threading;
use crate::engine::Engine;
use crate::engine::collectives::Collectives;
use crate::engine::communicators::{Communicators, ThreadLevel};
use crate::engine::constructors::Constructors;
use crate::engine::events::Chores;
use crate::engine::point_to_point::PointToPoint;
use crate::engine::progress::{Bed, Doorbell, Manner, NetPort, Ports, Progress};
use crate::engine::protocol::{
    Joined, Landings, Lanes, NetworkCards, Peers, ProtocolLimits, Transports, card, room_for_cards,
    table,
};
use crate::group::Members;
use crate::handle::HandleKind;
use crate::settings::{self, Cma, Settings};
use crate::slab::Slab;
use crate::{Error, ErrorClass, Result};

impl Engine {
    /// Joins the job that `discover` found. Ranks that share no memory reach each other over the
    /// first of `transports` that is allowed and works for both.
    pub(in crate::engine) fn join(
        level: ThreadLevel,
        transports: &[&dyn Transport],
        discover: impl FnOnce() -> core::result::Result<(Job, Arc<dyn Bootstrap>), String>,
    ) -> Result<Engine> {
        let settings = settings::current()?;
        settings.transport.check(transports)?;
        let (mut job, bootstrap) =
            discover().map_err(|sentence| Error::new(ErrorClass::OTHER, sentence))?;
        if job.rank == 0 {
            for warning in settings::warnings() {
                eprintln!("ferrite: {warning}");
            }
        }
        let (shm, networks) = join(&settings, &mut job, transports, &bootstrap)?;
        Engine::make(level, settings, job, bootstrap, shm, networks)
    }

    pub(in crate::engine) fn make(
        level: ThreadLevel,
        mut settings: Settings,
        job: Job,
        bootstrap: Arc<dyn Bootstrap>,
        shm: Option<Attachment>,
        networks: Vec<Joined>,
    ) -> Result<Engine> {
        let bed = bed(shm.as_ref(), &networks);
        let processors = job.cpus.saturating_sub(job.neighbours);
        if is_crowded(&job) {
            settings.collectives.board.sliced_above =
                settings.collectives.board.sliced_above_crowded;
        }
        let manner = Manner {
            bed,
            processors,
            spin: settings.spin,
            yield_for: settings.yield_for,
            stall: settings.stall,
            asks: job.size > 1 && bootstrap.hears_of_waits(),
        };
        let ports = Ports {
            shm: shm.as_ref().map(|shm| shm.port()),
            nets: networks
                .iter()
                .map(|joined| NetPort::new(joined.network.port()))
                .collect(),
            landings: Landings::new(),
        };
        let (own, size) = (job.rank, job.size);
        let salt = u32::from_le_bytes([job.id[0], job.id[1], job.id[2], job.id[3]]);
        let everybody = Arc::new(Members::first(size));
        let alone = Arc::new(Members::new(vec![own]));
        let comms = Communicators::new(everybody, alone, own, salt);
        let world = comms.world();
        if let Some(shm) = &shm {
            let is_whole = job.local.len() as u32 == size;
            let is_node = || {
                let nodes = world.nodes(&job.nodes);
                nodes.is_some_and(|nodes| nodes.around(own)[..] == job.local)
            };
            if (is_whole || is_node())
                && let Some(board) = shm.board_of_all()
            {
                world.set_board(board);
            }
        }
        let progress = Progress::new(ports, manner);
        progress.watchdog().add(world.context(), world.calls());
        Ok(Engine {
            bootstrap,
            threading: Threading::new(level),
            comms,
            requests: Slab::new(HandleKind::Request),
            lanes: Lanes::new(),
            peers: Peers::new(size),
            transports: Transports::new(shm, networks),
            protocol_limits: ProtocolLimits::new(&settings),
            chores: Chores::new(),
            progress,
            point_to_point: PointToPoint::new(),
            collectives: Collectives::new(),
            constructors: Constructors::new(),
            job,
            settings,
        })
    }

    /// `MPI_Query_thread`
    pub fn thread_level(&self) -> ThreadLevel {
        *self.threading.level.lock()
    }

    /// `MPI_Is_thread_main`
    pub fn is_thread_main(&self) -> bool {
        self.threading.main == std::thread::current().id()
    }
}

/// Whether ranks of this node take turns on a processor. The same for all that share memory.
fn is_crowded(job: &Job) -> bool {
    job.neighbours >= job.cpus
}

/// Where this process sleeps, and every network rings.
fn bed(shm: Option<&Attachment>, networks: &[Joined]) -> Bed {
    let ring_at = |bell: Arc<dyn Fn() + Send + Sync>| {
        let networks = networks.iter();
        networks.for_each(|joined| joined.network.ring(bell.clone()));
    };
    match (shm, networks) {
        (Some(shm), _) => {
            let sleeper = shm.sleeper();
            let there = sleeper.clone();
            ring_at(Arc::new(move || there.wake()));
            Bed::Shm(sleeper)
        }
        (None, []) => Bed::None,
        (None, [only]) => Bed::Net(only.network.clone()),
        (None, _) => {
            let bell = Arc::new(Doorbell::new());
            let there = bell.clone();
            ring_at(Arc::new(move || there.ring()));
            Bed::Several(bell)
        }
    }
}

/// This process's part in shared memory and in networks, as far as its job has processes for them
/// and the settings allow.
type Parts = (Option<Attachment>, Vec<Joined>);

fn join(
    settings: &Settings,
    job: &mut Job,
    transports: &[&dyn Transport],
    bootstrap: &Arc<dyn Bootstrap>,
) -> Result<Parts> {
    let failed = |sentence: String| Error::new(ErrorClass::OTHER, sentence);
    if !settings.transport.allows("shm") {
        job.local = vec![job.rank];
        job.segment = None;
    }
    let config = ShmConfig {
        cma: settings.cma == Cma::Auto,
        direct_from: settings.cma_limit,
        ..ShmConfig::default()
    };
    let shm = match &job.segment {
        Some(_) if job.local.len() > 1 => attach(job, &config).map_err(failed)?,
        _ => {
            // The launcher could not make a file for those that could share it, and has told why.
            job.local = vec![job.rank];
            None
        }
    };
    // What is mapped stays, and the attachment has a descriptor of its own.
    job.segment = None;
    let networks = match job.local.len() < job.size as usize {
        true => open(settings, job, transports, bootstrap).map_err(failed)?,
        false => Vec::new(),
    };
    if job.size > 1 {
        let card = card(job, &networks).map_err(failed)?;
        bootstrap.publish(&card).map_err(failed)?;
        if settings.show_transports && job.rank == 0 {
            let table = table(job, &**bootstrap).map_err(failed)?;
            eprintln!("{table}");
        }
    }
    Ok((shm, networks))
}

/// Attaches to the memory of the node. `None`: its ranks have agreed to go without, so that each is
/// like one that is alone. What speed would want is said by the first of them.
fn attach(job: &mut Job, config: &ShmConfig) -> core::result::Result<Option<Attachment>, String> {
    let attached = ferrite_shm::attach(job, config);
    let speaks = job.local.first() == Some(&job.rank);
    let (attached, shortage) = match attached {
        Ok(attached) => {
            let shortage = attached.shortage();
            (Some(attached), shortage)
        }
        Err(without @ AttachError::Without { .. }) => {
            job.local = vec![job.rank];
            (None, Some(without.to_string()))
        }
        Err(error) => return Err(error.to_string()),
    };
    if let Some(sentence) = shortage.filter(|_| speaks) {
        eprintln!("ferrite: {sentence}");
    }
    Ok(attached)
}

/// Joins the networks that are allowed and work. One that was named and does not work is told.
fn open(
    settings: &Settings,
    job: &Job,
    transports: &[&dyn Transport],
    bootstrap: &Arc<dyn Bootstrap>,
) -> core::result::Result<Vec<Joined>, String> {
    let allowed = || {
        let transports = transports.iter();
        transports.filter(|transport| settings.transport.allows(transport.name()))
    };
    let options = Options {
        interfaces: settings.network.clone(),
        ports: settings.ports.0,
        crowded: is_crowded(job),
        card: room_for_cards(allowed().count()),
    };
    let (mut joined, mut why) = (Vec::new(), Vec::new());
    for transport in allowed() {
        let name = transport.name();
        let cards = NetworkCards {
            bootstrap: bootstrap.clone(),
            network: name,
        };
        match transport.open(job, Arc::new(cards), &options) {
            Ok(network) => joined.push(Joined {
                name,
                network: network.into(),
            }),
            Err(sentence) => why.push((name, sentence)),
        }
    }
    if !joined.is_empty() {
        let named = why
            .iter()
            .filter(|(name, _)| settings.transport.names_it(name));
        for (name, sentence) in named {
            eprintln!("ferrite: rank {} goes without {name}: {sentence}", job.rank);
        }
        return Ok(joined);
    }
    let far = (0..job.size).find(|rank| !job.local.contains(rank));
    let far = far.unwrap_or_default();
    if why.is_empty() {
        let names: Vec<&str> = transports
            .iter()
            .map(|transport| transport.name())
            .collect();
        return Err(format!(
            "FERRITE_TRANSPORT allows only {}, but rank {} and rank {far} share no memory: allow \
             one of {}",
            settings.transport.names().join(","),
            job.rank,
            names.join(", ")
        ));
    }
    Err(format!(
        "rank {} and rank {far} share no memory, and there is no network between them: {}",
        job.rank,
        why.iter()
            .map(|(name, sentence)| format!("{name}: {sentence}"))
            .collect::<Vec<_>>()
            .join("; ")
    ))
}
