"""What is compared beside transfers and starts: collectives on few and many processes, packing, and
messages with gaps."""

import math
from pathlib import Path
from statistics import median

import jobs
import page
from results import FAILED

HERE = Path(__file__).resolve().parent

OPERATIONS = [
    "barrier",
    "bcast",
    "reduce",
    "allreduce",
    "gather",
    "allgather",
    "scatter",
    "alltoall",
    "reduce_scatter",
    "reduce_scatter_block",
    "gatherv",
    "allgatherv",
    "scatterv",
    "alltoallv",
]
SIZES = [1 << exponent for exponent in range(3, 21)]


# A cell is behind where Ferrite takes this many times as long as the best peer.
BEHIND = 1.1


def measure_collectives(everyone, folders, options, cores, progress):
    """{(processes, operation, size): {library's key: values}}, and the same of cells that were
    behind, measured again. Size 0 is a barrier's."""
    first, again = {}, {}
    jobs_of_all = [
        (processes, operation) for processes in options.processes for operation in OPERATIONS
    ]
    measure_cells(
        "first",
        first,
        dict.fromkeys(jobs_of_all, SIZES),
        everyone,
        folders,
        options,
        cores,
        progress,
    )
    behind = {}
    for (processes, operation, size), values in first.items():
        if (ratio_of(values) or 0) > BEHIND:
            behind.setdefault((processes, operation), []).append(size)
    measure_cells("again", again, behind, everyone, folders, options, cores, progress)
    return first, again


def measure_cells(name, measured, cells, everyone, folders, options, cores, progress):
    """Adds to `measured` what all rounds of these {(processes, operation): sizes} give. `name` is
    that of this pass in the journal."""
    for number in range(1, options.rounds + 1):
        for (processes, operation), sizes in cells.items():
            progress(f"round {number} of {options.rounds}: {operation} on {processes}")
            for library in takers(everyone, processes, cores):
                turn = [name, number, library.key]
                run = one_run(
                    options.journal,
                    turn,
                    library,
                    folders,
                    processes,
                    operation,
                    sizes,
                    cores,
                    progress,
                )
                for size, value in run.items():
                    measured.setdefault((processes, operation, size), {}).setdefault(
                        library.key, []
                    ).append(value)


def ratio_of(values):
    """Ferrite's median by the best peer's, or None."""
    medians = {key: median(all_rounds) for key, all_rounds in values.items()}
    others = [value for key, value in medians.items() if key != "ferrite"]
    return medians["ferrite"] / min(others) if "ferrite" in medians and others else None


def takers(everyone, processes, cores):
    """Who takes part. Where processes outnumber cores MPICH needs milliseconds for each call, and
    would take all the time there is."""
    return [library for library in everyone if processes <= cores or library.key != "mpich"]


def one_run(journal, turn, library, folders, processes, operation, sizes, cores, progress):
    """{size: microseconds} of one job, from the least of the sizes to the greatest."""
    if operation == "barrier":
        arguments = ["-i", "1000", "-x", "100"]
    else:
        # Where processes take turns on a processor some libraries need milliseconds for a call.
        often = ["-i", "200", "-x", "20"] if processes <= cores else ["-i", "20", "-x", "2"]
        arguments = ["-m", f"{min(sizes)}:{max(sizes)}", *often]
    words = library.command(
        processes, folders[library.key] / "collective", [operation, *arguments], cores
    )
    try:
        output = journal.finish(turn, words, library.variables(processes, cores, False))[0]
    except jobs.Failed as failure:
        progress(f"{library.name}: {failure}")
        return {}
    rows = [
        line.split()
        for line in output.splitlines()
        if line.strip() and line.split()[0].replace(".", "").isdigit()
    ]
    if operation == "barrier":
        return {0: float(row[0]) for row in rows}
    return {int(row[0]): float(row[1]) for row in rows}


def collectives_section(about, everyone, measured, numbers):
    """The lines of the section: a row for each collective and of the numbers of processes."""
    first, again = measured
    heading = [
        "processes",
        "",
        *(f"8 B, {library.name}" for library in everyone),
        "8 B, Ferrite / best peer",
    ]
    heading += ["all sizes, geometric mean", "cells", "> 1.10", "> 1.25", "worst cell"]
    rows = []
    for processes in numbers:
        for operation in OPERATIONS:
            cells = {}
            for (of, name, size), values in first.items():
                ratio = ratio_of(values) if (of, name) == (processes, operation) else None
                if ratio is not None:
                    medians = {key: median(all_rounds) for key, all_rounds in values.items()}
                    second = ratio_of(again.get((of, name, size), {})) if ratio > BEHIND else None
                    cells[size] = (medians, ratio, min(ratio, second or ratio))
            if not cells:
                continue
            least = cells.get(0) or cells.get(8)
            ratios = [ratio for _, ratio, _ in cells.values()]
            counting = {size: ratio for size, (_, _, ratio) in cells.items()}
            worst = max(counting, key=counting.get)
            row = [str(processes), operation]
            row += [
                f"{least[0][library.key]:.2f}" if least and library.key in least[0] else "-"
                for library in everyone
            ]
            row += [f"{least[1]:.2f}" if least else "-"]
            row += [f"{math.exp(sum(map(math.log, ratios)) / len(ratios)):.2f}", str(len(ratios))]
            row += [
                str(sum(ratio > limit for ratio in counting.values())) for limit in (BEHIND, 1.25)
            ]
            row += [f"{counting[worst]:.2f} at {worst} B" if worst else f"{counting[worst]:.2f}"]
            rows.append(row)
    notes = [
        "Microseconds; ratios are Ferrite's time by the best peer's, below 1 is ahead. Sizes are the powers of two from 8 B to 1 MiB, of a block",
        "where blocks are gathered or dealt out. A barrier has one cell. MPICH takes part where there are as many cores as processes; elsewhere it needs",
        "milliseconds for each call. A cell that is behind by more than 10 % is measured again with as many rounds, and counts as behind",
        "if it is again.",
    ]
    return [*about, "", *page.used(everyone), "", *page.table(heading, rows), "", *notes]


def measure_lines(name, processes, everyone, options, cores, progress):
    """{first word of a line: {library's key: [the numbers behind it, of each round]}} of the C
    program of this name."""
    measured = {}
    for number in range(1, options.rounds + 1):
        progress(f"round {number} of {options.rounds}: {name}")
        for library in everyone:
            program = options.cache.resolve() / name / library.key / name
            if number == 1:
                library.compile([HERE / f"{name}.c"], [], program)
            words = library.command(processes, program, [], cores)
            try:
                output = options.journal.finish(
                    [name, number, library.key], words, library.variables(processes, cores, False)
                )[0]
            except jobs.Failed as failure:
                progress(f"{library.name}: {failure}")
                continue
            for line in output.splitlines():
                first, *numbers = line.split()
                measured.setdefault(first, {}).setdefault(library.key, []).append(
                    [float(each) for each in numbers]
                )
    return measured


def measure_packing(everyone, options, cores, progress):
    """{shape: {library's key: [(pack, unpack)]}}"""
    return measure_lines("packing", 1, everyone, options, cores, progress)


def measure_gaps(everyone, options, cores, progress):
    """{"side,block,bytes": {library's key: [(time,)]}}"""
    return measure_lines("gaps", 2, everyone, options, cores, progress)


def beside(values, everyone, at):
    """Each library's median of the numbers at a place, as a row has them, and Ferrite's by the best
    peer's."""
    medians = {key: median(numbers[at] for numbers in rounds) for key, rounds in values.items()}
    row = [
        f"{medians[library.key]:.2f}" if library.key in medians else FAILED for library in everyone
    ]
    others = [value for key, value in medians.items() if key != "ferrite"]
    return row, (
        f"{medians['ferrite'] / min(others):.2f}" if others and "ferrite" in medians else "-"
    )


def packing_section(about, everyone, measured):
    """The lines of the section: a row a shape."""
    heading = [
        "shape",
        *(f"{what}, {library.name}" for what in ("pack", "unpack") for library in everyone),
    ]
    heading += ["pack, Ferrite / best peer", "unpack, Ferrite / best peer"]
    rows = []
    for name, values in measured.items():
        (pack, pack_ratio), (unpack, unpack_ratio) = (beside(values, everyone, at) for at in (0, 1))
        rows.append([name, *pack, *unpack, pack_ratio, unpack_ratio])
    return [
        *about,
        "",
        *page.table(heading, rows),
        "",
        "Microseconds for one item; `bench/compare/packing.c` says what the shapes are.",
    ]


def gaps_section(about, everyone, measured):
    """The lines of the section: a row a case."""
    heading = [
        "gaps of",
        "block, B",
        "data, B",
        *(library.name for library in everyone),
        "Ferrite / best peer",
    ]
    rows = []
    for name, values in measured.items():
        row, ratio = beside(values, everyone, 0)
        rows.append([*name.split(","), *row, ratio])
    note = (
        "Microseconds for a message and its empty answer; `bench/compare/gaps.c` says what is sent."
    )
    return [*about, "", *page.used(everyone), "", *page.table(heading, rows), "", note]
