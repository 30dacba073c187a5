//! The registry of settings: every `FERRITE_` variable, typed and registered once.
//!
//! [`Settings`] is what the engine reads: plain fields, parsed once from the environment.
//! [`REGISTRY`] is what people and tools read: name, accepted values, default and a sentence about
//! each. A bad value is an error that names the variable, the value and what is accepted; a name
//! that nobody registered is a warning with the nearest known one. Variables that other parts of
//! Ferrite read are registered too, so that their names are known, and are not parsed here.
//!
//! This module knows no transport but by name, and prints nothing.

use core::time::Duration;
use std::ffi::OsString;
use std::sync::{Mutex, OnceLock, PoisonError};

use ferrite_fabric::Transport;

use crate::collective::Thresholds;
use crate::error::{Error, ErrorClass, Result};

mod foreign;
#[cfg(test)]
mod tests;
mod value;
mod variable;

use value::Value;
pub use variable::Scope;

/// Prefix of every variable.
const PREFIX: &str = "FERRITE_";

/// Prefix of the variables of Ferrite's own tests, which are nobody's mistake.
const TEST_PREFIX: &str = "FERRITE_TEST_";

/// The settings that the engine reads.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Transports that may be used.
    pub transport: Transports,
    /// Whether cross-memory attach may be used.
    pub cma: Cma,
    /// Length in bytes of the longest message that is sent eagerly.
    pub eager_limit: usize,
    /// Bytes of eager messages outstanding per peer, beyond which a sender uses rendezvous.
    pub eager_budget: usize,
    /// Length in bytes from which a rendezvous copies directly from the sender's memory.
    pub cma_limit: usize,
    /// Length in bytes of the longest message that is sent eagerly over a network.
    pub net_eager_limit: usize,
    /// Interfaces that may be used, by name or as `address/bits`; empty: all.
    pub network: String,
    /// Ports to listen on.
    pub ports: Ports,
    /// Whether to print which ranks use which transport.
    pub show_transports: bool,
    /// Whether a thread of the library drives communication.
    pub progress_thread: bool,
    /// Where collective operations change their algorithm.
    pub collectives: Thresholds,
    /// How long a waiting rank spins before it yields.
    pub spin: Duration,
    /// How long a waiting rank yields before it sleeps.
    pub yield_for: Duration,
    /// How long a rank waits, with nothing moving, until it asks the others how far they are with a
    /// collective call; 0: for ever.
    pub stall: Duration,
    origins: [Origin; REGISTRY.len()],
}

/// Which transports may be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transports(Vec<String>);

impl Transports {
    /// Whether the transport of this name may be used.
    pub fn allows(&self, name: &str) -> bool {
        self.0.is_empty() || self.names_it(name)
    }

    /// Whether the choice is left to the library.
    pub fn is_automatic(&self) -> bool {
        self.0.is_empty()
    }

    /// The names given; none when the choice is left to the library.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// Whether the choice names this one.
    pub fn names_it(&self, name: &str) -> bool {
        self.0.iter().any(|named| named == name)
    }

    /// Finds names of no transport: there are shared memory, a process itself and these networks.
    ///
    /// # Errors
    /// `MPI_ERR_ARG`, with the names that there are.
    pub fn check(&self, networks: &[&dyn Transport]) -> Result<()> {
        let networks = networks.iter().map(|network| network.name());
        let known: Vec<&str> = core::iter::once("shm")
            .chain(networks)
            .chain(["self"])
            .collect();
        match self.0.iter().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(_) => Err(Error::new(
                ErrorClass::ARG,
                format!(
                    "FERRITE_TRANSPORT={} is not understood: the value is a list of the transports \
                     of this build: {}",
                    self.0.join(","),
                    known.join(", ")
                ),
            )),
        }
    }
}

/// Whether cross-memory attach (one copy between processes, made by the kernel) may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cma {
    /// Where the system permits it.
    Auto,
    /// Nowhere.
    Never,
}

/// The first and the last port that may be listened on; `None`: any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports(pub Option<(u16, u16)>);

/// Where a setting's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The value that is built in
    Default,
    /// The environment
    Environment,
    /// A tool has written it
    Tool,
}

impl Origin {
    /// One word for people.
    pub fn name(self) -> &'static str {
        match self {
            Origin::Default => "default",
            Origin::Environment => "environment",
            Origin::Tool => "tool",
        }
    }
}

/// A registered setting.
#[derive(Debug)]
pub struct Setting {
    /// The environment variable.
    pub name: &'static str,
    /// The built-in value as text.
    pub default: &'static str,
    /// What it does, in a sentence.
    pub doc: &'static str,
    field: Field,
}

/// Who reads a setting, and where its value is kept.
#[derive(Debug)]
enum Field {
    Transports(fn(&mut Settings) -> &mut Transports),
    Cma(fn(&mut Settings) -> &mut Cma),
    Bytes(fn(&mut Settings) -> &mut usize),
    Duration(fn(&mut Settings) -> &mut Duration),
    Text(fn(&mut Settings) -> &mut String),
    Ports(fn(&mut Settings) -> &mut Ports),
    Switch(fn(&mut Settings) -> &mut bool),
    Collectives(fn(&mut Settings) -> &mut Thresholds),
    /// Read by another part of Ferrite.
    Elsewhere,
}

/// Every setting there is.
pub static REGISTRY: [Setting; 21] = [
    Setting {
        name: "FERRITE_TRANSPORT",
        default: "",
        doc: "Transports that may be used, separated by commas; empty: chosen automatically.",
        field: Field::Transports(|settings| &mut settings.transport),
    },
    Setting {
        name: "FERRITE_CMA",
        default: "auto",
        doc: "Whether large messages on a node are copied once, directly between the processes \
            (cross-memory attach).",
        field: Field::Cma(|settings| &mut settings.cma),
    },
    Setting {
        name: "FERRITE_EAGER_LIMIT",
        default: "32k",
        doc: "Length of the longest message that is sent before its receiver asks for it.",
        field: Field::Bytes(|settings| &mut settings.eager_limit),
    },
    Setting {
        name: "FERRITE_EAGER_BUDGET",
        default: "256k",
        doc: "Bytes sent to one peer before it asked for them, beyond which a sender waits for the \
            receiver.",
        field: Field::Bytes(|settings| &mut settings.eager_budget),
    },
    Setting {
        name: "FERRITE_CMA_LIMIT",
        // The system looks up every page of both sides, which costs about as much as to copy it,
        // and more where buffers are not in the caches. Measured on pages of 4 KiB, by way of the
        // rings against this: 64 KiB 3.5 times as fast, 1 MiB 2.0, 4 MiB 1.6; on large pages 1.5,
        // 0.85 and 0.8.
        default: "2m",
        doc: "Length from which a message on a node is copied directly between the processes.",
        field: Field::Bytes(|settings| &mut settings.cma_limit),
    },
    Setting {
        name: "FERRITE_NET_EAGER_LIMIT",
        default: "128k",
        doc: "Length of the longest message that is sent over a network before its receiver asks \
            for it.",
        field: Field::Bytes(|settings| &mut settings.net_eager_limit),
    },
    Setting {
        name: "FERRITE_NETWORK",
        default: "",
        doc: "Network interfaces that may be used, by name or as address/bits, separated by \
            commas; empty: all that are up.",
        field: Field::Text(|settings| &mut settings.network),
    },
    Setting {
        name: "FERRITE_PORT_RANGE",
        default: "",
        doc: "Ports that ranks listen on, for firewalls; empty: any.",
        field: Field::Ports(|settings| &mut settings.ports),
    },
    Setting {
        name: "FERRITE_PROGRESS_THREAD",
        default: "0",
        doc: "Whether a thread of each rank drives communication while the program computes. It \
            costs short messages some time.",
        field: Field::Switch(|settings| &mut settings.progress_thread),
    },
    Setting {
        name: "FERRITE_COLLECTIVES",
        default: "",
        doc: "Lengths at which collective operations change their algorithm, where they shall not \
            be those built in; the same for all ranks.",
        field: Field::Collectives(|settings| &mut settings.collectives),
    },
    Setting {
        name: "FERRITE_SHOW_TRANSPORTS",
        default: "0",
        doc: "Whether rank 0 prints, at the start, which ranks reach each other by which \
            transport.",
        field: Field::Switch(|settings| &mut settings.show_transports),
    },
    Setting {
        name: "FERRITE_SPIN",
        default: "20us",
        doc: "How long a waiting rank spins before it yields the processor; ranks that outnumber \
            the processors never spin.",
        field: Field::Duration(|settings| &mut settings.spin),
    },
    Setting {
        name: "FERRITE_YIELD",
        default: "1ms",
        doc: "How long a waiting rank yields the processor before it sleeps. Where others keep the \
            processor for long, it sleeps at once, unless this is an hour or more.",
        field: Field::Duration(|settings| &mut settings.yield_for),
    },
    Setting {
        name: "FERRITE_STALL",
        default: "10s",
        doc: "How long a rank waits, with nothing moving, until it asks the others whether their \
            collective calls agree with its own; 0: for ever.",
        field: Field::Duration(|settings| &mut settings.stall),
    },
    Setting {
        name: "FERRITE_CHANNEL",
        default: "",
        doc: "Set by the launcher: the descriptor over which a process learns its job.",
        field: Field::Elsewhere,
    },
    Setting {
        name: "FERRITE_SSH",
        default: "",
        doc: "The command, with arguments, by which mpiexec reaches other hosts; empty: ssh.",
        field: Field::Elsewhere,
    },
    Setting {
        name: "FERRITE_PREFIX",
        default: "",
        doc: "Where Ferrite is installed on other hosts; empty: where the mpiexec that is called \
            stands.",
        field: Field::Elsewhere,
    },
    Setting {
        name: "FERRITE_START_TIMEOUT",
        default: "60",
        doc: "Seconds that mpiexec tries to reach a host, and that its agent has to start its \
            ranks.",
        field: Field::Elsewhere,
    },
    Setting {
        name: "FERRITE_CC",
        default: "",
        doc: "The C compiler that mpicc calls.",
        field: Field::Elsewhere,
    },
    Setting {
        name: "FERRITE_CXX",
        default: "",
        doc: "The C++ compiler that mpicxx calls.",
        field: Field::Elsewhere,
    },
    Setting {
        name: "FERRITE_ABI",
        default: "standard",
        doc: "The binary interface that mpicc and mpicxx build for: standard or mpich.",
        field: Field::Elsewhere,
    },
];

impl Setting {
    /// What a value may be, for people.
    pub fn accepts(&self) -> String {
        match self.field {
            Field::Transports(_) => Transports::accepts(),
            Field::Cma(_) => Cma::accepts(),
            Field::Bytes(_) => usize::accepts(),
            Field::Duration(_) => Duration::accepts(),
            Field::Text(_) => String::accepts(),
            Field::Ports(_) => Ports::accepts(),
            Field::Switch(_) => bool::accepts(),
            Field::Collectives(_) => Thresholds::accepts(),
            Field::Elsewhere => String::from("not read by the library"),
        }
    }

    /// Whether the engine reads it; otherwise another part of Ferrite does.
    pub fn is_of_engine(&self) -> bool {
        !matches!(self.field, Field::Elsewhere)
    }

    pub(crate) fn set(&self, settings: &mut Settings, text: &str) -> Option<()> {
        match self.field {
            Field::Transports(at) => *at(settings) = Value::parse(text)?,
            Field::Cma(at) => *at(settings) = Value::parse(text)?,
            Field::Bytes(at) => *at(settings) = Value::parse(text)?,
            Field::Duration(at) => *at(settings) = Value::parse(text)?,
            Field::Text(at) => *at(settings) = Value::parse(text)?,
            Field::Ports(at) => *at(settings) = Value::parse(text)?,
            Field::Switch(at) => *at(settings) = Value::parse(text)?,
            Field::Collectives(at) => *at(settings) = Value::parse(text)?,
            Field::Elsewhere => {}
        }
        Some(())
    }

    pub(crate) fn text(&self, settings: &mut Settings) -> String {
        match self.field {
            Field::Transports(at) => at(settings).to_text(),
            Field::Cma(at) => at(settings).to_text(),
            Field::Bytes(at) => at(settings).to_text(),
            Field::Duration(at) => at(settings).to_text(),
            Field::Text(at) => at(settings).to_text(),
            Field::Ports(at) => at(settings).to_text(),
            Field::Switch(at) => at(settings).to_text(),
            Field::Collectives(at) => at(settings).to_text(),
            Field::Elsewhere => String::new(),
        }
    }
}

/// A setting with its present value, for people and tools.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The environment variable.
    pub name: &'static str,
    /// The value, in a form that the variable accepts.
    pub value: String,
    /// Where the value comes from.
    pub origin: Origin,
    /// What a value may be.
    pub accepts: String,
    /// What it does, in a sentence.
    pub doc: &'static str,
}

impl Default for Settings {
    fn default() -> Settings {
        let mut settings = Settings {
            transport: Transports::default(),
            cma: Cma::Auto,
            eager_limit: 0,
            eager_budget: 0,
            cma_limit: 0,
            net_eager_limit: 0,
            network: String::new(),
            ports: Ports::default(),
            show_transports: false,
            progress_thread: false,
            collectives: Thresholds::DEFAULT,
            spin: Duration::ZERO,
            yield_for: Duration::ZERO,
            stall: Duration::ZERO,
            origins: [Origin::Default; REGISTRY.len()],
        };
        for setting in &REGISTRY {
            let parsed = setting.set(&mut settings, setting.default);
            debug_assert!(parsed.is_some(), "the default of {}", setting.name);
        }
        settings
    }
}

impl Settings {
    /// Settings from the variables of an environment, and a warning for each variable that begins
    /// with `FERRITE_` but is not registered, or that another implementation would obey and this
    /// one cannot. `MPI_ERR_ARG` for a bad value.
    pub fn parse(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<(Settings, Vec<String>)> {
        let mut settings = Settings::default();
        let mut warnings = Vec::new();
        let mut others = Vec::new();
        for (name, value) in variables {
            if let (Some(name), Some(value)) = (name.to_str(), value.to_str())
                && foreign::is_known(name)
            {
                others.push((name.to_owned(), value.to_owned()));
            }
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
                continue;
            };
            let Some(at) = REGISTRY.iter().position(|setting| setting.name == name) else {
                if !name.starts_with(TEST_PREFIX) {
                    warnings.push(unknown(name));
                }
                continue;
            };
            if !REGISTRY[at].is_of_engine() {
                continue;
            }
            let parsed = value
                .to_str()
                .and_then(|text| REGISTRY[at].set(&mut settings, text.trim()));
            parsed.ok_or_else(|| bad_value(&REGISTRY[at], &value))?;
            settings.origins[at] = Origin::Environment;
        }
        let is_free = |at: usize| settings.origins[at] == Origin::Default;
        let accepts =
            |setting: &Setting, text: &str| setting.set(&mut Settings::default(), text).is_some();
        let (values, told) = foreign::read(&others, is_free, accepts);
        for (at, value) in values {
            REGISTRY[at].set(&mut settings, &value);
            settings.origins[at] = Origin::Environment;
        }
        warnings.extend(told);
        Ok((settings, warnings))
    }

    /// Every setting that the engine reads, with its present value.
    pub fn shown(&self) -> impl Iterator<Item = Shown> {
        let mut settings = self.clone();
        let of_engine = REGISTRY
            .iter()
            .enumerate()
            .filter(|(_, setting)| setting.is_of_engine());
        of_engine.map(move |(at, setting)| Shown {
            name: setting.name,
            value: setting.text(&mut settings),
            origin: settings.origins[at],
            accepts: setting.accepts(),
            doc: setting.doc,
        })
    }
}

/// The settings of this process, parsed from its environment at the first call. `MPI_ERR_ARG` for a
/// bad value, at every call.
pub fn settings() -> Result<&'static Settings> {
    match parsed() {
        Ok((settings, _)) => Ok(settings),
        Err(sentence) => Err(Error::new(ErrorClass::ARG, sentence.as_str())),
    }
}

/// The settings as tools have changed them, if any has.
static WRITTEN: Mutex<Option<Settings>> = Mutex::new(None);

/// The settings of this process as they are now.
pub(crate) fn current() -> Result<Settings> {
    let written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    match &*written {
        Some(settings) => Ok(settings.clone()),
        None => settings().cloned(),
    }
}

/// Changes one setting. Returns the settings after that; `None`, and nothing has changed, if
/// `change` refused the value.
pub(crate) fn write(
    setting: &'static Setting,
    change: impl FnOnce(&mut Settings) -> Option<()>,
) -> Result<Option<Settings>> {
    let mut changed = current()?;
    if change(&mut changed).is_none() {
        return Ok(None);
    }
    let at = REGISTRY
        .iter()
        .position(|known| core::ptr::eq(known, setting));
    changed.origins[at.expect("a setting of the registry")] = Origin::Tool;
    let mut written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    *written = Some(changed.clone());
    Ok(Some(changed))
}

/// One sentence for each `FERRITE_` variable of this process's environment that nobody registered.
/// One process of a job should print them.
pub fn warnings() -> &'static [String] {
    parsed().as_ref().map_or(&[], |(_, warnings)| warnings)
}

fn parsed() -> &'static core::result::Result<(Settings, Vec<String>), String> {
    static PARSED: OnceLock<core::result::Result<(Settings, Vec<String>), String>> =
        OnceLock::new();
    PARSED.get_or_init(|| {
        Settings::parse(std::env::vars_os()).map_err(|error| error.sentence().to_owned())
    })
}

fn bad_value(setting: &Setting, value: &OsString) -> Error {
    let (name, value, accepts) = (setting.name, value.to_string_lossy(), setting.accepts());
    Error::new(
        ErrorClass::ARG,
        format!("{name}={value} is not understood: the value is {accepts}"),
    )
}

fn unknown(name: &str) -> String {
    // What all names have in common makes none of them similar.
    let own = name.strip_prefix(PREFIX).unwrap_or(name);
    let nearest = REGISTRY
        .iter()
        .map(|setting| (distance(own, &setting.name[PREFIX.len()..]), setting.name))
        .min()
        .filter(|&(distance, _)| distance <= (own.len() / 3).min(3));
    match nearest {
        Some((_, known)) => {
            format!("{name} is not a setting of Ferrite and has no effect; did you mean {known}?")
        }
        None => {
            format!("{name} is not a setting of Ferrite and has no effect; ferrite-info lists them")
        }
    }
}

/// The number of characters to insert, delete or replace to get from one name to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}
