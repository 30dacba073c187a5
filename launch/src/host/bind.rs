//! Processors: how many a job may use, and which one each rank is bound to.

use rustix::thread::CpuSet;
use std::collections::BTreeMap;

/// Processors that the ranks of this machine share: mpiexec's affinity, and the whole processors
/// that its cgroup's quota grants. A fraction does not count: a rank that spins on it is throttled
/// together with all the others.
pub(crate) fn available() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| n.get() as u32)
}

/// The cores that mpiexec may use, each with its processors (hardware threads).
pub(crate) struct Cores(Vec<CpuSet>);

impl Cores {
    /// Asks the kernel.
    pub(crate) fn allowed() -> std::io::Result<Cores> {
        let allowed = rustix::thread::sched_getaffinity(None)?;
        let cpus: Vec<usize> = (0..CpuSet::MAX_CPU)
            .filter(|&cpu| allowed.is_set(cpu))
            .collect();
        Ok(Cores(group(&cpus, |cpu| {
            Some((
                topology(cpu, "physical_package_id")?,
                topology(cpu, "core_id")?,
            ))
        })))
    }

    /// The processors of a rank: those of core `local_rank`, counted round robin.
    pub(crate) fn of_rank(&self, local_rank: u32) -> Option<CpuSet> {
        let cores = self.0.len();
        (cores > 0).then(|| self.0[local_rank as usize % cores])
    }
}

/// One set per core, in the order of each core's first processor. A processor of unknown place is a
/// core of its own.
fn group(cpus: &[usize], place: impl Fn(usize) -> Option<(u32, u32)>) -> Vec<CpuSet> {
    let mut cores: Vec<CpuSet> = Vec::new();
    let mut known: BTreeMap<(u32, u32), usize> = BTreeMap::new();
    for &cpu in cpus {
        let next = cores.len();
        let core = match place(cpu) {
            Some(place) => *known.entry(place).or_insert(next),
            None => next,
        };
        if core == next {
            cores.push(CpuSet::new());
        }
        cores[core].set(cpu);
    }
    cores
}

fn topology(cpu: usize, file: &str) -> Option<u32> {
    let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/{file}");
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(set: &CpuSet) -> Vec<usize> {
        (0..CpuSet::MAX_CPU)
            .filter(|&cpu| set.is_set(cpu))
            .collect()
    }

    #[test]
    fn a_core_is_all_its_hardware_threads() {
        // Two packages of one core each, whose ids are the same, with two threads a core.
        let cores = group(&[0, 1, 2, 3], |cpu| Some((cpu as u32 % 2, 0)));
        assert_eq!(
            cores.iter().map(members).collect::<Vec<_>>(),
            [[0, 2], [1, 3]]
        );
    }

    #[test]
    fn without_topology_every_processor_is_a_core_and_ranks_go_round() {
        let cores = Cores(group(&[3, 5], |_| None));
        let of = |rank| members(&cores.of_rank(rank).unwrap());
        assert_eq!((of(0), of(1), of(2)), (vec![3], vec![5], vec![3]));
    }
}
