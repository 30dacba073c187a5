//! What the machine itself can do, measured once for each trial.

use std::io;

use ferrite_bench_limits::{Cores, Neighbour, Sockets, Waiting, cache_line, copy};

use crate::trial::{BOTH_WAYS, SHORT, SIZES};

const MEGABYTE: f64 = 1e6;

/// Times are microseconds, bandwidths MB/s.
pub(crate) struct Limits {
    /// Where there are two cores.
    pub(crate) line: Option<f64>,
    /// For each of [`SIZES`].
    pub(crate) copy: [f64; SIZES.len()],
    /// Out of another process, for each of [`SIZES`]; or why there is none.
    pub(crate) cross: Result<[f64; SIZES.len()], String>,
    /// Or why there are none.
    pub(crate) sockets: Result<Raw, String>,
}

/// Raw sockets over loopback.
pub(crate) struct Raw {
    /// Of the last of [`SHORT`]: a stream has no empty messages.
    pub(crate) latency: f64,
    /// Millions of bytes per second that are sent one by one.
    pub(crate) rate: f64,
    /// For each of [`SIZES`].
    pub(crate) bandwidth: [f64; SIZES.len()],
    pub(crate) both_ways: f64,
}

/// Measures everything once.
pub(crate) fn measure(cores: Cores) -> Limits {
    Limits {
        line: cache_line(cores).map(|time| time.as_secs_f64() * 1e6),
        copy: SIZES.map(|bytes| copy(bytes) / MEGABYTE),
        cross: cross(cores).map_err(|error| error.to_string()),
        sockets: sockets(cores).map_err(|error| error.to_string()),
    }
}

fn cross(cores: Cores) -> io::Result<[f64; SIZES.len()]> {
    let mut neighbour = Neighbour::start(cores, SIZES[SIZES.len() - 1])?;
    let mut columns = [0.0; SIZES.len()];
    for (column, bytes) in columns.iter_mut().zip(SIZES) {
        *column = neighbour.read(bytes)? / MEGABYTE;
    }
    Ok(columns)
}

fn sockets(cores: Cores) -> io::Result<Raw> {
    let mut sockets = Sockets::start(cores)?;
    let mut bandwidth = [0.0; SIZES.len()];
    for (column, bytes) in bandwidth.iter_mut().zip(SIZES) {
        *column = sockets.bandwidth(bytes)? / MEGABYTE;
    }
    Ok(Raw {
        latency: sockets.latency(SHORT[1], Waiting::Spin)?.as_secs_f64() * 1e6,
        rate: sockets.bandwidth(1)? / 1e6,
        bandwidth,
        both_ways: sockets.both_ways(BOTH_WAYS)? / MEGABYTE,
    })
}
