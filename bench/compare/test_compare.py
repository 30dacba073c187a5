"""Tests of compare.py: what is read, computed and printed. Nothing is fetched or measured."""

import os
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import agreement
import compare
import jobs
import libraries
import page
import results


def figure(name, figures=results.FIGURES):
    return next(f for f in figures if f.name == name)


def over_tcp():
    """All libraries over TCP, by key."""
    everyone = [libraries.ferrite(Path("/prefix")), *libraries.peers()]
    for peer in everyone[1:]:
        peer.folder = Path("/peers") / peer.key
    return {library.key: library for library in libraries.over_tcp(everyone)}


class Reading(unittest.TestCase):
    OUTPUT = (
        "\n# OSU MPI Multiple Bandwidth / Message Rate Test v7.4\n# [ pairs: 1 ] [ window size: 64 ]\n"
        "# Size                  MB/s        Messages/s\n1                       2.20        2203763.41\n"
        "8 cores are not enough\n65536               12858.10          196199.04\n"
    )

    def test_rows_only(self):
        self.assertEqual(
            jobs.rows(self.OUTPUT), {1: [2.2, 2203763.41], 65536: [12858.1, 196199.04]}
        )

    def test_a_missing_row_is_a_failure(self):
        with self.assertRaises(jobs.Failed):
            jobs.cell(jobs.rows(self.OUTPUT), 8, 0)
        with self.assertRaises(jobs.Failed):
            jobs.cell(jobs.rows(self.OUTPUT), 1, 2)
        self.assertEqual(jobs.cell(jobs.rows(self.OUTPUT), 1, 1), 2203763.41)

    def test_memory(self):
        rollup = "55d0-7ffc ---p 0 00:00 0 [rollup]\nRss:  4096 kB\nPss:                1536 kB\nPss_Dirty:  100 kB\n"
        self.assertEqual(jobs.parse_rollup(rollup), 1536 * 1024)
        self.assertEqual(jobs.parse_rollup(""), 0)

    def test_this_process_has_memory(self):
        folders = jobs.processes_of(os.readlink("/proc/self/exe"))
        mine = [folder for folder in folders if folder.name == str(os.getpid())]
        self.assertEqual(len(mine), 1)
        self.assertGreater(jobs.proportional_set_size(mine[0]), 0)


class Running(unittest.TestCase):
    def test_output_of_a_job(self):
        output, seconds = jobs.finish([sys.executable, "-c", "print(7)"], dict(os.environ))
        self.assertEqual(output, "7\n")
        self.assertGreater(seconds, 0)

    def test_a_failing_job_is_quoted(self):
        with self.assertRaisesRegex(jobs.Failed, "exit status 3: why"):
            jobs.finish([sys.executable, "-c", "print('why'); exit(3)"], dict(os.environ))

    def test_a_job_that_hangs_is_ended(self):
        with mock.patch.object(jobs, "DEADLINE", 0.2), self.assertRaisesRegex(
            jobs.Failed, "no end"
        ):
            jobs.finish([sys.executable, "-c", "import signal; signal.pause()"], dict(os.environ))

    def test_a_held_job_is_weighed_and_let_go(self):
        words = [sys.executable, "-c", "import sys; print('ready', flush=True); sys.stdin.read()"]
        weight = jobs.memory_of_held_job(words, dict(os.environ), os.path.realpath(sys.executable))
        self.assertGreater(weight, 1 << 20)

    def test_a_held_job_that_fails_is_said_to(self):
        with self.assertRaisesRegex(jobs.Failed, "did not come to its barrier"):
            jobs.memory_of_held_job([sys.executable, "-c", "exit(1)"], dict(os.environ), "/none")


class Commands(unittest.TestCase):
    def library(self, key):
        library = next(peer for peer in libraries.peers() if peer.key == key)
        library.folder = Path("/peers") / key
        return library

    def test_two_processes_are_bound(self):
        words = self.library("mpich").command(2, "osu_bw", ["-m", "1:1"], 2)
        self.assertEqual(
            words,
            ["/peers/mpich/bin/mpiexec", "-bind-to", "core", "-n", "2", "osu_bw", "-m", "1:1"],
        )

    def test_more_processes_than_cores_share(self):
        library = self.library("openmpi")
        self.assertIn("--oversubscribe", library.command(64, "startup", [], 2))
        self.assertEqual(library.variables(64, 2, False)["OMPI_MCA_mpi_yield_when_idle"], "1")
        self.assertNotIn("OMPI_MCA_mpi_yield_when_idle", library.variables(2, 2, False))

    def test_only_borrowed_programs_get_a_library_path(self):
        with mock.patch.dict(os.environ, {"LD_LIBRARY_PATH": "/elsewhere"}):
            library = self.library("impi")
            self.assertNotIn("LD_LIBRARY_PATH", library.variables(2, 2, False))
            self.assertEqual(library.variables(2, 2, True)["LD_LIBRARY_PATH"], "/peers/impi/lib")
            self.assertEqual(library.variables(2, 2, True)["I_MPI_ROOT"], "/peers/impi")

    def test_versions_come_from_the_wheel(self):
        with tempfile.TemporaryDirectory() as folder:
            library = self.library("impi")
            library.folder = Path(folder)
            (library.folder / "lib/python3.11/site-packages/impi_rt-2021.18.0.dist-info").mkdir(
                parents=True
            )
            self.assertEqual(library.version(), "2021.18.0")

    def test_programs_are_built_anew_where_they_may_differ(self):
        for key, times in [("mpich", 1), ("ferrite", 2)]:
            built = []

            def compile(library, sources, flags, target):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.touch()
                built.append(sources[0].name)

            library = libraries.ferrite(Path("/prefix")) if key == "ferrite" else self.library(key)
            with tempfile.TemporaryDirectory() as folder, mock.patch.object(
                libraries.Library, "compile", compile
            ):
                folders = {libraries.build_programs(library, Path(folder)) for _ in range(2)}
            self.assertEqual(len(folders), 1)
            self.assertEqual(built, [f"{name}.c" for name in libraries.PROGRAMS] * times)
            self.assertTrue(all((libraries.HERE / "c" / name).exists() for name in built))


def journal(resume=False, path=Path("/dev/null"), conditions="here"):
    return jobs.Journal(path, [conditions], resume)


class Resuming(unittest.TestCase):
    def test_what_was_run_is_not_run_again(self):
        ran = []

        def finish(words, variables):
            ran.append(words)
            if "fails" in words:
                raise jobs.Failed("exit status 1")
            return f"{len(ran)}\n", 0.5

        with tempfile.TemporaryDirectory() as folder, mock.patch.object(jobs, "finish", finish):
            path = Path(folder) / "journal"
            first = journal(path=path)
            self.assertEqual(first.finish([1, "a"], ["x"], None), ("1\n", 0.5))
            self.assertEqual(first.finish([2, "a"], ["x"], None), ("2\n", 0.5))
            with self.assertRaises(jobs.Failed):
                first.finish([3, "a"], ["fails"], None)
            path.write_text(path.read_text() + '["cut')
            again = journal(True, path)
            self.assertEqual(again.finish([1, "a"], ["x"], None), ("1\n", 0.5))
            self.assertEqual(again.finish([2, "a"], ["x"], None), ("2\n", 0.5))
            with self.assertRaises(jobs.Failed):
                again.finish([3, "a"], ["fails"], None)
            self.assertEqual(again.finish([4, "a"], ["x"], None), ("5\n", 0.5))
            self.assertEqual(journal(True, path).finish([4, "a"], ["x"], None), ("5\n", 0.5))
            with self.assertRaisesRegex(SystemExit, "another machine or another build"):
                journal(True, path, "elsewhere")
            self.assertEqual(journal(path=path).finish([1, "a"], ["x"], None), ("6\n", 0.5))


class Agreeing(unittest.TestCase):
    def measured(self, lines):
        """A round of each figure; `lines` are a cache line's times before, between and after the
        runs of two pairs."""
        times = iter(lines * len(agreement.FIGURES))

        def finish(words, variables):
            if words[-1] == "line":
                return f"{next(times)}\n", 0
            size = words[words.index("-m") + 1].split(":")[0]
            ran.append((Path(words[words.index("-n") + 2]).name, variables.get("LD_LIBRARY_PATH")))
            return f"{size} {2.1 if ran[-1][0].startswith('osu_') else 2.0}\n", 0

        ran = []
        ferrite, mpich = libraries.ferrite(Path("/prefix")), libraries.peers()[0]
        mpich.folder = Path("/peers/mpich")
        folders = {"ferrite": Path("/programs/ferrite"), "mpich": Path("/programs/mpich")}
        options = mock.Mock(rounds=1, journal=journal())
        with mock.patch.object(jobs, "finish", finish):
            takers = [ferrite, mpich]
            found = agreement.measure(
                takers, ferrite, folders, options, 2, Path("/limits"), mock.Mock()
            )
        return takers, found, ran

    def test_pairs_run_on_the_same_library(self):
        takers, found, ran = self.measured([90.0, 95.0, 99.0, 90.0, 200.0, 90.0])
        figures = len(agreement.FIGURES)
        self.assertEqual(ran[:2], [("latency", None), ("osu_latency", None)])
        self.assertEqual(
            ran[2 * figures : 2 * figures + 2],
            [("latency", None), ("osu_latency", "/peers/mpich/lib")],
        )
        self.assertIn(("collective", None), ran)
        self.assertEqual(found["latency, 8 B", "ferrite"], [(2.0, 2.1, True)])
        self.assertEqual(found["latency, 64 KiB", "ferrite"], [(2.0, 2.1, False)])

    def test_only_like_pairs_are_shown(self):
        takers, found, _ = self.measured([90.0, 95.0, 99.0, 90.0, 200.0, 90.0])
        lines = agreement.section("A, 2 cores", takers[:1], found, 1)
        self.assertIn("| latency, 8 B, us | 2.00 | 2.10 | 0.952 (0.95-0.95) | 1 of 1 |", lines)
        self.assertIn("| latency, 64 KiB, us | - | - | - | 0 of 1 |", lines)


class OverTcp(unittest.TestCase):
    def test_everybody_is_told_to_use_tcp(self):
        found = over_tcp()
        self.assertEqual(list(found), ["ferrite", "mpich-ofi", "mpich-ucx", "openmpi", "impi"])
        variables = {key: library.variables(2, 2, False) for key, library in found.items()}
        self.assertEqual(variables["ferrite"]["FERRITE_TRANSPORT"], "tcp")
        for key, netmod in [("mpich-ofi", "ofi"), ("mpich-ucx", "ucx")]:
            self.assertEqual(variables[key]["MPIR_CVAR_NOLOCAL"], "1")
            self.assertEqual(variables[key]["MPIR_CVAR_CH4_NETMOD"], netmod)
            self.assertEqual(found[key].built, "mpich")
        self.assertEqual(variables["mpich-ofi"]["FI_PROVIDER"], "tcp")
        self.assertEqual(variables["mpich-ucx"]["UCX_TLS"], "tcp,self")
        self.assertEqual(variables["impi"]["I_MPI_FABRICS"], "ofi")
        self.assertEqual(variables["impi"]["FI_PROVIDER"], "tcp")
        for name in ("LD_LIBRARY_PATH", "FI_PROVIDER_PATH"):
            self.assertEqual(variables["impi"][name], "/peers/impi/lib")
        words = found["openmpi"].command(2, "osu_bw", [], 2)
        self.assertIn("--mca btl tcp,self", " ".join(map(str, words)))
        self.assertNotIn("OMPI_MCA_btl", variables["openmpi"])
        self.assertEqual(variables["openmpi"]["OMPI_ALLOW_RUN_AS_ROOT"], "1")

    def test_shared_memory_stays_what_it_was(self):
        over_tcp()
        with mock.patch.dict(os.environ, {"FERRITE_TRANSPORT": "tcp"}):
            self.assertNotIn(
                "FERRITE_TRANSPORT", libraries.ferrite(Path("/prefix")).variables(2, 2, False)
            )
        self.assertEqual(libraries.peers()[2].environment, {"I_MPI_FABRICS": "shm"})

    def test_the_limit_is_no_peer(self):
        latency = figure("latency, 8 B", results.TCP_FIGURES)
        values = {"ferrite": [5.0], "mpich-ofi": [10.0], results.RAW: [4.0]}
        self.assertEqual(results.verdict(latency, values), (0.5, "pass"))
        self.assertEqual(results.ratio_to_raw(latency, values), 1.25)

    def test_both_demands_must_hold(self):
        stream = figure("bandwidth, 1 MiB", results.TCP_FIGURES)

        def verdict(ours, peer, raw):
            return results.verdict(stream, {"ferrite": ours, "impi": peer, results.RAW: raw})[1]

        self.assertEqual(verdict([98.0], [90.0], [100.0]), "pass")
        self.assertEqual(verdict([96.0], [90.0], [100.0]), "FAIL")
        self.assertEqual(verdict([98.0], [99.0], [100.0]), "FAIL")
        self.assertEqual(verdict([98.0], [90.0], results.FAILED), "no limit")
        self.assertEqual(verdict([98.0], results.FAILED, [100.0]), "no peer")
        self.assertEqual(verdict(results.FAILED, [90.0], [100.0]), "FAIL")
        undemanded = figure("latency, 1 KiB", results.TCP_FIGURES)
        self.assertEqual(results.verdict(undemanded, {"ferrite": [2.0], "impi": [1.0]}), (2.0, ""))

    def test_libraries_and_the_limit_take_turns(self):
        found = over_tcp()
        chosen = [found["ferrite"], found["mpich-ucx"], found["openmpi"]]
        ran = []

        def finish(words, variables):
            ran.append(
                (
                    Path(words[0]).parts[-3] if "-n" in words else "limits",
                    variables.get("MPIR_CVAR_CH4_NETMOD"),
                )
            )
            return ("failing", 0) if "openmpi" in words[0] else ("65536  7.5\n", 0)

        with mock.patch.object(jobs, "finish", finish), mock.patch.object(compare, "progress"):
            stream = figure("bandwidth, 64 KiB", results.TCP_FIGURES)
            folders = {key: Path("/programs") / key for key in ("ferrite", "mpich", "openmpi")}
            options = mock.Mock(rounds=2, journal=journal())
            measured = compare.measure_transfers(
                [stream], chosen, folders, options, 2, Path("/bin/ferrite-limits")
            )
        self.assertEqual([name for name, _ in ran], ["prefix", "mpich", "openmpi", "limits"] * 2)
        self.assertEqual(ran[1][1], "ucx")
        values = {
            "ferrite": [7.5, 7.5],
            "mpich-ucx": [7.5, 7.5],
            "openmpi": results.FAILED,
            results.RAW: [7.5, 7.5],
        }
        self.assertEqual(measured, {stream.name: values})

    def test_both_fabrics_run_the_same_command(self):
        ran = []

        def finish(words, variables):
            ran.append(variables.get("FERRITE_TRANSPORT"))
            return "8  7.5\n", 0

        folders = {"ferrite": Path("/programs")}
        options = mock.Mock(rounds=1, journal=journal())
        with mock.patch.object(jobs, "finish", finish), mock.patch.object(compare, "progress"):
            latency = figure("latency, 8 B")
            for library in (libraries.ferrite(Path("/prefix")), over_tcp()["ferrite"]):
                compare.measure_transfers([latency], [library], folders, options, 2)
        self.assertEqual(ran, [None, "tcp"])

    def test_what_comes_through_the_loopback_interface_is_read(self):
        text = "Inter-|  Receive\n face |bytes packets errs\n    lo: 100 7 0 0 0 0 0 0 100 7 0\n  eth0: 5 1 0\n"
        self.assertEqual(jobs.loopback(text), (100, 7))
        with self.assertRaisesRegex(jobs.Failed, "no loopback"):
            jobs.loopback("  eth0: 5 1 0\n")

    def test_a_connection_of_this_machine_is_seen(self):
        program = (
            "import socket\ns = socket.create_server(('127.0.0.1', 0))\nc = socket.create_connection(s.getsockname())\n"
            "a, _ = s.accept()\nfor _ in range(100):\n    c.sendall(b'x' * 1000)\n    a.recv(1000, socket.MSG_WAITALL)\n"
        )
        _, byte_count, packets = jobs.through_loopback(
            [sys.executable, "-c", program], dict(os.environ)
        )
        self.assertGreaterEqual(byte_count, 100_000)
        self.assertGreaterEqual(packets, 100)

    def test_a_library_that_takes_a_shorter_way_is_not_compared(self):
        library, folders = over_tcp()["impi"], {"impi": Path("/programs/impi")}
        (_, _, payload, _), (_, _, _, messages) = results.PROBES

        def seen(byte_count, packets):
            with mock.patch.object(jobs, "through_loopback", lambda *_: ("", byte_count, packets)):
                return compare.seen_on_loopback(library, folders, 2)

        told = "1.50 times the bytes of the messages (bw), 1.00 packets a message (latency)"
        self.assertEqual(seen(payload * 3 // 2, messages), told)
        for few in [(payload - 1, messages), (payload, messages - 1), (0, 0)]:
            with self.assertRaisesRegex(SystemExit, "Intel MPI does not use TCP: (bw|latency) "):
                seen(*few)

    def test_the_section(self):
        with mock.patch.object(libraries.Library, "version", lambda self: "1.2"):
            everyone = list(over_tcp().values())
            measured = {
                f.name: {"ferrite": [2.0], "mpich-ofi": [4.0], results.RAW: [1.0]}
                for f in results.TCP_FIGURES
            }
            about = page.about("A, 2 cores", "Programs.", 3)
            section = page.tcp_section(
                about, everyone, measured, {"mpich-ofi": "all of it", "impi": results.FAILED}
            )
        self.assertIn("Machine: A, 2 cores.", section)
        settings = [line for line in section if line.startswith("| MPICH, ofi")]
        self.assertTrue(settings[0].endswith(" | all of it |"), settings)
        latency = next(line for line in section if line.startswith("| latency, 8 B"))
        ours = "| latency, 8 B, us | 2.00 (2.00-2.00) | 4.00 (4.00-4.00) | - | - | - | 1.00 (1.00-1.00) | 0.50 | 2.00 | <= 0.85 | pass |"
        self.assertEqual(latency, f"{ours} <= 1.1 of raw |")
        self.assertIn("| >= 1.0, >= 0.97 of raw |", "\n".join(section))
        rows = [
            line.count("|")
            for line in section
            if line.startswith(("| latency", "| both", "| band", "| mess"))
        ]
        self.assertEqual(rows, [13] * len(results.TCP_FIGURES))


class Judging(unittest.TestCase):
    def test_lower_latency_wins(self):
        latency = figure("latency, 8 B")
        values = {"ferrite": [0.26, 0.25, 0.90], "mpich": [1.0], "impi": [0.37, 0.36, 0.35]}
        ratio, word = results.verdict(latency, values)
        self.assertAlmostEqual(ratio, 0.26 / 0.36)
        self.assertEqual(word, "pass")
        self.assertEqual(results.verdict(latency, {"ferrite": [0.3], "impi": [0.36]})[1], "FAIL")

    def test_higher_rate_wins(self):
        rate = figure("message rate, 1 B (bw)")
        self.assertEqual(
            results.verdict(rate, {"ferrite": [13.1], "openmpi": [10], "mpich": [2]})[1], "pass"
        )
        self.assertEqual(
            results.verdict(rate, {"ferrite": [12.9], "openmpi": [10], "mpich": [2]})[1], "FAIL"
        )

    def test_failures_are_shown_and_do_not_count_as_peers(self):
        rate = figure("bandwidth, 8 KiB")
        self.assertEqual(
            results.verdict(rate, {"ferrite": [5.0], "mpich": results.FAILED, "impi": [4.0]}),
            (1.25, "pass"),
        )
        self.assertEqual(
            results.verdict(rate, {"ferrite": results.FAILED, "impi": [4.0]}), (None, "FAIL")
        )
        self.assertEqual(results.verdict(rate, {"ferrite": [5.0]}), (None, "no peer"))

    def test_a_figure_that_failed_once_stays_failed(self):
        values = {}
        for value in [1.0, results.FAILED, 2.0]:
            compare.note(values, "mpich", value)
        self.assertEqual(values, {"mpich": results.FAILED})

    def test_every_figure_reads_a_size_that_its_program_prints(self):
        for each in results.FIGURES + results.TCP_FIGURES:
            smallest, largest = map(int, each.arguments[1].split(":"))
            self.assertTrue(smallest <= each.size <= largest, each.name)

    def test_the_sections(self):
        everyone = [libraries.ferrite(Path("/prefix")), *libraries.peers()]
        with mock.patch.object(libraries.Library, "version", lambda self: "1.2"):
            transfers = {
                f.name: {"ferrite": [2.0, 1.0, 3.0], "mpich": [4.0], "impi": results.FAILED}
                for f in results.FIGURES
            }
            starts = {s.name: {"ferrite": [0.01]} for s in results.STARTS}
            shared = page.shared_memory_section(["About."], everyone, transfers)
            start = page.start_section(["About."], everyone, starts)
        latency = next(line for line in shared if line.startswith("| latency"))
        cells = "| latency, 8 B, us | 2.00 (1.00-3.00) | 4.00 (4.00-4.00) | - | failed | 0.50 | <= 0.8 | pass | 0.26 us |"
        self.assertEqual(latency, cells)
        self.assertIn(
            "| hello, 64 processes, s | 0.010 (0.010-0.010) | - | - | - | <= 0.7 | pass |", start
        )
        widths = [
            line.count("|")
            for line in start
            if line.startswith(("| hello", "| barrier", "| memory"))
        ]
        self.assertEqual(widths, [8] * len(results.STARTS))
        self.assertIn(
            "| MPICH | 1.2 | `-bind-to core` | `MPIR_CVAR_CH4_PROGRESS_THROTTLE=1` |", start
        )

    def test_sections_that_are_not_measured_stay(self):
        first = page.page({page.START: ["starts"], page.SHARED_MEMORY: ["shared", "", "| a |"]})
        self.assertEqual(first.splitlines()[0], "# Ferrite beside other MPI libraries")
        second = page.page({page.TCP: ["", "tcp"]}, first)
        self.assertEqual(
            page.sections_of(second),
            {page.SHARED_MEMORY: "shared\n\n| a |", page.TCP: "tcp", page.START: "starts"},
        )
        self.assertLess(second.index("shared"), second.index("tcp"))
        self.assertLess(second.index("tcp"), second.index("starts"))
        third = page.page({page.SHARED_MEMORY: ["anew"]}, second)
        self.assertIn("anew", third)
        self.assertNotIn("shared\n", third)
        self.assertEqual(page.page({}, third), third)
        by_hand = page.page({page.TCP: ["tcp"]}, third + "\n## By hand\n\nwritten\n")
        self.assertEqual(page.sections_of(by_hand)["By hand"], "written")


if __name__ == "__main__":
    unittest.main()
