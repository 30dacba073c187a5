"""The page that says how it went: sections, one for each thing that is compared.

A section says all that belongs to it, so that one can be measured again without the others.
"""

from statistics import median

from results import (
    FAILED,
    FIGURES,
    RAW,
    STARTS,
    TCP_FIGURES,
    digits_of,
    ratio_to_raw,
    text_of,
    verdict,
)

TITLE = """# Ferrite beside other MPI libraries

Written by `bench/compare/compare.py`; see there how to repeat it.
"""
SHARED_MEMORY = "Two processes, shared memory"
TCP = "Two processes, TCP over loopback"
START = "Start-up"
COLLECTIVES = "Collectives, shared memory"
PACKING = "Packing"
GAPS = "Messages with gaps, two processes, shared memory"
AGREEMENT = "The programs of the comparison beside our osu_*"
ORDER = [SHARED_MEMORY, TCP, COLLECTIVES, PACKING, GAPS, START, AGREEMENT]
UNITS = "1 MiB is 1,048,576 bytes, 1 MB/s is 10^6 bytes per second."


def page(measured, previous=""):
    """The whole of RESULTS.md. `measured` is {section's name: its lines}; other sections stay as they are in `previous`,
    and those that this program does not write come last."""
    sections = {
        **sections_of(previous),
        **{name: "\n".join(lines).strip() for name, lines in measured.items()},
    }
    known = [name for name in ORDER if name in sections]
    others = [name for name in sections if name not in ORDER]
    return "\n".join([TITLE, *(f"## {name}\n\n{sections[name]}\n" for name in known + others)])


def sections_of(text):
    """{section's name: its text} of a page."""
    parts = ("\n" + text).split("\n## ")[1:]
    return {
        name.strip(): body.strip() for name, _, body in (part.partition("\n") for part in parts)
    }


def shared_memory_section(about, libraries, measured):
    """The lines of the section about shared memory. `about` says where and how it was measured."""
    heading = [
        "",
        *(library.name for library in libraries),
        "Ferrite / best peer",
        "demanded",
        "",
        "aim",
    ]
    return [
        *about,
        "",
        *used(libraries),
        "",
        *table(heading, figure_rows(libraries, measured)),
        "",
        UNITS,
    ]


def tcp_section(about, libraries, measured, seen):
    """The lines of the section about TCP. `seen` is {library's key: what came through the loopback
    interface}."""
    settled = [
        [each.name, each.version(), settings(each, False), seen.get(each.key, "-")]
        for each in libraries
    ]
    lines = [
        *about,
        "",
        *table(["library", "version", "settings", "seen on the loopback interface"], settled),
    ]
    heading = [
        "",
        *(library.name for library in libraries),
        "raw sockets",
        "Ferrite / best peer",
        "Ferrite / raw",
    ]
    return [
        *lines,
        "",
        *table([*heading, "demanded", "", "aim"], tcp_rows(libraries, measured)),
        "",
        UNITS,
        "Raw sockets are two processes with one connection and nothing else (`ferrite-limits tcp`): both spin on nonblocking calls,",
        "or block where that is faster; their message rate is that of one call for each byte. They take their turn in each round too.",
    ]


def start_section(about, libraries, measured):
    """The lines of the section about starts."""
    heading = ["", *(library.name for library in libraries), "aim", ""]
    return [
        *about,
        "",
        *used(libraries),
        "",
        *table(heading, start_rows(libraries, measured)),
        "",
        "Time is that of the whole `mpiexec` command. Memory is the sum of the processes' proportional set sizes.",
    ]


def about(machine, programs, rounds):
    """What a section begins with."""
    return [
        f"Machine: {machine}.",
        "",
        f"{programs} Each figure is the median of {rounds} rounds, with the lowest and the highest in parentheses; in each round the",
        "libraries take turns with each program.",
    ]


def used(libraries):
    """The table of libraries."""
    heading = [
        "library",
        "version",
        "settings for 2 processes",
        "added where processes outnumber cores",
    ]
    return table(
        heading,
        [
            [each.name, each.version(), settings(each, False), settings(each, True)]
            for each in libraries
        ],
    )


def table(heading, rows):
    """A Markdown table."""
    lines = ["| " + " | ".join(heading) + " |", "|" + "---|" * len(heading)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def figure_rows(libraries, measured):
    """Rows of the table in shared memory. `measured` is {figure's name: {library's key: values or
    FAILED}}."""
    for figure in FIGURES:
        values = measured[figure.name]
        ratio, word = verdict(figure, values)
        aim = f"{figure.aim} {figure.unit}" if figure.aim else ""
        yield [
            f"{figure.name}, {figure.unit}",
            *(text_of(values.get(library.key), digits_of(figure.unit)) for library in libraries),
            "-" if ratio is None else f"{ratio:.2f}",
            bound(figure, figure.demand),
            word,
            aim,
        ]


def tcp_rows(libraries, measured):
    """Rows of the table over TCP, `measured` as for `figure_rows`."""
    for figure in TCP_FIGURES:
        values = measured[figure.name]
        ratio, word = verdict(figure, values)
        raw = ratio_to_raw(figure, values)
        demands = [bound(figure, figure.demand), bound(figure, figure.raw_demand, " of raw")]
        yield [
            f"{figure.name}, {figure.unit}",
            *(text_of(values.get(library.key), digits_of(figure.unit)) for library in libraries),
            text_of(values.get(RAW), digits_of(figure.unit)),
            "-" if ratio is None else f"{ratio:.2f}",
            "-" if raw is None else f"{raw:.2f}",
            ", ".join(filter(None, demands)),
            word,
            bound(figure, figure.raw_aim, " of raw"),
        ]


def bound(figure, demand, of=""):
    """A demand in words."""
    if demand is None:
        return ""
    return f"{'<=' if figure.lower else '>='} {demand}{of}"


def start_rows(libraries, measured):
    """Rows of the table of starts."""
    for start in STARTS:
        values = measured[start.name]
        ours = values.get("ferrite")
        good = bool(ours) and ours != FAILED and median(ours) <= start.limit
        yield [
            f"{start.name}, {start.unit}",
            *(text_of(values.get(library.key), digits_of(start.unit)) for library in libraries),
            f"<= {start.limit}",
            "pass" if good else "FAIL",
        ]


def settings(library, crowded):
    """A library's settings in words."""
    if crowded:
        parts = [
            " ".join(library.crowded_arguments),
            *(f"{k}={v}" for k, v in library.crowded_environment.items()),
        ]
    else:
        parts = [" ".join(library.arguments), *(f"{k}={v}" for k, v in library.environment.items())]
    return ", ".join(f"`{part}`" for part in parts if part) or "none"
