//! What there is to tell.

use ferrite_engine::settings::{self, REGISTRY, Settings};
use ferrite_fabric::Options;
use ferrite_transports::NETWORKS;
use serde::Serialize;

use crate::sys;

/// Everything that `ferrite-info` tells.
#[derive(Debug, Serialize)]
pub(crate) struct Facts {
    pub(crate) version: &'static str,
    /// Version of the MPI standard.
    pub(crate) standard: &'static str,
    pub(crate) build: Build,
    pub(crate) transports: Vec<Transport>,
    pub(crate) settings: Vec<Setting>,
    /// Variables that other parts of Ferrite read.
    pub(crate) elsewhere: Vec<Elsewhere>,
    /// Variables that look like settings and are not.
    pub(crate) warnings: Vec<String>,
    /// Why the settings cannot be used; those told are the defaults then.
    pub(crate) error: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Build {
    pub(crate) profile: &'static str,
    pub(crate) target: &'static str,
    pub(crate) rustc: &'static str,
}

#[derive(Debug, Serialize)]
pub(crate) struct Transport {
    pub(crate) name: &'static str,
    /// Whether it works on this machine.
    pub(crate) available: bool,
    /// Whether the settings allow it.
    pub(crate) allowed: bool,
    pub(crate) features: Vec<Feature>,
}

/// Something of the system that a transport uses.
#[derive(Debug, Serialize)]
pub(crate) struct Feature {
    pub(crate) name: &'static str,
    pub(crate) available: bool,
    /// What it is, or what happens without it and why it is not there.
    pub(crate) remark: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) origin: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) accepts: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Elsewhere {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
}

impl Facts {
    /// Asks the registry of settings and the system.
    pub(crate) fn collect() -> Facts {
        let known = settings::settings().and_then(|settings| {
            settings.transport.check(NETWORKS)?;
            Ok(settings.clone())
        });
        let (settings, error) = match known {
            Ok(settings) => (settings, None),
            Err(error) => (Settings::default(), Some(error.sentence().to_owned())),
        };
        let elsewhere = REGISTRY.iter().filter(|setting| !setting.is_of_engine());
        Facts {
            version: env!("CARGO_PKG_VERSION"),
            standard: "5.0",
            build: Build {
                profile: env!("FERRITE_INFO_PROFILE"),
                target: env!("FERRITE_INFO_TARGET"),
                rustc: env!("FERRITE_INFO_RUSTC"),
            },
            transports: transports(&settings),
            settings: settings.shown().map(setting).collect(),
            elsewhere: elsewhere
                .map(|setting| Elsewhere {
                    name: setting.name,
                    doc: setting.doc,
                })
                .collect(),
            warnings: settings::warnings().to_vec(),
            error,
        }
    }
}

fn setting(shown: settings::Shown) -> Setting {
    Setting {
        name: shown.name,
        value: shown.value,
        origin: shown.origin.name(),
        doc: shown.doc,
        accepts: shown.accepts,
    }
}

fn transports(settings: &Settings) -> Vec<Transport> {
    let options = Options {
        interfaces: settings.network.clone(),
        ports: settings.ports.0,
        ..Options::default()
    };
    let made = |name, (available, features)| Transport {
        name,
        available,
        allowed: settings.transport.allows(name),
        features,
    };
    let networks = NETWORKS.iter().map(|network| {
        let features: Vec<Feature> = network
            .features(&options)
            .into_iter()
            .map(|feature| Feature {
                name: feature.name,
                available: feature.found.is_ok(),
                remark: feature.found.unwrap_or_else(|why| why),
            })
            .collect();
        let available = features.iter().all(|feature| feature.available);
        made(network.name(), (available, features))
    });
    let mut all = vec![made("shm", shared_memory())];
    all.extend(networks);
    all.push(made("self", (true, Vec::new())));
    all
}

fn shared_memory() -> (bool, Vec<Feature>) {
    let feature = |name, answer: Result<(), String>, without: &str| Feature {
        name,
        available: answer.is_ok(),
        remark: match answer {
            Ok(()) => String::new(),
            Err(why) => format!("{why}; {without}"),
        },
    };
    let memory = feature(
        "memory file (memfd_create)",
        sys::memory_file(),
        "ranks of a host share a file in /dev/shm, or nothing",
    );
    let available = memory.available;
    let direct = feature(
        "cross-memory attach",
        sys::cross_memory_attach(),
        "large messages are copied twice",
    );
    let barrier = feature(
        "membarrier (global, expedited)",
        sys::membarrier(),
        "every message costs a memory fence",
    );
    (available, vec![memory, direct, barrier])
}
