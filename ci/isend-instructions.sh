#!/usr/bin/env bash
# Counts the instructions of an 8-byte MPI_Isend through the C ABI.
#
#   ci/isend-instructions.sh PREFIX [LIMIT]
#
# Runs rank 0 of PREFIX/bin/osu_bw under callgrind, collecting inside MPI_Isend only, and divides by the number of calls.
# Fails above LIMIT (150 by default) and 5 %. The receiver spins for the whole run: what it costs to wake a sleeper is not
# part of the figure. LD_LIBRARY_PATH selects another MPI library, as always.
set -euo pipefail

limit=${2:-150}
iterations=100 warmup=10 window=64
expected=$(((iterations + warmup) * window))

if [ $# -lt 1 ] || [ $# -gt 2 ] || [ ! -x "$1/bin/osu_bw" ]; then
    echo "usage: $0 PREFIX [LIMIT]    (PREFIX as laid out by cargo xtask install)" >&2
    exit 2
fi
prefix=$(cd "$1" && pwd)
if ! command -v valgrind >/dev/null; then
    [ "${FERRITE_TEST_REQUIRE:-}" != all ] || { echo "$0: needs valgrind" >&2; exit 1; }
    echo "skipped: needs valgrind"
    exit 0
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
program=$prefix/bin/osu_bw
arguments=(-m 8:8 -i "$iterations" -x "$warmup" -W "$window")

# A toggle flips at every function entered that has its name. Where MPI_Isend is a second name of PMPI_Isend's address,
# callgrind knows that address by one of the names, we cannot say which: toggle on both. Where it is a function that jumps to
# PMPI_Isend, both would be entered in one call, and two flips cancel out: toggle on the outer one.
library=$(ldd "$program" | awk '$1 ~ /^libmpi_abi\.so/ { print $3 }')
[ -f "$library" ] || { echo "$0: $program finds no libmpi_abi.so.1" >&2; exit 1; }
address() { nm -D "$library" | awk -v name="$1" '$3 == name { print $1 }'; }
toggles=(--toggle-collect=MPI_Isend)
[ "$(address MPI_Isend)" != "$(address PMPI_Isend)" ] || toggles+=(--toggle-collect=PMPI_Isend)

export FERRITE_SPIN=${FERRITE_SPIN:-3600s} FERRITE_YIELD=${FERRITE_YIELD:-3600s}
if ! "$prefix/bin/mpiexec" \
    -n 1 valgrind --tool=callgrind --callgrind-out-file="$folder/profile" --collect-atstart=no "${toggles[@]}" \
    "$program" "${arguments[@]}" : -n 1 "$program" "${arguments[@]}" >"$folder/log" 2>&1 </dev/null; then
    cat "$folder/log" >&2
    echo "$0: osu_bw failed" >&2
    exit 1
fi

# Names stand beside their number "(n)" once, and are left out later. Calls from one name to the other are one call.
read -r instructions calls < <(awk '
    function name(text,   id) {
        id = text; sub(/\).*/, ")", id)
        if (text ~ /\) /) { names[id] = text; sub(/^[^)]*\) /, "", names[id]) }
        return names[id]
    }
    /^c?fn=/ { found = name(substr($0, index($0, "=") + 1)); if (/^fn=/) { caller = found } else { callee = found } }
    /^calls=/ && callee ~ /^P?MPI_Isend$/ && caller !~ /^P?MPI_Isend$/ { split($1, part, "="); calls += part[2] }
    /^totals:/ { total = $2 }
    END { print total + 0, calls + 0 }' "$folder/profile")

if [ "$calls" -ne "$expected" ]; then
    echo "$0: the profile shows $calls calls of MPI_Isend, $expected were expected" >&2
    exit 1
fi
awk -v total="$instructions" -v calls="$calls" -v limit="$limit" 'BEGIN {
    each = total / calls
    printf "MPI_Isend, 8 bytes: %.1f instructions a call (%d in %d calls); limit %d and 5 %%\n", each, total, calls, limit
    exit each > limit * 1.05
}' || {
    callgrind_annotate "$folder/profile" | awk '/^Ir/ { found = 1 } found && lines++ < 25' >&2
    echo "$0: above the limit" >&2
    exit 1
}
