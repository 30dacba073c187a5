#!/usr/bin/env python3
"""Runs Ferrite and its peers side by side and writes bench/RESULTS.md.

  python3 bench/compare/compare.py

fetches MPICH, Open MPI and Intel MPI from PyPI into a cache folder (they need about 2 GB), builds
this tree's Ferrite and the programs of bench/compare/c with each library's own mpicc, and measures.
`c/bench.h` says how: by the method of the OSU micro-benchmarks.

Over TCP, plain sockets are measured beside the libraries (`ferrite-limits`, built from this tree),
and each library is first seen to move its messages through the loopback interface. Sections of
RESULTS.md that are not measured stay as they are.

Leave the machine alone meanwhile; shared memory takes about ten minutes, TCP another ten,
collectives twenty. What was measured is kept in the cache folder: `--resume` goes on where a
comparison was stopped.
"""

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # leave nothing in the source tree

import agreement
import jobs
import libraries
import more
import page
import results

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def main():
    options = arguments()
    options.cache.mkdir(parents=True, exist_ok=True)
    cores = len(os.sched_getaffinity(0))
    everyone = [
        libraries.ferrite(options.prefix.resolve() if options.prefix else laid_out_prefix())
    ]
    for peer in libraries.peers():
        if peer.key in options.peers:
            everyone.append(libraries.install(peer, options.cache.resolve()))
    where = machine(cores)
    options.journal = jobs.Journal(
        options.cache / "journal", [where, digest_of(everyone[0])], options.resume
    )
    figures = []
    for section, lines, of_part in measured_sections(everyone, options, cores, where):
        figures += of_part
        previous = options.output.read_text() if options.output.exists() else ""
        options.output.write_text(page.page({section: lines}, previous))
        print("\n".join(lines), flush=True)
    if any(results.FAILED in values.values() for values in figures):
        raise SystemExit("some jobs failed, see above")


def measured_sections(everyone, options, cores, where):
    """Measures; gives each section's name, its lines, and the figures of which none may have
    failed."""
    cache, rounds = options.cache.resolve(), options.rounds
    programs = "Each library runs the programs of `bench/compare/c`, built with its own `mpicc`; `bench.h` says how they measure."
    same = page.about(where, "Each library runs the same C program.", rounds)
    if {"transfers", "collectives", "agreement"} & set(options.parts):
        folders = {library.key: libraries.build_programs(library, cache) for library in everyone}
    if "transfers" in options.parts:
        about = page.about(where, programs, rounds)
        if options.fabric in ("shm", "all"):
            measured = measure_transfers(results.FIGURES, everyone, folders, options, cores)
            yield page.SHARED_MEMORY, page.shared_memory_section(
                about, everyone, measured
            ), measured.values()
        if options.fabric in ("tcp", "all"):
            over = libraries.over_tcp(everyone)
            seen = {each.key: seen_on_loopback(each, folders, cores) for each in over}
            measured = measure_transfers(
                results.TCP_FIGURES, over, folders, options, cores, built_limits()
            )
            yield page.TCP, page.tcp_section(about, over, measured, seen), measured.values()
    if "start" in options.parts:
        about = page.about(where, "Each library starts the same C program.", rounds)
        measured = measure_starts(everyone, options, cores)
        yield page.START, page.start_section(about, everyone, measured), measured.values()
    if "collectives" in options.parts:
        measured = more.measure_collectives(everyone, folders, options, cores, progress)
        about = page.about(where, programs, rounds)
        yield page.COLLECTIVES, more.collectives_section(
            about, everyone, measured, options.processes
        ), []
    if "packing" in options.parts:
        measured = more.measure_packing(everyone, options, cores, progress)
        yield page.PACKING, more.packing_section(same, everyone, measured), []
    if "gaps" in options.parts:
        measured = more.measure_gaps(everyone, options, cores, progress)
        yield page.GAPS, more.gaps_section(same, everyone, measured), []
    if "agreement" in options.parts:
        takers = [library for library in everyone if library.standard_abi]
        measured = agreement.measure(
            takers, everyone[0], folders, options, cores, built_limits(), progress
        )
        yield page.AGREEMENT, agreement.section(where, takers, measured, rounds), []


def digest_of(library):
    """What a library's programs run on, in a few letters."""
    return hashlib.sha256((library.folder / "lib/libmpi_abi.so.1").read_bytes()).hexdigest()[:16]


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ferrite-peers"
    known = [peer.key for peer in libraries.peers()]
    parser.add_argument(
        "--prefix", type=Path, help="an installed Ferrite (default: built from this tree)"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=cache,
        help="where peers and built programs are kept (%(default)s)",
    )
    parser.add_argument("--rounds", type=positive, default=5, help="(%(default)s)")
    parser.add_argument(
        "--peers", type=words_of(known), default=known, help=f"some of {','.join(known)}"
    )
    parts = ["transfers", "start", "collectives", "packing", "gaps", "agreement"]
    parser.add_argument(
        "--parts", type=words_of(parts), default=parts, help=f"some of {','.join(parts)}"
    )
    sizes = ["2", "4", "8"]
    parser.add_argument(
        "--processes", type=words_of(sizes), default=sizes, help="of the collectives, some of 2,4,8"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on where a comparison with the same build was stopped",
    )
    parser.add_argument(
        "--fabric",
        choices=["shm", "tcp", "all"],
        default="all",
        help="of the transfers (%(default)s)",
    )
    parser.add_argument(
        "--output", type=Path, default=HERE.parent / "RESULTS.md", help="(%(default)s)"
    )
    options = parser.parse_args()
    options.processes = [int(number) for number in options.processes]
    return options


def positive(text):
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def words_of(known):
    """A type for argparse: a list of known words with commas between them."""

    def words(text):
        found = text.split(",") if text else []
        for word in found:
            if word not in known:
                raise argparse.ArgumentTypeError(f"{word} is none of {', '.join(known)}")
        return found

    return words


def laid_out_prefix():
    """Builds this tree's prefix in cargo's target folder."""
    metadata = ["cargo", "metadata", "--format-version=1", "--no-deps"]
    target = json.loads(subprocess.run(metadata, cwd=ROOT, check=True, capture_output=True).stdout)[
        "target_directory"
    ]
    prefix = Path(target) / "prefix"
    subprocess.run(["cargo", "xtask", "install", "--prefix", str(prefix)], cwd=ROOT, check=True)
    return prefix


def built_limits():
    """Builds the program that measures plain sockets."""
    words = [
        "cargo",
        "build",
        "--release",
        "-p",
        "ferrite-bench-limits",
        "--bin",
        "ferrite-limits",
        "--message-format=json",
    ]
    messages = subprocess.run(
        words, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.splitlines()
    found = [message.get("executable") for message in map(json.loads, messages)]
    return next(Path(program) for program in found if program)


def measure_transfers(figures, everyone, folders, options, cores, limits=None):
    """{figure's name: {library's key: values, or results.FAILED}}. `limits` is the program that
    measures plain sockets."""
    measured = {figure.name: {} for figure in figures}
    runs = dict.fromkeys((figure.program, figure.arguments) for figure in figures)
    for number in range(1, options.rounds + 1):
        for program, given in runs:
            progress(f"round {number} of {options.rounds}: {program} {' '.join(given)}")
            wanted = [f for f in figures if (f.program, f.arguments) == (program, given)]
            for library in everyone:
                # The same command may stand for another fabric.
                turn = [number, library.key, library.environment]
                job = options.journal, turn, *job_of(library, folders, cores, program, given)
                read = [(f.name, f.size, f.column, f.scale) for f in wanted]
                take_turn(measured, library.key, library.name, job, read)
            for figure in wanted:
                if limits and figure.raw:
                    words = [str(limits), "tcp", figure.raw, str(figure.size)]
                    read = [(figure.name, figure.size, 0, 1.0)]
                    job = options.journal, [number], words, dict(os.environ)
                    take_turn(measured, results.RAW, "raw sockets", job, read)
    return measured


def job_of(library, folders, cores, program, given):
    """The words and the environment that run a program on two processes."""
    folder = folders[library.built or library.key]
    return library.command(2, folder / program, given, cores), library.variables(2, cores, False)


def seen_on_loopback(library, folders, cores):
    """What a library moves through the loopback interface, in words. Nothing is compared if that is
    less than its messages: it would have taken a shorter way than TCP."""
    seen = []
    for program, given, payload, messages in results.PROBES:
        try:
            _, byte_count, packets = jobs.through_loopback(
                *job_of(library, folders, cores, program, given)
            )
        except jobs.Failed as failure:
            progress(f"{library.name}: {failure}")
            return results.FAILED
        if byte_count < payload or packets < messages:
            raise SystemExit(
                f"{library.name} does not use TCP: {program} {' '.join(given)} moved {payload} bytes in at least {messages} "
                f"packets, and {byte_count} bytes in {packets} packets came through the loopback interface"
            )
        if messages:
            seen.append(f"{packets / messages:.2f} packets a message ({program})")
        else:
            seen.append(f"{byte_count / payload:.2f} times the bytes of the messages ({program})")
    return ", ".join(seen)


def take_turn(measured, key, name, job, wanted):
    """Runs a job (journal, turn, words, environment) and notes the figures `wanted` of its table:
    (figure's name, size, column, scale)."""
    journal, turn, words, variables = job
    try:
        table = jobs.rows(journal.finish(turn, words, variables)[0])
    except jobs.Failed as failure:
        progress(f"{name}: {failure}")
        table = {}
    for figure, size, column, scale in wanted:
        try:
            value = jobs.cell(table, size, column) * scale
        except jobs.Failed as failure:
            if table:
                progress(f"{name}: {failure}")
            value = results.FAILED
        note(measured[figure], key, value)


def measure_starts(everyone, options, cores):
    """As `measure_transfers`, for the starts."""
    programs = {}
    for library in everyone:
        program = options.cache.resolve() / "start" / library.key / "startup"
        programs[library.key] = library.compile([HERE / "startup.c"], [], program)
    measured = {start.name: {} for start in results.STARTS}
    for number in range(1, options.rounds + 1):
        for start in results.STARTS:
            progress(f"round {number} of {options.rounds}: {start.name}")
            for library in everyone if start.everybody else everyone[:1]:
                program = programs[library.key]
                words = library.command(start.processes, program, start.mode, cores)
                variables = library.variables(start.processes, cores, False)
                values = measured[start.name]
                try:
                    if start.memory:
                        note(
                            values,
                            library.key,
                            jobs.memory_of_held_job(words, variables, program) / 1e9,
                        )
                    else:
                        output, seconds = options.journal.finish(
                            [start.name, number, library.key], words, variables
                        )
                        if f"{start.processes} processes" not in output:
                            raise jobs.Failed(f"not {start.processes} processes")
                        note(values, library.key, seconds)
                except jobs.Failed as failure:
                    progress(f"{library.name}: {failure}")
                    note(values, library.key, results.FAILED)
    return measured


def note(values, key, value):
    """Adds a round's value. A failure stays: a figure without all its rounds is none."""
    known = values.setdefault(key, [])
    if results.FAILED in (value, known):
        values[key] = results.FAILED
    else:
        known.append(value)


def progress(text):
    print(text, file=sys.stderr, flush=True)


def machine(cores):
    """Processor, cores, kernel."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return f"{model}, {cores} cores, {platform.system()} {platform.release()}"


if __name__ == "__main__":
    main()
