"""The MPI libraries that are compared: where they come from, how they start a job at their best,
how they compile.

A library is a folder with bin/mpiexec and bin/mpicc. Ferrite's is a prefix; the others are Python
environments into which pip put what their vendors publish.
"""

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAMS = ["latency", "bw", "bibw", "multi_lat", "mbw_mr", "collective"]


@dataclass
class Library:
    """How one MPI library is used. `crowded` settings apply when processes outnumber cores."""

    key: str
    name: str
    packages: list = field(default_factory=list)
    standard_abi: bool = True
    arguments: list = field(default_factory=list)
    crowded_arguments: list = field(default_factory=list)
    environment: dict = field(default_factory=dict)
    crowded_environment: dict = field(default_factory=dict)
    folder: Path = None
    built: str = None  # the key under which its programs are kept, if it is another
    own_providers: bool = False  # its libfabric stands in lib/, where it does not look by itself

    def command(self, processes, program, arguments, cores):
        """The words that run `program` on `processes` processes."""
        crowded = processes > cores
        placing = self.crowded_arguments if crowded else self.arguments
        return [
            str(self.folder / "bin/mpiexec"),
            *placing,
            "-n",
            str(processes),
            str(program),
            *arguments,
        ]

    def variables(self, processes, cores, borrowed):
        """The environment of a job. A `borrowed` program is not linked to this library and finds it
        by name."""
        variables = {
            k: v for k, v in os.environ.items() if k not in ("LD_LIBRARY_PATH", "FERRITE_TRANSPORT")
        }
        variables.update(self.settings(processes > cores))
        if self.key == "impi":
            variables["I_MPI_ROOT"] = str(self.folder)
        if self.own_providers:
            variables["FI_PROVIDER_PATH"] = str(self.folder / "lib")
        if borrowed or self.own_providers:
            variables["LD_LIBRARY_PATH"] = str(self.folder / "lib")
        return variables

    def settings(self, crowded):
        """The variables that show the library at its best."""
        return {**self.environment, **(self.crowded_environment if crowded else {})}

    def version(self):
        """What is installed."""
        if not self.packages:
            return first_line([str(self.folder / "bin/mpiexec"), "--version"])
        wheel = self.packages[0].replace("-", "_")
        found = sorted(self.folder.glob(f"lib/python*/site-packages/{wheel}-*.dist-info"))
        return (
            found[-1].name.removeprefix(f"{wheel}-").removesuffix(".dist-info")
            if found
            else "unknown"
        )

    def compile(self, sources, flags, target):
        """Builds a C program with the library's own mpicc."""
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f"{target.name}.unfinished")
        words = [
            str(self.folder / "bin/mpicc"),
            "-O2",
            "-w",
            *flags,
            *map(str, sources),
            "-lm",
            "-o",
            str(unfinished),
        ]
        built = subprocess.run(
            words, env=self.variables(1, 1, False), capture_output=True, text=True
        )
        if built.returncode != 0:
            raise SystemExit(
                f"{self.name}: {target.name} does not build:\n{built.stdout}{built.stderr}"
            )
        unfinished.rename(target)
        return target


def ferrite(prefix):
    """The library of this repository."""
    return Library("ferrite", "Ferrite", arguments=["-bind-to", "core"], folder=prefix)


def peers():
    """The others, without their folders."""
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    shared_memory = {"OMPI_MCA_pml": "ob1", "OMPI_MCA_btl": "self,sm", "OMPI_MCA_osc": "^ucx"}
    return [
        Library(
            "mpich",
            "MPICH",
            ["mpich"],
            arguments=["-bind-to", "core"],
            crowded_environment={"MPIR_CVAR_CH4_PROGRESS_THROTTLE": "1"},
        ),
        Library(
            "openmpi",
            "Open MPI",
            ["openmpi"],
            standard_abi=False,
            arguments=["--bind-to", "core"],
            crowded_arguments=["--oversubscribe", "--bind-to", "none"],
            environment={**root, **shared_memory},
            crowded_environment={"OMPI_MCA_mpi_yield_when_idle": "1"},
        ),
        Library(
            "impi", "Intel MPI", ["impi-rt", "impi-devel"], environment={"I_MPI_FABRICS": "shm"}
        ),
    ]


def over_tcp(everyone):
    """The same libraries as they are told to use TCP, also between two processes of one machine;
    MPICH with both netmods."""
    found = []
    for library in everyone:
        tcp = {"FI_PROVIDER": "tcp"}
        root = {
            key: value for key, value in library.environment.items() if key.startswith("OMPI_ALLOW")
        }
        alone = {"MPIR_CVAR_NOLOCAL": "1"}
        match library.key:
            case "ferrite":
                found.append(replace(library, environment={"FERRITE_TRANSPORT": "tcp"}))
            case "mpich":
                ofi = {**alone, "MPIR_CVAR_CH4_NETMOD": "ofi", **tcp}
                ucx = {**alone, "MPIR_CVAR_CH4_NETMOD": "ucx", "UCX_TLS": "tcp,self"}
                found.append(
                    replace(
                        library, key="mpich-ofi", built="mpich", name="MPICH, ofi", environment=ofi
                    )
                )
                found.append(
                    replace(
                        library, key="mpich-ucx", built="mpich", name="MPICH, ucx", environment=ucx
                    )
                )
            case "openmpi":
                words = [*library.arguments, "--mca", "pml", "ob1", "--mca", "btl", "tcp,self"]
                environment = {**root, "OMPI_MCA_osc": "^ucx"}
                found.append(replace(library, arguments=words, environment=environment))
            case "impi":
                environment = {"I_MPI_FABRICS": "ofi", **tcp}
                found.append(replace(library, environment=environment, own_providers=True))
            case other:
                raise ValueError(f"{other}: how does it use TCP?")
    return found


def install(library, cache):
    """Puts a peer into a Python environment in `cache`, unless it is there already."""
    library.folder = cache / library.key
    if not all((library.folder / "bin" / program).exists() for program in ("mpiexec", "mpicc")):
        print(f"fetching {' '.join(library.packages)}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(library.folder)], check=True)
        pip = str(library.folder / "bin/pip")
        subprocess.run(
            [pip, "install", "--quiet", "--disable-pip-version-check", *library.packages],
            check=True,
        )
    return library


def build_programs(library, cache):
    """Builds the programs of c/ with a library's own mpicc; returns the folder they are in. Only
    Ferrite's are built anew each time."""
    sources = sorted((HERE / "c").iterdir())
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    folder = cache / "programs" / digest / library.key
    for name in PROGRAMS:
        if not (library.packages and (folder / name).exists()):
            library.compile([HERE / "c" / f"{name}.c"], [], folder / name)
    return folder


def first_line(words):
    """The first line that a command prints."""
    printed = subprocess.run(words, capture_output=True, text=True)
    lines = (printed.stdout or printed.stderr).strip().splitlines()
    return lines[0] if printed.returncode == 0 and lines else "unknown"
