#!/usr/bin/env bash
# Counts the instructions of a small send through the C ABI.
#
#   ci/isend-instructions.sh [--tcp] PREFIX [LIMIT]
#
# Runs rank 0 of PREFIX/bin/osu_bw under callgrind, collecting inside MPI_Isend only, and divides by the number of calls.
# Fails above LIMIT and 5 %. The receiver spins for the whole run: what it costs to wake a sleeper is not part of the figure.
# LD_LIBRARY_PATH selects another MPI library, as always.
#
# With --tcp the job uses TCP, and MPI_Send of osu_latency, which hands its message to the system before it returns, is counted
# too, against twice the limit. The instructions of the system itself are not seen: ci/tcp-syscalls.sh counts its calls.
set -euo pipefail

usage() {
    echo "usage: $0 [--tcp] PREFIX [LIMIT]    (PREFIX as laid out by cargo xtask install)" >&2
    exit 2
}

fabric="shared memory" default_limit=150
if [ "${1:-}" = --tcp ]; then
    shift
    fabric=TCP default_limit=700
    export FERRITE_TRANSPORT=tcp
else
    unset FERRITE_TRANSPORT
fi
[ $# -ge 1 ] && [ $# -le 2 ] && [ -x "$1/bin/osu_bw" ] && [ -x "$1/bin/osu_latency" ] || usage
limit=${2:-$default_limit}
[[ $limit =~ ^[1-9][0-9]*$ ]] || usage
prefix=$(cd "$1" && pwd)
if ! command -v valgrind >/dev/null; then
    [ "${FERRITE_TEST_REQUIRE:-}" != all ] || { echo "$0: needs valgrind" >&2; exit 1; }
    echo "skipped: needs valgrind"
    exit 0
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export FERRITE_SPIN=${FERRITE_SPIN:-3600s} FERRITE_YIELD=${FERRITE_YIELD:-3600s}

library=$(ldd "$prefix/bin/osu_bw" | awk '$1 ~ /^libmpi_abi\.so/ { print $3 }')
[ -f "$library" ] || { echo "$0: $prefix/bin/osu_bw finds no libmpi_abi.so.1" >&2; exit 1; }
address() { nm -D "$library" | awk -v name="$1" '$3 == name { print $1 }'; }

# count FUNCTION CALLS LIMIT PROGRAM ARGUMENT...: the instructions of each of the CALLS calls that rank 0 makes of FUNCTION.
count() {
    local function=$1 expected=$2 limit=$3 program=$prefix/bin/$4
    shift 4

    # A toggle flips at every function entered that has its name. Where MPI_X is a second name of PMPI_X's address, callgrind
    # knows that address by one of the names, we cannot say which: toggle on both. Where it is a function that jumps to PMPI_X,
    # both would be entered in one call, and two flips cancel out: toggle on the outer one.
    local toggles=("--toggle-collect=$function")
    [ "$(address "$function")" != "$(address "P$function")" ] || toggles+=("--toggle-collect=P$function")

    if ! "$prefix/bin/mpiexec" \
        -n 1 valgrind --tool=callgrind --callgrind-out-file="$folder/profile" --collect-atstart=no "${toggles[@]}" \
        "$program" "$@" : -n 1 "$program" "$@" >"$folder/log" 2>&1 </dev/null; then
        cat "$folder/log" >&2
        echo "$0: $(basename "$program") failed" >&2
        exit 1
    fi

    # Names stand beside their number "(n)" once, and are left out later. Calls from one name to the other are one call.
    local instructions calls
    read -r instructions calls < <(awk -v wanted="$function" '
        function name(text,   id) {
            id = text; sub(/\).*/, ")", id)
            if (text ~ /\) /) { names[id] = text; sub(/^[^)]*\) /, "", names[id]) }
            return names[id]
        }
        function ours(text) { return text == wanted || text == "P" wanted }
        /^c?fn=/ { found = name(substr($0, index($0, "=") + 1)); if (/^fn=/) { caller = found } else { callee = found } }
        /^calls=/ && ours(callee) && !ours(caller) { split($1, part, "="); calls += part[2] }
        /^totals:/ { total = $2 }
        END { print total + 0, calls + 0 }' "$folder/profile")

    if [ "$calls" -ne "$expected" ]; then
        echo "$0: the profile shows $calls calls of $function, $expected were expected" >&2
        exit 1
    fi
    awk -v what="$function, 8 bytes, $fabric" -v total="$instructions" -v calls="$calls" -v limit="$limit" 'BEGIN {
        each = total / calls
        printf "%s: %.1f instructions a call (%d in %d calls); limit %d and 5 %%\n", what, each, total, calls, limit
        exit each > limit * 1.05
    }' || {
        callgrind_annotate "$folder/profile" | awk '/^Ir/ { found = 1 } found && lines++ < 25' >&2
        echo "$0: above the limit" >&2
        exit 1
    }
}

iterations=100 warmup=10 window=64
count MPI_Isend $(((iterations + warmup) * window)) "$limit" osu_bw -m 8:8 -i $iterations -x $warmup -W $window
if [ "$fabric" = TCP ]; then
    count MPI_Send $((iterations + warmup)) $((2 * limit)) osu_latency -m 8:8 -i $iterations -x $warmup
fi
