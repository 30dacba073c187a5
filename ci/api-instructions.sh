#!/usr/bin/env bash
# Counts what the Rust API adds to the engine's instructions of an 8-byte send and of a receive of a
# message that is there.
#
#   ci/api-instructions.sh PREFIX [LIMIT]
#
# Builds the example `instructions` of mpi_core and runs its rank 0 under callgrind, collecting
# inside one function at a time. Fails where the API costs more than LIMIT (10 by default)
# instructions a call over the engine.
set -euo pipefail

limit=${2:-10} calls=640
if [ $# -lt 1 ] || [ $# -gt 2 ] || [ ! -x "$1/bin/mpiexec" ]; then
    echo "usage: $0 PREFIX [LIMIT]    (PREFIX as laid out by cargo xtask install)" >&2
    exit 2
fi
mpiexec=$(cd "$1" && pwd)/bin/mpiexec
. "$(dirname "$0")/callgrind.sh"
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
cargo build -q --release -p mpi_core --example instructions
program=$target/release/examples/instructions

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# Nobody sleeps: what it costs to wake a sleeper is not part of the figures.
export FERRITE_SPIN=3600s FERRITE_YIELD=3600s
unset FERRITE_TRANSPORT

# The instructions of all calls of a function.
count() {
    if ! "$mpiexec" \
        -n 1 valgrind --tool=callgrind --callgrind-out-file="$folder/profile" --collect-atstart=no "--toggle-collect=*$1*" "$program" : \
        -n 1 "$program" >"$folder/log" 2>&1 </dev/null; then
        cat "$folder/log" >&2
        return 1
    fi
    awk '/^totals:/ { print $2 }' "$folder/profile"
}

failed=0
for what in send receive; do
    api=$(count "${what}_through_the_api")
    engine=$(count "${what}_by_the_engine")
    awk -v api="$api" -v engine="$engine" -v calls="$calls" -v limit="$limit" -v what="$what" 'BEGIN {
        if (engine < calls * 10) { print what ": the profile is empty"; exit 1 }
        more = (api - engine) / calls
        printf "%s, 8 bytes: %.1f instructions through the API, %.1f by the engine: %.1f more; limit %d\n", what, api / calls, engine / calls, more, limit
        exit more > limit
    }' || failed=1
done
exit "$failed"
