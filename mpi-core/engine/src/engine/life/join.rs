//! How a process joins its job, and what it is then.

use std::sync::Arc;

use ferrite_fabric::{Bootstrap, Job, Network, Options, Transport};
use ferrite_shm::{AttachError, Attachment, ShmConfig};

use super::Threading;
use super::cards;
use super::cards::NetworkCards;
use crate::engine::Engine;
use crate::engine::collectives::Collectives;
use crate::engine::communicators::{Communicators, ThreadLevel};
use crate::engine::constructors::Constructors;
use crate::engine::events::Chores;
use crate::engine::point_to_point::PointToPoint;
use crate::engine::progress::{Bed, Manner, NetPort, Ports, Progress};
use crate::engine::protocol::{Landings, Lanes, Peers, ProtocolLimits, Transports};
use crate::group::Members;
use crate::handle::HandleKind;
use crate::settings::{self, Cma, Settings};
use crate::slab::Slab;
use crate::{Error, ErrorClass, Result};

impl Engine {
    /// Joins the job that `discover` found. Ranks that share no memory reach each other over the first of `transports` that is
    /// allowed and works.
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
        let (shm, net) = join(&settings, &mut job, transports, &bootstrap)?;
        Engine::make(level, settings, job, bootstrap, shm, net)
    }

    pub(in crate::engine) fn make(
        level: ThreadLevel,
        mut settings: Settings,
        job: Job,
        bootstrap: Arc<dyn Bootstrap>,
        shm: Option<Attachment>,
        net: Option<Arc<dyn Network>>,
    ) -> Result<Engine> {
        let bed = match (&shm, &net) {
            (Some(shm), net) => {
                let sleeper = shm.sleeper();
                if let Some(net) = net {
                    let sleeper = sleeper.clone();
                    net.ring(Arc::new(move || sleeper.wake()));
                }
                Bed::Shm(sleeper)
            }
            (None, Some(net)) => Bed::Net(net.clone()),
            (None, None) => Bed::None,
        };
        let processors = job.cpus.saturating_sub(job.neighbours);
        if is_crowded(&job) {
            settings.collectives.board_flat = settings.collectives.board_flat_crowded;
        }
        let manner = Manner {
            bed,
            processors,
            spin: settings.spin,
            yield_for: settings.yield_for,
            asks: job.size > 1 && bootstrap.hears_of_waits(),
        };
        let ports = Ports {
            shm: shm.as_ref().map(|shm| shm.port()),
            net: net.as_ref().map(|net| NetPort::new(net.port())),
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
            transports: Transports::new(shm, net),
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

/// This process's part in shared memory and in a network, as far as its job has processes for them and the settings allow.
type Joined = (Option<Attachment>, Option<Arc<dyn Network>>);

fn join(
    settings: &Settings,
    job: &mut Job,
    transports: &[&dyn Transport],
    bootstrap: &Arc<dyn Bootstrap>,
) -> Result<Joined> {
    let failed = |sentence: String| Error::new(ErrorClass::OTHER, sentence);
    if !settings.transport.allows("shm") {
        job.local = vec![job.rank];
        job.segment = None;
    }
    let config = ShmConfig {
        cma: settings.cma == Cma::Auto,
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
    let (mut card, mut name, mut net) = (String::new(), None, None);
    if job.local.len() < job.size as usize {
        let (used, opened) = open(settings, job, transports, bootstrap).map_err(failed)?;
        card = opened.card();
        name = Some(used);
        net = Some(Arc::from(opened));
    }
    if job.size > 1 {
        bootstrap
            .publish(&cards::card(job, &card))
            .map_err(failed)?;
        if settings.show_transports && job.rank == 0 {
            let table = cards::table(job, &**bootstrap, name).map_err(failed)?;
            eprintln!("{table}");
        }
    }
    Ok((shm, net))
}

/// Attaches to the memory of the node. `None`: its ranks have agreed to go without, so that each is like one that is alone. What speed
/// would want is said by the first of them.
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

/// Joins the first network that is allowed and works. Returns its name with it.
fn open(
    settings: &Settings,
    job: &Job,
    transports: &[&dyn Transport],
    bootstrap: &Arc<dyn Bootstrap>,
) -> core::result::Result<(&'static str, Box<dyn Network>), String> {
    let options = Options {
        interfaces: settings.network.clone(),
        ports: settings.ports.0,
        crowded: is_crowded(job),
    };
    let mut why = Vec::new();
    for transport in transports {
        if !settings.transport.allows(transport.name()) {
            continue;
        }
        let bootstrap = Arc::new(NetworkCards(bootstrap.clone()));
        match transport.open(job, bootstrap, &options) {
            Ok(network) => return Ok((transport.name(), network)),
            Err(sentence) => why.push(format!("{}: {sentence}", transport.name())),
        }
    }
    let far = (0..job.size).find(|rank| !job.local.contains(rank));
    let far = far.unwrap_or_default();
    if why.is_empty() {
        let names: Vec<&str> = transports
            .iter()
            .map(|transport| transport.name())
            .collect();
        return Err(format!(
            "FERRITE_TRANSPORT allows only {}, but rank {} and rank {far} share no memory: allow one of {}",
            settings.transport.names().join(","),
            job.rank,
            names.join(", ")
        ));
    }
    Err(format!(
        "rank {} and rank {far} share no memory, and there is no network between them: {}",
        job.rank,
        why.join("; ")
    ))
}
