//! System calls, one file per platform.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::{affinity, pin, read_process, set_buffers, siblings};

/// Two cores of those this process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores {
    first: usize,
    second: Option<usize>,
}

impl Cores {
    /// The first one, and the next that does not share a core with it (or, if all do, the next).
    pub fn find() -> Self {
        let allowed = affinity();
        let first = allowed.first().copied().unwrap_or(0);
        let siblings = siblings(first);
        let others = || allowed.iter().copied().filter(|&core| core != first);
        let second = others()
            .find(|core| !siblings.contains(core))
            .or_else(|| others().next());
        Self { first, second }
    }

    /// The first core.
    pub fn first(self) -> usize {
        self.first
    }

    /// The second one, if there is one.
    pub fn second(self) -> Option<usize> {
        self.second
    }

    /// Keeps the calling thread on `core`. Where the system refuses, the thread stays where it is.
    pub fn pin(core: usize) {
        pin(core);
    }
}
