#!/usr/bin/env bash
# Counts the instructions of 8-byte sends through the C ABI: MPI_Isend in shared memory, MPI_Isend
# and MPI_Send over TCP.
#
#   ci/isend-instructions.sh PREFIX [LIMIT [TCP_LIMIT]]
#
# Runs rank 0 of PREFIX's osu_bw (MPI_Isend) and osu_latency (MPI_Send) under callgrind, collecting
# inside the function only, and divides by the number of calls. Fails above LIMIT (150 by default;
# over TCP TCP_LIMIT, 3000 by default, which is generous) and 5 %. The receiver spins for the whole
# run: what it costs to wake a sleeper is not part of the figures. The system's own instructions are
# not counted, so over TCP ci/tcp-syscalls.sh belongs beside this. LD_LIBRARY_PATH selects another
# MPI library, as always.
set -euo pipefail

limit=${2:-150} tcp_limit=${3:-3000}
iterations=100 warmup=10 window=64

if [ $# -lt 1 ] || [ $# -gt 3 ] || [ ! -x "$1/bin/osu_bw" ]; then
    echo "usage: $0 PREFIX [LIMIT [TCP_LIMIT]]    (PREFIX as laid out by cargo xtask install)" >&2
    exit 2
fi
prefix=$(cd "$1" && pwd)
. "$(dirname "$0")/callgrind.sh"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
library=$(ldd "$prefix/bin/osu_bw" | awk '$1 ~ /^libmpi_abi\.so/ { print $3 }')
[ -f "$library" ] || { echo "$0: $prefix/bin/osu_bw finds no libmpi_abi.so.1" >&2; exit 1; }
export FERRITE_SPIN=${FERRITE_SPIN:-3600s} FERRITE_YIELD=${FERRITE_YIELD:-3600s}

# count WHERE FUNCTION CALLS LIMIT PROGRAM ARGUMENTS...: CALLS is how often rank 0 must have called
# the function.
count() {
    local where=$1 function=$2 expected=$3 limit=$4 program=$prefix/bin/$5 counted instructions calls
    shift 5
    counted=$(instructions_of_rank_0 "$function" "$library" "$program" "$@") || return 1
    read -r instructions calls <<<"$counted"
    if [ "$calls" -ne "$expected" ]; then
        echo "$0: the profile shows $calls calls of $function, $expected were expected, $where" >&2
        return 1
    fi
    awk -v total="$instructions" -v calls="$calls" -v limit="$limit" -v what="$function, 8 bytes, $where" 'BEGIN {
        each = total / calls
        printf "%s: %.1f instructions a call (%d in %d calls); limit %d and 5 %%\n", what, each, total, calls, limit
        exit each > limit * 1.05
    }' || {
        callgrind_annotate "$folder/profile" | awk '/^Ir/ { found = 1 } found && lines++ < 25' >&2
        echo "$0: above the limit" >&2
        return 1
    }
}

bandwidth=(osu_bw -m 8:8 -i "$iterations" -x "$warmup" -W "$window")
latency=(osu_latency -m 8:8 -i "$iterations" -x "$warmup")
failed=0
unset FERRITE_TRANSPORT
count "shared memory" MPI_Isend $(((iterations + warmup) * window)) "$limit" "${bandwidth[@]}" || failed=1
export FERRITE_TRANSPORT=tcp
count TCP MPI_Isend $(((iterations + warmup) * window)) "$tcp_limit" "${bandwidth[@]}" || failed=1
count TCP MPI_Send $((iterations + warmup)) "$tcp_limit" "${latency[@]}" || failed=1
exit "$failed"
