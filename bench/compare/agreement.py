"""Whether the programs of c/ and Ferrite's osu_* programs measure alike: pairs of runs on the same
library, one of each.

Two processors may be nearer to each other at one time than at another (a host that moves virtual
processors), which changes a latency by a factor. A cache line's way between them is measured
before, between and after the runs of each pair, and a pair counts only if it took as long each
time.
"""

from statistics import median

import jobs
import page
from results import MIB, Figure

# The ways of a cache line around a pair, the longest by the shortest, up to which the pair counts.
ALIKE = 1.15

# The programs of c/ with their arguments, and the osu_* program that measures the same.
OSU = {
    "latency": "osu_latency",
    "bw": "osu_bw",
    "bibw": "osu_bibw",
    "allreduce": "osu_allreduce",
    "alltoall": "osu_alltoall",
}
NAMES = {8: "8 B", 65536: "64 KiB", MIB: "1 MiB"}


def figure(program, unit, size, iterations):
    """A figure of one size, measured so often that a run takes some tenths of a second."""
    given = ("-m", f"{size}:{size}", "-i", str(iterations), "-x", str(iterations // 10))
    return Figure(f"{program}, {NAMES[size]}", unit, program, given, size)


FIGURES = [
    figure("latency", "us", 8, 200000),
    figure("latency", "us", 65536, 10000),
    figure("latency", "us", MIB, 1000),
    figure("bw", "MB/s", 8, 10000),
    figure("bw", "MB/s", 65536, 500),
    figure("bw", "MB/s", MIB, 30),
    figure("bibw", "MB/s", 8, 10000),
    figure("bibw", "MB/s", 65536, 500),
    figure("bibw", "MB/s", MIB, 30),
    figure("allreduce", "us", 8, 200000),
    figure("allreduce", "us", 65536, 5000),
    figure("alltoall", "us", 8, 200000),
    figure("alltoall", "us", 65536, 5000),
]


def measure(takers, ferrite, folders, options, cores, limits, progress):
    """{(figure, library's key): [(ours by c/, by osu_*, whether the pair counts)]}"""
    measured = {}
    for number in range(1, options.rounds + 1):
        for library in takers:
            for each in FIGURES:
                progress(f"round {number} of {options.rounds}: {each.name}, {library.name}")
                try:
                    pair = one_pair(
                        number, library, each, ferrite, folders, options.journal, cores, limits
                    )
                    measured.setdefault((each.name, library.key), []).append(pair)
                except jobs.Failed as failure:
                    progress(f"{library.name}: {failure}")
    return measured


def one_pair(number, library, each, ferrite, folders, journal, cores, limits):
    """Runs both programs, now the one first, now the other."""
    operation = [each.program] if each.program in ("allreduce", "alltoall") else []
    own = folders[library.key] / ("collective" if operation else each.program)
    commands = {
        "c": (
            library.command(2, own, [*operation, *each.arguments], cores),
            library.variables(2, cores, False),
        ),
        "osu": (
            library.command(2, ferrite.folder / "bin" / OSU[each.program], each.arguments, cores),
            library.variables(2, cores, library is not ferrite),
        ),
    }
    line = [str(limits), "line"]
    turn = ["agreement", number, library.key, each.name]
    values = {}
    ways = [way(journal.finish([*turn, "before"], line, None)[0])]
    for which in sorted(commands, reverse=number % 2 == 0):
        output = journal.finish([*turn, which], *commands[which])[0]
        values[which] = jobs.cell(jobs.rows(output), each.size, each.column)
        ways.append(way(journal.finish([*turn, f"after {which}"], line, None)[0]))
    return values["c"], values["osu"], max(ways) <= ALIKE * min(ways)


def way(output):
    """What `ferrite-limits line` printed, in nanoseconds."""
    return float(output.split()[0])


def section(where, takers, measured, rounds):
    """The lines of the section: a row a figure, with both programs' medians and the median of the
    pairs' ratios."""
    heading = [""]
    for library in takers:
        heading += [f"{library.name}, c", "osu_*", "c / osu_*", "pairs"]
    rows = []
    for each in FIGURES:
        row = [f"{each.name}, {each.unit}"]
        for library in takers:
            pairs = measured.get((each.name, library.key), [])
            alike = [(ours, theirs) for ours, theirs, counts in pairs if counts]
            if not alike:
                row += ["-", "-", "-", f"0 of {len(pairs)}"]
                continue
            ratios = [ours / theirs for ours, theirs in alike]
            digits = 0 if each.unit == "MB/s" else 2
            row += [f"{median(column):.{digits}f}" for column in zip(*alike)]
            row += [
                f"{median(ratios):.3f} ({min(ratios):.2f}-{max(ratios):.2f})",
                f"{len(alike)} of {len(pairs)}",
            ]
        rows.append(row)
    return [
        f"Machine: {where}.",
        "",
        f"Two processes, shared memory, {rounds} pairs of runs: a program of `bench/compare/c` and the `osu_*` program of the same",
        "measurement, on the same library, by turns. A pair counts if a cache line took as long between the processors before, between and",
        f"after its runs, within {round((ALIKE - 1) * 100)} %. The ratio is the median of the pairs' ratios, with the lowest and the highest in parentheses.",
        "",
        *page.table(heading, rows),
    ]
