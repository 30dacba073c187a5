"""What is compared beside transfers and starts: collectives on few and many processes, packing, and messages with gaps."""

import math
from pathlib import Path
from statistics import median

import jobs
import page
from results import FAILED

HERE = Path(__file__).resolve().parent

PROCESSES = [2, 4, 8]
PROGRAMS = [
    "osu_barrier",
    "osu_bcast",
    "osu_reduce",
    "osu_allreduce",
    "osu_gather",
    "osu_allgather",
    "osu_scatter",
    "osu_alltoall",
    "osu_reduce_scatter",
]
SIZES = [1 << exponent for exponent in range(3, 21)]


def measure_collectives(everyone, folders, options, cores, progress):
    """{(processes, program, size): {library's key: values}}; size 0 is a barrier's."""
    measured = {}
    for number in range(1, options.rounds + 1):
        for processes in PROCESSES:
            for program in PROGRAMS:
                progress(f"round {number} of {options.rounds}: {program} on {processes}")
                for library in takers(everyone, processes, cores):
                    for size, value in one_run(library, folders, processes, program, cores, progress).items():
                        measured.setdefault((processes, program, size), {}).setdefault(library.key, []).append(value)
    return measured


def takers(everyone, processes, cores):
    """Who takes part. Where processes outnumber cores MPICH needs milliseconds for each call, and would take all the time there is."""
    return [library for library in everyone if processes <= cores or library.key != "mpich"]


def one_run(library, folders, processes, program, cores, progress):
    """{size: microseconds} of one job."""
    if program == "osu_barrier":
        arguments = ["-i", "1000", "-x", "100"]
    else:
        # Where processes take turns on a processor some libraries need milliseconds for a call.
        often = ["-i", "200", "-x", "20"] if processes <= cores else ["-i", "20", "-x", "2"]
        arguments = ["-m", f"{SIZES[0]}:{SIZES[-1]}", *often]
    words = library.command(processes, folders[library.key] / program, arguments, cores)
    try:
        output = jobs.finish(words, library.variables(processes, cores, False))[0]
    except jobs.Failed as failure:
        progress(f"{library.name}: {failure}")
        return {}
    rows = [line.split() for line in output.splitlines() if line.strip() and line.split()[0].replace(".", "").isdigit()]
    if program == "osu_barrier":
        return {0: float(row[0]) for row in rows}
    return {int(row[0]): float(row[1]) for row in rows}


def collectives_section(about, everyone, measured):
    """The lines of the section: a row for each collective and number of processes."""
    peers = [library for library in everyone if library.key != "ferrite"]
    heading = ["processes", "", *(f"8 B, {library.name}" for library in everyone), "8 B, Ferrite / best peer"]
    heading += ["all sizes, geometric mean", "cells", "> 1.10", "> 1.25", "worst cell"]
    rows = []
    for processes in PROCESSES:
        for program in PROGRAMS:
            cells = {}
            for (of, name, size), values in measured.items():
                if (of, name) == (processes, program) and "ferrite" in values and len(values) > 1:
                    medians = {key: median(all_rounds) for key, all_rounds in values.items()}
                    best = min(medians[peer.key] for peer in peers if peer.key in medians)
                    cells[size] = (medians, medians["ferrite"] / best)
            if not cells:
                continue
            first = cells.get(0) or cells.get(8)
            ratios = [ratio for _, ratio in cells.values()]
            worst = max(cells, key=lambda size: cells[size][1])
            row = [str(processes), program.removeprefix("osu_")]
            row += [f"{first[0][library.key]:.2f}" if first and library.key in first[0] else "-" for library in everyone]
            row += [f"{first[1]:.2f}" if first else "-"]
            row += [f"{math.exp(sum(map(math.log, ratios)) / len(ratios)):.2f}", str(len(ratios))]
            row += [str(sum(ratio > limit for ratio in ratios)) for limit in (1.1, 1.25)]
            row += [f"{cells[worst][1]:.2f} at {worst} B" if worst else f"{cells[worst][1]:.2f}"]
            rows.append(row)
    notes = [
        "Microseconds; ratios are Ferrite's time by the best peer's, below 1 is ahead. Sizes are the powers of two from 8 B to 1 MiB, of a block",
        "where blocks are gathered or dealt out. A barrier has one cell. MPICH takes part where there are as many cores as processes; elsewhere it needs",
        "milliseconds for each call.",
    ]
    return [*about, "", *page.used(everyone), "", *page.table(heading, rows), "", *notes]


def measure_lines(name, processes, everyone, options, cores, progress):
    """{first word of a line: {library's key: [the numbers behind it, of each round]}} of the C program of this name."""
    measured = {}
    for number in range(1, options.rounds + 1):
        progress(f"round {number} of {options.rounds}: {name}")
        for library in everyone:
            program = options.cache.resolve() / name / library.key / name
            if number == 1:
                library.compile([HERE / f"{name}.c"], [], program)
            words = library.command(processes, program, [], cores)
            try:
                output = jobs.finish(words, library.variables(processes, cores, False))[0]
            except jobs.Failed as failure:
                progress(f"{library.name}: {failure}")
                continue
            for line in output.splitlines():
                first, *numbers = line.split()
                measured.setdefault(first, {}).setdefault(library.key, []).append([float(each) for each in numbers])
    return measured


def measure_packing(everyone, options, cores, progress):
    """{shape: {library's key: [(pack, unpack)]}}"""
    return measure_lines("packing", 1, everyone, options, cores, progress)


def measure_gaps(everyone, options, cores, progress):
    """{"side,block,bytes": {library's key: [(time,)]}}"""
    return measure_lines("gaps", 2, everyone, options, cores, progress)


def beside(values, everyone, at):
    """Each library's median of the numbers at a place, as a row has them, and Ferrite's by the best peer's."""
    medians = {key: median(numbers[at] for numbers in rounds) for key, rounds in values.items()}
    row = [f"{medians[library.key]:.2f}" if library.key in medians else FAILED for library in everyone]
    others = [value for key, value in medians.items() if key != "ferrite"]
    return row, f"{medians['ferrite'] / min(others):.2f}" if others and "ferrite" in medians else "-"


def packing_section(about, everyone, measured):
    """The lines of the section: a row a shape."""
    heading = ["shape", *(f"{what}, {library.name}" for what in ("pack", "unpack") for library in everyone)]
    heading += ["pack, Ferrite / best peer", "unpack, Ferrite / best peer"]
    rows = []
    for name, values in measured.items():
        (pack, pack_ratio), (unpack, unpack_ratio) = (beside(values, everyone, at) for at in (0, 1))
        rows.append([name, *pack, *unpack, pack_ratio, unpack_ratio])
    return [*about, "", *page.table(heading, rows), "", "Microseconds for one item; `bench/compare/packing.c` says what the shapes are."]


def gaps_section(about, everyone, measured):
    """The lines of the section: a row a case."""
    heading = ["gaps of", "block, B", "data, B", *(library.name for library in everyone), "Ferrite / best peer"]
    rows = []
    for name, values in measured.items():
        row, ratio = beside(values, everyone, 0)
        rows.append([*name.split(","), *row, ratio])
    note = "Microseconds for a message and its empty answer; `bench/compare/gaps.c` says what is sent."
    return [*about, "", *page.used(everyone), "", *page.table(heading, rows), "", note]
