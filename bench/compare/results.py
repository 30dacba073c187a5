"""What is measured, what is demanded of it, and how the figures are judged."""

from dataclasses import dataclass
from statistics import median

MIB = 1 << 20
RAW = "raw"  # stands beside libraries' keys: what plain sockets do
FAILED = "failed"  # stands in place of the values of a figure of which a round failed


@dataclass(frozen=True)
class Figure:
    """A figure of merit of two processes.

    Read from `column` of the row of `size` bytes of `program` run with `arguments`. `demand` is
    what Ferrite's figure must be, as a ratio to the best peer's: at most that where `lower` is
    better, at least that otherwise. `raw` is the measurement of `ferrite-limits tcp` beside it,
    `raw_demand` what the ratio to that must be and `raw_aim` should be.
    """

    name: str
    unit: str
    program: str
    arguments: tuple
    size: int
    demand: float = None
    column: int = 0
    scale: float = 1.0
    lower: bool = False
    aim: float = None
    raw: str = None
    raw_demand: float = None
    raw_aim: float = None


SMALL = ("-i", "2000", "-x", "200")
RATE = ("-m", "1:1", *SMALL)
BANDWIDTH = ("-m", f"8192:{4 * MIB}")
BOTH_WAYS = ("-m", f"65536:{MIB}")

FIGURES = [
    Figure("latency, 8 B", "us", "latency", ("-m", "8:8"), 8, 0.8, lower=True, aim=0.26),
    Figure("message rate, 1 B (bw)", "million/s", "bw", RATE, 1, 1.3, aim=15),
    Figure("message rate, 1 B (mbw_mr)", "million/s", "mbw_mr", RATE, 1, 1.3, 1, 1e-6, aim=15),
    *(
        Figure(f"bandwidth, {name}", "MB/s", "bw", BANDWIDTH, size, 1.0)
        for name, size in [("8 KiB", 8192), ("64 KiB", 65536), ("1 MiB", MIB), ("4 MiB", 4 * MIB)]
    ),
    *(
        Figure(f"both ways, {name}", "MB/s", "bibw", BOTH_WAYS, size, 1.0)
        for name, size in [("64 KiB", 65536), ("1 MiB", MIB)]
    ),
]


def over_tcp(kind, name, size, demand=None, **more):
    """A figure over TCP that plain sockets have too, in a job of its own."""
    label, unit, program = {
        "latency": ("latency", "us", "latency"),
        "bandwidth": ("bandwidth", "MB/s", "bw"),
        "both-ways": ("both ways", "MB/s", "bibw"),
    }[kind]
    arguments = ("-m", f"{size}:{size}")
    lower = kind == "latency"
    return Figure(
        f"{label}, {name}", unit, program, arguments, size, demand, lower=lower, raw=kind, **more
    )


TCP_FIGURES = [
    over_tcp("latency", "8 B", 8, 0.85, raw_aim=1.1),
    over_tcp("latency", "1 KiB", 1024),
    over_tcp("latency", "64 KiB", 65536, 1.0),
    over_tcp("latency", "1 MiB", MIB),
    Figure("message rate, 1 B (bw)", "million/s", "bw", RATE, 1, 10, raw="bandwidth"),
    Figure(
        "message rate, 1 B (mbw_mr)", "million/s", "mbw_mr", RATE, 1, 10, 1, 1e-6, raw="bandwidth"
    ),
    over_tcp("bandwidth", "64 KiB", 65536, 1.0),
    over_tcp("bandwidth", "1 MiB", MIB, 1.0, raw_demand=0.97),
    over_tcp("bandwidth", "4 MiB", 4 * MIB),
    over_tcp("both-ways", "64 KiB", 65536),
    over_tcp("both-ways", "1 MiB", MIB, 1.0),
]


# Programs that show whether a library uses TCP: with arguments, bytes of all messages, and the
# messages where none can wait for another, each of which takes a packet at least.
PROBES = [
    ("bw", ("-m", "65536:65536", "-i", "20", "-x", "0"), 20 * 64 * 65536, 0),
    ("latency", ("-m", "8:8", "-i", "1000", "-x", "0"), 2 * 1000 * 8, 2000),
]


@dataclass(frozen=True)
class Start:
    """A start-up figure: `startup mode` on `processes` processes. At most `limit`."""

    name: str
    unit: str
    processes: int
    mode: tuple
    limit: float
    everybody: bool = True
    memory: bool = False


STARTS = [
    Start("hello, 2 processes", "s", 2, (), 0.05),
    Start("hello, 64 processes", "s", 64, (), 0.7),
    Start("barrier, 256 processes", "s", 256, ("barrier",), 10, everybody=False),
    Start(
        "memory at a barrier, 256 processes", "GB", 256, ("hold",), 2, everybody=False, memory=True
    ),
]


def text_of(values, digits):
    """The median of the rounds and their range."""
    if not values:
        return "-"
    if values == FAILED:
        return FAILED
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def best_peer(figure, measured, us="ferrite"):
    """The best median among the others, or nothing."""
    others = [
        median(v) for key, v in measured.items() if key not in (us, RAW) and v and v != FAILED
    ]
    return (min if figure.lower else max)(others, default=None)


def ratio_to_raw(figure, measured, us="ferrite"):
    """Ferrite's ratio to plain sockets, or nothing."""
    ours, raw = measured.get(us), measured.get(RAW)
    if not ours or not raw or FAILED in (ours, raw):
        return None
    return median(ours) / median(raw)


def good(figure, ratio, demand):
    """Whether a ratio is what is demanded of it."""
    return ratio <= demand if figure.lower else ratio >= demand


def verdict(figure, measured, us="ferrite"):
    """Ferrite's ratio to the best peer, and whether all is as demanded."""
    ours, best = measured.get(us), best_peer(figure, measured, us)
    if not ours or ours == FAILED:
        return None, "FAIL"
    ratio = median(ours) / best if best else None
    raw = ratio_to_raw(figure, measured, us)
    verdicts = []
    for found, demand, lacking in [
        (ratio, figure.demand, "no peer"),
        (raw, figure.raw_demand, "no limit"),
    ]:
        if demand is not None:
            verdicts.append(
                lacking if found is None else "pass" if good(figure, found, demand) else "FAIL"
            )
    for word in ("FAIL", "no peer", "no limit", "pass"):
        if word in verdicts:
            return ratio, word
    return ratio, ""


def digits_of(unit):
    """Digits after the point that mean something."""
    return {"MB/s": 0, "s": 3}.get(unit, 2)
