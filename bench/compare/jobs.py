"""Running jobs: their tables, start-up times, memory; and the journal of those that were run."""

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

DEADLINE = 300  # seconds; a job that takes longer hangs


class Failed(Exception):
    """A job that did not end well, in a few words."""


def finish(words, variables):
    """Runs a command to its end; returns what it printed and how long it took, in seconds."""
    start = time.perf_counter()
    job = subprocess.Popen(
        words,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = job.communicate(timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        end(job)
        raise Failed(f"no end within {DEADLINE} s") from None
    except BaseException:
        end(job)
        raise
    elapsed = time.perf_counter() - start
    if job.returncode != 0:
        last = output.strip().splitlines()[-1:] or ["no output"]
        raise Failed(f"exit status {job.returncode}: {last[0]}")
    return output, elapsed


class Journal:
    """What jobs printed, kept in a file, so that a comparison that was stopped goes on where it
    was.

    `conditions` are what must be alike, or figures of both runs could not stand side by side.
    """

    def __init__(self, path, conditions, resume):
        self.known = {}
        if resume and path.exists():
            first, *lines = path.read_text().splitlines() or [""]
            if first != json.dumps(conditions):
                raise SystemExit(
                    f"--resume: {path} is of another machine or another build; measure anew without it"
                )
            # The last line may have been cut off.
            for line in lines:
                try:
                    key, output, seconds = json.loads(line)
                except ValueError:
                    continue
                self.known[key] = (output, seconds)
        self.path = path
        # Whole lines only.
        path.write_text("")
        self.write(conditions)
        for key, printed in self.known.items():
            self.write([key, *printed])

    def write(self, what):
        with self.path.open("a") as file:
            file.write(json.dumps(what) + "\n")

    def finish(self, turn, words, variables):
        """As `finish`, or what the same turn printed before. `turn` tells this run of the command
        from others. Failures are not kept."""
        key = json.dumps([turn, words])
        if key not in self.known:
            self.known[key] = finish(words, variables)
            self.write([key, *self.known[key]])
        return self.known[key]


def through_loopback(words, variables):
    """As `finish`; returns what was printed, and the bytes and packets that came through the
    loopback interface meanwhile."""
    before = loopback(Path("/proc/net/dev").read_text())
    output, _ = finish(words, variables)
    after = loopback(Path("/proc/net/dev").read_text())
    return output, after[0] - before[0], after[1] - before[1]


def loopback(text):
    """Bytes and packets that the loopback interface received, of the text of /proc/net/dev."""
    for line in text.splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == "lo":
            received = numbers.split()
            return int(received[0]), int(received[1])
    raise Failed("/proc/net/dev shows no loopback interface")


def end(job):
    """Ends a job of ours with its process group, and takes its status."""
    try:
        os.killpg(job.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    job.wait()


def rows(output):
    """The rows of a table in OSU's format: {size in bytes: [numbers]}. Other lines are skipped."""
    table = {}
    for line in output.splitlines():
        words = line.split()
        try:
            size, *numbers = int(words[0]), *map(float, words[1:])
        except (IndexError, ValueError):
            continue
        if numbers:
            table[size] = numbers
    return table


def cell(table, size, column):
    """A number of a table."""
    try:
        return table[size][column]
    except (KeyError, IndexError):
        raise Failed(f"no row for {size} bytes") from None


def memory_of_held_job(words, variables, program):
    """Runs `startup hold` and returns the summed proportional set size, in bytes, of its processes
    in the barrier."""
    job = subprocess.Popen(
        words,
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    timer = Deadline(job)
    try:
        with timer:
            line = job.stdout.readline()
            if line.strip() != "ready":
                raise Failed("the job did not come to its barrier")
            total = sum(map(proportional_set_size, processes_of(program)))
            job.stdin.close()
            job.stdout.read()
            status = job.wait()
    except BaseException:
        end(job)
        raise
    if timer.passed:
        raise Failed(f"no end within {DEADLINE} s")
    if status != 0:
        raise Failed(f"exit status {status}")
    return total


class Deadline:
    """Ends a job when it takes too long."""

    def __init__(self, job):
        self.passed = False
        self.job = job
        self.timer = threading.Timer(DEADLINE, self.strike)

    def strike(self):
        self.passed = True
        end(self.job)

    def __enter__(self):
        self.timer.start()

    def __exit__(self, *_):
        self.timer.cancel()


def processes_of(program, proc=Path("/proc")):
    """The folders in /proc of the processes that run a program."""
    found = []
    for folder in proc.iterdir():
        try:
            if folder.name.isdigit() and os.readlink(folder / "exe") == str(program):
                found.append(folder)
        except OSError:
            continue  # gone, or another user's
    return found


def proportional_set_size(folder):
    """A process's share of the memory it uses, in bytes; 0 if it has ended."""
    try:
        return parse_rollup((folder / "smaps_rollup").read_text())
    except OSError:
        return 0


def parse_rollup(text):
    """`Pss:` of a smaps_rollup, in bytes."""
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["Pss:"]:
            return int(words[1]) * 1024
    return 0
