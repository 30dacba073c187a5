#!/usr/bin/env bash
# Counts what MPICH's binary interface adds to the instructions of the standard's, for MPI_Isend and
# MPI_Irecv of 8 bytes.
#
#   ci/abi-instructions.sh PREFIX [LIMIT]
#
# Builds a program for both interfaces and runs its rank 0 under callgrind, collecting inside one
# function at a time. Fails where MPICH's costs more than LIMIT (25 by default) instructions a call
# over the standard's.
set -euo pipefail

limit=${2:-25} messages=640
if [ $# -lt 1 ] || [ $# -gt 2 ] || [ ! -x "$1/bin/mpicc" ]; then
    echo "usage: $0 PREFIX [LIMIT]    (PREFIX as laid out by cargo xtask install)" >&2
    exit 2
fi
prefix=$(cd "$1" && pwd)
. "$(dirname "$0")/callgrind.sh"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$(dirname "$0")/.."
# Nobody sleeps: what it costs to wake a sleeper is not part of the figures.
export FERRITE_SPIN=3600s FERRITE_YIELD=3600s
unset FERRITE_TRANSPORT LD_LIBRARY_PATH

declare -A library=([standard]=$prefix/lib/libmpi_abi.so.1 [mpich]=$prefix/lib/libmpi.so.12) each
failed=0
for function in MPI_Isend MPI_Irecv; do
    for abi in standard mpich; do
        "$prefix/bin/mpicc" -abi=$abi -O2 -o "$folder/$abi" tests/c/posts.c
        counted=$(instructions_of_rank_0 "$function" "${library[$abi]}" "$folder/$abi" "$messages")
        read -r instructions calls <<<"$counted"
        if [ "$calls" -ne "$messages" ]; then
            echo "$0: the profile shows $calls calls of $function, $messages were expected" >&2
            exit 1
        fi
        each[$abi]=$((instructions / calls))
    done
    more=$((each[mpich] - each[standard]))
    echo "$function, 8 bytes: standard ABI ${each[standard]}, MPICH's ${each[mpich]} instructions a call: $more more; limit $limit"
    [ "$more" -le "$limit" ] || failed=1
done
exit "$failed"
