//! Communicators, groups, attributes, info objects, errors, the environment, and the collectives
//! that stand on them.

use ferrite_tests::{Job, c, everywhere, on, passes, seed};

#[test]
fn attributes() {
    on(&[1, 2, 3], "attributes");
}

#[test]
fn info() {
    on(&[1, 2], "info");
}

/// Of `mpiexec -n 2 a : -n 3 b`, each process knows its own part.
#[test]
fn parts() {
    let program = c("parts");
    let path = program.to_str().expect("text").to_owned();
    passes(
        Job::new(program)
            .ranks(2)
            .args(["2", ":", "-n", "3", &path, "3"]),
    );
}

#[test]
fn groups() {
    on(&[1, 2, 3, 8], "groups");
}

#[test]
fn communicators() {
    everywhere("communicators");
}

#[test]
fn errors() {
    on(&[1, 2, 3, 6], "errors");
    passes(
        Job::new(c("errors"))
            .ranks(5)
            .env("FERRITE_TRANSPORT", "tcp"),
    );
}

#[test]
fn environment() {
    on(&[1, 2], "environment");
}

#[test]
fn collectives() {
    everywhere("collectives");
    on(&[3, 5, 7], "collectives");
}

#[test]
fn intercommunicators() {
    everywhere("intercomms");
    on(&[3, 5, 8], "intercomms");
}

#[test]
fn generalized_requests() {
    on(&[1, 2, 4], "grequests");
}

#[test]
fn partitioned() {
    everywhere("partitioned");
}

#[test]
fn buffers() {
    everywhere("buffers");
}

/// What is under way outlives the handles that it came from, and keeps its error handler.
#[test]
fn lifetimes() {
    everywhere("lifetimes");
    for ranks in [1, 2] {
        let outcome = Job::new(c("lifetimes")).ranks(ranks).args(["fatal"]).run();
        assert!(!outcome.status.success(), "{outcome}");
        assert!(outcome.stderr.contains("MPI_ERR_TRUNCATE"), "{outcome}");
        assert!(!outcome.stdout.contains("went on"), "{outcome}");
    }
}

/// What processors, caches and cores the ranks share, also where each has a processor of its own.
#[test]
fn resources() {
    on(&[1, 2, 4], "resources");
    let own = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(4);
    let job = Job::new(c("resources")).ranks(own as u32).args(["bound"]);
    passes(job.launcher_args(["-bind-to", "core"]));
}

/// Variables and events for tools, which choose the transport, too.
#[test]
fn tools() {
    for transport in ["shm", "tcp"] {
        for threads in [&[][..], &["threads"]] {
            let arguments = [&[transport][..], threads].concat();
            passes(Job::new(c("tools")).ranks(2).args(arguments));
        }
    }
}

/// Sessions alone, which take leave when the process exits, and beside a world, which takes leave
/// for good.
#[test]
fn sessions() {
    for ranks in [1, 2, 3, 4] {
        for transport in ["", "tcp"] {
            for world in [&[][..], &["world"]] {
                let job = Job::new(c("sessions")).ranks(ranks).args(world);
                passes(job.env("FERRITE_TRANSPORT", transport));
            }
        }
    }
}

/// Collectives in a random order on overlapping communicators; 10,000 communicators made and freed,
/// 5,000 alive at once.
#[test]
fn boards() {
    let seed = seed();
    for ranks in [1, 2, 3, 4, 8] {
        for transport in ["", "tcp"] {
            println!("boards: {ranks} ranks, transport '{transport}', seed {seed:#x}");
            let job = Job::new(c("boards"))
                .ranks(ranks)
                .args([format!("{seed:#x}")])
                .env("FERRITE_TRANSPORT", transport);
            passes(job);
        }
    }
}

/// A program that nobody launched is a job of one.
#[test]
fn started_alone() {
    let outcome = Job::alone(c("hello")).args(["100000"]).succeeds();
    assert_eq!(outcome.stdout, "hello from 0 of 1\npassed\n", "{outcome}");
    assert_eq!(outcome.stderr, "", "{outcome}");
}
