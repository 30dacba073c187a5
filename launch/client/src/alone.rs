//! A process that nobody counts among several is a job of one.

use crate::{DiscoverError, Discovered, aborted, sys};
use ferrite_fabric::{Bootstrap, Job, Secret};
use std::sync::Arc;

/// Makes a job of this process.
pub(crate) fn discover() -> Result<Discovered, DiscoverError> {
    let id = sys::random().map_err(|e| {
        DiscoverError::new(format!(
            "the kernel gives no random bits for the job's id: {e}"
        ))
    })?;
    let cpus = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    let job = Job {
        id,
        secret: Secret([0; 32]),
        rank: 0,
        size: 1,
        local: vec![0],
        neighbours: 0,
        nodes: Vec::new(),
        cpus,
        appnum: 0,
        part: 1,
        launcher: 0,
        segment: None,
    };
    Ok(Discovered {
        job,
        bootstrap: Arc::new(Alone),
    })
}

struct Alone;

impl Bootstrap for Alone {
    fn publish(&self, _card: &str) -> Result<(), String> {
        Ok(())
    }

    fn fetch(&self, rank: u32) -> Result<Option<String>, String> {
        Err(format!(
            "this process is a job of one, there is no rank {rank}"
        ))
    }

    fn lost(&self, rank: u32, reason: &str) -> ! {
        self.abort(
            1,
            &format!("rank {rank} can no longer be reached: {reason}"),
        )
    }

    fn finalized(&self) {}

    fn abort(&self, code: i32, message: &str) -> ! {
        sys::complain(&format!("{}\n", aborted(code, message)));
        sys::exit_now(code)
    }
}
