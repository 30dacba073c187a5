//! The help texts.

use super::{Kind, Program};

/// An option's long name, and what it does; further lines are indented by the printer.
pub(super) struct Entry {
    pub(super) letter: char,
    pub(super) name: &'static str,
    text: &'static [&'static str],
}

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        letter: 'h',
        name: "help",
        text: &["print this help"],
    },
    Entry {
        letter: 'v',
        name: "version",
        text: &["print the version of OSU's programs that this one follows"],
    },
    Entry {
        letter: 'm',
        name: "message-size",
        text: &[
            "[MIN:]MAX - smallest and largest message in bytes",
            "-m 128      // up to 128",
            "-m 2:128    // from 2 to 128",
            "-m 2:       // from 2 up",
            "-m 0:128    // with a row for messages of 0 bytes",
        ],
    },
    Entry {
        letter: 'x',
        name: "warmup",
        text: &["ITER - iterations before timing starts"],
    },
    Entry {
        letter: 'i',
        name: "iterations",
        text: &["ITER - timed iterations"],
    },
    Entry {
        letter: 'W',
        name: "window-size",
        text: &["SIZE - messages to send before synchronising (default 64)"],
    },
    Entry {
        letter: 'b',
        name: "buffer-num",
        text: &["single|multiple - one buffer for all messages, or one for each (default single)"],
    },
    Entry {
        letter: 'c',
        name: "validation",
        text: &["check the data that arrive"],
    },
    Entry {
        letter: 'u',
        name: "validation-warmup",
        text: &[
            "ITER - untimed exchanges before each timed one when -c is given, up to 10 (default 5)",
        ],
    },
    Entry {
        letter: 'T',
        name: "type",
        text: &["all|mpi_char|mpi_int|mpi_float - element type (default mpi_char)"],
    },
    Entry {
        letter: 'z',
        name: "tail-lat",
        text: &[
            "print percentiles over the iterations",
            "-z          // P50, P90, P99",
            "-z95,99     // up to 5 of 1 to 100",
        ],
    },
    Entry {
        letter: 'f',
        name: "full",
        text: &["print minimum and maximum over the iterations, and their number"],
    },
    Entry {
        letter: 'p',
        name: "num-pairs",
        text: &["PAIRS - pairs of processes (default: half the processes)"],
    },
    Entry {
        letter: 'R',
        name: "print-rate",
        text: &["0|1 - print messages per second (default 1)"],
    },
    Entry {
        letter: 'V',
        name: "vary-window",
        text: &["measure windows from 1 to 128 messages; not with -W, -c, -f, -z"],
    },
    Entry {
        letter: 'M',
        name: "mem-limit",
        text: &[
            "SIZE - bytes that a buffer of blocks for all processes may have (default 536870912)",
        ],
    },
    Entry {
        letter: 't',
        name: "num-test-calls",
        text: &["CALLS - calls of MPI_Test during the computation (default 0)"],
    },
];

pub(super) fn text(program: Program) -> String {
    let mut text = format!("Usage: {} [options]\nOptions:\n", program.name());
    for letter in program.letters().chars() {
        let entry = ENTRIES
            .iter()
            .find(|entry| entry.letter == letter)
            .expect("every letter has an entry");
        let mut lines = entry.text.iter();
        let first = lines.next().expect("every entry has a text");
        text += &format!("  -{letter}, --{:<20}{first}\n", entry.name);
        for line in lines {
            text += &format!("{:28}{line}\n", "");
        }
    }
    let (small, large) = (program.small_messages(), program.large_messages());
    text += &match program {
        Program::Barrier => format!(
            "Without -i and -x: {} iterations after {}.\n",
            small.iterations, small.warmup
        ),
        _ => format!(
            "Without -i and -x: {} iterations after {}, and {} after {} for messages above {} \
             bytes.\n",
            small.iterations,
            small.warmup,
            large.iterations,
            large.warmup,
            super::Options::LARGE
        ),
    };
    text += match program {
        _ if program.kind() != Kind::Messages => "Runs on two processes or more.\n",
        Program::MessageRate => {
            "Process n of the first half sends to process n of the second half: ranks in blocks \
             place the halves\n\
             on two nodes.\n"
        }
        _ => "Runs on exactly two processes.\n",
    };
    text
}
